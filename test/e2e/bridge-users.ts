/** The users of the scenario `bridge`: coins in and out, each by its two forms in turn, and in the end what everybody got. */
import { randomBytes } from 'node:crypto'
import { addressFromScript } from '../../core/bitcoin/index.ts'
import { depositPayloadScript } from '../../core/peg/index.ts'
import type { TestFederation } from './federation.ts'
import { outputsOf } from './regtest.ts'
import {
  Account,
  booked,
  include,
  minted,
  payDeposit,
  payFederation,
  payWithMessage,
  reached,
  WEI_PER_SAT,
} from './user.ts'

const TREASURY_SAT = 2_000_000_000n
const PEG_IN_SAT = 3_000_000n
const PEG_IN_FEE_SAT = 1_000n
const PEG_OUT_SAT = 200_000n
const PRECOMPILE = new Uint8Array(20).fill(1, 19)
/** A real address, of another network. */
const MAINNET_ADDRESS = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'

export interface Burn {
  /** Of the EVM transaction. */
  readonly hash: string
  /** Resolves when the payment is booked. */
  readonly paid: Promise<void>
}

export class BridgeUsers {
  readonly counts = { pegIns: 0, pegOuts: 0, refunds: 0 }
  readonly #federation: TestFederation
  readonly #treasury: Account
  /** What new EVM addresses are to hold, and Bitcoin addresses that are to be paid once. */
  readonly #expectedWei = new Map<string, bigint>()
  readonly #destinations: string[] = []
  #turn = 0

  private constructor(federation: TestFederation, treasury: Account) {
    this.#federation = federation
    this.#treasury = treasury
  }

  /** With coins to burn, from a deposit of their own. */
  static async create(federation: TestFederation): Promise<BridgeUsers> {
    const { rpc } = federation
    const treasury = Account.random(Number(await rpc.call<string>('eth_chainId')))
    await minted(rpc, await payDeposit(federation, treasury.address, TREASURY_SAT))
    return new BridgeUsers(federation, treasury)
  }

  /** A deposit to a new address is on Bitcoin; `done` resolves when its coin is minted. */
  async pegIn(): Promise<{ readonly done: Promise<void> }> {
    const address = `0x${randomBytes(20).toString('hex')}`
    this.#expectedWei.set(address, (PEG_IN_SAT - PEG_IN_FEE_SAT) * WEI_PER_SAT)
    const pay = this.#isOddTurn() ? payWithMessage : payDeposit
    const outpoint = await pay(this.#federation, address, PEG_IN_SAT)
    return { done: this.#counted(minted(this.#federation.rpc, outpoint), 'pegIns') }
  }

  /** A burn for a new destination, by its text or by its script, is in a block. */
  async burn(): Promise<Burn> {
    const { rpc } = this.#federation
    const { address, script } = this.#destination()
    const raw = this.#isOddTurn()
      ? await this.#treasury.burnTo(script, PEG_OUT_SAT)
      : await this.#treasury.burn(address, PEG_OUT_SAT)
    const hash = await include(rpc, raw)
    return { hash, paid: this.#counted(booked(rpc, hash), 'pegOuts') }
  }

  /** A burn that nobody can pay comes back as a mint. */
  async burnInVain(): Promise<void> {
    const { rpc } = this.#federation
    const hash = await include(rpc, await this.#treasury.burn(MAINNET_ADDRESS, PEG_OUT_SAT))
    const back = await reached(rpc, hash, 'the end', ({ step }) => step === 'Booked')
    if (back.reason !== 'unpayable') throw new Error(JSON.stringify(back))
    this.counts.refunds += 1
  }

  /** A deposit that cannot be minted goes back on Bitcoin. */
  async payInVain(): Promise<void> {
    const payload = depositPayloadScript(PRECOMPILE, this.#destination().script)
    const txid = await payFederation(this.#federation, [PEG_IN_SAT], [payload])
    await reached(this.#federation.rpc, `${txid}:0`, 'its refund', ({ refundable, next }) => {
      return refundable === true && next === undefined
    })
    this.counts.refunds += 1
  }

  /** Who did not get what is theirs, exactly once. */
  async unsettled(): Promise<readonly string[]> {
    const { bitcoin, rpc } = this.#federation
    const wrong: string[] = []
    for (const [address, wei] of this.#expectedWei) {
      const held = BigInt(await rpc.call<string>('eth_getBalance', [address, 'latest']))
      if (held !== wei) wrong.push(`${address} holds ${held} of ${wei} wei`)
    }
    for (const address of this.#destinations) {
      const times = await outputsOf(bitcoin, address)
      if (times !== 1) wrong.push(`${address} is paid ${times} times`)
    }
    return wrong
  }

  #destination(): { readonly address: string; readonly script: Uint8Array } {
    const script = Uint8Array.of(0, 20, ...randomBytes(20))
    const address = addressFromScript(script, 'regtest') as string
    this.#destinations.push(address)
    return { address, script }
  }

  #isOddTurn(): boolean {
    // In and out take turns, too: every second pair has the other forms.
    this.#turn += 1
    return this.#turn % 4 > 1
  }

  #counted(end: Promise<unknown>, which: 'pegIns' | 'pegOuts'): Promise<void> {
    const done = end.then(() => {
      this.counts[which] += 1
    })
    // Who waits for it later hears of a failure then.
    done.catch(() => {})
    return done
  }
}
