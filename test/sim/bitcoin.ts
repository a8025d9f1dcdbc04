/** The development regtest inside the world, as nodes and members see it: late, now and then unreachable, with reorgs. */
import type { BitcoinPort, BitcoinResult } from '../../actors/bridge/index.ts'
import type { CoinsSight, DepositSight } from '../../bridge/index.ts'
import { readBlock, type WholeBlock } from '../../core/bitcoin/index.ts'
import { toHex } from '../../crypto/index.ts'
import {
  blockOf,
  decodeTx,
  displayHash,
  internalHash,
  outpoint,
  Regtest,
  type Tx,
} from '../../devnet/bitcoin/index.ts'
import type { OwnBitcoin } from '../../governance/port.ts'
import type { Chance } from './chance.ts'
import { type Federation, USER_SCRIPT } from './federation.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

const CALM_SAT_PER_KVB = 2_000
/** What pays less waits while rates are higher: a payout of a calm time, or of the beginning of such a one, is bumped. */
const CROWDED_SAT_PER_KVB = 8_000

type Booked = 'payout' | 'deposit'
type BlockNode = Parameters<typeof blockOf>[0]

export class SimulatedBitcoin {
  readonly regtest: Regtest
  readonly #world: World
  readonly #chance: Chance
  readonly #checkpoint: number
  /** From so many confirmations on some rule takes a block for good. */
  readonly #rules: number
  /** How often a branch has given way to another. */
  reorgs = 0
  /** Faults that make it answer nobody. */
  #outages = 0
  readonly #feeRates: number[] = []
  readonly #onReorg = new Map<Booked, () => void>()
  readonly #deepChance: Chance
  readonly #showsMempool: boolean
  /** Nodes whose Bitcoin stands still at a height, and by how many faults. */
  readonly #decoded = new WeakMap<BlockNode, readonly Tx[]>()
  readonly #stale = new Map<number, { readonly height: number; faults: number }>()

  constructor(world: World, { bitcoinBlocks, genesis }: Federation, showsMempool = false) {
    this.#showsMempool = showsMempool
    const { conflictDepth, pegInConfirmations, payoutConfirmations } = genesis.params
    this.#rules = Math.max(conflictDepth, pegInConfirmations, payoutConfirmations)
    this.#checkpoint = genesis.bitcoin.checkpoint.height
    this.#world = world
    this.#chance = world.chance('bitcoin')
    this.#deepChance = world.chance('bitcoin deep')
    this.regtest = new Regtest({ now: () => world.nowMs, log: () => {} })
    this.regtest.replay(bitcoinBlocks.map((body) => ({ kind: 'block', body })))
  }

  send(tx: Tx): void {
    const outcome = this.regtest.sendTransaction(tx)
    this.#world.log(`bitcoin: user sends ${tx.txid.slice(0, 16)} ${outcome.code}`)
  }

  mine(): void {
    const isCrowded = (this.#feeRates.at(-1) ?? 0) > CROWDED_SAT_PER_KVB
    const mined = this.regtest.mine(USER_SCRIPT, isCrowded ? BigInt(CROWDED_SAT_PER_KVB) : 0n)
    const { tip } = this.regtest.chain
    const what = 'reason' in mined ? mined.reason : `${tip.height} ${tip.hash.slice(-16)}`
    this.#world.log(`bitcoin: mined ${what}`)
  }

  /** The last blocks are replaced by as many and one more, none of them below the chain's checkpoint. */
  reorg(depth: number, between: () => void = () => {}): boolean {
    const { chain } = this.regtest
    const target = chain.at(chain.tip.height - depth + 1)
    if (target === undefined || target.height <= this.#checkpoint) return false
    this.#world.log(`bitcoin: reorg of ${depth}`)
    if (depth >= this.#rules) this.#world.fault('reorgBelowRules')
    this.reorgs += 1
    this.regtest.invalidate(target)
    between()
    for (let count = 0; count <= depth; count++) this.mine()
    return true
  }

  /** Blocks from the one that holds a transaction on, of the best chain; 0: none does. */
  confirmations(txid: string): number {
    const block = this.#find(txid)
    return block === undefined ? 0 : this.regtest.chain.tip.height - block.height + 1
  }

  /** The hash of the block that holds a transaction. */
  blockOf(txid: string): string | undefined {
    return this.#find(txid)?.hash
  }

  /** A transaction of the best chain, as it was sent. */
  transaction(txid: string): Uint8Array | undefined {
    const block = this.#find(txid, 0)
    return block && this.#txs(block).find((tx) => tx.txid === txid)?.raw
  }

  /** Scripts that the best chain pays, each as often as it does, in hex. */
  paidScripts(): ReadonlyMap<string, number> {
    const { chain } = this.regtest
    const paid = new Map<string, number>()
    for (let height = 1; height <= chain.tip.height; height++) {
      const node = chain.at(height)
      if (node === undefined || node.txCount < 2) continue
      for (const { body } of this.#txs(node)) {
        for (const { script } of body.outs) {
          const key = toHex(script)
          paid.set(key, (paid.get(key) ?? 0) + 1)
        }
      }
    }
    return paid
  }

  /** Decoded once. */
  #txs(node: BlockNode): readonly Tx[] {
    const known = this.#decoded.get(node)
    if (known !== undefined) return known
    const { txs } = blockOf(node)
    this.#decoded.set(node, txs)
    return txs
  }

  #find(txid: string, lowest = this.#checkpoint) {
    const { chain } = this.regtest
    for (let { height } = chain.tip; height > lowest; height--) {
      const node = chain.at(height)
      if (node && this.#txs(node).some((tx) => tx.txid === txid)) return node
    }
    return undefined
  }

  /** Another transaction takes the place of one and of all that spend it, if need be by another branch. */
  replace(tx: Tx, other: Tx): void {
    const swap = () => {
      this.regtest.mempool.removeWithDescendants(tx.txid)
      this.send(other)
    }
    const depth = this.confirmations(tx.txid)
    if (depth === 0) swap()
    else this.reorg(depth, swap)
  }

  /** The next block of which the chain books a payout is replaced soon after; returns what ends that. */
  reorgBookings(count: () => void): () => void {
    return this.#awaitReorg('payout', count)
  }

  /** The next block of which the chain credits a deposit is replaced soon after. */
  reorgCredits(count: () => void): () => void {
    return this.#awaitReorg('deposit', count)
  }

  #awaitReorg(what: Booked, count: () => void): () => void {
    this.#onReorg.set(what, count)
    return () => void this.#onReorg.delete(what)
  }

  /** The chain booked a payout, or credited a deposit, of this block. */
  booked(what: Booked, block: Uint8Array): void {
    const count = this.#onReorg.get(what)
    if (count === undefined) return
    this.#onReorg.delete(what)
    this.#world.at(
      this.#deepChance.between(50, 1_500),
      `a booked ${what} is reorganised away`,
      () => {
        const { chain } = this.regtest
        const found = chain.node(displayHash(block))
        if (found === undefined || !chain.isActive(found)) return
        if (this.reorg(chain.tip.height - found.height + 1)) count()
      },
    )
  }

  outage(): () => void {
    this.#outages += 1
    return () => {
      this.#outages -= 1
    }
  }

  feeSpell(satPerKvb: number): () => void {
    this.#feeRates.push(satPerKvb)
    return () => void this.#feeRates.splice(this.#feeRates.indexOf(satPerKvb), 1)
  }

  /** One node's Bitcoin hears of nothing new. */
  stale(node: number): () => void {
    const known = this.#stale.get(node)
    const held = known ?? { height: this.regtest.chain.tip.height, faults: 0 }
    held.faults += 1
    this.#stale.set(node, held)
    return () => {
      held.faults -= 1
      if (held.faults === 0) this.#stale.delete(node)
    }
  }

  /** For one node. */
  port(index: number, life: Life): BitcoinPort {
    const { chain, mempool } = this.regtest
    const ask = <T>(label: string, read: () => T): Promise<BitcoinResult<T>> =>
      life.io(this.#chance.between(1, 25), `bitcoin ${label}`, () => {
        if (this.#outages === 0) return { ok: true, value: read() }
        this.#world.fault('bitcoinUnreachable')
        return { ok: false, error: { code: 'BitcoinUnreachable', message: 'no answer' } }
      })
    const known = (height: number) => {
      const held = this.#stale.get(index)
      return held === undefined || height <= held.height
    }
    const node = (hash: Uint8Array) => {
      const found = chain.node(displayHash(hash))
      return found !== undefined && known(found.height) ? found : undefined
    }
    const at = (height: number) => (known(height) ? chain.at(height) : undefined)
    return {
      tip: () =>
        ask('tip', () => {
          const held = this.#stale.get(index)
          if (held !== undefined) this.#world.fault('bitcoinStale')
          const tip = (held && chain.at(Math.min(held.height, chain.tip.height))) ?? chain.tip
          return { height: tip.height, hash: internalHash(tip.hash) }
        }),
      hashAt: (height) =>
        ask('hashAt', () => {
          const found = at(height)
          return found && internalHash(found.hash)
        }),
      header: (hash) =>
        ask('header', () => {
          const found = node(hash)
          return found && { header: found.raw.slice(0, 80), isBest: chain.isActive(found) }
        }),
      block: (hash) => ask('block', () => wholeBlock(hash, node(hash)?.raw)),
      ...(this.#showsMempool && {
        mempool: {
          txids: () => ask('mempool', () => mempool.entries().map(({ tx }) => tx.txid)),
          transaction: (txid) =>
            ask('mempool transaction', () => mempool.get(txid)?.tx.raw.slice()),
        },
      }),
      inMempool: (txid) => ask('inMempool', () => mempool.get(displayHash(txid)) !== undefined),
      send: (raw) => ask('send', () => this.#broadcast(raw)),
      feeRate: () => ask('feeRate', () => this.#feeRates.at(-1) ?? CALM_SAT_PER_KVB),
    }
  }

  /** Undefined: accepted or known. */
  #broadcast(raw: Uint8Array): string | undefined {
    const tx = decodeTx(raw)
    if (tx === undefined) return 'TX decode failed'
    const { chain, mempool } = this.regtest
    if (mempool.get(tx.txid) !== undefined) return undefined
    const isMined = tx.body.outs.some((_, vout) => chain.coin(outpoint(tx.txid, vout)))
    if (isMined) return undefined
    const outcome = this.regtest.sendTransaction(tx)
    this.#world.log(`bitcoin: payout ${tx.txid.slice(0, 16)} ${outcome.code}`)
    if (outcome.code === 'accepted') {
      // By the key, an input's witness is its signature alone.
      const isByKey = tx.body.ins.some(({ witness }) => witness.length === 1)
      this.#world.fault(isByKey ? 'paidByKey' : 'paidByLeaf')
    }
    return outcome.code === 'accepted' ? undefined : outcome.reason
  }

  /** For one member. */
  own(life: Life): OwnBitcoin {
    return {
      sight: (blockHash, txid) =>
        life.io(this.#chance.between(1, 40), 'own bitcoin', () => this.#sight(blockHash, txid)),
      coins: (tipHash, outpoints) =>
        life.io(this.#chance.between(1, 40), 'own coins', () => this.#coins(tipHash, outpoints)),
    }
  }

  #coins(tipHash: Uint8Array, outpoints: Parameters<OwnBitcoin['coins']>[1]): CoinsSight {
    if (this.#outages > 0) return { kind: 'unknown', code: 'BitcoinUnreachable' }
    const { chain } = this.regtest
    const node = chain.node(displayHash(tipHash))
    if (node === undefined) return { kind: 'unknown', code: 'BitcoinBlockUnknown' }
    if (!chain.isActive(node)) return { kind: 'unknown', code: 'BitcoinBlockNotOnBestChain' }
    const coins = outpoints.map(({ txid, vout }) => {
      const coin = chain.coin(outpoint(displayHash(txid), vout))
      return coin && { amountSat: coin.valueSat, scriptPubKey: coin.script }
    })
    return { kind: 'seen', coins }
  }

  #sight(blockHash: Uint8Array, txid: Uint8Array): DepositSight {
    if (this.#outages > 0) {
      return { kind: 'unknown', code: 'BitcoinUnreachable' }
    }
    const { chain } = this.regtest
    const node = chain.node(displayHash(blockHash))
    if (node === undefined) {
      return { kind: 'unknown', code: 'BitcoinBlockUnknown' }
    }
    if (!chain.isActive(node)) return { kind: 'unknown', code: 'BitcoinBlockNotOnBestChain' }
    const confirmations = chain.tip.height - node.height + 1
    const { txs } = blockOf(node)
    const index = txs.findIndex((tx) => tx.txid === displayHash(txid))
    const [coinbase] = txs
    const found = txs[index]
    const none = new Uint8Array(0)
    return {
      kind: 'seen',
      confirmations,
      txids: found === undefined ? [] : txs.map((tx) => internalHash(tx.txid)),
      index,
      transaction: found?.raw ?? none,
      coinbase: found === undefined ? none : (coinbase?.raw ?? none),
    }
  }
}

function wholeBlock(hash: Uint8Array, raw: Uint8Array | undefined): WholeBlock | undefined {
  const read = raw && readBlock(hash, raw.slice())
  if (read?.ok === false) throw new Error(read.error.reason)
  return read?.value
}
