/** The floor under a commit: as many bare libp2p processes as there are nodes, which take turns beside them (floor-process.ts). */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { networkPeerId } from '../../node/adapters/libp2p/index.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import type { FloorAnswer, FloorOrder, FloorSetting } from './floor-process.ts'

const PROGRAM = fileURLToPath(new URL('floor-process.ts', import.meta.url))
/** As the processes of a development federation have it. */
const NODE_OPTIONS = ['--max-semi-space-size=8']
const FIRST_PORT = 20_000
const PORT_SPREAD = 9_000
const STEP_MS = 30_000

export class CommitFloor {
  readonly #children: readonly ChildProcess[]

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children
  }

  static async start(count: number, directory: string): Promise<CommitFloor> {
    const seeds = Array.from({ length: count }, () => randomBytes(32))
    const peerIds = await Promise.all(seeds.map((seed) => networkPeerId(new Uint8Array(seed))))
    const ports: number[] = []
    for (let next = FIRST_PORT + randomInt(PORT_SPREAD); ports.length < count; next += 1) {
      const found = await findPort({ host: '127.0.0.1', port: next }, { fallback: true })
      if (!found.ok) throw new Error(`no free port from ${next} on`)
      ports.push(found.value)
      next = found.value
    }
    const children = Array.from({ length: count }, (_, index) => {
      const setting: FloorSetting = {
        index,
        count,
        seeds: seeds.map((seed) => seed.toString('hex')),
        ports,
        peerIds,
        directory: join(directory, 'floor'),
      }
      return fork(PROGRAM, [JSON.stringify(setting)], { execArgv: NODE_OPTIONS })
    })
    const floor = new CommitFloor(children)
    try {
      await floor.#all('listening')
      floor.#order({ kind: 'connect' })
      await floor.#all('connected')
      return floor
    } catch (error) {
      floor.stop()
      throw error
    }
  }

  get pids(): readonly number[] {
    return this.#children.flatMap(({ pid }) => pid ?? [])
  }

  /** One round a period; what each process measured, in one list. */
  async run(firstAtMs: number, periodMs: number, rounds: number): Promise<number[]> {
    this.#order({ kind: 'run', firstAtMs, periodMs, rounds })
    const answers = await this.#all('done', firstAtMs - Date.now() + periodMs * rounds + STEP_MS)
    return answers.flatMap((answer) => (answer.kind === 'done' ? answer.latenciesMs : []))
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGTERM')
  }

  #order(order: FloorOrder): void {
    for (const child of this.#children) child.send(order)
  }

  #all(kind: FloorAnswer['kind'], deadlineMs = STEP_MS): Promise<FloorAnswer[]> {
    return Promise.all(this.#children.map((child) => answerOf(child, kind, deadlineMs)))
  }
}

function answerOf(
  child: ChildProcess,
  kind: FloorAnswer['kind'],
  deadlineMs: number,
): Promise<FloorAnswer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(new Error(`the floor is not ${kind}`)), deadlineMs)
    const exited = (code: number | null) => end(new Error(`a floor process ended with ${code}`))
    const told = (answer: FloorAnswer) => {
      if (answer.kind === kind) end(answer)
    }
    function end(result: FloorAnswer | Error): void {
      clearTimeout(timer)
      child.off('exit', exited).off('message', told)
      if (result instanceof Error) reject(result)
      else resolve(result)
    }
    child.on('exit', exited).on('message', told)
  })
}
