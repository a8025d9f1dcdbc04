/** A signer as a program: a member's vault behind its door. */
import { blsSuite, rememberVerified } from '../../crypto/index.ts'
import { createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import {
  type SignerListener,
  startSignerServer,
} from '../../node/adapters/governance-grpc/index.ts'
import {
  createLog,
  createMetricSink,
  createRegistry,
  createSystemClock,
  createSystemRandom,
  EXIT,
  type ProgramEnd,
} from '../../node/adapters/system/index.ts'
import type { LogLevel } from '../../supervisor/index.ts'
import { openKeystore, readKeys } from '../keystore.ts'
import { createOwnBitcoin } from '../own-bitcoin.ts'
import {
  holdDirectory,
  notStarted,
  type ProgramFault,
  type RunningProgram,
  readGenesisFile,
  readTls,
  SOFTWARE,
  type Started,
} from '../run.ts'
import { staleness, startStatusServer } from '../status.ts'
import type { SignerConfig } from './config.ts'
import { createAnswers } from './serve.ts'

export interface RunningSigner extends RunningProgram {
  readonly memberIndex: number
  readonly port: number
  /** Set when the status server was asked for. */
  readonly statusUrl?: string
}

const BITCOIN_TIMEOUT_MS = 10_000
const REMEMBERED_SIGNATURES = 256

export async function startSigner(config: SignerConfig): Promise<Started<RunningSigner>> {
  const files = readFiles(config)
  if ('code' in files) return { ok: false, fault: files }
  const { genesis, opened, tls } = files
  const lock = holdDirectory(config.dataDir)
  if ('code' in lock) return { ok: false, fault: lock }
  const kernel = { clock: createSystemClock(), random: createSystemRandom() }
  const registry = createRegistry()
  const metrics = createMetricSink(registry)
  const sink = createLog({ ...config.log, node: config.name })
  const log = (level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>) =>
    sink.write({ level, atMs: kernel.clock.nowMs(), actor: 'signer', event, fields })
  const rpc =
    config.bitcoinUrl === undefined
      ? undefined
      : createBitcoinRpc({ url: config.bitcoinUrl, timeoutMs: BITCOIN_TIMEOUT_MS })
  const { dataDir, policy, trustedBlock } = config
  const bitcoin = rpc && createOwnBitcoin(rpc, () => kernel.clock.nowMs())
  const keystore = await openKeystore({
    genesis,
    dataDir,
    opened,
    policy,
    kernel,
    trustedBlock,
    ...(bitcoin && { bitcoin }),
  })
  if ('code' in keystore) {
    rpc?.close()
    lock.release()
    return { ok: false, fault: keystore }
  }
  const { memberIndex } = opened
  const release = async () => {
    await keystore.close()
    rpc?.close()
    lock.release()
  }
  const { promise: terminated, resolve: end } = Promise.withResolvers<ProgramEnd>()
  const answers = createAnswers({
    vault: keystore.vault,
    genesisHash: genesis.hash,
    memberIndex,
    software: SOFTWARE,
    clock: kernel.clock,
    metrics,
    log,
  })
  const listener: SignerListener = {
    asked: (method, fields) => answers.answer(method, fields),
    connected(peer) {
      metrics.count('signer_members_connected', {}, 1)
      log('info', 'the member is connected', { peer })
    },
    disconnected(peer) {
      metrics.count('signer_members_connected', {}, -1)
      log('warn', 'the member is gone', { peer })
    },
    refused(peer, code, detail) {
      metrics.count('signer_refused_total', { code })
      log('warn', 'somebody was refused', { peer, code, detail })
    },
    failed: (method, error) => {
      // What was written before may be torn, and a start repairs that: nothing more is signed over it.
      const message = `${method}: ${(error as Error).message}`
      log('error', 'the vault failed', { message })
      end({ exitCode: EXIT.data, message })
    },
  }
  const { host, port } = config.listen
  const { fingerprint } = config.member
  let server: Awaited<ReturnType<typeof startSignerServer>>
  try {
    // A damaged file is told now, not when the member asks.
    await keystore.vault.head()
    server = await startSignerServer({ host, port, tls, fingerprint }, listener)
  } catch (error) {
    await release()
    const { code, message } = error as NodeJS.ErrnoException
    return code === undefined
      ? notStarted('TrustDamaged', message, EXIT.data)
      : notStarted('PortInUse', `listen ${host}:${port}: ${code}`, EXIT.configuration)
  }
  let stopping: Promise<void> | undefined
  let status: Awaited<ReturnType<typeof startStatusServer>> | undefined
  try {
    const hindrance = () => (stopping === undefined ? staleness(keystore.vault) : 'stopping')
    status = config.status && (await startStatusServer(config.status, registry, hindrance))
  } catch (error) {
    await server.stop()
    await release()
    return notStarted('PortInUse', `status: ${(error as Error).message}`, EXIT.configuration)
  }
  metrics.count('signer_members_connected', {}, 0)
  log('info', 'signing for a member', { member: memberIndex, host, port: server.port })
  let hurry: () => void = () => {}
  const stop = async () => {
    const hurried = new Promise<void>((resolve) => {
      hurry = resolve
    })
    await Promise.race([answers.finish(), hurried])
    await status?.close()
    await server.stop()
    await release()
  }
  return {
    ok: true,
    program: {
      memberIndex,
      port: server.port,
      ...(status !== undefined &&
        config.status !== undefined && {
          statusUrl: `http://${config.status.host}:${status.port}`,
        }),
      terminated,
      stop() {
        if (stopping !== undefined) hurry()
        stopping ??= stop()
        return stopping
      },
    },
  }
}

function readFiles(config: SignerConfig) {
  try {
    const genesis = readGenesisFile(
      config.genesisFile,
      rememberVerified(blsSuite, REMEMBERED_SIGNATURES),
    )
    if ('code' in genesis) return genesis
    const opened = readKeys(genesis, config)
    if ('code' in opened) return opened
    return { genesis, opened, tls: readTls(config.tls) }
  } catch (error) {
    const message = (error as Error).message.split('\n', 1)[0] ?? ''
    return { code: 'FileUnreadable', message, exitCode: EXIT.configuration } as ProgramFault
  }
}
