/** The records of a block: each is what the rules give, and one is enough (protocol §4.5). */
import { type PegRecord, RECORD_KINDS, type RecordKind } from '../block/index.ts'
import { BATCH_KIND, type Ledger, type LedgerDraft, rowOf } from '../ledger/index.ts'
import { applyBump, dueBump } from './bumps.ts'
import type { PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import { allowedRate, applyPayout, buildPayout, isRateAllowed } from './payout.ts'
import { applyRefund, dueRefunds } from './refunds.ts'
import { applySweep, dueSweep } from './sweeps.ts'
import { hasCancelVersion } from './versions.ts'

type ApplyRecord = (
  draft: LedgerDraft,
  parent: Ledger,
  context: PegContext,
  record: PegRecord,
) => PegError | undefined

const RULES: { readonly [K in RecordKind]: ApplyRecord } = {
  payout: applyPayout,
  bump: applyBump,
  refund: applyRefund,
  sweep: applySweep,
}

/** Checks a block's record against what the parent's ledger gives, and books it. */
export function applyRecords(
  draft: LedgerDraft,
  parent: Ledger,
  context: PegContext,
  records: readonly PegRecord[],
): PegError | undefined {
  const [record] = records
  if (record === undefined) return undefined
  if (records.length > 1) return fault('RecordExtra', `${records.length}`)
  const kind = RECORD_KINDS[record.kind]
  if (kind === undefined) return fault('RecordKindUnknown', `${record.kind}`)
  const isPaused = Math.max(parent.state.pegOutStops, draft.state.pegOutStops) > 0
  if (isPaused && !paysNobody(parent, record)) return fault('PegOutsPaused')
  const { feeRateSatPerKvb: rate } = record
  // A bump's is bounded by that of the version before.
  if (kind !== 'bump' && !isRateAllowed(context, rate))
    return fault('RecordRateOutOfBounds', `${rate}`)
  return RULES[kind](draft, parent, context, record)
}

/** A pause stops payments. It does not stop coins from being moved to a safer key: that may be the way out of it. */
function paysNobody(parent: Ledger, { batchId, kind }: PegRecord): boolean {
  return RECORD_KINDS[kind] === 'sweep' || staysWithUs(parent, batchId)
}

/** Whether the next version of a batch pays nobody: it is a sweep, or cancelled. */
function staysWithUs(ledger: Ledger, batchId: Uint8Array): boolean {
  const batch = rowOf(ledger, 'batches', batchId)
  return batch !== undefined && (batch.kind === BATCH_KIND.sweep || batch.cancel.length > 0)
}

/**
 * What a proposer may record, the most urgent first. Bumps are: a batch has none for some Bitcoin blocks after one.
 * `unconfirmed`: batches that its own Bitcoin has had for a while without mining them.
 */
export function* dueRecords(
  ledger: Ledger,
  context: PegContext,
  unconfirmed: readonly Uint8Array[],
): Generator<PegRecord> {
  const isPaused = ledger.state.pegOutStops > 0
  const cancelled = [...ledger.open.batches.values()].filter(
    ({ row }) => row.cancel.length > 0 && !hasCancelVersion(row),
  )
  for (const batchId of [...cancelled.map(({ key }) => key), ...unconfirmed]) {
    if (isPaused && !staysWithUs(ledger, batchId)) continue
    const bump = dueBump(ledger, context, batchId)
    if (bump !== undefined) yield bump.record
  }
  const payout = buildPayout(ledger, context, allowedRate(context))
  if (payout !== undefined) yield payout.record
  const sweep = dueSweep(ledger, context)
  if (sweep !== undefined) yield sweep
  // Thousands may wait, and a pause stops them all.
  if (isPaused) return
  yield* dueRefunds(ledger, context)
}
