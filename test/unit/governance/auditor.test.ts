/** P 4.8, N1: a member compares the reserve with its own Bitcoin, and signs nothing while coins are missing there. */
import { LedgerDraft, type OutputRow, rowOf } from '../../../core/ledger/index.ts'
import { outpointName } from '../../../core/peg/index.ts'
import type { NodeBody } from '../../../proto/index.ts'
import {
  type BitcoinWorld,
  claimOf,
  depositOf,
  PegWorld,
  p2wpkh,
  payment,
  seeded,
} from '../core/peg/world.ts'
import { AUDIT_MS, bitcoinOf, HeaderChain, MemberWorld, TestNode } from './world.ts'

const FAILED = 'coins of the reserve are missing on Bitcoin: nothing is signed'

/** A member whose ledger has two deposits in its reserve, and a third one to approve. */
async function audited() {
  const peg = new PegWorld()
  const claims = [peg.pegIn('alice', 5_000_000n), peg.pegIn('bob', 3_000_000n)] as const
  const late = depositOf(peg.genesis, 'carol', 2_000_000n)
  peg.bitcoin.mine([late])
  peg.bitcoin.mine([], 2)
  const chain = new HeaderChain(peg.genesis)
  const node = new TestNode(chain)
  const world: { bitcoin: BitcoinWorld } = { bitcoin: peg.bitcoin }
  const own = () => bitcoinOf(world.bitcoin)
  const member = new MemberWorld({
    genesis: peg.genesis,
    nodes: [node],
    bitcoin: {
      sight: (...question) => own().sight(...question),
      coins: (...question) => own().coins(...question),
    },
  })
  await member.start()
  const commit = async (ledger = peg.ledger) => {
    chain.commit(ledger)
    node.announce()
    await member.settle()
  }
  await commit()
  const audit = () => member.advance(AUDIT_MS)
  const codes = async () => {
    node.askApproval(claimOf(peg.bitcoin, late))
    await member.settle()
    return node.answers('approvalResponse').at(-1)?.code
  }
  const steal = (claim = claims[0]) => {
    world.bitcoin.mine([payment(claim, [{ amountSat: 1n, scriptPubKey: p2wpkh('thief') }])])
  }
  const mode = () => member.system?.snapshot().find(({ path }) => path === 'auditor')?.state
  const audits = (verdict: string) =>
    member.ports.metrics.total('millrace_member_audits_total', { verdict })
  return { audit, chain, claims, codes, commit, member, mode, node, peg, steal, audits, world }
}

describe('the audit of the reserve by a member', () => {
  it('passes while Bitcoin has all coins, and more', async () => {
    const { audit, audits, codes, member, mode } = await audited()
    await audit()
    await audit()
    expect(audits('pass')).toBe(2)
    expect(member.logged(FAILED)).toEqual([])
    expect(mode()).toBe('Running')
    expect(await codes()).toBe('')
    await member.stop()
  })

  it('stops approvals when it has failed twice, names the coin, and is no longer ready', async () => {
    const { audit, claims, codes, member, mode, steal } = await audited()
    steal()
    await audit()
    expect(member.logged(FAILED)).toEqual([])
    expect(mode()).toBe('Running')
    await audit()
    const { txid, vout } = claims[0]
    const coins = [outpointName(Uint8Array.of(...txid, 0, 0, 0, vout))]
    expect(member.logged(FAILED)).toEqual([{ coins, count: 1 }])
    expect(mode()).toBe('Degraded')
    expect(await codes()).toBe('ReserveMissing')
    await member.stop()
  })

  it('goes on when the coin is there again, and two different coins in turn are no two failures', async () => {
    const { audit, claims, codes, member, mode, peg, steal, world } = await audited()
    const whole = peg.bitcoin.fork(peg.bitcoin.tip.height, 'whole')
    const other = peg.bitcoin.fork(peg.bitcoin.tip.height, 'other')
    steal()
    await audit()
    world.bitcoin = other
    steal(claims[1])
    await audit()
    expect(mode()).toBe('Running')
    await audit()
    expect(mode()).toBe('Degraded')
    world.bitcoin = whole
    await audit()
    expect(mode()).toBe('Running')
    expect(await codes()).toBe('')
    await member.stop()
  })

  it('knows nothing when its Bitcoin lacks the block that the ledger rests on, and forgets nothing', async () => {
    const { audit, audits, member, mode, peg, steal, world } = await audited()
    steal()
    await audit()
    const stolen = world.bitcoin
    world.bitcoin = peg.bitcoin.fork(1, 'behind')
    await audit()
    await audit()
    expect(audits('unknown')).toBe(2)
    const told = member.logged('whether the reserve is on Bitcoin is not known')
    expect(told).toEqual([{ code: 'BitcoinBlockUnknown' }])
    expect(mode()).toBe('Running')
    world.bitcoin = stolen
    await audit()
    expect(mode()).toBe('Degraded')
    await member.stop()
  })

  it('a coin of an open batch may be gone: one of its versions took it', async () => {
    const { audit, claims, commit, member, mode, peg, steal } = await audited()
    const draft = new LedgerDraft(peg.ledger, true)
    const { txid, vout } = claims[0]
    const key = Uint8Array.of(...txid, 0, 0, 0, vout)
    const row = rowOf(peg.ledger, 'outputs', key) as OutputRow
    draft.put('outputs', key, { ...row, batchId: seeded('batch') })
    await commit(draft.finish())
    steal()
    await audit()
    await audit()
    expect(mode()).toBe('Running')
    await member.stop()
  })

  it('what the ledger has booked is not looked for', async () => {
    const { audit, commit, member, mode, peg, steal } = await audited()
    steal()
    await audit()
    await audit()
    expect(mode()).toBe('Degraded')
    peg.bitcoin.mine([], 2)
    const [spend] = peg.bitcoin.blocks.flatMap(({ transactions }) =>
      transactions.filter(({ outputs }) => outputs[0]?.amountSat === 1n),
    )
    if (spend === undefined) throw new Error('nothing was stolen')
    peg.syncHeaders()
    peg.block({ items: { proofs: [peg.bitcoin.proofOf(spend)], bookings: [{ proofIndex: 0 }] } })
    await commit()
    await audit()
    expect(mode()).toBe('Running')
    await member.stop()
  })

  it('looks at what a node shows of it, and says that it keeps the rest back', async () => {
    const { audit, member, mode, node, steal } = await audited()
    steal()
    node.alter = (body) =>
      body.kind === 'ledgerProof' ? { ...body, rows: body.rows.slice(0, 1) } : body
    await audit()
    await audit()
    expect(member.logged('a node keeps coins of the reserve back')).toHaveLength(2)
    expect(mode()).toBe('Degraded')
    await member.stop()
  })

  it.each<[string, (body: NodeBody) => NodeBody]>([
    [
      'amounts',
      (body) =>
        withRows(body, (row) => ({ ...row, row: Uint8Array.from(row.row, (byte) => byte ^ 1) })),
    ],
    ['outpoints', (body) => withRows(body, (row) => ({ ...row, key: seeded('x').slice(0, 36) }))],
    ['proofs', (body) => withRows(body, (row) => ({ ...row, proof: new Uint8Array(9) }))],
  ])('believes no node that shows other %s', async (_, alter) => {
    const { audit, audits, member, mode, node } = await audited()
    node.alter = alter
    await audit()
    await audit()
    expect([audits('pass'), audits('fail')]).toEqual([0, 0])
    expect(member.logged('a node proves no coin of the reserve')).not.toEqual([])
    expect(mode()).toBe('Running')
    await member.stop()
  })
})

type Row = Extract<NodeBody, { readonly kind: 'ledgerProof' }>['rows'][number]

function withRows(body: NodeBody, change: (row: Row) => Row): NodeBody {
  return body.kind === 'ledgerProof' ? { ...body, rows: body.rows.map(change) } : body
}
