/**
 * Contracts that exist from block 0 on (protocol 6.1): the four of Ethereum's own protocol with the code that their EIPs
 * fix, and ours, compiled from `contracts/*.sol`.
 */
import { bigintToBytes, concatBytes, hexBytes, toHex, uint32be } from '../../crypto/index.ts'
import { BRIDGE_ADDRESS } from './bridge-logs.ts'
import artifacts from './contracts/artifacts.json' with { type: 'json' }
import { keccak256 } from './keccak.ts'

/** Caller of the system contracts of EIP-4788, 2935, 7002 and 7251. */
export const SYSTEM_ADDRESS = hexBytes('fffffffffffffffffffffffffffffffffffffffe')
export const BEACON_ROOTS_ADDRESS = hexBytes('000f3df6d732807ef1319fb7b8bb8522d0beac02')
export const HISTORY_ADDRESS = hexBytes('0000f90827f1c53a10cb7a02335b175320002935')
export const WITHDRAWAL_REQUESTS_ADDRESS = hexBytes('00000961ef480eb55e80d19ad83579a64c007002')
export const CONSOLIDATION_REQUESTS_ADDRESS = hexBytes('0000bbddc7ce488642fb579f8b00f3a590007251')
export const FEE_SPLITTER_ADDRESS = hexBytes('fee5fee5fee5fee5fee5fee5fee5fee5fee5fee5')

/** Slots of the ring buffers of EIP-4788 and EIP-2935. */
export const HISTORY_BUFFER_LENGTH = 8191

const BEACON_ROOTS_CODE =
  '3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff' +
  '810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff0155' +
  '00'
const HISTORY_CODE =
  '3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81' +
  '430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500'
const WITHDRAWAL_REQUESTS_CODE =
  '3373fffffffffffffffffffffffffffffffffffffffe1460cb5760115f54807fffffffffffffffffffffffffffffffff' +
  'ffffffffffffffffffffffffffffffff146101f457600182026001905f5b5f8211156068578101908302848302900491' +
  '6001019190604d565b909390049250505036603814608857366101f457346101f4575f5260205ff35b34106101f45760' +
  '0154600101600155600354806003026004013381556001015f35815560010160203590553360601b5f5260385f601437' +
  '604c5fa0600101600355005b6003546002548082038060101160df575060105b5f5b8181146101835782810160030260' +
  '040181604c02815460601b8152601401816001015481526020019060020154807fffffffffffffffffffffffffffffff' +
  'ff00000000000000000000000000000000168252906010019060401c908160381c81600701538160301c816006015381' +
  '60281c81600501538160201c81600401538160181c81600301538160101c81600201538160081c816001015353600101' +
  '60e1565b910180921461019557906002556101a0565b90505f6002555f6003555b5f54807fffffffffffffffffffffff' +
  'ffffffffffffffffffffffffffffffffffffffffff14156101cd57505f5b6001546002828201116101e25750505f6101' +
  'e8565b01600290035b5f555f600155604c025ff35b5f5ffd'
const CONSOLIDATION_REQUESTS_CODE =
  '3373fffffffffffffffffffffffffffffffffffffffe1460d35760115f54807fffffffffffffffffffffffffffffffff' +
  'ffffffffffffffffffffffffffffffff1461019a57600182026001905f5b5f8211156068578101908302848302900491' +
  '6001019190604d565b9093900492505050366060146088573661019a573461019a575f5260205ff35b341061019a5760' +
  '0154600101600155600354806004026004013381556001015f358155600101602035815560010160403590553360601b' +
  '5f5260605f60143760745fa0600101600355005b6003546002548082038060021160e7575060025b5f5b818114610129' +
  '5782810160040260040181607402815460601b8152601401816001015481526020018160020154815260200190600301' +
  '54905260010160e9565b910180921461013b5790600255610146565b90505f6002555f6003555b5f54807fffffffffff' +
  'ffffffffffffffffffffffffffffffffffffffffffffffffffffff141561017357505f5b600154600182820111610188' +
  '5750505f61018e565b01600190035b5f555f6001556074025ff35b5f5ffd'

export type FeeShare = { readonly address: Uint8Array; readonly shares: number }

export type SystemParams = {
  /** Smallest peg-out request. */
  readonly minPegOutWei: bigint
  /** Who shares the FeeSplitter's income; the Bridge's share goes to the operating fund. */
  readonly feeShares: readonly FeeShare[]
}

export type GenesisAccount = {
  readonly address: Uint8Array
  readonly code: Uint8Array
  /** Slot and value as 32 bytes in hex. */
  readonly storage: ReadonlyMap<string, Uint8Array>
}

export const DEFAULT_FEE_SHARES: readonly FeeShare[] = [{ address: BRIDGE_ADDRESS, shares: 1 }]

/** Accounts of block 0. There are no others, and no balance: supply begins at zero (4.7). */
export function systemAccounts(params: SystemParams): GenesisAccount[] {
  const plain = (address: Uint8Array, code: string): GenesisAccount => {
    return { address, code: hexBytes(code), storage: new Map() }
  }
  return [
    plain(BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE),
    plain(HISTORY_ADDRESS, HISTORY_CODE),
    plain(WITHDRAWAL_REQUESTS_ADDRESS, WITHDRAWAL_REQUESTS_CODE),
    plain(CONSOLIDATION_REQUESTS_ADDRESS, CONSOLIDATION_REQUESTS_CODE),
    {
      address: BRIDGE_ADDRESS,
      code: hexBytes(artifacts.Bridge.deployedBytecode),
      storage: new Map([[slot(0), word(params.minPegOutWei)]]),
    },
    {
      address: FEE_SPLITTER_ADDRESS,
      code: hexBytes(artifacts.FeeSplitter.deployedBytecode),
      storage: feeSplitterStorage(params.feeShares),
    },
  ]
}

/** Is this one of the system contracts, or in the range of precompiles? No peg-in may go there (§7). */
export function isReservedAddress(address: Uint8Array): boolean {
  const hex = toHex(address)
  return RESERVED.has(hex) || (/^0{36}/.test(hex) && Number(`0x${hex.slice(36)}`) <= 0x1ff)
}

const RESERVED = new Set(
  [
    SYSTEM_ADDRESS,
    BEACON_ROOTS_ADDRESS,
    HISTORY_ADDRESS,
    WITHDRAWAL_REQUESTS_ADDRESS,
    CONSOLIDATION_REQUESTS_ADDRESS,
    BRIDGE_ADDRESS,
    FEE_SPLITTER_ADDRESS,
  ].map(toHex),
)

function feeSplitterStorage(feeShares: readonly FeeShare[]): Map<string, Uint8Array> {
  const total = feeShares.reduce((sum, { shares }) => sum + shares, 0)
  const storage = new Map([[slot(0), word(BigInt(total))]])
  for (const { address, shares } of feeShares) {
    const key = concatBytes(new Uint8Array(12), address, new Uint8Array(28), uint32be(1))
    storage.set(toHex(keccak256(key)), word(BigInt(shares)))
  }
  return storage
}

function slot(index: number): string {
  return index.toString(16).padStart(64, '0')
}

function word(value: bigint): Uint8Array {
  return bigintToBytes(value, 32)
}
