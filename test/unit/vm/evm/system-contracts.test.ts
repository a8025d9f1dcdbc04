import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MAX_TRANSACTION_BYTES, MAX_TRANSACTIONS } from '../../../../core/block/index.ts'
import { hexBytes, toHex } from '../../../../crypto/index.ts'
import artifacts from '../../../../vm/evm/contracts/artifacts.json' with { type: 'json' }
import { genesisBlock } from '../../../../vm/evm/genesis.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import * as limits from '../../../../vm/evm/limits.ts'
import { encodeRlp, integerBytes } from '../../../../vm/evm/rlp.ts'
import { recoverAddress } from '../../../../vm/evm/sender.ts'
import { isReservedAddress, systemAccounts } from '../../../../vm/evm/system-contracts.ts'
import { createdAddress } from '../../../../vm/evm/view/chain-reads.ts'
import { genesis } from './fixtures.ts'

/** The EIPs fix their contracts by a transaction that nobody has the key of: address and code depend on each other. */
const DEPLOYMENTS = [
  ['000f3df6d732807ef1319fb7b8bb8522d0beac02', '60618060095f395ff3', '1b9b6eb1f0'],
  [
    '0000f90827f1c53a10cb7a02335b175320002935',
    '60538060095f395ff3',
    'aa12693182426612186309f02cfe8a80a0000',
  ],
  [
    '00000961ef480eb55e80d19ad83579a64c007002',
    `7f${'ff'.repeat(32)}5f556101f880602d5f395ff3`,
    '5feeb084551e4e03a3581e269bc2ea2f8d0008',
  ],
  [
    '0000bbddc7ce488642fb579f8b00f3a590007251',
    `7f${'ff'.repeat(32)}5f5561019e80602d5f395ff3`,
    'c0730f92dc275b663d377a7cbb141b6600052',
  ],
] as const

describe('system contracts', () => {
  it.each(DEPLOYMENTS)(
    '6.1: the code at %s is what its EIP deploys there',
    (address, prefix, s) => {
      const account = systemAccounts(genesis).find((one) => toHex(one.address) === address)
      const fields = [
        integerBytes(0),
        integerBytes(0xe8d4a51000),
        integerBytes(0x3d090),
        new Uint8Array(0),
        integerBytes(0),
        hexBytes(prefix + toHex(account?.code ?? new Uint8Array(0))),
      ]
      const signature = { yParity: 0, r: 0x539n, s: BigInt(`0x${s}`) }
      const deployer = recoverAddress(keccak256(encodeRlp(fields)), signature)
      expect(toHex(createdAddress(deployer as Uint8Array, 0n))).toBe(address)
    },
  )

  it('6.1: the artifacts are what the compiler makes of the sources', () => {
    const script = fileURLToPath(
      new URL('../../../../vm/evm/contracts/compile.ts', import.meta.url),
    )
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], {
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const { deployedBytecode, hash } of Object.values(artifacts)) {
      expect(toHex(keccak256(hexBytes(deployedBytecode)))).toBe(hash)
    }
  })

  it('4.7: block 0 holds no balance, and follows from its parameters alone', () => {
    const [first, second] = [genesisBlock(genesis), genesisBlock(genesis)]
    expect(first.payload).toEqual(second.payload)
    for (const account of first.delta.accounts.values()) expect(account?.balance).toBe(0n)
    const other = genesisBlock({ ...genesis, minPegOutWei: genesis.minPegOutWei + 1n })
    expect(other.payload.stateRoot).not.toEqual(first.payload.stateRoot)
  })

  it('§7: precompiles, system contracts and the zero address are reserved', () => {
    const address = (hex: string) => hexBytes(hex.padStart(40, '0'))
    for (const hex of [
      '0',
      '1',
      '100',
      '1ff',
      'bb'.repeat(20),
      'fffffffffffffffffffffffffffffffffffffffe',
    ]) {
      expect(isReservedAddress(address(hex))).toBe(true)
    }
    for (const hex of ['200', 'c0ffee', `01${'00'.repeat(19)}`]) {
      expect(isReservedAddress(address(hex))).toBe(false)
    }
  })

  it('limits of a payload are those of its container', () => {
    expect(limits.MAX_TRANSACTIONS).toBe(MAX_TRANSACTIONS)
    expect(limits.MAX_TRANSACTION_BYTES).toBe(MAX_TRANSACTION_BYTES)
  })
})
