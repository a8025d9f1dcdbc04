/** The message registry: rows are data that the messages room gives; here they are checked and numbered. */
import { BLOCK_TIMEOUT_MS } from './limits.ts'
import { type MessageSpec, type Overflow, PRIORITIES } from './message.ts'

/** A row with its class number, as the hot path reads it. */
export interface MessageRow {
  readonly type: string
  /** Index in PRIORITIES, 0 is the highest. */
  readonly rank: number
  readonly overflow: Overflow
  readonly coalesce: boolean
  readonly blockMs: number
  readonly spec: MessageSpec
}

export interface Registry {
  /** Throws on an unknown type: sending one is a bug. */
  row(type: string): MessageRow
  readonly rows: readonly MessageRow[]
}

const toRow = (spec: MessageSpec): MessageRow => {
  const rank = PRIORITIES.indexOf(spec.priority)
  if (rank < 0) throw new Error(`message ${spec.type}: unknown priority ${spec.priority}`)
  const drops = spec.overflow === 'dropOldest' || spec.overflow === 'dropNewest'
  if (spec.neverDrop === true && drops) {
    throw new Error(`message ${spec.type}: never dropped, yet its overflow is ${spec.overflow}`)
  }
  if (spec.coalesce !== undefined && spec.reply !== undefined) {
    throw new Error(`message ${spec.type}: a request cannot be coalesced`)
  }
  return {
    type: spec.type,
    rank,
    overflow: spec.overflow,
    coalesce: spec.coalesce === 'latest',
    blockMs: BLOCK_TIMEOUT_MS[spec.priority],
    spec,
  }
}

export const createRegistry = (specs: readonly MessageSpec[]): Registry => {
  const byType = new Map<string, MessageRow>()
  for (const spec of specs) {
    if (byType.has(spec.type)) throw new Error(`message ${spec.type} is registered twice`)
    byType.set(spec.type, toRow(spec))
  }
  return {
    row: (type) => {
      const row = byType.get(type)
      if (row === undefined) throw new Error(`message ${type} is not in the registry`)
      return row
    },
    rows: [...byType.values()],
  }
}
