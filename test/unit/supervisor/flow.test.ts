import { createMachine } from 'xstate'
import {
  type ActorDefinition,
  ask,
  childSpec,
  createSystem,
  type Message,
  type Request,
  reply,
  tell,
} from '../../../supervisor/index.ts'
import { createTestPorts } from '../../../supervisor/testing/index.ts'

type Ping = Request<'ping', number, Pong>
type Pong = Message<'pong', number>
type Go = Message<'go', number>
const idle = createMachine({ id: 'idle', initial: 'Running', states: { Running: {} } })
const registry = [
  { type: 'ping', priority: 'control', overflow: 'returnError' },
  { type: 'pong', priority: 'control', overflow: 'returnError' },
  { type: 'go', priority: 'sync', overflow: 'returnError' },
] as const
it('asks and replies in one flow', async () => {
  const ports = createTestPorts()
  const b: ActorDefinition<null, Ping, never, null> = {
    name: 'b',
    machine: idle,
    mailbox: { capacity: 10 },
    init: async () => ({ context: null }),
    handle: (context, message, { envelope }) => ({
      context,
      effects: [reply(envelope, { type: 'pong', payload: message.payload + 1 })],
    }),
    perform: async () => {},
  }
  const seen: string[] = []
  const a: ActorDefinition<null, Go | Pong, never, null> = {
    name: 'a',
    machine: idle,
    mailbox: { capacity: 10 },
    init: async () => ({ context: null }),
    handle: (context, message, { envelope }) => {
      seen.push(`${message.type} ${message.payload} ${envelope.correlationId}`)
      if (message.type === 'pong')
        return {
          context,
          effects: message.payload < 5 ? [tell('a', { type: 'go', payload: message.payload })] : [],
        }
      return {
        context,
        effects: [
          ask<Ping>(
            'b',
            { type: 'ping', payload: message.payload },
            {
              timeoutMs: 1000,
              onReply: (r) => ({ type: 'pong', payload: r.ok ? r.value.payload : -1 }),
            },
          ),
        ],
      }
    },
    perform: async () => {},
  }
  const system = createSystem({
    ports,
    registry,
    children: [childSpec(a, null, { dependsOn: ['b'] }), childSpec(b, null)],
  })
  await system.start()
  await system.tell('a', { type: 'go', payload: 3 })
  await ports.clock.settle()
  const flow = seen[0]?.split(' ')[2]
  expect(seen).toEqual([`go 3 ${flow}`, `pong 4 ${flow}`, `go 4 ${flow}`, `pong 5 ${flow}`])
  expect(await system.stop()).toEqual({ forced: false, tookMs: 0 })
  expect(system.snapshot().map((s) => s.life)).toEqual(['Terminated', 'Terminated'])
})
