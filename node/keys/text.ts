/** A sign guard in lines that a screen holds. */
import type { GuardSummary, SignedRecord } from '../../core/guard/index.ts'

export interface GuardAnswer extends GuardSummary {
  readonly path: string
  /** Tagged hash of genesis and key, in hex. */
  readonly owner: string
  /** BLS key of the validator, in hex, where a genesis file was given. */
  readonly validator?: string
  /** Of the process that holds the data directory. */
  readonly runningPid: number | null
}

export function guardText(answer: GuardAnswer): string {
  const { lock, records, runningPid, validator } = answer
  const rows: [string, string][] = [
    ['file', `${answer.path} (version ${answer.version}, ${answer.sizeBytes} bytes)`],
    ['of', validator === undefined ? `owner ${answer.owner}` : `validator ${validator}`],
    ['node', runningPid === null ? 'not running' : `running, pid ${runningPid}`],
    ['floor', `signs at height ${answer.floorHeight} and above; ${slotText(answer.highestSlot)}`],
    ['signed', placeText(answer)],
    ['lock', lock === null ? 'none' : lockText(lock)],
    ['blocks held', answer.blocks.length === 0 ? 'none' : answer.blocks.join(' ')],
    ['tail', tailText(answer)],
  ]
  const head = rows.map(([name, value]) => `${name.padEnd(12)} ${value}\n`)
  const last = records.map((record) => `  ${recordText(record)}\n`)
  return `${head.join('')}last records, oldest first\n${last.join('')}`
}

function slotText(highestSlot: number | null): string {
  return highestSlot === null
    ? 'authored no block'
    : `authors blocks of slots above ${highestSlot} only`
}

function placeText({ height, view }: GuardAnswer): string {
  if (height === null || view === null) return 'nothing above the floor'
  return `up to height ${height}, view ${view}`
}

function lockText({ view, hash, blockHeld }: NonNullable<GuardAnswer['lock']>): string {
  return `view ${view}, block ${hash}${blockHeld ? '' : ' (NOT held)'}`
}

function tailText({ tornBytes, runningPid }: GuardAnswer): string {
  if (tornBytes === 0) return 'whole'
  const why = runningPid === null ? 'torn by a crash; cut at the next start' : 'being written'
  return `${tornBytes} bytes that are no whole record (${why})`
}

function recordText({ kind, height, view, slot, hash }: SignedRecord): string {
  const parts = [
    kind.padEnd(10),
    height === undefined ? '' : `height ${height}`,
    view === undefined ? '' : `view ${view}`,
    slot === undefined ? '' : `slot ${slot}`,
    hash === undefined ? '' : hash.slice(0, 16),
  ]
  return parts.filter((part) => part !== '').join('  ')
}
