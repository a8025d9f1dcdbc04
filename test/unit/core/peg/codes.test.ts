import { readdirSync, readFileSync } from 'node:fs'
import { PEG_CODES } from '../../../../core/peg/index.ts'

it('every code of an invalid block is expected by a test of this room (PI-5)', () => {
  const here = new URL('.', import.meta.url)
  const texts = readdirSync(here)
    .filter((name) => name.endsWith('.test.ts') && name !== 'codes.test.ts')
    .map((name) => readFileSync(new URL(name, here), 'utf8'))
    .join('\n')
  const missing = Object.keys(PEG_CODES).filter((code) => !texts.includes(`'${code}'`))
  expect(missing).toEqual([])
})
