/**
 * Every failure that the API tells, in one table: JSON-RPC code, HTTP status, meaning. The HTTP status is sent when
 * the whole request fails or on a REST route; an error of a method travels with 200, because wallets do not read
 * the body of any other answer. What is in no row is a bug and becomes `Internal` with an incident id.
 */

export interface ErrorRow {
  readonly rpc: number
  readonly http: number
  /** The message, unless the place that fails says it better. */
  readonly message: string
}

export const API_ERRORS = {
  /** The body is not JSON. */
  ParseError: { rpc: -32700, http: 400, message: 'parse error' },
  /** JSON, but no JSON-RPC request. */
  InvalidRequest: { rpc: -32600, http: 400, message: 'invalid request' },
  MethodNotFound: { rpc: -32601, http: 404, message: 'method not found' },
  InvalidParams: { rpc: -32602, http: 400, message: 'invalid params' },
  /** A bug or a fault of the node; details are in its log under the incident id. */
  Internal: { rpc: -32603, http: 500, message: 'internal error' },
  /** Alys: no such block. */
  BlockNotFound: { rpc: -32604, http: 404, message: 'block not found' },
  /** Alys: this node has not caught up, so what it would say may mislead. */
  Syncing: { rpc: -32606, http: 503, message: 'chain is syncing' },
  ResourceNotFound: { rpc: -32001, http: 404, message: 'resource not found' },
  /** A part of the node does not answer now. */
  Unavailable: { rpc: -32002, http: 503, message: 'temporarily unavailable' },
  /** The pool refuses the transaction; the message says why in the words that wallets know. */
  TransactionRejected: { rpc: -32003, http: 400, message: 'transaction rejected' },
  /** A limit of this node, named in the message. */
  LimitExceeded: { rpc: -32005, http: 413, message: 'limit exceeded' },
  /** More calls of this method than the node serves one client. */
  RateLimited: { rpc: -32005, http: 429, message: 'too many requests' },
  /** The EVM ended the call other than by a revert. */
  ExecutionFailed: { rpc: -32015, http: 200, message: 'execution failed' },
  /** The call ran longer than the node allows. */
  CallTimeout: { rpc: -32016, http: 200, message: 'execution timeout' },
  /** The EVM reverted; `data` holds what the contract returned. */
  Reverted: { rpc: 3, http: 200, message: 'execution reverted' },
  InsufficientFunds: {
    rpc: -32000,
    http: 200,
    message: 'insufficient funds for gas * price + value',
  },
  /** The block was here, and its transactions, receipts and logs are no longer kept (PR-3). */
  HistoryPruned: { rpc: 4444, http: 200, message: 'pruned history unavailable' },
  /** State of a block this old is not kept. */
  StateUnavailable: { rpc: 4444, http: 200, message: 'historical state is not available' },
  /** An admin method without the token. */
  Unauthorized: { rpc: -32007, http: 401, message: 'this method needs the admin token' },
  /** A web page of another origin, or a host name that is not this node's. */
  Forbidden: { rpc: -32008, http: 403, message: 'forbidden' },
  RouteNotFound: { rpc: -32601, http: 404, message: 'no such route' },
  VerbNotAllowed: { rpc: -32600, http: 405, message: 'method not allowed' },
  BodyTooLarge: { rpc: -32005, http: 413, message: 'request body too large' },
} as const satisfies Record<string, ErrorRow>

export type ApiErrorCode = keyof typeof API_ERRORS

/** An expected failure of a method, as a value. */
export class ApiFailure {
  readonly code: ApiErrorCode
  readonly message: string
  readonly data: unknown

  constructor(code: ApiErrorCode, message?: string, data?: unknown) {
    this.code = code
    this.message = message ?? API_ERRORS[code].message
    this.data = data
  }

  get row(): ErrorRow {
    return API_ERRORS[this.code]
  }

  toJson(): { code: number; message: string; data?: unknown } {
    const error = { code: this.row.rpc, message: this.message }
    return this.data === undefined ? error : { ...error, data: this.data }
  }
}

export function isFailure(value: unknown): value is ApiFailure {
  return value instanceof ApiFailure
}

/**
 * The pool's reasons in the words that ethers, viem and wallets look for. A code that is not listed keeps its own
 * words.
 */
const REJECTION_MESSAGES: Readonly<Record<string, string>> = {
  AlreadyKnown: 'already known',
  NonceTooLow: 'nonce too low',
  NonceTooHigh: 'nonce too high',
  ReplacementUnderpriced: 'replacement transaction underpriced',
  FeeCapTooLow: 'transaction underpriced',
  FeeCapBelowBaseFee: 'max fee per gas less than block base fee',
  InsufficientFunds: 'insufficient funds for gas * price + value',
  IntrinsicGasTooLow: 'intrinsic gas too low',
  GasLimitTooHigh: 'exceeds block gas limit',
  InitcodeTooLarge: 'max initcode size exceeded',
  TransactionTooLarge: 'oversized data',
  WrongChain: 'invalid chain id for signer',
  SenderNotEoa: 'sender not an eoa',
  SenderUnrecoverable: 'invalid sender',
  TransactionTypeRefused: 'transaction type not supported',
  SenderLimit: 'account limit exceeded',
  PoolFull: 'txpool is full',
}

/** Faults of the way to the engine, not of the transaction. */
const UNAVAILABLE: ReadonlySet<string> = new Set([
  'Timeout',
  'ActorRestarted',
  'MailboxFull',
  'NoSuchActor',
  'Stopped',
  'Dropped',
])

export function rejectionFailure(error: {
  readonly code: string
  readonly reason: string
}): ApiFailure {
  if (UNAVAILABLE.has(error.code)) {
    return new ApiFailure('Unavailable', `the engine does not answer now (${error.code})`)
  }
  const known = REJECTION_MESSAGES[error.code]
  const message = known ?? `transaction rejected: ${error.reason}`
  return new ApiFailure('TransactionRejected', message, { code: error.code, reason: error.reason })
}
