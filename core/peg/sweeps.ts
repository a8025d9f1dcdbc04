/**
 * Sweeps (protocol §4.5, §5.7, §5.8; PO-17, PO-19, PO-21, PO-22): coins of the reserve move to the newest key, and nobody is paid. What is due, what
 * it spends and the bytes of its transaction follow from the parent's ledger and the rate, so a block that carries another one is
 * invalid. The fee is the operating fund's. Sweeps hold at most half of the reserve at a time, so peg-outs go on beside them, and those
 * that could wait leave room for those that cannot.
 */
import type { PegRecord } from '../block/index.ts'
import {
  BATCH_KIND,
  type BatchRow,
  type Entry,
  heightKey,
  isZero,
  type Ledger,
  type LedgerDraft,
  MAX_BATCH_INPUTS,
  OUTPUT_KIND,
  type OutputRow,
  REQUEST_STATE,
  rowOf,
  SWEEP_REASON,
} from '../ledger/index.ts'
import type { Genesis, Params } from '../params/index.ts'
import type { PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import { fundBalanceSat } from './fund.ts'
import {
  allowedRate,
  batchId,
  buildPayout,
  byDepth,
  bySize,
  freeInputs,
  isFeeBounded,
  isRelayed,
  type PayoutPlan,
  recordBatch,
  referenceRate,
  shapeOf,
  sumSat,
  versionPlan,
} from './payout.ts'
import { currentOutput, inputWeight } from './scripts.ts'
import { hasBookedVersion, hasCancelVersion, versionFeeSat } from './versions.ts'

export type SweepReason = Exclude<keyof typeof SWEEP_REASON, 'none'>

/** Outputs that the reserve should have, at least and at most (PO-17). */
export const LEAST_OUTPUTS = 20
export const MOST_OUTPUTS = 200
/** Above this rate nothing is consolidated or split. */
export const LOW_RATE_SAT_PER_KVB = 5000
/** Deposits to an old key are swept when so many wait, or one has waited for so many Bitcoin blocks. */
export const LATE_GROUP = 10
export const LATE_BLOCKS = 144
/** An output is swept if it is worth so many times the fee of its own input: then it pays for no more than a fifth (PO-8). */
const WORTH_FEES = 5n
/** No part that a sweep makes is smaller than so many of the smallest payouts. */
const PART_PAYOUTS = 100n

/** Sweeps that wait for Bitcoin at a time. */
export const MAX_OPEN_SWEEPS = 4

/** Blocks that an output is old, of the delay after which leaf B opens it (5.7): confirmed in the tip is one. */
export function outputAge(tipHeight: number, row: Pick<OutputRow, 'bitcoinHeight'>): number {
  return tipHeight - row.bitcoinHeight + 1
}

/** At 45 % of the delay a renewal is due, so that it is over by half of it; what is at 40 % goes along. */
export function isRenewalDue({ recovery }: Pick<Genesis, 'recovery'>, ageBlocks: number): boolean {
  return ageBlocks * 20 >= recovery.csvBlocks * 9
}

export function isRenewable({ recovery }: Pick<Genesis, 'recovery'>, ageBlocks: number): boolean {
  return ageBlocks * 5 >= recovery.csvBlocks * 2
}

/** What the renewal of an output waits for, which says whom to ask: its members and Bitcoin, the fund, a proposer; or its time. */
export type RenewalWait = 'batch' | 'fund' | 'block' | 'age'

/** The oldest output of the reserve that a sweep may take. */
export interface OldestOutput {
  readonly key: Uint8Array
  readonly amountSat: bigint
  /** Of its recovery delay: half is never to be passed (PO-22). */
  readonly percent: number
  readonly waitsFor: RenewalWait
}

/**
 * The oldest output that a sweep may take at the present rate; the first by outpoint. Deposits that go back and what is not worth its fee would
 * keep the alert up for ever, and nobody can do anything about them.
 */
export function oldestOutput(
  genesis: Genesis,
  ledger: Ledger,
  feeRateSatPerKvb: number,
): OldestOutput | undefined {
  const [oldest] = [...ledger.open.reserve.values()]
    .filter(({ row }) => row.kind !== OUTPUT_KIND.refundable)
    .filter(({ row }) => isWorthSweeping(genesis, row, feeRateSatPerKvb))
    .sort(byDepth)
  if (oldest === undefined) return undefined
  const { key, row } = oldest
  const age = outputAge(ledger.state.tipHeight, row)
  const percent = Math.floor((age * 100) / genesis.recovery.csvBlocks)
  const waitsFor = renewalWait(genesis, ledger, oldest, feeRateSatPerKvb)
  return { key, amountSat: row.amountSat, percent, waitsFor }
}

function renewalWait(
  genesis: Genesis,
  ledger: Ledger,
  { key, row }: Entry<OutputRow>,
  feeRateSatPerKvb: number,
): RenewalWait {
  if (!isZero(row.batchId)) return 'batch'
  if (!isRenewalDue(genesis, outputAge(ledger.state.tipHeight, row))) return 'age'
  const changeScript = currentOutput(genesis, ledger).scriptPubKey
  const shape = shapeOf({ genesis }, feeRateSatPerKvb, changeScript, [], [{ key, row }])
  const roomSat = sweepRoomSat(ledger, genesis.params, SWEEP_REASON.renewal)
  return shape.minerFeeSat > roomSat ? 'fund' : 'block'
}

function isWorthSweeping(genesis: Genesis, row: OutputRow, feeRateSatPerKvb: number): boolean {
  const weight = BigInt(inputWeight(genesis, row.epoch))
  return row.amountSat * 4000n >= BigInt(feeRateSatPerKvb) * weight * WORTH_FEES
}

/** What a rule looks at. */
interface Sight {
  readonly ledger: Ledger
  readonly context: PegContext
  /** Free, worth their fee; the deepest first. */
  readonly free: readonly Entry<OutputRow>[]
  /** Of these, what is conflictDepth deep: nobody waits for a sweep, so none depends on what a reorg may take (4.5). */
  readonly settled: readonly Entry<OutputRow>[]
}

/** Why coins are swept. */
interface Rule {
  /** It keeps coins safe: its fee may go into the advance (4.7), it may bring sweeps to half of the reserve; others wait, and a quarter is the most. */
  readonly isUrgent: boolean
  /** How many sweeps may wait, the new one among them: the last places are for what is more urgent. */
  readonly places: number
  /** What it spends, in the order in which chunks take it; nothing where it is not due. */
  readonly candidates: (sight: Sight) => readonly Entry<OutputRow>[]
}

/** The first that is due is the next sweep. */
const RULES: { readonly [R in SweepReason]: Rule } = {
  renewal: { isUrgent: true, places: MAX_OPEN_SWEEPS, candidates: renewable },
  handover: { isUrgent: true, places: MAX_OPEN_SWEEPS - 1, candidates: leftBehind },
  late: { isUrgent: false, places: 2, candidates: lateDeposits },
  consolidation: { isUrgent: false, places: 2, candidates: smallest },
  split: { isUrgent: false, places: 2, candidates: largest },
}

const REASONS = Object.keys(RULES) as readonly SweepReason[]

/** All that gets old, once one of them is due. */
function renewable({ context: { genesis }, free, ledger }: Sight): readonly Entry<OutputRow>[] {
  const ageOf = ({ row }: Entry<OutputRow>) => outputAge(ledger.state.tipHeight, row)
  const isDue = free.some((entry) => isRenewalDue(genesis, ageOf(entry)))
  return isDue ? free.filter((entry) => isRenewable(genesis, ageOf(entry))) : []
}

function leftBehind({ ledger, settled }: Sight): readonly Entry<OutputRow>[] {
  return settled.filter(({ row }) => isLeftBehind(ledger, row))
}

/** Deposits that came to an older key after the newest took over, when they are a group or one has waited. */
function lateDeposits({ ledger, settled }: Sight): readonly Entry<OutputRow>[] {
  const { epoch, tipHeight } = ledger.state
  const late = settled.filter(({ row }) => row.epoch < epoch && !isLeftBehind(ledger, row))
  const isDue =
    late.length >= LATE_GROUP || late.some(({ row }) => outputAge(tipHeight, row) > LATE_BLOCKS)
  return isDue ? late : []
}

/** Of too many outputs the smallest, which become one. */
function smallest(sight: Sight): readonly Entry<OutputRow>[] {
  const { ledger, settled } = sight
  if (ledger.open.reserve.size <= MOST_OUTPUTS || !isQuiet(sight)) return []
  const small = [...settled].sort((left, right) => bySize(right, left))
  return small.length < 2 ? [] : small
}

/** Of too few outputs the largest, which becomes several. */
function largest(sight: Sight): readonly Entry<OutputRow>[] {
  const { context, ledger, settled } = sight
  if (ledger.open.reserve.size >= LEAST_OUTPUTS || !isQuiet(sight)) return []
  // It is what the next payout needs: whoever burned before would wait until the parts are buried.
  if (ledger.open.requests.values().some(({ row }) => row.state === REQUEST_STATE.open)) return []
  const [first] = [...settled].sort(bySize)
  return first !== undefined && evenParts(ledger, context, [first]) > 1 ? [first] : []
}

/** Of an older key, and here when the newest took over or change since then: what a handover moves (5.8). */
function isLeftBehind(ledger: Ledger, row: OutputRow): boolean {
  const { epoch } = ledger.state
  const since = rowOf(ledger, 'keys', heightKey(epoch))?.height ?? 0
  return row.epoch < epoch && (row.kind === OUTPUT_KIND.change || row.height <= since)
}

/** Rates are low, and no more than a quarter of the reserve is on its way (PO-17). */
function isQuiet({ context, ledger }: Sight): boolean {
  let heldSat = 0n
  for (const { row } of ledger.open.reserve.values()) {
    if (!isZero(row.batchId)) heldSat += row.amountSat
  }
  return isLowRate(context) && heldSat * 4n <= ledger.state.reserveSat
}

function isLowRate({ recentFeeRates }: PegContext): boolean {
  return referenceRate(recentFeeRates) <= LOW_RATE_SAT_PER_KVB
}

/**
 * Outputs that these become (PO-17; after RSKIP455): as many as the reserve lacks, each a twentieth of it at least, so that what spends
 * one leaves coins to all that comes after. One where they make no two such parts.
 */
function evenParts(
  ledger: Ledger,
  { params }: PegContext,
  inputs: readonly Entry<OutputRow>[],
): number {
  const evenSat = ledger.state.reserveSat / BigInt(LEAST_OUTPUTS)
  const leastSat = params.minPegOutSat * PART_PAYOUTS
  const divisor = evenSat > leastSat ? evenSat : leastSat
  const parts = Number(sumSat(inputs) / divisor)
  const missing = LEAST_OUTPUTS - ledger.open.reserve.size + inputs.length
  return Math.max(1, Math.min(parts, missing))
}

/** Open batches that are sweeps. */
function openSweeps(ledger: Ledger): BatchRow[] {
  return [...ledger.open.batches.values()]
    .map(({ row }) => row)
    .filter(({ kind }) => kind === BATCH_KIND.sweep)
}

function isUrgentReason({ reason }: Pick<BatchRow, 'reason'>): boolean {
  return REASONS.some((name) => SWEEP_REASON[name] === reason && RULES[name].isUrgent)
}

/**
 * What sweeps may still cost for this reason: the fund, less what open ones and cancels will take, and the advance where waiting is
 * worse. A cancel that is booked was paid for, though its batch is open until it is released.
 */
export function sweepRoomSat(ledger: Ledger, params: Params, reason: number): bigint {
  const advanceSat = isUrgentReason({ reason }) ? params.advanceCapSat : 0n
  const open = [...ledger.open.batches.values()].map(({ row }) => row)
  const paying = open
    .filter((row) => row.kind === BATCH_KIND.sweep || hasCancelVersion(row))
    .filter((row) => !hasBookedVersion(ledger, row))
  return paying.reduce((rest, { versions }) => {
    const last = versions.at(-1)
    const spend = last && rowOf(ledger, 'spends', last)
    return spend === undefined ? rest : rest - versionFeeSat(ledger, spend)
  }, fundBalanceSat(ledger) + advanceSat)
}

/** The sweep that is due at this rate: a function of the parent's ledger, the rate and the block's height. */
export function buildSweep(
  ledger: Ledger,
  context: PegContext,
  feeRateSatPerKvb: number,
): PayoutPlan | undefined {
  const { genesis, params } = context
  const free = freeInputs(ledger)
    .filter(({ row }) => isWorthSweeping(genesis, row, feeRateSatPerKvb))
    .sort(byDepth)
  const settled = free.filter(
    ({ row }) => outputAge(ledger.state.tipHeight, row) >= params.conflictDepth,
  )
  const open = openSweeps(ledger)
  for (const reason of REASONS) {
    const { candidates, isUrgent, places } = RULES[reason]
    if (open.length >= places) continue
    const due = candidates({ ledger, context, free, settled })
    const inputs = chunkOf(ledger, context, isUrgent, due)
    if (inputs.length === 0) continue
    // Who waits for a payment goes before all but what must not wait.
    if (reason !== 'renewal' && buildPayout(ledger, context, feeRateSatPerKvb) !== undefined) {
      return undefined
    }
    const plan = planOf(ledger, context, feeRateSatPerKvb, reason, inputs)
    if (plan !== undefined) return plan
  }
  return undefined
}

/**
 * The longest beginning that one transaction may spend, the deepest first, for it is the conflict input. It is relayed by leaf A too,
 * for a key that lost its shares cannot be left in another way. Sweeps hold no more than half of the reserve, a quarter of it where
 * this one could wait; a single output that is more goes alone, if no sweep is open that is as urgent.
 */
function chunkOf(
  ledger: Ledger,
  { genesis }: PegContext,
  isUrgent: boolean,
  candidates: readonly Entry<OutputRow>[],
): readonly Entry<OutputRow>[] {
  const sweeping = openSweeps(ledger)
  const held = sweeping.flatMap(({ inputs }) =>
    inputs.map((key) => rowOf(ledger, 'outputs', key)?.amountSat ?? 0n),
  )
  let takenSat = held.reduce((sum, amountSat) => sum + amountSat, 0n)
  const { scriptPubKey } = currentOutput(genesis, ledger)
  const share = isUrgent ? 2n : 4n
  const isAlone = isUrgent ? !sweeping.some(isUrgentReason) : sweeping.length === 0
  let count = 0
  for (const { row } of candidates.slice(0, MAX_BATCH_INPUTS)) {
    takenSat += row.amountSat
    const isTooMuch = takenSat * share > ledger.state.reserveSat && !(isAlone && count === 0)
    const inputs = candidates.slice(0, count + 1)
    if (isTooMuch || !isRelayed(genesis, scriptPubKey, [], inputs, LEAST_OUTPUTS)) break
    count += 1
  }
  return candidates.slice(0, count).sort(byDepth)
}

function planOf(
  ledger: Ledger,
  context: PegContext,
  feeRateSatPerKvb: number,
  name: SweepReason,
  inputs: readonly Entry<OutputRow>[],
): PayoutPlan | undefined {
  const [first] = inputs
  if (first === undefined || (name === 'consolidation' && inputs.length < 2)) return undefined
  const reason = SWEEP_REASON[name]
  // A split is for comfort: it leaves the fund half of what it has, for its own bumps and for what must not wait.
  const roomSat = sweepRoomSat(ledger, context.params, reason) / (name === 'split' ? 2n : 1n)
  const changeScript = currentOutput(context.genesis, ledger).scriptPubKey
  for (const parts of partsOf(ledger, context, name, inputs)) {
    const shape = shapeOf(context, feeRateSatPerKvb, changeScript, [], inputs, parts)
    const isPaid = shape.minerFeeSat <= roomSat
    if (!isPaid || shape.changeSat === 0n || !isFeeBounded(shape)) continue
    const id = batchId(context, { inputs, requests: [] })
    const fields = { kind: 'sweep', batchId: id, version: 0, feeRateSatPerKvb } as const
    return { ...versionPlan(ledger, context, shape, fields), reason }
  }
  return undefined
}

/** Numbers of outputs, the best first: even parts while they cost little, or one, which is no split. */
function partsOf(
  ledger: Ledger,
  context: PegContext,
  name: SweepReason,
  inputs: readonly Entry<OutputRow>[],
): readonly number[] {
  const parts = isLowRate(context) ? evenParts(ledger, context, inputs) : 1
  return name === 'split' || parts === 1 ? [parts] : [parts, 1]
}

/** The sweep that a proposer may record. */
export function dueSweep(ledger: Ledger, context: PegContext): PegRecord | undefined {
  return buildSweep(ledger, context, allowedRate(context))?.record
}

/** Checks a sweep against what the parent's ledger gives, and opens its batch. */
export function applySweep(
  draft: LedgerDraft,
  parent: Ledger,
  context: PegContext,
  record: PegRecord,
): PegError | undefined {
  const plan = buildSweep(parent, context, record.feeRateSatPerKvb)
  if (plan === undefined) return fault('SweepNotDue')
  return recordBatch(draft, context, record, { kind: BATCH_KIND.sweep, plan, pays: [] })
}
