import fc from 'fast-check'
import {
  beginCoordinating,
  type Coordinated,
  type Coordinator,
  type CoordinatorEvent,
  type InputTask,
  isConvicting,
  joinParts,
  listFault,
  listHash,
  makeOffer,
  type NonceOffer,
  type OfferNonces,
  offerArrived,
  offerFault,
  partsArrived,
  partsFault,
  partsJoined,
  type SignedParts,
  type SigningList,
  type SigningTask,
  sealParts,
  signMyParts,
} from '../../../../core/signing/index.ts'
import {
  addToGroup,
  groupPublicKey,
  type KeyShare,
  schnorrPublicKey,
  schnorrVerify,
  sha256,
  toHex,
  uint32be,
} from '../../../../crypto/index.ts'
import { ceremony, keyOf, seeded } from '../../crypto/frost/fixtures.ts'

const EPOCH = 1

/** A federation with a key of epoch 1, outputs under it and, in second place, one that only leaf A opens. */
function federation(size: number, threshold: number, outputs: number) {
  const numbers = Array.from({ length: size }, (_, index) => index + 1)
  const { group, shares } = keyOf(ceremony(`session ${size}`, threshold, numbers))
  const secrets = numbers.map((number) => sha256(Buffer.from('member'), uint32be(number)))
  const inputs: InputTask[] = Array.from({ length: outputs }, (_, at) => {
    const scalar = sha256(Buffer.from(`output ${at}`))
    return {
      path: 'key',
      digest: sha256(Buffer.from('digest'), uint32be(at)),
      epoch: EPOCH,
      steps: [{ group, scalar }],
      group: addToGroup(group, scalar),
    }
  })
  inputs.splice(1, 0, { path: 'leaf', digest: sha256(Buffer.from('leaf')) })
  const task: SigningTask = {
    genesisHash: sha256(Buffer.from('genesis')),
    batchId: sha256(Buffer.from('batch')),
    version: 0,
    attempt: 2,
    threshold,
    members: secrets.map(schnorrPublicKey),
    inputs,
  }
  return { task, shares, secrets }
}

const FOUR = federation(4, 3, 2)
const SEVEN = federation(7, 5, 1)
type Federation = typeof FOUR

const KINDS = [
  'silent',
  'leaves',
  'wrongShare',
  'wrongLeaf',
  'short',
  'unsigned',
  'replays',
] as const
type Kind = 'honest' | (typeof KINDS)[number]
const LIARS: readonly Kind[] = ['wrongShare', 'wrongLeaf', 'short', 'replays']

class Member {
  private readonly of: Federation
  private readonly index: number
  readonly kind: Kind
  private serial = 0
  nonces: OfferNonces = []
  private readonly random

  constructor(of: Federation, index: number, kind: Kind) {
    this.of = of
    this.index = index
    this.kind = kind
    this.random = seeded(`member ${index}`)
  }

  get identity() {
    const { secrets, shares } = this.of
    const secretKey = secrets[this.index] as Uint8Array
    const held = new Map([[EPOCH, shares[this.index] as KeyShare]])
    return { index: this.index, secretKey, shares: held }
  }

  offer(): NonceOffer | undefined {
    if (this.kind === 'silent') return undefined
    const made = makeOffer(this.of.task, this.identity, this.serial, this.random)
    if (made === undefined) throw new Error(`${this.index} has no share`)
    this.serial += 1
    this.nonces = made.nonces
    return made.offer
  }

  parts(list: SigningList): SignedParts | undefined {
    if (this.kind === 'leaves') return undefined
    const { task } = this.of
    const made = signMyParts(task, this.identity, this.nonces, list, this.random)
    if (made === undefined) throw new Error(`${this.index} cannot sign`)
    if (this.kind === 'unsigned') return { ...made, signature: new Uint8Array(64) }
    const parts = this.spoilt(made)
    if (parts === made.parts) return made
    return sealParts(task, this.identity, list, parts, this.random)
  }

  private spoilt({ parts }: SignedParts): readonly Uint8Array[] {
    const flipped = (at: number) =>
      parts.map((part, index) =>
        index === at ? Uint8Array.from(part, (b, i) => b ^ (i === 31 ? 1 : 0)) : part,
      )
    if (this.kind === 'wrongShare') return flipped(0)
    if (this.kind === 'wrongLeaf') return flipped(1)
    if (this.kind === 'short') return parts.slice(1)
    if (this.kind === 'replays') {
      return [...parts].reverse()
    }
    return parts
  }
}

interface Outcome {
  readonly coordinator: Coordinator
  readonly events: readonly CoordinatorEvent[]
}

/** What a full list's parts come to. */
function joining(step: Coordinated): Coordinated {
  const [join] = eventsOf(step.events, 'join')
  if (join === undefined) return step
  const { task } = step.coordinator
  const joined = task.inputs.map((_, index) => joinParts(task, join.list, join.all, index))
  const next = partsJoined(step.coordinator, join.list, joined)
  return { coordinator: next.coordinator, events: [...step.events, ...next.events] }
}

/** One attempt: what a member says arrives in its order; whose word comes next is for `pick`; until nobody says more. */
function attempt(
  of: Federation,
  kinds: readonly Kind[],
  pick: (talking: number) => number,
): Outcome {
  const members = kinds.map((kind, index) => new Member(of, index, kind))
  const said: (() => Coordinated)[][] = members.map(() => [])
  const events: CoordinatorEvent[] = []
  let coordinator = beginCoordinating(of.task)
  const offer = (index: number) => {
    const made = members[index]?.offer()
    if (made !== undefined) said[index]?.push(() => offerArrived(coordinator, index, made))
  }
  for (const index of members.keys()) offer(index)
  for (;;) {
    const talking = said.filter(({ length }) => length > 0)
    const arrive = talking[pick(talking.length)]?.shift()
    if (arrive === undefined) return { coordinator, events }
    const step = joining(arrive())
    coordinator = step.coordinator
    events.push(...step.events)
    for (const { list } of eventsOf(step.events, 'ask')) {
      for (const { member: index } of list) {
        const parts = members[index]?.parts(list)
        if (parts !== undefined) said[index]?.push(() => partsArrived(coordinator, parts))
        offer(index)
      }
    }
  }
}

const inOrder = () => 0
const eventsOf = <K extends CoordinatorEvent['kind']>(
  events: readonly CoordinatorEvent[],
  kind: K,
) => events.filter((event): event is Extract<CoordinatorEvent, { kind: K }> => event.kind === kind)

function isWhole({ task }: Federation, { coordinator, events }: Outcome): boolean {
  const [signed] = eventsOf(events, 'signed')
  if (signed === undefined || coordinator.signatures === undefined) return false
  return task.inputs.every((input, index) => {
    const signatures = signed.signatures[index] ?? []
    const keys =
      input.path === 'key'
        ? [groupPublicKey(input.group)]
        : signed.members.map((member) => task.members[member] as Uint8Array)
    return (
      signatures.length === keys.length &&
      signatures.every((signature, at) =>
        schnorrVerify(keys[at] as Uint8Array, input.digest, signature),
      )
    )
  })
}

describe('signing together', () => {
  it('gives one 64-byte signature per output of the key, and t signatures where leaf A is the only way (PO-12)', () => {
    const outcome = attempt(FOUR, ['honest', 'honest', 'honest', 'honest'], inOrder)
    expect(isWhole(FOUR, outcome)).toBe(true)
    const [signed] = eventsOf(outcome.events, 'signed')
    expect(signed?.signatures.map((list) => list.map(({ length }) => length))).toEqual([
      [64],
      [64, 64, 64],
      [64],
    ])
    expect(signed?.members).toEqual([0, 1, 2])
  })

  it.each(KINDS)(
    'goes on without a member that is %s; only a liar is named, by his own signature',
    (kind) => {
      const outcome = attempt(FOUR, [kind, 'honest', 'honest', 'honest'], inOrder)
      expect(isWhole(FOUR, outcome)).toBe(true)
      const convicted = eventsOf(outcome.events, 'convicted')
      expect(convicted.map(({ member }) => member)).toEqual(LIARS.includes(kind) ? [0] : [])
      for (const { evidence } of convicted) expect(isConvicting(FOUR.task, evidence)).toBe(true)
    },
  )

  it('ends with signatures in at most (n − t + 1)² sessions of t members, whoever fails and whatever comes first (ROAST, 5.5)', () => {
    const faulty = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6], { maxLength: 2 })
    const kind = fc.constantFrom<Kind[]>(...KINDS)
    fc.assert(
      fc.property(
        faulty,
        kind,
        kind,
        fc.array(fc.nat({ max: 99 }), { minLength: 60, maxLength: 60 }),
        (who, one, other, numbers) => {
          const kinds: Kind[] = Array.from({ length: 7 }, (_, index) => {
            if (index === who[0]) return one
            return index === who[1] ? other : 'honest'
          })
          let next = 0
          const outcome = attempt(SEVEN, kinds, (talking) => {
            next += 1
            return (numbers[next % numbers.length] ?? 0) % talking
          })
          const asked = eventsOf(outcome.events, 'ask')
          const named = eventsOf(outcome.events, 'convicted')
          expect(isWhole(SEVEN, outcome)).toBe(true)
          expect(asked.length).toBeLessThanOrEqual(9)
          expect(asked.every(({ list }) => list.length === 5)).toBe(true)
          expect(named.every(({ member }) => LIARS.includes(kinds[member] as Kind))).toBe(true)
          // No offer is in two lists: nonces are used once.
          const offers = asked.flatMap(({ list }) => list.map(({ signature }) => toHex(signature)))
          expect(new Set(offers).size).toBe(offers.length)
        },
      ),
      { numRuns: 6, endOnFailure: true },
    )
  })

  it('is not possible for fewer than t members', () => {
    const outcome = attempt(FOUR, ['silent', 'silent', 'honest', 'honest'], inOrder)
    expect(eventsOf(outcome.events, 'ask')).toEqual([])
    expect(outcome.coordinator.signatures).toBeUndefined()
  })
})

describe('an offer', () => {
  const { task } = FOUR
  const member = new Member(FOUR, 1, 'honest')
  const offer = member.offer() as NonceOffer

  it('is bound to its attempt, its member and its number by the signature of its member (5.5)', () => {
    expect(offerFault(task, offer)).toBeUndefined()
    for (const other of [
      { ...task, attempt: 3 },
      { ...task, version: 1 },
      { ...task, batchId: task.genesisHash },
      { ...task, genesisHash: task.batchId },
      { ...task, inputs: task.inputs.with(1, { path: 'leaf', digest: task.batchId }) },
    ]) {
      expect(offerFault(other, offer)).toBe('NotSigned')
    }
    expect(offerFault(task, { ...offer, member: 2 })).toBe('NotSigned')
    expect(offerFault(task, { ...offer, serial: 1 })).toBe('NotSigned')
    expect(offerFault(task, { ...offer, serial: 2 ** 32 })).toBe('WrongSerial')
    expect(offerFault(task, { ...offer, serial: 0.5 })).toBe('WrongSerial')
    expect(offerFault(task, { ...offer, member: 9 })).toBe('StrangeMember')
    expect(offerFault(task, { ...offer, signature: new Uint8Array(3) })).toBe('NotSigned')
  })

  it('is not made with a share that is damaged: its parts would convict their member', () => {
    const { identity } = new Member(FOUR, 0, 'honest')
    const share = { signer: 1, secret: sha256(Buffer.from('damaged')) }
    const damaged = { ...identity, shares: new Map([[EPOCH, share]]) }
    expect(makeOffer(task, identity, 0, seeded('any'))).toBeDefined()
    expect(makeOffer(task, damaged, 0, seeded('any'))).toBeUndefined()
  })

  it('has one pair of points for each input of the key', () => {
    const { commitments } = offer
    expect(offerFault(task, { ...offer, commitments: commitments.slice(1) })).toBe(
      'WrongCommitments',
    )
    const off = [new Uint8Array(66).fill(0xff), ...commitments.slice(1)]
    expect(offerFault(task, { ...offer, commitments: off })).toBe('WrongCommitments')
    expect(
      offerFault(task, { ...offer, commitments: [new Uint8Array(3), ...commitments.slice(1)] }),
    ).toBe('WrongCommitments')
  })

  it('counts when it comes from its member, not when another passes it on', () => {
    const passedOn = offerArrived(beginCoordinating(task), 2, offer)
    expect(passedOn.events).toEqual([{ kind: 'ignored', member: 2, reason: 'OfferOfAnother' }])
    expect(passedOn.coordinator).toEqual(beginCoordinating(task))
  })

  it('counts once, and an older one not at all', () => {
    const first = offerArrived(beginCoordinating(task), 1, offer).coordinator
    expect(offerArrived(first, 1, offer).events).toEqual([
      { kind: 'ignored', member: 1, reason: 'OldOffer' },
    ])
  })
})

describe('parts', () => {
  const { task } = FOUR
  const members = [0, 1, 2].map((index) => new Member(FOUR, index, 'honest'))
  const list = members.map((member) => member.offer() as NonceOffer)
  const all = members.map((member) => member.parts(list) as SignedParts)

  it('are made once: the nonces are gone with the first (PO-13, 5.4)', () => {
    expect(members[0]?.parts.bind(members[0], list)).toThrow('cannot sign')
  })

  it('convict nobody who signed rightly, and nobody by words that he did not sign', () => {
    const [parts] = all as [SignedParts]
    expect(isConvicting(task, { list, parts })).toBe(false)
    const forged = { ...parts, parts: parts.parts.slice(1) }
    expect(partsFault(task, list, forged)).toBe('NotSigned')
    expect(isConvicting(task, { list, parts: forged })).toBe(false)
    const inputs = task.inputs.with(1, { path: 'leaf', digest: task.batchId } as const)
    for (const elsewhere of [
      { ...task, attempt: 3 },
      { ...task, inputs },
    ]) {
      expect(isConvicting(elsewhere, { list, parts })).toBe(false)
    }
  })

  it('convict nobody under a list that another coordinator made up around them', () => {
    const other = new Member(FOUR, 3, 'honest').offer() as NonceOffer
    const swapped = [list[0], list[1], other] as NonceOffer[]
    expect(partsFault(task, swapped, all[0] as SignedParts)).toBe('OtherList')
  })

  it('are asked for under exactly t offers, ascending, each good', () => {
    expect(listFault(task, list)).toBeUndefined()
    expect(listFault(task, list.slice(1))).toEqual({ code: 'WrongSize', size: 2 })
    expect(listFault(task, [...list].reverse())).toEqual({ code: 'NotAscending' })
    expect(listFault(task, [list[0], list[0], list[2]] as NonceOffer[])).toEqual({
      code: 'NotAscending',
    })
    const bad = { ...(list[2] as NonceOffer), signature: new Uint8Array(64) }
    expect(listFault(task, [list[0], list[1], bad] as NonceOffer[])).toEqual({
      code: 'NotSigned',
      member: 2,
    })
  })

  it('are named by a list that changes with every offer in it', () => {
    const other = new Member(FOUR, 3, 'honest').offer() as NonceOffer
    expect(toHex(listHash(task, list))).not.toBe(
      toHex(listHash(task, [list[0], list[1], other] as NonceOffer[])),
    )
  })

  it('count once, for a list that was asked for, and not after the end', () => {
    const begun = list.reduce(
      (now, offer) => offerArrived(now, offer.member, offer).coordinator,
      beginCoordinating(task),
    )
    const [first, second, third] = all as [SignedParts, SignedParts, SignedParts]
    const one = partsArrived(begun, first).coordinator
    expect(partsArrived(one, first).events).toEqual([
      { kind: 'ignored', member: 0, reason: 'Twice' },
    ])
    const strange = { ...second, listHash: task.batchId }
    expect(partsArrived(one, strange).events).toEqual([
      { kind: 'ignored', member: 1, reason: 'NoSuchList' },
    ])
    const ended = [second, third].reduce(
      (now, parts) => joining(partsArrived(now, parts)).coordinator,
      one,
    )
    expect(ended.signatures).toBeDefined()
    expect(partsArrived(ended, first).events).toEqual([
      { kind: 'ignored', member: 0, reason: 'Signed' },
    ])
  })
})
