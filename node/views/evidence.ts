/** Who signed twice, for the API: what waits for a block, and what the ledger says that blocks carried (protocol §2.9). */
import type { EvidenceRow } from '../../core/ledger/index.ts'
import type { EvidencePage } from '../api/index.ts'
import type { LiveViews } from './live.ts'

type Rows = readonly (readonly [Uint8Array, EvidenceRow])[]

export function createEvidenceView(live: LiveViews): (from: number, count: number) => EvidencePage {
  let set: object | undefined
  let rows: Rows = []
  /** Newest first. The ledger's set is another value only after a block that convicts. */
  const carried = (): Rows => {
    const evidence = live.head?.head.ledger.sets.evidence
    if (evidence === undefined || evidence === set) return rows
    rows = [...evidence.entries()].sort(
      ([leftKey, left], [rightKey, right]) =>
        right.height - left.height || Buffer.compare(leftKey, rightKey),
    )
    set = evidence
    return rows
  }
  return (from, count) => {
    const all = carried()
    return {
      waitingTotal: live.evidence.length,
      waiting: live.evidence.slice(from, from + count),
      carriedTotal: all.length,
      carried: all.slice(from, from + count).map(([key, row]) => ({ key, ...row })),
    }
  }
}
