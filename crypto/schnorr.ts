/** BIP340 Schnorr signatures on secp256k1. Keys are 32-byte x-only points. */
import { schnorr } from '@noble/curves/secp256k1.js'
import * as native from 'tiny-secp256k1'

export interface SchnorrKeyPair {
  readonly secretKey: Uint8Array
  readonly publicKey: Uint8Array
}

/** The x-only public key of a secret key. Throws when the scalar is 0 or ≥ n. */
export function schnorrPublicKey(secretKey: Uint8Array): Uint8Array {
  return schnorr.getPublicKey(secretKey)
}

/** Whether 32 bytes are the x of a point, so that a script under this key can be spent at all. */
export function isSchnorrKey(publicKey: Uint8Array): boolean {
  return publicKey.length === 32 && native.isXOnlyPoint(publicKey)
}

/** Signs a 32-byte message; `auxiliary` is BIP340's 32 bytes of fresh randomness. */
export function schnorrSign(
  secretKey: Uint8Array,
  message: Uint8Array,
  auxiliary: Uint8Array,
): Uint8Array {
  return new Uint8Array(native.signSchnorr(message, secretKey, auxiliary))
}

/** False for anything that is no valid signature, keys off the curve included. Never throws. */
export function schnorrVerify(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return native.verifySchnorr(message, publicKey, signature)
  } catch {
    return false
  }
}
