import {
  causeKey,
  DEFICIT_CAUSE,
  decodeLedgerProof,
  encodeLedgerProof,
  encodeRow,
  FUND_CAUSE,
  genesisLedger,
  heightKey,
  type Ledger,
  type LedgerChange,
  LedgerDraft,
  ledgerChanges,
  ledgerFromRows,
  ledgerRoot,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  proveRow,
  rowOf,
  SET_NAMES,
  splitOutpoint,
  verifyRow,
  verifyState,
} from '../../../../core/ledger/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { seeded, testGenesis } from '../peg/world.ts'

const genesis = testGenesis()

function output(amountSat: bigint, fields: Partial<OutputRow> = {}): OutputRow {
  return {
    kind: OUTPUT_KIND.credit,
    reason: 0,
    state: OUTPUT_STATE.live,
    amountSat,
    scriptPubKey: new Uint8Array(34),
    epoch: 0,
    tweaked: false,
    evmAddress: new Uint8Array(20),
    refundScript: new Uint8Array(0),
    refundTo: new Uint8Array(0),
    approvals: [],
    bitcoinHash: new Uint8Array(32),
    bitcoinHeight: 1,
    transactionIndex: 1,
    height: 1,
    timestamp: 100,
    minted: false,
    mintHeight: 0,
    withdrawalIndex: 0,
    feeSat: 0n,
    batchId: new Uint8Array(32),
    spentBy: new Uint8Array(32),
    ...fields,
  }
}

const keyOf = (index: number) => outpointKey(seeded(`tx ${index}`), index)

function withOutputs(count: number, parent: Ledger = genesisLedger(genesis)): Ledger {
  const draft = new LedgerDraft(parent)
  for (let index = 0; index < count; index++) draft.put('outputs', keyOf(index), output(1000n))
  return draft.finish()
}

describe('the ledger as a value (P 4.10, §7)', () => {
  it('a draft leaves its parent as it was: two candidates of one parent do not see each other (PI-8)', () => {
    const parent = withOutputs(3)
    const root = toHex(ledgerRoot(parent))
    const left = new LedgerDraft(parent)
    left.put('outputs', keyOf(0), output(1000n, { minted: true }))
    const right = new LedgerDraft(parent)
    right.put('outputs', keyOf(9), output(5n))
    expect(left.finish().state).toMatchObject({
      reserveSat: 3000n,
      mintedSat: 1000n,
      creditedSat: 2000n,
    })
    expect(right.finish().state).toMatchObject({
      reserveSat: 3005n,
      mintedSat: 0n,
      creditedSat: 3005n,
    })
    expect(left.finish().open.mints.size).toBe(2)
    expect(parent.open.mints.size).toBe(3)
    expect(toHex(ledgerRoot(parent))).toBe(root)
  })

  it('sums follow from the rows alone, whatever order changed them', () => {
    const draft = new LedgerDraft(genesisLedger(genesis))
    const key = keyOf(1)
    draft.put('outputs', key, output(1000n))
    draft.put('outputs', key, output(1000n, { minted: true, feeSat: 100n }))
    draft.put('fund', causeKey(FUND_CAUSE.pegInFee, key), {
      cause: 1,
      incomeSat: 100n,
      spentSat: 0n,
    })
    expect(draft.state).toMatchObject({
      reserveSat: 1000n,
      mintedSat: 900n,
      creditedSat: 0n,
      fundSat: 100n,
    })
    draft.put(
      'outputs',
      key,
      output(1000n, { minted: true, feeSat: 100n, state: OUTPUT_STATE.absent }),
    )
    draft.put('deficits', causeKey(DEFICIT_CAUSE.reorg, key), {
      cause: 0,
      amountSat: 1000n,
      height: 2,
      accepted: false,
    })
    expect(draft.state).toMatchObject({ reserveSat: 0n, deficitSat: 1000n, pegInStops: 1 })
    draft.put('deficits', causeKey(DEFICIT_CAUSE.reorg, key), {
      cause: 0,
      amountSat: 0n,
      height: 3,
      accepted: false,
    })
    expect(draft.state).toMatchObject({ deficitSat: 0n, pegInStops: 0 })
    expect(draft.finish().open.deficits.size).toBe(0)
  })

  it('changes are one encoded row per key, the last; a continued draft adds to them', () => {
    const first = withOutputs(2)
    const names = (ledger: Ledger) =>
      ledgerChanges(ledger).map(({ set, key }) => `${SET_NAMES[set]} ${toHex(key).slice(0, 4)}`)
    expect(names(first)).toHaveLength(3)
    const more = new LedgerDraft(first, true)
    more.put('outputs', keyOf(0), output(1000n, { minted: true }))
    more.put('outputs', keyOf(2), output(1n))
    expect(names(more.finish())).toHaveLength(4)
    expect(ledgerChanges(new LedgerDraft(more.finish()).finish())).toEqual([])
  })

  it('outpoints and their keys', () => {
    expect(splitOutpoint(outpointKey(seeded('x'), 7))).toEqual({ txid: seeded('x'), vout: 7 })
  })

  it('the credits of a day roll', () => {
    const draft = new LedgerDraft(genesisLedger(genesis))
    draft.markCredit(1000, 5n)
    draft.markCredit(1000, 6n)
    draft.markCredit(1000 + 86_399, 7n)
    expect(draft.dayCreditSat(1000 + 86_399)).toBe(18n)
    expect(draft.dayCreditSat(1000 + 86_400)).toBe(7n)
  })
})

describe('rows from disk', () => {
  it('give the same root, sums and open rows, in any order', () => {
    const ledger = withOutputs(20)
    const draft = new LedgerDraft(ledger)
    draft.put('outputs', keyOf(3), output(1000n, { minted: true }))
    draft.markCredit(100, 20_000n)
    draft.update({ height: 2, feePoolWei: 5n })
    const last = draft.finish()
    const rows = new Map<string, LedgerChange>()
    for (const change of [...ledgerChanges(ledger), ...ledgerChanges(last)]) {
      rows.set(`${change.set} ${toHex(change.key)}`, change)
    }
    const rebuilt = ledgerFromRows(genesis, [...rows.values()].reverse())
    if (!rebuilt.ok) throw new Error(rebuilt.error.detail)
    expect(toHex(ledgerRoot(rebuilt.value))).toBe(toHex(ledgerRoot(last)))
    expect(rebuilt.value.state).toEqual(last.state)
    expect(new Set(rebuilt.value.open.mints.keys())).toEqual(new Set(last.open.mints.keys()))
    expect(rebuilt.value.dayCredits).toEqual([{ timestamp: 100, amountSat: 20_000n }])
  })

  it('no rows are the genesis ledger', () => {
    const rebuilt = ledgerFromRows(genesis, [])
    if (!rebuilt.ok) throw new Error(rebuilt.error.detail)
    expect(ledgerRoot(rebuilt.value)).toEqual(ledgerRoot(genesisLedger(genesis)))
  })

  it('torn or foreign rows and missing ones are told, not taken', () => {
    const rows = ledgerChanges(withOutputs(2))
    const value = new Uint8Array(3)
    expect(ledgerFromRows(genesis, [{ set: 3, key: keyOf(1), value }])).toMatchObject({
      error: { code: 'LedgerRowMalformed' },
    })
    expect(ledgerFromRows(genesis, [{ set: 99, key: keyOf(1), value }])).toMatchObject({
      error: { code: 'LedgerRowMalformed' },
    })
    expect(ledgerFromRows(genesis, rows.slice(1))).toMatchObject({
      error: { code: 'LedgerTotalsMismatch' },
    })
  })
})

describe('proofs under the ledger root (P 5.6)', () => {
  const ledger = withOutputs(30)
  const root = ledgerRoot(ledger)

  it('show one row and every scalar, also after their encoding', () => {
    const row = rowOf(ledger, 'outputs', keyOf(4))
    if (row === undefined) throw new Error('no row')
    const proof = decodeLedgerProof(encodeLedgerProof(proveRow(ledger, 'outputs', keyOf(4))))
    if (proof === undefined) throw new Error('no proof')
    const encoded = encodeRow('outputs', row)
    expect(verifyRow(root, proof, 'outputs', keyOf(4), encoded)).toBe(true)
    expect(verifyState(root, proof.summary)?.reserveSat).toBe(30_000n)
    expect(verifyRow(root, proof, 'outputs', keyOf(5), encoded)).toBe(false)
    expect(verifyRow(root, proof, 'requests', keyOf(4), encoded)).toBe(false)
    expect(verifyRow(root, proof, 'outputs', keyOf(4), undefined)).toBe(false)
    const richer = encodeRow('outputs', { ...row, amountSat: 1001n })
    expect(verifyRow(root, proof, 'outputs', keyOf(4), richer)).toBe(false)
    const summary = { ...proof.summary, state: { ...proof.summary.state, fundSat: 1n } }
    expect(verifyRow(root, { ...proof, summary }, 'outputs', keyOf(4), encoded)).toBe(false)
  })

  it('show that there is no row, for an empty set too', () => {
    for (const [set, key] of [
      ['outputs', keyOf(99)],
      ['requests', seeded('none')],
    ] as const) {
      const proof = decodeLedgerProof(encodeLedgerProof(proveRow(ledger, set, key)))
      if (proof === undefined) throw new Error('no proof')
      expect(verifyRow(root, proof, set, key, undefined)).toBe(true)
      expect(verifyRow(root, proof, set, key, new Uint8Array(1))).toBe(false)
    }
  })

  it('garbage is no proof (C-7)', () => {
    expect(decodeLedgerProof(new Uint8Array(10))).toBeUndefined()
    expect(decodeLedgerProof(new Uint8Array(20_000))).toBeUndefined()
  })

  it('every set changes the root', () => {
    const roots = new Set([toHex(root)])
    const puts: ((draft: LedgerDraft) => void)[] = [
      (draft) => draft.put('chain', heightKey(9), { hash: seeded('h') }),
      (draft) =>
        draft.put('effects', seeded('e'), {
          outputs: [],
          transactions: [],
          conflicts: [],
          creditedSat: 0n,
        }),
      (draft) =>
        draft.put('fund', causeKey(0, keyOf(1)), { cause: 0, incomeSat: 0n, spentSat: 0n }),
      (draft) =>
        draft.put('deficits', causeKey(0, keyOf(1)), {
          cause: 0,
          amountSat: 0n,
          height: 1,
          accepted: false,
        }),
      (draft) => draft.put('outputs', keyOf(77), output(0n)),
      (draft) => draft.update({ feePoolWei: 1n }),
    ]
    for (const put of puts) {
      const draft = new LedgerDraft(ledger)
      put(draft)
      roots.add(toHex(ledgerRoot(draft.finish())))
    }
    expect(roots.size).toBe(puts.length + 1)
  })
})
