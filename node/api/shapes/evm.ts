/** EVM objects in the shapes of execution-apis. */
import type {
  AccessListItem,
  EvmTransaction,
  LogRead,
  ReceiptRead,
  TransactionRead,
} from '../../../vm/evm/index.ts'
import { data, dataOrNull, quantity } from '../hex.ts'
import type { EvmBlock, PooledTransaction } from '../port.ts'

type Json = Record<string, unknown>

/** keccak256(rlp([])): no block here has ommers. */
const NO_OMMERS = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'

/** `transactions`: full ones, or the block's hashes when absent. */
export function blockToJson(block: EvmBlock, transactions?: readonly TransactionRead[]): Json {
  const { payload } = block
  return {
    number: quantity(payload.blockNumber),
    hash: data(payload.blockHash),
    parentHash: data(payload.parentHash),
    sha3Uncles: NO_OMMERS,
    miner: data(payload.feeRecipient),
    stateRoot: data(payload.stateRoot),
    transactionsRoot: data(block.transactionsRoot),
    receiptsRoot: data(payload.receiptsRoot),
    logsBloom: data(payload.logsBloom),
    difficulty: '0x0',
    gasLimit: quantity(payload.gasLimit),
    gasUsed: quantity(payload.gasUsed),
    timestamp: quantity(payload.timestamp),
    extraData: data(payload.extraData),
    mixHash: data(payload.prevRandao),
    nonce: '0x0000000000000000',
    baseFeePerGas: quantity(payload.baseFeePerGas),
    withdrawalsRoot: data(block.withdrawalsRoot),
    blobGasUsed: quantity(payload.blobGasUsed),
    excessBlobGas: quantity(payload.excessBlobGas),
    parentBeaconBlockRoot: data(payload.parentBeaconBlockRoot),
    requestsHash: data(block.requestsHash),
    size: quantity(block.sizeBytes),
    uncles: [],
    transactions:
      transactions === undefined
        ? block.transactionHashes.map(data)
        : transactions.map(minedTransactionToJson),
    withdrawals: payload.withdrawals.map((withdrawal) => ({
      index: quantity(withdrawal.index),
      validatorIndex: quantity(withdrawal.validatorIndex),
      address: data(withdrawal.address),
      amount: quantity(withdrawal.amountGwei),
    })),
  }
}

export function minedTransactionToJson(mined: TransactionRead): Json {
  return {
    blockHash: data(mined.blockHash),
    blockNumber: quantity(mined.blockNumber),
    blockTimestamp: quantity(mined.timestamp),
    transactionIndex: quantity(mined.index),
    from: data(mined.sender),
    ...transactionFields(mined.transaction, mined.effectiveGasPriceWei),
  }
}

export function pooledTransactionToJson(pooled: PooledTransaction): Json {
  const { transaction, sender } = pooled
  return {
    blockHash: null,
    blockNumber: null,
    blockTimestamp: null,
    transactionIndex: null,
    from: data(sender),
    ...transactionFields(transaction, transaction.maxFeePerGas),
  }
}

/** The signed fields. `gasPriceWei`: what was paid, or the most that would be. */
function transactionFields(transaction: EvmTransaction, gasPriceWei: bigint): Json {
  const { signature, chainId, type } = transaction
  const yParity = BigInt(signature.yParity)
  const legacyV = chainId === undefined ? 27n + yParity : 35n + 2n * chainId + yParity
  return {
    hash: data(transaction.hash),
    type: quantity(type),
    nonce: quantity(transaction.nonce),
    to: dataOrNull(transaction.to),
    gas: quantity(transaction.gasLimit),
    value: quantity(transaction.value),
    input: data(transaction.data),
    gasPrice: quantity(gasPriceWei),
    ...(chainId === undefined ? {} : { chainId: quantity(chainId) }),
    ...(type === 2 || type === 4 ? feeFields(transaction) : {}),
    ...(type === 0 ? {} : { accessList: accessListToJson(transaction.accessList) }),
    ...(type === 4 ? { authorizationList: authorizationsToJson(transaction) } : {}),
    ...(type === 0 ? {} : { yParity: quantity(yParity) }),
    v: quantity(type === 0 ? legacyV : yParity),
    r: quantity(signature.r),
    s: quantity(signature.s),
  }
}

function feeFields(transaction: EvmTransaction): Json {
  return {
    maxFeePerGas: quantity(transaction.maxFeePerGas),
    maxPriorityFeePerGas: quantity(transaction.maxPriorityFeePerGas),
  }
}

export function accessListToJson(list: readonly AccessListItem[]): Json[] {
  return list.map(({ address, storageKeys }) => ({
    address: data(address),
    storageKeys: storageKeys.map(data),
  }))
}

function authorizationsToJson(transaction: EvmTransaction): Json[] {
  return transaction.authorizations.map((authorization) => ({
    chainId: quantity(authorization.chainId),
    address: data(authorization.address),
    nonce: quantity(authorization.nonce),
    yParity: quantity(authorization.yParity),
    r: quantity(authorization.r),
    s: quantity(authorization.s),
  }))
}

export function receiptToJson(receipt: ReceiptRead): Json {
  const { transaction: mined } = receipt
  return {
    transactionHash: data(mined.transaction.hash),
    transactionIndex: quantity(mined.index),
    blockHash: data(mined.blockHash),
    blockNumber: quantity(mined.blockNumber),
    from: data(mined.sender),
    to: dataOrNull(mined.transaction.to),
    contractAddress: dataOrNull(receipt.contractAddress),
    type: quantity(mined.transaction.type),
    status: quantity(receipt.status),
    cumulativeGasUsed: quantity(receipt.cumulativeGasUsed),
    gasUsed: quantity(receipt.gasUsed),
    effectiveGasPrice: quantity(mined.effectiveGasPriceWei),
    logsBloom: data(receipt.logsBloom),
    logs: receipt.logs.map(logToJson),
  }
}

export function logToJson(log: LogRead): Json {
  return {
    address: data(log.address),
    topics: log.topics.map(data),
    data: data(log.data),
    blockHash: data(log.blockHash),
    blockNumber: quantity(log.blockNumber),
    blockTimestamp: quantity(log.timestamp),
    transactionHash: data(log.transactionHash),
    transactionIndex: quantity(log.transactionIndex),
    logIndex: quantity(log.logIndex),
    removed: false,
  }
}
