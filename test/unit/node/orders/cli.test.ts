/** `millrace order` where no node is needed: writing an order and approving it; and what is wrong is said (P 4.9, 5.9; PI-11). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serializeTransaction, txid } from '../../../../core/bitcoin/index.ts'
import { outpointKey } from '../../../../core/ledger/index.ts'
import { pegOrderMessage } from '../../../../core/peg/index.ts'
import {
  type BlsKeyPair,
  blsVerify,
  fromHex,
  sealKeyFile,
  toDisplayHash,
  toHex,
} from '../../../../crypto/index.ts'
import { main } from '../../../../node/orders/index.ts'
import { ownerOf } from '../../bridge/owners.ts'
import { orderOf } from '../../core/peg/orders.ts'
import { memberKeys, p2wpkh, payment, seeded, testGenesis } from '../../core/peg/world.ts'
import { heard } from '../heard.ts'

const genesis = testGenesis()
const directory = mkdtempSync(join(tmpdir(), 'millrace-orders-'))
const write = (name: string, value: unknown) => {
  const path = join(directory, name)
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value))
  return path
}
const member = memberKeys[1] as BlsKeyPair
const keys = write(
  'keys.json',
  sealKeyFile({
    label: 'member',
    publicKeys: { bls: member.publicKey },
    secrets: { bls: member.secretKey },
    password: 'open',
    random: (length) => seeded('file').slice(0, length),
    cost: { n: 2, r: 1, p: 1 },
  }),
)
const withKeys = ['--keys', keys, '--password-file', write('password', 'open\n')]
const withGenesis = ['--genesis', write('genesis.json', genesis.file)]

afterAll(() => rmSync(directory, { recursive: true }))

const run = (...args: string[]) => heard(() => main(args))

const alice = ownerOf('alice', 'p2wpkh')
const funding = payment('salary', [{ amountSat: 5n, scriptPubKey: alice.script }])
const deposit = payment({ txid: txid(funding), vout: 0 }, [
  { amountSat: 5n, scriptPubKey: p2wpkh('federation') },
])
const named = `${toDisplayHash(txid(deposit))}:0`
const to = p2wpkh('home')

it('a refund is approved with the word of the owner, and with nothing less (5.9, PI-11)', async () => {
  const proposed = await run('refund', '--deposit', named, '--to', toHex(to), ...withGenesis)
  expect(proposed.code).toBe(0)
  const { message } = JSON.parse(proposed.out) as { message: string }
  const order = ['--order', write('order.json', proposed.out), ...withGenesis, ...withKeys]
  const proofBy = (signature: Uint8Array) =>
    write('proof.json', {
      deposit: toHex(serializeTransaction(deposit)),
      previous: [toHex(serializeTransaction(funding))],
      signatures: { [toHex(alice.script)]: Buffer.from(signature).toString('base64') },
    })
  const approved = await run('approve', ...order, '--proof', proofBy(alice.sign(message)))
  expect(approved.code).toBe(0)
  const approval = JSON.parse(approved.out) as { member: number; signature: string }
  expect(approval.member).toBe(1)
  const subject = outpointKey(txid(deposit), 0)
  const signed = pegOrderMessage(genesis, 0, orderOf('refundTo', subject, { scriptPubKey: to }))
  const signature = fromHex(approval.signature) as Uint8Array
  expect(blsVerify(member.publicKey, signed, signature)).toBe(true)

  const forged = await run('approve', ...order, '--proof', proofBy(alice.sign('another')))
  expect([forged.code, forged.out]).toEqual([4, ''])
  expect(forged.error).toContain('SignatureRefused')
  const without = await run('approve', ...order)
  expect([without.code, without.out]).toEqual([2, ''])
  expect(without.error).toContain('--proof is needed')
})

it('a cancel names the batch, and takes no proof (PO-19)', async () => {
  const batch = 'cd'.repeat(32)
  const { out } = await run('cancel', '--batch', batch)
  const approved = await run(
    'approve',
    '--order',
    write('cancel.json', out),
    ...withGenesis,
    ...withKeys,
  )
  const { signature } = JSON.parse(approved.out) as { signature: string }
  const message = pegOrderMessage(genesis, 0, orderOf('cancel', fromHex(batch) as Uint8Array))
  expect(blsVerify(member.publicKey, message, fromHex(signature) as Uint8Array)).toBe(true)
  expect((await run('cancel', '--batch', 'cd')).code).toBe(2)
})

it('a loss is approved by whoever thinks so', async () => {
  const spend = 'ab'.repeat(31)
  const { out } = await run('loss', '--spend', `${spend}01`, '--fund', '7', '--since', '9')
  const order = ['--order', write('loss.json', out), ...withGenesis, ...withKeys]
  const approved = await run('approve', ...order)
  const { signature } = JSON.parse(approved.out) as { signature: string }
  const subject = (fromHex(`${spend}01`) as Uint8Array).toReversed()
  const message = pegOrderMessage(
    genesis,
    0,
    orderOf('strayLoss', subject, { fundSat: 7n, since: 9 }),
  )
  expect(blsVerify(member.publicKey, message, fromHex(signature) as Uint8Array)).toBe(true)
})

it.each([
  ['nothing', [], 'usage: millrace order'],
  ['a loss of nothing', ['loss'], 'either --deposit or --spend'],
  ['no address', ['refund', '--deposit', named, '--to', 'mars', ...withGenesis], '--to'],
  ['no outpoint', ['refund', '--deposit', 'ab:0', '--to', 'mars', ...withGenesis], 'txid'],
  ['half a satoshi', ['loss', '--deposit', named, '--fund', '0.5'], 'fund'],
])('%s is told', async (_, args, text) => {
  const { code, error, out } = await run(...(args as string[]))
  expect([code, out]).toEqual([2, ''])
  expect(error).toContain(text)
})

it('approvals of too few make no order', async () => {
  const { out } = await run('loss', '--deposit', named, '--since', '9')
  const order = ['--order', write('few.json', out), ...withGenesis]
  const approval = (await run('approve', ...order, ...withKeys)).out
  const file = write('approval.json', approval)
  const submitted = await run('submit', ...order, '--approval', file, '--url', 'http://127.0.0.1:9')
  expect(submitted.error).toContain('ApprovalQuorumMissing')
})
