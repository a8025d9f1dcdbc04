/**
 * Makes the next checkpoint from what is on disk alone: of the EVM state what the blocks since the last one changed, by the records of
 * what they replaced; of the ledger what they wrote. It reads at one moment while blocks go on, and all of it is one event turn of a thread
 * of its own.
 */
import { rmSync } from 'node:fs'
import type { LedgerRow } from '../../../actors/storage/index.ts'
import { concatBytes, toHex, uint32be } from '../../../crypto/index.ts'
import { decodeStoredPayload } from '../../../vm/evm/index.ts'
import { type ChainStoreReader, readChainStore } from '../chain-store/index.ts'
import { openStateRows, type StateRows } from '../engine/index.ts'
import { Base } from './base.ts'
import { isWhole, readDeltaRows, writeDelta } from './delta-file.ts'
import { type CheckpointMeta, PAYLOAD_KEY, ROW_TABLE, type Row } from './rows.ts'
import { type Delta, Shelf } from './shelf.ts'

export interface MakeRequest {
  readonly directory: string
  readonly chainDirectory: string
  readonly engineDirectory: string
  readonly every: number
  readonly keep: number
}

export interface MakeReply {
  /** What was made: the difference to the last one, or all of the state where that cannot be told. */
  readonly made: 'none' | 'difference' | 'whole'
  /** Of the newest checkpoint; undefined: there is none. */
  readonly height: number | undefined
  readonly sizeBytes: number
}

/** Hashes of blocks that the EVM may ask for. */
const HASHES = 256

export async function makeCheckpoint(request: MakeRequest): Promise<MakeReply> {
  const opened = await readChainStore(request.chainDirectory)
  if (!opened.ok) throw new Error(`chain store: ${opened.reason}`)
  const chain = opened.store
  const state = openStateRows(request.engineDirectory)
  const shelf = new Shelf(request.directory)
  const base = openBase(shelf)
  try {
    return new Maker(request, chain, state, shelf, base).make()
  } finally {
    await Promise.all([chain.close(), state.close(), base.close()])
  }
}

/** One that is damaged is thrown away with all that hangs on it. */
function openBase(shelf: Shelf): Base {
  try {
    return Base.open(shelf.basePath, 'write')
  } catch {
    shelf.clear()
    return Base.open(shelf.basePath, 'write')
  }
}

class Maker {
  readonly #request: MakeRequest
  readonly #chain: ChainStoreReader
  readonly #state: StateRows
  readonly #shelf: Shelf
  readonly #base: Base

  constructor(
    request: MakeRequest,
    chain: ChainStoreReader,
    state: StateRows,
    shelf: Shelf,
    base: Base,
  ) {
    this.#request = request
    this.#chain = chain
    this.#state = state
    this.#shelf = shelf
    this.#base = base
  }

  make(): MakeReply {
    const chainHead = this.#chain.headHeight()
    this.#state.refresh()
    const stateHead = this.#state.head()?.number ?? 0
    const head = Math.min(chainHead, stateHead)
    const base = this.#base.meta()
    const deltas = base === undefined ? [] : this.#wholeDeltas(base)
    const newest = deltas.at(-1)?.meta ?? base
    if (newest !== undefined) {
      if (head < newest.height + this.#request.every) return unchanged(newest)
      const made = this.#isOfThisChain(newest) ? this.#makeDelta(newest, head) : undefined
      if (made !== undefined && this.#fold([...deltas, made.delta])) {
        return { made: 'difference', height: made.delta.meta.height, sizeBytes: made.sizeBytes }
      }
    }
    // The ledger is known at the chain's head alone, where the state may not have come yet.
    if (chainHead === 0 || chainHead > stateHead) return unchanged(newest)
    return this.#makeWhole(chainHead)
  }

  /** What a disk did to the newest is found before the next one is built on it. */
  #wholeDeltas(base: CheckpointMeta): readonly Delta[] {
    const deltas = this.#shelf.deltas(base)
    const last = deltas.at(-1)
    return last === undefined || isWhole(last.path) ? deltas : deltas.slice(0, -1)
  }

  #isOfThisChain({ height, evmHash }: CheckpointMeta): boolean {
    const hash = this.#state.hashAt(height)
    return hash !== undefined && toHex(hash) === evmHash
  }

  /** Undefined: what has changed since is not known any more. */
  #makeDelta(
    from: CheckpointMeta,
    head: number,
  ): { readonly delta: Delta; readonly sizeBytes: number } | undefined {
    const ledger = new Map<string, Row>()
    let height = from.height
    try {
      for (const write of this.#chain.ledgerWrites(from.height)) {
        if (write.last > head) break
        for (const row of write.rows.map(ledgerRow)) ledger.set(toHex(row.key), row)
        height = write.last
      }
    } catch {
      return undefined
    }
    const changed = height > from.height ? this.#state.changed(from.height, height) : undefined
    const meta = this.#metaAt(height)
    if (changed === undefined || meta === undefined) return undefined
    const path = this.#shelf.pathOf(height)
    const links = { from: from.height, fromHash: from.evmHash }
    const rows = concatRows(changed, ledger.values(), this.#blockRows(from.height + 1, height))
    const sizeBytes = writeDelta(path, { ...meta, ...links }, rows)
    return { delta: { path, meta: { ...meta, ...links } }, sizeBytes }
  }

  /** So many are kept: the oldest files go into the whole one. False: one of them is damaged. */
  #fold(deltas: readonly Delta[]): boolean {
    const files = this.#request.keep - 1
    const surplus = deltas.slice(0, Math.max(0, deltas.length - files))
    for (const { path, meta } of surplus) {
      if (!isWhole(path)) return false
      const { height, evmHash, stateRoot } = meta
      this.#base.fold({ height, evmHash, stateRoot }, readDeltaRows(path))
      rmSync(path, { force: true })
    }
    this.#shelf.tidy(new Set(deltas.slice(surplus.length).map(({ path }) => path)))
    return true
  }

  #makeWhole(height: number): MakeReply {
    const meta = this.#metaAt(height)
    const state = this.#state.all(height)
    if (meta === undefined || state === undefined) return unchanged(undefined)
    this.#shelf.tidy(new Set())
    const first = Math.max(1, height - HASHES + 1)
    const ledger = mapRows(this.#chain.readLedgerRows(), ledgerRow)
    this.#base.fill(meta, concatRows(state, ledger, this.#blockRows(first, height)))
    return { made: 'whole', height, sizeBytes: 0 }
  }

  #metaAt(height: number): CheckpointMeta | undefined {
    const hash = this.#state.hashAt(height)
    const payload = this.#state.payloadAt(height)
    if (hash === undefined || payload === undefined) return undefined
    const { stateRoot } = decodeStoredPayload(payload)
    return { height, evmHash: toHex(hash), stateRoot: toHex(stateRoot) }
  }

  /** The last block as the next one's parent, and hashes. */
  *#blockRows(first: number, last: number): Iterable<Row> {
    for (const height of [0, ...heights(first, last)]) {
      const value = this.#state.hashAt(height)
      if (value !== undefined) yield { table: ROW_TABLE.hashes, key: uint32be(height), value }
    }
    const value = this.#state.payloadAt(last)
    if (value !== undefined) yield { table: ROW_TABLE.payload, key: PAYLOAD_KEY, value }
  }
}

function unchanged(newest: CheckpointMeta | undefined): MakeReply {
  return { made: 'none', height: newest?.height, sizeBytes: 0 }
}

function ledgerRow({ set, key, value }: LedgerRow): Row {
  return { table: ROW_TABLE.ledger, key: concatBytes(Uint8Array.of(set), key), value }
}

function* heights(first: number, last: number): Iterable<number> {
  for (let height = first; height <= last; height++) yield height
}

function* mapRows<T>(rows: Iterable<T>, change: (row: T) => Row): Iterable<Row> {
  for (const row of rows) yield change(row)
}

function* concatRows(...parts: readonly Iterable<Row>[]): Iterable<Row> {
  for (const part of parts) yield* part
}
