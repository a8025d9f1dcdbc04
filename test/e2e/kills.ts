/**
 * Crash safety (issue 3, "Done when" 2): every process is killed once, then processes at random, while transfers go on. After each of
 * the first kills a peg-in and a peg-out complete with that process dead. In the end every acknowledged transaction is there, all
 * nodes have the same roots, and Bitcoin holds what the ledger says.
 */
import { Chaos, type Victim } from '../../devnet/launcher/chaos.ts'
import { createNodeRpc, type NodeRpc, until } from '../../devnet/launcher/rpc.ts'
import { type BlockAnswer, PATIENCE_MS, TestFederation } from './federation.ts'
import { Load } from './load.ts'
import type { Outcome, ScenarioOptions } from './scenario.ts'
import { Account, booked, include, minted, payDeposit } from './user.ts'

const TREASURY_SAT = 2_000_000_000n
const SENDERS = 5
const SENDER_WEI = 10n ** 18n
const PEG_IN_SAT = 3_000_000n
const PEG_OUT_SAT = 1_000_000n
/** Blocks that the others make while one is dead. */
const BLOCKS_WITHOUT = 3
/** A dead proposer's turn comes within so many slots of the kill. */
const AFTERMATH_SLOTS = 12
const SLOT_MS = 1_000

export async function kills(options: ScenarioOptions): Promise<Outcome> {
  const { nodes, members, bitcoin, seed, tell } = options
  tell(`seed ${seed}`)
  const federation = await TestFederation.start({ nodes, members, bitcoin })
  const run = new KillRun(federation, options)
  let outcome: Outcome
  let orphans: number[] = []
  try {
    await run.prepare()
    await run.killEachInTurn()
    await run.killAtRandom()
    outcome = await run.conclude()
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${federation.logTails()}`)
  } finally {
    await run.endLoad()
    orphans = await federation.stop()
  }
  return {
    ok: outcome.ok && orphans.length === 0,
    figures: { ...outcome.figures, orphans: orphans.length, seed },
  }
}

class KillRun {
  readonly #federation: TestFederation
  readonly #options: ScenarioOptions
  readonly #killedAtSlots: number[] = []
  #treasury: Account | undefined
  #load: Load | undefined
  #pegIns = 0
  #pegOuts = 0

  constructor(federation: TestFederation, options: ScenarioOptions) {
    this.#federation = federation
    this.#options = options
  }

  /** Coins on the EVM chain for the senders, and their load. */
  async prepare(): Promise<void> {
    const { rpc } = this.#federation
    const chainId = Number(await rpc.call<string>('eth_chainId'))
    const treasury = Account.random(chainId)
    this.#treasury = treasury
    await minted(rpc, await payDeposit(this.#federation, treasury.address, TREASURY_SAT))
    const load = new Load(this.#federation, chainId, SENDERS)
    this.#load = load
    for (const { address } of load.accounts) {
      await include(rpc, await treasury.transfer(address, SENDER_WEI))
    }
    load.start()
    this.#options.tell('load runs')
  }

  /** Each process once; the others go on without it, and a coin goes in and out before it comes back. */
  async killEachInTurn(): Promise<void> {
    for (const victim of this.#victims()) {
      const head = await this.#federation.head()
      await this.#kill(victim)
      if (this.#options.nodes >= 4 || victim.role === 'member') {
        await this.#federation.heightAtLeast(head.height + BLOCKS_WITHOUT)
        await this.#roundTrip()
        await this.#comeBack(victim)
      } else {
        await this.#comeBack(victim)
        await this.#roundTrip()
      }
      const { taken, acknowledged } = (this.#load as Load).figures
      this.#options.tell(
        `${victim.role} ${victim.index} was killed: a coin in, a coin out; ${acknowledged} of ${taken} transfers acknowledged`,
      )
    }
  }

  /** One dead process at a time, some of them killed again while they start; coins go in and out all the while. */
  async killAtRandom(): Promise<void> {
    const { random: kills, seed, nodes, members, tell } = this.#options
    if (kills === 0) return
    const chaos = new Chaos({
      seed,
      nodes,
      members,
      kills,
      mostAway: 1,
      targets: {
        kill: (victim) => this.#kill(victim),
        start: ({ role, index }) => this.#federation.start(role, index),
        isBack: (victim) => this.#isBack(victim),
        tell,
      },
    })
    let isOver = false
    const roundTrips = (async () => {
      while (!isOver) await this.#roundTrip()
    })()
    // A failure is reported below, not by the runtime in the meantime.
    roundTrips.catch(() => {})
    try {
      await chaos.run()
    } finally {
      isOver = true
    }
    await roundTrips
  }

  /** Whatever happened: nothing goes on behind the run. */
  async endLoad(): Promise<void> {
    await this.#load?.stop(0)
  }

  async conclude(): Promise<Outcome> {
    const load = this.#load as Load
    const lost = await load.stop(PATIENCE_MS)
    await this.#federation.stopMining()
    const { nodes } = this.#options
    const rpcs = Array.from({ length: nodes }, (_, index) => this.#federation.node(index))
    const { height } = await this.#federation.head()
    await Promise.all(rpcs.map((rpc) => this.#federation.heightAtLeast(height, rpc)))
    const roots = await Promise.all(rpcs.map((rpc) => rootsAt(rpc, height)))
    const missing = await Promise.all(
      rpcs.map((rpc) => missingReceipts(rpc.url, load.acknowledged)),
    )
    const gaps = await slotGaps(this.#federation.rpc, height)
    const reserves = await this.#federation.reserves()
    const onBitcoinSat = await this.#federation.reserveOnBitcoin()
    const rootsEqual = new Set(roots).size === 1
    const balanced = reserves.balanced && onBitcoinSat === BigInt(reserves.reserveSat)
    const figures = {
      killed: this.#killedAtSlots.length,
      resumedSlots: worstGap(gaps, this.#killedAtSlots),
      rootsEqual,
      pegInsDone: this.#pegIns,
      pegOutsDone: this.#pegOuts,
      height,
      meanGapSlots: mean(gaps.map(({ slots }) => slots)),
      transactions: load.figures,
      lost: lost.length + missing.reduce((sum, hashes) => sum + hashes.length, 0),
      reserveSat: reserves.reserveSat,
      supplySat: reserves.supplySat,
      inFlightSat: reserves.inFlightSat,
      onBitcoinSat: String(onBitcoinSat),
    }
    return { ok: rootsEqual && balanced && figures.lost === 0, figures }
  }

  #victims(): Victim[] {
    const { nodes, members } = this.#options
    return [
      ...Array.from({ length: nodes }, (_, index) => ({ role: 'node', index }) as const),
      ...Array.from({ length: members }, (_, index) => ({ role: 'member', index }) as const),
    ]
  }

  async #kill({ role, index }: Victim): Promise<void> {
    this.#killedAtSlots.push(Math.floor(Date.now() / SLOT_MS))
    await this.#federation.kill(role, index)
  }

  async #comeBack(victim: Victim): Promise<void> {
    this.#federation.start(victim.role, victim.index)
    await this.#isBack(victim)
  }

  async #isBack({ role, index }: Victim): Promise<void> {
    if (role === 'node') {
      await this.#federation.answers(index)
      await this.#federation.caughtUp(index)
    } else {
      await this.#federation.memberReady(index)
    }
  }

  /** A deposit and a withdrawal, at the same time. */
  async #roundTrip(): Promise<void> {
    const federation = this.#federation
    const { rpc } = federation
    const treasury = this.#treasury as Account
    const pegIn = async () => {
      await minted(rpc, await payDeposit(federation, treasury.address, PEG_IN_SAT))
      this.#pegIns += 1
    }
    const pegOut = async () => {
      const hash = await include(rpc, await treasury.burn(federation.wallet.address, PEG_OUT_SAT))
      await booked(rpc, hash)
      this.#pegOuts += 1
    }
    await Promise.all([pegIn(), pegOut()])
  }
}

/** State root, ledger root and hash of one block, as one text. */
async function rootsAt(rpc: NodeRpc, height: number): Promise<string> {
  const block = await rpc.call<BlockAnswer>('getblockbyheight', [height])
  const evm = await rpc.call<{ hash: string; stateRoot: string }>('eth_getBlockByNumber', [
    `0x${height.toString(16)}`,
    false,
  ])
  return [block.hash, block.ledgerRoot, evm.hash, evm.stateRoot].join(' ')
}

const BATCH = 200

/** Which of these transactions a node has no receipt of. */
async function missingReceipts(url: string, hashes: readonly string[]): Promise<string[]> {
  const missing: string[] = []
  for (let from = 0; from < hashes.length; from += BATCH) {
    const part = hashes.slice(from, from + BATCH)
    const calls = part.map((hash, id) => ({
      jsonrpc: '2.0',
      id,
      method: 'eth_getTransactionReceipt',
      params: [hash],
    }))
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(calls),
    })
    const answers = (await response.json()) as { readonly id: number; readonly result?: unknown }[]
    const found = new Set(answers.flatMap(({ id, result }) => (result ? [id] : [])))
    missing.push(...part.filter((_, id) => !found.has(id)))
  }
  return missing
}

interface Gap {
  /** Slot of the later block. */
  readonly slot: number
  readonly slots: number
}

/** Distances between successive blocks. 1: no slot was without a block. */
async function slotGaps(rpc: NodeRpc, height: number): Promise<Gap[]> {
  const slots: number[] = []
  for (let at = 1; at <= height; at++) {
    const block = await until(`block ${at}`, PATIENCE_MS, () =>
      createNodeRpc(rpc.url).call<BlockAnswer>('getblockbyheight', [at]),
    )
    slots.push(block.slot)
  }
  return slots.slice(1).map((slot, index) => ({ slot, slots: slot - (slots[index] as number) }))
}

/** The longest distance between blocks that a kill may have caused. */
function worstGap(gaps: readonly Gap[], killedAtSlots: readonly number[]): number {
  const isNear = (slot: number) =>
    killedAtSlots.some((killed) => slot >= killed && slot - killed <= AFTERMATH_SLOTS)
  // A gap that began near a kill counts with all its length, however late the block came.
  return Math.max(
    0,
    ...gaps
      .filter(({ slot, slots }) => isNear(slot) || isNear(slot - slots))
      .map(({ slots }) => slots),
  )
}

function mean(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0)
  return Math.round((sum / Math.max(1, values.length)) * 100) / 100
}
