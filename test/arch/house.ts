/** The house of design §2 as data, and what breaks its rules. Every finding says the file, the line and the rule. */
import { basename } from 'node:path'
import { lineAt, type SourceFile } from './sources.ts'

/** Rooms of core in the order in which they may be used: each only by the later ones. */
export const CORE_ORDER = [
  'params',
  'block',
  'bitcoin',
  'ledger',
  'validators',
  'keygen',
  'signing',
  'peg',
  'guard',
  'pbft',
  'light',
  'mempool',
  'chain',
] as const

export const ACTORS = ['chain', 'engine', 'bridge', 'sync', 'network', 'stream', 'storage'] as const

/** Folders whose subfolders are rooms. */
const GROUPS = new Set(['core', 'vm', 'actors', 'node/adapters', 'node', 'devnet'])

/** The room that a file is in: the longest path of folders that are rooms. */
export function roomOf(path: string): string {
  const parts = path.split('/')
  let room = parts[0] as string
  for (let at = 1; at < parts.length - 1 && GROUPS.has(room); at++) room += `/${parts[at]}`
  return room
}

/** A room may import only from rooms of a smaller number. Undefined: the house has no such room. */
export function levelOf(room: string): number | undefined {
  const [folder, name, adapter] = room.split('/')
  switch (folder) {
    case 'crypto':
    case 'proto':
    case 'supervisor':
      return 0
    case 'core': {
      const at = (CORE_ORDER as readonly (string | undefined)[]).indexOf(name)
      return at < 0 ? undefined : 100 + at
    }
    case 'messages':
      return 200
    case 'vm':
    case 'bridge':
      return 300
    case 'actors':
      return (ACTORS as readonly (string | undefined)[]).includes(name) ? 400 : undefined
    case 'node':
      return nodeLevel(name, adapter)
    case 'governance':
      return 530
    case 'devnet':
      return devnetLevel(name)
    default:
      return undefined
  }
}

/** Views on the API, and commands that read the configuration. */
const ABOVE_CONFIG: ReadonlySet<string> = new Set([
  'views',
  'books',
  'doctor',
  'backup',
  'handover',
  'orders',
  'validators',
])
/** Adapters below or above the others. */
const ADAPTER_LEVELS: Readonly<Record<string, number>> = {
  disk: 499,
  'json-post': 499,
  bitcoin: 501,
  checkpoints: 501,
  'command-line': 501,
  'address-index': 501,
  'engine-api': 501,
}

/** Adapters at the bottom, clients below those that use them; then configuration and API, views on them, the program. */
function nodeLevel(name: string | undefined, adapter: string | undefined): number {
  if (name === undefined) return 530
  if (name !== 'adapters') return ABOVE_CONFIG.has(name) ? 520 : 510
  return ADAPTER_LEVELS[adapter ?? ''] ?? 500
}

/** The parts of the development programs below what puts them together. */
function devnetLevel(name: string | undefined): number {
  if (name === undefined) return 511
  return name === 'launcher' || name === 'journey' ? 530 : 510
}

/** Programs that share the floor and know nothing of each other, but for the adapters. */
const PROGRAMS = ['node', 'governance', 'devnet'] as const

/** Doors beside `index.ts`: a command's program, and files of a folder that is no room itself. */
const DOORS = new Set(['devnet/wallet.ts', 'devnet/contracts/artifacts.json'])

export interface Finding {
  readonly file: string
  readonly line: number
  readonly rule: string
}

export function describeFinding({ file, line, rule }: Finding): string {
  return `${file}:${line}: ${rule}`
}

/** Imports that go up, sideways, or past a door. */
export function findImports(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const room = roomOf(file.path)
    const level = levelOf(room)
    if (level === undefined) {
      return [{ file: file.path, line: 1, rule: `${room} is no room of the house (design §2)` }]
    }
    return file.imports.flatMap(({ target, line, specifier }) => {
      const rule = target === undefined ? undefined : importRule(room, level, target)
      return rule === undefined ? [] : [{ file: file.path, line, rule: `${specifier}: ${rule}` }]
    })
  })
}

function importRule(room: string, level: number, target: string): string | undefined {
  const targetRoom = roomOf(target)
  if (targetRoom === room) return undefined
  const targetLevel = levelOf(targetRoom)
  if (targetLevel === undefined) return `${targetRoom} is no room of the house`
  if (targetLevel > level) return `${room} may not import up from ${targetRoom}`
  if (targetLevel === level) return `${room} may not import sideways from ${targetRoom}`
  const [program, other] = [room, targetRoom].map((name) => {
    return PROGRAMS.find((candidate) => name === candidate || name.startsWith(`${candidate}/`))
  })
  if (other !== undefined && other !== program && !targetRoom.startsWith('node/adapters/')) {
    return `${program} may not import from ${other}, but for node/adapters`
  }
  if (basename(target) === 'index.ts' || DOORS.has(target)) return undefined
  return `${targetRoom} is entered by its index.ts only`
}

/** Where a program puts the real signatures together with the rest; everybody else has a suite or a handle given. */
const SIGNATURE_ROOTS: ReadonlySet<string> = new Set([
  'node/files.ts',
  'node/books/index.ts',
  'node/genesis/index.ts',
  'node/keys/index.ts',
  'node/doctor/index.ts',
  'node/backup/create.ts',
  'node/backup/restore.ts',
  'node/decisions/index.ts',
  'governance/doctor.ts',
  'governance/keys.ts',
  'governance/recover/files.ts',
  'governance/program.ts',
  'governance/remote/program.ts',
  'devnet/federation/create.ts',
])

/** Real BLS named outside crypto and the roots of programs: the simulator could not put its own in its place. */
export function findRealSignatures(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    if (roomOf(file.path) === 'crypto' || SIGNATURE_ROOTS.has(file.path)) return []
    const names = [
      { pattern: /\bbls(?:Aggregate|KeyPair|PublicKey|Sign|Suite|Verify)\w*/g, what: '' },
    ]
    const library = file.imports
      .filter(({ specifier, isTypeOnly }) => specifier.startsWith('@chainsafe/blst') && !isTypeOnly)
      .map(({ line }) => ({ file: file.path, line, rule: 'signatures are a port: no library' }))
    const used = findBans(
      file,
      names,
      (what) => `signatures are a port: no${what.replace(/[()]/g, '')}`,
    )
    return [...library, ...used]
  })
}

/** Files that need each other in a circle when they run. */
export function findCycles(files: readonly SourceFile[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const state = new Map<string, 'open' | 'done'>()
  const findings: Finding[] = []
  const visit = (file: SourceFile, way: readonly string[]) => {
    state.set(file.path, 'open')
    for (const { target, line, isTypeOnly } of file.imports) {
      const next = target === undefined || isTypeOnly ? undefined : byPath.get(target)
      if (next === undefined) continue
      if (state.get(next.path) === 'open') {
        const circle = [...way.slice(way.indexOf(next.path)), next.path].join(' → ')
        findings.push({ file: file.path, line, rule: `files import each other: ${circle}` })
      } else if (!state.has(next.path)) visit(next, [...way, next.path])
    }
    state.set(file.path, 'done')
  }
  for (const file of files) if (!state.has(file.path)) visit(file, [file.path])
  return findings
}

interface Ban {
  readonly pattern: RegExp
  readonly what: string
}

const TIME_AND_CHANCE: readonly Ban[] = [
  { pattern: /\bnew Date\b|\bDate\s*[.(]/g, what: 'the clock' },
  { pattern: /\bperformance\s*\./g, what: 'the clock' },
  {
    pattern: /\bMath\.random\b|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/g,
    what: 'chance',
  },
  { pattern: /\b(?:setTimeout|setInterval|setImmediate)\b/g, what: 'a timer' },
]
const WORLD: readonly Ban[] = [
  { pattern: /\bprocess\s*\./g, what: 'the process' },
  { pattern: /\bfetch\s*\(/g, what: 'the network' },
  { pattern: /\bconsole\s*\./g, what: 'the console' },
]
const PROMISES: readonly Ban[] = [
  { pattern: /\basync\b|\bawait\b|\bPromise\b|\bqueueMicrotask\b/g, what: 'a promise' },
]

/** What may be imported from Node where nothing of the world may: pure functions. */
const PURE_MODULES: ReadonlySet<string> = new Set(['node:crypto', 'node:assert'])

type Purity = 'pure' | 'timeless'

/** Rooms without clock, chance, I/O, module state; pure ones have no promise either. */
export function purityOf(path: string): Purity | undefined {
  const [folder] = path.split('/')
  switch (folder) {
    case 'crypto':
    case 'proto':
    case 'core':
    case 'messages':
    case 'bridge':
      return 'pure'
    // The interpreter answers later, and the kernel awaits its actors; neither knows time or chance by itself.
    case 'vm':
      return path.includes('/contracts/') ? undefined : 'timeless'
    case 'supervisor':
      return path.includes('/testing/') ? undefined : 'timeless'
    case 'actors':
      return /\/(?:machine|handlers)\.ts$/.test(path) ? 'pure' : 'timeless'
    default:
      return undefined
  }
}

export function findImpurity(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const purity = purityOf(file.path)
    if (purity === undefined) return []
    const bans = [...TIME_AND_CHANCE, ...WORLD, ...(purity === 'pure' ? PROMISES : [])]
    return [
      ...findBans(
        file,
        bans,
        (what) => `${roomOf(file.path)} is ${purity} and may not touch ${what}`,
      ),
      ...findNodeModules(file),
      ...findModuleState(file),
    ]
  })
}

function findBans(
  file: SourceFile,
  bans: readonly Ban[],
  rule: (what: string) => string,
): Finding[] {
  return bans.flatMap(({ pattern, what }) =>
    [...file.code.matchAll(pattern)].map((match) => ({
      file: file.path,
      line: lineAt(file.code, match.index),
      rule: rule(`${what} (${match[0].trim()})`),
    })),
  )
}

function findNodeModules(file: SourceFile): Finding[] {
  return file.imports
    .filter(({ specifier, isTypeOnly }) => {
      return specifier.startsWith('node:') && !isTypeOnly && !PURE_MODULES.has(specifier)
    })
    .map(({ specifier, line }) => {
      return { file: file.path, line, rule: `${roomOf(file.path)} may not import ${specifier}` }
    })
}

const STATE = /^(?:export )?(?:let|var)\b/
const COLLECTION =
  /^(?:export )?const \w+(?<type>\s*:[^=]*)?\s*=\s*(?:new (?:Map|WeakMap|WeakSet)\b|new Set(?:<[^>]*>)?\(\s*\)|\[\s*\]\s*$|\{\s*\}\s*$)/
/** The type is left open, or says itself that it can be changed. */
const CHANGEABLE =
  /^(?!.*\b(?:readonly|Readonly)).*(?:\[\]|\b(?:Array|Map|Set|WeakMap|WeakSet|Record)\b)|^\s*$/

/** `let` at the top of a module, or a collection there that may be changed. */
export function findModuleState(file: SourceFile): Finding[] {
  const findings: Finding[] = []
  const lines = file.plain.split('\n')
  let depth = 0
  for (const [index, code] of file.code.split('\n').entries()) {
    const line = lines[index] as string
    const collection = depth === 0 ? COLLECTION.exec(line) : null
    const isState = depth === 0 && STATE.test(code)
    if (isState || (collection !== null && CHANGEABLE.test(collection.groups?.['type'] ?? ''))) {
      const rule = `${roomOf(file.path)} may not hold state in a module: ${line.trim()}`
      findings.push({ file: file.path, line: index + 1, rule })
    }
    for (const char of code) {
      if (char === '{' || char === '(' || char === '[') depth += 1
      if (char === '}' || char === ')' || char === ']') depth -= 1
    }
  }
  return findings
}

const STYLE: readonly Ban[] = [
  { pattern: /(?:^|\n)\s*export default\b/g, what: 'a default export' },
  { pattern: /[:<|&]\s*any\b|,\s*any\s*>|\bas any\b/g, what: 'any' },
  { pattern: /(?:^|\n)\s*(?:export )?(?:declare )?(?:const )?enum\s+\w/g, what: 'an enum' },
  { pattern: /(?:^|\n)\s*(?:export )?namespace\s+\w/g, what: 'a namespace' },
]

export function findStyle(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => findBans(file, STYLE, (what) => `no ${what} (style.md)`))
}

const FILE_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|worker|d))?\.ts$/

export function findNames(paths: readonly string[]): Finding[] {
  return paths.flatMap((path) => {
    const name = basename(path)
    const faults = [
      FILE_NAME.test(name) ? undefined : 'file names are kebab-case',
      /\b(?:utils?|helpers?|misc)\b/.test(path)
        ? 'a helper lives in the room it serves'
        : undefined,
    ]
    return faults.flatMap((rule) => (rule === undefined ? [] : [{ file: path, line: 1, rule }]))
  })
}

/** The files that all seven rooms have (style.md, "One actor room"). */
export const ACTOR_FILES = [
  'README.md',
  'index.ts',
  'machine.ts',
  'handlers.ts',
  'effects.ts',
  'port.ts',
  'errors.ts',
  'limits.ts',
  'metrics.ts',
] as const

/** Everything under `actors/`, the READMEs included. */
export function findActorShape(paths: readonly string[]): Finding[] {
  const there = new Set(paths)
  const rooms = new Set(paths.map((path) => path.split('/')[1]))
  const strangers = [...rooms].filter((room) => !(ACTORS as readonly unknown[]).includes(room))
  const missing = ACTORS.flatMap((room) =>
    ACTOR_FILES.map((name) => `actors/${room}/${name}`).filter((path) => !there.has(path)),
  )
  return [
    ...strangers.map((room) => {
      return { file: `actors/${room}`, line: 1, rule: 'exactly seven actors stand under the root' }
    }),
    ...missing.map((file) => ({ file, line: 1, rule: 'every actor room has this file' })),
  ]
}
