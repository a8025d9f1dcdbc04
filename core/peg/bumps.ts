/**
 * Bumps (protocol §4.5; PO-15): a further version of an open batch at a higher rate, when Bitcoin does not take the last one. It pays
 * the same requests from the same conflict input, so of all versions one at most can ever confirm, and pays enough more to replace them.
 */
import { equalBytes } from '../../crypto/index.ts'
import { txid } from '../bitcoin/index.ts'
import type { PegRecord } from '../block/index.ts'
import {
  BATCH_KIND,
  BATCH_STATE,
  type BatchRow,
  type Entry,
  type Ledger,
  type LedgerDraft,
  MAX_BATCH_INPUTS,
  MAX_BATCH_VERSIONS,
  OUTPUT_STATE,
  type OutputRow,
  type RequestRow,
  rowOf,
  type SpendRow,
  SWEEP_REASON,
} from '../ledger/index.ts'
import { err, type Genesis, ok, type Params, type Result } from '../params/index.ts'
import type { PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import {
  bySize,
  coverInputs,
  freeInputs,
  isFeeBounded,
  isRelayed,
  isSameRecord,
  isWorthPaying,
  type Payment,
  type PayoutPlan,
  putVersion,
  referenceRate,
  type Shape,
  shapeOf,
  sumSat,
  versionPlan,
} from './payout.ts'
import { refundPayment } from './refunds.ts'
import { currentOutput } from './scripts.ts'
import { sweepRoomSat } from './sweeps.ts'
import { hasCancelVersion, versionFeeSat, versionInputs, versionTransaction } from './versions.ts'

/** Bitcoin blocks between two versions of a batch (PO-15). */
export const BUMP_BLOCKS = 3
/** What a version pays more than the one before it, per 1000 vB: the least that Bitcoin's nodes relay a replacement for. */
const BUMP_STEP_SAT_PER_KVB = 1000
/** And the least as a share of it: 32 versions at an eighth more each reach 38 times the first rate, so small steps use none up. */
const BUMP_SHARE = 8
/** The last versions of a batch are kept for a cancel: one that used all others up may need it. */
const CANCEL_VERSIONS = 4
/** Rates between the wanted one and the least that a proposer tries. */
const RATE_STEPS = 8

/** The least rate that may follow another in a batch. */
function nextRate(lastRate: number): number {
  return lastRate + Math.max(BUMP_STEP_SAT_PER_KVB, Math.ceil(lastRate / BUMP_SHARE))
}

/** Whether one rate may follow another in a batch: 1 sat/vB and an eighth more, at most twice as much, and within the parameters. */
export function isRateStep(
  params: Pick<Params, 'maxFeeRateSatPerKvb'>,
  lastRate: number,
  rate: number,
): boolean {
  return rate >= nextRate(lastRate) && rate <= 2 * lastRate && rate <= params.maxFeeRateSatPerKvb
}

interface OpenBatch {
  readonly batchId: Uint8Array
  readonly row: BatchRow
  readonly last: SpendRow
  /** What the last version gives the miner. */
  readonly lastFeeSat: bigint
  /** What a further version has to pay more than: nothing where the last one spends what is gone, which Bitcoin cannot mine. */
  readonly replacedFeeSat: bigint
  /** The conflict input first. */
  readonly inputs: readonly Entry<OutputRow>[]
  readonly requests: readonly Payment[]
  /** Outputs of a sweep; of all others one at most is change. */
  readonly parts: number
}

/** The next version of a batch at this rate: a function of the parent's ledger, the rate and the headers' rates. */
export function buildBump(
  ledger: Ledger,
  context: PegContext,
  batchId: Uint8Array,
  rate: number,
): Result<PayoutPlan, PegError> {
  const found = openBatch(ledger, context, batchId)
  if (!found.ok) return found
  const { last, lastFeeSat, replacedFeeSat, row } = found.value
  if (isCancelled(row)) return buildCancel(ledger, context, found.value, rate)
  if (
    !isRateStep(context.params, last.feeRateSatPerKvb, rate) ||
    rate > 4 * referenceRate(context.recentFeeRates)
  ) {
    return err(fault('BumpRateOutOfBounds', `${rate} after ${last.feeRateSatPerKvb}`))
  }
  const changeScript = currentOutput(context.genesis, ledger).scriptPubKey
  const shape = shapeAt(context, found.value, changeScript, rate)
  const isWorthy = shape.requests.every((_, index) => isWorthPaying(shape, index))
  if (!isWorthy || !isFeeBounded(shape)) return err(fault('BumpEatsPayment', `${rate}`))
  if (row.kind === BATCH_KIND.sweep) {
    const isPaid =
      shape.minerFeeSat - lastFeeSat <= sweepRoomSat(ledger, context.params, row.reason)
    if (!isPaid) return err(fault('SweepFundShort', `${shape.minerFeeSat} sat`))
  }
  if (shape.minerFeeSat < replacedFeeSat + relaySat(shape)) {
    return err(fault('BumpFeeTooLow', `${shape.minerFeeSat} sat after ${replacedFeeSat}`))
  }
  const version = row.versions.length
  const fields = { kind: 'bump', batchId, version, feeRateSatPerKvb: rate } as const
  return ok(versionPlan(ledger, context, shape, fields))
}

function isCancelled({ cancel }: BatchRow): boolean {
  return cancel.length > 0
}

/**
 * The version that cancels (4.5, 5.8): the conflict input goes back to the federation, so no version that pays can confirm beside it, and
 * deep enough it releases the batch. Its fee is the fund's. It replaces a transaction that may be many times as large,
 * so the first one's rate may be as high as that takes.
 */
function buildCancel(
  ledger: Ledger,
  context: PegContext,
  batch: OpenBatch,
  rate: number,
): Result<PayoutPlan, PegError> {
  const { batchId, last, lastFeeSat, replacedFeeSat, row } = batch
  const { params } = context
  const changeScript = currentOutput(context.genesis, ledger).scriptPubKey
  const shape = cancelShape(context, batch, changeScript, rate)
  const most = mostCancelRate(context, batch, changeScript)
  if (rate < nextRate(last.feeRateSatPerKvb) || rate > most) {
    return err(fault('BumpRateOutOfBounds', `${rate} after ${last.feeRateSatPerKvb}`))
  }
  if (shape.changeSat === 0n || !isFeeBounded(shape)) {
    return err(fault('BumpEatsPayment', `${rate}`))
  }
  if (shape.minerFeeSat < replacedFeeSat + relaySat(shape)) {
    return err(fault('BumpFeeTooLow', `${shape.minerFeeSat} sat after ${replacedFeeSat}`))
  }
  const counted = hasCancelVersion(row) ? lastFeeSat : 0n
  if (shape.minerFeeSat - counted > sweepRoomSat(ledger, params, SWEEP_REASON.renewal)) {
    return err(fault('SweepFundShort', `${shape.minerFeeSat} sat`))
  }
  const version = row.versions.length
  const fields = { kind: 'bump', batchId, version, feeRateSatPerKvb: rate } as const
  return ok(versionPlan(ledger, context, shape, fields))
}

/** The fewest inputs, the conflict input first, whose fee at this rate replaces the last version and is no more than a fifth of them. */
function cancelShape(
  context: PegContext,
  { inputs, replacedFeeSat }: OpenBatch,
  changeScript: Uint8Array,
  rate: number,
): Shape {
  const shapes = inputs.map((_, index) =>
    shapeOf(context, rate, changeScript, [], inputs.slice(0, index + 1)),
  )
  const found = shapes.find(
    (shape) => isFeeBounded(shape) && shape.minerFeeSat >= replacedFeeSat + relaySat(shape),
  )
  return found ?? (shapes.at(-1) as Shape)
}

/** Twice the last rate, or what the conflict input alone has to pay to replace the last version, within the parameters. */
function mostCancelRate(
  context: PegContext,
  { inputs, last, replacedFeeSat }: OpenBatch,
  changeScript: Uint8Array,
): number {
  const alone = shapeOf(context, last.feeRateSatPerKvb, changeScript, [], inputs.slice(0, 1))
  const most = Math.max(2 * last.feeRateSatPerKvb, replacingRate(alone, replacedFeeSat))
  return Math.min(most, context.params.maxFeeRateSatPerKvb)
}

/** The least rate at which a transaction of this shape replaces one of that fee. */
function replacingRate(shape: Shape, replacedFeeSat: bigint): number {
  const weight = BigInt(shape.weight)
  return Number(((replacedFeeSat + relaySat(shape)) * 4000n + weight - 1n) / weight)
}

function shapeAt(
  context: PegContext,
  { inputs, parts, requests }: OpenBatch,
  changeScript: Uint8Array,
  rate: number,
): Shape {
  return shapeOf(context, rate, changeScript, requests, inputs, parts)
}

/** A replacement pays what it replaces pays and 1 sat for each vB of its own (BIP125, rules 3 and 4). */
function relaySat({ weight }: Shape): bigint {
  return (BigInt(weight) + 3n) / 4n
}

function openBatch(
  ledger: Ledger,
  { genesis }: PegContext,
  batchId: Uint8Array,
): Result<OpenBatch, PegError> {
  const row = rowOf(ledger, 'batches', batchId)
  const lastId = row?.versions.at(-1)
  const last = lastId && rowOf(ledger, 'spends', lastId)
  if (row?.state !== BATCH_STATE.open || last === undefined) return err(fault('BumpBatchClosed'))
  const most = MAX_BATCH_VERSIONS - (isCancelled(row) ? 0 : CANCEL_VERSIONS)
  if (row.versions.length >= most) return err(fault('BumpVersionsExhausted'))
  const passed = ledger.state.tipHeight - row.bitcoinHeight
  if (passed < BUMP_BLOCKS) return err(fault('BumpTooEarly', `${passed} of ${BUMP_BLOCKS} blocks`))
  const spent = versionInputs(ledger, last)
  const requests = paymentsOf(ledger, row, spent)
  const inputs = standingInputs(genesis, ledger, batchId, row, spent, requests)
  if (inputs === undefined) return err(fault('BumpInputGone'))
  const lastFeeSat = versionFeeSat(ledger, last)
  const replacedFeeSat = spent.every(({ row }) => stands(row, batchId)) ? lastFeeSat : 0n
  const parts = row.kind === BATCH_KIND.sweep ? versionTransaction(last).outputs.length : 1
  return ok({ batchId, row, last, lastFeeSat, replacedFeeSat, inputs, requests, parts })
}

/** What a further version pays. */
function paymentsOf(
  ledger: Ledger,
  row: BatchRow,
  spent: readonly Entry<OutputRow>[],
): readonly Payment[] {
  if (row.kind === BATCH_KIND.refund) return spent.map(refundPayment)
  return isCancelled(row) ? [] : requestsOf(ledger, row)
}

function requestsOf(ledger: Ledger, { requests }: BatchRow): Entry<RequestRow>[] {
  return requests.flatMap((key) => {
    const row = rowOf(ledger, 'requests', key)
    return row === undefined ? [] : [{ key, row }]
  })
}

function stands(row: OutputRow | undefined, batchId: Uint8Array): boolean {
  return row?.state === OUTPUT_STATE.live && equalBytes(row.batchId, batchId)
}

/**
 * What the last version spends, as long as all of it is in the reserve. If one left, the conflict input and the largest of what
 * the batch holds or nobody does; of a sweep or a cancel, what is left: nobody waits for the rest. Without the conflict input, or where one
 * transaction cannot hold as many as that takes, there is no further version.
 */
function standingInputs(
  genesis: Genesis,
  ledger: Ledger,
  batchId: Uint8Array,
  batch: BatchRow,
  spent: readonly Entry<OutputRow>[],
  requests: readonly Payment[],
): readonly Entry<OutputRow>[] | undefined {
  const [conflict] = spent
  if (conflict === undefined || !stands(conflict.row, batchId)) return undefined
  const left = spent.filter(({ row }) => stands(row, batchId))
  const paysNobody = batch.kind === BATCH_KIND.sweep || isCancelled(batch)
  if (left.length === spent.length || paysNobody) return left
  const held = batch.inputs.flatMap((key) => {
    const row = rowOf(ledger, 'outputs', key)
    const isOther = !equalBytes(key, conflict.key)
    return row !== undefined && isOther && stands(row, batchId) ? [{ key, row }] : []
  })
  const rest = [...held, ...freeInputs(ledger)].sort(bySize)
  const inputs = coverInputs([conflict, ...rest], sumSat(requests))
  if (inputs === undefined || joinedInputs(batch, inputs).length > MAX_BATCH_INPUTS) {
    return undefined
  }
  const changeScript = currentOutput(genesis, ledger).scriptPubKey
  return isRelayed(genesis, changeScript, requests, inputs) ? inputs : undefined
}

/** All that any version of the batch spends, the conflict input first. */
function joinedInputs(
  batch: BatchRow,
  inputs: readonly Pick<Entry<OutputRow>, 'key'>[],
): Uint8Array[] {
  const added = inputs.filter(({ key }) => !batch.inputs.some((held) => equalBytes(held, key)))
  return [...batch.inputs, ...added.map(({ key }) => key)]
}

/**
 * The bump that a proposer makes of a batch that Bitcoin does not take: at its own estimate, or, where that is out of bounds, as
 * near to it as the rules allow.
 */
export function dueBump(
  ledger: Ledger,
  context: PegContext,
  batchId: Uint8Array,
): PayoutPlan | undefined {
  const found = openBatch(ledger, context, batchId)
  if (!found.ok) return undefined
  const rates = isCancelled(found.value.row) ? cancelRates : bumpRates
  for (const rate of rates(ledger, context, found.value)) {
    const plan = buildBump(ledger, context, batchId, rate)
    if (plan.ok) return plan.value
  }
  return undefined
}

/** From the wanted rate down to the least. */
function bumpRates(ledger: Ledger, context: PegContext, batch: OpenBatch): readonly number[] {
  const { last, replacedFeeSat } = batch
  const { feeRateSatPerKvb, params, recentFeeRates } = context
  const changeScript = currentOutput(context.genesis, ledger).scriptPubKey
  const shape = shapeAt(context, batch, changeScript, last.feeRateSatPerKvb)
  const least = Math.max(nextRate(last.feeRateSatPerKvb), replacingRate(shape, replacedFeeSat))
  const most = Math.min(
    2 * last.feeRateSatPerKvb,
    4 * referenceRate(recentFeeRates),
    params.maxFeeRateSatPerKvb,
  )
  return stepsBetween(Math.max(least, Math.min(feeRateSatPerKvb, most)), least)
}

/** From the wanted rate up to the highest: the fund pays it. */
function cancelRates(ledger: Ledger, context: PegContext, batch: OpenBatch): readonly number[] {
  const changeScript = currentOutput(context.genesis, ledger).scriptPubKey
  const most = mostCancelRate(context, batch, changeScript)
  const least = nextRate(batch.last.feeRateSatPerKvb)
  return stepsBetween(Math.max(least, Math.min(context.feeRateSatPerKvb, most)), most)
}

function stepsBetween(first: number, last: number): readonly number[] {
  return Array.from({ length: RATE_STEPS + 1 }, (_, step) => {
    const part = Math.ceil((Math.abs(last - first) * step) / RATE_STEPS)
    return last < first ? first - part : first + part
  })
}

/** Checks a bump against what the parent's ledger gives, and adds the version to its batch. */
export function applyBump(
  draft: LedgerDraft,
  parent: Ledger,
  context: PegContext,
  record: PegRecord,
): PegError | undefined {
  const plan = buildBump(parent, context, record.batchId, record.feeRateSatPerKvb)
  if (!plan.ok) return plan.error
  if (!isSameRecord(plan.value.record, record)) return fault('RecordWrong')
  const batch = draft.get('batches', record.batchId)
  if (batch?.state !== BATCH_STATE.open) return fault('BumpBatchClosed')
  const { inputs } = plan.value
  const isHeld = inputs.every(({ key }) => {
    const row = draft.get('outputs', key)
    const isOurs = batch.inputs.some((held) => equalBytes(held, key))
    const holder = isOurs ? record.batchId : new Uint8Array(32)
    return stands(row, holder)
  })
  if (!isHeld) return fault('RecordInputGone')
  for (const { key } of inputs) {
    const row = draft.get('outputs', key) as OutputRow
    draft.put('outputs', key, { ...row, batchId: record.batchId })
  }
  draft.put('batches', record.batchId, {
    ...batch,
    bitcoinHeight: draft.state.tipHeight,
    inputs: joinedInputs(batch, inputs),
    versions: [...batch.versions, txid(plan.value.transaction)],
  })
  putVersion(draft, context, plan.value)
  return undefined
}
