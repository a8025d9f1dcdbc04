import type { AccountFields, StateManagerInterface } from '@ethereumjs/common'
import { Account, type Address } from '@ethereumjs/util'
import { toHex } from '../../crypto/index.ts'
import { type AccountRecord, EMPTY_CODE_HASH_HEX, emptyAccount } from './account.ts'
import { keccak256 } from './keccak.ts'
import { EMPTY_BYTES, hasNoStorage, type StateChanges, type StateView } from './state.ts'

type Undo = () => void

/**
 * The EVM's state manager over a flat `StateView`: reads fall through to the view, writes stay in maps with an undo log,
 * so that a checkpoint costs nothing and a revert costs what it takes back. The trie is not touched here.
 */
export class FlatStateManager implements StateManagerInterface {
  #view: StateView
  #accounts = new Map<string, AccountRecord | null>()
  #storage = new Map<string, Map<string, Uint8Array>>()
  #code = new Map<string, Uint8Array>()
  readonly #undo: Undo[] = []
  readonly #marks: number[] = []
  /** Values before the running transaction of the slots that it wrote (EIP-2200). */
  readonly #original = new Map<string, Uint8Array>()

  readonly originalStorageCache = {
    get: async (address: Address, key: Uint8Array) => {
      const [addressHex, slotHex] = [toHex(address.bytes), toHex(key)]
      return this.#original.get(addressHex + slotHex) ?? this.storage(addressHex, slotHex)
    },
    clear: () => this.#original.clear(),
  }

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
  }

  /** Everything that was written and not reverted. */
  changes(): StateChanges {
    return { accounts: this.#accounts, storage: this.#storage, code: this.#code }
  }

  account(addressHex: string): AccountRecord | undefined {
    const changed = this.#accounts.get(addressHex)
    if (changed !== undefined) return changed ?? undefined
    return this.#view.account(addressHex)
  }

  setAccount(addressHex: string, account: AccountRecord | null): void {
    remember(this.#undo, this.#accounts, addressHex)
    this.#accounts.set(addressHex, account)
  }

  code(account: AccountRecord | undefined): Uint8Array {
    if (account === undefined) return EMPTY_BYTES
    const hashHex = toHex(account.codeHash)
    if (hashHex === EMPTY_CODE_HASH_HEX) return EMPTY_BYTES
    const code = this.#code.get(hashHex) ?? this.#view.code(hashHex)
    if (code === undefined) throw new Error(`code ${hashHex} is missing`)
    return code
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

  async getAccount(address: Address): Promise<Account | undefined> {
    const account = this.account(toHex(address.bytes))
    if (account === undefined) return undefined
    return new Account(account.nonce, account.balance, account.storageRoot, account.codeHash)
  }

  async putAccount(address: Address, account?: Account): Promise<void> {
    this.setAccount(toHex(address.bytes), account === undefined ? null : recordOf(account))
  }

  async deleteAccount(address: Address): Promise<void> {
    const addressHex = toHex(address.bytes)
    this.#clear(addressHex)
    this.setAccount(addressHex, null)
  }

  async modifyAccountFields(address: Address, fields: AccountFields): Promise<void> {
    const addressHex = toHex(address.bytes)
    const account = this.account(addressHex) ?? emptyAccount()
    this.setAccount(addressHex, {
      nonce: fields.nonce ?? account.nonce,
      balance: fields.balance ?? account.balance,
      storageRoot: fields.storageRoot ?? account.storageRoot,
      codeHash: fields.codeHash ?? account.codeHash,
    })
  }

  async putCode(address: Address, value: Uint8Array): Promise<void> {
    this.setCode(toHex(address.bytes), value)
  }

  async getCode(address: Address): Promise<Uint8Array> {
    return this.code(this.account(toHex(address.bytes)))
  }

  async getCodeSize(address: Address): Promise<number> {
    return this.code(this.account(toHex(address.bytes))).length
  }

  async getStorage(address: Address, key: Uint8Array): Promise<Uint8Array> {
    return this.storage(toHex(address.bytes), toHex(key))
  }

  async putStorage(address: Address, key: Uint8Array, value: Uint8Array): Promise<void> {
    this.setStorage(toHex(address.bytes), toHex(key), value)
  }

  async clearStorage(address: Address): Promise<void> {
    this.#clear(toHex(address.bytes))
  }

  async checkpoint(): Promise<void> {
    this.#marks.push(this.#undo.length)
  }

  async commit(): Promise<void> {
    this.#marks.pop()
    if (this.#marks.length === 0) this.#undo.length = 0
  }

  async revert(): Promise<void> {
    const mark = this.#marks.pop() ?? 0
    while (this.#undo.length > mark) this.#undo.pop()?.()
  }

  async getStateRoot(): Promise<Uint8Array> {
    throw new Error('the root is computed once per block, by sealState')
  }

  async setStateRoot(): Promise<void> {
    throw new Error('a state is chosen by its view')
  }

  async hasStateRoot(): Promise<boolean> {
    return false
  }

  clearCaches(): void {
    this.#original.clear()
  }

  shallowCopy(): FlatStateManager {
    return new FlatStateManager(this.#view)
  }

  #clear(addressHex: string): void {
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
}

function remember<T>(undo: Undo[], map: Map<string, T>, key: string): void {
  const previous = map.get(key)
  undo.push(previous === undefined ? () => map.delete(key) : () => map.set(key, previous))
}

function recordOf(account: Account): AccountRecord {
  const { nonce, balance, storageRoot, codeHash } = account
  return { nonce, balance, storageRoot, codeHash }
}

function shortest(value: Uint8Array): Uint8Array {
  let start = 0
  while (start < value.length && value[start] === 0) start += 1
  return start === 0 ? value : value.slice(start)
}
