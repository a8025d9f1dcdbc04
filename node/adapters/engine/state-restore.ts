/**
 * The state made again from a checkpoint's rows, in the place of what is damaged: flat tables, trie nodes and root. What is stored of
 * blocks stays where it can be read. While it is under way the store says so and opens for nobody; who is cut off begins anew.
 */
import { mkdirSync } from 'node:fs'
import { toHex, uint32be } from '../../../crypto/index.ts'
import {
  type AccountRecord,
  decodeAccount,
  EMPTY_TRIE_ROOT,
  keccak256,
  type StateView,
  sealState,
} from '../../../vm/evm/index.ts'
import { damageOfFile } from '../disk/index.ts'
import { removeDiscarded } from './state-files.ts'
import { type StateRow, TABLE_OF } from './state-rows.ts'
import { LAYOUT, openTables, RESTORING, stateView, type Tables, writeDelta } from './store.ts'

const ADDRESS_BYTES = 20
/** Rows of one transaction. */
const BATCH_ROWS = 4_096

/** What the state is the one of. */
export interface RestoredBlock {
  readonly height: number
  readonly hash: Uint8Array
  /** As it is stored. */
  readonly payload: Uint8Array
  /** Of the blocks up to it that calls may ask for, and of block 0. */
  readonly hashes: ReadonlyMap<number, Uint8Array>
}

export class StateRestore {
  readonly #tables: Tables
  readonly #view: StateView
  #hasBegun = false

  private constructor(tables: Tables) {
    this.#tables = tables
    this.#view = stateView(tables)
  }

  /** Nobody may have the state open. Throws where what is there cannot be read. */
  static open(directory: string): StateRestore {
    removeDiscarded(directory)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const damage = damageOfFile(directory)
    if (damage !== undefined) throw new Error(damage)
    return new StateRestore(openTables(directory, 'write'))
  }

  /** How often a restoration began here and did not end. */
  get attempts(): number {
    return this.#tables.meta.get(RESTORING)?.[0] ?? 0
  }

  /** Empties the flat tables; again, if what came in then was no state. */
  begin(): void {
    const { root, meta, accounts, storage, code, nodes, past } = this.#tables
    const attempts = Math.min(255, this.attempts + (this.#hasBegun ? 0 : 1))
    this.#hasBegun = true
    // Said before anything is touched: damaged pages may end the process.
    root.transactionSync(() => meta.putSync(RESTORING, Buffer.of(attempts)))
    root.transactionSync(() => {
      for (const table of [accounts, storage, code, nodes, past]) table.clearSync()
    })
  }

  /** Rows that were changed together; storage before the accounts that commit to it. Gives the state's root. */
  apply(rows: (table: number) => Iterable<StateRow>): Uint8Array {
    for (const table of ['storage', 'code', 'accounts'] as const) {
      let batch: StateRow[] = []
      for (const row of rows(TABLE_OF[table])) {
        batch.push(row)
        if (batch.length < BATCH_ROWS) continue
        this.#write(batch)
        batch = []
      }
      if (batch.length > 0) this.#write(batch)
    }
    this.#tables.root.resetReadTxn()
    const node = this.#view.node('')
    return node === undefined ? EMPTY_TRIE_ROOT : keccak256(node)
  }

  #write(rows: readonly StateRow[]): void {
    const accounts = new Map<string, AccountRecord | null>()
    const storage = new Map<string, Map<string, Uint8Array>>()
    const code = new Map<string, Uint8Array>()
    for (const { table, key, value } of rows) {
      const hex = toHex(key)
      if (table === TABLE_OF.code) code.set(hex, value)
      else if (table === TABLE_OF.accounts) {
        accounts.set(hex, value.length === 0 ? null : decodeAccount(value))
      } else {
        const addressHex = hex.slice(0, 2 * ADDRESS_BYTES)
        const slots = storage.get(addressHex) ?? new Map<string, Uint8Array>()
        storage.set(addressHex, slots.set(hex.slice(2 * ADDRESS_BYTES), value))
      }
    }
    this.#tables.root.transactionSync(() => {
      const { delta } = sealState(this.#view, { accounts, storage, code })
      writeDelta(this.#tables, delta)
    })
  }

  /** The state is the one after this block, durably; blocks above it are gone. */
  finish({ height, hash, payload, hashes }: RestoredBlock): void {
    const { root, meta, payloads, receipts, blooms, senders } = this.#tables
    root.transactionSync(() => {
      const above = { start: height + 1 }
      for (const old of [...this.#tables.hashes.getKeys(above)]) {
        for (const table of [payloads, receipts, blooms, senders, this.#tables.hashes]) {
          table.removeSync(old)
        }
      }
      for (const [at, each] of hashes) {
        this.#tables.hashes.putSync(at, Buffer.from(each))
        this.#tables.heights.putSync(Buffer.from(each), Buffer.from(uint32be(at)))
      }
      // Without its receipts it is a pruned block, which the next one needs the header of.
      const hasHistory = receipts.get(height) !== undefined
      payloads.putSync(height, Buffer.from(payload))
      if (!hasHistory) meta.putSync('lowest', Buffer.from(uint32be(height + 1)))
      meta.putSync('layout', Uint8Array.of(LAYOUT))
      meta.putSync('head', Buffer.concat([uint32be(height), hash]))
      meta.removeSync(RESTORING)
    })
  }

  async close(): Promise<void> {
    await this.#tables.root.close()
  }
}
