/**
 * What the seven actors of a node are told in a simulated federation without faults, with users, in the order in which they took it;
 * and the same told again to one actor alone, as fast as it takes it or at a pace.
 */

import { STREAM_ROWS } from '../../actors/stream/index.ts'
import { blsSuite, type SignatureSuite } from '../../crypto/index.ts'
import { MESSAGE_ROWS } from '../../messages/index.ts'
import {
  type About,
  type ActorDefinition,
  type ChildSpec,
  childSpec,
  createSystem,
  type InitResult,
  type KernelEffect,
  type Message,
  type MessageSpec,
  type Step,
  tell,
} from '../../supervisor/index.ts'
import { PROFILES, type Profile } from '../sim/profiles.ts'
import { createFederation, simulate } from '../sim/simulate.ts'
import type { OwnClock } from './clocks.ts'
import { realPorts, STEADY } from './kernel-contenders.ts'

type AnyActor = ChildSpec['actor']
type Begun = InitResult<unknown, Message, unknown>

interface Told {
  readonly message: Message
  readonly about: About
}

export interface Recording {
  readonly actor: AnyActor
  readonly begun: Begun
  readonly told: readonly Told[]
  /** Counts the checks of signatures that its handlers make. */
  readonly checks: Checks
}

export interface Checks {
  verified: number
  aggregatesVerified: number
}

const SEED = 1
const NODES = 4
/** All load; the network breaks now and then, or there would be nothing to catch up with. */
const PROFILE: Profile = {
  ...PROFILES.calm,
  faults: { partition: { everyMs: 8_000 } },
  faultsMs: 30_000,
  worldMs: 30_000,
}

/** Records one actor: of the node that was told most. */
export async function record(name: string): Promise<Recording> {
  const checks: Checks = { verified: 0, aggregatesVerified: 0 }
  const federation = createFederation(NODES, NODES, 'real')
  const genesis = { ...federation.genesis, signatures: counting(blsSuite, checks) }
  const recordings: { actor: AnyActor; begun: Begun; told: Told[] }[] = []
  const wrap = (child: ChildSpec): ChildSpec => {
    const { actor } = child
    if (actor.name !== name) return child
    let told: Told[] = []
    return {
      ...child,
      actor: {
        ...actor,
        init: async (run) => {
          const begun = await actor.init(run)
          told = []
          recordings.push({ actor, begun, told })
          return begun
        },
        handle: (context, message, about) => {
          told.push({ message, about })
          return actor.handle(context, message, about)
        },
      },
    }
  }
  const report = await simulate({
    seed: SEED,
    federation: { ...federation, genesis },
    profile: PROFILE,
    wrap,
  })
  const [violation] = report.violations
  if (violation !== undefined) throw new Error(`the world broke: ${violation.invariant}`)
  const busiest = recordings.sort((left, right) => right.told.length - left.told.length)[0]
  if (busiest === undefined || busiest.told.length === 0)
    throw new Error(`${name} was told nothing`)
  return { ...busiest, checks }
}

function counting(suite: SignatureSuite, checks: Checks): SignatureSuite {
  return {
    ...suite,
    verify: (key, message, signature) => {
      checks.verified += 1
      return suite.verify(key, message, signature)
    },
    verifyAggregate: (keys, message, signature) => {
      checks.aggregatesVerified += 1
      return suite.verifyAggregate(keys, message, signature)
    },
    verifyEach: (all) => {
      checks.aggregatesVerified += all.length
      return suite.verifyEach(all)
    },
  }
}

/** One class for all, so that messages are taken in the recorded order, and none is lost. */
const ROWS: readonly MessageSpec[] = [...MESSAGE_ROWS, ...STREAM_ROWS].map(({ type }) => {
  return { type, priority: 'peg', overflow: 'blockProducer' }
})
const NAMES = ['chain', 'engine', 'bridge', 'sync', 'network', 'stream', 'storage'] as const
const CAPACITY = 1_000_000

export interface Replay {
  readonly count: number
  readonly seconds: number
  /** From when each message was due to when it was handled. */
  readonly latenciesMs: readonly number[]
}

export type Pace = 'asFastAsPossible' | { readonly perSecond: number; readonly atMost: number }

/**
 * Tells the actor all of it, from the context with which the recorded one began. What its ports answered is in the recording, so
 * effects begin and end at once; timers and replies are left out, asks are sent like tells.
 */
export async function replay(recording: Recording, pace: Pace, clock: OwnClock): Promise<Replay> {
  const { actor, begun, told } = recording
  const count = pace === 'asFastAsPossible' ? told.length : Math.min(told.length, pace.atMost)
  const due = new Float64Array(count)
  const latenciesMs: number[] = []
  const { promise: done, resolve, reject } = Promise.withResolvers<void>()
  let at = 0
  const replayed: ActorDefinition<unknown, Message, unknown, null> = {
    name: actor.name,
    machine: actor.machine,
    mailbox: { capacity: CAPACITY },
    ...(actor.follows && { follows: actor.follows }),
    ...(actor.lane && { lane: actor.lane }),
    init: async () => ({ context: begun.context, ...(begun.event && { event: begun.event }) }),
    handle: (context, message) => {
      const { about } = told[at] as Told
      const step = actor.handle(context, message, about)
      latenciesMs.push(clock.nowMs() - (due[at] as number))
      at += 1
      if (at === count) resolve()
      return {
        ...step,
        effects: step.effects?.flatMap((effect) => toOthers(effect, actor.name)) ?? [],
      }
    },
    perform: async () => undefined,
  }
  const others = NAMES.filter((name) => name !== actor.name)
  const system = createSystem({
    ports: realPorts(),
    registry: ROWS,
    children: [childSpec(replayed, null), ...others.map((name) => childSpec(deaf(name), null))],
  })
  const started = await system.start()
  if (!started.ok) throw new Error(started.reason.why)
  const leave = system.subscribe((event) => {
    if (event.kind === 'fault') reject(new Error(`${event.path}: ${event.fault.reason}`))
  })
  const startedMs = clock.read()
  let sent = 0
  const send = (dueMs: number): void => {
    due[sent] = dueMs
    const { message, about } = told[sent] as Told
    void system.tell(actor.name, message, { sender: about.envelope.sender })
    sent += 1
  }
  const step = (): void => {
    const nowMs = clock.read()
    if (pace === 'asFastAsPossible') while (sent < count) send(nowMs)
    else {
      const dueMs = () => startedMs + (sent * 1_000) / pace.perSecond
      while (sent < count && dueMs() <= nowMs) send(dueMs())
    }
    if (sent < count) setImmediate(step)
  }
  step()
  await done
  const seconds = (clock.read() - startedMs) / 1_000
  leave()
  await system.stop({ drainMs: 0 })
  return { count, seconds, latenciesMs }
}

/** What the actor tells itself is in the recording, as are answers and what timers brought. */
function toOthers(effect: unknown, self: string): readonly unknown[] {
  if (typeof effect !== 'object' || effect === null || !('kernel' in effect)) return [effect]
  const of = effect as KernelEffect
  if (of.kernel === 'tell') return of.to === self ? [] : [of]
  return of.kernel === 'ask' ? [tell(of.to, of.request)] : []
}

const deaf = (name: string): ActorDefinition<null, Message, never, null> => ({
  name,
  machine: STEADY,
  mailbox: { capacity: CAPACITY },
  init: async () => ({ context: null }),
  handle: (context): Step<null, never> => ({ context }),
  perform: async () => undefined,
})
