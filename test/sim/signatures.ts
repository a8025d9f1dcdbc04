/**
 * A signature suite for worlds, a hundred times cheaper than curves and not to be forged inside a world: a signature is a MAC
 * under a secret that only the registry of keys holds. Signatures add up lane by lane as points do, so an aggregate is of exactly
 * its signers; a tag over the sum stands for "is a point of the group", which nobody else can make. Sizes are the real ones.
 */
import { hash } from 'node:crypto'
import { equalBytes, type SignatureSuite, type Signer, uint32be } from '../../crypto/index.ts'

const KEY_BYTES = 48
const SUM_BYTES = 64
const SIGNATURE_BYTES = 96

/** Gives out handles by name. Whoever has only handles signs with these keys and no others. */
export interface KeyRegistry {
  readonly suite: SignatureSuite
  /** The same name gives the same key. */
  issue(name: string): Signer
}

export function createKeyRegistry(seed: string): KeyRegistry {
  const secret = hash('sha256', `key registry ${seed}`, 'buffer')

  const mac = (purpose: number, ...parts: readonly Uint8Array[]): Buffer => {
    const message = Buffer.concat([secret, Uint8Array.of(purpose), ...parts])
    return hash('sha512', message, 'buffer')
  }
  const seal = (sum: Uint8Array): Uint8Array => {
    const sealed = new Uint8Array(SIGNATURE_BYTES)
    sealed.set(sum)
    sealed.set(mac(1, sum).subarray(0, SIGNATURE_BYTES - SUM_BYTES), SUM_BYTES)
    return sealed
  }
  const isSealed = (signature: Uint8Array): boolean =>
    signature.length === SIGNATURE_BYTES &&
    equalBytes(seal(signature.subarray(0, SUM_BYTES)), signature)
  const isSealOf = (sum: Uint8Array, signature: Uint8Array): boolean =>
    equalBytes(sum, signature.subarray(0, SUM_BYTES)) && isSealed(signature)
  // Nobody has signed with a key that was not issued: its sums are unknown, and it needs no check of its own.
  const sumOf = (publicKey: Uint8Array, message: Uint8Array) =>
    mac(2, uint32be(publicKey.length), publicKey, message)

  const suite: SignatureSuite = {
    verify: (publicKey, message, signature) => isSealOf(sumOf(publicKey, message), signature),
    verifyAggregate: (publicKeys, message, signature) =>
      publicKeys.length > 0 &&
      isSealOf(add(publicKeys.map((key) => sumOf(key, message))), signature),
    verifyEach: (checks) =>
      checks.every((check) =>
        suite.verifyAggregate(check.publicKeys, check.message, check.signature),
      ),
    aggregate: (signatures) =>
      signatures.length > 0 && signatures.every(isSealed) ? seal(add(signatures)) : undefined,
  }
  return {
    suite,
    issue(name) {
      const publicKey = new Uint8Array(mac(3, Buffer.from(name)).subarray(0, KEY_BYTES))
      return { publicKey, sign: (message) => seal(sumOf(publicKey, message)) }
    },
  }
}

/** Sixteen lanes of 32 bits, each modulo 2^32. */
function add(sums: readonly Uint8Array[]): Uint8Array {
  const total = new Uint8Array(SUM_BYTES)
  const lanes = new DataView(total.buffer)
  for (const sum of sums) {
    const view = new DataView(sum.buffer, sum.byteOffset)
    for (let at = 0; at < SUM_BYTES; at += 4) {
      lanes.setUint32(at, lanes.getUint32(at) + view.getUint32(at))
    }
  }
  return total
}
