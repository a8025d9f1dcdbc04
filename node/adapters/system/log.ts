import { pino } from 'pino'
import type { LogLevel, LogRecord, LogSink } from '../../../supervisor/index.ts'

/** What one log line can be at most; longer field values are cut. */
const MAX_TEXT = 2_000
const MAX_DEPTH = 4
const MAX_ITEMS = 50

/**
 * What each level means. error: a person has to act. warn: something failed and the node goes on. info: what an
 * operator follows (a block, a step of a peg operation, an actor's life). debug: single messages. trace: bytes.
 */
const RANK: Readonly<Record<LogLevel, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 }

export type LogFormat = 'json' | 'text'

export interface LogOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** Levels of single actors, by the first part of their path. */
  readonly levels?: Readonly<Record<string, LogLevel>>
  /** Where lines go: standard output unless told. */
  readonly write?: (line: string) => void
  /** Stands in every line: which node speaks. */
  readonly node?: string
}

/** A log sink whose levels may change while running. */
export interface SystemLog extends LogSink {
  setLevel(level: LogLevel, actor?: string): void
  level(actor?: string): LogLevel
}

/** pino's JSON lines, or lines for people. */
export function createLog(options: LogOptions): SystemLog {
  const perActor = new Map(Object.entries(options.levels ?? {}))
  let level = options.level
  const levelOf = (actor: string) => perActor.get(actor.split('/', 1)[0] as string) ?? level
  const write = options.format === 'json' ? jsonWriter(options) : textWriter(options)
  return {
    write: (record) => {
      if (RANK[record.level] >= RANK[levelOf(record.actor)]) write(record)
    },
    setLevel: (next, actor) => {
      if (actor === undefined) level = next
      else perActor.set(actor, next)
    },
    level: (actor) => (actor === undefined ? level : levelOf(actor)),
  }
}

function jsonWriter(options: LogOptions): (record: LogRecord) => void {
  const destination =
    options.write === undefined
      ? pino.destination({ dest: 1, sync: true })
      : { write: options.write }
  const logger = pino(
    {
      level: 'trace',
      base: options.node === undefined ? {} : { node: options.node },
      timestamp: false,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  return (record) => {
    const { level, atMs, actor, event, correlationId, fields } = record
    const line: Record<string, unknown> = { time: new Date(atMs).toISOString(), actor }
    if (correlationId !== undefined) line['correlationId'] = correlationId
    if (fields !== undefined) line['fields'] = toPlain(fields)
    logger[level](line, event)
  }
}

function textWriter(options: LogOptions): (record: LogRecord) => void {
  const write = options.write ?? ((line: string) => void process.stdout.write(line))
  const node = options.node === undefined ? '' : `${options.node} `
  return ({ level, atMs, actor, event, correlationId, fields }) => {
    const time = new Date(atMs).toISOString().slice(11, 23)
    const head = `${time} ${node}${level.toUpperCase().padEnd(5)} ${actor.padEnd(8)} ${event}`
    const tail = Object.entries(fields ?? {}).map(([key, value]) => ` ${key}=${textOf(value)}`)
    const id = correlationId === undefined || level === 'info' ? '' : ` (${correlationId})`
    write(`${head}${tail.join('')}${id}\n`)
  }
}

function textOf(value: unknown): string {
  const plain = toPlain(value)
  return typeof plain === 'string' && !/[\s="]/.test(plain) ? plain : JSON.stringify(plain)
}

/** Bytes as hex, money as digits, errors by code and reason; bounded in depth, length and number. */
export function toPlain(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'string') {
    return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  }
  if (typeof value === 'function' || typeof value === 'symbol') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return toPlain(Buffer.from(value).toString('hex'))
  if (Error.isError(value)) return errorFields(value, depth)
  if (depth >= MAX_DEPTH) return '…'
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => toPlain(item, depth + 1))
  if (value instanceof Map) return toPlain(Object.fromEntries(value), depth)
  const entries = Object.entries(value).slice(0, MAX_ITEMS)
  return Object.fromEntries(entries.map(([key, item]) => [key, toPlain(item, depth + 1)]))
}

function errorFields(error: Error, depth: number): unknown {
  const { code, cause } = error as Error & { code?: unknown }
  return {
    ...(typeof code === 'string' ? { code } : {}),
    message: error.message,
    stack: toPlain(error.stack),
    ...(cause === undefined || depth >= MAX_DEPTH ? {} : { cause: toPlain(cause, depth + 1) }),
  }
}
