/**
 * What a transaction has touched and made warm (EIP-161, 2929, 3651), under the interface of the library's journal: one set and a list of
 * what to undo, where the library keeps six collections for each frame.
 */
import type { Account, Address } from '@ethereumjs/util'
import { toHex } from '../../crypto/index.ts'
import { type AccountRecord, EMPTY_CODE_HASH_HEX } from './account.ts'
import type { StateJournal } from './state-journal.ts'

/** Stays touched when the frame that touched it fails: so it happened on mainnet, and the vectors say so. */
const RIPEMD160 = '0000000000000000000000000000000000000003'

export class AccessJournal {
  /** Where somebody asked for it: addresses and their slots, in the order of their first access. */
  accessList?: Map<string, Set<string>>
  readonly #state: StateJournal
  /** Addresses, and addresses with a slot. */
  readonly #warm = new Set<string>()
  readonly #touched = new Set<string>()
  /** What came into the two sets within frames. */
  readonly #warmed: string[] = []
  readonly #touches: string[] = []
  /** Lengths of the two lists where each open frame began. */
  readonly #marks: number[] = []
  readonly #done = Promise.resolve()

  constructor(state: StateJournal) {
    this.#state = state
  }

  startReportingAccessList(): void {
    this.accessList = new Map()
  }

  putAccount(address: Address, account: Account | undefined): Promise<void> {
    const addressHex = toHex(address.bytes)
    this.#touch(addressHex)
    this.#state.setAccount(addressHex, account === undefined ? null : recordOf(account))
    return this.#done
  }

  deleteAccount(address: Address): Promise<void> {
    const addressHex = toHex(address.bytes)
    this.#touch(addressHex)
    this.#state.deleteAccount(addressHex)
    return this.#done
  }

  checkpoint(): Promise<void> {
    this.#marks.push(this.#warmed.length, this.#touches.length)
    this.#state.checkpoint()
    return this.#done
  }

  commit(): Promise<void> {
    this.#marks.length -= 2
    this.#state.commit()
    return this.#done
  }

  revert(): Promise<void> {
    const touches = this.#marks.pop() ?? 0
    const warmed = this.#marks.pop() ?? 0
    for (const addressHex of this.#touches.splice(touches)) {
      if (addressHex !== RIPEMD160) this.#touched.delete(addressHex)
    }
    for (const key of this.#warmed.splice(warmed)) this.#warm.delete(key)
    this.#state.revert()
    return this.#done
  }

  cleanJournal(): void {
    this.#warm.clear()
    this.#touched.clear()
    this.#warmed.length = 0
    this.#touches.length = 0
    this.#marks.length = 0
  }

  /** The end of a transaction: what was touched and is empty goes. */
  cleanup(): Promise<void> {
    for (const addressHex of this.#touched) {
      const account = this.#state.account(addressHex)
      if (account === undefined || isEmpty(account)) this.#state.deleteAccount(addressHex)
    }
    this.cleanJournal()
    delete this.accessList
    return this.#done
  }

  addAlwaysWarmAddress(addressHex: string, isListed = false): void {
    this.#warm.add(addressHex)
    if (isListed) this.#listed(addressHex)
  }

  addAlwaysWarmSlot(addressHex: string, slotHex: string, isListed = false): void {
    this.addAlwaysWarmAddress(addressHex, isListed)
    this.#warm.add(addressHex + slotHex)
    if (isListed) this.#listed(addressHex)?.add(slotHex)
  }

  isWarmedAddress(address: Uint8Array): boolean {
    return this.#warm.has(toHex(address))
  }

  addWarmedAddress(address: Uint8Array): void {
    const addressHex = toHex(address)
    this.#makeWarm(addressHex)
    this.#listed(addressHex)
  }

  isWarmedStorage(address: Uint8Array, slot: Uint8Array): boolean {
    return this.#warm.has(toHex(address) + toHex(slot))
  }

  addWarmedStorage(address: Uint8Array, slot: Uint8Array): void {
    const [addressHex, slotHex] = [toHex(address), toHex(slot)]
    this.#makeWarm(addressHex)
    this.#makeWarm(addressHex + slotHex)
    this.#listed(addressHex)?.add(slotHex)
  }

  #makeWarm(key: string): void {
    if (this.#warm.has(key)) return
    this.#warm.add(key)
    this.#warmed.push(key)
  }

  #touch(addressHex: string): void {
    if (this.#touched.has(addressHex)) return
    this.#touched.add(addressHex)
    this.#touches.push(addressHex)
  }

  #listed(addressHex: string): Set<string> | undefined {
    if (this.accessList === undefined) return undefined
    const known = this.accessList.get(addressHex)
    if (known !== undefined) return known
    const slots = new Set<string>()
    this.accessList.set(addressHex, slots)
    return slots
  }
}

function recordOf({ nonce, balance, storageRoot, codeHash }: Account): AccountRecord {
  return { nonce, balance, storageRoot, codeHash }
}

function isEmpty({ nonce, balance, codeHash }: AccountRecord): boolean {
  return nonce === 0n && balance === 0n && toHex(codeHash) === EMPTY_CODE_HASH_HEX
}
