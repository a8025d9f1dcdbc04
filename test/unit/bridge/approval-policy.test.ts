import {
  type ApprovalRequest,
  type DepositSight,
  decideApproval,
  FIRST_FEDERATION,
  readApprovalRequest,
} from '../../../bridge/index.ts'
import { serializeTransaction, txid } from '../../../core/bitcoin/index.ts'
import { type PegInClaim, PegInClaimType } from '../../../core/block/index.ts'
import { changeOutput, depositPayloadScript, federationOutput } from '../../../core/peg/index.ts'
import { toDisplayHash } from '../../../crypto/index.ts'
import {
  addressOf,
  BitcoinWorld,
  claimOf,
  depositOf,
  p2wpkh,
  payment,
  seeded,
  testGenesis,
} from '../core/peg/world.ts'

const genesis = testGenesis()
const bitcoin = new BitcoinWorld()
const deposit = depositOf(genesis, 'alice', 2_000_000n)
const other = depositOf(genesis, 'mallory', 9_000_000n)
bitcoin.mine([deposit, other])
bitcoin.mine([], 2)
const honest = claimOf(bitcoin, deposit)

/** What a Bitcoin node that follows this chain shows. */
function sightOf(claim: PegInClaim, world = bitcoin): DepositSight {
  const block = world.blocks.find(
    ({ hash }) => toDisplayHash(hash) === toDisplayHash(claim.proof.blockHash),
  )
  if (block === undefined) return { kind: 'unknown', code: 'BitcoinBlockUnknown' }
  const txids = block.transactions.map((transaction) => txid(transaction))
  const index = txids.findIndex((id) => toDisplayHash(id) === toDisplayHash(claim.txid))
  const confirmations = world.tip.height - block.height + 1
  const bytes = (at: number) => {
    const transaction = block.transactions[at]
    return transaction === undefined ? new Uint8Array(0) : serializeTransaction(transaction)
  }
  return {
    kind: 'seen',
    confirmations,
    txids,
    index,
    transaction: bytes(index),
    coinbase: bytes(0),
  }
}

function decide(claim: PegInClaim, sight = sightOf(claim), confirmations = 1) {
  return decideApproval(genesis, claim, sight, confirmations, FIRST_FEDERATION)
}

function requestFor(claim: PegInClaim, changes: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return {
    genesisHash: genesis.hash,
    outpoint: `${toDisplayHash(claim.txid)}:${claim.vout}`,
    membersEpoch: 0,
    claim: PegInClaimType.serialize(claim),
    ...changes,
  }
}

describe('a member approves', () => {
  it('a deposit that its own Bitcoin shows, as it is (PI-10)', () => {
    expect(decide(honest)).toMatchObject({ kind: 'sign' })
  })

  it('a deposit to an address of its own, whose script proves whom it is for', () => {
    const evmAddress = addressOf('carol')
    const tweak = { epoch: 0 as const, deposit: { evmAddress, refundScript: p2wpkh('carol') } }
    const own = payment('carol', [
      { amountSat: 500_000n, scriptPubKey: federationOutput(genesis, tweak).scriptPubKey },
    ])
    const world = new BitcoinWorld('own')
    world.mine([own])
    world.mine([], 2)
    const claim = claimOf(world, own, { evmAddress, refundScript: p2wpkh('carol') })
    expect(decide(claim, sightOf(claim, world))).toMatchObject({ kind: 'sign' })
    const stolen = { ...claim, evmAddress: addressOf('mallory') }
    expect(decide(stolen, sightOf(stolen, world))).toEqual({ kind: 'refuse', code: 'NotADeposit' })
  })

  it('a bad payload as refundable, never as a credit', () => {
    const bad = payment('erin', [
      { amountSat: 500_000n, scriptPubKey: changeOutput(genesis, 0).scriptPubKey },
    ])
    const world = new BitcoinWorld('bad')
    world.mine([bad])
    world.mine([], 2)
    const refundable = claimOf(world, bad, { kind: 'refundable', reason: 'badPayload' })
    expect(decide(refundable, sightOf(refundable, world))).toMatchObject({ kind: 'sign' })
    const credit = { ...refundable, kind: 0, reason: 0, evmAddress: addressOf('erin') }
    expect(decide(credit, sightOf(credit, world))).toMatchObject({ kind: 'refuse' })
  })
})

describe('a member never approves', () => {
  it.each([
    ['another amount', { ...honest, amountSat: 20_000_000n }, 'AmountWrong'],
    ['another address', { ...honest, evmAddress: addressOf('mallory') }, 'AddressWrong'],
    [
      'a refund script that nobody named',
      { ...honest, refundScript: p2wpkh('m') },
      'RefundScriptWrong',
    ],
    ['another kind', { ...honest, kind: 2 }, 'KindWrong'],
    ['a made-up reason', { ...honest, kind: 1, reason: 1 }, 'KindWrong'],
    ['a kind out of range', { ...honest, kind: 77 }, 'KindWrong'],
    ['an output that pays somebody else', { ...honest, vout: 1, amountSat: 0n }, 'NotADeposit'],
    ['an output that does not exist', { ...honest, vout: 5 }, 'OutputMissing'],
    [
      'a transaction that the block does not hold',
      { ...honest, txid: seeded('nothing') },
      'TransactionNotInBlock',
    ],
    ["another deposit's proof", { ...honest, proof: bitcoin.proofOf(other) }, 'ProofWrong'],
    [
      'a proof with another index',
      { ...honest, proof: { ...honest.proof, transactionIndex: 0 } },
      'ProofWrong',
    ],
    [
      'a proof with another coinbase',
      { ...honest, proof: { ...honest.proof, coinbaseState: honest.proof.blockHash } },
      'ProofWrong',
    ],
  ] as [string, PegInClaim, string][])('%s', (_, claim, code) => {
    expect(decide(claim)).toMatchObject({ kind: 'refuse', code })
  })

  it('a deposit below the minimum', () => {
    const dust = depositOf(genesis, 'dust', 9_999n)
    const world = new BitcoinWorld('dust')
    world.mine([dust])
    world.mine([], 2)
    const claim = claimOf(world, dust)
    expect(decide(claim, sightOf(claim, world))).toEqual({ kind: 'refuse', code: 'NotADeposit' })
  })

  it("the change of the federation's own payout, under whatever kind (4.2)", () => {
    const leaf = federationOutput(genesis, { epoch: 0 })
    const witness = [new Uint8Array(64), leaf.leafA, leaf.controlBlockA]
    const [input] = deposit.inputs as [(typeof deposit.inputs)[number]]
    const payout = {
      ...payment('payout', [
        { amountSat: 500_000n, scriptPubKey: p2wpkh('user') },
        { amountSat: 500_000n, scriptPubKey: changeOutput(genesis, 0).scriptPubKey },
      ]),
      inputs: [{ ...input, witness }],
    }
    const world = new BitcoinWorld('payout')
    world.mine([payout])
    world.mine([], 2)
    const claim = claimOf(world, payout, { vout: 1, kind: 'refundable', reason: 'badPayload' })
    const verdict = { kind: 'refuse', code: 'SpendsReserve' }
    expect(decide(claim, sightOf(claim, world))).toEqual(verdict)
    const credit = { ...claim, kind: 0, reason: 0, evmAddress: addressOf('mallory') }
    expect(decide(credit, sightOf(credit, world))).toEqual(verdict)
  })

  it('two federation outputs under one address (D8)', () => {
    const plain = changeOutput(genesis, 0).scriptPubKey
    const twice = payment('twice', [
      { amountSat: 500_000n, scriptPubKey: plain },
      { amountSat: 500_000n, scriptPubKey: plain },
      { amountSat: 0n, scriptPubKey: depositPayloadScript(addressOf('twice')) },
    ])
    const world = new BitcoinWorld('twice')
    world.mine([twice])
    world.mine([], 2)
    const claim = claimOf(world, twice)
    expect(decide(claim, sightOf(claim, world))).toMatchObject({ kind: 'refuse' })
  })
})

describe('a member waits', () => {
  const unconfirmed = { ...sightOf(honest), confirmations: 2 } as DepositSight

  it('until the deposit has N confirmations in its own Bitcoin', () => {
    expect(decide(honest, unconfirmed)).toMatchObject({ kind: 'unknown', code: 'NotConfirmed' })
  })

  it('for its own higher bound, and never below N', () => {
    expect(decide(honest, sightOf(honest), 4)).toMatchObject({ code: 'NotConfirmed' })
    expect(decide(honest, unconfirmed, 1)).toMatchObject({ code: 'NotConfirmed' })
  })

  it('while its Bitcoin does not know the block or does not answer', () => {
    const sight: DepositSight = { kind: 'unknown', code: 'BitcoinUnreachable' }
    expect(decide(honest, sight)).toMatchObject({ kind: 'unknown', code: 'BitcoinUnreachable' })
  })

  it('for the maturity of a coinbase output', () => {
    const coinbase = bitcoin.blocks[1]?.transactions[0]
    if (coinbase === undefined) throw new Error('no coinbase')
    const claim = { ...claimOf(bitcoin, coinbase), amountSat: 5_000_000_000n }
    expect(decide(claim)).toMatchObject({ kind: 'unknown', code: 'NotConfirmed' })
  })
})

describe('a request', () => {
  it('is read back as the claim that it carries', () => {
    expect(readApprovalRequest(genesis, requestFor(honest), FIRST_FEDERATION)).toMatchObject({
      kind: 'sign',
    })
  })

  it.each([
    ['of another chain', { genesisHash: new Uint8Array(32) }, 'WrongChain'],
    ['of members that nobody knows', { membersEpoch: 1 }, 'MembersEpochUnknown'],
    ['about another outpoint', { outpoint: `${'00'.repeat(32)}:0` }, 'OutpointMismatch'],
    ['with bytes that are no claim', { claim: new Uint8Array(40) }, 'ClaimMalformed'],
    [
      'with bytes after the claim',
      { claim: Uint8Array.of(...PegInClaimType.serialize(honest), 0) },
      'OutpointMismatch',
    ],
  ] as [string, Partial<ApprovalRequest>, string][])('%s is refused', (_, changes, code) => {
    const read = readApprovalRequest(genesis, requestFor(honest, changes), FIRST_FEDERATION)
    expect(read.kind).toBe('refuse')
    if (code !== 'OutpointMismatch') expect(read).toMatchObject({ code })
  })

  it('with a deposit epoch that this member has not seen begin waits', () => {
    const claim = { ...honest, depositEpoch: 1 }
    expect(readApprovalRequest(genesis, requestFor(claim), FIRST_FEDERATION)).toMatchObject({
      kind: 'unknown',
      code: 'DepositEpochUnknown',
    })
  })
})
