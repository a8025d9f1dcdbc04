/**
 * The sign guard's decisions (protocol §2.8, BP-4, BF-10), pure. Every signature of a validator is preceded by a durable
 * record; the view folded from the records says what may still be signed. The file is the adapter's.
 */
import { equalBytes, hexBytes, type Signer, toHex } from '../../crypto/index.ts'
import {
  authorMessage,
  type Block,
  type ConsensusMessage,
  decodeBlock,
  decodeConsensusMessage,
  type PrePrepare,
  type QuorumCertificate,
  VOTE_PHASES,
  type Vote,
  viewChangeMessage,
  voteMessage,
} from '../block/index.ts'
import type { SigningMark } from './mark.ts'

/** A proposal. `bytes`: the encoded PrePrepare with its own signatures zero; signing is deterministic, so they fix it. */
export interface ProposeRecord {
  readonly kind: 'propose'
  readonly height: number
  readonly view: number
  /** The block's. */
  readonly slot: number
  readonly hash: Uint8Array
  /** The block is our own: its slot is used up. False for a re-proposal. */
  readonly fresh: boolean
  readonly bytes: Uint8Array
}

export interface PrepareRecord {
  readonly kind: 'prepare'
  readonly height: number
  readonly view: number
  readonly hash: Uint8Array
  /** The encoded block; empty when the guard holds it from an earlier record of this height. */
  readonly block: Uint8Array
}

/** Commit and lock in one. */
export interface CommitRecord {
  readonly kind: 'commit'
  readonly height: number
  readonly view: number
  readonly hash: Uint8Array
  /** As in PrepareRecord. */
  readonly block: Uint8Array
  /** The prepare certificate of this view. */
  readonly certificate: QuorumCertificate
}

export interface ViewChangeRecord {
  readonly kind: 'viewChange'
  readonly height: number
  readonly view: number
  /** The highest prepare certificate known, which the message names. */
  readonly certificate: QuorumCertificate | undefined
}

/** What is about to be signed. */
export type GuardRecord = ProposeRecord | PrepareRecord | CommitRecord | ViewChangeRecord

/** Heights below `floor` are committed: nothing is signed there again. Carries the last authored slot on. */
export interface FloorRecord {
  readonly kind: 'floor'
  readonly floor: number
  readonly slot: number
}

/** A block that was prepared in an earlier view of the height; a compacted file holds it so. */
export interface BlockRecord {
  readonly kind: 'block'
  readonly height: number
  readonly hash: Uint8Array
  readonly block: Uint8Array
}

/** All that a guard file holds. */
export type GuardEntry = GuardRecord | FloorRecord | BlockRecord

export interface Lock {
  readonly view: number
  readonly hash: Uint8Array
  readonly certificate: QuorumCertificate
}

/** What the records add up to. Holds the records of one height: the highest that anything was signed at. */
export interface GuardView {
  /** The lowest height that may be signed. */
  readonly floor: number
  /** The highest slot that we authored a block for, over all heights; -1: none. */
  readonly slot: number
  readonly height: number
  /** The highest view signed at `height`; -1: none. */
  readonly view: number
  /** Records of (height, view); blocks are kept apart. */
  readonly propose?: ProposeRecord
  readonly prepare?: PrepareRecord
  readonly commit?: CommitRecord
  /** Of `height`. */
  readonly lock?: Lock
  /** Encoded blocks that were prepared or locked at `height`, by hash, until it is committed (T4). */
  readonly blocks: ReadonlyMap<string, Uint8Array>
}

export const EMPTY_GUARD: GuardView = {
  floor: 0,
  slot: -1,
  height: -1,
  view: -1,
  blocks: new Map(),
}

export type GuardRefusal =
  | 'BelowFloor'
  | 'BelowHighest'
  | 'SlotUsed'
  | 'ConflictingPropose'
  | 'ConflictingPrepare'
  | 'ConflictingCommit'
  | 'BlockMissing'

export type GuardDecision = 'sign' | 'repeat' | { readonly refuse: GuardRefusal }

/** `sign`: append the record, then sign. `repeat`: it stands there already, the same bytes may be signed again. */
export function decideGuard(view: GuardView, record: GuardRecord): GuardDecision {
  if (record.height < view.floor) return { refuse: 'BelowFloor' }
  if (record.height < view.height) return { refuse: 'BelowHighest' }
  const sameHeight = record.height === view.height
  if (sameHeight && record.view < view.view) return { refuse: 'BelowHighest' }
  const signed = sameHeight && record.view === view.view ? view : EMPTY_GUARD
  switch (record.kind) {
    case 'viewChange':
      return signed.view === record.view ? 'repeat' : 'sign'
    case 'propose':
      if (signed.propose !== undefined) {
        return equalBytes(signed.propose.bytes, record.bytes)
          ? 'repeat'
          : { refuse: 'ConflictingPropose' }
      }
      return record.fresh && record.slot <= view.slot ? { refuse: 'SlotUsed' } : 'sign'
    case 'prepare':
      return decideVote(view, record, signed.prepare, 'ConflictingPrepare')
    case 'commit':
      return decideVote(view, record, signed.commit, 'ConflictingCommit')
  }
}

function decideVote(
  view: GuardView,
  record: PrepareRecord | CommitRecord,
  signed: PrepareRecord | CommitRecord | undefined,
  conflict: GuardRefusal,
): GuardDecision {
  if (signed !== undefined) {
    return equalBytes(signed.hash, record.hash) ? 'repeat' : { refuse: conflict }
  }
  const held = record.height === view.height && view.blocks.has(toHex(record.hash))
  return record.block.length > 0 || held ? 'sign' : { refuse: 'BlockMissing' }
}

const NO_BYTES = new Uint8Array(0)

/** The view after a record that `decideGuard` let pass, or that stands in the file. */
export function foldGuard(view: GuardView, record: GuardEntry): GuardView {
  if (record.kind === 'floor') return foldFloor(view, record)
  const { floor, slot, height } = view
  const kept: GuardView =
    record.height === height ? view : { ...EMPTY_GUARD, floor, slot, height: record.height }
  if (record.kind === 'block') return withBlock(kept, record)
  const { propose, prepare, commit, ...rest } = kept
  const at: GuardView = kept.view === record.view ? kept : { ...rest, view: record.view }
  switch (record.kind) {
    case 'viewChange':
      return at
    case 'propose':
      return {
        ...at,
        slot: record.fresh ? Math.max(at.slot, record.slot) : at.slot,
        propose: record,
      }
    case 'prepare':
      return { ...withBlock(at, record), prepare: { ...record, block: NO_BYTES } }
    case 'commit': {
      const { view: lockView, hash, certificate } = record
      const lock: Lock = { view: lockView, hash, certificate }
      return { ...withBlock(at, record), commit: { ...record, block: NO_BYTES }, lock }
    }
  }
}

function withBlock(view: GuardView, record: Pick<PrepareRecord, 'hash' | 'block'>): GuardView {
  if (record.block.length === 0) return view
  return { ...view, blocks: new Map(view.blocks).set(toHex(record.hash), record.block) }
}

function foldFloor(view: GuardView, record: FloorRecord): GuardView {
  const floor = Math.max(view.floor, record.floor)
  const slot = Math.max(view.slot, record.slot)
  return view.height < floor ? { ...EMPTY_GUARD, floor, slot } : { ...view, floor, slot }
}

/** What a compacted file holds: it folds to the same view. */
export function guardEntries(view: GuardView): GuardEntry[] {
  const { height, lock, blocks } = view
  const entries: GuardEntry[] = [{ kind: 'floor', floor: view.floor, slot: view.slot }]
  for (const [key, block] of blocks) {
    entries.push({ kind: 'block', height, hash: hexBytes(key), block })
  }
  if (lock !== undefined) entries.push({ kind: 'commit', height, ...lock, block: NO_BYTES })
  if (view.view >= 0) {
    entries.push({ kind: 'viewChange', height, view: view.view, certificate: undefined })
    for (const record of [view.propose, view.prepare, view.commit]) {
      if (record !== undefined) entries.push(record)
    }
  }
  return entries
}

/** A block of a slot farther ahead of the clock is taken by nobody (BP-3): none was worth signing. */
const MOST_SLOTS_AHEAD = 10

/**
 * The floors to start with over a chain whose highest committed height is `committedHeight`. A guard follows the chain by
 * one height at most; one that lags more is older than the chain (a restored or lost file), and so is one that does not know of the
 * height and view that `mark` names. The votes that it forgot can only concern the next height, which is left out; a block that it forgot
 * may be of any slot up to now (BP-4).
 */
export function startFloor(
  view: GuardView,
  committedHeight: number,
  nowSlot: number,
  mark: SigningMark,
): FloorRecord {
  const { slot } = view
  if (view.floor >= committedHeight && !hasForgotten(view, committedHeight + 1, mark)) {
    return { kind: 'floor', floor: Math.max(view.floor, committedHeight + 1), slot }
  }
  const usedSlot = Math.max(slot, nowSlot + MOST_SLOTS_AHEAD)
  const floor = Math.max(committedHeight + 2, mark.height + 1)
  return { kind: 'floor', floor, slot: usedSlot }
}

/** The mark tells of signatures at the open height; a guard that made them has its floor there, and a record of a view above 0. */
function hasForgotten(
  guard: GuardView,
  openHeight: number,
  { height, view }: SigningMark,
): boolean {
  if (height < openHeight) return false
  if (guard.floor !== height) return guard.floor < height
  return view > 0 && (guard.height !== height || guard.view < view)
}

/** The block under a hash that the guard keeps. */
export function guardedBlock(view: GuardView, hash: Uint8Array): Block | undefined {
  const bytes = view.blocks.get(toHex(hash))
  const decoded = bytes && decodeBlock(bytes)
  return decoded?.ok ? decoded.value : undefined
}

/** The message of a record. To be called only after the guard let the record pass and it is durable. */
export function signRecord(
  genesisHash: Uint8Array,
  record: GuardRecord,
  signer: Signer,
): ConsensusMessage {
  const { height, view } = record
  switch (record.kind) {
    case 'propose':
      return { kind: 'prePrepare', value: signProposal(genesisHash, record, signer) }
    case 'prepare':
    case 'commit': {
      const message = voteMessage(genesisHash, record.kind, height, view, record.hash)
      const vote: Vote = {
        phase: VOTE_PHASES.indexOf(record.kind),
        height,
        view,
        blockHash: record.hash,
        validator: signer.publicKey,
        signature: signer.sign(message),
      }
      return { kind: 'vote', value: vote }
    }
    case 'viewChange': {
      const certificate = record.certificate === undefined ? [] : [record.certificate]
      const message = viewChangeMessage(genesisHash, height, view, certificate)
      const signature = signer.sign(message)
      const validator = signer.publicKey
      return { kind: 'viewChange', value: { height, view, certificate, validator, signature } }
    }
  }
}

function signProposal(genesisHash: Uint8Array, record: ProposeRecord, signer: Signer): PrePrepare {
  const decoded = decodeConsensusMessage(record.bytes)
  if (!decoded.ok || decoded.value.kind !== 'prePrepare') {
    throw new Error('a guard record of a proposal holds no PrePrepare')
  }
  const { value } = decoded.value
  const signature = signer.sign(
    voteMessage(genesisHash, 'proposal', record.height, record.view, record.hash),
  )
  const { block: asked } = value
  const authored = authorMessage(genesisHash, asked.header, record.hash)
  const block = record.fresh ? { ...asked, signature: signer.sign(authored) } : asked
  return { ...value, block, signature }
}
