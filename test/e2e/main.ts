/**
 * `npm run e2e -- NAME [--json] [options]`: scenarios on a federation of real processes. Each ends with one line of JSON on standard
 * output when asked for it, tells its story on standard error, and exits with 1 when what it promises did not hold.
 */
import { parseArgs } from 'node:util'
import type { Outcome, ScenarioOptions } from './scenario.ts'

interface Scenario {
  readonly summary: string
  /** Kills, or faults, at random where nobody says how many [20]. */
  readonly random?: number
  load(): Promise<(options: ScenarioOptions) => Promise<Outcome>>
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  kills: {
    summary: 'kill -9 of each process in turn, then at random, under load',
    load: async () => (await import('./kills.ts')).kills,
  },
  crash: {
    summary: 'kill -9 of nodes at random moments under load; every store is looked at afterwards',
    random: 200,
    load: async () => (await import('./crash.ts')).crash,
  },
  consensus: {
    summary:
      'nodes killed, stopped, cut off, with wrong clocks: no fork, and on within three views',
    load: async () => (await import('./consensus.ts')).consensus,
  },
  forgeries: {
    summary: 'a federation node that asks the members to sign what is not so',
    load: async () => (await import('./forgeries.ts')).forgeries,
  },
  bridge: {
    summary:
      'coins in and out under reorgs, a replaced payout, a full mempool, restarts, a dead and a lying member',
    random: 100,
    load: async () => (await import('./bridge.ts')).bridge,
  },
  engine: {
    summary: 'the compliance suite of the engine port on a real execution client, EthereumJS',
    load: async () => (await import('./engine.ts')).engine,
  },
}

const USAGE = `usage: npm run e2e -- NAME [options]

${Object.entries(SCENARIOS)
  .map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`)
  .join('\n')}

  --json             one line of JSON on standard output at the end
  --nodes N          federation nodes [4]
  --members M        governance nodes [4]
  --bitcoin WHICH    embedded, bitcoind (BITCOIND or PATH) or a URL [embedded]
  --seed S           of what is random in a scenario [a new one, printed]
  --random N         kills, or faults, at random [20; crash 200]; bridge: coins in and out [100]
  --only-random      those alone (consensus)
`

const text = { type: 'string' } as const
const FLAGS = {
  json: { type: 'boolean' },
  nodes: text,
  members: text,
  bitcoin: text,
  seed: text,
  random: text,
  'only-random': { type: 'boolean' },
} as const

const EXIT = { ok: 0, failed: 1, usage: 2 } as const

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  const scenario =
    name !== undefined && Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined
  const options = readOptions(rest, scenario?.random)
  if (scenario === undefined || typeof options === 'string') {
    const fault = scenario === undefined ? '' : `${String(options)}\n\n`
    process.stderr.write(`${fault}${USAGE}`)
    return EXIT.usage
  }
  const run = await scenario.load()
  const startedMs = Date.now()
  try {
    const { ok, figures } = await run(options)
    const seconds = Math.round((Date.now() - startedMs) / 100) / 10
    const line = JSON.stringify({ ...figures, ok, seconds })
    if (options.json) process.stdout.write(`${line}\n`)
    else options.tell(line)
    return ok ? EXIT.ok : EXIT.failed
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    if (options.json) {
      const line = { scenario: name, ok: false, error: (error as Error).message.split('\n', 1)[0] }
      process.stdout.write(`${JSON.stringify(line)}\n`)
    }
    return EXIT.failed
  }
}

function readOptions(args: readonly string[], random = 20): ScenarioOptions | string {
  const startedMs = Date.now()
  try {
    const { values } = parseArgs({ args: [...args], options: FLAGS, strict: true })
    const number = (value: string | undefined, otherwise: number) => {
      const given = Number(value ?? otherwise)
      if (!Number.isSafeInteger(given) || given < 0) throw new Error(`no number: ${value}`)
      return given
    }
    return {
      json: values.json === true,
      nodes: number(values.nodes, 4),
      members: number(values.members, 4),
      bitcoin: values.bitcoin ?? 'embedded',
      seed: number(values.seed, startedMs % 1_000_000),
      random: number(values.random, random),
      onlyRandom: values['only-random'] === true,
      tell(line) {
        const seconds = ((Date.now() - startedMs) / 1000).toFixed(1).padStart(7)
        process.stderr.write(`${seconds}s  ${line}\n`)
      },
    }
  } catch (error) {
    return (error as Error).message
  }
}

process.exitCode = await main(process.argv.slice(2))
// A scenario that failed half-way may have left a timer or a socket; its processes end with this one.
process.stdout.write('', () => process.exit())
