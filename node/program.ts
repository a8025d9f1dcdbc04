/**
 * The federation node as a program: real adapters around the tree, the API on top, one way to stop. Whoever starts it gets a
 * handle or one clear reason why not.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SignGuard } from '../actors/chain/index.ts'
import { ENGINE_FAULTS, type EnginePort } from '../actors/engine/index.ts'
import { EMPTY_GUARD } from '../core/guard/index.ts'
import { MAX_POOL_BYTES, MAX_TRANSACTION_BYTES, type SenderAccount } from '../core/mempool/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { slotAt } from '../core/pbft/index.ts'
import { equalBytes } from '../crypto/index.ts'
import { type Clock, faultError, type System } from '../supervisor/index.ts'
import { evmGenesisOf, nextBaseFee } from '../vm/evm/index.ts'
import { type AddressIndex, createAddressIndex } from './adapters/address-index/index.ts'
import {
  BlockReader,
  createBitcoinPort,
  type EndpointState,
  joinBitcoinEndpoints,
} from './adapters/bitcoin/index.ts'
import { createBitcoinRpc } from './adapters/bitcoin-rpc/index.ts'
import { openChainStore } from './adapters/chain-store/index.ts'
import { type Checkpoints, createCheckpoints } from './adapters/checkpoints/index.ts'
import { lockDirectory } from './adapters/data-directory/index.ts'
import { openDepositAddresses } from './adapters/deposit-addresses/index.ts'
import { discardState, type NodeEngine, openEngine } from './adapters/engine/index.ts'
import { openExternalEngine, readJwtSecret } from './adapters/engine-api/index.ts'
import { createGovernanceServer } from './adapters/governance-grpc/index.ts'
import { createLibp2pNetwork } from './adapters/libp2p/index.ts'
import { openPoolJournal } from './adapters/pool-journal/index.ts'
import { openSignGuard } from './adapters/sign-guard/index.ts'
import { SignatureJoiner } from './adapters/signatures/index.ts'
import {
  createIds,
  createLog,
  createMetricSink,
  createRegistry,
  createSystemClock,
  createSystemRandom,
  describeListenError,
  EXIT,
  type ProgramEnd,
  programEnd,
} from './adapters/system/index.ts'
import { openTelemetry } from './adapters/telemetry/index.ts'
import { createApi, UNLIMITED_RATES } from './api/index.ts'
import type { NodeConfig } from './config/index.ts'
import { readFiles, type StartFault } from './files.ts'
import { apiPorts, createSurroundings } from './surface.ts'
import { createNodeTree } from './tree.ts'

export interface RunningNode {
  readonly rpcUrl: string
  readonly system: System
  /** Ends when a critical actor was given up. */
  readonly terminated: Promise<ProgramEnd>
  stop(): Promise<void>
}

/** How often peers, members and sync are looked at for the page. */
const REFRESH_MS = 1_000
const ENDPOINT_EVENTS: Readonly<Record<EndpointState, string>> = {
  agrees: 'is believed again',
  differs: 'shows another branch: nothing above the last shared block is believed',
  silent: 'does not answer',
}

/** `clock`: the time that the node goes by, in place of the machine's. */
export async function startNode(
  options: NodeConfig,
  clock: Clock = createSystemClock(),
): Promise<
  | { readonly ok: true; readonly node: RunningNode }
  | { readonly ok: false; readonly fault: StartFault }
> {
  const refuse = (code: string, message: string, exitCode: number = EXIT.configuration) =>
    ({ ok: false, fault: { code, message, exitCode } }) as const
  const files = readFiles(options)
  if ('code' in files) return { ok: false, fault: files }
  const { genesis } = files
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(options.dataDir)
  if (!lock.ok) {
    return refuse('DataDirInUse', `${options.dataDir} is in use by process ${lock.pid}`, EXIT.data)
  }
  const random = createSystemRandom()
  const ids = createIds(random)
  const log = createLog({ ...options.log, node: options.name })
  const registry = createRegistry()
  const metrics = createMetricSink(registry)
  const telemetry = await openTelemetry(
    { ...options.telemetry, service: 'millrace-node', instance: options.name },
    { clock, random, log, metrics },
  )
  const kernel = {
    clock,
    random,
    ids,
    log,
    metrics,
    ...(telemetry && { tracer: telemetry.tracer }),
  }
  const rpcs = [options.bitcoinUrl, options.bitcoinFallbackUrl ?? []]
    .flat()
    .map((url) => ({ url, timeoutMs: 10_000 }))
    .map((at) => ({ at, rpc: createBitcoinRpc(at) }))
  const blocks = new BlockReader()
  const bitcoinEndpoints = rpcs.map((): EndpointState => 'agrees')
  const network = createLibp2pNetwork({ keySeed: files.networkKey })
  const joiner = new SignatureJoiner()
  const depositAddresses = openDepositAddresses(join(options.dataDir, 'deposit-addresses'))
  const poolJournal = openPoolJournal({
    directory: join(options.dataDir, 'pool'),
    maxTransactions: options.pool.maxTransactions,
    maxBytes: MAX_POOL_BYTES,
    maxTransactionBytes: MAX_TRANSACTION_BYTES,
    onFault(error) {
      const event = 'the pool is no longer remembered'
      log.write({ level: 'warn', atMs: clock.nowMs(), actor: 'engine', event, fields: { error } })
    },
  })
  const isEmbedded = options.engine.mode === 'embedded'
  const chainDirectory = join(options.dataDir, 'chain')
  // Blocks beside another client's state are kept apart: who changes the mode back has the state of then.
  const engineDirectory = join(options.dataDir, isEmbedded ? 'evm' : 'evm-mirror')
  // Of an execution client of another make the state is its own.
  const { keep } = options.checkpoints
  const every = isEmbedded ? options.checkpoints.every : 0
  const checkpoints =
    every === 0
      ? undefined
      : createCheckpoints({
          directory: join(options.dataDir, 'checkpoints'),
          chainDirectory,
          engineDirectory,
          every,
          keep,
          metrics,
          nowMs: () => clock.nowMs(),
          log(level, event, fields) {
            log.write({ level, atMs: clock.nowMs(), actor: 'storage', event, fields })
          },
        })
  const addressIndex = options.index.addresses
    ? createAddressIndex({
        directory: join(options.dataDir, 'addresses'),
        engineDirectory,
        log(event, fields) {
          log.write({ level: 'warn', atMs: clock.nowMs(), actor: 'storage', event, fields })
        },
      })
    : undefined
  let engine: NodeEngine | undefined
  const { promise: terminated, resolve: announceEnd } = Promise.withResolvers<ProgramEnd>()

  const tree = createNodeTree(
    {
      kernel,
      // As many as the oldest checkpoint needs, and those that come while one is made.
      openStore: () => openChainStore(chainDirectory, every * (keep + 2)),
      async openEngine() {
        const isMissing = !existsSync(join(engineDirectory, 'data.mdb'))
        if (isMissing) await checkpoints?.restoreState('missing')
        engine = await openNodeEngine(options, engineDirectory, genesis, clock)
        addressIndex?.committed()
        return enginePort(engine, { addressIndex, checkpoints })
      },
      enginePrepares: isEmbedded,
      poolJournal,
      async pruneEngine(below) {
        // What the index knows of a block it reads from the engine.
        const lowest = await addressIndex?.prune(below)
        await engine?.prune(lowest ?? below)
      },
      ...(checkpoints && { repairStore: () => checkpoints.repairLedger(genesis) }),
      async rollbackEngine() {
        if (checkpoints === undefined) discardState(engineDirectory)
        else await checkpoints.restoreState('damaged')
      },
      async openGuard(committedHeight) {
        if (files.validator === undefined) return observersGuard
        const opened = await openSignGuard({
          path: join(options.dataDir, 'sign-guard'),
          markPath: join(chainDirectory, 'signing-mark'),
          genesisHash: genesis.hash,
          publicKey: files.validator.blsKey,
          committedHeight,
          nowSlot: slotAt(clock.nowMs(), genesis.params.slotMs),
        })
        if (opened.ok) return opened.value
        const { code } = opened.error
        const isForeign = code === 'GuardForeign'
        throw faultError(
          code,
          isForeign ? 'configuration' : 'corruption',
          JSON.stringify(opened.error),
        )
      },
      bitcoin: joinBitcoinEndpoints({
        endpoints: rpcs.map(({ at, rpc }) =>
          createBitcoinPort(rpc, (hash) => blocks.read(at, hash)),
        ),
        nowMs: () => clock.nowMs(),
        changed: (endpoint, state, reason) => {
          const level = state === 'agrees' ? 'info' : 'warn'
          const event = `a Bitcoin endpoint ${ENDPOINT_EVENTS[state]}`
          const fields = { endpoint, reason }
          log.write({ level, atMs: clock.nowMs(), actor: 'bridge', event, fields })
          bitcoinEndpoints[endpoint] = state
        },
      }),
      depositAddresses,
      joinSignatures: (task, list, all) => joiner.join(task, list, all),
      network,
      stream: createGovernanceServer({
        host: options.governance.host,
        port: options.governance.port,
        tls: files.tls,
        genesisHash: genesis.hash,
        members: genesis.members.map(({ blsKey }, index) => ({ index, blsKey })),
        clock,
      }),
    },
    {
      genesis,
      ...(options.history !== 'archive' && { keepBlocks: options.history }),
      listen: options.p2p.listen,
      staticPeers: options.p2p.peers,
      bitcoinPollMs: options.bitcoinPollMs,
      minFeeCapWei: options.minFeeCapWei,
      maxPoolTransactions: options.pool.maxTransactions,
      onTerminated: (reason) => announceEnd(programEnd(reason)),
      ...(files.validator && { validator: files.validator }),
      ...(options.resumeHalt !== undefined && { resumeHalt: options.resumeHalt }),
    },
  )
  const started = await tree.system.start()
  if (!started.ok) {
    lock.release()
    const { message, exitCode } = programEnd(started.reason)
    return refuse(started.reason.fault.code, message, exitCode)
  }
  const surroundings = createSurroundings(tree, genesis, bitcoinEndpoints)
  const ports = apiPorts(
    options,
    tree,
    genesis,
    () => engine as NodeEngine,
    surroundings,
    log.setLevel,
    clock,
    files,
    depositAddresses,
  )
  const api = createApi(
    {
      ...ports,
      ...(addressIndex && {
        addressHistory: (address, limit, cursor) => addressIndex.page(address, limit, cursor),
      }),
    },
    {
      clock,
      random,
      ids,
      log,
      registry,
      corsOrigins: options.rpc.corsOrigins,
      allowedHosts: options.rpc.allowedHosts,
      ...(!options.rpc.rateLimits && { limits: { rates: UNLIMITED_RATES } }),
      ...(options.adminToken !== undefined && { adminToken: options.adminToken }),
    },
  )
  const listening = await api.listen(
    { host: options.rpc.host, port: options.rpc.port },
    { fallback: options.rpc.fallback },
  )
  if (!listening.ok) {
    await tree.system.stop()
    lock.release()
    return refuse('PortInUse', describeListenError(listening.error))
  }
  const refresh = setInterval(() => void surroundings.refresh(), REFRESH_MS)
  void surroundings.refresh()
  let stopping: Promise<void> | undefined
  const stop = async () => {
    clearInterval(refresh)
    await api.close()
    await tree.system.stop()
    await telemetry?.close()
    for (const { rpc } of rpcs) rpc.close()
    await blocks.close()
    await joiner.close()
    await depositAddresses.close()
    await poolJournal.close()
    await addressIndex?.close()
    await checkpoints?.close()
    lock.release()
  }
  return {
    ok: true,
    node: {
      rpcUrl: `http://${options.rpc.host}:${listening.value}`,
      system: tree.system,
      terminated,
      stop() {
        // A second call hurries the first: the kernel forces what still drains (SU-12).
        if (stopping !== undefined) void tree.system.stop()
        stopping ??= stop()
        return stopping
      },
    },
  }
}

/** A node without a key signs nothing and keeps no record of it. */
const observersGuard: SignGuard = {
  view: () => EMPTY_GUARD,
  append: async () => ({ refuse: 'BelowFloor' }),
  compact: async () => {},
  close: async () => {},
}

async function openNodeEngine(
  { engine }: NodeConfig,
  directory: string,
  genesis: Genesis,
  clock: Clock,
): Promise<NodeEngine> {
  const opened =
    engine.mode === 'embedded'
      ? await openEngine({ directory, genesis: evmGenesisOf(genesis) })
      : await openExternalEngine({
          directory,
          genesis: evmGenesisOf(genesis),
          url: engine.url,
          ...(engine.readUrl !== undefined && { readUrl: engine.readUrl }),
          jwtSecret: jwtSecretOf(engine.jwtSecretFile),
          nowMs: () => clock.nowMs(),
        })
  if (opened.status === 'REFUSED') {
    throw faultError(opened.code, ENGINE_FAULTS[opened.code], opened.reason)
  }
  if (!equalBytes(opened.engine.genesisHash, genesis.execution.blockHash)) {
    await opened.engine.close()
    throw faultError(
      'GenesisMismatch',
      ENGINE_FAULTS.GenesisMismatch,
      'block 0 of the EVM chain is not the one that the genesis file names',
    )
  }
  return opened.engine
}

function jwtSecretOf(path: string): Uint8Array {
  const text = attempt(() => readFileSync(path, 'utf8'))
  const secret = text === undefined ? undefined : readJwtSecret(text)
  if (secret !== undefined) return secret
  const reason = text === undefined ? 'cannot be read' : 'has not 32 bytes in hex'
  throw faultError('ClientUnsuitable', ENGINE_FAULTS.ClientUnsuitable, `${path} ${reason}`)
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

async function accountOf({ state }: NodeEngine, address: Uint8Array): Promise<SenderAccount> {
  const account = state.account?.(address)
  if (account !== undefined) return account
  const [nonce, balanceWei] = [state.nonce(address), state.balanceWei(address)]
  return { nonce: await nonce, balanceWei: await balanceWei }
}

/** Who works beside the engine on what it committed. */
interface Followers {
  readonly addressIndex: AddressIndex | undefined
  readonly checkpoints: Checkpoints | undefined
}

function enginePort(engine: NodeEngine, { addressIndex, checkpoints }: Followers): EnginePort {
  // Read for every template and every head, and a block is large.
  let known = { height: -1, nextBaseFeeWei: 0n }
  return {
    head: () => engine.blocks.head(),
    build: (request) => engine.build(request),
    ...(engine.prepare && { prepare: (request) => engine.prepare?.(request) ?? Promise.resolve() }),
    execute: (request) => engine.execute(request),
    async commit(hash) {
      if (checkpoints !== undefined) engine.keepPast(checkpoints.pastNeededFrom)
      const reply = await engine.commit(hash)
      if (reply.status === 'COMMITTED') {
        checkpoints?.committed(reply.head.number)
        addressIndex?.committed()
      }
      return reply
    },
    recoverSenders: (raws) => engine.recoverSenders(raws),
    accounts: (addresses) => Promise.all(addresses.map((address) => accountOf(engine, address))),
    nextBaseFeeWei() {
      const height = engine.blocks.head().number
      if (height !== known.height) {
        const payload = engine.blocks.payloadAt(height)
        known = { height, nextBaseFeeWei: payload === undefined ? 0n : nextBaseFee(payload) }
      }
      return known.nextBaseFeeWei
    },
    async close() {
      await Promise.all([addressIndex?.rest(), checkpoints?.rest()])
      await engine.close()
    },
  }
}
