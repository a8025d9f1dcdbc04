import {
  assertNever,
  gweiFromSat,
  invalid,
  satFromWei,
  unknown,
  VALID,
  type Verdict,
  weiFromSat,
} from '../../../../core/params/index.ts'

describe('C-1: units', () => {
  it('1 sat = 10 gwei = 10^10 wei, exactly, at any size', () => {
    for (const amountSat of [0n, 1n, 546n, 2_100_000_000_000_000n, 2n ** 63n]) {
      expect(gweiFromSat(amountSat)).toBe(amountSat * 10n)
      expect(weiFromSat(amountSat)).toBe(amountSat * 10_000_000_000n)
      expect(satFromWei(weiFromSat(amountSat))).toBe(amountSat)
      expect((gweiFromSat(amountSat) as bigint) * 1_000_000_000n).toBe(weiFromSat(amountSat))
    }
  })

  it('a remainder is an error, never rounding', () => {
    for (const rest of [1n, 9_999_999_999n, 5_000_000_000n]) {
      expect(satFromWei(10n ** 18n + rest)).toBeUndefined()
      expect(satFromWei(rest)).toBeUndefined()
    }
  })
})

describe('C-2: verdicts', () => {
  it('are valid, invalid with a code, or unknown with a code and a time', () => {
    const verdicts: readonly Verdict[] = [
      VALID,
      invalid('WrongParent'),
      invalid('WrongParent', 'detail'),
      unknown('ParentMissing', 1000),
    ]
    expect(verdicts).toEqual([
      { kind: 'valid' },
      { kind: 'invalid', code: 'WrongParent' },
      { kind: 'invalid', code: 'WrongParent', detail: 'detail' },
      { kind: 'unknown', code: 'ParentMissing', retryAfterMs: 1000 },
    ])
  })

  it('a case that no switch has is a bug', () => {
    expect(() => assertNever({ kind: 'new' } as never)).toThrow('unhandled case: {"kind":"new"}')
  })
})
