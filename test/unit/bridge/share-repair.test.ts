import {
  askFault,
  askForRepair,
  type EpochKey,
  helpToRepair,
  type RepairAsk,
  type RepairFile,
  type RepairPart,
  type RepairSum,
  readRepairFile,
  repairJson,
  type SealedSummand,
  sumRepair,
  takeRepaired,
} from '../../../bridge/index.ts'
import type { Result } from '../../../core/params/index.ts'
import {
  aggregateShares,
  commitNonces,
  concatBytes,
  groupKeyFrom,
  groupPublicKey,
  isShareOf,
  type KeyShare,
  schnorrSign,
  schnorrVerify,
  signShare,
  taggedHash,
  toHex,
  uint32be,
} from '../../../crypto/index.ts'
import { Ceremony, EPOCH, randomOf } from '../core/keygen/ceremony.ts'
import { seeded, testGenesis } from '../core/peg/world.ts'

const genesis = testGenesis()
const ceremony = new Ceremony(genesis)
ceremony.toConfirmations()
const shares: readonly KeyShare[] = [1, 2, 3, 4].map((signer) => ceremony.keyShare(signer))
ceremony.all((signer) => ceremony.confirmation(signer, shares[signer - 1]))
const made = ceremony.key
if (made === undefined) throw new Error('no key')
const key: EpochKey = { ...made, epoch: EPOCH }
const group = groupKeyFrom(key.commitments, key.signers)

const memberOf = (index: number) => ({ index, secretKey: seeded(`schnorr ${index}`) })
const heldBy = (index: number) => ({
  sessionId: key.sessionId,
  commitments: key.commitments,
  share: shares[index] as KeyShare,
})

function must<T>(result: Result<T, { readonly code: string }>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

/** As it is after it was a file. */
function sent<T extends RepairFile>(file: T): T {
  return must(readRepairFile(JSON.parse(JSON.stringify(repairJson(file))))) as T
}

const ask = (lost: number, helpers: readonly number[], name = 'ask') =>
  sent(must(askForRepair(genesis, memberOf(lost), key, helpers, randomOf(name))))
const help = (asked: RepairAsk, index: number, name = 'help') =>
  helpToRepair(genesis, memberOf(index), asked, heldBy(index), randomOf(`${name} ${index}`))
const partsOf = (asked: RepairAsk) => asked.helpers.map((one) => sent(must(help(asked, one))))
const sum = (asked: RepairAsk, index: number, parts: readonly RepairPart[]) =>
  sumRepair(genesis, memberOf(index), asked, parts, randomOf(`sum ${index}`))
const sumsOf = (asked: RepairAsk, parts: readonly RepairPart[]) =>
  asked.helpers.map((one) => sent(must(sum(asked, one, parts))))
const take = (asked: RepairAsk, parts: readonly RepairPart[], sums: readonly RepairSum[]) =>
  takeRepaired(genesis, memberOf(asked.lost), asked, parts, sums)

const first = ask(2, [0, 1, 3])
const parts = partsOf(first)
const sums = sumsOf(first, parts)
/** What a member signs about its part and its sum, written down once more. */
function partSignedBy(index: number, part: RepairPart): RepairPart {
  const rows = part.summands.map(({ ciphertext, commitment, ephemeral, to }) =>
    concatBytes(uint32be(to), commitment, ephemeral, ciphertext),
  )
  const tag = 'millrace/share-repair-part'
  const message = taggedHash(tag, part.askId, uint32be(index), ...rows)
  return { ...part, signature: schnorrSign(memberOf(index).secretKey, message, seeded('a')) }
}

function sumSignedBy(index: number, sum: RepairSum): RepairSum {
  const { ciphertext, ephemeral } = sum.sealed
  const rows = [uint32be(index), sum.partsHash, ephemeral, ciphertext]
  const message = taggedHash('millrace/share-repair-sum', sum.askId, ...rows)
  return { ...sum, signature: schnorrSign(memberOf(index).secretKey, message, seeded('a')) }
}

const codeOf = (result: Result<unknown, { readonly code: string }>) =>
  result.ok ? undefined : result.error

describe('a lost share, made again by t others (N6)', () => {
  it.each([
    [0, [1, 2, 3]],
    [1, [0, 2, 3]],
    [2, [3, 1, 0]],
    [3, [0, 1, 2]],
  ] as const)('of member %p, by %p, is the one that was lost', (lost, helpers) => {
    const asked = ask(lost, helpers)
    const all = partsOf(asked)
    const share = must(take(asked, all, sumsOf(asked, all)))
    expect(share).toEqual(shares[lost])
    expect(isShareOf(group, share)).toBe(true)
  })

  it('signs as it did before', () => {
    const repaired = must(take(first, parts, sums))
    const signers = [shares[0] as KeyShare, shares[1] as KeyShare, repaired]
    const message = seeded('message')
    const made = signers.map((share) => commitNonces(share, randomOf(`nonce ${share.signer}`)))
    const list = made.map(({ commitment }) => commitment)
    const signed = signers.map((share, at) => {
      const nonces = made[at]?.nonces
      const result = nonces && signShare(group, share, nonces, list, message)
      if (!result?.ok) throw new Error('not signed')
      return [share.signer, result.share] as const
    })
    const joined = aggregateShares(group, list, message, new Map(signed))
    if (!joined.ok) throw new Error('not joined')
    expect(schnorrVerify(groupPublicKey(group), message, joined.signature)).toBe(true)
  })

  it('no file holds a share, a part of one, or anybody’s own key (PO-12)', () => {
    const text = JSON.stringify([first, ...parts, ...sums].map(repairJson))
    const secrets = [
      ...shares.map(({ secret }) => secret),
      ...[0, 1, 2, 3].map((one) => memberOf(one).secretKey),
    ]
    expect(secrets.filter((secret) => text.includes(toHex(secret)))).toEqual([])
  })

  it('a helper opens what is for it and nothing else, and two runs have nothing in common', () => {
    // The same share, helped with twice: every number is another one.
    const again = must(help(first, 0, 'again')).summands.flatMap(({ ciphertext, commitment }) => [
      toHex(ciphertext),
      toHex(commitment),
    ])
    const before = parts[0]?.summands.flatMap(({ ciphertext, commitment }) => [
      toHex(ciphertext),
      toHex(commitment),
    ])
    expect(again.filter((one) => before?.includes(one))).toEqual([])
    // Another member's key opens another's number to nothing that fits its point.
    const stranger = { index: 1, secretKey: memberOf(0).secretKey }
    expect(codeOf(sumRepair(genesis, stranger, first, parts, randomOf('x')))).toEqual({
      code: 'WrongPart',
      member: 0,
    })
  })
})

describe('whoever does not do its part is named', () => {
  const spoiled = <T>(list: readonly T[], at: number, change: (one: T) => T) =>
    list.map((one, index) => (index === at ? change(one) : one))
  const flip = (bytes: Uint8Array) =>
    Uint8Array.from(bytes, (byte, at) => (at === 5 ? byte ^ 1 : byte))

  it('a helper with another share than its own', () => {
    const foreign = { ...heldBy(1), share: { signer: 2, secret: seeded('another') } }
    const refused = helpToRepair(genesis, memberOf(1), first, foreign, randomOf('x'))
    expect(codeOf(refused)).toEqual({ code: 'ShareOfAnotherKey' })
    const other = { ...heldBy(1), sessionId: seeded('other session') }
    expect(codeOf(helpToRepair(genesis, memberOf(1), first, other, randomOf('x')))).toEqual({
      code: 'ShareOfAnotherKey',
    })
  })

  it('a part that does not add up to its helper’s part of the share, though it is signed', () => {
    const honest = must(help(first, 1, 'lie'))
    const [, ...rest] = honest.summands
    const [other] = must(help(first, 1, 'other lie')).summands
    const lying = partSignedBy(1, { ...honest, summands: [other as SealedSummand, ...rest] })
    expect(
      codeOf(
        sum(
          first,
          0,
          spoiled(parts, 1, () => lying),
        ),
      ),
    ).toEqual({
      code: 'WrongPart',
      member: 1,
    })
    const moved = spoiled(parts, 1, (part) => ({ ...part, summands: [...part.summands].reverse() }))
    expect(codeOf(sum(first, 0, moved))).toEqual({ code: 'RepairNotSigned', member: 1 })
  })

  it('a sum that is not of what the others gave, though it is signed', () => {
    const honest = sums[1] as RepairSum
    const ciphertext = flip(honest.sealed.ciphertext)
    const lying = sumSignedBy(1, { ...honest, sealed: { ...honest.sealed, ciphertext } })
    expect(
      codeOf(
        take(
          first,
          parts,
          spoiled(sums, 1, () => lying),
        ),
      ),
    ).toEqual({
      code: 'WrongSum',
      member: 1,
    })
  })

  it('a sum of other parts than the others added up', () => {
    const twice = spoiled(parts, 0, () => sent(must(help(first, 0, 'twice'))))
    const other = sent(must(sum(first, 3, twice)))
    expect(
      codeOf(
        take(
          first,
          parts,
          spoiled(sums, 2, () => other),
        ),
      ),
    ).toEqual({
      code: 'OtherParts',
      member: 3,
    })
  })

  it('what is changed on its way, is missing, or is of another ask', () => {
    const bent = spoiled(sums, 1, (one) => ({
      ...one,
      sealed: { ...one.sealed, ciphertext: flip(one.sealed.ciphertext) },
    }))
    expect(codeOf(take(first, parts, bent))).toEqual({ code: 'RepairNotSigned', member: 1 })
    expect(codeOf(take(first, parts.slice(1), sums))).toEqual({
      code: 'PartsMissing',
      members: [0],
    })
    expect(codeOf(take(first, parts, sums.slice(0, 1)))).toEqual({
      code: 'SumsMissing',
      members: [1, 3],
    })
    const second = ask(2, [0, 1, 3], 'another ask')
    expect(codeOf(sum(second, 0, parts))).toEqual({ code: 'RepairOfAnotherAsk', member: 0 })
    expect(codeOf(take(second, partsOf(second), sums))).toEqual({
      code: 'RepairOfAnotherAsk',
      member: 0,
    })
  })
})

describe('who may ask', () => {
  it('only the member itself, of a key that it had a share of, for help by t others', () => {
    const stolen = { ...first, lost: 3, helpers: [0, 1, 2] }
    expect(askFault(genesis, stolen)).toEqual({ code: 'RepairNotSigned', member: 3 })
    const refused = (lost: number, helpers: readonly number[], of = key) => {
      const result = askForRepair(genesis, memberOf(lost), of, helpers, randomOf('x'))
      return result.ok ? undefined : result.error.code
    }
    expect(refused(2, [0, 1])).toBe('RepairAskWrong')
    expect(refused(2, [0, 1, 2])).toBe('RepairAskWrong')
    expect(refused(2, [0, 1, 1])).toBe('RepairAskWrong')
    expect(refused(2, [0, 1, 9])).toBe('RepairAskWrong')
    expect(refused(2, [0, 1, 3], { ...key, signers: [1, 2, 4] })).toBe('RepairAskWrong')
    expect(codeOf(help(first, 2))).toEqual({ code: 'NotAHelper', member: 2 })
  })

  it('an answer for one member is no use to another', () => {
    const thief = { index: 0, secretKey: memberOf(0).secretKey }
    expect(codeOf(takeRepaired(genesis, thief, first, parts, sums))?.code).toBe('RepairAskWrong')
    const posing = { index: 2, secretKey: memberOf(0).secretKey }
    expect(codeOf(takeRepaired(genesis, posing, first, parts, sums))).toEqual({
      code: 'WrongSum',
      member: 0,
    })
  })

  it('a file is one of three kinds or none (C-7)', () => {
    for (const value of [
      undefined,
      null,
      1,
      'x',
      [],
      {},
      { kind: 'ask' },
      { kind: 'sum', from: 1 },
    ]) {
      expect(readRepairFile(value)).toMatchObject({
        ok: false,
        error: { code: 'RepairFileMalformed' },
      })
    }
    const json = repairJson(first) as Record<string, unknown>
    expect(readRepairFile({ ...json, extra: 1 }).ok).toBe(false)
    expect(readRepairFile({ ...json, nonce: '00' }).ok).toBe(false)
    const noPoints = { ...first, commitments: first.commitments.map(() => new Uint8Array(33)) }
    expect(askFault(genesis, noPoints)?.code).toBe('RepairAskWrong')
    expect(askFault(genesis, { ...first, commitments: [] })?.code).toBe('RepairAskWrong')
  })
})
