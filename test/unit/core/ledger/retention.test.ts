import {
  BATCH_STATE,
  genesisLedger,
  type Ledger,
  lowestNeeded,
  REQUEST_STATE,
} from '../../../../core/ledger/index.ts'
import { seeded, testGenesis } from '../peg/world.ts'

const genesis = testGenesis()
const origin = genesisLedger(genesis)

/** A ledger at height 100 with open requests and batches of some heights. */
function ledgerWith(requests: readonly number[], batches: readonly number[]): Ledger {
  const entries = (heights: readonly number[], state: number) =>
    new Map(heights.map((height) => [`${height}`, { key: seeded('key'), row: { height, state } }]))
  const open = {
    ...origin.open,
    requests: entries(requests, REQUEST_STATE.open),
    batches: entries(batches, BATCH_STATE.open),
  }
  return { ...origin, state: { ...origin.state, height: 100 }, open: open as never }
}

describe('lowestNeeded', () => {
  it('PR-2: the block of the oldest open request or batch', () => {
    expect(lowestNeeded(genesis, ledgerWith([], []))).toBe(100)
    expect(lowestNeeded(genesis, ledgerWith([70, 40], [60]))).toBe(40)
    expect(lowestNeeded(genesis, ledgerWith([70], [30, 90]))).toBe(30)
  })

  it('PR-2: every block, where work has to anchor the chain and none did yet', () => {
    const gated = { ...genesis, params: { ...genesis.params, anchorGate: 'bridge' as const } }
    expect(lowestNeeded(gated, ledgerWith([], []))).toBe(1)
  })
})
