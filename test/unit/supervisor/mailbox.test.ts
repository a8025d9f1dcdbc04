import fc from 'fast-check'
import {
  type MessageSpec,
  type Overflow,
  PRIORITIES,
  type Priority,
} from '../../../supervisor/index.ts'
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

/** Letters as a producer sends them; `evict`: one that another's arrival may push out. */
const sends = fc.record({
  kind: fc.constant('send' as const),
  sender: fc.integer({ min: 0, max: 3 }),
  priority: fc.constantFrom(...PRIORITIES),
  policy: fc.constantFrom(...POLICIES),
})
const takes = fc.constant({ kind: 'take' as const })
const traffic = fc.array(
  fc.oneof({ weight: 3, arbitrary: sends }, { weight: 2, arbitrary: takes }),
  {
    maxLength: 300,
  },
)

interface Sent {
  readonly priority: string
  readonly sender: number
  readonly policy: Overflow
  readonly n: number
}

describe('properties of the whole mailbox, over all classes, policies and senders', () => {
  it('SU-6, SU-8: what was admitted is taken exactly once, unless its own type let it be evicted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), traffic, (capacity, actions) => {
        const box = mailbox(capacity, 7)
        const admitted = new Set<Sent>()
        const taken: Sent[] = []
        const take = (): boolean => {
          const letter = box.take(false)
          if (letter !== undefined) taken.push(letter.payload as Sent)
          return letter !== undefined
        }
        const waiting: Sent[] = []
        let n = 0
        for (const action of actions) {
          if (action.kind === 'take') {
            take()
            continue
          }
          n += 1
          const sent: Sent = { ...action, n }
          const offered = letter(`${sent.priority}.${sent.policy}`, sent)
          switch (box.offer(offered)) {
            case 'admitted':
              admitted.add(sent)
              break
            case 'evicted': {
              const gone = box.evicted?.payload as Sent
              expect(gone.policy).toBe('dropOldest')
              expect(admitted.delete(gone)).toBe(true)
              admitted.add(sent)
              break
            }
            case 'full': {
              const waits = box.wait({
                letter: offered,
                admitted: () => {
                  admitted.add(sent)
                  waiting.splice(waiting.indexOf(sent), 1)
                },
                refused: () => {},
              })
              if (waits) waiting.push(sent)
              break
            }
            case 'coalesced':
              throw new Error('nothing here coalesces')
            default:
              expect(['dropNewest', 'returnError', 'dropOldest']).toContain(sent.policy)
          }
          for (let rank = 0; rank < PRIORITIES.length; rank += 1)
            expect(box.depthOf(rank)).toBeLessThanOrEqual(capacity)
        }
        while (take());
        expect(waiting).toEqual([])
        expect(new Set(taken)).toEqual(admitted)
        expect(taken.length).toBe(admitted.size)
      }),
    )
  })

  it('SU-7: first in first out within a class and sender, whatever is evicted, blocked or put back between', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        traffic,
        fc.array(fc.boolean(), { maxLength: 300 }),
        (capacity, actions, putBacks) => {
          const box = mailbox(capacity, 7)
          const taken: Sent[] = []
          let step = 0
          const take = (): boolean => {
            const next = box.take(false)
            if (next === undefined) return false
            step += 1
            // A crash puts the letter back in front, once.
            if (putBacks[step] === true && next.crashes === 0) {
              next.crashes += 1
              box.putBack(next)
            } else taken.push(next.payload as Sent)
            return true
          }
          let n = 0
          for (const action of actions) {
            if (action.kind === 'take') {
              take()
              continue
            }
            n += 1
            const offered = letter(`${action.priority}.${action.policy}`, { ...action, n })
            if (box.offer(offered) === 'full') {
              box.wait({ letter: offered, admitted: () => {}, refused: () => {} })
            }
          }
          while (take());
          for (const priority of PRIORITIES) {
            for (let sender = 0; sender < 4; sender += 1) {
              const own = taken.filter(
                (each) => each.priority === priority && each.sender === sender,
              )
              expect(own.map((each) => each.n)).toEqual(
                own.map((each) => each.n).toSorted((a, b) => a - b),
              )
            }
          }
        },
      ),
    )
  })

  it('SU-7: no waiting class is passed over by more letters of higher ones than the bound says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 7, max: 40 }),
        fc.array(fc.array(fc.constantFrom(...PRIORITIES), { maxLength: 4 }), { maxLength: 200 }),
        (bound, arrivals) => {
          const box = mailbox(1_000, bound)
          const passedOver: number[] = PRIORITIES.map(() => 0)
          for (const arriving of [...arrivals, ...Array<readonly Priority[]>(300).fill([])]) {
            for (const priority of arriving) box.offer(letter(`${priority}.returnError`, priority))
            const next = box.take(false)
            if (next === undefined) continue
            const taken = PRIORITIES.indexOf(next.payload as Priority)
            passedOver[taken] = 0
            for (let rank = taken + 1; rank < PRIORITIES.length; rank += 1) {
              if (box.depthOf(rank) === 0) continue
              passedOver[rank] = (passedOver[rank] as number) + 1
              expect(passedOver[rank]).toBeLessThanOrEqual(bound)
            }
          }
        },
      ),
    )
  })
})
