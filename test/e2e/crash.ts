/**
 * Crash safety of the stores (BP-7): one node after another is killed with SIGKILL at a random moment, some of them again while they start,
 * while transfers go on. In the end every transaction that was acknowledged has its receipt on every node, all nodes have the same roots at
 * every height, the data of each verifies as a whole, and one that executes the blocks again from genesis comes to the same roots.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '../../devnet/launcher/chaos.ts'
import type { NodeRpc } from '../../devnet/launcher/rpc.ts'
import { type BlockAnswer, PATIENCE_MS, TestFederation } from './federation.ts'
import { Load } from './load.ts'
import { runProgram } from './program.ts'
import type { Outcome, ScenarioOptions } from './scenario.ts'
import { Account, include, minted, payDeposit } from './user.ts'

const TREASURY_SAT = 2_000_000_000n
const SENDERS = 5
const SENDER_WEI = 10n ** 18n
/** From when a node is back until it is killed. */
const MOST_QUIET_MS = 2_500
/** How often a node is killed while it starts, and when. */
const KILLED_WHILE_STARTING = 0.25
const MOST_STARTING_MS = 3_000
const TOLD_EVERY = 10

export async function crash(options: ScenarioOptions): Promise<Outcome> {
  const { nodes, bitcoin, seed, random: kills, tell } = options
  tell(`seed ${seed}`)
  const federation = await TestFederation.start({ nodes, members: 1, bitcoin })
  try {
    const load = await prepare(federation)
    load.start()
    await killAtRandom(federation, { nodes, seed, kills, tell }, load)
    const unfinished = await load.stop(PATIENCE_MS)
    return await conclude(federation, options, load.acknowledged, unfinished.length)
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${federation.logTails()}`)
  } finally {
    await federation.stop()
  }
}

/** Coins for those who send. */
async function prepare(federation: TestFederation): Promise<Load> {
  const { rpc } = federation
  const chainId = Number(await rpc.call<string>('eth_chainId'))
  const treasury = Account.random(chainId)
  await minted(rpc, await payDeposit(federation, treasury.address, TREASURY_SAT))
  const load = new Load(federation, chainId, SENDERS)
  for (const { address } of load.accounts) {
    await include(rpc, await treasury.transfer(address, SENDER_WEI))
  }
  return load
}

async function killAtRandom(
  federation: TestFederation,
  {
    nodes,
    seed,
    kills,
    tell,
  }: { nodes: number; seed: number; kills: number; tell(line: string): void },
  load: Load,
): Promise<void> {
  const next = seededRandom(seed)
  for (let done = 0; done < kills; ) {
    const index = Math.floor(next() * nodes)
    await pause(next() * MOST_QUIET_MS)
    await federation.kill('node', index)
    done += 1
    federation.startNode(index)
    while (done < kills && next() < KILLED_WHILE_STARTING) {
      await pause(next() * MOST_STARTING_MS)
      await federation.kill('node', index)
      done += 1
      federation.startNode(index)
    }
    await federation.answers(index)
    await federation.caughtUp(index)
    if (done % TOLD_EVERY === 0) tell(`${done} kills, ${load.figures.acknowledged} acknowledged`)
  }
}

async function conclude(
  federation: TestFederation,
  { nodes, random: kills, seed, tell }: ScenarioOptions,
  acknowledged: readonly string[],
  unfinished: number,
): Promise<Outcome> {
  const rpcs = Array.from({ length: nodes }, (_, index) => federation.node(index))
  const { height } = await federation.head()
  await Promise.all(rpcs.map((rpc) => federation.heightAtLeast(height, rpc)))
  let lostAcknowledged = 0
  for (const rpc of rpcs) {
    for (const hash of acknowledged) {
      if ((await rpc.call('eth_getTransactionReceipt', [hash])) === null) lostAcknowledged += 1
    }
  }
  const prepared = (await Promise.all(federation.urls.map(preparedBy))).reduce(sum)
  const expected = await rootsTo(rpcs[0] as NodeRpc, height)
  let rootMismatches = 0
  for (const rpc of rpcs.slice(1))
    rootMismatches += differences(expected, await rootsTo(rpc, height))
  tell('one node executes all blocks again')
  await federation.stopNode(0)
  rmSync(join(federation.files.nodeDirectory(0), 'data', 'evm'), { recursive: true })
  federation.startNode(0)
  await federation.answers(0)
  rootMismatches += differences(expected, await rootsTo(federation.node(0), height))
  tell('the data of every node is verified')
  let damaged = 0
  for (let index = 0; index < nodes; index++) await federation.stopNode(index)
  for (let index = 0; index < nodes; index++) {
    const config = join(federation.files.nodeDirectory(index), 'config.json')
    const { code, stdout } = await runProgram('doctor', '--config', config, '--verify-state')
    if (code === 0) continue
    damaged += 1
    tell(stdout)
  }
  const figures = {
    kills,
    lostAcknowledged,
    rootMismatches,
    damaged,
    prepared,
    acknowledged: acknowledged.length,
    unfinished,
    height,
    seed,
  }
  return { ok: lostAcknowledged + rootMismatches + damaged === 0, figures }
}

/** Hash, ledger root, EVM hash and state root of every height, as texts. */
async function rootsTo(rpc: NodeRpc, height: number): Promise<readonly string[]> {
  const roots: string[] = []
  for (let at = 1; at <= height; at++) {
    const block = await rpc.call<BlockAnswer>('getblockbyheight', [at])
    const evm = await rpc.call<{ hash: string; stateRoot: string }>('eth_getBlockByNumber', [
      `0x${at.toString(16)}`,
      false,
    ])
    roots.push([block.hash, block.ledgerRoot, evm.hash, evm.stateRoot].join(' '))
  }
  return roots
}

/** Transactions that a node executed before the slot of their block, since it was started last. */
async function preparedBy(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const [, count = '0'] = /^millrace_engine_prepared_transactions_total (\d+)/m.exec(text) ?? []
  return Number(count)
}

const sum = (left: number, right: number): number => left + right

function differences(left: readonly string[], right: readonly string[]): number {
  return left.filter((roots, index) => roots !== right[index]).length
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
