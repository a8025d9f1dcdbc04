import { ask, faultError, after as later, reply, tell } from '../../../supervisor/index.ts'
import { child, createWorld, note, type Sketch } from './fixtures.ts'

/** Three actors that talk, fail, wait and restart by chance from the random port; the log of it all. */
const logOf = async (seed: number): Promise<string> => {
  const lines: string[] = []
  const chatty = (others: readonly string[]): Sketch => ({
    mailbox: { capacity: 4 },
    handle: (context, { type, payload }, { envelope }) => {
      if (type === 'question')
        return { context, effects: [reply(envelope, note('answer', payload))] }
      return { context, effects: type === 'work' ? [payload] : [] }
    },
    perform: async (effect, run) => {
      const [dice = 0, other = 0] = run.random.bytes(2)
      const to = others[other % others.length] as string
      if (dice < 8) throw faultError('Unlucky', dice < 4 ? 'network' : 'service', 'chance')
      if (dice < 120) await run.tell(to, note('work', effect))
      if (dice < 180) await run.ask(to, note('question', effect), { timeoutMs: 500 })
      await new Promise<void>((resolve) => run.clock.setTimer(dice, resolve))
      return [note('fresh', dice)]
    },
  })
  const names = ['a', 'b', 'c']
  const { system, ports } = createWorld(
    names.map((name) => child(name, chatty(names.filter((each) => each !== name)))),
    { seed },
  )
  system.subscribe((event) => lines.push(JSON.stringify(event)), { messages: true })
  await system.start()
  for (let round = 0; round < 40; round += 1) {
    for (const name of names) void system.tell(name, note('work', round))
    await ports.clock.advance(137)
  }
  const stopped = system.stop()
  await ports.clock.advance(200_000)
  await stopped
  for (const record of ports.log.records) {
    lines.push(JSON.stringify({ ...record, fields: { ...record.fields, stack: undefined } }))
  }
  return lines.join('\n')
}

describe('C-3 determinism', () => {
  it('the same seed and inputs give the same events and log lines, byte for byte', async () => {
    const first = await logOf(7)
    expect(first.split('\n').length).toBeGreaterThan(500)
    expect(await logOf(7)).toBe(first)
  })

  it('another seed gives another run', async () => {
    expect(await logOf(8)).not.toBe(await logOf(7))
  })

  it('every log line about a message bears the correlation id of its flow (C-6)', async () => {
    const lines = (await logOf(9))
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    const about = lines.filter((line) =>
      ['dead letter', 'reply dropped: nobody waits for it'].includes(String(line['event'])),
    )
    expect(about.filter((line) => line['correlationId'] === undefined)).toEqual([])
  })
})

it('the handlers see one time per step, and it is the clock of the ports', async () => {
  const seen: number[] = []
  const { system, ports } = createWorld([
    child('a', {
      handle: (context, { type }, { nowMs, envelope }) => {
        seen.push(nowMs, envelope.timestamp)
        return type === 'work'
          ? {
              context,
              effects: [
                later(50, 'x', note('fresh')),
                tell('a', note('urgent')),
                ask('a', note('question'), { timeoutMs: 70, onReply: () => note('answer') }),
              ],
            }
          : { context }
      },
    }),
  ])
  await system.start()
  const startMs = ports.clock.nowMs()
  await system.tell('a', note('work'))
  await ports.clock.advance(1_000)
  expect(seen.map((atMs) => atMs - startMs)).toEqual([0, 0, 0, 0, 0, 0, 50, 50, 70, 70])
})
