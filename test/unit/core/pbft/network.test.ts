import { toHex } from '../../../../crypto/index.ts'
import { keyOf, SLOT_MS } from './fixtures.ts'
import { Network, type NetworkOptions } from './network.ts'

const SLOTS = 12
const GENESIS_MS = 1_000_000

interface Outcome {
  readonly network: Network
  /** Blocks that the slowest honest node committed after the faults ended. */
  readonly gained: number
}

/** Runs through the faults and as long again; a failure names its seed. */
function run(options: NetworkOptions): Outcome {
  try {
    const network = new Network(options)
    network.runFor(SLOTS * SLOT_MS)
    const before = Math.max(...network.honestHeights)
    network.runFor(SLOTS * SLOT_MS)
    const gained = Math.min(...network.honestHeights) - before
    const { liars = [] } = options
    for (const blamed of network.blamed) {
      if (!liars.includes(blamed)) throw new Error(`honest node ${blamed} is blamed`)
    }
    return { network, gained }
  } catch (error) {
    throw new Error(`seed ${options.seed}: ${(error as Error).message}`)
  }
}

/** Agreement and no double signature are checked in every run; here that all of them get on. */
function runSeeds(count: number, options: Omit<NetworkOptions, 'seed'>): Outcome[] {
  return Array.from({ length: count }, (_, index) => {
    const seed = index + 1
    const outcome = run({ ...options, seed })
    if (outcome.gained < SLOTS / 3) throw new Error(`seed ${seed}: ${outcome.gained} blocks gained`)
    return outcome
  })
}

const healAtMs = SLOTS * SLOT_MS

describe('a network of drivers', () => {
  it.each([1, 2, 3, 4, 7])(
    'of %i commits a block in every slot, empty as it is (BF-1, BP-18)',
    (n) => {
      const { gained } = run({ seed: n, n })
      expect(gained).toBeGreaterThanOrEqual(SLOTS - 1)
    },
  )

  it.each([4, 5, 7])('of %i goes on at (n-1)/n of the rate with one silent (BP-18, BF-12)', (n) => {
    for (const { gained } of runSeeds(5, { n, silent: [2] })) {
      expect(gained).toBeGreaterThanOrEqual(Math.floor((SLOTS * (n - 1)) / n) - 1)
    }
  })

  it('agrees and recovers with a fifth of the messages lost, some doubled (BF-12)', () => {
    runSeeds(20, { n: 4, loss: 0.2, doubled: 0.1, delayMs: 120, healAtMs })
  })

  it('agrees and recovers through crashes and restarts from the guard (BF-10, BF-12, T4)', () => {
    runSeeds(30, { n: 4, crashes: 0.2, loss: 0.05, healAtMs })
  })

  it('agrees with a liar among four, and convicts nobody else (BF-11, BF-12, 2.9)', () => {
    const outcomes = runSeeds(25, { n: 4, liars: [1], delayMs: 80, loss: 0.1, healAtMs })
    const convicted = new Set(outcomes.flatMap(({ network }) => [...network.evidence]))
    expect([...convicted]).toEqual([toHex(keyOf(1))])
  })

  it('agrees where many lock and few commit: the lock holds a liar off (BF-5, BF-12)', () => {
    runSeeds(30, { n: 4, liars: [2], delayMs: 60, commitLoss: 0.75, healAtMs })
  })

  it('agrees with a liar, loss, crashes and slow messages together (BF-12)', () => {
    runSeeds(40, { n: 4, crashes: 0.1, loss: 0.2, liars: [3], delayMs: 250, healAtMs })
  })

  it('agrees with two liars among seven', () => {
    runSeeds(3, { n: 7, liars: [1, 4], loss: 0.2, crashes: 0.05, healAtMs })
  })

  it('agrees with unequal power, the liar holding less than a third', () => {
    runSeeds(6, { n: 4, powers: [3, 3, 2, 2], liars: [0], loss: 0.1, healAtMs })
  })

  it('goes on with one clock five seconds off, either way (BF-12)', () => {
    runSeeds(3, { n: 4, skewMs: [5000, 0, 0, 0] })
    runSeeds(3, { n: 4, skewMs: [0, 0, -5000, 0] })
  })

  it('stops when cut in halves and resumes within three views of the healing (BF-12)', () => {
    const cutAtMs = GENESIS_MS + 5_000
    const healedAtMs = GENESIS_MS + 25_000
    for (let seed = 1; seed <= 4; seed++) {
      const network = new Network({
        seed,
        n: 4,
        passes: (from, to, nowMs) => nowMs < cutAtMs || nowMs > healedAtMs || from < 2 === to < 2,
      })
      network.runFor(cutAtMs - network.nowMs + 1_000)
      const cut = Math.max(...network.heights)
      network.runFor(healedAtMs - network.nowMs)
      expect(Math.max(...network.heights)).toBeLessThanOrEqual(cut + 1)
      const stalled = Math.max(...network.heights)
      // Views are 16 slots long by then at most; three of them end well within this time.
      network.runFor(3 * 8 * SLOT_MS)
      expect(Math.min(...network.heights)).toBeGreaterThan(stalled)
    }
  })

  it('does the same again for the same seed', () => {
    const options = { seed: 77, n: 4, crashes: 0.1, loss: 0.2, liars: [3], healAtMs }
    const [first, second] = [run(options).network, run(options).network]
    expect([second.heights, second.messages]).toEqual([first.heights, first.messages])
  })
})
