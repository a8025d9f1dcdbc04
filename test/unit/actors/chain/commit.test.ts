import { type ChainRun, perform } from '../../../../actors/chain/effects.ts'
import type { SignGuard } from '../../../../actors/chain/index.ts'
import { genesisHead } from '../../../../core/chain/index.ts'
import { createManualClock, createTestPorts } from '../../../../supervisor/testing/index.ts'
import { townGenesis } from '../../core/chain/town.ts'
import { chainOfBlocks } from '../chain-of-blocks.ts'

const genesis = townGenesis()
const { slotMs } = genesis.params
const SLOT = 200_000_000

/** A run whose store takes `storeMs` for a write. */
function commitAfter(storeMs: number) {
  const ports = { ...createTestPorts(), clock: createManualClock(SLOT * slotMs) }
  const published: number[] = []
  const observed: { readonly name: string; readonly value: number }[] = []
  const run = {
    clock: ports.clock,
    ports: {
      genesis,
      metrics: {
        ...ports.metrics,
        observe: (name: string, _labels: object, value: number) => observed.push({ name, value }),
      },
      views: {
        publishHead: (head: { committedAtMs: number }) => published.push(head.committedAtMs),
      },
    },
    async ask(_to: string, { type }: { type: string }) {
      if (type === 'storage.PersistBlock') await ports.clock.advance(storeMs)
      return { ok: true, value: {} }
    },
    log: (level: 'info', event: string, fields: Record<string, unknown>) =>
      ports.log.write({ level, event, fields, atMs: ports.clock.nowMs(), actor: 'chain' }),
  } as unknown as ChainRun
  const guard = { view: () => undefined, compact: async () => undefined } as unknown as SignGuard
  const [committed] = chainOfBlocks(1, 1)
  if (committed === undefined) throw new Error('no block')
  committed.block.header.slot = SLOT
  const head = { ...genesisHead(genesis), header: committed.block.header }
  const done = perform({ kind: 'commit', committed, head }, run, { guard })
  return { done, ports, published, observed }
}

describe('a commit', () => {
  it('is measured from the start of its slot to its durable write (OP-1)', async () => {
    const { done, ports, published, observed } = commitAfter(230)
    await done
    expect(observed).toEqual([{ name: 'millrace_commit_seconds', value: 0.23 }])
    expect(published).toEqual([SLOT * slotMs + 230])
    const line = ports.log.records.find(({ event }) => event === 'block committed')
    expect(line?.fields?.['sinceSlotMs']).toBe(230)
  })

  it('is counted once (OP-1)', async () => {
    const { done, ports } = commitAfter(1)
    await done
    expect(ports.metrics.total('millrace_blocks_committed_total')).toBe(1)
  })
})
