/**
 * How many fields a message in protobuf's wire format has, before anything is made of it (GV-12): two bytes can stand for an object, so the
 * size of a message bounds neither the memory nor the time that its decoding takes. Total: any bytes give a number or undefined.
 */

/** The fields of a message that are messages themselves, or lists of bytes, by number; others count as one. */
export interface MessageShape {
  readonly messages: ReadonlyMap<number, MessageShape>
}

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** All fields, those inside of messages included; undefined: they are more than `most`, or these bytes are no message. */
export function countFields(
  bytes: Uint8Array,
  shape: MessageShape,
  most: number,
): number | undefined {
  let count = 0
  let at = 0
  while (at < bytes.length) {
    const tag = readVarint(bytes, at)
    if (tag === undefined) return undefined
    count += 1
    if (count > most) return undefined
    const end = fieldEnd(bytes, tag.value % 8, tag.end)
    if (end === undefined || end.at > bytes.length) return undefined
    const inner = shape.messages.get(Math.floor(tag.value / 8))
    if (inner !== undefined && tag.value % 8 === BYTES) {
      const nested = countFields(bytes.subarray(end.from, end.at), inner, most - count)
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
): { readonly from: number; readonly at: number } | undefined {
  if (type === FIXED64) return { from, at: from + 8 }
  if (type === FIXED32) return { from, at: from + 4 }
  if (type !== VARINT && type !== BYTES) return undefined
  const value = readVarint(bytes, from)
  if (value === undefined) return undefined
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
