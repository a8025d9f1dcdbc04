import type { AccountFields, StateManagerInterface } from '@ethereumjs/common'
import { Account, type Address } from '@ethereumjs/util'
import { toHex } from '../../crypto/index.ts'
import { type AccountRecord, emptyAccount } from './account.ts'
import type { StateJournal } from './state-journal.ts'

/** A `StateJournal` under the interface that the EVM library asks for. */
export class FlatStateManager implements StateManagerInterface {
  readonly #journal: StateJournal

  readonly originalStorageCache = {
    get: async (address: Address, key: Uint8Array) =>
      this.#journal.originalStorage(toHex(address.bytes), toHex(key)),
    clear: () => this.#journal.endTransaction(),
  }

  constructor(journal: StateJournal) {
    this.#journal = journal
  }

  async getAccount(address: Address): Promise<Account | undefined> {
    const account = this.#journal.account(toHex(address.bytes))
    if (account === undefined) return undefined
    return new Account(account.nonce, account.balance, account.storageRoot, account.codeHash)
  }

  async putAccount(address: Address, account?: Account): Promise<void> {
    const record = account === undefined ? null : recordOf(account)
    this.#journal.setAccount(toHex(address.bytes), record)
  }

  async deleteAccount(address: Address): Promise<void> {
    this.#journal.deleteAccount(toHex(address.bytes))
  }

  async modifyAccountFields(address: Address, fields: AccountFields): Promise<void> {
    const addressHex = toHex(address.bytes)
    const account = this.#journal.account(addressHex) ?? emptyAccount()
    this.#journal.setAccount(addressHex, {
      nonce: fields.nonce ?? account.nonce,
      balance: fields.balance ?? account.balance,
      storageRoot: fields.storageRoot ?? account.storageRoot,
      codeHash: fields.codeHash ?? account.codeHash,
    })
  }

  async putCode(address: Address, value: Uint8Array): Promise<void> {
    this.#journal.setCode(toHex(address.bytes), value)
  }

  async getCode(address: Address): Promise<Uint8Array> {
    return this.#journal.code(this.#journal.account(toHex(address.bytes)))
  }

  async getCodeSize(address: Address): Promise<number> {
    return (await this.getCode(address)).length
  }

  async getStorage(address: Address, key: Uint8Array): Promise<Uint8Array> {
    return this.#journal.storage(toHex(address.bytes), toHex(key))
  }

  async putStorage(address: Address, key: Uint8Array, value: Uint8Array): Promise<void> {
    this.#journal.setStorage(toHex(address.bytes), toHex(key), value)
  }

  async clearStorage(address: Address): Promise<void> {
    this.#journal.clearStorage(toHex(address.bytes))
  }

  async checkpoint(): Promise<void> {
    this.#journal.checkpoint()
  }

  async commit(): Promise<void> {
    this.#journal.commit()
  }

  async revert(): Promise<void> {
    this.#journal.revert()
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
    this.#journal.endTransaction()
  }

  shallowCopy(): FlatStateManager {
    return new FlatStateManager(this.#journal)
  }
}

function recordOf(account: Account): AccountRecord {
  const { nonce, balance, storageRoot, codeHash } = account
  return { nonce, balance, storageRoot, codeHash }
}
