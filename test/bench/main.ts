/**
 * `npm run bench -- NAME [--json] [options]`: measures us and, where there are some, peers side by side on this machine. A table for
 * people, then one line of JSON. With --json the table goes to standard error, so that standard output is that line alone.
 */
import { parseArgs } from 'node:util'
import { type Bench, type BenchOptions, reportOf, tableOf } from './figures.ts'

interface Listed {
  readonly summary: string
  load(): Promise<Bench>
}

const ACTORS = ['chain', 'engine', 'bridge', 'sync', 'network', 'stream', 'storage'] as const

const actorBenches = Object.fromEntries(
  ACTORS.map((name): [string, Listed] => [
    `actor_${name}`,
    {
      summary: `the ${name} actor's real handlers on what it was told in a simulated federation`,
      load: async () => (await import('./actors.ts')).actorBench(name),
    },
  ]),
)

const BENCHES: Readonly<Record<string, Listed>> = {
  skeleton: {
    summary:
      'a federation on loopback: first block, peg-in, commit latency, memory, idle CPU, messages',
    load: async () => (await import('./skeleton.ts')).skeleton,
  },
  consensus: {
    summary:
      'proposal to quorum-th durable commit beside its floor; processor time, certificates, messages',
    load: async () => (await import('./consensus.ts')).consensusBench,
  },
  kernel: {
    summary: 'the actor kernel: tells, asks, restart, memory; beside nact and raw xstate',
    load: async () => (await import('./kernel.ts')).kernel,
  },
  execution: {
    summary:
      'transfers, tokens and contracts through JSON-RPC beside anvil and EDR, and reads meanwhile',
    load: async () => (await import('./execution.ts')).execution,
  },
  import: {
    summary: 'blocks with recovery of their senders, beside stock @ethereumjs/vm',
    load: async () => (await import('./import.ts')).importBench,
  },
  state: {
    summary: 'roots, transactions, memory and disk by the number of accounts',
    load: async () => (await import('./state.ts')).state,
  },
  storage: {
    summary:
      'the chain store beside LMDB alone; commits while old blocks are pruned; bytes on disk',
    load: async () => (await import('./storage.ts')).storage,
  },
  'worst-gas': {
    summary: 'processor time per gas, of each opcode and precompile; the gas limit that follows',
    load: async () => (await import('./worst-gas.ts')).worstGas,
  },
  bridge: {
    summary: 'keys and signatures by size beside leaf A; peg-ins, a day of requests, the scan',
    load: async () => (await import('./bridge.ts')).bridgeBench,
  },
  ...actorBenches,
  sim: {
    summary: 'worlds of the simulator: processor time, events, virtual against real time',
    load: async () => (await import('./sim.ts')).sim,
  },
}

const DEFAULTS = {
  blocks: 120,
  deposits: 7,
  nodes: 4,
  members: 4,
  rounds: 9,
  worlds: 10,
  transactions: 60_000,
  accounts: 100_000,
} as const

const USAGE = `usage: npm run bench -- NAME [options]

${Object.entries(BENCHES)
  .map(([name, { summary }]) => `  ${name.padEnd(14)} ${summary}`)
  .join('\n')}

  --json          standard output is the line of JSON alone
  --blocks N      idle blocks that are measured [${DEFAULTS.blocks}]
  --deposits N    peg-ins that are measured [${DEFAULTS.deposits}]
  --nodes N       federation nodes [${DEFAULTS.nodes}]
  --members N     governance nodes [${DEFAULTS.members}]
  --rounds N      rounds of those that run side by side [${DEFAULTS.rounds}]
  --worlds N      worlds that are simulated [${DEFAULTS.worlds}]
  --transactions N  transfers of the bench execution [${DEFAULTS.transactions}]
  --accounts N    accounts of the largest state [${DEFAULTS.accounts}]
  --only NAMES    contenders of the bench execution, of ours,anvil,edr [all]

What the figures mean: test/bench/README.md. Without figures:
  node test/bench/status-page.ts FOLDER   pictures of the status page
`

const given = { type: 'string' } as const
const FLAGS = {
  json: { type: 'boolean' },
  blocks: given,
  deposits: given,
  nodes: given,
  members: given,
  rounds: given,
  worlds: given,
  transactions: given,
  accounts: given,
  only: given,
} as const

const EXIT = { ok: 0, failed: 1, usage: 2 } as const

async function main([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help') {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  const listed = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
  const options = readOptions(rest)
  if (listed === undefined || typeof options === 'string') {
    const fault = typeof options === 'string' ? options : `no bench ${name}`
    process.stderr.write(`bench: ${fault}\n\n${USAGE}`)
    return EXIT.usage
  }
  try {
    const bench = await listed.load()
    const figures = await bench(options)
    const report = reportOf(name, figures)
    const people = options.json ? process.stderr : process.stdout
    people.write(`\n${tableOf(report, figures)}\n\n`)
    process.stdout.write(`${JSON.stringify(report)}\n`)
    return EXIT.ok
  } catch (error) {
    process.stderr.write(`bench ${name}: ${(error as Error).message}\n`)
    return EXIT.failed
  }
}

function readOptions(args: readonly string[]): BenchOptions | string {
  const startedMs = Date.now()
  try {
    const { values } = parseArgs({ args: [...args], options: FLAGS, strict: true })
    const count = (flag: keyof typeof DEFAULTS) => {
      const value = Number(values[flag] ?? DEFAULTS[flag])
      if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${flag} takes a number`)
      return value
    }
    return {
      json: values.json === true,
      blocks: count('blocks'),
      deposits: count('deposits'),
      nodes: count('nodes'),
      members: count('members'),
      rounds: count('rounds'),
      worlds: count('worlds'),
      transactions: count('transactions'),
      accounts: count('accounts'),
      ...(values.only !== undefined && { only: values.only.split(',') }),
      tell(line) {
        const seconds = ((Date.now() - startedMs) / 1_000).toFixed(1).padStart(7)
        process.stderr.write(`${seconds}s  ${line}\n`)
      },
    }
  } catch (error) {
    return (error as Error).message
  }
}

process.exitCode = await main(process.argv.slice(2))
// A bench that failed half-way may have left a timer or a socket; its processes end with this one.
process.stdout.write('', () => process.exit())
