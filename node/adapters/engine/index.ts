/**
 * The embedded engine: one thread that owns the EVM state on LMDB, a small pool for calls and one for the recovery of
 * senders. Reads of committed blocks and accounts go to the same files from the thread that asks. A thread that dies is
 * replaced and opens the state at its durable head; its candidates are executed again when they are asked for.
 */
import { existsSync } from 'node:fs'
import { Piscina } from 'piscina'
import type { ExecutionPayload } from '../../../core/block/index.ts'
import {
  type AccountReads,
  type AnswerOf,
  type Ask,
  type BuildReply,
  type BuildRequest,
  ChainReads,
  type CommitReply,
  type EngineHead,
  type EvmGenesis,
  type ExecuteReply,
  type ExecuteRequest,
  type PrepareRequest,
  type QuestionKind,
  type Questions,
  StateReads,
} from '../../../vm/evm/index.ts'
import { diskFault } from '../disk/index.ts'
import type { OpenResult } from './engine.worker.ts'
import { buffersOf } from './packing.ts'
import { SenderRecovery } from './recovery.ts'
import { type EngineDatabase, openEngineDatabase } from './store.ts'
import {
  type CallsWorkerData,
  type CommitRequest,
  type EngineWorkerData,
  type PackedBuildReply,
  packBuild,
  packExecute,
  packPrepare,
  unpackBuilt,
} from './wire.ts'

export { SenderRecovery } from './recovery.ts'
export { discardState } from './state-files.ts'
export { StateRestore } from './state-restore.ts'
export { openStateRows, type StateRow, type StateRows, TABLE_OF } from './state-rows.ts'

export { type EngineDatabase, openEngineDatabase } from './store.ts'

/** What the node asks of an engine, embedded or external. */
export type NodeEngine = Omit<ExecutionEngine, 'prepare' | 'state' | 'stateAt'> & {
  /** Absent: it cannot. */
  readonly prepare?: ExecutionEngine['prepare']
  readonly state: AccountReads
  stateAt(height: number): AccountReads | undefined
}

/** What the node asks of the embedded engine. */
export interface ExecutionEngine {
  /** Durable head when it was opened. */
  readonly openedAt: EngineHead
  /** Hash of block 0. */
  readonly genesisHash: Uint8Array
  build(request: BuildRequest): Promise<BuildReply>
  /** Executes ahead what `build` will be asked for. */
  prepare(request: PrepareRequest): Promise<void>
  execute(request: ExecuteRequest): Promise<ExecuteReply>
  /** What blocks from `height` on replaced is kept, within bounds, until a checkpoint has it. */
  keepPast(height: number): void
  /** Resolves when the block and its uncommitted ancestors are on disk. */
  commit(hash: Uint8Array): Promise<CommitReply>
  /** Senders by position; undefined where a transaction is malformed or no key fits. */
  recoverSenders(raws: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** Committed blocks, transactions, receipts, logs. */
  readonly blocks: ChainReads
  /** Accounts at the latest committed block. */
  readonly state: StateReads
  /** Accounts after an earlier block, to be read at once; undefined where they are no longer kept. */
  stateAt(height: number): StateReads | undefined
  /** Read-only calls, traces and proofs in a thread of their own. */
  readonly ask: Ask
  /** Blocks below `below` lose transactions and receipts, a bounded part of it at once (PR-1). */
  prune(below: number): Promise<void>
  close(): Promise<void>
}

export type EngineOptions = {
  readonly directory: string
  readonly genesis: EvmGenesis
  /** Threads for calls [1]; started when they are needed. */
  readonly callThreads?: number
  /** Threads for recovery [1]; started when they are needed. */
  readonly recoveryThreads?: number
}

export type EngineRefused = {
  readonly status: 'REFUSED'
  readonly code: 'GenesisMismatch' | 'LayoutMismatch' | 'StateDamaged'
  readonly reason: string
}

const MAX_WAITING_BLOCKS = 64
const MAX_WAITING_CALLS = 256
/** V8 sizes a thread's young generation by the machine's memory; more than this buys no speed here. */
const YOUNG_GENERATION_MB = 32
/** Steps of pruning go on for so long at once. */
const PRUNE_MS = 1_000
/** Threads for calls are given back after this: a wallet that asks now and then does not wait for a new one to load each time. */
const IDLE_MS = 300_000

export async function openEngine(
  options: EngineOptions,
): Promise<{ readonly status: 'OPEN'; readonly engine: ExecutionEngine } | EngineRefused> {
  const { directory, genesis } = options
  const workerData: EngineWorkerData = { directory, genesis }
  const writer = new Piscina({
    filename: workerPath('engine'),
    workerData,
    minThreads: 1,
    maxThreads: 1,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    maxQueue: MAX_WAITING_BLOCKS,
  })
  const reply: OpenResult = await writer.run(undefined, { name: 'open' }).catch(async (cause) => {
    await writer.destroy()
    throw cause
  })
  if (reply.status === 'REFUSED') {
    await writer.destroy()
    return reply
  }
  const database = openEngineDatabase(directory, 'read')
  if ('code' in database) {
    await writer.destroy()
    return { status: 'REFUSED', ...database }
  }
  return { status: 'OPEN', engine: new EmbeddedEngine(options, reply, writer, database) }
}

/** The state in `directory` for reading alone; or why it cannot be read. */
export function readEngineState(
  directory: string,
):
  | { readonly ok: true; readonly database: EngineDatabase }
  | { readonly ok: false; readonly reason: string } {
  if (!existsSync(directory)) return { ok: false, reason: 'there is none' }
  const database = openEngineDatabase(directory, 'read')
  return 'code' in database ? { ok: false, reason: database.reason } : { ok: true, database }
}

function workerPath(name: string): string {
  return new URL(`./${name}.worker.ts`, import.meta.url).href
}

class EmbeddedEngine implements ExecutionEngine {
  readonly openedAt: EngineHead
  readonly genesisHash: Uint8Array
  readonly blocks: ChainReads
  readonly state: StateReads
  readonly #writer: Piscina
  readonly #calls: Piscina
  readonly #recovery: SenderRecovery
  readonly #database: EngineDatabase
  readonly #directory: string
  /** Payloads that were built here, themselves: their blocks need not cross to the thread again to be checked. */
  readonly #built = new WeakSet<ExecutionPayload>()
  #keepPastFrom = Number.POSITIVE_INFINITY

  constructor(
    options: EngineOptions,
    opened: Extract<OpenResult, { status: 'OPEN' }>,
    writer: Piscina,
    database: EngineDatabase,
  ) {
    const callsData: CallsWorkerData = {
      directory: options.directory,
      chainId: options.genesis.chainId,
    }
    this.openedAt = opened.head
    this.genesisHash = opened.genesisHash
    this.#writer = writer
    this.#database = database
    this.#directory = options.directory
    this.blocks = new ChainReads(database)
    this.state = new StateReads(database.view())
    this.#calls = pool('calls', options.callThreads ?? 1, MAX_WAITING_CALLS, callsData)
    this.#recovery = new SenderRecovery(options.recoveryThreads ?? 1)
  }

  async build(request: BuildRequest): Promise<BuildReply> {
    const packed = packBuild(request)
    const transferList = buffersOf(packed.transactions, packed.senders)
    const reply: PackedBuildReply = await this.#writer.run(packed, { name: 'build', transferList })
    const built = unpackBuilt(reply)
    if (built.status === 'BUILT') this.#built.add(built.payload)
    return built
  }

  async prepare(request: PrepareRequest): Promise<void> {
    const packed = packPrepare(request)
    const transferList = buffersOf(packed.transactions, packed.senders)
    await this.#writer.run(packed, { name: 'prepare', transferList })
  }

  async execute(request: ExecuteRequest): Promise<ExecuteReply> {
    const { payload } = request
    if (this.#built.has(payload)) {
      const options = { name: 'recall' }
      const reply: ExecuteReply | undefined = await this.#writer.run(payload.blockHash, options)
      if (reply !== undefined) return reply
    }
    const packed = packExecute(request)
    const transferList = buffersOf(packed.payload.transactions, packed.senders)
    return this.#writer.run(packed, { name: 'execute', transferList })
  }

  async commit(hash: Uint8Array): Promise<CommitReply> {
    const request: CommitRequest = { hash, keepPastFrom: this.#keepPastFrom }
    const commit = this.#writer.run(request, { name: 'commit' })
    const reply: CommitReply = await commit.catch(async (cause) => {
      throw await diskFault(cause, this.#directory)
    })
    this.#database.refresh()
    return reply
  }

  keepPast(height: number): void {
    this.#keepPastFrom = height
  }

  async prune(below: number): Promise<void> {
    const untilMs = performance.now() + PRUNE_MS
    let [before, lowest] = [-1, 0]
    // Between two steps blocks that wait have the thread.
    while (lowest > before && lowest < below && performance.now() < untilMs) {
      before = lowest
      const pruned: Promise<number> = this.#writer.run({ below }, { name: 'prune' })
      lowest = await pruned.catch(async (cause) => {
        throw await diskFault(cause, this.#directory)
      })
    }
  }

  recoverSenders(raws: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#recovery.recover(raws)
  }

  stateAt(height: number): StateReads | undefined {
    const view = this.#database.viewAt(height)
    return view && new StateReads(view)
  }

  async ask<Kind extends QuestionKind>(
    kind: Kind,
    question: Questions[Kind],
    signal?: AbortSignal,
  ): Promise<AnswerOf<Kind>> {
    // A thread that loads its interpreter is let do so: ended by a deadline, the next one would be as late.
    if (this.#calls.threads.length === 0) await this.#calls.run(undefined, { name: 'ready' })
    signal?.throwIfAborted()
    const options = { name: 'answer', ...(signal && { signal }) }
    return this.#calls.run({ kind, question }, options)
  }

  async close(): Promise<void> {
    // Whatever became of the thread: nobody holds the files afterwards, so that they may be discarded.
    try {
      await this.#writer.run(undefined, { name: 'close' })
    } finally {
      await Promise.all([this.#writer.destroy(), this.#calls.destroy(), this.#recovery.close()])
      await this.#database.close()
    }
  }
}

function pool(name: string, threads: number, maxQueue: number, workerData: unknown): Piscina {
  return new Piscina({
    filename: workerPath(name),
    workerData,
    minThreads: 0,
    maxThreads: threads,
    maxQueue,
    idleTimeout: IDLE_MS,
  })
}
