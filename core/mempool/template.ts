/**
 * The order of a block (MP-6). A lane is cut into packages, each paying at least what the next one does: a cheap transaction
 * goes with the dear one behind it, and the best package of all lanes comes first. Ties go by hash, so that equal pools give equal
 * templates however they came to be.
 */
import { compareBytes } from '../../crypto/index.ts'
import { Heap } from './heap.ts'
import type { Lane } from './lane.ts'
import { type PoolTransaction, rateAt } from './transaction.ts'

interface Package {
  readonly transactions: PoolTransaction[]
  /** Of a single transaction, as nearly all packages are: compared as it is. Undefined: the average below. */
  rateWei: bigint | undefined
  /** Per unit of gas on average: tips weighted by gas limits, over their sum. */
  tipsWei: bigint
  gas: bigint
}

interface Candidate {
  readonly first: Package
  readonly packages: readonly Package[]
  readonly at: number
}

export function templateOf(
  lanes: Iterable<Lane>,
  baseFeeWei: bigint,
  gasLimit: bigint,
  most: number,
): PoolTransaction[] {
  const candidates: Candidate[] = []
  for (const lane of lanes) {
    const packages = packagesOf(lane, baseFeeWei)
    const [first] = packages
    if (first !== undefined) candidates.push({ first, packages, at: 0 })
  }
  const heap = new Heap(isBetter, candidates)
  const chosen: PoolTransaction[] = []
  let left = gasLimit
  for (let best = heap.pop(); best !== undefined; best = heap.pop()) {
    let fits = true
    for (const transaction of best.first.transactions) {
      fits &&=
        transaction.gasLimit <= gasLimit &&
        transaction.leastGasLimit <= left &&
        chosen.length < most
      if (!fits) break
      left -= transaction.leastGasLimit
      chosen.push(transaction)
    }
    const at = best.at + 1
    const next = best.packages[at]
    if (fits && next !== undefined) heap.push({ first: next, packages: best.packages, at })
  }
  return chosen
}

/** What pays the base fee, from the account's nonce on. */
function packagesOf(lane: Lane, baseFeeWei: bigint): Package[] {
  const packages: Package[] = []
  for (const transaction of lane.run()) {
    if (transaction.maxFeePerGas < baseFeeWei) break
    const rateWei = rateAt(transaction, baseFeeWei)
    const last = packages.at(-1)
    const isNoBetter = last?.rateWei !== undefined && rateWei <= last.rateWei
    packages.push({ transactions: [transaction], rateWei, tipsWei: 0n, gas: 0n })
    if (!isNoBetter) mergeRising(packages)
  }
  return packages
}

/** The last packages become one as long as the later one pays more. */
function mergeRising(packages: Package[]): void {
  for (;;) {
    const last = packages.at(-1)
    const before = packages.at(-2)
    if (last === undefined || before === undefined || !paysMore(last, before)) return
    packages.pop()
    const [tipsWei, gas] = [tipsOf(before) + tipsOf(last), gasOf(before) + gasOf(last)]
    before.transactions.push(...last.transactions)
    before.rateWei = undefined
    before.tipsWei = tipsWei
    before.gas = gas
  }
}

function gasOf({ rateWei, transactions, gas }: Package): bigint {
  return rateWei === undefined ? gas : (transactions[0] as PoolTransaction).gasLimit
}

function tipsOf(one: Package): bigint {
  return one.rateWei === undefined ? one.tipsWei : one.rateWei * gasOf(one)
}

function paysMore(left: Package, right: Package): boolean {
  if (left.rateWei !== undefined && right.rateWei !== undefined) return left.rateWei > right.rateWei
  return tipsOf(left) * gasOf(right) > tipsOf(right) * gasOf(left)
}

function isBetter(left: Candidate, right: Candidate): boolean {
  if (paysMore(left.first, right.first)) return true
  if (paysMore(right.first, left.first)) return false
  const [mine] = left.first.transactions as [PoolTransaction]
  const [other] = right.first.transactions as [PoolTransaction]
  return compareBytes(mine.hash, other.hash) < 0
}
