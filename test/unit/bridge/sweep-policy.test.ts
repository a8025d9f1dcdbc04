import {
  type BatchRows,
  decideSignature,
  FIRST_FEDERATION,
  readBatchRows,
} from '../../../bridge/index.ts'
import { parseTransaction, serializeTransaction } from '../../../core/bitcoin/index.ts'
import { heightKey, ledgerRoot, type OutputRow, SWEEP_REASON } from '../../../core/ledger/index.ts'
import { assemble, LEAST_OUTPUTS, openBatches } from '../../../core/peg/index.ts'
import { schnorrPublicKey, toHex } from '../../../crypto/index.ts'
import { PegWorld, p2wpkh, seeded } from '../core/peg/world.ts'
import { provenRows } from './world.ts'

/** Coins under an old key, and the block that records their sweep to the new one. */
async function recordedSweep() {
  const world = new PegWorld()
  world.pegIn('alice', 3_000_000n)
  world.pegIn('carol', 2_000_000n)
  world.newKey()
  const queue = { headers: [], pegIns: [], bookings: [] }
  world.block({ items: assemble(world.ledger, world.context(), queue).items })
  const [batch] = openBatches(world.ledger)
  if (batch === undefined) throw new Error('no sweep was recorded')
  const { batchId } = batch
  const request = { genesisHash: world.genesis.hash, batchId, version: 0 }
  const proven = await provenRows(world.ledger, batchId)
  const read = readBatchRows(ledgerRoot(world.ledger), request, proven)
  if (read.kind !== 'sign') throw new Error(read.code)
  const federation = { epoch: 1, keys: world.ledger.open.keys }
  const decide = (rows: BatchRows, genesis = world.genesis, known = federation) => {
    const verdict = decideSignature(genesis, request, rows, known)
    return verdict.kind === 'sign' ? 'sign' : verdict.code
  }
  return { world, rows: read.value, request, decide, federation }
}

function withInput(rows: BatchRows, change: Partial<OutputRow>): BatchRows {
  return {
    ...rows,
    inputs: rows.inputs.map(({ key, row }) => ({ key, row: { ...row, ...change } })),
  }
}

function withOutputs(
  rows: BatchRows,
  outputs: readonly { amountSat: bigint; scriptPubKey: Uint8Array }[],
): BatchRows {
  const inputs = rows.inputs.map(({ key }) => ({
    txid: key.slice(0, 32),
    vout: 0,
    scriptSig: new Uint8Array(0),
    sequence: 0xffff_fffd,
    witness: [],
  }))
  const transaction = serializeTransaction({ version: 2, inputs, outputs, lockTime: 0 })
  return { ...rows, spend: { ...rows.spend, transaction } }
}

describe('a member signs a sweep (P 5.7, 5.8; PO-11)', () => {
  it('that pays nobody but the newest key; in a pause of payments and without an anchor as well', async () => {
    const { decide, federation, request, rows, world } = await recordedSweep()
    const verdict = decideSignature(world.genesis, request, rows, federation)
    const spent = rows.inputs.reduce((sum, { row }) => sum + row.amountSat, 0n)
    const parsed = parseTransaction(rows.spend.transaction)
    const kept = parsed.ok ? parsed.value.outputs.map(({ amountSat }) => amountSat) : []
    const leavingSat = kept.reduce((rest, amountSat) => rest - amountSat, spent)
    expect(leavingSat).toBeGreaterThan(0n)
    expect(verdict).toMatchObject({ kind: 'sign', value: { paidSat: 0n, leavingSat } })
    expect(decide({ ...rows, state: { ...rows.state, pegOutStops: 1 } })).toBe('sign')
    const params = { ...world.genesis.params, anchorGate: 'bridge' } as const
    expect(decide(rows, { ...world.genesis, params })).toBe('sign')
  })

  it('and never one to somebody else, or with an output more', async () => {
    const { decide, rows } = await recordedSweep()
    const script = p2wpkh('thief')
    expect(decide(withOutputs(rows, [{ amountSat: 2_900_000n, scriptPubKey: script }]))).toBe(
      'ChangeScriptWrong',
    )
    const many = Array.from({ length: LEAST_OUTPUTS + 1 }, () => {
      return { amountSat: 10_000n, scriptPubKey: script }
    })
    expect(decide(withOutputs(rows, many))).toBe('PaysStranger')
  })

  it('nor to a key that it does not know its members made, or to another one than that', async () => {
    const { decide, federation, rows, world } = await recordedSweep()
    expect(decide(rows, world.genesis, FIRST_FEDERATION)).toBe('KeyUnknown')
    const key = heightKey(1)
    const made = federation.keys.get(toHex(key))
    if (made === undefined) throw new Error('no key')
    const publicKey = schnorrPublicKey(seeded('another key'))
    const another = new Map([[toHex(key), { key, row: { ...made.row, publicKey } }]])
    expect(decide(rows, world.genesis, { epoch: 1, keys: another })).toBe('ChangeScriptWrong')
  })

  it('nor for a reason that its own rows deny', async () => {
    const { decide, rows } = await recordedSweep()
    const because = (reason: number, of = rows) => {
      return decide({ ...of, batch: { ...of.batch, reason } })
    }
    const { consolidation, handover, late, none, renewal, split } = SWEEP_REASON
    expect(because(none)).toBe('SweepNotDue')
    expect(because(6)).toBe('SweepNotDue')
    expect(because(renewal)).toBe('SweepNotDue')
    const aged = { ...rows, state: { ...rows.state, tipHeight: rows.state.tipHeight + 400 } }
    expect(because(renewal, aged)).toBe('sign')
    expect(
      because(consolidation, {
        ...rows,
        spend: { ...rows.spend, epoch: 0 },
        inputs: withInput(rows, { epoch: 1 }).inputs,
      }),
    ).toBe('ChangeToOldKey')
    expect(because(handover, withInput(rows, { epoch: 1 }))).toBe('SweepNotDue')
    expect(because(late, withInput(rows, { epoch: 1 }))).toBe('SweepNotDue')
    const dear = { ...rows, spend: { ...rows.spend, feeRateSatPerKvb: 10_001 } }
    expect(because(consolidation, dear)).toBe('SweepNotDue')
    expect(because(split, dear)).toBe('SweepNotDue')
    expect(because(consolidation)).toBe('sign')
  })

  it('nor of what is owed to a depositor, nor beside a request, nor at a higher fee', async () => {
    const { decide, rows } = await recordedSweep()
    expect(decide(withInput(rows, { kind: 1 }))).toBe('InputOwed')
    const request = { key: seeded('request'), row: {} as never }
    expect(decide({ ...rows, requests: [request] })).toBe('SweepNotDue')
    expect(decide({ ...rows, spend: { ...rows.spend, feeRateSatPerKvb: 3000 } })).toBe(
      'TransactionMismatch',
    )
  })
})
