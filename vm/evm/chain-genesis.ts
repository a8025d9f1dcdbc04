import { type Genesis, weiFromSat } from '../../core/params/index.ts'
import type { EvmGenesis } from './genesis.ts'
import { DEFAULT_FEE_SHARES } from './system-contracts.ts'

/** Base fee of block 0; EIP-1559 takes it from there. */
const GENESIS_BASE_FEE_WEI = 1_000_000_000n

/** What the genesis file says about block 0 of the EVM chain. Its hash and state root are the file's to fix afterwards. */
export function evmGenesisOf(genesis: {
  readonly slot: number
  readonly prevRandao: Uint8Array
  readonly params: Pick<Genesis['params'], 'slotMs' | 'minPegOutSat'>
  readonly execution: Pick<Genesis['execution'], 'chainId' | 'gasLimit'>
}): EvmGenesis {
  const { execution, params, prevRandao, slot } = genesis
  return {
    chainId: execution.chainId,
    gasLimit: execution.gasLimit,
    timestamp: (slot * params.slotMs) / 1000,
    baseFeePerGas: GENESIS_BASE_FEE_WEI,
    prevRandao,
    minPegOutWei: weiFromSat(params.minPegOutSat) as bigint,
    feeShares: DEFAULT_FEE_SHARES,
  }
}
