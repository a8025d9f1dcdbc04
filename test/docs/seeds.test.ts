/**
 * Machines, registry and kernel against the seeds' diagrams. What differs must stand in the table of ADR 0002, and what stands there
 * must differ.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AnyStateMachine } from 'xstate'
import { bridgeMachine, pegInMachine, pegOutMachine } from '../../actors/bridge/machine.ts'
import { chainMachine } from '../../actors/chain/machine.ts'
import { STREAM_ROWS } from '../../actors/stream/index.ts'
import { ROOT, unionMembers } from '../../docs/generator/source.ts'
import { MESSAGE_ROWS } from '../../messages/index.ts'
import { DEFAULT_RESTART, type FaultClass } from '../../supervisor/fault.ts'
import { compileMachine, edgesOf, lifeMachine, type Mode } from '../../supervisor/index.ts'
import { planRecovery, type RecoveryStage } from '../../supervisor/recovery.ts'
import {
  SEED_CATEGORIES,
  SEED_EDGES,
  SEED_ENVELOPE,
  SEED_FLOWS,
  SEED_PARTICIPANTS,
  SEED_RECOVERY,
  SEED_STATE_HEADINGS,
  SEED_STATES,
} from './seeds.ts'

const ADR = 'docs/adr/0002-edges-and-messages.md'
const ACTORS = ['chain', 'engine', 'bridge', 'sync', 'network', 'stream', 'storage']
const ROWS = [...MESSAGE_ROWS, ...STREAM_ROWS]

type Difference = 'state' | 'message left out' | 'message added' | 'other way' | 'edge added'

/** The table of the ADR: what differs, by kind. */
function named(kind: Difference): string[] {
  const lines = readFileSync(join(ROOT, ADR), 'utf8').split('\n')
  return lines
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter((cells) => cells[1] === kind)
    .flatMap((cells) => [...(cells[2] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
    .sort()
}

const nameOf = (type: string): string => type.split('.')[1] ?? type
const sortedSet = (values: Iterable<string>): string[] => [...new Set(values)].sort()

interface Arrow {
  readonly from: string
  readonly to: string
  readonly message: string
}

function arrowOf(text: string): Arrow {
  const groups = /^(?<from>\w+) → (?<to>\w+): (?<message>\w+)$/.exec(text)?.groups
  if (groups === undefined) throw new Error(text)
  return { from: groups['from'] ?? '', to: groups['to'] ?? '', message: groups['message'] ?? '' }
}

const ARROWS = SEED_FLOWS.flat().map(arrowOf)
const SEED_NAMES = new Set([
  ...ARROWS.map(({ message }) => message),
  ...Object.values(SEED_CATEGORIES).flat(),
])

/** Messages between node and member, as the protocol file names them. */
const STREAM_NAMES = new Set(
  [...readFileSync(join(ROOT, 'proto/governance.proto'), 'utf8').matchAll(/^\s+\w+ (\w+) = \d+;/gm)]
    .map(([, field = '']) => field.split('_'))
    .map((words) => words.map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`).join('')),
)

/** What is outside comes through an actor's own port, a timer's or an effect's message from the actor itself. */
const PORT_OF: Readonly<Record<string, string>> = {
  bitcoin: 'bridge',
  peer: 'network',
  user: 'api',
}
const inside = (participant: string): string => PORT_OF[participant] ?? participant

function sides(text: string, self: string): string[] {
  return text.split(', ').map((side) => (side === 'effects' || side === 'timer' ? self : side))
}

/** A row as pairs of who tells whom. */
function ways({ from, to }: { readonly from: string; readonly to: string }): string[] {
  return to
    .split(', ')
    .flatMap((receiver) =>
      [...sides(from, receiver), ...from.split(', ')].map((sender) => `${sender} → ${receiver}`),
    )
}

describe('seed 003 §6 and §8: states', () => {
  /** Arrows of one or more machines together; an end that the seeds have no name for is `[*]`. */
  function arrowsOf(name: keyof typeof SEED_STATES, machines: readonly AnyStateMachine[]) {
    const seedNames = new Set(SEED_STATES[name].flatMap((arrow) => arrow.split(' → ')))
    const shown = (state: string) => (seedNames.has(state) ? state : '[*]')
    const edges = new Map(
      machines
        .flatMap((machine) => edgesOf(machine))
        .map((edge) => [`${edge.from} ${edge.event} ${edge.to}`, edge]),
    )
    const arrows = [...edges.values()].map(({ from, to }) => `${from} → ${shown(to)}`)
    const [first] = machines
    if (first === undefined) throw new Error('no machine')
    const modes = new Set<Mode>(machines.map(compileMachine))
    for (const mode of modes) for (const next of mode.on.values()) modes.add(next)
    const ends = [...modes].filter((mode) => mode.done && seedNames.has(mode.name))
    arrows.push(`[*] → ${compileMachine(first).name}`, ...ends.map((end) => `${end.name} → [*]`))
    return arrows.sort()
  }

  function differences(name: keyof typeof SEED_STATES, machines: readonly AnyStateMachine[]) {
    const ours = arrowsOf(name, machines)
    const rest = [...SEED_STATES[name]] as string[]
    const extra = ours.filter((arrow) => {
      const at = rest.indexOf(arrow)
      if (at >= 0) rest.splice(at, 1)
      return at < 0
    })
    return [
      ...extra.map((arrow) => `${name}: + ${arrow}`),
      ...rest.map((arrow) => `${name}: - ${arrow}`),
    ]
  }

  it('SU-1, SU-14: the life of an actor, Chain, and Bridge with its operations have the seeds’ states and edges', () => {
    const found = [
      ...differences('life', [lifeMachine]),
      ...differences('chain', [chainMachine]),
      ...differences('bridge', [bridgeMachine, pegInMachine, pegOutMachine]),
    ]
    expect(found.sort()).toEqual(named('state'))
  })
})

describe('seed 003: messages', () => {
  const ours = new Set(ROWS.map(({ type }) => nameOf(type)))

  it('every message of flows and categories is in the registry, or the ADR leaves it out', () => {
    const missing = [...SEED_NAMES].filter((name) => !ours.has(name) && !STREAM_NAMES.has(name))
    expect(missing.sort()).toEqual(named('message left out'))
  })

  it('every row of the registry is a message of the seeds, or the ADR adds it', () => {
    const added = ROWS.map(({ type }) => type).filter((type) => !SEED_NAMES.has(nameOf(type)))
    expect(added.sort()).toEqual(named('message added'))
  })

  it('every message goes from whom to whom the flows say, or the ADR says otherwise', () => {
    const other = ARROWS.filter(({ from, to, message }) => {
      const row = ROWS.find(({ type }) => nameOf(type) === message)
      if (row === undefined) return false
      return !ways(row).includes(`${inside(from)} → ${inside(to)}`)
    })
    const texts = other.map(({ from, to, message }) => `${from} → ${to}: ${message}`)
    expect(texts.sort()).toEqual(named('other way'))
  })

  it('actors speak with those of the overview and the flows, and with whom the ADR adds', () => {
    const pair = (one: string, other: string) => {
      const [first = '', second = ''] = [one, other].sort(
        (left, right) => ACTORS.indexOf(left) - ACTORS.indexOf(right),
      )
      return `${first} ↔ ${second}`
    }
    const seeds = new Set([
      ...SEED_EDGES.map((edge) => pair(...(edge.split(' ↔ ') as [string, string]))),
      ...ARROWS.map(({ from, to }) => pair(inside(from), inside(to))),
    ])
    const found = ROWS.flatMap(ways)
      .map((way) => way.split(' → ') as [string, string])
      .filter(([from, to]) => from !== to && ACTORS.includes(from) && ACTORS.includes(to))
      .map(([from, to]) => pair(from, to))
      .filter((edge) => !seeds.has(edge))
    expect(sortedSet(found)).toEqual(named('edge added'))
  })

  it('C-6: the envelope has the fields of the seeds', () => {
    const source = readFileSync(join(ROOT, 'supervisor/message.ts'), 'utf8')
    const body = /export interface Envelope[^{]*\{(?<body>[\s\S]*?)\n\}/.exec(source)?.groups?.[
      'body'
    ]
    for (const field of SEED_ENVELOPE) {
      const camel = field.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
      expect(body).toMatch(new RegExp(`readonly ${camel}:`))
    }
  })

  it('every row is made in the room of its sender', () => {
    const made = new Map<string, string>()
    const textOf = (folder: string): string => {
      const known = made.get(folder)
      if (known !== undefined) return known
      const text = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts') && name !== 'messages.ts')
        .map((name) => readFileSync(join(ROOT, folder, name), 'utf8'))
        .join('\n')
      made.set(folder, text)
      return text
    }
    const folderOf = (side: string, self: string): string => {
      if (side === 'api') return 'node'
      return `actors/${['effects', 'timer', 'kernel'].includes(side) ? self : side}`
    }
    const silent = ROWS.filter(({ type }) => type !== 'system.DeferredReply').flatMap(
      ({ type, from, to }) =>
        from
          .split(', ')
          .filter((side) => !textOf(folderOf(side, to)).includes(`type: '${type}'`))
          .map((side) => `${type} from ${side}`),
    )
    expect(silent).toEqual([])
  })
})

describe('seed 000: error handling and recovery', () => {
  const offered: ReadonlySet<RecoveryStage> = new Set(['rollback', 'resync', 'failover'])

  /** What the kernel does about a fault of this class, the first time and when it goes on. */
  function actions(faultClass: FaultClass, retries: number): string[] {
    const fault = { code: 'F', faultClass, reason: '' }
    const history = { retries, restartsMs: [] }
    const plan = planRecovery(fault, history, DEFAULT_RESTART, offered, 0, 0)
    return [
      ...(plan.restart.kind === 'restart' ? ['retry'] : []),
      ...plan.stages,
      ...(plan.alert ? ['alert'] : []),
    ]
  }

  it('SU-15: each kind of error has the seeds’ action', () => {
    const goesOn = DEFAULT_RESTART.escalateAfter
    const ours = {
      'Transient Error → RETRY': actions('service', 0).includes('retry'),
      'State Corruption → ROLLBACK': actions('corruption', 0)[1] === 'rollback',
      'Network Issue → RESYNC': actions('network', goesOn).includes('resync'),
      'Service Failure → FAILOVER': actions('service', goesOn).includes('failover'),
      'Service Error → FALLBACK_MGR': actions('service', goesOn)[1] === 'failover',
      'Critical Error → ALERT_SYSTEM': actions('logic', 0).join() === 'alert',
    }
    expect(ours).toEqual(Object.fromEntries(SEED_RECOVERY.map((edge) => [edge, true])))
  })

  it('SU-15: there are no other actions than the seeds’', () => {
    const kinds = unionMembers('supervisor/recovery.ts', 'RecoveryStage').map(({ name }) => name)
    const seeds = SEED_RECOVERY.map((edge) => (edge.split(' → ')[1] ?? '').toLowerCase())
    for (const kind of [...kinds, 'retry']) expect(seeds).toContain(kind)
  })
})

/** The seeds' own text, beside a checkout of the project or where the environment says. */
const FOLDER = process.env['MILLRACE_SEEDS'] ?? join(ROOT, '../shared/reference/seeds')
const seedsHere = existsSync(FOLDER)
const withSeeds = seedsHere ? it : it.skip

function seedText(number: string): string {
  const name = readdirSync(FOLDER).find((each) => each.startsWith(number))
  if (name === undefined) throw new Error(`no seed ${number} in ${FOLDER}`)
  return readFileSync(join(FOLDER, name), 'utf8')
}

const block = (text: string, heading: string): string => {
  const start = text.indexOf(heading)
  if (start < 0) throw new Error(heading)
  return /```mermaid\n([\s\S]*?)```/.exec(text.slice(start))?.[1] ?? ''
}

describe('the seeds’ text', () => {
  withSeeds('has exactly the state diagrams of the data', () => {
    const text = seedText('003')
    for (const [name, heading] of Object.entries(SEED_STATE_HEADINGS)) {
      const arrows = [...block(text, heading).matchAll(/^\s*(\S+) --> (\S+)/gm)]
      const found = arrows.map(([, from, to]) => `${from} → ${to}`)
      expect(found.sort()).toEqual([...SEED_STATES[name as keyof typeof SEED_STATES]].sort())
    }
  })

  withSeeds('has exactly the flows of the data', () => {
    const text = seedText('003')
    const headings = [...text.matchAll(/^## (\d)\. .*$/gm)]
    const flows = SEED_FLOWS.map((_, index) => {
      const heading = headings.find(([, number]) => number === String(index + 1))?.[0] ?? '?'
      const arrows = [...block(text, heading).matchAll(/^\s*(\w+)--?>>(\w+): (\w+)/gm)]
      const names = (alias = '') => SEED_PARTICIPANTS[alias] ?? alias
      return sortedSet(
        arrows.map(([, from, to, message]) => `${names(from)} → ${names(to)}: ${message}`),
      )
    })
    expect(flows).toEqual(SEED_FLOWS.map((flow) => [...flow].sort()))
  })

  withSeeds('has exactly the categories, the envelope and the overview of the data', () => {
    const text = seedText('003')
    const classes = block(text, '## 7. Message Type Categories')
    const fieldsOf = (name: string) => {
      const body = new RegExp(`class ${name} \\{([^}]*)\\}`).exec(classes)?.[1] ?? ''
      return [...body.matchAll(/\+(\w+)/g)].map(([, field]) => field)
    }
    for (const [name, messages] of Object.entries(SEED_CATEGORIES)) {
      expect(fieldsOf(name)).toEqual([...messages])
    }
    expect(fieldsOf('MessageEnvelope')).toEqual([...SEED_ENVELOPE])
    expect([...classes.matchAll(/^\s*class (\w+)/gm)].map(([, name]) => name).sort()).toEqual(
      ['MessageEnvelope', ...Object.keys(SEED_CATEGORIES)].sort(),
    )
    const overview = block(text, '## System Overview Architecture')
    const edges = [...overview.matchAll(/^\s*(\w+) <--> (\w+)/gm)]
      .map(([, one = '', other = '']) => [SEED_PARTICIPANTS[one], SEED_PARTICIPANTS[other]])
      .filter((pair) => pair.every((name) => name !== undefined && ACTORS.includes(name)))
      .map(([one, other]) => `${one} ↔ ${other}`)
    expect(edges.sort()).toEqual([...SEED_EDGES].sort())
  })

  withSeeds('has exactly the recovery of the data', () => {
    const text = block(seedText('000'), '## Error Handling and Recovery Flows')
    const arrows = [
      ...text.matchAll(/^\s*(?:RECOVERY_MGR|FALLBACK_MGR) -->\|([^|]+)\| (\w+)/gm),
    ].map(([, label, to]) => `${label} → ${to}`)
    expect(arrows.sort()).toEqual([...SEED_RECOVERY].sort())
  })
})
