import { Common, Hardfork, Mainnet } from '@ethereumjs/common'
import { createEVM, type EVM } from '@ethereumjs/evm'
import secp256k1 from 'secp256k1'
import { concatBytes, sha256 } from '../../crypto/index.ts'
import { type Fork, OSAKA } from './fork.ts'
import { keccak256 } from './keccak.ts'
import { POINT_EVALUATION } from './kzg.ts'
import { createPrecompiles } from './precompiles.ts'
import { EMPTY_STATE, type StateView } from './state.ts'
import { StateJournal } from './state-journal.ts'
import { FlatStateManager } from './state-manager.ts'

/** One EVM of the pinned fork (protocol 6.1) on a journal that is pointed at a view per block. */
export type ChainEvm = {
  readonly chainId: number
  readonly fork: Fork
  readonly evm: EVM
  readonly state: StateJournal
  /** Points execution at a state. */
  begin(view: StateView): void
}

const HARDFORKS = {
  cancun: Hardfork.Cancun,
  prague: Hardfork.Prague,
  osaka: Hardfork.Osaka,
} as const

/** Native where the library would use pure JavaScript. */
function ecrecover(hash: Uint8Array, v: bigint, r: Uint8Array, s: Uint8Array): Uint8Array {
  return secp256k1.ecdsaRecover(concatBytes(r, s), Number(v) - 27, hash, false).subarray(1)
}

export async function createChainEvm(chainId: number, fork: Fork = OSAKA): Promise<ChainEvm> {
  const common = new Common({
    chain: { ...Mainnet, name: 'millrace', chainId },
    hardfork: HARDFORKS[fork.name],
    customCrypto: { keccak256, sha256: (bytes) => sha256(bytes), ecrecover, kzg: POINT_EVALUATION },
  })
  const state = new StateJournal(EMPTY_STATE)
  const blockchain = {
    async getBlock(height: number) {
      const hash = state.blockHash(height)
      if (hash === undefined) throw new Error(`hash of block ${height} is missing`)
      return { hash: () => hash }
    },
    putBlock: async () => {},
    shallowCopy: () => blockchain,
  }
  const evm = await createEVM({
    common,
    stateManager: new FlatStateManager(state),
    blockchain,
    ...(await createPrecompiles(fork)),
  })
  return {
    chainId,
    fork,
    evm,
    state,
    begin(view) {
      state.begin(view)
      evm.journal.cleanJournal()
    },
  }
}
