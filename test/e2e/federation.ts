/**
 * A federation of real processes on loopback for tests: its files in a temporary directory, its ports free ones, any node or
 * member started, stopped and killed by its index. Whatever happens, `stop` leaves no process and no file.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Genesis, parseGenesis } from '../../core/params/index.ts'
import { blsSuite } from '../../crypto/index.ts'
import { createFederation, type Federation, readCheckpoint } from '../../devnet/federation/index.ts'
import { type LaunchedBitcoin, launchBitcoin } from '../../devnet/launcher/bitcoin.ts'
import { OnDemandMiner } from '../../devnet/launcher/miner.ts'
import {
  killGroup,
  type Supervised,
  startProcess,
  startProgram,
  stopProcess,
} from '../../devnet/launcher/processes.ts'
import { createNodeRpc, type NodeRpc, until } from '../../devnet/launcher/rpc.ts'
import { DevelopmentWallet, developmentKey } from '../../devnet/wallet.ts'
import { type BitcoinRpc, createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import { findPort } from '../../node/adapters/system/index.ts'

export interface TestFederationOptions {
  readonly nodes?: number
  readonly members?: number
  /** `embedded`, `bitcoind`, or the URL of a regtest that runs; by default what E2E_BITCOIN says, or embedded. */
  readonly bitcoin?: string
  readonly preset?: 'dev' | 'bench'
}

/** A block as `getblockbyheight` tells it, as far as tests read it. */
export interface BlockAnswer {
  readonly height: number
  readonly slot: number
  readonly hash: string
  readonly ledgerRoot: string
  readonly evmBlockHash: string
  readonly certificate: { readonly view: number; readonly signers: readonly number[] }
}

export interface Reserves {
  readonly height: number
  readonly reserveSat: string
  readonly supplySat: string
  readonly inFlightSat: string
  readonly deficitSat: string
  readonly balanced: boolean
  readonly inFlight: readonly {
    readonly id: string
    readonly kind: string
    readonly amountSat: string
  }[]
  readonly outputs: readonly { readonly outpoint: string; readonly amountSat: string }[]
  readonly scripts: readonly string[]
  readonly totals: {
    readonly pegIns: number
    readonly pegInSat: string
    readonly pegOuts: number
    readonly pegOutSat: string
    readonly mintedSat: string
    readonly burnedSat: string
  }
}

/** Everything waits this long for what happens within seconds on an idle machine. */
export const PATIENCE_MS = 120_000
/** What a stopped process has begun, such as closing pipes, ends within this time. */
const ENDING_MS = 5_000
/** Twenty coins of the wallet can be spent at once. */
const MATURE_BLOCKS = 120
/** Below the ports that the system gives to outgoing connections, which would take the place of a killed node. */
const FIRST_PORT = 20_000
const PORT_SPREAD = 9_000

type Role = 'node' | 'member'

export class TestFederation {
  readonly directory: string
  readonly files: Federation
  readonly genesis: Genesis
  readonly bitcoin: BitcoinRpc
  readonly bitcoinUrl: string
  /** A user's Bitcoin wallet with coins in it. */
  readonly wallet: DevelopmentWallet
  /** JSON-RPC of each node. */
  readonly urls: readonly string[]
  /** Governance stream of each node. */
  readonly governancePorts: readonly number[]
  readonly p2pPorts: readonly number[]
  readonly memberUrls: readonly string[]
  /** JSON-RPC of whichever node runs. */
  readonly rpc: NodeRpc
  readonly #running = new Map<string, Supervised>()
  readonly #preset: 'dev' | 'bench'
  readonly #bitcoinProcess: Supervised | undefined
  #miner: OnDemandMiner | undefined
  readonly #onExit = () => {
    for (const { child } of this.#running.values()) killGroup(child)
  }

  private constructor(parts: {
    readonly directory: string
    readonly files: Federation
    readonly genesis: Genesis
    readonly bitcoin: BitcoinRpc
    readonly launched: LaunchedBitcoin
    readonly wallet: DevelopmentWallet
    readonly ports: Ports
    readonly preset: 'dev' | 'bench'
  }) {
    this.directory = parts.directory
    this.files = parts.files
    this.genesis = parts.genesis
    this.bitcoin = parts.bitcoin
    this.bitcoinUrl = parts.launched.url
    this.#bitcoinProcess = parts.launched.process
    this.#preset = parts.preset
    this.wallet = parts.wallet
    this.urls = parts.ports.rpc.map((port) => `http://127.0.0.1:${port}`)
    this.memberUrls = parts.ports.members.map((port) => `http://127.0.0.1:${port}`)
    this.governancePorts = parts.ports.governance
    this.p2pPorts = parts.ports.p2p
    this.rpc = this.#anyNode()
    process.once('exit', this.#onExit)
  }

  /** A federation with its files and its Bitcoin, none of its processes started. */
  static async prepare(options: TestFederationOptions = {}): Promise<TestFederation> {
    const {
      nodes = 4,
      members = 4,
      bitcoin: which = process.env['E2E_BITCOIN'] ?? 'embedded',
    } = options
    const directory = mkdtempSync(join(tmpdir(), 'millrace-e2e-'))
    let launched: LaunchedBitcoin | undefined
    let bitcoin: BitcoinRpc | undefined
    try {
      launched = await launchBitcoin(which, directory, await freeBitcoinUrl())
      bitcoin = createBitcoinRpc({ url: launched.url, timeoutMs: 20_000 })
      const wallet = new DevelopmentWallet(bitcoin, developmentKey(`e2e ${directory}`))
      const mined = await bitcoin.generateToAddress(MATURE_BLOCKS, wallet.address)
      if (!mined.ok) throw new Error(`Bitcoin does not mine: ${mined.error.message}`)
      const ports = await freePorts(nodes, members)
      const files = await createFederation({
        directory,
        nodes,
        members,
        ...(options.preset && { preset: options.preset }),
        bitcoin: await readCheckpoint(bitcoin),
        bitcoinUrl: launched.url,
        ports,
        nowMs: Date.now(),
        random: (length) => new Uint8Array(randomBytes(length)),
      })
      const genesis = parseGenesis(JSON.parse(readFileSync(files.genesisFile, 'utf8')), blsSuite)
      if (!genesis.ok) throw new Error(genesis.error.reason)
      const { preset = 'dev' } = options
      const made = { directory, files, genesis: genesis.value, bitcoin, launched, wallet, ports }
      return new TestFederation({ ...made, preset })
    } catch (error) {
      bitcoin?.close()
      if (launched?.process !== undefined) await stopProcess(launched.process)
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** A federation at work: every process runs, blocks are made, Bitcoin is mined while something waits for it. */
  static async start(options: TestFederationOptions = {}): Promise<TestFederation> {
    const federation = await TestFederation.prepare(options)
    try {
      for (let index = 0; index < federation.files.members; index++) federation.startMember(index)
      for (let index = 0; index < federation.files.nodes; index++) federation.startNode(index)
      for (let index = 0; index < federation.files.nodes; index++) await federation.answers(index)
      await federation.heightAtLeast(1)
      federation.startMining()
      return federation
    } catch (error) {
      const logs = federation.logTails()
      await federation.stop()
      throw new Error(`${(error as Error).message}\n${logs}`)
    }
  }

  startNode(index: number): void {
    this.#start('node', index, 'node', this.files.nodeDirectory(index))
  }

  /** A node of another program, which takes the same configuration. */
  startNodeOf(program: string, index: number): void {
    this.#startOf(program, 'node', index, this.files.nodeDirectory(index))
  }

  /** A member of another program, likewise. */
  startMemberOf(program: string, index: number): void {
    this.#startOf(program, 'member', index, this.files.memberDirectory(index))
  }

  #startOf(program: string, role: Role, index: number, directory: string): void {
    const name = this.#nameOfNew(role, index)
    const args = [program, ...configOf(directory)]
    const started = startProcess(name, process.execPath, args, this.#logFile(role, index))
    this.#running.set(name, started)
  }

  startMember(index: number): void {
    this.#start('member', index, 'governance', this.files.memberDirectory(index))
  }

  /** SIGTERM, and SIGKILL if it does not go. */
  async stopNode(index: number): Promise<void> {
    await this.#end('node', index, stopProcess)
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(role: Role, index: number): Promise<void> {
    await this.#end(role, index, async ({ child, exited }) => {
      child.kill('SIGKILL')
      await exited
    })
  }

  start(role: Role, index: number): void {
    if (role === 'node') this.startNode(index)
    else this.startMember(index)
  }

  /** A signal that it may survive, such as SIGSTOP. */
  signal(role: Role, index: number, signal: NodeJS.Signals): void {
    this.#running.get(`${role}-${index}`)?.child.kill(signal)
  }

  isRunning(role: Role, index: number): boolean {
    const { child } = this.#running.get(`${role}-${index}`) ?? {}
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  runningNodes(): number[] {
    return this.urls.flatMap((_, index) => (this.isRunning('node', index) ? [index] : []))
  }

  node(index: number): NodeRpc {
    return createNodeRpc(this.urls[index] as string)
  }

  /** Resolves when a node answers. */
  async answers(index: number): Promise<void> {
    await until(`an answer of node ${index}`, PATIENCE_MS, () =>
      this.node(index).call('net_version'),
    )
  }

  /** Resolves when a member says that it is ready. */
  async memberReady(index: number): Promise<void> {
    await until(`member ${index}`, PATIENCE_MS, async () => {
      const { ok } = await fetch(`${this.memberUrls[index]}/ready`)
      return ok ? 'ready' : undefined
    })
  }

  async head(rpc: NodeRpc = this.rpc): Promise<BlockAnswer> {
    return rpc.call<BlockAnswer>('getheadblock')
  }

  async heightAtLeast(height: number, rpc: NodeRpc = this.rpc): Promise<BlockAnswer> {
    return until(`height ${height}`, PATIENCE_MS, async () => {
      const head = await this.head(rpc)
      return head.height >= height ? head : undefined
    })
  }

  /** Resolves when a node that was away has what the others had when it was asked for. */
  async caughtUp(index: number): Promise<void> {
    const { height } = await this.head()
    await this.heightAtLeast(height, this.node(index))
  }

  reserves(rpc: NodeRpc = this.rpc): Promise<Reserves> {
    return rpc.call<Reserves>('millrace_reserves')
  }

  /** What Bitcoin has for the federation: the sum under the scripts of all its epochs. */
  async reserveOnBitcoin(): Promise<bigint> {
    const { scripts } = await this.reserves()
    const scanned = await this.bitcoin.scanTxOutSet(scripts.map((script) => `raw(${script})`))
    if (!scanned.ok) throw new Error(scanned.error.message)
    return scanned.value.totalSat
  }

  /** Bitcoin blocks while something waits for them. */
  startMining(): void {
    if (this.#miner !== undefined) return
    this.#miner = new OnDemandMiner(this.bitcoin, this.rpc, this.wallet.address)
    this.#miner.start()
  }

  async stopMining(): Promise<void> {
    await this.#miner?.stop()
    this.#miner = undefined
  }

  async mine(blocks: number): Promise<void> {
    const mined = await this.bitcoin.generateToAddress(blocks, this.wallet.address)
    if (!mined.ok) throw new Error(mined.error.message)
  }

  /** Lines of a process's log, JSON where they are. */
  log(role: Role, index: number): Record<string, unknown>[] {
    const path = this.#logFile(role, index)
    if (!existsSync(path)) return []
    return readFileSync(path, 'utf8').split('\n').flatMap(parsedLine)
  }

  /** The end of every log, for a failure. */
  logTails(): string {
    return [...this.#running.values()].map(({ name, tail }) => `--- ${name}\n${tail()}`).join('\n')
  }

  /** Ends everything; gives the processes that are still there, which should be none. */
  async stop(options: { readonly keepFiles?: boolean } = {}): Promise<number[]> {
    await this.stopMining()
    await Promise.all([...this.#running.values()].map(stopProcess))
    this.#running.clear()
    if (this.#bitcoinProcess !== undefined) await stopProcess(this.#bitcoinProcess)
    this.bitcoin.close()
    process.removeListener('exit', this.#onExit)
    const left = await processesLeft(this.directory)
    if (options.keepFiles !== true) rmSync(this.directory, { recursive: true, force: true })
    return left
  }

  #start(role: Role, index: number, command: string, directory: string): void {
    const name = this.#nameOfNew(role, index)
    const args = [command, ...configOf(directory)]
    const log = this.#logFile(role, index)
    const preset = role === 'node' ? this.#preset : 'dev'
    this.#running.set(name, startProgram(name, args, log, undefined, preset))
  }

  #nameOfNew(role: Role, index: number): string {
    if (this.isRunning(role, index)) throw new Error(`${role} ${index} runs already`)
    return `${role}-${index}`
  }

  async #end(
    role: Role,
    index: number,
    end: (supervised: Supervised) => Promise<unknown>,
  ): Promise<void> {
    const name = `${role}-${index}`
    const supervised = this.#running.get(name)
    if (supervised === undefined) throw new Error(`${name} was not started`)
    await end(supervised)
    this.#running.delete(name)
  }

  #logFile(role: Role, index: number): string {
    const own =
      role === 'node' ? this.files.nodeDirectory(index) : this.files.memberDirectory(index)
    return join(own, 'log')
  }

  #anyNode(): NodeRpc {
    const nodes = this.urls.map((url) => createNodeRpc(url))
    return {
      url: this.urls[0] as string,
      call: async <T>(method: string, params: readonly unknown[] = []): Promise<T> => {
        const [first = 0] = this.runningNodes()
        return (nodes[first] as NodeRpc).call<T>(method, params)
      },
    }
  }
}

function configOf(directory: string): string[] {
  return ['--config', join(directory, 'config.json')]
}

function parsedLine(line: string): Record<string, unknown>[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]
  } catch {
    return [{ text: line }]
  }
}

/** Processes whose command line names a directory. */
export function processesOf(directory: string): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    try {
      return readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(directory) ? [pid] : []
    } catch {
      // It ended while it was looked at.
      return []
    }
  })
}

/** Those that are still there when processes that end have had the time for it. */
export async function processesLeft(directory: string): Promise<number[]> {
  const end = Date.now() + ENDING_MS
  for (;;) {
    const left = processesOf(directory)
    if (left.length === 0 || Date.now() >= end) return left
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

interface Ports {
  readonly rpc: readonly number[]
  readonly p2p: readonly number[]
  readonly governance: readonly number[]
  readonly members: readonly number[]
}

async function freePorts(nodes: number, members: number): Promise<Ports> {
  const ports: number[] = []
  let next = FIRST_PORT + randomInt(PORT_SPREAD)
  for (let count = 0; count < 3 * nodes + members; count++) {
    const found = await findPort({ host: '127.0.0.1', port: next }, { fallback: true })
    if (!found.ok) throw new Error(`no free port from ${next} on`)
    ports.push(found.value)
    next = found.value + 1
  }
  return {
    rpc: ports.slice(0, nodes),
    p2p: ports.slice(nodes, 2 * nodes),
    governance: ports.slice(2 * nodes, 3 * nodes),
    members: ports.slice(3 * nodes),
  }
}

export async function freeBitcoinUrl(): Promise<string> {
  const first = FIRST_PORT + randomInt(PORT_SPREAD)
  const found = await findPort({ host: '127.0.0.1', port: first }, { fallback: true })
  if (!found.ok) throw new Error(`no free port from ${first} on`)
  return `http://millrace:${randomBytes(8).toString('hex')}@127.0.0.1:${found.value}`
}
