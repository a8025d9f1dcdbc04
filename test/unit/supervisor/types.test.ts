/** What the compiler refuses: `tsc --noEmit` fails if one of these lines were accepted. */
import {
  type ActorDefinition,
  type ActorRun,
  ask,
  childSpec,
  type Message,
  type Request,
  refOf,
  type System,
  tell,
} from '../../../supervisor/index.ts'
import { child, createWorld, note } from './fixtures.ts'

type Pay = Message<'till.Pay', { readonly sat: bigint }>
type Booked = Message<'ledger.Booked', { readonly totalSat: bigint }>
type Book = Request<'ledger.Book', { readonly sat: bigint }, Booked>

declare module '../../../supervisor/message.ts' {
  interface KnownActors {
    readonly 'corner shop': Pay
  }
}

const till = refOf<Pay>('till')
const ledger = refOf<Book>('ledger')
const pay: Pay = { type: 'till.Pay', payload: { sat: 1n } }
const book: Book = { type: 'ledger.Book', payload: { sat: 1n } }
const onReply = () => pay

/** Never called: it is there to be compiled. */
const refusedByTheCompiler = (
  system: System,
  run: ActorRun<Pay, null>,
  definition: ActorDefinition<null, Pay, never, { readonly print: string }>,
): void => {
  tell(till, pay)
  // @ts-expect-error the till does not handle Book
  tell(till, book)
  tell('corner shop', pay)
  // @ts-expect-error the actor that is known at that path does not handle Book
  tell('corner shop', book)
  tell('nobody said who lives here', book)
  // @ts-expect-error a message of that type has another payload
  tell(till, { type: 'till.Pay', payload: { sat: 1 } })
  // @ts-expect-error the till does not handle Book
  void system.tell(till, book)
  // @ts-expect-error the till does not handle Book
  void run.tell(till, book)
  // @ts-expect-error this actor does not handle Book, so nobody can tell it to itself
  void run.tell(run.self, book)

  ask(ledger, book, {
    timeoutMs: 1_000,
    onReply: ({ ok }) => ({ ...pay, payload: { sat: ok ? 1n : 0n } }),
  })
  // @ts-expect-error no question without a deadline (SU-10)
  ask(ledger, book, { onReply })
  // @ts-expect-error no question without a deadline (SU-10)
  void system.ask(ledger, book, {})
  // @ts-expect-error no question without a deadline (SU-10)
  void run.ask(ledger, book, {})
  // @ts-expect-error the till answers no Book
  ask(till, book, { timeoutMs: 1_000, onReply })
  ask(ledger, book, {
    timeoutMs: 1_000,
    // @ts-expect-error the reply is Booked, which has no field `sat`
    onReply: (result) => ({ ...pay, payload: { sat: result.ok ? result.value.payload.sat : 0n } }),
  })
  void system.ask(ledger, book, { timeoutMs: 1 }).then((result) => {
    // @ts-expect-error the answer to Book is Booked, not Pay
    const paid: Pay | undefined = result.ok ? result.value : undefined
    return paid
  })

  childSpec(definition, { print: 'paper' })
  // @ts-expect-error the actor needs a port that prints
  childSpec(definition, {})
}

it('typed references: what the receiver does not handle is a type error (style: ActorRef)', () => {
  expect(till).toEqual({ path: 'till' })
  expect(refusedByTheCompiler).toBeInstanceOf(Function)
})

it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 600_001])(
  'SU-10 a question with the deadline %s is a bug of the asker, not a question without one',
  async (timeoutMs) => {
    const onReplied = () => note('answer')
    const { system, ports, lifeOf } = createWorld([
      child('a', {
        handle: (context) => ({
          context,
          effects: [ask('b', note('question'), { timeoutMs, onReply: onReplied })],
        }),
      }),
      child('b'),
    ])
    await system.start()
    void system.tell('a', note('work'))
    await ports.clock.settle()
    expect(lifeOf('a')).toBe('Terminated')
    await expect(system.ask('b', note('question'), { timeoutMs })).rejects.toThrow('deadline')
  },
)
