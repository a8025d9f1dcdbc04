/**
 * Signing together in two rounds (protocol §5.4, §5.5): each of exactly t members offers nonce commitments, one pair per input that is
 * spent by the key; whoever coordinates fixes the list of t offers; each of the t gives one part per input under that list: a share of the
 * key's signature, or a signature of its own where the output has no key that anybody holds (leaf A). Offers and parts carry the
 * signature of their member's own key, so that parts which are wrong under their list convict their member before everybody,
 * and nobody is convicted by what somebody else says.
 */
import {
  addToShare,
  aggregateShares,
  commitNonces,
  concatBytes,
  equalBytes,
  type GroupKey,
  groupPublicKey,
  isPoint,
  isShareOf,
  isSignatureShare,
  type KeyShare,
  type NonceCommitment,
  type Random,
  type SigningNonces,
  schnorrSign,
  schnorrVerify,
  sha256,
  signShare,
  taggedHash,
  uint32be,
  uint64be,
} from '../../crypto/index.ts'

/** One attempt at one version of a batch. */
export interface SigningTask {
  readonly genesisHash: Uint8Array
  readonly batchId: Uint8Array
  readonly version: number
  readonly attempt: number
  /** How many members sign. */
  readonly threshold: number
  /** Their own BIP340 keys, by index. A member's number in FROST is its index + 1. */
  readonly members: readonly Uint8Array[]
  readonly inputs: readonly InputTask[]
}

/** What one input wants: `digest` is BIP341's hash of 32 bytes, of the key path or of leaf A. */
export type InputTask =
  | { readonly path: 'leaf'; readonly digest: Uint8Array }
  | {
      readonly path: 'key'
      readonly digest: Uint8Array
      readonly epoch: number
      /** From the epoch's key to the output's: what each scalar is added to. */
      readonly steps: readonly { readonly group: GroupKey; readonly scalar: Uint8Array }[]
      /** Of the output. */
      readonly group: GroupKey
    }

/** "These are my nonces for this attempt." */
export interface NonceOffer {
  readonly member: number
  /** Counts a member's offers in an attempt. */
  readonly serial: number
  /** By input of the key path, in input order: hiding and binding point, 33 bytes each. */
  readonly commitments: readonly Uint8Array[]
  /** 64 bytes, by the member's own key. */
  readonly signature: Uint8Array
}

/** Whose offer or parts are made: its index, its own BIP340 key, its shares of the keys that it has one of. */
export interface SigningMember {
  readonly index: number
  readonly secretKey: Uint8Array
  /** By epoch. */
  readonly shares: ReadonlyMap<number, KeyShare>
}

/** The members that sign, ascending. */
export type SigningList = readonly NonceOffer[]

/** A member's parts: by input, a share of 32 bytes or a signature of 64. */
export interface SignedParts {
  readonly member: number
  /** Of the list that they are under. */
  readonly listHash: Uint8Array
  readonly parts: readonly Uint8Array[]
  /** 64 bytes, by the member's own key. */
  readonly signature: Uint8Array
}

/** That a member's parts are wrong under their list: whoever has the task can check it (`isConvicting`). */
export interface PartsEvidence {
  readonly list: SigningList
  readonly parts: SignedParts
}

export type OfferFault =
  /** Of nobody who is a member, or who has a share of every key that is taken. */
  | 'StrangeMember'
  | 'WrongSerial'
  /** Not a pair of points for each input of the key. */
  | 'WrongCommitments'
  /** Not by the member's own key, for this task. */
  | 'NotSigned'
export type ListFault =
  | { readonly code: 'WrongSize'; readonly size: number }
  | { readonly code: 'NotAscending' }
  | { readonly code: OfferFault; readonly member: number }
export type PartsFault =
  /** Its offer is not in the list. */
  | 'StrangeMember'
  /** They are under another list. */
  | 'OtherList'
  /** Not by the member's own key. */
  | 'NotSigned'

/** What is signed has four bytes for it. */
const MAX_SERIAL = 0xffff_ffff

const POINT_BYTES = 33
const PAIR_BYTES = 2 * POINT_BYTES
const SHARE_BYTES = 32
const SIGNATURE_BYTES = 64

export const signerOf = (member: number): number => member + 1

/** Whether a member takes part: it holds a share of every key of the task. */
export function canSign({ inputs, members }: SigningTask, member: number): boolean {
  if (members[member] === undefined) return false
  return inputs.every(
    (input) => input.path === 'leaf' || input.group.verifyingShares.has(signerOf(member)),
  )
}

/** What a member keeps while its offer is open, in memory only: by input of the key path. `signMyParts` wipes it. */
export type OfferNonces = readonly SigningNonces[]

/** An offer with fresh nonces; undefined: the member lacks a share, or what it holds is none: signing with that would convict it. */
export function makeOffer(
  task: SigningTask,
  member: SigningMember,
  serial: number,
  random: Random,
): { readonly offer: NonceOffer; readonly nonces: OfferNonces } | undefined {
  if (!holdsShares(task, member)) return undefined
  const made: ReturnType<typeof commitNonces>[] = []
  for (const input of task.inputs) {
    if (input.path === 'leaf') continue
    const share = member.shares.get(input.epoch)
    if (share === undefined) return undefined
    made.push(commitNonces(share, random))
  }
  const commitments = made.map(({ commitment }) =>
    concatBytes(commitment.hiding, commitment.binding),
  )
  const unsigned = { member: member.index, serial, commitments }
  const signature = schnorrSign(member.secretKey, offerHash(task, unsigned), random(32))
  return { offer: { ...unsigned, signature }, nonces: made.map(({ nonces }) => nonces) }
}

/** Whether a member holds its share of every key that the task takes. */
function holdsShares({ inputs }: SigningTask, { shares }: SigningMember): boolean {
  const looked = new Set<number>()
  return inputs.every((input) => {
    if (input.path === 'leaf' || looked.has(input.epoch)) return true
    looked.add(input.epoch)
    const share = shares.get(input.epoch)
    const { group } = input.steps[0] ?? input
    return share !== undefined && isShareOf(group, share)
  })
}

/** What is wrong with an offer by itself; undefined when nothing is. */
export function offerFault(task: SigningTask, offer: NonceOffer): OfferFault | undefined {
  const key = task.members[offer.member]
  if (key === undefined || !canSign(task, offer.member)) return 'StrangeMember'
  if (!Number.isInteger(offer.serial) || offer.serial < 0 || offer.serial > MAX_SERIAL) {
    return 'WrongSerial'
  }
  const wanted = task.inputs.filter(({ path }) => path === 'key').length
  const isWhole =
    offer.commitments.length === wanted &&
    offer.commitments.every((pair) => pair.length === PAIR_BYTES && isPair(pair))
  if (!isWhole) return 'WrongCommitments'
  const isSigned =
    offer.signature.length === SIGNATURE_BYTES &&
    schnorrVerify(key, offerHash(task, offer), offer.signature)
  return isSigned ? undefined : 'NotSigned'
}

function isPair(pair: Uint8Array): boolean {
  return isPoint(pair.slice(0, POINT_BYTES)) && isPoint(pair.slice(POINT_BYTES))
}

/** What is wrong with a list; undefined: exactly t offers of different members, each good. */
export function listFault(task: SigningTask, list: SigningList): ListFault | undefined {
  if (list.length !== task.threshold) return { code: 'WrongSize', size: list.length }
  const isAscending = list.every(({ member }, at) => member > (list[at - 1]?.member ?? -1))
  if (!isAscending) return { code: 'NotAscending' }
  for (const offer of list) {
    const code = offerFault(task, offer)
    if (code !== undefined) return { code, member: offer.member }
  }
  return undefined
}

/**
 * A member's parts under a list without fault that holds its own offer; the nonces are used up. Undefined when they are not those of
 * the list or were used before.
 */
export function signMyParts(
  task: SigningTask,
  member: SigningMember,
  nonces: OfferNonces,
  list: SigningList,
  random: Random,
): SignedParts | undefined {
  const parts: Uint8Array[] = []
  let next = 0
  for (const input of task.inputs) {
    if (input.path === 'leaf') {
      parts.push(schnorrSign(member.secretKey, input.digest, random(32)))
      continue
    }
    const mine = nonces[next]
    const held = member.shares.get(input.epoch)
    if (mine === undefined || held === undefined) return undefined
    const commitments = commitmentsAt(list, next)
    const share = input.steps.reduce((of, { group, scalar }) => addToShare(group, of, scalar), held)
    const signed = signShare(input.group, share, mine, commitments, input.digest)
    if (!signed.ok) return undefined
    parts.push(signed.share)
    next += 1
  }
  return sealParts(task, member, list, parts, random)
}

/** A member's word that these are its parts under a list. */
export function sealParts(
  task: SigningTask,
  member: SigningMember,
  list: SigningList,
  parts: readonly Uint8Array[],
  random: Random,
): SignedParts {
  const hash = listHash(task, list)
  const signature = schnorrSign(member.secretKey, partsHash(hash, parts), random(32))
  return { member: member.index, listHash: hash, parts, signature }
}

/** What makes parts no word of their member at all; undefined when they are, right or wrong. */
export function partsFault(
  task: SigningTask,
  list: SigningList,
  parts: SignedParts,
): PartsFault | undefined {
  const key = task.members[parts.member]
  if (key === undefined || !list.some(({ member }) => member === parts.member)) {
    return 'StrangeMember'
  }
  if (!equalBytes(parts.listHash, listHash(task, list))) return 'OtherList'
  const isSigned =
    parts.signature.length === SIGNATURE_BYTES &&
    schnorrVerify(key, partsHash(parts.listHash, parts.parts), parts.signature)
  return isSigned ? undefined : 'NotSigned'
}

export type Joined =
  /** One signature of the key, or the members' own, in list order: 64 bytes each. */
  | { readonly ok: true; readonly signatures: readonly Uint8Array[] }
  /** Members whose part is wrong under the list. */
  | { readonly ok: false; readonly culprits: readonly number[] }

/**
 * Everybody's parts for one input become what its witness takes. Of shares it is their sum that is checked, each singly only where that
 * is wrong. `all` is in list order, without fault.
 */
export function joinParts(
  task: SigningTask,
  list: SigningList,
  all: readonly SignedParts[],
  index: number,
): Joined {
  const given = all.map((one) => ({ member: one.member, part: partAt(task, one, index) }))
  const input = task.inputs[index]
  if (input === undefined) throw new RangeError(`no input ${index}`)
  if (input.path === 'key') {
    const shares = new Map(
      given.flatMap(({ member, part }) => (part ? [[signerOf(member), part] as const] : [])),
    )
    const commitments = commitmentsAt(list, keyInputsBefore(task, index))
    const sum = aggregateShares(input.group, commitments, input.digest, shares)
    if (sum.ok) return { ok: true, signatures: [sum.signature] }
  }
  const culprits = given.filter(({ member, part }) => !isPart(task, list, index, member, part))
  if (culprits.length > 0) return { ok: false, culprits: culprits.map(({ member }) => member) }
  // Right shares have a right sum (RFC 9591): only a leaf comes here.
  return { ok: true, signatures: given.map(({ part }) => part as Uint8Array) }
}

/** `joinParts` for each input. */
export function joinAllParts(
  task: SigningTask,
  list: SigningList,
  all: readonly SignedParts[],
): readonly Joined[] {
  return task.inputs.map((_, index) => joinParts(task, list, all, index))
}

/** A member's part for an input, where it gave as many parts as there are inputs. */
function partAt({ inputs }: SigningTask, { parts }: SignedParts, index: number) {
  return parts.length === inputs.length ? parts[index] : undefined
}

/** Whether evidence convicts its member: it signed parts, and they are wrong under a list whose every offer is signed. */
export function isConvicting(task: SigningTask, { list, parts }: PartsEvidence): boolean {
  // Cheap before dear: false evidence costs whoever looks at it one signature.
  if (partsFault(task, list, parts) !== undefined || listFault(task, list) !== undefined) {
    return false
  }
  return task.inputs.some((_, index) => {
    return !isPart(task, list, index, parts.member, partAt(task, parts, index))
  })
}

function isPart(
  task: SigningTask,
  list: SigningList,
  index: number,
  member: number,
  part: Uint8Array | undefined,
): boolean {
  const input = task.inputs[index]
  const key = task.members[member]
  if (input === undefined || key === undefined || part === undefined) return false
  if (input.path === 'leaf') {
    return part.length === SIGNATURE_BYTES && schnorrVerify(key, input.digest, part)
  }
  if (part.length !== SHARE_BYTES) return false
  const commitments = commitmentsAt(list, keyInputsBefore(task, index))
  return isSignatureShare(input.group, commitments, input.digest, signerOf(member), part)
}

function keyInputsBefore({ inputs }: SigningTask, index: number): number {
  return inputs.slice(0, index).filter(({ path }) => path === 'key').length
}

/** The commitments of all members for the `at`-th input of the key path. */
function commitmentsAt(list: SigningList, at: number): NonceCommitment[] {
  return list.map(({ member, commitments }) => {
    const pair = commitments[at] as Uint8Array
    const [hiding, binding] = [pair.slice(0, POINT_BYTES), pair.slice(POINT_BYTES)]
    return { signer: signerOf(member), hiding, binding }
  })
}

/** All that is signed for: a word given for one task says nothing of another. */
function taskHash({ genesisHash, batchId, version, attempt, inputs }: SigningTask): Uint8Array {
  const wanted = inputs.map((input) =>
    input.path === 'leaf'
      ? concatBytes(Uint8Array.of(0), input.digest)
      : concatBytes(
          Uint8Array.of(1),
          input.digest,
          uint64be(input.epoch),
          groupPublicKey(input.group),
        ),
  )
  const id = concatBytes(genesisHash, batchId, uint32be(version), uint32be(attempt))
  return taggedHash('millrace/signing-task', id, ...wanted)
}

function offerHash(
  task: SigningTask,
  { member, serial, commitments }: Omit<NonceOffer, 'signature'>,
): Uint8Array {
  return taggedHash(
    'millrace/nonce-offer',
    taskHash(task),
    uint32be(member),
    uint32be(serial),
    ...commitments,
  )
}

/** 32 bytes that name a list: who signs, with which nonces, in which attempt. */
export function listHash(task: SigningTask, list: SigningList): Uint8Array {
  const offers = list.map(({ member, serial, commitments }) =>
    concatBytes(uint32be(member), uint32be(serial), sha256(...commitments)),
  )
  return taggedHash('millrace/signing-list', taskHash(task), ...offers)
}

/** What a member signs with its own key to say that these are its parts under a list. 32 bytes. */
export function partsHash(hash: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const sized = parts.flatMap((part) => [uint32be(part.length), part])
  return taggedHash('millrace/signature-parts', hash, ...sized)
}
