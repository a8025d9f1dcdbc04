/**
 * What consensus and the peg need of a signature scheme whose signatures over one message aggregate. The real one is `blsSuite`;
 * the genesis carries the suite that its keys belong to, so whoever knows the rules of a chain can check its signatures.
 */
import { taggedHash } from './hash.ts'

/** What `verifyAggregate` is asked. */
export interface AggregateCheck {
  readonly publicKeys: readonly Uint8Array[]
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

/** Checks of signatures: pure, total over any bytes. Keys have 48 bytes, signatures and aggregates 96. */
export interface SignatureSuite {
  /** False for anything that is no signature of this key over the message. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** Whether `signature` aggregates one signature of each key over `message`. Keys must have shown possession. */
  verifyAggregate(
    publicKeys: readonly Uint8Array[],
    message: Uint8Array,
    signature: Uint8Array,
  ): boolean
  /** Whether `verifyAggregate` gives true for every one; cheaper than one by one. */
  verifyEach(checks: readonly AggregateCheck[]): boolean
  /** One signature out of several; undefined when one of them is malformed or there is none. */
  aggregate(signatures: readonly Uint8Array[]): Uint8Array | undefined
}

/** A key that can sign, whoever holds its secret. `sign` is deterministic. */
export interface Signer {
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Uint8Array
}

/**
 * Aggregates whose checks are put off to be made together: `suite` takes each for good and notes it, `hold` says whether all were.
 * Whoever has to know which one is wrong does its work once more with the suite itself.
 */
export function putOffChecks(suite: SignatureSuite): {
  readonly suite: SignatureSuite
  hold(): boolean
} {
  const noted: AggregateCheck[] = []
  return {
    suite: {
      ...suite,
      verifyAggregate: (publicKeys, message, signature) => {
        noted.push({ publicKeys, message, signature })
        return true
      },
    },
    hold: () => suite.verifyEach(noted),
  }
}

function possessionMessage(publicKey: Uint8Array): Uint8Array {
  return taggedHash('millrace/possession', publicKey)
}

/** Proof that the signer holds the secret of its key (draft-irtf-cfrg-bls-signature §3.3). */
export function provePossession(signer: Signer): Uint8Array {
  return signer.sign(possessionMessage(signer.publicKey))
}

export function verifyPossession(
  suite: SignatureSuite,
  publicKey: Uint8Array,
  proof: Uint8Array,
): boolean {
  return suite.verify(publicKey, possessionMessage(publicKey), proof)
}
