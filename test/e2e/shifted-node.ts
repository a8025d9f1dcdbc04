/**
 * A federation node whose clock goes wrong: `node test/e2e/shifted-node.ts --config FILE`. The program is the node's own; its clock port
 * is the machine's and so many milliseconds as the file `clock-offset` beside the configuration says, looked at all the time.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import { main } from '../../node/cli.ts'

const LOOK_MS = 50
const args = process.argv.slice(2)
const offsetFile = join(dirname(args[args.indexOf('--config') + 1] as string), 'clock-offset')

function offsetMs(): number {
  try {
    return Number(readFileSync(offsetFile, 'utf8'))
  } catch {
    return 0
  }
}

const clock = createSystemClock()
let shiftMs = offsetMs()
setInterval(() => {
  shiftMs = offsetMs()
}, LOOK_MS).unref()
// Whoever started it holds its standard input open.
process.stdin.once('end', () => process.exit(1)).resume()
process.exit(await main(args, { ...clock, nowMs: () => clock.nowMs() + shiftMs }))
