import { nextGasLimit } from '../../../../core/params/index.ts'
import { isGasLimitStep } from '../../../../vm/evm/gas.ts'

describe('6.2: the gas limit', () => {
  it('moves toward the parameter by less than a 1024th, and stands still there', () => {
    expect(nextGasLimit(30_000_000, 60_000_000)).toBe(30_000_000 + 29_295)
    expect(nextGasLimit(60_000_000, 30_000_000)).toBe(60_000_000 - 58_592)
    expect(nextGasLimit(60_000_000, 60_000_000)).toBe(60_000_000)
    expect(nextGasLimit(59_999_999, 60_000_000)).toBe(60_000_000)
    expect(nextGasLimit(60_000_001, 60_000_000)).toBe(60_000_000)
  })

  it('takes a step that any client accepts', () => {
    for (let parent = 30_000_000; parent < 2_000_000_000; parent = Math.floor(parent * 1.37) + 1) {
      for (const target of [30_000_000, 60_000_000, 60_000_001, 2_000_000_000]) {
        expect(isGasLimitStep(parent, nextGasLimit(parent, target))).toBe(true)
      }
    }
  })
})
