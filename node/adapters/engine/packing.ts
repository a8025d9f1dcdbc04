/** Lists of byte strings as one buffer, so that they cross threads by a transfer instead of one copy each. */

export type PackedBytes = { readonly bytes: Uint8Array; readonly ends: Uint32Array }

export function packBytes(items: readonly Uint8Array[]): PackedBytes {
  const ends = new Uint32Array(items.length)
  let length = 0
  for (const [index, item] of items.entries()) {
    length += item.length
    ends[index] = length
  }
  const bytes = new Uint8Array(length)
  for (const [index, item] of items.entries()) {
    bytes.set(item, (ends[index] as number) - item.length)
  }
  return { bytes, ends }
}

/** Views of the one buffer, for what lives and goes together: each keeps all of it in memory. */
export function viewBytes({ bytes, ends }: PackedBytes): Uint8Array[] {
  const items: Uint8Array[] = []
  let start = 0
  for (const end of ends) {
    items.push(bytes.subarray(start, end))
    start = end
  }
  return items
}

export function unpackBytes({ bytes, ends }: PackedBytes): Uint8Array[] {
  const items: Uint8Array[] = []
  let start = 0
  for (const end of ends) {
    items.push(bytes.slice(start, end))
    start = end
  }
  return items
}

/** Buffers to hand over with a packed list. */
export function buffersOf(...lists: readonly PackedBytes[]): ArrayBuffer[] {
  return lists.flatMap(({ bytes, ends }) => [
    bytes.buffer as ArrayBuffer,
    ends.buffer as ArrayBuffer,
  ])
}
