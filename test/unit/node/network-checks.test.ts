/** What a node passes on (protocol §2.10, BF-8): nothing that a stranger made, wrapped or changed. */
import {
  type Block,
  type ConsensusMessage,
  type PrePrepare,
  voteMessage,
} from '../../../core/block/index.ts'
import { blsKeyPair, blsSign } from '../../../crypto/index.ts'
import { networkChecks } from '../../../node/network-checks.ts'
import { certify, keyOfValidator, type Made, Town, validatorKeys } from '../core/chain/town.ts'
import { seeded } from '../core/peg/world.ts'

const stranger = blsKeyPair(seeded('a stranger'))

let town: Town
let made: Made

beforeAll(async () => {
  town = await Town.open()
  made = await town.make()
})

/** A proposal of the block in `view`, signed with this key. */
function proposal(
  secretKey: Uint8Array,
  { view = 0, certificate = [] as PrePrepare['certificate'], block = made.block } = {},
): ConsensusMessage {
  const { genesis } = town
  const message = voteMessage(genesis.hash, 'proposal', block.header.height, view, made.head.hash)
  const signature = blsSign(secretKey, message)
  const { height } = block.header
  return { kind: 'prePrepare', value: { height, view, block, certificate, signature } }
}

function codeOf(message: ConsensusMessage): string {
  const verdict = verdictAt(message, 0)
  return verdict.kind === 'valid' ? 'valid' : verdict.code
}

/** By a clock that is so many slots behind the block's. */
function verdictAt(message: ConsensusMessage, slotsBehind: number) {
  const { genesis } = town
  const nowMs = (made.block.header.slot - slotsBehind) * genesis.params.slotMs
  return networkChecks(genesis, () => town.head.ledger).consensus(message, nowMs)
}

function author(): Uint8Array {
  return keyOfValidator(made.block.header.author).secretKey
}

function prepared(signers = [0, 1, 2]) {
  return [certify(town.genesis, 1, made.head.hash, signers, { phase: 'prepare' })]
}

describe('a proposal is passed on', () => {
  it('by its author, fresh', () => {
    expect(codeOf(proposal(author()))).toBe('valid')
  })

  it('again by another validator with a prepare quorum for it', () => {
    const other = validatorKeys.find(({ secretKey }) => secretKey !== author())
    const again = { view: 3, certificate: prepared() }
    expect(codeOf(proposal((other as { secretKey: Uint8Array }).secretKey, again))).toBe('valid')
  })

  it.each([2, 10, 11, 1_000])(
    'not when it is %d slots ahead of our clock, which is no fault of the peer: the clock may be wrong (BP-3)',
    (slotsBehind) => {
      expect(verdictAt(proposal(author()), slotsBehind).kind).toBe('unknown')
      expect(verdictAt(proposal(author()), 1).kind).toBe('valid')
    },
  )

  it("not when a stranger wraps a validator's block, fresh or with a genuine quorum", () => {
    expect(codeOf(proposal(stranger.secretKey))).toBe('NotTheProposer')
    const again = { view: 3, certificate: prepared() }
    expect(codeOf(proposal(stranger.secretKey, again))).toBe('NotTheProposer')
  })

  it('not with a certificate that is none: it could be written in any number of ways', () => {
    const few = { view: 3, certificate: prepared([0, 1]) }
    expect(codeOf(proposal(author(), few))).toBe('NoQuorum')
    const [genuine] = prepared()
    const forged = genuine && { ...genuine, signature: made.block.signature }
    expect(codeOf(proposal(author(), { view: 3, certificate: forged ? [forged] : [] }))).toBe(
      'BadSignature',
    )
  })

  it('not with another body', () => {
    const { body } = made.block
    const payload = { ...body.payload, gasUsed: body.payload.gasUsed + 1 }
    const block: Block = { ...made.block, body: { ...body, payload } }
    expect(codeOf(proposal(author(), { block }))).toBe('BadAuthorSignature')
  })
})

describe('a committed block is passed on', () => {
  it('with a commit quorum, not with a prepare quorum of the same validators', () => {
    const { block, head } = made
    const committed = (phase: 'commit' | 'prepare'): ConsensusMessage => {
      const certificate = certify(town.genesis, 1, head.hash, [0, 1, 2], { phase })
      return { kind: 'committedBlock', value: { block, certificate } }
    }
    expect(codeOf(committed('commit'))).toBe('valid')
    expect(codeOf(committed('prepare'))).toBe('BadSignature')
  })
})

describe('a vote is passed on', () => {
  it('of a validator, signed by it; not of a stranger', () => {
    const { hash } = made.head
    const vote = ({ publicKey, secretKey }: typeof stranger): ConsensusMessage => {
      const signature = blsSign(secretKey, voteMessage(town.genesis.hash, 'prepare', 1, 0, hash))
      const fields = { phase: 1, height: 1, view: 0, blockHash: hash }
      return { kind: 'vote', value: { ...fields, validator: publicKey, signature } }
    }
    const [own] = validatorKeys
    expect(codeOf(vote(own as typeof stranger))).toBe('valid')
    expect(codeOf(vote(stranger))).toBe('NotAValidator')
    const forged = { ...stranger, publicKey: (own as typeof stranger).publicKey }
    expect(codeOf(vote(forged))).toBe('BadSignature')
  })
})
