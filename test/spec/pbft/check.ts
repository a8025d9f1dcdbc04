/** Runs the model: exhaustively by spin and the C compiler, and as random runs that are replayed on core/pbft. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Mismatch, replay } from './replay.ts'
import { parseTrace, type Trace, VIEWS } from './trace.ts'

const MODEL = fileURLToPath(new URL('pbft.pml', import.meta.url))
const DEPTH = 1_000
const MEMORY_MIB = 6_000

/** Rules taken out of the model; each must end in a counter-example. */
export const PLANTED = {
  NOLOCK: '2.3: a lock forbids nothing',
  FORGET: '2.8: a crash loses the Commit and its lock',
  SUMVIEWS: '2.6: Commits are summed over views',
  ANYQUORUM: '2.6: one vote less is a quorum',
  HEARQ: '2.5: the proposer waits for q ViewChanges only',
} as const

/** Debian's `spin` and `gcc`. */
export function hasSpin(): boolean {
  const works = (program: string) => spawnSync(program, ['--version']).error === undefined
  return works('spin') && works('gcc')
}

export interface Search {
  readonly states: number
  readonly depth: number
  /** What spin says is violated; undefined: nothing is. */
  readonly violation: string | undefined
}

export interface SearchOptions {
  readonly liar: number
  readonly views: number
  readonly crashes: number
  readonly planted?: keyof typeof PLANTED
}

/** Every state that the model can reach. */
export function search(options: SearchOptions): Search {
  return inScratch((directory) => {
    const stdout = explore(directory, options, ['-DCOLLAPSE'])
    const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? Number.NaN)
    const states = number(/(\d+) states, stored/)
    if (Number.isNaN(states) || /max search depth too small|out of memory/.test(stdout)) {
      throw new Error(`the search did not end: ${stdout}`)
    }
    return {
      states,
      depth: number(/depth reached (\d+)/),
      violation: /^pan:1: (assertion violated .*)$/m.exec(stdout)?.[1],
    }
  })
}

/** A shortest run that violates what the model asserts. */
export function counterExample(options: SearchOptions): Trace {
  return inScratch((directory) => {
    explore(directory, options, ['-DBFS'])
    const args = ['-k', `${basename(MODEL)}.trail`, ...flagsOf(options), MODEL]
    // spin ends with an error where the run does.
    const { stdout } = spawnSync('spin', args, { cwd: directory, encoding: 'utf8' })
    return parseTrace(options.liar, stdout)
  })
}

function flagsOf({ liar, views, crashes, planted }: SearchOptions): string[] {
  const flags = [`-DBYZ=${liar}`, `-DVIEWS=${views}`, `-DCRASHES=${crashes}`]
  return planted === undefined ? flags : [...flags, `-D${planted}`]
}

/** What the search says, from depth or breadth first. */
function explore(directory: string, options: SearchOptions, how: readonly string[]): string {
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' })
  run('spin', ...flagsOf(options), '-a', MODEL)
  // Small searches are over before a better program would be compiled.
  const level = options.views > 2 ? '-O2' : '-O0'
  run('gcc', level, '-DSAFETY', ...how, `-DMEMLIM=${MEMORY_MIB}`, '-o', 'pan', 'pan.c')
  return spawnSync('./pan', [`-m${DEPTH}`, '-E', '-n'], { cwd: directory, encoding: 'utf8' }).stdout
}

/** spin and its search keep files where they run. */
function inScratch<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'pbft-'))
  try {
    return work(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** A run of the model; its liar follows from the seed. */
export function randomTrace(seed: number): Trace {
  const liar = seed % 4
  const flags = ['-DTRACE', ...flagsOf({ liar, views: VIEWS, crashes: 2 })]
  return inScratch((cwd) => {
    const args = [...flags, `-n${seed}`, '-u1000000', MODEL]
    return parseTrace(liar, execFileSync('spin', args, { cwd, encoding: 'utf8' }))
  })
}

export interface Replays {
  readonly traces: number
  readonly steps: number
  readonly commits: number
  /** Proposals that were put to a driver: those that the model allows, and those that a lock forbids. */
  readonly allowed: number
  readonly forbidden: number
  readonly mismatches: readonly (Mismatch & { readonly trace: number })[]
}

export function replayAll(traces: readonly Trace[]): Replays {
  const offers = traces.flatMap(({ steps }) => steps.flatMap((step) => step.offers))
  const allowed = offers.filter((offer) => offer.allowed).length
  return {
    traces: traces.length,
    steps: traces.reduce((sum, { steps }) => sum + steps.length, 0),
    commits: traces
      .flatMap(({ steps }) => steps.flatMap((step) => step.follows))
      .filter(({ kind }) => kind === 'commit').length,
    allowed,
    forbidden: offers.length - allowed,
    mismatches: traces.flatMap((trace, index) =>
      replay(trace).map((mismatch) => ({ ...mismatch, trace: index })),
    ),
  }
}
