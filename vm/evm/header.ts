import type { ExecutionPayload, Withdrawal } from '../../core/block/index.ts'
import { concatBytes, equalBytes, hexBytes, sha256 } from '../../crypto/index.ts'
import { type Fork, OSAKA } from './fork.ts'
import { keccak256 } from './keccak.ts'
import { encodeRlp, integerBytes } from './rlp.ts'
import { orderedRoot } from './trie-nodes.ts'

/** keccak256(rlp([])): no block here has ommers. */
const OMMERS_HASH = hexBytes('1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347')
const NO_INTEGER = new Uint8Array(0)
const PROOF_OF_WORK_NONCE = new Uint8Array(8)

/** What a header commits to beside the payload's own fields. */
export type BodyRoots = {
  readonly transactionsRoot: Uint8Array
  readonly withdrawalsRoot: Uint8Array
  readonly requestsHash: Uint8Array
}

export function bodyRoots(
  payload: Pick<ExecutionPayload, 'transactions' | 'withdrawals' | 'executionRequests'>,
): BodyRoots {
  return {
    transactionsRoot: orderedRoot(payload.transactions),
    withdrawalsRoot: orderedRoot(payload.withdrawals.map(encodeWithdrawal)),
    requestsHash: requestsHash(payload.executionRequests),
  }
}

function encodeWithdrawal(withdrawal: Withdrawal): Uint8Array {
  return encodeRlp([
    integerBytes(withdrawal.index),
    integerBytes(withdrawal.validatorIndex),
    withdrawal.address,
    integerBytes(withdrawal.amountGwei),
  ])
}

/** EIP-7685: sha256 over the hashes of the requests that hold more than their type byte. */
export function requestsHash(requests: readonly Uint8Array[]): Uint8Array {
  const hashes = requests.filter((request) => request.length > 1).map((request) => sha256(request))
  return sha256(concatBytes(...hashes))
}

export type HeaderFields = Omit<
  ExecutionPayload,
  'blockHash' | 'transactions' | 'withdrawals' | 'executionRequests'
>

/** RLP of an execution header. */
export function encodeHeader(
  header: HeaderFields,
  roots: BodyRoots,
  fork: Fork = OSAKA,
): Uint8Array {
  return encodeRlp([
    header.parentHash,
    OMMERS_HASH,
    header.feeRecipient,
    header.stateRoot,
    roots.transactionsRoot,
    header.receiptsRoot,
    header.logsBloom,
    NO_INTEGER,
    integerBytes(header.blockNumber),
    integerBytes(header.gasLimit),
    integerBytes(header.gasUsed),
    integerBytes(header.timestamp),
    header.extraData,
    header.prevRandao,
    PROOF_OF_WORK_NONCE,
    integerBytes(header.baseFeePerGas),
    roots.withdrawalsRoot,
    integerBytes(header.blobGasUsed),
    integerBytes(header.excessBlobGas),
    header.parentBeaconBlockRoot,
    ...(fork.hasRequests ? [roots.requestsHash] : []),
  ])
}

export function hashPayload(
  payload: Omit<ExecutionPayload, 'blockHash'>,
  fork: Fork = OSAKA,
): Uint8Array {
  return keccak256(encodeHeader(payload, bodyRoots(payload), fork))
}

/** Do two payloads say the same in every field? A payload may name the hash of another one. */
export function isSamePayload(left: ExecutionPayload, right: ExecutionPayload): boolean {
  if (!equalBytes(left.blockHash, right.blockHash)) return false
  const roots = {
    transactionsRoot: left.blockHash,
    withdrawalsRoot: orderedRoot(left.withdrawals.map(encodeWithdrawal)),
    requestsHash: requestsHash(left.executionRequests),
  }
  const others = {
    transactionsRoot: right.blockHash,
    withdrawalsRoot: orderedRoot(right.withdrawals.map(encodeWithdrawal)),
    requestsHash: requestsHash(right.executionRequests),
  }
  return (
    equalBytes(encodeHeader(left, roots), encodeHeader(right, others)) &&
    sameItems(left.transactions, right.transactions) &&
    // Empty requests leave the header's hash as it is.
    sameItems(left.executionRequests, right.executionRequests)
  )
}

function sameItems(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return (
    left.length === right.length &&
    left.every((item, index) => equalBytes(item, right[index] as Uint8Array))
  )
}
