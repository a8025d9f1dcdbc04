/** The records of a block: each is what the rules give, and one is enough (protocol §4.5). */
import { type PegRecord, RECORD_KINDS, type RecordKind } from '../block/index.ts'
import type { Ledger, LedgerDraft } from '../ledger/index.ts'
import { applyBump, dueBump } from './bumps.ts'
import type { PegContext } from './context.ts'
import { fault, type PegError } from './errors.ts'
import { allowedRate, applyPayout, buildPayout } from './payout.ts'
import { applyRefund, dueRefunds } from './refunds.ts'

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
  if (Math.max(parent.state.pegOutStops, draft.state.pegOutStops) > 0) return fault('PegOutsPaused')
  return RULES[kind](draft, parent, context, record)
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
  if (ledger.state.pegOutStops > 0) return
  for (const batchId of unconfirmed) {
    const bump = dueBump(ledger, context, batchId)
    if (bump !== undefined) yield bump.record
  }
  const payout = buildPayout(ledger, context, allowedRate(context))
  if (payout !== undefined) yield payout.record
  yield* dueRefunds(ledger, context)
}
