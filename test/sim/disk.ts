/**
 * What of a node survives a crash. Stores lose whole transactions that were not synced, never halves of them; the sign guard's
 * file loses a tail at any byte. Of what was under way at the crash a prefix may have become durable.
 */
import type { SignGuard } from '../../actors/chain/index.ts'
import type { ChainStore, JournalRow, LedgerRow, StoredBlock } from '../../actors/storage/index.ts'
import {
  decodeGuardFile,
  decodeGuardRecords,
  type GuardEntry,
  guardOwner,
  NO_MARK,
  type SigningMark,
} from '../../core/guard/index.ts'
import { concatBytes, equalBytes, toHex } from '../../crypto/index.ts'
import type { HeadStore } from '../../governance/port.ts'
import {
  openGuardOn,
  type SignGuardFile,
  type SigningMarkFile,
} from '../../node/adapters/sign-guard/index.ts'
import { faultError } from '../../supervisor/index.ts'
import type { StoredBlock as EngineBlock, EngineStore } from '../../vm/evm/index.ts'
import { MemoryStore } from '../unit/vm/evm/memory-store.ts'
import type { Chance } from './chance.ts'
import { SLOT_MS } from './federation.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

/** The answer to what a dead process goes on to ask for in its last moment. */
function never(): Promise<never> {
  return new Promise(() => {})
}

const COMPACT_BYTES = 64 * 1024
/** As of LMDB. */
const LONGEST_KEY_BYTES = 1_978
const NO_BYTES = new Uint8Array(0)

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
        throw new Error('the write did not reach the disk')
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
    for (const { apply } of this.#waiting.slice(0, kept)) {
      try {
        apply()
      } catch {
        // It would have been refused.
      }
    }
    if (kept < this.#waiting.length) world.fault('transactionLost')
    this.#waiting = []
    this.#freeAtMs = 0
  }
}

function copyOf({ height, hash, bytes }: StoredBlock): StoredBlock {
  return { height, hash: hash.slice(), bytes: bytes.slice() }
}

function copyOfRow({ set, key, value }: LedgerRow): LedgerRow {
  return { set, key: key.slice(), value: value.slice() }
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

/** What a signature is for. */
export interface Signature {
  readonly kind: 'propose' | 'prepare' | 'commit' | 'viewChange'
  readonly height: number
  readonly view: number
  readonly hash?: Uint8Array
}

type DecodedGuard = ReturnType<typeof decodeGuardFile>

interface DurableFile {
  synced: Uint8Array
  /** Written and not synced. */
  tail: Uint8Array
  /** What is to take the place of both. */
  next: Uint8Array | undefined
}

/** Old guards that are kept, one for each height. */
const MAX_BACKUPS = 8

export class Disk {
  readonly blocks = new Map<number, StoredBlock>()
  readonly #headers = new Map<number, StoredBlock>()
  readonly #heights = new Map<string, number>()
  readonly #ledger = new Map<string, LedgerRow>()
  readonly #journal = new Map<string, string>()
  readonly engine = new MemoryStore()
  readonly #guard: DurableFile = { synced: NO_BYTES, tail: NO_BYTES, next: undefined }
  #decoded: { readonly bytes: Uint8Array; readonly guard: DecodedGuard } | undefined
  #mark: SigningMark = NO_MARK
  /** Whose guard it is, as its file names it. */
  #owner: Uint8Array = NO_BYTES
  readonly #chain = new Transactions()
  readonly #evm = new Transactions()
  readonly #chance: Chance
  readonly #onBlock: (block: StoredBlock) => void
  readonly troubles = new Troubles()
  readonly #world: World
  /** The guard's file at the time of each of the last heights: none of them knows of a later one. */
  readonly #guardBackups: { readonly height: number; readonly bytes: Uint8Array }[] = []
  headHeight = 0
  lowest = 1
  halt: string | undefined

  constructor(world: World, chance: Chance, onBlock: (block: StoredBlock) => void) {
    this.#world = world
    this.#chance = chance
    this.#onBlock = onBlock
  }

  crash(): void {
    this.#chain.crash(this.#world, this.#chance)
    this.#evm.crash(this.#world, this.#chance)
    this.#crashGuard()
  }

  openStore(life: Life): Promise<ChainStore> {
    const commit = (label: string, apply: () => void) =>
      this.#chain.commit(life, this.#chance, this.troubles, label, apply)
    const store: ChainStore = {
      writeBlocks: (blocks, rows) => {
        const given = blocks.map(copyOf)
        const kept = rows.map(copyOfRow)
        return commit('writeBlocks', () => {
          this.#refuse(given, kept)
          for (const block of given) {
            this.blocks.set(block.height, block)
            this.#heights.set(toHex(block.hash), block.height)
            this.headHeight = block.height
            this.#onBlock(block)
          }
          for (const row of kept) this.#ledger.set(`${row.set}:${toHex(row.key)}`, row)
          this.#guardBackups.push({ height: this.headHeight, bytes: this.#guard.synced })
          if (this.#guardBackups.length > MAX_BACKUPS) this.#guardBackups.shift()
        })
      },
      readHead: () => this.blocks.get(this.headHeight),
      readBlock: (height) => this.blocks.get(height),
      readHeader: (height) => this.#headers.get(height),
      lowestBlock: () => this.lowest,
      pruneBlocks: (headers) => {
        const given = headers.map(copyOf)
        return commit('pruneBlocks', () => {
          for (const [index, { height }] of given.entries()) {
            const isNext = height === this.lowest + index && height < this.headHeight
            if (!isNext) throw new Error('not the next to be pruned')
          }
          for (const header of given) {
            this.#headers.set(header.height, header)
            this.blocks.delete(header.height)
            this.lowest += 1
          }
        })
      },
      heightOf: (hash) => this.#heights.get(toHex(hash)),
      readLedgerRows: () => [...this.#ledger.values()].map(copyOfRow),
      writeHalt: (record) =>
        commit('writeHalt', () => {
          this.halt = record ?? undefined
        }),
      readHalt: () => this.halt,
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

  /** What LMDB's transaction would not take; nothing of it is written. */
  #refuse(blocks: readonly StoredBlock[], rows: readonly LedgerRow[]): void {
    let next = this.headHeight === 0 ? undefined : this.headHeight + 1
    for (const { height } of blocks) {
      if (next !== undefined && height !== next) throw new Error('a block does not follow the head')
      next = height + 1
    }
    if (rows.some(({ key }) => key.length > LONGEST_KEY_BYTES)) throw new Error('a key is too long')
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

  /** One transaction: after a crash all of the state is there, or nothing. */
  rollbackEngine(life: Life): Promise<void> {
    return this.#evm.commit(life, this.#chance, this.troubles, 'roll back evm', () => {
      this.engine.clear()
    })
  }

  /** The real adapter's code on this disk's file. */
  async openGuard(
    life: Life,
    genesisHash: Uint8Array,
    publicKey: Uint8Array,
    committedHeight: number,
  ): Promise<SignGuard> {
    this.#owner = guardOwner(genesisHash, publicKey)
    const compactAtBytes = COMPACT_BYTES
    const nowSlot = Math.floor(life.nowMs() / SLOT_MS)
    const facts = { genesisHash, publicKey, committedHeight, nowSlot, compactAtBytes }
    const opened = await openGuardOn(this.#guardFile(life), this.#markFile(life), facts)
    if (opened.ok) return opened.value
    throw faultError(opened.error.code, 'configuration', JSON.stringify(opened.error))
  }

  /** Heights up to here this node may have signed at. */
  get markedHeight(): number {
    return this.#mark.height
  }

  /** A write takes place or does not. */
  #markFile(life: Life): SigningMarkFile {
    const chance = this.#chance
    return {
      read: () => life.io(chance.between(0, 2), 'read guard mark', () => this.#mark),
      write: (_, mark) =>
        life.io(chance.between(0, 8), 'write guard mark', () => {
          this.#mark = mark
        }),
      close: () => life.io(0, 'close guard mark', () => {}),
    }
  }

  #guardFile(life: Life): SignGuardFile {
    const file = this.#guard
    const chance = this.#chance
    /** A process reads what it wrote, synced or not. */
    const contents = () => concatBytes(file.synced, file.tail)
    return {
      read: () => life.io(chance.between(1, 10), 'read guard', contents),
      truncate: (sizeBytes) =>
        life.io(chance.between(0, 2), 'truncate guard', () => {
          const { length } = file.synced
          file.tail = file.tail.slice(0, Math.max(0, sizeBytes - length))
          file.synced = file.synced.slice(0, sizeBytes)
        }),
      write: (bytes, position) =>
        life.io(0, 'write guard', () => {
          if (position !== file.synced.length + file.tail.length) {
            throw new Error('the guard writes elsewhere than at the end')
          }
          file.tail = concatBytes(file.tail, bytes)
        }),
      sync: () =>
        life.io(chance.between(0, 8), 'sync guard', () => {
          if (chance.happens(this.troubles.chance('syncs'))) {
            this.#world.fault('syncFailed')
            throw new Error('input/output error')
          }
          this.#grow(contents())
          file.tail = NO_BYTES
        }),
      replace: (bytes) => {
        if (!life.alive) return never()
        file.next = bytes
        return life.io(chance.between(1, 10), 'replace guard', () => {
          file.next = undefined
          file.synced = bytes
          file.tail = NO_BYTES
        })
      },
      close: () => life.io(1, 'close guard', () => {}),
    }
  }

  /** Whether what a signature needs is durable: its record, or that its height is over. */
  allowsSignature({ height, kind, view, hash }: Signature): boolean {
    const decoded = this.#syncedGuard()
    if (!decoded.ok) return false
    const isRecord = (entry: GuardEntry) => {
      if (!('view' in entry) || entry.height !== height || entry.view !== view) return false
      // Any record of the view holds the node to it.
      if (kind === 'viewChange') return true
      return entry.kind === kind && hash !== undefined && equalBytes(entry.hash, hash)
    }
    const { entries, view: folded } = decoded.value
    return folded.floor > height || entries.some(isRecord)
  }

  /** What is synced becomes longer: of what was decoded only the new end has to be. */
  #grow(bytes: Uint8Array): void {
    const known = this.#decoded
    const isHead = known?.bytes === this.#guard.synced && known.guard.ok
    this.#guard.synced = bytes
    if (!isHead || known.guard.value.goodBytes === 0) return
    this.#decoded = { bytes, guard: decodeGuardRecords(this.#owner, bytes, known.guard.value) }
  }

  /** Decoded once: what is synced is replaced, never written into. */
  #syncedGuard(): DecodedGuard {
    const bytes = this.#guard.synced
    if (this.#decoded?.bytes !== bytes) {
      this.#decoded = { bytes, guard: decodeGuardFile(this.#owner, bytes) }
    }
    return this.#decoded.guard
  }

  /** Of what was not synced a prefix stays, with a bit of it flipped now and then; a replacement took place or did not. */
  #crashGuard(): void {
    const file = this.#guard
    const chance = this.#chance
    if (file.next !== undefined && chance.happens(0.5)) {
      file.synced = file.next
      file.tail = NO_BYTES
    }
    const kept = file.tail.slice(0, chance.between(0, file.tail.length))
    if (kept.length < file.tail.length) this.#world.fault('tailTorn')
    if (kept.length > 0 && chance.happens(0.3)) {
      const at = chance.between(0, kept.length - 1)
      kept[at] = (kept[at] as number) ^ (1 << chance.between(0, 7))
      this.#world.fault('tailFlipped')
    }
    file.synced = concatBytes(file.synced, kept)
    file.tail = NO_BYTES
    file.next = undefined
  }

  /** Whether there is a guard from before the head; `lost`: the file is to be gone, which only a chain can tell. */
  hasGuardBackup(lost: boolean): boolean {
    return lost ? this.headHeight > 0 : this.#oldGuards().length > 0
  }

  #oldGuards() {
    return this.#guardBackups.filter(({ height }) => height < this.headHeight)
  }

  /** While nobody runs on this disk. */
  restoreGuard(lost: boolean): boolean {
    const old = lost ? { bytes: NO_BYTES } : this.#chance.pick(this.#oldGuards())
    if (old === undefined || !this.hasGuardBackup(lost)) return false
    this.#guard.synced = old.bytes
    return true
  }

  /** The end of what was durable is gone, or a bit of it is another. False where there is nothing. */
  damageGuard(): boolean {
    const { synced } = this.#guard
    if (synced.length === 0) return false
    const at = this.#chance.between(0, synced.length - 1)
    const damaged = synced.slice(0, this.#chance.happens(0.5) ? at : synced.length)
    if (damaged.length === synced.length) {
      damaged[at] = (damaged[at] as number) ^ (1 << this.#chance.between(0, 7))
    }
    this.#guard.synced = damaged
    return true
  }

  /** While nobody runs on this disk: all of it as it is now. Returns what puts it back. */
  backup(): () => void {
    const held = [this.blocks, this.#headers, this.#heights, this.#ledger, this.#journal] as const
    const copies = held.map((map) => [...map])
    const { synced } = this.#guard
    const { headHeight, halt, lowest } = this
    const engine = copyOfEngine(this.engine)
    return () => {
      for (const [at, map] of held.entries()) {
        map.clear()
        for (const [key, value] of copies[at] ?? []) {
          ;(map as Map<unknown, unknown>).set(key, value)
        }
      }
      this.#guard.synced = synced
      // The copy of a chain has none.
      this.#mark = NO_MARK
      this.headHeight = headHeight
      this.lowest = lowest
      this.halt = halt
      engine()
    }
  }

  /** The store's block of a height is the one that was acknowledged. */
  holds(height: number, hash: Uint8Array): boolean {
    const block = this.blocks.get(height)
    const kept = block ?? this.#headers.get(height)
    return kept !== undefined && equalBytes(kept.hash, hash)
  }
}

/** Returns what makes the store again what it is now. */
function copyOfEngine(engine: MemoryStore): () => void {
  const { accounts, codes, hashes, nodes, values } = engine.state
  const held = [accounts, codes, hashes, nodes] as const
  const copies = held.map((map) => [...map])
  const slots = [...values].map(([address, map]) => [address, new Map(map)] as const)
  const blocks = [...engine.blocks]
  return () => {
    engine.clear()
    for (const [at, map] of held.entries()) {
      for (const [key, value] of copies[at] ?? []) (map as Map<unknown, unknown>).set(key, value)
    }
    for (const [address, map] of slots) values.set(address, new Map(map))
    engine.blocks.push(...blocks)
  }
}

/** A member's header: what was saved last, or the one before it. */
export class HeaderDisk {
  #head: Awaited<ReturnType<HeadStore['load']>>
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  store(life: Life): HeadStore {
    return {
      load: () => life.io(this.#chance.between(1, 5), 'load head', () => this.#head),
      save: (header) =>
        life.io(this.#chance.between(1, 8), 'save head', () => {
          this.#head = header
        }),
    }
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
