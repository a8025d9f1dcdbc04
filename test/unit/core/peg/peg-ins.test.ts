import {
  type BitcoinTransaction,
  serializeTransaction,
  txid,
} from '../../../../core/bitcoin/index.ts'
import type { MemberApproval, PegInClaim, TransactionProof } from '../../../../core/block/index.ts'
import {
  assemble,
  changeOutput,
  depositPayloadScript,
  describeReserve,
  federationOutput,
  findDeposit,
  type PegCode,
  verifyProof,
} from '../../../../core/peg/index.ts'
import { bitsOfTail, concatBytes, sha256Tail } from '../../../../crypto/index.ts'
import { addressOf, approve, claimOf, depositOf, PegWorld, p2wpkh, payment } from './world.ts'

/** A world whose ledger sees a deposit of `amountSat` at `confirmations`. */
function withDeposit(amountSat = 1_000_000n, confirmations = 3, changes = {}) {
  const world = new PegWorld(changes)
  const { bitcoin, genesis } = world
  const transaction = depositOf(genesis, 'alice', amountSat)
  bitcoin.mine([payment('other', [{ amountSat: 1000n, scriptPubKey: p2wpkh('x') }]), transaction])
  bitcoin.mine([], confirmations - 1)
  world.syncHeaders()
  return { world, transaction, claim: claimOf(bitcoin, transaction) }
}

function codeOf(world: PegWorld, claim: PegInClaim, approval?: MemberApproval) {
  return world.codeOf({ proofs: [claim.proof], pegIns: [world.item(claim, approval)] })
}

describe('peg-in items (P 4.2)', () => {
  it('a deposit is credited at exactly N confirmations, not at N − 1 (PI-4)', () => {
    const young = withDeposit(1_000_000n, 2)
    expect(codeOf(young.world, young.claim)).toBe('PegInTooYoung')
    const { world, claim } = withDeposit(1_000_000n, 3)
    expect(codeOf(world, claim)).toBeUndefined()
  })

  it('a header of the same block counts as a confirmation', () => {
    const { world, claim } = withDeposit(1_000_000n, 2)
    const { header } = world.bitcoin.mine()
    expect(
      world.codeOf({
        bitcoinHeaders: [header],
        proofs: [claim.proof],
        pegIns: [world.item(claim)],
      }),
    ).toBeUndefined()
  })

  const other = addressOf('mallory')

  it.each<[PegCode, Parameters<typeof claimOf>[2]]>([
    ['PegInTxidWrong', { txid: new Uint8Array(32) }],
    ['PegInOutputMissing', { vout: 2, amountSat: 1_000_000n }],
    ['PegInAmountWrong', { amountSat: 1_000_001n }],
    ['PegInEpochUnknown', { depositEpoch: 1 }],
    ['PegInScriptWrong', { vout: 1, amountSat: 0n }],
    ['PegInAddressWrong', { evmAddress: other }],
    ['PegInRefundScriptWrong', { refundScript: p2wpkh('mallory') }],
    ['PegInKindWrong', { reason: 'badPayload' }],
    ['PegInKindWrong', { kind: 'fund', evmAddress: addressOf('alice') }],
    [
      'PegInKindWrong',
      { kind: 'refundable', evmAddress: addressOf('alice'), reason: 'aboveMaximum' },
    ],
  ])('%s: one wrong field, approved or not (PI-5)', (code, changes) => {
    const { world, transaction } = withDeposit()
    expect(codeOf(world, claimOf(world.bitcoin, transaction, changes))).toBe(code)
  })

  it('PegInKindUnknown: kinds and reasons beyond the list', () => {
    const { world, claim } = withDeposit()
    expect(codeOf(world, { ...claim, kind: 3 })).toBe('PegInKindUnknown')
    expect(codeOf(world, { ...claim, reason: 9 })).toBe('PegInKindUnknown')
  })

  it('the members may deny a good deposit: it is then owed back, for ever', () => {
    const { world, transaction, claim } = withDeposit()
    const denied = claimOf(world.bitcoin, transaction, {
      kind: 'refundable',
      reason: 'denied',
      evmAddress: claim.evmAddress,
    })
    world.block({ items: { proofs: [denied.proof], pegIns: [world.item(denied)] } })
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 1_000_000n,
      supplySat: 0n,
      inFlight: [{ kind: 'refundOwed', amountSat: 1_000_000n }],
    })
    expect(codeOf(world, claim)).toBe('PegInDuplicate')
  })

  it('PegInDuplicate: one outpoint, one row, for ever, of one kind (D2, PI-8)', () => {
    const { world, claim } = withDeposit()
    const item = world.item(claim)
    expect(world.codeOf({ proofs: [claim.proof], pegIns: [item, item] })).toBe('PegInDuplicate')
    world.block({ items: { proofs: [claim.proof], pegIns: [item] } })
    expect(codeOf(world, claim)).toBe('PegInDuplicate')
    world.block()
    expect(codeOf(world, claim)).toBe('PegInDuplicate')
    const queue = { headers: [], pegIns: [{ claim, approval: item.approval }], bookings: [] }
    expect(assemble(world.ledger, world.context(), queue)).toMatchObject({
      items: { pegIns: [] },
      refused: [{ kind: 'pegIn', index: 0, code: 'PegInDuplicate', permanent: true }],
    })
  })

  it('two outputs of one transaction, each with its own address, are two deposits (PI-1, T13)', () => {
    const world = new PegWorld()
    const { genesis, bitcoin } = world
    const owners = ['alice', 'bob'].map((name) => ({
      evmAddress: addressOf(name),
      refundScript: p2wpkh(name),
    }))
    const transaction = payment(
      'both',
      owners.map((deposit, index) => ({
        amountSat: 100_000n * BigInt(index + 1),
        scriptPubKey: federationOutput(genesis, { epoch: 0, deposit }).scriptPubKey,
      })),
    )
    bitcoin.mine([transaction])
    bitcoin.mine([], 2)
    world.syncHeaders()
    const claims = owners.map((owner, vout) => claimOf(bitcoin, transaction, { ...owner, vout }))
    const [first] = claims as [PegInClaim]
    world.block({
      items: { proofs: [first.proof], pegIns: claims.map((claim) => world.item(claim)) },
    })
    expect(world.withdrawals.map(({ address, amountGwei }) => [address, amountGwei])).toEqual([
      [addressOf('alice'), 990_000n],
      [addressOf('bob'), 1_990_000n],
    ])
    expect(findDeposit(world.ledger, txid(transaction), 1)).toMatchObject({ tweaked: true })
  })

  it('two deposits to one address in one Bitcoin block are both credited (PI-1, D8)', () => {
    const world = new PegWorld()
    const { genesis, bitcoin } = world
    const deposits = ['one', 'two'].map((name) =>
      depositOf(genesis, name, 50_000n, addressOf('alice')),
    )
    bitcoin.mine(deposits)
    bitcoin.mine([], 2)
    world.syncHeaders()
    const claims = deposits.map((deposit) => claimOf(bitcoin, deposit))
    world.block({
      items: {
        proofs: claims.map(({ proof }) => proof),
        pegIns: claims.map((claim, index) => world.item(claim, undefined, index)),
      },
    })
    expect(world.withdrawals).toHaveLength(2)
    expect(world.ledger.state.mintedSat).toBe(98_000n)
  })

  it('PegInBelowMinimum: dust is never an item (PI-9)', () => {
    const { world, claim } = withDeposit(9_999n)
    expect(codeOf(world, claim)).toBe('PegInBelowMinimum')
  })

  it.each([
    ['no message', []],
    ['two messages', [depositPayloadScript(addressOf('a')), depositPayloadScript(addressOf('b'))]],
    ['a malformed message', [Uint8Array.of(0x6a, 2, 1, 2)]],
  ])('a deposit with %s is refundable, counted in flight and no mint (PI-2, D8)', (_, messages) => {
    const world = new PegWorld()
    const { genesis, bitcoin } = world
    const transaction = payment('bad', [
      { amountSat: 70_000n, scriptPubKey: changeOutput(genesis, 0).scriptPubKey },
      ...messages.map((scriptPubKey) => ({ amountSat: 0n, scriptPubKey })),
    ])
    bitcoin.mine([transaction])
    bitcoin.mine([], 2)
    world.syncHeaders()
    const asCredit = claimOf(bitcoin, transaction, { evmAddress: new Uint8Array(20) })
    expect(codeOf(world, asCredit)).toBe('PegInKindWrong')
    const claim = claimOf(bitcoin, transaction, { kind: 'refundable', reason: 'badPayload' })
    world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
    expect(world.withdrawals).toEqual([])
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 70_000n,
      supplySat: 0n,
      inFlightSat: 70_000n,
    })
  })

  it('a deposit to a system contract is refundable, one above the maximum too, one to zero is a donation', () => {
    const world = new PegWorld()
    const { genesis, bitcoin } = world
    const bridge = new Uint8Array(20).fill(0xbb)
    const cases = [
      {
        name: 'bridge',
        amountSat: 20_000n,
        to: bridge,
        kind: 'refundable',
        reason: 'forbiddenAddress',
      },
      {
        name: 'rich',
        amountSat: 100_000_001n,
        to: addressOf('rich'),
        kind: 'refundable',
        reason: 'aboveMaximum',
      },
      { name: 'gift', amountSat: 30_000n, to: new Uint8Array(20), kind: 'fund', reason: 'none' },
    ] as const
    for (const { name, amountSat, to, kind, reason } of cases) {
      const transaction = depositOf(genesis, name, amountSat, to)
      bitcoin.mine([transaction])
      bitcoin.mine([], 2)
      world.syncHeaders()
      expect(codeOf(world, claimOf(bitcoin, transaction))).toBe('PegInKindWrong')
      const claim = claimOf(bitcoin, transaction, { kind, reason, evmAddress: to })
      world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
      expect(world.withdrawals).toEqual([])
    }
    expect(describeReserve(world.ledger)).toMatchObject({
      reserveSat: 100_050_001n,
      supplySat: 0n,
      fundSat: 30_000n,
      inFlightSat: 100_050_001n,
    })
  })
})

describe('limits (P 4.2, PI-9)', () => {
  it.each<[PegCode, Record<string, number>]>([
    ['TotalCapReached', { totalCapSat: 1_999_999 }],
    ['DailyCapReached', { dailyCapSat: 1_999_999 }],
    ['ReorgCapReached', { reorgCapSat: 1_999_999 }],
  ])('%s: what is above it waits, and nothing is lost', (code, changes) => {
    const world = new PegWorld({ ...changes, pegInFeeSat: 0 })
    world.pegIn('first', 1_000_000n)
    const transaction = depositOf(world.genesis, 'second', 1_000_000n)
    world.bitcoin.mine([transaction])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const claim = claimOf(world.bitcoin, transaction)
    expect(codeOf(world, claim)).toBe(code)
    const queue = {
      headers: [],
      pegIns: [{ claim, approval: approve(world.genesis, claim) }],
      bookings: [],
    }
    expect(assemble(world.ledger, world.context(), queue).refused).toMatchObject([
      { code, permanent: false },
    ])
  })

  it.each<[PegCode, Record<string, number>]>([
    ['TotalCapReached', { totalCapSat: 2_999_999 }],
    ['DailyCapReached', { dailyCapSat: 2_999_999 }],
    ['ReorgCapReached', { reorgCapSat: 2_999_999 }],
  ])('%s: the items of one block share the room', (code, changes) => {
    const world = new PegWorld({ ...changes, pegInFeeSat: 0 })
    world.pegIn('first', 1_000_000n)
    const deposits = ['second', 'third'].map((name) => depositOf(world.genesis, name, 1_000_000n))
    world.bitcoin.mine(deposits)
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const claims = deposits.map((deposit) => claimOf(world.bitcoin, deposit))
    const proofs = claims.map(({ proof }) => proof)
    const pegIns = claims.map((claim, at) => world.item(claim, undefined, at))
    expect(world.codeOf({ proofs, pegIns })).toBe(code)
    expect(world.codeOf({ proofs: proofs.slice(0, 1), pegIns: pegIns.slice(0, 1) })).toBeUndefined()
  })

  it('the day rolls: 86,400 s after the first credit there is room again', () => {
    const world = new PegWorld({ dailyCapSat: 1_500_000 })
    world.pegIn('first', 1_000_000n)
    const creditedAt = world.timestamp
    const transaction = depositOf(world.genesis, 'second', 1_000_000n)
    world.bitcoin.mine([transaction])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const claim = claimOf(world.bitcoin, transaction)
    const items = { proofs: [claim.proof], pegIns: [world.item(claim)] }
    expect(world.codeOf(items, { timestamp: creditedAt + 86_399 })).toBe('DailyCapReached')
    expect(world.codeOf(items, { timestamp: creditedAt + 86_400 })).toBeUndefined()
  })

  it('credits deeper than 100 Bitcoin blocks leave the reorg cap', () => {
    const world = new PegWorld({ reorgCapSat: 1_500_000 })
    world.pegIn('first', 1_000_000n)
    const transaction = depositOf(world.genesis, 'second', 1_000_000n)
    world.bitcoin.mine([transaction])
    // The first credit stands at height 1: with the tip at 100 it is among the last 100, at 101 it is not.
    world.bitcoin.mine([], 100 - world.bitcoin.tip.height)
    world.syncHeaders()
    const claim = claimOf(world.bitcoin, transaction)
    expect(codeOf(world, claim)).toBe('ReorgCapReached')
    world.bitcoin.mine()
    world.syncHeaders()
    expect(codeOf(world, claim)).toBeUndefined()
  })
})

describe('approvals (P 4.2)', () => {
  it('t of the members by count, for exactly this claim, in this epoch', () => {
    const { world, claim } = withDeposit()
    const { genesis } = world
    expect(codeOf(world, claim, approve(genesis, claim, [0, 1]))).toBe('ApprovalQuorumMissing')
    expect(codeOf(world, claim, approve(genesis, claim, [1, 2, 3]))).toBeUndefined()
    expect(codeOf(world, claim, approve(genesis, claim, [0, 1, 2, 3]))).toBeUndefined()
    expect(codeOf(world, claim, approve(genesis, claim, [0, 1, 2], 1))).toBe('ApprovalEpochWrong')
    const forged = approve(genesis, { ...claim, evmAddress: addressOf('mallory') })
    expect(codeOf(world, claim, forged)).toBe('ApprovalSignatureWrong')
    const good = approve(genesis, claim)
    const more = { ...good, bitmap: approve(genesis, claim, [0, 1, 2, 3]).bitmap }
    expect(codeOf(world, claim, more)).toBe('ApprovalSignatureWrong')
    expect(codeOf(world, claim, { ...good, signature: new Uint8Array(96) })).toBe(
      'ApprovalSignatureWrong',
    )
    const short = approve({ ...genesis, members: genesis.members.slice(0, 3) }, claim)
    expect(codeOf(world, claim, short)).toBe('ApprovalBitmapWrong')
  })
})

describe('proofs (P 4.2, PI-5)', () => {
  const tailOf = (message: Uint8Array) => {
    const { block, state } = sha256Tail(message)
    return { coinbaseState: state, coinbaseBlock: block }
  }
  const flip = (bytes: Uint8Array) =>
    Uint8Array.from(bytes, (byte, at) => (at === 5 ? byte ^ 1 : byte))
  const flipLast = (branch: readonly Uint8Array[]) =>
    branch.map((node, at) => (at === branch.length - 1 ? flip(node) : node))

  it.each<[PegCode, (proof: TransactionProof) => Partial<TransactionProof>]>([
    ['ProofBlockUnknown', ({ blockHash }) => ({ blockHash: flip(blockHash) })],
    ['ProofTransactionMalformed', ({ transaction }) => ({ transaction: transaction.subarray(1) })],
    [
      'ProofTransactionMalformed',
      ({ transaction }) => ({ transaction: Uint8Array.of(...transaction, 0) }),
    ],
    ['ProofCoinbaseBranchWrong', (proof) => ({ coinbaseState: flip(proof.coinbaseState) })],
    ['ProofCoinbaseBranchWrong', (proof) => ({ coinbaseBlock: flip(proof.coinbaseBlock) })],
    ['ProofCoinbaseBranchWrong', ({ transaction }) => tailOf(transaction)],
    ['ProofBranchLength', ({ branch }) => ({ branch: [...branch, new Uint8Array(32)] })],
    ['ProofIndexTooLarge', ({ branch }) => ({ transactionIndex: 2 ** branch.length })],
    ['ProofBranchWrong', () => ({ transactionIndex: 3 })],
    ['ProofBranchWrong', ({ branch }) => ({ branch: flipLast(branch) })],
    ['ProofCoinbaseBranchWrong', (proof) => ({ coinbaseBranch: flipLast(proof.coinbaseBranch) })],
  ])('%s', (code, change) => {
    const { world, claim } = withDeposit()
    const proof = { ...claim.proof, ...change(claim.proof) }
    expect(codeOf(world, { ...claim, proof })).toBe(code)
    expect(verifyProof(world.ledger, proof, 1)).toMatchObject({ error: { code } })
  })

  it.each<[PegCode, (proof: TransactionProof) => Partial<TransactionProof>]>([
    ['ProofCoinbaseBranchWrong', (proof) => ({ coinbaseState: flip(proof.coinbaseState) })],
    ['ProofCoinbaseBranchWrong', (proof) => ({ coinbaseBlock: flip(proof.coinbaseBlock) })],
    ['ProofCoinbaseBranchWrong', (proof) => ({ coinbaseBranch: flipLast(proof.coinbaseBranch) })],
    ['ProofBranchLength', (proof) => ({ coinbaseBranch: proof.coinbaseBranch.slice(1) })],
  ])('%s: in the second proof of a Bitcoin block as in the first', (code, change) => {
    const world = new PegWorld()
    const deposits = ['one', 'two'].map((name) => depositOf(world.genesis, name, 1_000_000n))
    world.bitcoin.mine(deposits)
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const claims = deposits.map((deposit) => claimOf(world.bitcoin, deposit))
    const [first, second] = claims.map(({ proof }) => proof) as [TransactionProof, TransactionProof]
    const pegIns = claims.map((claim, at) => world.item(claim, undefined, at))
    expect(world.codeOf({ proofs: [first, second], pegIns })).not.toBe(code)
    const wrong = { ...second, ...change(second) }
    expect(world.codeOf({ proofs: [first, wrong], pegIns })).toBe(code)
  })

  it('ProofTransaction64Bytes: an inner node could pose as a transaction', () => {
    const world = new PegWorld()
    const base = payment('x', [{ amountSat: 1n, scriptPubKey: new Uint8Array(4) }])
    world.bitcoin.mine([base])
    world.syncHeaders()
    const proof = world.bitcoin.proofOf(base)
    expect(proof.transaction).toHaveLength(64)
    expect(verifyProof(world.ledger, proof, 1)).toMatchObject({
      error: { code: 'ProofTransaction64Bytes' },
    })
  })

  it('ProofTransaction64Bytes: nor may an inner node pose as the coinbase that fixes the depth', () => {
    const world = new PegWorld()
    const base = payment('x', [{ amountSat: 1n, scriptPubKey: p2wpkh('x') }])
    const coinbase: BitcoinTransaction = {
      version: 1,
      inputs: [
        {
          txid: new Uint8Array(32),
          vout: 0xffffffff,
          scriptSig: Uint8Array.of(1, 1),
          sequence: 0,
          witness: [],
        },
      ],
      outputs: [{ amountSat: 1n, scriptPubKey: Uint8Array.of(0x51, 0x51) }],
      lockTime: 0,
    }
    world.bitcoin.mine([base], 1, coinbase)
    world.syncHeaders()
    const proof = world.bitcoin.proofOf(base)
    expect(bitsOfTail({ block: proof.coinbaseBlock })).toBe(512n)
    expect(verifyProof(world.ledger, proof, 1)).toMatchObject({
      error: { code: 'ProofTransaction64Bytes' },
    })
  })

  it('no inner node passes for the first leaf of a tree that is less deep', () => {
    const world = new PegWorld()
    const payments = ['x', 'y', 'z'].map((name) =>
      payment(name, [{ amountSat: 1n, scriptPubKey: p2wpkh(name) }]),
    )
    world.bitcoin.mine(payments)
    world.syncHeaders()
    const [, second] = payments as [BitcoinTransaction, BitcoinTransaction]
    const proof = world.bitcoin.proofOf(second)
    const [left, above] = proof.coinbaseBranch as [Uint8Array, Uint8Array]
    const first = world.bitcoin.tip.transactions[0] as BitcoinTransaction
    const inner = tailOf(concatBytes(txid(first), left))
    const posed = { ...proof, ...inner, coinbaseBranch: [above], branch: [left] }
    expect(verifyProof(world.ledger, posed, 1)).toMatchObject({
      error: { code: 'ProofTransaction64Bytes' },
    })
    const longer = Uint8Array.from(inner.coinbaseBlock)
    longer[62] = 4
    const lied = { ...proof, ...inner, coinbaseBlock: longer }
    const short = { ...lied, coinbaseBranch: [above], branch: [above], transactionIndex: 0 }
    for (const one of [lied, short]) expect(verifyProof(world.ledger, one, 1).ok).toBe(false)
  })

  it('a deposit can be proven however large the coinbase of its block is', () => {
    const world = new PegWorld()
    const deposit = depositOf(world.genesis, 'alice', 1_000_000n)
    world.bitcoin.mine()
    const [small] = world.bitcoin.tip.transactions as [BitcoinTransaction]
    const outputs = Array.from({ length: 3_300 }, () => ({
      amountSat: 0n,
      scriptPubKey: p2wpkh('miner'),
    }))
    world.bitcoin.mine([deposit], 1, { ...small, outputs })
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    expect(codeOf(world, claimOf(world.bitcoin, deposit))).toBeUndefined()
  })

  it('ProofTransactionMalformed: one transaction has one form in a block, the one without witness', () => {
    const { world, claim, transaction } = withDeposit()
    const [input] = transaction.inputs as [BitcoinTransaction['inputs'][number]]
    const signed = { ...transaction, inputs: [{ ...input, witness: [Uint8Array.of(7)] }] }
    const proof = { ...claim.proof, transaction: serializeTransaction(signed) }
    expect(txid(signed)).toEqual(claim.txid)
    expect(codeOf(world, { ...claim, proof })).toBe('ProofTransactionMalformed')
  })

  it('PegInSpendsReserve: what spends reserve pays no deposit address either, but for a booked payout', () => {
    const { world, claim } = withDeposit()
    world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
    const { genesis } = world
    const deposit = { evmAddress: addressOf('mallory'), refundScript: new Uint8Array(0) }
    const { scriptPubKey } = federationOutput(genesis, { epoch: 0, deposit })
    const spend = payment({ txid: claim.txid, vout: 0 }, [{ amountSat: 900_000n, scriptPubKey }])
    world.bitcoin.mine([spend])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const { evmAddress } = deposit
    expect(codeOf(world, claimOf(world.bitcoin, spend, { evmAddress }))).toBe('PegInSpendsReserve')
  })

  it('a proof is bound to its item: unknown, unused and double ones are refused', () => {
    const { world, claim } = withDeposit()
    const item = world.item(claim)
    const { proof } = claim
    expect(world.codeOf({ proofs: [], pegIns: [item] })).toBe('ProofIndexUnknown')
    expect(world.codeOf({ proofs: [proof] })).toBe('ProofUnused')
    const both = [item, { ...item, proofIndex: 1 }]
    expect(world.codeOf({ proofs: [proof, proof], pegIns: both })).toBe('ProofDuplicate')
  })

  it('ProofsTooLarge: 256 KiB a block', () => {
    const { world, claim } = withDeposit()
    const huge = { ...claim.proof, transaction: new Uint8Array(99_000) }
    expect(world.codeOf({ proofs: [huge, huge, huge], pegIns: [] })).toBe('ProofsTooLarge')
  })

  it('an output of a coinbase waits for its maturity', () => {
    const world = new PegWorld()
    const block = world.bitcoin.mine()
    world.bitcoin.mine([], 98)
    world.syncHeaders()
    const [coinbase] = block.transactions
    if (coinbase === undefined) throw new Error('an empty block')
    const proof = world.bitcoin.proofOf(coinbase)
    expect(verifyProof(world.ledger, proof, 3)).toMatchObject({ error: { code: 'PegInTooYoung' } })
    world.bitcoin.mine()
    world.syncHeaders()
    expect(verifyProof(world.ledger, proof, 3).ok).toBe(true)
  })
})
