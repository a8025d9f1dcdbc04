/**
 * The record of a halt (protocol §2.7): why, when, and the certificates that show it. It is durable, so a process that is started
 * again neither signs nor commits until an operator has looked at it. Pure.
 */
import { encodeCertificate, type QuorumCertificate } from '../../core/block/index.ts'
import type { HaltReason } from '../../core/pbft/index.ts'
import { concatBytes, sha256, toHex } from '../../crypto/index.ts'

export interface HaltRecord {
  /** Names the halt: an operator who goes on says which one was looked at. */
  readonly id: string
  readonly reason: HaltReason
  readonly atMs: number
  /** SSZ in hex. */
  readonly certificates: readonly string[]
}

const ID_BYTES = 8

const idOf = (bytes: Uint8Array): string => toHex(sha256(bytes).subarray(0, ID_BYTES))

export function haltRecord(
  reason: HaltReason,
  certificates: readonly QuorumCertificate[],
  atMs: number,
): HaltRecord {
  const encoded = certificates.map(encodeCertificate)
  const id = idOf(concatBytes(new TextEncoder().encode(reason), ...encoded))
  return { id, reason, atMs, certificates: encoded.map(toHex) }
}

export const encodeHalt = (record: HaltRecord): string => JSON.stringify(record)

/** A row that cannot be read is a halt all the same: only an operator may say that it is none. */
export function decodeHalt(text: string): HaltRecord {
  try {
    const value: unknown = JSON.parse(text)
    if (isHaltRecord(value)) return value
  } catch {
    // Falls through: not JSON.
  }
  const id = idOf(new TextEncoder().encode(text))
  return { id, reason: 'ConflictingCertificates', atMs: 0, certificates: [] }
}

function isHaltRecord(value: unknown): value is HaltRecord {
  if (typeof value !== 'object' || value === null) return false
  const { id, reason, atMs, certificates } = value as Partial<Record<keyof HaltRecord, unknown>>
  return (
    typeof id === 'string' &&
    (reason === 'ConflictingCertificates' || reason === 'CertifiedBlockInvalid') &&
    typeof atMs === 'number' &&
    Array.isArray(certificates) &&
    certificates.every((certificate) => typeof certificate === 'string')
  )
}
