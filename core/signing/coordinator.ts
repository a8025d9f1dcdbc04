/**
 * Who collects the signatures of one attempt, after ROAST (Ruffing et al., 2022): as soon as t members have an offer open they make a
 * session; who has given its parts and a fresh offer is free for the next one. A silent member holds up one session, for it owes
 * parts; a lying one is convicted when the first of its sessions is full. ROAST checks each part when it comes; here only what does not
 * add up is looked at singly, so that the good case is cheap, and a liar may be in each session that is open then, of which there are at
 * most n − t + 1. So, without a timer, t honest members among n come to the signatures in (n − t + 1)² sessions at most.
 */
import { toHex } from '../../crypto/index.ts'
import {
  type Joined,
  listHash,
  type NonceOffer,
  offerFault,
  type PartsEvidence,
  partsFault,
  type SignedParts,
  type SigningList,
  type SigningTask,
} from './session.ts'

interface Session {
  readonly list: SigningList
  readonly parts: ReadonlyMap<number, SignedParts>
}

export interface Coordinator {
  readonly task: SigningTask
  /** By member, in order of arrival: offers in no session. */
  readonly free: ReadonlyMap<number, NonceOffer>
  /** The last serial that each member has used here. */
  readonly serials: ReadonlyMap<number, number>
  /** By the list's hash. */
  readonly sessions: ReadonlyMap<string, Session>
  readonly convicted: ReadonlyMap<number, PartsEvidence>
  /** By input, once all is signed. */
  readonly signatures?: readonly (readonly Uint8Array[])[]
}

/** What happened. */
export type CoordinatorEvent =
  /** These members are to sign under this list. */
  | { readonly kind: 'ask'; readonly list: SigningList }
  /** All parts of a list are here, in its order: what `joinParts` makes of them, input by input, is to be told to `partsJoined`. */
  | { readonly kind: 'join'; readonly list: SigningList; readonly all: readonly SignedParts[] }
  | { readonly kind: 'convicted'; readonly member: number; readonly evidence: PartsEvidence }
  | {
      readonly kind: 'signed'
      /** The members whose parts these are, ascending. */
      readonly members: readonly number[]
      readonly signatures: readonly (readonly Uint8Array[])[]
    }
  /** Not used, and nothing is held against anybody. */
  | { readonly kind: 'ignored'; readonly member: number; readonly reason: string }

export interface Coordinated {
  readonly coordinator: Coordinator
  readonly events: readonly CoordinatorEvent[]
}

export function beginCoordinating(task: SigningTask): Coordinator {
  return { task, free: new Map(), serials: new Map(), sessions: new Map(), convicted: new Map() }
}

/**
 * A member is ready. One that still owes parts is not, also when it has forgotten its nonces by a restart: it is asked again in the next
 * attempt. `from` is the member whose stream the offer came by: what others pass on could use up its serials.
 */
export function offerArrived(
  coordinator: Coordinator,
  from: number,
  offer: NonceOffer,
): Coordinated {
  const { convicted, free, serials, signatures, task } = coordinator
  const { member, serial } = offer
  if (member !== from) return ignored(coordinator, from, 'OfferOfAnother')
  if (signatures !== undefined) return ignored(coordinator, member, 'Signed')
  if (convicted.has(member)) return ignored(coordinator, member, 'Convicted')
  if (serial <= (serials.get(member) ?? -1)) return ignored(coordinator, member, 'OldOffer')
  if (owesParts(coordinator, member)) return ignored(coordinator, member, 'PartsOwed')
  const fault = offerFault(task, offer)
  if (fault !== undefined) return ignored(coordinator, member, fault)
  return openSession({
    ...coordinator,
    free: new Map(free).set(member, offer),
    serials: new Map(serials).set(member, serial),
  })
}

/** How many there are, and how many of them sign. */
export interface Signers {
  readonly members: readonly unknown[]
  readonly threshold: number
}

/** After so many sessions an attempt has its signatures, if only t of the members are honest (ROAST). */
export function mostSessions({ members, threshold }: Signers): number {
  return (members.length - threshold + 1) ** 2
}

/** How many members have given their parts for the list that is nearest to its end. */
export function partsGiven({ sessions, signatures, task }: Coordinator): number {
  if (signatures !== undefined) return task.threshold
  return Math.max(0, ...[...sessions.values()].map(({ parts }) => parts.size))
}

function owesParts({ sessions }: Coordinator, member: number): boolean {
  for (const { list, parts } of sessions.values()) {
    if (!parts.has(member) && list.some((offer) => offer.member === member)) return true
  }
  return false
}

function ignored(coordinator: Coordinator, member: number, reason: string): Coordinated {
  return { coordinator, events: [{ kind: 'ignored', member, reason }] }
}

/** With t members free, they are asked. */
function openSession(coordinator: Coordinator): Coordinated {
  const { free, sessions, task } = coordinator
  if (free.size < task.threshold) return { coordinator, events: [] }
  const list = [...free.values()]
    .slice(0, task.threshold)
    .sort((left, right) => left.member - right.member)
  const rest = new Map(free)
  for (const { member } of list) rest.delete(member)
  const session: Session = { list, parts: new Map() }
  const opened = new Map(sessions).set(toHex(listHash(task, list)), session)
  return {
    coordinator: { ...coordinator, free: rest, sessions: opened },
    events: [{ kind: 'ask', list }],
  }
}

/** A member has signed; its next offer follows. */
export function partsArrived(coordinator: Coordinator, parts: SignedParts): Coordinated {
  const { sessions, signatures, task } = coordinator
  const { member } = parts
  if (signatures !== undefined) return ignored(coordinator, member, 'Signed')
  const key = toHex(parts.listHash)
  const session = sessions.get(key)
  if (session === undefined) return ignored(coordinator, member, 'NoSuchList')
  if (session.parts.has(member)) return ignored(coordinator, member, 'Twice')
  const fault = partsFault(task, session.list, parts)
  if (fault !== undefined) return ignored(coordinator, member, fault)
  const given = new Map(session.parts).set(member, parts)
  const waiting = new Map(sessions).set(key, { ...session, parts: given })
  const next = { ...coordinator, sessions: waiting }
  if (given.size < session.list.length) return { coordinator: next, events: [] }
  const all = session.list.map((offer) => given.get(offer.member) as SignedParts)
  return { coordinator: next, events: [{ kind: 'join', list: session.list, all }] }
}

/** By input, what the parts of a list came to. */
export function partsJoined(
  coordinator: Coordinator,
  list: SigningList,
  joined: readonly Joined[],
): Coordinated {
  const key = toHex(listHash(coordinator.task, list))
  const session = coordinator.sessions.get(key)
  if (session === undefined || coordinator.signatures !== undefined) {
    return { coordinator, events: [] }
  }
  const culprits = new Set(joined.flatMap((one) => (one.ok ? [] : one.culprits)))
  const sessions = new Map(coordinator.sessions)
  sessions.delete(key)
  if (culprits.size === 0) {
    const signatures = joined.flatMap((one) => (one.ok ? [one.signatures] : []))
    const members = list.map(({ member }) => member)
    return {
      coordinator: { ...coordinator, sessions: new Map(), free: new Map(), signatures },
      events: [{ kind: 'signed', members, signatures }],
    }
  }
  const convicted = new Map(coordinator.convicted)
  const free = new Map(coordinator.free)
  const events: CoordinatorEvent[] = []
  for (const { member } of list) {
    const parts = session.parts.get(member)
    if (!culprits.has(member) || parts === undefined) continue
    convicted.set(member, { list, parts })
    free.delete(member)
    events.push({ kind: 'convicted', member, evidence: { list, parts } })
  }
  return { coordinator: { ...coordinator, sessions, free, convicted }, events }
}
