/** The peg as people see it: the ledger's rows joined with what the bridge is doing about them. */
import type { DepositAddresses, PegOperationView } from '../../actors/bridge/index.ts'
import { reserveJson } from '../../bridge/index.ts'
import { addressFromScript, parsePayableScript } from '../../core/bitcoin/index.ts'
import { REFUND_REASONS } from '../../core/block/index.ts'
import {
  BATCH_KIND,
  type BatchRow,
  type Ledger,
  LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  REQUEST_REASON,
  REQUEST_STATE,
  type RequestRow,
  rowOf,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import {
  changeOutput,
  conflictOf,
  currentOutput,
  depositPayloadScript,
  describeReserve,
  federationKey,
  federationOutput,
  federationScripts,
  isForbiddenAddress,
  isMissing,
  isRefundable,
  oldestOutput,
  outpointName,
  referenceRate,
  validUntil,
} from '../../core/peg/index.ts'
import { equalBytes, fromHex, toDisplayHash, toHex } from '../../crypto/index.ts'
import type { ClaimDeposits, ClaimRefused, DepositsClaimed } from '../../messages/index.ts'
import type { AskResult } from '../../supervisor/index.ts'
import type {
  DepositFields,
  DepositRefusal,
  PayoutVersion,
  PegInStatus,
  PegOperation,
  PegOutStatus,
  PegOutStep,
  PegView,
  RefundStatus,
  ReserveSnapshot,
} from '../api/index.ts'
import { keygenStatus } from './keygen.ts'
import type { LiveViews } from './live.ts'

export interface PegViewOptions {
  readonly genesis: Genesis
  readonly live: LiveViews
  readonly depositAddresses: DepositAddresses
  /** Has the bridge look at a block again. */
  claim(claim: ClaimDeposits['payload']): Promise<AskResult<DepositsClaimed | ClaimRefused>>
  /** The transaction of a burn, by height and log index; undefined when it is not at hand. */
  burnTransaction(height: number, logIndex: number): Uint8Array | undefined
  /** Ids of the requests that a transaction made. */
  requestsOf(transactionHash: Uint8Array): readonly Uint8Array[]
}

const PEG_INS_PAUSED =
  'nothing is credited until a deposit that Bitcoin lost comes back or is booked as a loss'
const PEG_OUTS_PAUSED =
  'nothing is paid until a spend of the reserve without a record is booked as a loss'
/** Bitcoin's aim. */
const BITCOIN_BLOCK_MINUTES = 10

const NOT_LOADED: DepositRefusal = { code: 'NotReady', reason: 'the chain is not loaded yet' }

/** Finished operations that are kept ready for the list. */
const MAX_REMEMBERED = 10_000

type DepositView = Extract<PegOperationView, { direction: 'in' }>
type PayoutView = Extract<PegOperationView, { direction: 'out' }>

export function createPegView(options: PegViewOptions): PegView {
  const { genesis, live } = options
  const ledger = () => live.head?.head.ledger
  let cached: { ledger: Ledger; reserve: ReserveSnapshot } | undefined
  /** Operations that are over and will not change; looked up once. */
  const finished = new Map<string, PegOperation>()

  /** The script of an address, once it is watched. */
  const watch = async (now: Ledger, epoch: number, fields: DepositFields) => {
    const tweak = { epoch, deposit: fields }
    const { scriptPubKey } = federationOutput(genesis, tweak, now.open.keys)
    await options.depositAddresses.watch(scriptPubKey, { epoch, ...fields })
    return scriptPubKey
  }

  return {
    keygen() {
      const now = ledger()
      return now && keygenStatus(genesis, now)
    },
    reserve() {
      const now = ledger()
      if (now === undefined) return emptyReserve()
      const rate = referenceRate(live.head?.head.feeRates ?? [])
      if (cached?.ledger !== now) cached = { ledger: now, reserve: reserveOf(genesis, now, rate) }
      return cached.reserve
    },
    reserveRows() {
      const now = ledger()
      return now && reserveJson(genesis.hash, now)
    },
    operations(limit) {
      const now = ledger()
      if (now === undefined) return []
      const listed = new Map<string, PegOperation>()
      for (const operation of followedDeposits(options)) listed.set(operation.id, operation)
      for (const [key, row] of now.sets.outputs.entries()) {
        if (row.kind === OUTPUT_KIND.change) continue
        const id = outpointName(key)
        listed.set(id, finished.get(id) ?? depositStatus(options, now, key, row))
      }
      for (const [key, row] of now.sets.requests.entries()) {
        const id = toHex(key)
        listed.set(id, finished.get(id) ?? requestStatus(options, now, key, row))
      }
      for (const operation of listed.values()) {
        if (isOpen(operation) || operation.next !== undefined) continue
        if (finished.size < MAX_REMEMBERED) finished.set(operation.id, operation)
      }
      return [...listed.values()]
        .sort(
          (left, right) =>
            Number(isOpen(right)) - Number(isOpen(left)) ||
            (right.height ?? Number.MAX_SAFE_INTEGER) - (left.height ?? Number.MAX_SAFE_INTEGER),
        )
        .slice(0, limit)
    },
    operation(id) {
      const now = ledger()
      if (now === undefined) return undefined
      return findOperation(options, now, id.toLowerCase())
    },
    federationAddress: () => plainAddress(genesis, ledger()),
    async depositAddress(fields) {
      const now = ledger()
      const refusal = fieldsFault(fields)
      if (refusal !== undefined) return refusal
      if (now === undefined) return NOT_LOADED
      const { epoch } = now.state
      const scriptPubKey = await watch(now, epoch, fields)
      const address = addressFromScript(scriptPubKey, genesis.bitcoin.network) as string
      const opReturn = depositPayloadScript(fields.evmAddress, fields.refundScript)
      return {
        address,
        scriptPubKey: toHex(scriptPubKey),
        epoch,
        validUntil: validUntil(now.open.keys, epoch) ?? null,
        groupKey: toHex(federationKey(genesis, epoch, now.open.keys)),
        uri: `bitcoin:${address}`,
        opReturn: { address: plainAddress(genesis, now), script: toHex(opReturn) },
      }
    },
    async claimDeposits(fields, blockHash) {
      const now = ledger()
      const refusal = fieldsFault(fields)
      if (refusal !== undefined) return refusal
      if (now === undefined) return NOT_LOADED
      const addresses = Array.from({ length: now.state.epoch + 1 }, (_, epoch) => {
        const tweak = { epoch, deposit: fields }
        const { scriptPubKey } = federationOutput(genesis, tweak, now.open.keys)
        return { epoch, scriptPubKey, ...fields }
      })
      const answer = await options.claim({ blockHash, addresses })
      if (!answer.ok) return { code: answer.error.code, reason: 'the bridge does not answer' }
      const { payload, type } = answer.value
      if (type === 'bridge.DepositsClaimed') return payload
      return { code: payload.code, reason: `the block is not looked at: ${payload.code}` }
    },
  }
}

function plainAddress(genesis: Genesis, now: Ledger | undefined): string {
  const { scriptPubKey } = now ? currentOutput(genesis, now) : changeOutput(genesis, 0)
  return addressFromScript(scriptPubKey, genesis.bitcoin.network) as string
}

/** What no address is given for: its deposits would not be credited, or not be paid back as their owner thinks. */
function fieldsFault({ evmAddress, refundScript }: DepositFields): DepositRefusal | undefined {
  if (isForbiddenAddress(evmAddress)) {
    return { code: 'ForbiddenAddress', reason: 'no deposit is credited to this address' }
  }
  if (refundScript.length > 0 && parsePayableScript(refundScript) === undefined) {
    return { code: 'RefundScriptUnpayable', reason: 'the refund script is none that can be paid' }
  }
  return undefined
}

function isOpen({ step }: PegOperation): boolean {
  return step !== 'Booked' && step !== 'Included'
}

function findOperation(
  options: PegViewOptions,
  ledger: Ledger,
  id: string,
): PegOperation | undefined {
  const followed = followedDeposits(options).find((operation) => operation.id === id)
  const [txid, vout] = id.split(':')
  if (vout !== undefined) {
    const internal = fromHex(txid as string)?.reverse()
    if (internal?.length !== 32 || !/^\d{1,10}$/.test(vout)) return undefined
    const key = outpointKey(internal, Number(vout))
    const row = rowOf(ledger, 'outputs', key)
    return row === undefined || row.kind === OUTPUT_KIND.change
      ? followed
      : depositStatus(options, ledger, key, row)
  }
  const bytes = fromHex(id)
  if (bytes?.length !== 32) return undefined
  const request = rowOf(ledger, 'requests', bytes)
  if (request !== undefined) return requestStatus(options, ledger, bytes, request)
  const [burned] = options.requestsOf(bytes)
  const row = burned && rowOf(ledger, 'requests', burned)
  if (burned !== undefined && row !== undefined) return requestStatus(options, ledger, burned, row)
  const spend = rowOf(ledger, 'spends', Uint8Array.from(bytes).reverse())
  const batch = spend && rowOf(ledger, 'batches', spend.batchId)
  const refunded = batch?.kind === BATCH_KIND.refund ? batch.inputs[0] : undefined
  const deposit = refunded && rowOf(ledger, 'outputs', refunded)
  if (refunded && deposit) return depositStatus(options, ledger, refunded, deposit)
  const paid = batch?.requests[0]
  const paidRow = paid && rowOf(ledger, 'requests', paid)
  return paid && paidRow ? requestStatus(options, ledger, paid, paidRow) : undefined
}

/** Deposits that are on their way and have no row yet. */
function followedDeposits({ genesis, live }: PegViewOptions): PegInStatus[] {
  const { pegInStops = 0, tipHeight: tip = 0 } = live.head?.head.ledger.state ?? {}
  return live.operations.flatMap((operation): PegInStatus[] => {
    if (operation.direction !== 'in' || operation.step === 'Included') return []
    const { bitcoinHeight = tip + 1 } = operation
    const confirmations = Math.max(0, tip - bitcoinHeight + 1)
    const waiting = operation.step === 'Confirming' || operation.step === 'Detected'
    const need = waiting ? genesis.params.pegInConfirmations : genesis.memberThreshold
    const have = waiting ? Math.min(confirmations, need) : Math.min(operation.approvals, need)
    return [
      {
        direction: 'in',
        id: operation.id,
        amountSat: operation.amountSat,
        step: operation.step === 'Denied' ? 'AwaitingApproval' : operation.step,
        progress: { have, need },
        refundable: operation.refundable,
        evmAddress: toHex(operation.evmAddress),
        ...(operation.reason !== undefined && { reason: operation.reason }),
        ...(operation.step === 'Detected' && { reason: 'Unconfirmed' }),
        next: nextOfDeposit(genesis, operation.step, pegInStops > 0),
        startedAtMs: operation.startedAtMs,
        updatedAtMs: operation.updatedAtMs,
      },
    ]
  })
}

function nextOfDeposit(genesis: Genesis, step: DepositView['step'], isPaused: boolean): string {
  switch (step) {
    case 'Detected':
      return unconfirmedNext(genesis)
    case 'Confirming':
      return 'it is credited when Bitcoin has confirmed it'
    case 'Approved':
      return isPaused ? PEG_INS_PAUSED : 'it enters the next block that can carry it'
    case 'Denied':
      return 'the members of the federation denied it'
    default:
      return 'the members of the federation check it'
  }
}

/** No block holds it: whoever sent it can still take it back, so nothing is promised but when it could be. */
function unconfirmedNext({ params }: Genesis): string {
  const blocks = params.pegInConfirmations + 1
  const minutes = blocks * BITCOIN_BLOCK_MINUTES
  return `it waits for a block of Bitcoin; ${blocks} blocks from now, in about ${minutes} minutes on the main network, it can be credited`
}

function depositStatus(
  { live }: PegViewOptions,
  ledger: Ledger,
  key: Uint8Array,
  row: OutputRow,
): PegInStatus {
  const id = outpointName(key)
  const followed = live.operations.find((operation) => operation.id === id)
  const refundable = row.kind === OUTPUT_KIND.refundable
  const refund = refundable ? refundStatus(ledger, row) : undefined
  const next = isMissing(row)
    ? missingNext(ledger, key)
    : refund
      ? refundNext(row, refund)
      : row.kind === OUTPUT_KIND.fund
        ? 'it went to the operating fund'
        : row.minted
          ? undefined
          : 'it is minted in one of the next blocks'
  return {
    direction: 'in',
    id,
    amountSat: row.amountSat,
    step: 'Included',
    refundable,
    evmAddress: toHex(row.evmAddress),
    height: row.minted ? row.mintHeight : row.height,
    ...(refund && { refund }),
    ...(refundable && { reason: REFUND_REASONS[row.reason] ?? 'unknown' }),
    ...(next !== undefined && { next }),
    ...(followed && { startedAtMs: followed.startedAtMs, updatedAtMs: followed.updatedAtMs }),
  }
}

/** A reorg of Bitcoin took it away (4.9). */
function missingNext(ledger: Ledger, key: Uint8Array): string {
  const conflict = conflictOf(new LedgerDraft(ledger), key)
  return conflict === undefined
    ? 'a reorg of Bitcoin took it away; it counts again when a block holds it'
    : `Bitcoin spent its coins otherwise, in ${toDisplayHash(conflict.txid)}`
}

function refundStatus(ledger: Ledger, row: OutputRow): RefundStatus {
  const booked = isZero(row.spentBy) ? undefined : rowOf(ledger, 'spends', row.spentBy)
  const batchId = booked?.batchId ?? row.batchId
  const batch = isZero(batchId) ? undefined : rowOf(ledger, 'batches', batchId)
  if (batch === undefined) return { state: 'owed' }
  const state = row.state === OUTPUT_STATE.refunded ? 'refunded' : 'batched'
  return { state, batchId: toHex(batchId), versions: versionsOf(ledger, batch) }
}

function refundNext(row: OutputRow, { state }: RefundStatus): string | undefined {
  if (state === 'refunded') return undefined
  if (state === 'batched') return 'its refund waits for the members and for Bitcoin'
  if (isRefundable(row)) return 'its refund is recorded in one of the next blocks'
  return 'it is recorded as owed back, and named no script that can be paid'
}

const REASONS = Object.fromEntries(
  Object.entries(REQUEST_REASON).map(([name, value]) => [value, name]),
)

function requestStatus(
  options: PegViewOptions,
  ledger: Ledger,
  id: Uint8Array,
  row: RequestRow,
): PegOutStatus {
  const { genesis, live } = options
  const batch = isZero(row.batchId) ? undefined : rowOf(ledger, 'batches', row.batchId)
  const payout = live.operations.find(
    (operation): operation is PayoutView =>
      operation.direction === 'out' && operation.id === toHex(row.batchId),
  )
  const txid = isZero(row.paidBy) ? batch?.versions.at(-1) : row.paidBy
  const address = addressFromScript(row.scriptPubKey, genesis.bitcoin.network)
  const burn = options.burnTransaction(row.height, row.logIndex)
  const step = requestStep(row, payout)
  const progress =
    step === 'CollectingSignatures'
      ? { have: payout?.signatures ?? 0, need: genesis.memberThreshold }
      : undefined
  const reason = row.reason === REQUEST_REASON.none ? payout?.reason : REASONS[row.reason]
  return {
    direction: 'out',
    id: toHex(id),
    amountSat: row.amountSat,
    step,
    height: row.height,
    ...(address !== undefined && { bitcoinAddress: address }),
    ...(batch !== undefined && {
      batchId: toHex(row.batchId),
      versions: versionsOf(ledger, batch),
    }),
    ...(txid !== undefined && { txid: toDisplayHash(txid) }),
    ...(row.state === REQUEST_STATE.paid && { feeSat: row.amountSat - row.paidSat }),
    ...(burn !== undefined && { evmTransaction: toHex(burn) }),
    ...(progress !== undefined && { progress }),
    ...(reason !== undefined && { reason }),
    ...(step === 'Committed' && ledger.state.pegOutStops > 0 && { next: PEG_OUTS_PAUSED }),
    ...(payout && { startedAtMs: payout.startedAtMs, updatedAtMs: payout.updatedAtMs }),
  }
}

function versionsOf(ledger: Ledger, batch: BatchRow): PayoutVersion[] {
  return batch.versions.flatMap((txid) => versionStatus(ledger, batch, txid))
}

function versionStatus(ledger: Ledger, batch: BatchRow, txid: Uint8Array): PayoutVersion[] {
  const spend = rowOf(ledger, 'spends', txid)
  if (spend === undefined) return []
  const isOpen = isZero(batch.bookedTxid)
  const state = isOpen ? 'recorded' : equalBytes(batch.bookedTxid, txid) ? 'booked' : 'replaced'
  const { feeRateSatPerKvb, height } = spend
  return [{ txid: toDisplayHash(txid), feeRateSatPerKvb, height, state }]
}

function requestStep(row: RequestRow, payout: PayoutView | undefined): PegOutStep {
  if (row.state === REQUEST_STATE.paid || row.state === REQUEST_STATE.refunded) return 'Booked'
  if (row.state !== REQUEST_STATE.batched) return 'Committed'
  return payout === undefined ? 'Batched' : payout.step
}

/** `feeRateSatPerKvb`: the blocks' reference at present. */
export function reserveOf(
  genesis: Genesis,
  ledger: Ledger,
  feeRateSatPerKvb: number,
): ReserveSnapshot {
  const report = describeReserve(ledger)
  const { reserveSat, supplySat, inFlightSat, deficitSat, inFlight, mintedSat, burnedSat } = report
  const oldest = oldestOutput(genesis, ledger, feeRateSatPerKvb)
  const totals = { pegIns: 0, pegInSat: 0n, pegOuts: 0, pegOutSat: 0n, mintedSat, burnedSat }
  for (const [, row] of ledger.sets.outputs.entries()) {
    if (row.kind !== OUTPUT_KIND.credit || !row.minted) continue
    totals.pegIns += 1
    totals.pegInSat += row.amountSat
  }
  for (const [, row] of ledger.sets.requests.entries()) {
    if (row.state !== REQUEST_STATE.paid) continue
    totals.pegOuts += 1
    totals.pegOutSat += row.paidSat
  }
  return {
    height: ledger.state.height,
    reserveSat,
    supplySat,
    inFlightSat,
    deficitSat,
    pegInsPaused: report.pegInsPaused,
    pegOutsPaused: report.pegOutsPaused,
    ...(oldest && {
      oldestOutput: {
        outpoint: outpointName(oldest.key),
        amountSat: oldest.amountSat,
        percent: oldest.percent,
        waitsFor: oldest.waitsFor,
      },
    }),
    openSweeps: [...ledger.open.batches.values()].filter(({ row }) => row.kind === BATCH_KIND.sweep)
      .length,
    inFlight,
    outputs: [...ledger.open.reserve.values()].map(({ key, row }) => ({
      outpoint: outpointName(key),
      amountSat: row.amountSat,
    })),
    scripts: scriptsOf(genesis, ledger),
    totals,
  }
}

function scriptsOf(genesis: Genesis, { open, state }: Ledger): readonly string[] {
  const plain = federationScripts(genesis, state.epoch, open.keys)
  const own = [...open.reserve.values()].map(({ row }) => row)
  return [...new Set([...plain, ...own].map(({ scriptPubKey }) => toHex(scriptPubKey)))]
}

function emptyReserve(): ReserveSnapshot {
  return {
    height: 0,
    reserveSat: 0n,
    supplySat: 0n,
    inFlightSat: 0n,
    deficitSat: 0n,
    pegInsPaused: false,
    pegOutsPaused: false,
    openSweeps: 0,
    inFlight: [],
    outputs: [],
    scripts: [],
    totals: {
      pegIns: 0,
      pegInSat: 0n,
      pegOuts: 0,
      pegOutSat: 0n,
      mintedSat: 0n,
      burnedSat: 0n,
    },
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
