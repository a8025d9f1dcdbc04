/**
 * Blocks that another execution client runs: what this chain asks of them beyond Ethereum's rules (protocol 6.1, 6.2), and what they
 * did, read from receipts that have the root of the block.
 */
import type { ExecutionPayload } from '../../core/block/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import { bridgeLogs } from './bridge-logs.ts'
import {
  type BlockOutcome,
  type ExecutionFault,
  headerFault,
  type ParentHeader,
} from './executor.ts'
import { hashPayload } from './header.ts'
import { bloomOf, encodeReceipt, type Receipt } from './receipt.ts'
import { decodeTransaction, isTransaction } from './transaction.ts'
import { orderedRoot } from './trie-nodes.ts'

/** What is wrong with a block before anybody executes it; a client that knows nothing of our rules is not asked about these. */
export function foreignBlockFault(
  parent: ParentHeader,
  payload: ExecutionPayload,
): ExecutionFault | undefined {
  const fault = headerFault(parent, payload)
  if (fault !== undefined) return fault
  for (const [index, raw] of payload.transactions.entries()) {
    const transaction = decodeTransaction(raw)
    if (isTransaction(transaction)) continue
    return { code: transaction.code, reason: `transaction ${index}: ${transaction.reason}` }
  }
  return equalBytes(hashPayload(payload), payload.blockHash)
    ? undefined
    : { code: 'BlockHashMismatch', reason: 'blockHash' }
}

/** What the block did. Undefined: these are not its receipts. */
export function foreignBlockOutcome(
  payload: ExecutionPayload,
  receipts: readonly Receipt[],
): BlockOutcome | undefined {
  if (receipts.length !== payload.transactions.length) return undefined
  const encoded = receipts.map((receipt) => encodeReceipt(receipt, bloomOf(receipt.logs)))
  if (!equalBytes(orderedRoot(encoded), payload.receiptsRoot)) return undefined
  return storedOutcome(payload, receipts)
}

/** What a block did whose receipts are its own. */
export function storedOutcome(
  payload: ExecutionPayload,
  receipts: readonly Receipt[],
): BlockOutcome {
  return {
    ...bridgeLogs(receipts),
    gasUsed: payload.gasUsed,
    feesBurnedWei: BigInt(payload.gasUsed) * payload.baseFeePerGas,
    receiptsRoot: payload.receiptsRoot,
    transactionCount: receipts.length,
  }
}
