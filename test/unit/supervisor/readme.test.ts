/** The examples of supervisor/README.md, run; the first test holds the texts together. */
import { readFileSync } from 'node:fs'
import { createMachine } from 'xstate'
import {
  type ActorDefinition,
  type AskResult,
  ask,
  childSpec,
  createSystem,
  faultError,
  type Message,
  type MessageSpec,
  type Request,
  refOf,
  reply,
  stash,
  unstash,
} from '../../../supervisor/index.ts'
import { createTestPorts } from '../../../supervisor/testing/index.ts'

interface Printer {
  print(line: string): Promise<void>
}

const ports = createTestPorts()
const printed: string[] = []
const printer: Printer = {
  print: async (line) => {
    printed.push(line)
  },
}

// The example begins.
type Book = Request<'ledger.Book', { sat: bigint }, Booked>
type Booked = Message<'ledger.Booked', { totalSat: bigint }>
type Pay = Message<'till.Pay', { sat: bigint }>
type Settled = Message<'till.Settled', { totalSat: bigint | undefined }>

const registry: readonly MessageSpec[] = [
  { type: 'till.Pay', priority: 'api', overflow: 'returnError' },
  { type: 'till.Settled', priority: 'peg', overflow: 'blockProducer' },
  {
    type: 'ledger.Book',
    priority: 'peg',
    overflow: 'blockProducer',
    neverDrop: true,
    reply: 'ledger.Booked',
  },
  { type: 'ledger.Booked', priority: 'peg', overflow: 'blockProducer' },
]

const machine = createMachine({
  id: 'till',
  initial: 'Open',
  states: { Open: { on: { PAID: 'Waiting' } }, Waiting: { on: { SETTLED: 'Open' } } },
})

const till: ActorDefinition<{ totalSat: bigint }, Pay | Settled, { print: string }, Printer> = {
  name: 'till',
  machine,
  mailbox: { capacity: 100 },
  init: async () => ({ context: { totalSat: 0n } }),
  handle: (context, message, { state }) => {
    switch (message.type) {
      case 'till.Pay': {
        const book: Book = { type: 'ledger.Book', payload: message.payload }
        const onReply = (result: AskResult<Booked>): Settled => ({
          type: 'till.Settled',
          payload: { totalSat: result.ok ? result.value.payload.totalSat : undefined },
        })
        const asked = ask(refOf<Book>('ledger'), book, { timeoutMs: 10_000, onReply })
        return { context, effects: [asked], event: state === 'Open' ? 'PAID' : [] }
      }
      case 'till.Settled': {
        const { totalSat = context.totalSat } = message.payload
        const event = state === 'Waiting' ? 'SETTLED' : []
        return { context: { totalSat }, effects: [{ print: `${totalSat} sat` }], event }
      }
    }
  },
  perform: async (effect, { ports }) => {
    await ports.print(effect.print)
  },
}

const ledger: ActorDefinition<bigint, Book, never, null> = {
  name: 'ledger',
  machine: createMachine({ id: 'ledger', initial: 'Running', states: { Running: {} } }),
  mailbox: { capacity: 100 },
  init: async () => ({ context: 0n }),
  handle: (total, message, { envelope }) => {
    const totalSat = total + message.payload.sat
    return {
      context: totalSat,
      effects: [reply(envelope, { type: 'ledger.Booked', payload: { totalSat } })],
    }
  },
  perform: async () => {},
}

const system = createSystem({
  ports,
  registry,
  children: [
    childSpec(till, printer, { dependsOn: ['ledger'] }),
    childSpec(ledger, null, { critical: true }),
  ],
})
await system.start()
await system.tell('till', { type: 'till.Pay', payload: { sat: 500n } })
// The example ends.

interface Disk {
  load(): Promise<readonly string[]>
  restore(): Promise<void>
}

// The example begins.
type Put = Message<'shelf.Put', { item: string }>
type Opened = Message<'shelf.Opened', null>

const shelf: ActorDefinition<readonly string[], Put | Opened, never, Disk> = {
  name: 'shelf',
  machine: createMachine({
    id: 'shelf',
    initial: 'Closed',
    states: { Closed: { on: { OPENED: 'Open' } }, Open: {} },
  }),
  mailbox: { capacity: 100, stash: 10 },
  init: async ({ ports }) => ({ context: await ports.load() }),
  handle: (items, message, { state }) => {
    switch (message.type) {
      case 'shelf.Opened':
        return { context: items, effects: [unstash()], event: 'OPENED' }
      case 'shelf.Put':
        if (state === 'Closed') return { context: items, effects: [stash()] }
        return { context: [...items, message.payload.item] }
    }
  },
  healthy: (items) => items.length < 1_000,
  recover: { rollback: (_fault, { ports }) => ports.restore() },
  perform: async () => {},
}
// The example ends.

const squeeze = (text: string): string => text.replaceAll(/[\s,]+/g, '')

it('the README shows this very text', () => {
  const readme = readFileSync(new URL('../../../supervisor/README.md', import.meta.url), 'utf8')
  const here = readFileSync(new URL(import.meta.url), 'utf8')
  const cut = (text: string, begin: string, end: string): string[] =>
    text
      .split(begin)
      .slice(1)
      .map((part) => squeeze(part.split(end)[0] ?? ''))
  // The marks stand in this line as well, behind those of the examples.
  const run = cut(here, '// The example begins.\n', '// The example ends.').slice(0, 2)
  expect(run).toEqual(cut(readme, '```ts\n', '```'))
})

it('the till asks the ledger and prints the total', async () => {
  await ports.clock.settle()
  await system.tell('till', { type: 'till.Pay', payload: { sat: 250n } })
  await ports.clock.settle()
  expect(printed).toEqual(['500 sat', '750 sat'])
  expect(system.snapshot().map(({ path, state }) => [path, state])).toEqual([
    ['ledger', 'Running'],
    ['till', 'Open'],
  ])
})

it('the shelf is rolled back when it is found corrupt, and handles in order what it had stashed', async () => {
  let kept: readonly string[] | undefined
  const disk: Disk = {
    load: async () => kept ?? Promise.reject(faultError('BadChecksum', 'corruption', 'row 1')),
    restore: async () => {
      kept = ['lamp']
    },
  }
  const own = createTestPorts()
  const items: unknown[] = []
  const watched: typeof shelf = {
    ...shelf,
    handle: (context, message, about) => {
      const step = shelf.handle(context, message, about)
      items.splice(0, items.length, ...step.context)
      return step
    },
  }
  const store = createSystem({
    ports: own,
    registry: [
      { type: 'shelf.Put', priority: 'api', overflow: 'returnError' },
      { type: 'shelf.Opened', priority: 'control', overflow: 'returnError' },
    ],
    children: [childSpec(watched, disk)],
  })
  await store.start()
  for (const item of ['cup', 'jug'])
    await store.tell('shelf', { type: 'shelf.Put', payload: { item } })
  await own.clock.settle()
  await store.tell('shelf', { type: 'shelf.Opened', payload: null })
  await own.clock.settle()
  expect(items).toEqual(['lamp', 'cup', 'jug'])
  expect(own.metrics.total('recovery_actions_total', { kind: 'rollback', result: 'ok' })).toBe(1)
})
