/**
 * What a question shows beside itself, so that whoever holds the member's secrets need not take anybody's word (protocol §5.1, §5.6): rows under
 * a header that a quorum certified, and keys that their own members confirmed. Pure.
 */
import { FIRST_FEDERATION, type KnownFederation, type ProvenRow } from '../bridge/index.ts'
import {
  decodeLedgerProof,
  decodeRow,
  heightKey,
  type KeygenRow,
  type KeyRow,
  type LedgerSet,
  type SetRows,
  type StateRow,
  verifyRow,
} from '../core/ledger/index.ts'
import type { CertifiedHeader } from '../core/light/index.ts'
import { toHex } from '../crypto/index.ts'
import type { RowKey } from '../proto/index.ts'
import { type KeygenItems, rowsOfStage } from './keygen-part.ts'

/** Rows, and the header whose root they are under. */
export interface Evidence {
  readonly header: CertifiedHeader
  readonly rows: readonly ProvenRow[]
}

/** A key of the federation with what its members said of it under their own signatures. */
export interface ConfirmedKey {
  readonly epoch: number
  readonly row: KeyRow
  readonly items: KeygenItems
}

/** What is known of the federation's keys by those that were confirmed. */
export function federationOf(keys: readonly ConfirmedKey[]): KnownFederation {
  const rows = keys.map(({ epoch, row }) => {
    const key = heightKey(epoch)
    return [toHex(key), { key, row }] as const
  })
  const epoch = Math.max(FIRST_FEDERATION.epoch, ...keys.map((one) => one.epoch))
  return { epoch, keys: new Map(rows) }
}

/** Rows that are proven under one root, or proven to be absent. */
export class Proven {
  /** Of the proofs, which all show the same. */
  readonly state: StateRow | undefined
  private readonly rows = new Map<string, Uint8Array | undefined>()

  /** Of what was sent only what was asked for is looked at. */
  constructor(root: Uint8Array, asked: readonly RowKey[], rows: readonly ProvenRow[]) {
    const wanted = new Set(asked.map(({ key, set }) => `${set}:${toHex(key)}`))
    for (const { key, present, proof, row, set } of rows) {
      if (!wanted.has(`${set}:${toHex(key)}`)) continue
      const decoded = decodeLedgerProof(proof)
      const shown = present ? row : undefined
      if (decoded === undefined || !verifyRow(root, decoded, set as LedgerSet, key, shown)) continue
      this.state = decoded.summary.state
      this.rows.set(`${set}:${toHex(key)}`, shown)
    }
  }

  shows(set: LedgerSet, key: Uint8Array): boolean {
    return this.rows.has(`${set}:${toHex(key)}`)
  }

  showsAll(rows: readonly RowKey[]): boolean {
    return rows.every(({ key, set }) => this.shows(set as LedgerSet, key))
  }

  row<S extends LedgerSet>(set: S, key: Uint8Array): SetRows[S] | undefined {
    const bytes = this.rows.get(`${set}:${toHex(key)}`)
    return bytes && decodeRow(set, bytes)
  }

  /** What members said, those rows that there are; undefined where it was not asked for. */
  items(keys: readonly Uint8Array[]): KeygenItems | undefined {
    if (!keys.every((key) => this.shows('keygenItems', key))) return undefined
    const items = keys.flatMap((key) => {
      const row = this.row('keygenItems', key)
      return row === undefined ? [] : [[toHex(key), row] as const]
    })
    return new Map(items)
  }
}

/** The rows that say how the making of an epoch's key stands. */
export function keygenRows(epoch: number): readonly RowKey[] {
  return (['keygen', 'keys'] as const).map((set) => ({ set, key: heightKey(epoch) }))
}

/** And those of what members said, which a member must see to speak in this stage. */
export function keygenRowsToSpeak(epoch: number, row: KeygenRow): readonly RowKey[] {
  return [
    ...keygenRows(epoch),
    ...rowsOfStage(row).map((key) => ({ set: 'keygenItems', key }) as const),
  ]
}
