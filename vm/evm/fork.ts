/**
 * What differs between forks in what this room decides itself; the interpreter has its own table under the same names. A
 * chain runs the one fork of its genesis file (protocol 6.1) [Osaka]. The older ones are what public test vectors were made
 * for, so that the same code is checked by all of them.
 */
import { MAX_TRANSACTION_GAS } from './limits.ts'

export type Fork = {
  readonly name: 'cancun' | 'prague' | 'osaka'
  /** EIP-7623: the floor under what a transaction pays for its data. */
  readonly hasDataFloor: boolean
  /** EIP-7702: code of an account may be a delegation. */
  readonly hasDelegation: boolean
  /** EIP-7685, 7002, 7251: requests of system contracts, and their hash in the header. */
  readonly hasRequests: boolean
  /** EIP-2935: the parent's hash in state. */
  readonly hasBlockHashes: boolean
  /** EIP-7825. */
  readonly maxTransactionGas: bigint
}

const CANCUN: Fork = {
  name: 'cancun',
  hasDataFloor: false,
  hasDelegation: false,
  hasRequests: false,
  hasBlockHashes: false,
  maxTransactionGas: 2n ** 64n - 1n,
}
const PRAGUE: Fork = {
  name: 'prague',
  hasDataFloor: true,
  hasDelegation: true,
  hasRequests: true,
  hasBlockHashes: true,
  maxTransactionGas: 2n ** 64n - 1n,
}
/** The fork that chains run. */
export const OSAKA: Fork = { ...PRAGUE, name: 'osaka', maxTransactionGas: MAX_TRANSACTION_GAS }

export const FORKS: Readonly<Record<Fork['name'], Fork>> = {
  cancun: CANCUN,
  prague: PRAGUE,
  osaka: OSAKA,
}
