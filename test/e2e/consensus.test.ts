/** One fault of each sort on four real nodes; all of them: `npm run e2e -- consensus --json`. */
import { runConsensus } from './consensus.ts'

it('nodes killed, stopped, split in halves, without a quorum, with a wrong clock: no fork, nothing lost or signed twice, on within three views', async () => {
  const told: string[] = []
  const tell = (line: string) => void told.push(line)
  const options = { json: true, nodes: 4, members: 1, bitcoin: 'embedded', seed: 5, random: 0 }
  const { ok, figures } = await runConsensus({ ...options, tell }, { short: true })
  expect([ok, figures['violations'], ok ? '' : told.join('\n')]).toEqual([true, [], ''])
  expect(figures).toMatchObject({ forks: 0, lost: 0, doubleVotes: 0, orphans: 0 })
  expect(figures).toMatchObject({ scenarios: 5, kills: 3, stops: 1, clocks: 1 })
}, 600_000)
