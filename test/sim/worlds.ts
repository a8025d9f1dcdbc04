/**
 * Many worlds: one after the other here, or dealt out to worker processes. A world depends on its seed alone, and sums do not
 * depend on who counted first, so the result is the same whatever the number of workers.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createFederation, type Federation, signaturesOf } from './federation.ts'
import type { Fault } from './plan.ts'
import { membersOf, type ProfileName, paramsOf, powersOf, profileNamed } from './profiles.ts'
import { simulate, type WorldReport } from './simulate.ts'

/** What all worlds of a run have in common. */
export interface Setting {
  readonly nodes: number
  /** Where nobody says how many, those of the profile. */
  readonly members?: number
  readonly profile: ProfileName
}

/** A world as it travels between processes. */
export interface Task {
  readonly setting: Setting
  readonly seed: number
  readonly plan?: readonly Fault[]
  readonly keepLog?: boolean
}

/** Runs worlds in this process; federations are made once per size and suite. */
export class Worlds {
  readonly #federations = new Map<string, Federation>()

  run({ setting, seed, plan, keepLog = false }: Task): Promise<WorldReport> {
    const { nodes } = setting
    const signatures = signaturesOf(seed)
    const profile = profileNamed(setting.profile)
    if (profile === undefined) throw new Error(`no profile ${setting.profile}`)
    const members = setting.members ?? membersOf(seed, profile)
    const powers = powersOf(seed, profile, nodes)
    const params = paramsOf(seed, profile)
    const kind = `${powers} ${members} ${signatures} ${JSON.stringify(params)}`
    const federation =
      this.#federations.get(kind) ?? createFederation(nodes, members, signatures, powers, params)
    this.#federations.set(kind, federation)
    return simulate({ seed, federation, profile, keepLog, ...(plan && { plan }) })
  }
}

/** Tells each report as it comes, in any order; `next` gives a task to whoever is free, or undefined when there is none. */
export async function runAll(
  jobs: number,
  next: () => Task | undefined,
  report: (report: WorldReport) => void,
): Promise<void> {
  if (jobs === 1) {
    const worlds = new Worlds()
    for (let task = next(); task !== undefined; task = next()) report(await worlds.run(task))
    return
  }
  await Promise.all(Array.from({ length: jobs }, () => feed(next, report)))
}

/** One worker process from its first task to its last. */
async function feed(
  next: () => Task | undefined,
  report: (report: WorldReport) => void,
): Promise<void> {
  const path = fileURLToPath(new URL('./worker.ts', import.meta.url))
  const worker = fork(path, { serialization: 'advanced' })
  try {
    for (let task = next(); task !== undefined; task = next()) report(await ask(worker, task))
  } finally {
    if (worker.connected) worker.disconnect()
  }
}

function ask(worker: ChildProcess, task: Task): Promise<WorldReport> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => {
      reject(new Error(`the worker of seed ${task.seed} exited with ${code}`))
    }
    worker.once('exit', ended)
    worker.once('message', (answer) => {
      worker.off('exit', ended)
      resolve(answer as WorldReport)
    })
    worker.send(task)
  })
}
