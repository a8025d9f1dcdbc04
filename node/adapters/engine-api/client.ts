/** The calls of the Engine API and of the client's JSON-RPC that the adapter makes, their answers checked. */
import type { z } from 'zod'
import type { ExecutionPayload } from '../../../core/block/index.ts'
import type { BuildRequest, EngineHead, Receipt } from '../../../vm/evm/index.ts'
import { jwtOf } from './jwt.ts'
import { type ClientResult, createTransport, faulty, type Transport } from './transport.ts'
import * as wire from './wire.ts'

export interface ClientOptions {
  /** The authenticated port. */
  readonly url: string
  /** Where reads go [the authenticated port]. */
  readonly readUrl?: string
  readonly jwtSecret: Uint8Array
  readonly nowMs: () => number
  readonly maxAnswerBytes?: number
  /** For a payload that was built, and for any other call of the Engine API [1 s, 8 s]. */
  readonly timeouts?: { readonly getPayloadMs: number; readonly engineMs: number }
}

/** As execution-apis has them for callers of the Engine API. */
const TIMEOUTS = { getPayloadMs: 1_000, engineMs: 8_000 }
const READ_MS = 5_000
/** Calls run as long as the API lets them. */
const QUESTION_MS = 30_000

const NEEDED = ['engine_newPayloadV4', 'engine_forkchoiceUpdatedV3'] as const
/** The first that the client has: V5 came with Osaka, whose payloads are those of V4. */
const GET_PAYLOAD = ['engine_getPayloadV5', 'engine_getPayloadV4'] as const

export type BlockTag = number | 'latest'

export class ExecutionClient {
  readonly #engine: Transport
  readonly #reads: Transport
  readonly #timeouts: { readonly getPayloadMs: number; readonly engineMs: number }
  #getPayload: string = GET_PAYLOAD[0]

  constructor({ url, readUrl, jwtSecret, nowMs, maxAnswerBytes, timeouts }: ClientOptions) {
    this.#timeouts = timeouts ?? TIMEOUTS
    const bound = { ...(maxAnswerBytes !== undefined && { maxAnswerBytes }) }
    this.#engine = createTransport({ url, token: () => jwtOf(jwtSecret, nowMs()), ...bound })
    this.#reads = readUrl === undefined ? this.#engine : createTransport({ url: readUrl, ...bound })
  }

  /** Methods that it lacks; none: it can be worked with. */
  async missingMethods(): Promise<ClientResult<readonly string[]>> {
    const ours = [[...NEEDED, ...GET_PAYLOAD]]
    const answer = await this.#engine.call('engine_exchangeCapabilities', ours, READ_MS)
    const theirs = checked(answer, wire.capabilities)
    if (!theirs.ok) return theirs
    const known = new Set(theirs.value)
    const getPayload = GET_PAYLOAD.find((name) => known.has(name))
    this.#getPayload = getPayload ?? this.#getPayload
    const missing = NEEDED.filter((name) => !known.has(name))
    return {
      ok: true,
      value: getPayload === undefined ? [...missing, GET_PAYLOAD[0]] : missing,
    }
  }

  async chainId(): Promise<ClientResult<number>> {
    return checked(await this.#engine.read('eth_chainId', [], READ_MS), wire.count)
  }

  /** Undefined: it has no such block. */
  async blockAt(tag: BlockTag): Promise<ClientResult<EngineHead | undefined>> {
    const params = [tag === 'latest' ? tag : wire.quantity(tag), false]
    const answer = await this.#engine.read('eth_getBlockByNumber', params, READ_MS)
    const block = checked(isAbsent(answer) ? { ok: true, value: null } : answer, wire.blockName)
    return block.ok ? { ok: true, value: block.value ?? undefined } : block
  }

  async newPayload(payload: ExecutionPayload): Promise<ClientResult<wire.PayloadStatus>> {
    const params = wire.payloadParams(payload)
    return checked(
      await this.#engine.call('engine_newPayloadV4', params, this.#timeouts.engineMs),
      wire.payloadStatus,
    )
  }

  /** With a request: a payload on `head` is begun, and the answer names it. */
  async forkchoice(head: Uint8Array, committed: Uint8Array, request?: BuildRequest) {
    const params = wire.forkchoiceParams(head, committed, request)
    return checked(
      await this.#engine.call('engine_forkchoiceUpdatedV3', params, this.#timeouts.engineMs),
      wire.forkchoiceAnswer,
    )
  }

  async getPayload(
    id: string,
    parentBeaconBlockRoot: Uint8Array,
  ): Promise<ClientResult<ExecutionPayload>> {
    const answer = await this.#engine.call(this.#getPayload, [id], this.#timeouts.getPayloadMs)
    const built = checked(answer, wire.builtPayload)
    if (!built.ok) return built
    return { ok: true, value: wire.payloadOf(built.value, parentBeaconBlockRoot) }
  }

  /** By hash of any block, by height of the canonical chain; undefined: it has none by this name. */
  async receipts(
    block: Uint8Array | number,
  ): Promise<ClientResult<readonly Receipt[] | undefined>> {
    const params = [typeof block === 'number' ? wire.quantity(block) : wire.hex(block)]
    const answer = await this.#reads.read('eth_getBlockReceipts', params, this.#timeouts.engineMs)
    const read = checked(isAbsent(answer) ? { ok: true, value: null } : answer, wire.blockReceipts)
    if (!read.ok) return read
    return { ok: true, value: read.value === null ? undefined : wire.receiptsOf(read.value) }
  }

  /** Into its pool. What it says of one is its own matter: the block shows what it took. */
  async sendTransactions(raws: readonly Uint8Array[]): Promise<void> {
    await Promise.all(
      raws.map((raw) => this.#engine.read('eth_sendRawTransaction', [wire.hex(raw)], READ_MS)),
    )
  }

  /** A read of state. */
  async read<T>(
    schema: z.ZodType<T>,
    method: string,
    params: readonly unknown[],
  ): Promise<ClientResult<T>> {
    return checked(await this.#reads.read(method, params, READ_MS), schema)
  }

  /** A call, an estimate, a trace: unchecked. */
  question(method: string, params: readonly unknown[]): Promise<ClientResult<unknown>> {
    return this.#reads.call(method, params, QUESTION_MS)
  }

  close(): void {
    this.#engine.close()
    this.#reads.close()
  }
}

function checked<T>(answer: ClientResult<unknown>, schema: z.ZodType<T>): ClientResult<T> {
  if (!answer.ok) return answer
  const parsed = schema.safeParse(answer.value)
  if (parsed.success) return { ok: true, value: parsed.data }
  const [issue] = parsed.error.issues
  return faulty('BadAnswer', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'bad answer'}`)
}

/** Some clients answer null for a block that they do not have, some with an error. */
function isAbsent(answer: ClientResult<unknown>): boolean {
  if (answer.ok) return answer.value === null || answer.value === undefined
  return (
    answer.fault.code === 'RpcError' &&
    /not found|unknown block|not exist/i.test(answer.fault.reason)
  )
}
