/** `npm run e2e -- bridge`, in its short form. */
import { runBridge } from './bridge.ts'

it('coins go in and out under reorgs, a replaced payout, a restart of everything and a dead member: each once, and the books balance (PO-12, PO-15, PI-6)', async () => {
  const options = { json: true, nodes: 4, members: 4, bitcoin: 'embedded', seed: 1, random: 4 }
  const { ok, figures } = await runBridge({ ...options, tell: () => {} }, { short: true })
  expect(figures).toMatchObject({ refunds: 4, reorgs: 1, rbf: 1, paidTwice: 0, orphans: 0 })
  expect(figures['pegIns']).toBe(5)
  expect(figures['pegOuts']).toBe(8)
  expect(figures['identityChecks']).toBeGreaterThan(20)
  expect(ok).toBe(true)
}, 900_000)
