/**
 * An execution client of another make as this node's engine, by the Engine API. The client holds the state and packs blocks from its own
 * pool, which is fed with ours (protocol 6.4). Beside it stands a mirror of the committed blocks with their receipts: the API reads it, the
 * durable head is its head, and a client that lost blocks gets them from it (SY-12). What the client cannot be told is checked here: rules
 * of this chain that are not Ethereum's, the header fields that the protocol fixes, and that receipts are those of the block.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionPayload } from '../../../core/block/index.ts'
import { nextGasLimit } from '../../../core/params/index.ts'
import { equalBytes, toHex } from '../../../crypto/index.ts'
import {
  type AccountReads,
  type AnswerOf,
  type BlockOutcome,
  type BuildReply,
  type BuildRequest,
  ChainReads,
  type CommitReply,
  EMPTY_DELTA,
  type EngineHead,
  type EvmGenesis,
  type ExecuteReply,
  type ExecuteRequest,
  foreignBlockFault,
  foreignBlockOutcome,
  genesisBlock,
  hashPayload,
  isSamePayload,
  keccak256,
  PAST_BLOCKS,
  type ParentHeader,
  type QuestionKind,
  type Questions,
  type Receipt,
  type StoredBlock,
  storedOutcome,
  type UnknownParent,
} from '../../../vm/evm/index.ts'
import {
  type EngineDatabase,
  type NodeEngine,
  openEngineDatabase,
  SenderRecovery,
} from '../engine/index.ts'
import { type ClientOptions, ExecutionClient } from './client.ts'
import { forkFault } from './fork-probe.ts'
import { askClient, ClientState } from './state.ts'
import type { ClientFault } from './transport.ts'

export { readJwtSecret } from './jwt.ts'

export interface ExternalEngineOptions extends Omit<ClientOptions, 'nowMs'> {
  /** Of the mirror. */
  readonly directory: string
  readonly genesis: EvmGenesis
  /** How long a client that does not answer is waited for [20 s]. */
  readonly patienceMs?: number
  readonly nowMs?: () => number
}

export type ExternalEngineRefused = {
  readonly status: 'REFUSED'
  readonly code:
    | 'GenesisMismatch'
    | 'LayoutMismatch'
    | 'StateDamaged'
    | 'ClientUnsuitable'
    | 'EngineUnavailable'
  readonly reason: string
}

const PATIENCE_MS = 20_000
const RETRY_MS = 250
/** Replays at opening, and the most that one call spends on a client that lost blocks. */
const CATCH_UP_AT_OPEN_MS = 30_000
const CATCH_UP_MS = 5_000
/** A client that answers SYNCING though it has the parent is asked again for so long. */
const SYNCING_MS = 4_000
const SYNCING_RETRY_MS = 50
/** Time that the client gets for packing: a part of what is left until the deadline. */
const PACKING_PART = 4
const MOST_PACKING_MS = 400
const MAX_CANDIDATES = 64
/** Transactions that the client is given for one block, and blocks after which it is given one again. */
const MAX_FED = 2_048
const FEED_AGAIN_BLOCKS = 16
const MAX_REMEMBERED_FED = 32_768

type Candidate = Omit<StoredBlock, 'delta'> & { readonly outcome: BlockOutcome }
type Parent = ParentHeader & Pick<ExecutionPayload, 'blockHash'>

export async function openExternalEngine(
  options: ExternalEngineOptions,
): Promise<{ readonly status: 'OPEN'; readonly engine: NodeEngine } | ExternalEngineRefused> {
  const { directory, genesis, nowMs = Date.now } = options
  const client = new ExecutionClient({ ...options, nowMs })
  const mirror = openEngineDatabase(directory, 'write')
  if ('code' in mirror) {
    client.close()
    return { status: 'REFUSED', ...mirror }
  }
  const engine = new ExternalEngine(client, mirror, genesis, nowMs)
  const refused = await engine.begin(options.patienceMs ?? PATIENCE_MS)
  if (refused === undefined) return { status: 'OPEN', engine }
  await engine.close()
  return { status: 'REFUSED', ...refused }
}

const NO_RECEIPTS = { ok: true, value: [] } as const

type Refusal = Omit<ExternalEngineRefused, 'status'>

class ExternalEngine implements NodeEngine {
  readonly genesisHash: Uint8Array
  readonly blocks: ChainReads
  readonly state: AccountReads
  readonly #client: ExecutionClient
  readonly #mirror: EngineDatabase
  readonly #genesis: ReturnType<typeof genesisBlock>
  readonly #chainId: number
  readonly #nowMs: () => number
  readonly #recovery = new SenderRecovery(1)
  readonly #candidates = new Map<string, Candidate>()
  /** Transactions that the client was given, with the height. */
  readonly #fed = new Map<string, number>()
  #openedAt: EngineHead | undefined
  /** The client's head, as it was last told. */
  #chosen: Uint8Array = new Uint8Array(32)
  /** Whether it answers for blocks that are not canonical. */
  #knowsSideBlocks = true
  /** Up to where the client's own chain went when it was opened: what it had before us is not taken back. */
  #clientHeight = 0

  constructor(
    client: ExecutionClient,
    mirror: EngineDatabase,
    genesis: EvmGenesis,
    nowMs: () => number,
  ) {
    this.#client = client
    this.#mirror = mirror
    this.#genesis = genesisBlock(genesis)
    this.#chainId = genesis.chainId
    this.#nowMs = nowMs
    this.genesisHash = this.#genesis.payload.blockHash
    this.blocks = new ChainReads(mirror)
    this.state = new ClientState(client, () => this.#head.number)
  }

  get openedAt(): EngineHead {
    return this.#openedAt ?? this.#head
  }

  /** Looks whether the client can be this chain's engine, and brings it to where the mirror is. */
  async begin(patienceMs: number): Promise<Refusal | undefined> {
    const { payload } = this.#genesis
    if (this.#mirror.head() === undefined) {
      const nothing = { receipts: [], transactionHashes: [], senders: [] }
      await this.#mirror.append([{ payload, delta: EMPTY_DELTA, ...nothing }])
    }
    if (!equalBytes(this.#mirror.hashAt(0) ?? payload.stateRoot, this.genesisHash)) {
      return { code: 'GenesisMismatch', reason: 'the data directory holds another chain' }
    }
    const refused = (await this.#greet(patienceMs)) ?? (await this.#suitability())
    if (refused !== undefined) return refused
    const caughtUp = await this.#catchUp(CATCH_UP_AT_OPEN_MS)
    if (caughtUp !== undefined) return { code: 'EngineUnavailable', reason: caughtUp }
    this.#openedAt = this.#head
    return undefined
  }

  /** A client that starts beside the node may take a while. */
  async #greet(patienceMs: number): Promise<Refusal | undefined> {
    const untilMs = this.#nowMs() + patienceMs
    for (;;) {
      const missing = await this.#client.missingMethods()
      if (missing.ok) {
        if (missing.value.length === 0) return undefined
        const reason = `the client lacks ${missing.value.join(', ')}`
        return { code: 'ClientUnsuitable', reason }
      }
      const { code } = missing.fault
      if (code === 'Unauthorized') {
        const reason = `the client refuses our token: ${said(missing.fault)}`
        return { code: 'ClientUnsuitable', reason: `${reason}; secret and clock must be the same` }
      }
      if (this.#nowMs() >= untilMs)
        return { code: 'EngineUnavailable', reason: said(missing.fault) }
      await sleep(RETRY_MS)
    }
  }

  async #suitability(): Promise<Refusal | undefined> {
    const chainId = await this.#client.chainId()
    if (!chainId.ok) return unavailable(chainId.fault)
    if (chainId.value !== this.#chainId) {
      const reason = `the client runs chain ${chainId.value}, the genesis file names ${this.#chainId}`
      return { code: 'GenesisMismatch', reason }
    }
    const first = await this.#client.blockAt(0)
    if (!first.ok) return unavailable(first.fault)
    if (first.value === undefined || !equalBytes(first.value.hash, this.genesisHash)) {
      const theirs = first.value === undefined ? 'none' : toHex(first.value.hash)
      const reason = `block 0 of the client is ${theirs}, ours ${toHex(this.genesisHash)}`
      return { code: 'GenesisMismatch', reason: `${reason}: millrace genesis writes its file` }
    }
    const fork = await forkFault(this.#client)
    if (fork === undefined) return undefined
    return typeof fork === 'string' ? { code: 'ClientUnsuitable', reason: fork } : unavailable(fork)
  }

  get #head(): EngineHead {
    return this.#mirror.head() as EngineHead
  }

  async build(request: BuildRequest): Promise<BuildReply> {
    const parent = this.#parentOf(request.parentHash)
    if ('status' in parent) return parent
    await this.#feed(request, parent.blockNumber)
    const begun = await this.#forkchoice(request.parentHash, request)
    if (typeof begun === 'string') return engineFault(begun)
    if (begun.payloadId === undefined) return engineFault('the client began no payload')
    const leftMs = request.deadlineMs - this.#nowMs()
    await sleep(Math.max(0, Math.min(MOST_PACKING_MS, leftMs / PACKING_PART)))
    const built = await this.#client.getPayload(begun.payloadId, request.parentBeaconBlockRoot)
    if (!built.ok) return engineFault(said(built.fault))
    if (!equalBytes(hashPayload(built.value), built.value.blockHash)) {
      return engineFault('the built payload does not have its hash')
    }
    const differs = differingAttribute(request, parent, built.value)
    if (differs !== undefined) {
      return engineFault(`the built payload has another ${differs} than was asked for`)
    }
    const payload = resealed(built.value, nextGasLimit(parent.gasLimit, request.gasLimitTarget))
    const fault = foreignBlockFault(parent, payload)
    if (fault !== undefined) {
      return engineFault(`the client built what this chain refuses: ${fault.code}: ${fault.reason}`)
    }
    const senders = new Map(request.transactions.map(({ raw, sender }) => [toHex(raw), sender]))
    const known = payload.transactions.map((raw) => senders.get(toHex(raw)))
    const run = await this.#run(payload, known)
    if (run.status === 'UNKNOWN') return run
    if (run.status === 'INVALID') {
      return engineFault(
        `the client refuses its own payload as the protocol wants it: ${run.reason}`,
      )
    }
    return { status: 'BUILT', payload, outcome: run.outcome, dropped: [] }
  }

  async execute({ payload, senders }: ExecuteRequest): Promise<ExecuteReply> {
    const known = this.#candidates.get(toHex(payload.blockHash))
    if (known !== undefined && isSamePayload(known.payload, payload)) {
      return { status: 'VALID', outcome: known.outcome }
    }
    if (payload.blockNumber <= this.#head.number) return this.#committed(payload)
    const parent = this.#parentOf(payload.parentHash)
    if ('status' in parent) return parent
    const fault = foreignBlockFault(parent, payload)
    return fault === undefined ? this.#run(payload, senders ?? []) : { status: 'INVALID', ...fault }
  }

  async commit(hash: Uint8Array): Promise<CommitReply> {
    const head = this.#head
    if (equalBytes(head.hash, hash)) return { status: 'COMMITTED', head }
    const chain: Candidate[] = []
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
    const chosen = await this.#choose(chain, hash)
    if (chosen !== undefined) return { status: 'UNKNOWN', code: 'EngineFault', reason: chosen }
    await this.#mirror.append(chain.map((block) => ({ ...block, delta: EMPTY_DELTA })))
    this.#dropLosers(hash)
    return { status: 'COMMITTED', head: this.#head }
  }

  recoverSenders(raws: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#recovery.recover(raws)
  }

  /** How far back is the client's to say; the bound is the one that users of an embedded engine know. */
  stateAt(height: number): AccountReads | undefined {
    const head = this.#head.number
    if (height > head || height <= head - PAST_BLOCKS) return undefined
    return new ClientState(this.#client, () => height)
  }

  ask<Kind extends QuestionKind>(kind: Kind, question: Questions[Kind]): Promise<AnswerOf<Kind>> {
    const blocks = {
      headHeight: () => this.#head.number,
      transactionHashes: (height: number) =>
        this.#mirror.payloadAt(height)?.transactions.map(keccak256),
    }
    return askClient(this.#client, blocks, kind, question)
  }

  /** Checkpoints are the embedded engine's. */
  keepPast(): void {}

  async prune(below: number): Promise<void> {
    this.#mirror.prune(below)
  }

  async close(): Promise<void> {
    this.#client.close()
    await Promise.all([this.#recovery.close(), this.#mirror.close()])
  }

  /** Ours into the client's pool, in our order. It is given again what did not come into a block for long: it may have lost it. */
  async #feed({ transactions, deadlineMs }: BuildRequest, height: number): Promise<void> {
    if (this.#nowMs() >= deadlineMs) return
    const raws: Uint8Array[] = []
    for (const { raw } of transactions.slice(0, MAX_FED)) {
      const key = toHex(keccak256(raw))
      const fedAt = this.#fed.get(key)
      if (fedAt !== undefined && height < fedAt + FEED_AGAIN_BLOCKS) continue
      this.#fed.delete(key)
      this.#fed.set(key, height)
      raws.push(raw)
    }
    for (const key of this.#fed.keys()) {
      if (this.#fed.size <= MAX_REMEMBERED_FED) break
      this.#fed.delete(key)
    }
    await this.#client.sendTransactions(raws)
  }

  /** The client executes the block; its receipts say what it did. */
  async #run(
    payload: ExecutionPayload,
    senders: readonly (Uint8Array | undefined)[],
  ): Promise<ExecuteReply> {
    const judged = await this.#judge(payload)
    if (judged !== 'VALID') return judged
    const found = await this.#outcomeOf(payload)
    if ('status' in found) return found
    const { receipts, outcome } = found
    const recovered = await this.#completed(payload.transactions, senders)
    if (recovered === undefined)
      return engineFault('the sender of a valid transaction is not known')
    const transactionHashes = payload.transactions.map(keccak256)
    const candidate = { payload, receipts, transactionHashes, senders: recovered, outcome }
    this.#candidates.set(toHex(payload.blockHash), candidate)
    const [oldest] = this.#candidates.keys()
    if (this.#candidates.size > MAX_CANDIDATES && oldest) this.#candidates.delete(oldest)
    return { status: 'VALID', outcome }
  }

  async #judge(
    payload: ExecutionPayload,
  ): Promise<'VALID' | Extract<ExecuteReply, { status: 'INVALID' | 'UNKNOWN' }>> {
    const untilMs = this.#nowMs() + SYNCING_MS
    let hasCaughtUp = false
    for (;;) {
      const answer = await this.#client.newPayload(payload)
      if (!answer.ok) return engineFault(said(answer.fault))
      const { status, validationError, latestValidHash } = answer.value
      if (status === 'VALID') return 'VALID'
      if (status === 'INVALID' || status === 'INVALID_BLOCK_HASH') {
        this.#rewind(payload, latestValidHash ?? undefined)
        const reason = validationError ?? 'the client does not say why'
        return { status: 'INVALID', code: 'ClientRefused', reason }
      }
      if (!hasCaughtUp) {
        const behind = await this.#catchUp(CATCH_UP_MS)
        if (behind !== undefined) return engineFault(behind)
        await this.#tellCandidates(payload.parentHash)
        hasCaughtUp = true
      }
      if (this.#nowMs() >= untilMs) return engineFault(`the client answers ${status}`)
      await sleep(SYNCING_RETRY_MS)
    }
  }

  /** A client that says an ancestor is invalid takes back what it said of it. */
  #rewind(payload: ExecutionPayload, latestValidHash: Uint8Array | undefined): void {
    if (latestValidHash === undefined || latestValidHash.every((byte) => byte === 0)) return
    let next = payload.parentHash
    while (!equalBytes(next, latestValidHash)) {
      const candidate = this.#candidates.get(toHex(next))
      if (candidate === undefined) return
      this.#candidates.delete(toHex(next))
      next = candidate.payload.parentHash
    }
  }

  /** Candidates up to and with `hash`, for a client that was started anew and remembers committed blocks alone. */
  async #tellCandidates(hash: Uint8Array): Promise<void> {
    const chain: ExecutionPayload[] = []
    let next = this.#candidates.get(toHex(hash))
    while (next !== undefined) {
      chain.unshift(next.payload)
      next = this.#candidates.get(toHex(next.payload.parentHash))
    }
    for (const payload of chain) await this.#client.newPayload(payload)
  }

  /** Some clients have receipts of their canonical chain alone: then the block is made its head, though nothing of it is final. */
  async #outcomeOf(
    payload: ExecutionPayload,
  ): Promise<
    { readonly receipts: readonly Receipt[]; readonly outcome: BlockOutcome } | UnknownParent
  > {
    const { blockHash, blockNumber, transactions } = payload
    const ask = async (block: Uint8Array | number) => {
      const found = transactions.length === 0 ? NO_RECEIPTS : await this.#client.receipts(block)
      if (!found.ok)
        return found.fault.code === 'RpcError' ? undefined : engineFault(said(found.fault))
      const receipts = found.value ?? []
      const outcome = foreignBlockOutcome(payload, receipts)
      return outcome && { receipts, outcome }
    }
    const bySide = this.#knowsSideBlocks ? await ask(blockHash) : undefined
    if (bySide !== undefined) return bySide
    const byHeight = blockNumber <= this.#clientHeight ? await ask(blockNumber) : undefined
    if (byHeight !== undefined) return byHeight
    const chosen = await this.#forkchoice(blockHash)
    if (typeof chosen === 'string') return engineFault(chosen)
    const found = await ask(blockNumber)
    if (found !== undefined) {
      this.#knowsSideBlocks = false
      return found
    }
    const reason = 'the client gives no receipts that have the root of the block'
    return { status: 'UNKNOWN', code: 'ReceiptsMissing', reason }
  }

  async #completed(
    raws: readonly Uint8Array[],
    known: readonly (Uint8Array | undefined)[],
  ): Promise<Uint8Array[] | undefined> {
    const missing = raws.filter((_, index) => known[index] === undefined)
    const recovered = (await this.#recovery.recover(missing)).values()
    const senders: Uint8Array[] = []
    for (const index of raws.keys()) {
      const sender = known[index] ?? recovered.next().value
      if (sender === undefined) return undefined
      senders.push(sender)
    }
    return senders
  }

  /** Undefined: `hash` is the client's head. */
  async #choose(chain: readonly Candidate[], hash: Uint8Array): Promise<string | undefined> {
    const height = chain.at(-1)?.payload.blockNumber ?? 0
    if (height < this.#clientHeight) {
      const theirs = await this.#client.blockAt(height)
      if (!theirs.ok) return said(theirs.fault)
      if (theirs.value !== undefined && equalBytes(theirs.value.hash, hash)) return undefined
    }
    this.#clientHeight = Math.min(this.#clientHeight, height)
    // The client's head may be a candidate above: taken back, it would have to be executed and set again.
    const above = this.#descends(this.#chosen, hash) ? this.#chosen : undefined
    const chosen = await this.#forkchoice(above ?? hash, undefined, hash)
    if (typeof chosen !== 'string') return undefined
    // It may have been started anew since it executed them.
    const behind = await this.#catchUp(CATCH_UP_MS)
    if (behind !== undefined) return behind
    for (const { payload } of chain) await this.#client.newPayload(payload)
    const again = await this.#forkchoice(hash, undefined, hash)
    return typeof again === 'string' ? again : undefined
  }

  /** `committed`: final from now on. A text: why the client's head is another one. */
  async #forkchoice(
    head: Uint8Array,
    request?: BuildRequest,
    committed: Uint8Array = this.#head.hash,
  ): Promise<string | { readonly payloadId: string | undefined }> {
    const answer = await this.#client.forkchoice(head, committed, request)
    if (!answer.ok) return said(answer.fault)
    const { payloadId, payloadStatus } = answer.value
    const { status, validationError } = payloadStatus
    if (status === 'VALID') {
      this.#chosen = head
      return { payloadId: payloadId ?? undefined }
    }
    return `the client answers ${status} to its new head: ${validationError ?? 'it does not say why'}`
  }

  /**
   * Gives the client the blocks that the mirror has and it has not, and makes the mirror's head its own (SY-12). Undefined: done. What was
   * told stays told: the next call goes on from there.
   */
  async #catchUp(budgetMs: number): Promise<string | undefined> {
    const untilMs = this.#nowMs() + budgetMs
    const common = await this.#commonHeight()
    if (typeof common !== 'number') return said(common)
    const head = this.#head
    // A client that is ahead is left there: what it has is asked for and executed again as the chain's blocks come (2.11).
    if (common === head.number && (head.number === 0 || this.#clientHeight > common)) {
      return undefined
    }
    for (let height = common + 1; height <= head.number; height++) {
      if (this.#nowMs() >= untilMs) return `the client is at block ${height - 1} of ${head.number}`
      const payload = this.#mirror.payloadAt(height)
      if (payload === undefined) {
        return `the client needs block ${height}, which is pruned here: give it the state of another client`
      }
      const told = await this.#client.newPayload(payload)
      if (!told.ok) return said(told.fault)
      if (told.value.status !== 'VALID') {
        const { status, validationError } = told.value
        return `the client answers ${status} to block ${height}: ${validationError ?? ''}`
      }
      const chosen = await this.#client.forkchoice(payload.blockHash, payload.blockHash)
      if (!chosen.ok) return said(chosen.fault)
    }
    const chosen = await this.#forkchoice(head.hash)
    return typeof chosen === 'string' ? chosen : undefined
  }

  /** Up to where the client's chain is the mirror's. */
  async #commonHeight(): Promise<number | ClientFault> {
    const latest = await this.#client.blockAt('latest')
    if (!latest.ok) return latest.fault
    this.#clientHeight = latest.value?.number ?? 0
    const top = Math.min(this.#clientHeight, this.#head.number)
    const isShared = async (height: number): Promise<boolean | ClientFault> => {
      const theirs = await this.#client.blockAt(height)
      if (!theirs.ok) return theirs.fault
      const ours = this.#mirror.hashAt(height)
      return theirs.value !== undefined && ours !== undefined && equalBytes(theirs.value.hash, ours)
    }
    const atTop = await isShared(top)
    if (typeof atTop !== 'boolean') return atTop
    if (atTop) return top
    let [shared, other] = [0, top]
    while (other - shared > 1) {
      const middle = (shared + other) >> 1
      const found = await isShared(middle)
      if (typeof found !== 'boolean') return found
      if (found) shared = middle
      else other = middle
    }
    return shared
  }

  #descends(from: Uint8Array, hash: Uint8Array): boolean {
    let next: Uint8Array | undefined = from
    while (next !== undefined && !equalBytes(next, hash)) {
      next = this.#candidates.get(toHex(next))?.payload.parentHash
    }
    return next !== undefined
  }

  #parentOf(hash: Uint8Array): Parent | UnknownParent {
    const head = this.#head
    if (equalBytes(hash, head.hash)) return this.#mirror.payloadAt(head.number) as Parent
    const candidate = this.#candidates.get(toHex(hash))
    return candidate?.payload ?? { status: 'UNKNOWN', code: 'ParentMissing', reason: toHex(hash) }
  }

  #committed(payload: ExecutionPayload): ExecuteReply {
    const height = payload.blockNumber
    const stored = this.#mirror.payloadAt(height)
    if (stored === undefined || !isSamePayload(stored, payload)) {
      return { status: 'UNKNOWN', code: 'BehindHead', reason: `block ${height} is decided` }
    }
    const receipts = this.#mirror.receiptsAt(height)
    if (receipts?.length !== payload.transactions.length) {
      return { status: 'UNKNOWN', code: 'ReceiptsMissing', reason: `block ${height}` }
    }
    return { status: 'VALID', outcome: storedOutcome(payload, receipts) }
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
}

/** What the client was asked for and did otherwise. */
function differingAttribute(
  request: BuildRequest,
  parent: Parent,
  built: ExecutionPayload,
): string | undefined {
  if (!equalBytes(built.parentHash, parent.blockHash)) return 'parent'
  if (built.timestamp !== request.timestamp) return 'timestamp'
  if (!equalBytes(built.prevRandao, request.prevRandao)) return 'prevRandao'
  if (!equalBytes(built.feeRecipient, request.feeRecipient)) return 'feeRecipient'
  const { withdrawals } = request
  const isSame = built.withdrawals.every((row, at) => {
    const wanted = withdrawals[at]
    return (
      wanted !== undefined &&
      row.index === wanted.index &&
      row.validatorIndex === wanted.validatorIndex &&
      row.amountGwei === wanted.amountGwei &&
      equalBytes(row.address, wanted.address)
    )
  })
  return isSame && built.withdrawals.length === withdrawals.length ? undefined : 'withdrawals'
}

/** With the header fields that the protocol fixes and that no attribute tells the client. It judges the result like any other block. */
function resealed(built: ExecutionPayload, gasLimit: number): ExecutionPayload {
  if (built.extraData.length === 0 && built.gasLimit === gasLimit) return built
  const payload = { ...built, extraData: new Uint8Array(0), gasLimit }
  return { ...payload, blockHash: hashPayload(payload) }
}

function engineFault(reason: string): UnknownParent {
  return { status: 'UNKNOWN', code: 'EngineFault', reason }
}

function unavailable(fault: ClientFault): Refusal {
  return { code: 'EngineUnavailable', reason: said(fault) }
}

function said({ code, reason }: ClientFault): string {
  return `the execution client: ${code}: ${reason}`
}
