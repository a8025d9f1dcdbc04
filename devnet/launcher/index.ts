/**
 * `millrace dev`: a whole federation on one machine. It brings up Bitcoin, the federation nodes and the governance nodes as processes of
 * their own, walks one coin from Bitcoin to the EVM and back as a user would, prints the books and stays up.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type BitcoinRpc, createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import { directoryHolder, lockDirectory } from '../../node/adapters/data-directory/index.ts'
import { EXIT, findPort } from '../../node/adapters/system/index.ts'
import {
  createFederation,
  type Federation,
  loadFederation,
  readCheckpoint,
} from '../federation/index.ts'
import { DevelopmentWallet, developmentKey } from '../wallet.ts'
import { developmentAccounts } from './accounts.ts'
import { launchBitcoin } from './bitcoin.ts'
import { Chaos, type ChaosFigures, nameOf, type Victim } from './chaos.ts'
import { deposit, type JourneyResult, walkJourney } from './journey.ts'
import { OnDemandMiner } from './miner.ts'
import { type DevelopmentOptions, readOptions, USAGE } from './options.ts'
import { killGroup, type Supervised, startProgram, stopProcess } from './processes.ts'
import { createNodeRpc, type NodeRpc, Unreachable, until } from './rpc.ts'
import { bitcoinText, createTerminal, type Terminal } from './terminal.ts'

export { drill } from './drill.ts'

const MATURE_BLOCKS = 101
const LEAST_BALANCE_SAT = 2_000_000_000n
const START_MS = 60_000
/** Within this time a process that was killed works as before, on a busy machine as well. */
const BACK_MS = 90_000
/** Name of its process. */
const BITCOIN = 'bitcoin'
/** Longer than a process without its launcher takes to end. */
const LEFT_MS = 15_000
const PORT_PLACES = 64
const PORT_STEP = 300
/** Below those that the system gives to outgoing connections, which would take the place of a killed process. */
const FIRST_PORTS = { rpc: 8545, p2p: 11_000, governance: 11_100, members: 11_200 } as const

export async function main(args: readonly string[]): Promise<number> {
  const parsed = readOptions(args)
  if (parsed.kind === 'help') {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  if (parsed.kind === 'fault') {
    process.stderr.write(`millrace dev: ${parsed.message}\n`)
    return EXIT.usage
  }
  const { options } = parsed
  const startedMs = Date.now()
  // With --json standard output ends with the JSON line; the story goes to standard error.
  const terminal = createTerminal(
    options.json ? process.stderr : process.stdout,
    startedMs,
    Date.now,
  )
  terminal.line(
    'Millrace: a development federation. Bitcoin → EVM → Bitcoin, about a minute; nothing leaves this machine.',
  )
  const directory =
    options.dataDir === undefined
      ? mkdtempSync(join(tmpdir(), 'millrace-dev-'))
      : resolve(options.dataDir)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(directory)
  if (!lock.ok) {
    process.stderr.write(`millrace dev: ${directory} is in use by process ${lock.pid}\n`)
    return EXIT.data
  }
  const launcher = new Launcher(options, directory, terminal, startedMs)
  const signalled = new Promise<'signal'>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => done('signal'))
  })
  try {
    const ended = await Promise.race([launcher.run(), signalled])
    if (ended === 'signal') {
      terminal.line('\nstopping …')
      return EXIT.ok
    }
    if (options.once) return ended
    await Promise.race([signalled, launcher.ended()])
    terminal.line('\nstopping …')
    return EXIT.ok
  } catch (error) {
    process.stderr.write(`millrace dev: ${(error as Error).message}\n`)
    return error instanceof Unreachable ? EXIT.unreachable : EXIT.error
  } finally {
    await launcher.stop()
    lock.release()
    if (options.dataDir === undefined) rmSync(directory, { recursive: true, force: true })
  }
}

type Urls = readonly [string, ...string[]]

interface LauncherState {
  readonly bitcoinUrl: string
  readonly rpcUrls: Urls
}

class Launcher {
  readonly #options: DevelopmentOptions
  readonly #directory: string
  readonly #terminal: Terminal
  readonly #startedMs: number
  readonly #processes = new Map<string, Supervised>()
  /** Killed on purpose. */
  readonly #killed = new WeakSet<Supervised>()
  readonly #lost = Promise.withResolvers<never>()
  #chaos: Chaos | undefined
  #miner: OnDemandMiner | undefined
  #bitcoin: BitcoinRpc | undefined
  #stopping = false

  constructor(
    options: DevelopmentOptions,
    directory: string,
    terminal: Terminal,
    startedMs: number,
  ) {
    this.#options = options
    this.#directory = directory
    this.#terminal = terminal
    this.#startedMs = startedMs
    // Whoever waits for it hears of it; once the story is told nobody does.
    this.#lost.promise.catch(() => {})
  }

  /** The whole story; gives the exit code. Rejects as soon as a process that should run is gone. */
  run(): Promise<number> {
    return Promise.race([this.#run(), this.#lost.promise])
  }

  async #run(): Promise<number> {
    const terminal = this.#terminal
    const state = this.#loadState()
    const bitcoin = await launchBitcoin(this.#options.bitcoin, this.#directory, state?.bitcoinUrl)
    if (bitcoin.process !== undefined) this.#watch(bitcoin.process)
    terminal.step('Bitcoin', bitcoin.what)
    const rpc = createBitcoinRpc({ url: bitcoin.url, timeoutMs: 10_000 })
    this.#bitcoin = rpc
    const wallet = new DevelopmentWallet(rpc, developmentKey('user'))
    await fillWallet(rpc, wallet)
    const { federation, rpcUrls } = await this.#federation(rpc, bitcoin.url, state)
    writeFileSync(CURRENT_FILE, JSON.stringify({ directory: this.#directory }), { mode: 0o600 })
    for (let index = 0; index < federation.members; index++) {
      this.#startProcess(federation, { role: 'member', index })
    }
    await this.#startNodes(federation, rpcUrls)
    const [rpcUrl] = rpcUrls
    const node = createNodeRpc(...rpcUrls)
    terminal.step('federation', `${federation.nodes} nodes, ${federation.members} governance nodes`)
    terminal.note(`status page ${rpcUrl}/   JSON-RPC ${rpcUrl}   chain id ${await chainId(node)}`)
    this.#miner = new OnDemandMiner(rpc, node, wallet.address)
    this.#miner.start()
    await until('the first block', START_MS, async () => {
      const head = await node.call<{ height: number } | null>('getheadblock')
      return head !== null && head.height > 0 ? head.height : undefined
    })
    terminal.step('first block', 'the validators agree')
    if (federation.members > 1) await this.#awaitKey(node)
    const { chaos: seed, once } = this.#options
    if (seed !== undefined) this.#chaos = this.#startChaos(federation, rpcUrls, seed)
    const chaos = this.#chaos
    const walk = walkJourney({ rpcUrls, wallet, terminal })
    const journey = await (chaos === undefined ? walk : Promise.race([walk, chaos.failed]))
    const figures = once ? await chaos?.end() : chaos?.figures()
    const books = await readBooks(rpc, node)
    this.#report(books, journey, figures)
    return books.isBalanced ? EXIT.ok : EXIT.error
  }

  /** What is paid to the script of before would be moved to the key, and payouts would wait for that. One member alone makes none. */
  async #awaitKey(node: NodeRpc): Promise<void> {
    const epoch = await until('the key of the federation', START_MS, async () => {
      const status = await node.call<{ readonly epoch: number } | null>('millrace_keygenStatus')
      return status !== null && status.epoch > 0 ? status.epoch : undefined
    })
    this.#terminal.step('federation key', `made by its members through blocks, epoch ${epoch}`)
  }

  #startChaos(federation: Federation, rpcUrls: Urls, seed: number): Chaos {
    const statusUrls = memberStatusUrls(federation)
    const chaos = new Chaos({
      seed,
      nodes: federation.nodes,
      members: federation.members,
      targets: {
        kill: async (victim) => {
          const supervised = this.#processes.get(nameOf(victim))
          if (supervised === undefined || this.#stopping) return
          this.#killed.add(supervised)
          killGroup(supervised.child)
          await supervised.exited
        },
        start: (victim) => {
          if (!this.#stopping) this.#startProcess(federation, victim)
        },
        isBack: ({ role, index }) =>
          role === 'node'
            ? caughtUp(rpcUrls, index)
            : until('its /ready', BACK_MS, async () => {
                const { ok } = await fetch(`${statusUrls[index]}/ready`)
                return ok ? true : undefined
              }),
        tell: (line) => this.#terminal.step('chaos', line),
      },
    })
    chaos.start()
    return chaos
  }

  /** Tells every block; rejects when a process that should run is gone, or one that was killed does not come back. */
  async ended(): Promise<void> {
    const failures = [
      this.#lost.promise,
      ...(this.#chaos === undefined ? [] : [this.#chaos.failed]),
    ]
    await Promise.race([this.#followBlocks(), ...failures])
  }

  async #followBlocks(): Promise<void> {
    const node = createNodeRpc(...(this.#loadState() as LauncherState).rpcUrls)
    let height = 0
    while (!this.#stopping) {
      try {
        const head = await node.call<HeadBlock | null>('getheadblock')
        // One that comes back may be asked before it has caught up.
        if (head !== null && head.height > height) {
          height = head.height
          this.#terminal.line(statusLine(head))
        }
      } catch {
        // No node answers at the moment.
      }
      await new Promise((done) => setTimeout(done, 500))
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#chaos?.cancel()
    await this.#miner?.stop()
    const bitcoin = this.#processes.get(BITCOIN)
    const others = [...this.#processes.values()].filter((one) => one !== bitcoin)
    await Promise.all(others.map(stopProcess))
    if (bitcoin !== undefined) await stopProcess(bitcoin)
    this.#bitcoin?.close()
  }

  #loadState(): LauncherState | undefined {
    const path = join(this.#directory, 'launcher.json')
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LauncherState) : undefined
  }

  /** The federation that the directory holds, or a new one. */
  async #federation(
    rpc: BitcoinRpc,
    bitcoinUrl: string,
    state: LauncherState | undefined,
  ): Promise<{ federation: Federation; rpcUrls: Urls }> {
    const known = await loadFederation(this.#directory)
    if (known !== undefined && state !== undefined) {
      await left(known)
      this.#terminal.step('continued', this.#directory)
      return { federation: known, rpcUrls: state.rpcUrls }
    }
    const { nodes, members, preset, rpcPort } = this.#options
    // Two federations that start at once look for ports at the same time: they look in different places.
    const apart = (process.pid % PORT_PLACES) * PORT_STEP
    const rpcPorts = await freePorts(rpcPort ?? FIRST_PORTS.rpc, nodes, rpcPort !== undefined)
    const ports = {
      rpc: rpcPorts,
      p2p: await freePorts(FIRST_PORTS.p2p + apart, nodes, false),
      governance: await freePorts(FIRST_PORTS.governance + apart, nodes, false),
      members: await freePorts(FIRST_PORTS.members + apart, members, false),
    }
    const federation = await createFederation({
      directory: this.#directory,
      nodes,
      members,
      preset,
      bitcoin: await readCheckpoint(rpc),
      bitcoinUrl,
      ports,
      nowMs: Date.now(),
      random: (length) => new Uint8Array(randomBytes(length)),
    })
    const rpcUrls = rpcPorts.map((port) => `http://127.0.0.1:${port}`) as [string, ...string[]]
    const written: LauncherState = { bitcoinUrl, rpcUrls }
    writeFileSync(join(this.#directory, 'launcher.json'), JSON.stringify(written), { mode: 0o600 })
    return { federation, rpcUrls }
  }

  #startProcess(federation: Federation, victim: Victim): void {
    const { role, index } = victim
    const isNode = role === 'node'
    const own = isNode ? federation.nodeDirectory(index) : federation.memberDirectory(index)
    const args = [isNode ? 'node' : 'governance', '--config', join(own, 'config.json')]
    const preset = isNode ? this.#options.preset : 'dev'
    this.#watch(startProgram(nameOf(victim), args, join(own, 'log'), undefined, preset))
  }

  async #startNodes(federation: Federation, rpcUrls: Urls): Promise<void> {
    for (let index = 0; index < federation.nodes; index++) {
      this.#startProcess(federation, { role: 'node', index })
    }
    await Promise.all(
      rpcUrls.map((url, index) =>
        until(`an answer of node ${index}`, START_MS, () =>
          createNodeRpc(url).call<string>('eth_chainId'),
        ),
      ),
    )
  }

  /** A process that ends while it should run is named with the end of its log. */
  #watch(supervised: Supervised): void {
    this.#processes.set(supervised.name, supervised)
    void supervised.exited.then((code) => {
      if (this.#stopping || this.#killed.has(supervised)) return
      process.stderr.write(`${supervised.tail()}\n`)
      this.#lost.reject(new Error(`${supervised.name} ended with ${code ?? 'a signal'}`))
    })
  }

  #report(books: Books, journey: JourneyResult, chaos: ChaosFigures | undefined): void {
    const terminal = this.#terminal
    const seconds = Math.round((Date.now() - this.#startedMs) / 100) / 10
    terminal.heading('The books')
    terminal.table([
      ['deposited', bitcoinText(books.depositedSat)],
      ['minted', bitcoinText(books.mintedSat)],
      ['burned', bitcoinText(books.burnedSat)],
      ['paid', bitcoinText(books.paidSat)],
      ['fees', bitcoinText(BigInt(journey.pegOut.feeSat))],
      ['reserve', `${bitcoinText(books.reserveSat)}   (Bitcoin, by scantxoutset)`],
      ['supply', `${bitcoinText(books.supplySat)}   (ledger)`],
      ...books.inFlight.map(
        ({ id, kind, amountSat }) =>
          [
            `  ${kind}`,
            `${bitcoinText(BigInt(amountSat))}${id === kind ? '' : `   ${short(id)}`}`,
          ] as const,
      ),
      ['reserve = supply + in flight', books.isBalanced ? 'holds' : 'DOES NOT HOLD'],
    ])
    if (chaos !== undefined) terminal.step('chaos', chaosText(chaos, this.#options.once))
    if (!this.#options.once) {
      terminal.heading('Accounts (development, keys are public)')
      terminal.table(developmentAccounts().map(({ address, privateKey }) => [address, privateKey]))
      terminal.note('millrace faucet ADDRESS pegs in more. Ctrl-C stops everything.')
      terminal.line()
    }
    if (!this.#options.json) return
    const line = {
      ok: books.isBalanced,
      nodes: this.#options.nodes,
      members: this.#options.members,
      height: books.height,
      ...journey,
      reserveSat: String(books.reserveSat),
      supplySat: String(books.supplySat),
      inFlightSat: String(books.inFlightSat),
      inFlight: books.inFlight,
      ...(chaos !== undefined && { chaos }),
      seconds,
    }
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
}

interface HeadBlock {
  readonly height: number
  readonly slot: number
  readonly hash: string
  readonly certificate: { readonly view: number; readonly signers: readonly number[] }
  readonly evm: { readonly transactions: number }
  readonly pegIns: readonly unknown[]
  readonly records: readonly unknown[]
}

function statusLine({ height, slot, hash, certificate, evm, pegIns, records }: HeadBlock): string {
  const peg = [
    ...(pegIns.length > 0 ? [`${pegIns.length} peg-in`] : []),
    ...(records.length > 0 ? [`${records.length} payout`] : []),
  ]
  return [
    `block ${height}`,
    `slot ${slot}`,
    hash.slice(0, 12),
    `view ${certificate.view}`,
    `votes ${certificate.signers.length}`,
    `${evm.transactions} tx`,
    ...peg,
  ].join(' · ')
}

function chaosText(figures: ChaosFigures, isOver: boolean): string {
  const { seed, kills, nodeKills, memberKills, whileStarting, slowestBackMs } = figures
  const parts = [
    `seed ${seed}`,
    `${kills} kills: ${nodeKills} of nodes, ${memberKills} of members`,
    `${whileStarting} while they came back`,
    `${isOver ? 'all back, the ' : ''}slowest after ${(slowestBackMs / 1000).toFixed(1)} s`,
  ]
  return parts.join(' · ')
}

/** A node that was away has what any of the others had when it was asked for. */
async function caughtUp(rpcUrls: Urls, index: number): Promise<void> {
  const height = async (url: string) => {
    const head = await createNodeRpc(url).call<HeadBlock | null>('getheadblock')
    return head?.height ?? 0
  }
  const others = rpcUrls.filter((_, other) => other !== index)
  const heights = await Promise.all(others.map((url) => height(url).catch(() => 0)))
  const wanted = Math.max(0, ...heights)
  const own = rpcUrls[index] as string
  await until(`height ${wanted}`, BACK_MS, async () =>
    (await height(own)) >= wanted ? true : undefined,
  )
}

function memberStatusUrls(federation: Federation): string[] {
  return Array.from({ length: federation.members }, (_, index) => {
    const path = join(federation.memberDirectory(index), 'config.json')
    const { status } = JSON.parse(readFileSync(path, 'utf8')) as { status: { port: number } }
    return `http://127.0.0.1:${status.port}`
  })
}

function short(id: string): string {
  return id.length > 24 ? `${id.slice(0, 16)}…` : id
}

async function chainId(node: NodeRpc): Promise<number> {
  return Number(await node.call<string>('eth_chainId'))
}

async function freePorts(first: number, count: number, asked: boolean): Promise<number[]> {
  const ports: number[] = []
  let next = first
  for (let index = 0; index < count; index++) {
    const fallback = !(asked && index === 0)
    const found = await findPort({ host: '127.0.0.1', port: next }, { fallback })
    if (!found.ok) throw new Error(`port ${next} is in use`)
    ports.push(found.port)
    next = found.port + 1
  }
  return ports
}

async function fillWallet(rpc: BitcoinRpc, wallet: DevelopmentWallet): Promise<void> {
  if ((await wallet.balanceSat()) >= LEAST_BALANCE_SAT) return
  const mined = await rpc.generateToAddress(MATURE_BLOCKS, wallet.address)
  if (!mined.ok) throw new Error(`Bitcoin does not mine: ${mined.error.message}`)
}

/** Processes of a launcher that was killed end by themselves; their directories are free a few seconds later. */
async function left(federation: Federation): Promise<void> {
  const directories = [
    ...Array.from({ length: federation.nodes }, (_, index) => federation.nodeDirectory(index)),
    ...Array.from({ length: federation.members }, (_, index) => federation.memberDirectory(index)),
  ].map((own) => join(own, 'data'))
  await until('the end of the processes of an earlier start', LEFT_MS, async () =>
    directories.every((own) => directoryHolder(own) === undefined) ? true : undefined,
  )
}

interface Books {
  readonly height: number
  readonly depositedSat: bigint
  readonly mintedSat: bigint
  readonly burnedSat: bigint
  readonly paidSat: bigint
  readonly reserveSat: bigint
  readonly supplySat: bigint
  readonly inFlightSat: bigint
  readonly inFlight: readonly {
    readonly id: string
    readonly kind: string
    readonly amountSat: string
  }[]
  readonly isBalanced: boolean
}

interface Reserves {
  readonly height: number
  readonly reserveSat: string
  readonly supplySat: string
  readonly inFlightSat: string
  readonly inFlight: Books['inFlight']
  /** Hex, of all epochs. */
  readonly scripts: readonly string[]
  readonly totals: {
    readonly pegInSat: string
    readonly pegOutSat: string
    readonly mintedSat: string
    readonly burnedSat: string
  }
}

/** The reserve as Bitcoin has it against supply and in-flight rows as the ledger has them. */
async function readBooks(rpc: BitcoinRpc, node: NodeRpc): Promise<Books> {
  const { scripts } = await node.call<Reserves>('millrace_reserves')
  const scanned = await rpc.scanTxOutSet(scripts.map((script) => `raw(${script})`))
  if (!scanned.ok) throw new Error(`Bitcoin: ${scanned.error.message}`)
  const reserves = await node.call<Reserves>('millrace_reserves')
  const reserveSat = scanned.value.totalSat
  const supplySat = BigInt(reserves.supplySat)
  const inFlightSat = BigInt(reserves.inFlightSat)
  const { totals } = reserves
  return {
    height: reserves.height,
    depositedSat: BigInt(totals.pegInSat),
    mintedSat: BigInt(totals.mintedSat),
    burnedSat: BigInt(totals.burnedSat),
    paidSat: BigInt(totals.pegOutSat),
    reserveSat,
    supplySat,
    inFlightSat,
    inFlight: reserves.inFlight,
    isBalanced: reserveSat === supplySat + inFlightSat,
  }
}

const FAUCET_USAGE = `usage: millrace faucet ADDRESS [--data-dir DIR]

  Pegs in one coin for an EVM address, through the development federation that runs.

  --data-dir DIR    of another federation than the one that was started last
  --help            this text
`
const FAUCET_SAT = 100_000_000n
/** Where the last started federation of this user says which directory it runs in. */
const CURRENT_FILE = join(tmpdir(), `millrace-dev-${process.getuid?.() ?? 'user'}.json`)

function currentDirectory(): string | undefined {
  try {
    const { directory } = JSON.parse(readFileSync(CURRENT_FILE, 'utf8')) as { directory?: unknown }
    return typeof directory === 'string' ? directory : undefined
  } catch {
    return undefined
  }
}

/** `millrace faucet ADDRESS`: pegs in one coin for it, through the running federation. */
export async function faucet(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(FAUCET_USAGE)
    return EXIT.ok
  }
  const [address, ...rest] = args
  const isUsage = rest.length === 0 || (rest.length === 2 && rest[0] === '--data-dir')
  if (address === undefined || !/^0x[0-9a-fA-F]{40}$/.test(address) || !isUsage) {
    process.stderr.write(FAUCET_USAGE)
    return EXIT.usage
  }
  const directory = rest[1] ?? currentDirectory()
  const path = directory === undefined ? undefined : join(resolve(directory), 'launcher.json')
  if (path === undefined || !existsSync(path)) {
    const where =
      directory === undefined ? 'no federation runs here' : `no federation in ${directory}`
    process.stderr.write(`millrace faucet: ${where}; npm start brings one up\n`)
    return EXIT.unreachable
  }
  const state = JSON.parse(readFileSync(path, 'utf8')) as LauncherState
  const rpc = createBitcoinRpc({ url: state.bitcoinUrl, timeoutMs: 10_000 })
  const { rpcUrls } = state
  const wallet = new DevelopmentWallet(rpc, developmentKey('user'))
  const terminal = createTerminal(process.stdout, Date.now(), Date.now)
  try {
    const info = await rpc.getBlockchainInfo()
    if (!info.ok) throw new Unreachable(`Bitcoin: ${info.error.message}`)
    await fillWallet(rpc, wallet)
    await deposit({ rpcUrls, wallet, terminal }, createNodeRpc(...rpcUrls), address, FAUCET_SAT)
    return EXIT.ok
  } catch (error) {
    process.stderr.write(`millrace faucet: ${(error as Error).message}\n`)
    return error instanceof Unreachable ? EXIT.unreachable : EXIT.error
  } finally {
    rpc.close()
  }
}
