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
    const { gasLimit } = transaction
    const tipsWei = rateAt(transaction, baseFeeWei) * gasLimit
    packages.push({ transactions: [transaction], tipsWei, gas: gasLimit })
    mergeRising(packages)
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
    before.transactions.push(...last.transactions)
    before.tipsWei += last.tipsWei
    before.gas += last.gas
  }
}

function paysMore(left: Package, right: Package): boolean {
  return left.tipsWei * right.gas > right.tipsWei * left.gas
}

function isBetter(left: Candidate, right: Candidate): boolean {
  const ours = left.first.tipsWei * right.first.gas
  const theirs = right.first.tipsWei * left.first.gas
  if (ours !== theirs) return ours > theirs
  const [mine] = left.first.transactions as [PoolTransaction]
  const [other] = right.first.transactions as [PoolTransaction]
  return compareBytes(mine.hash, other.hash) < 0
}
