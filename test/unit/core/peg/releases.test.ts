import { parseTransaction, txid } from '../../../../core/bitcoin/index.ts'
import {
  applyRows,
  BATCH_STATE,
  genesisLedger,
  type LedgerChange,
  ledgerChanges,
  ledgerRoot,
  OUTPUT_STATE,
  outpointKey,
  REQUEST_STATE,
  rowOf,
  SPEND_KIND,
  splitOutpoint,
} from '../../../../core/ledger/index.ts'
import {
  assemble,
  changeOutput,
  checkIdentity,
  findRequest,
  openBatches,
  requestId,
} from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { type BitcoinWorld, claimOf, depositOf, PegWorld, p2wpkh, payment } from './world.ts'

const EMPTY_QUEUE = { headers: [], pegIns: [], bookings: [] }
const DEPTH = 5

type Transaction = ReturnType<typeof payment>

function transactionOf(bytes: Uint8Array | undefined): Transaction {
  const parsed = parseTransaction(bytes ?? new Uint8Array())
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

/** Bumps the one open batch and books its first version; where a branch could bring the newer one instead. */
function olderBooked(world: PegWorld, record: (unconfirmed: readonly Uint8Array[]) => void) {
  const [first] = openBatches(world.ledger)
  if (first === undefined) throw new Error('no batch')
  world.bitcoin.mine([], 3)
  world.syncHeaders()
  record([first.batchId])
  const versions = (openBatches(world.ledger)[0]?.versions ?? []).map(({ row }) =>
    transactionOf(row.transaction),
  )
  const [older, newer] = versions as [Transaction, Transaction]
  const fork = world.bitcoin.tip.height
  world.bitcoin.mine([older])
  world.bitcoin.mine()
  world.syncHeaders()
  world.block({ items: { proofs: [world.bitcoin.proofOf(older)], bookings: [{ proofIndex: 0 }] } })
  return { older, newer, fork }
}

/** One open batch over one input, and spare coins. */
class Held extends PegWorld {
  readonly batchId: Uint8Array
  readonly request: Uint8Array
  readonly conflict: Uint8Array

  constructor() {
    super({ conflictDepth: DEPTH })
    this.pegIn('alice', 1_000_000n)
    this.request = requestId(this.genesis, this.evmBlockHash(), 0)
    this.block({ burns: [this.burn('bob', 300_000n)] })
    this.timestamp += 10
    this.record()
    const [batch] = openBatches(this.ledger)
    if (batch === undefined) throw new Error('no batch')
    this.batchId = batch.batchId
    this.conflict = batch.row.inputs[0] as Uint8Array
    this.pegIn('spare', 2_000_000n)
  }

  record(unconfirmed: readonly Uint8Array[] = []): void {
    const queue = { ...EMPTY_QUEUE, unconfirmed }
    this.block({ items: assemble(this.ledger, this.context(), queue).items })
  }

  get requestRow() {
    return findRequest(this.ledger, this.request)
  }

  get batchState(): number | undefined {
    return rowOf(this.ledger, 'batches', this.batchId)?.state
  }

  version(index = 0, batchId = this.batchId): Transaction {
    const id = rowOf(this.ledger, 'batches', batchId)?.versions[index]
    return transactionOf(id && rowOf(this.ledger, 'spends', id)?.transaction)
  }

  /** A transaction that the members signed without a record: it spends the conflict input. */
  stray(to = p2wpkh('elsewhere'), amountSat = 990_000n): Transaction {
    return payment(splitOutpoint(this.conflict), [{ amountSat, scriptPubKey: to }])
  }

  /** In a block that is M deep, and booked. */
  book(transaction: Transaction, bitcoin: BitcoinWorld = this.bitcoin): void {
    bitcoin.mine([transaction])
    bitcoin.mine()
    this.syncHeaders(bitcoin)
    this.block({
      items: { proofs: [bitcoin.proofOf(transaction)], bookings: [{ proofIndex: 0 }] },
    })
  }

  deepen(blocks: number, bitcoin: BitcoinWorld = this.bitcoin): void {
    bitcoin.mine([], blocks)
    this.syncHeaders(bitcoin)
  }
}

describe('a release (P 4.5; PO-10)', () => {
  it('comes when another transaction spent the conflict input and is conflictDepth deep, not earlier', () => {
    const world = new Held()
    world.book(world.stray())
    expect(world.batchState).toBe(BATCH_STATE.open)
    world.deepen(DEPTH - 3)
    expect(world.batchState).toBe(BATCH_STATE.open)
    expect(world.requestRow?.state).toBe(REQUEST_STATE.batched)
    world.deepen(1)
    expect(world.batchState).toBe(BATCH_STATE.released)
    expect(world.requestRow).toMatchObject({
      state: REQUEST_STATE.open,
      batchId: new Uint8Array(32),
    })
    expect(openBatches(world.ledger)).toEqual([])
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('its own payment releases nothing', () => {
    const world = new Held()
    world.book(world.version())
    world.deepen(DEPTH + 2)
    expect(world.batchState).toBe(BATCH_STATE.booked)
    expect(world.requestRow?.state).toBe(REQUEST_STATE.paid)
  })

  it('a transaction that pays one of its requests releases none of them', () => {
    const world = new Held()
    world.book(world.stray(p2wpkh('bob'), 290_000n))
    world.deepen(DEPTH + 2)
    expect(world.batchState).toBe(BATCH_STATE.open)
    expect(world.requestRow?.state).toBe(REQUEST_STATE.batched)
  })

  it('the burner may take a released request back like any other', () => {
    const world = new Held()
    world.book(world.stray())
    world.deepen(DEPTH)
    for (let height = 0; height < 10; height++) world.block()
    world.block({
      cancels: [{ logIndex: 0, evmAddress: world.burn('bob', 1n).evmAddress, id: world.request }],
    })
    expect(world.requestRow?.state).toBe(REQUEST_STATE.refundDue)
  })

  it('a reorg that takes the conflict away opens the batch again, with its locks (P 4.1)', () => {
    const world = new Held()
    const before = world.bitcoin.tip.height
    world.book(world.stray())
    world.deepen(DEPTH)
    expect(world.batchState).toBe(BATCH_STATE.released)
    const branch = world.bitcoin.fork(before, 'other')
    branch.mine([], DEPTH + 4)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(before) } })
    expect(world.batchState).toBe(BATCH_STATE.open)
    expect(world.requestRow).toMatchObject({ state: REQUEST_STATE.batched, batchId: world.batchId })
    expect(rowOf(world.ledger, 'outputs', world.conflict)).toMatchObject({
      state: OUTPUT_STATE.live,
      batchId: world.batchId,
    })
    world.book(world.version(), branch)
    expect(world.requestRow?.state).toBe(REQUEST_STATE.paid)
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })

  it('what was taken back meanwhile stays so, and a version that confirms after all is a spend without a record', () => {
    const world = new Held()
    const before = world.bitcoin.tip.height
    world.book(world.stray())
    world.deepen(DEPTH)
    for (let height = 0; height < 10; height++) world.block()
    world.block({
      cancels: [{ logIndex: 0, evmAddress: world.burn('bob', 1n).evmAddress, id: world.request }],
    })
    const branch = world.bitcoin.fork(before, 'other')
    branch.mine([], DEPTH + 4)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(before) } })
    expect(world.batchState).toBe(BATCH_STATE.released)
    expect(world.ledger.state.pegOutStops).toBe(0)
    const version = world.version()
    const at = branch.tip.height
    world.book(version, branch)
    expect(rowOf(world.ledger, 'spends', txid(version))?.kind).toBe(SPEND_KIND.stray)
    expect(world.ledger.state.pegOutStops).toBe(1)
    expect(world.requestRow?.state).not.toBe(REQUEST_STATE.paid)
    expect(world.ledger.state.deficitSat).toBeGreaterThan(0n)
    const third = branch.fork(at, 'third')
    third.mine([], 4)
    world.block({ items: { bitcoinHeaders: third.headersAfter(at) } })
    expect(rowOf(world.ledger, 'spends', txid(version))?.kind).toBe(SPEND_KIND.version)
    expect(world.ledger.state).toMatchObject({ pegOutStops: 0, deficitSat: 0n })
  })
})

describe('change that can never come back (P 4.5, PO-16)', () => {
  // Whom the other version pays again is no reason to wait for ever: what it paid are requests of its own batch.
  it.each(['carol', 'bob'])(
    'its batch, which pays %s, is released when another version of the transaction that made it is deep enough',
    (name) => {
      const world = new PegWorld({ conflictDepth: DEPTH })
      world.pegIn('alice', 1_000_000n)
      world.block({ burns: [world.burn('bob', 300_000n)] })
      world.timestamp += 10
      const record = (unconfirmed: readonly Uint8Array[] = []) => {
        const queue = { ...EMPTY_QUEUE, unconfirmed }
        world.block({ items: assemble(world.ledger, world.context(), queue).items })
      }
      record()
      const { fork, newer, older } = olderBooked(world, record)
      // A second batch spends the change of the older version.
      const request = requestId(world.genesis, world.evmBlockHash(), 0)
      world.block({ burns: [world.burn(name, 200_000n)] })
      world.timestamp += 10
      record()
      const second = openBatches(world.ledger).at(-1)
      if (second === undefined) throw new Error('no batch')
      expect(second.row.inputs).toEqual([outpointKey(txid(older), 1)])
      // A reorg brings the newer one instead.
      const branch = world.bitcoin.fork(fork, 'other')
      branch.mine([newer])
      branch.mine([], 3)
      world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
      world.block({ items: { proofs: [branch.proofOf(newer)], bookings: [{ proofIndex: 0 }] } })
      expect(findRequest(world.ledger, request)?.state).toBe(REQUEST_STATE.batched)
      branch.mine([], DEPTH)
      world.syncHeaders(branch)
      expect(rowOf(world.ledger, 'batches', second.batchId)?.state).toBe(BATCH_STATE.released)
      record()
      const third = openBatches(world.ledger).at(-1)
      expect(third?.row.inputs).toEqual([outpointKey(txid(newer), 1)])
      expect(findRequest(world.ledger, request)).toMatchObject({
        state: REQUEST_STATE.batched,
        batchId: third?.batchId,
      })
      expect(changeOutput(world.genesis, 0).scriptPubKey).toEqual(newer.outputs[1]?.scriptPubKey)
      expect(checkIdentity(world.ledger)).toBeUndefined()
    },
  )
})

it('releases are listed alike by a node that read its ledger from disk: the root is the same (4.10)', () => {
  const world = new PegWorld({ conflictDepth: DEPTH })
  const rows = new Map<string, LedgerChange>()
  const block = (step: Parameters<PegWorld['block']>[0]) => {
    world.block(step)
    for (const change of ledgerChanges(world.ledger)) {
      rows.set(`${String(change.set).padStart(3, '0')}${toHex(change.key)}`, change)
    }
  }
  const record = () => {
    world.timestamp += 10
    block({ items: assemble(world.ledger, world.context(), EMPTY_QUEUE).items })
  }
  for (const name of ['alice', 'carol']) {
    const deposit = depositOf(world.genesis, name, 1_000_000n)
    world.bitcoin.mine([deposit])
    world.bitcoin.mine([], 2)
    const claim = claimOf(world.bitcoin, deposit)
    const bitcoinHeaders = world.bitcoin.headersAfter(world.ledger.state.tipHeight)
    block({ items: { bitcoinHeaders, proofs: [claim.proof], pegIns: [world.item(claim)] } })
  }
  for (const [index, name] of ['bob', 'dave'].entries()) {
    block({ burns: [world.burn(name, 300_000n + BigInt(index))] })
    record()
  }
  const batches = openBatches(world.ledger)
  expect(batches).toHaveLength(2)
  // One transaction that nobody recorded spends the conflict inputs of both.
  const inputs = batches.map(({ row }) => splitOutpoint(row.inputs[0] as Uint8Array))
  const [input] = payment('any', []).inputs
  const stray = {
    ...payment('any', [{ amountSat: 1_900_000n, scriptPubKey: p2wpkh('cold') }]),
    inputs: inputs.map((outpoint) => ({ ...(input as NonNullable<typeof input>), ...outpoint })),
  }
  world.bitcoin.mine([stray])
  world.bitcoin.mine()
  block({ items: { bitcoinHeaders: world.bitcoin.headersAfter(world.ledger.state.tipHeight) } })
  block({ items: { proofs: [world.bitcoin.proofOf(stray)], bookings: [{ proofIndex: 0 }] } })
  // The open batches of each order of rows, as maps keep them.
  const entries = [...rows].sort(([left], [right]) => (left < right ? -1 : 1))
  const ledgers = [entries, entries.toReversed()].map((all) => {
    const read = applyRows(
      genesisLedger(world.genesis),
      all.map(([, change]) => change),
    )
    if ('code' in read) throw new Error(read.code)
    return read
  })
  world.bitcoin.mine([], DEPTH)
  const bitcoinHeaders = world.bitcoin.headersAfter(world.ledger.state.tipHeight)
  const before = world.ledger
  const [height, timestamp, feeRates] = [world.height, world.timestamp, world.feeRates]
  const after = [before, ...ledgers].map((ledger) => {
    Object.assign(world, { ledger, height, timestamp, feeRates })
    world.block({ items: { bitcoinHeaders } })
    expect(rowOf(world.ledger, 'spends', txid(stray))?.released).toHaveLength(2)
    return toHex(ledgerRoot(world.ledger))
  })
  expect(new Set(after).size).toBe(1)
})

describe('a batch that a reorg opens again', () => {
  it('RecordRequestGone: no request is in a second batch that the same block records', () => {
    const world = new PegWorld({ conflictDepth: DEPTH })
    world.pegIn('alice', 1_000_000n)
    const spare = depositOf(world.genesis, 'spare', 2_000_000n)
    world.bitcoin.mine([spare])
    world.bitcoin.mine([], 2)
    const assembled = (changes: Partial<Parameters<typeof assemble>[2]> = {}) => {
      return assemble(world.ledger, world.context(), { ...EMPTY_QUEUE, ...changes }).items
    }
    const record = (unconfirmed: readonly Uint8Array[] = []) => {
      world.block({ items: assembled({ unconfirmed }) })
    }
    world.block({ burns: [world.burn('bob', 300_000n)] })
    world.timestamp += 10
    record()
    const { fork, newer } = olderBooked(world, record)
    // The second batch spends change of the older version, which a branch with the newer one makes impossible.
    const request = requestId(world.genesis, world.evmBlockHash(), 0)
    world.block({ burns: [world.burn('carol', 200_000n)] })
    world.timestamp += 10
    record()
    const second = openBatches(world.ledger).at(-1)
    const claim = claimOf(world.bitcoin, spare)
    world.block({ items: { proofs: [claim.proof], pegIns: [world.item(claim)] } })
    const branch = world.bitcoin.fork(fork, 'other')
    branch.mine([newer])
    branch.mine([], 3)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(fork) } })
    world.block({ items: { proofs: [branch.proofOf(newer)], bookings: [{ proofIndex: 0 }] } })
    branch.mine([], DEPTH)
    world.syncHeaders(branch)
    expect(findRequest(world.ledger, request)?.state).toBe(REQUEST_STATE.open)
    // The first branch becomes the longer one: the second batch is open again, in the block whose parent had the request waiting.
    world.bitcoin.mine([], 12)
    world.timestamp += 10
    const { records } = assembled()
    const bitcoinHeaders = world.bitcoin.headersAfter(fork)
    expect(records).toHaveLength(1)
    expect(world.codeOf({ bitcoinHeaders, records })).toBe('RecordRequestGone')
    expect(assembled({ headers: bitcoinHeaders }).records).toEqual([])
    world.block({ items: { bitcoinHeaders } })
    expect(findRequest(world.ledger, request)).toMatchObject({
      state: REQUEST_STATE.batched,
      batchId: second?.batchId,
    })
    expect(checkIdentity(world.ledger)).toBeUndefined()
  })
})
