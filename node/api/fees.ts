/** Fee suggestions and history, from committed blocks alone. */
import { nextBaseFee, type ReceiptRead } from '../../vm/evm/index.ts'
import type { EvmBlock, EvmView } from './port.ts'

/** Looked at for a suggested tip. */
const SAMPLE_BLOCKS = 20
const SAMPLE_PERCENTILE = 60
/** Suggested when the last blocks were empty, and never less: 0.001 gwei. */
export const LEAST_TIP_WEI = 1_000_000n

/** Base fee of the block after the head. */
export function nextBaseFeeWei(evm: EvmView): bigint {
  const head = evm.blockAt(evm.headHeight())
  if (head === undefined) throw new Error('the head block is missing')
  return nextBaseFee(head.payload)
}

/** What the sender paid beside the base fee, per unit of gas. */
function tipOf(receipt: ReceiptRead, { payload }: EvmBlock): bigint {
  return receipt.transaction.effectiveGasPriceWei - payload.baseFeePerGas
}

/** A tip that would have been among the better 40 % of late. */
export function suggestedTipWei(evm: EvmView): bigint {
  const head = evm.headHeight()
  const tips: bigint[] = []
  for (let height = head; height > head - SAMPLE_BLOCKS && height > 0; height--) {
    const block = evm.blockAt(height)
    if (block === undefined || block.transactionHashes.length === 0) continue
    for (const receipt of evm.receiptsAt(height)) tips.push(tipOf(receipt, block))
  }
  tips.sort(ascending)
  const tip = tips[Math.floor(((tips.length - 1) * SAMPLE_PERCENTILE) / 100)] ?? 0n
  return tip > LEAST_TIP_WEI ? tip : LEAST_TIP_WEI
}

/** The tips that the given shares of a block's gas paid at least, ascending; zeros for an empty block. */
export function rewardsOf(
  block: EvmBlock,
  receipts: readonly ReceiptRead[],
  percentiles: readonly number[],
): bigint[] {
  const rows = receipts
    .map((receipt) => ({ tip: tipOf(receipt, block), gas: receipt.gasUsed }))
    .sort((left, right) => ascending(left.tip, right.tip))
  let at = 0
  let gasSoFar = rows[0]?.gas ?? 0
  return percentiles.map((percentile) => {
    const threshold = (block.payload.gasUsed * percentile) / 100
    while (gasSoFar < threshold && at < rows.length - 1) {
      at += 1
      gasSoFar += rows[at]?.gas ?? 0
    }
    return rows[at]?.tip ?? 0n
  })
}

function ascending(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0
}
