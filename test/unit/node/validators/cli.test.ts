/** `millrace validators` where no node is needed: writing a change and approving it; and what is wrong is said (P 1.4). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ValidatorChange } from '../../../../core/block/index.ts'
import { validatorChangeMessage } from '../../../../core/validators/index.ts'
import {
  type BlsKeyPair,
  blsVerify,
  fromHex,
  sealKeyFile,
  toHex,
  verifyPossession,
} from '../../../../crypto/index.ts'
import { main } from '../../../../node/validators/index.ts'
import { joiningKeys } from '../../core/chain/town.ts'
import { memberKeys, seeded, testGenesis } from '../../core/peg/world.ts'
import { heard } from '../heard.ts'

const genesis = testGenesis()
const directory = mkdtempSync(join(tmpdir(), 'millrace-validators-'))
const path = (name: string) => join(directory, name)
const write = (name: string, value: unknown) => {
  writeFileSync(path(name), typeof value === 'string' ? value : JSON.stringify(value))
  return path(name)
}
const ADDRESS = 'aa'.repeat(20)

function keyFile(name: string, { publicKey, secretKey }: BlsKeyPair): string {
  let count = 0
  return write(
    name,
    sealKeyFile({
      label: name,
      publicKeys: { bls: publicKey },
      secrets: { bls: secretKey },
      password: 'open',
      random: (length) => seeded(`${name} ${count++}`).slice(0, length),
      cost: { n: 2, r: 1, p: 1 },
    }),
  )
}

const run = (...args: string[]) => heard(() => main(args))

const joining = joiningKeys[0] as BlsKeyPair
write('password', 'open\n')
const password = ['--password-file', path('password')]
const genesisFile = ['--genesis', write('genesis.json', genesis.file)]

afterAll(() => rmSync(directory, { recursive: true }))

function changeOf(text: string): ValidatorChange {
  const { address, blsKey, power, proofOfPossession, sequence } = JSON.parse(text) as {
    readonly [name: string]: string
  }
  const bytes = (value = '') => fromHex(value) as Uint8Array
  return {
    sequence: Number(sequence),
    power: Number(power),
    blsKey: bytes(blsKey),
    address: bytes(address),
    proofOfPossession: bytes(proofOfPossession),
  }
}

it('a new key is proposed with its proof of possession, and a member approves exactly that', async () => {
  const keys = ['--keys', keyFile('validator.json', joining)]
  const fields = ['--power', '1', '--address', `0x${ADDRESS}`, '--sequence', '7']
  const proposed = await run('propose', ...keys, ...password, ...fields)
  expect(proposed.code).toBe(0)
  const change = changeOf(proposed.out)
  expect(change).toMatchObject({ sequence: 7, power: 1, blsKey: joining.publicKey })
  expect(verifyPossession(genesis.signatures, change.blsKey, change.proofOfPossession)).toBe(true)
  const member = memberKeys[2] as BlsKeyPair
  const approved = await run(
    'approve',
    '--change',
    write('change.json', proposed.out),
    ...genesisFile,
    '--keys',
    keyFile('member.json', member),
    ...password,
  )
  const approval = JSON.parse(approved.out) as { member: number; signature: string }
  expect(approval.member).toBe(2)
  const message = validatorChangeMessage(genesis, 0, change)
  const signature = fromHex(approval.signature) as Uint8Array
  expect(blsVerify(member.publicKey, message, signature)).toBe(true)
})

it('a removal has neither address nor proof', async () => {
  const key = toHex(genesis.validators[0]?.blsKey as Uint8Array)
  const { out } = await run('propose', '--key', key, '--power', '0', '--sequence', '1')
  const { address, power, proofOfPossession } = changeOf(out)
  expect(power).toBe(0)
  expect([...address, ...proofOfPossession].every((byte) => byte === 0)).toBe(true)
})

it.each([
  ['nothing', [], 2, 'usage: millrace validators'],
  [
    'a key that is none',
    ['propose', '--key', 'ab', '--power', '0', '--sequence', '1'],
    2,
    'key: expected 48 bytes',
  ],
  [
    'a power without an address',
    ['propose', '--key', 'ab'.repeat(48), '--power', '1'],
    2,
    '--address',
  ],
  [
    'a file that is not there',
    ['approve', ...genesisFile, '--change', '/nowhere'],
    3,
    'FileUnreadable',
  ],
  ['no node', ['show', '--url', 'http://127.0.0.1:9'], 5, 'NodeUnreachable'],
] as const)('%s is refused with its reason', async (_, args, code, reason) => {
  const ended = await run(...args)
  expect(ended.code).toBe(code)
  expect(ended.error).toContain(reason)
})

it('a key file of no member approves nothing; fewer than t approvals are not sent', async () => {
  const change = [
    '--change',
    write(
      'other.json',
      (await run('propose', '--key', 'ab'.repeat(48), '--power', '0', '--sequence', '1')).out,
    ),
  ]
  const stranger = ['--keys', keyFile('stranger.json', joining)]
  expect(await run('approve', ...change, ...genesisFile, ...stranger, ...password)).toMatchObject({
    code: 3,
    error: expect.stringContaining('KeysOfNoMember'),
  })
  const approvals: string[] = []
  for (const index of [0, 1]) {
    const keys = ['--keys', keyFile(`member-${index}.json`, memberKeys[index] as BlsKeyPair)]
    const { out } = await run('approve', ...change, ...genesisFile, ...keys, ...password)
    approvals.push('--approval', write(`approval-${index}.json`, out))
  }
  expect(await run('submit', ...change, ...genesisFile, ...approvals)).toMatchObject({
    code: 4,
    error: expect.stringContaining('approvals of 2 of 3 members'),
  })
})
