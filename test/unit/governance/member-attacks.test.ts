/** What a quorum of validators that is not honest, or one lying node, asks of a member, who believes the other members and nobody else (protocol §5.1, §5.6). */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { KEYGEN_KINDS } from '../../../core/block/index.ts'
import { keygenItemKey, signKeygenItem } from '../../../core/keygen/index.ts'
import { heightKey, KEYGEN_STAGE, type KeyRow, rowOf } from '../../../core/ledger/index.ts'
import { assemble, currentOutput, openBatches } from '../../../core/peg/index.ts'
import { schnorrPublicKey, verifyingShareAt } from '../../../crypto/index.ts'
import type { HeldShare } from '../../../governance/tree.ts'
import { AUXILIARY, Ceremony, EPOCH } from '../core/keygen/ceremony.ts'
import { BitcoinWorld, PegWorld, seeded, testGenesis } from '../core/peg/world.ts'
import { bitcoinOf, HeaderChain, MemberWorld, TestNode } from './world.ts'

const { Point } = secp256k1
const CONFIRMATION = KEYGEN_KINDS.indexOf('confirmation')
const genesis = testGenesis()
const DOUBT = 'the ledger has a key that its members did not confirm'

/** Three deposits under the first key, and a new key that all four members made. */
function worldWithKey() {
  const world = new PegWorld()
  for (const name of ['alice', 'bob', 'carol']) world.pegIn(name, 1_000_000n)
  const ceremony = new Ceremony(genesis, world.ledger)
  ceremony.toKey()
  return { world, ceremony, made: ceremony.key as KeyRow }
}
type Forgery = ReturnType<typeof worldWithKey>

/** A member that follows this ledger and has looked at its key. */
async function memberOver(world: PegWorld, policy = {}, held?: HeldShare) {
  const chain = new HeaderChain(genesis)
  chain.commit()
  chain.commit(world.ledger)
  const node = new TestNode(chain)
  const bitcoin = bitcoinOf(new BitcoinWorld())
  const member = new MemberWorld({ genesis, nodes: [node], bitcoin, policy })
  if (held !== undefined) await member.shares.store().saveShare(held)
  await member.start()
  await member.advance(2_000)
  return { member, node }
}

/** The ledger records the sweep to its key, and a node asks the first member for it. */
async function askedToSweep({ ceremony, world }: Forgery, policy = {}) {
  world.ledger = ceremony.ledger
  const queue = { headers: [], pegIns: [], bookings: [] }
  world.block({ items: assemble(world.ledger, world.context(), queue).items })
  const [batch] = openBatches(world.ledger)
  if (batch === undefined) throw new Error('no sweep was recorded')
  const { member, node } = await memberOver(world, policy)
  node.askSignature(batch.batchId)
  await member.settle()
  const { code, decision } = node.answers('signatureResponse')[0] ?? {}
  const doubts = member.logged(DOUBT)
  await member.stop()
  return { decision, code, doubts, journal: member.lines }
}

/** Of what a signer said in the last stage. */
function confirmationOf({ made }: Forgery, signer: number): Uint8Array {
  return keygenItemKey(made.sessionId, KEYGEN_STAGE.confirmations, signer)
}

/** A quorum writes any row; what it cannot write is a member's signature. */
function unsign(forgery: Forgery, signer: number): void {
  const signature = new Uint8Array(64).fill(1)
  forgery.ceremony.forge('keygenItems', confirmationOf(forgery, signer), { signature })
}

/** A polynomial of degree 4 that is 0 at 0, 1, 2 and 3, added to the key's: its shares at those three are what they were. */
function longer({ commitments }: KeyRow): Uint8Array[] {
  return [0n, -6n, 11n, -6n, 1n].map((coefficient, at) => {
    const scalar = Point.Fn.create(coefficient)
    const own = scalar === 0n ? Point.ZERO : Point.BASE.multiply(scalar)
    const given = commitments[at]
    return (given === undefined ? own : Point.fromBytes(given).add(own)).toBytes(true)
  })
}

/** f − f(3)·(x² − 3x + 2): at 1 and 2 what it was, at 3 the same with the other sign, and another constant. */
function turned({ commitments }: KeyRow): Uint8Array[] {
  const third = Point.fromBytes(verifyingShareAt(commitments, 3) as Uint8Array)
  return [-2n, 3n, -1n].map((coefficient, at) => {
    const given = Point.fromBytes(commitments[at] as Uint8Array)
    return given.add(third.multiply(Point.Fn.create(coefficient))).toBytes(true)
  })
}

const thiefKey = schnorrPublicKey(seeded('thief'))

describe('a member moves coins (PO-11, P 5.1, 5.8)', () => {
  it('to a key that t members confirmed, though it has no share of it itself', async () => {
    const forgery = worldWithKey()
    unsign(forgery, 1)
    expect(await askedToSweep(forgery)).toMatchObject({ decision: 'APPROVED', doubts: [] })
  })

  it.each<[string, (forgery: Forgery) => void]>([
    [
      'has one secret',
      ({ ceremony }) => {
        const commitments = [Uint8Array.of(2, ...thiefKey)]
        ceremony.forge('keys', heightKey(EPOCH), { publicKey: thiefKey, commitments })
      },
    ],
    [
      'has the commitments of the confirmed one but for the first',
      ({ ceremony, made }) => {
        const commitments = [Uint8Array.of(2, ...thiefKey), ...made.commitments.slice(1)]
        ceremony.forge('keys', heightKey(EPOCH), { publicKey: thiefKey, commitments })
      },
    ],
    [
      'stands beside the commitments of the confirmed one',
      ({ ceremony }) => ceremony.forge('keys', heightKey(EPOCH), { publicKey: thiefKey }),
    ],
    [
      'takes more than t shares',
      ({ ceremony, made }) =>
        ceremony.forge('keys', heightKey(EPOCH), { commitments: longer(made) }),
    ],
    [
      'has the shares of the confirmed one but for a sign, and another constant',
      ({ ceremony, made }) =>
        ceremony.forge('keys', heightKey(EPOCH), { commitments: turned(made) }),
    ],
    [
      'only t − 1 members confirmed',
      (forgery) => {
        unsign(forgery, 3)
        unsign(forgery, 4)
      },
    ],
    [
      'one member confirmed thrice',
      ({ ceremony }) => ceremony.forge('keys', heightKey(EPOCH), { signers: [1, 1, 1] }),
    ],
    [
      'others confirmed in the members’ names',
      (forgery) => {
        const { ceremony, made } = forgery
        for (const signer of made.signers) {
          const { sessionId } = made
          const key = confirmationOf(forgery, signer)
          const content = rowOf(ceremony.ledger, 'keygenItems', key)?.content as Uint8Array
          const statement = { epoch: EPOCH, sessionId, kind: CONFIRMATION, signer, content }
          const { signature } = signKeygenItem(genesis, statement, seeded('thief'), AUXILIARY)
          ceremony.forge('keygenItems', key, { signature })
        }
      },
    ],
    [
      'members confirmed without a share',
      (forgery) => {
        const { ceremony, made } = forgery
        for (const signer of [2, 3]) {
          const { sessionId } = made
          const content = new Uint8Array(64).fill(1)
          const statement = { epoch: EPOCH, sessionId, kind: CONFIRMATION, signer, content }
          const secret = seeded(`schnorr ${signer - 1}`)
          const { signature } = signKeygenItem(genesis, statement, secret, AUXILIARY)
          ceremony.forge('keygenItems', confirmationOf(forgery, signer), { content, signature })
        }
      },
    ],
  ])('and to none that %s, whatever a certified ledger has', async (_, forge) => {
    const forgery = worldWithKey()
    forge(forgery)
    const { doubts, ...asked } = await askedToSweep(forgery)
    expect(asked).toEqual({ decision: 'UNKNOWN', code: 'KeyUnknown', journal: [] })
    expect(doubts).toHaveLength(1)
  })
})

describe('a member bounds what leaves (PO-11)', () => {
  it('by its operator’s limit, the fee of a sweep as well', async () => {
    const asked = await askedToSweep(worldWithKey(), { dailyLimitSat: 0n })
    expect(asked).toMatchObject({ decision: 'UNKNOWN', code: 'DailyLimit', journal: [] })
    const agreed = await askedToSweep(worldWithKey(), { dailyLimitSat: 100_000n })
    expect(agreed.journal.map((line) => Number(JSON.parse(line).paidSat) > 0)).toEqual([true])
    expect(agreed.journal.map((line) => JSON.parse(line).paysNobody)).toEqual([true])
    const short = await askedToSweep(worldWithKey(), { dailySweepFeeSat: 100n })
    expect(short).toMatchObject({ decision: 'UNKNOWN', code: 'SweepFeeLimit', journal: [] })
  })

  it('and signs coins of the key through leaf A no sooner than its turn can have come (5.3)', async () => {
    const { batchId, held, world } = payoutByKey()
    const { member, node } = await memberOver(world, {}, held)
    const codeAt = async (attempt: number) => {
      node.askSignature(batchId, { attempt })
      await member.settle()
      return node.answers('signatureResponse').at(-1)?.code
    }
    expect(await codeAt(16)).toBe('AttemptEarly')
    expect(member.lines).toEqual([])
    expect(await codeAt(3)).toBe('')
    await member.advance(160_000)
    expect(await codeAt(16)).toBe('')
    await member.stop()
  })
})

/** A payout of coins that stand under the made key, recorded a minute ago by the member's clock. */
function payoutByKey() {
  const { ceremony, made, world } = worldWithKey()
  for (const { key } of ceremony.ledger.open.reserve.values()) {
    const { scriptPubKey } = currentOutput(genesis, ceremony.ledger)
    ceremony.forge('outputs', key, { epoch: EPOCH, scriptPubKey })
  }
  world.ledger = ceremony.ledger
  world.timestamp = 1_700_000_000 - 70
  world.block({ burns: [world.burn('bob', 1_500_000n)] })
  world.timestamp += 10
  const queue = { headers: [], pegIns: [], bookings: [] }
  world.block({ items: assemble(world.ledger, world.context(), queue).items })
  const [batch] = openBatches(world.ledger)
  if (batch === undefined) throw new Error('no payout was recorded')
  const { commitments, sessionId, signers } = made
  const held = { epoch: EPOCH, sessionId, commitments, signers, share: ceremony.keyShare(1) }
  return { world, batchId: batch.batchId, held }
}
