import { type BitcoinTransaction, parseTransaction } from '../../../../core/bitcoin/index.ts'
import type { MemberApproval, PegInClaim } from '../../../../core/block/index.ts'
import {
  LEDGER_SETS,
  type Ledger,
  type LedgerChange,
  ledgerChanges,
  ledgerFromRows,
  ledgerRoot,
  OUTPUT_KIND,
  OUTPUT_STATE,
  partsOf,
  REQUEST_STATE,
  TOTALS,
} from '../../../../core/ledger/index.ts'
import {
  assemble,
  type BridgeBurn,
  beginBlock,
  bookRows,
  bookTotals,
  changeOutput,
  claimFields,
  depositPayloadScript,
  describeReserve,
  federationScripts,
  inFlightSat,
  NO_KEYS,
  openBatches,
  type PegQueue,
  parseDeposits,
  requestId,
  supplySat,
} from '../../../../core/peg/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import {
  addressOf,
  approve,
  type BitcoinWorld,
  depositOf,
  PegWorld,
  p2wpkh,
  payment,
  seeded,
} from './world.ts'

/** Numbers from a seed: the same for the same seed. */
class Chance {
  readonly #seed: string
  #count = 0

  constructor(seed: string) {
    this.#seed = seed
  }

  below(limit: number): number {
    const bytes = seeded(`${this.#seed} ${this.#count++}`)
    return new DataView(bytes.buffer).getUint32(0) % limit
  }

  flip(): boolean {
    return this.below(2) === 0
  }
}

const PRECOMPILE = Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? 2 : 0))

/** Users, members and miners who do random things around one ledger. */
class Town {
  readonly chance: Chance
  readonly world = new PegWorld({ refundAfterBlocks: 4, pegInFeeSat: 1000 })
  bitcoin: BitcoinWorld
  readonly rows = new Map<string, LedgerChange>()
  readonly #approvals = new Map<string, MemberApproval>()
  burned: Uint8Array[] = []
  bumps = 0
  #names = 0

  constructor(seed: string) {
    this.chance = new Chance(seed)
    this.bitcoin = this.world.bitcoin
  }

  name(): string {
    return `user ${this.#names++}`
  }

  /** A transaction that somebody sends: mostly deposits, good and bad ones. */
  transaction(): BitcoinTransaction {
    const { genesis } = this.world
    const name = this.name()
    const plain = changeOutput(genesis, 0).scriptPubKey
    switch (this.chance.below(7)) {
      case 3:
        return payment(name, [
          { amountSat: 70_000n, scriptPubKey: plain },
          { amountSat: 0n, scriptPubKey: depositPayloadScript(PRECOMPILE, p2wpkh(name)) },
        ])
      case 0:
        return payment(name, [{ amountSat: 60_000n, scriptPubKey: plain }])
      case 1:
        return depositOf(genesis, name, 40_000n, new Uint8Array(20))
      case 2:
        return depositOf(genesis, name, 5_000n)
      default:
        return depositOf(genesis, name, BigInt(20_000 + this.chance.below(2_000_000)))
    }
  }

  /** What is to be mined: new transactions, and of each batch one of the versions that members signed. */
  mine(): void {
    const transactions = Array.from({ length: this.chance.below(3) }, () => this.transaction())
    for (const { versions } of openBatches(this.world.ledger)) {
      const parsed = versions.flatMap(({ row }) => {
        const one = parseTransaction(row.transaction)
        return one.ok ? [one.value] : []
      })
      const chosen = parsed[this.chance.below(parsed.length)]
      const isMined = parsed.some((one) => this.has(one))
      if (chosen !== undefined && !isMined && this.chance.below(6) === 0) transactions.push(chosen)
    }
    this.bitcoin.mine(transactions, 1 + this.chance.below(2))
  }

  has(transaction: BitcoinTransaction): boolean {
    try {
      this.bitcoin.proofOf(transaction)
      return true
    } catch {
      return false
    }
  }

  /** Another branch takes over; it holds most of what the removed blocks held. */
  reorg(): void {
    const depth = Math.min(1 + this.chance.below(4), this.bitcoin.tip.height - 1)
    if (depth < 1) return
    const height = this.bitcoin.tip.height
    const branch = this.bitcoin.fork(height - depth, this.name())
    for (const { transactions } of this.bitcoin.blocks.slice(height - depth + 1)) {
      branch.mine(transactions.slice(1).filter(() => this.chance.below(5) > 0))
    }
    branch.mine()
    this.bitcoin = branch
  }

  /** What a node would have found by scanning its Bitcoin, and junk. */
  queue(): PegQueue {
    const { genesis } = this.world
    const scripts = federationScripts(genesis, 0, NO_KEYS)
    const pegIns: { claim: PegInClaim; approval: MemberApproval }[] = []
    const bookings: PegQueue['bookings'][number][] = []
    for (const { transactions } of this.bitcoin.blocks) {
      for (const transaction of transactions.slice(1)) {
        if (this.chance.below(3) === 0) continue
        const proof = this.bitcoin.proofOf(transaction)
        if (this.chance.below(4) === 0) bookings.push(proof)
        for (const deposit of parseDeposits(transaction, scripts, genesis.params)) {
          const claim = { ...claimFields(deposit), proof }
          pegIns.push({ claim: this.spoiled(claim), approval: this.approval(claim) })
        }
        const isPayout = transaction.inputs[0]?.sequence === 0xfffffffd
        if (isPayout) bookings.push(proof)
      }
    }
    const unconfirmed = openBatches(this.world.ledger).map(({ batchId }) => batchId)
    return {
      headers: this.bitcoin.headersAfter(this.chance.below(3)),
      pegIns,
      bookings,
      unconfirmed: this.chance.flip() ? unconfirmed : [],
    }
  }

  approval(claim: PegInClaim): MemberApproval {
    const name = `${toHex(claim.txid)} ${claim.vout} ${toHex(claim.proof.blockHash)}`
    const approval = this.#approvals.get(name) ?? approve(this.world.genesis, claim)
    this.#approvals.set(name, approval)
    return approval
  }

  spoiled(claim: PegInClaim): PegInClaim {
    switch (this.chance.below(20)) {
      case 0:
        return { ...claim, amountSat: claim.amountSat + 1n }
      case 1:
        return { ...claim, evmAddress: addressOf('mallory') }
      case 2:
        return { ...claim, proof: { ...claim.proof, transactionIndex: 7 } }
      default:
        return claim
    }
  }

  burns(): BridgeBurn[] {
    const affordable = supplySat(this.world.ledger)
    const burns: BridgeBurn[] = []
    let leftSat = affordable
    for (let index = 0; index < this.chance.below(3); index++) {
      const amountSat = BigInt(10_000 + this.chance.below(300_000))
      if (amountSat > leftSat) break
      leftSat -= amountSat
      const bytes = this.chance.below(4) === 0 ? new Uint8Array(5) : p2wpkh(this.name())
      burns.push(this.world.burn('burner', amountSat, bytes, index))
    }
    return burns
  }

  block(): void {
    const { world } = this
    const queue = this.queue()
    const context = world.context()
    const { items } = assemble(world.ledger, context, queue)
    const begun = beginBlock(world.ledger, context, items)
    if (!begun.ok) throw new Error(`assembled, then refused: ${JSON.stringify(begun.error)}`)
    this.bumps += items.records.filter(({ version }) => version > 0).length
    const burns = this.burns()
    const ids = burns.map((_, index) => requestId(world.genesis, world.evmBlockHash(), index))
    const cancels = this.burned
      .filter(() => this.chance.below(10) === 0)
      .map((id) => ({ logIndex: 9, evmAddress: addressOf('burner'), id }))
    world.block({ items, burns, cancels, feesBurnedWei: 7n })
    this.burned.push(...ids)
    for (const change of ledgerChanges(world.ledger)) {
      this.rows.set(`${change.set} ${toHex(change.key)}`, change)
    }
    world.timestamp += this.chance.below(4)
  }

  /** One random deed and a block after it. */
  step(): void {
    const deed = this.chance.below(8)
    if (deed < 6) this.mine()
    else if (deed === 6) this.reorg()
    this.block()
  }
}

/** The sums over all rows, counted again. */
function recount(ledger: Ledger): Record<string, bigint> {
  const sums: Record<string, bigint> = Object.fromEntries(TOTALS.map((name) => [name, 0n]))
  for (const set of LEDGER_SETS) {
    for (const [, row] of ledger.sets[set].entries()) {
      for (const [name, amount] of partsOf(set, row)) sums[name] = (sums[name] ?? 0n) + amount
    }
  }
  return sums
}

function checkBooks(town: Town): void {
  const { ledger, genesis } = town.world
  expect(ledger.state.reserveSat).toBe(supplySat(ledger) + inFlightSat(ledger))
  const report = describeReserve(ledger)
  const listedSat = report.inFlight.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  expect(listedSat).toBe(report.inFlightSat)
  const sums = recount(ledger)
  for (const name of TOTALS) expect([name, sums[name]]).toEqual([name, ledger.state[name]])
  const totals = bookTotals(bookRows(ledger))
  for (const name of TOTALS) expect([name, totals[name]]).toEqual([name, ledger.state[name]])
  const rebuilt = ledgerFromRows(genesis, town.rows.values())
  if (!rebuilt.ok) throw new Error(rebuilt.error.detail)
  expect(toHex(ledgerRoot(rebuilt.value))).toBe(toHex(ledgerRoot(ledger)))
  for (const name of [
    'reserve',
    'mints',
    'refundables',
    'requests',
    'batches',
    'deficits',
  ] as const) {
    expect(new Set(rebuilt.value.open[name].keys())).toEqual(new Set(ledger.open[name].keys()))
  }
  const locked = [...ledger.open.batches.values()].flatMap(({ row }) => row.inputs.map(toHex))
  expect(new Set(locked).size).toBe(locked.length)
  for (const { key, row } of ledger.open.reserve.values()) {
    const isHeld = row.batchId.some((byte) => byte !== 0)
    expect(isHeld).toBe(locked.includes(toHex(key)))
  }
}

describe.each(['a', 'b', 'c', 'd'])('a random town, seed %s', (seed) => {
  it('what is assembled is accepted; the identity, the sums and the locks hold at every block (PO-18, PO-10)', () => {
    const town = new Town(seed)
    for (let step = 0; step < 30; step++) {
      town.step()
      if (step % 10 === 9) checkBooks(town)
    }
    checkBooks(town)
    const { ledger } = town.world
    const credits = [...ledger.sets.outputs.entries()].filter(
      ([, row]) => row.kind === OUTPUT_KIND.credit,
    )
    const indexes = credits.filter(([, row]) => row.minted).map(([, row]) => row.withdrawalIndex)
    const refunds = [...ledger.sets.requests.entries()].filter(
      ([, row]) => row.state === REQUEST_STATE.refunded,
    )
    const all = [...indexes, ...refunds.map(([, row]) => row.withdrawalIndex)]
    // Each mint has its own withdrawal and each withdrawal its mint (PI-8).
    expect(new Set(all).size).toBe(all.length)
    expect(all).toHaveLength(ledger.state.nextWithdrawalIndex)
  })
})

it('each paid request was paid once, by a version that spends the conflict input of its batch (P 4.5, PO-15, PO-16, PI-11)', () => {
  let paid = 0
  let bumps = 0
  let bumpsBooked = 0
  let refunded = 0
  for (const seed of ['g', 'h', 'i']) {
    const town = new Town(seed)
    for (let step = 0; step < 40; step++) town.step()
    bumps += town.bumps
    const { sets } = town.world.ledger
    for (const [key, row] of sets.outputs.entries()) {
      if (row.state !== OUTPUT_STATE.refunded) continue
      refunded += 1
      // Never both minted and refunded (PI-11).
      expect(row).toMatchObject({ kind: OUTPUT_KIND.refundable, minted: false })
      expect(sets.spends.get(row.spentBy)?.spent).toEqual([key])
    }
    for (const [, request] of sets.requests.entries()) {
      if (request.state !== REQUEST_STATE.paid) continue
      paid += 1
      if ((sets.spends.get(request.paidBy)?.version ?? 0) > 0) bumpsBooked += 1
      const batch = sets.batches.get(request.batchId)
      const spend = sets.spends.get(request.paidBy)
      expect(batch?.bookedTxid).toEqual(request.paidBy)
      const first = sets.outputs.get(batch?.inputs[0] ?? new Uint8Array())
      expect(first?.spentBy).toEqual(request.paidBy)
      expect(spend?.batchId).toEqual(request.batchId)
    }
  }
  expect(paid).toBeGreaterThan(0)
  expect(bumps).toBeGreaterThan(0)
  expect(bumpsBooked).toBeGreaterThan(0)
  expect(refunded).toBeGreaterThan(0)
})
