/**
 * One node of bench `consensus`: the node's own tree on its real network, chain store and sign guard, with an engine that takes any bytes for
 * a block, no Bitcoin and no members. It tells when a proposal leaves it and when a block is durable. A child of consensus-nodes.ts.
 */
import { join } from 'node:path'
import type { BitcoinPort } from '../../actors/bridge/index.ts'
import type { SignGuard } from '../../actors/chain/index.ts'
import type { EnginePort } from '../../actors/engine/index.ts'
import type { NetworkPort } from '../../actors/network/index.ts'
import type { ChainStore } from '../../actors/storage/index.ts'
import type { StreamPort } from '../../actors/stream/index.ts'
import {
  decodeCommittedBlock,
  type ExecutionPayload,
  encodeConsensusMessage,
  PrePrepareType,
} from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { nextGasLimit } from '../../core/params/index.ts'
import { slotAt } from '../../core/pbft/index.ts'
import {
  blsSuite,
  concatBytes,
  rememberVerified,
  type SignatureSuite,
  sha256,
  uint64be,
} from '../../crypto/index.ts'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
import { createLibp2pNetwork } from '../../node/adapters/libp2p/index.ts'
import { openSignGuard } from '../../node/adapters/sign-guard/index.ts'
import {
  createIds,
  createLog,
  createMetricSink,
  createRegistry,
  createSystemClock,
  createSystemRandom,
} from '../../node/adapters/system/index.ts'
import { readNodeOptions } from '../../node/config/index.ts'
import { type NodeFiles, readFiles } from '../../node/files.ts'
import { createNodeTree } from '../../node/tree.ts'
import type { BlockOutcome } from '../../vm/evm/index.ts'
import { monotonicMs } from './children.ts'

export interface NodeOrder {
  /** Bytes of payload of the blocks that this node proposes, by height modulo their number. */
  readonly kind: 'payloads' | 'count'
  readonly payloadBytes?: readonly number[]
}

export interface Counted {
  readonly cpuMs: number
  readonly height: number
  /** Signature checks that were really made, of one signature or of an aggregate. */
  readonly checks: number
  readonly aggregateChecks: number
  readonly signatures: number
  /** What was handed to the network: frames to a peer, and publications. */
  readonly frames: number
  readonly frameBytes: number
  readonly publications: number
}

export type NodeTold =
  | { readonly kind: 'running' }
  /** Times are the machine's monotonic clock, which all processes share. */
  | { readonly kind: 'proposed'; readonly height: number; readonly atMs: number }
  | {
      readonly kind: 'durable'
      readonly height: number
      readonly view: number
      readonly slot: number
      readonly payloadBytes: number
      readonly atMs: number
      readonly wallMs: number
    }
  | { readonly kind: 'counted'; readonly counted: Counted }

const TRANSACTION_BYTES = 131_072
/** As a node has it. */
const REMEMBERED_SIGNATURES = 4_096

function tell(told: NodeTold): void {
  process.send?.(told)
}

let payloadBytes: readonly number[] = [0]
const counts = {
  height: 0,
  checks: 0,
  aggregateChecks: 0,
  signatures: 0,
  frames: 0,
  frameBytes: 0,
  publications: 0,
}

/** An engine whose blocks are bytes: it builds what it is told, and every block is valid. */
function opaqueEngine({ execution }: Genesis): EnginePort {
  let head = { number: 0, hash: execution.blockHash }
  const held = new Map<string, number>()
  const outcome: BlockOutcome = {
    burns: [],
    cancels: [],
    funds: [],
    gasUsed: 0,
    feesBurnedWei: 0n,
    receiptsRoot: new Uint8Array(32),
    transactionCount: 0,
  }
  const keyOf = (hash: Uint8Array) => Buffer.from(hash).toString('hex')
  let gasLimit = execution.gasLimit
  return {
    head: () => head,
    async build(request) {
      const blockNumber = head.number + 1
      const bytes = payloadBytes[blockNumber % payloadBytes.length] as number
      const transactions: Uint8Array[] = []
      for (let left = bytes; left > 0; left -= TRANSACTION_BYTES) {
        transactions.push(randomBytes(Math.min(left, TRANSACTION_BYTES)))
      }
      const payload: ExecutionPayload = {
        parentHash: request.parentHash,
        feeRecipient: request.feeRecipient,
        stateRoot: new Uint8Array(32),
        receiptsRoot: new Uint8Array(32),
        logsBloom: new Uint8Array(256),
        prevRandao: request.prevRandao,
        blockNumber,
        gasLimit: nextGasLimit(gasLimit, request.gasLimitTarget),
        gasUsed: 0,
        timestamp: request.timestamp,
        extraData: new Uint8Array(0),
        baseFeePerGas: 1n,
        blockHash: sha256(
          concatBytes(request.parentHash, request.prevRandao, uint64be(request.timestamp)),
        ),
        transactions,
        withdrawals: [...request.withdrawals],
        blobGasUsed: 0,
        excessBlobGas: 0,
        parentBeaconBlockRoot: request.parentBeaconBlockRoot,
        executionRequests: [],
      }
      held.set(keyOf(payload.blockHash), payload.gasLimit)
      return { status: 'BUILT', payload, outcome, dropped: [] }
    },
    async execute({ payload }) {
      held.set(keyOf(payload.blockHash), payload.gasLimit)
      return { status: 'VALID', outcome }
    },
    async commit(hash) {
      const limit = held.get(keyOf(hash))
      if (limit === undefined) return { status: 'UNKNOWN', code: 'CandidateMissing', reason: '' }
      gasLimit = limit
      head = { number: head.number + 1, hash }
      held.clear()
      return { status: 'COMMITTED', head }
    },
    recoverSenders: async (raws) => raws.map(() => undefined),
    accounts: async (addresses) => addresses.map(() => ({ nonce: 0n, balanceWei: 0n })),
    nextBaseFeeWei: () => 1n,
    close: async () => {},
  }
}

const random = createSystemRandom()
function randomBytes(length: number): Uint8Array {
  return random.bytes(length)
}

/** Bitcoin that stands at the checkpoint of the genesis file. */
function restingBitcoin({ bitcoin }: Genesis): BitcoinPort {
  const { height, header } = bitcoin.checkpoint
  const hash = sha256(sha256(header))
  const ok = <T>(value: T) => Promise.resolve({ ok: true, value } as const)
  return {
    tip: () => ok({ height, hash }),
    hashAt: (at) => ok(at === height ? hash : undefined),
    header: () => ok(undefined),
    block: () => ok(undefined),
    inMempool: () => ok(false),
    send: () => ok(undefined),
    feeRate: () => ok(undefined),
  }
}

const noMembers: StreamPort = {
  start: async () => ({ port: 0 }),
  send: () => 'notConnected',
  pauseReading: () => {},
  stop: async () => {},
}

/** The same network; a proposal's first byte is noted. */
function watchedNetwork(port: NetworkPort): NetworkPort {
  let proposed = 0
  const look = (bytes: Uint8Array) => {
    const height = counts.height + 1
    if (bytes[0] !== PROPOSAL || proposed >= height) return
    proposed = height
    tell({ kind: 'proposed', height, atMs: monotonicMs() })
  }
  return {
    start: (start) => port.start(start),
    stop: () => port.stop(),
    dial: (address, timeoutMs) => port.dial(address, timeoutMs),
    disconnect: (peer, code) => port.disconnect(peer, code),
    ban: (peer, forMs) => port.ban(peer, forMs),
    publish(topic, bytes) {
      look(bytes)
      counts.publications += 1
      return port.publish(topic, bytes)
    },
    judge: (id, verdict) => port.judge(id, verdict),
    send(peer, bytes) {
      look(bytes)
      counts.frames += 1
      counts.frameBytes += bytes.length
      return port.send(peer, bytes)
    },
    takeFrame: (peer) => port.takeFrame(peer),
    pauseReading: (paused) => port.pauseReading(paused),
    request: (peer, protocol, bytes, limits) => port.request(peer, protocol, bytes, limits),
    respond: (id, bytes) => port.respond(id, bytes),
  }
}

/** The first byte of a proposal as a frame or a publication; those of other topics begin otherwise. */
const PROPOSAL = encodeConsensusMessage({
  kind: 'prePrepare',
  value: PrePrepareType.defaultValue(),
})[0]

/** The same store; it is noted when a block is durable. */
function watchedStore(store: ChainStore): ChainStore {
  return {
    async writeBlocks(blocks, ledgerRows) {
      await store.writeBlocks(blocks, ledgerRows)
      const atMs = monotonicMs()
      const wallMs = Date.now()
      for (const { bytes } of blocks) noteDurable(bytes, atMs, wallMs)
    },
    readHead: () => store.readHead(),
    readBlock: (height) => store.readBlock(height),
    readHeader: (height) => store.readHeader(height),
    lowestBlock: () => store.lowestBlock(),
    pruneBlocks: (headers) => store.pruneBlocks(headers),
    heightOf: (hash) => store.heightOf(hash),
    readLedgerRows: () => store.readLedgerRows(),
    writeHalt: (record) => store.writeHalt(record),
    readHalt: () => store.readHalt(),
    writeJournal: (rows) => store.writeJournal(rows),
    readJournal: () => store.readJournal(),
    close: () => store.close(),
  }
}

function noteDurable(bytes: Uint8Array, atMs: number, wallMs: number): void {
  const decoded = decodeCommittedBlock(bytes)
  if (!decoded.ok) throw new Error(decoded.error.code)
  const { block, certificate } = decoded.value
  const { height, slot } = block.header
  const { transactions } = block.body.payload
  counts.height = height
  tell({
    kind: 'durable',
    height,
    view: certificate.view,
    slot,
    payloadBytes: transactions.reduce((sum, { length }) => sum + length, 0),
    atMs,
    wallMs,
  })
}

/** Counts below the memory of the checks that passed: what is counted costs a pairing. */
function counted(suite: SignatureSuite): SignatureSuite {
  return {
    verify(...args) {
      counts.checks += 1
      return suite.verify(...args)
    },
    verifyAggregate(...args) {
      counts.aggregateChecks += 1
      return suite.verifyAggregate(...args)
    },
    verifyEach(checks) {
      counts.aggregateChecks += checks.length
      return suite.verifyEach(checks)
    },
    aggregate: (signatures) => suite.aggregate(signatures),
  }
}

async function openGuard(
  path: string,
  genesis: Genesis,
  publicKey: Uint8Array,
  committedHeight: number,
): Promise<SignGuard> {
  const nowSlot = slotAt(Date.now(), genesis.params.slotMs)
  const facts = { genesisHash: genesis.hash, publicKey, committedHeight, nowSlot }
  const opened = await openSignGuard({ path, markPath: `${path}-mark`, ...facts })
  if (!opened.ok) throw new Error(opened.error.code)
  return opened.value
}

async function main(): Promise<void> {
  const read = readNodeOptions(process.argv.slice(2))
  if ('text' in read) throw new Error(read.text)
  const { program } = read
  const files = readFiles(program) as NodeFiles
  if (!('genesis' in files) || files.validator === undefined) throw new Error('no validator')
  const { networkKey, validator } = files
  const genesis: Genesis = {
    ...files.genesis,
    signatures: rememberVerified(counted(blsSuite), REMEMBERED_SIGNATURES),
  }
  const clock = createSystemClock()
  const kernel = {
    clock,
    random,
    ids: createIds(random),
    log: createLog({ level: 'warn', format: 'text', node: program.name }),
    metrics: createMetricSink(createRegistry()),
  }
  const tree = createNodeTree(
    {
      kernel,
      openStore: async () => watchedStore(await openChainStore(join(program.dataDir, 'chain'))),
      openEngine: async () => opaqueEngine(genesis),
      rollbackEngine: async () => {},
      openGuard: (height) =>
        openGuard(join(program.dataDir, 'sign-guard'), genesis, validator.blsKey, height),
      bitcoin: restingBitcoin(genesis),
      network: watchedNetwork(createLibp2pNetwork({ keySeed: networkKey })),
      stream: noMembers,
    },
    {
      genesis,
      validator: {
        ...validator,
        sign(message) {
          counts.signatures += 1
          return validator.sign(message)
        },
      },
      listen: program.p2p.listen,
      staticPeers: program.p2p.peers,
      bitcoinPollMs: 60_000,
      minFeeCapWei: 0n,
      onTerminated: (reason) => {
        process.stderr.write(`${JSON.stringify(reason)}\n`)
        process.exit(1)
      },
    },
  )
  process.on('disconnect', () => process.exit(1))
  process.on('SIGTERM', () => void tree.system.stop().finally(() => process.exit(0)))
  process.on('message', (order: NodeOrder) => {
    if (order.kind === 'payloads') payloadBytes = order.payloadBytes ?? [0]
    else {
      const { user, system } = process.cpuUsage()
      tell({ kind: 'counted', counted: { ...counts, cpuMs: (user + system) / 1_000 } })
    }
  })
  const started = await tree.system.start()
  if (!started.ok) throw new Error(JSON.stringify(started.reason))
  tell({ kind: 'running' })
}

await main()
