import { type Block, createBlock } from '@ethereumjs/block'
import { Common, Hardfork, Mainnet } from '@ethereumjs/common'
import type { EVMMockBlockchainInterface } from '@ethereumjs/evm'
import { MerkleStateManager } from '@ethereumjs/statemanager'
import { createTxFromRLP } from '@ethereumjs/tx'
import { Account, Address, bytesToHex, createWithdrawal, hexToBytes } from '@ethereumjs/util'
import { createVM, runBlock, type VM } from '@ethereumjs/vm'
import type { ExecutionPayload } from '../../../../core/block/index.ts'
import { bodyRoots } from '../../../../vm/evm/header.ts'
import { POINT_EVALUATION } from '../../../../vm/evm/kzg.ts'
import { systemAccounts } from '../../../../vm/evm/system-contracts.ts'
import { CHAIN_ID, genesis } from './fixtures.ts'

const common = new Common({
  chain: { ...Mainnet, chainId: CHAIN_ID },
  hardfork: Hardfork.Osaka,
  // The library has none of its own.
  customCrypto: { kzg: POINT_EVALUATION },
})

/** The library's own VM and trie with our block 0. */
export async function createReference(): Promise<VM> {
  const stateManager = new MerkleStateManager({ common })
  for (const { address, code, storage } of systemAccounts(genesis)) {
    const key = new Address(address)
    await stateManager.putAccount(key, new Account(1n))
    await stateManager.putCode(key, code)
    for (const [slot, value] of storage) {
      await stateManager.putStorage(key, hexToBytes(`0x${slot}`), value)
    }
  }
  await stateManager.flush()
  return createVM({ common, stateManager, blockchain: hashesOf(new Map()) })
}

/** What BLOCKHASH reads: the hashes of the blocks that ran. */
function hashesOf(known: Map<number, Uint8Array>): EVMMockBlockchainInterface & VMBlockchain {
  return {
    getBlock: async (height: number) => ({ hash: () => known.get(height) ?? new Uint8Array(32) }),
    putBlock: async ({ header }: Block) => {
      known.set(Number(header.number) - 1, header.parentHash)
    },
    shallowCopy: () => hashesOf(known),
  }
}

type VMBlockchain = { putBlock(block: Block): Promise<void> }

/** Runs a payload there. Throws when any root, the gas or the hash differs. */
export async function runReference(vm: VM, payload: ExecutionPayload): Promise<void> {
  const roots = bodyRoots(payload)
  const block = createBlock(
    {
      header: {
        parentHash: payload.parentHash,
        coinbase: new Address(payload.feeRecipient),
        stateRoot: payload.stateRoot,
        transactionsTrie: roots.transactionsRoot,
        receiptTrie: payload.receiptsRoot,
        logsBloom: payload.logsBloom,
        number: payload.blockNumber,
        gasLimit: payload.gasLimit,
        gasUsed: payload.gasUsed,
        timestamp: payload.timestamp,
        extraData: payload.extraData,
        mixHash: payload.prevRandao,
        baseFeePerGas: payload.baseFeePerGas,
        withdrawalsRoot: roots.withdrawalsRoot,
        blobGasUsed: 0,
        excessBlobGas: 0,
        parentBeaconBlockRoot: payload.parentBeaconBlockRoot,
        requestsHash: roots.requestsHash,
      },
      transactions: payload.transactions.map((raw) => createTxFromRLP(raw, { common })),
      withdrawals: payload.withdrawals.map((withdrawal) =>
        createWithdrawal({
          index: BigInt(withdrawal.index),
          validatorIndex: BigInt(withdrawal.validatorIndex),
          address: new Address(withdrawal.address),
          amount: withdrawal.amountGwei,
        }),
      ),
    },
    { common },
  )
  if (bytesToHex(block.hash()) !== bytesToHex(payload.blockHash))
    throw new Error('block hash differs')
  await block.validateData(false, true)
  await (vm.blockchain as unknown as VMBlockchain).putBlock(block)
  await runBlock(vm, { block, skipBlockValidation: true })
}
