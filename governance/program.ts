/** A member as a program: real adapters around its tree, and one way to stop. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Genesis, parseGenesis } from '../core/params/index.ts'
import { blsSuite, rememberVerified } from '../crypto/index.ts'
import { createBitcoinRpc } from '../node/adapters/bitcoin-rpc/index.ts'
import { lockDirectory } from '../node/adapters/data-directory/index.ts'
import type { TlsIdentity } from '../node/adapters/governance-grpc/index.ts'
import {
  createIds,
  createLog,
  createMetricSink,
  createRegistry,
  createSystemClock,
  createSystemRandom,
  type ProgramEnd,
  programEnd,
} from '../node/adapters/system/index.ts'
import { openTelemetry } from '../node/adapters/telemetry/index.ts'
import type { System } from '../supervisor/index.ts'
import type { MemberConfig } from './config.ts'
import { fileHeadStore, storeBehindVault } from './head-store.ts'
import { openJournal } from './journal.ts'
import { type MemberKeys, openMemberKeys } from './keys.ts'
import { createLinksPort } from './links-port.ts'
import { createOwnBitcoin, joinOwnBitcoins } from './own-bitcoin.ts'
import { fileShareStore } from './shares.ts'
import { startStatusServer } from './status.ts'
import { createMemberTree } from './tree.ts'
import { createVault } from './vault.ts'

/** Why the program did not start. Exit codes: 3 configuration, 4 data. */
export interface MemberFault {
  readonly code: string
  readonly message: string
  readonly exitCode: number
}

export interface RunningMember {
  readonly memberIndex: number
  readonly system: System
  /** Set when the status server was asked for. */
  readonly statusUrl?: string
  /** Ends when a critical actor was given up. */
  readonly terminated: Promise<ProgramEnd>
  /** A second call hurries the first. */
  stop(): Promise<void>
}

type StartResult =
  | { readonly ok: true; readonly member: RunningMember }
  | { readonly ok: false; readonly fault: MemberFault }

const SOFTWARE = 'millrace/0.1.0'
const BITCOIN_TIMEOUT_MS = 10_000
/** Every node brings the same certificates. */
const REMEMBERED_SIGNATURES = 256

export async function startMember(config: MemberConfig): Promise<StartResult> {
  const refuse = (code: string, message: string, exitCode: number): StartResult => ({
    ok: false,
    fault: { code, message, exitCode },
  })
  const files = readFiles(config)
  if ('code' in files) return { ok: false, fault: files }
  const { genesis, keys, memberIndex } = files
  try {
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    return refuse('DataDirUnusable', (error as Error).message, 4)
  }
  const lock = lockDirectory(config.dataDir)
  if (!lock.ok) {
    return refuse('DataDirInUse', `${config.dataDir} is in use by process ${lock.pid}`, 4)
  }
  const journalPath = join(config.dataDir, 'journal.jsonl')
  const journal = await openJournal(journalPath)
  if ('code' in journal) {
    lock.release()
    return refuse(journal.code, `${journalPath}: line ${journal.line} is damaged`, 4)
  }
  const random = createSystemRandom()
  const registry = createRegistry()
  const ports = {
    clock: createSystemClock(),
    random,
    ids: createIds(random),
    log: createLog({ ...config.log, node: config.name }),
    metrics: createMetricSink(registry),
  }
  const telemetry = await openTelemetry(
    { ...config.telemetry, service: 'millrace-governance', instance: config.name },
    ports,
  )
  const kernel = { ...ports, ...(telemetry && { tracer: telemetry.tracer }) }
  const rpcs = [config.bitcoinUrl, config.bitcoinFallbackUrl ?? []]
    .flat()
    .map((url) => createBitcoinRpc({ url, timeoutMs: BITCOIN_TIMEOUT_MS }))
  const shares = await fileShareStore({
    directory: join(config.dataDir, 'shares'),
    password: files.password,
    random: (length) => random.bytes(length),
  })
  const trust = fileHeadStore(join(config.dataDir, 'trust.json'), genesis)
  const vault = createVault({
    genesis,
    memberIndex,
    keys,
    policy: memberPolicy(config),
    journal,
    shares,
    trust,
    nowMs: () => kernel.clock.nowMs(),
    random: (length) => random.bytes(length),
  })
  const head = fileHeadStore(join(config.dataDir, 'head.json'), genesis)
  const { promise: terminated, resolve: announceEnd } = Promise.withResolvers<ProgramEnd>()
  const system = createMemberTree(
    {
      kernel,
      links: createLinksPort({
        nodes: config.nodes,
        tls: files.tls,
        registration: {
          genesisHash: genesis.hash,
          memberKey: genesis.members[memberIndex]?.blsKey as Uint8Array,
          software: SOFTWARE,
        },
        clock: kernel.clock,
      }),
      follower: { genesis, store: storeBehindVault(head, vault) },
      signer: { genesis, bitcoin: joinOwnBitcoins(rpcs.map(createOwnBitcoin)), vault },
      keygen: { genesis, memberIndex, nodes: config.nodes.length, vault },
    },
    (reason) => announceEnd(programEnd(reason)),
  )
  const release = async () => {
    await telemetry?.close()
    await journal.close()
    for (const rpc of rpcs) rpc.close()
    lock.release()
  }
  const started = await system.start()
  if (!started.ok) {
    await release()
    const { message, exitCode } = programEnd(started.reason)
    return refuse(started.reason.fault.code, message, exitCode)
  }
  let status: Awaited<ReturnType<typeof startStatusServer>> | undefined
  if (config.status !== undefined) {
    try {
      status = await startStatusServer(config.status, system, registry)
    } catch (error) {
      await system.stop()
      await release()
      return refuse('PortInUse', `status: ${(error as Error).message}`, 3)
    }
  }
  let stopping: Promise<void> | undefined
  const stop = async () => {
    await status?.close()
    await system.stop()
    await release()
  }
  return {
    ok: true,
    member: {
      memberIndex,
      system,
      ...(status !== undefined &&
        config.status !== undefined && {
          statusUrl: `http://${config.status.host}:${status.port}`,
        }),
      terminated,
      stop() {
        if (stopping !== undefined) void system.stop()
        stopping ??= stop()
        return stopping
      },
    },
  }
}

function memberPolicy({ policy }: MemberConfig) {
  const { confirmations, dailyLimitSat, dailySweepFeeSat, hold } = policy
  return {
    confirmations,
    hold,
    dailySweepFeeSat: BigInt(dailySweepFeeSat),
    ...(dailyLimitSat !== undefined && { dailyLimitSat: BigInt(dailyLimitSat) }),
  }
}

interface MemberFiles {
  readonly genesis: Genesis
  readonly memberIndex: number
  readonly keys: MemberKeys
  readonly tls: TlsIdentity
  readonly password: string
}

function readFiles(config: MemberConfig): MemberFiles | MemberFault {
  const fault = (code: string, message: string): MemberFault => ({ code, message, exitCode: 3 })
  const text = (path: string) => readFileSync(path, 'utf8')
  try {
    const parsed = parseGenesis(
      JSON.parse(text(config.genesisFile)),
      rememberVerified(blsSuite, REMEMBERED_SIGNATURES),
    )
    if (!parsed.ok) return fault('GenesisInvalid', `${config.genesisFile}: ${parsed.error.reason}`)
    const genesis = parsed.value
    const password = text(config.passwordFile).trim()
    const opened = openMemberKeys(genesis, JSON.parse(text(config.keyFile)), password)
    if (!opened.ok) return fault(opened.error.code, `${config.keyFile}: ${opened.error.code}`)
    const { keys, memberIndex } = opened
    const tls = {
      authorityPem: text(config.tls.authorityFile),
      certificatePem: text(config.tls.certificateFile),
      privateKeyPem: text(config.tls.privateKeyFile),
    }
    return { genesis, keys, memberIndex, tls, password }
  } catch (error) {
    return fault('FileUnreadable', (error as Error).message.split('\n', 1)[0] ?? '')
  }
}
