/**
 * LMDB's files as files. LMDB maps its file into memory and believes what it finds there: one whose first pages are
 * not LMDB's, or that was cut off, kills the process. So it is looked at before it is mapped.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

const MAGIC = 0xbeefc0de
/** Where an LMDB meta page keeps what (`MDB_meta` behind the page's header). */
const META = {
  magic: 24,
  pageSize: 48,
  /** Root pages of the two trees: free pages, and everything else. */
  roots: [88, 136],
  transaction: 152,
  length: 160,
} as const
/** The root of an empty tree. */
const NO_PAGE = 0xffffffffffffffffn
const MIN_PAGE_BYTES = 512
const MAX_PAGE_BYTES = 65_536

/** What is wrong with the file of an environment; undefined when there is none yet, or when LMDB may open it. */
export function damageOfFile(directory: string): string | undefined {
  const path = join(directory, 'data.mdb')
  if (!existsSync(path)) return undefined
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    return size === 0 ? undefined : damageOfPages(file, size)
  } finally {
    closeSync(file)
  }
}

function damageOfPages(file: number, sizeBytes: number): string | undefined {
  const first = metaAt(file, 0)
  if (first === undefined) return 'its first page is not one of LMDB'
  const pageBytes = first.readUInt32LE(META.pageSize)
  const isPowerOfTwo = (pageBytes & (pageBytes - 1)) === 0
  if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || !isPowerOfTwo) {
    return `pages of ${pageBytes} bytes`
  }
  const second = metaAt(file, pageBytes)
  if (second === undefined) return 'its second page is not one of LMDB'
  const isFirst = first.readBigUInt64LE(META.transaction) > second.readBigUInt64LE(META.transaction)
  const latest = isFirst ? first : second
  const isCut = META.roots.some((at) => {
    const root = latest.readBigUInt64LE(at)
    return root !== NO_PAGE && (root + 1n) * BigInt(pageBytes) > BigInt(sizeBytes)
  })
  return isCut ? `it was cut off at ${sizeBytes} bytes` : undefined
}

function metaAt(file: number, position: number): Buffer | undefined {
  const page = Buffer.alloc(META.length)
  const read = readSync(file, page, 0, META.length, position)
  return read === META.length && page.readUInt32LE(META.magic) === MAGIC ? page : undefined
}
