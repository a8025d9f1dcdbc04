/** Four drivers of one height in its first view, and what is on its way between them, to be delivered in any order or never. */
import {
  type Block,
  blockHash,
  type ConsensusMessage,
  encodeConsensusMessage,
} from '../../../../core/block/index.ts'
import { EMPTY_GUARD, type GuardView } from '../../../../core/guard/index.ts'
import type { DriverState, Effect } from '../../../../core/pbft/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { Desk, freshBlock, HEIGHT, only } from './desk.ts'
import { canonical } from './orders.ts'

const N = 4

interface Delivery {
  readonly from: number
  readonly to: number
  readonly message: ConsensusMessage
  readonly name: string
}

export interface Four {
  readonly drivers: readonly DriverState[]
  readonly guards: readonly GuardView[]
  readonly pending: readonly Delivery[]
  /** What was sent to whom, delivered or not: a second copy tells nothing. */
  readonly sent: ReadonlySet<string>
  readonly heads: readonly (string | undefined)[]
}

/** All have begun the height; validator 1 has proposed. */
export function fourDrivers(): Four {
  let four: Four = {
    drivers: Array.from({ length: N }, (_, self) => new Desk({ self }).state),
    guards: Array.from({ length: N }, () => EMPTY_GUARD),
    pending: [],
    sent: new Set(),
    heads: Array.from({ length: N }, () => undefined),
  }
  for (let self = 0; self < N; self++) four = tell(four, self, (desk) => desk.start())
  return four
}

export function deliver(four: Four, at: number): Four {
  const { from, to, message } = four.pending[at] as Delivery
  const rest = { ...four, pending: four.pending.filter((_, index) => index !== at) }
  return tell(rest, to, (desk) => desk.hear(message, `peer${from}`, true))
}

function tell(four: Four, self: number, telling: (desk: Desk) => readonly Effect[]): Four {
  const desk = new Desk({ self })
  Object.assign(desk, { state: four.drivers[self], guard: four.guards[self] })
  const waiting = [...telling(desk)]
  const all: Effect[] = []
  for (let effect = waiting.shift(); effect !== undefined; effect = waiting.shift()) {
    all.push(effect)
    if (effect.kind === 'validate') waiting.push(...desk.found(effect.block))
    if (effect.kind === 'build') {
      const { view } = effect
      waiting.push(...desk.tell({ kind: 'built', height: HEIGHT, view, block: freshBlock(view) }))
    }
  }
  const sent = new Set(four.sent)
  const pending = [...four.pending]
  for (const { message } of only(all, 'broadcast')) {
    const name = toHex(encodeConsensusMessage(message))
    for (let to = 0; to < N; to++) {
      const delivery = `${to} ${name}`
      if (to === self || sent.has(delivery)) continue
      sent.add(delivery)
      pending.push({ from: self, to, message, name: delivery })
    }
  }
  const [commit] = only(all, 'commit')
  const head = (block: Block) => toHex(blockHash(block.header))
  return {
    drivers: four.drivers.with(self, desk.state),
    guards: four.guards.with(self, desk.guard),
    pending,
    sent,
    heads: commit === undefined ? four.heads : four.heads.with(self, head(commit.block)),
  }
}

/** The rest is delivered as it comes. */
export function deliverAll(four: Four): Four {
  let now = four
  while (now.pending.length > 0) now = deliver(now, 0)
  return now
}

export interface Search {
  readonly states: number
  readonly transitions: number
  /** States at the last depth, each of which was led to its end. */
  readonly frontier: number
  readonly heads: ReadonlySet<string>
}

/** Every state that any `depth` deliveries lead to; from each of the last ones on the rest is delivered in turn. */
export function searchFour(depth: number): Search {
  let layer = new Map([['', fourDrivers()]])
  let [states, transitions] = [1, 0]
  const heads = new Set<string>()
  const look = (four: Four) => {
    for (const head of four.heads) if (head !== undefined) heads.add(head)
  }
  for (let step = 0; step < depth; step++) {
    const next = new Map<string, Four>()
    for (const four of layer.values()) {
      for (const at of four.pending.keys()) {
        const one = deliver(four, at)
        transitions += 1
        look(one)
        next.set(keyOf(one), one)
      }
    }
    layer = next
    states += layer.size
  }
  for (const four of layer.values()) {
    const end = deliverAll(four)
    if (end.heads.includes(undefined)) throw new Error('a driver has no head at the end')
    look(end)
  }
  return { states, transitions, frontier: layer.size, heads }
}

function keyOf({ drivers, guards, pending }: Four): string {
  const heights = drivers.map(({ height }) => canonical(height))
  const names = pending.map(({ name }) => name).sort()
  return `${heights.join()} ${canonical(guards)} ${names.join()}`
}
