/** The scenarios of `npm run e2e`, in their short form. */
import { forgeries } from './forgeries.ts'
import { kills } from './kills.ts'
import type { ScenarioOptions } from './scenario.ts'

const TEST_MS = 900_000
const options: ScenarioOptions = {
  json: true,
  nodes: 4,
  members: 4,
  bitcoin: 'embedded',
  seed: 1,
  random: 2,
  tell: () => {},
}

it(
  'kills: each process dies once and two at random; nothing acknowledged is lost',
  async () => {
    const { ok, figures } = await kills(options)
    expect(figures).toMatchObject({ killed: 10, rootsEqual: true, lost: 0, orphans: 0 })
    expect(figures['pegInsDone']).toBeGreaterThanOrEqual(9)
    expect(figures['pegOutsDone']).toBeGreaterThanOrEqual(9)
    expect(ok).toBe(true)
  },
  TEST_MS,
)

it(
  'forgeries: a stolen node gets no approval, no signature and no coin',
  async () => {
    const { ok, figures } = await forgeries(options)
    expect(figures).toMatchObject({
      approvals: 0,
      signatures: 0,
      minted: 0,
      movedSat: '0',
      orphans: 0,
    })
    expect(figures['attempts']).toBeGreaterThan(400)
    expect(ok).toBe(true)
  },
  TEST_MS,
)
