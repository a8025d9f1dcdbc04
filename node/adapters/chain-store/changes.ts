/**
 * What the last writes did to the ledger, row by row: with a checkpoint's ledger below them they give the ledger of the head again, when
 * its own rows are damaged (SY-9).
 */
import type { LedgerRow } from '../../../actors/storage/index.ts'
import { joinBytes, uint32be } from '../../../crypto/index.ts'

/** The rows that one write of blocks `first` to `last` put. */
export interface LedgerWrite {
  readonly first: number
  readonly last: number
  readonly rows: readonly LedgerRow[]
}

/** [u32 first][u8 set][u32 key length][key][u32 value length][value]…: it stands under `last`. */
export function encodeWrite(first: number, rows: readonly LedgerRow[]): Uint8Array {
  const parts = rows.flatMap(({ set, key, value }) => [
    Uint8Array.of(set),
    uint32be(key.length),
    key,
    uint32be(value.length),
    value,
  ])
  return joinBytes([uint32be(first), ...parts])
}

/** Throws on what `encodeWrite` did not write. */
export function decodeWrite(last: number, bytes: Uint8Array): LedgerWrite {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const rows: LedgerRow[] = []
  let at = 4
  const take = (): Uint8Array => {
    const length = words.getUint32(at)
    at += 4 + length
    if (at > bytes.length) throw new RangeError('a row is cut off')
    return bytes.slice(at - length, at)
  }
  while (at < bytes.length) {
    const set = words.getUint8(at)
    at += 1
    rows.push({ set, key: take(), value: take() })
  }
  return { first: words.getUint32(0), last, rows }
}
