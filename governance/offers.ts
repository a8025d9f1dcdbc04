/**
 * Offers that a member has open, with their nonces (protocol §5.4, §5.5): in memory only, used once, gone with the process. One per
 * federation node and batch; a later one takes the place of the one before. Of each node's attempts at a batch only the highest is
 * served, a higher one not at once, and no more offers in it than its sessions can take.
 */
import type { Genesis } from '../core/params/index.ts'
import type { FederationKeys } from '../core/peg/index.ts'
import {
  mostSessions,
  type NonceOffer,
  type OfferNonces,
  type Signers,
  type SigningTask,
} from '../core/signing/index.ts'
import { toHex } from '../crypto/index.ts'

export interface OpenOffer {
  readonly task: SigningTask
  readonly keys: FederationKeys
  readonly offer: NonceOffer
  readonly nonces: OfferNonces
  /** Of the transaction that is signed, internal byte order. */
  readonly txid: Uint8Array
}

/** An attempt at a version of a batch. */
export type AttemptName = Pick<SigningTask, 'batchId' | 'version' | 'attempt'> & Signers

export function attemptName(
  { members, memberThreshold: threshold }: Pick<Genesis, 'members' | 'memberThreshold'>,
  { attempt, batchId, version }: Pick<AttemptName, 'batchId' | 'version' | 'attempt'>,
): AttemptName {
  return { batchId, version, attempt, members, threshold }
}

/** Why no offer is made; each may end with time. */
export type AttemptRefusal =
  /** A higher one of this node was served. */
  | 'AttemptPassed'
  /** Not that soon after the one before. */
  | 'AttemptTooSoon'
  /** As many as an attempt can take. */
  | 'AttemptExhausted'

/** Batches that one node has open or has asked about, the latest. */
const MAX_BATCHES_PER_NODE = 64
/** A node's turn lasts a round of 15 s; with a bump a further version may follow sooner. */
const MIN_ATTEMPT_MS = 5_000
/** Beyond one for each session: a node, or its stream, that started anew asks again. */
const SPARE_OFFERS = 8

/** Of all nodes together: what is open has nonces for each input. */
const MAX_OPEN = 512

interface Served<Open> {
  readonly version: number
  readonly attempt: number
  readonly begunAtMs: number
  /** Made in this attempt. */
  readonly offers: number
  /** Of the last one. */
  readonly serial: number
  readonly open?: Open
}

/** The table with what is open in it; who only looks at what was served keeps it without. */
export class Offers<Open = OpenOffer> {
  /** By node, then by batch; of each the latest comes last. */
  readonly #served = new Map<number, Map<string, Served<Open>>>()
  /** What is open, the latest last. */
  readonly #open = new Map<string, readonly [node: number, batchId: Uint8Array]>()

  /** Why a node gets no offer in an attempt; undefined when it does. */
  refusal(node: number, wanted: AttemptName, nowMs: number): AttemptRefusal | undefined {
    const served = this.#of(node, wanted.batchId)
    if (served === undefined) return undefined
    const order = compareAttempts(wanted, served)
    if (order < 0) return 'AttemptPassed'
    const passedMs = nowMs - served.begunAtMs
    // A clock that was set back keeps nobody waiting.
    const isSoon = order > 0 && passedMs >= 0 && passedMs < MIN_ATTEMPT_MS
    if (isSoon) return 'AttemptTooSoon'
    return isExhausted(served, wanted) ? 'AttemptExhausted' : undefined
  }

  /**
   * What the next offer of a task is numbered by: above the one before, and, by the clock, above those that a process which
   * died has made. Undefined when the attempt has had its offers.
   */
  serial(node: number, task: AttemptName, nowMs: number): number | undefined {
    const served = this.#of(node, task.batchId)
    if (served !== undefined && isExhausted(served, task)) return undefined
    return Math.max((served?.serial ?? -1) + 1, Math.floor(nowMs / 1000))
  }

  /** A node's oldest batches give way to too many, and so does what has been open longest. */
  put(node: number, task: AttemptName, serial: number, nowMs: number, open?: Open): void {
    const name = toHex(task.batchId)
    const batches = this.#served.get(node) ?? new Map<string, Served<Open>>()
    const served = batches.get(name)
    const isSame = served !== undefined && compareAttempts(task, served) === 0
    batches.delete(name)
    batches.set(name, {
      version: task.version,
      attempt: task.attempt,
      begunAtMs: isSame ? served.begunAtMs : nowMs,
      offers: isSame ? served.offers + 1 : 1,
      serial,
      ...(open !== undefined && { open }),
    })
    const [oldest] = batches.keys()
    if (batches.size > MAX_BATCHES_PER_NODE) batches.delete(oldest as string)
    this.#served.set(node, batches)
    if (open === undefined) return
    const place = `${node}:${name}`
    this.#open.delete(place)
    this.#open.set(place, [node, task.batchId])
    const [longest] = this.#open.values()
    if (this.#open.size > MAX_OPEN && longest !== undefined) this.take(...longest)
  }

  /** Takes an offer out: nobody gets it twice. */
  take(node: number, batchId: Uint8Array): Open | undefined {
    this.#open.delete(`${node}:${toHex(batchId)}`)
    const served = this.#of(node, batchId)
    if (served === undefined) return undefined
    const { open, ...rest } = served
    this.#served.get(node)?.set(toHex(batchId), rest)
    return open
  }

  #of(node: number, batchId: Uint8Array): Served<Open> | undefined {
    return this.#served.get(node)?.get(toHex(batchId))
  }
}

function isExhausted(served: Served<unknown>, wanted: AttemptName): boolean {
  const isSame = compareAttempts(wanted, served) === 0
  return isSame && served.offers >= mostSessions(wanted) + SPARE_OFFERS
}

/** By version, then by attempt. */
function compareAttempts(
  left: Pick<AttemptName, 'version' | 'attempt'>,
  right: Pick<AttemptName, 'version' | 'attempt'>,
): number {
  return left.version - right.version || left.attempt - right.attempt
}
