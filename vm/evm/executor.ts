/**
 * Builds and checks blocks (protocol 4.0, 6.1–6.3). Proposer and validator run the same code: a validator recomputes
 * every field that the proposer wrote and compares.
 */
import type { ExecutionPayload, Withdrawal } from '../../core/block/index.ts'
import { bigintToBytes, concatBytes, equalBytes, toHex } from '../../crypto/index.ts'
import { type BridgeLogs, bridgeLogs } from './bridge-logs.ts'
import type { ChainEvm } from './chain.ts'
import { isGasLimitStep, nextBaseFee, smaller } from './gas.ts'
import { hashPayload } from './header.ts'
import { keccak256 } from './keccak.ts'
import {
  BLOCK_RLP_OVERHEAD_BYTES,
  MAX_BLOCK_RLP_BYTES,
  MAX_EXTRA_DATA_BYTES,
  MAX_TRANSACTION_BYTES,
  MAX_TRANSACTIONS,
} from './limits.ts'
import { bloomOf, encodeReceipt, joinBlooms, type Receipt } from './receipt.ts'
import type { Rejection } from './rejection.ts'
import {
  type BlockEnvironment,
  credit,
  type EvmBlock,
  evmBlock,
  runTransaction,
  systemCall,
} from './run-transaction.ts'
import { recoverSender } from './sender.ts'
import { type StateDelta, StateSeal, type StateView } from './state.ts'
import type { StateJournal } from './state-journal.ts'
import {
  BEACON_ROOTS_ADDRESS,
  CONSOLIDATION_REQUESTS_ADDRESS,
  HISTORY_ADDRESS,
  HISTORY_BUFFER_LENGTH,
  SYSTEM_ADDRESS,
  WITHDRAWAL_REQUESTS_ADDRESS,
} from './system-contracts.ts'
import { decodeTransaction, type EvmTransaction, isTransaction } from './transaction.ts'
import { orderedRoot } from './trie-nodes.ts'

const WEI_PER_GWEI = 1_000_000_000n
/** After so many transactions what they changed is hashed, so that little is left for the end: the time that packing takes is the whole. */
const SEALED_TOGETHER = 256

/** What a block needs to know about its parent. */
export type ParentHeader = Pick<
  ExecutionPayload,
  'blockHash' | 'blockNumber' | 'gasLimit' | 'gasUsed' | 'baseFeePerGas' | 'timestamp'
>

export type BuildAttributes = {
  readonly timestamp: number
  readonly prevRandao: Uint8Array
  readonly feeRecipient: Uint8Array
  readonly withdrawals: readonly Withdrawal[]
  readonly parentBeaconBlockRoot: Uint8Array
  readonly gasLimit: number
  readonly extraData?: Uint8Array
}

/** A raw transaction; the sender too where it has been recovered already. */
export type RawTransaction = { readonly raw: Uint8Array; readonly sender?: Uint8Array | undefined }

export type DropReason =
  | Rejection
  | 'TransactionMalformed'
  | 'TransactionTypeRefused'
  | 'TransactionTooLarge'
  | 'BlockFull'
  | 'ExecutionFault'
export type Dropped = { readonly hash: string; readonly reason: DropReason }

/** What of a block's execution other parts of the node act on. */
export type BlockOutcome = BridgeLogs & {
  readonly gasUsed: number
  readonly feesBurnedWei: bigint
  readonly receiptsRoot: Uint8Array
  readonly transactionCount: number
}

export type ExecutedBlock = {
  readonly payload: ExecutionPayload
  readonly outcome: BlockOutcome
  readonly receipts: readonly Receipt[]
  readonly transactionHashes: readonly Uint8Array[]
  readonly senders: readonly Uint8Array[]
  readonly delta: StateDelta
}

export type ExecutionFault = { readonly code: string; readonly reason: string }

type Progress = {
  readonly environment: BlockEnvironment
  readonly block: EvmBlock
  gasUsed: bigint
  readonly receipts: Receipt[]
  readonly blooms: Uint8Array[]
  readonly transactions: EvmTransaction[]
  readonly senders: Uint8Array[]
}

/** A block in the making: more transactions may be packed into it until it is finished, or the interpreter is pointed elsewhere. */
export class BlockDraft {
  readonly #chain: ChainEvm
  readonly #seal: StateSeal
  readonly #parent: ParentHeader
  readonly #progress: Progress
  readonly #packed = new Set<string>()
  #bytes = BLOCK_RLP_OVERHEAD_BYTES

  constructor(chain: ChainEvm, view: StateView, parent: ParentHeader, attributes: BuildAttributes) {
    this.#chain = chain
    this.#seal = new StateSeal(view)
    this.#parent = parent
    this.#progress = begin(chain, view, parent, attributes)
  }

  get transactionCount(): number {
    return this.#progress.transactions.length
  }

  /** Packs what fits, in the order given. Once `mustStop` says so no further transaction is begun (6.3). What is in it already stays. */
  async pack(
    candidates: readonly RawTransaction[],
    mustStop: () => boolean,
  ): Promise<readonly Dropped[]> {
    const dropped: Dropped[] = []
    const mayRepeat = this.#packed.size > 0
    for (const { raw, sender: known } of candidates) {
      if (mayRepeat && this.#packed.has(toHex(keccak256(raw)))) continue
      // What was not begun is no verdict: it waits for the next block.
      if (mustStop()) break
      const transaction = decodeTransaction(raw)
      if (!isTransaction(transaction)) {
        dropped.push({ hash: toHex(keccak256(raw)), reason: transaction.code })
        continue
      }
      const hash = toHex(transaction.hash)
      const reason = await this.#take(transaction, known ?? recoverSender(transaction))
      if (reason === undefined) this.#packed.add(hash)
      // What took its nonce here may be of a block that is never committed.
      else if (!(mayRepeat && reason === 'NonceTooLow')) dropped.push({ hash, reason })
    }
    return dropped
  }

  async #take(
    transaction: EvmTransaction,
    sender: Uint8Array | undefined,
  ): Promise<DropReason | undefined> {
    const { raw } = transaction
    if (sender === undefined) return 'SenderUnrecoverable'
    if (raw.length > MAX_TRANSACTION_BYTES) return 'TransactionTooLarge'
    if (this.#progress.receipts.length === MAX_TRANSACTIONS) return 'BlockFull'
    if (this.#bytes + raw.length + 5 > MAX_BLOCK_RLP_BYTES) return 'BlockFull'
    const rejected = await tryInclude(this.#chain, this.#progress, transaction, sender)
    if (rejected !== undefined) return rejected
    this.#bytes += raw.length + 5
    if (this.transactionCount % SEALED_TOGETHER === 0)
      this.#seal.absorb(this.#chain.state.changes())
    return undefined
  }

  /** Withdrawals come last: they are those of `attributes`, whatever was said of them when it was begun. */
  finish(attributes: BuildAttributes): Promise<ExecutedBlock> {
    return finish(this.#chain, this.#seal, this.#parent, attributes, this.#progress)
  }
}

/** A transaction that the interpreter itself fails on is left out; no block is lost by it. */
async function tryInclude(
  chain: ChainEvm,
  progress: Progress,
  transaction: EvmTransaction,
  sender: Uint8Array,
): Promise<DropReason | undefined> {
  try {
    const rejected = await include(chain, progress, transaction, sender)
    if (rejected !== 'GasLimitTooHigh') return rejected
    const most = smaller(BigInt(progress.environment.gasLimit), chain.fork.maxTransactionGas)
    return transaction.gasLimit > most ? rejected : 'BlockFull'
  } catch {
    return 'ExecutionFault'
  }
}

async function include(
  chain: ChainEvm,
  progress: Progress,
  transaction: EvmTransaction,
  sender: Uint8Array,
): Promise<Rejection | undefined> {
  const { environment, block } = progress
  const available = BigInt(environment.gasLimit) - progress.gasUsed
  const ran = await runTransaction(chain, environment, block, transaction, sender, available)
  if ('rejected' in ran) return ran.rejected
  progress.gasUsed += ran.result.gasUsed
  const receipt: Receipt = {
    type: transaction.type,
    status: ran.result.status,
    cumulativeGasUsed: Number(progress.gasUsed),
    logs: ran.result.logs,
  }
  progress.receipts.push(receipt)
  progress.blooms.push(bloomOf(receipt.logs))
  progress.transactions.push(transaction)
  progress.senders.push(sender)
  return undefined
}

/** Executes a block of another author on its parent's state and compares every field. */
export async function checkBlock(
  chain: ChainEvm,
  view: StateView,
  parent: ParentHeader,
  payload: ExecutionPayload,
  senders: readonly (Uint8Array | undefined)[],
): Promise<ExecutedBlock | ExecutionFault> {
  const fault = headerFault(parent, payload)
  if (fault !== undefined) return fault
  const progress = begin(chain, view, parent, payload)
  for (const [index, raw] of payload.transactions.entries()) {
    const transaction = decodeTransaction(raw)
    if (!isTransaction(transaction)) {
      return { code: transaction.code, reason: `transaction ${index}: ${transaction.reason}` }
    }
    const sender = senders[index] ?? recoverSender(transaction)
    const rejected =
      sender === undefined
        ? 'SenderUnrecoverable'
        : await include(chain, progress, transaction, sender)
    if (rejected !== undefined) {
      return { code: 'TransactionInvalid', reason: `transaction ${index}: ${rejected}` }
    }
  }
  const executed = await finish(chain, new StateSeal(view), parent, payload, progress)
  return differingField(payload, executed.payload) ?? executed
}

/** What is wrong with a block that needs no execution to see. */
export function headerFault(
  parent: ParentHeader,
  payload: ExecutionPayload,
): ExecutionFault | undefined {
  const fault = (code: string, reason: string): ExecutionFault => ({ code, reason })
  if (!equalBytes(payload.parentHash, parent.blockHash))
    return fault('ParentMismatch', 'parentHash')
  if (payload.blockNumber !== parent.blockNumber + 1) return fault('NumberMismatch', 'blockNumber')
  if (payload.timestamp <= parent.timestamp) return fault('TimestampNotAfterParent', 'timestamp')
  if (!isGasLimitStep(parent.gasLimit, payload.gasLimit)) {
    return fault('GasLimitStep', `${parent.gasLimit} to ${payload.gasLimit}`)
  }
  if (payload.baseFeePerGas !== nextBaseFee(parent))
    return fault('BaseFeeMismatch', 'baseFeePerGas')
  if (payload.blobGasUsed !== 0 || payload.excessBlobGas !== 0) {
    return fault('BlobsRefused', 'blobGasUsed and excessBlobGas are 0')
  }
  if (payload.extraData.length > MAX_EXTRA_DATA_BYTES) return fault('ExtraDataTooLong', 'extraData')
  if (payload.transactions.length > MAX_TRANSACTIONS) return fault('BlockTooLarge', 'transactions')
  if (payloadBytes(payload) > MAX_BLOCK_RLP_BYTES) return fault('BlockTooLarge', 'EIP-7934')
  if (payload.transactions.some((raw) => raw.length > MAX_TRANSACTION_BYTES)) {
    return fault('TransactionTooLarge', 'a transaction exceeds its bound')
  }
  return undefined
}

function payloadBytes(payload: ExecutionPayload): number {
  return payload.transactions.reduce((sum, raw) => sum + raw.length + 5, BLOCK_RLP_OVERHEAD_BYTES)
}

const COMPARED = [
  ['gasUsed', 'GasUsedMismatch'],
  ['receiptsRoot', 'ReceiptsRootMismatch'],
  ['logsBloom', 'LogsBloomMismatch'],
  ['stateRoot', 'StateRootMismatch'],
  ['executionRequests', 'RequestsMismatch'],
  ['blockHash', 'BlockHashMismatch'],
] as const

function differingField(
  claimed: ExecutionPayload,
  computed: ExecutionPayload,
): ExecutionFault | undefined {
  for (const [field, code] of COMPARED) {
    if (!isSame(claimed[field], computed[field])) return { code, reason: field }
  }
  return undefined
}

type Comparable = number | Uint8Array | readonly Uint8Array[]

function isSame(left: Comparable, right: Comparable): boolean {
  if (typeof left === 'number' || typeof right === 'number') return left === right
  if (left instanceof Uint8Array) return right instanceof Uint8Array && equalBytes(left, right)
  if (right instanceof Uint8Array || left.length !== right.length) return false
  return left.every((item, index) => equalBytes(item, right[index] as Uint8Array))
}

function begin(
  chain: ChainEvm,
  view: StateView,
  parent: ParentHeader,
  attributes: BuildAttributes,
): Progress {
  const lists = { receipts: [], blooms: [], transactions: [], senders: [] }
  return { ...beginBlock(chain, view, parent, attributes), gasUsed: 0n, ...lists }
}

/** State and environment before the first transaction: EIP-4788's and EIP-2935's writes are done. */
export function beginBlock(
  chain: ChainEvm,
  view: StateView,
  parent: ParentHeader,
  attributes: BuildAttributes,
): { readonly environment: BlockEnvironment; readonly block: EvmBlock } {
  chain.begin(view)
  const environment: BlockEnvironment = {
    height: parent.blockNumber + 1,
    timestamp: attributes.timestamp,
    gasLimit: attributes.gasLimit,
    baseFeeWei: nextBaseFee(parent),
    feeRecipient: attributes.feeRecipient,
    prevRandao: attributes.prevRandao,
  }
  const { state, fork } = chain
  const index = attributes.timestamp % HISTORY_BUFFER_LENGTH
  const beaconRoots = toHex(BEACON_ROOTS_ADDRESS)
  if (hasCode(state, beaconRoots)) {
    state.setStorage(beaconRoots, slotOf(index), bigintToBytes(BigInt(attributes.timestamp), 32))
    const rootSlot = slotOf(index + HISTORY_BUFFER_LENGTH)
    state.setStorage(beaconRoots, rootSlot, attributes.parentBeaconBlockRoot)
  }
  const history = toHex(HISTORY_ADDRESS)
  if (fork.hasBlockHashes && hasCode(state, history)) {
    state.setStorage(history, slotOf(parent.blockNumber % HISTORY_BUFFER_LENGTH), parent.blockHash)
  }
  state.endTransaction()
  return { environment, block: evmBlock(environment) }
}

/** Both EIPs: without code at the address nothing is written. */
function hasCode(state: StateJournal, addressHex: string): boolean {
  return state.code(state.account(addressHex)).length > 0
}

function slotOf(index: number): string {
  return index.toString(16).padStart(64, '0')
}

/** Withdrawals, requests, roots and the hash. */
async function finish(
  chain: ChainEvm,
  seal: StateSeal,
  parent: ParentHeader,
  attributes: BuildAttributes,
  progress: Progress,
): Promise<ExecutedBlock> {
  for (const { address, amountGwei } of attributes.withdrawals) {
    credit(chain, toHex(address), amountGwei * WEI_PER_GWEI)
  }
  const executionRequests = chain.fork.hasRequests
    ? await collectRequests(chain, progress.block)
    : []
  const { root, delta } = seal.seal(chain.state.changes())
  const { environment, receipts, blooms, transactions } = progress
  const encoded = receipts.map((receipt, index) =>
    encodeReceipt(receipt, blooms[index] as Uint8Array),
  )
  const unsealed: Omit<ExecutionPayload, 'blockHash'> = {
    parentHash: parent.blockHash,
    feeRecipient: attributes.feeRecipient,
    stateRoot: root,
    receiptsRoot: orderedRoot(encoded),
    logsBloom: joinBlooms(blooms),
    prevRandao: attributes.prevRandao,
    blockNumber: environment.height,
    gasLimit: environment.gasLimit,
    gasUsed: Number(progress.gasUsed),
    timestamp: environment.timestamp,
    extraData: attributes.extraData ?? new Uint8Array(0),
    baseFeePerGas: environment.baseFeeWei,
    transactions: transactions.map(({ raw }) => raw),
    withdrawals: [...attributes.withdrawals],
    blobGasUsed: 0,
    excessBlobGas: 0,
    parentBeaconBlockRoot: attributes.parentBeaconBlockRoot,
    executionRequests,
  }
  return {
    payload: { ...unsealed, blockHash: hashPayload(unsealed, chain.fork) },
    outcome: {
      ...bridgeLogs(receipts),
      gasUsed: unsealed.gasUsed,
      feesBurnedWei: progress.gasUsed * environment.baseFeeWei,
      receiptsRoot: unsealed.receiptsRoot,
      transactionCount: transactions.length,
    },
    receipts,
    transactionHashes: transactions.map(({ hash }) => hash),
    senders: progress.senders,
    delta,
  }
}

/** EIP-7685: withdrawal and consolidation requests; none of EIP-6110, for there is no deposit contract. */
async function collectRequests(chain: ChainEvm, block: EvmBlock): Promise<Uint8Array[]> {
  const requests: Uint8Array[] = []
  const sources = [
    { type: 1, address: WITHDRAWAL_REQUESTS_ADDRESS },
    { type: 2, address: CONSOLIDATION_REQUESTS_ADDRESS },
  ]
  for (const { type, address } of sources) {
    const data = await systemCall(chain, block, SYSTEM_ADDRESS, address)
    if (data.length > 0) requests.push(concatBytes(Uint8Array.of(type), data))
  }
  return requests
}
