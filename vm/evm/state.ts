/**
 * State as plain keys and values. A `StateView` is what execution reads: the durable store, or a candidate block's
 * changes on top of it. Addresses, slots and hashes are lower-case hex without prefix; a slot's value is its shortest
 * big-endian form, empty for zero.
 */
import { equalBytes, toHex } from '../../crypto/index.ts'
import {
  type AccountRecord,
  EMPTY_CODE_HASH_HEX,
  EMPTY_TRIE_ROOT,
  encodeAccount,
} from './account.ts'
import { keccak256 } from './keccak.ts'
import { encodeBytes } from './rlp.ts'
import { Trie } from './trie.ts'

export interface StateView {
  account(addressHex: string): AccountRecord | undefined
  storage(addressHex: string, slotHex: string): Uint8Array
  code(codeHashHex: string): Uint8Array | undefined
  /** Slots of an account that are not zero. */
  slots(addressHex: string): Iterable<string>
  /** The trie node at a path: `''` and on for accounts, `<keccak of the address>/…` for an account's storage. */
  node(path: string): Uint8Array | undefined
  /** Hash of the block at a height of this view's chain. */
  blockHash(height: number): Uint8Array | undefined
}

export const EMPTY_BYTES = new Uint8Array(0)

/** Slots by address. */
export type StorageChanges = ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>

/** What execution changed, before the root is known. */
export type StateChanges = {
  readonly accounts: ReadonlyMap<string, AccountRecord | null>
  readonly storage: StorageChanges
  readonly code: ReadonlyMap<string, Uint8Array>
}

/** What one block changed, with storage roots and trie nodes. */
export type StateDelta = StateChanges & {
  readonly nodes: ReadonlyMap<string, Uint8Array | null>
}

export const EMPTY_DELTA: StateDelta = {
  accounts: new Map(),
  storage: new Map(),
  code: new Map(),
  nodes: new Map(),
}

/** State that holds nothing: what genesis is built on. */
export const EMPTY_STATE: StateView = {
  account: () => undefined,
  storage: () => EMPTY_BYTES,
  code: () => undefined,
  slots: () => [],
  node: () => undefined,
  blockHash: () => undefined,
}

/** `below` with a block's changes on top of it; `height` and `hash` are that block's. */
export function overlayView(
  below: StateView,
  delta: StateDelta,
  height: number,
  hash: Uint8Array,
): StateView {
  return {
    account(addressHex) {
      const changed = delta.accounts.get(addressHex)
      return changed === undefined ? below.account(addressHex) : (changed ?? undefined)
    },
    storage(addressHex, slotHex) {
      return delta.storage.get(addressHex)?.get(slotHex) ?? below.storage(addressHex, slotHex)
    },
    code: (codeHashHex) => delta.code.get(codeHashHex) ?? below.code(codeHashHex),
    slots(addressHex) {
      const slots = new Set(below.slots(addressHex))
      for (const [slotHex, value] of delta.storage.get(addressHex) ?? []) {
        if (value.length === 0) slots.delete(slotHex)
        else slots.add(slotHex)
      }
      return slots
    },
    node(path) {
      const changed = delta.nodes.get(path)
      return changed === undefined ? below.node(path) : (changed ?? undefined)
    },
    blockHash: (asked) => (asked === height ? hash : below.blockHash(asked)),
  }
}

/** Code of an account in a view; empty for an account without. */
export function codeOf(view: StateView, account: AccountRecord | undefined): Uint8Array {
  if (account === undefined) return EMPTY_BYTES
  const hashHex = toHex(account.codeHash)
  return hashHex === EMPTY_CODE_HASH_HEX ? EMPTY_BYTES : (view.code(hashHex) ?? EMPTY_BYTES)
}

/** The state root after `changes` on `view`, and the delta with storage roots and trie nodes filled in. */
export function sealState(view: StateView, changes: StateChanges): SealedState {
  return new StateSeal(view).seal(changes)
}

export type SealedState = { readonly root: Uint8Array; readonly delta: StateDelta }

/**
 * The root of a block in the making. What was absorbed before the end is hashed already, and costs little then if it did not change
 * again. Nothing that was absorbed may be taken back: between transactions, that holds.
 */
export class StateSeal {
  readonly #view: StateView
  readonly #accounts: Trie
  readonly #storages = new Map<string, Trie>()
  readonly #seenAccounts = new Map<string, AccountRecord | null>()
  readonly #seenSlots = new Map<string, Map<string, Uint8Array>>()
  /** Accounts as the trie has them, with the roots of their storage. */
  readonly #sealed = new Map<string, AccountRecord | null>()

  constructor(view: StateView) {
    this.#view = view
    this.#accounts = new Trie((path) => view.node(path))
  }

  /** Takes what changed since the last time. Records and values are compared by identity: who changes one makes a new one. */
  absorb(changes: StateChanges): void {
    for (const [addressHex, slots] of changes.storage) {
      if (!this.#absorbSlots(addressHex, slots)) continue
      const changed = changes.accounts.get(addressHex)
      if (changed !== undefined) this.#seenAccounts.set(addressHex, changed)
      this.#put(addressHex, changed === undefined ? this.#view.account(addressHex) : changed)
    }
    for (const [addressHex, account] of changes.accounts) {
      if (this.#seenAccounts.get(addressHex) === account) continue
      this.#seenAccounts.set(addressHex, account)
      this.#put(addressHex, account)
    }
    this.#accounts.hash()
  }

  seal(changes: StateChanges): SealedState {
    this.absorb(changes)
    const nodes = new Map<string, Uint8Array | null>()
    for (const [addressHex, trie] of this.#storages) {
      const owner = keyOf(addressHex)
      for (const [path, node] of trie.commit().nodes) nodes.set(`${owner}/${path}`, node)
    }
    const { root, nodes: accountNodes } = this.#accounts.commit()
    for (const [path, node] of accountNodes) nodes.set(path, node)
    const { storage, code } = changes
    return { root, delta: { accounts: this.#sealed, storage, code, nodes } }
  }

  /** Whether any of them is new. */
  #absorbSlots(addressHex: string, slots: ReadonlyMap<string, Uint8Array>): boolean {
    const seen = this.#seenSlots.get(addressHex) ?? new Map<string, Uint8Array>()
    const fresh = [...slots].filter(([slotHex, value]) => seen.get(slotHex) !== value)
    if (fresh.length === 0) return false
    this.#seenSlots.set(addressHex, seen)
    const owner = keyOf(addressHex)
    const trie =
      this.#storages.get(addressHex) ?? new Trie((path) => this.#view.node(`${owner}/${path}`))
    this.#storages.set(addressHex, trie)
    for (const [slotHex, value] of fresh) {
      seen.set(slotHex, value)
      if (value.length === 0) trie.delete(keyOf(slotHex))
      else trie.put(keyOf(slotHex), encodeBytes(value))
    }
    return true
  }

  #put(addressHex: string, account: AccountRecord | null | undefined): void {
    if (account === undefined) return
    if (account === null) {
      this.#accounts.delete(keyOf(addressHex))
      this.#sealed.set(addressHex, null)
      return
    }
    const storageRoot = this.#storages.get(addressHex)?.hash() ?? account.storageRoot
    const sealed = { ...account, storageRoot }
    this.#accounts.put(keyOf(addressHex), encodeAccount(sealed))
    this.#sealed.set(addressHex, sealed)
  }
}

/** Key in the trie of an address or slot. */
export function keyOf(hex: string): string {
  return toHex(keccak256(Buffer.from(hex, 'hex')))
}

export function hasNoStorage(account: AccountRecord): boolean {
  return equalBytes(account.storageRoot, EMPTY_TRIE_ROOT)
}
