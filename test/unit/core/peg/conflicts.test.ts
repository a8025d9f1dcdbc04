import {
  type BitcoinTransaction,
  serializeTransaction,
  txid,
} from '../../../../core/bitcoin/index.ts'
import {
  BATCH_STATE,
  OUTPUT_STATE,
  outpointKey,
  REQUEST_STATE,
  rowOf,
} from '../../../../core/ledger/index.ts'
import {
  assemble,
  checkIdentity,
  findRequest,
  missingDeposits,
  openBatches,
  requestId,
} from '../../../../core/peg/index.ts'
import { type BitcoinWorld, claimOf, depositOf, PegWorld, p2wpkh, payment } from './world.ts'

const DEPTH = 12
const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }

/** A payout over one deposit, which a reorg took away before the payout was sent; the deposit's coin goes elsewhere on the new branch. */
class LostDeposit extends PegWorld {
  readonly deposit: BitcoinTransaction
  readonly key: Uint8Array
  readonly batchId: Uint8Array
  readonly request: Uint8Array
  readonly fork: number
  readonly branch: BitcoinWorld
  /** Mined on both branches, credited on the first. */
  readonly spare: BitcoinTransaction

  /** `parents`: mined with the deposit, the oldest first. `thieves`: what the branch has instead. */
  constructor(thieves: readonly BitcoinTransaction[], parents: readonly BitcoinTransaction[] = []) {
    super({ conflictDepth: DEPTH })
    this.fork = this.bitcoin.tip.height
    const parent = parents.at(-1)
    this.deposit =
      parent === undefined
        ? depositOf(this.genesis, 'alice', 1_000_000n)
        : {
            ...depositOf(this.genesis, 'alice', 1_000_000n),
            inputs: payment({ txid: txid(parent), vout: 0 }, []).inputs,
          }
    this.key = outpointKey(txid(this.deposit), 0)
    this.bitcoin.mine([...parents, this.deposit])
    this.bitcoin.mine([], 2)
    this.syncHeaders()
    const claim = claimOf(this.bitcoin, this.deposit)
    this.block({ items: { proofs: [claim.proof], pegIns: [this.item(claim)] } })
    this.request = requestId(this.genesis, this.evmBlockHash(), 0)
    this.block({ burns: [this.burn('bob', 300_000n)] })
    this.record()
    const [batch] = openBatches(this.ledger)
    if (batch === undefined) throw new Error('no batch')
    this.batchId = batch.batchId
    this.spare = depositOf(this.genesis, 'spare', 2_000_000n)
    this.pegIn('spare', 2_000_000n)
    this.branch = this.bitcoin.fork(this.fork, 'other')
    this.branch.mine([...thieves, this.spare])
    this.branch.mine([], 6)
    this.block({ items: { bitcoinHeaders: this.branch.headersAfter(this.fork) } })
  }

  /** The spare coin is proven on the branch. */
  spareProven(): Uint8Array {
    const claim = claimOf(this.branch, this.spare)
    this.block({ items: { proofs: [claim.proof], pegIns: [this.item(claim)] } })
    return outpointKey(txid(this.spare), 0)
  }

  record(): void {
    this.timestamp += 10
    this.block({ items: assemble(this.ledger, this.context(), EMPTY_QUEUE).items })
  }

  bury(): void {
    this.branch.mine([], DEPTH)
    this.syncHeaders(this.branch)
  }

  items(thief: BitcoinTransaction, line: readonly BitcoinTransaction[] = [this.deposit]) {
    const ancestry = line.map((transaction) => serializeTransaction(transaction))
    return { proofs: [this.branch.proofOf(thief)], conflicts: [{ proofIndex: 0, ancestry }] }
  }

  get batchState(): number | undefined {
    return rowOf(this.ledger, 'batches', this.batchId)?.state
  }

  get requestRow() {
    return findRequest(this.ledger, this.request)
  }
}

const otherSpend = (name = 'alice') =>
  payment(name, [{ amountSat: 990_000n, scriptPubKey: p2wpkh('thief') }])

describe('a payout begun with a deposit that Bitcoin lost for good (P 4.5; PO-10)', () => {
  it('waits for it, and is released once a spend of its inputs is conflictDepth deep', () => {
    const thief = otherSpend()
    const world = new LostDeposit([thief])
    expect(missingDeposits(world.ledger).map(({ key }) => key)).toEqual([world.key])
    expect(world.codeOf(world.items(thief))).toBe('ConflictTooYoung')
    world.branch.mine([], DEPTH - 7 - 1)
    world.syncHeaders(world.branch)
    expect(world.batchState).toBe(BATCH_STATE.open)
    world.branch.mine()
    world.syncHeaders(world.branch)
    world.block({ items: world.items(thief) })
    expect(world.batchState).toBe(BATCH_STATE.released)
    expect(world.requestRow).toMatchObject({ state: REQUEST_STATE.open })
    expect(rowOf(world.ledger, 'conflicts', world.key)).toMatchObject({
      txid: txid(thief),
      released: [world.batchId],
    })
    expect(missingDeposits(world.ledger)).toEqual([])
    expect(world.codeOf(world.items(thief))).toBe('ConflictUnrelated')
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('its requests are paid by another batch, from another conflict input; what only it held is free', () => {
    const thief = otherSpend()
    const world = new LostDeposit([thief])
    const spare = world.spareProven()
    world.bury()
    world.block({ items: world.items(thief) })
    world.record()
    const [next] = openBatches(world.ledger)
    expect(next?.row.inputs).toEqual([spare])
    expect(world.requestRow).toMatchObject({
      state: REQUEST_STATE.batched,
      batchId: next?.batchId,
    })
    expect(rowOf(world.ledger, 'outputs', world.key)).toMatchObject({
      state: OUTPUT_STATE.absent,
      batchId: new Uint8Array(32),
    })
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('what another batch took meanwhile stays so when the conflict goes', () => {
    const thief = otherSpend()
    const world = new LostDeposit([thief])
    world.spareProven()
    world.bury()
    world.block({ items: world.items(thief) })
    world.record()
    const [next] = openBatches(world.ledger)
    // The thief goes, the spare coin comes back in another block.
    const third = world.branch.fork(world.fork, 'third')
    third.mine([world.spare])
    third.mine([], world.branch.tip.height - world.fork + 2)
    world.block({ items: { bitcoinHeaders: third.headersAfter(world.fork) } })
    expect(world.batchState).toBe(BATCH_STATE.released)
    expect(world.requestRow).toMatchObject({ batchId: next?.batchId })
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('by a line of ancestors that went with it', () => {
    const grandparent = payment('old coin', [{ amountSat: 1_100_000n, scriptPubKey: p2wpkh('a') }])
    const parent = payment({ txid: txid(grandparent), vout: 0 }, [
      { amountSat: 1_050_000n, scriptPubKey: p2wpkh('b') },
    ])
    const thief = otherSpend('old coin')
    const world = new LostDeposit([thief], [grandparent, parent])
    world.bury()
    const { deposit } = world
    // A gap in the line, another order, and a line that ends before what was spent otherwise.
    for (const line of [[deposit, grandparent], [grandparent, parent, deposit], []]) {
      expect(world.codeOf(world.items(thief, line))).toBe('ConflictAncestryBroken')
    }
    expect(world.codeOf(world.items(thief, [deposit, parent]))).toBe('ConflictWithout')
    expect(world.codeOf(world.items(thief, [parent, grandparent]))).toBe('ConflictUnrelated')
    world.block({ items: world.items(thief, [deposit, parent, grandparent]) })
    expect(world.batchState).toBe(BATCH_STATE.released)
  })

  it('not by what spends other coins, nor by the coinbase of another block, nor by itself', () => {
    const stranger = payment('stranger', [{ amountSat: 1n, scriptPubKey: p2wpkh('x') }])
    const world = new LostDeposit([stranger])
    world.bury()
    expect(world.codeOf(world.items(stranger))).toBe('ConflictWithout')
    // Both spend the outpoint that is none.
    const [ownCoinbase] = world.bitcoin.blocks[world.fork + 1]?.transactions ?? []
    const [otherCoinbase] = world.branch.blocks[world.fork + 1]?.transactions ?? []
    if (ownCoinbase === undefined || otherCoinbase === undefined) throw new Error('no coinbase')
    const fromCoinbase = {
      ...world.deposit,
      inputs: payment({ txid: txid(ownCoinbase), vout: 0 }, []).inputs,
    }
    expect(world.codeOf(world.items(otherCoinbase, [fromCoinbase, ownCoinbase]))).toBe(
      'ConflictWithout',
    )
  })

  it('the deposit mined again in another block is no conflict of itself', () => {
    const world = new LostDeposit([
      depositOf(new PegWorld({ conflictDepth: DEPTH }).genesis, 'alice', 1_000_000n),
    ])
    world.bury()
    expect(world.codeOf(world.items(world.deposit))).toBe('ConflictWithout')
    expect(world.batchState).toBe(BATCH_STATE.open)
  })

  it('a transaction with its witness, or with a byte more, is none of the line', () => {
    const thief = otherSpend()
    const world = new LostDeposit([thief])
    world.bury()
    const { conflicts, proofs } = world.items(thief)
    const [item] = conflicts
    const bytes = item?.ancestry[0] as Uint8Array
    const signed = serializeTransaction({
      ...world.deposit,
      inputs: world.deposit.inputs.map((input) => ({ ...input, witness: [Uint8Array.of(1)] })),
    })
    for (const wrong of [
      signed,
      Uint8Array.of(...bytes, 0),
      bytes.subarray(1),
      new Uint8Array(64),
    ]) {
      const ancestry = [wrong]
      const broken = { proofs, conflicts: [{ proofIndex: 0, ancestry }] }
      expect(world.codeOf(broken)).toBe('ConflictAncestryBroken')
    }
    expect(world.codeOf({ proofs, conflicts: [] })).toBe('ProofUnused')
    expect(world.codeOf({ proofs, conflicts: [{ proofIndex: 1, ancestry: [bytes] }] })).toBe(
      'ProofIndexUnknown',
    )
  })

  it('raw transactions count among the proofs of a block', () => {
    const thief = otherSpend()
    const world = new LostDeposit([thief])
    world.bury()
    const { proofs } = world.items(thief)
    const ancestry = [new Uint8Array(100_000), new Uint8Array(100_000), new Uint8Array(65_000)]
    expect(world.codeOf({ proofs, conflicts: [{ proofIndex: 0, ancestry }] })).toBe(
      'ProofsTooLarge',
    )
  })

  it('whatever a stranger pays to whom: that is no payment from the reserve', () => {
    const thief = payment('alice', [{ amountSat: 546n, scriptPubKey: p2wpkh('bob') }])
    const world = new LostDeposit([thief])
    world.bury()
    expect(thief.outputs[0]?.scriptPubKey).toEqual(world.requestRow?.scriptPubKey)
    world.block({ items: world.items(thief) })
    expect(world.batchState).toBe(BATCH_STATE.released)
  })

  it('a reorg that takes the conflict away opens the batch again, and the deposit comes back', () => {
    const thief = otherSpend()
    const world = new LostDeposit([thief])
    world.bury()
    world.block({ items: world.items(thief) })
    expect(world.batchState).toBe(BATCH_STATE.released)
    // The first branch becomes the longer one.
    world.bitcoin.mine([], DEPTH + 10)
    world.block({ items: { bitcoinHeaders: world.bitcoin.headersAfter(world.fork) } })
    expect(world.batchState).toBe(BATCH_STATE.open)
    expect(world.requestRow).toMatchObject({ state: REQUEST_STATE.batched, batchId: world.batchId })
    expect(missingDeposits(world.ledger).map(({ key }) => key)).toEqual([world.key])
    const claim = claimOf(world.bitcoin, world.deposit)
    world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
    expect(rowOf(world.ledger, 'outputs', world.key)).toMatchObject({
      state: OUTPUT_STATE.live,
      batchId: world.batchId,
    })
    // The spare coin is not there yet.
    expect(world.ledger.state.deficitSat).toBe(2_000_000n)
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('a proposer puts it in as soon as it is deep, and keeps it while it is young', () => {
    const thief = otherSpend()
    const world = new LostDeposit([thief])
    const queued = () => {
      const { proofs, conflicts } = world.items(thief)
      const [proof] = proofs
      const [conflict] = conflicts
      if (proof === undefined || conflict === undefined) throw new Error('no conflict')
      const queue = { ...EMPTY_QUEUE, conflicts: [{ proof, ancestry: conflict.ancestry }] }
      return assemble(world.ledger, world.context(), queue)
    }
    expect(queued()).toMatchObject({
      items: { conflicts: [], proofs: [] },
      refused: [{ kind: 'conflict', code: 'ConflictTooYoung', permanent: false }],
    })
    world.bury()
    const { items, refused } = queued()
    expect(refused).toEqual([])
    world.block({ items })
    expect(world.batchState).toBe(BATCH_STATE.released)
  })

  it('what spends a row of the ledger is booked first, and releases nothing that it pays', () => {
    // Members sign, without a record, what spends the coin that the deposit came from together with the reserve.
    const world = new LostDeposit([])
    const spare = world.spareProven()
    const [own] = otherSpend().inputs
    const [reserve] = payment({ txid: spare.slice(0, 32), vout: 0 }, []).inputs
    if (own === undefined || reserve === undefined) throw new Error('no input')
    const stray = {
      ...payment('', [{ amountSat: 250_000n, scriptPubKey: p2wpkh('bob') }]),
      inputs: [own, reserve],
    }
    world.branch.mine([stray])
    world.bury()
    world.bury()
    expect(world.codeOf(world.items(stray))).toBe('ConflictUnbooked')
    const { conflicts, proofs } = world.items(stray)
    world.block({ items: { proofs, conflicts, bookings: [{ proofIndex: 0 }] } })
    expect(world.ledger.state.pegOutStops).toBe(1)
    expect(missingDeposits(world.ledger)).toEqual([])
    expect(world.batchState).toBe(BATCH_STATE.open)
    expect(world.requestRow?.state).toBe(REQUEST_STATE.batched)
  })

  it('what a conflict of the same block spent is held again when both go: no other batch takes it', () => {
    const world = new PegWorld({ conflictDepth: DEPTH })
    const fork = world.bitcoin.tip.height
    const [lost, spare] = [
      depositOf(world.genesis, 'alice', 1_000_000n),
      depositOf(world.genesis, 'spare', 2_000_000n),
    ]
    const key = outpointKey(txid(spare), 0)
    world.bitcoin.mine([lost])
    world.bitcoin.mine([spare])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    for (const deposit of [lost, spare]) {
      const claim = claimOf(world.bitcoin, deposit)
      world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
    }
    world.block({ burns: [world.burn('bob', 2_500_000n)] })
    world.timestamp += 10
    world.block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
    const [batch] = openBatches(world.ledger)
    if (batch === undefined) throw new Error('no batch')
    const { inputs } = batch.row
    expect(inputs).toEqual([outpointKey(txid(lost), 0), key])
    // Members sign, without a record, what spends the coin that the first deposit came from together with the second.
    const branch = world.bitcoin.fork(fork, 'other')
    branch.mine([spare])
    branch.mine([], 3)
    const before = branch.tip.height
    const stray = {
      ...payment('', [{ amountSat: 2_900_000n, scriptPubKey: p2wpkh('elsewhere') }]),
      inputs: [...lost.inputs, ...payment({ txid: txid(spare), vout: 0 }, []).inputs],
    }
    branch.mine([stray])
    branch.mine([], DEPTH)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
    const claim = claimOf(branch, spare)
    world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
    const conflicts = [{ proofIndex: 0, ancestry: [serializeTransaction(lost)] }]
    const proofs = [branch.proofOf(stray)]
    world.block({ items: { proofs, conflicts, bookings: [{ proofIndex: 0 }] } })
    const state = () => rowOf(world.ledger, 'batches', batch.batchId)
    expect(state()?.state).toBe(BATCH_STATE.released)
    const third = branch.fork(before, 'third')
    third.mine([], DEPTH + 3)
    world.block({ items: { bitcoinHeaders: third.headersAfter(before) } })
    expect(state()).toMatchObject({ state: BATCH_STATE.open, inputs })
    expect(rowOf(world.ledger, 'outputs', key)).toMatchObject({
      state: OUTPUT_STATE.live,
      batchId: batch.batchId,
    })
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })
})
