/**
 * The chain store's tables and how an older layout becomes this one. A migration says at once which layout it makes, so that the
 * program it came from refuses the store from then on, and moves on in transactions of bounded size, each with the place it has come to:
 * after a crash the next start goes on from there. A layout that is newer than this program is refused.
 */
import { mkdirSync } from 'node:fs'
import { type Database, open, type RootDatabase } from 'lmdb'
import { faultError } from '../../../supervisor/index.ts'
import { heightBytes, sealRecord } from './records.ts'

/**
 * 1: blocks and ledger rows as they are. 2: each with a checksum; `headers` of blocks whose bodies are gone.
 */
export const LAYOUT = 2

/** What a migration moves in one transaction. */
const STEP_RECORDS = 1_024
const STEP_BYTES = 16 * 1024 * 1024

export interface Tables {
  readonly root: RootDatabase<Uint8Array, number>
  readonly meta: Database<unknown, string>
  /** Height → checksum, hash, SSZ of the committed block. */
  readonly blocks: Database<Buffer, number>
  /** Height → checksum, hash, SSZ of header and certificate, where the body was pruned. */
  readonly headers: Database<Buffer, number>
  /** Hash → height. */
  readonly heights: Database<number, Buffer>
  /** Set and key → checksum, row. */
  readonly ledger: Database<Buffer, Buffer>
  /** Height of a write's last block → checksum, what the write did to the ledger. Of the last blocks. */
  readonly changes: Database<Buffer, number>
  readonly journal: Database<string, string>
  readonly halts: Database<string, string>
}

export function openTables(path: string, mode: 'read' | 'write'): Tables {
  if (mode === 'write') mkdirSync(path, { recursive: true, mode: 0o700 })
  const root: RootDatabase<Uint8Array, number> = open({
    path,
    maxDbs: 12,
    overlappingSync: false,
    readOnly: mode === 'read',
  })
  return {
    root,
    meta: root.openDB({ name: 'meta', encoding: 'json' }),
    blocks: root.openDB({ name: 'blocks', encoding: 'binary' }),
    headers: root.openDB({ name: 'headers', encoding: 'binary' }),
    heights: root.openDB({ name: 'heights', encoding: 'json', keyEncoding: 'binary' }),
    ledger: root.openDB({ name: 'ledger', encoding: 'binary', keyEncoding: 'binary' }),
    changes: root.openDB({ name: 'changes', encoding: 'binary' }),
    journal: root.openDB({ name: 'journal', encoding: 'string' }),
    halts: root.openDB({ name: 'halts', encoding: 'string' }),
  }
}

/** Why this program cannot use a store as it is; undefined when it can. */
export function layoutFault(tables: Tables): string | undefined {
  const layout = tables.meta.get('version')
  if (layout === LAYOUT && tables.meta.get('migration') === undefined) return undefined
  if (typeof layout === 'number' && layout > LAYOUT) {
    return `the chain store has layout ${layout}, this program knows ${LAYOUT}: run the newer program, or a directory from before`
  }
  return `the chain store has layout ${layout}, which a start of the node migrates to ${LAYOUT}`
}

/** Brings a store to this layout. Throws a `configuration` fault on one of a newer program. */
export function migrate(tables: Tables): void {
  for (const _ of migrationSteps(tables));
}

/** The same, one transaction after another: whoever stops in between left what a crash leaves. */
export function* migrationSteps(tables: Tables, stepRecords = STEP_RECORDS): Iterable<void> {
  const { meta, root } = tables
  const layout = meta.get('version')
  if (layout === undefined) {
    yield root.transactionSync(() => meta.putSync('version', LAYOUT))
  } else if (layout === 1) {
    yield root.transactionSync(() => {
      meta.putSync('version', LAYOUT)
      meta.putSync('migration', { table: 'blocks' } satisfies Progress)
    })
  } else if (layout !== LAYOUT) {
    throw faultError('LayoutUnknown', 'configuration', String(layoutFault(tables)))
  }
  for (;;) {
    const progress = meta.get('migration') as Progress | undefined
    if (progress === undefined) return
    yield root.transactionSync(() => addChecksums(tables, progress, stepRecords))
  }
}

/** How far the migration from 1 to 2 has come: all keys of the table up to `after` have checksums. */
interface Progress {
  readonly table: 'blocks' | 'ledger'
  /** Height, or key in hex. */
  readonly after?: number | string
}

function addChecksums(tables: Tables, { table, after }: Progress, stepRecords: number): void {
  const { blocks, ledger, meta } = tables
  let bytes = 0
  if (table === 'blocks') {
    const start = after === undefined ? 0 : Number(after) + 1
    for (const height of [...blocks.getKeys({ start, limit: stepRecords })]) {
      const record = blocks.get(height) as Buffer
      blocks.putSync(height, sealRecord('blocks', heightBytes(height), record))
      meta.putSync('migration', { table, after: height } satisfies Progress)
      bytes += record.length
      if (bytes >= STEP_BYTES) return
    }
    if (bytes === 0) meta.putSync('migration', { table: 'ledger' } satisfies Progress)
    return
  }
  // The least key above the last one.
  const start = after === undefined ? Buffer.alloc(0) : Buffer.from(`${after}00`, 'hex')
  for (const key of [...ledger.getKeys({ start, limit: stepRecords })].map((each) =>
    Buffer.from(each),
  )) {
    const row = ledger.get(key) as Buffer
    ledger.putSync(key, sealRecord('ledger', key, row))
    meta.putSync('migration', { table, after: key.toString('hex') } satisfies Progress)
    bytes += row.length + key.length
    if (bytes >= STEP_BYTES) return
  }
  if (bytes === 0) meta.removeSync('migration')
}
