import {
  authorMessage,
  EVIDENCE_PHASES,
  type Evidence,
  type EvidencePhase,
  voteMessage,
} from '../../../../core/block/index.ts'
import {
  dueEvidence,
  EMPTY_EVIDENCE_POOL,
  type EvidencePool,
  MAX_POOLED_EVIDENCE,
  MAX_POOLED_PER_VALIDATOR,
  poolEvidence,
  settleEvidence,
} from '../../../../core/chain/index.ts'
import { ledgerRoot, proveRow, rowOf, verifyRow } from '../../../../core/ledger/index.ts'
import { encodeRow } from '../../../../core/ledger/rows.ts'
import type { Genesis } from '../../../../core/params/index.ts'
import { createEvidence, evidenceKey, verifyEvidence } from '../../../../core/pbft/index.ts'
import { type BlsKeyPair, blsKeyPair, blsSign, toHex } from '../../../../crypto/index.ts'
import { seeded } from '../peg/world.ts'
import { reseal, Town, validatorKeys } from './town.ts'

const A = seeded('block a')
const B = seeded('block b')
const C = seeded('block c')

/** Two hashes signed by `keys` for one place. `heights`: of the two blocks of a slot. */
function signTwice(
  genesis: Genesis,
  keys: BlsKeyPair,
  phase: EvidencePhase,
  heights: readonly [number, number],
  round: number,
  hashes: readonly [Uint8Array, Uint8Array] = [A, B],
): Evidence {
  const signed = (height: number, hash: Uint8Array) => ({
    height,
    hash,
    signature: blsSign(
      keys.secretKey,
      phase === 'block'
        ? authorMessage(genesis.hash, { height, slot: round }, hash)
        : voteMessage(genesis.hash, phase, height, round, hash),
    ),
  })
  const [one, other] = [signed(heights[0], hashes[0]), signed(heights[1], hashes[1])]
  return createEvidence(phase, keys.publicKey, round, one, other)
}

const liar = validatorKeys[2] as BlsKeyPair

describe('evidence in a block (2.9, §7, BP-17)', () => {
  let town: Town
  const commits = (height: number, view = 0, keys = liar) =>
    signTwice(town.genesis, keys, 'commit', [height, height], view)

  /** The code of the rule that a block with just this evidence breaks. */
  async function codeOf(...evidence: readonly Evidence[]): Promise<string | undefined> {
    const made = await town.make()
    const forged = reseal(town.genesis, made.block, { body: { evidence: [...evidence] } })
    return town.codeOf(forged)
  }

  beforeAll(async () => {
    town = await Town.open({ evidenceMaxAgeBlocks: 3 })
    for (let height = 1; height <= 4; height++) await town.grow()
  })

  it('of each phase is carried, enters the ledger, and its row can be proven', async () => {
    const evidence = EVIDENCE_PHASES.map((phase) => signTwice(town.genesis, liar, phase, [4, 4], 1))
    const made = await town.make({ evidence })
    expect(made.block.body.evidence).toHaveLength(4)
    expect(town.codeOf(made.block, made.outcome)).toBeUndefined()
    const { ledger } = made.head
    for (const one of evidence) {
      const key = evidenceKey(one)
      const row = rowOf(ledger, 'evidence', key)
      expect(row).toEqual({
        phase: one.phase,
        validator: liar.publicKey,
        offenceHeight: 4,
        round: 1,
        height: 5,
      })
      const proof = proveRow(ledger, 'evidence', key)
      const encoded = row && encodeRow('evidence', row)
      expect(verifyRow(ledgerRoot(ledger), proof, 'evidence', key, encoded)).toBe(true)
    }
  })

  it('shows two blocks of one slot, also of two heights', async () => {
    const evidence = signTwice(town.genesis, liar, 'block', [5, 4], 900)
    expect(await codeOf(evidence)).toBeUndefined()
    const { genesis } = town
    expect(verifyEvidence(genesis.signatures, genesis.hash, evidence).kind).toBe('valid')
    const sameSlot = signTwice(genesis, liar, 'block', [4, 4], 900, [B, C])
    const swapped = signTwice(genesis, liar, 'block', [4, 5], 900)
    expect([sameSlot, swapped].map(evidenceKey)).toEqual(Array(2).fill(evidenceKey(evidence)))
    const elsewhere = { ...evidence, round: 901 }
    expect(await codeOf(elsewhere)).toBe('EvidenceBadSignature')
  })

  it('needs both signatures of the key, whatever else is said', async () => {
    const good = commits(4)
    const { first, second } = good
    expect(await codeOf(good)).toBeUndefined()
    const unsigned = new Uint8Array(96)
    expect(await codeOf({ ...good, first: { ...first, signature: unsigned } })).toBe(
      'EvidenceBadSignature',
    )
    expect(await codeOf({ ...good, second: { ...second, signature: unsigned } })).toBe(
      'EvidenceBadSignature',
    )
    expect(await codeOf({ ...good, round: 1 })).toBe('EvidenceBadSignature')
    const other = validatorKeys[1] as BlsKeyPair
    expect(await codeOf({ ...good, validator: other.publicKey })).toBe('EvidenceBadSignature')
    expect(await codeOf({ ...good, first: second, second: first })).toBe('EvidenceMalformed')
    expect(await codeOf({ ...good, second: first })).toBe('EvidenceMalformed')
    expect(await codeOf({ ...good, phase: 4 })).toBe('EvidenceMalformed')
    const apart = signTwice(town.genesis, liar, 'commit', [4, 3], 0)
    expect(await codeOf(apart)).toBe('EvidenceMalformed')
  })

  it('is of a validator of its height, at most one epoch old and not of the future', async () => {
    expect(await codeOf(commits(4, 0, blsKeyPair(seeded('stranger'))))).toBe('EvidenceOfStranger')
    expect(await codeOf(commits(1))).toBe('EvidenceTooOld')
    expect(await codeOf(commits(2))).toBeUndefined()
    expect(await codeOf(commits(5))).toBeUndefined()
    expect(await codeOf(commits(6))).toBe('EvidenceTooEarly')
    expect(await codeOf(signTwice(town.genesis, liar, 'block', [1, 4], 900))).toBe('EvidenceTooOld')
    expect(await codeOf(signTwice(town.genesis, liar, 'block', [4, 6], 900))).toBe(
      'EvidenceTooEarly',
    )
  })

  it('has one order', async () => {
    const due = dueEvidence(town.genesis, town.head.ledger, [commits(3), commits(4), commits(2)])
    expect(due).toHaveLength(3)
    expect(await codeOf(...due)).toBeUndefined()
    expect(await codeOf(...[...due].reverse())).toBe('EvidenceNotInOrder')
    expect(await codeOf(due[0] as Evidence, due[0] as Evidence)).toBe('EvidenceNotInOrder')
  })

  it('is carried once, whichever two of the hashes are shown', async () => {
    const copy = await Town.open({ evidenceMaxAgeBlocks: 3 })
    await copy.grow()
    const { genesis } = copy
    const evidence = signTwice(genesis, liar, 'prepare', [1, 1], 7)
    await copy.grow({ evidence: [evidence] })
    const again = signTwice(genesis, liar, 'prepare', [1, 1], 7, [B, C])
    const made = await copy.make({ evidence: [evidence, again] })
    expect(made.block.body.evidence).toEqual([])
    for (const one of [evidence, again]) {
      const forged = reseal(genesis, made.block, { body: { evidence: [one] } })
      expect(copy.codeOf(forged)).toBe('EvidenceKnown')
    }
    const otherView = signTwice(genesis, liar, 'prepare', [1, 1], 8)
    expect((await copy.make({ evidence: [otherView] })).block.body.evidence).toHaveLength(1)
  })

  it('changes the ledger: a block without the rows is none', async () => {
    const made = await town.make()
    const forged = reseal(town.genesis, made.block, { body: { evidence: [commits(4)] } })
    expect(town.codeOf(forged, made.outcome)).toBe('WrongLedgerRoot')
  })

  it('is taken oldest first, as many as a block holds', () => {
    const { genesis, head } = town
    const waiting = Array.from({ length: 20 }, (_, view) => commits(view < 18 ? 4 : 3, view))
    const due = dueEvidence(genesis, head.ledger, waiting)
    expect(due).toHaveLength(16)
    expect(due.filter(({ first }) => first.height === 3)).toHaveLength(2)
  })

  describe('waits in a pool', () => {
    const pooled = (pool: EvidencePool, evidence: Evidence) =>
      poolEvidence(town.genesis, town.head.ledger, pool, evidence)

    it('once per place, and only when it convicts (T3)', () => {
      const { genesis } = town
      const taken = pooled(EMPTY_EVIDENCE_POOL, commits(4))
      expect(taken.outcome).toBe('taken')
      const again = signTwice(genesis, liar, 'commit', [4, 4], 0, [B, C])
      expect(pooled(taken.pool, again)).toEqual({ pool: taken.pool, outcome: 'known', dropped: [] })
      const forged = { ...commits(4), round: 9 }
      expect(pooled(taken.pool, forged).outcome).toBe('forged')
      const stranger = commits(4, 0, blsKeyPair(seeded('stranger')))
      expect(pooled(taken.pool, stranger).outcome).toBe('forged')
    })

    it('also for a height or two to come; neither later nor older', () => {
      const outcomes = [1, 2, 7, 8].map((height) => {
        return pooled(EMPTY_EVIDENCE_POOL, commits(height)).outcome
      })
      expect(outcomes).toEqual(['notNow', 'taken', 'taken', 'notNow'])
      const { pool } = pooled(EMPTY_EVIDENCE_POOL, commits(7))
      expect(dueEvidence(town.genesis, town.head.ledger, [...pool.values()])).toEqual([])
      expect(settleEvidence(town.genesis, town.head.ledger, pool).pool.size).toBe(1)
    })

    it('within bounds: of one validator, and of all, who fills it makes room for others (BF-8)', () => {
      const { ledger } = town.head
      const trusting = { ...town.genesis.signatures, verify: () => true }
      const genesis = { ...town.genesis, signatures: trusting }
      const signature = new Uint8Array(96)
      const cheap = (keys: BlsKeyPair, view: number): Evidence => {
        const [first, second] = [A, B].map((hash) => ({ height: 4, hash, signature }))
        if (first === undefined || second === undefined) throw new Error('two')
        return createEvidence('commit', keys.publicKey, view, first, second)
      }
      let pool = EMPTY_EVIDENCE_POOL
      for (let view = 0; view <= MAX_POOLED_PER_VALIDATOR; view++) {
        const change = poolEvidence(genesis, ledger, pool, cheap(liar, view))
        expect(change.outcome).toBe(view < MAX_POOLED_PER_VALIDATOR ? 'taken' : 'full')
        pool = change.pool
      }
      // As many of a validator as no honest pool lets in.
      for (let view = 1_000; pool.size < MAX_POOLED_EVIDENCE; view++) {
        const evidence = cheap(liar, view)
        pool = new Map(pool).set(toHex(evidenceKey(evidence)), evidence)
      }
      const change = poolEvidence(genesis, ledger, pool, cheap(validatorKeys[0] as BlsKeyPair, 0))
      expect([change.outcome, change.dropped.length, change.pool.size]).toEqual([
        'taken',
        1,
        MAX_POOLED_EVIDENCE,
      ])
    })

    it('until a block carries it, or none may any more', async () => {
      const copy = await Town.open({ evidenceMaxAgeBlocks: 2 })
      await copy.grow()
      const { genesis } = copy
      const [kept, carried] = [0, 1].map((view) => {
        return signTwice(genesis, liar, 'commit', [1, 1], view)
      }) as [Evidence, Evidence]
      let pool = EMPTY_EVIDENCE_POOL
      for (const one of [kept, carried]) {
        pool = poolEvidence(genesis, copy.head.ledger, pool, one).pool
      }
      await copy.grow({ evidence: [carried] })
      const after = settleEvidence(genesis, copy.head.ledger, pool)
      expect(after.dropped).toEqual([toHex(evidenceKey(carried))])
      await copy.grow()
      const aged = settleEvidence(genesis, copy.head.ledger, after.pool)
      expect([aged.dropped, aged.pool.size]).toEqual([[toHex(evidenceKey(kept))], 0])
    })
  })
})
