/** How long federations of real processes take from the record of a batch to its signed transaction, by their own logs. */
import { quantile } from '../bench/figures.ts'
import type { TestFederation } from './federation.ts'

export interface SigningTimes {
  readonly batches: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Of each batch: from the first node that had its record to the first that had sent it to Bitcoin. Undefined: there was none. */
export function signingTimes(federation: TestFederation, nodes: number): SigningTimes | undefined {
  const recorded = new Map<string, number>()
  const sent = new Map<string, number>()
  for (let node = 0; node < nodes; node++) {
    for (const { fields, msg, time } of federation.log('node', node)) {
      const first =
        msg === 'batch recorded' ? recorded : msg === 'payout on its way' ? sent : undefined
      const name = String((fields as { readonly txid?: string } | undefined)?.txid)
      const at = Date.parse(String(time))
      first?.set(name, Math.min(at, first.get(name) ?? at))
    }
  }
  const times = [...sent].flatMap(([name, at]) => {
    const from = recorded.get(name)
    return from === undefined ? [] : [at - from]
  })
  if (times.length === 0) return undefined
  return { batches: times.length, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) }
}
