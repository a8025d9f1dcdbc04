/**
 * Consensus messages that passed their checks a short while ago, by the hash of their content: nobody can claim
 * another message's place, and only what was verified is remembered (prior art, T3). A value that is not changed:
 * `noted` returns a new one that shares all buckets but one.
 */
import { toHex } from '../../crypto/index.ts'
import { RECENT_BUCKETS, RECENT_PER_BUCKET } from './limits.ts'

/** Time at which the message was last told to Chain, by hash; the oldest first. */
type Bucket = ReadonlyMap<string, number>

export type Recent = readonly Bucket[]

export const NOTHING_RECENT: Recent = Array.from({ length: RECENT_BUCKETS }, () => new Map())

const bucketOf = (hash: Uint8Array): number => (hash[0] as number) % RECENT_BUCKETS

/** When it was last told; undefined when it is not remembered. */
export function toldAt(recent: Recent, hash: Uint8Array): number | undefined {
  return recent[bucketOf(hash)]?.get(toHex(hash))
}

export function noted(recent: Recent, hash: Uint8Array, nowMs: number): Recent {
  const index = bucketOf(hash)
  const key = toHex(hash)
  const bucket = new Map(recent[index])
  bucket.delete(key)
  bucket.set(key, nowMs)
  if (bucket.size > RECENT_PER_BUCKET) bucket.delete(bucket.keys().next().value as string)
  return recent.with(index, bucket)
}
