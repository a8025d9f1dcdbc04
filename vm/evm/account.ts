import { equalBytes, hexBytes } from '../../crypto/index.ts'
import { keccak256 } from './keccak.ts'
import { decodeInteger, decodeRlp, encodeBytes, encodeList, integerBytes } from './rlp.ts'

/** An account as state holds it and as the trie hashes it. Values are never changed in place. */
export type AccountRecord = {
  readonly nonce: bigint
  readonly balance: bigint
  readonly storageRoot: Uint8Array
  readonly codeHash: Uint8Array
}

export const EMPTY_CODE_HASH = keccak256(new Uint8Array(0))
/** Root of a trie without keys: the hash of RLP's empty string. */
export const EMPTY_TRIE_ROOT = keccak256(Uint8Array.of(0x80))
export const EMPTY_CODE_HASH_HEX = Buffer.from(EMPTY_CODE_HASH).toString('hex')

export function emptyAccount(): AccountRecord {
  return { nonce: 0n, balance: 0n, storageRoot: EMPTY_TRIE_ROOT, codeHash: EMPTY_CODE_HASH }
}

export function encodeAccount(account: AccountRecord): Uint8Array {
  return encodeList([
    encodeBytes(integerBytes(account.nonce)),
    encodeBytes(integerBytes(account.balance)),
    encodeBytes(account.storageRoot),
    encodeBytes(account.codeHash),
  ])
}

/** Reads what `encodeAccount` wrote. Throws on anything else: the store is damaged. */
export function decodeAccount(bytes: Uint8Array): AccountRecord {
  const fields = decodeRlp(bytes)
  if (fields === undefined || fields instanceof Uint8Array || fields.length !== 4) {
    throw new Error('damaged account record')
  }
  const nonce = decodeInteger(fields[0], 8)
  const balance = decodeInteger(fields[1], 32)
  const [, , storageRoot, codeHash] = fields
  if (nonce === undefined || balance === undefined) throw new Error('damaged account record')
  if (!(storageRoot instanceof Uint8Array) || !(codeHash instanceof Uint8Array)) {
    throw new Error('damaged account record')
  }
  return {
    nonce,
    balance,
    // Most accounts have neither code nor storage: that they share the constants makes them quick to tell.
    storageRoot: equalBytes(storageRoot, EMPTY_TRIE_ROOT) ? EMPTY_TRIE_ROOT : storageRoot.slice(),
    codeHash: equalBytes(codeHash, EMPTY_CODE_HASH) ? EMPTY_CODE_HASH : codeHash.slice(),
  }
}

/** Bytes of an address given as 40 hex digits. */
export function addressBytes(addressHex: string): Uint8Array {
  return hexBytes(addressHex)
}
