/** Bench `bridge`: what custody costs. */
import { custody } from './custody.ts'
import type { Bench } from './figures.ts'
import { dayOfRequests, pegInItems } from './peg.ts'
import { scanSpeed } from './scan.ts'

export const bridgeBench: Bench = async ({ rounds, tell }) => {
  const keys = custody(tell)
  tell('peg-in items')
  const items = pegInItems()
  tell('a day of requests')
  const day = dayOfRequests()
  tell('the scan of Bitcoin')
  return [...keys, ...items, ...day, ...(await scanSpeed(rounds))]
}
