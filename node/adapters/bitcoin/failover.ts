/** Several endpoints of Bitcoin as one: who does not answer is left for the next, and the one that answered is kept. */
import type { BitcoinFault, BitcoinPort, BitcoinResult } from '../../../actors/bridge/index.ts'

/** Faults of an endpoint; what Bitcoin itself refuses is refused everywhere. */
const UNANSWERED: ReadonlySet<string> = new Set([
  'BitcoinUnreachable',
  'BitcoinTimeout',
  'BitcoinBadAnswer',
])

export interface FailoverOptions {
  /** In the order of preference; at least one. */
  readonly endpoints: readonly BitcoinPort[]
  /** Another endpoint is asked from now on. */
  readonly changed: (endpoint: number, because: BitcoinFault) => void
}

/** Each question goes to every endpoint at most once; without any answer the last fault is told. */
export function createBitcoinFailover({ endpoints, changed }: FailoverOptions): BitcoinPort {
  let current = 0
  async function ask<T>(
    question: (bitcoin: BitcoinPort) => Promise<BitcoinResult<T>>,
  ): Promise<BitcoinResult<T>> {
    const first = current
    for (let turn = 0; ; turn++) {
      const at = (first + turn) % endpoints.length
      const answer = await question(endpoints[at] as BitcoinPort)
      const isLast = turn + 1 === endpoints.length
      if (answer.ok || isLast || !UNANSWERED.has(answer.error.code)) return answer
      // Somebody else's question may have moved on meanwhile.
      if (current !== at) continue
      current = (at + 1) % endpoints.length
      changed(current, answer.error)
    }
  }
  return {
    tip: () => ask((bitcoin) => bitcoin.tip()),
    hashAt: (height) => ask((bitcoin) => bitcoin.hashAt(height)),
    header: (hash) => ask((bitcoin) => bitcoin.header(hash)),
    block: (hash) => ask((bitcoin) => bitcoin.block(hash)),
    inMempool: (txid) => ask((bitcoin) => bitcoin.inMempool(txid)),
    send: (raw) => ask((bitcoin) => bitcoin.send(raw)),
    feeRate: () => ask((bitcoin) => bitcoin.feeRate()),
  }
}
