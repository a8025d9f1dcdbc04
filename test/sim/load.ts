/** What users do: deposits, transfers, burns; and the miners of Bitcoin. */
import { DUST_SAT } from '../../core/bitcoin/index.ts'
import { changeOutput, depositPayloadScript } from '../../core/peg/index.ts'
import { concatBytes, equalBytes, toHex } from '../../crypto/index.ts'
import { blockOf, type Tx } from '../../devnet/bitcoin/index.ts'
import type { SubmitTransaction } from '../../messages/index.ts'
import { BRIDGE_ADDRESS, keccak256, REQUEST_PEG_OUT_TOPIC } from '../../vm/evm/index.ts'
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
/** No deposit may name it. */
const PRECOMPILE = Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? 1 : 0))
const selector = keccak256(new TextEncoder().encode('requestPegOut(bytes)')).subarray(0, 4)

interface User {
  readonly key: Key
  readonly amountSat: bigint
}

interface Burn {
  readonly script: Uint8Array
  readonly amountSat: bigint
}

export class Load {
  readonly #around: Surroundings
  readonly #auditor: Auditor
  readonly #nodes: readonly SimulatedNode[]
  readonly #chance: Chance
  readonly #coins: Coin[]
  readonly #users: User[] = []
  readonly #burns: Burn[] = []
  /** Destinations that logs of strangers name. */
  readonly #unburned: Uint8Array[] = []
  /** Where deposits that cannot be credited go back to. */
  readonly #refunds: Uint8Array[] = []
  #refunded = 0
  #paidSat = 0n
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
    this.#every(rates.callMs, 'call', () => this.#claim())
    const mine = () => {
      bitcoin.mine()
      this.checkPayouts()
      world.at(this.#chance.untilNext(rates.bitcoinBlockMs), 'bitcoin block', mine)
    }
    world.at(rates.bitcoinBlockMs / 2, 'bitcoin block', mine)
  }

  /** No new operations; Bitcoin goes on. */
  stop(): void {
    this.#stopped = true
  }

  /** Deposits that were sent and are neither minted nor, as `checkPayouts` saw it last, paid back. */
  openDeposits(): number {
    const owed = this.#refunds.length - this.#refunded
    return owed + this.#users.filter(({ key }) => !this.#auditor.minted(key.address)).length
  }

  /** Burns that Bitcoin paid, each at most once, and nothing that was not burned. */
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
    const timesOf = (script: Uint8Array) => paid.get(toHex(script)) ?? 0
    let done = 0
    this.#paidSat = 0n
    for (const { script, amountSat } of this.#burns) {
      const times = timesOf(script)
      world.check('PaidOnce', times <= 1, () => `${toHex(script)} is paid ${times} times`)
      done += times
      this.#paidSat += BigInt(times) * amountSat
    }
    this.#refunded = 0
    for (const script of this.#refunds) {
      const times = timesOf(script)
      world.check('PaidOnce', times <= 1, () => `${toHex(script)} is paid back ${times} times`)
      this.#refunded += Math.min(times, 1)
    }
    for (const script of this.#unburned) {
      world.check('PaidIfBurned', timesOf(script) === 0, () => `${toHex(script)} burned nothing`)
    }
    return done
  }

  /** After `checkPayouts`, when the peg is at rest: what the Bridge holds for ever is what was paid for. */
  checkBurned(): void {
    const paidWei = this.#paidSat * WEI_PER_SAT
    const burnedWei = this.#nodes.map((node) => node.balanceWei(BRIDGE_ADDRESS))
    this.#around.world.check('BurnsPaid', burnedWei.includes(paidWei), () => {
      return `${burnedWei.join(', ')} wei are burned on the nodes, requests of ${paidWei} are paid`
    })
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
    const outputs = [
      { script: depositPayloadScript(key.address), amountSat: 0n },
      { script: USER_SCRIPT, amountSat: coin.amountSat - amountSat - MINER_FEE_SAT },
    ]
    const place = this.#chance.between(0, outputs.length)
    outputs.splice(place, 0, { script: changeOutput(genesis, 0).scriptPubKey, amountSat })
    const deposit = spend(coin, outputs)
    bitcoin.send(deposit)
    if (this.#chance.happens(0.3)) this.#careless(deposit)
  }

  /** A deposit of a deposit's change that names a precompile: it goes back to where it says. */
  #careless(before: Tx): void {
    const { bitcoin, federation } = this.#around
    const vout = before.body.outs.findIndex(({ script }) => equalBytes(script, USER_SCRIPT))
    const { value: heldSat, script } = before.body.outs[vout] ?? { value: 0n, script: USER_SCRIPT }
    const amountSat = BigInt(this.#chance.between(200_000, MAX_BURN_SAT))
    if (heldSat < amountSat + MINER_FEE_SAT + DUST_SAT) return
    const refundScript = payable(`refund ${this.#refunds.length}`)
    this.#refunds.push(refundScript)
    const outputs = [
      { script: changeOutput(federation.genesis, 0).scriptPubKey, amountSat },
      { script: depositPayloadScript(PRECOMPILE, refundScript), amountSat: 0n },
      { script: USER_SCRIPT, amountSat: heldSat - amountSat - MINER_FEE_SAT },
    ]
    bitcoin.send(spend({ txid: before.txid, vout, amountSat: heldSat, script }, outputs))
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

  /** Now and then two at once, so that they stand in one block. */
  #burn(): void {
    const from = this.#richUser()
    if (from === undefined) return
    const count = this.#chance.happens(0.3) ? 2 : 1
    for (let ahead = 0; ahead < count; ahead++) {
      const script = payable(`burn ${this.#burns.length}`)
      const amountSat = BigInt(this.#chance.between(200_000, MAX_BURN_SAT))
      this.#burns.push({ script, amountSat })
      const data = concatBytes(selector, word(32), word(script.length), padded(script))
      const value = amountSat * WEI_PER_SAT
      this.#submit(from, ahead, { to: BRIDGE_ADDRESS, value, data, gas: 300_000n })
    }
  }

  /** A contract whose creation says that somebody burned coins, in the words of the Bridge. */
  #claim(): void {
    const from = this.#richUser()
    if (from === undefined) return
    const script = payable(`claim ${this.#unburned.length}`)
    this.#unburned.push(script)
    const log = concatBytes(
      word(64),
      wideWord(BigInt(MAX_BURN_SAT) * WEI_PER_SAT),
      word(script.length),
      padded(script),
    )
    const burner = padded(from.key.address, 32, 'start')
    const data = creation(log, REQUEST_PEG_OUT_TOPIC, burner)
    this.#submit(from, 0, { value: 0n, data, gas: 300_000n })
  }

  #submit(
    { node, key }: { node: SimulatedNode; key: Key },
    ahead: number,
    call: { to?: Uint8Array; value: bigint; data?: Uint8Array; gas?: bigint },
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

function wideWord(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setBigUint64(24, value)
  return bytes
}

/** To whole words, or to `length`; with the zeros at the start or at the end. */
function padded(
  bytes: Uint8Array,
  length = Math.ceil(bytes.length / 32) * 32,
  zeros: 'start' | 'end' = 'end',
): Uint8Array {
  const whole = new Uint8Array(length)
  whole.set(bytes, zeros === 'start' ? length - bytes.length : 0)
  return whole
}

function payable(name: string): Uint8Array {
  return concatBytes(Uint8Array.of(0, 20), seeded(name).subarray(0, 20))
}

/** Init code that emits one log with two topics and leaves no code behind. */
function creation(log: Uint8Array, first: Uint8Array, second: Uint8Array): Uint8Array {
  const PUSH1 = 0x60
  const PUSH32 = 0x7f
  const CODECOPY = 0x39
  const LOG2 = 0xa2
  const STOP = 0x00
  const size = Uint8Array.of(PUSH1, log.length)
  const zero = Uint8Array.of(PUSH1, 0)
  const emit = concatBytes(Uint8Array.of(PUSH32), second, Uint8Array.of(PUSH32), first, size, zero)
  const codeBytes = 2 + 2 + 2 + 1 + emit.length + 2
  return concatBytes(
    size,
    Uint8Array.of(PUSH1, codeBytes),
    zero,
    Uint8Array.of(CODECOPY),
    emit,
    Uint8Array.of(LOG2, STOP),
    log,
  )
}
