import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blsKeyPair, blsSigner, schnorrPublicKey, sealKeyFile, toHex } from '../../crypto/index.ts'
import { createJournal, type Journal } from '../../governance/journal.ts'
import { openKeystore, readKeys } from '../../governance/keystore.ts'
import { openSigner, parseSignerConfig, startSigner } from '../../governance/remote/index.ts'
import { makePair, type Pair } from '../../governance/remote/pair.ts'
import { readTls } from '../../governance/run.ts'
import { createVault } from '../../governance/vault.ts'
import { createSystemClock, createSystemRandom } from '../../node/adapters/system/index.ts'
import { HeaderDisk, LineDisk } from '../sim/disk.ts'
import { START_MS } from '../sim/world.ts'
import { seeded, testGenesis } from '../unit/core/peg/world.ts'
import { MemoryShares } from '../unit/governance/memory-shares.ts'
import { RunningWorld } from './running-world.ts'
import { awayGenesis, type VaultSetting, type VaultUnderTest, vaultSuite } from './vault-suite.ts'

const genesis = testGenesis()
const kernel = { clock: createSystemClock(), random: createSystemRandom() }
const bls = blsKeyPair(seeded('member 0'))
const keyFile = JSON.stringify(
  sealKeyFile({
    label: 'member-0',
    publicKeys: { bls: bls.publicKey, schnorr: schnorrPublicKey(seeded('schnorr 0')) },
    secrets: { bls: bls.secretKey, schnorr: seeded('schnorr 0') },
    password: 'secret',
    random: (length) => kernel.random.bytes(length),
    cost: { n: 1024, r: 8, p: 1 },
  }),
)

let pair: Pair
let pairAt: string
beforeAll(async () => {
  pairAt = mkdtempSync(join(tmpdir(), 'millrace-pair-'))
  pair = await makePair(pairAt, Date.now())
})
afterAll(() => rmSync(pairAt, { recursive: true, force: true }))

function genesisOf({ isAway = false }: VaultSetting) {
  return isAway ? awayGenesis : genesis
}

/** A directory with the key file of member 0. */
function place(setting: VaultSetting): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-vault-'))
  writeFileSync(join(directory, 'keys.json'), keyFile)
  writeFileSync(join(directory, 'password'), 'secret\n')
  writeFileSync(join(directory, 'genesis.json'), JSON.stringify(genesisOf(setting).file))
  return directory
}

function noted(directory: string, lines: readonly string[]): void {
  for (const line of lines) appendFileSync(join(directory, 'journal.jsonl'), `${line}\n`)
}

async function overFiles(setting: VaultSetting = {}, at = place(setting)): Promise<VaultUnderTest> {
  const { isAway: _, trustedBlock, ...policy } = setting
  const genesis = genesisOf(setting)
  const files = { keyFile: join(at, 'keys.json'), passwordFile: join(at, 'password') }
  const opened = readKeys(genesis, files)
  if ('code' in opened) throw new Error(opened.message)
  const whole = { confirmations: 1, hold: false, dailySweepFeeSat: 1_000_000, ...policy }
  const keystore = await openKeystore({
    genesis,
    dataDir: at,
    opened,
    policy: whole,
    kernel,
    trustedBlock,
  })
  if ('code' in keystore) throw new Error(keystore.message)
  return {
    vault: keystore.vault,
    restart: async (lines = []) => {
      await keystore.close()
      noted(at, lines)
      return await overFiles(setting, at)
    },
    close: async () => {
      await keystore.close()
      rmSync(at, { recursive: true, force: true })
    },
  }
}

function tlsOf(side: 'signer' | 'member') {
  return {
    authorityFile: join(pairAt, side, 'authority.pem'),
    certificateFile: join(pairAt, side, 'certificate.pem'),
    privateKeyFile: join(pairAt, side, 'private-key.pem'),
  }
}

async function overTls(setting: VaultSetting = {}, at = place(setting)): Promise<VaultUnderTest> {
  const { isAway: _, trustedBlock: named, ...policy } = setting
  const config = parseSignerConfig(
    {
      genesisFile: 'genesis.json',
      dataDir: '.',
      keyFile: 'keys.json',
      passwordFile: 'password',
      listen: { port: 0 },
      tls: tlsOf('signer'),
      member: { fingerprint: pair.member },
      policy: { confirmations: 1, hold: false, ...policy },
      ...(named && { trustedBlock: `${named.height}:${toHex(named.hash)}` }),
      log: { level: 'error' },
    },
    at,
  )
  if ('code' in config) throw new Error(config.message)
  const started = await startSigner(config)
  if (!started.ok) throw new Error(started.fault.message)
  const signer = started.program
  const endpoint = `127.0.0.1:${signer.port}`
  const tls = readTls(tlsOf('member'))
  const log = { write: () => {} }
  const chain = genesisOf(setting)
  const found = await openSigner({ endpoint, fingerprint: pair.signer, tls }, chain, {
    ...kernel,
    log,
  })
  if ('code' in found) throw new Error(found.message)
  const end = async () => {
    await found.close()
    // The second call does not wait for the parts of what was offered.
    void signer.stop()
    await signer.stop()
  }
  return {
    vault: found.vault,
    restart: async (lines = []) => {
      await end()
      noted(at, lines)
      return await overTls(setting, at)
    },
    close: async () => {
      await end()
      rmSync(at, { recursive: true, force: true })
    },
  }
}

interface SimulatedDisks {
  readonly running: RunningWorld
  readonly journal: LineDisk
  readonly trust: HeaderDisk
  readonly shares: MemoryShares
}

async function simulated(
  setting: VaultSetting = {},
  disks?: SimulatedDisks,
): Promise<VaultUnderTest> {
  const { dailyLimitSat, hold = false, trustedBlock } = setting
  const running = disks?.running ?? new RunningWorld()
  const chance = running.world.chance('vault')
  const { journal, shares, trust } = disks ?? {
    journal: new LineDisk(chance),
    trust: new HeaderDisk(chance),
    shares: new MemoryShares(),
  }
  const life = running.life('member')
  const ports = life.kernel('member')
  const opened = createJournal({
    lines: [...journal.lines],
    file: { append: (line) => journal.append(life, line), close: async () => {} },
  }) as Journal
  const vault = createVault({
    genesis: genesisOf(setting),
    memberIndex: 0,
    keys: { approver: blsSigner(bls.secretKey), schnorrSecret: seeded('schnorr 0') },
    policy: {
      confirmations: 1,
      hold,
      dailySweepFeeSat: 1_000_000n,
      ...(dailyLimitSat !== undefined && { dailyLimitSat: BigInt(dailyLimitSat) }),
    },
    journal: opened,
    shares: shares.store((label, act) => life.io(2, label, act)),
    trust: trust.store(life),
    ...(trustedBlock && { trustedBlock }),
    nowMs: () => ports.clock.nowMs(),
    random: (length) => ports.random.bytes(length),
  })
  return {
    vault,
    restart: async (lines = []) => {
      life.end()
      journal.crash()
      journal.lines.push(...lines)
      return await simulated(setting, { running, journal, trust, shares })
    },
    close: async () => {
      life.end()
      running.stop()
    },
  }
}

vaultSuite('files', overFiles, () => Date.now())
vaultSuite('mutual TLS', overTls, () => Date.now())
vaultSuite('simulated', simulated, () => START_MS)
