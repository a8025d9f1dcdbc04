/**
 * Where each log of a block stands in its stored receipts, and marks of its address and topics: a query looks through the marks and
 * decodes what they let through, instead of all receipts of all blocks.
 */

/** Of a log: its address and up to four topics. */
export const MARKS_PER_LOG = 5

/** 32 bits of an address or topic, never zero: those at its end differ where numbers and addresses are padded. */
export function markOf(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let mark = 0
  for (let at = Math.max(start, end - 4); at < end; at++) {
    mark = (mark << 8) | (bytes[at] as number)
  }
  return mark >>> 0 || 1
}

export class ReceiptIndex {
  /** Where each receipt begins in the record, and where the last one ends. */
  readonly #receipts: Uint32Array
  /** How many logs are before each receipt, and in all. */
  readonly #logsBefore: Uint32Array
  /** `MARKS_PER_LOG` for each log; zero where there is no topic. */
  readonly #marks: Uint32Array

  private constructor(receipts: Uint32Array, logsBefore: Uint32Array, marks: Uint32Array) {
    this.#receipts = receipts
    this.#logsBefore = logsBefore
    this.#marks = marks
  }

  /** Of what `encodeStoredReceipts` wrote. Throws on anything else: the store is damaged. */
  static of(record: Uint8Array): ReceiptIndex {
    const receipts: number[] = []
    const logsBefore: number[] = []
    const marks: number[] = []
    const all = new Cursor(record, 0, record.length).list()
    while (all.hasMore) {
      receipts.push(all.at)
      logsBefore.push(marks.length / MARKS_PER_LOG)
      const receipt = all.list()
      for (let field = 0; field < 3; field++) receipt.skip()
      const logs = receipt.list()
      while (logs.hasMore) addMarks(marks, logs.list())
    }
    receipts.push(all.at)
    logsBefore.push(marks.length / MARKS_PER_LOG)
    return new ReceiptIndex(
      Uint32Array.from(receipts),
      Uint32Array.from(logsBefore),
      Uint32Array.from(marks),
    )
  }

  get bytes(): number {
    return this.#receipts.byteLength + this.#logsBefore.byteLength + this.#marks.byteLength
  }

  get receiptCount(): number {
    return this.#receipts.length - 1
  }

  /** Of a log, by its number in the block. */
  mark(log: number, position: number): number {
    return this.#marks[log * MARKS_PER_LOG + position] as number
  }

  get logCount(): number {
    return this.#logsBefore[this.receiptCount] as number
  }

  /** How many logs of the block are before those of a receipt. */
  logsBefore(receipt: number): number {
    return this.#logsBefore[receipt] as number
  }

  /** The receipt that a log stands in. */
  receiptOf(log: number): number {
    let [low, high] = [0, this.receiptCount]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((this.#logsBefore[middle] as number) <= log) low = middle
      else high = middle
    }
    return low
  }

  /** The part of the record that is one receipt. */
  partOf(record: Uint8Array, receipt: number): Uint8Array {
    return record.subarray(this.#receipts[receipt], this.#receipts[receipt + 1])
  }
}

function addMarks(marks: number[], log: Cursor): void {
  const { bytes } = log
  marks.push(markOf(bytes, ...log.string()))
  const topics = log.list()
  let position = 1
  for (; topics.hasMore; position++) {
    const [start, end] = topics.string()
    if (position < MARKS_PER_LOG) marks.push(markOf(bytes, start, end))
  }
  for (; position < MARKS_PER_LOG; position++) marks.push(0)
}

/** Goes over RLP without making anything of it. */
class Cursor {
  readonly bytes: Uint8Array
  readonly #end: number
  at: number

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes
    this.at = at
    this.#end = end
  }

  get hasMore(): boolean {
    return this.at < this.#end
  }

  skip(): void {
    const prefix = this.#prefix()
    this.#content(prefix, prefix >= 0xc0 ? 0xc0 : 0x80)
  }

  /** Where the next item, a string, begins and ends. */
  string(): readonly [number, number] {
    const prefix = this.#prefix()
    if (prefix >= 0xc0) throw new Error('damaged receipts')
    return [this.#content(prefix, 0x80), this.at]
  }

  /** What is in the next item, a list; this cursor stands behind it. */
  list(): Cursor {
    const prefix = this.#prefix()
    if (prefix < 0xc0) throw new Error('damaged receipts')
    const start = this.#content(prefix, 0xc0)
    return new Cursor(this.bytes, start, this.at)
  }

  #prefix(): number {
    if (this.at >= this.#end) throw new Error('damaged receipts')
    return this.bytes[this.at] as number
  }

  /** Goes behind the item and returns where its content begins. */
  #content(prefix: number, offset: number): number {
    if (prefix < 0x80) return this.at++
    const short = prefix - offset
    const size = short < 56 ? 0 : short - 55
    let length = size === 0 ? short : 0
    for (let index = 1; index <= size; index++) {
      length = length * 256 + (this.bytes[this.at + index] ?? 0)
    }
    const start = this.at + 1 + size
    if (start + length > this.#end) throw new Error('damaged receipts')
    this.at = start + length
    return start
  }
}
