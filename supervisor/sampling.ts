/** Which flows are traced: a function of their correlation id, so that nobody has to be told. */

const SHARES = 2 ** 32

/** FNV-1a and a final mix, so that ids which differ in one digit of a counter fall apart. */
const hash = (text: string): number => {
  let state = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193)
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return (state ^ (state >>> 16)) >>> 0
}

/** True for the given share of all flows; at a higher rate those of a lower one are among them. */
export const isSampled = (correlationId: string, rate: number): boolean =>
  rate > 0 && (rate >= 1 || hash(correlationId) < rate * SHARES)
