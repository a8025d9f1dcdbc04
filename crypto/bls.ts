/**
 * BLS signatures on BLS12-381 with keys in G1 (48 bytes) and signatures in G2 (96 bytes), the
 * proof-of-possession scheme of draft-irtf-cfrg-bls-signature §3.3. What is signed is always the tagged
 * hash of one purpose, so that a signature for one purpose never serves another.
 */
import {
  aggregatePublicKeys,
  aggregateSerializedSignatures,
  fastAggregateVerify,
  PublicKey,
  SecretKey,
  Signature,
  verify,
  verifyMultipleAggregateSignatures,
} from '@chainsafe/blst'
import { toHex } from './bytes.ts'
import type { AggregateCheck, SignatureSuite, Signer } from './suite.ts'

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

/**
 * Whether each of the checks passes, by one pairing product over a random linear combination: e(g, Σ rᵢ·σᵢ) = Π e(rᵢ·Kᵢ, H(mᵢ)), with
 * every σᵢ in its subgroup. If all pass it holds for any r. If one does not, at most one value of its r lets the product hold, whatever
 * the others are. The 64-bit r are blst's own, drawn when all else is fixed: derived from the items they could be searched
 * for beforehand. So a wrong list passes once in 2^64 blocks that were proposed and seen, and no other verdict depends on chance.
 */
export function blsVerifyEach(checks: readonly AggregateCheck[]): boolean {
  if (checks.length === 0) return true
  if (checks.some(({ publicKeys }) => publicKeys.length === 0 || publicKeys.some(isInfinity))) {
    return false
  }
  // Mostly the same few members: their keys are read and added up once.
  const keys = new Map<string, PublicKey>()
  const sums = new Map<string, PublicKey>()
  try {
    const sets = checks.map(({ message, publicKeys, signature }) => {
      const names = publicKeys.map(toHex)
      const all = publicKeys.map((key, at) =>
        once(keys, names[at] as string, () => PublicKey.fromBytes(key)),
      )
      const pk = once(sums, names.join(' '), () => aggregatePublicKeys(all))
      return { msg: message, pk, sig: Signature.fromBytes(signature) }
    })
    return verifyMultipleAggregateSignatures(sets, false, true)
  } catch {
    return false
  }
}

function once<T>(known: Map<string, T>, name: string, make: () => T): T {
  const found = known.get(name) ?? make()
  known.set(name, found)
  return found
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
  verifyEach: blsVerifyEach,
  aggregate: blsAggregate,
}
