/**
 * What a sign guard's file says was signed, read by the format that core documents and by nothing of core: a vote that the program
 * forgets would still be seen.
 */
const HEADER_BYTES = 52
const MARKER = 'GREC'
const CHECKSUM_BYTES = 8
const PROPOSE = 2
const PREPARE = 3
const COMMIT = 4
const PHASES = new Map([
  [PROPOSE, 'proposal'],
  [PREPARE, 'prepare'],
  [COMMIT, 'commit'],
])

export interface SignedRecord {
  readonly phase: string
  readonly height: number
  readonly view: number
  readonly hash: string
}

/** Proposals and votes, in the order in which they were written; a torn record at the end is none. */
export function signedRecords(file: Buffer): SignedRecord[] {
  const found: SignedRecord[] = []
  let at = HEADER_BYTES
  while (at + MARKER.length + 4 + CHECKSUM_BYTES <= file.length) {
    if (file.toString('latin1', at, at + MARKER.length) !== MARKER) {
      throw new Error(`no record at ${at} of a guard of ${file.length} bytes`)
    }
    const start = at + MARKER.length + 4 + CHECKSUM_BYTES
    const end = start + file.readUInt32BE(at + MARKER.length)
    if (end > file.length) break
    const record = readRecord(file.subarray(start, end))
    if (record !== undefined) found.push(record)
    at = end
  }
  return found
}

function readRecord(payload: Buffer): SignedRecord | undefined {
  const phase = PHASES.get(payload[0] as number)
  if (phase === undefined) return undefined
  const height = Number(payload.readBigUInt64BE(1))
  const view = Number(payload.readBigUInt64BE(9))
  // A proposal has its slot before its hash.
  const from = phase === 'proposal' ? 25 : 17
  return { phase, height, view, hash: payload.toString('hex', from, from + 32) }
}
