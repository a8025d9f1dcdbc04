/**
 * The chain store's tables and the version of their layout. A store of another layout is refused: what ledger rows hold is in the roots
 * that headers commit to, so rows of older rules belong to a chain that this program does not make, and nothing turns them into its own.
 */
import { mkdirSync } from 'node:fs'
import { type Database, open, type RootDatabase } from 'lmdb'
import { faultError } from '../../../supervisor/index.ts'

/** 1: blocks and ledger rows as they are. 2: each with a checksum. 3: ledger rows with approvals, and versions with their time. */
export const LAYOUT = 4

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
  if (layout === LAYOUT) return undefined
  const found = `the chain store has layout ${layout}, this program knows ${LAYOUT}`
  return typeof layout === 'number' && layout > LAYOUT
    ? `${found}: run the newer program, or a directory from before`
    : `${found}: its chain has other rules; run the program that wrote it, or begin with an empty directory`
}

/** Marks a new store; throws a `configuration` fault on one of another layout, and leaves it as it is. */
export function claimLayout(tables: Tables): void {
  const { meta } = tables
  if (meta.get('version') === undefined) meta.putSync('version', LAYOUT)
  const fault = layoutFault(tables)
  if (fault !== undefined) throw faultError('LayoutUnknown', 'configuration', fault)
}
