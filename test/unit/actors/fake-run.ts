/** What an effect is run with, by hand: every ask and tell is written down, answers come from the test. */
import type { ActorRun, AskResult, Envelope, Message } from '../../../supervisor/index.ts'
import { createTestPorts, type TestPorts } from '../../../supervisor/testing/index.ts'

export interface Sent {
  readonly to: string
  readonly message: Message
}

export type Answer = Message | 'Timeout' | undefined

export interface FakeRun<In extends Message, Ports> {
  readonly run: ActorRun<In, Ports>
  /** Asks and tells in order. */
  readonly sent: Sent[]
  readonly logs: { readonly level: string; readonly event: string }[]
  readonly ports: TestPorts
}

export function fakeRun<In extends Message, Ports>(
  ports: Ports,
  answer: (message: Message, to: string) => Answer | Promise<Answer>,
): FakeRun<In, Ports> {
  const test = createTestPorts()
  const sent: Sent[] = []
  const logs: FakeRun<In, Ports>['logs'] = []
  const run = {
    self: { path: 'self' },
    ports,
    clock: test.clock,
    random: test.random,
    ids: test.ids,
    signal: new AbortController().signal,
    correlationId: 'flow',
    log: (level: string, event: string) => void logs.push({ level, event }),
    tell: async (to: string | { readonly path: string }, message: Message) => {
      sent.push({ to: typeof to === 'string' ? to : to.path, message })
      return { ok: true }
    },
    ask: async (to: string, message: Message): Promise<AskResult> => {
      sent.push({ to, message })
      const value = await answer(message, to)
      if (value === undefined || value === 'Timeout') {
        return { ok: false, error: { code: 'Timeout', to } }
      }
      return { ok: true, value }
    },
  } as unknown as ActorRun<In, Ports>
  return { run, sent, logs, ports: test }
}

/** An envelope around a message, as a handler gets it. */
export function envelopeOf<M extends Message>(message: M, correlationId = 'flow'): Envelope<M> {
  return {
    correlationId,
    causationId: 0,
    sequence: 1,
    timestamp: 0,
    sender: 'test',
    messageType: message.type,
    payload: message.payload,
    message,
  }
}
