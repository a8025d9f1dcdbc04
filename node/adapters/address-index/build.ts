/** Brings the index up to the state's head, a bounded part of the way at once, and takes out what is about to be pruned. */
import { equalBytes, hexBytes, toHex } from '../../../crypto/index.ts'
import { keccak256 } from '../../../vm/evm/index.ts'
import { readEngineState } from '../engine/index.ts'
import { type HistoryRow, rowsOfBlock } from './rows.ts'
import { type HistoryPage, HistoryStore, type Progress } from './store.ts'

type EngineDatabase = Extract<ReturnType<typeof readEngineState>, { ok: true }>['database']

export interface IndexPaths {
  readonly directory: string
  readonly engineDirectory: string
}

export interface AdvanceReply {
  /** Blocks that are still missing. */
  readonly behind: number
  readonly blocks: number
}

/** Rows of one transaction. */
const BATCH_ROWS = 20_000
const BATCH_BLOCKS = 64
/** What one step of pruning takes out. */
const PRUNE_ROWS = 50_000

/** Goes on for some `maxMs`. */
export function advance(paths: IndexPaths & { readonly maxMs: number }): Promise<AdvanceReply> {
  return withBoth(paths, (store, engine) => {
    const head = engine.head()?.number ?? 0
    const untilMs = Date.now() + paths.maxMs
    let progress = startOf(store, engine)
    const first = progress.next
    while (progress.next <= head) {
      progress = indexBlocks(store, engine, progress, head)
      if (Date.now() >= untilMs) break
    }
    return { behind: head + 1 - progress.next, blocks: progress.next - first }
  })
}

/** The index and the state as it is now, open for as long as `work` takes. */
async function withBoth<T>(
  { directory, engineDirectory }: IndexPaths,
  work: (store: HistoryStore, engine: EngineDatabase) => T,
): Promise<T> {
  const opened = readEngineState(engineDirectory)
  if (!opened.ok) throw new Error(opened.reason)
  const engine = opened.database
  const store = HistoryStore.openForWriting(directory)
  try {
    engine.refresh()
    return work(store, engine)
  } finally {
    await Promise.all([engine.close(), store.close()])
  }
}

/** The thread that writes reads as well: LMDB's files are one handle for all threads, and the first one says what for. */
export async function page(asked: {
  readonly directory: string
  readonly address: Uint8Array
  readonly limit: number
  readonly cursor?: Uint8Array
}): Promise<HistoryPage> {
  const store = HistoryStore.openForWriting(asked.directory)
  try {
    return store.page(asked.address, asked.limit, asked.cursor)
  } finally {
    await store.close()
  }
}

type Place = Omit<Progress, 'layout'>

/** Where it goes on: at block 1 or the lowest that is there, when it is empty or of another chain. */
function startOf(store: HistoryStore, engine: EngineDatabase): Place {
  const lowest = Math.max(1, engine.lowestBlock())
  const known = store.progress()
  if (known !== undefined && isOfThisChain(known, engine)) {
    // What was pruned before it was seen is not missed: it would be gone from here as well.
    return known.next >= lowest ? known : { ...known, from: lowest, next: lowest }
  }
  if (known !== undefined) store.clear()
  return { from: lowest, next: lowest, lastHash: '' }
}

function isOfThisChain({ next, lastHash }: Progress, engine: EngineDatabase): boolean {
  const hash = engine.hashAt(next - 1)
  // A state that was made again may not be there yet.
  return hash === undefined || lastHash === '' || equalBytes(hash, hexBytes(lastHash))
}

function indexBlocks(
  store: HistoryStore,
  engine: EngineDatabase,
  { from, next }: Place,
  head: number,
): Place {
  const rows: HistoryRow[] = []
  let height = next
  for (; height <= head && height < next + BATCH_BLOCKS && rows.length < BATCH_ROWS; height++) {
    for (const row of rowsAt(engine, height)) rows.push(row)
  }
  const progress = {
    from,
    next: height,
    lastHash: toHex(engine.hashAt(height - 1) ?? new Uint8Array()),
  }
  store.write(progress, rows, [])
  return progress
}

function rowsAt(engine: EngineDatabase, height: number): Iterable<HistoryRow> {
  const payload = engine.payloadAt(height)
  if (payload === undefined) return []
  const hashes = payload.transactions.map(keccak256)
  return rowsOfBlock(payload, hashes, engine.sendersAt(height), engine.receiptsAt(height) ?? [])
}

/**
 * Blocks below `below` leave it, some at once, while they are still there to tell what that is. Below what it gives they have left, so
 * that the state may forget them.
 */
export function prune(paths: IndexPaths & { readonly below: number }): Promise<number> {
  return withBoth(paths, (store, engine) => {
    const known = store.progress()
    if (known === undefined) return paths.below
    const { from, lastHash, next } = known
    const end = Math.min(paths.below, next)
    const gone: HistoryRow[] = []
    let to = from
    for (; to < end && gone.length < PRUNE_ROWS; to++) {
      for (const row of rowsAt(engine, to)) gone.push(row)
    }
    if (to > from) store.write({ from: to, next, lastHash }, [], gone)
    // What it has not come to yet it will find gone.
    return to >= next ? paths.below : to
  })
}
