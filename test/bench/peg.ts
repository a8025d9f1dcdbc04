/** The peg's rules under load: peg-in items with proofs and approvals, and a day of requests by the transactions that pay them. */
import { type BitcoinTransaction, parseTransaction, txid } from '../../core/bitcoin/index.ts'
import { outpointKey, rowOf, SPEND_STATE } from '../../core/ledger/index.ts'
import { assemble, type BridgeBurn, inputWeight } from '../../core/peg/index.ts'
import { rememberVerified } from '../../crypto/index.ts'
import { Chance } from '../sim/chance.ts'
import { approve, claimOf, depositOf, PegWorld } from '../unit/core/peg/world.ts'
import type { Figure } from './figures.ts'

const ITEMS = 256
const ITEMS_PER_BITCOIN_BLOCK = 64
/** Limits that nothing here comes near. */
const WIDE = {
  maxPegInSat: 10_000_000_000,
  totalCapSat: 1_000_000_000_000,
  dailyCapSat: 1_000_000_000_000,
  reorgCapSat: 1_000_000_000_000,
}
/** Issue 7: on one core, with proofs and approvals. */
const AIM_ITEMS = 5_000

export function pegInItems(): readonly Figure[] {
  const world = new PegWorld(WIDE)
  const names = Array.from({ length: ITEMS }, (_, at) => `user ${at}`)
  const deposits = names.map((name) => depositOf(world.genesis, name, 1_000_000n))
  for (let at = 0; at < deposits.length; at += ITEMS_PER_BITCOIN_BLOCK) {
    world.bitcoin.mine(deposits.slice(at, at + ITEMS_PER_BITCOIN_BLOCK))
  }
  // Above the deposits lie as many blocks as the cap on recent credits looks at.
  world.bitcoin.mine([], 100)
  world.syncHeaders()
  const claims = deposits.map((deposit) => claimOf(world.bitcoin, deposit))
  const proofs = claims.map(({ proof }) => proof)
  const pegIns = claims.map((claim, at) => world.item(claim, approve(world.genesis, claim), at))
  const perSecond = (check: () => void) => {
    const before = process.cpuUsage()
    check()
    const { user, system } = process.cpuUsage(before)
    return ITEMS / ((user + system) / 1e6)
  }
  const validate = (of: typeof world.genesis) => () => {
    const begun = world.begin({ proofs, pegIns }, { genesis: of })
    if (!begun.ok) throw new Error(`${begun.error.code} ${begun.error.detail ?? ''}`)
  }
  const { genesis } = world
  // As a node comes to it that has heard the approvals from its peers before.
  const remembering = { ...genesis, signatures: rememberVerified(genesis.signatures, ITEMS) }
  validate(remembering)()
  const heard = perSecond(validate(remembering))
  const whole = perSecond(validate(genesis))
  // The same with approvals that cost nothing: what is left of it is proofs, rows and hashes.
  const free = { ...genesis.signatures, verifyEach: () => true }
  const rest = perSecond(validate({ ...genesis, signatures: free }))
  const size = Math.round(
    proofs.reduce(
      (sum, { branch, transaction }) => sum + branch.length * 32 + transaction.length,
      0,
    ) / ITEMS,
  )
  return [
    {
      metric: 'peg_in_items',
      unit: '1/s',
      better: 'higher',
      ours: whole,
      peers: { aim: AIM_ITEMS, heardBefore: heard, withoutApprovals: rest },
      note: `${ITEMS} items of one block on one core, a transaction and an approval each, proofs of ${size} bytes`,
    },
  ]
}

const DAY_SECONDS = 86_400
const REQUESTS = 1_000
const STEP_SECONDS = 60
const WINDOW_SECONDS = 600
const BITCOIN_BLOCK_SECONDS = 600
const REQUEST_SAT = 200_000n
const FEE_RATE_SAT_PER_KVB = 2_000
/** §7: version, lock time, two counts, and the witness marker and flag; a p2wpkh output, and the change. */
const OVERHEAD_WEIGHT = 4 * 10 + 2
const OUTPUT_WEIGHT = 4 * 31
const CHANGE_WEIGHT = 4 * 43

/** A thousand requests at moments of chance. The least that can be is one transaction for each window that has one, with one input. */
export function dayOfRequests(): readonly Figure[] {
  const world = new PegWorld({
    ...WIDE,
    batchWindowSeconds: WINDOW_SECONDS,
    refundAfterBlocks: DAY_SECONDS,
  })
  const { genesis } = world
  for (let at = 0; at < 40; at++) world.pegIn(`deposit ${at}`, 100_000_000n)
  const startS = world.timestamp
  const chance = new Chance(1, 'a day')
  const times = Array.from({ length: REQUESTS }, () => chance.between(0, DAY_SECONDS - 1))
  times.sort((left, right) => left - right)
  const sent: BitcoinTransaction[] = []
  const waiting: BitcoinTransaction[] = []
  let asked = 0
  let paid = 0
  let transactions = 0
  let feesSat = 0n
  for (let at = 0; at < DAY_SECONDS + 20 * BITCOIN_BLOCK_SECONDS; at += STEP_SECONDS) {
    world.timestamp = startS + at
    if (at % BITCOIN_BLOCK_SECONDS === 0) {
      world.bitcoin.mine(waiting)
      sent.push(...waiting.splice(0))
    }
    const burns: BridgeBurn[] = []
    for (; asked < REQUESTS && (times[asked] as number) <= at; asked++) {
      burns.push(world.burn(`user ${asked}`, REQUEST_SAT, undefined, burns.length))
    }
    const open = sent.filter((transaction) => !isBooked(world, transaction))
    const queue = {
      headers: world.bitcoin.headersAfter(world.ledger.state.tipHeight),
      pegIns: [],
      bookings: open.map((transaction) => world.bitcoin.proofOf(transaction)),
    }
    const { items } = assemble(world.ledger, world.context(), queue)
    for (const { transaction } of items.records) {
      const parsed = parseTransaction(transaction)
      if (!parsed.ok) throw new Error(parsed.error.reason)
      const { inputs, outputs } = parsed.value
      const spentSat = inputs.map(({ txid: of, vout }) => {
        return rowOf(world.ledger, 'outputs', outpointKey(of, vout))?.amountSat ?? 0n
      })
      const sum = (all: readonly bigint[]) => all.reduce((total, one) => total + one, 0n)
      feesSat += sum(spentSat) - sum(outputs.map(({ amountSat }) => amountSat))
      paid += outputs.length - 1
      transactions += 1
      waiting.push(parsed.value)
    }
    world.block({ items, burns })
  }
  if (paid !== REQUESTS) throw new Error(`${paid} of ${REQUESTS} requests were paid`)
  const least = windowsOf(times).reduce(
    (sum, requests) => {
      const weight =
        OVERHEAD_WEIGHT + inputWeight(genesis, 0) + requests * OUTPUT_WEIGHT + CHANGE_WEIGHT
      return {
        transactions: sum.transactions + 1,
        feesSat: sum.feesSat + (weight / 4) * (FEE_RATE_SAT_PER_KVB / 1_000),
      }
    },
    { transactions: 0, feesSat: 0 },
  )
  const note = `${REQUESTS} requests of a day, a window of ${WINDOW_SECONDS} s, a rate of ${FEE_RATE_SAT_PER_KVB / 1_000} sat/vB; leaf A of 3 of 4`
  return [
    {
      metric: 'day_transactions',
      unit: '1',
      better: 'lower',
      ours: transactions,
      peers: { lowerBound: least.transactions },
      note,
    },
    {
      metric: 'day_fees',
      unit: 'sat',
      better: 'lower',
      ours: Number(feesSat),
      peers: { lowerBound: least.feesSat },
      note: 'the bound has one input each',
    },
  ]
}

function isBooked({ ledger }: PegWorld, transaction: BitcoinTransaction): boolean {
  return rowOf(ledger, 'spends', txid(transaction))?.state === SPEND_STATE.booked
}

/** Requests in each window, which begins with the first that no earlier one has. */
function windowsOf(times: readonly number[]): readonly number[] {
  const counts: number[] = []
  let endS = -1
  for (const at of times) {
    if (at >= endS) {
      counts.push(0)
      endS = at + WINDOW_SECONDS
    }
    counts.push((counts.pop() ?? 0) + 1)
  }
  return counts
}
