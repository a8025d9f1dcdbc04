/** `--mutant NAME` and `--mutants` of `npm run sim`. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { hunt, plantedProcess } from './hunt.ts'
import { MUTANT_VARIABLE, MUTANTS, mutantNamed } from './index.ts'

/** Worlds that a mutant may survive before it counts as not found. */
export const MOST_WORLDS = 120

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

export interface HuntOptions {
  readonly kind: 'hunt'
  /** Names, with commas; all without it. */
  readonly only: string | undefined
  readonly bound: number
  readonly jobs: number
  readonly json: boolean
}

/** The mutant that is planted in this process. */
export function plantedHere(): string | undefined {
  return process.env[MUTANT_VARIABLE]
}

/** Runs this command once more, in a process with the mutant planted. */
export async function runPlanted(name: string, args: readonly string[]): Promise<number> {
  if (mutantNamed(name) === undefined) {
    process.stderr.write(`no mutant is called '${name}'; there are:\n${listed()}`)
    return 2
  }
  const { args: hooked, env } = plantedProcess(name)
  const child = spawn(process.execPath, [...hooked, MAIN, ...args], { env, stdio: 'inherit' })
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)))
}

function listed(): string {
  return MUTANTS.map(({ name, room, says }) => `  ${room.padEnd(10)} ${name}: ${says}\n`).join('')
}

/** Exit code: 0 all found and the control is clean, 1 not, 2 usage. */
export async function runHunt({ only, bound, jobs, json }: HuntOptions): Promise<number> {
  const names = only?.split(',') ?? MUTANTS.map(({ name }) => name)
  const wanted = names.map(mutantNamed)
  const unknown = names.filter((_, at) => wanted[at] === undefined)
  if (unknown.length > 0 || !(bound >= 1)) {
    process.stderr.write(`no mutants: ${unknown.join(', ')}; there are:\n${listed()}`)
    return 2
  }
  const startedAtMs = performance.now()
  const mutants = wanted.filter((mutant) => mutant !== undefined)
  const result = await hunt(mutants, bound, jobs, ({ name, found, worlds, invariant, detail }) => {
    if (json) return
    const how = found ? `${invariant} in world ${worlds}: ${detail}` : `NOT FOUND in ${worlds}`
    process.stdout.write(`${name}: ${how}\n`)
  })
  const seconds = Number(((performance.now() - startedAtMs) / 1_000).toFixed(1))
  const { control } = result
  const found = result.mutants.map(({ detail: _, ...one }) => one)
  process.stdout.write(`${JSON.stringify({ mutants: found, control, seconds })}\n`)
  return found.every((one) => one.found) && control.violations.length === 0 ? 0 : 1
}
