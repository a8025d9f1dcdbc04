/**
 * JSON-RPC 1.0 and 2.0: from the text of a request to the text of its answer. A request that names no version is
 * 1.0 and is answered with both `result` and `error`; a 2.0 request without id is not answered at all.
 */
import { z } from 'zod'
import { ApiFailure, isFailure } from './errors.ts'
import type { CallContext, Method, MethodTable } from './method.ts'
import { describeIssues } from './params.ts'
import type { Rates } from './rates.ts'
import type { Subscriber } from './subscriptions.ts'

export interface Caller {
  /** Address that the request came from. */
  readonly client: string
  readonly admin: boolean
  /** Over WebSocket. */
  readonly subscriber?: Subscriber
}

export interface RpcAnswer {
  /** Undefined: there was nothing to answer. */
  readonly body: string | undefined
  readonly status: number
  readonly retryAfterMs?: number
}

/** How one call went, for metrics. */
export interface CallReport {
  readonly method: string
  readonly outcome: 'ok' | 'error' | 'limited'
  readonly tookMs: number
}

export interface DispatchParts {
  readonly context: CallContext
  readonly methods: MethodTable
  readonly rates: Rates
  readonly onCall: (report: CallReport) => void
  /** Writes a bug to the log and gives the id under which it stands there. */
  readonly onBug: (method: string, error: unknown) => string
}

export type Dispatch = (text: string, caller: Caller) => Promise<RpcAnswer>

const requestSchema = z.object({
  jsonrpc: z.literal(['1.0', '1.1', '2.0']).optional(),
  id: z.union([z.string().max(512), z.number(), z.null()]).optional(),
  method: z.string().min(1).max(128),
  params: z.unknown().optional(),
})
type RpcRequest = z.output<typeof requestSchema>

interface Answered {
  /** Undefined for a notification. */
  readonly text: string | undefined
  readonly failure: ApiFailure | undefined
  readonly retryAfterMs?: number
}

export function createDispatch(parts: DispatchParts): Dispatch {
  const { limits } = parts.context
  return async (text, caller) => {
    const parsed = parseJson(text)
    if (parsed === undefined) return refuse(new ApiFailure('ParseError'))
    if (!Array.isArray(parsed.value)) return single(parts, parsed.value, caller)
    const items: readonly unknown[] = parsed.value
    if (items.length === 0) return refuse(new ApiFailure('InvalidRequest', 'empty batch'))
    if (items.length > limits.batchItems) {
      return refuse(new ApiFailure('LimitExceeded', `batch of more than ${limits.batchItems}`))
    }
    return batch(parts, items, caller)
  }
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** An answer to a request of which not even the id is known. */
function refuse(failure: ApiFailure): RpcAnswer {
  const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: failure.toJson() })
  return { body, status: failure.row.http }
}

async function single(parts: DispatchParts, item: unknown, caller: Caller): Promise<RpcAnswer> {
  const { text, failure, retryAfterMs } = await answer(parts, item, caller)
  if (text === undefined) return { body: undefined, status: 204 }
  if (text.length > parts.context.limits.responseBytes) {
    return refuse(new ApiFailure('LimitExceeded', 'response too large'))
  }
  if (failure?.code === 'RateLimited' && retryAfterMs !== undefined) {
    return { body: text, status: failure.row.http, retryAfterMs }
  }
  const refused = failure?.code === 'InvalidRequest' || failure?.code === 'Unauthorized'
  return { body: text, status: refused ? failure.row.http : 200 }
}

/**
 * Items run side by side, a few at a time; what no longer fits the response becomes an error. What is submitted only waits for the
 * actor that takes it, which looks at all that waits together: it begins in its order and holds up nothing behind it.
 */
async function batch(
  parts: DispatchParts,
  items: readonly unknown[],
  caller: Caller,
): Promise<RpcAnswer> {
  const { batchConcurrency, responseBytes } = parts.context.limits
  const texts: (string | undefined)[] = new Array(items.length)
  const submitted: Promise<void>[] = []
  let bytes = 0
  let next = 0
  const take = async (at: number) => {
    const full = bytes > responseBytes
    const { text } = full ? tooLarge(items[at]) : await answer(parts, items[at], caller)
    bytes += text?.length ?? 0
    texts[at] = bytes > responseBytes && !full ? tooLarge(items[at]).text : text
  }
  const worker = async () => {
    while (next < items.length) {
      const at = next
      next += 1
      const taken = take(at)
      if (!isSubmission(parts, items[at])) await taken
      else {
        submitted.push(taken)
        // Its failure is met below, when the others have begun.
        taken.catch(() => undefined)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(batchConcurrency, items.length) }, worker))
  await Promise.all(submitted)
  const answers = texts.filter((text) => text !== undefined)
  if (answers.length === 0) return { body: undefined, status: 204 }
  return { body: `[${answers.join(',')}]`, status: 200 }
}

function isSubmission({ methods }: DispatchParts, item: unknown): boolean {
  const name = (item as { readonly method?: unknown } | null)?.method
  return typeof name === 'string' && Object.hasOwn(methods, name) && methods[name]?.rate === 'send'
}

function tooLarge(item: unknown): Answered {
  const failure = new ApiFailure('LimitExceeded', 'response too large')
  const request = requestSchema.safeParse(item)
  return { text: errorText(request.success ? request.data : undefined, failure), failure }
}

async function answer(parts: DispatchParts, item: unknown, caller: Caller): Promise<Answered> {
  const parsed = requestSchema.safeParse(item)
  if (!parsed.success) {
    const failure = new ApiFailure('InvalidRequest')
    return { text: errorText(undefined, failure), failure }
  }
  const request = parsed.data
  const notification = request.jsonrpc === '2.0' && request.id === undefined
  const { result, retryAfterMs } = await callMethod(parts, request, caller)
  const failure = isFailure(result) ? result : undefined
  const text = failure === undefined ? resultText(request, result) : errorText(request, failure)
  return {
    text: notification ? undefined : text,
    failure,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

interface Called {
  readonly result: unknown
  readonly retryAfterMs?: number
}

async function callMethod(
  parts: DispatchParts,
  request: RpcRequest,
  caller: Caller,
): Promise<Called> {
  const { context, methods, rates, onCall } = parts
  const name = request.method
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  if (method === undefined) {
    onCall({ method: 'unknown', outcome: 'error', tookMs: 0 })
    const message = `the method ${name} does not exist/is not available`
    return { result: new ApiFailure('MethodNotFound', message) }
  }
  if (method.rate === 'admin' && !caller.admin) return { result: new ApiFailure('Unauthorized') }
  const retryAfterMs = rates.take(caller.client, name, method.rate)
  if (retryAfterMs !== undefined) {
    onCall({ method: name, outcome: 'limited', tookMs: 0 })
    return { result: new ApiFailure('RateLimited', `too many calls of ${name}`), retryAfterMs }
  }
  const startedAtMs = context.clock.nowMs()
  const { subscriber } = caller
  const own = subscriber === undefined ? context : { ...context, subscriber }
  const result = await runMethod({ ...parts, context: own }, name, method, request.params)
  const tookMs = context.clock.nowMs() - startedAtMs
  onCall({ method: name, outcome: isFailure(result) ? 'error' : 'ok', tookMs })
  return { result }
}

async function runMethod(
  { context, onBug }: DispatchParts,
  name: string,
  method: Method,
  given: unknown,
): Promise<unknown> {
  const list = positional(given, method.bare === true)
  if (list === undefined) return new ApiFailure('InvalidParams', 'params must be a list')
  const params = method.params.safeParse(list)
  if (!params.success) return new ApiFailure('InvalidParams', describeIssues(params.error))
  try {
    const result = await method.run(context, params.data)
    return result === undefined ? null : result
  } catch (error) {
    return new ApiFailure('Internal', undefined, { incident: onBug(name, error) })
  }
}

/** Parameters as a list; undefined when they are given by name. */
function positional(given: unknown, bare: boolean): readonly unknown[] | undefined {
  if (given === undefined || given === null) return []
  if (Array.isArray(given)) return given
  return bare && typeof given !== 'object' ? [given] : undefined
}

function resultText(request: RpcRequest, result: unknown): string {
  const id = request.id ?? null
  return request.jsonrpc === '2.0'
    ? JSON.stringify({ jsonrpc: '2.0', id, result })
    : JSON.stringify({ result, error: null, id })
}

function errorText(request: RpcRequest | undefined, failure: ApiFailure): string {
  const id = request?.id ?? null
  const error = failure.toJson()
  return request === undefined || request.jsonrpc === '2.0'
    ? JSON.stringify({ jsonrpc: '2.0', id, error })
    : JSON.stringify({ result: null, error, id })
}
