import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { generatedFiles, REFERENCE } from '../../docs/generate.ts'
import { LIMIT_FILES } from '../../docs/generator/limits.ts'
import { ROOT } from '../../docs/generator/source.ts'
import { MESSAGE_ROWS } from '../../messages/index.ts'
import { API_ERRORS } from '../../node/api/index.ts'
import { KEYS } from '../../node/config/index.ts'
import { HOUSE, readTree } from '../arch/sources.ts'

const files = await generatedFiles()
const pages = new Map([...files].filter(([path]) => !path.endsWith('README.md')))
const page = (path: string) => pages.get(path) ?? pages.get(`${REFERENCE}/${path}`) ?? ''

describe('the reference is what the code says', () => {
  it.each([...files.keys()])('%s is as `npm run docs` writes it', (path) => {
    expect(readFileSync(join(ROOT, path), 'utf8')).toBe(files.get(path))
  })

  it('every actor and the kernel show their machine', () => {
    const rooms = readdirSync(join(ROOT, 'actors')).map((room) => `actors/${room}/README.md`)
    const drawn = [...files].filter(([, text]) => text.includes('stateDiagram-v2'))
    expect(drawn.map(([path]) => path).sort()).toEqual([...rooms, 'supervisor/README.md'].sort())
  })

  it('holds no page that is not generated', () => {
    const own = [...pages.keys()].filter((path) => path.startsWith(REFERENCE))
    const names = readdirSync(join(ROOT, REFERENCE)).map((name) => `${REFERENCE}/${name}`)
    expect(names.sort()).toEqual(own.sort())
  })

  it('has every message, error and setting', () => {
    for (const { type } of MESSAGE_ROWS) expect(page('MESSAGES.md')).toContain(`\`${type}\``)
    for (const name of Object.keys(API_ERRORS)) expect(page('errors.md')).toContain(`\`${name}\``)
    for (const key of KEYS) expect(page('configuration.md')).toContain(`\`${key}\``)
  })

  it('has the bounds of every room', () => {
    const rooms = readTree(HOUSE).filter(({ path }) => path.endsWith('/limits.ts'))
    expect([...LIMIT_FILES].sort()).toEqual(rooms.map(({ path }) => path).sort())
    for (const { path, text } of rooms) {
      for (const [, name] of text.matchAll(/^export const ([A-Z][A-Z0-9_]*)/gm)) {
        const bound = page('limits.md').includes(`\`${name}`)
        expect({ path, name, bound }).toEqual({ path, name, bound: true })
      }
    }
  })

  it('leaves no list empty', () => {
    for (const [name, text] of pages) {
      expect({ name, empty: /: [.;]|\| undefined/.exec(text)?.[0] }).toEqual({ name })
    }
  })
})
