import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  encodeRecord,
  type LogRecord,
  openLog,
  readRecords,
} from '../../../../devnet/bitcoin/log.ts'
import { concat } from './wallet.ts'

const record = (kind: LogRecord['kind'], ...bytes: number[]): LogRecord => ({
  kind,
  body: Uint8Array.from(bytes),
})

const RECORDS = [
  record('block', 1, 2, 3),
  record('invalidate', 4),
  record('reconsider'),
  record('block', 5),
]

describe('block log', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-log-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  it('gives back what was appended, over several openings', () => {
    const path = join(dir, 'log')
    for (const [index, one] of RECORDS.entries()) {
      const { log, records, cutBytes } = openLog(path)
      expect(records).toEqual(RECORDS.slice(0, index))
      expect(cutBytes).toBe(0)
      log.append(one)
      log.close()
    }
    expect(openLog(path).records).toEqual(RECORDS)
  })

  it('cuts a torn tail at any byte and keeps every whole record', () => {
    const whole = RECORDS.map(encodeRecord)
    const content = concat(...whole)
    const path = join(dir, 'log')
    for (let length = 0; length <= content.length; length++) {
      writeFileSync(path, content.subarray(0, length))
      const { log, records, cutBytes } = openLog(path)
      let kept = 0
      let bytes = 0
      while (kept < whole.length && bytes + whole[kept]!.length <= length)
        bytes += whole[kept++]!.length
      expect(records).toEqual(RECORDS.slice(0, kept))
      expect(cutBytes).toBe(length - bytes)
      log.append(record('block', 9))
      log.close()
      expect(readRecords(readFileSync(path)).records).toEqual([
        ...RECORDS.slice(0, kept),
        record('block', 9),
      ])
    }
  })

  it('keeps no record with a flipped bit, and calls one before the last damage', () => {
    const whole = RECORDS.map(encodeRecord)
    const content = concat(...whole)
    const first = whole[0]!.length
    const last = content.length - whole.at(-1)!.length
    for (let at = 0; at < content.length; at++) {
      const flipped = content.with(at, content[at]! ^ 0x10)
      const { records, damaged } = readRecords(flipped)
      expect(records.length).toBeLessThan(RECORDS.length)
      if (at >= first) expect(records[0]).toEqual(RECORDS[0])
      if (at >= last) expect(damaged).toBe(false)
    }
    const path = join(dir, 'log')
    writeFileSync(path, content.with(first - 1, 9))
    expect(() => openLog(path)).toThrow(/is damaged at byte 0$/)
    expect(readFileSync(path).length).toBe(content.length)
  })
})
