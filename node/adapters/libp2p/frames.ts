/** Frames on a stream of bytes: u32 big endian length, then the content. */

const PREFIX_BYTES = 4
const FIRST_CAPACITY = 4_096

export function encodeFrame(bytes: Uint8Array): Uint8Array {
  const framed = new Uint8Array(PREFIX_BYTES + bytes.length)
  new DataView(framed.buffer).setUint32(0, bytes.length)
  framed.set(bytes, PREFIX_BYTES)
  return framed
}

/**
 * Cuts frames out of chunks. It holds one unfinished frame, in a buffer that grows with what arrived and not with
 * what a prefix promises; a prefix above the limit is refused before its content.
 */
export class FrameReader {
  private readonly maxBytes: number
  private buffer = new Uint8Array(FIRST_CAPACITY)
  private held = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Frames that this chunk completed; undefined when one is too large, after which the reader is of no use. */
  feed(chunk: Uint8Array): Uint8Array[] | undefined {
    this.append(chunk)
    const frames: Uint8Array[] = []
    let start = 0
    while (this.held - start >= PREFIX_BYTES) {
      const length = new DataView(this.buffer.buffer, start).getUint32(0)
      if (length > this.maxBytes) return undefined
      const end = start + PREFIX_BYTES + length
      if (this.held < end) break
      frames.push(this.buffer.slice(start + PREFIX_BYTES, end))
      start = end
    }
    this.drop(start)
    return frames
  }

  /** True when nothing of a further frame has arrived. */
  get isEmpty(): boolean {
    return this.held === 0
  }

  private append(chunk: Uint8Array): void {
    const needed = this.held + chunk.length
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2))
      grown.set(this.buffer.subarray(0, this.held))
      this.buffer = grown
    }
    this.buffer.set(chunk, this.held)
    this.held = needed
  }

  private drop(length: number): void {
    if (length === 0) return
    const rest = this.buffer.subarray(length, this.held)
    const keep = rest.length <= FIRST_CAPACITY && this.buffer.length > FIRST_CAPACITY
    const next = keep ? new Uint8Array(FIRST_CAPACITY) : this.buffer
    if (keep) next.set(rest)
    else next.copyWithin(0, length, this.held)
    this.buffer = next
    this.held = rest.length
  }
}
