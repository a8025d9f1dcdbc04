/** The signer's program: what an operator's probes see of it (OP-4). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blsKeyPair, schnorrPublicKey, sealKeyFile } from '../../crypto/index.ts'
import { readSignerConfig } from '../../governance/remote/config.ts'
import {
  parseSignerConfig,
  type SignerConfigFile,
  startSigner,
} from '../../governance/remote/index.ts'
import { makePair, type Pair } from '../../governance/remote/pair.ts'
import { readTls } from '../../governance/run.ts'
import { openSignerClient } from '../../node/adapters/governance-grpc/index.ts'
import { seeded, testGenesis } from '../unit/core/peg/world.ts'

const genesis = testGenesis()
let directory: string
let pair: Pair
const tlsFiles = (side: string) => ({
  authorityFile: `${side}/authority.pem`,
  certificateFile: `${side}/certificate.pem`,
  privateKeyFile: `${side}/private-key.pem`,
})

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-signer-'))
  pair = await makePair(directory, Date.now())
  const keys = sealKeyFile({
    label: 'member-0',
    publicKeys: {
      bls: blsKeyPair(seeded('member 0')).publicKey,
      schnorr: schnorrPublicKey(seeded('schnorr 0')),
    },
    secrets: { bls: blsKeyPair(seeded('member 0')).secretKey, schnorr: seeded('schnorr 0') },
    password: 'secret',
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    cost: { n: 1024, r: 8, p: 1 },
  })
  writeFileSync(join(directory, 'genesis.json'), JSON.stringify(genesis.file))
  writeFileSync(join(directory, 'keys.json'), JSON.stringify(keys))
  writeFileSync(join(directory, 'password'), 'secret\n')
})
afterAll(() => rmSync(directory, { recursive: true }))

const config = (): SignerConfigFile => ({
  genesisFile: 'genesis.json',
  dataDir: 'data',
  keyFile: 'keys.json',
  passwordFile: 'password',
  listen: { port: 0 },
  tls: tlsFiles('signer'),
  member: { fingerprint: pair.member },
})

function start(status: SignerConfigFile['status'], changes: Partial<SignerConfigFile> = {}) {
  const file: SignerConfigFile = {
    ...config(),
    ...(status && { status }),
    log: { level: 'error', format: 'json' },
    ...changes,
  }
  const read = parseSignerConfig(file, directory)
  if ('code' in read) throw new Error(read.message)
  return startSigner(read)
}

async function running(
  status: SignerConfigFile['status'],
  changes: Partial<SignerConfigFile> = {},
) {
  const started = await start(status, changes)
  if (!started.ok) throw new Error(started.fault.message)
  return started.program
}

describe('a signer as a program', () => {
  it('OP-4: tells probes that it lives and is ready, and what it was asked, refused and answered', async () => {
    const signer = await running({ port: 0 })
    const text = async (path: string) => (await fetch(`${signer.statusUrl}${path}`)).text()
    expect([await text('/live'), await text('/ready')]).toEqual(['live\n', 'ready\n'])
    expect(await text('/metrics')).toContain('millrace_signer_members_connected 0')
    const { authorityFile, certificateFile, privateKeyFile } = tlsFiles('member')
    const client = openSignerClient({
      endpoint: `127.0.0.1:${signer.port}`,
      tls: readTls({
        authorityFile: join(directory, authorityFile),
        certificateFile: join(directory, certificateFile),
        privateKeyFile: join(directory, privateKeyFile),
      }),
      fingerprint: pair.signer,
      clock: { nowMs: () => Date.now() },
    })
    const hello = await client.ask('Hello', { genesisHash: genesis.hash, software: 'x' }, 4_000)
    expect(hello).toMatchObject({ ok: true })
    const approve = { claim: new Uint8Array(1), outpoint: 'x', membersEpoch: 0 }
    await client.ask('Approve', approve, 4_000)
    const metrics = await text('/metrics')
    expect(metrics).toContain('millrace_signer_members_connected 1')
    expect(metrics).toContain('millrace_signer_answer_seconds_count{method="Hello"} 1')
    expect(metrics).toMatch(/millrace_process_cpu_seconds_total \d/)
    client.close()
    await signer.stop()
    await expect(text('/live')).rejects.toThrow()
  })

  it('OP-4: is not ready when what it believes is older than the trust window (5.6)', async () => {
    const away = testGenesis({ trustWindowSeconds: 86_400 })
    writeFileSync(join(directory, 'away.json'), JSON.stringify(away.file))
    const signer = await running({ port: 0 }, { genesisFile: 'away.json', dataDir: 'away' })
    const ready = await fetch(`${signer.statusUrl}/ready`)
    expect([ready.status, await ready.text()]).toEqual([
      503,
      'older than the trust window: name a block by --trusted-block\n',
    ])
    await signer.stop()
  })

  it('takes the block to go on from by its flag, above its configuration (5.6)', () => {
    const path = join(directory, 'signer.json')
    const hash = 'ab'.repeat(32)
    writeFileSync(path, JSON.stringify({ ...config(), trustedBlock: `6:${hash}` }))
    expect(readSignerConfig(path)).toMatchObject({ trustedBlock: { height: 6 } })
    expect(readSignerConfig(path, `7:${hash}`)).toMatchObject({ trustedBlock: { height: 7 } })
    expect(readSignerConfig(path, '7')).toMatchObject({ code: 'ConfigInvalid' })
  })

  it('serves no probes unless it is told to', async () => {
    const signer = await running(undefined)
    expect(signer.statusUrl).toBeUndefined()
    await signer.stop()
  })

  it('C-2: a port for probes that is taken is one clear reason, and leaves nothing held', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    const fault = { code: 'PortInUse', exitCode: 3 }
    expect(await start({ port })).toMatchObject({ ok: false, fault })
    await new Promise((resolve) => taken.close(resolve))
    await (await running({ port })).stop()
  })
})
