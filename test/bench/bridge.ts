/** Bench `bridge`: what custody costs. */
import { custody } from './custody.ts'
import type { Bench } from './figures.ts'
import { dayOfRequests, pegInItems } from './peg.ts'
import { scanSpeed } from './scan.ts'
import { signingSpeed } from './signing.ts'

export const bridgeBench: Bench = async ({ deposits, rounds, tell }) => {
  const keys = custody(tell)
  tell('peg-in items')
  const items = pegInItems()
  tell('a day of requests')
  const day = dayOfRequests()
  tell('the scan of Bitcoin')
  const scan = await scanSpeed(rounds)
  tell('real processes sign')
  return [...keys, ...items, ...day, ...scan, ...(await signingSpeed(deposits, tell))]
}
