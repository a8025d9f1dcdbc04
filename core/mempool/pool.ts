import { toHex } from '../../crypto/index.ts'
import { type TransactionEnd, TransactionEnds } from './ends.ts'
import { bumped, EvictionOrder, isBumped, isWorthMore, type Rank } from './eviction.ts'
import { createEntry, type Entry, Lane } from './lane.ts'
import {
  MAX_EVICTED,
  MAX_GAPPED_PER_SENDER,
  MAX_GAS_PER_TRANSACTION,
  MAX_INITCODE_BYTES,
  MAX_POOL_BYTES,
  MAX_POOL_TRANSACTIONS,
  MAX_TRANSACTION_BYTES,
  MAX_TRANSACTIONS_PER_SENDER,
  MAX_WAIT_MS,
  SURE_SLOTS,
} from './limits.ts'
import { levelOf, type PressureLevel, TipFloor } from './pressure.ts'
import { templateOf } from './template.ts'
import {
  costOf,
  type PoolRefusal,
  type PoolTransaction,
  type PoolVerdict,
  rateAt,
  type SenderAccount,
  type UnsignedView,
} from './transaction.ts'

export interface PoolOptions {
  readonly chainId: number
  /** Fee caps below this are not kept at all; a replacement's cap is higher by at least this. */
  readonly minFeeCapWei: bigint
  readonly maxTransactions?: number
  readonly maxBytes?: number
  readonly maxPerSender?: number
  readonly maxWaitMs?: number
}

export interface PoolStats {
  readonly transactions: number
  readonly bytes: number
  /** Next in line of their senders, in sequence. */
  readonly pending: number
  /** Behind a gap in their sender's nonces. */
  readonly queued: number
}

/**
 * Transactions that wait, keyed by sender and nonce. Pure: no clock, no I/O; what it answers follows from the calls before. `nowMs` never
 * goes back.
 */
export class Mempool {
  readonly #chainId: bigint
  readonly #minFeeCapWei: bigint
  readonly #maxTransactions: number
  readonly #maxBytes: number
  readonly #maxPerSender: number
  readonly #maxWaitMs: number
  readonly #lanes = new Map<string, Lane>()
  /** In the order of arrival. */
  readonly #byHash = new Map<string, Entry>()
  readonly #ends = new TransactionEnds()
  readonly #floor = new TipFloor()
  #bytes = 0
  #pending = 0
  #arrivals = 0
  #baseFeeWei = 0n
  /** Made when somebody has to go; undefined: ranks have changed since. */
  #order: EvictionOrder | undefined

  constructor(options: PoolOptions) {
    this.#chainId = BigInt(options.chainId)
    this.#minFeeCapWei = options.minFeeCapWei
    this.#maxTransactions = options.maxTransactions ?? MAX_POOL_TRANSACTIONS
    this.#maxBytes = options.maxBytes ?? MAX_POOL_BYTES
    this.#maxPerSender = options.maxPerSender ?? MAX_TRANSACTIONS_PER_SENDER
    this.#maxWaitMs = options.maxWaitMs ?? MAX_WAIT_MS
  }

  /** What can be said before the signature is looked at, the cheapest first (TX-2). */
  refusalUnsigned(transaction: UnsignedView, nowMs: number): PoolRefusal | undefined {
    const { raw, chainId, gasLimit, leastGasLimit, maxFeePerGas, initcodeBytes } = transaction
    if (raw.length > MAX_TRANSACTION_BYTES) {
      return { code: 'TransactionTooLarge', limit: MAX_TRANSACTION_BYTES }
    }
    if (chainId !== undefined && chainId !== this.#chainId) return { code: 'WrongChain' }
    if (this.has(transaction.hash)) return { code: 'AlreadyKnown' }
    if (initcodeBytes > MAX_INITCODE_BYTES) {
      return { code: 'InitcodeTooLarge', limit: MAX_INITCODE_BYTES }
    }
    if (gasLimit > MAX_GAS_PER_TRANSACTION) {
      return { code: 'GasLimitTooHigh', limit: MAX_GAS_PER_TRANSACTION }
    }
    if (gasLimit < leastGasLimit) return { code: 'IntrinsicGasTooLow', least: leastGasLimit }
    if (maxFeePerGas < this.#minFeeCapWei) {
      return { code: 'FeeCapTooLow', least: this.#minFeeCapWei }
    }
    const least = this.#floor.at(nowMs)
    return rateAt(transaction, 0n) < least ? { code: 'TipTooLow', least } : undefined
  }

  /** Cheap checks first; the first that fails gives the code (TX-2). */
  add(transaction: PoolTransaction, account: SenderAccount, nowMs: number): PoolVerdict {
    const senderHex = toHex(transaction.sender)
    this.#advance(senderHex, account.nonce)
    const lane = this.#lanes.get(senderHex) ?? new Lane(account.nonce)
    const replaced = lane.get(transaction.nonce)
    const refusal =
      this.refusalUnsigned(transaction, nowMs) ??
      this.#refusalInLane(transaction, account, lane, replaced)
    if (refusal !== undefined) return { kind: 'refused', ...refusal }
    const evicted = this.#makeRoom(transaction, lane, replaced, nowMs)
    if (evicted === undefined) return { kind: 'refused', code: 'PoolFull' }
    const by = transaction.hash
    if (replaced !== undefined) this.#delete(replaced, { state: 'Replaced', by })
    for (const entry of evicted) this.#delete(entry, EVICTED)
    this.#insert(transaction, account.nonce, nowMs)
    this.#floor.raiseTo(this.level(), nowMs)
    return {
      kind: 'added',
      replaced: replaced?.transaction.hash,
      evicted: evicted.map((entry) => entry.transaction.hash),
    }
  }

  has(hash: Uint8Array): boolean {
    return this.#byHash.has(toHex(hash))
  }

  get(hash: Uint8Array): PoolTransaction | undefined {
    return this.#byHash.get(toHex(hash))?.transaction
  }

  /** Why it cannot run now: undefined when it can, or is not here. */
  waitsFor(hash: Uint8Array): 'NonceGap' | 'BaseFee' | undefined {
    const transaction = this.get(hash)
    if (transaction === undefined) return undefined
    const lane = this.#lanes.get(toHex(transaction.sender)) as Lane
    if (transaction.nonce >= lane.end) return 'NonceGap'
    return transaction.maxFeePerGas < this.#baseFeeWei ? 'BaseFee' : undefined
  }

  /** What became of one that is not here, as far as that is remembered. */
  endOf(hash: Uint8Array): TransactionEnd | undefined {
    return this.#ends.get(hash)
  }

  /** Remembers why one did not come in. */
  noteRefused(hash: Uint8Array, code: string, reason: string): void {
    if (!this.has(hash)) this.#ends.set(hash, { state: 'Rejected', code, reason })
  }

  /** The nonce of the sender's next transaction, those in the pool counted; undefined when it has none here. */
  nextNonce(sender: Uint8Array): bigint | undefined {
    return this.#lanes.get(toHex(sender))?.end
  }

  /** Transactions of a sender by nonce. */
  lane(sender: Uint8Array): readonly PoolTransaction[] {
    return (this.#lanes.get(toHex(sender))?.sorted() ?? []).map(({ transaction }) => transaction)
  }

  hasSender(sender: Uint8Array): boolean {
    return this.#lanes.has(toHex(sender))
  }

  senders(): Uint8Array[] {
    const senders: Uint8Array[] = []
    for (const lane of this.#lanes.values()) {
      const [first] = lane.sorted()
      if (first !== undefined) senders.push(first.transaction.sender)
    }
    return senders
  }

  /** In the order of arrival. */
  *all(): Generator<PoolTransaction> {
    for (const { transaction } of this.#byHash.values()) yield transaction
  }

  /** In the order of arrival, with the time of it. */
  *arrivals(): Generator<{ readonly raw: Uint8Array; readonly sinceMs: number }> {
    for (const { transaction, sinceMs } of this.#byHash.values()) {
      yield { raw: transaction.raw, sinceMs }
    }
  }

  /** What can run, and what is behind a gap. */
  content(): { readonly pending: PoolTransaction[]; readonly queued: PoolTransaction[] } {
    const content = { pending: [] as PoolTransaction[], queued: [] as PoolTransaction[] }
    for (const lane of this.#lanes.values()) {
      for (const { transaction } of lane.sorted()) {
        content[transaction.nonce < lane.end ? 'pending' : 'queued'].push(transaction)
      }
    }
    return content
  }

  stats(): PoolStats {
    const transactions = this.#byHash.size
    const pending = this.#pending
    return { transactions, bytes: this.#bytes, pending, queued: transactions - pending }
  }

  level(): PressureLevel {
    return levelOf([
      { used: this.#byHash.size, most: this.#maxTransactions },
      { used: this.#bytes, most: this.#maxBytes },
    ])
  }

  /** The least tip that a newcomer has to offer. */
  tipFloorWei(nowMs: number): bigint {
    return this.#floor.at(nowMs)
  }

  /** Transactions for a block, those first that pay its author most; each sender's by nonce (MP-6). */
  template(baseFeeWei: bigint, gasLimit: bigint, most = Number.MAX_SAFE_INTEGER) {
    return templateOf(this.#lanes.values(), baseFeeWei, gasLimit, most)
  }

  /** A new head: rates are those at its successor's base fee, and what has waited too long goes (TX-4). */
  onHead(baseFeeWei: bigint, nowMs: number): void {
    this.#baseFeeWei = baseFeeWei
    this.#order = undefined
    const expired: Entry[] = []
    for (const entry of this.#byHash.values()) {
      if (nowMs - entry.sinceMs < this.#maxWaitMs) break
      expired.push(entry)
    }
    for (const entry of expired) {
      this.#delete(entry, { state: 'Expired', afterMs: this.#maxWaitMs })
    }
  }

  /** The sender's account as it is now: past nonces leave, and what it cannot pay for. */
  refresh(sender: Uint8Array, account: SenderAccount): void {
    const senderHex = toHex(sender)
    this.#advance(senderHex, account.nonce)
    const lane = this.#lanes.get(senderHex)
    if (lane === undefined || lane.costWei <= account.balanceWei) return
    let costWei = 0n
    for (const entry of lane.sorted()) {
      if (costWei + entry.costWei > account.balanceWei) this.#delete(entry, UNPAYABLE)
      else costWei += entry.costWei
    }
  }

  /** Takes a transaction out that no block could hold. */
  remove(hash: Uint8Array, code: string): void {
    const entry = this.#byHash.get(toHex(hash))
    if (entry === undefined) return
    this.#delete(entry, { state: 'Rejected', code, reason: 'no block could hold it' })
  }

  #refusalInLane(
    transaction: PoolTransaction,
    account: SenderAccount,
    lane: Lane,
    replaced: Entry | undefined,
  ): PoolRefusal | undefined {
    const { nonce } = transaction
    // The account may have been looked at before a block that the lane knows.
    const { next } = lane
    if (nonce < next) return { code: 'NonceTooLow', next, nonce }
    const highest = next + BigInt(this.#maxPerSender) - 1n
    if (nonce > highest) return { code: 'NonceTooHigh', highest }
    if (replaced !== undefined) {
      const refusal = this.#refusalToReplace(transaction, replaced.transaction)
      if (refusal !== undefined) return refusal
    } else if (nonce > lane.end && lane.gapped >= MAX_GAPPED_PER_SENDER) {
      return { code: 'SenderLimit', limit: MAX_GAPPED_PER_SENDER }
    }
    const neededWei = lane.costWei - (replaced?.costWei ?? 0n) + costOf(transaction)
    const { balanceWei } = account
    return neededWei > balanceWei ? { code: 'InsufficientFunds', neededWei, balanceWei } : undefined
  }

  #refusalToReplace(newer: PoolTransaction, older: PoolTransaction): PoolRefusal | undefined {
    const leastFee = leastBump(older.maxFeePerGas, this.#minFeeCapWei)
    const leastTip = bumped(older.maxPriorityFeePerGas)
    return newer.maxFeePerGas >= leastFee &&
      isBumped(older.maxPriorityFeePerGas, newer.maxPriorityFeePerGas)
      ? undefined
      : { code: 'ReplacementUnderpriced', leastFee, leastTip }
  }

  #insert(transaction: PoolTransaction, accountNonce: bigint, nowMs: number): void {
    const senderHex = toHex(transaction.sender)
    let lane = this.#lanes.get(senderHex)
    if (lane === undefined) {
      lane = new Lane(accountNonce)
      this.#lanes.set(senderHex, lane)
    }
    this.#arrivals += 1
    const entry = createEntry(transaction, this.#arrivals, nowMs)
    const before = lane.runLength
    lane.set(entry)
    this.#pending += lane.runLength - before
    this.#byHash.set(toHex(transaction.hash), entry)
    this.#bytes += transaction.raw.length
    this.#ends.forget(transaction.hash)
    this.#order?.push(entry)
  }

  /** `end`: undefined when the account's nonce passed it. */
  #delete(entry: Entry, end: TransactionEnd | undefined): void {
    const { hash, sender, nonce } = entry.transaction
    const senderHex = toHex(sender)
    const lane = this.#lanes.get(senderHex)
    if (lane !== undefined) {
      const before = lane.runLength
      lane.delete(nonce)
      this.#pending += lane.runLength - before
      // Those behind it can no longer run.
      if (before - lane.runLength > 1) this.#order = undefined
      if (lane.size === 0) this.#lanes.delete(senderHex)
    }
    this.#forget(hash, entry, end)
  }

  #forget(hash: Uint8Array, { transaction }: Entry, end: TransactionEnd | undefined): void {
    this.#byHash.delete(toHex(hash))
    this.#bytes -= transaction.raw.length
    if (end === undefined) this.#ends.pass(hash)
    else this.#ends.set(hash, end)
  }

  #advance(senderHex: string, nonce: bigint): void {
    const lane = this.#lanes.get(senderHex)
    if (lane === undefined) return
    const before = lane.runLength
    for (const entry of lane.advance(nonce)) {
      this.#forget(entry.transaction.hash, entry, undefined)
    }
    this.#pending += lane.runLength - before
    if (lane.size === 0) this.#lanes.delete(senderHex)
  }

  #rankOf(entry: Entry): Rank | undefined {
    const { sender, nonce } = entry.transaction
    const lane = this.#lanes.get(toHex(sender))
    if (lane?.get(nonce) !== entry) return undefined
    return { isSure: lane.isSure(nonce), rateWei: rateAt(entry.transaction, this.#baseFeeWei) }
  }

  /** Who has to go for `newcomer`; undefined when it is not worth that. Nobody goes yet. */
  #makeRoom(
    newcomer: PoolTransaction,
    own: Lane,
    replaced: Entry | undefined,
    nowMs: number,
  ): Entry[] | undefined {
    const added = replaced === undefined ? 1 : 0
    let count = this.#byHash.size + added
    let bytes = this.#bytes + newcomer.raw.length - (replaced?.transaction.raw.length ?? 0)
    const isFull = () => count > this.#maxTransactions || bytes > this.#maxBytes
    if (!isFull()) return []
    const { nonce } = newcomer
    const isSure = nonce <= own.end && nonce < own.next + BigInt(SURE_SLOTS)
    const rank: Rank = { isSure, rateWei: rateAt(newcomer, this.#baseFeeWei) }
    this.#order ??= new EvictionOrder((entry) => this.#rankOf(entry), this.#byHash.values())
    const gone = new Set<Entry>()
    const looked: Entry[] = []
    let floorWei = 0n
    while (isFull()) {
      const first = this.#order.pop()
      if (first === undefined) break
      looked.push(first.entry)
      const { transaction } = first.entry
      const lane = this.#lanes.get(toHex(transaction.sender)) as Lane
      // What would leave the newcomer itself behind a gap is no way to make room for it.
      if (first.entry === replaced || (lane === own && transaction.nonce < nonce)) continue
      if (!isWorthMore(rank, first)) break
      // What could not run tells nothing about what a place is worth.
      if (first.isSure) floorWei = first.rateWei
      for (const entry of lane.from(transaction.nonce)) {
        if (gone.has(entry) || entry === replaced) continue
        gone.add(entry)
        count -= 1
        bytes -= entry.transaction.raw.length
      }
      if (gone.size > MAX_EVICTED) break
    }
    const isEnough = !isFull() && gone.size <= MAX_EVICTED
    for (const entry of looked) if (!isEnough || !gone.has(entry)) this.#order.push(entry)
    if (!isEnough) return undefined
    this.#floor.raise(floorWei, nowMs)
    return [...gone]
  }
}

/** A tenth more, and no less than `stepWei` more. */
function leastBump(feeWei: bigint, stepWei: bigint): bigint {
  const tenth = bumped(feeWei)
  if (tenth > feeWei + stepWei) return tenth
  return feeWei + stepWei
}

const EVICTED: TransactionEnd = {
  state: 'Rejected',
  code: 'Evicted',
  reason: 'the pool was full, and a better paying transaction took its place',
}

const UNPAYABLE: TransactionEnd = {
  state: 'Rejected',
  code: 'InsufficientFunds',
  reason: 'the sender can no longer pay for it',
}
