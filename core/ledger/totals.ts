/**
 * What each row adds to which sum. Every term of the ledger identity (protocol §4.7) is a sum over rows listed here and none is
 * computed from the others; a draft keeps the sums by the difference that each changed row makes.
 */
import {
  DEFICIT_CAUSE,
  FUND_CAUSE,
  OUTPUT_KIND,
  OUTPUT_STATE,
  REQUEST_STATE,
  type SetName,
  type SetRows,
  SPEND_KIND,
  SPEND_STATE,
} from './rows.ts'

export const TOTALS = [
  'reserveSat',
  'mintedSat',
  'burnedSat',
  'creditedSat',
  'unpaidSat',
  'refundsSat',
  'fundSat',
  'deficitSat',
] as const
export type TotalName = (typeof TOTALS)[number]

export const COUNTS = ['pegInStops', 'pegOutStops'] as const
export type CountName = (typeof COUNTS)[number]

type Part = readonly [TotalName | CountName, bigint]
type Parts = readonly Part[]

const NOTHING: Parts = []

const PARTS: { readonly [S in SetName]?: (row: SetRows[S]) => Parts } = {
  outputs: (row) => {
    const parts: Part[] = []
    if (row.state === OUTPUT_STATE.live) parts.push(['reserveSat', row.amountSat])
    if (row.kind === OUTPUT_KIND.credit) {
      if (row.minted) parts.push(['mintedSat', row.amountSat - row.feeSat])
      else parts.push(['creditedSat', row.amountSat])
    }
    // A refund is owed even if a stray spend took its coin, but not when the deposit itself is gone (4.9).
    const isOver = row.state === OUTPUT_STATE.absent || row.state === OUTPUT_STATE.refunded
    if (row.kind === OUTPUT_KIND.refundable && !isOver) {
      parts.push(['refundsSat', row.amountSat])
    }
    return parts
  },
  requests: (row) => {
    const parts: Part[] = [['burnedSat', row.amountSat]]
    if (row.state === REQUEST_STATE.refunded) {
      parts.push(['mintedSat', row.amountSat - row.feeSat])
    } else if (row.state !== REQUEST_STATE.paid) {
      parts.push(['unpaidSat', row.amountSat])
    }
    return parts
  },
  spends: (row) =>
    row.kind === SPEND_KIND.stray && row.state === SPEND_STATE.booked && !row.accepted
      ? [['pegOutStops', 1n]]
      : NOTHING,
  fund: (row) => {
    const parts: Part[] = [['fundSat', row.incomeSat - row.spentSat]]
    // Fund(amount) of the Bridge is a burn whose value becomes a fund row.
    if (row.cause === FUND_CAUSE.contract) parts.push(['burnedSat', row.incomeSat])
    return parts
  },
  deficits: (row) => {
    const parts: Part[] = [['deficitSat', row.amountSat]]
    const stopsPegIns = row.cause === DEFICIT_CAUSE.reorg && row.amountSat > 0n && !row.accepted
    if (stopsPegIns) parts.push(['pegInStops', 1n])
    return parts
  },
}

/** What a row adds; a row of a set that enters no sum adds nothing. */
export function partsOf<S extends SetName>(set: S, row: SetRows[S]): Parts {
  const parts = PARTS[set] as ((row: SetRows[S]) => Parts) | undefined
  return parts === undefined ? NOTHING : parts(row)
}
