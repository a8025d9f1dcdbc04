import { blsAggregate, blsVerify, blsVerifyAggregate } from '../../crypto/index.ts'

/** The signature checks that consensus needs, pure. The simulator puts an unforgeable fake in its place. */
export interface SignatureSuite {
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** Whether `signature` aggregates one signature of each key over `message`. */
  verifyAggregate(
    publicKeys: readonly Uint8Array[],
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean
  /** Undefined when one of them is malformed. */
  aggregate(signatures: readonly Uint8Array[]): Uint8Array | undefined
}

/** BLS12-381 over keys that have shown possession (genesis, registry). */
export const blsSuite: SignatureSuite = {
  verify: blsVerify,
  verifyAggregate: blsVerifyAggregate,
  aggregate: blsAggregate,
}
