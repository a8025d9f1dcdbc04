/**
 * `node --import hook.ts trial.ts PROFILE FIRST LAST`: worlds of one build until the first violation; prints a Trial. What nobody caught is a
 * violation too.
 */
import type { ProfileName } from '../profiles.ts'
import { runStage, stageNamed } from '../stages.ts'
import type { Violation } from '../world.ts'
import { Worlds } from '../worlds.ts'

/** What became of the worlds of one build. */
export interface Trial {
  readonly found: boolean
  /** How many it took. */
  readonly worlds: number
  readonly seed?: number
  readonly invariant?: string
  readonly event?: number
  readonly detail?: string
}

/** Worlds of a profile, or of a stage. */
function worldsOf(name: string): (seed: number) => Promise<readonly Violation[]> {
  const stage = stageNamed(name)
  if (stage !== undefined) return (seed) => runStage(stage, seed)
  const worlds = new Worlds()
  const setting = { nodes: 4, profile: name as ProfileName }
  return async (seed) => (await worlds.run({ setting, seed })).violations
}

async function trial(profile: string, first: number, last: number): Promise<Trial> {
  const run = worldsOf(profile)
  const uncaught: unknown[] = []
  process.on('uncaughtException', (error) => uncaught.push(error))
  process.on('unhandledRejection', (error) => uncaught.push(error))
  for (let seed = first; seed <= last; seed++) {
    const tried = seed - first + 1
    const violations = await run(seed).catch((error: unknown) => {
      uncaught.push(error)
    })
    const [violation] = violations ?? []
    if (violation !== undefined) {
      const { invariant, event, detail } = violation
      return { found: true, worlds: tried, seed, invariant, event, detail }
    }
    if (uncaught.length > 0) {
      const [detail] = uncaught.map(String)
      return { found: true, worlds: tried, seed, invariant: 'Uncaught', ...(detail && { detail }) }
    }
  }
  return { found: false, worlds: last - first + 1 }
}

const [profile = 'everything', ...range] = process.argv.slice(2)
const [first = 1, last = first] = range.map(Number)
const result = await trial(profile, first, last)
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit())
