/** Fee suggestions and history, from committed blocks alone. */
import { type FeeRow, larger, nextBaseFee } from '../../vm/evm/index.ts'
import type { EvmView } from './port.ts'

/** Looked at for a suggested tip. */
const SAMPLE_BLOCKS = 20
const SAMPLE_PERCENTILE = 60
/** Suggested when the last blocks were empty, and never less: 0.001 gwei. */
export const LEAST_TIP_WEI = 1_000_000n

/** Base fee of the block after the head. */
export function nextBaseFeeWei(evm: EvmView): bigint {
  const head = evm.headerAt(evm.headHeight())
  if (head === undefined) throw new Error('the head block is missing')
  return nextBaseFee(head)
}

/** A tip that would have been among the better 40 % of late, and that the pool takes. */
export function suggestedTipWei(evm: EvmView, floorWei: bigint): bigint {
  const head = evm.headHeight()
  const tips: bigint[] = []
  for (let height = head; height > head - SAMPLE_BLOCKS && height > 0; height--) {
    for (const { tipWei } of evm.feesAt(height)) tips.push(tipWei)
  }
  tips.sort(ascending)
  const tip = tips[Math.floor(((tips.length - 1) * SAMPLE_PERCENTILE) / 100)] ?? 0n
  return larger(larger(tip, LEAST_TIP_WEI), floorWei)
}

/** The tips that the given shares of a block's gas paid at least, ascending; zeros for an empty block. `rows` ascend. */
export function rewardsOf(rows: readonly FeeRow[], percentiles: readonly number[]): bigint[] {
  const total = rows.reduce((sum, { gasUsed }) => sum + gasUsed, 0)
  let at = 0
  let gasSoFar = rows[0]?.gasUsed ?? 0
  return percentiles.map((percentile) => {
    const threshold = (total * percentile) / 100
    while (gasSoFar < threshold && at < rows.length - 1) {
      at += 1
      gasSoFar += rows[at]?.gasUsed ?? 0
    }
    return rows[at]?.tipWei ?? 0n
  })
}

function ascending(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0
}
