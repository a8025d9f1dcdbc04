/**
 * A process that sends ten million messages (tells, asks and their replies) through the kernel and writes the size of its collected
 * heap as it goes. Started by the bench with --expose-gc.
 */
import { childSpec, reply, type Step } from '../../supervisor/index.ts'
import { type Note, running, small } from './kernel-contenders.ts'

const MESSAGES = 10_000_000
const SAMPLE_EVERY = 500_000
const BURST = 1_000
/** In a burst: each ask is two messages. */
const ASKS = 50
/** Until then the compiler's own heap grows. */
const WARM_UP = 1_000_000

const { gc } = globalThis
if (gc === undefined) throw new Error('to be started with --expose-gc')

const counter = small('counter', (context, message: Note, { envelope }): Step<number, never> => {
  if (message.type !== 'question') return { context: context + 1 }
  const answer: Note = { type: 'answer', payload: context }
  return { context: context + 1, effects: [reply(envelope, answer)] }
})
const system = await running([childSpec(counter, null)])

for (let sent = 0; sent <= MESSAGES + WARM_UP; sent += BURST) {
  if (sent >= WARM_UP && (sent - WARM_UP) % SAMPLE_EVERY === 0) {
    gc()
    const { heapUsed } = process.memoryUsage()
    process.stdout.write(`${JSON.stringify({ messages: sent - WARM_UP, heapBytes: heapUsed })}\n`)
  }
  for (let n = 0; n < BURST - 2 * ASKS; n++) {
    void system.tell('counter', { type: 'count', payload: { by: n } })
  }
  const asked = Array.from({ length: ASKS }, (_, n) =>
    system.ask('counter', { type: 'question', payload: n }, { timeoutMs: 10_000 }),
  )
  await Promise.all(asked)
}
await system.stop()
