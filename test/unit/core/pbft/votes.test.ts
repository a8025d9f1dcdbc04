import type { Evidence } from '../../../../core/block/index.ts'
import {
  createValidatorSet,
  verifyConsensusMessage,
  verifyEvidence,
} from '../../../../core/pbft/index.ts'
import { decidePrepare, decideProposal, lockAllows } from '../../../../core/pbft/view.ts'
import {
  addVote,
  EMPTY_KEEPER,
  jumpView,
  noteView,
  tally,
  type VoteContext,
  type VoteKeeper,
} from '../../../../core/pbft/vote-keeper.ts'
import { type SignatureSuite, sha256 } from '../../../../crypto/index.ts'
import { freshBlock, HEIGHT } from './desk.ts'
import {
  certificateBy,
  countingSuite,
  fakeSuite,
  GENESIS_HASH,
  hashOf,
  proposalBy,
  validatorsOf,
  viewChangeBy,
  voteBy,
} from './fixtures.ts'

const A = sha256(Uint8Array.of(0xa))
const B = sha256(Uint8Array.of(0xb))

function contextOf(suite: SignatureSuite = fakeSuite, n = 4): VoteContext {
  return { suite, genesisHash: GENESIS_HASH, height: 5, set: createValidatorSet(validatorsOf(n)) }
}

interface Sent {
  readonly by: number
  readonly hash?: Uint8Array
  readonly view?: number
  readonly from?: string
  readonly forged?: boolean
  readonly verified?: boolean
}

/** Adds Prepares one by one; gives what came of it. */
function addAll(context: VoteContext, sent: readonly Sent[], start: VoteKeeper = EMPTY_KEEPER) {
  let keeper = start
  const forgers: string[] = []
  const evidence: Evidence[] = []
  for (const one of sent) {
    const { by, hash = A, view = 0, from = `peer${by}`, forged = false, verified = false } = one
    const { value } = voteBy(by, 'prepare', 5, view, hash)
    const vote = forged ? { ...value, signature: new Uint8Array(96).fill(by + 1) } : value
    const incoming = { vote, phase: 'prepare', position: by, from, verified } as const
    const change = addVote(context, keeper, incoming, false)
    keeper = change.keeper
    forgers.push(...change.forgers)
    if (change.evidence) evidence.push(change.evidence)
  }
  return { keeper, forgers, evidence }
}

function signersAt(context: VoteContext, keeper: VoteKeeper, view = 0) {
  const { certificate } = tally(context, keeper, view, 'prepare')
  return certificate?.bitmap.getTrueBitIndexes()
}

describe('votes', () => {
  it('make a certificate at the quorum, not before (BF-1, BF-6)', () => {
    const two = addAll(contextOf(), [{ by: 0 }, { by: 1 }])
    expect(signersAt(contextOf(), two.keeper)).toBeUndefined()
    const three = addAll(contextOf(), [{ by: 3 }], two.keeper)
    expect(signersAt(contextOf(), three.keeper)).toEqual([0, 1, 3])
  })

  it('are never summed over views or hashes (BF-6)', () => {
    for (const verified of [false, true]) {
      const sent = [{ by: 0 }, { by: 1 }, { by: 2, view: 1 }].map((one) => ({ ...one, verified }))
      expect(signersAt(contextOf(), addAll(contextOf(), sent).keeper)).toBeUndefined()
    }
    const hashes = addAll(contextOf(), [{ by: 0 }, { by: 1 }, { by: 2, hash: B }])
    expect(signersAt(contextOf(), hashes.keeper)).toBeUndefined()
  })

  it('of one validator count once, however often they come (T2, BF-11)', () => {
    const sent = [{ by: 0 }, { by: 0, from: 'other' }, { by: 0 }, { by: 1 }]
    expect(signersAt(contextOf(), addAll(contextOf(), sent).keeper)).toBeUndefined()
  })

  it('are verified in aggregate at the quorum, with nothing verified before (2.10)', () => {
    const suite = countingSuite()
    const { keeper } = addAll(contextOf(suite), [{ by: 0 }, { by: 1 }, { by: 2 }])
    expect([suite.singles, suite.aggregates]).toEqual([0, 0])
    expect(signersAt(contextOf(suite), keeper)).toEqual([0, 1, 2])
    expect([suite.singles, suite.aggregates]).toEqual([0, 1])
  })

  it('that fail in aggregate are verified singly, and the forger pays (2.10)', () => {
    const sent = [{ by: 0 }, { by: 1, forged: true, from: 'mallory' }, { by: 2 }]
    const { keeper } = addAll(contextOf(), sent)
    const counted = tally(contextOf(), keeper, 0, 'prepare')
    expect([counted.certificate, counted.forgers]).toEqual([undefined, ['mallory']])
    const again = addAll(contextOf(), [{ by: 1 }], counted.keeper)
    expect(signersAt(contextOf(), again.keeper)).toEqual([0, 1, 2])
  })

  it('that are forged keep no genuine one out and convict nobody (T3)', () => {
    const sent = [{ by: 1, hash: B, forged: true, from: 'mallory' }, { by: 1 }]
    const { keeper, forgers, evidence } = addAll(contextOf(), sent)
    expect([forgers, evidence]).toEqual([['mallory'], []])
    const rest = addAll(contextOf(), [{ by: 0 }, { by: 2 }], keeper)
    expect(signersAt(contextOf(), rest.keeper)).toEqual([0, 1, 2])
    const late = addAll(contextOf(), [{ by: 1 }, { by: 1, hash: B, forged: true, from: 'mallory' }])
    expect([late.forgers, late.evidence]).toEqual([['mallory'], []])
  })

  it('for two blocks in one view convict once, and the first still counts (BF-11, BP-17, T3)', () => {
    const sent = [{ by: 1 }, { by: 1, hash: B }, { by: 1, hash: sha256(B) }, { by: 0 }, { by: 2 }]
    const { keeper, evidence } = addAll(contextOf(), sent)
    expect(evidence).toHaveLength(1)
    expect(verifyEvidence(fakeSuite, GENESIS_HASH, evidence[0] as Evidence).kind).toBe('valid')
    expect(signersAt(contextOf(), keeper)).toEqual([0, 1, 2])
  })

  it('leave the keeper that they were added to as it was', () => {
    const { keeper } = addAll(contextOf(), [{ by: 0 }, { by: 1 }])
    addAll(contextOf(), [{ by: 2 }], keeper)
    expect(signersAt(contextOf(), keeper)).toBeUndefined()
  })
})

describe('views by votes', () => {
  const { set } = contextOf()
  const seen = (...views: readonly number[]) =>
    views.reduce((keeper, view, position) => noteView(keeper, position, view), EMPTY_KEEPER)

  it('are the largest that f+1 power is in or beyond (1.3, BF-7)', () => {
    expect(jumpView(seen(7), set)).toBe(-1)
    expect(jumpView(seen(7, 3), set)).toBe(3)
    expect(jumpView(seen(7, 3, 5), set)).toBe(5)
    expect(jumpView(seen(1_000_000), createValidatorSet(validatorsOf(1)))).toBe(1_000_000)
  })

  it('go by power', () => {
    const heavy = createValidatorSet(validatorsOf(4, [4, 1, 1, 1]))
    expect(jumpView(seen(7), heavy)).toBe(7)
    expect(jumpView(seen(0, 9, 9), heavy)).toBe(0)
  })
})

describe('evidence', () => {
  const { evidence } = addAll(contextOf(), [{ by: 1 }, { by: 1, hash: B }])
  const [good] = evidence as [Evidence]
  const verify = (changed: Partial<Evidence>) =>
    verifyEvidence(fakeSuite, GENESIS_HASH, { ...good, ...changed }).kind

  it('has one form only, and every field of it is signed (2.9)', () => {
    expect(verify({})).toBe('valid')
    const { first, second } = good
    const raised = { first: { ...first, height: 6 }, second: { ...second, height: 6 } }
    expect(verify(raised)).toBe('invalid')
    expect(verify({ second: raised.second })).toBe('invalid')
    expect(verify({ round: 1 })).toBe('invalid')
    expect([2, 3, 4].map((phase) => verify({ phase }))).toEqual(Array(3).fill('invalid'))
    expect(verify({ second: first })).toBe('invalid')
    expect(verify({ first: second, second: first })).toBe('invalid')
  })
})

describe('stateless checks', () => {
  const block = freshBlock(0)
  const certificate = certificateBy([0, 1, 2], 4, 'prepare', HEIGHT, 0, hashOf(block))
  const verify = (
    message: Parameters<typeof verifyConsensusMessage>[2],
    genesisHash = GENESIS_HASH,
  ) => verifyConsensusMessage(fakeSuite, { genesisHash }, message).kind

  it('bind every signature to the genesis (BF-3)', () => {
    const messages = [
      voteBy(0, 'prepare', HEIGHT, 0, A),
      viewChangeBy(0, HEIGHT, 1, certificate),
      proposalBy(1, 0, block),
      { kind: 'committedBlock', value: { block, certificate } } as const,
    ]
    expect(messages.map((message) => verify(message))).toEqual(Array(4).fill('valid'))
    expect(messages.map((message) => verify(message, A))).toEqual(Array(4).fill('invalid'))
  })

  it('refuse a vote in no phase, and parts that do not belong together', () => {
    const vote = voteBy(0, 'prepare', HEIGHT, 0, A)
    expect(verify({ ...vote, value: { ...vote.value, phase: 0 } })).toBe('invalid')
    expect(verify({ ...vote, value: { ...vote.value, phase: 9 } })).toBe('invalid')
    expect(verify(viewChangeBy(0, HEIGHT + 1, 1, certificate))).toBe('invalid')
    const older = { ...certificate, blockHash: A }
    expect(verify(proposalBy(2, 1, block, older))).toBe('invalid')
    expect(verify({ kind: 'committedBlock', value: { block, certificate: older } })).toBe('invalid')
    const proposal = proposalBy(1, 0, block)
    const elsewhere = { ...proposal.value, height: HEIGHT + 1 }
    expect(verify({ kind: 'prePrepare', value: elsewhere })).toBe('invalid')
  })
})

describe('one view', () => {
  const valid = { kind: 'valid', objects: false } as const
  const certificate = (view: number) => certificateBy([0, 1, 2], 4, 'prepare', 5, view, B)
  const fields = { view: 5, slot: 50, hash: B, signature: A, receivedAtMs: 0 }
  const proposal = { ...fields, certificate: undefined }
  const lock = { view: 3, hash: A, certificate: certificate(3) }

  it('prepares only what was executed and found valid (T1, BF-4)', () => {
    const decide = (status: Parameters<typeof decidePrepare>[1]) =>
      decidePrepare(proposal, status, undefined, 50)
    expect(decide({ kind: 'unchecked' })).toBe('NotValidated')
    expect(decide({ kind: 'checking', fresh: true })).toBe('NotValidated')
    expect(decide({ kind: 'unknown', code: 'NoParent', retryAtMs: 1 })).toBe('NotValidated')
    expect(decide({ kind: 'invalid', code: 'BadRoot' })).toBe('Invalid')
    expect(decide({ kind: 'valid', objects: undefined })).toBe('NotValidated')
    expect(decide(valid)).toBe('prepare')
  })

  it('lets the local view object to a fresh block only (4.6, BF-4)', () => {
    const objected = { kind: 'valid', objects: true } as const
    expect(decidePrepare(proposal, objected, undefined, 50)).toBe('Objection')
    const again = { ...proposal, certificate: certificate(4) }
    expect(decidePrepare(again, objected, undefined, 50)).toBe('prepare')
  })

  it('prepares another block than the locked one only over a later certificate (BF-5)', () => {
    const allowed = (view: number | undefined) =>
      lockAllows(lock, {
        hash: B,
        certificate: view === undefined ? undefined : certificate(view),
      })
    expect([undefined, 2, 3, 4].map(allowed)).toEqual([false, false, false, true])
    expect(lockAllows(lock, { hash: A, certificate: undefined })).toBe(true)
    expect(lockAllows(undefined, { hash: B, certificate: undefined })).toBe(true)
    expect(decidePrepare(proposal, valid, lock, 50)).toBe('Locked')
  })

  it('waits with a block of the future (BP-3)', () => {
    expect(decidePrepare(proposal, valid, undefined, 49)).toBe('prepare')
    expect(decidePrepare(proposal, valid, undefined, 48)).toBe('FutureSlot')
  })

  it('ends the wait before a proposal by any of three (2.5, BF-9)', () => {
    const facts = { view: 5, nowMs: 1000, enteredAtMs: 1000, waitMs: 125 }
    const decide = (changed: object) =>
      decideProposal({ ...facts, highest: undefined, allViewChanged: false, ...changed })
    expect(decide({})).toEqual({ kind: 'wait', untilMs: 1125 })
    expect(decide({ nowMs: 1125 })).toEqual({ kind: 'fresh' })
    expect(decide({ allViewChanged: true })).toEqual({ kind: 'fresh' })
    expect(decide({ highest: certificate(3) }).kind).toBe('wait')
    expect(decide({ highest: certificate(4) }).kind).toBe('repropose')
    expect(decide({ highest: certificate(2), nowMs: 1125 }).kind).toBe('repropose')
    expect(decide({ view: 0 })).toEqual({ kind: 'fresh' })
    expect(decide({ highest: certificate(5) })).toEqual({ kind: 'nothing' })
  })
})
