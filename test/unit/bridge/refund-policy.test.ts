/** What a member asks before it signs a refund (protocol §5.6, §5.9; PI-11, PO-11): the members' own approvals, not the rows about them. */
import { decideSignature, FIRST_FEDERATION, readBatchRows } from '../../../bridge/index.ts'
import {
  LedgerDraft,
  ledgerRoot,
  OUTPUT_KIND,
  type OutputRow,
  outpointKey,
} from '../../../core/ledger/index.ts'
import { applyPegOrder } from '../../../core/peg/index.ts'
import { approvedOrder, orderOf } from '../core/peg/orders.ts'
import { PegWorld, p2wpkh } from '../core/peg/world.ts'
import { owedIn, provenRows, recordedIn } from './world.ts'

const NOTHING = new Uint8Array(0)

/** A row as a quorum of validators that lies would write it: everything that follows from it agrees with it. */
function write(world: PegWorld, key: Uint8Array, change: (row: OutputRow) => Partial<OutputRow>) {
  const draft = new LedgerDraft(world.ledger, true)
  const row = draft.get('outputs', key)
  if (row === undefined) throw new Error('no such output')
  draft.put('outputs', key, { ...row, ...change(row) })
  world.ledger = draft.finish()
}

/** The order of t members that a deposit goes to `name`, in a block. */
function order(world: PegWorld, key: Uint8Array, name: string): void {
  const item = approvedOrder(
    world.genesis,
    orderOf('refundTo', key, { scriptPubKey: p2wpkh(name) }),
  )
  const applied = applyPegOrder(world.genesis, world.ledger, world.height, item)
  if (!applied.ok) throw new Error(applied.error.code)
  world.ledger = applied.value
}

/** What a member says of the refund that such a ledger leads to. */
async function decided(world: PegWorld): Promise<string> {
  const batchId = recordedIn(world)
  const asked = { genesisHash: world.genesis.hash, batchId, version: 0 }
  const proven = await provenRows(world.ledger, batchId)
  const read = readBatchRows(ledgerRoot(world.ledger), asked, proven)
  if (read.kind !== 'sign') throw new Error(read.code)
  const verdict = decideSignature(world.genesis, asked, read.value, FIRST_FEDERATION)
  return verdict.kind === 'sign' ? 'sign' : verdict.code
}

describe('PI-11: a refund is signed where t members approved all that it rests on', () => {
  it('the item, of a deposit that named whom it goes back to', async () => {
    const world = new PegWorld()
    owedIn(world, p2wpkh('back'))
    expect(await decided(world)).toBe('sign')
  })

  it('the item and the order, of one that named nobody', async () => {
    const world = new PegWorld()
    const key = owedIn(world, NOTHING)
    order(world, key, 'owner')
    expect(await decided(world)).toBe('sign')
  })

  it('and not to whom a row says that was in no order, whatever else stands in it', async () => {
    for (const forge of [
      (row: OutputRow) => ({ refundTo: p2wpkh('thief'), approvals: row.approvals.slice(0, 1) }),
      // The item's approval is good, and is none of an order.
      (row: OutputRow) => ({
        refundTo: p2wpkh('thief'),
        approvals: [...row.approvals, ...row.approvals],
      }),
    ]) {
      const world = new PegWorld()
      write(world, owedIn(world, NOTHING), forge)
      expect(await decided(world)).toBe('RefundNotApproved')
    }
    const other = new PegWorld()
    const key = owedIn(other, NOTHING)
    order(other, key, 'owner')
    write(other, key, () => ({ refundTo: p2wpkh('thief') }))
    expect(await decided(other)).toBe('RefundNotApproved')
  })

  it('and not by fewer than t', async () => {
    const world = new PegWorld()
    const key = owedIn(world, NOTHING)
    const to = { scriptPubKey: p2wpkh('thief') }
    const { approval } = approvedOrder(world.genesis, orderOf('refundTo', key, to), [0, 1])
    const proofRoot = new Uint8Array(32)
    write(world, key, ({ approvals }) => ({
      refundTo: to.scriptPubKey,
      approvals: [...approvals, { proofRoot, approval }],
    }))
    expect(await decided(world)).toBe('RefundNotApproved')
  })

  it('nor where a deposit never named that script, or was credited', async () => {
    const world = new PegWorld()
    write(world, owedIn(world, NOTHING), () => ({ refundScript: p2wpkh('thief') }))
    expect(await decided(world)).toBe('RefundNotApproved')
    const credited = new PegWorld({ pegInFeeSat: 0 })
    const owed = owedIn(credited, p2wpkh('back'))
    const { approvals = [] } = credited.ledger.sets.outputs.get(owed) ?? {}
    // The refund that is good is out of the way.
    write(credited, owed, () => ({ refundScript: NOTHING }))
    const { txid, vout } = credited.pegIn('alice', 500_000n)
    write(credited, outpointKey(txid, vout), () => ({
      kind: OUTPUT_KIND.refundable,
      reason: 2,
      refundScript: p2wpkh('thief'),
      approvals,
    }))
    expect(await decided(credited)).toBe('RefundNotApproved')
  })
})
