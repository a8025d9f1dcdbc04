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
  const remember = (name: string): void => {
    passed.add(name)
    if (passed.size > capacity) passed.delete(passed.values().next().value as string)
  }
  const once = (name: string, check: () => boolean): boolean => {
    if (passed.has(name)) return true
    if (!check()) return false
    remember(name)
    return true
  }
  return {
    verify: (publicKey, message, signature) =>
      once(nameOf(OF_ONE, [publicKey, message, signature]), () =>
        suite.verify(publicKey, message, signature),
      ),
    verifyAggregate: (publicKeys, message, signature) =>
      once(nameOf(OF_ALL, [...publicKeys, message, signature]), () =>
        suite.verifyAggregate(publicKeys, message, signature),
      ),
    verifyEach: (checks) => {
      const named = checks.map(({ message, publicKeys, signature }) =>
        nameOf(OF_ALL, [...publicKeys, message, signature]),
      )
      const areNew = named.map((name) => !passed.has(name))
      if (!suite.verifyEach(checks.filter((_, at) => areNew[at]))) return false
      for (const [at, name] of named.entries()) if (areNew[at]) remember(name)
      return true
    },
    aggregate: suite.aggregate,
  }
}

const OF_ONE = Uint8Array.of(1)
const OF_ALL = Uint8Array.of(2)

/** With its length before each part, no two lists of parts have one name. */
function nameOf(kind: Uint8Array, parts: readonly Uint8Array[]): string {
  const sized = [kind, ...parts].flatMap((part) => [uint32be(part.length), part])
  return toHex(sha256(joinBytes(sized)))
}
