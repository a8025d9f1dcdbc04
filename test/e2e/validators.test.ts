/**
 * Validators that change in a federation of real nodes, by the commands of the guide, and a light client that believes nothing but
 * the genesis file and what it verifies over JSON-RPC (P 1.4, 5.6; BF-13).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  blockHash,
  decodeCertificate,
  decodeHeader,
  decodeValidators,
} from '../../core/block/index.ts'
import { decodeLedgerProof, decodeRow, heightKey, verifyRow } from '../../core/ledger/index.ts'
import {
  type CertifiedHeader,
  followHeader,
  type Trusted,
  trustGenesis,
  verifyField,
} from '../../core/light/index.ts'
import { fromHex, toHex } from '../../crypto/index.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { Program } from './program.ts'

const PATIENCE = 600_000
const NODES = [0, 1, 2, 3]

let federation: TestFederation
beforeAll(async () => {
  federation = await TestFederation.prepare({ nodes: 4, members: 4 })
  for (const index of NODES) federation.startNode(index)
  for (const index of NODES) await federation.answers(index)
  await federation.heightAtLeast(2)
}, PATIENCE)
afterAll(() => federation?.stop(), PATIENCE)

async function command(...args: string[]): Promise<string> {
  const program = new Program(['validators', ...args])
  const code = await program.exited
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${program.stderr}`)
  return program.stdout
}

const place = (name: string) => join(federation.directory, name)
const genesisFlags = () => ['--genesis', federation.files.genesisFile]
const keyFlags = (directory: string, file: string) => [
  '--keys',
  join(directory, file),
  '--password-file',
  join(directory, 'password'),
]

interface Decided {
  readonly sequence: number
  readonly actsFromHeight: number
}

/** Propose, approve by three members, submit to one node. */
async function decide(name: string, proposal: readonly string[], node: number): Promise<Decided> {
  const url = ['--url', federation.urls[node] as string]
  const change = place(`${name}.json`)
  writeFileSync(change, await command('propose', ...proposal, ...url))
  const approvals: string[] = []
  for (const member of [0, 1, 3]) {
    const directory = federation.files.memberDirectory(member)
    const approval = place(`${name}-${member}.json`)
    const flags = ['--change', change, ...genesisFlags(), ...keyFlags(directory, 'keys.json')]
    writeFileSync(approval, await command('approve', ...flags))
    approvals.push('--approval', approval)
  }
  return JSON.parse(
    await command('submit', '--change', change, ...genesisFlags(), ...approvals, ...url),
  ) as Decided
}

interface CommitAnswer {
  readonly height: number
  readonly header: string
  readonly certificate: string
  readonly nextValidators?: string
}

function bytes(text: string): Uint8Array {
  return fromHex(text) as Uint8Array
}

async function certified(height: number): Promise<CertifiedHeader> {
  const answer = await federation.rpc.call<CommitAnswer>('millrace_commit', [height])
  const header = decodeHeader(bytes(answer.header))
  const certificate = decodeCertificate(bytes(answer.certificate))
  const shown = answer.nextValidators
  const validators = shown === undefined ? undefined : decodeValidators(bytes(shown))
  if (!header.ok || !certificate.ok || validators?.ok === false) throw new Error('malformed')
  return {
    header: header.value,
    certificate: certificate.value,
    ...(validators && { nextValidators: validators.value }),
  }
}

function believed(trusted: Trusted, item: CertifiedHeader): Trusted {
  const next = followHeader(federation.genesis, trusted, item)
  if (!next.ok) throw new Error(`${next.error.code} at ${next.error.height}`)
  return next.value
}

it(
  'a validator is removed and added again while blocks go on; a light client follows over JSON-RPC',
  async () => {
    const key = federation.genesis.file.validators[3]?.blsKey as string
    const address = federation.genesis.file.validators[3]?.address as string
    // Node 3 itself takes the change that removes it: any node will do.
    const removed = await decide('remove', ['--key', key, '--power', '0'], 3)
    expect(removed.sequence).toBe(1)
    await federation.heightAtLeast(removed.actsFromHeight + 2)
    const three = await certified(removed.actsFromHeight + 1)
    expect(three.certificate.bitmap.bitLen).toBe(3)
    // It follows as an observer.
    await federation.heightAtLeast(removed.actsFromHeight + 2, federation.node(3))
    const proven = keyFlags(federation.files.nodeDirectory(3), 'validator.json')
    const added = await decide('add', [...proven, '--power', '1', '--address', address], 0)
    expect(added.sequence).toBe(2)
    await federation.heightAtLeast(added.actsFromHeight + 8)
    // It proposes again, and its vote is in a certificate.
    await until('a block of the added validator', PATIENCE_MS, async () => {
      const { height } = await federation.head()
      const { header } = await certified(height)
      return toHex(header.author) === key ? height : undefined
    })

    // A light client: the headers that announce a set, then the newest.
    const { height } = await federation.head()
    let trusted = trustGenesis(federation.genesis)
    const announcing = [removed.actsFromHeight - 1, added.actsFromHeight - 1]
    for (const at of [...announcing, height]) trusted = believed(trusted, await certified(at))
    expect(trusted.header.height).toBe(height)
    expect(trusted.nextValidators.map(({ blsKey }) => toHex(blsKey))).toContain(key)
    const set = await federation.rpc.call<{ hash: string }>('millrace_validators', [height])
    expect(set.hash).toBe(toHex(trusted.header.validatorsHash))

    // Whoever leaves out a change, or tampers, is not believed.
    const last = await certified(height)
    const genesis = trustGenesis(federation.genesis)
    const refusal = (from: Trusted, item: CertifiedHeader) => {
      const result = followHeader(federation.genesis, from, item)
      return result.ok ? 'believed' : result.error.code
    }
    const first = await certified(announcing[0] as number)
    const { nextValidators: _, ...hidden } = first
    expect(refusal(genesis, first)).toBe('believed')
    expect(refusal(genesis, three)).toBe('ValidatorSetMismatch')
    expect(refusal(genesis, hidden)).toBe('ValidatorSetUnknown')
    expect(refusal(genesis, { ...first, nextValidators: federation.genesis.validators })).toBe(
      'ValidatorSetUnknown',
    )
    const forged = { ...first.header, ledgerRoot: new Uint8Array(32) }
    const pretended = { ...first.certificate, blockHash: blockHash(forged) }
    expect(refusal(genesis, { header: forged, certificate: pretended })).toBe('CertificateInvalid')
    expect(refusal(trusted, last)).toBe('HeightNotRising')

    // A field of a header.
    const field = await federation.rpc.call<{ value: string; branch: readonly string[] }>(
      'millrace_headerProof',
      [height, 'ledgerRoot'],
    )
    const branch = field.branch.map(bytes)
    expect(verifyField(trusted.hash, 'ledgerRoot', bytes(field.value), branch)).toBe(true)
    expect(verifyField(trusted.hash, 'bodyRoot', bytes(field.value), branch)).toBe(false)

    // A row of the ledger: the set that was removed, whoever decides now.
    await federation.heightAtLeast(height + 1)
    const rowKey = heightKey(removed.actsFromHeight)
    const row = await federation.rpc.call<{ height: number; row: string; proof: string }>(
      'millrace_ledgerProof',
      ['validators', toHex(rowKey)],
    )
    const { ledgerRoot } = believed(trusted, await laterThan(trusted, row.height)).header
    const proof = decodeLedgerProof(bytes(row.proof))
    if (proof === undefined) throw new Error('no proof')
    expect(verifyRow(ledgerRoot, proof, 'validators', rowKey, bytes(row.row))).toBe(true)
    expect(verifyRow(ledgerRoot, proof, 'validators', rowKey, undefined)).toBe(false)
    expect(decodeRow('validators', bytes(row.row))).toMatchObject({
      sequence: 1,
      next: added.actsFromHeight,
      validators: { length: 3 },
    })
  },
  PATIENCE,
)

/** The header at the height of a proof, which is above what is believed. */
async function laterThan(trusted: Trusted, height: number): Promise<CertifiedHeader> {
  expect(height).toBeGreaterThan(trusted.header.height)
  return certified(height)
}

it(
  'what is wrong is refused with its reason: doubled, forged, too few, no such key',
  async () => {
    const [node] = federation.urls
    const failed = async (...args: string[]) => {
      const program = new Program(['validators', ...args])
      return { code: await program.exited, said: program.stderr }
    }
    const submitted = (name: string, members: readonly number[]) =>
      failed(
        'submit',
        '--change',
        place(`${name}.json`),
        ...genesisFlags(),
        ...members.flatMap((member) => ['--approval', place(`${name}-${member}.json`)]),
        '--url',
        node as string,
      )
    expect(await submitted('add', [0, 1, 3])).toMatchObject({
      code: 1,
      said: expect.stringContaining('ValidatorSequenceWrong'),
    })
    expect(await submitted('add', [0, 1])).toMatchObject({
      code: 4,
      said: expect.stringContaining('ApprovalQuorumMissing'),
    })
    const foreign = JSON.parse(readFileSync(place('remove-0.json'), 'utf8')) as object
    writeFileSync(place('add-9.json'), JSON.stringify({ ...foreign }))
    expect(await submitted('add', [1, 3, 9])).toMatchObject({
      said: expect.stringContaining('ApprovalOfAnotherChange'),
    })
    const raw = '00'.repeat(100)
    await expect(federation.rpc.call('millrace_submitValidatorChange', [raw])).rejects.toThrow()
    const shown = await command('show', '--url', node as string)
    expect(shown).toContain('4 validators, power 4, quorum 3')
  },
  PATIENCE,
)
