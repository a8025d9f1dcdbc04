/** A suite that checks the same signature once. */
import { joinBytes, toHex, uint32be } from './bytes.ts'
import { sha256 } from './hash.ts'
import type { SignatureSuite } from './suite.ts'

/**
 * Remembers the last `capacity` checks that passed: a certificate comes with the message that carries it, with the block, with its
 * child and by sync, and a check costs a millisecond, its hash two microseconds. What failed is not remembered, so nobody
 * without a key can push anything out.
 */
export function rememberVerified(suite: SignatureSuite, capacity: number): SignatureSuite {
  const passed = new Set<string>()
  const once = (parts: readonly Uint8Array[], check: () => boolean): boolean => {
    // With its length before each part, no two lists of parts read the same.
    const sized = parts.flatMap((part) => [uint32be(part.length), part])
    const name = toHex(sha256(joinBytes(sized)))
    if (passed.has(name)) return true
    if (!check()) return false
    passed.add(name)
    if (passed.size > capacity) passed.delete(passed.values().next().value as string)
    return true
  }
  const ofOne = Uint8Array.of(1)
  const ofAll = Uint8Array.of(2)
  return {
    verify: (publicKey, message, signature) =>
      once([ofOne, publicKey, message, signature], () =>
        suite.verify(publicKey, message, signature),
      ),
    verifyAggregate: (publicKeys, message, signature) =>
      once([ofAll, ...publicKeys, message, signature], () =>
        suite.verifyAggregate(publicKeys, message, signature),
      ),
    aggregate: suite.aggregate,
  }
}
