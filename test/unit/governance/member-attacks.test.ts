/** What a quorum of validators that is not honest asks of a member, who believes the other members and nobody else (protocol §5.1, §5.6). */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { KEYGEN_KINDS } from '../../../core/block/index.ts'
import { keygenItemKey, signKeygenItem } from '../../../core/keygen/index.ts'
import { heightKey, KEYGEN_STAGE, type KeyRow, rowOf } from '../../../core/ledger/index.ts'
import { assemble, openBatches } from '../../../core/peg/index.ts'
import { schnorrPublicKey } from '../../../crypto/index.ts'
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

/** The ledger records the sweep to its key, and a node asks the first member for it. */
async function askedToSweep({ ceremony, world }: Forgery) {
  world.ledger = ceremony.ledger
  const queue = { headers: [], pegIns: [], bookings: [] }
  world.block({ items: assemble(world.ledger, world.context(), queue).items })
  const [batch] = openBatches(world.ledger)
  if (batch === undefined) throw new Error('no sweep was recorded')
  const chain = new HeaderChain(genesis)
  chain.commit()
  chain.commit(world.ledger)
  const node = new TestNode(chain)
  const bitcoin = bitcoinOf(new BitcoinWorld())
  const member = new MemberWorld({ genesis, nodes: [node], bitcoin })
  await member.start()
  await member.advance(2_000)
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
