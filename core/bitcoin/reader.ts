/** Bytes that others sent, read within their bounds. Of this room alone. */

/** Thrown within this room only and turned into a value at its door. */
export class Malformed extends Error {}

/** Reads what a peer sent, within its bounds; throws `Malformed`. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  get offset(): number {
    return this.#offset
  }

  /** A part of what is read, not a copy. */
  view(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  skip(length: number): void {
    this.#advance(length)
  }

  /** A copy, so that a value does not keep a whole buffer alive. */
  take(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.slice(at, at + length)
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1))
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true)
  }

  /** A CompactSize in its only shortest form. */
  compactSize(): number {
    const first = this.uint8()
    if (first < 253) return first
    if (first === 253) return this.#atLeast(this.#view.getUint16(this.#advance(2), true), 253)
    if (first === 254) return this.#atLeast(this.uint32(), 0x1_0000)
    throw new Malformed('a count beyond 32 bits')
  }

  /** The number of items of at least `itemBytes` each that follow. */
  count(itemBytes: number): number {
    const count = this.compactSize()
    if (count * itemBytes > this.left) throw new Malformed('a count beyond the end')
    return count
  }

  bytes(): Uint8Array {
    return this.take(this.compactSize())
  }

  peek(index: number): number | undefined {
    return this.#bytes[this.#offset + index]
  }

  #atLeast(value: number, least: number): number {
    if (value < least) throw new Malformed('a count that is not in shortest form')
    return value
  }

  #advance(length: number): number {
    if (length > this.left) throw new Malformed('ends too early')
    const at = this.#offset
    this.#offset += length
    return at
  }
}

/** A marker of 0 where the number of inputs stands, then a flag of 1 (BIP144). */
export function isMarked(reader: Reader): boolean {
  return reader.peek(0) === 0 && reader.peek(1) === 1
}
