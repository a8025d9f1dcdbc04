import { toHex } from '../../crypto/index.ts'
import {
  type AccountRecord,
  EMPTY_CODE_HASH,
  EMPTY_CODE_HASH_HEX,
  emptyAccount,
} from './account.ts'
import { keccak256 } from './keccak.ts'
import { EMPTY_BYTES, hasNoStorage, type StateChanges, type StateView } from './state.ts'

type Undo = () => void

/** Of code that is kept over blocks. */
const KEPT_CODE_BYTES = 16 * 1024 * 1024

/**
 * What a block writes, over the view it starts from: reads fall through, writes stay in maps with an undo log, so that a
 * checkpoint costs nothing and a revert costs what it takes back. The trie is not touched here.
 */
export class StateJournal {
  #view: StateView
  #accounts = new Map<string, AccountRecord | null>()
  #storage = new Map<string, Map<string, Uint8Array>>()
  #code = new Map<string, Uint8Array>()
  readonly #undo: Undo[] = []
  readonly #marks: number[] = []
  /** Values before the running transaction of the slots that it wrote (EIP-2200). */
  readonly #original = new Map<string, Uint8Array>()
  /** What the view said of accounts in this block. */
  readonly #read = new Map<string, AccountRecord | undefined>()
  /** By its hash, so that it holds in any state: a call finds the same bytes, and what was found out about them. */
  readonly #kept = new Map<string, Uint8Array>()
  #keptBytes = 0

  constructor(view: StateView) {
    this.#view = view
  }

  /** Starts afresh on `view`. What `changes` gave before stays as it is. */
  begin(view: StateView): void {
    this.#view = view
    this.#accounts = new Map()
    this.#storage = new Map()
    this.#code = new Map()
    this.#undo.length = 0
    this.#marks.length = 0
    this.#original.clear()
    this.#read.clear()
  }

  /** Everything that was written and not reverted. */
  changes(): StateChanges {
    return { accounts: this.#accounts, storage: this.#storage, code: this.#code }
  }

  blockHash(height: number): Uint8Array | undefined {
    return this.#view.blockHash(height)
  }

  account(addressHex: string): AccountRecord | undefined {
    const changed = this.#accounts.get(addressHex)
    if (changed !== undefined) return changed ?? undefined
    const read = this.#read.get(addressHex)
    if (read !== undefined || this.#read.has(addressHex)) return read
    const account = this.#view.account(addressHex)
    this.#read.set(addressHex, account)
    return account
  }

  setAccount(addressHex: string, account: AccountRecord | null): void {
    remember(this.#undo, this.#accounts, addressHex)
    this.#accounts.set(addressHex, account)
  }

  deleteAccount(addressHex: string): void {
    this.clearStorage(addressHex)
    this.setAccount(addressHex, null)
  }

  code(account: AccountRecord | undefined): Uint8Array {
    if (account === undefined || account.codeHash === EMPTY_CODE_HASH) return EMPTY_BYTES
    const hashHex = toHex(account.codeHash)
    if (hashHex === EMPTY_CODE_HASH_HEX) return EMPTY_BYTES
    const known = this.#code.get(hashHex) ?? this.#kept.get(hashHex)
    if (known !== undefined) return known
    const code = this.#view.code(hashHex)
    if (code === undefined) throw new Error(`code ${hashHex} is missing`)
    this.#keep(hashHex, code)
    return code
  }

  /** The oldest goes first. */
  #keep(hashHex: string, code: Uint8Array): void {
    this.#kept.set(hashHex, code)
    this.#keptBytes += code.length
    for (const [oldest, { length }] of this.#kept) {
      if (this.#keptBytes <= KEPT_CODE_BYTES) return
      this.#kept.delete(oldest)
      this.#keptBytes -= length
    }
  }

  setCode(addressHex: string, code: Uint8Array): void {
    const codeHash = keccak256(code)
    if (code.length > 0) this.#code.set(toHex(codeHash), code)
    this.setAccount(addressHex, { ...(this.account(addressHex) ?? emptyAccount()), codeHash })
  }

  storage(addressHex: string, slotHex: string): Uint8Array {
    const changed = this.#storage.get(addressHex)?.get(slotHex)
    return changed ?? this.#view.storage(addressHex, slotHex)
  }

  /** A slot as it was before the running transaction. */
  originalStorage(addressHex: string, slotHex: string): Uint8Array {
    return this.#original.get(addressHex + slotHex) ?? this.storage(addressHex, slotHex)
  }

  setStorage(addressHex: string, slotHex: string, value: Uint8Array): void {
    const slot = addressHex + slotHex
    if (!this.#original.has(slot)) this.#original.set(slot, this.storage(addressHex, slotHex))
    let slots = this.#storage.get(addressHex)
    if (slots === undefined) {
      slots = new Map()
      this.#storage.set(addressHex, slots)
    }
    remember(this.#undo, slots, slotHex)
    slots.set(slotHex, shortest(value))
  }

  clearStorage(addressHex: string): void {
    const before = this.#view.account(addressHex)
    if (before !== undefined && !hasNoStorage(before)) {
      for (const slotHex of this.#view.slots(addressHex)) {
        this.setStorage(addressHex, slotHex, EMPTY_BYTES)
      }
    }
    for (const [slotHex, value] of this.#storage.get(addressHex) ?? []) {
      if (value.length > 0) this.setStorage(addressHex, slotHex, EMPTY_BYTES)
    }
  }

  /** How many checkpoints there were before. */
  checkpoint(): number {
    return this.#marks.push(this.#undo.length) - 1
  }

  commit(): void {
    this.#marks.pop()
    if (this.#marks.length === 0) this.#undo.length = 0
  }

  revert(): void {
    const mark = this.#marks.pop() ?? 0
    while (this.#undo.length > mark) this.#undo.pop()?.()
  }

  /** Takes back a checkpoint with all that were made since: whoever failed below it may have left some of them. */
  revertTo(before: number): void {
    while (this.#marks.length > before) this.revert()
  }

  /** Between transactions: what is there now is original for the next one. */
  endTransaction(): void {
    this.#original.clear()
  }
}

function remember<T>(undo: Undo[], map: Map<string, T>, key: string): void {
  const previous = map.get(key)
  undo.push(previous === undefined ? () => map.delete(key) : () => map.set(key, previous))
}

function shortest(value: Uint8Array): Uint8Array {
  let start = 0
  while (start < value.length && value[start] === 0) start += 1
  return start === 0 ? value : value.slice(start)
}
