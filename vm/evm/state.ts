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
export function sealState(
  view: StateView,
  changes: StateChanges,
): { readonly root: Uint8Array; readonly delta: StateDelta } {
  const accounts = new Map(changes.accounts)
  const nodes = new Map<string, Uint8Array | null>()
  for (const [addressHex, slots] of changes.storage) {
    const storageRoot = sealStorage(view, keyOf(addressHex), slots, nodes)
    const changed = accounts.get(addressHex)
    const account = changed === undefined ? view.account(addressHex) : changed
    if (account) accounts.set(addressHex, { ...account, storageRoot })
  }
  const trie = new Trie((path) => view.node(path))
  for (const [addressHex, account] of accounts) {
    if (account === null) trie.delete(keyOf(addressHex))
    else trie.put(keyOf(addressHex), encodeAccount(account))
  }
  const sealed = trie.commit()
  for (const [path, node] of sealed.nodes) nodes.set(path, node)
  return {
    root: sealed.root,
    delta: { accounts, storage: changes.storage, code: changes.code, nodes },
  }
}

function sealStorage(
  view: StateView,
  owner: string,
  slots: ReadonlyMap<string, Uint8Array>,
  nodes: Map<string, Uint8Array | null>,
): Uint8Array {
  const trie = new Trie((path) => view.node(`${owner}/${path}`))
  for (const [slotHex, value] of slots) {
    if (value.length === 0) trie.delete(keyOf(slotHex))
    else trie.put(keyOf(slotHex), encodeBytes(value))
  }
  const sealed = trie.commit()
  for (const [path, node] of sealed.nodes) nodes.set(`${owner}/${path}`, node)
  return sealed.root
}

/** Key in the trie of an address or slot. */
export function keyOf(hex: string): string {
  return toHex(keccak256(Buffer.from(hex, 'hex')))
}

export function hasNoStorage(account: AccountRecord): boolean {
  return equalBytes(account.storageRoot, EMPTY_TRIE_ROOT)
}
