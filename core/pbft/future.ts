/** Messages for heights to come: kept within bounds, and telling how far the others are (BF-8). */
import { toHex } from '../../crypto/index.ts'
import {
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  type PrePrepare,
  voteMessage,
} from '../block/index.ts'
import { verifyCertificate } from './certificate.ts'
import type { PeerFault } from './io.ts'
import { MAX_HEIGHTS_AHEAD, MAX_VIEWS_AHEAD } from './limits.ts'
import { heightOf, verifyConsensusMessage } from './messages.ts'
import { positionOf, powerOf } from './power.ts'
import { type Draft, type HeightState, type HeldMessage, punish } from './state.ts'
import { witnessFuture } from './witness.ts'

/** Keeps a verified message of a known validator for its height, and notes how far the others are. */
export function takeFuture(
  draft: Draft,
  message: ConsensusMessage,
  from: string,
  verified: boolean,
): PeerFault | undefined {
  const { state } = draft
  const height = state.height as HeightState
  const at = heightOf(message)
  if (message.kind === 'committedBlock') return noteCommitted(draft, message.value, from)
  const place = futurePlace(height, message)
  if (place === undefined) return
  const near = at <= height.context.height + MAX_HEIGHTS_AHEAD && place.view <= MAX_VIEWS_AHEAD
  const held = near ? state.future.held.get(place.key) : undefined
  if (held !== undefined && !held.convicted && witnessFuture(draft, held.message, message)) {
    const convicted: HeldMessage = { ...held, convicted: true }
    const places = new Map(state.future.held).set(place.key, convicted)
    state.future = { ...state.future, held: places }
    return
  }
  const news = near
    ? !state.future.held.has(place.key)
    : at > (state.future.heights.get(place.validator) ?? -1)
  if (!news) return
  const { config } = state
  if (!verified && verifyConsensusMessage(config.suite, config, message).kind !== 'valid') {
    return 'BadSignature'
  }
  if (message.kind === 'prePrepare' && !isProposedByAuthor(draft, message.value)) return
  if (near) {
    const held = new Map(state.future.held).set(place.key, { message, from })
    state.future = { ...state.future, held }
  }
  if (message.kind !== 'prePrepare') noteHeight(draft, place.validator, at)
}

/** What a message for a later height is kept under: at most one for each validator, kind and view. */
function futurePlace(
  height: HeightState,
  message: ConsensusMessage,
): { key: string; validator: string; view: number } | undefined {
  if (message.kind === 'committedBlock' || message.kind === 'prepareCertificate') return undefined
  const { value, kind } = message
  const signer = kind === 'prePrepare' ? message.value.block.header.author : message.value.validator
  if (positionOf(height.set, signer) === undefined) return undefined
  const validator = toHex(signer)
  const phase = kind === 'vote' ? message.value.phase : ''
  const key = `${value.height} ${kind} ${phase} ${value.view} ${validator}`
  return { key, validator, view: value.view }
}

/** A fresh proposal is signed by the block's author; another one is not kept ahead of its height. */
function isProposedByAuthor({ state }: Draft, value: PrePrepare): boolean {
  const { suite, genesisHash } = state.config
  const { header } = value.block
  const hash = blockHash(header)
  const signed = voteMessage(genesisHash, 'proposal', value.height, value.view, hash)
  return value.certificate.length === 0 && suite.verify(header.author, signed, value.signature)
}

function noteHeight(draft: Draft, validator: string, at: number): void {
  const { state } = draft
  const height = state.height as HeightState
  if ((state.future.heights.get(validator) ?? -1) >= at) return
  const heights = new Map(state.future.heights).set(validator, at)
  state.future = { ...state.future, heights }
  let power = 0
  const seen = [...heights].sort(([, left], [, right]) => right - left)
  for (const [key, reached] of seen) {
    const position = height.set.positions.get(key)
    power += position === undefined ? 0 : powerOf(height.set, [position])
    if (power < height.set.honest) continue
    // f+1 vote at `reached`, so the height before is committed. One ahead is no news: the next answer brings it.
    if (reached > height.context.height + 1) tellBehind(draft, reached - 1)
    return
  }
}

function noteCommitted(
  draft: Draft,
  { certificate }: CommittedBlock,
  from: string,
): PeerFault | undefined {
  const { state } = draft
  const { set } = state.height as HeightState
  if (certificate.height <= state.behindHeight) return
  const { suite, genesisHash } = state.config
  const verdict = verifyCertificate(suite, genesisHash, 'commit', set, certificate)
  // The set may have changed since; a certificate that this one did not give is no fault of the peer's.
  if (verdict.kind === 'valid') tellBehind(draft, certificate.height)
  else if (verdict.kind === 'invalid' && verdict.code === 'BadSignature') {
    punish(draft, from, 'BadCertificate')
  }
}

function tellBehind(draft: Draft, height: number): void {
  if (height <= draft.state.behindHeight) return
  draft.state.behindHeight = height
  draft.effects.push({ kind: 'behind', height })
}
