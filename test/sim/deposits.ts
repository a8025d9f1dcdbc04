/**
 * What users of a world pay in: in the OP_RETURN form or to addresses of their own, to one address again, above the limit, carelessly; what
 * they claim because nobody looks for it, and what they spend otherwise before any rule counts it as buried.
 */
import { DUST_SAT } from '../../core/bitcoin/index.ts'
import {
  type Ledger,
  OUTPUT_KIND,
  OUTPUT_STATE,
  outpointKey,
  rowOf,
} from '../../core/ledger/index.ts'
import {
  changeOutput,
  currentOutput,
  depositPayloadScript,
  federationOutput,
  ZERO_ADDRESS,
} from '../../core/peg/index.ts'
import { concatBytes, equalBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { internalHash, type Tx } from '../../devnet/bitcoin/index.ts'
import type { ClaimDeposits } from '../../messages/index.ts'
import type { Coin } from '../unit/devnet/bitcoin/wallet.ts'
import { type Key, keyOf } from '../unit/vm/evm/fixtures.ts'
import type { Auditor } from './auditor.ts'
import type { Chance } from './chance.ts'
import { seeded, spend, USER_SCRIPT } from './federation.ts'
import { pickShowing, type SimulatedNode, type Surroundings } from './node.ts'
import { CAP_BLOCKS } from './peg-watch.ts'

const GWEI_PER_SAT = 10n
const MINER_FEE_SAT = 5_000n
const LEAST_SAT = 5_000_000
const MOST_SAT = 500_000_000
const MOST_CARELESS_SAT = 1_000_000
const ASK_MS = 5_000
/** Shares of the deposits to own addresses: once more to the same one, above the limit, to an address that no node was told. */
const AGAIN = 0.25
const TOO_MUCH = 0.15
const UNTOLD = 0.25
/** Blocks that a branch takes away for a deposit that was credited. */
const MOST_TAKEN = 30
/** And as many for one that comes back. */
const MOST_RETURNED = 90
/** What is in the reserve beside a deposit that goes elsewhere: users burn less in a world, so the others' coins pay it. */
const LEAST_LEFT_SAT = 50_000_000n
/** Until a deposit that was lost is there again. */
const BACK_MS = 10_000
/** No deposit may name it. */
const PRECOMPILE = Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? 1 : 0))

/** What a user has to know of its own address to be found, or to claim. */
interface OwnAddress {
  readonly epoch: number
  readonly evmAddress: Uint8Array
  readonly refundScript: Uint8Array
  readonly scriptPubKey: Uint8Array
}

interface Deposit {
  readonly key: Key
  readonly amountGwei: bigint
  readonly amountSat: bigint
  readonly coin: Coin
  readonly tx: Tx
  readonly vout: number
  /** Bitcoin's branches had changed so often when it was sent. */
  readonly reorgs: number
  readonly own?: OwnAddress
  /** Something spends its change. */
  hasChild: boolean
}

interface Nameless {
  readonly outpoint: Uint8Array
  readonly deposit: Uint8Array
  /** The transaction that it spends. */
  readonly previous: Uint8Array
  readonly script: Uint8Array
}

export class Deposits {
  readonly #around: Surroundings
  readonly #auditor: Auditor
  readonly #nodes: readonly SimulatedNode[]
  readonly #chance: Chance
  readonly #coins: Coin[]
  readonly #sent: Deposit[] = []
  readonly #own: OwnAddress[] = []
  /** Above the maximum: each goes back, once some node knows of it. */
  readonly #above: Pick<Deposit, 'own' | 'tx'>[] = []
  readonly #keys: Key[] = []
  readonly #gifts: Uint8Array[] = []
  /** Credited deposits whose coin went elsewhere, by outpoint in hex. */
  readonly #lost = new Map<string, { readonly other: Tx; readonly tx: Tx }>()
  /** Deposits that name nobody, each with the script that their owner wants them back to. */
  readonly nameless: Nameless[] = []
  /** Where deposits that cannot be credited go back to. */
  readonly refunds: Uint8Array[] = []

  constructor(
    around: Surroundings,
    auditor: Auditor,
    nodes: readonly SimulatedNode[],
    chance: Chance,
  ) {
    this.#around = around
    this.#auditor = auditor
    this.#nodes = nodes
    this.#chance = chance
    this.#coins = [...around.federation.coins]
  }

  /** Users, each with the address that its deposits name. */
  get keys(): readonly Key[] {
    return this.#keys
  }

  /** To the plain script of the epoch that some node is in, with an OP_RETURN. */
  plain(mostSat = MOST_SAT): void {
    const coin = this.#coins.shift()
    if (coin === undefined) return
    const script = this.#plainScript()
    const key = keyOf(`simulated user ${this.#keys.length}`)
    const amountSat = BigInt(this.#chance.between(LEAST_SAT, mostSat))
    const change = { script: USER_SCRIPT, amountSat: coin.amountSat - amountSat - MINER_FEE_SAT }
    const outputs = [{ script: depositPayloadScript(key.address), amountSat: 0n }, change]
    const place = this.#chance.between(0, outputs.length)
    outputs.splice(place, 0, { script, amountSat })
    const deposit = this.#credited(key, coin, spend(coin, outputs), place, amountSat)
    if (this.#chance.happens(0.3)) this.#careless(deposit)
  }

  #plainScript(): Uint8Array {
    const { genesis } = this.#around.federation
    const ledgers = this.#nodes.flatMap(({ tree }) => tree?.live.head?.head.ledger ?? [])
    const [ledger] = ledgers
    const { scriptPubKey } = ledger ? currentOutput(genesis, ledger) : changeOutput(genesis, 0)
    return scriptPubKey
  }

  /** To an address of the user's own. What is above the maximum names a script that it goes back to. */
  own(): void {
    const coin = this.#coins.shift()
    if (coin === undefined) return
    const { bitcoin, federation, world } = this.#around
    const { maxPegInSat } = federation.genesis.params
    const isTooMuch = this.#chance.happens(TOO_MUCH)
    const amountSat = isTooMuch
      ? maxPegInSat + BigInt(this.#chance.between(1, LEAST_SAT))
      : BigInt(this.#chance.between(LEAST_SAT, Math.min(MOST_SAT, Number(maxPegInSat))))
    const address = this.#addressFor(isTooMuch)
    if (address === undefined) {
      this.#coins.unshift(coin)
      return
    }
    const { key, ...own } = address
    const tx = spend(coin, [
      { script: own.scriptPubKey, amountSat },
      { script: USER_SCRIPT, amountSat: coin.amountSat - amountSat - MINER_FEE_SAT },
    ])
    if (!isTooMuch) {
      this.#credited(key, coin, tx, 0, amountSat, own)
      return
    }
    this.refunds.push(own.refundScript)
    this.#above.push({ own, tx })
    this.#auditor.deposited(tx.txid, 0, { ...own, amountSat })
    world.log(`a deposit above the maximum: ${tx.txid.slice(0, 16)}`)
    bitcoin.send(tx)
  }

  #addressFor(isTooMuch: boolean): (OwnAddress & { readonly key: Key }) | undefined {
    const { genesis } = this.#around.federation
    const known = this.#chance.pick(this.#own)
    if (known !== undefined && !isTooMuch && this.#chance.happens(AGAIN)) {
      const key = this.#keys.find(({ address }) => equalBytes(address, known.evmAddress))
      return key && { ...known, key }
    }
    const node = this.#chance.pick(this.#nodes.filter(({ tree }) => tree?.live.head !== undefined))
    const ledger = node?.tree?.live.head?.head.ledger
    if (node === undefined || ledger === undefined) return undefined
    const key = keyOf(`simulated user ${this.#keys.length}`)
    const evmAddress = key.address
    const refundScript = isTooMuch ? payable(`refund ${this.refunds.length}`) : new Uint8Array(0)
    const { epoch } = ledger.state
    const tweak = { epoch, deposit: { evmAddress, refundScript } }
    const { scriptPubKey } = federationOutput(genesis, tweak, ledger.open.keys)
    this.#auditor.ownScripts.add(toHex(scriptPubKey))
    const address = { epoch, evmAddress, refundScript, scriptPubKey }
    if (isTooMuch || !this.#chance.happens(UNTOLD)) {
      node.tell(scriptPubKey, { epoch, evmAddress, refundScript })
    }
    if (!isTooMuch) {
      this.#keys.push(key)
      this.#own.push(address)
    }
    return { ...address, key }
  }

  #credited(
    key: Key,
    coin: Coin,
    tx: Tx,
    vout: number,
    amountSat: bigint,
    own?: OwnAddress,
  ): Deposit {
    const { bitcoin, federation } = this.#around
    const { pegInFeeSat } = federation.genesis.params
    const amountGwei = (amountSat - pegInFeeSat) * GWEI_PER_SAT
    if (!this.#keys.includes(key)) this.#keys.push(key)
    this.#auditor.expect(key.address, amountGwei, own !== undefined)
    const refundScript = own?.refundScript ?? new Uint8Array(0)
    this.#auditor.deposited(tx.txid, vout, { evmAddress: key.address, refundScript, amountSat })
    const { reorgs } = bitcoin
    const deposit: Deposit = {
      key,
      amountGwei,
      amountSat,
      coin,
      tx,
      vout,
      reorgs,
      hasChild: false,
      ...(own && { own }),
    }
    this.#sent.push(deposit)
    bitcoin.send(tx)
    return deposit
  }

  /** A deposit of a deposit's change that names a precompile: it goes back to where it says. */
  #careless(before: Deposit): void {
    const { bitcoin } = this.#around
    const { outs } = before.tx.body
    const vout = outs.findIndex(({ script }) => equalBytes(script, USER_SCRIPT))
    const { value: heldSat, script } = outs[vout] ?? { value: 0n, script: USER_SCRIPT }
    const amountSat = BigInt(this.#chance.between(200_000, MOST_CARELESS_SAT))
    if (heldSat < amountSat + MINER_FEE_SAT + DUST_SAT) return
    const refundScript = payable(`refund ${this.refunds.length}`)
    this.refunds.push(refundScript)
    before.hasChild = true
    const outputs = [
      { script: this.#plainScript(), amountSat },
      { script: depositPayloadScript(PRECOMPILE, refundScript), amountSat: 0n },
      { script: USER_SCRIPT, amountSat: heldSat - amountSat - MINER_FEE_SAT },
    ]
    const tx = spend({ txid: before.tx.txid, vout, amountSat: heldSat, script }, outputs)
    this.#auditor.deposited(tx.txid, 0, { evmAddress: PRECOMPILE, refundScript, amountSat })
    bitcoin.send(tx)
  }

  /** To the plain script, with nobody's name, which takes an order of the members; or to nobody, which is a gift to the fund. */
  odd(): void {
    const coin = this.#coins.shift()
    if (coin === undefined) return
    const { bitcoin } = this.#around
    const isGift = this.#chance.happens(0.5)
    const amountSat = BigInt(this.#chance.between(200_000, MOST_CARELESS_SAT))
    const gift = { script: depositPayloadScript(ZERO_ADDRESS), amountSat: 0n }
    const tx = spend(coin, [
      { script: this.#plainScript(), amountSat },
      ...(isGift ? [gift] : []),
      { script: USER_SCRIPT, amountSat: coin.amountSat - amountSat - MINER_FEE_SAT },
    ])
    const outpoint = outpointKey(internalHash(tx.txid), 0)
    const fields = { evmAddress: ZERO_ADDRESS, refundScript: new Uint8Array(0), amountSat }
    this.#auditor.deposited(tx.txid, 0, fields)
    bitcoin.send(tx)
    if (isGift) {
      this.#gifts.push(outpoint)
      this.#around.world.fault('fundGiven')
      return
    }
    const script = payable(`refund ${this.refunds.length}`)
    const previous = bitcoin.transaction(coin.txid) ?? new Uint8Array(0)
    this.refunds.push(script)
    this.nameless.push({ outpoint, deposit: tx.raw, previous, script })
  }

  /** Gifts that the books do not have yet. */
  ungiven(ledger: Ledger | undefined): number {
    const isGiven = (outpoint: Uint8Array) => {
      const row = ledger && rowOf(ledger, 'outputs', outpoint)
      return row !== undefined && row.state !== OUTPUT_STATE.absent
    }
    return this.#gifts.filter((outpoint) => !isGiven(outpoint)).length
  }

  /** Whether the coin of a deposit that was credited went elsewhere, and does so still. */
  isLost(outpoint: Uint8Array): boolean {
    return this.#lost.has(toHex(outpoint))
  }

  /** A deposit that is minted, and of which no spend is booked, goes elsewhere by a branch; about every second one comes back that way. */
  takeCredited(): boolean {
    const { bitcoin, world } = this.#around
    const ledger = pickShowing(this.#chance, this.#nodes)?.ledger
    if (ledger === undefined) return false
    // What went elsewhere a moment ago is in the books still; what is owed back pays nobody else.
    const paying = [...ledger.open.reserve].filter(
      ([name, { row }]) => row.kind !== OUTPUT_KIND.refundable && !this.#lost.has(name),
    )
    const reserveSat = paying.reduce((sum, [, { row }]) => sum + row.amountSat, 0n)
    const isFree = ({ tx, vout, key }: Deposit) => {
      const row = rowOf(ledger, 'outputs', outpointKey(internalHash(tx.txid), vout))
      const isThere = row?.state === OUTPUT_STATE.live && row.minted
      const leftSat = reserveSat - (row?.amountSat ?? 0n)
      return isThere && leftSat >= LEAST_LEFT_SAT && !this.#auditor.isExpected(key.address)
    }
    const deep = this.#sent.filter((deposit) => {
      const confirmations = bitcoin.confirmations(deposit.tx.txid)
      return (
        !deposit.hasChild && confirmations > 0 && confirmations <= MOST_TAKEN && isFree(deposit)
      )
    })
    const taken = this.#chance.pick(deep)
    if (taken === undefined) return false
    const { coin, tx, vout } = taken
    const amountSat = coin.amountSat - 2n * MINER_FEE_SAT
    const other = spend(coin, [{ script: USER_SCRIPT, amountSat }])
    const name = toHex(outpointKey(internalHash(tx.txid), vout))
    world.log(`a credited deposit is spent otherwise: ${tx.txid.slice(0, 16)}`)
    bitcoin.replace(tx, other)
    this.#lost.set(name, { other, tx })
    this.#sent.splice(this.#sent.indexOf(taken), 1)
    if (this.#chance.happens(0.5)) {
      const delayMs = this.#chance.between(500, BACK_MS)
      world.at(delayMs, 'a lost deposit comes back', () => this.#giveBack(name))
    }
    return true
  }

  /** Unless it is buried too deep by now, or counts as lost: what was released for it may be paid by another coin. */
  #giveBack(name: string): void {
    const { bitcoin } = this.#around
    const lost = this.#lost.get(name)
    if (lost === undefined || bitcoin.confirmations(lost.other.txid) > MOST_RETURNED) return
    const isShown = this.#nodes.some(({ tree }) => {
      const ledger = tree?.live.head?.head.ledger
      return ledger !== undefined && rowOf(ledger, 'conflicts', hexBytes(name)) !== undefined
    })
    if (isShown) return
    bitcoin.replace(lost.other, lost.tx)
    this.#lost.delete(name)
  }

  /** Counts what is buried and waits, since the sum of the last credits is at its limit. */
  lookHeld(): void {
    const { bitcoin, federation, world } = this.#around
    const { pegInConfirmations, reorgCapSat } = federation.genesis.params
    const ledger = pickShowing(this.#chance, this.#nodes)?.ledger
    const lowest = (ledger?.state.tipHeight ?? 0) - CAP_BLOCKS
    let recentSat = 0n
    for (const [, row] of ledger?.sets.outputs.entries() ?? []) {
      const isCredit = row.kind === OUTPUT_KIND.credit && row.state !== OUTPUT_STATE.absent
      if (isCredit && row.bitcoinHeight > lowest) recentSat += row.amountSat
    }
    for (const { amountSat, key, tx } of this.#sent) {
      const isOver = recentSat + amountSat > reorgCapSat && this.#auditor.isExpected(key.address)
      const isBuried = () => bitcoin.confirmations(tx.txid) > pegInConfirmations + 1
      if (isOver && isBuried()) world.fault('creditHeld')
    }
  }

  /**
   * Takes the coin of a deposit away that no rule counts as buried yet, also by another branch. Nothing is ever minted for it. Only what no
   * branch can have buried is taken: a deposit that was credited once and never comes again is a loss that takes members to book.
   */
  doubleSpend(): boolean {
    const { bitcoin, federation, world } = this.#around
    const most = federation.genesis.params.pegInConfirmations - 1
    const young = this.#sent.filter(
      ({ hasChild, reorgs, tx }) =>
        !hasChild && reorgs === bitcoin.reorgs && bitcoin.confirmations(tx.txid) <= most,
    )
    const taken = this.#chance.pick(young)
    if (taken === undefined) return false
    const { amountGwei, coin, key, tx } = taken
    const amountSat = coin.amountSat - 2n * MINER_FEE_SAT
    const other = spend(coin, [{ script: USER_SCRIPT, amountSat }])
    world.log(`a deposit is spent otherwise: ${tx.txid.slice(0, 16)}`)
    bitcoin.replace(tx, other)
    this.#sent.splice(this.#sent.indexOf(taken), 1)
    this.#auditor.expectNot(key.address, amountGwei)
    this.#auditor.depositGone(tx.txid)
    return true
  }

  /** One own deposit that is not minted yet, or never will be, is claimed at some node, by its fields. */
  claim(): void {
    const { bitcoin, world } = this.#around
    const open = this.#sent.filter(
      ({ key, own }) => own !== undefined && this.#auditor.isExpected(key.address),
    )
    const buried = [...open, ...this.#above].filter(({ tx }) => {
      return bitcoin.confirmations(tx.txid) > 0
    })
    const deposit = this.#chance.pick(buried)
    const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
    const block = deposit && bitcoin.blockOf(deposit.tx.txid)
    if (deposit?.own === undefined || block === undefined) return
    const payload = { blockHash: internalHash(block), addresses: [deposit.own] }
    void node?.tree?.system
      .ask<ClaimDeposits>(
        'bridge',
        { type: 'bridge.ClaimDeposits', payload },
        { timeoutMs: ASK_MS, sender: 'api' },
      )
      .then((answer) => {
        const what = answer.ok ? answer.value.type : answer.error.code
        const isFound =
          answer.ok &&
          answer.value.type === 'bridge.DepositsClaimed' &&
          answer.value.payload.outpoints.length > 0
        if (isFound) world.fault('depositClaimed')
        world.log(`${node.name} claim ${deposit.tx.txid.slice(0, 16)}: ${what}`)
      })
  }
}

/** A script that Bitcoin can pay, by its name. */
export function payable(name: string): Uint8Array {
  return concatBytes(Uint8Array.of(0, 20), seeded(name).subarray(0, 20))
}
