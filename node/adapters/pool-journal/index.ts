/**
 * The pool's journal (MP-7): every transaction that was accepted, appended to a file before anybody is told. What left the pool is
 * not taken out: it is found to be of no use when it is loaded, and left behind when a fresh file takes over. A file is named by its
 * generation; while the fresh one is filled the older one stays, so that a kill at any point loses nothing. Records are handed to
 * the system one by one, which survives the process, and synced now and then, which bounds what a power cut takes.
 */
import {
  closeSync,
  fdatasync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { PoolJournal, RememberedTransaction } from '../../../actors/engine/index.ts'

export interface PoolJournalOptions {
  readonly directory: string
  /** Transactions beyond either are not loaded. */
  readonly maxTransactions: number
  readonly maxBytes: number
  readonly maxTransactionBytes: number
  /** A file is never left for a fresh one below this size. */
  readonly leastBytes?: number
  /** Told once of the first fault of the disk: from then on nothing is remembered. */
  readonly onFault: (error: unknown) => void
}

const LEAST_BYTES = 16 * 1024 * 1024
/** A file this many times the size of what waits is left behind. */
const GROWTH = 4
const SYNC_MS = 1_000
/** Bytes that go into a fresh file before others have the thread. */
const SLICE_BYTES = 1024 * 1024
const HEADER_BYTES = 16
const NAME = /^(\d+)\.log$/

export function openPoolJournal(options: PoolJournalOptions): PoolJournal {
  return new FileJournal(options)
}

class FileJournal implements PoolJournal {
  readonly #options: PoolJournalOptions
  #file: number | undefined
  #generation: number
  #bytes = 0
  #isDirty = false
  #filling: Promise<void> | undefined
  readonly #timer: NodeJS.Timeout

  constructor(options: PoolJournalOptions) {
    this.#options = options
    this.#generation = Math.max(0, ...this.#generations())
    this.#timer = setInterval(() => this.#sync(), SYNC_MS).unref()
    try {
      mkdirSync(options.directory, { recursive: true, mode: 0o700 })
      this.#startFile()
    } catch (error) {
      this.#fail(error)
    }
  }

  async load(): Promise<readonly RememberedTransaction[]> {
    const { maxTransactions, maxBytes } = this.#options
    const found = new Map<string, RememberedTransaction>()
    let bytes = 0
    // The newest first: where there is more than may be kept, the oldest stays behind.
    for (const generation of this.#generations().reverse()) {
      for (const remembered of this.#read(generation).reverse()) {
        const { raw } = remembered
        if (found.size >= maxTransactions || bytes + raw.length > maxBytes) break
        const key = Buffer.from(raw).toString('latin1')
        if (found.has(key)) continue
        found.set(key, remembered)
        bytes += raw.length
      }
    }
    return [...found.values()].reverse()
  }

  remember(transactions: readonly RememberedTransaction[]): void {
    if (this.#file === undefined) return
    try {
      const records = Buffer.concat(transactions.map(recordOf))
      writeSync(this.#file, records)
      this.#bytes += records.length
      this.#isDirty = true
    } catch (error) {
      this.#fail(error)
    }
  }

  forget(waiting: { readonly bytes: number; all(): Iterable<RememberedTransaction> }): void {
    const least = this.#options.leastBytes ?? LEAST_BYTES
    const isWorth = this.#bytes > Math.max(least, GROWTH * waiting.bytes)
    if (!isWorth || this.#file === undefined || this.#filling !== undefined) return
    this.#filling = this.#startOver([...waiting.all()]).finally(() => {
      this.#filling = undefined
    })
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#filling
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  }

  /** What waits goes into a fresh file, beside what comes meanwhile; then the older ones go. */
  async #startOver(waiting: readonly RememberedTransaction[]): Promise<void> {
    const older = this.#generations()
    try {
      this.#startFile()
      for (const slice of slicesOf(waiting)) {
        this.remember(slice)
        await new Promise((resolve) => setImmediate(resolve))
      }
      if (this.#file === undefined) return
      fsyncSync(this.#file)
      for (const generation of older) rmSync(this.#path(generation), { force: true })
    } catch (error) {
      this.#fail(error)
    }
  }

  #startFile(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#generation += 1
    this.#file = openSync(this.#path(this.#generation), 'a', 0o600)
    this.#bytes = 0
  }

  #sync(): void {
    if (!this.#isDirty || this.#file === undefined) return
    this.#isDirty = false
    fdatasync(this.#file, (error) => {
      if (error !== null && error.code !== 'EBADF') this.#fail(error)
    })
  }

  #fail(error: unknown): void {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) closeSync(file)
    this.#options.onFault(error)
  }

  #path(generation: number): string {
    return join(this.#options.directory, `${generation}.log`)
  }

  /** Ascending. */
  #generations(): number[] {
    try {
      const names = readdirSync(this.#options.directory)
      return names
        .flatMap((name) => NAME.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b)
    } catch {
      return []
    }
  }

  /** Whole records up to the first that is none: a kill in the middle of one leaves the rest. */
  #read(generation: number): RememberedTransaction[] {
    const found: RememberedTransaction[] = []
    let file: Buffer
    try {
      file = readFileSync(this.#path(generation))
    } catch (error) {
      this.#options.onFault(error)
      return found
    }
    for (let at = 0; at + HEADER_BYTES <= file.length; ) {
      const length = file.readUInt32LE(at)
      const end = at + HEADER_BYTES + length
      if (length > this.#options.maxTransactionBytes || end > file.length) break
      if (crc32(file.subarray(at + 8, end)) !== file.readUInt32LE(at + 4)) break
      const raw = new Uint8Array(file.subarray(at + HEADER_BYTES, end))
      found.push({ raw, sinceMs: file.readDoubleLE(at + 8) })
      at = end
    }
    return found
  }
}

function* slicesOf(
  transactions: readonly RememberedTransaction[],
): Generator<readonly RememberedTransaction[]> {
  let from = 0
  let bytes = 0
  for (const [index, { raw }] of transactions.entries()) {
    bytes += raw.length
    if (bytes < SLICE_BYTES) continue
    yield transactions.slice(from, index + 1)
    from = index + 1
    bytes = 0
  }
  yield transactions.slice(from)
}

/** [u32 length][u32 CRC-32 of what follows][f64 milliseconds since the epoch][bytes], little endian. */
function recordOf({ raw, sinceMs }: RememberedTransaction): Buffer {
  const record = Buffer.alloc(HEADER_BYTES + raw.length)
  record.writeUInt32LE(raw.length, 0)
  record.writeDoubleLE(sinceMs, 8)
  record.set(raw, HEADER_BYTES)
  record.writeUInt32LE(crc32(record.subarray(8)), 4)
  return record
}
