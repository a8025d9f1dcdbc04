/**
 * The embedded execution engine (design §3, §6): executed candidates are overlays keyed by block hash over one durable
 * state; `commit` makes a candidate and what lies between it and the durable head durable at once and drops the rest.
 * The engine's head may lag behind the chain store and is replayed, it never leads (protocol 2.11).
 */
import type { ExecutionPayload, Withdrawal } from '../../core/block/index.ts'
import { nextGasLimit } from '../../core/params/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import { EMPTY_TRIE_ROOT } from './account.ts'
import { type ChainEvm, createChainEvm } from './chain.ts'
import {
  BlockDraft,
  type BlockOutcome,
  type BuildAttributes,
  checkBlock,
  type Dropped,
  type ExecutedBlock,
  type ParentHeader,
  type RawTransaction,
} from './executor.ts'
import { storedOutcome } from './foreign-block.ts'
import { type EvmGenesis, genesisBlock } from './genesis.ts'
import { hashPayload, isSamePayload } from './header.ts'
import { keccak256 } from './keccak.ts'
import type { Receipt } from './receipt.ts'
import { overlayView, type StateDelta, type StateView } from './state.ts'

export type EngineHead = { readonly number: number; readonly hash: Uint8Array }

/** A block on its way into the store. */
export type StoredBlock = Pick<
  ExecutedBlock,
  'payload' | 'receipts' | 'transactionHashes' | 'senders' | 'delta'
>

/** Durable state and blocks of one chain. Declared here, implemented on LMDB in `node/adapters`. */
export interface EngineStore {
  head(): EngineHead | undefined
  /** State at the durable head. */
  view(): StateView
  hashAt(height: number): Uint8Array | undefined
  payloadAt(height: number): ExecutionPayload | undefined
  receiptsAt(height: number): readonly Receipt[] | undefined
  /** Appends blocks in order, in one transaction; resolves when it is on disk. */
  append(blocks: readonly StoredBlock[]): Promise<void>
}

export type BuildRequest = {
  readonly parentHash: Uint8Array
  readonly timestamp: number
  readonly prevRandao: Uint8Array
  readonly feeRecipient: Uint8Array
  readonly withdrawals: readonly Withdrawal[]
  readonly parentBeaconBlockRoot: Uint8Array
  /** The parameter that the gas limit moves toward (6.2). */
  readonly gasLimitTarget: number
  readonly transactions: readonly RawTransaction[]
  /** Milliseconds since the epoch at which packing stops. */
  readonly deadlineMs: number
}

/** What a block is built from that its transactions can see: of the next block known before its slot begins. */
export type PrepareRequest = Omit<BuildRequest, 'withdrawals' | 'deadlineMs'> & {
  /** Milliseconds since the epoch at which the preparation stops. */
  readonly untilMs: number
}

export type UnknownParent = {
  readonly status: 'UNKNOWN'
  readonly code: 'ParentMissing' | 'BehindHead' | 'ReceiptsMissing' | 'EngineFault'
  readonly reason: string
}

export type BuildReply =
  | {
      readonly status: 'BUILT'
      readonly payload: ExecutionPayload
      readonly outcome: BlockOutcome
      readonly dropped: readonly Dropped[]
      /** By position; absent: the payload holds what was offered in the order of the offer. */
      readonly senders?: readonly Uint8Array[]
      /** How many of its transactions were executed before it was asked for. */
      readonly prepared?: number
    }
  | UnknownParent

export type ExecuteRequest = {
  readonly payload: ExecutionPayload
  /** Senders recovered before, by position. */
  readonly senders?: readonly (Uint8Array | undefined)[]
}

export type ExecuteReply =
  | { readonly status: 'VALID'; readonly outcome: BlockOutcome }
  | { readonly status: 'INVALID'; readonly code: string; readonly reason: string }
  | UnknownParent

export type CommitReply =
  | { readonly status: 'COMMITTED'; readonly head: EngineHead }
  | {
      readonly status: 'UNKNOWN'
      readonly code: 'CandidateMissing' | 'EngineFault'
      readonly reason: string
    }

export type OpenReply =
  | { readonly status: 'OPEN'; readonly head: EngineHead; readonly genesisHash: Uint8Array }
  | {
      readonly status: 'REFUSED'
      /** Damaged: the store's parts contradict one another, so that it is no state of any chain. */
      readonly code: 'GenesisMismatch' | 'StateDamaged'
      readonly reason: string
    }

/** Candidates that are kept; the oldest goes first. One that was dropped can be executed again. */
const MAX_CANDIDATES = 64
/** Blocks of fewer transactions tell little about where a build's time goes. */
const MEASURED_TRANSACTIONS = 256
const LEAST_PACKING_PERCENT = 20
const MOST_PACKING_PERCENT = 80
/** What the way of the answer to the proposer takes, and the next block being slower. */
const RESERVE_PERCENT = 85
/** How much of a build's time the roots of what was prepared may take; how many are prepared before that is measured. */
const PREPARED_PERCENT = 40
const FIRST_PREPARED = 1_024

/** A block that was begun ahead of its slot, and what it was begun with. */
type Prepared = { readonly key: string; readonly draft: BlockDraft }

export class Engine {
  readonly #chain: ChainEvm
  readonly #store: EngineStore
  readonly #now: () => number
  readonly #candidates = new Map<string, ExecutedBlock>()
  /** Of the time until the deadline of a build: how much goes into transactions. */
  #packingPercent = 50
  #prepared: Prepared | undefined
  #mostPrepared = FIRST_PREPARED

  private constructor(chain: ChainEvm, store: EngineStore, now: () => number) {
    this.#chain = chain
    this.#store = store
    this.#now = now
  }

  /** Opens a store, which gets block 0 when it is empty and is refused when its block 0 is another one. */
  static async open(
    store: EngineStore,
    genesis: EvmGenesis,
    now: () => number,
    loaded?: ChainEvm,
  ): Promise<{ readonly engine: Engine; readonly reply: OpenReply }> {
    const { payload, delta } = genesisBlock(genesis)
    if (store.head() === undefined) {
      await store.append([{ payload, delta, receipts: [], transactionHashes: [], senders: [] }])
    }
    const chain = loaded ?? (await createChainEvm(genesis.chainId))
    const engine = new Engine(chain, store, now)
    const damage = damageOf(store)
    if (damage !== undefined) {
      return { engine, reply: { status: 'REFUSED', code: 'StateDamaged', reason: damage } }
    }
    const stored = store.hashAt(0) as Uint8Array
    const head = store.head() as EngineHead
    if (!equalBytes(stored, payload.blockHash)) {
      const reason = `the data directory holds another chain: ${toHex(stored)}`
      return { engine, reply: { status: 'REFUSED', code: 'GenesisMismatch', reason } }
    }
    return { engine, reply: { status: 'OPEN', head, genesisHash: payload.blockHash } }
  }

  /**
   * Executes transactions of a block whose slot has not begun; `build` with the same attributes goes on from there. Whatever else the
   * interpreter is asked meanwhile ends it, and nothing is lost by that but the time.
   */
  async prepare(request: PrepareRequest): Promise<void> {
    const base = this.#baseOf(request.parentHash)
    if ('status' in base) return
    const attributes = attributesOf({ ...request, withdrawals: [] }, base.parent)
    const draft = new BlockDraft(this.#chain, base.view, base.parent, attributes)
    this.#prepared = undefined
    const mustStop = () =>
      draft.transactionCount >= this.#mostPrepared || this.#now() >= request.untilMs
    try {
      await draft.pack(request.transactions, mustStop)
      this.#prepared = { key: prepareKey(attributes, request.parentHash), draft }
    } catch {
      // The build starts anew, and says what is wrong.
    }
  }

  async build(request: BuildRequest): Promise<BuildReply> {
    const base = this.#baseOf(request.parentHash)
    if ('status' in base) return base
    const attributes = attributesOf(request, base.parent)
    const prepared = this.#takePrepared(prepareKey(attributes, request.parentHash))
    const startedMs = this.#now()
    const windowMs = request.deadlineMs - startedMs
    const packUntilMs = startedMs + Math.floor((windowMs * this.#packingPercent) / 100)
    let packedMs = startedMs
    const mustStop = () => {
      packedMs = this.#now()
      return packedMs >= packUntilMs
    }
    try {
      const draft = prepared ?? new BlockDraft(this.#chain, base.view, base.parent, attributes)
      const { transactionCount } = draft
      const dropped = await draft.pack(request.transactions, mustStop)
      const block = await draft.finish(attributes)
      this.#keep(block)
      const { length } = block.payload.transactions
      if (length >= MEASURED_TRANSACTIONS) {
        this.#learnShare(packedMs - startedMs, this.#now() - startedMs)
        this.#learnPrepared(length, this.#now() - packedMs, windowMs)
      }
      const { outcome, payload, senders } = block
      return { status: 'BUILT', payload, outcome, dropped, senders, prepared: transactionCount }
    } catch (cause) {
      return { status: 'UNKNOWN', code: 'EngineFault', reason: String(cause) }
    }
  }

  /** The outcome of a block that was built or executed here; undefined when it is no longer held. */
  recall(hash: Uint8Array): ExecuteReply | undefined {
    const known = this.#candidates.get(toHex(hash))
    return known && { status: 'VALID', outcome: known.outcome }
  }

  /** Executes a block. What fails in the interpreter itself is unknown, never invalid. */
  async execute({ payload, senders }: ExecuteRequest): Promise<ExecuteReply> {
    const known = this.#candidates.get(toHex(payload.blockHash))
    if (known !== undefined && isSamePayload(known.payload, payload)) {
      return { status: 'VALID', outcome: known.outcome }
    }
    const head = this.#store.head() as EngineHead
    if (payload.blockNumber <= head.number) return this.#committed(payload)
    const base = this.#baseOf(payload.parentHash)
    if ('status' in base) return base
    this.#prepared = undefined
    try {
      const checked = await checkBlock(this.#chain, base.view, base.parent, payload, senders ?? [])
      if ('code' in checked) return { status: 'INVALID', ...checked }
      this.#keep(checked)
      return { status: 'VALID', outcome: checked.outcome }
    } catch (cause) {
      return { status: 'UNKNOWN', code: 'EngineFault', reason: String(cause) }
    }
  }

  /** Makes a candidate the durable head, its uncommitted ancestors before it. */
  async commit(hash: Uint8Array): Promise<CommitReply> {
    const head = this.#store.head() as EngineHead
    if (equalBytes(head.hash, hash)) return { status: 'COMMITTED', head }
    const chain: ExecutedBlock[] = []
    let next = hash
    while (!equalBytes(next, head.hash)) {
      const candidate = this.#candidates.get(toHex(next))
      if (candidate === undefined) {
        const reason = `${toHex(next)} was not executed here`
        return { status: 'UNKNOWN', code: 'CandidateMissing', reason }
      }
      chain.unshift(candidate)
      next = candidate.payload.parentHash
    }
    this.#prepared = undefined
    await this.#store.append(chain)
    this.#dropLosers(hash)
    return { status: 'COMMITTED', head: this.#store.head() as EngineHead }
  }

  get candidateCount(): number {
    return this.#candidates.size
  }

  /** Packing stops early enough for what follows it, roots above all, to be done by the deadline. */
  #learnShare(packingMs: number, wholeMs: number): void {
    if (wholeMs <= 0) return
    const measured = Math.floor((packingMs * RESERVE_PERCENT) / wholeMs)
    const percent = Math.floor((this.#packingPercent * 3 + measured) / 4)
    this.#packingPercent = Math.min(MOST_PACKING_PERCENT, Math.max(LEAST_PACKING_PERCENT, percent))
  }

  /** As many as can be finished within the build's time, whatever is packed in it. */
  #learnPrepared(transactions: number, finishMs: number, windowMs: number): void {
    const eachMs = Math.max(finishMs, 1) / transactions
    this.#mostPrepared = Math.floor((windowMs * PREPARED_PERCENT) / 100 / eachMs)
  }

  #takePrepared(key: string): BlockDraft | undefined {
    const prepared = this.#prepared
    this.#prepared = undefined
    return prepared?.key === key ? prepared.draft : undefined
  }

  #keep(block: ExecutedBlock): void {
    this.#candidates.set(toHex(block.payload.blockHash), block)
    const [oldest] = this.#candidates.keys()
    if (this.#candidates.size > MAX_CANDIDATES && oldest) this.#candidates.delete(oldest)
  }

  /** Keeps only what descends from the new head. */
  #dropLosers(headHash: Uint8Array): void {
    const kept = new Set([toHex(headHash)])
    for (const [key, { payload }] of this.#candidates) {
      if (kept.has(toHex(payload.parentHash))) kept.add(key)
    }
    kept.delete(toHex(headHash))
    for (const key of this.#candidates.keys()) if (!kept.has(key)) this.#candidates.delete(key)
  }

  /** The header and state that a block on `parentHash` starts from. */
  #baseOf(
    parentHash: Uint8Array,
  ): { readonly parent: ParentHeader; readonly view: StateView } | UnknownParent {
    const head = this.#store.head() as EngineHead
    if (equalBytes(parentHash, head.hash)) {
      return {
        parent: this.#store.payloadAt(head.number) as ParentHeader,
        view: this.#store.view(),
      }
    }
    const candidate = this.#candidates.get(toHex(parentHash))
    if (candidate === undefined) {
      return { status: 'UNKNOWN', code: 'ParentMissing', reason: toHex(parentHash) }
    }
    const below = this.#baseOf(candidate.payload.parentHash)
    if ('status' in below) return below
    const { blockNumber, blockHash } = candidate.payload
    const delta: StateDelta = candidate.delta
    return {
      parent: candidate.payload,
      view: overlayView(below.view, delta, blockNumber, blockHash),
    }
  }

  /** The answer for a height that is decided: the stored block's outcome, if it is this one. */
  #committed(payload: ExecutionPayload): ExecuteReply {
    const height = payload.blockNumber
    const stored = this.#store.payloadAt(height)
    if (stored === undefined || !isSamePayload(stored, payload)) {
      return { status: 'UNKNOWN', code: 'BehindHead', reason: `block ${height} is decided` }
    }
    const receipts = this.#store.receiptsAt(height)
    if (receipts?.length !== payload.transactions.length) {
      return { status: 'UNKNOWN', code: 'ReceiptsMissing', reason: `block ${height}` }
    }
    return { status: 'VALID', outcome: storedOutcome(payload, receipts) }
  }
}

function attributesOf(
  request: Omit<BuildRequest, 'transactions' | 'deadlineMs'>,
  parent: ParentHeader,
): BuildAttributes {
  const { feeRecipient, parentBeaconBlockRoot, prevRandao, timestamp, withdrawals } = request
  const gasLimit = nextGasLimit(parent.gasLimit, request.gasLimitTarget)
  return { feeRecipient, gasLimit, parentBeaconBlockRoot, prevRandao, timestamp, withdrawals }
}

/** Two builds with the same one execute the same transactions alike: withdrawals come after them. */
function prepareKey(attributes: BuildAttributes, parentHash: Uint8Array): string {
  const { feeRecipient, gasLimit, parentBeaconBlockRoot, prevRandao, timestamp } = attributes
  const hashes = [parentHash, prevRandao, feeRecipient, parentBeaconBlockRoot].map(toHex)
  return [...hashes, timestamp, gasLimit].join(' ')
}

/** What contradicts the head in a store that is not empty: its block, the block's hash, the root of the state. */
function damageOf(store: EngineStore): string | undefined {
  if (store.hashAt(0) === undefined) return 'block 0 is not there'
  const { number, hash } = store.head() as EngineHead
  const payload = store.payloadAt(number)
  if (payload === undefined) return `the head's block ${number} is not there`
  const known = store.hashAt(number)
  if (known === undefined || !equalBytes(known, hash) || !equalBytes(hashPayload(payload), hash)) {
    return `block ${number} does not have the hash of the head`
  }
  const node = store.view().node('')
  const root = node === undefined ? EMPTY_TRIE_ROOT : keccak256(node)
  if (!equalBytes(root, payload.stateRoot)) {
    return `the state does not have the root of block ${number}`
  }
  return undefined
}
