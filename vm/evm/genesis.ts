import type { ExecutionPayload } from '../../core/block/index.ts'
import { toHex } from '../../crypto/index.ts'
import { emptyAccount } from './account.ts'
import { hashPayload } from './header.ts'
import { BLOOM_BYTES } from './receipt.ts'
import { EMPTY_STATE, type StateDelta, sealState } from './state.ts'
import { StateJournal } from './state-journal.ts'
import { type SystemParams, systemAccounts } from './system-contracts.ts'
import { orderedRoot } from './trie-nodes.ts'

/** What block 0 of the EVM chain depends on, besides the code in this room. */
export type EvmGenesis = SystemParams & {
  readonly chainId: number
  readonly timestamp: number
  readonly gasLimit: number
  readonly baseFeePerGas: bigint
  readonly prevRandao: Uint8Array
}

/** Block 0: the system contracts and nothing else. The hash and state root go into the genesis file. */
export function genesisBlock(genesis: EvmGenesis): {
  readonly payload: ExecutionPayload
  readonly delta: StateDelta
} {
  const state = new StateJournal(EMPTY_STATE)
  for (const { address, code, storage } of systemAccounts(genesis)) {
    const addressHex = toHex(address)
    state.setAccount(addressHex, { ...emptyAccount(), nonce: 1n })
    state.setCode(addressHex, code)
    for (const [slotHex, value] of storage) state.setStorage(addressHex, slotHex, value)
  }
  const { root, delta } = sealState(EMPTY_STATE, state.changes())
  const unsealed: Omit<ExecutionPayload, 'blockHash'> = {
    parentHash: new Uint8Array(32),
    feeRecipient: new Uint8Array(20),
    stateRoot: root,
    receiptsRoot: orderedRoot([]),
    logsBloom: new Uint8Array(BLOOM_BYTES),
    prevRandao: genesis.prevRandao,
    blockNumber: 0,
    gasLimit: genesis.gasLimit,
    gasUsed: 0,
    timestamp: genesis.timestamp,
    extraData: new Uint8Array(0),
    baseFeePerGas: genesis.baseFeePerGas,
    transactions: [],
    withdrawals: [],
    blobGasUsed: 0,
    excessBlobGas: 0,
    parentBeaconBlockRoot: new Uint8Array(32),
    executionRequests: [],
  }
  return { payload: { ...unsealed, blockHash: hashPayload(unsealed) }, delta }
}
