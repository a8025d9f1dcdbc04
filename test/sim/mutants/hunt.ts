/**
 * Each mutant in a process of its own, worlds from seed 1 on until one is violated; and, as a control, the same worlds without any
 * mutant, none of which may be.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MUTANT_VARIABLE, type Mutant } from './index.ts'
import type { Trial } from './trial.ts'

const HOOK = new URL('./hook.ts', import.meta.url).href
const CURVES = new URL('../curves.ts', import.meta.url).href
const TRIAL = fileURLToPath(new URL('./trial.ts', import.meta.url))
/** For one process; a world takes seconds. */
const TRIAL_MS = 15 * 60_000

export interface Hunted extends Trial {
  readonly name: string
  readonly profile: Profiled
}

type Profiled = NonNullable<Mutant['profile']>

export interface Hunt {
  readonly mutants: readonly Hunted[]
  readonly control: { readonly worlds: number; readonly violations: readonly Trial[] }
}

/** Arguments and environment of a process that runs with a mutant planted. */
export function plantedProcess(name: string) {
  return {
    args: ['--import', CURVES, '--import', HOOK],
    env: { ...process.env, [MUTANT_VARIABLE]: name },
  }
}

export async function hunt(
  mutants: readonly Mutant[],
  bound: number,
  jobs: number,
  tell: (hunted: Hunted) => void,
): Promise<Hunt> {
  const hunted = await shared(mutants, jobs, async ({ name, profile = 'everything' }) => {
    const one = { name, profile, ...(await trial({ profile, first: 1, last: bound }, name)) }
    tell(one)
    return one
  })
  const controls = await shared(controlsOf(hunted, jobs), jobs, (part) => trial(part, undefined))
  const worlds = controls.reduce((sum, one) => sum + one.worlds, 0)
  return { mutants: hunted, control: { worlds, violations: controls.filter(({ found }) => found) } }
}

interface Part {
  readonly profile: Profiled
  readonly first: number
  readonly last: number
}

/** All worlds that any mutant was tried in, dealt out. */
function controlsOf(hunted: readonly Hunted[], jobs: number): Part[] {
  const most = new Map<Profiled, number>()
  for (const { profile, worlds } of hunted) {
    most.set(profile, Math.max(most.get(profile) ?? 0, worlds))
  }
  return [...most].flatMap(([profile, worlds]) =>
    Array.from({ length: jobs }, (_, at) => ({
      profile,
      first: 1 + Math.floor((at * worlds) / jobs),
      last: Math.floor(((at + 1) * worlds) / jobs),
    })).filter(({ first, last }) => first <= last),
  )
}

/** Results in the order of the items, with so many under way. */
async function shared<T, R>(
  items: readonly T[],
  jobs: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const queue = [...items.entries()]
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      results[next[0]] = await work(next[1])
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  return results
}

function trial({ profile, first, last }: Part, name: string | undefined): Promise<Trial> {
  const { args, env } =
    name === undefined ? { args: ['--import', CURVES], env: process.env } : plantedProcess(name)
  const child = spawn(process.execPath, [...args, TRIAL, profile, `${first}`, `${last}`], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: TRIAL_MS,
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      const line = text.trim().split('\n').at(-1) ?? ''
      if (code === 0 && line.startsWith('{')) resolve(JSON.parse(line) as Trial)
      else reject(new Error(`the trial of ${name ?? 'the control'} ended with ${code}`))
    })
  })
}
