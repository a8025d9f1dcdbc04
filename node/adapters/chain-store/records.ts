/**
 * Records with a checksum: four bytes of CRC-32 over the place and the value, then the value. The place is the table and the key, so
 * that a record that stands under another key does not pass either. It finds what a disk did to a record; who means harm is found by
 * hashes and roots.
 */
import { crc32 } from 'node:zlib'

const CHECKSUM_BYTES = 4

/** Tables whose records carry checksums; the number is part of the place and never used again. */
export const PLACES = { blocks: 1, ledger: 2, headers: 3, changes: 4 } as const
export type Place = keyof typeof PLACES

export function sealRecord(place: Place, key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const record = Buffer.concat([Buffer.alloc(CHECKSUM_BYTES), ...parts])
  record.writeUInt32BE(checksum(place, key, record.subarray(CHECKSUM_BYTES)))
  return record
}

/** The value, a view of the record; undefined when this is not what was written here. */
export function openRecord(place: Place, key: Uint8Array, record: Buffer): Buffer | undefined {
  if (record.length < CHECKSUM_BYTES) return undefined
  const value = record.subarray(CHECKSUM_BYTES)
  return record.readUInt32BE(0) === checksum(place, key, value) ? value : undefined
}

export function heightBytes(height: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(height))
  return bytes
}

function checksum(place: Place, key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key, crc32(Uint8Array.of(PLACES[place]))))
}
