/** Results of the last hundred thousand calls or fewer, by the bytes that they were computed of. */
const MOST_REMEMBERED = 100_000
const LENGTHS_END = ':'

/** `compute` must be a function of its bytes alone, and what it gives must never be written into. What throws is not remembered. */
export function remembered<T, Parts extends readonly (Uint8Array | undefined)[]>(
  compute: (...parts: Parts) => T,
): (...parts: Parts) => T {
  const known = new Map<string, T>()
  return (...parts) => {
    const name = nameOf(parts)
    const found = known.get(name)
    if (found !== undefined) return found
    const made = compute(...parts)
    if (known.size >= MOST_REMEMBERED) known.clear()
    known.set(name, made)
    return made
  }
}

/** The lengths come first, so no two lists of parts have one name. */
function nameOf(parts: readonly (Uint8Array | undefined)[]): string {
  let lengths = ''
  let bytes = ''
  for (const part of parts) {
    lengths += part === undefined ? '-' : `${part.length} `
    if (part !== undefined) bytes += latin1(part)
  }
  return lengths + LENGTHS_END + bytes
}

function latin1(part: Uint8Array): string {
  return Buffer.from(part.buffer, part.byteOffset, part.length).toString('latin1')
}
