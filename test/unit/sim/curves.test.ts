import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { remembered } from '../../sim/curves/remember.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

describe('what all processes of a world share', () => {
  it('is computed once of the same bytes, however they are cut never of others', () => {
    const asked: string[] = []
    const join = remembered((left: Uint8Array, right: Uint8Array | undefined) => {
      asked.push(`${left.length} ${right?.length}`)
      return `${left} and ${right}`
    })
    const bytes = Uint8Array.of(1, 2, 3)
    for (let round = 0; round < 2; round++) {
      expect(join(bytes, bytes.subarray(0, 0))).toBe('1,2,3 and ')
      expect(join(bytes.subarray(0, 2), bytes.subarray(2))).toBe('1,2 and 3')
      expect(join(bytes, undefined)).toBe('1,2,3 and undefined')
    }
    expect(asked).toEqual(['3 0', '2 1', '3 undefined'])
  })

  it('changes no byte of a log', () => {
    const args = ['test/sim/main.ts', '--profile', 'bridge', '--seed', '4']
    const options = { cwd: ROOT, encoding: 'utf8' } as const
    const logOf = (text: string) => /log ([0-9a-f]{12})/.exec(text)?.[1]
    const plain = logOf(execFileSync(process.execPath, args, options))
    const shared = ['--import', './test/sim/curves.ts', ...args]
    expect(plain).toMatch(/./)
    expect(logOf(execFileSync(process.execPath, shared, options))).toBe(plain)
  }, 120_000)
})
