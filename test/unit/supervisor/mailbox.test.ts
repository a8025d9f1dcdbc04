import fc from 'fast-check'
import { type MessageSpec, type Overflow, PRIORITIES } from '../../../supervisor/index.ts'
import { Letter } from '../../../supervisor/letter.ts'
import { Mailbox, type Pressure } from '../../../supervisor/mailbox.ts'
import { createRegistry, type MessageRow } from '../../../supervisor/registry.ts'

const POLICIES: readonly Overflow[] = ['dropOldest', 'dropNewest', 'blockProducer', 'returnError']
const specs: readonly MessageSpec[] = PRIORITIES.flatMap((priority) =>
  POLICIES.map((overflow) => ({ type: `${priority}.${overflow}`, priority, overflow })),
)
const registry = createRegistry([
  ...specs,
  {
    type: 'tick',
    priority: 'consensus',
    overflow: 'blockProducer',
    neverDrop: true,
    coalesce: 'latest',
  },
])

let sequence = 0
const letterOf = (row: MessageRow, payload: unknown = null, incarnation = 0): Letter => {
  sequence += 1
  return new Letter(
    'c',
    0,
    sequence,
    0,
    'test',
    { type: row.type, payload },
    row,
    undefined,
    incarnation,
  )
}
const letter = (type: string, payload: unknown = null, incarnation = 0): Letter =>
  letterOf(registry.row(type), payload, incarnation)

const mailbox = (capacity: number, bound = 100, onPressure: (level: Pressure) => void = () => {}) =>
  new Mailbox(capacity, bound, 8, onPressure)

const takeAll = (box: Mailbox): unknown[] => {
  const taken: unknown[] = []
  for (let next = box.take(false); next !== undefined; next = box.take(false))
    taken.push(next.payload)
  return taken
}

describe('SU-6 capacity is real', () => {
  it.each([1, 2, 16, 17, 100])(
    '%i sends succeed and the next one follows the policy',
    (capacity) => {
      const outcome = {
        dropOldest: 'evicted',
        dropNewest: 'dropped',
        blockProducer: 'full',
        returnError: 'refused',
      }
      for (const policy of POLICIES) {
        const box = mailbox(capacity)
        for (let n = 0; n < capacity; n += 1)
          expect(box.offer(letter(`peg.${policy}`, n))).toBe('admitted')
        expect(box.offer(letter(`peg.${policy}`, capacity))).toBe(outcome[policy])
        const kept = Array.from({ length: capacity }, (_, n) =>
          policy === 'dropOldest' ? n + 1 : n,
        )
        expect(takeAll(box)).toEqual(kept)
      }
    },
  )

  it('a flood in one class leaves the room of the others', () => {
    const box = mailbox(2)
    for (let n = 0; n < 10; n += 1) box.offer(letter('gossip.dropNewest', n))
    expect(box.offer(letter('control.returnError', 'c'))).toBe('admitted')
    expect(box.take(false)?.payload).toBe('c')
  })

  it('a class may have a capacity of its own', () => {
    const box = new Mailbox({ default: 1, gossip: 3 }, 100, 8, () => {})
    for (let n = 0; n < 3; n += 1) expect(box.offer(letter('gossip.returnError'))).toBe('admitted')
    expect(box.offer(letter('gossip.returnError'))).toBe('refused')
    expect(box.offer(letter('api.returnError'))).toBe('admitted')
    expect(box.offer(letter('api.returnError'))).toBe('refused')
  })

  it('a blocked producer is admitted in its turn as soon as there is room', () => {
    const box = mailbox(1)
    const admitted: string[] = []
    const block = (name: string) => {
      const waiting = letter('peg.blockProducer', name)
      expect(box.offer(waiting)).toBe('full')
      box.wait({ letter: waiting, admitted: () => admitted.push(name), refused: () => {} })
    }
    box.offer(letter('peg.blockProducer', 'first'))
    block('second')
    block('third')
    expect(box.offer(letter('peg.dropOldest', 'overtaker'))).toBe('dropped')
    expect(box.take(false)?.payload).toBe('first')
    expect(admitted).toEqual(['second'])
    expect(takeAll(box)).toEqual(['second', 'third'])
  })

  it('nobody overtakes a blocked producer of his class by an eviction', () => {
    const box = mailbox(2)
    box.offer(letter('peg.dropOldest', 'old'))
    box.offer(letter('peg.blockProducer', 'first'))
    const second = letter('peg.blockProducer', 'second')
    expect(box.offer(second)).toBe('full')
    box.wait({ letter: second, admitted: () => {}, refused: () => {} })
    expect(box.offer(letter('peg.dropOldest', 'overtaker'))).toBe('dropped')
    expect(takeAll(box)).toEqual(['old', 'first', 'second'])
  })

  it('the producers that may wait are bounded', () => {
    const box = mailbox(1)
    const waiter = () => ({
      letter: letter('peg.blockProducer'),
      admitted: () => {},
      refused: () => {},
    })
    box.offer(letter('peg.blockProducer'))
    for (let n = 0; n < 8; n += 1) expect(box.wait(waiter())).toBe(true)
    expect(box.wait(waiter())).toBe(false)
  })
})

describe('SU-7 order', () => {
  it('higher classes first, first in first out within a class', () => {
    const box = mailbox(10)
    const sent = [...PRIORITIES].reverse().flatMap((priority) => [`${priority} 1`, `${priority} 2`])
    for (const name of sent) box.offer(letter(`${name.split(' ')[0]}.returnError`, name))
    expect(takeAll(box)).toEqual(
      PRIORITIES.flatMap((priority) => [`${priority} 1`, `${priority} 2`]),
    )
  })

  it('every waiting class is served at least once per 100 messages of higher ones', () => {
    const box = mailbox(1_000)
    const since = PRIORITIES.map(() => 0)
    for (const priority of PRIORITIES) {
      for (let n = 0; n < 20; n += 1) box.offer(letter(`${priority}.returnError`, priority))
    }
    for (let n = 0; n < 2_000; n += 1) {
      box.offer(letter('control.returnError', 'control'))
      const rank = PRIORITIES.indexOf(box.take(false)?.payload as (typeof PRIORITIES)[number])
      PRIORITIES.forEach((_, each) => {
        since[each] = each === rank || box.depthOf(each) === 0 ? 0 : (since[each] as number) + 1
      })
      expect(Math.max(...since)).toBeLessThanOrEqual(100)
    }
    expect(box.depthOf(PRIORITIES.indexOf('api'))).toBeLessThan(20)
  })
})

describe('SU-8 never dropped once admitted', () => {
  it('an eviction takes only letters whose own type allows it', () => {
    const box = mailbox(3)
    box.offer(letter('peg.blockProducer', 'vote'))
    box.offer(letter('peg.dropOldest', 'old'))
    box.offer(letter('peg.returnError', 'asked'))
    expect(box.offer(letter('peg.dropOldest', 'new'))).toBe('evicted')
    expect(box.evicted?.payload).toBe('old')
    expect(takeAll(box)).toEqual(['vote', 'asked', 'new'])
  })

  it('with nothing to evict the new one is dropped', () => {
    const box = mailbox(1)
    box.offer(letter('peg.blockProducer', 'vote'))
    expect(box.offer(letter('peg.dropOldest', 'new'))).toBe('dropped')
    expect(takeAll(box)).toEqual(['vote'])
  })

  it('results of the actor itself are not evicted', () => {
    const box = mailbox(1)
    box.push(letter('peg.dropOldest', 'result', 1))
    expect(box.offer(letter('peg.dropOldest', 'new'))).toBe('dropped')
    expect(takeAll(box)).toEqual(['result'])
  })

  it('the latest tick wins and keeps the place of the one it replaces', () => {
    const box = mailbox(2)
    box.offer(letter('tick', 1))
    box.offer(letter('consensus.returnError', 'vote'))
    expect(box.offer(letter('tick', 2))).toBe('coalesced')
    expect(box.offer(letter('tick', 3))).toBe('coalesced')
    expect(takeAll(box)).toEqual([3, 'vote'])
    expect(box.offer(letter('tick', 4))).toBe('admitted')
  })

  it('a result, which dies with its incarnation, does not replace a tick that survives it', () => {
    const box = mailbox(2)
    box.offer(letter('tick', 'from outside'))
    expect(box.supersede(letter('tick', 'result', 1))).toBe(false)
    box.push(letter('tick', 'result', 1))
    expect(box.supersede(letter('tick', 'newer result', 1))).toBe(true)
    expect(takeAll(box)).toEqual(['from outside', 'newer result'])
  })

  it('the registry refuses a never-drop type whose overflow drops', () => {
    const row = { type: 'x', priority: 'peg', overflow: 'dropOldest', neverDrop: true } as const
    expect(() => createRegistry([row])).toThrow('never dropped')
  })
})

describe('SU-9 watermarks', () => {
  it('rise at 50, 80 and 100 %, and fall 10 % below', () => {
    const levels: Pressure[] = []
    const box = mailbox(10, 100, (level) => levels.push(level))
    const heights: [number, Pressure][] = []
    for (let n = 1; n <= 10; n += 1) {
      box.offer(letter('peg.returnError'))
      heights.push([n, box.pressure])
    }
    expect(heights.map(([, level]) => level)).toEqual([
      ...Array(4).fill('Normal'),
      ...Array(3).fill('Warning'),
      ...Array(2).fill('Critical'),
      'Blocked',
    ])
    const falls = Array.from({ length: 10 }, () => {
      box.take(false)
      return box.pressure
    })
    expect(falls).toEqual([
      'Blocked',
      'Critical',
      'Critical',
      'Warning',
      'Warning',
      'Warning',
      'Normal',
      'Normal',
      'Normal',
      'Normal',
    ])
    expect(levels).toEqual(['Warning', 'Critical', 'Blocked', 'Critical', 'Warning', 'Normal'])
  })
})

interface Modelled {
  readonly id: number
  readonly policy: Overflow
}

describe('SU-6 against a model', () => {
  it('any sequence of sends and takes gives what plain arrays give', () => {
    const action = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('send' as const),
          policy: fc.constantFrom(...POLICIES),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.constant({ kind: 'take' as const, policy: 'dropNewest' as const }),
      },
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(action, { maxLength: 200 }),
        (capacity, actions) => {
          const box = mailbox(capacity)
          let model: Modelled[] = []
          let id = 0
          for (const { kind, policy } of actions) {
            if (kind === 'take') {
              expect(box.take(false)?.payload).toBe(model.shift()?.id)
            } else {
              id += 1
              const admission = box.offer(letter(`sync.${policy}`, id))
              const oldest = model.find((each) => each.policy === 'dropOldest')
              if (model.length < capacity) {
                expect(admission).toBe('admitted')
                model.push({ id, policy })
              } else if (policy === 'dropOldest' && oldest !== undefined) {
                expect(admission).toBe('evicted')
                expect(box.evicted?.payload).toBe(oldest.id)
                model = [...model.filter((each) => each !== oldest), { id, policy }]
              } else {
                expect(['dropped', 'full', 'refused']).toContain(admission)
              }
            }
            expect(box.depth).toBe(model.length)
          }
          expect(takeAll(box)).toEqual(model.map((each) => each.id))
        },
      ),
    )
  })
})
