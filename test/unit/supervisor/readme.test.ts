/** The example of supervisor/README.md, run; the first test holds the two texts together. */
import { readFileSync } from 'node:fs'
import { createMachine } from 'xstate'
import {
  type ActorDefinition,
  type AskResult,
  ask,
  childSpec,
  createSystem,
  type Message,
  type MessageSpec,
  type Request,
  refOf,
  reply,
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

const squeeze = (text: string): string => text.replaceAll(/[\s,]+/g, '')

it('the README shows this very text', () => {
  const readme = readFileSync(new URL('../../../supervisor/README.md', import.meta.url), 'utf8')
  const here = readFileSync(new URL(import.meta.url), 'utf8')
  const shown = readme.split('```ts\n')[1]?.split('```')[0] ?? ''
  const run = here.split('// The example begins.\n')[1]?.split('// The example ends.')[0] ?? ''
  expect(squeeze(run)).toBe(squeeze(shown))
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
