/** Hex, reversed hashes and the little-endian encodings that Bitcoin's wire format is made of. */

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Bytes of a hex string, or undefined where it is not one. */
export function parseHex(hex: string): Uint8Array | undefined {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) return undefined
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

/** A hash as RPC shows it: reversed, hex. */
export function displayHash(internal: Uint8Array): string {
  return toHex(Uint8Array.from(internal).reverse())
}

/** The internal byte order of a hash that RPC showed. The caller has checked that it is 64 hex digits. */
export function internalHash(display: string): Uint8Array {
  return Uint8Array.from(Buffer.from(display, 'hex').reverse())
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** Bitcoin's CompactSize. */
export function compactSize(value: number): Uint8Array {
  if (value < 0xfd) return Uint8Array.of(value)
  const buffer = Buffer.alloc(value <= 0xffff ? 3 : 5)
  if (value <= 0xffff) {
    buffer[0] = 0xfd
    buffer.writeUInt16LE(value, 1)
  } else {
    buffer[0] = 0xfe
    buffer.writeUInt32LE(value, 1)
  }
  return Uint8Array.from(buffer)
}

export function readUint32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, true)
}

/** A number as Bitcoin Script pushes it: little endian, sign in the top bit, no superfluous byte. */
export function encodeScriptNumber(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = Math.abs(value)
  while (rest > 0) {
    bytes.push(rest % 256)
    rest = Math.floor(rest / 256)
  }
  const top = bytes.at(-1)
  if (top !== undefined && top >= 0x80) bytes.push(value < 0 ? 0x80 : 0)
  else if (top !== undefined && value < 0) bytes[bytes.length - 1] = top | 0x80
  return Uint8Array.from(bytes)
}
