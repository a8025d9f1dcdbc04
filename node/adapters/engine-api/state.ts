/** Accounts and questions about state, answered by the client. */
import { z } from 'zod'
import {
  type AnswerOf,
  type CallFault,
  type CallRequest,
  MAX_TRANSACTION_GAS,
  type QuestionKind,
  type Questions,
  type StateGone,
  type TraceConfig,
} from '../../../vm/evm/index.ts'
import type { ExecutionClient } from './client.ts'
import type { ClientFault } from './transport.ts'
import { bytes, hash, hex, quantity, wei } from './wire.ts'

/** Accounts after one block. Each read rejects where the client does not answer it. */
export class ClientState {
  readonly #client: ExecutionClient
  readonly #height: () => number

  constructor(client: ExecutionClient, height: () => number) {
    this.#client = client
    this.#height = height
  }

  balanceWei(address: Uint8Array): Promise<bigint> {
    return this.#read(wei, 'eth_getBalance', [hex(address)])
  }

  nonce(address: Uint8Array): Promise<bigint> {
    return this.#read(wei, 'eth_getTransactionCount', [hex(address)])
  }

  code(address: Uint8Array): Promise<Uint8Array> {
    return this.#read(bytes, 'eth_getCode', [hex(address)])
  }

  /** The slot's word, 32 bytes; some clients leave out its zeros. */
  async storage(address: Uint8Array, slot: Uint8Array): Promise<Uint8Array> {
    const value = await this.#read(wei, 'eth_getStorageAt', [hex(address), hex(slot)])
    return Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
  }

  async #read<T>(schema: z.ZodType<T>, method: string, params: readonly unknown[]): Promise<T> {
    const block = quantity(this.#height())
    const result = await this.#client.read(schema, method, [...params, block])
    if (result.ok) return result.value
    throw new Error(`${method}: ${result.fault.code}: ${result.fault.reason}`)
  }
}

/** Blocks of the mirror that a trace is asked of. */
export interface TracedBlocks {
  headHeight(): number
  transactionHashes(height: number): readonly Uint8Array[] | undefined
}

const accessList = z.object({
  accessList: z.array(z.object({ address: bytes, storageKeys: z.array(hash) })),
  gasUsed: wei,
  error: z.string().nullish(),
})
const proof = z.object({
  balance: wei,
  nonce: wei,
  codeHash: hash,
  storageHash: hash,
  accountProof: z.array(bytes),
  storageProof: z.array(z.object({ key: z.string(), value: wei, proof: z.array(bytes) })),
})

/** Asks the client what the embedded engine's threads would be asked. */
export async function askClient<Kind extends QuestionKind>(
  client: ExecutionClient,
  blocks: TracedBlocks,
  kind: Kind,
  question: Questions[Kind],
): Promise<AnswerOf<Kind>> {
  return (await answer(client, blocks, { kind, question } as Asked)) as AnswerOf<Kind>
}

type Asked = {
  readonly [K in QuestionKind]: { readonly kind: K; readonly question: Questions[K] }
}[QuestionKind]

async function answer(
  client: ExecutionClient,
  blocks: TracedBlocks,
  { kind, question }: Asked,
): Promise<AnswerOf<QuestionKind>> {
  const block = quantity(question.height ?? blocks.headHeight())
  switch (kind) {
    case 'call': {
      const given = callParams(question.request, block)
      const result = await client.question('eth_call', given)
      if (!result.ok) return faultOf(result.fault)
      return { ok: true, returnValue: expect(bytes, result.value) }
    }
    case 'estimateGas': {
      // Some clients begin with the limit of a block, which no transaction may have.
      const gasLimit = question.request.gasLimit ?? MAX_TRANSACTION_GAS
      const given = callParams({ ...question.request, gasLimit }, block)
      const result = await client.question('eth_estimateGas', given)
      return result.ok ? { ok: true, gas: expect(wei, result.value) } : faultOf(result.fault)
    }
    case 'createAccessList': {
      const given = callParams(question.request, block)
      const result = await client.question('eth_createAccessList', given)
      if (!result.ok) return faultOf(result.fault)
      const { error, ...list } = expect(accessList, result.value)
      if (error !== null && error !== undefined) return { ok: false, code: 'Halted', reason: error }
      return { ok: true, ...list }
    }
    case 'traceCall': {
      const { accounts, block: supposed, ...request } = question.request
      const overrides = overridesJson({ accounts, block: supposed })
      const result = await client.question('debug_traceCall', [
        callJson(request),
        block,
        { ...traceJson(question.config), ...overrides },
      ])
      return result.ok ? { ok: true, trace: result.value } : faultOf(result.fault)
    }
    case 'traceBlock': {
      const hashes = blocks.transactionHashes(question.height) ?? []
      const config = traceJson(question.config)
      const traces: unknown[] = []
      for (const name of hashes.slice(question.from, question.to + 1)) {
        const result = await client.question('debug_traceTransaction', [hex(name), config])
        if (!result.ok) return unavailable(result.fault)
        traces.push(result.value)
      }
      return { ok: true, traces }
    }
    case 'proof': {
      const { address, slots } = question
      const result = await client.question('eth_getProof', [hex(address), slots.map(hex), block])
      if (!result.ok) return unavailable(result.fault)
      const read = expect(proof, result.value)
      return {
        ok: true,
        proof: {
          nonce: read.nonce,
          balanceWei: read.balance,
          codeHash: read.codeHash,
          storageRoot: read.storageHash,
          proof: read.accountProof,
          slots: slots.map((slot, at) => ({
            slot,
            value: shortest(read.storageProof[at]?.value ?? 0n),
            proof: read.storageProof[at]?.proof ?? [],
          })),
        },
      }
    }
  }
}

/** An answer in another shape is a bug of the client, not of whoever asked. */
function expect<T>(schema: z.ZodType<T>, value: unknown): T {
  return schema.parse(value)
}

/** Code of a reverted call, with what it returned as data. */
const REVERTED = 3

function faultOf(fault: ClientFault): CallFault | StateGone {
  if (fault.code !== 'RpcError') throw unanswered(fault)
  const returned = bytes.safeParse(fault.data)
  if (returned.success && (fault.rpcCode === REVERTED || returned.data.length > 0)) {
    return { ok: false, code: 'Reverted', returnValue: returned.data }
  }
  return isGone(fault) ? GONE : { ok: false, code: 'Halted', reason: fault.reason }
}

function unavailable(fault: ClientFault): StateGone {
  if (fault.code === 'RpcError') return GONE
  throw unanswered(fault)
}

const GONE: StateGone = { ok: false, code: 'StateUnavailable' }

/** The words of several clients for a state that they pruned. */
function isGone({ reason }: ClientFault): boolean {
  return /missing trie node|state.{0,40}(?:not available|unavailable|pruned)|header not found/i.test(
    reason,
  )
}

function unanswered({ code, reason }: ClientFault): Error {
  return new Error(`the execution client: ${code}: ${reason}`)
}

function callParams(request: CallRequest, block: string): readonly unknown[] {
  const { accounts, block: supposed, ...call } = request
  const { stateOverrides, blockOverrides } = overridesJson({ accounts, block: supposed })
  const params = [callJson(call), block]
  if (blockOverrides !== undefined) return [...params, stateOverrides ?? {}, blockOverrides]
  return stateOverrides === undefined ? params : [...params, stateOverrides]
}

function callJson(request: Omit<CallRequest, 'accounts' | 'block'>): Json {
  const {
    from,
    to,
    data,
    valueWei,
    gasLimit,
    gasPriceWei,
    accessList: list,
    authorizations,
  } = request
  return {
    ...(from && { from: hex(from) }),
    ...(to && { to: hex(to) }),
    ...(data && { data: hex(data) }),
    ...(valueWei !== undefined && { value: quantity(valueWei) }),
    ...(gasLimit !== undefined && { gas: quantity(gasLimit) }),
    ...(gasPriceWei !== undefined && { gasPrice: quantity(gasPriceWei) }),
    ...(list && {
      accessList: list.map(({ address, storageKeys }) => {
        return { address: hex(address), storageKeys: storageKeys.map(hex) }
      }),
    }),
    ...(authorizations && {
      authorizationList: authorizations.map(({ chainId, address, nonce, yParity, r, s }) => ({
        chainId: quantity(chainId),
        address: hex(address),
        nonce: quantity(nonce),
        yParity: quantity(yParity),
        r: quantity(r),
        s: quantity(s),
      })),
    }),
  }
}

function overridesJson({ accounts, block }: Pick<CallRequest, 'accounts' | 'block'>) {
  const slots = (rows: readonly SlotOverride[]) =>
    Object.fromEntries(rows.map(([slot, word]) => [hex(slot), hex(word)]))
  const stateOverrides = accounts?.map(({ address, nonce, balanceWei, code, state, stateDiff }) => [
    hex(address),
    {
      ...(nonce !== undefined && { nonce: quantity(nonce) }),
      ...(balanceWei !== undefined && { balance: quantity(balanceWei) }),
      ...(code && { code: hex(code) }),
      ...(state && { state: slots(state) }),
      ...(stateDiff && { stateDiff: slots(stateDiff) }),
    },
  ])
  return {
    ...(stateOverrides && { stateOverrides: Object.fromEntries(stateOverrides) as Json }),
    ...(block && { blockOverrides: blockJson(block) }),
  }
}

function blockJson(block: NonNullable<CallRequest['block']>): Json {
  const { number, timestamp, gasLimit, baseFeeWei, feeRecipient, prevRandao } = block
  return {
    ...(number !== undefined && { number: quantity(number) }),
    ...(timestamp !== undefined && { time: quantity(timestamp) }),
    ...(gasLimit !== undefined && { gasLimit: quantity(gasLimit) }),
    ...(baseFeeWei !== undefined && { baseFeePerGas: quantity(baseFeeWei) }),
    ...(feeRecipient && { feeRecipient: hex(feeRecipient) }),
    ...(prevRandao && { prevRandao: hex(prevRandao) }),
  }
}

function traceJson(config: TraceConfig): Json {
  const { tracer, onlyTopCall, withLog, diffMode, ...steps } = config
  if (tracer === undefined) return { ...steps }
  return { tracer, tracerConfig: { onlyTopCall, withLog, diffMode } }
}

function shortest(value: bigint): Uint8Array {
  return value === 0n ? new Uint8Array(0) : Uint8Array.from(Buffer.from(even(value), 'hex'))
}

function even(value: bigint): string {
  const digits = value.toString(16)
  return digits.length % 2 === 0 ? digits : `0${digits}`
}

type Json = Record<string, unknown>
type SlotOverride = readonly [slot: Uint8Array, word: Uint8Array]
