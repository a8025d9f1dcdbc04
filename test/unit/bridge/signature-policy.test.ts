import {
  type BatchRows,
  decideSignature,
  FIRST_FEDERATION,
  readBatchRows,
} from '../../../bridge/index.ts'
import { parseTransaction, serializeTransaction } from '../../../core/bitcoin/index.ts'
import {
  encodeRow,
  ledgerRoot,
  type OutputRow,
  type RequestRow,
  type SpendRow,
} from '../../../core/ledger/index.ts'
import { changeOutput, findBatch, inputWeight, payoutFromRows } from '../../../core/peg/index.ts'
import { equalBytes } from '../../../crypto/index.ts'
import { PegWorld, p2wpkh, seeded } from '../core/peg/world.ts'
import { bumped, provenRows, refundIn, worldWithBatch } from './world.ts'

const { world, batchId, spend } = worldWithBatch()
const { genesis, ledger } = world
const root = ledgerRoot(ledger)
const request = { genesisHash: genesis.hash, batchId, version: 0 }

async function honestRows(): Promise<BatchRows> {
  const read = readBatchRows(root, request, await provenRows(ledger, batchId))
  if (read.kind !== 'sign') throw new Error(read.code)
  return read.value
}

const decide = (rows: BatchRows) => decideSignature(genesis, request, rows, FIRST_FEDERATION)

/** The batch with a changed transaction: what a ledger would hold that a lying quorum wrote. */
function withTransaction(
  rows: BatchRows,
  change: (transaction: { outputs: { amountSat: bigint; scriptPubKey: Uint8Array }[] }) => void,
): BatchRows {
  const parsed = parseTransaction(spend.transaction)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  const outputs = parsed.value.outputs.map((output) => ({ ...output }))
  const draft = { ...parsed.value, outputs }
  change(draft)
  return { ...rows, spend: { ...rows.spend, transaction: serializeTransaction(draft) } }
}

describe('a member signs', () => {
  it('a recorded batch whose rows are proven and whose transaction it computes alike (PO-11)', async () => {
    const verdict = decide(await honestRows())
    expect(verdict).toMatchObject({ kind: 'sign' })
    if (verdict.kind !== 'sign') return
    expect(verdict.value.batch.transaction).toEqual(spend.transaction)
    expect(verdict.value.paidSat).toBeGreaterThan(0n)
    expect(verdict.value.minerFeeSat).toBeGreaterThan(0n)
    expect(verdict.value.leavingSat).toBe(4_000_000n)
  })
})

describe('a member believes no row that is not proven under the root that it followed', () => {
  it('refuses rows under another root', async () => {
    expect(readBatchRows(seeded('root'), request, await provenRows(ledger, batchId))).toMatchObject(
      {
        kind: 'refuse',
        code: 'RowUnproven',
      },
    )
  })

  it.each(['batches', 'spends', 'outputs', 'requests'])(
    'refuses a missing row of %s',
    async (set) => {
      const rows = (await provenRows(ledger, batchId)).filter((row) => row.set !== set)
      expect(readBatchRows(root, request, rows)).toMatchObject({ code: 'RowUnproven' })
    },
  )

  it.each(['batches', 'spends', 'outputs', 'requests'])(
    'refuses a changed row of %s',
    async (set) => {
      const rows = (await provenRows(ledger, batchId)).map((row) => {
        if (row.set !== set) return row
        const bytes = Uint8Array.from(row.row)
        bytes[0] = (bytes[0] ?? 0) ^ 1
        return { ...row, row: bytes }
      })
      expect(readBatchRows(root, request, rows).kind).toBe('refuse')
    },
  )

  it('refuses a request row with a richer amount', async () => {
    const rows = (await provenRows(ledger, batchId)).map((row) => {
      if (row.set !== 'requests') return row
      const open = ledger.sets.requests.get(row.key) as RequestRow
      return { ...row, row: encodeRow('requests', { ...open, amountSat: open.amountSat * 2n }) }
    })
    expect(readBatchRows(root, request, rows)).toMatchObject({ code: 'RowUnproven' })
  })

  it('refuses a version that the batch does not have', async () => {
    const read = readBatchRows(root, { ...request, version: 1 }, await provenRows(ledger, batchId))
    expect(read).toMatchObject({ kind: 'refuse', code: 'VersionUnknown' })
  })

  it('survives proofs that are garbage', async () => {
    const rows = (await provenRows(ledger, batchId)).map((row) => ({
      ...row,
      proof: row.proof.slice(0, 100),
    }))
    expect(readBatchRows(root, request, rows)).toMatchObject({ code: 'RowUnproven' })
  })
})

describe('a member never signs', () => {
  it('for another chain', async () => {
    const rows = await honestRows()
    expect(
      decideSignature(genesis, { ...request, genesisHash: seeded('x') }, rows, FIRST_FEDERATION),
    ).toMatchObject({
      code: 'WrongChain',
    })
  })

  it.each(['bridge', 'chain'] as const)(
    'without an anchor where the gate is %s: it waits (3.3, 4.5)',
    async (anchorGate) => {
      const gated = { ...genesis, params: { ...genesis.params, anchorGate } }
      expect(decideSignature(gated, request, await honestRows(), FIRST_FEDERATION)).toMatchObject({
        kind: 'unknown',
        code: 'AnchorMissing',
      })
    },
  )

  it('a payout to a stranger', async () => {
    const rows = withTransaction(await honestRows(), ({ outputs }) => {
      const first = outputs[0]
      if (first !== undefined) first.scriptPubKey = p2wpkh('stranger')
    })
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'PaysStranger' })
  })

  it('an output more than requests and change', async () => {
    const rows = withTransaction(await honestRows(), ({ outputs }) => {
      outputs.push({ amountSat: 1000n, scriptPubKey: p2wpkh('stranger') })
    })
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'PaysStranger' })
  })

  it('more than a request asked for', async () => {
    const rows = withTransaction(await honestRows(), ({ outputs }) => {
      const first = outputs[0]
      if (first !== undefined) first.amountSat = 2_600_000n
    })
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'PaysStranger' })
  })

  it('change to a foreign script', async () => {
    const rows = withTransaction(await honestRows(), ({ outputs }) => {
      const last = outputs.at(-1)
      if (last !== undefined) last.scriptPubKey = p2wpkh('stranger')
    })
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'ChangeScriptWrong' })
  })

  it('more than Bitcoin’s nodes relay (4.5)', async () => {
    const rows = await honestRows()
    const [first] = rows.inputs
    if (first === undefined) throw new Error('no input')
    const withInputs = (count: number): BatchRows => {
      const others = Array.from({ length: count - 1 }, (_, index) => {
        return { key: Uint8Array.of(...seeded(`coin ${index}`), 0, 0, 0, 0), row: first.row }
      })
      const inputs = [first, ...others]
      const script = changeOutput(genesis, 0).scriptPubKey
      const { transaction } = payoutFromRows(genesis, script, 2000, rows.requests, inputs)
      return {
        ...rows,
        inputs,
        spend: { ...rows.spend, transaction: serializeTransaction(transaction) },
      }
    }
    const most = Math.floor((4 * (10_000 - 31 * 2 - 43) - 42) / inputWeight(genesis, 0))
    expect(decide(withInputs(most))).toMatchObject({ kind: 'sign' })
    expect(decide(withInputs(most + 1))).toMatchObject({
      kind: 'refuse',
      code: 'TransactionTooLarge',
    })
  })

  it('an excessive fee', async () => {
    const rows = withTransaction(await honestRows(), ({ outputs }) => {
      const last = outputs.at(-1)
      expect(last?.scriptPubKey).toEqual(changeOutput(genesis, 0).scriptPubKey)
      outputs.pop()
    })
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'FeeTooHigh' })
  })

  it('a fee rate beyond the parameters', async () => {
    const rows = await honestRows()
    const rate = genesis.params.maxFeeRateSatPerKvb + 1
    const dear = { ...rows, spend: { ...rows.spend, feeRateSatPerKvb: rate } }
    expect(decide(dear)).toMatchObject({ kind: 'refuse', code: 'FeeTooHigh' })
  })

  it('one satoshi moved from a request to the fee', async () => {
    const rows = withTransaction(await honestRows(), ({ outputs }) => {
      const first = outputs[0]
      if (first !== undefined) first.amountSat -= 1n
    })
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'TransactionMismatch' })
  })

  const oneInput = (rows: BatchRows, change: Partial<OutputRow>): BatchRows => ({
    ...rows,
    inputs: rows.inputs.map(({ key, row }, index) =>
      index === 0 ? { key, row: { ...row, ...change } } : { key, row },
    ),
  })
  const oneRequest = (rows: BatchRows, change: Partial<RequestRow>): BatchRows => ({
    ...rows,
    requests: rows.requests.map(({ key, row }, index) =>
      index === 0 ? { key, row: { ...row, ...change } } : { key, row },
    ),
  })

  it.each([
    ['a request that is paid already', (rows) => oneRequest(rows, { state: 2 }), 'AlreadyPaid'],
    ['a request that was minted back', (rows) => oneRequest(rows, { state: 4 }), 'AlreadyPaid'],
    [
      'a request that no batch holds',
      (rows) => oneRequest(rows, { state: 0 }),
      'RequestNotBatched',
    ],
    [
      "another batch's request",
      (rows) => oneRequest(rows, { batchId: seeded('b') }),
      'RequestNotBatched',
    ],
    ['no request at all', (rows) => ({ ...rows, requests: [] }), 'RequestNotBatched'],
    ['a spent input', (rows) => oneInput(rows, { state: 2 }), 'InputNotReserve'],
    [
      "another batch's input",
      (rows) => oneInput(rows, { batchId: seeded('b') }),
      'InputNotReserve',
    ],
    [
      'an input with another script',
      (rows) => oneInput(rows, { scriptPubKey: p2wpkh('x') }),
      'InputScriptWrong',
    ],
    [
      'inputs without the conflict input',
      (rows) => ({ ...rows, inputs: rows.inputs.slice(1) }),
      'ConflictInputMissing',
    ],
    [
      'inputs with the conflict input elsewhere',
      (rows) => ({ ...rows, inputs: [...rows.inputs].reverse() }),
      'ConflictInputMissing',
    ],
    ['a booked batch', (rows) => ({ ...rows, batch: { ...rows.batch, state: 1 } }), 'BatchClosed'],
    [
      'a booked version',
      (rows) => ({ ...rows, spend: { ...rows.spend, state: 1 } }),
      'SpendNotRecorded',
    ],
    [
      'a stray spend',
      (rows) => ({ ...rows, spend: { ...rows.spend, kind: 1 } }),
      'SpendNotRecorded',
    ],
    [
      "another batch's transaction",
      (rows) => ({ ...rows, spend: { ...rows.spend, batchId: seeded('b') } }),
      'SpendNotRecorded',
    ],
  ] as [string, (rows: BatchRows) => BatchRows, string][])('%s', async (_, change, code) => {
    expect(decide(change(await honestRows()))).toMatchObject({ kind: 'refuse', code })
  })

  it('a request that gets less than 80 % of what was burned (PO-8)', async () => {
    const rows = withTransaction(await honestRows(), ({ outputs }) => {
      const first = outputs[0]
      if (first !== undefined) first.amountSat = (first.amountSat * 7n) / 10n
    })
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'PaysTooLittle' })
  })

  it('while payouts are paused: it waits', async () => {
    const rows = await honestRows()
    const paused = { ...rows, state: { ...rows.state, pegOutStops: 1 } }
    expect(decide(paused)).toMatchObject({ kind: 'unknown', code: 'PegOutsPaused' })
  })
})

describe('a bump (4.5, PO-15)', () => {
  const town = worldWithBatch()
  const second = bumped(town, 3500)
  const { ledger: after } = town.world
  const asked = { ...request, version: 1 }
  const rowsOf = async (version: number) => {
    const read = readBatchRows(
      ledgerRoot(after),
      { ...request, version },
      await provenRows(after, batchId, version),
    )
    if (read.kind !== 'sign') throw new Error(read.code)
    return read.value
  }

  it('is signed like the version before it, which stays good', async () => {
    const verdict = decideSignature(genesis, asked, await rowsOf(1), FIRST_FEDERATION)
    expect(verdict.kind === 'sign' && verdict.value.batch.transaction).toEqual(second.transaction)
    expect(decideSignature(genesis, request, await rowsOf(0), FIRST_FEDERATION).kind).toBe('sign')
  })

  it('has its own turns: leaf A waits sixteen rounds from this version on, whatever the batch waited before (5.3)', async () => {
    const verdict = decideSignature(genesis, asked, await rowsOf(1), FIRST_FEDERATION)
    const { batch } = await rowsOf(1)
    if (verdict.kind !== 'sign') throw new Error(verdict.code)
    expect(verdict.value.timestamp).toBe(town.world.timestamp)
    expect(verdict.value.timestamp).toBeGreaterThan(batch.timestamp)
  })

  it('needs the version before it, proven', async () => {
    const rows = await provenRows(after, batchId, 1)
    const before = findBatch(after, batchId)?.row.versions[0]
    const fewer = rows.filter(({ key }) => before === undefined || !equalBytes(key, before))
    expect(fewer).toHaveLength(rows.length - 1)
    expect(readBatchRows(ledgerRoot(after), asked, fewer)).toMatchObject({
      kind: 'refuse',
      code: 'RowUnproven',
    })
  })

  it.each([2501, 1749])(
    'is refused after one of %i sat/kvB: less than 1 sat/vB more, or more than twice as much',
    async (feeRateSatPerKvb) => {
      const rows = await rowsOf(1)
      const previous = { ...(rows.previous as SpendRow), feeRateSatPerKvb }
      expect(
        decideSignature(genesis, asked, { ...rows, previous }, FIRST_FEDERATION),
      ).toMatchObject({
        kind: 'refuse',
        code: 'BumpRateWrong',
      })
    },
  )
})

describe('a refund (5.9, PI-11)', () => {
  const town = new PegWorld()
  const refund = refundIn(town)
  const asked = { genesisHash: town.genesis.hash, batchId: refund, version: 0 }
  const rowsOf = async () => {
    const read = readBatchRows(
      ledgerRoot(town.ledger),
      asked,
      await provenRows(town.ledger, refund),
    )
    if (read.kind !== 'sign') throw new Error(read.code)
    return read.value
  }
  const refused = async (change: (rows: BatchRows) => BatchRows) => {
    const verdict = decideSignature(town.genesis, asked, change(await rowsOf()), FIRST_FEDERATION)
    return verdict.kind === 'refuse' ? verdict.code : verdict.kind
  }
  const withInput = (rows: BatchRows, change: Partial<OutputRow>) => ({
    ...rows,
    inputs: rows.inputs.map(({ key, row }) => ({ key, row: { ...row, ...change } })),
  })

  it('is signed: the deposit alone, to the script that it named', async () => {
    const verdict = decideSignature(town.genesis, asked, await rowsOf(), FIRST_FEDERATION)
    expect(verdict).toMatchObject({ kind: 'sign' })
    expect(verdict.kind === 'sign' && verdict.value.paidSat).toBeGreaterThan(0n)
  })

  it('is refused to another script, for a credit, beside a request, twice, or as a payout', async () => {
    expect(await refused((rows) => withInput(rows, { refundScript: p2wpkh('thief') }))).toBe(
      'RefundNotApproved',
    )
    expect(await refused(paying('thief'))).toBe('PaysStranger')
    expect(await refused((rows) => withInput(rows, { kind: 0 }))).toBe('RefundNotOwed')
    expect(await refused((rows) => withInput(rows, { state: 3 }))).toBe('RefundNotOwed')
    const [one] = (await honestRows()).requests
    expect(await refused((rows) => ({ ...rows, requests: one ? [one] : [] }))).toBe('RefundNotOwed')
    expect(await refused((rows) => ({ ...rows, batch: { ...rows.batch, kind: 0 } }))).toBe(
      'RequestNotBatched',
    )
  })

  function paying(name: string) {
    return (rows: BatchRows) => {
      const parsed = parseTransaction(rows.spend.transaction)
      if (!parsed.ok) throw new Error(parsed.error.reason)
      const outputs = parsed.value.outputs.map((one) => ({ ...one, scriptPubKey: p2wpkh(name) }))
      const transaction = serializeTransaction({ ...parsed.value, outputs })
      return { ...rows, spend: { ...rows.spend, transaction } }
    }
  }

  it('what is owed to a depositor pays no request', async () => {
    const rows = oneRefundable(await honestRows())
    expect(decide(rows)).toMatchObject({ kind: 'refuse', code: 'InputOwed' })
  })

  function oneRefundable(rows: BatchRows): BatchRows {
    const [first, ...rest] = rows.inputs
    if (first === undefined) throw new Error('no input')
    return { ...rows, inputs: [{ key: first.key, row: { ...first.row, kind: 1 } }, ...rest] }
  }
})
