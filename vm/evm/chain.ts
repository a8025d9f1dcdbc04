import { Common, Hardfork, Mainnet } from '@ethereumjs/common'
import type { EVM } from '@ethereumjs/evm'
import secp256k1 from 'secp256k1'
import { concatBytes, sha256 } from '../../crypto/index.ts'
import { AccessJournal } from './access-journal.ts'
import { type Fork, OSAKA } from './fork.ts'
import { LoopEvm } from './interpreter.ts'
import { keccak256 } from './keccak.ts'
import { POINT_EVALUATION } from './kzg.ts'
import { createPrecompiles, type Precompiles } from './precompiles.ts'
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

/** One fork for good: what each opcode asks several times is looked up once. */
class PinnedCommon extends Common {
  readonly #active = new Map<number, boolean>()
  readonly #params = new Map<string, bigint>()

  override isActivatedEIP(eip: number): boolean {
    // While the library's constructor runs there are no fields yet, and the answers still change.
    if (!(#active in this)) return super.isActivatedEIP(eip)
    const known = this.#active.get(eip)
    if (known !== undefined) return known
    const isActive = super.isActivatedEIP(eip)
    this.#active.set(eip, isActive)
    return isActive
  }

  override param(name: string): bigint {
    if (!(#params in this)) return super.param(name)
    const known = this.#params.get(name)
    if (known !== undefined) return known
    const value = super.param(name)
    this.#params.set(name, value)
    return value
  }

  override updateParams(params: Parameters<Common['updateParams']>[0]): void {
    super.updateParams(params)
    this.#params.clear()
  }
}

/** `precompiles` may be shared: each call of one is done when it returns. */
export async function createChainEvm(
  chainId: number,
  fork: Fork = OSAKA,
  precompiles: Promise<Precompiles> = createPrecompiles(fork),
): Promise<ChainEvm> {
  const common = new PinnedCommon({
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
  const evm = new LoopEvm({
    common,
    stateManager: new FlatStateManager(state),
    blockchain,
    ...(await precompiles),
  })
  evm.journal = new AccessJournal(state) as unknown as EVM['journal']
  await evm.prepare()
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
