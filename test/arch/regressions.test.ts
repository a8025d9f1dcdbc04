/** Defects of earlier chains that a look at the source shows. */
import { lineAt, readTree } from './sources.ts'

/** A rule that depends on a height that somebody wrote into the code (D12). */
const HEIGHT_LITERAL =
  /\b(?:height|number|blockNumber|slot)\b\s*(?:[<>]=?|[!=]==)\s*(?:\d[\d_]{2,}|0x[\da-f]{3,})/gi

function bypasses(path: string, text: string): string[] {
  return [...text.matchAll(HEIGHT_LITERAL)].map(
    ({ 0: found, index }) => `${path}:${lineAt(text, index)}: ${found}`,
  )
}

describe('D12', () => {
  it('no rule is switched by a height that is written into the code', () => {
    const found = readTree([
      'core',
      'vm',
      'actors',
      'bridge',
      'node',
      'governance',
      'messages',
    ]).flatMap(({ path, text }) => bypasses(path, text))
    expect(found).toEqual([])
  })

  it('and such a one would be found', () => {
    expect(bypasses('a.ts', 'if (header.height <= 533683) return VALID')).toHaveLength(1)
    expect(bypasses('a.ts', 'if (height > 70_132) check()')).toHaveLength(1)
    expect(bypasses('a.ts', 'if (height > 1) answer()')).toEqual([])
  })
})
