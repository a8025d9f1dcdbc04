/**
 * Whether a member signs a batch (protocol §4.5, PO-11): everything it needs it takes from ledger rows that are proven under the
 * root of a header which it verified itself, and the transaction it computes again. A lying node gets no signature; nor does
 * one that asks a member with an empty journal for a second payment, for the conflict input is checked against the ledger.
 */
import { parseTransaction, serializeTransaction, txid } from '../core/bitcoin/index.ts'
import {
  BATCH_KIND,
  BATCH_STATE,
  type BatchRow,
  decodeLedgerProof,
  decodeRow,
  type Entry,
  type LedgerSet,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  REQUEST_STATE,
  type RequestRow,
  type SetRows,
  SPEND_KIND,
  SPEND_STATE,
  type SpendRow,
  type StateRow,
  SWEEP_REASON,
  verifyRow,
} from '../core/ledger/index.ts'
import type { Genesis } from '../core/params/index.ts'
import {
  cancelApprovalFault,
  changeOutput,
  type FederationKeys,
  federationOutput,
  isCancelVersion,
  isRateStep,
  isRefundable,
  isRenewable,
  isWhole,
  LEAST_OUTPUTS,
  LOW_RATE_SAT_PER_KVB,
  MAX_PAYOUT_VBYTES,
  outputAge,
  type Payment,
  payoutFromRows,
  refundApprovalFault,
  refundPayment,
} from '../core/peg/index.ts'
import { equalBytes, toHex } from '../crypto/index.ts'
import type { KnownFederation } from './approval-policy.ts'
import { batchInput, type UnsignedBatch } from './signing.ts'
import { refusal, type SignerVerdict, sign, wait } from './verdict.ts'

export interface SignatureRequest {
  readonly genesisHash: Uint8Array
  readonly batchId: Uint8Array
  readonly version: number
}

/** A row as a node sent it, with its proof. */
export interface ProvenRow {
  readonly set: string
  readonly key: Uint8Array
  readonly present: boolean
  readonly row: Uint8Array
  readonly proof: Uint8Array
}

export type SignatureRefusal =
  | 'WrongChain'
  | 'RowUnproven'
  | 'VersionUnknown'
  | 'SpendNotRecorded'
  | 'BatchClosed'
  | 'AlreadyPaid'
  | 'RequestNotBatched'
  | 'InputNotReserve'
  | 'InputOwed'
  | 'RefundNotOwed'
  | 'RefundNotApproved'
  | 'SweepNotDue'
  | 'CancelNotApproved'
  | 'InputScriptWrong'
  | 'ChangeToOldKey'
  | 'ConflictInputMissing'
  | 'TransactionMalformed'
  | 'PaysStranger'
  | 'ChangeScriptWrong'
  | 'PaysTooLittle'
  | 'FeeTooHigh'
  | 'BumpRateWrong'
  | 'TransactionTooLarge'
  | 'TransactionMismatch'

type Verdict<T> = SignerVerdict<T, SignatureRefusal>

/** A batch version as the ledger has it, every row proven under one root. */
export interface BatchRows {
  readonly state: StateRow
  readonly batch: BatchRow
  readonly spend: SpendRow
  /** The version before it, of a bump. */
  readonly previous?: SpendRow
  readonly inputs: readonly Entry<OutputRow>[]
  readonly requests: readonly Entry<RequestRow>[]
}

export interface ApprovedBatch {
  readonly batch: UnsignedBatch
  /** Those that the federation has. */
  readonly keys: FederationKeys
  /** Internal byte order. */
  readonly txid: Uint8Array
  /** When this version of it was recorded, seconds. */
  readonly timestamp: number
  /** What the recipients get. */
  readonly paidSat: bigint
  readonly minerFeeSat: bigint
  /** Both: what is the federation's no more. A sweep pays nobody and can burn the reserve in fees. */
  readonly leavingSat: bigint
}

const RETRY_MS = 5_000

/** The batch's rows, each proven under `ledgerRoot`; what is missing or does not prove itself is a refusal. */
export function readBatchRows(
  ledgerRoot: Uint8Array,
  { batchId, version }: Pick<SignatureRequest, 'batchId' | 'version'>,
  rows: readonly ProvenRow[],
): Verdict<BatchRows> {
  const proven = new ProvenRows(ledgerRoot, rows)
  const batch = proven.row('batches', batchId)
  if (batch === undefined) return refusal('RowUnproven', 'batch')
  const id = batch.versions[version]
  if (id === undefined) return refusal('VersionUnknown', `${version}`)
  const spend = proven.row('spends', id)
  if (spend === undefined) return refusal('RowUnproven', 'transaction')
  const before = batch.versions[version - 1]
  const previous = before && proven.row('spends', before)
  if (before !== undefined && previous === undefined) {
    return refusal('RowUnproven', 'previous version')
  }
  const parsed = parseTransaction(spend.transaction)
  if (!parsed.ok) return refusal('TransactionMalformed', parsed.error.reason)
  const outpoints = parsed.value.inputs.map((input) => outpointKey(input.txid, input.vout))
  const inputs = proven.entries('outputs', outpoints)
  if (inputs === undefined) return refusal('RowUnproven', 'input')
  const requests = proven.entries('requests', batch.requests)
  if (requests === undefined) return refusal('RowUnproven', 'request')
  const state = proven.state as StateRow
  return sign({ state, batch, spend, inputs, requests, ...(previous && { previous }) })
}

class ProvenRows {
  /** Of the proofs, which all show the same. */
  state: StateRow | undefined
  private readonly root: Uint8Array
  private readonly rows: ReadonlyMap<string, ProvenRow>

  constructor(root: Uint8Array, rows: readonly ProvenRow[]) {
    this.root = root
    this.rows = new Map(rows.map((row) => [`${row.set}:${toHex(row.key)}`, row]))
  }

  row<S extends LedgerSet>(set: S, key: Uint8Array): SetRows[S] | undefined {
    const given = this.rows.get(`${set}:${toHex(key)}`)
    if (given?.present !== true) return undefined
    const proof = decodeLedgerProof(given.proof)
    if (proof === undefined || !verifyRow(this.root, proof, set, key, given.row)) return undefined
    this.state = proof.summary.state
    return decodeRow(set, given.row)
  }

  entries<S extends LedgerSet>(
    set: S,
    keys: readonly Uint8Array[],
  ): readonly Entry<SetRows[S]>[] | undefined {
    const entries: Entry<SetRows[S]>[] = []
    for (const key of keys) {
      const row = this.row(set, key)
      if (row === undefined) return undefined
      entries.push({ key, row })
    }
    return entries
  }
}

/** Whether to sign a version of a batch whose rows are proven. `federation`: the keys that this member believes its members made. */
export function decideSignature(
  genesis: Genesis,
  request: SignatureRequest,
  rows: BatchRows,
  federation: KnownFederation,
): Verdict<ApprovedBatch> {
  if (!equalBytes(request.genesisHash, genesis.hash)) return refusal('WrongChain')
  const { batch, inputs, spend, state } = rows
  const paysNobody = batch.kind === BATCH_KIND.sweep || isCancelVersion(batch, spend.version)
  // Where payouts wait for work, only an anchor over all burns of the batch lets them go (3.3, 4.5). Blocks carry none yet.
  const isGated = genesis.params.anchorGate !== 'off' && !paysNobody
  if (isGated) return wait('AnchorMissing', RETRY_MS)
  // A spend that no record explains stops all payouts until it is settled (4.5). What stays with the federation may move.
  if (state.pegOutStops > 0 && !paysNobody) {
    return wait('PegOutsPaused', RETRY_MS)
  }
  // Rows name keys, and validators write rows: what spends and what receives is a key that the members have confirmed, or nothing is signed.
  const newest = inputs.reduce((most, { row }) => Math.max(most, row.epoch), spend.epoch)
  if (newest > federation.epoch) return wait('KeyUnknown', RETRY_MS)
  // A handover would be undone by change that goes back to a key whose shares may have leaked (5.8).
  if (newest > spend.epoch) return refusal('ChangeToOldKey')
  const { keys } = federation
  const fault =
    recordFault(request, batch, spend) ??
    purposeFault(genesis, request, rows) ??
    inputFault(genesis, request.batchId, batch, inputs, keys)
  if (fault !== undefined) return refusal(fault)
  return decideTransaction(genesis, rows, keys)
}

function recordFault(
  { batchId, version }: SignatureRequest,
  batch: BatchRow,
  spend: SpendRow,
): SignatureRefusal | undefined {
  if (batch.state !== BATCH_STATE.open) return 'BatchClosed'
  const isRecorded =
    spend.kind === SPEND_KIND.version &&
    spend.state === SPEND_STATE.recorded &&
    spend.version === version &&
    equalBytes(spend.batchId, batchId)
  return isRecorded ? undefined : 'SpendNotRecorded'
}

/** Whether the batch may do at all what a batch of its kind does. */
function purposeFault(
  genesis: Genesis,
  { batchId }: SignatureRequest,
  rows: BatchRows,
): SignatureRefusal | undefined {
  const { batch, inputs, requests, spend } = rows
  if (batch.kind === BATCH_KIND.refund) return refundFault(genesis, requests, inputs)
  const fault =
    batch.kind === BATCH_KIND.sweep ? sweepFault(genesis, rows) : requestFault(batchId, requests)
  return fault ?? owedFault(inputs) ?? cancelFault(genesis, batchId, batch, spend)
}

/** A version that pays nobody of a batch that has requests: t members wanted that. */
function cancelFault(
  genesis: Genesis,
  batchId: Uint8Array,
  batch: BatchRow,
  { version }: SpendRow,
): SignatureRefusal | undefined {
  const isCancel = isCancelVersion(batch, version)
  const isApproved = !isCancel || cancelApprovalFault(genesis, batchId, batch) === undefined
  return isApproved ? undefined : 'CancelNotApproved'
}

/** 5.7, 5.8: nobody is paid, and what a member can see of the reason is so: age, key, number and rate. */
function sweepFault(
  genesis: Genesis,
  { batch, inputs, requests, spend, state }: BatchRows,
): SignatureRefusal | undefined {
  const { epoch, feeRateSatPerKvb } = spend
  const isLow = spend.version > 0 || feeRateSatPerKvb <= 2 * LOW_RATE_SAT_PER_KVB
  const every = (rule: (row: OutputRow) => boolean) => inputs.every(({ row }) => rule(row))
  const isDue: { readonly [reason: number]: () => boolean } = {
    [SWEEP_REASON.renewal]: () =>
      every((row) => isRenewable(genesis, outputAge(state.tipHeight, row))),
    [SWEEP_REASON.handover]: () => every((row) => row.epoch < epoch),
    [SWEEP_REASON.late]: () => every((row) => row.epoch < epoch),
    [SWEEP_REASON.consolidation]: () => isLow,
    [SWEEP_REASON.split]: () => isLow,
  }
  return requests.length === 0 && isDue[batch.reason]?.() === true ? undefined : 'SweepNotDue'
}

function requestFault(
  batchId: Uint8Array,
  requests: readonly Entry<RequestRow>[],
): SignatureRefusal | undefined {
  for (const { row } of requests) {
    if (row.state === REQUEST_STATE.paid || row.state === REQUEST_STATE.refunded) {
      return 'AlreadyPaid'
    }
    if (row.state !== REQUEST_STATE.batched || !equalBytes(row.batchId, batchId)) {
      return 'RequestNotBatched'
    }
  }
  return requests.length === 0 ? 'RequestNotBatched' : undefined
}

/** 5.9: one deposit that is owed back, to whom t members approved that it goes, and no request beside it. */
function refundFault(
  genesis: Genesis,
  requests: readonly Entry<RequestRow>[],
  inputs: readonly Entry<OutputRow>[],
): SignatureRefusal | undefined {
  const isOwed = requests.length === 0 && inputs.length === 1
  if (!isOwed || !inputs.every(({ row }) => isRefundable(row))) return 'RefundNotOwed'
  const isApproved = inputs.every((entry) => refundApprovalFault(genesis, entry) === undefined)
  return isApproved ? undefined : 'RefundNotApproved'
}

/** What is owed to a depositor pays nobody else. */
function owedFault(inputs: readonly Entry<OutputRow>[]): SignatureRefusal | undefined {
  return inputs.some(({ row }) => row.kind === OUTPUT_KIND.refundable) ? 'InputOwed' : undefined
}

function inputFault(
  genesis: Genesis,
  batchId: Uint8Array,
  batch: BatchRow,
  inputs: readonly Entry<OutputRow>[],
  keys: FederationKeys,
): SignatureRefusal | undefined {
  const [first] = inputs
  const [conflict] = batch.inputs
  if (first === undefined || conflict === undefined || !equalBytes(first.key, conflict)) {
    return 'ConflictInputMissing'
  }
  for (const { row } of inputs) {
    if (row.state !== OUTPUT_STATE.live || !equalBytes(row.batchId, batchId)) {
      return 'InputNotReserve'
    }
    const script = federationOutput(genesis, batchInput(row).tweak, keys).scriptPubKey
    if (!equalBytes(script, row.scriptPubKey)) return 'InputScriptWrong'
  }
  return undefined
}

/** Every output is a batched request's, change or, of a sweep, a part of it; the fee is within bounds, and the whole is what the rules give. */
function decideTransaction(
  genesis: Genesis,
  { batch, inputs, previous, requests, spend }: BatchRows,
  keys: FederationKeys,
): Verdict<ApprovedBatch> {
  const parsed = parseTransaction(spend.transaction)
  if (!parsed.ok) return refusal('TransactionMalformed', parsed.error.reason)
  const { outputs } = parsed.value
  const isRefund = batch.kind === BATCH_KIND.refund
  const isCancel = isCancelVersion(batch, spend.version)
  const paid: readonly Payment[] = isCancel ? [] : requests
  const payments = isRefund ? inputs.map(refundPayment) : paid
  for (const [index, { row }] of payments.entries()) {
    const output = outputs[index]
    const pays = output !== undefined && equalBytes(output.scriptPubKey, row.scriptPubKey)
    if (!pays || output.amountSat > row.amountSat) return refusal('PaysStranger', `output ${index}`)
    if (!isWhole(row.amountSat, output.amountSat)) {
      return refusal('PaysTooLittle', `output ${index}: ${output.amountSat} of ${row.amountSat}`)
    }
  }
  const change = outputs.slice(payments.length)
  // A refund has no change.
  const mostParts = isRefund ? 0 : batch.kind === BATCH_KIND.sweep ? LEAST_OUTPUTS : 1
  if (change.length > mostParts) return refusal('PaysStranger', `${outputs.length} outputs`)
  const changeScript = changeOutput(genesis, spend.epoch, keys).scriptPubKey
  if (change.some(({ scriptPubKey }) => !equalBytes(scriptPubKey, changeScript))) {
    return refusal('ChangeScriptWrong')
  }
  const inSat = inputs.reduce((sum, { row }) => sum + row.amountSat, 0n)
  const outSat = outputs.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  const changeSat = change.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  const feeSat = inSat - outSat
  const { params } = genesis
  const isRateBounded =
    spend.feeRateSatPerKvb >= params.minFeeRateSatPerKvb &&
    spend.feeRateSatPerKvb <= params.maxFeeRateSatPerKvb
  if (feeSat < 0n || feeSat * 5n > outSat || !isRateBounded) {
    return refusal('FeeTooHigh', `${feeSat} sat at ${spend.feeRateSatPerKvb} sat/kvB`)
  }
  // The first version that cancels may be much smaller than what it replaces, at a rate as much higher.
  const isFirstCancel = isCancel && spend.version === batch.cancel[0]?.version
  const lastRate = isFirstCancel ? undefined : previous?.feeRateSatPerKvb
  if (lastRate !== undefined && !isRateStep(params, lastRate, spend.feeRateSatPerKvb)) {
    return refusal('BumpRateWrong', `${spend.feeRateSatPerKvb} after ${lastRate} sat/kvB`)
  }
  const ours = payoutFromRows(
    genesis,
    changeScript,
    spend.feeRateSatPerKvb,
    payments,
    inputs,
    Math.max(change.length, 1),
  )
  if (ours.vbytes > MAX_PAYOUT_VBYTES) return refusal('TransactionTooLarge', `${ours.vbytes} vB`)
  if (!equalBytes(serializeTransaction(ours.transaction), spend.transaction)) {
    return refusal('TransactionMismatch')
  }
  return sign({
    batch: { transaction: spend.transaction, inputs: inputs.map(({ row }) => batchInput(row)) },
    keys,
    txid: txid(parsed.value),
    timestamp: spend.timestamp,
    paidSat: outSat - changeSat,
    minerFeeSat: feeSat,
    leavingSat: inSat - changeSat,
  })
}
