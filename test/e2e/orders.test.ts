/**
 * What the peg cannot settle by itself, by the commands of the guide on real processes: a deposit that named nobody goes back to whom its owner
 * proves, and to nobody else (protocol §5.9, PI-11).
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addressFromScript, parseTransaction } from '../../core/bitcoin/index.ts'
import { fromHex, toDisplayHash, toHex } from '../../crypto/index.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { developmentKey } from '../../devnet/wallet.ts'
import { ownerOf, ownerWith } from '../unit/bridge/owners.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { Program } from './program.ts'
import { type PegStatus, payFederation, reached } from './user.ts'

const PATIENCE = 600_000
const AMOUNT_SAT = 100_000_000n

let federation: TestFederation
beforeAll(async () => {
  federation = await TestFederation.start()
}, PATIENCE)
afterAll(() => federation?.stop(), PATIENCE)

async function command(...args: string[]): Promise<Pick<Program, 'stdout' | 'stderr'>> {
  const program = new Program(['order', ...args])
  await program.exited
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
    const genesis = ['--genesis', federation.files.genesisFile]
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
    const keysOf = (member: number) => {
      const directory = federation.files.memberDirectory(member)
      const [keys, password] = ['keys.json', 'password'].map((name) => join(directory, name))
      return ['--keys', keys as string, '--password-file', password as string]
    }
    const thief = ownerOf('mallory', 'p2wpkh').sign(message)
    const forged = place('forged.json', proofBy(thief))
    const refused = await command('approve', ...order, ...keysOf(0), '--proof', forged)
    expect([refused.stdout, refused.stderr]).toEqual([
      '',
      expect.stringContaining('SignatureRefused'),
    ])

    const proof = place('proof.json', proofBy(owner.sign(message)))
    const approvals: string[] = []
    for (const member of [0, 2, 3]) {
      const approved = await command('approve', ...order, ...keysOf(member), '--proof', proof)
      approvals.push('--approval', place(`approval-${member}.json`, approved.stdout))
    }
    const url = ['--url', federation.urls[1] as string]
    const submitted = await command('submit', ...order, ...approvals, ...url)
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
    const again = await command('submit', ...order, ...approvals, ...url)
    expect(again.stderr).toBe('')
  },
  PATIENCE,
)
