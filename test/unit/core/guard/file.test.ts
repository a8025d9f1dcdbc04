/** Every cut and every flipped bit of a guard file: none may lead to a second signature. */
import {
  decideGuard,
  decodeGuardFile,
  EMPTY_GUARD,
  encodeGuardEntry,
  encodeGuardHeader,
  encodeGuardSeal,
  foldGuard,
  type GuardEntry,
  type GuardRecord,
  guardFileOwner,
  guardOwner,
  summarizeGuard,
} from '../../../../core/guard/index.ts'
import { concatBytes, toHex } from '../../../../crypto/index.ts'
import { certificateBy, GENESIS_HASH, keyOf } from '../pbft/fixtures.ts'

const owner = guardOwner(GENESIS_HASH, keyOf(0))
const hashA = new Uint8Array(32).fill(0xa)
const hashB = new Uint8Array(32).fill(0xb)
const NO_BYTES = new Uint8Array(0)
const certificate = certificateBy([0, 1, 2], 4, 'prepare', 5, 1, hashA)

const at = (height: number, view: number) => ({ height, view })
const block = Uint8Array.of(7, 7, 7)

/** The life of a validator over two heights; every record is signed on as soon as it is synced. */
const LIFE: readonly GuardEntry[] = [
  { kind: 'floor', floor: 5, slot: 99 },
  { kind: 'propose', ...at(5, 0), slot: 100, hash: hashA, fresh: true, bytes: Uint8Array.of(1) },
  { kind: 'prepare', ...at(5, 0), hash: hashA, block },
  { kind: 'viewChange', ...at(5, 1), certificate: undefined },
  { kind: 'prepare', ...at(5, 1), hash: hashA, block: NO_BYTES },
  { kind: 'commit', ...at(5, 1), hash: hashA, block: NO_BYTES, certificate },
  { kind: 'floor', floor: 6, slot: 100 },
  { kind: 'propose', ...at(6, 2), slot: 104, hash: hashB, fresh: true, bytes: Uint8Array.of(2) },
  { kind: 'prepare', ...at(6, 2), hash: hashB, block },
]

interface Written {
  readonly bytes: Uint8Array
  /** Where each record ends, its seal not counted. */
  readonly ends: readonly number[]
}

function written(entries: readonly GuardEntry[]): Written {
  let bytes = encodeGuardHeader(owner)
  const ends: number[] = []
  for (const entry of entries) {
    bytes = concatBytes(bytes, encodeGuardEntry(owner, bytes.length, entry))
    ends.push(bytes.length)
    // A floor is not synced, so no seal follows it.
    if (entry.kind !== 'floor') bytes = concatBytes(bytes, encodeGuardSeal(owner, bytes.length))
  }
  return { bytes, ends }
}

/** What an amnesiac would sign in the record's place. */
function contrary(record: GuardEntry): GuardRecord | undefined {
  const hash = new Uint8Array(32).fill(0xc)
  switch (record.kind) {
    case 'propose':
      return { ...record, hash, bytes: Uint8Array.of(9) }
    case 'prepare':
    case 'commit':
      return { ...record, hash, block }
    default:
      return undefined
  }
}

const { bytes, ends } = written(LIFE)
const whole = LIFE.reduce(foldGuard, EMPTY_GUARD)

describe('a guard file', () => {
  it('cut at any byte keeps every record that was whole, and lets nothing against it be signed (T5, BF-10, BP-4)', () => {
    let checked = 0
    for (let length = 1; length < bytes.length; length++) {
      const decoded = decodeGuardFile(owner, bytes.subarray(0, length))
      if (length < 52) {
        expect(decoded).toMatchObject({ ok: false, error: { code: 'GuardUnreadable' } })
        continue
      }
      const signed = LIFE.filter((_, index) => (ends[index] as number) <= length)
      const { view, goodBytes } = decoded.ok ? decoded.value : { view: EMPTY_GUARD, goodBytes: -1 }
      expect(view).toEqual(signed.reduce(foldGuard, EMPTY_GUARD))
      for (const record of signed) {
        const other = contrary(record)
        if (other === undefined) continue
        checked += 1
        expect(typeof decideGuard(view, other)).toBe('object')
      }
      // What is written behind the cut is read again (T5).
      const next = { kind: 'viewChange', ...at(9, 0), certificate: undefined } as const
      const kept = bytes.subarray(0, goodBytes)
      const again = concatBytes(kept, encodeGuardEntry(owner, goodBytes, next))
      const reread = decodeGuardFile(owner, again)
      expect(reread.ok && reread.value.entries).toEqual([...signed, next])
    }
    expect(checked).toBeGreaterThan(1_000)
  })

  it('with any one bit flipped loses nothing, or signs nothing (T4, T5, BF-10)', () => {
    const codes = new Map<string, number>()
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      const decoded = decodeGuardFile(owner, flipped)
      if (decoded.ok) expect(decoded.value.view).toEqual(whole)
      const code = decoded.ok ? 'kept' : decoded.error.code
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
    // Kept: where the last seal is hit. The header is 52 bytes, the seal 17.
    expect(codes.get('kept')).toBe(17 * 8)
    expect(codes.get('GuardUnreadable')).toBe(52 * 8)
    expect(codes.get('GuardDamaged')).toBe((bytes.length - 52 - 17) * 8)
  })

  it('with any byte of garbage, zeros or another file behind it is read to its end', () => {
    for (const tail of [new Uint8Array(4_096), new Uint8Array(64).fill(0x47), bytes.subarray(52)]) {
      const decoded = decodeGuardFile(owner, concatBytes(bytes, tail))
      expect(decoded).toMatchObject({ ok: true, value: { view: whole, goodBytes: bytes.length } })
    }
  })

  it('with a hole before a seal is damaged, with one behind the last seal was torn (2.8)', () => {
    const last = ends.at(-2) as number
    const holed = (from: number, to: number) => {
      const copy = Uint8Array.from(bytes)
      copy.fill(0, from, to)
      return decodeGuardFile(owner, copy)
    }
    expect(holed(100, 120)).toMatchObject({ ok: false, error: { code: 'GuardDamaged' } })
    expect(holed(last + 17, bytes.length - 17)).toMatchObject({ ok: false })
    expect(holed(last + 17, bytes.length)).toMatchObject({
      ok: true,
      value: { goodBytes: last + 17, entries: LIFE.slice(0, -1) },
    })
  })

  it('is one key’s on one chain, and says whose', () => {
    const other = guardOwner(GENESIS_HASH, keyOf(1))
    expect(decodeGuardFile(other, bytes)).toEqual({ ok: false, error: { code: 'GuardForeign' } })
    expect(guardFileOwner(bytes)).toEqual({ ok: true, value: owner })
    expect(guardFileOwner(bytes.subarray(0, 51))).toMatchObject({ ok: false })
  })

  it('is shown with floors, lock and last records', () => {
    const locked = written(LIFE.slice(0, 6)).bytes
    const decoded = decodeGuardFile(owner, locked)
    if (!decoded.ok) throw new Error(decoded.error.code)
    expect(summarizeGuard(decoded.value, locked.length + 5, 2)).toEqual({
      version: 2,
      sizeBytes: locked.length + 5,
      tornBytes: 5,
      floorHeight: 5,
      highestSlot: 100,
      height: 5,
      view: 1,
      lock: { view: 1, hash: toHex(hashA), blockHeld: true },
      blocks: [toHex(hashA)],
      records: [
        { kind: 'prepare', height: 5, view: 1, hash: toHex(hashA) },
        { kind: 'commit', height: 5, view: 1, hash: toHex(hashA) },
      ],
    })
    const empty = decodeGuardFile(owner, encodeGuardHeader(owner))
    if (!empty.ok) throw new Error(empty.error.code)
    expect(summarizeGuard(empty.value, 52, 2)).toMatchObject({ lock: null, height: null })
  })
})
