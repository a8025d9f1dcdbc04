import secp256k1 from 'secp256k1'
import { bigintToBytes, concatBytes } from '../../crypto/index.ts'
import { keccak256 } from './keccak.ts'
import { encodeRlp, integerBytes } from './rlp.ts'
import {
  type Authorization,
  type EvmTransaction,
  HIGHEST_S,
  type Signature,
} from './transaction.ts'

/** The address that signed `hash`; undefined when the signature fits no key. */
export function recoverAddress(hash: Uint8Array, signature: Signature): Uint8Array | undefined {
  const compact = concatBytes(bigintToBytes(signature.r, 32), bigintToBytes(signature.s, 32))
  try {
    return addressOf(secp256k1.ecdsaRecover(compact, signature.yParity, hash, false))
  } catch {
    return undefined
  }
}

/** The address of an uncompressed public key of 65 bytes. */
export function addressOf(publicKey: Uint8Array): Uint8Array {
  return keccak256(publicKey.subarray(1)).slice(12)
}

export function recoverSender(transaction: EvmTransaction): Uint8Array | undefined {
  return recoverAddress(transaction.signingHash(), transaction.signature)
}

/** The account that signed an authorization (EIP-7702); undefined when the tuple has no effect. */
export function recoverAuthority(authorization: Authorization): Uint8Array | undefined {
  const { chainId, address, nonce, yParity, r, s } = authorization
  if (r === 0n || s === 0n || s > HIGHEST_S || yParity > 1n) return undefined
  const signed = encodeRlp([integerBytes(chainId), address, integerBytes(nonce)])
  const hash = keccak256(concatBytes(Uint8Array.of(5), signed))
  return recoverAddress(hash, { yParity: Number(yParity), r, s })
}
