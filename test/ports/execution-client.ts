/**
 * An execution client of the tests' own: Engine API and JSON-RPC over HTTP on this house's executor, with all that is awkward about real
 * ones on demand. Its blocks are a tree, its head may move along any branch, its pool is its own.
 */
import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { equalBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { builtPayload, hex, payloadOf, quantity } from '../../node/adapters/engine-api/wire.ts'
import { type ChainEvm, createChainEvm } from '../../vm/evm/chain.ts'
import { BlockDraft, checkBlock, type ExecutedBlock } from '../../vm/evm/executor.ts'
import {
  decodeTransaction,
  type EvmGenesis,
  genesisBlock,
  hashPayload,
  isTransaction,
  keccak256,
  overlayView,
  recoverSender,
  type StateView,
} from '../../vm/evm/index.ts'
import { createCalls } from '../../vm/evm/view/call.ts'
import { MemoryState } from '../unit/vm/evm/memory-store.ts'

type Known = { readonly block: ExecutedBlock; readonly view: StateView }
type Pooled = { readonly raw: Uint8Array; readonly sender: Uint8Array; readonly nonce: bigint }
type Json = Record<string, unknown>

/** What it does otherwise than it should, as long as it is set. */
export interface Manners {
  /** Of its blocks. Their gas limit is the parent's, as of a client that was told no target. */
  extraData: Uint8Array
  /** Of its blocks, whatever it was asked for. */
  randao: Uint8Array | undefined
  /** Answers before executing: SYNCING this many times. */
  syncing: number
  /** Answers these methods not at all. */
  silent: ReadonlySet<string>
  /** Answers these methods with something else. */
  answers: ReadonlyMap<string, unknown>
  capabilities: readonly string[]
  /** Receipts of canonical blocks alone; what was canonical once and is no more has none for ever, executed again or not. */
  receiptsByHash: boolean
  /** Length of its answers, at least. */
  padding: number
}

export class TestClient {
  readonly #genesis: EvmGenesis
  readonly #chain: ChainEvm
  readonly #secret: Uint8Array
  readonly #known = new Map<string, Known>()
  readonly #payloads = new Map<string, ExecutedBlock>()
  readonly #server: Server
  readonly #lost = new Set<string>()
  #pool: Pooled[] = []
  #head: Uint8Array
  readonly calls: string[] = []
  readonly manners: Manners = {
    extraData: new TextEncoder().encode('a client'),
    randao: undefined,
    syncing: 0,
    silent: new Set(),
    answers: new Map(),
    capabilities: [
      'engine_newPayloadV4',
      'engine_forkchoiceUpdatedV3',
      'engine_getPayloadV4',
      'engine_getPayloadV5',
    ],
    receiptsByHash: true,
    padding: 0,
  }

  private constructor(genesis: EvmGenesis, chain: ChainEvm, secret: Uint8Array) {
    this.#genesis = genesis
    this.#chain = chain
    this.#secret = secret
    this.#head = this.wipe()
    this.#server = createServer((request, response) => {
      void this.#serve(request).then(({ status, body }) => {
        if (status === 0) return
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(body)
      })
    })
  }

  static async start(genesis: EvmGenesis, secret: Uint8Array): Promise<TestClient> {
    const client = new TestClient(genesis, await createChainEvm(genesis.chainId), secret)
    const { promise, resolve } = Promise.withResolvers<void>()
    client.#server.listen(0, '127.0.0.1', resolve)
    await promise
    return client
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get headHeight(): number {
    return this.#knownOf(this.#head).block.payload.blockNumber
  }

  get poolSize(): number {
    return this.#pool.length
  }

  /** Forgets all but block 0. */
  wipe(): Uint8Array {
    const { payload, delta } = genesisBlock(this.#genesis)
    const state = new MemoryState()
    state.apply(delta)
    state.hashes.set(0, payload.blockHash)
    const outcome = { burns: [], cancels: [], funds: [], gasUsed: 0, feesBurnedWei: 0n }
    const executed = { receiptsRoot: payload.receiptsRoot, transactionCount: 0 }
    const nothing = { receipts: [], transactionHashes: [], senders: [] }
    this.#known.clear()
    this.#payloads.clear()
    this.#pool = []
    this.#known.set(toHex(payload.blockHash), {
      block: { payload, delta, outcome: { ...outcome, ...executed }, ...nothing },
      view: state,
    })
    this.#head = payload.blockHash
    return this.#head
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    await promise
  }

  async #serve(request: IncomingMessage): Promise<{ status: number; body: string }> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (!this.#isAuthorized(request.headers.authorization)) return { status: 401, body: 'no' }
    const asked = JSON.parse(Buffer.concat(chunks).toString()) as Json | Json[]
    const calls = [asked].flat() as { id: unknown; method: string; params: unknown[] }[]
    if (calls.some(({ method }) => this.manners.silent.has(method))) return { status: 0, body: '' }
    const answers: Json[] = []
    for (const { id, method, params } of calls) {
      this.calls.push(method)
      answers.push({ jsonrpc: '2.0', id, ...(await this.#answer(method, params)) })
    }
    const body = JSON.stringify(Array.isArray(asked) ? answers : answers[0])
    return { status: 200, body: body.padEnd(this.manners.padding) }
  }

  #isAuthorized(header: string | undefined): boolean {
    const [head, claims, signature] = header?.replace(/^Bearer /, '').split('.') ?? []
    if (head === undefined || claims === undefined || signature === undefined) return false
    const expected = createHmac('sha256', this.#secret).update(`${head}.${claims}`)
    const { iat } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iat: number }
    return signature === expected.digest('base64url') && Math.abs(Date.now() / 1000 - iat) <= 60
  }

  async #answer(method: string, params: unknown[]): Promise<Json> {
    const set = this.manners.answers.get(method)
    if (set !== undefined) return { result: set }
    const fault = (code: number, message: string) => ({ error: { code, message } })
    switch (method) {
      case 'engine_exchangeCapabilities':
        return { result: this.manners.capabilities }
      case 'eth_chainId':
        return { result: quantity(this.#genesis.chainId) }
      case 'eth_getBlockByNumber': {
        const found = this.#canonical(params[0] as string)
        if (found === undefined) return { result: null }
        const { blockHash, blockNumber } = found.block.payload
        return { result: { hash: hex(blockHash), number: quantity(blockNumber) } }
      }
      case 'engine_newPayloadV4':
        return { result: await this.#newPayload(params) }
      case 'engine_forkchoiceUpdatedV3':
        return { result: await this.#forkchoice(params) }
      case 'engine_getPayloadV4':
      case 'engine_getPayloadV5': {
        const built = this.#payloads.get(params[0] as string)
        return built === undefined
          ? fault(-38001, 'Unknown payload')
          : { result: payloadJson(built) }
      }
      case 'eth_sendRawTransaction':
        return this.#take(hexBytes((params[0] as string).slice(2)))
      case 'eth_getBlockReceipts':
        return { result: this.#receipts(params[0] as string) }
      case 'eth_getBalance':
        return { result: quantity(this.#accountAt(params)?.balance ?? 0n) }
      case 'eth_getTransactionCount':
        return { result: quantity(this.#accountAt(params)?.nonce ?? 0n) }
      case 'eth_call':
        return this.#call(params)
      default:
        return fault(-32601, `the method ${method} does not exist`)
    }
  }

  #knownOf(hash: Uint8Array): Known {
    return this.#known.get(toHex(hash)) as Known
  }

  #canonical(tag: string): Known | undefined {
    let known = this.#knownOf(this.#head)
    if (tag === 'latest') return known
    const height = Number(tag)
    while (known.block.payload.blockNumber > height) {
      known = this.#knownOf(known.block.payload.parentHash)
    }
    return known.block.payload.blockNumber === height ? known : undefined
  }

  #canonicalHashes(): Set<string> {
    const found = new Set<string>()
    let known: Known | undefined = this.#knownOf(this.#head)
    while (known !== undefined) {
      found.add(nameOf(known))
      known = this.#known.get(toHex(known.block.payload.parentHash))
    }
    return found
  }

  #accountAt([address, tag]: unknown[]) {
    return this.#canonical(tag as string)?.view.account((address as string).slice(2))
  }

  async #call([request, tag]: unknown[]): Promise<Json> {
    const known = this.#canonical(tag as string) as Known
    const { to, data } = request as { to?: string; data?: string }
    const calls = await createCalls(this.#genesis.chainId)
    const result = await calls.call(
      { view: known.view, block: known.block.payload },
      {
        ...(to !== undefined && { to: hexBytes(to.slice(2)) }),
        ...(data !== undefined && { data: hexBytes(data.slice(2)) }),
      },
    )
    if (result.ok) return { result: hex(result.returnValue) }
    return { error: { code: -32000, message: result.code } }
  }

  #take(raw: Uint8Array): Json {
    const transaction = decodeTransaction(raw)
    const sender = isTransaction(transaction) ? recoverSender(transaction) : undefined
    const { chainId } = this.#genesis
    if (
      !isTransaction(transaction) ||
      sender === undefined ||
      transaction.chainId !== BigInt(chainId) ||
      transaction.gasLimit < 21_000n
    ) {
      return { error: { code: -32000, message: 'invalid transaction' } }
    }
    const { nonce, hash } = transaction
    const isTaken = this.#pool.some((other) => {
      return other.nonce === nonce && equalBytes(other.sender, sender)
    })
    if (isTaken) return { error: { code: -32000, message: 'replacement underpriced' } }
    this.#pool.push({ raw, sender, nonce })
    return { result: hex(hash) }
  }

  async #newPayload([given, , beaconRoot, requests]: unknown[]): Promise<Json> {
    if (this.manners.syncing > 0) {
      this.manners.syncing -= 1
      return { status: 'SYNCING', latestValidHash: null, validationError: null }
    }
    const read = builtPayload.safeParse({ executionPayload: given, executionRequests: requests })
    if (!read.success) return { status: 'INVALID', validationError: 'malformed' }
    const payload = payloadOf(read.data, hexBytes((beaconRoot as string).slice(2)))
    if (!equalBytes(hashPayload(payload), payload.blockHash)) {
      return { status: 'INVALID', latestValidHash: null, validationError: 'block hash' }
    }
    const valid = { status: 'VALID', latestValidHash: hex(payload.blockHash) }
    if (this.#known.has(toHex(payload.blockHash))) return valid
    const parent = this.#known.get(toHex(payload.parentHash))
    if (parent === undefined) return { status: 'SYNCING', latestValidHash: null }
    const checked = await checkBlock(this.#chain, parent.view, parent.block.payload, payload, [])
    if ('code' in checked) {
      const latestValidHash = hex(payload.parentHash)
      return { status: 'INVALID', latestValidHash, validationError: checked.code }
    }
    this.#remember(parent, checked)
    return valid
  }

  #remember(parent: Known, block: ExecutedBlock): void {
    const { blockNumber, blockHash } = block.payload
    const view = overlayView(parent.view, block.delta, blockNumber, blockHash)
    this.#known.set(toHex(blockHash), { block, view })
  }

  async #forkchoice([state, given]: unknown[]): Promise<Json> {
    const head = hexBytes((state as { headBlockHash: string }).headBlockHash.slice(2))
    const known = this.#known.get(toHex(head))
    if (known === undefined) return { payloadStatus: { status: 'SYNCING' }, payloadId: null }
    const before = this.#canonicalHashes()
    this.#head = head
    const now = this.#canonicalHashes()
    for (const name of before) if (!now.has(name)) this.#lost.add(name)
    const nonceOf = (address: Uint8Array) => known.view.account(toHex(address))?.nonce ?? 0n
    this.#pool = this.#pool.filter(({ sender, nonce }) => nonce >= nonceOf(sender))
    const payloadStatus = { status: 'VALID', latestValidHash: hex(head), validationError: null }
    if (given === null || given === undefined) return { payloadStatus, payloadId: null }
    const payloadId = `0x${toHex(keccak256(new TextEncoder().encode(JSON.stringify([state, given])))).slice(0, 16)}`
    this.#payloads.set(payloadId, await this.#build(known, given as Json))
    return { payloadStatus, payloadId }
  }

  async #build(parent: Known, given: Json): Promise<ExecutedBlock> {
    const bytesOf = (name: string) => hexBytes((given[name] as string).slice(2))
    const rows = given['withdrawals'] as Record<string, string>[]
    const attributes = {
      timestamp: Number(given['timestamp']),
      prevRandao: this.manners.randao ?? bytesOf('prevRandao'),
      feeRecipient: bytesOf('suggestedFeeRecipient'),
      parentBeaconBlockRoot: bytesOf('parentBeaconBlockRoot'),
      withdrawals: rows.map(({ index, validatorIndex, address = '', amount }) => ({
        index: Number(index),
        validatorIndex: Number(validatorIndex),
        address: hexBytes(address.slice(2)),
        amountGwei: BigInt(amount as string),
      })),
      gasLimit: parent.block.payload.gasLimit,
      extraData: this.manners.extraData,
    }
    const offered = [...this.#pool].sort((left, right) => Number(left.nonce - right.nonce))
    const draft = new BlockDraft(this.#chain, parent.view, parent.block.payload, attributes)
    await draft.pack(offered, () => false)
    return draft.finish(attributes)
  }

  #receipts(name: string): unknown {
    const isHash = name.length === 66
    if (isHash && !this.manners.receiptsByHash) return null
    const known = isHash ? this.#known.get(name.slice(2)) : this.#canonical(name)
    const isLost = !this.manners.receiptsByHash && this.#lost.has(nameOf(known))
    return known === undefined || isLost
      ? null
      : known.block.receipts.map(({ type, status, cumulativeGasUsed, logs }) => ({
          type: quantity(type),
          status: quantity(status),
          cumulativeGasUsed: quantity(cumulativeGasUsed),
          logs: logs.map(({ address, topics, data }) => {
            return { address: hex(address), topics: topics.map(hex), data: hex(data) }
          }),
        }))
  }
}

function nameOf(known: Known | undefined): string {
  return known === undefined ? '' : toHex(known.block.payload.blockHash)
}

function payloadJson({ payload }: ExecutedBlock): Json {
  const { parentBeaconBlockRoot: _, executionRequests, withdrawals, ...fields } = payload
  const plain = Object.entries(fields).map(([name, value]) => {
    if (value instanceof Uint8Array) return [name, hex(value)]
    return [name, Array.isArray(value) ? value.map(hex) : quantity(value as number | bigint)]
  })
  const rows = withdrawals.map(({ index, validatorIndex, address, amountGwei }) => ({
    index: quantity(index),
    validatorIndex: quantity(validatorIndex),
    address: hex(address),
    amount: quantity(amountGwei),
  }))
  return {
    executionPayload: { ...Object.fromEntries(plain), withdrawals: rows },
    executionRequests: executionRequests.map(hex),
    blockValue: '0x0',
    shouldOverrideBuilder: false,
  }
}
