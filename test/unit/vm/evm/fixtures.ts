import secp256k1 from 'secp256k1'
import { bigintFromBytes, concatBytes, hexBytes, sha256 } from '../../../../crypto/index.ts'
import { Engine } from '../../../../vm/evm/engine.ts'
import type { EvmGenesis } from '../../../../vm/evm/genesis.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import { encodeRlp, integerBytes, type RlpItem } from '../../../../vm/evm/rlp.ts'
import { addressOf } from '../../../../vm/evm/sender.ts'
import { DEFAULT_FEE_SHARES } from '../../../../vm/evm/system-contracts.ts'
import { MemoryStore } from './memory-store.ts'

export const CHAIN_ID = 7_011_893
export const GENESIS_TIMESTAMP = 1_700_000_000
export const COINBASE = hexBytes('c0ffee0000000000000000000000000000000001')
export const BASE_FEE = 1_000_000_000n

export const genesis: EvmGenesis = {
  chainId: CHAIN_ID,
  timestamp: GENESIS_TIMESTAMP,
  gasLimit: 30_000_000,
  baseFeePerGas: BASE_FEE,
  prevRandao: new Uint8Array(32),
  minPegOutWei: 10_000n * 10n ** 10n,
  feeShares: DEFAULT_FEE_SHARES,
}

export type Key = { readonly secret: Uint8Array; readonly address: Uint8Array }

export function keyOf(label: string): Key {
  const secret = sha256(new TextEncoder().encode(label))
  return { secret, address: addressOf(secp256k1.publicKeyCreate(secret, false)) }
}

export type Call = {
  readonly nonce: number
  readonly to?: Uint8Array
  readonly value?: bigint
  readonly data?: Uint8Array
  readonly gas?: bigint
  readonly feeCap?: bigint
  readonly tip?: bigint
  readonly chainId?: number
}

/** A signed EIP-1559 transaction. */
export function signed(key: Key, call: Call): Uint8Array {
  const fields: RlpItem[] = [
    integerBytes(call.chainId ?? CHAIN_ID),
    integerBytes(call.nonce),
    integerBytes(call.tip ?? 0n),
    integerBytes(call.feeCap ?? 10n * BASE_FEE),
    integerBytes(call.gas ?? 21_000n),
    call.to ?? new Uint8Array(0),
    integerBytes(call.value ?? 0n),
    call.data ?? new Uint8Array(0),
    [],
  ]
  return signTyped(key, 2, fields)
}

export function signTyped(key: Key, type: number, fields: readonly RlpItem[]): Uint8Array {
  const hash = keccak256(concatBytes(Uint8Array.of(type), encodeRlp(fields)))
  return concatBytes(Uint8Array.of(type), encodeRlp([...fields, ...signatureOf(key, hash)]))
}

export function signatureOf(key: Key, hash: Uint8Array): Uint8Array[] {
  const { signature, recid } = secp256k1.ecdsaSign(hash, key.secret)
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)]
  const word = (bytes: Uint8Array) => integerBytes(bigintFromBytes(bytes))
  return [integerBytes(recid), word(r), word(s)]
}

export async function openEngine(store = new MemoryStore()) {
  const { engine, reply } = await Engine.open(store, genesis, () => 0)
  if (reply.status !== 'OPEN') throw new Error(reply.reason)
  return { engine, store, head: reply.head }
}

export function attributes(parentHash: Uint8Array, height: number) {
  return {
    parentHash,
    timestamp: GENESIS_TIMESTAMP + height,
    prevRandao: sha256(Uint8Array.of(height)),
    feeRecipient: COINBASE,
    withdrawals: [],
    parentBeaconBlockRoot: sha256(Uint8Array.of(height, 1)),
    gasLimitTarget: 60_000_000,
    deadlineMs: 1_000,
  }
}

export function mint(address: Uint8Array, amountGwei: bigint, index = 0) {
  return { index, validatorIndex: 0, address, amountGwei }
}
