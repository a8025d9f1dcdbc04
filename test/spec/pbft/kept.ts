/** Prints how many mismatches the kept runs show: for processes in which something is planted. */
import { readFileSync } from 'node:fs'
import { replayAll } from './check.ts'
import { parseTraces } from './trace.ts'

const kept = readFileSync(new URL('kept.txt', import.meta.url), 'utf8')
process.stdout.write(`${replayAll(parseTraces(kept)).mismatches.length}\n`)
