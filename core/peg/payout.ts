/**
 * Payouts (protocol §4.5, §7): build(parent ledger, rate) gives the record that a block may carry, byte for byte, and the Bitcoin
 * transaction in it. Every request is paid by a transaction that spends its batch's inputs[0], the conflict input.
 */
import { compareBytes, equalBytes, taggedHash, uint64be } from '../../crypto/index.ts'
import {
  type BitcoinOutput,
  type BitcoinTransaction,
  DUST_SAT,
  outputSizeBytes,
  serializeTransaction,
  txid,
} from '../bitcoin/index.ts'
import { type PegRecord, RECORD_KINDS, type RecordKind } from '../block/index.ts'
import {
  BATCH_KIND,
  BATCH_STATE,
  type Entry,
  isZero,
  type Ledger,
  type LedgerDraft,
  MAX_BATCH_INPUTS,
  MAX_BATCH_REQUESTS,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  REQUEST_STATE,
  type RequestRow,
  SPEND_KIND,
  SPEND_STATE,
  SWEEP_REASON,
  splitOutpoint,
} from '../ledger/index.ts'
import type { Genesis } from '../params/index.ts'
import type { PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import { currentOutput, inputWeight } from './scripts.ts'

/** TRUC (BIP431) allows no larger one. */
export const MAX_PAYOUT_VBYTES = 10_000
const SEQUENCE = 0xffff_fffd
const TRUC_VERSION = 3
const REGTEST_VERSION = 2
/** Version, lock time, two counts below 253, and the witness marker and flag. */
const OVERHEAD_WEIGHT = 4 * 10 + 2

/**
 * A request enters a batch only where it would still be worth its payment at so many times the rate: what a batch pays in part it
 * cannot leave out later, so the smallest of its requests bounds every bump.
 */
const BUMP_ROOM = 3

/** What an output of a transaction pays, less its part of the fee: a request, or a deposit that goes back. */
export type Payment = Entry<Pick<RequestRow, 'amountSat' | 'scriptPubKey'>>

/** A record that a block may carry, with the rows that it is made of. */
export interface PayoutPlan<P extends Payment = Payment> {
  readonly record: PegRecord
  readonly transaction: BitcoinTransaction
  /** Whose key takes the change. */
  readonly epoch: number
  readonly inputs: readonly Entry<OutputRow>[]
  readonly requests: readonly P[]
  /** What the miner gets. */
  readonly minerFeeSat: bigint
  /** Zero when there is no change output. */
  readonly changeSat: bigint
  /** Of SWEEP_REASON, of a sweep. */
  readonly reason?: number
}

/** Requests that no batch holds, oldest first. */
export function waitingRequests(ledger: Ledger): Entry<RequestRow>[] {
  return [...ledger.open.requests.values()]
    .filter(({ row }) => row.state === REQUEST_STATE.open)
    .sort(
      (left, right) => left.row.height - right.row.height || left.row.logIndex - right.row.logIndex,
    )
}

function countWaiting(ledger: Ledger): number {
  let count = 0
  for (const { row } of ledger.open.requests.values()) {
    if (row.state === REQUEST_STATE.open) count += 1
  }
  return count
}

/** Rows that a payout may spend: no batch holds them, they are owed to nobody and no mint waits for them. */
export function freeInputs(ledger: Ledger): Entry<OutputRow>[] {
  const free = [...ledger.open.reserve.values()].filter(
    ({ row }) =>
      isZero(row.batchId) &&
      row.kind !== OUTPUT_KIND.refundable &&
      (row.kind !== OUTPUT_KIND.credit || row.minted),
  )
  free.sort(byDepth)
  const rest = free.splice(1)
  rest.sort(bySize)
  // The deepest is the conflict input, the others follow by size.
  return [...free, ...rest]
}

/** The deepest in Bitcoin first, then by outpoint. */
export function byDepth(left: Entry<OutputRow>, right: Entry<OutputRow>): number {
  return left.row.bitcoinHeight - right.row.bitcoinHeight || compareBytes(left.key, right.key)
}

/** The largest first, then by outpoint. */
export function bySize(left: Entry<OutputRow>, right: Entry<OutputRow>): number {
  if (left.row.amountSat === right.row.amountSat) return compareBytes(left.key, right.key)
  return left.row.amountSat > right.row.amountSat ? -1 : 1
}

/** The fewest of `free`, in order, that cover the amount; undefined when they do not or are too many. */
export function coverInputs(
  free: readonly Entry<OutputRow>[],
  amountSat: bigint,
): readonly Entry<OutputRow>[] | undefined {
  let sumSat = 0n
  for (const [index, { row }] of free.slice(0, MAX_BATCH_INPUTS).entries()) {
    sumSat += row.amountSat
    if (sumSat >= amountSat) return free.slice(0, index + 1)
  }
  return undefined
}

export function sumSat(entries: readonly Entry<{ readonly amountSat: bigint }>[]): bigint {
  return entries.reduce((sum, { row }) => sum + row.amountSat, 0n)
}

function ceilDivide(value: bigint, divisor: bigint): bigint {
  return (value + divisor - 1n) / divisor
}

/** Fees and change of a transaction of the reserve. */
export interface Shape<P extends Payment = Payment> {
  readonly requests: readonly P[]
  readonly inputs: readonly Entry<OutputRow>[]
  readonly weight: number
  /** What each request bears, in order. */
  readonly feesSat: readonly bigint[]
  readonly minerFeeSat: bigint
  readonly changeSat: bigint
  /** Outputs that the change is in; only a sweep has more than one. */
  readonly parts: number
}

/** Fees and change of a transaction with these requests and inputs (§7). */
export function shapeOf<P extends Payment>(
  context: Pick<PegContext, 'genesis'>,
  rate: number,
  changeScript: Uint8Array,
  requests: readonly P[],
  inputs: readonly Entry<OutputRow>[],
  parts = 1,
): Shape<P> {
  const outputWeights = requests.map(({ row }) => 4 * outputSizeBytes(row.scriptPubKey))
  const spent = inputs.reduce((sum, { row }) => sum + inputWeight(context.genesis, row.epoch), 0)
  const fixed = OVERHEAD_WEIGHT + spent
  const own = outputWeights.reduce((sum, weight) => sum + weight, 0)
  const withChange = (changeWeight: number) => {
    // In whole vB, as Bitcoin counts it: a bump by 1 sat/vB then adds exactly what a replacement must (BIP125, rule 4).
    const shared = 4 * Math.ceil((fixed + changeWeight) / 4)
    const rest = BigInt(shared)
    const count = BigInt(requests.length)
    const perKvb = 4000n * count
    // One request bears the weight of its output and an equal share of the rest, rounded up.
    const feesSat = outputWeights.map((weight) =>
      ceilDivide(BigInt(rate) * (BigInt(weight) * count + rest), perKvb),
    )
    const weight = shared + own
    const minerFeeSat = ceilDivide(BigInt(rate) * BigInt(weight), 4000n)
    const borneSat = feesSat.reduce((sum, fee) => sum + fee, 0n)
    const changeSat = sumSat(inputs) - (sumSat(requests) - borneSat) - minerFeeSat
    return { requests, inputs, weight, feesSat, minerFeeSat, changeSat, parts }
  }
  const shape = withChange(4 * outputSizeBytes(changeScript) * parts)
  if (shape.changeSat >= DUST_SAT * BigInt(parts)) return shape
  const without = withChange(0)
  // Change that would be dust goes to the miner.
  return { ...without, minerFeeSat: without.minerFeeSat + without.changeSat, changeSat: 0n }
}

/** What the n-th request receives. */
function paidSat(shape: Shape, index: number): bigint {
  const { row } = shape.requests[index] as Payment
  return row.amountSat - (shape.feesSat[index] as bigint)
}

/** Whether the n-th payment reaches its recipient whole enough. */
export function isWorthPaying(shape: Shape, index: number): boolean {
  const { row } = shape.requests[index] as Payment
  return isWhole(row.amountSat, paidSat(shape, index))
}

/** Enough to be worth sending: at least 546 sat and 80 % of what was asked for (PO-8). */
export function isWhole(amountSat: bigint, paid: bigint): boolean {
  return paid >= DUST_SAT && paid * 10n >= amountSat * 8n
}

/** The rate at which a request has to be worth its payment when its batch is made at `rate`. */
function roomyRate({ params }: Pick<PegContext, 'params'>, rate: number): number {
  return Math.max(rate, Math.min(BUMP_ROOM * rate, params.maxFeeRateSatPerKvb))
}

/** Which requests could be worth a payment at this rate: one of 100 that share the smallest transaction. */
function worthPaying(
  genesis: Genesis,
  rate: number,
  [conflict]: readonly Entry<OutputRow>[],
): (entry: Entry<RequestRow>) => boolean {
  const rest = OVERHEAD_WEIGHT + inputWeight(genesis, conflict?.row.epoch ?? 0)
  return ({ row }) => {
    const weight = MAX_BATCH_REQUESTS * 4 * outputSizeBytes(row.scriptPubKey) + rest
    const leastFeeSat = (BigInt(rate) * BigInt(weight)) / BigInt(4000 * MAX_BATCH_REQUESTS)
    return isWhole(row.amountSat, row.amountSat - leastFeeSat)
  }
}

/**
 * The requests, in order, that one transaction can pay; undefined when there is none. Each turn looks at one transaction's
 * worth of requests and is done with those that it passes over, so thousands that are worth no payment cost little.
 */
function fitShape(
  ledger: Ledger,
  context: PegContext,
  rate: number,
  changeScript: Uint8Array,
): Shape<Entry<RequestRow>> | undefined {
  const free = freeInputs(ledger)
  const mostSat = sumSat(free.slice(0, MAX_BATCH_INPUTS))
  const roomy = roomyRate(context, rate)
  // What the reserve cannot pay at present keeps its place, but nobody else waiting.
  let candidates = waitingRequests(ledger)
    .filter(({ row }) => row.amountSat <= mostSat)
    .filter(worthPaying(context.genesis, roomy, free))
  for (;;) {
    const shape = longestShape(context, rate, changeScript, free, candidates)
    if (shape === undefined) return undefined
    const later = shapeOf(context, roomy, changeScript, shape.requests, shape.inputs)
    const worthy = shape.requests.filter((_, index) => isWorthPaying(later, index))
    if (worthy.length === shape.requests.length) return shape
    // They wait for a lower rate; without them the others bear a larger share, so all is looked at again.
    candidates = [...worthy, ...candidates.slice(shape.requests.length)]
  }
}

/**
 * The longest beginning of the list that one transaction with change can pay. Requests are paid oldest first. What fits a list fits
 * each beginning of it, so the end is found by halving.
 */
function longestShape(
  context: PegContext,
  rate: number,
  changeScript: Uint8Array,
  free: readonly Entry<OutputRow>[],
  candidates: readonly Entry<RequestRow>[],
): Shape<Entry<RequestRow>> | undefined {
  let longest: Shape<Entry<RequestRow>> | undefined
  let tooMany = Math.min(candidates.length, MAX_BATCH_REQUESTS) + 1
  for (;;) {
    const paid = longest?.requests.length ?? 0
    if (tooMany - paid === 1) return longest
    const middle = (paid + tooMany) >> 1
    const requests = candidates.slice(0, middle)
    const inputs = coverInputs(free, sumSat(requests))
    if (inputs !== undefined && isRelayed(context.genesis, changeScript, requests, inputs)) {
      longest = shapeOf(context, rate, changeScript, requests, inputs)
    } else tooMany = middle
  }
}

/**
 * Whether Bitcoin's nodes relay a transaction that pays these from those inputs (BIP431): also by leaf A, which is how a batch is signed
 * where the key has no t shares left; but for one request alone, which may take more coins than that.
 */
export function isRelayed(
  genesis: Genesis,
  changeScript: Uint8Array,
  requests: readonly Payment[],
  inputs: readonly Entry<OutputRow>[],
  parts = 1,
): boolean {
  const byLeaf = inputWeight(genesis, 0)
  const weightOf = ({ row }: Entry<OutputRow>) =>
    requests.length === 1 ? inputWeight(genesis, row.epoch) : byLeaf
  const spent = inputs.reduce((sum, input) => sum + weightOf(input), 0)
  const paid = requests.reduce((sum, { row }) => sum + outputSizeBytes(row.scriptPubKey), 0)
  const weight = OVERHEAD_WEIGHT + 4 * (paid + parts * outputSizeBytes(changeScript)) + spent
  return Math.ceil(weight / 4) <= MAX_PAYOUT_VBYTES
}

/** Whether the fee stays within a fifth of all outputs (PO-8). */
export function isFeeBounded({ inputs, minerFeeSat }: Shape): boolean {
  return minerFeeSat * 5n <= sumSat(inputs) - minerFeeSat
}

/** Whether a payout of `requests` is due: the oldest has waited for batchWindow, or 100 wait in all (4.5). */
export function payoutDue(
  ledger: Ledger,
  { params, timestamp }: Pick<PegContext, 'params' | 'timestamp'>,
  requests: readonly Entry<RequestRow>[] = waitingRequests(ledger),
): boolean {
  const isOld = requests.some(({ row }) => timestamp - row.timestamp >= params.batchWindowSeconds)
  return isOld || countWaiting(ledger) >= MAX_BATCH_REQUESTS
}

/** The payout that is due at this rate: a function of the parent's ledger, the rate and the block's height and time. */
export function buildPayout(
  ledger: Ledger,
  context: PegContext,
  feeRateSatPerKvb: number,
): PayoutPlan<Entry<RequestRow>> | undefined {
  if (ledger.state.pegOutStops > 0) return undefined
  const { genesis } = context
  const changeScript = currentOutput(genesis, ledger).scriptPubKey
  const shape = fitShape(ledger, context, feeRateSatPerKvb, changeScript)
  if (shape === undefined || !payoutDue(ledger, context, shape.requests) || !isFeeBounded(shape)) {
    return undefined
  }
  return versionPlan(ledger, context, shape, {
    kind: 'payout',
    batchId: batchId(context, shape),
    version: 0,
    feeRateSatPerKvb,
  })
}

/** The version of a batch that has this shape, as a block records it. */
export function versionPlan<P extends Payment>(
  ledger: Ledger,
  context: Pick<PegContext, 'genesis'>,
  shape: Shape<P>,
  fields: Omit<PegRecord, 'kind' | 'transaction'> & { readonly kind: RecordKind },
): PayoutPlan<P> {
  const changeScript = currentOutput(context.genesis, ledger).scriptPubKey
  const transaction = payoutTransaction(context, shape, changeScript)
  const record: PegRecord = {
    ...fields,
    kind: RECORD_KINDS.indexOf(fields.kind),
    transaction: serializeTransaction(transaction),
  }
  const { changeSat, inputs, minerFeeSat, requests } = shape
  const { epoch } = ledger.state
  return { record, transaction, epoch, inputs, requests, minerFeeSat, changeSat }
}

function payoutTransaction(
  { genesis }: Pick<PegContext, 'genesis'>,
  shape: Shape,
  changeScript: Uint8Array,
): BitcoinTransaction {
  const payments = shape.requests.map(({ row }, index) => ({
    amountSat: paidSat(shape, index),
    scriptPubKey: row.scriptPubKey,
  }))
  return {
    version: genesis.bitcoin.network === 'regtest' ? REGTEST_VERSION : TRUC_VERSION,
    inputs: shape.inputs.map(({ key }) => ({
      ...splitOutpoint(key),
      scriptSig: new Uint8Array(0),
      sequence: SEQUENCE,
      witness: [],
    })),
    outputs: [...payments, ...changeOf(shape, changeScript)],
    lockTime: 0,
  }
}

/** The change in equal parts; the first has what the division leaves. */
function changeOf({ changeSat, parts }: Shape, scriptPubKey: Uint8Array): BitcoinOutput[] {
  if (changeSat === 0n) return []
  const partSat = changeSat / BigInt(parts)
  const firstSat = changeSat - partSat * BigInt(parts - 1)
  return Array.from({ length: parts }, (_, index) => {
    return { amountSat: index === 0 ? firstSat : partSat, scriptPubKey }
  })
}

/**
 * The transaction that pays these requests, in order, from these inputs at this rate: a signer computes it again from proven rows.
 * `changeScript` is the plain one of the epoch in which it was recorded.
 */
export function payoutFromRows(
  genesis: Genesis,
  changeScript: Uint8Array,
  feeRateSatPerKvb: number,
  requests: readonly Payment[],
  inputs: readonly Entry<OutputRow>[],
  parts = 1,
): {
  readonly transaction: BitcoinTransaction
  readonly minerFeeSat: bigint
  readonly vbytes: number
} {
  const shape = shapeOf({ genesis }, feeRateSatPerKvb, changeScript, requests, inputs, parts)
  const transaction = payoutTransaction({ genesis }, shape, changeScript)
  return { transaction, minerFeeSat: shape.minerFeeSat, vbytes: Math.ceil(shape.weight / 4) }
}

/** tagged(genesis ‖ height ‖ inputs[0] ‖ request ids): the name of a batch, whatever version of it confirms. */
export function batchId(
  { genesis, height }: PegContext,
  { inputs, requests }: Pick<Shape, 'inputs' | 'requests'>,
): Uint8Array {
  return taggedHash(
    'millrace/batch',
    genesis.hash,
    uint64be(height),
    (inputs[0] as Entry<OutputRow>).key,
    ...requests.map(({ key }) => key),
  )
}

/** The reference rate: the median of the last headers' rates, the lower one of two (4.5). */
export function referenceRate(recentFeeRates: readonly number[]): number {
  const sorted = [...recentFeeRates].sort((left, right) => left - right)
  return sorted[(sorted.length - 1) >> 1] ?? 0
}

/** Whether a record may have this rate: within [ref/2, 2·ref] and the parameters' bounds. */
export function isRateAllowed(context: PegContext, rate: number): boolean {
  const { params, recentFeeRates } = context
  const reference = referenceRate(recentFeeRates)
  return (
    rate * 2 >= reference &&
    rate <= 2 * reference &&
    rate >= params.minFeeRateSatPerKvb &&
    rate <= params.maxFeeRateSatPerKvb
  )
}

/** The rate that this block's author would pay, moved into what is allowed. */
export function allowedRate(context: PegContext): number {
  const { feeRateSatPerKvb, params, recentFeeRates } = context
  const reference = referenceRate(recentFeeRates)
  const least = Math.max(Math.ceil(reference / 2), params.minFeeRateSatPerKvb)
  const most = Math.min(2 * reference, params.maxFeeRateSatPerKvb)
  return Math.max(least, Math.min(feeRateSatPerKvb, most))
}

/** Checks a record against what the parent's ledger gives, and books the batch. */
export function applyPayout(
  draft: LedgerDraft,
  parent: Ledger,
  context: PegContext,
  record: PegRecord,
): PegError | undefined {
  const plan = buildPayout(parent, context, record.feeRateSatPerKvb)
  if (plan === undefined) return fault('RecordNotDue')
  return recordBatch(draft, context, record, { kind: BATCH_KIND.payout, plan, pays: plan.requests })
}

/** A first version as a block records it: the plan of the rules, and the requests whose batch it opens. */
export interface FirstVersion {
  /** Of BATCH_KIND. */
  readonly kind: number
  readonly plan: PayoutPlan
  readonly pays: readonly Entry<RequestRow>[]
}

/** Books the batch of a record, if it is what the rules give and this block's headers and bookings left all of it free. */
export function recordBatch(
  draft: LedgerDraft,
  context: PegContext,
  record: PegRecord,
  first: FirstVersion,
): PegError | undefined {
  const { pays, plan } = first
  if (!isSameRecord(plan.record, record)) return fault('RecordWrong')
  const isFree = plan.inputs.every(({ key }) => {
    const row = draft.get('outputs', key)
    return row?.state === OUTPUT_STATE.live && isZero(row.batchId)
  })
  if (!isFree) return fault('RecordInputGone')
  // A reorg in this block's headers may have opened a batch again that has some of them.
  const isWaiting = pays.every(({ key }) => {
    const row = draft.get('requests', key)
    return row?.state === REQUEST_STATE.open && isZero(row.batchId)
  })
  if (!isWaiting) return fault('RecordRequestGone')
  putBatch(draft, context, first)
  return undefined
}

export function isSameRecord(left: PegRecord, right: PegRecord): boolean {
  return (
    left.version === right.version &&
    equalBytes(left.batchId, right.batchId) &&
    equalBytes(left.transaction, right.transaction)
  )
}

/** Opens the batch of a first version: its inputs and what it pays are its own from now on. */
function putBatch(
  draft: LedgerDraft,
  context: PegContext,
  { kind, pays, plan }: FirstVersion,
): void {
  const { height, timestamp } = context
  const { inputs, record } = plan
  const id = txid(plan.transaction)
  for (const { key } of inputs) {
    const row = draft.get('outputs', key) as OutputRow
    draft.put('outputs', key, { ...row, batchId: record.batchId })
  }
  for (const { key, row } of pays) {
    draft.put('requests', key, { ...row, state: REQUEST_STATE.batched, batchId: record.batchId })
  }
  draft.put('batches', record.batchId, {
    kind,
    reason: plan.reason ?? SWEEP_REASON.none,
    state: BATCH_STATE.open,
    height,
    timestamp,
    bitcoinHeight: draft.state.tipHeight,
    inputs: inputs.map(({ key }) => key),
    requests: pays.map(({ key }) => key),
    versions: [id],
    cancel: [],
    bookedTxid: new Uint8Array(32),
  })
  putVersion(draft, context, plan)
}

/** The record's transaction, as one that may be signed and booked. */
export function putVersion(
  draft: LedgerDraft,
  { height, timestamp }: Pick<PegContext, 'height' | 'timestamp'>,
  { epoch, record, transaction }: PayoutPlan,
): void {
  draft.put('spends', txid(transaction), {
    kind: SPEND_KIND.version,
    state: SPEND_STATE.recorded,
    batchId: record.batchId,
    version: record.version,
    epoch,
    feeRateSatPerKvb: record.feeRateSatPerKvb,
    transaction: record.transaction,
    height,
    timestamp,
    bitcoinHash: new Uint8Array(32),
    bitcoinHeight: 0,
    transactionIndex: 0,
    spent: [],
    entered: [],
    released: [],
    accepted: false,
  })
}
