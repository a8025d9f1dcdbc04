/** What the peg still needs of old blocks (PR-2). Pure. */
import type { Genesis } from '../params/index.ts'
import type { Ledger } from './ledger.ts'

/**
 * The lowest height whose block must stay: where an open request was burned or an open batch recorded. Where work has to anchor the
 * chain, nothing above the last anchored height may go, and no block has been anchored yet: all must stay. A rule of this node alone.
 */
export function lowestNeeded({ params }: Genesis, { open, state }: Ledger): number {
  if (params.anchorGate !== 'off') return 1
  let lowest = state.height
  for (const { row } of open.requests.values()) lowest = Math.min(lowest, row.height)
  for (const { row } of open.batches.values()) lowest = Math.min(lowest, row.height)
  return lowest
}
