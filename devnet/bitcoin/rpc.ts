/** The method table and the JSON-RPC envelopes: 1.0 and 1.1 as Core 26 answers them, 2.0 as later releases do. */

import { INCREMENTAL_SAT_PER_KVB, MIN_RELAY_SAT_PER_KVB } from './policy.ts'
import { chainMethods } from './rpc-chain.ts'
import {
  answer,
  btc,
  fault,
  integer,
  isFault,
  type Method,
  method,
  optional,
  RPC,
  type RpcAnswer,
  type RpcContext,
  type RpcFault,
  text,
} from './rpc-method.ts'
import { miningMethods } from './rpc-mining.ts'
import { transactionMethods } from './rpc-transactions.ts'

export const SUBVERSION = '/MillraceRegtest:0.1.0/'
const CORE_VERSION = 260_000
const MAX_BATCH = 1_000

const controlMethods: Readonly<Record<string, Method>> = {
  getnetworkinfo: method({}, () =>
    answer({
      version: CORE_VERSION,
      subversion: SUBVERSION,
      protocolversion: 70_016,
      localservices: '0000000000000409',
      localservicesnames: ['NETWORK', 'WITNESS', 'NETWORK_LIMITED'],
      localrelay: true,
      timeoffset: 0,
      networkactive: false,
      connections: 0,
      connections_in: 0,
      connections_out: 0,
      networks: [],
      relayfee: btc(MIN_RELAY_SAT_PER_KVB),
      incrementalfee: btc(INCREMENTAL_SAT_PER_KVB),
      localaddresses: [],
      warnings: '',
    }),
  ),

  uptime: method({}, ({ regtest, startedAtSeconds }) =>
    answer(Math.max(0, regtest.nowSeconds() - startedAtSeconds)),
  ),

  help: method({ command: optional(text, undefined) }, (_, { command }) => {
    if (command === undefined) return answer(Object.keys(METHODS).sort().join('\n'))
    const found = METHODS[command]
    if (found === undefined) return answer(`help: unknown command: ${command.slice(0, 100)}\n`)
    return answer([command, ...found.params].join(' '))
  }),

  stop: method({ wait: optional(integer, undefined) }, ({ stop }) => {
    stop()
    return answer('Millrace Bitcoin regtest stopping')
  }),
}

const METHODS: Readonly<Record<string, Method>> = {
  ...chainMethods,
  ...transactionMethods,
  ...miningMethods,
  ...controlMethods,
}

/** HTTP status and body of the answer to one request body. */
export interface RpcReply {
  readonly status: number
  /** Absent for notifications. */
  readonly body?: string
}

/** Answers any request body. */
export function handleBody(context: RpcContext, body: string): RpcReply {
  const request = parseJson(body)
  if (Array.isArray(request) && request.length <= MAX_BATCH) {
    const replies = request.flatMap((one) => handleOne(context, one)?.envelope ?? [])
    if (replies.length === 0 && request.length > 0) return { status: 204 }
    return { status: 200, body: `${JSON.stringify(replies)}\n` }
  }
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    const message = request === undefined ? 'Parse error' : 'Top-level object parse error'
    const { error } = fault(RPC.PARSE_ERROR, message)
    return { status: 500, body: `${JSON.stringify({ result: null, error, id: null })}\n` }
  }
  const reply = handleOne(context, request)
  if (reply === undefined) return { status: 204 }
  return { status: reply.status, body: `${JSON.stringify(reply.envelope)}\n` }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** The envelope of one answer; undefined for a notification (a 2.0 request without id). */
function handleOne(
  context: RpcContext,
  request: unknown,
): { status: number; envelope: object } | undefined {
  const fields: Record<string, unknown> =
    typeof request === 'object' && request !== null && !Array.isArray(request) ? { ...request } : {}
  const isObject = Object.keys(fields).length > 0
  const outcome = isObject
    ? execute(context, fields)
    : fault(RPC.INVALID_REQUEST, 'Invalid Request object')
  const id = fields['id'] ?? null
  if (fields['jsonrpc'] === '2.0') {
    if (!('id' in fields)) return undefined
    return { status: 200, envelope: { jsonrpc: '2.0', ...outcome, id } }
  }
  if (!isFault(outcome)) {
    return { status: 200, envelope: { result: outcome.result, error: null, id } }
  }
  return { status: statusOf(outcome), envelope: { result: null, error: outcome.error, id } }
}

function statusOf({ error }: RpcFault): number {
  if (error.code === RPC.INVALID_REQUEST) return 400
  return error.code === RPC.METHOD_NOT_FOUND ? 404 : 500
}

function execute(context: RpcContext, fields: Record<string, unknown>): RpcAnswer {
  const { method: name, params = [] } = fields
  if (name === undefined || name === null) return fault(RPC.INVALID_REQUEST, 'Missing method')
  if (typeof name !== 'string') return fault(RPC.INVALID_REQUEST, 'Method must be a string')
  const found = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
  if (found === undefined) return fault(RPC.METHOD_NOT_FOUND, 'Method not found')
  if (Array.isArray(params)) return found.call(context, params)
  if (params === null) return found.call(context, [])
  if (typeof params !== 'object') {
    return fault(RPC.INVALID_REQUEST, 'Params must be an array or object')
  }
  return callNamed(context, found, { ...params })
}

function callNamed(context: RpcContext, found: Method, named: Record<string, unknown>): RpcAnswer {
  const { args, ...rest } = named
  const positional = Array.isArray(args) ? args : []
  const unknown = Object.keys(rest).find((key) => !found.params.includes(key))
  if (unknown !== undefined) {
    const message = `Unknown named parameter ${unknown.slice(0, 100)}`
    return fault(RPC.INVALID_PARAMETER, message)
  }
  const values = found.params.map((key, index) => rest[key] ?? positional[index])
  const given = values.findLastIndex((value) => value !== undefined) + 1
  return found.call(context, values.slice(0, Math.max(given, positional.length)))
}
