/**
 * How many fields a message in protobuf's wire format has, before anything is made of it (GV-12): two bytes can stand for an object, so the
 * size of a message bounds neither the memory nor the time that its decoding takes. Total: any bytes give a number or undefined.
 */

/** The known fields of a message, by number. */
export type MessageShape = ReadonlyMap<number, FieldShape>

export interface FieldShape {
  readonly kind: 'number32' | 'number64' | 'bytes' | 'message'
  /** Of a message. */
  readonly inner?: MessageShape
}

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** Of a number of 32 bits, a tag or a length. Of what is longer a decoder may take the lower half, or take it to be of ten bytes. */
const NARROW_BYTES = 5
const MOST_TAG = 2 ** 32 - 1

/**
 * All fields, those inside of messages included; undefined: they are more than `most`, or these bytes are no message, or one that its decoder
 * may read in another way, with other fields: protobufjs looks neither at a known field's wire type nor at the upper bits of a tag.
 */
export function countFields(
  bytes: Uint8Array,
  shape: MessageShape,
  most: number,
): number | undefined {
  let count = 0
  let at = 0
  while (at < bytes.length) {
    const tag = readVarint(bytes, at)
    if (tag === undefined || tag.end - at > NARROW_BYTES || tag.value > MOST_TAG) return undefined
    count += 1
    if (count > most) return undefined
    const field = shape.get(Math.floor(tag.value / 8))
    const end = fieldEnd(bytes, tag.value % 8, tag.end, field)
    if (end === undefined || end.at > bytes.length) return undefined
    if (field?.inner !== undefined) {
      const nested = countFields(bytes.subarray(end.from, end.at), field.inner, most - count)
      if (nested === undefined) return undefined
      count += nested
    }
    at = end.at
  }
  return count
}

/** Where a field's content begins and ends. Groups, which nest without a length, are none of ours. */
function fieldEnd(
  bytes: Uint8Array,
  type: number,
  from: number,
  field: FieldShape | undefined,
): { readonly from: number; readonly at: number } | undefined {
  if (field !== undefined && type !== (field.kind.startsWith('number') ? VARINT : BYTES)) {
    return undefined
  }
  if (type === FIXED64) return { from, at: from + 8 }
  if (type === FIXED32) return { from, at: from + 4 }
  if (type !== VARINT && type !== BYTES) return undefined
  const value = readVarint(bytes, from)
  if (value === undefined) return undefined
  const isNarrow = type === BYTES || field?.kind === 'number32'
  if (isNarrow && value.end - from > NARROW_BYTES) return undefined
  return type === VARINT
    ? { from, at: value.end }
    : { from: value.end, at: value.end + value.value }
}

/** At most ten bytes; what is beyond 2^53 is inexact, and then larger than any length here. */
function readVarint(
  bytes: Uint8Array,
  from: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0
  for (let index = 0; index < 10; index++) {
    const byte = bytes[from + index]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: from + index + 1 }
  }
  return undefined
}
