/** A member as a program: real adapters around its tree, and one way to stop. */
import { join } from 'node:path'
import type { Genesis } from '../core/params/index.ts'
import { blsSuite, rememberVerified } from '../crypto/index.ts'
import { createBitcoinRpc } from '../node/adapters/bitcoin-rpc/index.ts'
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
  registerActorMetrics,
} from '../node/adapters/system/index.ts'
import { openTelemetry } from '../node/adapters/telemetry/index.ts'
import type { KernelPorts, System } from '../supervisor/index.ts'
import type { MemberConfig } from './config.ts'
import { fileHeadStore, storeBehindVault } from './head-store.ts'
import { type Keystore, type OpenedKeys, openKeystore, readKeys } from './keystore.ts'
import { createLinksPort } from './links-port.ts'
import { createOwnBitcoin, joinOwnBitcoins } from './own-bitcoin.ts'
import { openSigner } from './remote/open.ts'
import {
  holdDirectory,
  notStarted,
  type ProgramFault,
  type RunningProgram,
  readGenesisFile,
  readTls,
  SOFTWARE,
  type Started,
} from './run.ts'
import { staleness, startStatusServer } from './status.ts'
import { createMemberTree } from './tree.ts'

export interface RunningMember extends RunningProgram {
  readonly memberIndex: number
  readonly system: System
  /** Set when the status server was asked for. */
  readonly statusUrl?: string
}

/** Between two audits of the reserve. */
const AUDIT_MS = 60_000
const BITCOIN_TIMEOUT_MS = 10_000
/** Every node brings the same certificates. */
const REMEMBERED_SIGNATURES = 256

export async function startMember(config: MemberConfig): Promise<Started<RunningMember>> {
  const files = readFiles(config)
  if ('code' in files) return { ok: false, fault: files }
  const { genesis } = files
  const lock = holdDirectory(config.dataDir)
  if ('code' in lock) return { ok: false, fault: lock }
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
  const opened = await openVault(config, files, kernel)
  if ('code' in opened) {
    await telemetry?.close()
    for (const rpc of rpcs) rpc.close()
    lock.release()
    return { ok: false, fault: opened }
  }
  const { memberIndex, vault } = opened
  const bitcoin = joinOwnBitcoins(
    rpcs.map((rpc) => createOwnBitcoin(rpc, () => kernel.clock.nowMs())),
  )
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
      follower: { genesis, store: storeBehindVault(head, vault, genesis) },
      signer: { genesis, bitcoin, vault },
      keygen: { metrics: kernel.metrics, genesis, memberIndex, nodes: config.nodes.length, vault },
      auditor: {
        metrics: kernel.metrics,
        genesis,
        nodes: config.nodes.length,
        bitcoin,
        everyMs: AUDIT_MS,
      },
    },
    (reason) => announceEnd(programEnd(reason)),
  )
  const release = async () => {
    await telemetry?.close()
    await opened.close()
    for (const rpc of rpcs) rpc.close()
    lock.release()
  }
  const started = await system.start()
  if (!started.ok) {
    await release()
    const { message, exitCode } = programEnd(started.reason)
    return notStarted(started.reason.fault.code, message, exitCode)
  }
  let status: Awaited<ReturnType<typeof startStatusServer>> | undefined
  if (config.status !== undefined) {
    try {
      registerActorMetrics(registry, () => system.snapshot())
      status = await startStatusServer(config.status, registry, async () => {
        if (!opened.isThere()) return 'no signer'
        const stale = await staleness(vault)
        const isRunning = system.snapshot().every(({ state }) => state === 'Running')
        return stale ?? (isRunning ? undefined : 'not ready')
      })
    } catch (error) {
      await system.stop()
      await release()
      return notStarted('PortInUse', `status: ${(error as Error).message}`, 3)
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
    program: {
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

interface MemberFiles {
  readonly genesis: Genesis
  readonly tls: TlsIdentity
  /** Where no signer has them. */
  readonly keys?: OpenedKeys
  readonly signerTls?: TlsIdentity
}

function readFiles(config: MemberConfig): MemberFiles | ProgramFault {
  try {
    const genesis = readGenesisFile(
      config.genesisFile,
      rememberVerified(blsSuite, REMEMBERED_SIGNATURES),
    )
    if ('code' in genesis) return genesis
    const tls = readTls(config.tls)
    if (config.signer !== undefined) return { genesis, tls, signerTls: readTls(config.signer.tls) }
    const keys = readKeys(genesis, config.keystore)
    return 'code' in keys ? keys : { genesis, tls, keys }
  } catch (error) {
    const message = (error as Error).message.split('\n', 1)[0] ?? ''
    return { code: 'FileUnreadable', message, exitCode: 3 }
  }
}

interface OpenedVault extends Keystore {
  readonly memberIndex: number
}

async function openVault(
  config: MemberConfig,
  { genesis, keys, signerTls }: MemberFiles,
  kernel: Pick<KernelPorts, 'clock' | 'random' | 'log'>,
): Promise<OpenedVault | ProgramFault> {
  if (config.signer !== undefined && signerTls !== undefined) {
    return await openSigner({ ...config.signer, tls: signerTls }, genesis, kernel)
  }
  const opened = keys as OpenedKeys
  const local = config as Extract<MemberConfig, { keystore: unknown }>
  const { dataDir, policy, trustedBlock } = local
  const keystore = await openKeystore({ genesis, dataDir, opened, policy, kernel, trustedBlock })
  return 'code' in keystore ? keystore : { ...keystore, memberIndex: opened.memberIndex }
}
