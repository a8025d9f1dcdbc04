import type { ChainStore, LedgerRow, StoredBlock } from '../../actors/storage/index.ts'
import { toHex } from '../../crypto/index.ts'

/** As of LMDB. */
const LONGEST_KEY_BYTES = 1978

/** What a chain store holds on its disk. A store that is opened again on it is the same store. */
export class MemoryDisk {
  readonly blocks = new Map<number, StoredBlock>()
  readonly headers = new Map<number, StoredBlock>()
  readonly heights = new Map<string, number>()
  readonly rows = new Map<string, LedgerRow>()
  readonly journal = new Map<string, string>()
  head: number | undefined
  lowest = 1
  halt: string | undefined
}

const copy = ({ set, key, value }: LedgerRow): LedgerRow => ({
  set,
  key: Uint8Array.from(key),
  value: Uint8Array.from(value),
})

/** The chain store in maps: the simulated adapter. */
export function openMemoryChainStore(disk = new MemoryDisk()): ChainStore {
  return {
    async writeBlocks(blocks, ledgerRows) {
      let next = disk.head === undefined ? undefined : disk.head + 1
      for (const { height } of blocks) {
        if (next !== undefined && height !== next) {
          throw new Error(`block ${height} does not follow the head`)
        }
        next = height + 1
      }
      if (ledgerRows.some(({ key }) => key.length > LONGEST_KEY_BYTES)) throw new Error('key')
      for (const { height, hash, bytes } of blocks) {
        disk.blocks.set(height, { height, hash: hash.slice(), bytes: bytes.slice() })
        disk.heights.set(toHex(hash), height)
        disk.head = height
      }
      for (const row of ledgerRows) disk.rows.set(`${row.set}:${toHex(row.key)}`, copy(row))
    },
    readHead: () => (disk.head === undefined ? undefined : disk.blocks.get(disk.head)),
    readBlock: (height) => disk.blocks.get(height),
    readHeader: (height) => disk.headers.get(height),
    lowestBlock: () => disk.lowest,
    async pruneBlocks(headers) {
      for (const [index, { height }] of headers.entries()) {
        if (height !== disk.lowest + index || height >= (disk.head ?? 0)) {
          throw new Error(`block ${height} is not the next to be pruned`)
        }
      }
      for (const { height, hash, bytes } of headers) {
        disk.headers.set(height, { height, hash: hash.slice(), bytes: bytes.slice() })
        disk.blocks.delete(height)
        disk.lowest += 1
      }
    },
    heightOf: (hash) => disk.heights.get(toHex(hash)),
    readLedgerRows: () => [...disk.rows.values()].map(copy),
    async writeJournal(rows) {
      for (const { key, value } of rows) {
        if (value === null) disk.journal.delete(key)
        else disk.journal.set(key, value)
      }
    },
    readJournal: () => [...disk.journal].sort().map(([key, value]) => ({ key, value })),
    async writeHalt(record) {
      disk.halt = record ?? undefined
    },
    readHalt: () => disk.halt,
    async close() {},
  }
}
