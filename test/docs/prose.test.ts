/** What documents name must be there: commands, options, files, messages, pictures, links. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { STREAM_ROWS } from '../../actors/stream/index.ts'
import { USAGE } from '../../devnet/launcher/options.ts'
import { ROOT } from '../../docs/generator/source.ts'
import { MEMBER_ROWS } from '../../governance/messages.ts'
import { MESSAGE_ROWS } from '../../messages/index.ts'
import { HOUSE } from '../arch/sources.ts'

interface Document {
  readonly path: string
  readonly text: string
}

function findDocuments(folder = ''): Document[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) {
      return entry.name === 'node_modules' || entry.name.startsWith('.') ? [] : findDocuments(path)
    }
    return entry.name.endsWith('.md') ? [{ path, text: read(path) }] : []
  })
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

const documents = findDocuments()
const readme = read('README.md')
const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts
const NPM_OWN = ['install', 'exec', 'start', 'test']

/** Each match in each document, as `document: match`. */
function everywhere(pattern: RegExp, wanted: (match: string, document: Document) => boolean) {
  return documents.flatMap((document) =>
    [...document.text.matchAll(pattern)].flatMap(([whole, match = whole]) =>
      wanted(match, document) ? [`${document.path}: ${match}`] : [],
    ),
  )
}

function without(text: string, pattern: RegExp): string {
  return text.replaceAll(pattern, '')
}

/** As code hosts make anchors of headings. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    without(heading.toLowerCase(), /[^\p{L}\p{N} _-]/gu).replaceAll(' ', '-'),
  )
}

describe('documents', () => {
  it('are there', () => {
    const paths = documents.map(({ path }) => path)
    for (const path of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md']) {
      expect(paths).toContain(path)
    }
    expect(paths.length).toBeGreaterThan(30)
  })

  it('name for each threat a test that is there', () => {
    const [, table = ''] =
      /## What is checked where\n\n([\s\S]*?)\n\n/.exec(read('docs/explanation/threats.md')) ?? []
    const [, , ...rows] = table.split('\n')
    expect(rows.length).toBeGreaterThan(30)
    const missing = rows.filter((row) => {
      const shown = row.split(' | ').at(-1) ?? ''
      const named = [...shown.matchAll(/`(test\/[\w/.-]+)` "([^"]+)"/g)]
      return (
        named.length === 0 ||
        !named.every(([, path = '', name = '']) => {
          return existsSync(join(ROOT, path)) && read(path).includes(name)
        })
      )
    })
    expect(missing).toEqual([])
  })

  it('name npm scripts that exist', () => {
    const missing = everywhere(/npm run ([\w:]+)/g, (name) => scripts[name] === undefined)
    const unknown = everywhere(
      /(?:`|^)npm (?!run\b)([a-z]\w*)/gm,
      (name) => !NPM_OWN.includes(name),
    )
    expect([...missing, ...unknown]).toEqual([])
  })

  it('name commands of millrace that exist', () => {
    const table = /const COMMANDS[\s\S]*?\n}/.exec(read('bin/main.ts'))?.[0] ?? ''
    const commands = [...table.matchAll(/^ {2}(\w+): async/gm)].map(([, name]) => name)
    expect(commands).toContain('dev')
    const named = /(?:`millrace|millrace\.cjs) ([a-z]+)/g
    expect(everywhere(named, (name) => !commands.includes(name))).toEqual([])
  })

  it('name end-to-end scenarios that exist', () => {
    const main = read('test/e2e/main.ts')
    expect(everywhere(/npm run e2e -- (\w+)/g, (name) => !main.includes(`  ${name}: {`))).toEqual(
      [],
    )
  })

  it('the README has the options of npm start, all of them', () => {
    const options = (text: string) => new Set(text.match(/--[a-z][a-z-]+/g))
    const section = /## Options of `npm start`[\s\S]*?\n\n\| option[\s\S]*?\n\n/.exec(readme)?.[0]
    const given = options(USAGE)
    given.delete('--help')
    expect([...options(section ?? '')].sort()).toEqual([...given].sort())
  })

  it('link to what is there', () => {
    const broken = everywhere(/\]\(([^)\s]+)\)/g, (target, { path, text }) => {
      if (/^https:/.test(target)) return false
      const [file = '', anchor] = target.split('#')
      const linked = file === '' ? path : posix.join(dirname(path), file)
      if (!existsSync(join(ROOT, linked))) return true
      const linkedText = file === '' ? text : linked.endsWith('.md') ? read(linked) : ''
      return anchor !== undefined && !anchorsOf(linkedText).includes(anchor)
    })
    expect(broken).toEqual([])
  })

  it('name files that are there', () => {
    const folders = [...HOUSE, 'bin', 'docs', 'test'].join('|')
    const named = new RegExp(`\`((?:${folders})/[\\w./*-]*)\``, 'g')
    const missing = everywhere(named, (path) => {
      return !path.includes('*') && !existsSync(join(ROOT, path))
    })
    expect(missing).toEqual([])
  })

  it('name messages that are in the registry', () => {
    const types = new Set([...MESSAGE_ROWS, ...STREAM_ROWS, ...MEMBER_ROWS].map(({ type }) => type))
    const families = 'chain|engine|bridge|sync|network|stream|storage|system'
    const named = new RegExp(`\`((?:${families})\\.[A-Z]\\w+)\``, 'g')
    expect(everywhere(named, (type) => !types.has(type))).toEqual([])
  })

  it('have lines that a screen holds, but for tables', () => {
    const wide = everywhere(/^(?!\|).{141,}$/gm, (_, { path }) => {
      return /^(?:[A-Z]+\.md|docs\/(?!reference))/.test(path)
    })
    expect(wide).toEqual([])
  })

  it('name no registry, no path of a machine, no person', () => {
    const banned = [
      /\bregistry\.[a-z]+\.[a-z]+/g,
      /\bnpm(?:js|mirror)\.(?:org|com)/g,
      /(?<![\w.])\/(?:home|root|work|tmp|mnt)\//g,
      /[\w.+-]+@[\w-]+\.(?:com|org|net|io|dev)\b/g,
    ]
    expect(banned.flatMap((pattern) => everywhere(pattern, () => true))).toEqual([])
  })
})

describe('pictures', () => {
  const folder = 'docs/images'

  it.each(readdirSync(join(ROOT, folder)))('%s is shown and small', (name) => {
    expect(statSync(join(ROOT, folder, name)).size).toBeLessThan(300 * 1024)
    expect(readme).toContain(`${folder}/${name}`)
  })
})

describe('decisions', () => {
  const folder = 'docs/adr'
  const names = readdirSync(join(ROOT, folder)).filter((name) => /^\d{4}-/.test(name))

  it('are numbered without gaps and listed', () => {
    expect(names.map((name) => Number(name.slice(0, 4)))).toEqual(names.map((_, at) => at + 1))
    for (const name of names) expect(read(`${folder}/README.md`)).toContain(`(${name})`)
  })

  it.each(names)('%s has its four parts and fits a page', (name) => {
    const text = read(`${folder}/${name}`)
    const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual(['Context', 'Decision', 'Status', 'Consequences'])
    expect(text.split('\n').length).toBeLessThan(60)
  })
})
