/**
 * Custody (issue 7, "How it is shown") on real processes: coins in and out in both forms, refunds, reorgs of Bitcoin under them, a payout that
 * is replaced, a mempool that is full, a restart of everything in the middle of a signature, a dead member and a lying one. Each deposit is minted or
 * refunded once, each burn paid or minted back once, the liar is named, and the books balance on every node whenever they are read.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addressFromScript } from '../../core/bitcoin/index.ts'
import { depositPayloadScript } from '../../core/peg/index.ts'
import { launchBitcoin } from '../../devnet/launcher/bitcoin.ts'
import { stopProcess } from '../../devnet/launcher/processes.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { CrowdedBitcoin } from './crowded-bitcoin.ts'
import { freeBitcoinUrl, PATIENCE_MS, TestFederation } from './federation.ts'
import type { Outcome, ScenarioOptions } from './scenario.ts'
import { signingTimes } from './signing-times.ts'
import {
  Account,
  booked,
  include,
  minted,
  payDeposit,
  payFederation,
  payWithMessage,
  pegStatus,
  reached,
  WEI_PER_SAT,
} from './user.ts'

const TREASURY_SAT = 2_000_000_000n
const PEG_IN_SAT = 3_000_000n
const PEG_IN_FEE_SAT = 1_000n
const PEG_OUT_SAT = 200_000n
/** Coins of the wallet that can be spent at once. */
const AT_ONCE = 10
const REFUNDS = 2
/** Nodes bump what Bitcoin has had for so many blocks without mining it. */
const EMPTY_BLOCKS = 5
/** A version in which a payout is replaced has to pay this much more than the calm rate. */
const BUSY_SAT_PER_KVB = 6_000
const LYING_MEMBER = fileURLToPath(new URL('./lying-member.ts', import.meta.url))
const PRECOMPILE = new Uint8Array(20).fill(1, 19)
/** A real address, of another network. */
const MAINNET_ADDRESS = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'

export interface BridgeRunOptions {
  /** A few of each. */
  readonly short?: boolean
}

export const bridge = (options: ScenarioOptions): Promise<Outcome> => runBridge(options)

export async function runBridge(
  options: ScenarioOptions,
  { short = false }: BridgeRunOptions = {},
): Promise<Outcome> {
  const { bitcoin: which, members, nodes, random: count, tell } = options
  const directory = mkdtempSync(join(tmpdir(), 'millrace-e2e-bitcoin-'))
  const launched = await launchBitcoin(which, directory, await freeBitcoinUrl())
  const door = new CrowdedBitcoin(launched.url)
  let federation: TestFederation | undefined
  let outcome: Outcome
  let orphans: number[] = []
  try {
    federation = await TestFederation.start({ nodes, members, bitcoin: await door.open() })
    const run = new BridgeRun(federation, door, options)
    try {
      await run.prepare()
      await run.coins(count)
      await run.refunds()
      if (!short) await run.fullMempool()
      await run.replaced()
      await run.restartMidSignature()
      await run.deadMember()
      if (!short) await run.lyingMember()
      outcome = await run.conclude()
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
  return {
    ok: outcome.ok && orphans.length === 0,
    figures: { ...outcome.figures, orphans: orphans.length },
  }
}

class BridgeRun {
  readonly #federation: TestFederation
  readonly #door: CrowdedBitcoin
  readonly #options: ScenarioOptions
  /** What random addresses are to hold, and where Bitcoin is to pay once. */
  readonly #expectedWei = new Map<string, bigint>()
  readonly #destinations: string[] = []
  readonly #counts = { pegIns: 0, pegOuts: 0, refunds: 0, reorgs: 0, rbf: 0, identityChecks: 0 }
  readonly #namedLiars = new Set<number>()
  #treasury: Account | undefined

  constructor(federation: TestFederation, door: CrowdedBitcoin, options: ScenarioOptions) {
    this.#federation = federation
    this.#door = door
    this.#options = options
  }

  /** The members' key is made first: what comes then is signed by it. */
  async prepare(): Promise<void> {
    const { rpc } = this.#federation
    await until('the key', PATIENCE_MS, async () => {
      const { epoch } = await rpc.call<{ readonly epoch: number }>('millrace_keygenStatus')
      return epoch === 1 ? epoch : undefined
    })
    const chainId = Number(await rpc.call<string>('eth_chainId'))
    this.#treasury = Account.random(chainId)
    await minted(rpc, await payDeposit(this.#federation, this.#treasury.address, TREASURY_SAT))
    await this.#look('the key is made, the treasury has coins')
  }

  /** So many in and so many out, in turn by each form, while Bitcoin's branches change. */
  async coins(count: number): Promise<void> {
    for (let from = 0; from < count; from += AT_ONCE) {
      const group = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => from + at)
      const ends: Promise<unknown>[] = []
      for (const at of group) {
        ends.push(this.#pegIn(await this.#pay(at)))
        ends.push((await this.#burn(at)).paid)
      }
      await this.#reorg(1 + ((from / AT_ONCE) % 3))
      await Promise.all(ends)
      await this.#look(`${from + group.length} of ${count} coins in and out`)
    }
  }

  /** Burns that nobody can pay come back as mints; deposits that cannot be minted go back on Bitcoin. */
  async refunds(): Promise<void> {
    const { rpc } = this.#federation
    for (let at = 0; at < REFUNDS; at++) {
      const hash = await include(rpc, await this.#account.burn(MAINNET_ADDRESS, PEG_OUT_SAT))
      const back = await reached(rpc, hash, 'the end', ({ step }) => step === 'Booked')
      if (back.reason !== 'unpayable') throw new Error(JSON.stringify(back))
      const script = this.#destination()
      const payload = depositPayloadScript(PRECOMPILE, script)
      const txid = await payFederation(this.#federation, [PEG_IN_SAT], [payload])
      await reached(rpc, `${txid}:0`, 'its refund', ({ refundable, next }) => {
        return refundable === true && next === undefined
      })
      this.#counts.refunds += 2
    }
    await this.#look('what cannot be taken went back')
  }

  /** Bitcoin takes no payout for a while; when it does, all are paid. */
  async fullMempool(): Promise<void> {
    this.#door.isFull = true
    const { paid } = await this.#burn(0)
    await until('a refusal', PATIENCE_MS, async () => (this.#door.refused > 0 ? true : undefined))
    this.#door.isFull = false
    await paid
    await this.#look('a full mempool took a payout in the end')
  }

  /** Blocks come that leave the payout out, and rates rise: a further version is recorded, and of the two one is booked. */
  async replaced(): Promise<void> {
    const federation = this.#federation
    await federation.stopMining()
    const { paid } = await this.#burn(1)
    await until('a payout in the mempool', PATIENCE_MS, async () => {
      const pool = await federation.bitcoin.getRawMempool()
      return pool.ok && pool.value.length > 0 ? true : undefined
    })
    const before = await this.#mempool()
    this.#door.feeRateSatPerKvb = BUSY_SAT_PER_KVB
    const isReplaced = async () => {
      const now = await this.#mempool()
      return now.length > 0 && !now.some((txid) => before.includes(txid)) ? now : undefined
    }
    let replaced: readonly string[] | undefined
    for (let tried = 0; replaced === undefined && tried < 3 * EMPTY_BLOCKS; tried++) {
      await this.#mineEmpty()
      const deadline = Date.now() + 4_000
      while (replaced === undefined && Date.now() < deadline) {
        replaced = await isReplaced()
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
    }
    if (replaced === undefined) throw new Error(`${before.join(', ')} is not replaced`)
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
    const { hash, paid } = await this.#burn(2)
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
    const burns = [await this.#burn(3), await this.#burn(4)]
    await Promise.all(burns.map(({ paid }) => paid))
    await this.#pegIn(await this.#pay(5))
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
    for (let at = 0; this.#namedLiars.size === 0 && at < 20; at++) {
      const { paid } = await this.#burn(at)
      await paid
      this.#collectNames()
    }
    await federation.kill('member', liar)
    federation.start('member', liar)
    if (dead !== undefined) federation.start('member', dead)
    await federation.memberReady(liar)
    await this.#look(dead === undefined ? 'a member lied' : 'a member lied, and another was dead')
  }

  async conclude(): Promise<Outcome> {
    const federation = this.#federation
    const { rpc } = federation
    await federation.stopMining()
    this.#collectNames()
    for (const [address, wei] of this.#expectedWei) {
      const held = BigInt(await rpc.call<string>('eth_getBalance', [address, 'latest']))
      if (held !== wei) throw new Error(`${address} holds ${held} of ${wei} wei`)
    }
    const wrong: string[] = []
    for (const address of this.#destinations) {
      const times = await this.#paid(address)
      if (times !== 1) wrong.push(`${address} is paid ${times} times`)
    }
    const reserves = await federation.reserves()
    const onBitcoinSat = await federation.reserveOnBitcoin()
    const isReal = onBitcoinSat === BigInt(reserves.reserveSat)
    const times = signingTimes(federation, this.#options.nodes)
    const liars = [...this.#namedLiars]
    const figures = {
      ...this.#counts,
      handovers: 0,
      namedLiars: liars,
      refusedByMempool: this.#door.refused,
      paidTwice: wrong.length,
      reserveSat: reserves.reserveSat,
      onBitcoinSat: String(onBitcoinSat),
      signing: times,
    }
    return { ok: wrong.length === 0 && isReal && liars.every((one) => one === 0), figures }
  }

  get #account(): Account {
    if (this.#treasury === undefined) throw new Error('nothing is prepared')
    return this.#treasury
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

  /** A deposit to a new address, by each form in turn; its outpoint. */
  async #pay(at: number): Promise<string> {
    const address = `0x${randomBytes(20).toString('hex')}`
    this.#expectedWei.set(address, (PEG_IN_SAT - PEG_IN_FEE_SAT) * WEI_PER_SAT)
    return at % 2 === 0
      ? payDeposit(this.#federation, address, PEG_IN_SAT)
      : payWithMessage(this.#federation, address, PEG_IN_SAT)
  }

  async #pegIn(outpoint: string): Promise<void> {
    await minted(this.#federation.rpc, outpoint)
    this.#counts.pegIns += 1
  }

  #destination(): Uint8Array {
    const script = Uint8Array.of(0, 20, ...randomBytes(20))
    this.#destinations.push(addressFromScript(script, 'regtest') as string)
    return script
  }

  /** Burns to a new destination, by its text or by its script in turn; `paid` resolves when that is booked. */
  async #burn(at: number): Promise<{ readonly hash: string; readonly paid: Promise<void> }> {
    const { rpc } = this.#federation
    const script = this.#destination()
    const address = this.#destinations.at(-1) as string
    const raw =
      at % 2 === 0
        ? await this.#account.burn(address, PEG_OUT_SAT)
        : await this.#account.burnTo(script, PEG_OUT_SAT)
    const hash = await include(rpc, raw)
    const paid = booked(rpc, hash).then(() => {
      this.#counts.pegOuts += 1
    })
    // Who waits for it later hears of a failure then.
    paid.catch(() => {})
    return { hash, paid }
  }

  /** The last blocks of Bitcoin give way to as many others and one more. */
  async #reorg(depth: number): Promise<void> {
    const { bitcoin } = this.#federation
    await this.#federation.stopMining()
    const tip = await this.#tipHeight()
    const hash = await bitcoin.getBlockHash(tip - depth + 1)
    if (!hash.ok) throw new Error(hash.error.message)
    const done = await bitcoin.call('invalidateblock', [hash.value])
    if (!done.ok) throw new Error(done.error.message)
    await this.#federation.mine(depth + 1)
    this.#federation.startMining()
    this.#counts.reorgs += 1
  }

  async #tipHeight(): Promise<number> {
    const info = await this.#federation.bitcoin.getBlockchainInfo()
    if (!info.ok) throw new Error(info.error.message)
    return info.value.blocks
  }

  async #mempool(): Promise<readonly string[]> {
    const pool = await this.#federation.bitcoin.getRawMempool()
    if (!pool.ok) throw new Error(pool.error.message)
    return pool.value
  }

  /** A block that leaves all out. */
  async #mineEmpty(): Promise<void> {
    const { bitcoin, wallet } = this.#federation
    const made = await bitcoin.call('generateblock', [wallet.address, []])
    if (!made.ok) throw new Error(made.error.message)
  }

  /** Coins that Bitcoin has under an address. */
  async #paid(address: string): Promise<number> {
    const scanned = await this.#federation.bitcoin.call('scantxoutset', [
      'start',
      [`addr(${address})`],
    ])
    if (!scanned.ok) throw new Error(scanned.error.message)
    return (scanned.value as { readonly unspents: readonly unknown[] }).unspents.length
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
