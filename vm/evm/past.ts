/**
 * State of past blocks without keeping it: of each block, what its changes replaced. The state after block h is the latest one with
 * the replaced values of the blocks above h put back, the lowest first. One record per block, written and forgotten whole; a key is
 * found in it by a hash table that is part of the record.
 */
import { decodeAccount } from './account.ts'
import type { StateView } from './state.ts'

/** Blocks below the head whose state can be read. */
export const PAST_BLOCKS = 128

/** An address, or an address and a slot; and its value before the block, empty for none. */
export type Replaced = { readonly key: Uint8Array; readonly value: Uint8Array }

const HEADER_BYTES = 4
const NO_ENTRY = 0

/** [u32 table size][u32 position of an entry, or 0]… then entries: [u8 key length][key][u16 value length][value]. */
export function encodePast(replaced: readonly Replaced[]): Uint8Array {
  const tableSize = replaced.length * 2 + 1
  const start = HEADER_BYTES + 4 * tableSize
  const length = replaced.reduce((sum, { key, value }) => sum + 3 + key.length + value.length, 0)
  const record = new Uint8Array(start + length)
  const words = new DataView(record.buffer)
  words.setUint32(0, tableSize)
  let at = start
  for (const { key, value } of replaced) {
    let place = hashOf(key) % tableSize
    while (words.getUint32(HEADER_BYTES + 4 * place) !== NO_ENTRY) place = (place + 1) % tableSize
    words.setUint32(HEADER_BYTES + 4 * place, at)
    record[at] = key.length
    record.set(key, at + 1)
    words.setUint16(at + 1 + key.length, value.length)
    record.set(value, at + 3 + key.length)
    at += 3 + key.length + value.length
  }
  return record
}

/** Undefined: the block left it as it was. */
export function findPast(record: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const words = new DataView(record.buffer, record.byteOffset, record.length)
  const tableSize = words.getUint32(0)
  for (let place = hashOf(key) % tableSize; ; place = (place + 1) % tableSize) {
    const at = words.getUint32(HEADER_BYTES + 4 * place)
    if (at === NO_ENTRY) return undefined
    if (!isAt(record, at, key)) continue
    return valueAt(record, words, at)
  }
}

/** All that begins with `prefix` and is longer. */
export function* pastBelow(record: Uint8Array, prefix: Uint8Array): Generator<Replaced> {
  const words = new DataView(record.buffer, record.byteOffset, record.length)
  let at = HEADER_BYTES + 4 * words.getUint32(0)
  while (at < record.length) {
    const keyLength = record[at] as number
    const key = record.subarray(at + 1, at + 1 + keyLength)
    const value = valueAt(record, words, at)
    if (keyLength > prefix.length && prefix.every((byte, index) => key[index] === byte)) {
      yield { key, value }
    }
    at += 3 + keyLength + value.length
  }
}

/** The state after block `height`. `records`: of the blocks above it, the lowest first. */
export function pastView(
  latest: StateView,
  height: number,
  records: readonly Uint8Array[],
): StateView {
  const find = (key: Uint8Array): Uint8Array | undefined => {
    for (const record of records) {
      const found = findPast(record, key)
      if (found !== undefined) return found
    }
    return undefined
  }
  const storage = (addressHex: string, slotHex: string): Uint8Array =>
    find(Buffer.from(addressHex + slotHex, 'hex')) ?? latest.storage(addressHex, slotHex)
  return {
    account(addressHex) {
      const found = find(Buffer.from(addressHex, 'hex'))
      if (found === undefined) return latest.account(addressHex)
      return found.length === 0 ? undefined : decodeAccount(found)
    },
    storage,
    code: (codeHashHex) => latest.code(codeHashHex),
    *slots(addressHex) {
      const slots = new Set(latest.slots(addressHex))
      const prefix = Buffer.from(addressHex, 'hex')
      for (const record of records) {
        for (const { key } of pastBelow(record, prefix)) {
          slots.add(Buffer.from(key.subarray(prefix.length)).toString('hex'))
        }
      }
      for (const slotHex of slots) if (storage(addressHex, slotHex).length > 0) yield slotHex
    },
    node() {
      throw new Error('only the latest state has a trie')
    },
    blockHash: (asked) => (asked > height ? undefined : latest.blockHash(asked)),
  }
}

/** FNV-1a. Who makes keys collide slows reads of one past block down by what its block could hold. */
function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

function isAt(record: Uint8Array, at: number, key: Uint8Array): boolean {
  if (record[at] !== key.length) return false
  for (let index = 0; index < key.length; index++) {
    if (record[at + 1 + index] !== key[index]) return false
  }
  return true
}

function valueAt(record: Uint8Array, words: DataView, at: number): Uint8Array {
  const start = at + 3 + (record[at] as number)
  return record.subarray(start, start + words.getUint16(start - 2))
}
