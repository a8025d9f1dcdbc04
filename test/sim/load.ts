/** What users do: deposits, transfers, burns; and the miners of Bitcoin. */
import { changeOutput, depositPayloadScript } from '../../core/peg/index.ts'
import { concatBytes, toHex } from '../../crypto/index.ts'
import { blockOf } from '../../devnet/bitcoin/block-tree.ts'
import type { SubmitTransaction } from '../../messages/index.ts'
import { BRIDGE_ADDRESS } from '../../vm/evm/index.ts'
import { keccak256 } from '../../vm/evm/keccak.ts'
import type { Coin } from '../unit/devnet/bitcoin/wallet.ts'
import { type Key, keyOf, signed } from '../unit/vm/evm/fixtures.ts'
import type { Auditor } from './auditor.ts'
import type { Chance } from './chance.ts'
import { seeded, spend, USER_SCRIPT } from './federation.ts'
import type { SimulatedNode, Surroundings } from './node.ts'
import type { LoadRates } from './profiles.ts'

const WEI_PER_SAT = 10n ** 10n
const GWEI_PER_SAT = 10n
const MINER_FEE_SAT = 5_000n
const MAX_BURN_SAT = 1_000_000
const SUBMIT_MS = 5_000
const selector = keccak256(new TextEncoder().encode('requestPegOut(bytes)')).subarray(0, 4)

interface User {
  readonly key: Key
  readonly amountSat: bigint
}

export class Load {
  readonly #around: Surroundings
  readonly #auditor: Auditor
  readonly #nodes: readonly SimulatedNode[]
  readonly #chance: Chance
  readonly #coins: Coin[]
  readonly #users: User[] = []
  readonly #burnScripts: Uint8Array[] = []
  #stopped = false

  constructor(around: Surroundings, auditor: Auditor, nodes: readonly SimulatedNode[]) {
    this.#around = around
    this.#auditor = auditor
    this.#nodes = nodes
    this.#chance = around.world.chance('load')
    this.#coins = [...around.federation.coins]
  }

  begin(rates: LoadRates, lengthMs: number): void {
    const { world, bitcoin } = this.#around
    for (let count = 0; count < rates.deposits; count++) {
      const delayMs = count === 0 ? 200 : this.#chance.between(0, lengthMs / 2)
      world.at(delayMs, 'deposit', () => this.#deposit())
    }
    this.#every(rates.transferMs, 'transfer', () => this.#transfer())
    this.#every(rates.burnMs, 'burn', () => this.#burn())
    const mine = () => {
      bitcoin.mine()
      world.at(this.#chance.untilNext(rates.bitcoinBlockMs), 'bitcoin block', mine)
    }
    world.at(rates.bitcoinBlockMs / 2, 'bitcoin block', mine)
  }

  /** No new operations; Bitcoin goes on. */
  stop(): void {
    this.#stopped = true
  }

  /** Deposits that were sent and are not minted. */
  openDeposits(): number {
    return this.#users.filter(({ key }) => !this.#auditor.minted(key.address)).length
  }

  /** Burns that Bitcoin paid, each at most once. */
  checkPayouts(): number {
    const { world, bitcoin } = this.#around
    const { chain } = bitcoin.regtest
    const paid = new Map<string, number>()
    for (let height = 1; height <= chain.tip.height; height++) {
      const node = chain.at(height)
      if (node === undefined || node.txCount < 2) continue
      for (const { body } of blockOf(node).txs) {
        for (const { script } of body.outs) {
          const key = toHex(script)
          paid.set(key, (paid.get(key) ?? 0) + 1)
        }
      }
    }
    let done = 0
    for (const script of this.#burnScripts) {
      const times = paid.get(toHex(script)) ?? 0
      world.check('PaidOnce', times <= 1, () => `${toHex(script)} is paid ${times} times`)
      done += times
    }
    return done
  }

  #every(meanMs: number, label: string, act: () => void): void {
    const next = () =>
      this.#around.world.at(this.#chance.untilNext(meanMs), label, () => {
        if (this.#stopped) return
        act()
        next()
      })
    next()
  }

  #deposit(): void {
    const coin = this.#coins.shift()
    if (coin === undefined || this.#stopped) return
    const { bitcoin, federation } = this.#around
    const { genesis } = federation
    const key = keyOf(`simulated user ${this.#users.length}`)
    const amountSat = BigInt(this.#chance.between(5_000_000, 500_000_000))
    this.#users.push({ key, amountSat })
    const mintedGwei = (amountSat - (genesis.params.pegInFeeSat as bigint)) * GWEI_PER_SAT
    this.#auditor.expectedMints.set(toHex(key.address), mintedGwei)
    bitcoin.send(
      spend(coin, [
        { script: changeOutput(genesis, 0).scriptPubKey, amountSat },
        { script: depositPayloadScript(key.address), amountSat: 0n },
        { script: USER_SCRIPT, amountSat: coin.amountSat - amountSat - MINER_FEE_SAT },
      ]),
    )
  }

  /** A user with coins on a node that runs. */
  #richUser(): { node: SimulatedNode; key: Key } | undefined {
    const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
    if (node === undefined) return undefined
    const least = BigInt(2 * MAX_BURN_SAT) * WEI_PER_SAT
    const rich = this.#users.filter(({ key }) => node.balanceWei(key.address) > least)
    const user = this.#chance.pick(rich)
    return user && { node, key: user.key }
  }

  #transfer(): void {
    const from = this.#richUser()
    const to = seeded(`receiver ${this.#chance.between(0, 20)}`).subarray(0, 20)
    const value = BigInt(this.#chance.between(1, 1_000_000))
    if (from === undefined) return
    // Sometimes the one after next: it has to wait for its turn.
    const ahead = this.#chance.between(0, 2)
    this.#submit(from, ahead, { to, value })
  }

  #burn(): void {
    const from = this.#richUser()
    if (from === undefined) return
    const count = this.#burnScripts.length
    const script = concatBytes(Uint8Array.of(0, 20), seeded(`burn ${count}`).subarray(0, 20))
    this.#burnScripts.push(script)
    const amountSat = BigInt(this.#chance.between(200_000, MAX_BURN_SAT))
    const data = concatBytes(selector, word(32), word(script.length), padded(script))
    const value = amountSat * WEI_PER_SAT
    this.#submit(from, 0, { to: BRIDGE_ADDRESS, value, data, gas: 300_000n })
  }

  #submit(
    { node, key }: { node: SimulatedNode; key: Key },
    ahead: number,
    call: { to: Uint8Array; value: bigint; data?: Uint8Array; gas?: bigint },
  ): void {
    const { world, federation } = this.#around
    const { chainId } = federation.genesis.execution
    const nonce = node.nonce(key.address) + ahead
    const raw = signed(key, { chainId, nonce, ...call })
    const system = node.tree?.system
    void system
      ?.ask<SubmitTransaction>(
        'engine',
        { type: 'engine.SubmitTransaction', payload: { raw } },
        { timeoutMs: SUBMIT_MS, sender: 'api' },
      )
      .then((answer) => {
        const what = answer.ok ? answer.value.type : answer.error.code
        world.log(`${node.name} transaction ${nonce}: ${what}`)
      })
  }
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(28, value)
  return bytes
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / 32) * 32)
  whole.set(bytes)
  return whole
}
