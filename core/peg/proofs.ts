/** Inclusion of a transaction in the in-block header chain (protocol §4.2): checked by all, built by a proposer or member. */
import {
  type BitcoinMerkleTree,
  bitcoinMerkleBranch,
  bitcoinMerkleLeaf,
  bitsOfTail,
  equalBytes,
  sha256,
  sha256OfTail,
  sha256Tail,
  toDisplayHash,
  verifyBitcoinBranch,
} from '../../crypto/index.ts'
import {
  type BitcoinTransaction,
  isCoinbase,
  parseTransaction,
  serializeTransaction,
  stripTransaction,
  txid,
} from '../bitcoin/index.ts'
import { MAX_STRIPPED_TRANSACTION_BYTES, type TransactionProof } from '../block/index.ts'
import { type Ledger, LedgerDraft } from '../ledger/index.ts'
import { err, ok, type Result } from '../params/index.ts'
import { fault, type PegError } from './errors.ts'
import { bestHeader } from './headers.ts'

/** Outputs of a coinbase can be spent after so many blocks: earlier they count as no deposit. */
export const COINBASE_MATURITY = 100
/** Bytes that the proofs of one block may take. */
export const MAX_PROOF_BYTES = 256 * 1024
const MERKLE_NODE_BYTES = 64

export interface ProvenTransaction {
  readonly transaction: BitcoinTransaction
  readonly txid: Uint8Array
  readonly blockHash: Uint8Array
  readonly height: number
  readonly index: number
  /** tip − height + 1. */
  readonly confirmations: number
  readonly isCoinbase: boolean
}

/** Whether the proof holds in this ledger's header chain with at least `confirmations`. */
export function verifyProof(
  ledger: Ledger,
  proof: TransactionProof,
  confirmations: number,
): Result<ProvenTransaction, PegError> {
  const proven = checkProof(new LedgerDraft(ledger), proof)
  if (proven.ok && !isBuried(proven.value, confirmations)) {
    return err(fault('PegInTooYoung', `${proven.value.confirmations} of ${confirmations}`))
  }
  return proven
}

/** Whether it has the confirmations that are asked for, and a coinbase those of maturity. */
export function isBuried(proven: ProvenTransaction, confirmations: number): boolean {
  const needed = proven.isCoinbase ? Math.max(confirmations, COINBASE_MATURITY) : confirmations
  return proven.confirmations >= needed
}

/** `before` was found right in the same headers: its coinbase, where this one has the same, is not looked at again. */
export function checkProof(
  draft: LedgerDraft,
  proof: TransactionProof,
  before?: TransactionProof,
): Result<ProvenTransaction, PegError> {
  const { blockHash, branch, coinbaseBranch, transactionIndex } = proof
  const header = bestHeader(draft, blockHash)
  if (header === undefined) return err(fault('ProofBlockUnknown', toDisplayHash(blockHash)))
  const transaction = parseStripped(proof.transaction)
  if (transaction === undefined) return err(fault('ProofTransactionMalformed'))
  const coinbase = { state: proof.coinbaseState, block: proof.coinbaseBlock }
  if (
    proof.transaction.length === MERKLE_NODE_BYTES ||
    bitsOfTail(coinbase) === 8n * BigInt(MERKLE_NODE_BYTES)
  ) {
    return err(fault('ProofTransaction64Bytes'))
  }
  if (branch.length !== coinbaseBranch.length) return err(fault('ProofBranchLength'))
  if (transactionIndex >= 2 ** branch.length) return err(fault('ProofIndexTooLarge'))
  const root = header.header.slice(36, 68)
  const id = txid(transaction)
  if (!verifyBitcoinBranch(id, transactionIndex, branch, root))
    return err(fault('ProofBranchWrong'))
  const isKnown = before !== undefined && hasSameCoinbase(before, proof)
  if (!isKnown && !verifyBitcoinBranch(sha256(sha256OfTail(coinbase)), 0, coinbaseBranch, root)) {
    return err(fault('ProofCoinbaseBranchWrong'))
  }
  return ok({
    transaction,
    txid: id,
    blockHash,
    height: header.height,
    index: transactionIndex,
    confirmations: draft.state.tipHeight - header.height + 1,
    isCoinbase: isCoinbase(transaction),
  })
}

function hasSameCoinbase(left: TransactionProof, right: TransactionProof): boolean {
  return (
    equalBytes(left.blockHash, right.blockHash) &&
    equalBytes(left.coinbaseState, right.coinbaseState) &&
    equalBytes(left.coinbaseBlock, right.coinbaseBlock) &&
    left.coinbaseBranch.length === right.coinbaseBranch.length &&
    left.coinbaseBranch.every((node, at) =>
      equalBytes(node, right.coinbaseBranch[at] as Uint8Array),
    )
  )
}

/** A transaction without witness; undefined for anything else. */
export function parseStripped(bytes: Uint8Array): BitcoinTransaction | undefined {
  const parsed = parseTransaction(bytes)
  if (!parsed.ok || parsed.value.inputs.some(({ witness }) => witness.length > 0)) return undefined
  return parsed.value
}

export interface ProofSource {
  /** Internal byte order, as all hashes here. */
  readonly blockHash: Uint8Array
  /** Over the txids of the block. */
  readonly tree: BitcoinMerkleTree
  readonly index: number
  /** Both with or without witness. */
  readonly transaction: Uint8Array
  readonly coinbase: Uint8Array
}

export type BuildProofError = {
  readonly code: 'ProofSourceMalformed' | 'ProofSourceMismatch' | 'ProofTransactionTooLarge'
}

/** The proof of transaction `index` of a block. */
export function buildProof(source: ProofSource): Result<TransactionProof, BuildProofError> {
  const { blockHash, index, tree } = source
  const transaction = parseTransaction(source.transaction)
  const coinbase = parseTransaction(source.coinbase)
  if (!transaction.ok || !coinbase.ok) return err({ code: 'ProofSourceMalformed' })
  const id = bitcoinMerkleLeaf(tree, index)
  const first = bitcoinMerkleLeaf(tree, 0)
  const isSame =
    id !== undefined &&
    first !== undefined &&
    equalBytes(txid(transaction.value), id) &&
    equalBytes(txid(coinbase.value), first)
  if (!isSame) return err({ code: 'ProofSourceMismatch' })
  const bytes = serializeTransaction(stripTransaction(transaction.value))
  if (bytes.length > MAX_STRIPPED_TRANSACTION_BYTES) {
    return err({ code: 'ProofTransactionTooLarge' })
  }
  const tail = sha256Tail(serializeTransaction(stripTransaction(coinbase.value)))
  return ok({
    blockHash,
    transactionIndex: index,
    transaction: bytes,
    branch: bitcoinMerkleBranch(tree, index),
    coinbaseState: tail.state,
    coinbaseBlock: tail.block,
    coinbaseBranch: bitcoinMerkleBranch(tree, 0),
  })
}
