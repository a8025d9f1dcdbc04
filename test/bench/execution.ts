/** Execution: our node beside anvil and EDR over JSON-RPC, and our executor beside stock @ethereumjs/vm. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hexBytes, sha256, toHex } from '../../crypto/index.ts'
import { type Supervised, startProcess, stopProcess } from '../../devnet/launcher/processes.ts'
import { createNodeRpc, type NodeRpc, until } from '../../devnet/launcher/rpc.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import { createdAddress } from '../../vm/evm/index.ts'
import { processesOf, TestFederation } from '../e2e/federation.ts'
import { minted, payDeposit } from '../e2e/user.ts'
import { type Bench, type BenchOptions, type Figure, quantile } from './figures.ts'
import { CHAIN_ID, drive, type Key, keyOf, type Lanes, lanesOf, sign } from './load.ts'
import { anvilProgram, installPeer } from './peers.ts'
import { commandLineOf, usageOf } from './processes.ts'
import { type Read, type ReadFigures, readWhile } from './reads.ts'

const GAS_LIMIT = 500_000_000
const INTERVAL_MS = 1_000
const SENDERS = 256
const TRANSFER_GAS = 21_000n
const TOKEN_GAS = 70_000n
const DEPLOY_GAS = { token: 10_000_000n, mixed: 3_000_000n } as const
const DEPOSIT_SAT = 9_000_000_000n
const START_MS = 60_000
const ONE_BTC = 10n ** 18n

interface Contender {
  readonly name: 'ours' | 'anvil' | 'edr'
  readonly url: string
  /** The process that executes. */
  readonly pid: number
  /** Gives each account this much. */
  fund(keys: readonly Key[], eachWei: bigint): Promise<void>
  stop(): Promise<void>
}

type Artifact = { readonly bytecode: string }
const artifacts: Record<'Token' | 'Mixed', Artifact> = JSON.parse(
  readFileSync(new URL('./contracts/artifacts.json', import.meta.url), 'utf8'),
)

const senders = Array.from({ length: SENDERS }, (_, index) => keyOf(`sender ${index}`))
const bank = keyOf('bank')
const deployer = keyOf('deployer')
const token = createdAddress(deployer.address, 0n)
const mixed = createdAddress(deployer.address, 1n)

const word = (value: bigint | Uint8Array): string =>
  (value instanceof Uint8Array ? toHex(value) : value.toString(16)).padStart(64, '0')

/** An address that nobody had before, the same in every run. */
const stranger = (index: number): Uint8Array => sha256(Buffer.from(`to ${index}`)).slice(12)

/** First four bytes of the hashes of what the contracts are asked. */
const SELECTORS = {
  transfer: 'a9059cbb',
  balanceOf: '70a08231',
  store: '6057361d',
  compute: '5ed86d5c',
  precompiles: 'edee61dc',
} as const

interface Round {
  readonly metric: string
  readonly lanes: Lanes
}

interface Work {
  readonly setup: string[]
  readonly rounds: readonly Round[]
  /** Under the reads; nobody takes all of it in their time. */
  readonly background: Lanes
}

/** Of the block in which the contracts are, and of accounts and balances. */
const READS: readonly Read[] = [
  {
    method: 'eth_getBalance',
    params: (index) => [`0x${toHex(stranger(index % 4_096))}`, 'latest'],
  },
  {
    method: 'eth_call',
    params: (index) => {
      const data = `0x${SELECTORS.balanceOf}${word(stranger(index % 4_096))}`
      return [{ to: `0x${toHex(token)}`, data }, 'latest']
    },
  },
  {
    method: 'eth_getLogs',
    // Transfers to one holder out of thousands: the node looks through all blocks and answers little.
    params: (index) => {
      const topics = [null, null, `0x${word(stranger(index % 4_096))}`]
      return [{ address: `0x${toHex(token)}`, fromBlock: '0x0', toBlock: 'latest', topics }]
    },
  },
]

/** What every contender gets, signed once. */
function roundsOf(transactions: number): Work {
  const holders = senders.map(({ address }) => word(address)).join('')
  const each = word(10n ** 24n)
  const creation = `${artifacts.Token.bytecode}${word(64n)}${each}${word(BigInt(SENDERS))}${holders}`
  const setup = [
    sign(deployer, { nonce: 0, data: hexBytes(creation), gasLimit: DEPLOY_GAS.token }),
    sign(deployer, {
      nonce: 1,
      data: hexBytes(artifacts.Mixed.bytecode),
      gasLimit: DEPLOY_GAS.mixed,
    }),
  ]
  const whole = (count: number) => Math.max(1, Math.round(count / SENDERS)) * SENDERS
  let nonce = 0
  const round = (metric: string, count: number, fields: Parameters<typeof lanesOf>[3]): Round => {
    const lanes = lanesOf(senders, nonce, whole(count), fields)
    nonce += whole(count) / SENDERS
    return { metric, lanes }
  }
  const call = (name: keyof typeof SELECTORS, gasLimit: bigint) => (index: number) => ({
    to: mixed,
    gasLimit,
    data: hexBytes(SELECTORS[name] + word(BigInt(index + 1))),
  })
  const rounds = [
    round('warm_up', transactions / 8, (index) => ({
      to: stranger(index % 512),
      valueWei: 1n,
      gasLimit: TRANSFER_GAS,
    })),
    round('transfers_e2e', transactions, (index) => ({
      to: stranger(index % 4_096),
      valueWei: 1n,
      gasLimit: TRANSFER_GAS,
    })),
    round('erc20_e2e', transactions / 2, (index) => ({
      to: token,
      gasLimit: TOKEN_GAS,
      data: hexBytes(SELECTORS.transfer + word(stranger(index % 4_096)) + word(1n)),
    })),
    round('mixed_contracts_storage', transactions / 16, call('store', 400_000n)),
    round('mixed_contracts_compute', transactions / 16, call('compute', 400_000n)),
    round('mixed_contracts_precompiles', transactions / 16, call('precompiles', 120_000n)),
  ]
  const background = lanesOf(senders, nonce, whole(transactions * 2), (index) => ({
    to: stranger(index % 4_096),
    valueWei: 1n,
    gasLimit: TRANSFER_GAS,
  }))
  return { setup, rounds, background }
}

async function freePort(): Promise<number> {
  const found = await findPort({ host: '127.0.0.1', port: 21_000 }, { fallback: true })
  if (!found.ok) throw new Error('no free port')
  return found.value
}

/** A peer that runs as one process and lets balances be set. */
async function startPeer(
  name: 'anvil' | 'edr',
  command: readonly string[],
  port: number,
  setBalance: string,
): Promise<Contender> {
  const directory = mkdtempSync(join(tmpdir(), `millrace-bench-${name}-`))
  const [program = '', ...args] = command
  const started: Supervised = startProcess(name, program, args, join(directory, 'log'))
  const url = `http://127.0.0.1:${port}`
  const rpc = createNodeRpc(url)
  const stop = async () => {
    await stopProcess(started)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await until(`an answer of ${name}`, START_MS, () => rpc.call('eth_chainId'))
  } catch (error) {
    await stop()
    throw new Error(`${(error as Error).message}\n${started.tail()}`)
  }
  return {
    name,
    url,
    pid: started.child.pid as number,
    async fund(keys, eachWei) {
      for (const { address } of keys) {
        await rpc.call(setBalance, [`0x${toHex(address)}`, `0x${eachWei.toString(16)}`])
      }
    },
    stop,
  }
}

async function startAnvil(): Promise<Contender | undefined> {
  const program = await anvilProgram()
  if (program === undefined) return undefined
  const port = await freePort()
  const flags: Record<string, string> = {
    port: String(port),
    'chain-id': String(CHAIN_ID),
    'block-time': String(INTERVAL_MS / 1_000),
    'gas-limit': String(GAS_LIMIT),
    hardfork: 'osaka',
    accounts: '1',
  }
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])
  return startPeer('anvil', [program, ...args, '--silent'], port, 'anvil_setBalance')
}

async function startEdr(): Promise<Contender | undefined> {
  const folder = await installPeer('@nomicfoundation/edr')
  if (folder === undefined) return undefined
  const port = await freePort()
  const server = fileURLToPath(new URL('./edr-server.ts', import.meta.url))
  const settings = [folder, port, CHAIN_ID, GAS_LIMIT, INTERVAL_MS].map(String)
  return startPeer('edr', [process.execPath, server, ...settings], port, 'hardhat_setBalance')
}

/** One node of ours with the preset `bench`, a member that approves the deposit, and Bitcoin. */
async function startOurs(): Promise<Contender> {
  const federation = await TestFederation.start({ nodes: 1, members: 1, preset: 'bench' })
  const [url = ''] = federation.urls
  const { rpc } = federation
  const pid = processesOf(federation.directory).find((one) => {
    return / node --config/.test(commandLineOf(one))
  })
  return {
    name: 'ours',
    url,
    pid: pid as number,
    async fund(keys, eachWei) {
      const outpoint = await payDeposit(federation, `0x${toHex(bank.address)}`, DEPOSIT_SAT)
      await minted(rpc, outpoint)
      const raws = keys.map(({ address }, nonce) => {
        return sign(bank, { nonce, to: address, valueWei: eachWei, gasLimit: TRANSFER_GAS })
      })
      await drive(url, [raws])
      await federation.stopMining()
    },
    async stop() {
      await federation.stop()
    },
  }
}

interface Measured {
  readonly perSecond: number
  readonly cpuUs: number
  readonly blocks: number
}

interface Results {
  readonly measured: Map<string, Measured>
  readonly reads: Map<string, ReadFigures>
}

/** All rounds on one contender, which has the machine to itself. What was measured before one that fails is kept. */
async function measure(
  contender: Contender,
  { setup, rounds, background }: Work,
  { measured, reads }: Results,
  tell: BenchOptions['tell'],
): Promise<void> {
  const rpc = createNodeRpc(contender.url)
  const each = (ONE_BTC * BigInt(DEPOSIT_SAT)) / 100_000_000n / BigInt(SENDERS + 2)
  await contender.fund([...senders, deployer], each)
  await drive(contender.url, [setup])
  await expectCode(rpc)
  for (const { metric, lanes } of rounds) {
    const before = usageOf(contender.pid)
    const { perSecond, blocks, seconds, takenPerSecond } = await drive(contender.url, lanes)
    const total = lanes.reduce((sum, lane) => sum + lane.length, 0)
    const cpuUs = ((usageOf(contender.pid).cpuSeconds - before.cpuSeconds) * 1e6) / total
    measured.set(metric, { perSecond, cpuUs, blocks })
    const rate = `${perSecond.toFixed(0)}/s in ${blocks} blocks, ${seconds.toFixed(1)} s`
    const taken = `taken ${takenPerSecond.toFixed(0)}/s, ${cpuUs.toFixed(0)} µs of processor each`
    tell(`${contender.name.padEnd(6)} ${metric.padEnd(28)} ${rate}; ${taken}`)
  }
  const answered = await readWhile(contender.url, READS, background)
  for (const [method, figures] of answered) {
    const { perSecond, latenciesMs } = figures
    reads.set(method, figures)
    const p99 = quantile(latenciesMs, 0.99).toFixed(1)
    tell(
      `${contender.name.padEnd(6)} ${method.padEnd(28)} ${perSecond.toFixed(0)}/s, p99 ${p99} ms`,
    )
  }
}

async function expectCode(rpc: NodeRpc): Promise<void> {
  for (const address of [token, mixed]) {
    const code = await rpc.call<string>('eth_getCode', [`0x${toHex(address)}`, 'latest'])
    if (code.length < 100) throw new Error(`no contract at ${toHex(address)}`)
  }
}

async function endToEnd(options: BenchOptions): Promise<Figure[]> {
  const { tell, transactions } = options
  tell(`signing ${transactions} transfers and what follows`)
  const work = roundsOf(transactions)
  const results = new Map<string, Results>()
  const contenders = { ours: startOurs, anvil: startAnvil, edr: startEdr }
  for (const [name, start] of Object.entries(contenders)) {
    if (options.only?.includes(name) === false) continue
    const contender = await start()
    if (contender === undefined) {
      tell(`${name}: it cannot be installed here; the bench goes on without it`)
      continue
    }
    const measured: Results = { measured: new Map(), reads: new Map() }
    results.set(name, measured)
    try {
      await measure(contender, work, measured, tell)
    } catch (error) {
      if (name === 'ours') throw error
      tell(`${name}: ${(error as Error).message}; the bench goes on without the rest of it`)
    } finally {
      await contender.stop()
    }
  }
  const writes = work.rounds
    .filter(({ metric }) => metric !== 'warm_up')
    .flatMap(({ metric }) => {
      const ours = results.get('ours')?.measured.get(metric)
      if (ours === undefined) return []
      const peers = ['anvil', 'edr'].flatMap((name) => {
        const theirs = results.get(name)?.measured.get(metric)
        return theirs === undefined ? [] : [[name, theirs] as const]
      })
      const of = (value: (measured: Measured) => number) =>
        Object.fromEntries(peers.map(([name, theirs]) => [name, value(theirs)]))
      return [
        {
          metric,
          unit: 'transactions/s',
          better: 'higher',
          ours: ours.perSecond,
          peers: of(({ perSecond }) => perSecond),
          note: `${ours.blocks} blocks`,
        },
        {
          metric: `${metric}_cpu`,
          unit: 'µs/transaction',
          better: 'lower',
          ours: ours.cpuUs,
          peers: of(({ cpuUs }) => cpuUs),
          note: 'user and system time of the node, all threads',
        },
      ] satisfies Figure[]
    })
  return [...writes, ...readFigures(results)]
}

function readFigures(results: ReadonlyMap<string, Results>): Figure[] {
  return READS.flatMap(({ method }): Figure[] => {
    const ours = results.get('ours')?.reads.get(method)
    if (ours === undefined) return []
    const p99 = ({ latenciesMs }: ReadFigures) => quantile(latenciesMs, 0.99)
    const theirs = (value: (figures: ReadFigures) => number) =>
      Object.fromEntries(
        [...results].flatMap(([name, { reads }]) => {
          const figures = name === 'ours' ? undefined : reads.get(method)
          return figures === undefined ? [] : [[name, value(figures)] as const]
        }),
      )
    const note = 'four at a time, while blocks are full'
    return [
      {
        metric: method,
        unit: 'requests/s',
        better: 'higher',
        ours: ours.perSecond,
        peers: theirs(({ perSecond }) => perSecond),
        note,
      },
      {
        metric: `${method}_p99`,
        unit: 'ms',
        better: 'lower',
        ours: p99(ours),
        peers: theirs(p99),
        note,
      },
    ]
  })
}

export const execution: Bench = async (options) => [...(await endToEnd(options))]
