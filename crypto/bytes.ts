/** Bytes and their text forms. Integers in hashed concatenations are big endian (protocol §7). */

const HEX = /^(?:[0-9a-f]{2})*$/i

/** Lower-case hex without a prefix. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Bytes of a hex string with or without `0x`; undefined when it is none. */
export function fromHex(text: string): Uint8Array | undefined {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  return HEX.test(digits) ? new Uint8Array(Buffer.from(digits, 'hex')) : undefined
}

/** Bytes of a hex string that is known to be one. Throws otherwise: a bug of the caller. */
export function hexBytes(text: string): Uint8Array {
  const bytes = fromHex(text)
  if (bytes === undefined) throw new Error(`not hex: ${text.slice(0, 80)}`)
  return bytes
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return joinBytes(parts)
}

/** The same for a list of any length: more than some 100,000 arguments overflow the stack of a call. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const joined = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let index = 0; index < left.length; index++) {
    if (left[index] !== right[index]) return false
  }
  return true
}

/** Lexicographic order; a prefix comes first. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const difference = (left[index] as number) - (right[index] as number)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/** A copy in the opposite byte order: Bitcoin hashes between memory and display. */
export function reversed(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes).reverse()
}

/** Display form of a Bitcoin hash held in internal byte order. */
export function toDisplayHash(internal: Uint8Array): string {
  return toHex(reversed(internal))
}

/** Internal byte order of a Bitcoin hash in display form. Throws on anything but 64 hex digits. */
export function fromDisplayHash(display: string): Uint8Array {
  const bytes = hexBytes(display)
  if (bytes.length !== 32) throw new Error(`not a 32-byte hash: ${display.slice(0, 80)}`)
  return bytes.reverse()
}

export function uint32be(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

export function uint64be(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

export function bigintFromBytes(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`)
}

/** Big-endian bytes of a non-negative integer in exactly `length` bytes. Throws when it does not fit. */
export function bigintToBytes(value: bigint, length: number): Uint8Array {
  const hex = value.toString(16)
  if (value < 0n || hex.length > length * 2)
    throw new Error(`${value} does not fit ${length} bytes`)
  return hexBytes(hex.padStart(length * 2, '0'))
}
