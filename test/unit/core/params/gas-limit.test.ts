import { readFileSync } from 'node:fs'
import {
  DEFAULT_GAS_LIMIT,
  gasWithin,
  nextGasLimit,
  WORST_NS_PER_GAS,
} from '../../../../core/params/index.ts'
import { viewLength } from '../../../../core/pbft/index.ts'
import { isGasLimitStep } from '../../../../vm/evm/gas.ts'
import { MAX_TRANSACTION_GAS } from '../../../../vm/evm/index.ts'

describe('6.2: the gas limit', () => {
  it('moves toward the parameter by less than a 1024th, and stands still there', () => {
    expect(nextGasLimit(30_000_000, 60_000_000)).toBe(30_000_000 + 29_295)
    expect(nextGasLimit(60_000_000, 30_000_000)).toBe(60_000_000 - 58_592)
    expect(nextGasLimit(60_000_000, 60_000_000)).toBe(60_000_000)
    expect(nextGasLimit(59_999_999, 60_000_000)).toBe(60_000_000)
    expect(nextGasLimit(60_000_001, 60_000_000)).toBe(60_000_000)
  })

  it('takes a step that any client accepts', () => {
    for (let parent = 1_000_000; parent < 2_000_000_000; parent = Math.floor(parent * 1.37) + 1) {
      for (const target of [1_000_000, 30_000_000, 60_000_001, 2_000_000_000]) {
        expect(isGasLimitStep(parent, nextGasLimit(parent, target))).toBe(true)
      }
    }
  })
})

describe('6.3, BP-6: the default gas limit', () => {
  const SHORTEST_SLOT_MS = 1000
  const longestView = viewLength(Number.MAX_SAFE_INTEGER, 4)
  const page = readFileSync(
    new URL('../../../../docs/explanation/gas-limit.md', import.meta.url),
    'utf8',
  )

  it('lets the slowest block execute in four fifths of the longest view, and holds the largest transaction', () => {
    const most = gasWithin(longestView * SHORTEST_SLOT_MS * 0.8, WORST_NS_PER_GAS)
    expect(DEFAULT_GAS_LIMIT).toBeLessThanOrEqual(most)
    expect(Number(MAX_TRANSACTION_GAS)).toBeLessThanOrEqual(DEFAULT_GAS_LIMIT)
  })

  it('is what the docs say', () => {
    const millions = (gas: number) => `${gas / 1_000_000} million`
    const one = (ms: number) => (ms / 1000).toFixed(1)
    expect(page).toContain(`**${WORST_NS_PER_GAS} ns** per gas`)
    expect(page).toContain(`**${millions(DEFAULT_GAS_LIMIT)}**`)
    expect(page).toContain(`${longestView} slots`)
    expect(page).toContain(`**${one((DEFAULT_GAS_LIMIT * WORST_NS_PER_GAS) / 1e6)} s**`)
    expect(page).toContain(`**${one((Number(MAX_TRANSACTION_GAS) * WORST_NS_PER_GAS) / 1e6)} s**`)
    const strict = Math.floor(gasWithin((2 * SHORTEST_SLOT_MS) / 4, WORST_NS_PER_GAS) / 1e5) / 10
    expect(page).toContain(`**${strict} million**`)
  })
})
