/** The development regtest inside the world, as nodes and members see it: late, now and then unreachable, with reorgs. */
import type { BitcoinPort, BitcoinResult } from '../../actors/bridge/index.ts'
import type { DepositSight } from '../../bridge/index.ts'
import { blockOf } from '../../devnet/bitcoin/block-tree.ts'
import { displayHash, internalHash } from '../../devnet/bitcoin/bytes.ts'
import { Regtest } from '../../devnet/bitcoin/regtest.ts'
import { decodeTx, outpoint, type Tx } from '../../devnet/bitcoin/transaction.ts'
import type { OwnBitcoin } from '../../governance/port.ts'
import type { Chance } from './chance.ts'
import { type Federation, USER_SCRIPT } from './federation.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

export class SimulatedBitcoin {
  readonly regtest: Regtest
  readonly #world: World
  readonly #chance: Chance
  readonly #checkpoint: number
  /** Until then it answers nobody. */
  unreachableUntilMs = 0

  constructor(world: World, { bitcoinBlocks, genesis }: Federation) {
    this.#checkpoint = genesis.bitcoin.checkpoint.height
    this.#world = world
    this.#chance = world.chance('bitcoin')
    this.regtest = new Regtest({ now: () => world.nowMs, log: () => {} })
    this.regtest.replay(bitcoinBlocks.map((body) => ({ kind: 'block', body })))
  }

  send(tx: Tx): void {
    const outcome = this.regtest.sendTransaction(tx)
    this.#world.log(`bitcoin: user sends ${tx.txid.slice(0, 16)} ${outcome.code}`)
  }

  mine(): void {
    const mined = this.regtest.mine(USER_SCRIPT)
    const { tip } = this.regtest.chain
    const what = 'reason' in mined ? mined.reason : `${tip.height} ${tip.hash.slice(-16)}`
    this.#world.log(`bitcoin: mined ${what}`)
  }

  /** The last blocks are replaced by as many and one more, none of them below the chain's checkpoint. */
  reorg(depth: number): void {
    const { chain } = this.regtest
    const target = chain.at(chain.tip.height - depth + 1)
    if (target === undefined || target.height <= this.#checkpoint) return
    this.#world.fault('reorg')
    this.#world.log(`bitcoin: reorg of ${depth}`)
    this.regtest.invalidate(target)
    for (let count = 0; count <= depth; count++) this.mine()
  }

  /** For one node. */
  port(life: Life): BitcoinPort {
    const { chain, mempool } = this.regtest
    const ask = <T>(label: string, read: () => T): Promise<BitcoinResult<T>> =>
      life.io(this.#chance.between(1, 25), `bitcoin ${label}`, () => {
        if (this.#world.nowMs >= this.unreachableUntilMs) return { ok: true, value: read() }
        this.#world.fault('bitcoinUnreachable')
        return { ok: false, error: { code: 'BitcoinUnreachable', message: 'no answer' } }
      })
    return {
      tip: () =>
        ask('tip', () => ({ height: chain.tip.height, hash: internalHash(chain.tip.hash) })),
      hashAt: (height) =>
        ask('hashAt', () => {
          const node = chain.at(height)
          return node && internalHash(node.hash)
        }),
      header: (hash) =>
        ask('header', () => {
          const node = chain.node(displayHash(hash))
          return node && { header: node.raw.slice(0, 80), isBest: chain.isActive(node) }
        }),
      block: (hash) => ask('block', () => chain.node(displayHash(hash))?.raw.slice()),
      inMempool: (txid) => ask('inMempool', () => mempool.get(displayHash(txid)) !== undefined),
      send: (raw) => ask('send', () => this.#broadcast(raw)),
      feeRate: () => ask('feeRate', () => 2_000),
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
    return outcome.code === 'accepted' ? undefined : outcome.reason
  }

  /** For one member. */
  own(life: Life): OwnBitcoin {
    return {
      sight: (blockHash, txid) =>
        life.io(this.#chance.between(1, 40), 'own bitcoin', () => this.#sight(blockHash, txid)),
    }
  }

  #sight(blockHash: Uint8Array, txid: Uint8Array): DepositSight {
    if (this.#world.nowMs < this.unreachableUntilMs) {
      return { kind: 'unknown', code: 'BitcoinUnreachable' }
    }
    const { chain } = this.regtest
    const node = chain.node(displayHash(blockHash))
    if (node === undefined) return { kind: 'unknown', code: 'BitcoinBlockUnknown' }
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
