/** Flow 3: a recorded batch from its signatures to its booking. */
import { batchToSign, roundsSince, SIGNATURE_ROUND_MS, signingTask } from '../../bridge/index.ts'
import { parseTransaction } from '../../core/bitcoin/index.ts'
import {
  BATCH_STATE,
  type BatchRow,
  type Ledger,
  OUTPUT_STATE,
  outpointKey,
  rowOf,
  SPEND_STATE,
} from '../../core/ledger/index.ts'
import { requestId } from '../../core/peg/index.ts'
import {
  beginCoordinating,
  type Coordinated,
  offerArrived,
  partsArrived,
  partsJoined,
} from '../../core/signing/index.ts'
import { validatorsAt } from '../../core/validators/index.ts'
import { equalBytes, fromHex, toDisplayHash, toHex } from '../../crypto/index.ts'
import type { BridgeInbox } from '../../messages/index.ts'
import { after, type KernelEffect, tell } from '../../supervisor/index.ts'
import {
  type AnyEffect,
  type BridgeContext,
  type BridgeStep,
  log,
  published,
  standing,
  withPayout,
} from './context.ts'
import { MAX_FINISHED, MAX_REMEMBERED_BURNS, REBROADCAST_MS, UNCONFIRMED_BLOCKS } from './limits.ts'
import {
  coordinatorOf,
  type PayoutOperation,
  type PayoutSession,
  recordedPayout,
  walk,
} from './operations.ts'

type PayloadOf<Type extends BridgeInbox['type']> = Extract<BridgeInbox, { type: Type }>['payload']

/** What `findPayout` answers when Bitcoin's mempool does not hold the transaction. */
export const NOT_IN_MEMPOOL = 'NotInMempool'

/** The batch that pays a burn belongs to its flow. */
export function burnCommitted(
  context: BridgeContext,
  { burn, evmBlockHash, height }: PayloadOf<'bridge.BurnEventDetected'>,
  flow: string,
): BridgeStep {
  const id = toHex(requestId(context.genesis, evmBlockHash, burn.logIndex))
  const burns = new Map(context.burns).set(id, flow)
  const [oldest] = burns.keys()
  if (burns.size > MAX_REMEMBERED_BURNS) burns.delete(oldest as string)
  const fields = {
    height,
    request: id,
    from: toHex(burn.evmAddress),
    valueWei: String(burn.valueWei),
    logIndex: burn.logIndex,
  }
  return { context: { ...context, burns }, effects: [log('info', 'burn committed', fields)] }
}

/** Open batches are followed, those that a block booked are done; what is buried deep enough goes to Chain. */
export function batchesFinalized(
  context: BridgeContext,
  ledger: Ledger,
  flow: string,
  nowMs: number,
): { context: BridgeContext; effects: AnyEffect[] } {
  const effects: AnyEffect[] = []
  const payouts = new Map<string, PayoutOperation>()
  const burns = new Map(context.burns)
  for (const [id, { key, row }] of ledger.open.batches) {
    const current = currentVersion(row)
    const known = context.payouts.get(id)
    if (isCancelBooked(ledger, row)) {
      // It waits for its release; nothing of it is signed, sent or booked any more.
      if (known !== undefined) payouts.set(id, { ...known, step: 'Booked' })
      continue
    }
    if (known && isCurrent(known, current.version) && isStillGood(context, known)) {
      const followed = known.step === 'Booked' ? ({ ...known, step: 'Confirmed' } as const) : known
      payouts.set(id, followed)
      effects.push(...bookable(context, ledger, followed))
      // What is booked runs no timer; should Bitcoin drop it as well it has to be sent again (PO-16).
      if (known.step === 'Booked') effects.push(roundTimer(followed))
      continue
    }
    const requests = row.requests.map((request) => toHex(request))
    const ownFlow = requests.map((request) => burns.get(request)).find(Boolean) ?? flow
    for (const request of requests) burns.delete(request)
    const operation = recordedPayout(
      id,
      current.version,
      current.txid,
      context.height,
      known?.flow ?? ownFlow,
      nowMs,
      firstAttempt(context, ledger, current.txid, nowMs),
    )
    payouts.set(id, operation)
    const fields = { batch: id, version: current.version, txid: toDisplayHash(current.txid) }
    effects.push(log('info', 'batch recorded', fields))
    effects.push(...coordinate(context, operation, key))
  }
  for (const [id, operation] of context.payouts) {
    if (payouts.has(id)) continue
    if (isBooked(ledger, operation)) payouts.set(id, { ...operation, step: 'Booked' })
    else if (operation.proof !== undefined) {
      // A spend of the reserve that no record matches: it has to be booked as well (4.5).
      payouts.set(id, operation)
      effects.push(...bookable(context, ledger, operation))
    }
  }
  const followed = { ...context, payouts: newest(payouts), burns }
  const batchIds = unconfirmed(followed)
  if (batchIds.length > 0) {
    effects.push(tell('chain', { type: 'chain.PayoutsUnconfirmed', payload: { batchIds } }))
  }
  return { context: followed, effects }
}

/**
 * Attempts at a version only rise, for the members serve none twice (5.5). A node that started anew counts the rounds since it was recorded,
 * which are no fewer than it had begun.
 */
function firstAttempt(
  { height }: BridgeContext,
  ledger: Ledger,
  txid: Uint8Array,
  nowMs: number,
): number {
  const version = rowOf(ledger, 'spends', txid)
  if (version === undefined || version.height === height) return 0
  return roundsSince(version.timestamp, nowMs)
}

/** Whether it is about the batch's newest version, or another one is in a block: of all versions one confirms. */
function isCurrent({ step, version }: PayoutOperation, newest: number): boolean {
  return version === newest || step === 'Confirmed' || step === 'Booked'
}

/** A cancelled batch stays open until its conflict input is buried deep. */
function isCancelBooked(ledger: Ledger, row: BatchRow): boolean {
  const last = row.versions.map((id) => rowOf(ledger, 'spends', id))
  return row.cancel.length > 0 && last.some((spend) => spend?.state === SPEND_STATE.booked)
}

/** By whichever version; a spend without a record goes by its own txid. */
function isBooked(ledger: Ledger, { id, txid }: PayoutOperation): boolean {
  const batch = rowOf(ledger, 'batches', fromHex(id) ?? txid)
  if (batch !== undefined) return batch.state === BATCH_STATE.booked
  return rowOf(ledger, 'spends', txid)?.state === SPEND_STATE.booked
}

/**
 * PO-15: batches that our Bitcoin has had for some blocks and has not mined, and those that can never be signed because something that
 * they spend has left the reserve: a block of ours may bump them, with other inputs (4.5).
 */
function unconfirmed({ bitcoin, ledger, payouts }: BridgeContext): Uint8Array[] {
  if (!bitcoin.reachable) return []
  return [...payouts.values()].flatMap(({ id, sentAtHeight, step, txid }) => {
    const isOpen = step !== 'Confirmed' && step !== 'Booked'
    const isLate =
      sentAtHeight !== undefined && bitcoin.tipHeight - sentAtHeight >= UNCONFIRMED_BLOCKS
    const isWanted = isOpen && (isLate || (ledger !== undefined && lacksInput(ledger, txid)))
    const batchId = isWanted ? fromHex(id) : undefined
    return batchId === undefined ? [] : [batchId]
  })
}

/** A recorded transaction spends what is not in the reserve any more. */
function lacksInput(ledger: Ledger, txid: Uint8Array): boolean {
  const spend = rowOf(ledger, 'spends', txid)
  const parsed = spend && parseTransaction(spend.transaction)
  if (!parsed?.ok) return false
  return parsed.value.inputs.some((input) => {
    const row = rowOf(ledger, 'outputs', outpointKey(input.txid, input.vout))
    return row?.state !== OUTPUT_STATE.live
  })
}

/** A booking that the header chain undid begins anew, unless its transaction stands in another block already. */
function isStillGood({ scanned }: BridgeContext, operation: PayoutOperation): boolean {
  if (operation.step !== 'Booked') return true
  const { bitcoinHeight, proof } = operation
  if (proof === undefined || bitcoinHeight === undefined) return false
  return standing(scanned, bitcoinHeight, proof.blockHash) === 'on'
}

function newest(payouts: ReadonlyMap<string, PayoutOperation>): Map<string, PayoutOperation> {
  const finished = [...payouts.values()].filter(({ step }) => step === 'Booked')
  const dropped = new Set(finished.slice(0, -MAX_FINISHED).map(({ id }) => id))
  return new Map([...payouts].filter(([id]) => !dropped.has(id)))
}

function currentVersion(row: BatchRow): { version: number; txid: Uint8Array } {
  const version = row.versions.length - 1
  return { version, txid: row.versions[version] as Uint8Array }
}

/** At M confirmations in the in-block header chain the payout can be booked. */
function bookable(
  context: BridgeContext,
  ledger: Ledger,
  { bitcoinHeight, flow, proof }: PayoutOperation,
): AnyEffect[] {
  if (proof === undefined || bitcoinHeight === undefined) return []
  const confirmations = ledger.state.tipHeight - bitcoinHeight + 1
  if (confirmations < context.genesis.params.payoutConfirmations) return []
  const message = { type: 'bridge.PegOutOperation', payload: { proof } } as const
  return [tell('chain', message, { correlationId: flow })]
}

/** The timer of an attempt runs on every node; the transaction is made on the one whose turn it is (5.5). */
function coordinate(
  context: BridgeContext,
  { attempt, flow, id }: PayoutOperation,
  batchId: Uint8Array,
): AnyEffect[] {
  const effects: AnyEffect[] = [roundTimer({ id, attempt })]
  if (isOurTurn(context, batchId, attempt)) {
    const message = {
      type: 'bridge.CreateBitcoinTransaction',
      payload: { batchId: id, attempt },
    } as const
    effects.push(tell('bridge', message, { correlationId: flow }))
  }
  return effects
}

/** At the end of a round: `signatureTimeout`. A later one takes the place of the one before. */
function roundTimer({ attempt, id }: Pick<PayoutOperation, 'attempt' | 'id'>): KernelEffect {
  const payload = { batchId: id, attempt }
  return after(SIGNATURE_ROUND_MS, `round:${id}`, { type: 'bridge.SignatureTimeout', payload })
}

/** Coordinators are the validators of the next height: those of the present that this node knows. */
function isOurTurn(
  { height, ledger, validatorKey }: BridgeContext,
  batchId: Uint8Array,
  attempt: number,
): boolean {
  if (ledger === undefined || validatorKey === undefined) return false
  const validators = validatorsAt(ledger, height + 1)
  const turn = validators[coordinatorOf(batchId, attempt, validators.length)]
  return turn !== undefined && equalBytes(turn.blsKey, validatorKey)
}

export function createTransaction(
  context: BridgeContext,
  payload: PayloadOf<'bridge.CreateBitcoinTransaction'>,
  nowMs: number,
): BridgeStep {
  const { batchId, attempt } = payload
  const operation = context.payouts.get(batchId)
  if (operation?.step !== 'Batched' || operation.attempt !== attempt) return { context }
  const begun = walk(operation.mode, 'BURN_DETECTED')
  if (!context.bitcoin.reachable) {
    // Who cannot send it collects no signatures: the turn goes on with the end of the round.
    const mode = walk(begun, 'TX_CREATION_FAILED')
    return published({
      context: withPayout(context, { ...operation, mode, updatedAtMs: nowMs }),
      effects: [log('warn', 'payout not begun', { batch: batchId, attempt })],
    })
  }
  const session = openSession(context, operation)
  if (session === undefined) return { context }
  const mode = walk(begun, 'TX_CREATED')
  return published({
    context: withPayout(context, {
      ...operation,
      mode,
      step: 'CollectingSignatures',
      session,
      updatedAtMs: nowMs,
    }),
    effects: [
      tell('stream', {
        type: 'stream.RequestFederationSignatures',
        payload: { batchId, version: operation.version, attempt, height: context.height },
      }),
    ],
  })
}

/** The session of this node's turn at a batch version, while it collects. */
function collecting(
  context: BridgeContext,
  { attempt, batchId, version }: { batchId: string; version: number; attempt: number },
): { operation: PayoutOperation; session: PayoutSession } | undefined {
  const operation = context.payouts.get(batchId)
  const session = operation?.session
  const isOurs =
    operation?.mode.name === 'CollectingSignatures' &&
    operation.version === version &&
    operation.attempt === attempt
  return isOurs && session !== undefined ? { operation, session } : undefined
}

/** Everything that the signers of a recorded transaction have to agree on, from this node's ledger. */
function openSession(
  { genesis, ledger }: BridgeContext,
  { attempt, id, txid, version }: PayoutOperation,
): PayoutSession | undefined {
  const spend = ledger && rowOf(ledger, 'spends', txid)
  const batchId = fromHex(id)
  const batch = spend && batchToSign(ledger, spend)
  if (ledger === undefined || batch === undefined || batchId === undefined) return undefined
  const { keys } = ledger.open
  const task = signingTask(genesis, keys, { batchId, version, attempt }, batch)
  return { batch, keys, coordinator: beginCoordinating(task) }
}

export function offerReceived(
  context: BridgeContext,
  payload: PayloadOf<'bridge.NonceOfferReceived'>,
  nowMs: number,
): BridgeStep {
  const { batchId, memberIndex, offer, reason } = payload
  const open = collecting(context, payload)
  if (open === undefined) return { context }
  if (offer === undefined) {
    const fields = { batch: batchId, memberIndex, reason }
    return { context, effects: [log('warn', 'a member does not sign', fields)] }
  }
  const step = offerArrived(open.session.coordinator, memberIndex, offer)
  return coordinated(context, open.operation, open.session, step, nowMs)
}

export function signaturesArrived(
  context: BridgeContext,
  payload: PayloadOf<'bridge.CollectedSignatures'>,
  nowMs: number,
): BridgeStep {
  const open = collecting(context, payload)
  if (open === undefined) return { context }
  const step = partsArrived(open.session.coordinator, payload.parts)
  return coordinated(context, open.operation, open.session, step, nowMs)
}

export function signaturesJoined(
  context: BridgeContext,
  payload: PayloadOf<'bridge.SignaturesJoined'>,
  nowMs: number,
): BridgeStep {
  const open = collecting(context, payload)
  if (open === undefined) return { context }
  const step = partsJoined(open.session.coordinator, payload.list, payload.joined)
  return coordinated(context, open.operation, open.session, step, nowMs)
}

/** What the coordinator wants done. */
function coordinated(
  context: BridgeContext,
  operation: PayoutOperation,
  before: PayoutSession,
  { coordinator, events }: Coordinated,
  nowMs: number,
): BridgeStep {
  const { attempt, id: batchId, version } = operation
  const session = { ...before, coordinator }
  const { task } = coordinator
  const effects: AnyEffect[] = []
  let { mode } = operation
  for (const event of events) {
    switch (event.kind) {
      case 'ask': {
        const payload = { batchId, version, attempt, list: event.list }
        effects.push(tell('stream', { type: 'stream.RequestSignatureParts', payload }))
        break
      }
      case 'join': {
        const { all, list } = event
        effects.push({ kind: 'join', batchId, version, attempt, task, list, all })
        break
      }
      case 'signed': {
        const { members, signatures } = event
        mode = walk(mode, 'SIGNATURES_COLLECTED')
        effects.push({ kind: 'assemble', batchId, version, session, members, signatures })
        break
      }
      case 'convicted': {
        // Transferable: who has the batch checks it again by `isConvicting`.
        const { parts } = event.evidence
        const fields = {
          batch: batchId,
          memberIndex: event.member,
          listHash: toHex(parts.listHash),
          parts: parts.parts.map(toHex),
          signature: toHex(parts.signature),
        }
        effects.push(log('warn', 'a member signed wrongly', fields))
        break
      }
      case 'ignored': {
        const fields = { batch: batchId, memberIndex: event.member, reason: event.reason }
        effects.push(log('info', 'not used for a signature', fields))
        break
      }
    }
  }
  const next = { ...operation, mode, session, updatedAtMs: nowMs }
  return published({ context: withPayout(context, next), effects })
}

/** The end of a round: what is on its way is sent again or looked for, everything else goes to the next coordinator. */
export function signatureTimeout(
  context: BridgeContext,
  payload: PayloadOf<'bridge.SignatureTimeout'>,
  nowMs: number,
): BridgeStep {
  const { batchId } = payload
  const operation = context.payouts.get(batchId)
  const id = fromHex(batchId)
  if (operation === undefined || id === undefined || operation.step === 'Booked') return { context }
  const { raw, txid, version } = operation
  const find: AnyEffect = { kind: 'findPayout', batchId, version, txid }
  if (operation.step === 'Broadcast' || operation.step === 'Confirmed') {
    const again = operation.step === 'Broadcast' && nowMs - operation.sentAtMs >= REBROADCAST_MS
    const looked: AnyEffect[] = operation.step === 'Broadcast' ? [find] : []
    return {
      context,
      effects: [
        ...(again && raw !== undefined
          ? [{ kind: 'broadcast', batchId, version, raw } as const]
          : looked),
        roundTimer(operation),
      ],
    }
  }
  const started = recordedPayout(
    batchId,
    version,
    txid,
    operation.height,
    operation.flow,
    operation.startedAtMs,
  )
  const { mode: from } = operation
  const mode = from.name === 'CollectingSignatures' ? walk(from, 'SIGNATURE_TIMEOUT') : started.mode
  const next: PayoutOperation = {
    ...operation,
    mode,
    step: 'Batched',
    attempt: payload.attempt + 1,
    updatedAtMs: nowMs,
  }
  return published({
    context: withPayout(context, next),
    effects: [find, ...coordinate(context, next, id)],
  })
}

export function broadcastAnswered(
  context: BridgeContext,
  payload: PayloadOf<'bridge.BroadcastResult'>,
  nowMs: number,
): BridgeStep {
  const { batchId, accepted, code, raw, version } = payload
  const operation = context.payouts.get(batchId)
  // Of an earlier version: what Bitcoin made of it says nothing of this one.
  if (operation?.version !== version) return { context }
  if (operation.step === 'Confirmed' || operation.step === 'Booked') return { context }
  if (!accepted && code === NOT_IN_MEMPOOL) return missing(context, operation, nowMs)
  const broadcasting = operation.mode.name === 'Broadcasting'
  if (!accepted) {
    const fields = { batch: batchId, code }
    const mode = broadcasting
      ? walk(operation.mode, 'BROADCAST_ERROR', 'RECOVERED')
      : operation.mode
    return published({
      context: withPayout(context, {
        ...operation,
        mode,
        step: 'Batched',
        updatedAtMs: nowMs,
        ...(code !== undefined && { reason: code }),
        // PO-14: where the fee is too low another rate is the answer, as for what is not mined.
        ...(isFeeRefusal(code) && sentAt(context, operation)),
      }),
      effects: [log('warn', 'broadcast refused', fields)],
    })
  }
  const mode = broadcasting ? walk(operation.mode, 'TX_BROADCASTED') : operation.mode
  const { reason: _, ...rest } = operation
  const fields = { batch: batchId, txid: toDisplayHash(operation.txid) }
  return published({
    context: withPayout(context, {
      ...rest,
      mode,
      step: 'Broadcast',
      sentAtMs: raw === undefined ? operation.sentAtMs : nowMs,
      ...sentAt(context, operation),
      updatedAtMs: nowMs,
      ...(raw !== undefined && { raw }),
    }),
    effects: operation.step === 'Broadcast' ? [] : [log('info', 'payout on its way', fields)],
  })
}

function sentAt(
  { bitcoin }: BridgeContext,
  { sentAtHeight = bitcoin.tipHeight }: PayoutOperation,
): Pick<PayoutOperation, 'sentAtHeight'> {
  return { sentAtHeight }
}

/** `min relay fee not met`, `mempool min fee not met`, `insufficient fee`. */
function isFeeRefusal(code = ''): boolean {
  return / fee( |$)/.test(code)
}

/** PO-14: a transaction that left the mempool is sent again by who has it, and signed again where nobody does. */
function missing(context: BridgeContext, operation: PayoutOperation, nowMs: number): BridgeStep {
  if (operation.step !== 'Broadcast') return { context }
  const { id, raw, version } = operation
  if (raw !== undefined)
    return { context, effects: [{ kind: 'broadcast', batchId: id, version, raw }] }
  return published({
    context: withPayout(context, { ...operation, step: 'Batched', updatedAtMs: nowMs }),
  })
}

/** A spend of the reserve is in a block; it belongs to its batch's flow. */
export function spendDetected(
  context: BridgeContext,
  { bitcoinHeight, spends, txid }: PayloadOf<'bridge.BitcoinTransactionDetected'>,
): AnyEffect[] {
  if (spends === undefined) return []
  const operation = payoutOf(context, txid)
  const message = {
    type: 'bridge.TransactionConfirmed',
    payload: { txid, confirmations: 1, proof: spends, bitcoinHeight },
  } as const
  return [tell('bridge', message, operation && { correlationId: operation.flow })]
}

function payoutOf(context: BridgeContext, txid: Uint8Array): PayoutOperation | undefined {
  const spend = context.ledger && rowOf(context.ledger, 'spends', txid)
  return context.payouts.get(toHex(spend?.batchId ?? txid)) ?? context.payouts.get(toHex(txid))
}

export function transactionConfirmed(
  context: BridgeContext,
  payload: PayloadOf<'bridge.TransactionConfirmed'>,
  flow: string,
  nowMs: number,
): BridgeStep {
  const { txid, proof, bitcoinHeight } = payload
  const { ledger } = context
  if (ledger === undefined) return { context }
  const spend = rowOf(ledger, 'spends', txid)
  const isDone = spend?.state === SPEND_STATE.booked
  if (isDone && equalBytes(spend.bitcoinHash, proof.blockHash)) return { context }
  const known = payoutOf(context, txid)
  const confirmed: PayoutOperation = {
    ...(known ?? recordedPayout(toHex(txid), 0, txid, context.height, flow, nowMs)),
    // Whichever version it is.
    txid,
    version: spend?.version ?? 0,
    step: 'Confirmed',
    proof,
    bitcoinHeight,
    updatedAtMs: nowMs,
  }
  const fields = { txid: toDisplayHash(txid), bitcoinHeight }
  return published({
    context: withPayout(context, confirmed),
    effects: [
      known === undefined
        ? log('warn', 'reserve spent without a record', fields)
        : log('info', 'payout in a block', fields),
      ...(known?.step === 'Booked' ? [roundTimer(known)] : []),
    ],
  })
}

/** PO-16: a payout whose block a reorg took away is on its way again; its round's timer still runs. */
export function withoutLostConfirmations(
  context: BridgeContext,
  nowMs: number,
): { context: BridgeContext; effects: AnyEffect[] } {
  const payouts = new Map(context.payouts)
  const effects: AnyEffect[] = []
  for (const [id, operation] of context.payouts) {
    const { bitcoinHeight, proof, step, ...rest } = operation
    if (step !== 'Confirmed' || proof === undefined || bitcoinHeight === undefined) continue
    if (standing(context.scanned, bitcoinHeight, proof.blockHash) !== 'off') continue
    effects.push(log('warn', 'payout lost its block', { batch: id }))
    if (equalBytes(fromHex(id) ?? new Uint8Array(0), operation.txid)) payouts.delete(id)
    else payouts.set(id, { ...rest, step: 'Broadcast', sentAtMs: 0, updatedAtMs: nowMs })
  }
  return effects.length === 0 ? { context, effects } : { context: { ...context, payouts }, effects }
}
