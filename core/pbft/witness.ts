/**
 * Who signed twice (protocol §2.9, BP-17, BF-11): beside `vote-keeper`, which sees it in the votes that it counts, this looks at
 * proposals, at signed blocks of a slot over heights and views, and at votes for the height that was decided last.
 */
import { equalBytes, toHex } from '../../crypto/index.ts'
import {
  type Block,
  blockHash,
  type ConsensusMessage,
  type PrePrepare,
  type SignedHash,
  VOTE_PHASES,
  voteMessage,
} from '../block/index.ts'
import { createEvidence } from './evidence.ts'
import { MAX_BLOCKS_PER_AUTHOR, MAX_VIEWS_AHEAD, MAX_VIEWS_BEHIND } from './limits.ts'
import { proposer } from './pacemaker.ts'
import { positionOf } from './power.ts'
import type { Draft, HeightState, SignedPlace } from './state.ts'
import { addVote } from './vote-keeper.ts'

/** Whether the views of a height that are looked at hold this one. */
export function isViewKept({ view: current }: HeightState, view: number): boolean {
  return view >= current - MAX_VIEWS_BEHIND && view <= Math.max(current, 0) + MAX_VIEWS_AHEAD
}

/**
 * Notes what the proposer of a view signed. `repeated`: the same as before; `conflicting`: another hash than the first, which is
 * evidence when it is seen for the first time; `forged`: the signature is not the proposer's.
 */
export function noteProposal(
  draft: Draft,
  height: HeightState,
  value: PrePrepare,
  hash: Uint8Array,
): 'first' | 'repeated' | 'conflicting' | 'forged' {
  const { suite, genesisHash } = draft.state.config
  const { signature, view } = value
  const held = height.proposed.get(view)
  const first = held === 'convicted' ? undefined : held
  const isSameHash = first !== undefined && equalBytes(first.hash, hash)
  if (isSameHash && equalBytes(first.signature, signature)) return 'repeated'
  const { parentSlot, validators } = height.context
  const { blsKey } = proposer(validators, parentSlot, view)
  const message = voteMessage(genesisHash, 'proposal', value.height, view, hash)
  if (!suite.verify(blsKey, message, signature)) return 'forged'
  if (isSameHash) return 'repeated'
  if (held === 'convicted') return 'conflicting'
  const signed = { height: value.height, hash, signature }
  if (first === undefined) {
    height.proposed = new Map(height.proposed).set(view, signed)
    return 'first'
  }
  height.proposed = new Map(height.proposed).set(view, 'convicted')
  const evidence = createEvidence('proposal', blsKey, view, first, signed)
  draft.effects.push({ kind: 'evidence', evidence })
  return 'conflicting'
}

/** Notes a block whose author's signature was verified. Another one of the author for the slot is evidence, whatever its height. */
export function noteBlock(draft: Draft, height: HeightState, block: Block, hash: Uint8Array): void {
  const { header, signature } = block
  if (positionOf(height.set, header.author) === undefined) return
  const { state, effects } = draft
  const author = toHex(header.author)
  const slots = state.authored.get(author)
  const held = slots?.get(header.slot)
  if (held === 'convicted' || (held !== undefined && equalBytes(held.hash, hash))) return
  const signed = { height: header.height, hash, signature }
  if (held !== undefined) {
    const evidence = createEvidence('block', header.author, header.slot, held, signed)
    effects.push({ kind: 'evidence', evidence })
  }
  const place: SignedPlace = held === undefined ? signed : 'convicted'
  const kept = [...(slots ?? []), [header.slot, place] as const]
  kept.sort(([left], [right]) => left - right)
  const newest = new Map(kept.slice(-MAX_BLOCKS_PER_AUTHOR))
  state.authored = new Map(state.authored).set(author, newest)
}

/** Looks at a message for a height that is decided: it changes nothing there, but its signer may have signed something else before. */
export function witnessDecided(
  draft: Draft,
  decided: HeightState,
  message: ConsensusMessage,
  from: string,
  verified: boolean,
): void {
  if (message.kind === 'prePrepare') {
    const { value } = message
    if (!isViewKept(decided, value.view)) return
    noteProposal(draft, decided, value, blockHash(value.block.header))
  }
  if (message.kind !== 'vote') return
  const { value: vote } = message
  const phase = VOTE_PHASES[vote.phase]
  const position = positionOf(decided.set, vote.validator)
  if (position === undefined || !isViewKept(decided, vote.view)) return
  if (phase !== 'prepare' && phase !== 'commit') return
  const { suite, genesisHash } = draft.state.config
  const context = { suite, genesisHash, height: decided.context.height, set: decided.set }
  const incoming = { vote, phase, position, from, verified }
  const { evidence, keeper } = addVote(context, decided.votes, incoming, false)
  decided.votes = keeper
  if (evidence !== undefined) draft.effects.push({ kind: 'evidence', evidence })
}

interface Signed extends SignedHash {
  readonly phase: 'proposal' | 'prepare' | 'commit'
  readonly validator: Uint8Array
  readonly view: number
}

/** The hash that a vote or a fresh proposal is signed for. */
function signedBy(message: ConsensusMessage): Signed | undefined {
  if (message.kind === 'vote') {
    const { blockHash: hash, height, signature, validator, view } = message.value
    const phase = VOTE_PHASES[message.value.phase]
    return phase && { phase, validator, view, height, hash, signature }
  }
  if (message.kind !== 'prePrepare') return undefined
  const { block, height, signature, view } = message.value
  const hash = blockHash(block.header)
  return { phase: 'proposal', validator: block.header.author, view, height, hash, signature }
}

/** A second message in a place of a height to come, beside the verified one that is held there: evidence, if it is genuine. */
export function witnessFuture(
  draft: Draft,
  held: ConsensusMessage,
  message: ConsensusMessage,
): boolean {
  const first = signedBy(held)
  const other = signedBy(message)
  if (first === undefined || other === undefined || equalBytes(first.hash, other.hash)) return false
  const { suite, genesisHash } = draft.state.config
  const { phase, validator, view } = first
  const signed = voteMessage(genesisHash, phase, other.height, view, other.hash)
  if (!suite.verify(validator, signed, other.signature)) return false
  const evidence = createEvidence(phase, validator, view, first, other)
  draft.effects.push({ kind: 'evidence', evidence })
  return true
}
