/** What Linux tells of processes: memory and CPU time, from /proc. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Clock ticks a second, the unit of /proc's times. */
const TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
/** In /proc/PID/stat after the command's closing parenthesis: fields 14 and 15, user and system time. */
const USER_TIME = 11
const SYSTEM_TIME = 12

export interface Usage {
  readonly atMs: number
  /** User and system time of all threads since the start. */
  readonly cpuSeconds: number
}

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME])
  return { atMs: performance.now(), cpuSeconds: ticks / TICKS }
}

/** Per cent of one core between two looks. */
export function cpuShare(before: Usage, after: Usage): number {
  return ((after.cpuSeconds - before.cpuSeconds) / ((after.atMs - before.atMs) / 1_000)) * 100
}

/** Resident set, as `ps` and operators see it: pages that processes share count in each of them. */
export function residentMib(pid: number): number {
  return kibOf(`/proc/${pid}/status`, 'VmRSS') / 1_024
}

/** Resident set with shared pages divided among those who share them: what the processes of one machine add up to. */
export function proportionalMib(pid: number): number {
  return kibOf(`/proc/${pid}/smaps_rollup`, 'Pss') / 1_024
}

/** What of it is no page of a file: heaps and stacks, without the map of a database. */
export function anonymousMib(pid: number): number {
  return kibOf(`/proc/${pid}/status`, 'RssAnon') / 1_024
}

function kibOf(path: string, field: string): number {
  const line = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync(path, 'utf8'))
  if (line === null) throw new Error(`${path} has no ${field}`)
  return Number(line[1])
}

/** CPU time of the whole machine that was not idle. */
export function machineUsage(): Usage {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number)
  const ticks = user + nice + system + irq + softirq
  return { atMs: performance.now(), cpuSeconds: ticks / TICKS }
}

export function commandLineOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
}
