/**
 * What the peg cannot settle by itself, by the commands of the guide on real processes: a deposit that named nobody goes back to whom its owner
 * proves, and to nobody else (protocol §5.9, PI-11); what Bitcoin lost, and what members spent by hand, is booked as a loss (4.9).
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addressFromScript, parseTransaction } from '../../core/bitcoin/index.ts'
import { fromHex, toDisplayHash, toHex } from '../../crypto/index.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { developmentKey } from '../../devnet/wallet.ts'
import { ownerOf, ownerWith } from '../unit/bridge/owners.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { guideCommands, notFollowed } from './guide.ts'
import { keyMade, reserveRows } from './keys.ts'
import { type Program, runProgram } from './program.ts'
import { mineOnly, tipHeight } from './regtest.ts'
import {
  Account,
  booked,
  include,
  minted,
  type PegStatus,
  payDeposit,
  payFederation,
  payWithMessage,
  pegStatus,
  reached,
} from './user.ts'

const PATIENCE = 600_000
const AMOUNT_SAT = 100_000_000n
const FUND_SAT = 250_000n
/** Nobody waits for what was lost: so many are mined by hand. */
const BURIED_BLOCKS = 6
const PAUSED =
  'nothing is credited until a deposit that Bitcoin lost comes back or is booked as a loss'
const DONATION = `0x${'00'.repeat(20)}`

let federation: TestFederation
beforeAll(async () => {
  federation = await TestFederation.start()
}, PATIENCE)
afterAll(() => federation?.stop(), PATIENCE)

/** As they were typed. */
const commands: string[] = []

async function command(...args: string[]): Promise<Pick<Program, 'stdout' | 'stderr'>> {
  const program = await runProgram('order', ...args)
  commands.push(program.command)
  return program
}

const place = (name: string, text: string) => {
  const path = join(federation.directory, name)
  writeFileSync(path, text)
  return path
}

/** A transaction by its txid, wherever it was mined. */
async function rawTransaction(txid: string): Promise<string> {
  const info = await federation.bitcoin.getBlockchainInfo()
  if (!info.ok) throw new Error(info.error.message)
  for (let height = info.value.blocks; height > 0; height--) {
    const hash = await federation.bitcoin.getBlockHash(height)
    if (!hash.ok) continue
    const raw = await federation.bitcoin.call('getrawtransaction', [txid, false, hash.value])
    if (raw.ok) return raw.value as string
  }
  throw new Error(`no block has ${txid}`)
}

const genesisFlags = () => ['--genesis', federation.files.genesisFile]

const keysOf = (member: number) => {
  const directory = federation.files.memberDirectory(member)
  const [keys, password] = ['keys.json', 'password'].map((name) => join(directory, name))
  return ['--keys', keys as string, '--password-file', password as string]
}

/** Three members approve it, and a node has it put into a block. */
async function settle(order: readonly string[], ...more: readonly string[]) {
  const approvals: string[] = []
  for (const member of [0, 1, 3]) {
    const approved = await command('approve', ...order, ...keysOf(member), ...more)
    approvals.push('--approval', place(`approval-${member}.json`, approved.stdout))
  }
  return command('submit', ...order, ...approvals, '--url', federation.urls[1] as string)
}

/** The loss that the ledger has is booked. */
async function bookLoss(...flags: string[]): Promise<void> {
  const proposed = await command('loss', ...flags, '--url', federation.urls[0] as string)
  expect(proposed.stderr).toBe('')
  const order = ['--order', place('order.json', proposed.stdout), ...genesisFlags()]
  expect((await settle(order)).stderr).toBe('')
}

const deficit = (isWanted: (sat: bigint) => boolean) =>
  until('the deficit', PATIENCE_MS, async () => {
    const { balanced, deficitSat } = await federation.reserves()
    expect(balanced).toBe(true)
    return isWanted(BigInt(deficitSat)) ? deficitSat : undefined
  })

type Batched = PegStatus & {
  readonly batchId?: string
  readonly versions?: readonly { readonly txid: string }[]
}

const included = ({ step }: PegStatus) => step === 'Included'

it(
  'a deposit without a message is paid back where its owner says, once; who owns nothing of it gets no approval',
  async () => {
    const txid = await payFederation(federation, [AMOUNT_SAT], [])
    const id = `${txid}:0`
    const status = await reached(federation.rpc, id, 'the record', included)
    expect(status).toMatchObject({ refundable: true, reason: 'badPayload' })

    const home = ownerOf('home', 'p2wpkh').script
    const to = addressFromScript(home, 'regtest') as string
    const genesis = genesisFlags()
    const proposed = await command('refund', '--deposit', id, '--to', to, ...genesis)
    const { message } = JSON.parse(proposed.stdout) as { message: string }
    const order = ['--order', place('order.json', proposed.stdout), ...genesis]

    const owner = ownerWith(developmentKey(`e2e ${federation.directory}`), 'p2wpkh')
    expect(toHex(owner.script)).toBe(toHex(federation.wallet.scriptPubKey))
    const deposit = await rawTransaction(txid)
    const parsed = parseTransaction(fromHex(deposit) as Uint8Array)
    const inputs = parsed.ok ? parsed.value.inputs : []
    const previous = await Promise.all(
      inputs.map((input) => rawTransaction(toDisplayHash(input.txid))),
    )
    const proofBy = (signature: Uint8Array) =>
      JSON.stringify({
        deposit,
        previous,
        signatures: { [toHex(owner.script)]: Buffer.from(signature).toString('base64') },
      })
    const thief = ownerOf('mallory', 'p2wpkh').sign(message)
    const forged = place('forged.json', proofBy(thief))
    const refused = await command('approve', ...order, ...keysOf(0), '--proof', forged)
    expect([refused.stdout, refused.stderr]).toEqual([
      '',
      expect.stringContaining('SignatureRefused'),
    ])

    const proof = place('proof.json', proofBy(owner.sign(message)))
    const submitted = await settle(order, '--proof', proof)
    expect([submitted.stderr, JSON.parse(submitted.stdout)]).toEqual([
      '',
      { id: expect.any(String) },
    ])

    const paidSat = await until('the refund', PATIENCE_MS, async () => {
      const found = await federation.bitcoin.scanTxOutSet([`raw(${toHex(home)})`])
      return found.ok && found.value.totalSat > 0n ? found.value.totalSat : undefined
    })
    expect(paidSat).toBeLessThan(AMOUNT_SAT)
    expect(paidSat * 10n).toBeGreaterThan(AMOUNT_SAT * 9n)
    await until('its booking', PATIENCE_MS, async () => {
      const { balanced, inFlight, reserveSat } = await federation.reserves()
      expect(balanced).toBe(true)
      return reserveSat === '0' && inFlight.every(({ kind }) => kind !== 'refundOwed')
        ? 1
        : undefined
    })
    // Once it has one nobody is asked again.
    const again = await settle(order, '--proof', proof)
    expect(again.stderr).toBe('')
  },
  PATIENCE,
)

it(
  'a deposit that Bitcoin lost stops peg-ins until it is booked as a loss, and is made good when it comes back',
  async () => {
    await keyMade(federation, 1)
    await payWithMessage(federation, DONATION, AMOUNT_SAT)
    await until('the donation', PATIENCE_MS, async () => {
      const { inFlight } = await federation.reserves()
      return inFlight.some(
        ({ kind, amountSat }) => kind === 'fund' && BigInt(amountSat) >= FUND_SAT,
      )
        ? true
        : undefined
    })
    const user = Account.random(262_144)
    const before = await tipHeight(federation)
    const lost = await payDeposit(federation, user.address, AMOUNT_SAT)
    await minted(federation.rpc, lost)

    await federation.stopMining()
    const depth = (await tipHeight(federation)) - before
    const forgotten = await federation.bitcoin.getBlockHash(before + 1)
    if (!forgotten.ok) throw new Error(forgotten.error.message)
    await federation.bitcoin.call('invalidateblock', [forgotten.value])
    for (let blocks = 0; blocks <= depth; blocks++) await mineOnly(federation, [])
    expect(await deficit((sat) => sat > 0n)).toBe(String(AMOUNT_SAT))

    const late = await payDeposit(federation, user.address, AMOUNT_SAT)
    for (const txids of [[late.slice(0, 64)], [], [], []]) await mineOnly(federation, txids)
    await reached(federation.rpc, late, 'the pause', ({ next }) => next === PAUSED)
    await bookLoss('--deposit', lost)
    await minted(federation.rpc, late)

    federation.startMining()
    await federation.mine(BURIED_BLOCKS)
    await deficit((sat) => sat === 0n)
  },
  PATIENCE,
)

it(
  'what members spent by hand stops payouts until it is booked as a loss, a part of which the fund bears',
  async () => {
    const user = Account.random(262_144)
    await minted(federation.rpc, await payDeposit(federation, user.address, AMOUNT_SAT))
    // Nothing is signed meanwhile: a sweep could want the same output.
    for (const member of [2, 3]) await federation.kill('member', member)
    const txid = await spendByHand(await unspentOutput())
    await federation.mine(BURIED_BLOCKS)
    for (const member of [2, 3]) federation.start('member', member)
    await deficit((sat) => sat > 0n)
    const burned = await include(
      federation.rpc,
      await user.burn(federation.wallet.address, AMOUNT_SAT / 2n),
    )
    const { next, step } = (await pegStatus(federation.rpc, burned)) as PegStatus
    expect([step, next]).toEqual(['Committed', expect.stringMatching(/^nothing is paid until/)])
    await bookLoss('--spend', txid, '--fund', String(FUND_SAT))
    await booked(federation.rpc, burned)
    expect((await federation.reserves()).balanced).toBe(true)
  },
  PATIENCE,
)

it(
  'a payout that the members cancel pays nobody; its burn waits again, and another payout pays it once',
  async () => {
    const { rpc } = federation
    const user = Account.random(262_144)
    await minted(rpc, await payDeposit(federation, user.address, AMOUNT_SAT))
    await federation.stopMining()
    const burned = await include(rpc, await user.burn(federation.wallet.address, AMOUNT_SAT / 4n))
    const { batchId = '' } = (await reached(rpc, burned, 'a batch', (status) => {
      return (status as Batched).batchId !== undefined
    })) as Batched
    const proposed = await command('cancel', '--batch', batchId)
    expect(proposed.stderr).toBe('')
    const order = ['--order', place('cancel.json', proposed.stdout), ...genesisFlags()]
    expect((await settle(order)).stderr).toBe('')
    // It takes the payout's place in the mempool, three blocks after it; until then the payout could be mined, which would pay.
    for (let blocks = 0; blocks < 5; blocks++) await mineOnly(federation, [])
    await until('the version that cancels', PATIENCE_MS, async () => {
      const pool = await federation.bitcoin.getRawMempool()
      const { versions = [] } = (await pegStatus(rpc, burned)) as Batched
      const last = versions.at(-1)?.txid ?? ''
      return versions.length > 1 && pool.ok && pool.value.includes(last) ? last : undefined
    })
    federation.startMining()
    const paid = (await booked(rpc, burned)) as Batched
    expect(paid.batchId).not.toBe(batchId)
    expect((await federation.reserves()).balanced).toBe(true)
  },
  PATIENCE,
)

it('that is every command of the guide', () => {
  expect(notFollowed(guideCommands('settle-the-peg'), commands)).toEqual([])
})

/** One of the reserve that no transaction spends, not even one that waits. */
async function unspentOutput(): Promise<string> {
  for (const { outpoint } of await reserveRows(federation)) {
    const [txid = '', vout] = outpoint.split(':')
    const found = await federation.bitcoin.call('gettxout', [txid, Number(vout), true])
    if (found.ok && found.value !== null) return outpoint
  }
  throw new Error('every output is being spent')
}

/** Three members spend an output of the reserve by leaf A, by the commands of the other guide; its txid. */
async function spendByHand(outpoint: string): Promise<string> {
  const at = (name: string) => join(federation.directory, name)
  const recover = async (words: string, ...args: string[]) => {
    const run = await runProgram(
      'recover',
      ...words.split(' '),
      ...genesisFlags(),
      ...args,
      '--json',
    )
    expect([run.code, run.code === 0 ? '' : run.stderr]).toEqual([0, ''])
    return run.json()
  }
  const bitcoin = ['--bitcoin', federation.bitcoinUrl]
  await recover('rows', '--url', federation.urls[0] as string, '--out', at('rows.json'))
  const what = ['--rows', at('rows.json'), '--output', outpoint, '--leaf', 'members']
  const to = ['--to', federation.wallet.address, '--fee-rate', '5']
  await recover('plan', ...what, ...to, ...bitcoin, '--out', at('a.psbt'))
  const copies: string[] = []
  for (const member of [1, 2, 3]) {
    const copy = at(`a-${member}.psbt`)
    await recover('sign', '--psbt', at('a.psbt'), ...keysOf(member), '--out', copy, '--yes')
    copies.push('--psbt', copy)
  }
  const sent = await recover('finish', ...copies, ...bitcoin, '--send')
  return sent['txid'] as string
}
