import { toHex } from '../../crypto/index.ts'
import { OSAKA } from './fork.ts'
import { type EvmGenesis, genesisBlock } from './genesis.ts'
import { systemAccounts } from './system-contracts.ts'

/** EIP-7892: what each fork says of blobs. No block here has one; clients want to be told all the same. */
const BLOBS = { target: 6, max: 9, baseFeeUpdateFraction: 5_007_716 }
const BLOBS_BEFORE = { target: 3, max: 6, baseFeeUpdateFraction: 3_338_477 }
/** EIP-6110: nobody can emit a log from here, so that no block has deposit requests. */
const NO_DEPOSITS = `0x${'00'.repeat(20)}`

/** Block 0 as a genesis file that other execution clients read (`geth init`, `reth --chain`, Besu, `--gethGenesis`). */
export function gethGenesis(genesis: EvmGenesis): Readonly<Record<string, unknown>> {
  const { payload } = genesisBlock(genesis)
  const alloc = systemAccounts(genesis).map(({ address, code, storage }) => {
    const slots = [...storage].map(([slot, value]) => [`0x${slot}`, hex(value)])
    const account = { balance: '0x0', nonce: '0x1', code: hex(code) }
    return [hex(address), { ...account, ...(slots.length > 0 && { storage: entries(slots) }) }]
  })
  return {
    config: {
      chainId: genesis.chainId,
      ...entries(BLOCK_FORKS.map((name) => [name, 0])),
      terminalTotalDifficulty: 0,
      terminalTotalDifficultyPassed: true,
      shanghaiTime: 0,
      cancunTime: 0,
      pragueTime: 0,
      [`${OSAKA.name}Time`]: 0,
      blobSchedule: { cancun: BLOBS_BEFORE, prague: BLOBS, [OSAKA.name]: BLOBS },
      depositContractAddress: NO_DEPOSITS,
    },
    nonce: '0x0',
    timestamp: quantity(payload.timestamp),
    extraData: hex(payload.extraData),
    gasLimit: quantity(payload.gasLimit),
    difficulty: '0x0',
    mixHash: hex(payload.prevRandao),
    coinbase: hex(payload.feeRecipient),
    alloc: entries(alloc),
    number: '0x0',
    gasUsed: '0x0',
    parentHash: hex(payload.parentHash),
    baseFeePerGas: quantity(payload.baseFeePerGas),
    blobGasUsed: '0x0',
    excessBlobGas: '0x0',
  }
}

const BLOCK_FORKS = [
  'homesteadBlock',
  'eip150Block',
  'eip155Block',
  'eip158Block',
  'byzantiumBlock',
  'constantinopleBlock',
  'petersburgBlock',
  'istanbulBlock',
  'berlinBlock',
  'londonBlock',
  'mergeNetsplitBlock',
]

function entries(pairs: readonly (readonly unknown[])[]): Record<string, unknown> {
  return Object.fromEntries(pairs as readonly (readonly [string, unknown])[])
}

function hex(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`
}

function quantity(value: number | bigint): string {
  return `0x${value.toString(16)}`
}
