/** What Ethereum's vectors have in common: hex, accounts before a test, forks by their names there. */
import { bigintFromBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { emptyAccount } from '../../vm/evm/account.ts'
import { type ChainEvm, createChainEvm } from '../../vm/evm/chain.ts'
import { FORKS, type Fork } from '../../vm/evm/fork.ts'
import { EMPTY_STATE, sealState } from '../../vm/evm/state.ts'
import { StateJournal } from '../../vm/evm/state-journal.ts'
import { MemoryState } from '../unit/vm/evm/memory-store.ts'

export type AccountVector = {
  readonly nonce: string
  readonly balance: string
  readonly code: string
  readonly storage: Readonly<Record<string, string>>
}
export type AccountVectors = Readonly<Record<string, AccountVector>>

/** All vectors are of chain 1. */
const CHAIN_ID = 1

const BY_NAME: Readonly<Record<string, Fork>> = {
  Cancun: FORKS.cancun,
  Prague: FORKS.prague,
  Osaka: FORKS.osaka,
}

/** Undefined: a fork older than what this room's code still knows. */
export const forkNamed = (name: string): Fork | undefined => BY_NAME[name]

const chains = new Map<string, Promise<ChainEvm>>()

export function chainOf(fork: Fork): Promise<ChainEvm> {
  const chain = chains.get(fork.name) ?? createChainEvm(CHAIN_ID, fork)
  chains.set(fork.name, chain)
  return chain
}

export function bytes(hex: string): Uint8Array {
  const digits = hex.slice(2)
  return hexBytes(digits.length % 2 === 0 ? digits : `0${digits}`)
}

export function integer(hex: string | undefined): bigint {
  return bigintFromBytes(bytes(hex ?? '0x'))
}

export const hex = (value: Uint8Array): string => `0x${toHex(value)}`

export function preState(accounts: AccountVectors): {
  readonly state: MemoryState
  readonly root: Uint8Array
} {
  const journal = new StateJournal(EMPTY_STATE)
  for (const [address, account] of Object.entries(accounts)) {
    const addressHex = address.slice(2)
    const [nonce, balance] = [integer(account.nonce), integer(account.balance)]
    journal.setAccount(addressHex, { ...emptyAccount(), nonce, balance })
    if (account.code !== '0x') journal.setCode(addressHex, bytes(account.code))
    for (const [slot, value] of Object.entries(account.storage)) {
      journal.setStorage(addressHex, slot.slice(2).padStart(64, '0'), bytes(value))
    }
  }
  const state = new MemoryState()
  const { root, delta } = sealState(EMPTY_STATE, journal.changes())
  state.apply(delta)
  return { state, root }
}
