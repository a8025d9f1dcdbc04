import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { STREAM_ROWS } from '../../actors/stream/index.ts'
import { MEMBER_ROWS } from '../../governance/messages.ts'
import { MESSAGE_ROWS, type MessageRow } from '../../messages/index.ts'
import type { MessageSpec } from '../../supervisor/index.ts'
import { code, page, table } from './markdown.ts'
import { ROOT, readSource } from './source.ts'

const FAMILIES = [
  'chain',
  'engine',
  'bridge',
  'sync',
  'network',
  'stream',
  'storage',
  'system',
] as const

const OVERFLOWS = {
  dropOldest: 'the oldest goes',
  dropNewest: 'the new one goes',
  returnError: 'the sender gets an error',
  blockProducer: 'the sender waits',
} as const

interface Doc {
  readonly meaning: string
  readonly from: string
  readonly to: string
}

const TYPE =
  /\/\*\*(?<comment>(?:(?!\*\/)[\s\S])*)\*\/\nexport type \w+ = (?:Message|Request)<\s*'(?<type>[^']+)'/g

/** What stands above each message type: what it says, from whom, to whom. */
function readDocs(paths: readonly string[]): ReadonlyMap<string, Doc> {
  const docs = new Map<string, Doc>()
  for (const path of paths) {
    for (const { groups } of readSource(path).matchAll(TYPE)) {
      const text = (groups?.['comment'] ?? '').replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim()
      const at = text.search(/(?:^| )From: /)
      docs.set(groups?.['type'] ?? '', {
        meaning: (at < 0 ? text : text.slice(0, at)).trim(),
        from: /From: ([^.]*)\./.exec(text)?.[1] ?? '',
        to: /To: ([^.]*)\./.exec(text)?.[1] ?? '',
      })
    }
  }
  return docs
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`)
}

/** Types that some room makes: the rest of the vocabulary has a row, but no sender yet. */
function sentTypes(): ReadonlySet<string> {
  const rooms = ['actors', 'supervisor', 'node', 'messages'].flatMap(sources)
  const literal = /type: '([\w.]+)'/g
  return new Set(
    rooms.flatMap((path) => [...readSource(path).matchAll(literal)].map((match) => match[1] ?? '')),
  )
}

function flagsOf(row: MessageSpec, isSent: boolean): string {
  return [
    ...(row.neverDrop === true ? ['never dropped'] : []),
    ...(row.coalesce === 'latest' ? ['the latest wins'] : []),
    ...(isSent ? [] : ['no sender yet']),
  ].join(', ')
}

export function messagesPage(): string {
  const docs = readDocs([...sources('messages'), 'actors/stream/messages.ts'])
  const sent = sentTypes()
  const rows = [...MESSAGE_ROWS, ...STREAM_ROWS]
  const parts = FAMILIES.flatMap((family) => {
    const own = rows.filter(({ type }) => type.startsWith(`${family}.`))
    return [
      `## ${family}`,
      table(
        HEAD,
        own.map((row) => nodeRow(row, docs, sent)),
      ),
    ]
  })
  const memberDocs = readDocs(['governance/messages.ts'])
  return page(
    'Messages',
    `${rows.length} types of a federation node, ${MEMBER_ROWS.length} of a governance node. "effects" and "timer" are the actor's own; the class
orders the mailbox (control > consensus > peg > sync > gossip > api); "when full" is what happens when the class has no room. A type
that is never dropped makes its sender wait, and what could not be delivered is logged.`,
    ...parts,
    '## Governance node',
    table(
      HEAD,
      MEMBER_ROWS.map((row) => {
        const doc = memberDocs.get(row.type)
        return [
          code(row.type),
          doc?.from ?? '',
          doc?.to ?? '',
          row.priority,
          OVERFLOWS[row.overflow],
          flagsOf(row, true),
          '',
          doc?.meaning ?? '',
        ]
      }),
    ),
  )
}

const HEAD = ['type', 'from', 'to', 'class', 'when full', 'flags', 'reply', 'meaning']

function nodeRow(
  row: MessageRow,
  docs: ReadonlyMap<string, Doc>,
  sent: ReadonlySet<string>,
): string[] {
  const { type, from, to, priority, overflow, reply } = row
  return [
    code(type),
    from,
    to,
    priority,
    OVERFLOWS[overflow],
    flagsOf(row, sent.has(type)),
    code(reply ?? ''),
    docs.get(type)?.meaning ?? '',
  ]
}
