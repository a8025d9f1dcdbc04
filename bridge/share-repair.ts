/**
 * A member's lost share of the federation's key, made again by t others (N6, protocol §5.1, §5.8), by files that go from hand to hand: the
 * member asks; each helper splits its part into summands for the helpers; each helper adds up what it got; the member adds up that, and
 * holds its share again. Every secret number is sealed to its reader's own BIP340 key, every file is signed by its writer's, and every
 * number is checked against points that follow from the key in the ledger: who gives a wrong one is named. Pure. Kept invariant: nobody
 * but the asking member learns its share, nobody learns another's, and no function takes the secrets of two.
 */
import { z } from 'zod'
import { err, type Genesis, ok, type Result } from '../core/params/index.ts'
import {
  commitToSummand,
  concatBytes,
  equalBytes,
  groupKeyFrom,
  hexBytes,
  isRepairSplit,
  isShareOf,
  isSumOf,
  type KeyShare,
  openBytes,
  type Random,
  type SealedBytes,
  schnorrSign,
  schnorrVerify,
  sealBytes,
  splitForRepair,
  sumForRepair,
  taggedHash,
  toHex,
  uint32be,
  uint64be,
} from '../crypto/index.ts'
import type { EpochKey } from './reserve-file.ts'

/** Who does something here: its place in the genesis file, and its own BIP340 key. */
export interface RepairMember {
  readonly index: number
  readonly secretKey: Uint8Array
}

/** "I lost my share of this key; these members are to help." */
export interface RepairAsk {
  readonly kind: 'ask'
  readonly epoch: number
  readonly sessionId: Uint8Array
  readonly commitments: readonly Uint8Array[]
  /** Members by index, as everywhere outside FROST. */
  readonly lost: number
  /** t of them, ascending. */
  readonly helpers: readonly number[]
  /** 32 bytes that no other ask has. */
  readonly nonce: Uint8Array
  /** By the lost member's own key. */
  readonly signature: Uint8Array
}

export interface SealedSummand extends SealedBytes {
  readonly to: number
  /** The summand's point. */
  readonly commitment: Uint8Array
}

/** A helper's part, in summands, one for each helper in order, itself included. */
export interface RepairPart {
  readonly kind: 'part'
  readonly askId: Uint8Array
  readonly from: number
  readonly summands: readonly SealedSummand[]
  readonly signature: Uint8Array
}

/** What a helper added up, for the member that asks. */
export interface RepairSum {
  readonly kind: 'sum'
  readonly askId: Uint8Array
  readonly from: number
  /** Of the parts that it is made of. */
  readonly partsHash: Uint8Array
  readonly sealed: SealedBytes
  readonly signature: Uint8Array
}

export type RepairFile = RepairAsk | RepairPart | RepairSum

export type RepairFault =
  | { readonly code: 'RepairFileMalformed'; readonly reason: string }
  | { readonly code: 'RepairAskWrong'; readonly reason: string }
  /** By its writer's own key, over this ask. */
  | { readonly code: 'RepairNotSigned'; readonly member: number }
  | { readonly code: 'RepairOfAnotherAsk'; readonly member: number }
  | { readonly code: 'NotAHelper'; readonly member: number }
  /** The helper holds no share of the key that the ask names, or one of another key. */
  | { readonly code: 'ShareOfAnotherKey' }
  | { readonly code: 'PartsMissing'; readonly members: readonly number[] }
  | { readonly code: 'SumsMissing'; readonly members: readonly number[] }
  /** This member gave what does not follow from its share. */
  | { readonly code: 'WrongPart'; readonly member: number }
  | { readonly code: 'WrongSum'; readonly member: number }
  /** The helpers added up different parts: one of them made its part twice. */
  | { readonly code: 'OtherParts'; readonly member: number }

const NOTHING = new Uint8Array(0)
const STEP = { summand: 1, sum: 2 } as const

const signerOf = (member: number): number => member + 1

/** A repair's name, under which everything else stands. */
export function repairId(genesis: Genesis, ask: RepairAsk): Uint8Array {
  const { commitments, epoch, helpers, lost, nonce, sessionId } = ask
  return taggedHash(
    'millrace/share-repair',
    genesis.hash,
    uint64be(epoch),
    sessionId,
    uint32be(commitments.length),
    ...commitments,
    uint32be(lost),
    uint32be(helpers.length),
    ...helpers.map(uint32be),
    nonce,
  )
}

const askMessage = (id: Uint8Array) => taggedHash('millrace/share-repair-ask', id)

function partMessage({ askId, from, summands }: Omit<RepairPart, 'signature'>): Uint8Array {
  const rows = summands.map(({ ciphertext, commitment, ephemeral, to }) =>
    concatBytes(uint32be(to), commitment, ephemeral, ciphertext),
  )
  return taggedHash('millrace/share-repair-part', askId, uint32be(from), ...rows)
}

function sumMessage({ askId, from, partsHash, sealed }: Omit<RepairSum, 'signature'>): Uint8Array {
  const { ciphertext, ephemeral } = sealed
  const tag = 'millrace/share-repair-sum'
  return taggedHash(tag, askId, uint32be(from), partsHash, ephemeral, ciphertext)
}

/** What a sealed number is for: it opens as nothing else. */
function contextOf(askId: Uint8Array, step: number, from: number, to: number): Uint8Array {
  return concatBytes(askId, Uint8Array.of(step), uint32be(from), uint32be(to))
}

export function askForRepair(
  genesis: Genesis,
  member: RepairMember,
  { commitments, epoch, sessionId, signers }: EpochKey,
  helpers: readonly number[],
  random: Random,
): Result<RepairAsk, RepairFault> {
  const ask: RepairAsk = {
    kind: 'ask',
    epoch,
    sessionId,
    commitments,
    lost: member.index,
    helpers: [...helpers].sort((left, right) => left - right),
    nonce: Uint8Array.from(random(32)),
    signature: NOTHING,
  }
  const stranger = [member.index, ...helpers].find((one) => !signers.includes(signerOf(one)))
  if (stranger !== undefined) {
    return wrongAsk(`member ${stranger} never had a share of the key of epoch ${epoch}`)
  }
  const reason = termsFault(genesis, ask)
  if (reason !== undefined) return wrongAsk(reason)
  const message = askMessage(repairId(genesis, ask))
  return ok({ ...ask, signature: schnorrSign(member.secretKey, message, random(32)) })
}

function wrongAsk(reason: string): Result<never, RepairFault> {
  return err({ code: 'RepairAskWrong', reason })
}

/** Why an ask is none, whoever signed it. */
function termsFault(genesis: Genesis, ask: RepairAsk): string | undefined {
  const { commitments, helpers, lost } = ask
  const { memberThreshold, members } = genesis
  if (helpers.length !== memberThreshold) return `it takes ${memberThreshold} helpers`
  if (helpers.some((one, at) => at > 0 && one <= (helpers[at - 1] as number))) {
    return 'the helpers are different members, in ascending order'
  }
  if (helpers.includes(lost)) return 'who lost its share cannot help itself'
  if ([lost, ...helpers].some((one) => members[one] === undefined)) return 'no such member'
  if (commitments.length !== memberThreshold) return 'the key is of another threshold'
  try {
    groupKeyFrom(commitments, [signerOf(lost)])
  } catch {
    return 'the commitments are no key'
  }
  return undefined
}

/** Undefined: the lost member itself asks, for what can be done. */
export function askFault(genesis: Genesis, ask: RepairAsk): RepairFault | undefined {
  const reason = termsFault(genesis, ask)
  if (reason !== undefined) return { code: 'RepairAskWrong', reason }
  const key = keyOf(genesis, ask.lost)
  const isSigned = schnorrVerify(key, askMessage(repairId(genesis, ask)), ask.signature)
  return isSigned ? undefined : { code: 'RepairNotSigned', member: ask.lost }
}

function keyOf({ members }: Genesis, member: number): Uint8Array {
  return members[member]?.schnorrKey ?? NOTHING
}

/** At a helper, first: its part. `held` is its share and the key that it is of. */
export function helpToRepair(
  genesis: Genesis,
  member: RepairMember,
  ask: RepairAsk,
  held: {
    readonly sessionId: Uint8Array
    readonly commitments: readonly Uint8Array[]
    readonly share: KeyShare
  },
  random: Random,
): Result<RepairPart, RepairFault> {
  const fault = askFault(genesis, ask)
  if (fault !== undefined) return err(fault)
  if (!ask.helpers.includes(member.index)) return err({ code: 'NotAHelper', member: member.index })
  const isSameKey =
    equalBytes(held.sessionId, ask.sessionId) &&
    equalBytes(concatBytes(...held.commitments), concatBytes(...ask.commitments)) &&
    held.share.signer === signerOf(member.index) &&
    isShareOf(groupKeyFrom(ask.commitments, []), held.share)
  if (!isSameKey) return err({ code: 'ShareOfAnotherKey' })
  const signers = ask.helpers.map(signerOf)
  const split = splitForRepair(held.share, signers, signerOf(ask.lost), random)
  const askId = repairId(genesis, ask)
  const summands = ask.helpers.map((to) => {
    const summand = split.get(signerOf(to)) as Uint8Array
    const context = contextOf(askId, STEP.summand, member.index, to)
    const commitment = commitToSummand(summand)
    if (commitment === undefined) throw new Error('a summand is 0')
    return { to, commitment, ...sealBytes(keyOf(genesis, to), context, summand, random) }
  })
  const part = { kind: 'part', askId, from: member.index, summands } as const
  const signature = schnorrSign(member.secretKey, partMessage(part), random(32))
  return ok({ ...part, signature })
}

/** The parts of all helpers in their order, each checked by itself; or who is missing, or gave a wrong one. */
function checkedParts(
  genesis: Genesis,
  ask: RepairAsk,
  parts: readonly RepairPart[],
): Result<readonly RepairPart[], RepairFault> {
  const askId = repairId(genesis, ask)
  for (const part of parts) {
    const { from: member } = part
    if (!equalBytes(part.askId, askId)) return err({ code: 'RepairOfAnotherAsk', member })
    if (!ask.helpers.includes(member)) return err({ code: 'NotAHelper', member })
    if (!schnorrVerify(keyOf(genesis, member), partMessage(part), part.signature)) {
      return err({ code: 'RepairNotSigned', member })
    }
    const isForAll =
      part.summands.length === ask.helpers.length &&
      part.summands.every(({ to }, at) => to === ask.helpers[at])
    const isRight =
      isForAll &&
      isRepairSplit(
        ask.commitments,
        signerOf(member),
        ask.helpers.map(signerOf),
        signerOf(ask.lost),
        part.summands.map(({ commitment }) => commitment),
      )
    if (!isRight) return err({ code: 'WrongPart', member })
  }
  const missing = ask.helpers.filter((helper) => !parts.some(({ from }) => from === helper))
  if (missing.length > 0) return err({ code: 'PartsMissing', members: missing })
  const ordered = ask.helpers.map((helper) => parts.find(({ from }) => from === helper))
  return ok(ordered as readonly RepairPart[])
}

function hashOfParts(parts: readonly RepairPart[]): Uint8Array {
  return taggedHash('millrace/share-repair-parts', ...parts.map(partMessage))
}

/** At a helper, second: the sum of what all helpers have for it. */
export function sumRepair(
  genesis: Genesis,
  member: RepairMember,
  ask: RepairAsk,
  parts: readonly RepairPart[],
  random: Random,
): Result<RepairSum, RepairFault> {
  const fault = askFault(genesis, ask)
  if (fault !== undefined) return err(fault)
  if (!ask.helpers.includes(member.index)) return err({ code: 'NotAHelper', member: member.index })
  const checked = checkedParts(genesis, ask, parts)
  if (!checked.ok) return checked
  const askId = repairId(genesis, ask)
  const opened: Uint8Array[] = []
  for (const { from, summands } of checked.value) {
    const sealed = summands.find(({ to }) => to === member.index) as SealedSummand
    const context = contextOf(askId, STEP.summand, from, member.index)
    const summand = openBytes(member.secretKey, context, sealed)
    const commitment = summand && commitToSummand(summand)
    if (commitment === undefined || !equalBytes(commitment, sealed.commitment)) {
      return err({ code: 'WrongPart', member: from })
    }
    opened.push(summand as Uint8Array)
  }
  const sum = sumForRepair(opened)
  if (sum === undefined) throw new Error('a summand with a point is no scalar')
  const context = contextOf(askId, STEP.sum, member.index, ask.lost)
  const unsigned = {
    kind: 'sum',
    askId,
    from: member.index,
    partsHash: hashOfParts(checked.value),
    sealed: sealBytes(keyOf(genesis, ask.lost), context, sum, random),
  } as const
  const signature = schnorrSign(member.secretKey, sumMessage(unsigned), random(32))
  return ok({ ...unsigned, signature })
}

/** At the member that lost it: its share. */
export function takeRepaired(
  genesis: Genesis,
  member: RepairMember,
  ask: RepairAsk,
  parts: readonly RepairPart[],
  sums: readonly RepairSum[],
): Result<KeyShare, RepairFault> {
  const fault = askFault(genesis, ask)
  if (fault !== undefined) return err(fault)
  if (member.index !== ask.lost) {
    return wrongAsk(`it is member ${ask.lost} that asked`)
  }
  const checked = checkedParts(genesis, ask, parts)
  if (!checked.ok) return checked
  const askId = repairId(genesis, ask)
  const partsHash = hashOfParts(checked.value)
  const opened: Uint8Array[] = []
  for (const [at, helper] of ask.helpers.entries()) {
    const sum = sums.find(({ from }) => from === helper)
    if (sum === undefined) {
      const missing = ask.helpers.filter((one) => !sums.some(({ from }) => from === one))
      return err({ code: 'SumsMissing', members: missing })
    }
    if (!equalBytes(sum.askId, askId)) return err({ code: 'RepairOfAnotherAsk', member: helper })
    if (!schnorrVerify(keyOf(genesis, helper), sumMessage(sum), sum.signature)) {
      return err({ code: 'RepairNotSigned', member: helper })
    }
    if (!equalBytes(sum.partsHash, partsHash)) return err({ code: 'OtherParts', member: helper })
    const context = contextOf(askId, STEP.sum, helper, member.index)
    const secret = openBytes(member.secretKey, context, sum.sealed)
    const points = checked.value.map(({ summands }) => summands[at]?.commitment ?? NOTHING)
    if (secret === undefined || !isSumOf(secret, points)) {
      return err({ code: 'WrongSum', member: helper })
    }
    opened.push(secret)
  }
  const secret = sumForRepair(opened)
  const share = { signer: signerOf(member.index), secret: secret ?? NOTHING }
  if (!isShareOf(groupKeyFrom(ask.commitments, []), share)) {
    throw new Error('right sums of right parts are no share')
  }
  return ok(share)
}

const bytes = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${2 * length}}$`), `expected ${length} bytes in hex`)
    .transform(hexBytes)
const member = z.number().int().min(0).max(65_535)
const MOST = 128
const sealedFields = { ephemeral: bytes(33), ciphertext: bytes(32) }
const partSchema = z.strictObject({
  kind: z.literal('part'),
  askId: bytes(32),
  from: member,
  summands: z
    .array(z.strictObject({ to: member, commitment: bytes(33), ...sealedFields }))
    .max(MOST),
  signature: bytes(64),
})
const fileSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('ask'),
    epoch: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
    sessionId: bytes(32),
    commitments: z.array(bytes(33)).max(MOST),
    lost: member,
    helpers: z.array(member).max(MOST),
    nonce: bytes(32),
    signature: bytes(64),
  }),
  partSchema,
  z.strictObject({
    kind: z.literal('sum'),
    askId: bytes(32),
    from: member,
    partsHash: bytes(32),
    sealed: z.strictObject(sealedFields),
    signature: bytes(64),
  }),
])

/** Total. */
export function readRepairFile(value: unknown): Result<RepairFile, RepairFault> {
  const parsed = fileSchema.safeParse(value)
  if (parsed.success) return ok(parsed.data)
  const [issue] = parsed.error.issues
  const reason = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`
  return err({ code: 'RepairFileMalformed', reason })
}

/** As JSON: bytes in hex. */
export function repairJson(file: RepairFile): unknown {
  return JSON.parse(
    JSON.stringify(file, (_, value: unknown) => {
      return value instanceof Uint8Array ? toHex(value) : value
    }),
  )
}
