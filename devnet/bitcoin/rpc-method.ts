/** How RPC methods of this regtest are declared: named parameters with types, answers as values. */
import { parseHex } from './bytes.ts'
import { COIN_SAT } from './chain-params.ts'
import type { Regtest } from './regtest.ts'
import { MAX_MONEY_SAT } from './transaction.ts'

/** Codes of Bitcoin Core (rpc/protocol.h). */
export const RPC = {
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  INTERNAL_ERROR: -32603,
  PARSE_ERROR: -32700,
  MISC_ERROR: -1,
  TYPE_ERROR: -3,
  INVALID_ADDRESS_OR_KEY: -5,
  INVALID_PARAMETER: -8,
  DATABASE_ERROR: -20,
  DESERIALIZATION_ERROR: -22,
  VERIFY_ERROR: -25,
  VERIFY_REJECTED: -26,
  VERIFY_ALREADY_IN_CHAIN: -27,
} as const

export type RpcCode = (typeof RPC)[keyof typeof RPC]

export interface RpcFault {
  readonly error: { readonly code: RpcCode; readonly message: string }
}

export type RpcAnswer = { readonly result: unknown } | RpcFault

export const answer = (result: unknown): RpcAnswer => ({ result })

export const fault = (code: RpcCode, message: string): RpcFault => ({ error: { code, message } })

export function isFault(value: object): value is RpcFault {
  return 'error' in value
}

/** What methods work on. */
export interface RpcContext {
  readonly regtest: Regtest
  readonly startedAtSeconds: number
  /** Ends the process or server once the answer is out. */
  readonly stop: () => void
}

/** A parameter: what JSON type it must have and how its value is read. `undefined` and null mean absent. */
export interface Param<T> {
  readonly required: boolean
  /** False where Core reports a wrong type without naming the position. */
  readonly positioned?: false
  readonly read: (value: unknown, name: string) => { readonly value: T } | RpcFault
}

export interface Method {
  readonly params: readonly string[]
  readonly call: (context: RpcContext, args: readonly unknown[]) => RpcAnswer
}

type Values<P> = { [K in keyof P]: P[K] extends Param<infer T> ? T : never }

/** Declares a method; its parameters are positional in the order of their declaration. */
export function method<P extends Record<string, Param<unknown>>>(
  params: P,
  run: (context: RpcContext, values: Values<P>) => RpcAnswer,
): Method {
  const names = Object.keys(params)
  const needed = names.findLastIndex((name) => params[name]?.required === true) + 1
  return {
    params: names,
    call: (context, args) => {
      if (args.length < needed || args.length > names.length) {
        return fault(RPC.MISC_ERROR, `usage: ${usage(names, needed)}`)
      }
      const values: Record<string, unknown> = {}
      for (const [index, name] of names.entries()) {
        const param = params[name]
        if (param === undefined) continue
        const given = args[index] ?? (param.required ? null : undefined)
        const read = param.read(given, name)
        if (isFault(read)) return param.positioned === false ? read : positioned(read, index, name)
        values[name] = read.value
      }
      return run(context, values as Values<P>)
    },
  }
}

/** Core names the position of an argument that has the wrong JSON type. */
function positioned(read: RpcFault, index: number, name: string): RpcFault {
  const { code, message } = read.error
  if (code !== RPC.TYPE_ERROR || !message.startsWith('JSON value')) return read
  const line = `"Position ${index + 1} (${name})": "${message}"`
  return fault(RPC.TYPE_ERROR, `Wrong type passed:\n{\n    ${line}\n}`)
}

function usage(names: readonly string[], needed: number): string {
  return names.map((name, index) => (index < needed ? name : `( ${name} )`)).join(' ')
}

function jsonType(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function mismatch(value: unknown, expected: string): RpcFault {
  const message = `JSON value of type ${jsonType(value)} is not of expected type ${expected}`
  return fault(RPC.TYPE_ERROR, message)
}

/** The same parameter, which may be left out. */
export function optional<T, D>(param: Param<T>, fallback: D): Param<T | D> {
  return {
    ...param,
    required: false,
    read: (value, name) => (value === undefined ? { value: fallback } : param.read(value, name)),
  }
}

export const text: Param<string> = {
  required: true,
  read: (value) => (typeof value === 'string' ? { value } : mismatch(value, 'string')),
}

export const integer: Param<number> = {
  required: true,
  read: (value) => {
    if (typeof value !== 'number') return mismatch(value, 'number')
    const fits = Number.isInteger(value) && Math.abs(value) <= 0x7fffffff
    return fits ? { value } : fault(RPC.MISC_ERROR, 'JSON integer out of range')
  },
}

export const flag: Param<boolean> = {
  required: true,
  read: (value) => (typeof value === 'boolean' ? { value } : mismatch(value, 'bool')),
}

/** A level that older clients give as a truth value. */
export const verbosity: Param<number> = {
  required: true,
  positioned: false,
  read: (value, name) =>
    typeof value === 'boolean' ? { value: value ? 1 : 0 } : integer.read(value, name),
}

export const list: Param<readonly unknown[]> = {
  required: true,
  read: (value) => (Array.isArray(value) ? { value } : mismatch(value, 'array')),
}

export const record: Param<Readonly<Record<string, unknown>>> = {
  required: true,
  read: (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { value: value as Record<string, unknown> }
      : mismatch(value, 'object'),
}

/** 64 hex digits in display order. */
export const hash: Param<string> = {
  required: true,
  read: (value, name) => {
    if (typeof value !== 'string') return mismatch(value, 'string')
    if (value.length !== 64) {
      const message = `${name} must be of length 64 (not ${value.length}, for '${value.slice(0, 200)}')`
      return fault(RPC.INVALID_PARAMETER, message)
    }
    if (parseHex(value) === undefined) {
      return fault(RPC.INVALID_PARAMETER, `${name} must be hexadecimal string (not '${value}')`)
    }
    return { value: value.toLowerCase() }
  },
}

/** An amount in BTC, as a number or as text, in satoshi. */
export const amount: Param<bigint> = {
  required: true,
  read: (value) => {
    if (typeof value !== 'number' && typeof value !== 'string') {
      return fault(RPC.TYPE_ERROR, 'Amount is not a number or string')
    }
    const digits = typeof value === 'number' ? value.toFixed(8) : value
    const match = /^(\d{1,9})(?:\.(\d{1,8}))?$/.exec(digits)
    if (match === null) return fault(RPC.TYPE_ERROR, 'Invalid amount')
    const sat = BigInt(match[1] ?? '0') * COIN_SAT + BigInt((match[2] ?? '').padEnd(8, '0'))
    return sat > MAX_MONEY_SAT ? fault(RPC.TYPE_ERROR, 'Amount out of range') : { value: sat }
  },
}

/** Of ES2026, in Node 24, not yet among TypeScript's types. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => object }

/** An amount as Core prints it: a JSON number with eight decimals. */
export function btc(sat: bigint): object {
  const magnitude = sat < 0n ? -sat : sat
  const decimals = (magnitude % COIN_SAT).toString().padStart(8, '0')
  return rawJSON(`${sat < 0n ? '-' : ''}${magnitude / COIN_SAT}.${decimals}`)
}
