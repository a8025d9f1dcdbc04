/**
 * The members' parts in the making of a key that wait for a block (protocol 5.1). Each is checked against the last committed ledger when it
 * arrives; Chain is told what waits, and its proposer takes what the next block can carry.
 */
import { type KeygenItem, MAX_MEMBERS } from '../../core/block/index.ts'
import { keygenItemFault, keygenKind, standingKeygen } from '../../core/keygen/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { BridgeInbox, KeyCallRefused, KeyCallTaken } from '../../messages/index.ts'
import { type About, tell } from '../../supervisor/index.ts'
import { type AnyEffect, type BridgeContext, type BridgeStep, log } from './context.ts'

/** By session, kind and signer. */
export type WaitingKeygen = ReadonlyMap<string, KeygenItem>

function keyOf({ kind, sessionId, signer }: KeygenItem): string {
  return `${toHex(sessionId)}:${kind}:${signer}`
}

/** A member speaks for itself only, and one wrong item of it is looked at per block: checking costs more than sending. */
export function keygenArrived(
  context: BridgeContext,
  memberIndex: number,
  item: KeygenItem,
): BridgeStep {
  const { genesis, height, keygen, keygenRefused, ledger } = context
  const key = keyOf(item)
  const isAgain = keygen.has(key) || keygenRefused.get(memberIndex) === height
  if (ledger === undefined || item.signer !== memberIndex + 1 || isAgain) return { context }
  const fault = keygenItemFault(genesis, ledger, height + 1, item)
  if (fault !== undefined) {
    const refused = new Map(keygenRefused).set(memberIndex, height)
    const fields = { member: memberIndex, ...fault }
    return {
      context: { ...context, keygenRefused: refused },
      effects: [log('info', 'part of a key refused', fields)],
    }
  }
  if (keygen.size >= MAX_MEMBERS) return { context }
  const waiting = new Map(keygen).set(key, item)
  return { context: { ...context, keygen: waiting }, effects: [tellWaiting(waiting)] }
}

/** A call for the next key comes from anybody who carries it: one that is no call of a member leaves no trace. */
export function keyCalled(
  context: BridgeContext,
  item: KeygenItem,
  { envelope: to }: About<BridgeInbox>,
): BridgeStep {
  const { genesis, height, keygen, ledger } = context
  const reply = (message: KeyCallTaken | KeyCallRefused): AnyEffect => {
    return { kernel: 'reply', to, message }
  }
  const refused = (why: KeyCallRefused['payload']): BridgeStep => {
    return { context, effects: [reply({ type: 'bridge.KeyCallRefused', payload: why })] }
  }
  if (ledger === undefined) return refused({ code: 'NotReady' })
  if (keygenKind(item) !== 'call') return refused({ code: 'KeygenStageWrong', detail: 'no call' })
  const fault = keygenItemFault(genesis, ledger, height + 1, item)
  if (fault !== undefined) return refused(fault)
  const waiting = new Map(keygen).set(keyOf(item), item)
  if (waiting.size > MAX_MEMBERS) return refused({ code: 'Busy' })
  const { epoch } = item
  return {
    context: { ...context, keygen: waiting },
    effects: [tellWaiting(waiting), reply({ type: 'bridge.KeyCallTaken', payload: { epoch } })],
  }
}

/** What no block after the committed one can carry is forgotten; the rest is told again, for Chain may have started anew. */
export function keygenFinalized(context: BridgeContext): {
  readonly context: BridgeContext
  readonly effects: readonly AnyEffect[]
} {
  const { genesis, keygen, ledger } = context
  if (keygen.size === 0 || ledger === undefined) return { context, effects: [] }
  const waiting = new Map([...keygen].filter(([, item]) => standingKeygen(genesis, ledger, item)))
  return { context: { ...context, keygen: waiting }, effects: [tellWaiting(waiting)] }
}

function tellWaiting(waiting: WaitingKeygen): AnyEffect {
  return tell('chain', { type: 'chain.KeygenWaiting', payload: { items: [...waiting.values()] } })
}
