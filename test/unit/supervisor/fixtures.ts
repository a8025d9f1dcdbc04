/** Small actors and a small registry for the kernel's tests. */
import { createMachine } from 'xstate'
import {
  type ActorDefinition,
  type ChildSpec,
  childSpec,
  createSystem,
  type Message,
  type MessageSpec,
  type Step,
  type System,
  type SystemOptions,
} from '../../../supervisor/index.ts'
import { createTestPorts, type TestPorts } from '../../../supervisor/testing/index.ts'

export const steady = createMachine({ id: 'steady', initial: 'Running', states: { Running: {} } })

export const rows: readonly MessageSpec[] = [
  { type: 'urgent', priority: 'control', overflow: 'returnError' },
  { type: 'vote', priority: 'consensus', overflow: 'blockProducer', neverDrop: true },
  {
    type: 'tick',
    priority: 'consensus',
    overflow: 'blockProducer',
    neverDrop: true,
    coalesce: 'latest',
  },
  { type: 'work', priority: 'peg', overflow: 'blockProducer' },
  { type: 'question', priority: 'peg', overflow: 'returnError', reply: 'answer' },
  { type: 'blockingQuestion', priority: 'peg', overflow: 'blockProducer', reply: 'answer' },
  { type: 'answer', priority: 'peg', overflow: 'returnError' },
  { type: 'fresh', priority: 'sync', overflow: 'dropOldest' },
  { type: 'rumour', priority: 'gossip', overflow: 'dropNewest' },
  { type: 'call', priority: 'api', overflow: 'returnError' },
  { type: 'fact', priority: 'control', overflow: 'returnError' },
]

export type Note = Message<string, unknown>

export const note = (type: string, payload: unknown = null): Note => ({ type, payload })

/** An actor of which a test gives only what matters to it. Its context is the list of payloads it handled. */
export type Sketch = Partial<ActorDefinition<readonly unknown[], Note, unknown, null>>

export const actorOf = (
  name: string,
  sketch: Sketch = {},
): ActorDefinition<readonly unknown[], Note, unknown, null> => ({
  name,
  machine: steady,
  mailbox: { capacity: 100 },
  init: async () => ({ context: [] }),
  handle: (context, message): Step<readonly unknown[], unknown> => ({
    context: [...context, message.payload],
  }),
  perform: async () => undefined,
  ...sketch,
})

export const child = (
  name: string,
  sketch: Sketch = {},
  options: Omit<ChildSpec, 'actor' | 'ports' | 'name'> = {},
): ChildSpec => childSpec(actorOf(name, sketch), null, options)

/** Crashes on payloads that are errors, remembers the rest in `seen`. */
export const remembering = (seen: unknown[]): Sketch => ({
  handle: (context, { payload }) => {
    if (Error.isError(payload)) throw payload
    seen.push(payload)
    return { context }
  },
})

/** An init that notes its actor's name. */
export const noting = (order: string[], name: string) => async () => {
  order.push(name)
  return { context: [] }
}

/** An init that lasts until then; meanwhile the mailbox fills. */
export const openedBy = (opened: Promise<void>) => async () => {
  await opened
  return { context: [] }
}

export interface World {
  readonly system: System
  readonly ports: TestPorts
  /** Lives as they changed: `a: Running → Failed`. */
  readonly lives: string[]
  lifeOf(path: string): string | undefined
}

export const createWorld = (
  children: readonly ChildSpec[],
  options: Partial<SystemOptions> & { readonly seed?: number } = {},
): World => {
  const ports = createTestPorts(options.seed ?? 1)
  const system = createSystem({ ports, registry: rows, children, ...options })
  const lives: string[] = []
  system.subscribe((event) => {
    if (event.kind === 'life') lives.push(`${event.path}: ${event.from} → ${event.to}`)
  })
  return {
    system,
    ports,
    lives,
    lifeOf: (path) => system.snapshot().find((status) => status.path === path)?.life,
  }
}

/** A promise and its way to be settled by hand. */
export const gate = <T = void>(): {
  readonly promise: Promise<T>
  open(value: T): void
  fail(reason: unknown): void
} => {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  return { promise, open: resolve, fail: reject }
}
