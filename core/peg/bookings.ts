/**
 * Transactions of the reserve that Bitcoin confirmed (protocol §4.5, §4.7): a recorded version pays its requests and brings its
 * change; a spend that no record matches takes its inputs, brings what pays a federation script and leaves a deficit.
 */
import { equalBytes, toDisplayHash } from '../../crypto/index.ts'
import { type BitcoinTransaction, serializeTransaction } from '../bitcoin/index.ts'
import {
  BATCH_KIND,
  BATCH_STATE,
  type BatchRow,
  DEFICIT_CAUSE,
  FUND_CAUSE,
  type LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  REQUEST_STATE,
  type RequestRow,
  SPEND_KIND,
  SPEND_STATE,
  type SpendRow,
  ZERO_HASH,
} from '../ledger/index.ts'
import type { PegContext } from './context.ts'
import { federationScripts, ZERO_ADDRESS } from './deposits.ts'
import { noteBooking } from './effects.ts'
import { fault, type PegError } from './errors.ts'
import { setDeficit, setFund } from './fund.ts'
import { freeBatchInputs } from './holds.ts'
import { isBuried, type ProvenTransaction } from './proofs.ts'
import type { SpendTweak } from './scripts.ts'
import { isCancelVersion } from './versions.ts'

/** Books a proven transaction, or says why not and leaves the draft unchanged. */
export function applyBooking(
  draft: LedgerDraft,
  context: PegContext,
  proven: ProvenTransaction,
): PegError | undefined {
  const spend = draft.get('spends', proven.txid)
  const name = toDisplayHash(proven.txid)
  if (spend?.state === SPEND_STATE.booked) return fault('BookingDuplicate', name)
  const inputs = reserveInputs(draft, proven.transaction)
  if (inputs.length === 0) return fault('BookingUnrelated', name)
  if (!isBuried(proven, context.params.payoutConfirmations)) {
    return fault('BookingTooYoung', `${proven.confirmations} confirmations`)
  }
  if (inputs.some(({ row }) => row.state !== OUTPUT_STATE.live)) {
    return fault('BookingInputAbsent', name)
  }
  const batch = spend && draft.get('batches', spend.batchId)
  // What cancelled a batch that was released for it may come again by another branch: it pays nobody, so it is still what it was.
  const isOurs =
    batch !== undefined &&
    spend !== undefined &&
    (batch.state === BATCH_STATE.open || isCancelVersion(batch, spend.version))
  if (isOurs && spend.kind === SPEND_KIND.version)
    bookVersion(draft, context, proven, spend, inputs)
  else bookStray(draft, context, proven, inputs, spend)
  noteBooking(draft, proven.blockHash, proven.txid)
  return undefined
}

interface ReserveInput {
  readonly key: Uint8Array
  readonly row: OutputRow
}

function reserveInputs(draft: LedgerDraft, transaction: BitcoinTransaction): ReserveInput[] {
  return transaction.inputs.flatMap((input) => {
    const key = outpointKey(input.txid, input.vout)
    const row = draft.get('outputs', key)
    return row === undefined ? [] : [{ key, row }]
  })
}

function bookVersion(
  draft: LedgerDraft,
  context: PegContext,
  proven: ProvenTransaction,
  spend: SpendRow,
  inputs: readonly ReserveInput[],
): void {
  const { outputs } = proven.transaction
  const batch = draft.get('batches', spend.batchId) as BatchRow
  const isRefund = batch.kind === BATCH_KIND.refund
  spendInputs(draft, inputs, proven.txid, isRefund ? OUTPUT_STATE.refunded : OUTPUT_STATE.spent)
  freeBatchInputs(draft, spend.batchId, batch)
  // A cancelled batch keeps its requests until no reorg can bring another version back (releases.ts).
  const isCancel = isCancelVersion(batch, spend.version)
  const paid = isCancel ? [] : batch.requests
  let requestedSat = 0n
  for (const [index, id] of paid.entries()) {
    const request = draft.get('requests', id) as RequestRow
    requestedSat += request.amountSat
    draft.put('requests', id, {
      ...request,
      state: REQUEST_STATE.paid,
      paidSat: outputs[index]?.amountSat ?? 0n,
      paidBy: proven.txid,
    })
  }
  // A refund has no change: its one output is the depositor's.
  const change = isRefund ? [] : outputs.slice(paid.length)
  const entered = change.map((_, index) => {
    const vout = paid.length + index
    enterChange(draft, context, proven, vout, { epoch: spend.epoch })
    return vout
  })
  if (!isCancel) {
    const booked = { state: BATCH_STATE.booked, bookedTxid: proven.txid }
    draft.put('batches', spend.batchId, { ...batch, ...booked })
  }
  putBooked(draft, proven, spend, inputs, entered)
  if (isRefund) return
  // Σ requests = Σ paid + miner fee + fund: what left the reserve is Σ paid + miner fee.
  const leftSat = sumOf(inputs) - enteredSat(proven, entered)
  setFund(draft, FUND_CAUSE.payout, spend.batchId, requestedSat - leftSat, context.height)
}

function bookStray(
  draft: LedgerDraft,
  context: PegContext,
  proven: ProvenTransaction,
  inputs: readonly ReserveInput[],
  recorded: SpendRow | undefined,
): void {
  const tweaks = proven.transaction.outputs.map(({ scriptPubKey }) =>
    knownTweak(draft, context, scriptPubKey),
  )
  spendInputs(draft, inputs, proven.txid)
  const entered = tweaks.flatMap((tweak, vout) => {
    // An outpoint has one row for ever (4.2): a deposit that was credited before its input was known stays what it is.
    const before = draft.get('outputs', outpointKey(proven.txid, vout))
    const isDeposit = before !== undefined && before.kind !== OUTPUT_KIND.change
    if (tweak === undefined || isDeposit) return []
    enterChange(draft, context, proven, vout, tweak)
    return [vout]
  })
  const spend: SpendRow = {
    kind: SPEND_KIND.stray,
    state: SPEND_STATE.recorded,
    batchId: ZERO_HASH,
    version: 0,
    epoch: 0,
    feeRateSatPerKvb: 0,
    transaction: serializeTransaction(proven.transaction, 'stripped'),
    height: context.height,
    timestamp: context.timestamp,
    bitcoinHash: proven.blockHash,
    bitcoinHeight: proven.height,
    transactionIndex: proven.index,
    spent: [],
    entered: [],
    released: [],
    accepted: false,
  }
  // A version of a batch that was released is a stray one, and what it was before should a reorg take it back.
  const stray = recorded === undefined ? spend : { ...recorded, kind: SPEND_KIND.stray }
  putBooked(draft, proven, stray, inputs, entered)
  const missingSat = sumOf(inputs) - enteredSat(proven, entered)
  const isShort = missingSat > 0n
  const { height } = context
  setDeficit(draft, DEFICIT_CAUSE.stray, proven.txid, isShort ? missingSat : 0n, height)
  setFund(draft, FUND_CAUSE.surplus, proven.txid, isShort ? 0n : -missingSat, height)
}

function sumOf(inputs: readonly ReserveInput[]): bigint {
  return inputs.reduce((sum, { row }) => sum + row.amountSat, 0n)
}

function enteredSat({ transaction }: ProvenTransaction, entered: readonly number[]): bigint {
  return entered.reduce((sum, vout) => sum + (transaction.outputs[vout]?.amountSat ?? 0n), 0n)
}

function spendInputs(
  draft: LedgerDraft,
  inputs: readonly ReserveInput[],
  spentBy: Uint8Array,
  state: number = OUTPUT_STATE.spent,
): void {
  for (const { key, row } of inputs) {
    draft.put('outputs', key, { ...row, state, spentBy, batchId: ZERO_HASH })
  }
}

function putBooked(
  draft: LedgerDraft,
  proven: ProvenTransaction,
  spend: SpendRow,
  inputs: readonly ReserveInput[],
  entered: readonly number[],
): void {
  draft.put('spends', proven.txid, {
    ...spend,
    state: SPEND_STATE.booked,
    bitcoinHash: proven.blockHash,
    bitcoinHeight: proven.height,
    transactionIndex: proven.index,
    spent: inputs.map(({ key }) => key),
    entered: [...entered],
  })
}

/** An output of a booked transaction joins the reserve; one that a reorg took away keeps the batch that holds it. */
function enterChange(
  draft: LedgerDraft,
  { height, timestamp }: PegContext,
  proven: ProvenTransaction,
  vout: number,
  tweak: SpendTweak,
): void {
  const output = proven.transaction.outputs[vout]
  if (output === undefined) throw new Error(`no output ${vout}`)
  const key = outpointKey(proven.txid, vout)
  const before = draft.get('outputs', key)
  draft.put('outputs', key, {
    kind: OUTPUT_KIND.change,
    reason: 0,
    state: OUTPUT_STATE.live,
    amountSat: output.amountSat,
    scriptPubKey: output.scriptPubKey,
    epoch: tweak.epoch,
    tweaked: tweak.deposit !== undefined,
    evmAddress: tweak.deposit?.evmAddress ?? ZERO_ADDRESS,
    refundScript: tweak.deposit?.refundScript ?? new Uint8Array(0),
    refundTo: new Uint8Array(0),
    approvals: [],
    bitcoinHash: proven.blockHash,
    bitcoinHeight: proven.height,
    transactionIndex: proven.index,
    height: before?.height ?? height,
    timestamp: before?.timestamp ?? timestamp,
    minted: false,
    mintHeight: 0,
    withdrawalIndex: 0,
    feeSat: 0n,
    batchId: before?.batchId ?? ZERO_HASH,
    spentBy: ZERO_HASH,
  })
}

/**
 * How an output of a stray spend could be spent again: under a plain script, or one that a row of the ledger has. It looks
 * through all rows; a stray spend takes t members and stops peg-outs, so this is no path for load.
 */
function knownTweak(
  draft: LedgerDraft,
  { genesis }: PegContext,
  scriptPubKey: Uint8Array,
): SpendTweak | undefined {
  const scripts = federationScripts(genesis, draft.state.epoch, draft.open('keys'))
  const plain = scripts.find((script) => equalBytes(script.scriptPubKey, scriptPubKey))
  if (plain !== undefined) return { epoch: plain.epoch }
  for (const [, row] of draft.entries('outputs')) {
    if (equalBytes(row.scriptPubKey, scriptPubKey)) return tweakOf(row)
  }
  return undefined
}

/** What a signer needs to spend a row of the reserve (5.3). */
export function tweakOf(row: OutputRow): SpendTweak {
  const { epoch, evmAddress, refundScript, tweaked } = row
  return tweaked ? { epoch, deposit: { evmAddress, refundScript } } : { epoch }
}
