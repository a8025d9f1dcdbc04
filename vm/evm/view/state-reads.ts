import { toHex } from '../../../crypto/index.ts'
import { codeOf, type StateView } from '../state.ts'

type Later<T> = T | Promise<T>

/** Accounts after one block; those of an external client are answered later. */
export interface AccountReads {
  balanceWei(address: Uint8Array): Later<bigint>
  nonce(address: Uint8Array): Later<bigint>
  /** Both at once, where that saves a read. */
  account?(address: Uint8Array): { readonly nonce: bigint; readonly balanceWei: bigint }
  code(address: Uint8Array): Later<Uint8Array>
  /** The slot's word, 32 bytes. */
  storage(address: Uint8Array, slot: Uint8Array): Later<Uint8Array>
}

/** Accounts at the latest committed block. Earlier states are not kept. */
export class StateReads implements AccountReads {
  readonly #view: StateView

  constructor(view: StateView) {
    this.#view = view
  }

  balanceWei(address: Uint8Array): bigint {
    return this.#view.account(toHex(address))?.balance ?? 0n
  }

  nonce(address: Uint8Array): bigint {
    return this.#view.account(toHex(address))?.nonce ?? 0n
  }

  account(address: Uint8Array): { readonly nonce: bigint; readonly balanceWei: bigint } {
    const account = this.#view.account(toHex(address))
    return { nonce: account?.nonce ?? 0n, balanceWei: account?.balance ?? 0n }
  }

  code(address: Uint8Array): Uint8Array {
    return codeOf(this.#view, this.#view.account(toHex(address)))
  }

  /** The slot's word, 32 bytes. */
  storage(address: Uint8Array, slot: Uint8Array): Uint8Array {
    const value = this.#view.storage(toHex(address), toHex(slot))
    const word = new Uint8Array(32)
    word.set(value, 32 - value.length)
    return word
  }
}
