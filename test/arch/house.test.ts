import {
  describeFinding,
  type Finding,
  findActorShape,
  findCycles,
  findImports,
  findImpurity,
  findNames,
  findRealSignatures,
  findStyle,
} from './house.ts'
import { HOUSE, parseSource, readTree } from './sources.ts'

const files = readTree(HOUSE)
const everything = [...files, ...readTree(['bin', 'test', 'docs'])]
const found = (findings: readonly Finding[]) => findings.map(describeFinding)

describe('the house (design §2)', () => {
  it('has sources to look at', () => {
    expect(files.length).toBeGreaterThan(100)
    expect(new Set(files.map(({ path }) => path.split('/')[0])).size).toBe(HOUSE.length)
  })

  it('imports go down only, never sideways, and enter a room by its door', () => {
    expect(found(findImports(files))).toEqual([])
  })

  it('no files import each other in a circle', () => {
    expect(found(findCycles(files))).toEqual([])
  })

  it('pure rooms touch no clock, chance, I/O, promise or module state', () => {
    expect(found(findImpurity(files))).toEqual([])
  })

  it('the real signatures are named in crypto and where programs are put together, nowhere else', () => {
    expect(found(findRealSignatures(files))).toEqual([])
  })

  it('no default export, no any, no enum, no namespace', () => {
    expect(
      found(findStyle(everything.filter(({ path }) => !path.startsWith('test/arch/')))),
    ).toEqual([])
  })

  it('files are named in kebab-case, and none is called utils', () => {
    expect(found(findNames(everything.map(({ path }) => path)))).toEqual([])
  })

  it('the seven actor rooms have one shape', () => {
    const paths = [...readTree(['actors']), ...readTree(['actors'], '.md')]
    expect(found(findActorShape(paths.map(({ path }) => path)))).toEqual([])
  })

  it('nothing is left over: no note to self, no path of a machine', () => {
    const leftover = /\b(?:TODO|FIXME|XXX|HACK)\b|\.only\(|\/home\/\w/
    const hits = everything
      .filter(({ path }) => !path.startsWith('test/arch/'))
      .flatMap(({ path, text }) => leftover.exec(text)?.[0].concat(' in ', path) ?? [])
    expect(hits).toEqual([])
  })
})

describe('a planted violation is found', () => {
  const at = (path: string, text: string) => parseSource(path, text)
  const rules = (findings: readonly Finding[]) => findings.map(({ rule }) => rule).join('\n')

  it.each([
    ['up', 'core/peg/a.ts', '../../messages/index.ts', 'may not import up from messages'],
    ['up in core', 'core/block/a.ts', '../peg/index.ts', 'may not import up from core/peg'],
    ['sideways', 'crypto/a.ts', '../proto/index.ts', 'may not import sideways from proto'],
    ['between actors', 'actors/chain/a.ts', '../bridge/index.ts', 'sideways from actors/bridge'],
    [
      'past the door',
      'actors/chain/a.ts',
      '../../core/peg/scripts.ts',
      'entered by its index.ts only',
    ],
    [
      'from the program',
      'node/adapters/libp2p/a.ts',
      '../../tree.ts',
      'may not import up from node',
    ],
    [
      'the node in a member',
      'governance/a.ts',
      '../node/config/index.ts',
      'governance may not import from node',
    ],
    ['a test', 'core/peg/a.ts', '../../test/arch/house.ts', 'test is no room of the house'],
    ['a new room', 'core/wallet/a.ts', '../block/index.ts', 'core/wallet is no room'],
  ])('an import %s', (_, path, specifier, rule) => {
    for (const text of [
      `import { x } from '${specifier}'`,
      `import type { X } from '${specifier}'`,
      `export * from '${specifier}'`,
      `import {\n  x,\n} from '${specifier}'`,
      `const x = await import('${specifier}')`,
    ]) {
      expect(rules(findImports([at(path, text)]))).toContain(rule)
    }
  })

  it('and an allowed one is not', () => {
    const text = "import { x } from '../../core/peg/index.ts'\nimport { y } from './handlers.ts'"
    expect(findImports([at('actors/chain/a.ts', text)])).toEqual([])
    const adapter = "import { x } from '../node/adapters/system/index.ts'"
    expect(findImports([at('governance/a.ts', adapter)])).toEqual([])
  })

  it('a circle, but not one of types', () => {
    const circle = (kind: string) => [
      at('core/peg/a.ts', "import { b } from './b.ts'"),
      at('core/peg/b.ts', `import ${kind}{ c } from './c.ts'`),
      at('core/peg/c.ts', "import { a } from './a.ts'"),
    ]
    expect(rules(findCycles(circle('')))).toContain(
      'a.ts → core/peg/b.ts → core/peg/c.ts → core/peg/a.ts',
    )
    expect(findCycles(circle('type '))).toEqual([])
  })

  it.each([
    'const at = Date.now()',
    'const at = new Date()',
    'const chance = Math.random()',
    'setTimeout(f, 1)',
    'const home = process.env',
    "import { readFileSync } from 'node:fs'",
    "import { randomBytes } from 'node:crypto'",
    'await fetch(url)',
    'export async function f() {}',
    'let counter = 0',
    'export let counter = 0',
    'const cache = new Map<string, number>()',
    'const seen: Set<string> = new Set()',
    'const list: string[] = []',
    'const { x } = y\nlet z = 1',
  ])('in a pure room: %s', (text) => {
    expect(findImpurity([at('core/peg/a.ts', text)]).length).toBeGreaterThan(0)
    expect(findImpurity([at('actors/chain/handlers.ts', text)]).length).toBeGreaterThan(0)
    expect(findImpurity([at('node/api/a.ts', text)])).toEqual([])
  })

  it.each([
    '// Date.now() is not used here',
    "const text = 'Date.now() and let x'",
    `const text = \`$\{name} at Date.now()\``,
    'const pattern = /let x = "new Date"/',
    'const half = a / b / c // setTimeout',
    "import { createHash } from 'node:crypto'",
    'function f() {\n  let count = 0\n  return count\n}',
    'const KNOWN: ReadonlySet<string> = new Set([1])',
    "const NAMES = ['a', 'b'] as const",
    'const updated = { slotDate: 1 }',
  ])('and not: %s', (text) => {
    expect(findImpurity([at('core/peg/a.ts', text)])).toEqual([])
  })

  it('inside the expression of a template', () => {
    expect(
      findImpurity([at('core/peg/a.ts', `const t = \`at $\{Date.now()} or $\{{ a: 1 }.a}\``)]),
    ).toHaveLength(1)
  })

  it.each([
    'export default 7',
    'function f(x: any) {}',
    'const x = y as any',
    'const x: any[] = []',
    'type T = Map<string, any>',
    'enum Colour { Red }',
    'namespace N {}',
  ])('in style: %s', (text) => {
    expect(findStyle([at('node/api/a.ts', text)]).length).toBeGreaterThan(0)
  })

  it('real signatures in a room that has a suite given', () => {
    const text =
      "import { blsVerify } from '../../crypto/index.ts'\nexport const ok = blsVerify(k, m, s)"
    expect(rules(findRealSignatures([at('core/chain/a.ts', text)]))).toContain('no blsVerify')
    const library = "import { verify } from '@chainsafe/blst'"
    expect(rules(findRealSignatures([at('actors/chain/a.ts', library)]))).toContain('no library')
    expect(findRealSignatures([at('crypto/a.ts', text), at('node/files.ts', text)])).toEqual([])
    expect(findRealSignatures([at('core/chain/a.ts', 'const { blsKey } = validator')])).toEqual([])
  })

  it('a file name', () => {
    expect(findNames(['core/peg/pegIn.ts', 'core/peg/utils.ts', 'core/peg/Peg.ts'])).toHaveLength(3)
    expect(findNames(['node/adapters/engine/calls.worker.ts', 'a/b-c.test.ts'])).toEqual([])
  })

  it('a missing file and an eighth actor', () => {
    const text = rules(findActorShape(['actors/chain/index.ts', 'actors/miner/index.ts']))
    expect(text).toContain('exactly seven')
    expect(text).toContain('every actor room has this file')
  })
})
