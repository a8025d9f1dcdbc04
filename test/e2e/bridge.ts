/**
 * Custody (issue 7, "How it is shown") on real processes: coins in and out in both forms, refunds, reorgs of Bitcoin under them, a key that is handed
 * over meanwhile, a payout that is replaced, a mempool that is full, a restart of everything in the middle of a signature, a dead member and a lying
 * one, and both at once of seven. Each deposit is minted or refunded once, each burn paid or minted back once, the liar is named, and the
 * books balance on every node whenever they are read.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launchBitcoin } from '../../devnet/launcher/bitcoin.ts'
import { stopProcess } from '../../devnet/launcher/processes.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { BridgeUsers } from './bridge-users.ts'
import { CrowdedBitcoin } from './crowded-bitcoin.ts'
import { freeBitcoinUrl, PATIENCE_MS, TestFederation } from './federation.ts'
import { callForKey, keyMade, keysOf, reserveRows } from './keys.ts'
import { mempoolOf, mineOnly, reorganize } from './regtest.ts'
import type { Outcome, ScenarioOptions } from './scenario.ts'
import { signingTimes } from './signing-times.ts'
import { pegStatus } from './user.ts'

/** Coins of the wallet that can be spent at once. */
const AT_ONCE = 10
const REFUNDS = 2
/** Of these, 5 sign: one may lie while another is dead. */
const SEVEN = 7
const COINS_OF_SEVEN = 4
/** Nodes bump what Bitcoin has had for so many blocks without mining it. */
const EMPTY_BLOCKS = 5
/** A version in which a payout is replaced has to pay this much more than the calm rate. */
const BUSY_SAT_PER_KVB = 6_000
const LYING_MEMBER = fileURLToPath(new URL('./lying-member.ts', import.meta.url))
/** A liar is named when a list of signers has it: which members are on a list is chance. */
const LIES = 20

export interface BridgeRunOptions {
  /** A few of each. */
  readonly short?: boolean
}

/** What one federation went through. */
interface Part {
  readonly ok: boolean
  readonly counts: Readonly<Record<string, number>>
  readonly namedLiars: readonly string[]
  readonly unsettled: readonly string[]
  readonly members: number
  readonly reserveSat: string
  readonly onBitcoinSat: string
  readonly signing: unknown
}

export const bridge = (options: ScenarioOptions): Promise<Outcome> => runBridge(options)

export async function runBridge(
  options: ScenarioOptions,
  { short = false }: BridgeRunOptions = {},
): Promise<Outcome> {
  const parts = [await runFederation(options, (run) => everything(run, options.random, short))]
  if (!short && options.members < SEVEN) {
    const seven = { ...options, members: SEVEN }
    parts.push(await runFederation(seven, (run) => liesAmongDead(run, COINS_OF_SEVEN)))
  }
  const counts: Record<string, number> = {}
  for (const part of parts) {
    for (const [name, count] of Object.entries(part.counts)) {
      counts[name] = (counts[name] ?? 0) + count
    }
  }
  const figures = {
    ...counts,
    namedLiars: parts.flatMap(({ namedLiars }) => namedLiars),
    unsettled: parts.flatMap(({ unsettled }) => unsettled),
    federations: parts.map(({ members, reserveSat, onBitcoinSat, signing }) => {
      return { members, reserveSat, onBitcoinSat, signing }
    }),
  }
  return { ok: parts.every(({ ok }) => ok), figures }
}

async function everything(run: BridgeRun, count: number, short: boolean): Promise<void> {
  await run.coins(count)
  await run.refunds()
  await run.handover()
  if (!short) await run.fullMempool()
  await run.replaced()
  await run.restartMidSignature()
  await run.deadMember()
  if (!short) await run.lyingMember()
}

async function liesAmongDead(run: BridgeRun, count: number): Promise<void> {
  await run.coins(count)
  await run.lyingMember()
}

async function runFederation(
  options: ScenarioOptions,
  story: (run: BridgeRun) => Promise<void>,
): Promise<Part> {
  const { bitcoin: which, members, nodes, tell } = options
  const directory = mkdtempSync(join(tmpdir(), 'millrace-e2e-bitcoin-'))
  const launched = await launchBitcoin(which, directory, await freeBitcoinUrl())
  const door = new CrowdedBitcoin(launched.url)
  let federation: TestFederation | undefined
  let part: Part
  let orphans: number[] = []
  try {
    federation = await TestFederation.start({ nodes, members, bitcoin: await door.open() })
    try {
      const run = await BridgeRun.create(federation, door, options)
      await story(run)
      part = await run.conclude()
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${federation.logTails()}`)
    }
  } finally {
    orphans = (await federation?.stop()) ?? []
    await door.close()
    if (launched.process !== undefined) await stopProcess(launched.process)
    rmSync(directory, { recursive: true, force: true })
  }
  tell(`${orphans.length} processes are left`)
  const counts = { ...part.counts, orphans: orphans.length }
  return { ...part, ok: part.ok && orphans.length === 0, counts }
}

class BridgeRun {
  readonly #federation: TestFederation
  readonly #door: CrowdedBitcoin
  readonly #options: ScenarioOptions
  readonly #users: BridgeUsers
  readonly #counts = { reorgs: 0, rbf: 0, handovers: 0, identityChecks: 0 }
  readonly #namedLiars = new Set<number>()

  private constructor(
    federation: TestFederation,
    door: CrowdedBitcoin,
    options: ScenarioOptions,
    users: BridgeUsers,
  ) {
    this.#federation = federation
    this.#door = door
    this.#options = options
    this.#users = users
  }

  /** The members' key is made first: what comes then is signed by it. */
  static async create(
    federation: TestFederation,
    door: CrowdedBitcoin,
    options: ScenarioOptions,
  ): Promise<BridgeRun> {
    await keyMade(federation, 1)
    const users = await BridgeUsers.create(federation)
    const run = new BridgeRun(federation, door, options, users)
    await run.#look(`the key of ${options.members} members is made, users have coins`)
    return run
  }

  /** So many in and so many out, while Bitcoin's branches change. */
  async coins(count: number): Promise<void> {
    for (let from = 0; from < count; from += AT_ONCE) {
      const ends: Promise<void>[] = []
      const to = Math.min(count, from + AT_ONCE)
      for (let at = from; at < to; at++) ends.push(...(await this.#inAndOut()))
      await reorganize(this.#federation, 1 + ((from / AT_ONCE) % 3))
      this.#counts.reorgs += 1
      await Promise.all(ends)
      await this.#look(`${to} of ${count} coins in and out`)
    }
  }

  /** What cannot be taken goes back, on either chain. */
  async refunds(): Promise<void> {
    for (let at = 0; at < REFUNDS; at++) {
      await this.#users.burnInVain()
      await this.#users.payInVain()
    }
    await this.#look('what cannot be taken went back')
  }

  /** The members call for another key: its coins move to it, all the while others come in and go out. */
  async handover(): Promise<void> {
    const { epoch } = await keysOf(this.#federation)
    let isOver = false
    const moved = this.#callAndMove(epoch).finally(() => {
      isOver = true
    })
    const traffic = async () => {
      while (!isOver) await Promise.all(await this.#inAndOut())
    }
    const [outputs] = await Promise.all([moved, traffic()])
    this.#counts.handovers += 1
    await this.#look(`${outputs} outputs moved to the key of epoch ${epoch + 1}`)
  }

  /** How many outputs were under the keys up to an epoch when the next one was made, and are not any more. */
  async #callAndMove(epoch: number): Promise<number> {
    const federation = this.#federation
    for (let member = 0; member < federation.genesis.memberThreshold; member++) {
      const { code, stderr } = await callForKey(federation, member, member % this.#options.nodes)
      if (code !== 0) throw new Error(`the call of member ${member} failed: ${stderr}`)
    }
    await keyMade(federation, epoch + 1)
    const rows = await reserveRows(federation)
    const old = new Set(rows.flatMap((row) => (row.epoch > epoch ? [] : [row.outpoint])))
    if (old.size === 0) throw new Error('there was nothing to hand over')
    return until(`${old.size} outputs under the next key`, 4 * PATIENCE_MS, async () => {
      const left = await reserveRows(federation)
      return left.some(({ outpoint }) => old.has(outpoint)) ? undefined : old.size
    })
  }

  /** Bitcoin takes no payout for a while; when it does, all are paid. */
  async fullMempool(): Promise<void> {
    this.#door.isFull = true
    const { paid } = await this.#users.burn()
    await until('a refusal', PATIENCE_MS, async () => (this.#door.refused > 0 ? true : undefined))
    this.#door.isFull = false
    await paid
    await this.#look('a full mempool took a payout in the end')
  }

  /** Blocks come that leave the payout out, and rates rise: a further version is recorded, and of the two one is booked. */
  async replaced(): Promise<void> {
    const federation = this.#federation
    await federation.stopMining()
    const { paid } = await this.#users.burn()
    const before = await until('a payout in the mempool', PATIENCE_MS, async () => {
      const pool = await mempoolOf(federation)
      return pool.length > 0 ? pool : undefined
    })
    this.#door.feeRateSatPerKvb = BUSY_SAT_PER_KVB
    const isReplaced = async () => {
      const now = await mempoolOf(federation)
      return now.length > 0 && !now.some((txid) => before.includes(txid))
    }
    let replaced = false
    for (let tried = 0; !replaced && tried < 3 * EMPTY_BLOCKS; tried++) {
      await mineOnly(federation, [])
      const deadline = Date.now() + 4_000
      while (!replaced && Date.now() < deadline) {
        replaced = await isReplaced()
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
    }
    if (!replaced) throw new Error(`${before.join(', ')} is not replaced`)
    this.#counts.rbf += 1
    this.#door.feeRateSatPerKvb = undefined
    federation.startMining()
    await paid
    await this.#look('a payout was replaced')
  }

  /** Every process dies between the record of a batch and its signatures. */
  async restartMidSignature(): Promise<void> {
    const federation = this.#federation
    const { members, nodes } = this.#options
    // So that the batch stands recorded and unsigned: a quorum of members is away.
    for (let member = 0; member < members - 1; member++) await federation.kill('member', member)
    const { hash, paid } = await this.#users.burn()
    await until('a recorded batch', PATIENCE_MS, async () => {
      return (await pegStatus(federation.rpc, hash))?.batchId
    })
    for (let node = 0; node < nodes; node++) await federation.kill('node', node)
    await federation.kill('member', members - 1)
    for (let member = 0; member < members; member++) federation.start('member', member)
    for (let node = 0; node < nodes; node++) federation.start('node', node)
    for (let node = 0; node < nodes; node++) await federation.answers(node)
    await paid
    await this.#look('everything was killed in the middle of a signature')
  }

  /** As many as the threshold leaves may be away. */
  async deadMember(): Promise<void> {
    const federation = this.#federation
    const dead = this.#options.members - 1
    await federation.kill('member', dead)
    await Promise.all([...(await this.#inAndOut()), (await this.#users.burn()).paid])
    federation.start('member', dead)
    await federation.memberReady(dead)
    await this.#look('a member was dead')
  }

  /** One gives wrong shares: payouts complete, and nodes name it. Where the threshold leaves two, another one is dead meanwhile. */
  async lyingMember(): Promise<void> {
    const federation = this.#federation
    const { members } = this.#options
    const liar = 0
    const dead = members - federation.genesis.memberThreshold > 1 ? members - 1 : undefined
    if (dead !== undefined) await federation.kill('member', dead)
    await federation.kill('member', liar)
    federation.startMemberOf(LYING_MEMBER, liar)
    await federation.memberReady(liar)
    for (let at = 0; this.#namedLiars.size === 0; at++) {
      if (at === LIES) throw new Error(`nobody was named in ${LIES} payouts`)
      const { paid } = await this.#users.burn()
      await paid
      this.#collectNames()
    }
    await federation.kill('member', liar)
    federation.start('member', liar)
    if (dead !== undefined) federation.start('member', dead)
    await federation.memberReady(liar)
    await this.#look(dead === undefined ? 'a member lied' : 'a member lied, and another was dead')
    this.#collectNames()
    const named = [...this.#namedLiars].join()
    if (named !== String(liar)) throw new Error(`named as liars: ${named}`)
  }

  async conclude(): Promise<Part> {
    const federation = this.#federation
    const { members, nodes } = this.#options
    await federation.stopMining()
    this.#collectNames()
    const unsettled = await this.#users.unsettled()
    const { reserveSat } = await federation.reserves()
    const onBitcoinSat = String(await federation.reserveOnBitcoin())
    return {
      ok: unsettled.length === 0 && onBitcoinSat === reserveSat,
      counts: {
        ...this.#users.counts,
        ...this.#counts,
        refusedByMempool: this.#door.refused,
      },
      namedLiars: [...this.#namedLiars].map((liar) => `${liar} of ${members}`),
      unsettled,
      members,
      reserveSat,
      onBitcoinSat,
      signing: signingTimes(federation, nodes),
    }
  }

  /** One coin in and one out are on their way; the ends of both. */
  async #inAndOut(): Promise<readonly [Promise<void>, Promise<void>]> {
    const { done } = await this.#users.pegIn()
    const { paid } = await this.#users.burn()
    return [done, paid]
  }

  /** The books of every node that runs: reserve = supply + in flight. */
  async #look(what: string): Promise<void> {
    for (const node of this.#federation.runningNodes()) {
      const { balanced, height } = await this.#federation.reserves(this.#federation.node(node))
      if (!balanced) throw new Error(`the books of node ${node} do not balance at ${height}`)
      this.#counts.identityChecks += 1
    }
    this.#options.tell(what)
  }

  #collectNames(): void {
    for (let node = 0; node < this.#options.nodes; node++) {
      for (const { fields, msg } of this.#federation.log('node', node)) {
        if (msg !== 'a member signed wrongly') continue
        this.#namedLiars.add((fields as { readonly memberIndex: number }).memberIndex)
      }
    }
  }
}
