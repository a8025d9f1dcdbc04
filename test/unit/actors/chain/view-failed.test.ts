import { type ChainRun, perform } from '../../../../actors/chain/effects.ts'
import type { SignGuard } from '../../../../actors/chain/index.ts'
import type { ViewFailure } from '../../../../core/pbft/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'

const failure: ViewFailure = {
  height: 7,
  view: 2,
  proposer: 'aa'.repeat(48),
  reason: 'Invalid',
  code: 'BadRoot',
  quorum: 3,
  prepares: 1,
  commits: 0,
  missing: ['bb'.repeat(48), 'cc'.repeat(48)],
  proposalMs: 310,
  lastedMs: 1_002,
}

describe('a failed view', () => {
  it('is one line, one count and its times, and is shown (OP-1)', async () => {
    const ports = createTestPorts()
    const observed: unknown[] = []
    const shown: unknown[] = []
    const run = {
      clock: ports.clock,
      ports: {
        metrics: {
          ...ports.metrics,
          observe: (name: string, labels: object, value: number) =>
            observed.push([name, labels, value]),
        },
        views: { publishSnapshot: (snapshot: unknown) => shown.push(snapshot) },
      },
      log: (level: 'info', event: string, fields: Record<string, unknown>) =>
        ports.log.write({ level, event, fields, atMs: 0, actor: 'chain' }),
    } as unknown as ChainRun
    const snapshot = { failures: [failure] }
    await perform({ kind: 'viewFailed', failure, snapshot }, run, { guard: {} as SignGuard })
    expect(ports.log.records.map(({ event, fields }) => ({ event, ...fields }))).toEqual([
      {
        event: 'view failed',
        height: 7,
        view: 2,
        reason: 'Invalid',
        code: 'BadRoot',
        proposer: 'aaaaaaaaaaaaaaaa',
        prepares: '1 of 3',
        commits: '0 of 3',
        missing: 'bbbbbbbbbbbbbbbb cccccccccccccccc',
        proposalMs: 310,
        preparedMs: undefined,
        lastedMs: 1_002,
      },
    ])
    expect(ports.metrics.total('millrace_view_failures_total')).toBe(1)
    expect(observed).toEqual([
      ['millrace_view_lateness_seconds', { step: 'proposal' }, 0.31],
      ['millrace_view_lateness_seconds', { step: 'left' }, 1.002],
    ])
    expect(shown).toEqual([snapshot])
  })
})
