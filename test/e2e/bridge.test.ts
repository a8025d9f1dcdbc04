/** `npm run e2e -- bridge`, in its short form. */
import { runBridge } from './bridge.ts'

it('coins go in and out under reorgs, a handover, a replaced payout, a restart of everything and a dead member: each once, and the books balance (PO-12, PO-15, PO-21, PI-6)', async () => {
  const options = { json: true, nodes: 4, members: 4, bitcoin: 'embedded', seed: 1, random: 4 }
  const { ok, figures } = await runBridge({ ...options, tell: () => {} }, { short: true })
  expect(figures).toMatchObject({ refunds: 4, reorgs: 1, rbf: 1, handovers: 1, orphans: 0 })
  expect(figures['unsettled']).toEqual([])
  // Four pairs, one at least during the handover, one with a dead member; three burns besides.
  expect(figures['pegIns']).toBeGreaterThanOrEqual(6)
  expect(figures['pegOuts']).toBe((figures['pegIns'] as number) + 3)
  expect(figures['identityChecks']).toBeGreaterThan(20)
  expect(ok).toBe(true)
}, 1_200_000)
