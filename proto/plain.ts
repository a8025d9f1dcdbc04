/** What a decoder of protobuf gave, as plain values within bounds. */

/** A field that is not there has its default in the object: a message of one byte becomes one of all its fields. */
const VALUES_PER_FIELD = 10
/** Of the schema: a body, its list, an item, the item's list, bytes. */
const MAX_DEPTH = 5

/** `wire` is decoded protobuf of at most so many fields. Undefined as `plain` says. */
export function plainFields(wire: unknown, maxFields: number): unknown {
  return plain(wire, { values: maxFields * VALUES_PER_FIELD }, MAX_DEPTH)
}

/**
 * A copy with bytes as plain Uint8Array; undefined when a number is not exact, a submessage is missing, or there is more of
 * it, or it is deeper, than is said.
 */
function plain(value: unknown, room: { values: number }, depth: number): unknown {
  room.values -= 1
  if (room.values < 0 || depth < 0) return undefined
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (Array.isArray(value)) {
    const items: unknown[] = []
    for (const item of value) {
      const inner = plain(item, room, depth - 1)
      if (inner === undefined) return undefined
      items.push(inner)
    }
    return items
  }
  if (typeof value !== 'object') return value
  if (value === null) return undefined
  const entries: [string, unknown][] = []
  for (const [name, item] of Object.entries(value)) {
    const inner = plain(item, room, depth - 1)
    if (inner === undefined) return undefined
    entries.push([name, inner])
  }
  return Object.fromEntries(entries)
}
