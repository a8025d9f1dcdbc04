/**
 * A small node in memory behind the API's ports: a chain of four blocks with signed transactions, a pool, peg operations,
 * actors. What a test changes, it changes in the returned object.
 */
import { BitArray } from '@chainsafe/ssz'
import { Transaction, Wallet } from 'ethers'
import {
  BlockType,
  blockHash,
  type CommittedBlock,
  type Evidence,
  type ExecutionPayload,
  ExecutionPayloadType,
  QuorumCertificateType,
} from '../../../../core/block/index.ts'
import { equalBytes, hexBytes, sha256, toHex } from '../../../../crypto/index.ts'
import {
  type ApiPorts,
  type BitcoinSnapshot,
  type ConsensusSnapshot,
  type Conviction,
  createEvmView,
  type EngineReads,
  type KeygenStatus,
  type PeerRow,
  type PegOperation,
  type PoolStanding,
  type ReserveSnapshot,
  type SubmitResult,
  type SyncSnapshot,
} from '../../../../node/api/index.ts'
import type { ActorStatus, Clock } from '../../../../supervisor/index.ts'
import {
  type BlockSource,
  bloomOf,
  type CallRequest,
  type CallResult,
  ChainReads,
  decodeTransaction,
  type EvmTransaction,
  encodeStoredReceipts,
  hashPayload,
  isTransaction,
  type QuestionKind,
  type Questions,
  type Receipt,
} from '../../../../vm/evm/index.ts'

export const CHAIN_ID = 212_121
/** First account of the standard test mnemonic. */
export const WALLET = new Wallet(
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
)
export const SENDER = hexBytes(WALLET.address)
export const CONTRACT = hexBytes(`0x${'c0'.repeat(20)}`)
export const TOPIC = sha256(Buffer.from('Transfer'))
const GWEI = 1_000_000_000n

export interface FakeChain {
  readonly payloads: ExecutionPayload[]
  readonly receipts: Receipt[][]
  readonly committed: CommittedBlock[]
  /** Blocks below are there by their hashes alone. */
  readonly pruned: { below: number }
}

export interface FakeNode {
  readonly ports: ApiPorts
  readonly chain: FakeChain
  /** Appends a block with these transactions and logs, and tells listeners. */
  addBlock(raws?: readonly Uint8Array[], logs?: Receipt['logs']): void
  changed(): void
  onCall: (request: CallRequest) => Promise<CallResult>
  onAsk: (kind: QuestionKind, question: Questions['call']) => Promise<unknown>
  onSubmit: (raw: Uint8Array) => Promise<SubmitResult>
  actors: ActorStatus[]
  consensus: ConsensusSnapshot
  operations: PegOperation[]
  reserve: ReserveSnapshot
  keys: KeygenStatus
  peers: PeerRow[]
  sync: SyncSnapshot
  bitcoin: BitcoinSnapshot
  readonly pooled: EvmTransaction[]
  readonly logLevels: string[]
  /** By hash, of transactions that are in no block and not pooled. */
  readonly ends: Map<string, PoolStanding>
  tipFloorWei: bigint
  readonly onPending: Set<(hashes: readonly Uint8Array[]) => void>
}

const VALIDATOR_KEYS = [1, 2, 3, 4].map((byte) => new Uint8Array(48).fill(byte))

export function signedTransaction(fields: {
  readonly type: 0 | 2
  readonly nonce: number
  readonly to?: Uint8Array
  readonly data?: string
}): Uint8Array {
  const fee =
    fields.type === 0
      ? { gasPrice: 2n * GWEI }
      : { maxFeePerGas: 3n * GWEI, maxPriorityFeePerGas: GWEI }
  const transaction = Transaction.from({
    type: fields.type,
    chainId: CHAIN_ID,
    nonce: fields.nonce,
    to: fields.to === undefined ? null : `0x${toHex(fields.to)}`,
    gasLimit: 100_000n,
    value: 5n,
    data: fields.data ?? '0x',
    ...fee,
  })
  transaction.signature = WALLET.signingKey.sign(transaction.unsignedHash)
  return hexBytes(transaction.serialized)
}

export function decoded(raw: Uint8Array): EvmTransaction {
  const transaction = decodeTransaction(raw)
  if (!isTransaction(transaction)) throw new Error(transaction.reason)
  return transaction
}

function payloadAfter(parent: ExecutionPayload | undefined): ExecutionPayload {
  const payload = ExecutionPayloadType.defaultValue()
  payload.blockNumber = parent === undefined ? 0 : parent.blockNumber + 1
  payload.parentHash = parent?.blockHash ?? new Uint8Array(32)
  payload.gasLimit = 60_000_000
  payload.baseFeePerGas = GWEI
  payload.timestamp = 1_700_000_000 + payload.blockNumber
  payload.feeRecipient = new Uint8Array(20).fill(0xfe)
  payload.prevRandao = sha256(Uint8Array.of(payload.blockNumber))
  payload.withdrawals =
    payload.blockNumber === 1
      ? [{ index: 0, validatorIndex: 0, address: SENDER, amountGwei: 1_000_000n }]
      : []
  return payload
}

function commit(payload: ExecutionPayload, parent: CommittedBlock | undefined): CommittedBlock {
  const block = BlockType.defaultValue()
  const author = payload.blockNumber % VALIDATOR_KEYS.length
  block.header.height = payload.blockNumber
  block.header.slot = payload.timestamp
  block.header.author = VALIDATOR_KEYS[author] as Uint8Array
  block.header.evmBlockHash = payload.blockHash
  if (parent !== undefined) block.header.parentHash = blockHash(parent.block.header)
  block.body.payload = payload
  const certificate = QuorumCertificateType.defaultValue()
  certificate.height = payload.blockNumber
  certificate.blockHash = blockHash(block.header)
  certificate.bitmap = BitArray.fromBoolArray(VALIDATOR_KEYS.map((_, index) => index !== author))
  return { block, certificate }
}

function sourceOf({ payloads, receipts, pruned }: FakeChain): BlockSource {
  const top = () => payloads.at(-1) as ExecutionPayload
  return {
    head: () => ({ number: top().blockNumber, hash: top().blockHash }),
    hashAt: (height) => payloads[height]?.blockHash,
    heightOf: (hash) => {
      const height = payloads.findIndex(({ blockHash }) => equalBytes(blockHash, hash))
      return height < 0 ? undefined : height
    },
    payloadAt: (height) => (height < pruned.below ? undefined : payloads[height]),
    receiptsAt: (height) => receipts[height],
    receiptsRecordAt: (height) => encodeStoredReceipts(receipts[height] ?? []),
    bloomAt: (height) => (height < pruned.below ? undefined : payloads[height]?.logsBloom),
    sendersAt: (height) => payloads[height]?.transactions.map(() => SENDER) ?? [],
    positionOf: (hash) => {
      for (const [height, { transactions }] of payloads.entries()) {
        const index = transactions.findIndex((raw) => equalBytes(decoded(raw).hash, hash))
        if (index >= 0) return { height, index }
      }
      return undefined
    },
  }
}

export function actorRow(path: string, fields: Partial<ActorStatus> = {}): ActorStatus {
  const each = { control: 0, consensus: 0, peg: 0, sync: 0, gossip: 0, api: 0 }
  return {
    path,
    life: 'Running',
    state: 'Running',
    degraded: false,
    depth: each,
    capacity: { control: 100, consensus: 100, peg: 100, sync: 100, gossip: 100, api: 100 },
    pressure: 'Normal',
    handled: 0,
    dropped: {},
    drops: [],
    deadLetters: 0,
    stashed: 0,
    healthy: true,
    inFlight: 0,
    restarts: 0,
    restartsByClass: {},
    runningSinceMs: 0,
    lastFault: undefined,
    types: {},
    ...fields,
  }
}

export const ACTOR_NAMES = ['chain', 'engine', 'bridge', 'sync', 'network', 'stream', 'storage']

export function createFakeNode(clock: Clock): FakeNode {
  const chain: FakeChain = { payloads: [], receipts: [], committed: [], pruned: { below: 0 } }
  const listeners = new Set<() => void>()
  const pooled: EvmTransaction[] = []
  const logLevels: string[] = []
  const node: FakeNode = {
    ports: undefined as unknown as ApiPorts,
    chain,
    addBlock: (raws = [], logs = []) => {
      const payload = payloadAfter(chain.payloads.at(-1))
      payload.transactions = [...raws]
      payload.gasUsed = raws.length * 50_000
      payload.logsBloom = bloomOf(raws.length === 0 ? [] : logs)
      payload.blockHash = hashPayload(payload)
      chain.payloads.push(payload)
      chain.receipts.push(
        raws.map((raw, index) => ({
          type: decoded(raw).type,
          status: 1,
          cumulativeGasUsed: (index + 1) * 50_000,
          logs: index === 0 ? logs : [],
        })),
      )
      chain.committed.push(commit(payload, chain.committed.at(-1)))
      node.changed()
    },
    changed: () => {
      for (const listener of listeners) listener()
    },
    onCall: async () => ({ ok: true, returnValue: new Uint8Array(32).fill(7), gasUsed: 30_000n }),
    onAsk: async (kind, { request }) => {
      if (kind === 'call') return node.onCall(request)
      if (kind === 'estimateGas') return { ok: true, gas: 21_000n }
      if (kind === 'traceBlock') return { ok: true, traces: [STEPS] }
      if (kind === 'traceCall') return { ok: true, trace: STEPS }
      if (kind === 'proof') return { ok: true, proof: PROOF }
      return { ok: true, accessList: [], gasUsed: 21_000n }
    },
    onSubmit: async (raw) => ({ ok: true, hash: decoded(raw).hash }),
    actors: ACTOR_NAMES.map((path) => actorRow(path)),
    consensus: {
      height: 4,
      view: 0,
      slot: 1_700_000_004,
      slotMs: 1_000,
      viewStartSlot: 1_700_000_004,
      viewSlots: 1,
      step: 'Active.Prepared',
      proposer: 0,
      prepares: [0, 1, 2],
      commits: [0],
      viewChanges: [],
      viewChangesTotal: 2,
      producedTotal: 1,
      failures: [],
    },
    operations: [
      {
        direction: 'in',
        id: `${'ab'.repeat(32)}:0`,
        amountSat: 100_000n,
        step: 'Confirming',
        progress: { have: 1, need: 3 },
        evmAddress: toHex(SENDER),
      },
      {
        direction: 'out',
        id: 'cd'.repeat(32),
        amountSat: 50_000n,
        feeSat: 300n,
        step: 'Broadcast',
        txid: 'ef'.repeat(32),
      },
    ],
    keys: { height: 0, epoch: 0, keys: [] },
    reserve: {
      height: 3,
      reserveSat: 1_000_000n,
      supplySat: 900_000n,
      inFlightSat: 100_000n,
      deficitSat: 0n,
      pegInsPaused: false,
      pegOutsPaused: false,
      openSweeps: 0,
      inFlight: [{ id: 'fund', kind: 'fund', amountSat: 100_000n }],
      outputs: [{ outpoint: `${'ab'.repeat(32)}:0`, amountSat: 1_000_000n }],
      scripts: [`5120${'ab'.repeat(32)}`],
      totals: {
        pegIns: 2,
        pegInSat: 1_000_000n,
        pegOuts: 1,
        pegOutSat: 50_000n,
        mintedSat: 998_000n,
        burnedSat: 51_000n,
      },
    },
    peers: [1, 2, 3].map((validator) => ({
      id: `12D3Koo${validator}`,
      inbound: validator === 1,
      height: 3,
      validator,
    })),
    sync: { state: 'Idle', startHeight: 0, currentHeight: 3, targetHeight: 3 },
    bitcoin: {
      network: 'regtest',
      reachable: true,
      endpoints: ['agrees'],
      height: 110,
      tipAgeMs: 90_000,
      inBlockHeight: 109,
    },
    pooled,
    logLevels,
    ends: new Map(),
    tipFloorWei: 0n,
    onPending: new Set(),
  }
  const ports = portsOf(node, clock, listeners)
  Object.assign(node, { ports })
  node.addBlock()
  node.addBlock()
  node.addBlock(
    [
      signedTransaction({ type: 0, nonce: 0, to: CONTRACT, data: '0xa9059cbb' }),
      signedTransaction({ type: 2, nonce: 1, data: '0x6001' }),
    ],
    [{ address: CONTRACT, topics: [TOPIC, new Uint8Array(32)], data: Uint8Array.of(1, 2) }],
  )
  node.addBlock()
  return node
}

const SIGNATURE = new Uint8Array(96)
const EVIDENCE: Evidence = {
  phase: 3,
  validator: VALIDATOR_KEYS[1] as Uint8Array,
  round: 900,
  first: { height: 4, hash: sha256(Uint8Array.of(1)), signature: SIGNATURE },
  second: { height: 5, hash: sha256(Uint8Array.of(2)), signature: SIGNATURE },
}
const CONVICTIONS: readonly Conviction[] = [2, 1, 0].map((round) => ({
  key: sha256(Uint8Array.of(3, round)),
  phase: 2,
  validator: VALIDATOR_KEYS[2] as Uint8Array,
  offenceHeight: 3,
  round,
  height: 4 + round,
}))

const accounts: EngineReads['state'] = {
  balanceWei: (address) => (equalBytes(address, SENDER) ? 10n ** 18n : 0n),
  nonce: (address) => (equalBytes(address, SENDER) ? 2n : 0n),
  code: (address) => (equalBytes(address, CONTRACT) ? Uint8Array.of(0x60, 1) : new Uint8Array()),
  storage: (_, slot) => slot,
}

const STEPS = {
  gas: 21_006,
  failed: false,
  returnValue: '0x',
  structLogs: [{ pc: 0, op: 'PUSH1', gas: 9, gasCost: 3, depth: 1, stack: ['0x1'] }],
}

const PROOF = {
  nonce: 2n,
  balanceWei: 10n ** 18n,
  codeHash: new Uint8Array(32),
  storageRoot: new Uint8Array(32),
  proof: [Uint8Array.of(0xc0)],
  slots: [{ slot: new Uint8Array(32), value: Uint8Array.of(1), proof: [Uint8Array.of(0xc0)] }],
}

function portsOf(node: FakeNode, clock: Clock, listeners: Set<() => void>): ApiPorts {
  const { chain, pooled } = node
  const find = (hash: Uint8Array) =>
    chain.committed.find(({ block }) => equalBytes(blockHash(block.header), hash))
  return {
    node: {
      name: 'node-0',
      version: '0.1.0',
      chain: 'millrace-dev',
      genesisHash: sha256(Buffer.from('genesis')),
      startedAtMs: 1_700_000_000_000,
      notices: ['anchor gate is open (development)'],
      params: { slotMs: 1_000, pegInConfirmations: 3 },
    },
    chain: {
      head: () => (chain.committed.length > 1 ? chain.committed.at(-1) : undefined),
      blockByHeight: (height) => (height === 0 ? undefined : chain.committed[height]),
      blockByHash: find,
      certificate: (height) => chain.committed[height]?.certificate,
      validators: () =>
        VALIDATOR_KEYS.map((key, index) => ({
          key,
          power: 1,
          address: SENDER,
          self: index === 0,
        })),
      consensus: () => node.consensus,
      validatorsAt: (height) =>
        height > chain.committed.length + 1
          ? undefined
          : {
              height,
              since: 0,
              sequence: 0,
              hash: new Uint8Array(32),
              validators: VALIDATOR_KEYS.map((key) => ({
                key,
                power: 1,
                address: SENDER,
                self: false,
              })),
            },
      certified: (height) => {
        const committed = height === 0 ? undefined : chain.committed[height]
        return committed && { header: committed.block.header, certificate: committed.certificate }
      },
      ledgerProof: () => undefined,
      evidence: (from, count) => ({
        waitingTotal: 1,
        waiting: [EVIDENCE].slice(from, from + count),
        carriedTotal: CONVICTIONS.length,
        carried: CONVICTIONS.slice(from, from + count),
      }),
    },
    evm: createEvmView(
      CHAIN_ID,
      () => ({
        blocks: new ChainReads(sourceOf(chain)),
        state: accounts,
        stateAt: (height) => (height >= chain.payloads.length - 2 ? accounts : undefined),
        ask: (async (kind: QuestionKind, question: Questions['call']) => {
          if ((question.height ?? Infinity) < chain.payloads.length - 2) {
            return { ok: false, code: 'StateUnavailable' }
          }
          return node.onAsk(kind, question)
        }) as EngineReads['ask'],
      }),
      clock,
    ),
    pool: {
      status: () => ({ pending: pooled.length, queued: 0, bytes: 0 }),
      content: () => ({
        pending: pooled.map((transaction) => ({ transaction, sender: SENDER })),
        queued: [],
      }),
      standing: (hash) =>
        pooled.some((one) => equalBytes(one.hash, hash))
          ? { state: 'Mempool', waitsFor: 'NonceGap' }
          : node.ends.get(toHex(hash)),
      tipFloorWei: () => node.tipFloorWei,
      contentFrom: () => ({
        pending: pooled.map((transaction) => ({ transaction, sender: SENDER })),
        queued: [],
      }),
      transaction: (hash) => {
        const transaction = pooled.find((candidate) => equalBytes(candidate.hash, hash))
        return transaction === undefined ? undefined : { transaction, sender: SENDER }
      },
      nextNonce: (_, stateNonce) => stateNonce + BigInt(pooled.length),
    },
    peg: {
      reserve: () => node.reserve,
      operations: (limit) => node.operations.slice(0, limit),
      operation: (id) => node.operations.find((operation) => operation.id === id),
      keygen: () => node.keys,
      reserveRows: () => undefined,
      federationAddress: () => 'bcrt1pfederation',
      depositAddress: async ({ evmAddress }) =>
        evmAddress.every((byte) => byte === 0)
          ? { code: 'ForbiddenAddress', reason: 'the zero address cannot be credited' }
          : {
              address: 'bcrt1pown',
              scriptPubKey: `5120${'ab'.repeat(32)}`,
              epoch: 0,
              validUntil: null,
              groupKey: 'cd'.repeat(32),
              uri: 'bitcoin:bcrt1pown',
              opReturn: { address: 'bcrt1pfederation', script: '6a00' },
            },
      claimDeposits: async (_, blockHash) =>
        blockHash[0] === 0
          ? { code: 'BitcoinBlockUnknown', reason: 'the block cannot be looked at' }
          : { outpoints: [`${'ef'.repeat(32)}:1`] },
    },
    system: { actors: () => node.actors },
    admin: { setLogLevel: (level, actor) => void node.logLevels.push(`${actor ?? '*'}=${level}`) },
    federation: () => ({
      epoch: 0,
      threshold: 3,
      address: 'bcrt1pfederation',
      members: [0, 1, 2, 3].map((index) => ({
        index,
        key: `0${index}`.repeat(32),
        connected: index !== 3,
      })),
    }),
    peers: () => node.peers,
    sync: () => node.sync,
    bitcoin: () => node.bitcoin,
    submitKeyCall: async () => ({ ok: false, error: { code: 'KeygenSignerUnknown' } }),
    submitValidatorChange: async () => ({ ok: false, error: { code: 'ValidatorKeyUnknown' } }),
    submitPegOrder: async () => ({ ok: false, error: { code: 'OrderNoLoss' } }),
    submitTransaction: (raw) => node.onSubmit(raw),
    onPendingTransactions: (listener) => {
      node.onPending.add(listener)
      return () => node.onPending.delete(listener)
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** Time that moves when told. */
export function createManualClock(startMs = 1_700_000_010_000): Clock & {
  advance(byMs: number): void
} {
  let nowMs = startMs
  const timers = new Map<object, { atMs: number; fire: () => void }>()
  return {
    nowMs: () => nowMs,
    setTimer: (delayMs, fire) => {
      const key = {}
      timers.set(key, { atMs: nowMs + delayMs, fire })
      return { cancel: () => timers.delete(key) }
    },
    yieldToLoop: (resume) => {
      setImmediate(resume)
    },
    advance: (byMs) => {
      nowMs += byMs
      for (const [key, { atMs, fire }] of timers) {
        if (atMs > nowMs) continue
        timers.delete(key)
        fire()
      }
    },
  }
}
