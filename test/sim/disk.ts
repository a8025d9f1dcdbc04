/**
 * What of a node survives a crash. Stores lose whole transactions that were not synced, never halves of them; the sign guard's
 * file loses a tail at any byte. Of what was under way at the crash a prefix may have become durable.
 */
import type { SignGuard } from '../../actors/chain/index.ts'
import type { ChainStore, JournalRow, LedgerRow, StoredBlock } from '../../actors/storage/index.ts'
import {
  decideGuard,
  decodeGuardFile,
  encodeGuardEntry,
  encodeGuardFile,
  foldGuard,
  type GuardEntry,
  type GuardView,
  guardEntries,
  guardOwner,
  startFloor,
} from '../../core/pbft/index.ts'
import { concatBytes, equalBytes, toHex } from '../../crypto/index.ts'
import { faultError } from '../../supervisor/index.ts'
import type { StoredBlock as EngineBlock, EngineStore } from '../../vm/evm/index.ts'
import { MemoryStore } from '../unit/vm/evm/memory-store.ts'
import type { Chance } from './chance.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

/** The answer to what a dead process goes on to ask for in its last moment. */
function never(): Promise<never> {
  return new Promise(() => {})
}

const COMPACT_BYTES = 64 * 1024

/** Transactions of one store, one after the other. */
class Transactions {
  #waiting: { readonly apply: () => void }[] = []
  #freeAtMs = 0

  /** Resolves when the transaction is durable and its caller was told; rejects when the disk fails, and nothing happened. */
  async commit(
    life: Life,
    chance: Chance,
    troubles: Troubles,
    label: string,
    apply: () => void,
  ): Promise<void> {
    if (!life.alive) return never()
    if (chance.happens(troubles.chance('writes'))) {
      life.world.fault('writeFailed')
      await life.io(chance.between(0, 12), `${label} fails`, () => {
        throw new Error('no space left on device')
      })
    }
    const transaction = { apply }
    this.#waiting.push(transaction)
    const { nowMs } = life.world
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + chance.between(0, 12)
    await life.io(this.#freeAtMs - nowMs, label, () => {
      this.#waiting = this.#waiting.filter((one) => one !== transaction)
      apply()
    })
    await life.io(chance.between(0, 3), `${label} told`, () => {})
  }

  /** A prefix of what was not told yet is durable, the rest is lost. */
  crash(world: World, chance: Chance): void {
    let kept = 0
    while (kept < this.#waiting.length && chance.happens(0.5)) kept += 1
    for (const { apply } of this.#waiting.slice(0, kept)) apply()
    if (kept < this.#waiting.length) world.fault('transactionLost')
    this.#waiting = []
    this.#freeAtMs = 0
  }
}

/** Chances that a disk or an engine fails. */
export interface Trouble {
  readonly writes: number
  readonly syncs: number
  readonly engine: number
}

export class Troubles {
  readonly #all = new Set<Partial<Trouble>>()

  add(trouble: Partial<Trouble>): void {
    this.#all.add(trouble)
  }

  delete(trouble: Partial<Trouble>): void {
    this.#all.delete(trouble)
  }

  /** The worst of all. */
  chance(of: keyof Trouble): number {
    return Math.max(0, ...[...this.#all].map((trouble) => trouble[of] ?? 0))
  }
}

interface DurableFile {
  synced: Uint8Array
  /** Written and not synced. */
  tail: Uint8Array
}

export class Disk {
  readonly blocks = new Map<number, StoredBlock>()
  readonly #heights = new Map<string, number>()
  readonly #ledger = new Map<string, LedgerRow>()
  readonly #journal = new Map<string, string>()
  readonly engine = new MemoryStore()
  readonly #guard: DurableFile = { synced: new Uint8Array(0), tail: new Uint8Array(0) }
  readonly #chain = new Transactions()
  readonly #evm = new Transactions()
  readonly #chance: Chance
  readonly #onBlock: (block: StoredBlock) => void
  readonly troubles = new Troubles()
  readonly #world: World
  headHeight = 0

  constructor(world: World, chance: Chance, onBlock: (block: StoredBlock) => void) {
    this.#world = world
    this.#chance = chance
    this.#onBlock = onBlock
  }

  crash(): void {
    this.#chain.crash(this.#world, this.#chance)
    this.#evm.crash(this.#world, this.#chance)
    const { synced, tail } = this.#guard
    const kept = this.#chance.between(0, tail.length)
    if (kept < tail.length) this.#world.fault('tailTorn')
    this.#guard.synced = concatBytes(synced, tail.subarray(0, kept))
    this.#guard.tail = new Uint8Array(0)
  }

  openStore(life: Life): Promise<ChainStore> {
    const commit = (label: string, apply: () => void) =>
      this.#chain.commit(life, this.#chance, this.troubles, label, apply)
    const store: ChainStore = {
      writeBlocks: (blocks, rows) =>
        commit('writeBlocks', () => {
          for (const block of blocks) {
            this.blocks.set(block.height, block)
            this.#heights.set(toHex(block.hash), block.height)
            this.headHeight = block.height
            this.#onBlock(block)
          }
          for (const row of rows) this.#ledger.set(`${row.set}:${toHex(row.key)}`, row)
        }),
      readHead: () => this.blocks.get(this.headHeight),
      readBlock: (height) => this.blocks.get(height),
      heightOf: (hash) => this.#heights.get(toHex(hash)),
      readLedgerRows: () => [...this.#ledger.values()],
      writeJournal: (rows) =>
        commit('writeJournal', () => {
          for (const { key, value } of rows) {
            if (value === null) this.#journal.delete(key)
            else this.#journal.set(key, value)
          }
        }),
      readJournal: (): Iterable<JournalRow> =>
        [...this.#journal].map(([key, value]) => ({ key, value })),
      close: () => life.io(1, 'close store', () => {}),
    }
    return life.io(this.#chance.between(1, 20), 'open store', () => store)
  }

  /** The engine's own store: its commits come later than the chain's, or are lost. */
  engineStore(life: Life): EngineStore {
    const { engine } = this
    return {
      head: () => engine.head(),
      view: () => engine.view(),
      hashAt: (height) => engine.hashAt(height),
      payloadAt: (height) => engine.payloadAt(height),
      receiptsAt: (height) => engine.receiptsAt(height),
      append: (blocks: readonly EngineBlock[]) =>
        this.#evm.commit(life, this.#chance, this.troubles, 'append evm', () => {
          void engine.append(blocks)
        }),
    }
  }

  /** As the guard's adapter orders its writes: append, sync, then fold; after a failure nothing until it is opened again. */
  async openGuard(
    life: Life,
    genesisHash: Uint8Array,
    publicKey: Uint8Array,
    committedHeight: number,
  ): Promise<SignGuard> {
    const file = this.#guard
    const owner = guardOwner(genesisHash, publicKey)
    // A process reads what it wrote, synced or not.
    const bytes = () => concatBytes(file.synced, file.tail)
    const decoded = await life.io(this.#chance.between(1, 10), 'open guard', () =>
      decodeGuardFile(owner, bytes()),
    )
    if (!decoded.ok) {
      throw faultError(decoded.error.code, 'configuration', JSON.stringify(decoded.error))
    }
    let { view } = decoded.value
    const { goodBytes } = decoded.value
    const sync = (label: string) =>
      life.io(this.#chance.between(0, 8), label, () => {
        if (this.#chance.happens(this.troubles.chance('syncs'))) {
          life.world.fault('syncFailed')
          throw new Error('input/output error')
        }
        file.synced = bytes()
        file.tail = new Uint8Array(0)
      })
    const replace = async (next: GuardView) => {
      await life.io(this.#chance.between(1, 10), 'replace guard', () => {
        file.synced = encodeGuardFile(owner, guardEntries(next))
        file.tail = new Uint8Array(0)
      })
      view = next
    }
    const floor = startFloor(view, committedHeight)
    if (goodBytes === 0 || floor !== view.floor) {
      await replace(foldGuard(view, { kind: 'floor', floor, slot: view.slot }))
    } else if (goodBytes < bytes().length) {
      await life.io(1, 'truncate guard', () => {
        file.synced = bytes().slice(0, goodBytes)
        file.tail = new Uint8Array(0)
      })
    }
    try {
      await sync('sync guard as found')
    } catch (thrown) {
      throw faultError('GuardIo', 'configuration', String(thrown))
    }
    const write = (entry: GuardEntry) => {
      const entryBytes = encodeGuardEntry(owner, bytes().length, entry)
      file.tail = concatBytes(file.tail, entryBytes)
    }
    let queue: Promise<unknown> = Promise.resolve()
    let failed: Error | undefined
    const serial = <T>(work: () => Promise<T>): Promise<T> => {
      const done = queue.then(async () => {
        if (failed !== undefined) throw failed
        try {
          return await work()
        } catch (thrown) {
          failed = thrown as Error
          throw thrown
        }
      })
      queue = done.catch(() => undefined)
      return done
    }
    return {
      view: () => view,
      append: (record) =>
        serial(async () => {
          const decision = decideGuard(view, record)
          if (decision !== 'sign') return decision
          life.call('write guard', () => write(record))
          await sync('sync guard')
          view = foldGuard(view, record)
          return decision
        }),
      compact: (height) =>
        serial(async () => {
          if (height < view.floor) return
          const entry = { kind: 'floor', floor: height + 1, slot: view.slot } as const
          const next = foldGuard(view, entry)
          if (bytes().length >= COMPACT_BYTES) return replace(next)
          life.call('write guard', () => write(entry))
          view = next
        }),
      close: async () => {
        await queue
        failed ??= new Error('the sign guard is closed')
        await life.io(1, 'close guard', () => {})
      },
    }
  }

  /** The store's block of a height is the one that was acknowledged. */
  holds(height: number, hash: Uint8Array): boolean {
    const block = this.blocks.get(height)
    return block !== undefined && equalBytes(block.hash, hash)
  }
}

/** A file of whole lines; the last may be torn off in a crash. */
export class LineDisk {
  readonly lines: string[] = []
  #waiting: string[] = []
  #freeAtMs = 0
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  crash(): void {
    for (const line of this.#waiting) {
      if (this.#chance.happens(0.5)) break
      this.lines.push(line)
    }
    this.#waiting = []
    this.#freeAtMs = 0
  }

  append(life: Life, line: string): Promise<void> {
    if (!life.alive) return never()
    this.#waiting.push(line)
    const { nowMs } = life.world
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + this.#chance.between(0, 8)
    return life.io(this.#freeAtMs - nowMs, 'append line', () => {
      this.#waiting.shift()
      this.lines.push(line)
    })
  }
}
