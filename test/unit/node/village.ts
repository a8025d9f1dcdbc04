/**
 * A node's own tree in memory: one validator, four members that are played here, a regtest Bitcoin and the EVM on maps. Time moves
 * when it is told to, and every handled message is written down.
 */
import type { BitcoinPort } from '../../../actors/bridge/index.ts'
import type { SignGuard, ValidatorKey } from '../../../actors/chain/index.ts'
import { ENGINE_FAULTS, type EnginePort } from '../../../actors/engine/index.ts'
import type { NetworkEvents, NetworkPort } from '../../../actors/network/index.ts'
import type { ChainStore } from '../../../actors/storage/index.ts'
import type { StreamListener, StreamPort } from '../../../actors/stream/index.ts'
import { batchToSign, signingTask } from '../../../bridge/index.ts'
import {
  type BitcoinTransaction,
  parseTransaction,
  serializeTransaction,
  txid,
} from '../../../core/bitcoin/index.ts'
import { PegInClaimType } from '../../../core/block/index.ts'
import { decideGuard, EMPTY_GUARD, foldGuard, type GuardView } from '../../../core/guard/index.ts'
import { type Genesis, type ParamsFile, parseGenesis } from '../../../core/params/index.ts'
import { approvalMessage, findBatch } from '../../../core/peg/index.ts'
import {
  blsKeyPair,
  blsSign,
  blsSuite,
  equalBytes,
  fromDisplayHash,
  toDisplayHash,
  toHex,
} from '../../../crypto/index.ts'
import { createNodeTree, type NodePorts, type NodeTree } from '../../../node/tree.ts'
import type { MemberBody, NodeMessage } from '../../../proto/index.ts'
import {
  type Clock,
  faultError,
  type KernelEvent,
  type TerminationReason,
} from '../../../supervisor/index.ts'
import { createTestPorts } from '../../../supervisor/testing/index.ts'
import { nextBaseFee } from '../../../vm/evm/gas.ts'
import {
  decodeTransaction,
  evmGenesisOf,
  isTransaction,
  loadEngineCore,
  recoverSender,
} from '../../../vm/evm/index.ts'
import { MemoryDisk, openMemoryChainStore } from '../../ports/memory-chain-store.ts'
import { townGenesis, validatorKeys } from '../core/chain/town.ts'
import { BitcoinWorld, type MinedBlock, seeded, wholeBlock } from '../core/peg/world.ts'
import { TestSigner } from '../core/signing/together.ts'
import { MemoryStore } from '../vm/evm/memory-store.ts'

const NOTHING = new Uint8Array(0)

/** In memory before a test's clock begins, which does not wait for what takes real time; for one village after the other. */
const CORE = loadEngineCore(townGenesis().execution.chainId)

/** The town's genesis with its first validator alone: a quorum of one. */
export function villageGenesis(changes: Partial<ParamsFile> = {}): Genesis {
  const { file } = townGenesis(changes)
  const parsed = parseGenesis({ ...file, validators: file.validators.slice(0, 1) }, blsSuite)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  return parsed.value
}

/** A message that an actor handled. */
export interface Handled {
  readonly path: string
  readonly type: string
  readonly from: string
  readonly flow: string
}

function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, resolve))
}

/** What outlives a crash. */
export class Disks {
  readonly chain = new MemoryDisk()
  readonly engine = new MemoryStore()
  guard: GuardView = EMPTY_GUARD
}

/** How the world behaves; a test may change it at any time. */
export interface Mood {
  /** Whether Bitcoin answers. */
  reachable: boolean
  /** Why a transaction is refused; undefined: it is taken. */
  refuses: string | undefined
  /** The engine's next build fails, as when its thread dies. */
  engineDies: boolean
  /** The next write of blocks fails. */
  diskFails: boolean
  /** Every write fails. */
  diskFull: boolean
  slowDiskMs: number
  /** The engine's answers are faults of its own. */
  engineFaults: boolean
  /** What becomes of an attempt to empty the engine's state. */
  rollback: 'works' | 'without effect' | 'fails'
  /** Makes the ledger again; without it the node keeps no checkpoints. */
  repair: (() => Promise<void>) | undefined
  /** Members that deny every deposit, and those that do not answer a request for signatures. */
  readonly denies: Set<number>
  readonly signsNot: Set<number>
}

export class Village {
  readonly genesis: Genesis
  readonly ports = createTestPorts()
  readonly disks: Disks
  bitcoin: BitcoinWorld
  readonly mood: Mood = {
    reachable: true,
    refuses: undefined,
    engineDies: false,
    diskFails: false,
    diskFull: false,
    slowDiskMs: 0,
    engineFaults: false,
    rollback: 'works',
    repair: undefined,
    denies: new Set(),
    signsNot: new Set(),
  }
  /** Transactions that were sent, by display txid. */
  readonly mempool = new Map<string, BitcoinTransaction>()
  /** Members that answer. */
  readonly members = new Set([0, 1, 2, 3])
  readonly handled: Handled[] = []
  /** How often the engine's state was emptied. */
  rollbacks = 0
  /** Why the node ended, once it did. */
  ended: TerminationReason | undefined
  /** What left the node: gossip and frames, as bytes. */
  readonly sent: { readonly to: string; readonly bytes: Uint8Array }[] = []
  readonly asked: { readonly member: number; readonly message: NodeMessage }[] = []
  readonly signers = [0, 1, 2, 3].map((index) => new TestSigner(index, seeded(`schnorr ${index}`)))
  readonly tree: NodeTree
  /** How the world talks to this node's network; undefined before it listens. */
  events: NetworkEvents | undefined
  #listener: StreamListener | undefined
  readonly #known = new Map<string, MinedBlock>()

  constructor(
    changes: Partial<ParamsFile> = {},
    disks = new Disks(),
    bitcoin = new BitcoinWorld(),
  ) {
    this.genesis = villageGenesis({ batchWindowSeconds: 0, ...changes })
    this.disks = disks
    this.bitcoin = bitcoin
    const validator = this.#validator()
    const ports: NodePorts = {
      kernel: this.ports,
      openStore: async () => this.#store(),
      openEngine: () => this.#engine(),
      repairStore: async () => {
        if (this.mood.repair === undefined) throw new Error('no checkpoints are kept')
        await this.mood.repair()
      },
      rollbackEngine: async () => {
        this.rollbacks += 1
        if (this.mood.rollback === 'fails') throw new Error('permission denied')
        if (this.mood.rollback === 'works') this.disks.engine.clear()
      },
      openGuard: async () => this.#guard(),
      bitcoin: this.#bitcoin(),
      network: this.#network(),
      stream: this.#stream(),
    }
    this.tree = createNodeTree(ports, {
      genesis: this.genesis,
      validator,
      listen: [],
      staticPeers: [],
      bitcoinPollMs: 500,
      minFeeCapWei: 0n,
      onTerminated: (reason) => {
        this.ended = reason
      },
    })
    this.tree.system.subscribe((event) => this.#note(event), { messages: true })
  }

  async start(): Promise<this> {
    await CORE
    const started = this.tree.system.start()
    await this.ports.clock.advance(0)
    const result = await started
    if (!result.ok) throw new Error(JSON.stringify(result.reason))
    for (const member of this.members) this.#listener?.registered(member, `member ${member}`)
    await this.ports.clock.settle()
    return this
  }

  /** A member connects. */
  join(member: number): void {
    this.members.add(member)
    this.#listener?.registered(member, `member ${member}`)
  }

  /** Lets slots pass, in steps smaller than any timer. */
  async slots(count: number): Promise<void> {
    for (let slot = 0; slot < count; slot++) {
      for (let step = 0; step < 4; step++) await this.ports.clock.advance(250)
    }
  }

  /** Lets slots pass until `done`; throws when it does not come to be. */
  async until(done: () => boolean, limitSlots = 60): Promise<void> {
    for (let slot = 0; slot < limitSlots && !done(); slot++) await this.slots(1)
    if (!done()) throw new Error(`did not come to be in ${limitSlots} slots`)
  }

  /** The same in small steps, to stop within a slot. */
  async soon(done: () => boolean, limitMs = 20_000): Promise<void> {
    for (let passed = 0; passed < limitMs && !done(); passed += 50) {
      await this.ports.clock.advance(50)
    }
    if (!done()) throw new Error(`did not come to be in ${limitMs} ms`)
  }

  async stop(): Promise<void> {
    const stopped = this.tree.system.stop({ drainMs: 1_000 })
    await this.ports.clock.advance(2_000)
    await stopped
  }

  get height(): number {
    return this.tree.live.head?.head.header.height ?? 0
  }

  get ledger() {
    const head = this.tree.live.head?.head
    if (head === undefined) throw new Error('no head yet')
    return head.ledger
  }

  /** What was handled of one flow, as `actor ← Message`. */
  flow(id: string): string[] {
    return this.handled
      .filter(({ flow }) => flow === id)
      .map(({ path, type }) => `${path} ← ${type}`)
  }

  /** The flows in which an actor handled a message of this type, in order. */
  flowsOf(path: string, type: string): string[] {
    return this.handled
      .filter((each) => each.path === path && each.type === type)
      .map(({ flow }) => flow)
  }

  async submit(raw: Uint8Array, correlationId: string) {
    const answer = this.tree.system.ask(
      'engine',
      { type: 'engine.SubmitTransaction', payload: { raw } },
      { timeoutMs: 5_000, correlationId },
    )
    await this.ports.clock.settle()
    return answer
  }

  #note(event: KernelEvent): void {
    if (event.kind !== 'handled') return
    const { path, messageType: type, sender: from, correlationId: flow } = event
    this.handled.push({ path, type, from, flow })
  }

  #validator(): ValidatorKey {
    const [keys] = validatorKeys as [(typeof validatorKeys)[0]]
    return {
      blsKey: keys.publicKey,
      sign: (message) => blsSign(keys.secretKey, message),
    }
  }

  #store(): ChainStore {
    const store = openMemoryChainStore(this.disks.chain)
    return {
      ...store,
      writeBlocks: async (blocks, rows) => {
        if (this.mood.diskFails) {
          this.mood.diskFails = false
          throw new Error('not synced')
        }
        if (this.mood.diskFull) {
          throw faultError('DiskUnusable', 'configuration', 'No space left on device')
        }
        if (this.mood.slowDiskMs > 0) await sleep(this.ports.clock, this.mood.slowDiskMs)
        await store.writeBlocks(blocks, rows)
      },
    }
  }

  #guard(): SignGuard {
    const { disks } = this
    return {
      view: () => disks.guard,
      async append(record) {
        const decision = decideGuard(disks.guard, record)
        if (decision === 'sign') disks.guard = foldGuard(disks.guard, record)
        return decision
      },
      async compact(height) {
        const { slot } = disks.guard
        disks.guard = foldGuard(disks.guard, { kind: 'floor', floor: height + 1, slot })
      },
      async close() {},
    }
  }

  async #engine(): Promise<EnginePort> {
    const store = this.disks.engine
    const core = await CORE
    const { engine, reply } = await core.open(store, evmGenesisOf(this.genesis), () => 0)
    if (reply.status !== 'OPEN') {
      throw faultError(reply.code, ENGINE_FAULTS[reply.code], reply.reason)
    }
    return {
      head: () => store.head() as { number: number; hash: Uint8Array },
      build: async (request) => {
        if (this.mood.engineDies) {
          this.mood.engineDies = false
          throw faultError('EngineUnavailable', 'service', 'the thread died')
        }
        if (this.mood.engineFaults) {
          return { status: 'UNKNOWN', code: 'EngineFault', reason: 'out of memory' }
        }
        return engine.build(request)
      },
      execute: (request) => engine.execute(request),
      commit: (hash) => engine.commit(hash),
      recoverSenders: async (raws) =>
        raws.map((raw) => {
          const transaction = decodeTransaction(raw)
          return isTransaction(transaction) ? recoverSender(transaction) : undefined
        }),
      accounts: async (addresses) =>
        addresses.map((address) => {
          const account = store.state.account(toHex(address))
          return { nonce: account?.nonce ?? 0n, balanceWei: account?.balance ?? 0n }
        }),
      nextBaseFeeWei() {
        const payload = store.blocks.at(-1)?.payload
        return payload === undefined ? 0n : nextBaseFee(payload)
      },
      async close() {},
    }
  }

  #bitcoin(): BitcoinPort {
    type Answer<T> = Promise<
      | { readonly ok: true; readonly value: T }
      | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } }
    >
    const answer = async <T>(value: () => T): Answer<T> => {
      for (const block of this.bitcoin.blocks) this.#known.set(toHex(block.hash), block)
      if (this.mood.reachable) return { ok: true, value: value() }
      return { ok: false, error: { code: 'BitcoinUnreachable', message: 'refused' } }
    }
    const blockAt = (height: number) => this.bitcoin.blocks[height]
    return {
      tip: () => answer(() => ({ height: this.bitcoin.tip.height, hash: this.bitcoin.tip.hash })),
      hashAt: (height) => answer(() => blockAt(height)?.hash),
      header: (hash) =>
        answer(() => {
          const found = this.#known.get(toHex(hash))
          if (found === undefined) return undefined
          const best = blockAt(found.height)?.hash
          return {
            header: found.header,
            isBest: best !== undefined && equalBytes(best, hash),
          }
        }),
      block: (hash) =>
        answer(() => {
          const found = this.#known.get(toHex(hash))
          return found && wholeBlock(found)
        }),
      mempool: {
        txids: () =>
          answer(() => [...this.mempool.values()].map((each) => toDisplayHash(txid(each)))),
        transaction: (id) =>
          answer(() => {
            const found = this.mempool.get(toHex(fromDisplayHash(id)))
            return found && serializeTransaction(found)
          }),
      },
      inMempool: (id) => answer(() => this.mempool.has(toHex(id))),
      send: (raw) =>
        answer(() => {
          if (this.mood.refuses !== undefined) return this.mood.refuses
          const parsed = parseTransaction(raw)
          if (!parsed.ok) return parsed.error.reason
          this.#replaced(parsed.value)
          this.mempool.set(toHex(txid(parsed.value)), parsed.value)
          return undefined
        }),
      feeRate: () => answer(() => 2000),
    }
  }

  /** What spends the same as a new transaction leaves the mempool. */
  #replaced({ inputs }: BitcoinTransaction): void {
    for (const [id, other] of this.mempool) {
      const conflicts = other.inputs.some((one) =>
        inputs.some((input) => input.vout === one.vout && equalBytes(input.txid, one.txid)),
      )
      if (conflicts) this.mempool.delete(id)
    }
  }

  /** Mines what waits, and so many blocks in all. */
  mine(count = 1, transactions: readonly BitcoinTransaction[] = []): void {
    this.bitcoin.mine([...this.mempool.values(), ...transactions], count)
    this.mempool.clear()
  }

  #network(): NetworkPort {
    return {
      start: async ({ events }) => {
        this.events = events
        return { peer: 'self', addresses: [] }
      },
      stop: async () => {},
      dial: async () => ({ ok: false, code: 'DialFailed' }),
      disconnect() {},
      ban() {},
      publish: async (topic, bytes) => {
        this.sent.push({ to: topic, bytes })
      },
      judge() {},
      send: () => false,
      takeFrame() {},
      pauseReading() {},
      request: async () => ({ ok: false, code: 'NotConnected' }),
      respond() {},
    }
  }

  #stream(): StreamPort {
    return {
      start: async (listener) => {
        this.#listener = listener
        return { port: 1 }
      },
      send: (member, message) => {
        if (!this.members.has(member)) return 'notConnected'
        this.asked.push({ member, message })
        const { requestId, correlationId } = message
        const body = this.#memberAnswer(member, message)
        if (body !== undefined) {
          void Promise.resolve().then(() =>
            this.#listener?.message(member, { requestId, correlationId, body }),
          )
        }
        return 'sent'
      },
      pauseReading() {},
      stop: async () => {},
    }
  }

  /** An honest member signs what it is asked, after a look at the ledger. */
  #memberAnswer(member: number, { body }: NodeMessage): MemberBody | undefined {
    const { genesis } = this
    const yes = { decision: 'APPROVED', code: '', retryAfterMs: 0 } as const
    if (body.kind === 'requestFederationApproval') {
      const claim = PegInClaimType.deserialize(Uint8Array.from(body.claim))
      const { secretKey } = blsKeyPair(seeded(`member ${member}`))
      const message = approvalMessage(genesis, 'pegIn', body.membersEpoch, claim)
      const claimed = {
        outpoint: body.outpoint,
        claimRoot: PegInClaimType.hashTreeRoot(claim),
      }
      if (this.mood.denies.has(member)) {
        const no = { decision: 'REFUSED', code: 'NotSeen', retryAfterMs: 0 } as const
        return { kind: 'approvalResponse', ...claimed, ...no, signature: NOTHING } as const
      }
      return {
        kind: 'approvalResponse',
        ...claimed,
        ...yes,
        signature: blsSign(secretKey, message),
      } as const
    }
    if (this.mood.signsNot.has(member)) return undefined
    return this.#signer(member, body)
  }

  /** Both rounds; a member has one offer open at a time. */
  #signer(member: number, body: NodeMessage['body']): MemberBody | undefined {
    if (body.kind !== 'signatureRequest' && body.kind !== 'partsRequest') return undefined
    const { batchId, version, attempt } = body
    const recorded = findBatch(this.ledger, batchId)?.versions[version]?.row
    const batch = recorded && batchToSign(this.ledger, recorded)
    if (batch === undefined) return undefined
    const task = signingTask(
      this.genesis,
      this.ledger.open.keys,
      { batchId, version, attempt },
      batch,
    )
    const signer = this.signers[member]
    if (signer === undefined) return undefined
    const yes = { decision: 'APPROVED', code: '' } as const
    const id = { batchId, version, attempt } as const
    if (body.kind === 'signatureRequest') {
      const offers = [signer.offer(task)]
      return { kind: 'signatureResponse', ...id, ...yes, retryAfterMs: 0, offers }
    }
    const { listHash, parts, signature } = signer.parts(task, body.offers)
    return { kind: 'partsResponse', ...id, ...yes, listHash, parts, signature, offers: [] }
  }
}
