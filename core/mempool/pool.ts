import { compareBytes, toHex } from '../../crypto/index.ts'
import {
  MAX_GAS_PER_TRANSACTION,
  MAX_POOL_BYTES,
  MAX_POOL_TRANSACTIONS,
  MAX_TRANSACTION_BYTES,
  MAX_TRANSACTIONS_PER_SENDER,
  REPLACEMENT_PERCENT,
} from './limits.ts'

/** A decoded transaction whose sender is known. */
export type PoolTransaction = {
  readonly hash: Uint8Array
  readonly sender: Uint8Array
  readonly nonce: bigint
  /** Absent in a legacy transaction that names no chain. */
  readonly chainId: bigint | undefined
  readonly gasLimit: bigint
  /** Intrinsic gas and the floor of its data: what the limit must reach. */
  readonly leastGasLimit: bigint
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  readonly valueWei: bigint
  readonly raw: Uint8Array
}

/** The sender's account at the latest committed block. */
export type SenderAccount = { readonly nonce: bigint; readonly balanceWei: bigint }

export type PoolRefusal =
  | { readonly code: 'TransactionTooLarge'; readonly limit: number }
  | { readonly code: 'WrongChain' }
  | { readonly code: 'AlreadyKnown' }
  | { readonly code: 'GasLimitTooHigh'; readonly limit: bigint }
  | { readonly code: 'IntrinsicGasTooLow'; readonly least: bigint }
  | { readonly code: 'FeeCapTooLow'; readonly least: bigint }
  | { readonly code: 'NonceTooLow'; readonly next: bigint }
  | { readonly code: 'NonceTooHigh'; readonly highest: bigint }
  | { readonly code: 'InsufficientFunds'; readonly neededWei: bigint }
  | {
      readonly code: 'ReplacementUnderpriced'
      readonly leastFee: bigint
      readonly leastTip: bigint
    }
  | { readonly code: 'SenderLimit'; readonly limit: number }
  | { readonly code: 'PoolFull' }

export type PoolVerdict =
  | {
      readonly kind: 'added'
      readonly replaced: Uint8Array | undefined
      readonly evicted: readonly Uint8Array[]
    }
  | ({ readonly kind: 'refused' } & PoolRefusal)

export type PoolOptions = {
  readonly chainId: number
  /** Fee caps below this are not kept at all. */
  readonly minFeeCapWei: bigint
  readonly maxTransactions?: number
  readonly maxBytes?: number
}

export type PoolStats = {
  readonly transactions: number
  readonly bytes: number
  /** Next in line of their senders, in sequence. */
  readonly pending: number
  /** Behind a gap in their sender's nonces. */
  readonly queued: number
}

type Lane = { next: bigint; readonly byNonce: Map<bigint, PoolTransaction> }

/**
 * Transactions that wait, keyed by sender and nonce. Pure: no clock, no I/O; what it answers follows from the calls before.
 * A lane is one sender's transactions; those from the account's nonce on without a gap can go into a block.
 */
export class Mempool {
  readonly #chainId: bigint
  readonly #minFeeCapWei: bigint
  readonly #maxTransactions: number
  readonly #maxBytes: number
  readonly #lanes = new Map<string, Lane>()
  readonly #byHash = new Map<string, PoolTransaction>()
  #bytes = 0

  constructor(options: PoolOptions) {
    this.#chainId = BigInt(options.chainId)
    this.#minFeeCapWei = options.minFeeCapWei
    this.#maxTransactions = options.maxTransactions ?? MAX_POOL_TRANSACTIONS
    this.#maxBytes = options.maxBytes ?? MAX_POOL_BYTES
  }

  /** Cheap checks first; the first that fails gives the code (TX-2). */
  add(transaction: PoolTransaction, account: SenderAccount): PoolVerdict {
    const refusal = this.#refusalAlone(transaction, account)
    if (refusal !== undefined) return { kind: 'refused', ...refusal }
    const senderHex = toHex(transaction.sender)
    const lane = this.#lanes.get(senderHex) ?? { next: account.nonce, byNonce: new Map() }
    const replaced = lane.byNonce.get(transaction.nonce)
    const inLane = refusalInLane(transaction, account, lane, replaced)
    if (inLane !== undefined) return { kind: 'refused', ...inLane }
    const evicted = this.#makeRoom(transaction, replaced)
    if (evicted === undefined) return { kind: 'refused', code: 'PoolFull' }
    this.#advance(senderHex, account.nonce)
    if (replaced !== undefined) this.#delete(replaced)
    this.#insert(transaction, account.nonce)
    return { kind: 'added', replaced: replaced?.hash, evicted: evicted.map(({ hash }) => hash) }
  }

  has(hash: Uint8Array): boolean {
    return this.#byHash.has(toHex(hash))
  }

  get(hash: Uint8Array): PoolTransaction | undefined {
    return this.#byHash.get(toHex(hash))
  }

  /** The nonce of the sender's next transaction, those in the pool counted; undefined when it has none here. */
  nextNonce(sender: Uint8Array): bigint | undefined {
    const lane = this.#lanes.get(toHex(sender))
    if (lane === undefined) return undefined
    let next = lane.next
    while (lane.byNonce.has(next)) next += 1n
    return next
  }

  /** Transactions of a sender by nonce. */
  lane(sender: Uint8Array): readonly PoolTransaction[] {
    return sortedLane(this.#lanes.get(toHex(sender)))
  }

  senders(): Uint8Array[] {
    return [...this.#lanes.values()].flatMap((lane) => {
      const [first] = lane.byNonce.values()
      return first === undefined ? [] : [first.sender]
    })
  }

  all(): Iterable<PoolTransaction> {
    return this.#byHash.values()
  }

  stats(): PoolStats {
    let pending = 0
    for (const lane of this.#lanes.values()) pending += runOf(lane).length
    const transactions = this.#byHash.size
    return { transactions, bytes: this.#bytes, pending, queued: transactions - pending }
  }

  /**
   * Transactions for a block, the best tip first, each sender's by nonce; ties by hash, so that equal pools give equal
   * templates. What cannot fit by its least gas is passed over, not stopped at (MP-6).
   */
  template(baseFeeWei: bigint, gasLimit: bigint): PoolTransaction[] {
    const heads: Head[] = []
    for (const lane of this.#lanes.values()) {
      const run = runOf(lane).values()
      pushNext(heads, run, baseFeeWei)
    }
    const chosen: PoolTransaction[] = []
    let left = gasLimit
    for (let head = pop(heads); head !== undefined; head = pop(heads)) {
      const { transaction } = head
      if (transaction.gasLimit > gasLimit || transaction.leastGasLimit > left) continue
      left -= transaction.leastGasLimit
      chosen.push(transaction)
      pushNext(heads, head.rest, baseFeeWei)
    }
    return chosen
  }

  /** A block is committed: what it holds leaves, and whatever its nonces made impossible. */
  onCommitted(included: readonly { readonly sender: Uint8Array; readonly nonce: bigint }[]): void {
    const next = new Map<string, bigint>()
    for (const { sender, nonce } of included) {
      const senderHex = toHex(sender)
      const known = next.get(senderHex) ?? 0n
      if (nonce >= known) next.set(senderHex, nonce + 1n)
    }
    for (const [senderHex, nonce] of next) this.#advance(senderHex, nonce)
  }

  /** The sender's account as it is now: past nonces leave, and what it cannot pay for. */
  refresh(sender: Uint8Array, account: SenderAccount): void {
    const senderHex = toHex(sender)
    this.#advance(senderHex, account.nonce)
    let cost = 0n
    for (const transaction of sortedLane(this.#lanes.get(senderHex))) {
      if (cost + costOf(transaction) > account.balanceWei) this.#delete(transaction)
      else cost += costOf(transaction)
    }
  }

  /** Takes transactions out, such as those that a block could not hold for good. */
  remove(hashes: readonly Uint8Array[]): void {
    for (const hash of hashes) {
      const transaction = this.get(hash)
      if (transaction !== undefined) this.#delete(transaction)
    }
  }

  #refusalAlone(transaction: PoolTransaction, account: SenderAccount): PoolRefusal | undefined {
    const { raw, chainId, gasLimit, leastGasLimit, maxFeePerGas, nonce } = transaction
    if (raw.length > MAX_TRANSACTION_BYTES) {
      return { code: 'TransactionTooLarge', limit: MAX_TRANSACTION_BYTES }
    }
    if (chainId !== undefined && chainId !== this.#chainId) return { code: 'WrongChain' }
    if (this.has(transaction.hash)) return { code: 'AlreadyKnown' }
    if (gasLimit > MAX_GAS_PER_TRANSACTION) {
      return { code: 'GasLimitTooHigh', limit: MAX_GAS_PER_TRANSACTION }
    }
    if (gasLimit < leastGasLimit) return { code: 'IntrinsicGasTooLow', least: leastGasLimit }
    if (maxFeePerGas < this.#minFeeCapWei) {
      return { code: 'FeeCapTooLow', least: this.#minFeeCapWei }
    }
    if (nonce < account.nonce) return { code: 'NonceTooLow', next: account.nonce }
    const highest = account.nonce + BigInt(MAX_TRANSACTIONS_PER_SENDER) - 1n
    return nonce > highest ? { code: 'NonceTooHigh', highest } : undefined
  }

  #insert(transaction: PoolTransaction, accountNonce: bigint): void {
    const senderHex = toHex(transaction.sender)
    const lane = this.#lanes.get(senderHex) ?? { next: accountNonce, byNonce: new Map() }
    this.#lanes.set(senderHex, lane)
    lane.byNonce.set(transaction.nonce, transaction)
    this.#byHash.set(toHex(transaction.hash), transaction)
    this.#bytes += transaction.raw.length
  }

  #delete(transaction: PoolTransaction): void {
    const senderHex = toHex(transaction.sender)
    const lane = this.#lanes.get(senderHex)
    lane?.byNonce.delete(transaction.nonce)
    if (lane?.byNonce.size === 0) this.#lanes.delete(senderHex)
    this.#byHash.delete(toHex(transaction.hash))
    this.#bytes -= transaction.raw.length
  }

  #advance(senderHex: string, nonce: bigint): void {
    const lane = this.#lanes.get(senderHex)
    if (lane === undefined || nonce <= lane.next) return
    lane.next = nonce
    for (const transaction of [...lane.byNonce.values()]) {
      if (transaction.nonce < nonce) this.#delete(transaction)
    }
  }

  /** Evicts the cheapest tails until `transaction` fits; undefined when it is not worth a tenth more than they are. */
  #makeRoom(
    transaction: PoolTransaction,
    replaced: PoolTransaction | undefined,
  ): PoolTransaction[] | undefined {
    const evicted: PoolTransaction[] = []
    const own = toHex(transaction.sender)
    let count = this.#byHash.size + (replaced === undefined ? 1 : 0)
    let bytes = this.#bytes + transaction.raw.length - (replaced?.raw.length ?? 0)
    const gone = new Set<PoolTransaction>()
    while (count > this.#maxTransactions || bytes > this.#maxBytes) {
      const cheapest = this.#cheapestTail(own, gone)
      if (cheapest === undefined) return undefined
      if (!isBumped(cheapest.maxFeePerGas, transaction.maxFeePerGas)) return undefined
      gone.add(cheapest)
      evicted.push(cheapest)
      count -= 1
      bytes -= cheapest.raw.length
    }
    for (const one of evicted) this.#delete(one)
    return evicted
  }

  /** The last transaction of the lane whose last one offers least; nothing depends on it. */
  #cheapestTail(ownHex: string, gone: ReadonlySet<PoolTransaction>): PoolTransaction | undefined {
    let cheapest: PoolTransaction | undefined
    for (const [senderHex, lane] of this.#lanes) {
      if (senderHex === ownHex) continue
      const tail = tailOf(lane, gone)
      if (tail === undefined) continue
      if (cheapest === undefined || tail.maxFeePerGas <= cheapest.maxFeePerGas) cheapest = tail
    }
    return cheapest
  }
}

function refusalInLane(
  transaction: PoolTransaction,
  account: SenderAccount,
  lane: Lane,
  replaced: PoolTransaction | undefined,
): PoolRefusal | undefined {
  if (replaced !== undefined) {
    const isEnough =
      isBumped(replaced.maxFeePerGas, transaction.maxFeePerGas) &&
      isBumped(replaced.maxPriorityFeePerGas, transaction.maxPriorityFeePerGas)
    if (!isEnough) {
      const leastFee = bumped(replaced.maxFeePerGas)
      return {
        code: 'ReplacementUnderpriced',
        leastFee,
        leastTip: bumped(replaced.maxPriorityFeePerGas),
      }
    }
  } else if (lane.byNonce.size >= MAX_TRANSACTIONS_PER_SENDER) {
    return { code: 'SenderLimit', limit: MAX_TRANSACTIONS_PER_SENDER }
  }
  let neededWei = costOf(transaction)
  for (const other of lane.byNonce.values()) {
    if (other !== replaced && other.nonce >= account.nonce) neededWei += costOf(other)
  }
  return neededWei > account.balanceWei ? { code: 'InsufficientFunds', neededWei } : undefined
}

function costOf(transaction: PoolTransaction): bigint {
  return transaction.gasLimit * transaction.maxFeePerGas + transaction.valueWei
}

/** At least a tenth more, rounded up. */
function bumped(fee: bigint): bigint {
  return (fee * BigInt(100 + REPLACEMENT_PERCENT) + 99n) / 100n
}

function isBumped(before: bigint, after: bigint): boolean {
  return after >= bumped(before)
}

/** The transaction of a lane with the highest nonce, those in `gone` not counted. */
function tailOf(lane: Lane, gone: ReadonlySet<PoolTransaction>): PoolTransaction | undefined {
  let tail: PoolTransaction | undefined
  for (const transaction of lane.byNonce.values()) {
    if (gone.has(transaction)) continue
    if (tail === undefined || transaction.nonce > tail.nonce) tail = transaction
  }
  return tail
}

function sortedLane(lane: Lane | undefined): PoolTransaction[] {
  const transactions = [...(lane?.byNonce.values() ?? [])]
  return transactions.sort((left, right) => (left.nonce < right.nonce ? -1 : 1))
}

/** From the account's nonce on, without a gap. */
function runOf(lane: Lane): PoolTransaction[] {
  const run: PoolTransaction[] = []
  for (let nonce = lane.next; ; nonce += 1n) {
    const transaction = lane.byNonce.get(nonce)
    if (transaction === undefined) return run
    run.push(transaction)
  }
}

type Head = {
  readonly transaction: PoolTransaction
  readonly tipWei: bigint
  readonly rest: Iterator<PoolTransaction>
}

/** Adds a lane's next transaction, if it pays the base fee. */
function pushNext(heads: Head[], rest: Iterator<PoolTransaction>, baseFeeWei: bigint): void {
  const { value: transaction, done } = rest.next()
  if (done || transaction.maxFeePerGas < baseFeeWei) return
  push(heads, { transaction, tipWei: tipAt(transaction, baseFeeWei), rest })
}

function tipAt(transaction: PoolTransaction, baseFeeWei: bigint): bigint {
  const roomWei = transaction.maxFeePerGas - baseFeeWei
  if (roomWei < transaction.maxPriorityFeePerGas) return roomWei
  return transaction.maxPriorityFeePerGas
}

function isBetter(left: Head, right: Head): boolean {
  if (left.tipWei !== right.tipWei) return left.tipWei > right.tipWei
  return compareBytes(left.transaction.hash, right.transaction.hash) < 0
}

/** A binary heap, the best at 0. */
function push(heap: Head[], head: Head): void {
  let at = heap.length
  heap.push(head)
  while (at > 0) {
    const above = (at - 1) >> 1
    if (!isBetter(head, heap[above] as Head)) break
    heap[at] = heap[above] as Head
    at = above
  }
  heap[at] = head
}

function pop(heap: Head[]): Head | undefined {
  const best = heap[0]
  const last = heap.pop()
  if (best === undefined || last === undefined || heap.length === 0) return best
  let at = 0
  for (;;) {
    let below = at * 2 + 1
    if (below >= heap.length) break
    if (below + 1 < heap.length && isBetter(heap[below + 1] as Head, heap[below] as Head))
      below += 1
    if (!isBetter(heap[below] as Head, last)) break
    heap[at] = heap[below] as Head
    at = below
  }
  heap[at] = last
  return best
}
