/**
 * BLS signatures on BLS12-381 with keys in G1 (48 bytes) and signatures in G2 (96 bytes), the
 * proof-of-possession scheme of draft-irtf-cfrg-bls-signature §3.3. What is signed is always the tagged
 * hash of one purpose, so that a signature for one purpose never serves another.
 */
import {
  aggregateSerializedSignatures,
  fastAggregateVerify,
  PublicKey,
  SecretKey,
  Signature,
  verify,
} from '@chainsafe/blst'
import type { SignatureSuite, Signer } from './suite.ts'

export interface BlsKeyPair {
  readonly secretKey: Uint8Array
  readonly publicKey: Uint8Array
}

/** A key pair from at least 32 bytes of seed (KeyGen of the draft, §2.3). */
export function blsKeyPair(seed: Uint8Array): BlsKeyPair {
  const secret = SecretKey.fromKeygen(seed)
  return { secretKey: secret.toBytes(), publicKey: secret.toPublicKey().toBytes() }
}

/** The public key of a 32-byte secret key. */
export function blsPublicKey(secretKey: Uint8Array): Uint8Array {
  return SecretKey.fromBytes(secretKey).toPublicKey().toBytes()
}

export function blsSign(secretKey: Uint8Array, message: Uint8Array): Uint8Array {
  return SecretKey.fromBytes(secretKey).sign(message).toBytes()
}

/** False for anything that is no valid signature, malformed points included. Never throws. */
export function blsVerify(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return verify(
      message,
      PublicKey.fromBytes(publicKey),
      Signature.fromBytes(signature),
      true,
      true,
    )
  } catch {
    return false
  }
}

/** One signature out of several; undefined when one of them is malformed or there is none. */
export function blsAggregate(signatures: readonly Uint8Array[]): Uint8Array | undefined {
  if (signatures.length === 0) return undefined
  try {
    return aggregateSerializedSignatures([...signatures], true).toBytes()
  } catch {
    return undefined
  }
}

/** The flag of the point at infinity, which as a key would count as a signer of everything. */
function isInfinity(point: Uint8Array): boolean {
  return ((point[0] ?? 0) & 0x40) !== 0
}

/**
 * Whether `signature` aggregates one signature of every key over the same message. The keys must have
 * shown possession (`verifyPossession`), or a rogue key could cancel the others.
 */
export function blsVerifyAggregate(
  publicKeys: readonly Uint8Array[],
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKeys.length === 0 || publicKeys.some(isInfinity)) return false
  try {
    const keys = publicKeys.map((key) => PublicKey.fromBytes(key))
    return fastAggregateVerify(message, keys, Signature.fromBytes(signature), true)
  } catch {
    return false
  }
}

/** A secret key as the handle that signs with it. */
export function blsSigner(secretKey: Uint8Array): Signer {
  return {
    publicKey: blsPublicKey(secretKey),
    sign: (message) => blsSign(secretKey, message),
  }
}

/** The suite of every real chain. Programs put `rememberVerified` around it. */
export const blsSuite: SignatureSuite = {
  verify: blsVerify,
  verifyAggregate: blsVerifyAggregate,
  aggregate: blsAggregate,
}
