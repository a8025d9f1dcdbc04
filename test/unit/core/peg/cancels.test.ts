/** A payout that cannot be finished is given up by t members (protocol §4.5, §5.8; PO-19): its requests wait again, none is paid twice. */
import { decideSignature, FIRST_FEDERATION, readBatchRows } from '../../../../bridge/index.ts'
import { parseTransaction, txid } from '../../../../core/bitcoin/index.ts'
import {
  BATCH_STATE,
  LedgerDraft,
  ledgerRoot,
  REQUEST_STATE,
  rowOf,
  SPEND_KIND,
  SPEND_STATE,
  SWEEP_REASON,
} from '../../../../core/ledger/index.ts'
import {
  applyPegOrder,
  assemble,
  checkIdentity,
  checkPegOrder,
  currentOutput,
  describeReserve,
  openBatches,
  sweepRoomSat,
} from '../../../../core/peg/index.ts'
import { provenRows } from '../../bridge/world.ts'
import { approvedOrder, orderOf } from './orders.ts'
import { type BitcoinWorld, PegWorld, seeded } from './world.ts'

function due(world: PegWorld, unconfirmed: readonly Uint8Array[] = []) {
  const queue = { headers: [], pegIns: [], bookings: [], unconfirmed }
  return assemble(world.ledger, world.context(), queue).items
}

function transactionAt(world: PegWorld, version: number) {
  const row = openBatches(world.ledger)[0]?.versions[version]?.row
  const parsed = row && parseTransaction(row.transaction)
  if (!parsed?.ok) throw new Error(`no version ${version}`)
  return parsed.value
}

function deepen(world: PegWorld, blocks: number, bitcoin: BitcoinWorld = world.bitcoin): void {
  bitcoin.mine([], blocks)
  world.syncHeaders(bitcoin)
}

/** Booked at M confirmations, two. */
function book(world: PegWorld, transaction: ReturnType<typeof transactionAt>): void {
  world.bitcoin.mine([transaction])
  deepen(world, 1)
  const proofs = [world.bitcoin.proofOf(transaction)]
  world.block({ items: { proofs, bookings: [{ proofIndex: 0 }] } })
}

function cancel(world: PegWorld, batchId: Uint8Array): void {
  const item = approvedOrder(world.genesis, orderOf('cancel', batchId))
  const applied = applyPegOrder(world.genesis, world.ledger, world.height, item)
  if (!applied.ok) throw new Error(applied.error.code)
  world.ledger = applied.value
}

/** A payout of two requests, one of them to the federation itself, and three coins. */
function paying() {
  const world = new PegWorld({ minPegOutSat: 1_000_000 })
  for (const name of ['alice', 'carol', 'erin']) world.pegIn(name, 3_000_000n)
  const own = currentOutput(world.genesis, world.ledger).scriptPubKey
  world.block({ burns: [world.burn('bob', 2_500_000n), world.burn('dave', 400_000n, own, 1)] })
  world.timestamp += 10
  world.block({ items: due(world) })
  const [batch] = openBatches(world.ledger)
  if (batch === undefined) throw new Error('no payout')
  return { world, batchId: batch.batchId, requests: batch.requests.map(({ key }) => key) }
}

/** The same, and the block that records the version which cancels. */
function cancelled() {
  const town = paying()
  cancel(town.world, town.batchId)
  deepen(town.world, 3)
  town.world.block({ items: due(town.world) })
  return town
}

const statesOf = (world: PegWorld, requests: readonly Uint8Array[]) =>
  requests.map((id) => rowOf(world.ledger, 'requests', id)?.state)

describe('a cancelled payout (PO-19)', () => {
  it('gets a version that spends its conflict input alone, pays nobody and replaces the last one', () => {
    const { world, batchId } = cancelled()
    expect(rowOf(world.ledger, 'batches', batchId)?.versions).toHaveLength(2)
    const [first, second] = [transactionAt(world, 0), transactionAt(world, 1)]
    expect(second.inputs).toEqual(first.inputs.slice(0, 1))
    const { scriptPubKey } = currentOutput(world.genesis, world.ledger)
    expect(second.outputs.map((output) => output.scriptPubKey)).toEqual([scriptPubKey])
    const feeOf = ({ outputs }: typeof first, spentSat: bigint) =>
      outputs.reduce((rest, { amountSat }) => rest - amountSat, spentSat)
    const inputs = openBatches(world.ledger)[0]?.inputs ?? []
    const firstFeeSat = feeOf(first, 3_000_000n * BigInt(inputs.length))
    expect(feeOf(second, 3_000_000n)).toBeGreaterThan(firstFeeSat)
    expect(due(world).records).toEqual([])
  })

  it('keeps its requests until that is conflictDepth deep; then they wait in their old place for another payout', () => {
    const { world, batchId, requests } = cancelled()
    const { fundSat } = describeReserve(world.ledger)
    book(world, transactionAt(world, 1))
    expect(statesOf(world, requests)).toEqual([REQUEST_STATE.batched, REQUEST_STATE.batched])
    expect(describeReserve(world.ledger).fundSat).toBeLessThan(fundSat)
    expect(due(world, [batchId]).records).toEqual([])
    deepen(world, 1)
    expect(rowOf(world.ledger, 'batches', batchId)?.state).toBe(BATCH_STATE.released)
    expect(statesOf(world, requests)).toEqual([REQUEST_STATE.open, REQUEST_STATE.open])
    world.block({ items: due(world) })
    const [again] = openBatches(world.ledger)
    expect(again?.requests.map(({ key }) => key)).toEqual(requests)
    expect(again?.batchId).not.toEqual(batchId)
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('has its fee counted once in what sweeps may cost: as it waits, booked, and released (4.7)', () => {
    const { world } = paying()
    const { params } = world.genesis
    const room = () => sweepRoomSat(world.ledger, params, SWEEP_REASON.renewal)
    const before = room()
    cancel(world, openBatches(world.ledger)[0]?.batchId ?? seeded('none'))
    deepen(world, 3)
    world.block({ items: due(world) })
    const [paid] = transactionAt(world, 1).outputs
    const feeSat = 3_000_000n - (paid?.amountSat ?? 0n)
    expect(room()).toBe(before - feeSat)
    book(world, transactionAt(world, 1))
    expect(openBatches(world.ledger)).toHaveLength(1)
    expect(room()).toBe(before - feeSat)
    deepen(world, 1)
    expect(openBatches(world.ledger)).toHaveLength(0)
    expect(room()).toBe(before - feeSat)
  })

  it('pays once where an older version confirms after all, and never after its cancel did', () => {
    const paid = cancelled()
    book(paid.world, transactionAt(paid.world, 0))
    expect(statesOf(paid.world, paid.requests)).toEqual([REQUEST_STATE.paid, REQUEST_STATE.paid])
    expect(rowOf(paid.world.ledger, 'batches', paid.batchId)?.state).toBe(BATCH_STATE.booked)
    const gone = cancelled()
    const old = transactionAt(gone.world, 0)
    book(gone.world, transactionAt(gone.world, 1))
    gone.world.bitcoin.mine([old])
    deepen(gone.world, 1)
    const proofs = [gone.world.bitcoin.proofOf(old)]
    expect(gone.world.codeOf({ proofs, bookings: [{ proofIndex: 0 }] })).toBe('BookingInputAbsent')
  })

  it.each([
    ['before its release', 0],
    ['after it', 1],
  ])('is open again when a reorg takes its cancel away %s (PO-16)', (_, deeper) => {
    const { world, batchId, requests } = cancelled()
    const fork = world.bitcoin.tip.height
    const before = describeReserve(world.ledger)
    book(world, transactionAt(world, 1))
    if (deeper > 0) deepen(world, deeper)
    const branch = world.bitcoin.fork(fork, 'branch')
    branch.mine([], 5)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
    expect(describeReserve(world.ledger)).toEqual(before)
    expect(rowOf(world.ledger, 'batches', batchId)?.state).toBe(BATCH_STATE.open)
    expect(statesOf(world, requests)).toEqual([REQUEST_STATE.batched, REQUEST_STATE.batched])
    const held = openBatches(world.ledger)[0]?.inputs.map(({ row }) => row.batchId)
    expect(held?.every((id) => `${id}` === `${batchId}`)).toBe(true)
    // A later version goes on with the cancel.
    const bumped = due(world, [batchId]).records
    expect(bumped.map(({ version }) => version)).toEqual([2])
  })

  it('stays released when another payout has its requests, whatever a reorg does', () => {
    const { world, batchId, requests } = cancelled()
    const fork = world.bitcoin.tip.height
    const cancelling = transactionAt(world, 1)
    book(world, cancelling)
    const { fundSat } = describeReserve(world.ledger)
    deepen(world, 1)
    world.block({ items: due(world) })
    const branch = world.bitcoin.fork(fork, 'branch')
    branch.mine([], 5)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
    expect(rowOf(world.ledger, 'batches', batchId)?.state).toBe(BATCH_STATE.released)
    const holders = requests.map((id) => rowOf(world.ledger, 'requests', id)?.batchId)
    expect(holders.some((id) => `${id}` === `${batchId}`)).toBe(false)
    expect(checkIdentity(world.ledger)).toBeUndefined()
    // The branch brings the version that cancelled it as well: it pays nobody, so it stops nothing, and costs its fee again.
    branch.mine([cancelling])
    deepen(world, 1, branch)
    const bookings = [{ proofIndex: 0 }]
    world.block({ items: { proofs: [branch.proofOf(cancelling)], bookings } })
    expect(rowOf(world.ledger, 'spends', txid(cancelling))).toMatchObject({
      kind: SPEND_KIND.version,
      state: SPEND_STATE.booked,
    })
    expect(world.ledger.state).toMatchObject({ pegOutStops: 0, deficitSat: 0n })
    expect(describeReserve(world.ledger).fundSat).toBe(fundSat)
    expect(rowOf(world.ledger, 'batches', batchId)?.state).toBe(BATCH_STATE.released)
    expect(checkIdentity(world.ledger)).toBeUndefined()
    const third = world.bitcoin.fork(fork, 'third')
    third.mine([], 12)
    world.block({ items: { bitcoinHeaders: third.headersAfter(fork) } })
    expect(rowOf(world.ledger, 'spends', txid(cancelling))?.state).toBe(SPEND_STATE.recorded)
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('waits for the fund and its advance; a pause of payments does not stop it (4.7)', () => {
    const poor = new PegWorld({ pegInFeeSat: 0, advanceCapSat: 100 })
    poor.pegIn('alice', 3_000_000n)
    poor.block({ burns: [poor.burn('bob', 1_000_000n)] })
    poor.timestamp += 10
    poor.block({ items: due(poor) })
    const [batch] = openBatches(poor.ledger)
    cancel(poor, batch?.batchId ?? seeded('none'))
    deepen(poor, 3)
    expect(due(poor).records).toEqual([])
    const { world, batchId } = paying()
    cancel(world, batchId)
    deepen(world, 3)
    const draft = new LedgerDraft(world.ledger, true)
    const some = rowOf(
      world.ledger,
      'spends',
      openBatches(world.ledger)[0]?.versions[0]?.key ?? batchId,
    )
    if (some === undefined) throw new Error('no version')
    draft.put('spends', seeded('stray'), { ...some, kind: 1, state: 1 })
    world.ledger = draft.finish()
    expect(due(world).records).toHaveLength(1)
    world.block({ items: due(world) })
  })

  it('OrderBatchClosed: is open, a payout, and cancelled once; by t members', () => {
    const { world, batchId } = paying()
    const codeOf = (id: Uint8Array, signers?: readonly number[]) => {
      const item = approvedOrder(world.genesis, orderOf('cancel', id), signers)
      return checkPegOrder(world.genesis, world.ledger, item)?.code
    }
    expect(codeOf(batchId)).toBeUndefined()
    expect(codeOf(batchId, [0, 1])).toBe('ApprovalQuorumMissing')
    expect(codeOf(seeded('none'))).toBe('OrderBatchClosed')
    cancel(world, batchId)
    expect(codeOf(batchId)).toBe('OrderBatchClosed')
  })
})

describe('a member signs a cancel (PO-11, PO-19)', () => {
  const verdictOf = async ({ batchId, world }: ReturnType<typeof cancelled>) => {
    const asked = { genesisHash: world.genesis.hash, batchId, version: 1 }
    const read = readBatchRows(
      ledgerRoot(world.ledger),
      asked,
      await provenRows(world.ledger, batchId, 1),
    )
    if (read.kind !== 'sign') throw new Error(read.code)
    return decideSignature(world.genesis, asked, read.value, FIRST_FEDERATION)
  }

  it('that t members approved, and counts all of its fee', async () => {
    const verdict = await verdictOf(cancelled())
    expect(verdict).toMatchObject({ kind: 'sign', value: { paidSat: 0n } })
    const { leavingSat, minerFeeSat } = verdict.kind === 'sign' ? verdict.value : {}
    expect(leavingSat).toBe(minerFeeSat)
  })

  it('and none that a quorum of validators wrote', async () => {
    const town = cancelled()
    const draft = new LedgerDraft(town.world.ledger, true)
    const batch = draft.get('batches', town.batchId)
    if (batch === undefined) throw new Error('no batch')
    const few = approvedOrder(town.world.genesis, orderOf('cancel', town.batchId), [0, 1])
    draft.put('batches', town.batchId, { ...batch, cancel: [{ version: 1, ...few }] })
    town.world.ledger = draft.finish()
    expect(await verdictOf(town)).toMatchObject({ kind: 'refuse', code: 'CancelNotApproved' })
  })
})
