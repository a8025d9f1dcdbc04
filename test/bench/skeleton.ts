/**
 * Bench `skeleton`: a federation of real processes on loopback as `npm start` has it, at first with deposits, then idle. Beside it, half a
 * slot later, bare libp2p processes do the messages and synced writes of a block and nothing else: the floor. At the end the launcher.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { slotAt } from '../../core/pbft/index.ts'
import { startProcess, stopProcess } from '../../devnet/launcher/processes.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, processesOf, TestFederation } from '../e2e/federation.ts'
import { Account, minted, payDeposit } from '../e2e/user.ts'
import { type BenchOptions, type Figure, median, quantile } from './figures.ts'
import { CommitFloor } from './floor.ts'
import {
  commandLineOf,
  cpuShare,
  machineUsage,
  proportionalMib,
  residentMib,
  type Usage,
  usageOf,
} from './processes.ts'

const DOOR = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url))
const DEPOSIT_SAT = 1_000_000n
/** After the deposits: what they left behind is done. */
const SETTLE_MS = 10_000
const MEMORY_SAMPLE_MS = 5_000
/** The launcher is looked at for so long when its round trip is over. */
const LAUNCHER_IDLE_MS = 20_000
const LAUNCHER_MS = 180_000
const AIMS = { firstBlockSeconds: 10, nodeMib: 250, nodeCpu: 10 } as const

interface CommitLine {
  readonly height: number
  readonly slot: number
  readonly view: number
  readonly sinceSlotMs: number
  readonly atMs: number
}

interface Watched {
  readonly role: string
  readonly name: string
  readonly pid: number
}

export async function skeleton(options: BenchOptions): Promise<readonly Figure[]> {
  const { nodes, members, tell } = options
  const federation = await TestFederation.prepare({ nodes, members })
  let floor: CommitFloor | undefined
  const figures: Figure[] = []
  try {
    tell(`${nodes} nodes, ${members} members, Bitcoin: ${federation.directory}`)
    figures.push(await firstBlock(federation))
    tell('the first block is everywhere')
    figures.push(await pegIns(federation, options))
    floor = await CommitFloor.start(nodes, federation.directory)
    await sleep(SETTLE_MS)
    figures.push(...(await idleChain(federation, floor, options)))
    floor.stop()
    floor = undefined
    await federation.stop()
    figures.push(...(await launcher(options)))
    return figures
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${federation.logTails()}`)
  } finally {
    floor?.stop()
    await federation.stop()
  }
}

/** From the start of the processes, all at once, until the last node has its first block on disk. */
async function firstBlock(federation: TestFederation): Promise<Figure> {
  const { members, nodes } = federation.files
  const startedMs = Date.now()
  for (let index = 0; index < members; index++) federation.startMember(index)
  for (let index = 0; index < nodes; index++) federation.startNode(index)
  const firsts = await until('a first block on every node', PATIENCE_MS, async () => {
    const found = federation.runningNodes().flatMap((index) => commits(federation, index)[0] ?? [])
    return found.length === nodes ? found : undefined
  })
  const seconds = firsts.map(({ atMs }) => (atMs - startedMs) / 1_000)
  return {
    metric: 'first_block',
    unit: 's',
    better: 'lower',
    ours: Math.max(...seconds),
    note: `last of ${nodes} nodes, first ${Math.min(...seconds).toFixed(1)}; aim ${AIMS.firstBlockSeconds}`,
  }
}

/** Slots from the one in which Bitcoin gives a deposit its N-th confirmation to the one of the block that mints it. */
async function pegIns(
  federation: TestFederation,
  { deposits, tell }: BenchOptions,
): Promise<Figure> {
  const { genesis, rpc } = federation
  const { slotMs, pegInConfirmations } = genesis.params
  const account = Account.random(genesis.execution.chainId)
  for (let member = 0; member < federation.files.members; member++) {
    await federation.memberReady(member)
  }
  const waits: number[] = []
  for (let count = 0; count < deposits; count++) {
    // Spread over the slot, so that no place in it is favoured.
    await sleep(slotMs - (Date.now() % slotMs) + (count * slotMs) / deposits)
    const outpoint = await payDeposit(federation, account.address, DEPOSIT_SAT)
    for (let block = 0; block < pegInConfirmations; block++) await federation.mine(1)
    const confirmedSlot = slotAt(Date.now(), slotMs)
    const stopMining = mineEverySlot(federation, slotMs)
    try {
      const { height } = await minted(rpc, outpoint)
      const block = await rpc.call<{ slot: number }>('getblockbyheight', [height])
      waits.push(block.slot - confirmedSlot)
    } finally {
      await stopMining()
    }
    tell(`deposit ${count + 1} of ${deposits}: ${waits.at(-1)} slots`)
  }
  return {
    metric: 'peg_in_to_mint',
    unit: 'slots',
    better: 'lower',
    ours: median(waits),
    note: `median of ${waits.length}: ${waits.join(' ')}; Bitcoin finds a block every slot`,
  }
}

function mineEverySlot(federation: TestFederation, slotMs: number): () => Promise<void> {
  let mined = Promise.resolve()
  const timer = setInterval(() => {
    mined = mined.then(() => federation.mine(1))
  }, slotMs)
  return async () => {
    clearInterval(timer)
    await mined
  }
}

interface Scrape {
  readonly height: number
  readonly handled: ReadonlyMap<string, number>
}

async function idleChain(
  federation: TestFederation,
  floor: CommitFloor,
  { blocks, tell }: BenchOptions,
): Promise<Figure[]> {
  const { slotMs } = federation.genesis.params
  const watched = watch(federation, floor)
  const memory = new Map(watched.map(({ pid }) => [pid, [] as number[]]))
  const sample = () => {
    for (const { pid } of watched) memory.get(pid)?.push(residentMib(pid))
  }
  const before = await scrapeAll(federation)
  const firstHeight = Math.max(...before.map(({ height }) => height)) + 1
  const cpuBefore = new Map<number, Usage>(watched.map(({ pid }) => [pid, usageOf(pid)]))
  const machineBefore = machineUsage()
  tell(`idle for ${blocks} blocks`)
  const timer = setInterval(sample, MEMORY_SAMPLE_MS)
  // The nodes work at the start of a slot, the floor in its middle.
  const firstRoundMs = (slotAt(Date.now(), slotMs) + 2) * slotMs + slotMs / 2
  const floorMs = await floor.run(firstRoundMs, slotMs, blocks)
  await federation.heightAtLeast(firstHeight + blocks - 1)
  clearInterval(timer)
  sample()
  const cpu = new Map(
    watched.map(({ pid }) => [pid, cpuShare(cpuBefore.get(pid) as Usage, usageOf(pid))]),
  )
  const machine = cpuShare(machineBefore, machineUsage())
  const after = await scrapeAll(federation)
  const counted = federation
    .runningNodes()
    .flatMap((node) =>
      commits(federation, node).filter(
        ({ height }) => height >= firstHeight && height < firstHeight + blocks,
      ),
    )
  const own = [...cpu.values()].reduce((sum, share) => sum + share, 0)
  return [
    ...commitLatency(counted, floorMs),
    ...perProcess('memory', 'MiB', AIMS.nodeMib, watched, (pid) => median(memory.get(pid) ?? [])),
    shared(watched),
    ...perProcess('idle_cpu', '% of a core', AIMS.nodeCpu, watched, (pid) => cpu.get(pid) ?? 0),
    {
      metric: 'other_cpu',
      unit: '% of a core',
      better: 'lower',
      ours: Math.max(0, machine - own),
      note: 'all else that ran on this machine meanwhile: the more, the less the times are worth',
    },
    ...messagesPerBlock(before, after),
  ]
}

function commitLatency(counted: readonly CommitLine[], floorMs: readonly number[]): Figure[] {
  const latencies = counted.map(({ sinceSlotMs }) => sinceSlotMs)
  const later = counted.filter(({ view }) => view > 0).length
  const figure = (share: number): Figure => ({
    metric: `commit_latency_p${share * 100}`,
    unit: 'ms',
    better: 'lower',
    ours: quantile(latencies, share),
    peers: { bare_libp2p: quantile(floorMs, share) },
    note: `slot start to durable, ${latencies.length} commits, ${later} of them in a later view`,
  })
  return [figure(0.5), figure(0.99)]
}

function perProcess(
  metric: string,
  unit: string,
  aim: number,
  watched: readonly Watched[],
  measured: (pid: number) => number,
): Figure[] {
  const of = (wanted: string) =>
    watched.filter(({ role }) => role === wanted).map(({ pid }) => measured(pid))
  const floor = { bare_libp2p: median(of('floor')) }
  const figure = (name: string, ours: number, note: string, peers = {}): Figure => {
    return { metric: `${metric}_${name}`, unit, better: 'lower', ours, peers, note }
  }
  const node = of('node')
  return [
    figure('node_median', median(node), `aim ${aim}`, floor),
    figure('node_max', Math.max(...node), node.map((value) => value.toFixed(1)).join(' '), floor),
    figure('member', median(of('member')), 'median'),
    figure('bitcoin', median(of('bitcoin')), 'the development regtest'),
  ]
}

/** The program text is there once for all processes: what a further node costs is less than its resident set. */
function shared(watched: readonly Watched[]): Figure {
  const of = (wanted: string) =>
    watched.filter(({ role }) => role === wanted).map(({ pid }) => proportionalMib(pid))
  return {
    metric: 'memory_node_proportional',
    unit: 'MiB',
    better: 'lower',
    ours: median(of('node')),
    peers: { bare_libp2p: median(of('floor')) },
    note: 'median, pages that processes share divided among them',
  }
}

/** Messages that the actors of one node handle for one block, on an average of nodes and blocks. */
function messagesPerBlock(before: readonly Scrape[], after: readonly Scrape[]): Figure[] {
  const blocks = after.reduce(
    (sum, { height }, node) => sum + height - (before[node]?.height ?? 0),
    0,
  )
  const actors = [...(after[0]?.handled.keys() ?? [])].sort()
  const figures = actors.map((actor): Figure => {
    const handled = after.reduce(
      (sum, scrape, node) =>
        sum + (scrape.handled.get(actor) ?? 0) - (before[node]?.handled.get(actor) ?? 0),
      0,
    )
    return {
      metric: `messages_per_block_${actor}`,
      unit: 'messages',
      better: 'lower',
      ours: handled / blocks,
    }
  })
  const sum = figures.reduce((total, { ours }) => total + ours, 0)
  return [
    ...figures,
    {
      metric: 'messages_per_block',
      unit: 'messages',
      better: 'lower',
      ours: sum,
      note: 'all actors',
    },
  ]
}

async function scrapeAll(federation: TestFederation): Promise<Scrape[]> {
  return Promise.all(
    federation.runningNodes().map(async (node) => {
      const response = await fetch(`${federation.urls[node]}/metrics`)
      return parseScrape(await response.text())
    }),
  )
}

function parseScrape(text: string): Scrape {
  const height = Number(/^alys_chain_block_height (\d+)/m.exec(text)?.[1])
  if (!Number.isSafeInteger(height)) throw new Error('the metrics do not tell the height')
  const handled = new Map<string, number>()
  for (const [, actor = '', count] of text.matchAll(
    /^millrace_actor_handled_total\{actor="([^"]+)"[^}]*\} (\d+)/gm,
  )) {
    handled.set(actor, (handled.get(actor) ?? 0) + Number(count))
  }
  return { height, handled }
}

function watch(federation: TestFederation, floor: CommitFloor): Watched[] {
  const own = processesOf(federation.directory).flatMap((pid): Watched[] => {
    const [, role, rest = ''] = /millrace\.cjs (\w+) (.*)$/.exec(commandLineOf(pid)) ?? []
    const name = /(node|member)-\d+/.exec(rest)?.[0]
    if (role === 'bitcoin') return [{ role, name: role, pid }]
    if (name === undefined) return []
    return [{ role: role === 'governance' ? 'member' : 'node', name, pid }]
  })
  const bare = floor.pids.map((pid, index) => ({ role: 'floor', name: `floor-${index}`, pid }))
  return [...own, ...bare]
}

/** What a node's log tells of its commits. */
function commits(federation: TestFederation, node: number): CommitLine[] {
  return federation.log('node', node).flatMap((line): CommitLine[] => {
    if (line['msg'] !== 'block committed') return []
    const fields = line['fields'] as Omit<CommitLine, 'atMs'>
    return [{ ...fields, atMs: Date.parse(line['time'] as string) }]
  })
}

/** `millrace dev` as a newcomer runs it: how long its round trip takes, and what the launcher itself uses afterwards. */
async function launcher({ nodes, members, tell }: BenchOptions): Promise<Figure[]> {
  tell('the launcher and its round trip')
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  let answer: { readonly ok: boolean; readonly seconds: number } | undefined
  const flags = ['--json', '--data-dir', join(directory, 'dev')]
  const size = ['--nodes', String(nodes), '--members', String(members)]
  // Its note for `millrace faucet` goes where no other federation's is.
  const command = [`TMPDIR=${directory}`, process.execPath, DOOR, 'dev', ...flags, ...size]
  const launched = startProcess('launcher', 'env', command, join(directory, 'log'), (line) => {
    if (line.startsWith('{')) answer = JSON.parse(line)
  })
  try {
    const { ok, seconds } = await until('the round trip', LAUNCHER_MS, async () => answer)
    if (!ok) throw new Error('the round trip failed')
    const pid = launched.child.pid as number
    const before = usageOf(pid)
    await sleep(LAUNCHER_IDLE_MS)
    const lower = { better: 'lower' } as const
    return [
      { metric: 'round_trip', unit: 's', ...lower, ours: seconds, note: 'npm start --once --json' },
      { metric: 'memory_launcher', unit: 'MiB', ...lower, ours: residentMib(pid) },
      {
        metric: 'idle_cpu_launcher',
        unit: '% of a core',
        ...lower,
        ours: cpuShare(before, usageOf(pid)),
      },
    ]
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${launched.tail()}`)
  } finally {
    await stopProcess(launched)
    rmSync(directory, { recursive: true, force: true })
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
