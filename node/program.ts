/**
 * The federation node as a program: real adapters around the tree, the API on top, one way to stop. Whoever starts it gets a
 * handle or one clear reason why not.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import type { SignGuard } from '../actors/chain/index.ts'
import { ENGINE_FAULTS, type EnginePort } from '../actors/engine/index.ts'
import { type Genesis, parseGenesis } from '../core/params/index.ts'
import { EMPTY_GUARD } from '../core/pbft/index.ts'
import { requestId } from '../core/peg/index.ts'
import { blsPublicKey, blsSign, equalBytes, fromHex, openKeyFile } from '../crypto/index.ts'
import type {
  GetConnectedMembers,
  GetConnectedPeers,
  GetSyncStatus,
  MemberList,
  PeerSummary,
  SubmitTransaction,
} from '../messages/index.ts'
import { faultError, type System } from '../supervisor/index.ts'
import {
  bridgeLogs,
  decodeTransaction,
  evmGenesisOf,
  isTransaction,
  nextBaseFee,
} from '../vm/evm/index.ts'
import { createBitcoinPort } from './adapters/bitcoin/index.ts'
import { createBitcoinRpc } from './adapters/bitcoin-rpc/index.ts'
import { openChainStore } from './adapters/chain-store/index.ts'
import { lockDirectory } from './adapters/data-directory/index.ts'
import { type ExecutionEngine, openEngine } from './adapters/engine/index.ts'
import { createGovernanceServer } from './adapters/governance-grpc/index.ts'
import { createLibp2pNetwork } from './adapters/libp2p/index.ts'
import { openSignGuard } from './adapters/sign-guard/index.ts'
import {
  createIds,
  createLog,
  createMetricSink,
  createSystemClock,
  createSystemRandom,
  describeListenError,
} from './adapters/system/index.ts'
import {
  type ApiPorts,
  createApi,
  createEvmView,
  type FederationSnapshot,
  type PeerRow,
  type SyncSnapshot,
} from './api/index.ts'
import type { NodeConfig } from './config/index.ts'
import { createNodeTree, type NodeTree } from './tree.ts'
import { createChainView, createPegView } from './views/index.ts'

/** Why the program did not start; `exitCode` as operations.md has them (3 config, 4 data, 5 unreachable). */
export interface StartFault {
  readonly code: string
  readonly message: string
  readonly exitCode: number
}

export interface RunningNode {
  readonly rpcUrl: string
  readonly system: System
  /** Ends when a critical actor was given up. */
  readonly terminated: Promise<string>
  stop(): Promise<void>
}

const VERSION = '0.1.0'
/** How often peers, members and sync are looked at for the page. */
const REFRESH_MS = 1_000
const ASK_MS = 2_000

export async function startNode(
  options: NodeConfig,
): Promise<
  | { readonly ok: true; readonly node: RunningNode }
  | { readonly ok: false; readonly fault: StartFault }
> {
  const refuse = (code: string, message: string, exitCode = 3) =>
    ({ ok: false, fault: { code, message, exitCode } }) as const
  const files = readFiles(options)
  if ('code' in files) return { ok: false, fault: files }
  const { genesis } = files
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(options.dataDir)
  if (!lock.ok) {
    return refuse('DataDirInUse', `${options.dataDir} is in use by process ${lock.pid}`, 4)
  }
  const clock = createSystemClock()
  const random = createSystemRandom()
  const ids = createIds(random)
  const log = createLog({ ...options.log, node: options.name })
  const registry = new Registry()
  const metrics = createMetricSink(registry)
  const kernel = { clock, random, ids, log, metrics }
  const rpc = createBitcoinRpc({ url: options.bitcoinUrl, timeoutMs: 10_000 })
  const network = createLibp2pNetwork({ keySeed: files.networkKey })
  let engine: ExecutionEngine | undefined
  let announceEnd: (reason: string) => void = () => {}
  const terminated = new Promise<string>((resolve) => {
    announceEnd = resolve
  })

  const tree = createNodeTree(
    {
      kernel,
      openStore: () => openChainStore(join(options.dataDir, 'chain')),
      async openEngine() {
        engine = await openEmbedded(join(options.dataDir, 'evm'), genesis)
        return enginePort(engine)
      },
      async openGuard(committedHeight) {
        if (files.validator === undefined) return observersGuard
        const opened = await openSignGuard({
          path: join(options.dataDir, 'sign-guard'),
          genesisHash: genesis.hash,
          publicKey: files.validator.blsKey,
          committedHeight,
        })
        if (opened.ok) return opened.value
        throw faultError(opened.error.code, 'configuration', JSON.stringify(opened.error))
      },
      bitcoin: createBitcoinPort(rpc),
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
      listen: options.p2p.listen,
      staticPeers: options.p2p.peers,
      bitcoinPollMs: options.bitcoinPollMs,
      minFeeCapWei: options.minFeeCapWei,
      onTerminated: (reason) => announceEnd(JSON.stringify(reason)),
      ...(files.validator && { validator: files.validator }),
    },
  )
  const started = await tree.system.start()
  if (!started.ok) {
    lock.release()
    return refuse('StartFailed', describeReason(started.reason))
  }
  const surroundings = createSurroundings(tree, genesis)
  const api = createApi(
    apiPorts(
      options,
      tree,
      genesis,
      engine as ExecutionEngine,
      surroundings,
      log.setLevel,
      clock,
      files,
    ),
    {
      clock,
      random,
      ids,
      log,
      registry,
      corsOrigins: options.rpc.corsOrigins,
      allowedHosts: options.rpc.allowedHosts,
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
    rpc.close()
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

interface NodeFiles {
  readonly genesis: Genesis
  readonly validator?: {
    readonly blsKey: Uint8Array
    readonly address: Uint8Array
    sign(message: Uint8Array): Uint8Array
  }
  readonly networkKey: Uint8Array
  readonly tls: {
    readonly authorityPem: string
    readonly certificatePem: string
    readonly privateKeyPem: string
  }
}

function readFiles(options: NodeConfig): NodeFiles | StartFault {
  const fault = (code: string, message: string): StartFault => ({ code, message, exitCode: 3 })
  let text: (path: string) => string
  try {
    text = (path) => readFileSync(path, 'utf8')
    const parsed = parseGenesis(JSON.parse(text(options.genesisFile)))
    if (!parsed.ok) return fault('GenesisInvalid', `${options.genesisFile}: ${parsed.error.reason}`)
    const genesis = parsed.value
    const networkKey = fromHex(text(options.networkKeyFile).trim())
    if (networkKey?.length !== 32) {
      return fault('NetworkKeyInvalid', `${options.networkKeyFile}: not 32 bytes in hex`)
    }
    const tls = {
      authorityPem: text(options.governance.authorityFile),
      certificatePem: text(options.governance.certificateFile),
      privateKeyPem: text(options.governance.privateKeyFile),
    }
    if (options.validatorKeyFile === undefined) return { genesis, networkKey, tls }
    const password =
      options.validatorPasswordFile === undefined ? '' : text(options.validatorPasswordFile).trim()
    const opened = openKeyFile(JSON.parse(text(options.validatorKeyFile)), password)
    if (!opened.ok) return fault(opened.error.code, `${options.validatorKeyFile} does not open`)
    const secret = opened.value['bls']
    if (secret === undefined)
      return fault('KeysIncomplete', 'the validator key file has no bls key')
    const blsKey = blsPublicKey(secret)
    const entry = genesis.validators.find((validator) => equalBytes(validator.blsKey, blsKey))
    if (entry === undefined) {
      return fault('KeyOfNoValidator', 'the validator key is not one of the genesis file')
    }
    const validator = {
      blsKey,
      address: entry.address,
      sign: (message: Uint8Array) => blsSign(secret, message),
    }
    return { genesis, networkKey, tls, validator }
  } catch (error) {
    return fault('FileUnreadable', (error as Error).message)
  }
}

async function openEmbedded(directory: string, genesis: Genesis): Promise<ExecutionEngine> {
  const opened = await openEngine({ directory, genesis: evmGenesisOf(genesis) })
  if (opened.status === 'REFUSED') {
    throw faultError(opened.code, ENGINE_FAULTS.GenesisMismatch, opened.reason)
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

function enginePort(engine: ExecutionEngine): EnginePort {
  return {
    head: () => engine.blocks.head(),
    build: (request) => engine.build(request),
    execute: (request) => engine.execute(request),
    commit: (hash) => engine.commit(hash),
    recoverSenders: (raws) => engine.recoverSenders(raws),
    account: (address) => ({
      nonce: engine.state.nonce(address),
      balanceWei: engine.state.balanceWei(address),
    }),
    nextBaseFeeWei() {
      const head = engine.blocks.blockAt(engine.blocks.head().number)
      return head === undefined ? 0n : nextBaseFee(head.payload)
    },
    close: () => engine.close(),
  }
}

/** Peers, members and sync as the actors last answered. */
interface Surroundings {
  readonly peers: readonly PeerSummary[]
  readonly members: MemberList['payload']['members']
  readonly sync: SyncSnapshot
  refresh(): Promise<void>
}

function createSurroundings(tree: NodeTree, genesis: Genesis): Surroundings {
  const state = {
    peers: [] as readonly PeerSummary[],
    members: genesis.members.map((_, index) => ({
      index,
      connected: false,
      lastSeenMs: 0,
    })) as MemberList['payload']['members'],
    sync: { state: 'Idle', startHeight: 0, currentHeight: 0, targetHeight: 0 } as SyncSnapshot,
    async refresh() {
      const { system, live } = tree
      const options = { timeoutMs: ASK_MS, sender: 'api' }
      const [peers, members, sync] = await Promise.all([
        system.ask<GetConnectedPeers>(
          'network',
          { type: 'network.GetConnectedPeers', payload: {} },
          options,
        ),
        system.ask<GetConnectedMembers>(
          'stream',
          { type: 'stream.GetConnectedMembers', payload: {} },
          options,
        ),
        system.ask<GetSyncStatus>('sync', { type: 'sync.GetSyncStatus', payload: {} }, options),
      ])
      if (peers.ok) state.peers = peers.value.payload.peers
      if (members.ok) state.members = members.value.payload.members
      if (sync.ok) {
        const { peers: _, ...snapshot } = sync.value.payload
        const currentHeight = live.head?.head.header.height ?? 0
        state.sync = { ...snapshot, currentHeight }
      }
      live.changed()
    },
  }
  return state
}

function apiPorts(
  options: NodeConfig,
  tree: NodeTree,
  genesis: Genesis,
  engine: ExecutionEngine,
  surroundings: Surroundings,
  setLogLevel: ApiPorts['admin']['setLogLevel'],
  clock: ReturnType<typeof createSystemClock>,
  files: NodeFiles,
): ApiPorts {
  const { live, system } = tree
  const peg = createPegView({
    genesis,
    live,
    burnTransaction(height, logIndex) {
      for (const receipt of engine.blocks.receiptsAt(height)) {
        if (receipt.logs.some((log) => log.logIndex === logIndex)) {
          return receipt.transaction.transaction.hash
        }
      }
      return undefined
    },
    requestsOf(hash) {
      const receipt = engine.blocks.receipt(hash)
      if (receipt === undefined) return []
      const { blockHash, blockNumber } = receipt.transaction
      const inBlock = engine.blocks.receiptsAt(blockNumber)
      const own = new Set(receipt.logs.map(({ logIndex }) => logIndex))
      const receipts = inBlock.map(({ status, cumulativeGasUsed, logs, transaction }) => ({
        type: transaction.transaction.type,
        status,
        cumulativeGasUsed,
        logs,
      }))
      return bridgeLogs(receipts)
        .burns.filter(({ logIndex }) => own.has(logIndex))
        .map(({ logIndex }) => requestId(genesis, blockHash, logIndex))
    },
  })
  return {
    node: {
      name: options.name,
      version: VERSION,
      chain: genesis.file.name,
      genesisHash: genesis.hash,
      startedAtMs: clock.nowMs(),
      notices:
        genesis.params.anchorGate === 'off'
          ? [
              'Development chain: no merged mining, the anchor gate is off and peg-outs do not wait for work.',
            ]
          : [],
      params: genesis.file.params,
    },
    chain: createChainView({
      genesis,
      live,
      clock,
      store: () => tree.store(),
      self: files.validator?.blsKey,
    }),
    evm: createEvmView(genesis.execution.chainId, engine, clock),
    pool: poolView(tree),
    peg,
    system: { actors: () => system.snapshot() },
    admin: { setLogLevel },
    federation(): FederationSnapshot {
      const address = peg.depositAddress({})
      return {
        epoch: live.head?.head.ledger.state.epoch ?? 0,
        threshold: genesis.memberThreshold,
        address: 'address' in (address as object) ? (address as { address: string }).address : '',
        members: surroundings.members.map(({ index, connected, lastSeenMs }) => ({
          index,
          key: genesis.file.members[index]?.schnorrKey ?? '',
          connected,
          ...(lastSeenMs > 0 && { lastSeenMs }),
        })),
      }
    },
    peers: (): PeerRow[] =>
      surroundings.peers.map(({ peer, height, inbound, score, validator: key }) => {
        const validator = genesis.validators.findIndex(
          ({ blsKey }) => key !== undefined && equalBytes(blsKey, key),
        )
        return { id: peer, inbound, height, score, ...(validator >= 0 && { validator }) }
      }),
    sync: () => surroundings.sync,
    bitcoin: () => ({
      network: genesis.bitcoin.network,
      reachable: live.bitcoin.reachable,
      inBlockHeight: live.head?.head.ledger.state.tipHeight ?? genesis.bitcoin.checkpoint.height,
      ...(live.bitcoin.height !== undefined && { height: live.bitcoin.height }),
      ...(live.bitcoin.feeRateSatPerKvb !== undefined && {
        feeRateSatPerKvb: live.bitcoin.feeRateSatPerKvb,
      }),
    }),
    async submitTransaction(raw) {
      const result = await system.ask<SubmitTransaction>(
        'engine',
        { type: 'engine.SubmitTransaction', payload: { raw } },
        { timeoutMs: 10_000, sender: 'api' },
      )
      if (!result.ok) {
        return { ok: false, error: { code: result.error.code, reason: 'the engine is busy' } }
      }
      return result.value.type === 'engine.TransactionAccepted'
        ? { ok: true, hash: result.value.payload.hash }
        : { ok: false, error: result.value.payload }
    },
    onChange: (listener) => live.onChange(listener),
  }
}

function poolView(tree: NodeTree): ApiPorts['pool'] {
  const pool = () => tree.live.pool
  return {
    status() {
      const stats = pool()?.stats()
      return { pending: stats?.pending ?? 0, queued: stats?.queued ?? 0, bytes: stats?.bytes ?? 0 }
    },
    content() {
      const waiting = [...(pool()?.all() ?? [])].flatMap(pooled)
      return { pending: waiting, queued: [] }
    },
    transaction(hash) {
      const found = pool()?.get(hash)
      return found === undefined ? undefined : pooled(found)[0]
    },
    nextNonce: (address, stateNonce) => pool()?.nextNonce(address) ?? stateNonce,
  }
}

function pooled({ raw, sender }: { readonly raw: Uint8Array; readonly sender: Uint8Array }) {
  const transaction = decodeTransaction(raw)
  return isTransaction(transaction) ? [{ transaction, sender }] : []
}

function describeReason(reason: unknown): string {
  const fault = (reason as { fault?: { code?: string; reason?: string } }).fault
  return fault === undefined
    ? JSON.stringify(reason)
    : `${fault.code ?? 'unknown'}: ${fault.reason ?? ''}`
}
