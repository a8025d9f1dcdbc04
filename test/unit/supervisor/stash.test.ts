import { faultError, type KernelEvent, reply, stash, unstash } from '../../../supervisor/index.ts'
import { child, createWorld, note, type Sketch } from './fixtures.ts'

/** Stashes all until told to open, then handles what comes. */
const closed = (seen: unknown[], extra: Sketch = {}): Sketch => {
  let open = false
  return {
    handle: (context, { type, payload }, { envelope }) => {
      if (Error.isError(payload)) throw payload
      if (type === 'urgent') {
        open = payload === 'open'
        return { context, effects: open ? [unstash()] : [] }
      }
      if (!open) return { context, effects: [stash()] }
      seen.push(payload)
      return {
        context,
        effects: type === 'question' ? [reply(envelope, note('answer', payload))] : [],
      }
    },
    ...extra,
  }
}

describe('stash', () => {
  it('what was put aside comes back in order, before what came later', async () => {
    const seen: unknown[] = []
    const { system, ports } = createWorld([child('a', closed(seen))])
    await system.start()
    for (let n = 1; n <= 3; n += 1) await system.tell('a', note('work', n))
    await ports.clock.settle()
    expect(system.snapshot()[0]).toMatchObject({ stashed: 3, depth: { peg: 0 } })
    void system.tell('a', note('work', 4))
    void system.tell('a', note('urgent', 'open'))
    void system.tell('a', note('work', 5))
    await ports.clock.settle()
    expect(seen).toEqual([1, 2, 3, 4, 5])
    expect(system.snapshot()[0]?.stashed).toBe(0)
  })

  it('is bounded: what finds it full is a counted dead letter, and its asker is told', async () => {
    const { system, ports } = createWorld([
      child('a', closed([], { mailbox: { capacity: 100, stash: 2 } })),
    ])
    await system.start()
    for (let n = 1; n <= 2; n += 1) await system.tell('a', note('work', n))
    const asked = await system.ask('a', note('question'), { timeoutMs: 5_000 })
    expect(asked).toMatchObject({ ok: false, error: { code: 'MailboxFull' } })
    expect(system.snapshot()[0]).toMatchObject({ stashed: 2, deadLetters: 1 })
    expect(ports.metrics.total('actor_dead_letters_total', { reason: 'StashFull' })).toBe(1)
  })

  it('a type that is never dropped is not (SU-8): the overflow crashes the actor, and all goes back to the mailbox in order', async () => {
    const seen: unknown[] = []
    let opened = false
    const { system, ports } = createWorld([
      child('a', {
        mailbox: { capacity: 100, stash: 2 },
        handle: (context, { payload }) => {
          if (!opened) return { context, effects: [stash()] }
          seen.push(payload)
          return { context }
        },
      }),
    ])
    await system.start()
    const faults: KernelEvent[] = []
    system.subscribe((event) => event.kind === 'fault' && faults.push(event))
    for (let n = 1; n <= 4; n += 1) void system.tell('a', note('vote', n))
    await ports.clock.settle()
    expect(faults).toMatchObject([{ fault: { code: 'StashFull', faultClass: 'service' } }])
    opened = true
    await ports.clock.advance(1_000)
    expect(seen).toEqual([1, 2, 3, 4])
    expect(ports.metrics.total('actor_dead_letters_total')).toBe(0)
  })

  it('survives a restart in order, before the message that crashed (SU-4); its asks are not failed by it', async () => {
    const seen: unknown[] = []
    const { system, ports } = createWorld([child('a', closed(seen))], {
      limits: { poisonAfter: 1 },
    })
    await system.start()
    await system.tell('a', note('work', 1))
    const asked = system.ask('a', note('question', 2), { timeoutMs: 60_000 })
    await system.tell('a', note('work', 3))
    await ports.clock.settle()
    void system.tell('a', note('urgent', faultError('Down', 'network', 'down')))
    void system.tell('a', note('work', 4))
    await ports.clock.settle()
    expect(system.snapshot()[0]).toMatchObject({ life: 'Running', stashed: 4, restarts: 1 })
    void system.tell('a', note('urgent', 'open'))
    await ports.clock.settle()
    expect(seen).toEqual([1, 2, 3, 4])
    expect(await asked).toMatchObject({ ok: true, value: { payload: 2 } })
  })

  it('what is in it when the actor ends is a dead letter', async () => {
    const { system, ports } = createWorld([child('a', closed([]))])
    await system.start()
    await system.tell('a', note('work', 1))
    const asked = system.ask('a', note('question', 2), { timeoutMs: 60_000 })
    await ports.clock.settle()
    await system.stop()
    expect(await asked).toMatchObject({ ok: false, error: { code: 'Stopped' } })
    expect(ports.metrics.total('actor_dead_letters_total', { reason: 'Stopped' })).toBe(2)
  })

  it('outside of a message there is nothing to stash: a bug that ends the actor', async () => {
    const { system, ports, lifeOf } = createWorld([
      child('a', { init: async () => ({ context: [], effects: [stash()] }) }),
    ])
    void system.start()
    await ports.clock.settle()
    expect(lifeOf('a')).toBe('Terminated')
  })
})
