/** What users do: deposits, transfers, burns; and the miners of Bitcoin. */
import type { Ledger } from '../../core/ledger/index.ts'
import { concatBytes, equalBytes, toHex } from '../../crypto/index.ts'
import type { SubmitTransaction } from '../../messages/index.ts'
import { BRIDGE_ADDRESS, keccak256, REQUEST_PEG_OUT_TOPIC } from '../../vm/evm/index.ts'
import { type Key, signed } from '../unit/vm/evm/fixtures.ts'
import type { Auditor } from './auditor.ts'
import type { Chance } from './chance.ts'
import { Deposits, payable } from './deposits.ts'
import { seeded } from './federation.ts'
import type { SimulatedNode, Surroundings } from './node.ts'
import { Orders } from './orders.ts'
import type { LoadRates } from './profiles.ts'

const WEI_PER_SAT = 10n ** 10n
const GWEI_PER_SAT = 10n
const MAX_BURN_SAT = 1_000_000
const SUBMIT_MS = 5_000
/** Where a world has a low maximum. */
const MOST_PLAIN_SAT = 300_000_000
const PEG_OUT = selector('requestPegOut(bytes)')
const TAKE_BACK = selector('cancelPegOut(bytes32)')
/** Of all burns, where a world has such: an address of another network, as text. */
const UNPAYABLE = 0.1
const MAINNET_ADDRESS = new TextEncoder().encode('bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq')
/** Amounts of burns differ in their last digits, so that what is minted back says of which. */
const DIGITS = 10_000

interface Burn {
  /** Undefined: it names no script of our network, and is minted back. */
  readonly script: Uint8Array | undefined
  readonly amountSat: bigint
  readonly burner: Uint8Array
}

export class Load {
  readonly #around: Surroundings
  readonly #auditor: Auditor
  readonly #nodes: readonly SimulatedNode[]
  readonly #chance: Chance
  readonly #deposits: Deposits
  readonly #burns: Burn[] = []
  /** Destinations that logs of strangers name. */
  readonly #unburned: Uint8Array[] = []
  #orders: Orders | undefined
  #refunded = 0
  #paidSat = 0n
  #returnedSat = 0n
  #stopped = false

  constructor(around: Surroundings, auditor: Auditor, nodes: readonly SimulatedNode[]) {
    this.#around = around
    this.#auditor = auditor
    this.#nodes = nodes
    this.#chance = around.world.chance('load')
    this.#deposits = new Deposits(around, auditor, nodes, this.#chance)
  }

  begin(rates: LoadRates, lengthMs: number): void {
    const { world, bitcoin } = this.#around
    for (let count = 0; count < rates.deposits; count++) {
      const spread = rates.depositsUntil ?? 0.5
      const delayMs = count === 0 ? 200 : this.#chance.between(0, Math.floor(lengthMs * spread))
      world.at(delayMs, 'deposit', () => this.#deposit(rates))
    }
    if (rates.oddShare !== undefined) {
      this.#orders = new Orders(this.#around, this.#auditor, this.#nodes, this.#deposits)
      this.#orders.begin()
    }
    if (rates.claimMs !== undefined) this.#claims(rates.claimMs)
    if (rates.takeBackMs !== undefined) {
      this.#every(rates.takeBackMs, 'take back', () => this.#takeBack())
    }
    this.#every(rates.transferMs, 'transfer', () => this.#transfer())
    this.#every(rates.burnMs, 'burn', () => this.#burn(rates))
    this.#every(rates.callMs, 'call', () => this.#claim())
    const mine = () => {
      bitcoin.mine()
      this.checkPayouts()
      this.#deposits.lookHeld()
      world.at(this.#chance.untilNext(rates.bitcoinBlockMs), 'bitcoin block', mine)
    }
    world.at(rates.bitcoinBlockMs / 2, 'bitcoin block', mine)
  }

  /** No new operations; Bitcoin goes on. */
  stop(): void {
    this.#stopped = true
    this.#orders?.stop()
  }

  /** Deposits that were sent and are neither minted nor, as `checkPayouts` saw it last, paid back. */
  openDeposits(ledger: Ledger | undefined): number {
    const { refunds } = this.#deposits
    const waiting = refunds.length - this.#refunded + this.#auditor.expectedCount
    return waiting + this.#deposits.ungiven(ledger)
  }

  /** Burns that Bitcoin paid, each at most once, and nothing that was not burned. */
  checkPayouts(): number {
    const { world, bitcoin } = this.#around
    const paid = bitcoin.paidScripts()
    const timesOf = (script: Uint8Array) => paid.get(toHex(script)) ?? 0
    let done = 0
    this.#paidSat = 0n
    this.#returnedSat = 0n
    for (const { amountSat, burner, script } of this.#burns) {
      const times = script === undefined ? 0 : timesOf(script)
      const name = `${toHex(script ?? burner)} of ${amountSat} sat`
      world.check('PaidOnce', times <= 1, () => `${name} is paid ${times} times`)
      const returned = this.#auditor.returned(burner, this.#returnGwei(amountSat))
      world.check('ReturnedOnce', returned + times <= 1, () => {
        return `${name} is paid ${times} times and minted back ${returned} times`
      })
      done += times
      this.#paidSat += BigInt(times) * amountSat
      this.#returnedSat += BigInt(returned) * amountSat
    }
    this.#refunded = 0
    for (const script of this.#deposits.refunds) {
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
    const paidWei = (this.#paidSat + this.#returnedSat) * WEI_PER_SAT
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

  #deposit({ oddShare = 0, ownShare }: LoadRates): void {
    if (this.#stopped) return
    if (oddShare > 0 && this.#chance.happens(oddShare)) this.#deposits.odd()
    else if (ownShare === undefined) this.#deposits.plain()
    else if (this.#chance.happens(ownShare)) this.#deposits.own()
    else this.#deposits.plain(MOST_PLAIN_SAT)
  }

  /** Until all deposits are minted: also when the load is over. */
  #claims(meanMs: number): void {
    const next = () =>
      this.#around.world.at(this.#chance.untilNext(meanMs), 'claim', () => {
        this.#deposits.claim()
        next()
      })
    next()
  }

  /** Spends the coin of a deposit that is not buried otherwise; false: there is none. */
  doubleSpend(): boolean {
    return this.#deposits.doubleSpend()
  }

  /** Spends the coin of a deposit that was credited otherwise; false: there is none. */
  takeCredited(): boolean {
    return this.#deposits.takeCredited()
  }

  /** What a burn gives back, if anything. */
  #returnGwei(amountSat: bigint): bigint {
    const { refundFeeSat } = this.#around.federation.genesis.params
    return (amountSat - refundFeeSat) * GWEI_PER_SAT
  }

  /** A burner asks for one of its requests back, whether it is time or not, or already paid. */
  #takeBack(): void {
    const from = this.#richUser()
    const ledger = from?.node.tree?.live.head?.head.ledger
    if (from === undefined || ledger === undefined) return
    const own = [...ledger.sets.requests.entries()].filter(([, { burner }]) =>
      equalBytes(burner, from.key.address),
    )
    const [id] = this.#chance.pick(own) ?? []
    if (id === undefined) return
    const data = concatBytes(TAKE_BACK, id)
    this.#submit(from, 0, { to: BRIDGE_ADDRESS, value: 0n, data, gas: 100_000n })
  }

  /** A user with coins on a node that runs. */
  #richUser(): { node: SimulatedNode; key: Key } | undefined {
    const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
    if (node === undefined) return undefined
    const least = BigInt(2 * MAX_BURN_SAT) * WEI_PER_SAT
    const rich = this.#deposits.keys.filter(({ address }) => node.balanceWei(address) > least)
    const key = this.#chance.pick(rich)
    return key && { node, key }
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
  #burn({ takeBackMs }: LoadRates): void {
    const from = this.#richUser()
    if (from === undefined) return
    const count = this.#chance.happens(0.3) ? 2 : 1
    for (let ahead = 0; ahead < count; ahead++) {
      const script =
        takeBackMs !== undefined && this.#chance.happens(UNPAYABLE)
          ? undefined
          : payable(`burn ${this.#burns.length}`)
      const roughSat = this.#chance.between(200_000, MAX_BURN_SAT)
      const amountSat = BigInt(roughSat - (roughSat % DIGITS) + (this.#burns.length % DIGITS))
      const burner = from.key.address
      this.#burns.push({ script, amountSat, burner })
      this.#auditor.mayReturn(burner, this.#returnGwei(amountSat))
      const destination = script ?? MAINNET_ADDRESS
      const data = concatBytes(PEG_OUT, word(32), word(destination.length), padded(destination))
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

function selector(signature: string): Uint8Array {
  return keccak256(new TextEncoder().encode(signature)).subarray(0, 4)
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
