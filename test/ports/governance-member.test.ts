/** The member's program over real streams, files and processes' signals: what an operator sees of it. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerQuery, type StreamPort } from '../../actors/stream/index.ts'
import { serializeTransaction, txid } from '../../core/bitcoin/index.ts'
import { PegInClaimType } from '../../core/block/index.ts'
import { approvalMessage } from '../../core/peg/index.ts'
import {
  blsKeyPair,
  blsVerify,
  schnorrPublicKey,
  sealKeyFile,
  toDisplayHash,
  toHex,
} from '../../crypto/index.ts'
import { examineMember } from '../../governance/doctor.ts'
import {
  type MemberConfigFile,
  parseConfig,
  type RunningMember,
  readConfig,
  startMember,
} from '../../governance/index.ts'
import { createAuthority, issueCertificate } from '../../node/adapters/certificates/index.ts'
import { createGovernanceServer } from '../../node/adapters/governance-grpc/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import type { MemberMessage } from '../../proto/index.ts'
import { BitcoinWorld, claimOf, depositOf, seeded, testGenesis } from '../unit/core/peg/world.ts'
import { HeaderChain } from '../unit/governance/world.ts'

const genesis = testGenesis()
const bitcoin = new BitcoinWorld()
const deposit = depositOf(genesis, 'alice', 2_000_000n)
bitcoin.mine([deposit])
bitcoin.mine([], 2)
const claim = claimOf(bitcoin, deposit)
const outpoint = `${toDisplayHash(claim.txid)}:0`

let directory: string
let file: MemberConfigFile
let rpc: Server
let stream: StreamPort
const chain = new HeaderChain(genesis)
const heard: MemberMessage[] = []
const connected = new Set<number>()

/** As much of Bitcoin Core's RPC as a member asks for. */
function answerRpc(method: string, params: readonly unknown[]): unknown {
  const block = bitcoin.blocks.find(
    ({ hash }) => toDisplayHash(hash) === params.at(-1 - (method.startsWith('getblock') ? 1 : 0)),
  )
  if (block === undefined) return undefined
  if (method === 'getblockheader') return toHex(block.header)
  const hash = toDisplayHash(block.hash)
  const ids = block.transactions.map((transaction) => toDisplayHash(txid(transaction)))
  const confirmations = bitcoin.tip.height - block.height + 1
  if (method === 'getblock') {
    return {
      hash,
      confirmations,
      height: block.height,
      version: 4,
      merkleroot: '00'.repeat(32),
      time: 1,
      mediantime: 1,
      nonce: 0,
      bits: '207fffff',
      chainwork: '02',
      nTx: ids.length,
      size: 1,
      weight: 4,
      tx: ids,
    }
  }
  const transaction = block.transactions[ids.indexOf(String(params[0]))]
  if (transaction === undefined) return undefined
  return {
    txid: params[0],
    hash: params[0],
    version: 2,
    size: 1,
    vsize: 1,
    weight: 4,
    locktime: 0,
    vin: [],
    vout: [],
    hex: toHex(serializeTransaction(transaction)),
    blockhash: hash,
    confirmations,
  }
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-member-'))
  rpc = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString())
    const result = answerRpc(method, params) ?? null
    const error = result === null ? { code: -5, message: 'not found' } : null
    response.writeHead(error === null ? 200 : 500, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ id, result, error }))
  })
  await new Promise<void>((resolve) => rpc.listen(0, '127.0.0.1', resolve))
  const address = rpc.address()
  const rpcPort = typeof address === 'object' && address !== null ? address.port : 0

  const nowMs = Date.now()
  const authority = await createAuthority({ name: 'test', nowMs, validDays: 2 })
  const issue = async (name: string) => ({
    authorityPem: authority.certificatePem,
    ...(await issueCertificate(authority, { name, hosts: ['127.0.0.1'], nowMs, validDays: 2 })),
  })
  stream = createGovernanceServer({
    host: '127.0.0.1',
    port: 0,
    tls: await issue('node-0'),
    genesisHash: genesis.hash,
    members: genesis.members.map(({ blsKey }, index) => ({ index, blsKey })),
    clock: createSystemClock(),
  })
  chain.commit()
  chain.commit()
  const reader = {
    head: () => ({ ...chain.head, ledger: chain.ledger }),
    headers: async (from: number, count: number) => chain.blocks.slice(from, from + count),
    subscribe: () => () => {},
  }
  const { port } = await stream.start({
    registered: (member) => connected.add(member),
    disconnected: (member) => connected.delete(member),
    seen: () => {},
    refused: () => {},
    message: async (member, message) => {
      heard.push(message)
      const { body, correlationId, requestId } = message
      if (body.kind === 'headerRequest') {
        const answer = await answerQuery(reader, body, 1)
        stream.send(member, { requestId, correlationId, body: answer })
      }
    },
  })

  const bls = blsKeyPair(seeded('member 0'))
  const member = await issue('member-0')
  const keys = sealKeyFile({
    label: 'member-0',
    publicKeys: { bls: bls.publicKey, schnorr: schnorrPublicKey(seeded('schnorr 0')) },
    secrets: { bls: bls.secretKey, schnorr: seeded('schnorr 0') },
    password: 'secret',
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    cost: { n: 1024, r: 8, p: 1 },
  })
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text)
  write('genesis.json', JSON.stringify(genesis.file))
  write('keys.json', JSON.stringify(keys))
  write('password', 'secret\n')
  write('authority.pem', member.authorityPem)
  write('certificate.pem', member.certificatePem)
  write('private-key.pem', member.privateKeyPem)
  file = {
    name: 'member-0',
    genesisFile: 'genesis.json',
    dataDir: 'data',
    keyFile: 'keys.json',
    passwordFile: 'password',
    bitcoinUrl: `http://user:password@127.0.0.1:${rpcPort}`,
    tls: {
      authorityFile: 'authority.pem',
      certificateFile: 'certificate.pem',
      privateKeyFile: 'private-key.pem',
    },
    nodes: [{ name: 'node-0', endpoint: `127.0.0.1:${port}` }],
    status: { port: 0 },
    log: { level: 'error', format: 'json' },
  }
})

afterAll(async () => {
  await stream.stop()
  rpc.closeAllConnections()
  await new Promise((resolve) => rpc.close(resolve))
  rmSync(directory, { recursive: true })
})

async function start(changes: Partial<MemberConfigFile> = {}) {
  const config = parseConfig({ ...file, ...changes }, directory)
  if ('code' in config) throw new Error(config.message)
  return await startMember(config)
}

async function running(changes: Partial<MemberConfigFile> = {}): Promise<RunningMember> {
  const started = await start(changes)
  if (!started.ok) throw new Error(started.fault.message)
  return started.program
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('a member as a program', () => {
  it('finds its place by its keys, follows the chain, approves a real deposit and repeats itself after a restart', async () => {
    const signatures: Uint8Array[] = []
    for (let run = 0; run < 2; run++) {
      heard.length = 0
      const member = await running()
      expect(member.memberIndex).toBe(0)
      await until(() => connected.has(0), 'the stream')
      const head = {
        header: new Uint8Array(0),
        certificate: new Uint8Array(0),
        nextValidators: new Uint8Array(0),
      }
      stream.send(0, {
        requestId: '',
        correlationId: '',
        body: { kind: 'newHead', height: 2, head },
      })
      stream.send(0, {
        requestId: outpoint,
        correlationId: 'flow',
        body: {
          kind: 'requestFederationApproval',
          genesisHash: genesis.hash,
          outpoint,
          membersEpoch: 0,
          claim: PegInClaimType.serialize(claim),
        },
      })
      await until(() => heard.some(({ body }) => body.kind === 'approvalResponse'), 'the approval')
      const answer = heard.find(({ body }) => body.kind === 'approvalResponse')
      expect(answer).toMatchObject({ requestId: outpoint, correlationId: 'flow' })
      if (answer?.body.kind !== 'approvalResponse') throw new Error('no answer')
      expect(answer.body).toMatchObject({ decision: 'APPROVED' })
      signatures.push(answer.body.signature)
      await until(() => {
        try {
          const state = readFileSync(join(directory, 'data', 'head.json'), 'utf8')
          return JSON.parse(state).height === 2
        } catch {
          return false
        }
      }, 'the followed head')
      const status = await fetch(`${member.statusUrl}/ready`)
      expect([status.status, await status.text()]).toEqual([200, 'ready\n'])
      const metrics = await (await fetch(`${member.statusUrl}/metrics`)).text()
      expect(metrics).toContain('millrace_actor_up{actor="signer"} 1')
      expect(metrics).toContain('millrace_mailbox_depth{actor="signer",priority=')
      await member.stop()
      await until(() => !connected.has(0), 'the end of the stream')
    }
    const message = approvalMessage(genesis, 'pegIn', 0, claim)
    const key = genesis.members[0]?.blsKey as Uint8Array
    expect(blsVerify(key, message, signatures[0] as Uint8Array)).toBe(true)
    expect(signatures[1]).toEqual(signatures[0])
  })

  it('does not start twice on one data directory', async () => {
    const member = await running()
    // The lock names a process; this one's own id means a lock left by an earlier life of it.
    writeFileSync(join(directory, 'data', 'LOCK'), String(process.ppid))
    const second = await start()
    expect(second).toMatchObject({ ok: false, fault: { code: 'DataDirInUse', exitCode: 4 } })
    await member.stop()
  })

  it('says in one line what is wrong with its files', async () => {
    mkdirSync(join(directory, 'bad'), { recursive: true })
    const bad = (name: string, text: string) => {
      writeFileSync(join(directory, 'bad', name), text)
      return join('bad', name)
    }
    const cases: [Partial<MemberConfigFile>, string][] = [
      [{ passwordFile: bad('password', 'wrong') }, 'KeyFileLocked'],
      [{ keyFile: bad('keys.json', '{}') }, 'KeyFileMalformed'],
      [{ keyFile: bad('keys.txt', 'no json') }, 'FileUnreadable'],
      [{ genesisFile: bad('genesis.json', '{}') }, 'GenesisInvalid'],
      [{ tls: { ...file.tls, certificateFile: 'nowhere.pem' } }, 'FileUnreadable'],
    ]
    for (const [changes, code] of cases) {
      const started = await start(changes)
      if (started.ok) throw new Error(`started without ${code}`)
      expect(started.fault).toMatchObject({ code, exitCode: 3 })
      expect(started.fault.message).not.toContain('\n')
    }
  })

  it('does not start over a damaged journal', async () => {
    mkdirSync(join(directory, 'damaged'), { recursive: true })
    writeFileSync(join(directory, 'damaged', 'journal.jsonl'), 'garbage\n')
    expect(await start({ dataDir: 'damaged' })).toMatchObject({
      ok: false,
      fault: { code: 'JournalDamaged', exitCode: 4 },
    })
  })

  it('lets nobody else read what it writes', async () => {
    const member = await running()
    await member.stop()
    const { statSync } = await import('node:fs')
    const journal = statSync(join(directory, 'data', 'journal.jsonl'))
    expect(journal.mode & 0o077).toBe(0)
    chmodSync(join(directory, 'data'), 0o700)
  })
})

describe('a member whose belief is older than the trust window', () => {
  const away = testGenesis({ trustWindowSeconds: 86_400 })
  beforeAll(() => writeFileSync(join(directory, 'away.json'), JSON.stringify(away.file)))
  const setting = { genesisFile: 'away.json', dataDir: 'away' }

  it('OP-4: is not ready, and says by what it would be (5.6)', async () => {
    const member = await running({ ...setting, status: { port: 0 } })
    const ready = await fetch(`${member.statusUrl}/ready`)
    expect(ready.status).toBe(503)
    expect(await ready.text()).toContain('--trusted-block')
    await member.stop()
  })

  it('is told by millrace doctor to name a block, and that it waits for the one that it named (5.6)', async () => {
    const checkOf = async (changes: object) => {
      const config = parseConfig({ ...file, ...setting, ...changes }, directory)
      if ('code' in config) throw new Error(config.message)
      return (await examineMember(config)).find(({ name }) => name === 'trust')
    }
    expect(await checkOf({})).toMatchObject({
      ok: false,
      exitCode: 3,
      detail: 'believed block 0 last, which is older than the trust window',
      advice: expect.stringContaining('--trusted-block HEIGHT:HASH'),
    })
    const named = await checkOf({ trustedBlock: `7:${'ab'.repeat(32)}` })
    expect(named).toMatchObject({ ok: true, detail: expect.stringContaining('waits for block 7') })
    expect(await checkOf({ genesisFile: 'genesis.json' })).toMatchObject({
      ok: true,
      detail: 'believed block 0 last, within the trust window',
    })
    mkdirSync(join(directory, 'garbled'), { recursive: true })
    writeFileSync(join(directory, 'garbled', 'trust.json'), 'garbage')
    expect(await checkOf({ dataDir: 'garbled' })).toMatchObject({
      ok: false,
      exitCode: 4,
      detail: expect.stringContaining('not JSON'),
    })
  })
})

describe('millrace doctor of a member whose secrets are with a signer', () => {
  it('looks at what is here, and says where the rest is', async () => {
    const { keyFile: _, passwordFile: __, ...rest } = file
    const signer = { endpoint: '127.0.0.1:1', fingerprint: 'ab'.repeat(32), tls: file.tls }
    const config = parseConfig({ ...rest, signer }, directory)
    if ('code' in config) throw new Error(config.message)
    const checks = await examineMember(config)
    expect(checks.map(({ name }) => name)).toEqual([
      'genesis',
      'keys',
      'secrets',
      'data directory',
      'bitcoin',
    ])
    expect(checks[1]?.detail).toContain('with the signer at 127.0.0.1:1')
  })
})

describe("a member's configuration", () => {
  const path = () => join(directory, 'config.json')
  const read = (changes: object, ...flags: string[]) => {
    writeFileSync(path(), JSON.stringify({ ...file, ...changes }))
    return readConfig(['--config', path(), ...flags])
  }

  it('has its paths relative to the file, and flags above the file', () => {
    const config = read({}, '--log-level', 'debug', '--status', '7001')
    if (typeof config === 'string' || 'code' in config) throw new Error('refused')
    expect(config.genesisFile).toBe(join(directory, 'genesis.json'))
    expect(config.log).toEqual({ level: 'debug', format: 'json' })
    expect(config.status).toEqual({ host: '127.0.0.1', port: 7001 })
  })

  it('names a block to go on from, where the secrets are (5.6)', () => {
    const hash = 'ab'.repeat(32)
    const block = { height: 7, hash: new Uint8Array(32).fill(0xab) }
    expect(read({ trustedBlock: `7:0x${hash}` })).toMatchObject({ trustedBlock: block })
    const config = read({ trustedBlock: `6:${hash}` }, '--trusted-block', `7:${hash}`)
    expect(config).toMatchObject({ trustedBlock: block })
    const { keyFile: _, passwordFile: __, ...rest } = file
    const signer = { endpoint: '127.0.0.1:1', fingerprint: 'ab'.repeat(32), tls: file.tls }
    const elsewhere = { ...rest, signer, trustedBlock: `7:${hash}` }
    expect(parseConfig(elsewhere, directory)).toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('trustedBlock: the signer decides'),
    })
  })

  it.each([
    ['an unknown key', { colour: 'red' }, []],
    ['no nodes', { nodes: [] }, []],
    ['an endpoint without a port', { nodes: [{ name: 'n', endpoint: 'localhost' }] }, []],
    [
      'a fingerprint that is none',
      { nodes: [{ name: 'n', endpoint: 'h:1', fingerprint: 'ab' }] },
      [],
    ],
    ['an unknown flag', {}, ['--colour', 'red']],
    ['an unknown log level', {}, ['--log-level', 'loud']],
    ['a status port that is none', {}, ['--status', 'x']],
    ['no URL', { bitcoinUrl: 'nowhere' }, []],
    ['a trusted block without a hash', {}, ['--trusted-block', '7']],
    ['a trusted block whose hash is short', { trustedBlock: '7:ab' }, []],
  ])('with %s is refused in one line', (name, changes, flags) => {
    const config = read(changes, ...flags)
    expect(config).toMatchObject({
      code: name === 'an unknown flag' ? 'WrongUse' : 'ConfigInvalid',
    })
    if (typeof config !== 'string' && 'code' in config) expect(config.message).not.toContain('\n')
  })

  it('that is not named, not there or not JSON is refused', () => {
    expect(readConfig([])).toMatchObject({ code: 'ConfigInvalid' })
    expect(readConfig(['--config', join(directory, 'none')])).toMatchObject({
      code: 'ConfigInvalid',
    })
    expect(readConfig(['--help'])).toBe('help')
  })
})
