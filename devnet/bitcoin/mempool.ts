/**
 * Transactions that wait for a block: Core 26's acceptance rules, opt-in replacement (BIP125; version 3 counts
 * as opted in, and keeps TRUC's limits), packages of up to 25. Invariant: every entry could be mined on the
 * tip after its ancestors, and no two entries spend the same output. Pure: the caller gives times.
 */
import type { Chain } from './chain.ts'
import { type Coin, checkTxInputs, formatMoney, type Rejection } from './coins.ts'
import {
  checkStandard,
  checkStandardInputs,
  feeAtRate,
  INCREMENTAL_SAT_PER_KVB,
  MIN_RELAY_SAT_PER_KVB,
} from './policy.ts'
import { verifyInput } from './script.ts'
import {
  checkTransaction,
  isCoinbase,
  isFinal,
  type Outpoint,
  outpoint,
  sequenceLocksMet,
  spentOutpoint,
  type Tx,
} from './transaction.ts'

export const MAX_MEMPOOL_VBYTES = 50_000_000
const MAX_PACKAGE_COUNT = 25
const MAX_PACKAGE_VSIZE = 101_000
const MAX_REPLACED = 100
const MAX_REPLACEABLE_SEQUENCE = 0xfffffffd
const TRUC_VERSION = 3
const MAX_TRUC_VSIZE = 10_000
const MAX_TRUC_CHILD_VSIZE = 1_000

export interface MempoolEntry {
  readonly tx: Tx
  readonly feeSat: bigint
  readonly timeSeconds: number
  /** Height of the tip when it came in. */
  readonly height: number
  /** It came from a client, not back from a block; there are no peers who could have seen it. */
  readonly unbroadcast: boolean
  /** Txids of direct unconfirmed parents and children. */
  readonly parents: Set<string>
  readonly children: Set<string>
}

export type Acceptance =
  | { code: 'accepted'; entry: MempoolEntry; replaced: readonly MempoolEntry[] }
  | ({ code: 'rejected' } & Rejection)

interface AcceptOptions {
  readonly nowSeconds: number
  /** Leaves everything as it was, whatever the verdict. */
  readonly dryRun?: boolean
  /** For transactions of disconnected blocks: fee floors and package limits do not apply. */
  readonly bypassLimits?: boolean
  readonly allowReplacement?: boolean
  readonly unbroadcast?: boolean
}

const reject = (reason: string, debug?: string): { code: 'rejected' } & Rejection =>
  debug === undefined ? { code: 'rejected', reason } : { code: 'rejected', reason, debug }

export class Mempool {
  readonly #chain: Chain
  readonly #entries = new Map<string, MempoolEntry>()
  readonly #spenders = new Map<Outpoint, string>()
  #vsize = 0
  /** Rises by one with every addition and removal. */
  sequence = 1

  constructor(chain: Chain) {
    this.#chain = chain
  }

  get size(): number {
    return this.#entries.size
  }

  get vsize(): number {
    return this.#vsize
  }

  get(txid: string): MempoolEntry | undefined {
    return this.#entries.get(txid)
  }

  /** Entries in the order of their arrival, parents before children. */
  entries(): readonly MempoolEntry[] {
    return [...this.#entries.values()]
  }

  /** The transaction that spends an output here. */
  spender(key: Outpoint): string | undefined {
    return this.#spenders.get(key)
  }

  /** A coin of the tip or an output of an entry, spent here or not. */
  coin(key: Outpoint): Coin | undefined {
    const confirmed = this.#chain.coin(key)
    if (confirmed !== undefined) return confirmed
    const [txid = '', vout] = key.split(':')
    const out = this.#entries.get(txid)?.tx.body.outs[Number(vout)]
    if (out === undefined) return undefined
    const height = this.#chain.tip.height + 1
    return { valueSat: out.value, script: out.script, height, coinbase: false }
  }

  ancestors(entry: MempoolEntry): Set<string> {
    return this.#reach(entry.parents, (next) => next.parents)
  }

  descendants(entry: MempoolEntry): Set<string> {
    return this.#reach(entry.children, (next) => next.children)
  }

  /** Checks a transaction and, unless it is a dry run, takes it in. */
  accept(tx: Tx, options: AcceptOptions): Acceptance {
    const early = this.#checkAlone(tx)
    if (early !== undefined) return early
    const conflicts = this.#conflicts(tx)
    const fixed = [...conflicts].find((txid) => !this.#isReplaceable(txid))
    if (conflicts.size > 0 && options.allowReplacement === false) {
      return reject('bip125-replacement-disallowed')
    }
    if (fixed !== undefined) return reject('txn-mempool-conflict')
    const spent = this.#checkSpending(tx, options)
    if ('code' in spent) return spent
    const { coins, feeSat } = spent
    const entry: MempoolEntry = {
      tx,
      feeSat,
      timeSeconds: options.nowSeconds,
      height: this.#chain.tip.height,
      unbroadcast: options.unbroadcast ?? true,
      parents: this.#parents(tx),
      children: new Set(),
    }
    const replaced = this.#conflictSet(conflicts)
    const fault =
      this.#checkPackage(entry, conflicts, replaced, options) ??
      this.#checkReplacement(entry, conflicts, replaced) ??
      checkScripts(tx, coins)
    if (fault !== undefined) return fault
    if (this.#vsize + tx.vsize > MAX_MEMPOOL_VBYTES) return reject('mempool full')
    const gone = [...replaced].flatMap((txid) => this.#entries.get(txid) ?? [])
    if (options.dryRun !== true) {
      for (const { tx: old } of gone) this.#remove(old.txid)
      this.#insert(entry)
      this.#chain.rememberVerified(tx.wtxid)
    }
    return { code: 'accepted', entry, replaced: gone }
  }

  /** Takes out what a connected block confirmed, and what it made impossible. */
  removeForBlock(txs: readonly Tx[]): void {
    for (const tx of txs) {
      this.#remove(tx.txid)
      for (const input of tx.body.ins) {
        const conflict = this.#spenders.get(spentOutpoint(input))
        if (conflict !== undefined) this.removeWithDescendants(conflict)
      }
    }
  }

  removeWithDescendants(txid: string): void {
    const entry = this.#entries.get(txid)
    if (entry === undefined) return
    for (const descendant of this.descendants(entry)) this.#remove(descendant)
    this.#remove(txid)
  }

  /** After a reorganisation: everything that still can be mined, the disconnected transactions first. */
  rebuild(disconnected: readonly Tx[], nowSeconds: number): void {
    const kept = this.entries()
    this.#entries.clear()
    this.#spenders.clear()
    this.#vsize = 0
    this.sequence += 1
    for (const tx of disconnected) {
      this.accept(tx, { nowSeconds, bypassLimits: true, unbroadcast: false })
    }
    for (const { tx, timeSeconds, unbroadcast } of kept) {
      this.accept(tx, { nowSeconds: timeSeconds, bypassLimits: true, unbroadcast })
    }
  }

  #reach(
    start: ReadonlySet<string>,
    step: (entry: MempoolEntry) => ReadonlySet<string>,
  ): Set<string> {
    const reached = new Set(start)
    for (const txid of reached) {
      const entry = this.#entries.get(txid)
      if (entry !== undefined) for (const next of step(entry)) reached.add(next)
    }
    return reached
  }

  #checkAlone(tx: Tx): ({ code: 'rejected' } & Rejection) | undefined {
    const reason = checkTransaction(tx)
    if (reason !== undefined) return reject(reason)
    if (isCoinbase(tx)) return reject('coinbase')
    const nonstandard = checkStandard(tx)
    if (nonstandard !== undefined) return reject(nonstandard)
    const { height, medianTime } = this.#chain.tip
    if (!isFinal(tx, height + 1, medianTime)) return reject('non-final')
    const known = this.#entries.get(tx.txid)
    if (known?.tx.wtxid === tx.wtxid) return reject('txn-already-in-mempool')
    return known === undefined ? undefined : reject('txn-same-nonwitness-data-in-mempool')
  }

  #checkSpending(
    tx: Tx,
    { bypassLimits }: AcceptOptions,
  ): { coins: readonly Coin[]; feeSat: bigint } | ({ code: 'rejected' } & Rejection) {
    const coins = tx.body.ins.flatMap((input) => this.coin(spentOutpoint(input)) ?? [])
    if (coins.length !== tx.body.ins.length) {
      const outputs = tx.body.outs.map((_, vout) => this.#chain.coin(outpoint(tx.txid, vout)))
      const known = outputs.some((coin) => coin !== undefined)
      return reject(known ? 'txn-already-known' : 'bad-txns-inputs-missingorspent')
    }
    const { height, medianTime } = this.#chain.tip
    const heights = coins.map((coin) => coin.height)
    const before = (at: number) => this.#chain.medianTimeBefore(at)
    if (!sequenceLocksMet(tx, heights, height + 1, medianTime, before)) {
      return reject('non-BIP68-final')
    }
    const amounts = checkTxInputs(tx, coins, height + 1)
    if ('reason' in amounts) return { code: 'rejected', ...amounts }
    const nonstandard = checkStandardInputs(tx, coins)
    if (nonstandard !== undefined) return reject(nonstandard)
    const floorSat = feeAtRate(MIN_RELAY_SAT_PER_KVB, tx.vsize)
    if (bypassLimits !== true && amounts.feeSat < floorSat) {
      return reject('min relay fee not met', `${amounts.feeSat} < ${floorSat}`)
    }
    return { coins, feeSat: amounts.feeSat }
  }

  #conflicts(tx: Tx): Set<string> {
    return new Set(tx.body.ins.flatMap((input) => this.#spenders.get(spentOutpoint(input)) ?? []))
  }

  #parents(tx: Tx): Set<string> {
    const parents = tx.body.ins.map((input) => spentOutpoint(input).split(':')[0] ?? '')
    return new Set(parents.filter((txid) => this.#entries.has(txid)))
  }

  #isReplaceable(txid: string): boolean {
    const body = this.#entries.get(txid)?.tx.body
    if (body === undefined || body.version === TRUC_VERSION) return true
    return body.ins.some((input) => input.sequence <= MAX_REPLACEABLE_SEQUENCE)
  }

  /** The conflicts with all that descends from them. */
  #conflictSet(conflicts: ReadonlySet<string>): Set<string> {
    return this.#reach(conflicts, (entry) => entry.children)
  }

  #checkPackage(
    entry: MempoolEntry,
    conflicts: ReadonlySet<string>,
    replaced: ReadonlySet<string>,
    { bypassLimits }: AcceptOptions,
  ): ({ code: 'rejected' } & Rejection) | undefined {
    const ancestors = this.ancestors(entry)
    const own = [...ancestors].find((txid) => conflicts.has(txid))
    if (own !== undefined) {
      const debug = `${entry.tx.txid} spends conflicting transaction ${own}`
      return reject('bad-txns-spends-conflicting-tx', debug)
    }
    const truc = this.#checkTruc(entry, ancestors, replaced)
    if (bypassLimits === true) return undefined
    if (truc !== undefined) return reject('TRUC-violation', truc)
    if (ancestors.size + 1 > MAX_PACKAGE_COUNT) {
      const debug = `too many unconfirmed ancestors [limit: ${MAX_PACKAGE_COUNT}]`
      return reject('too-long-mempool-chain', debug)
    }
    if (this.#packageVsize(ancestors) + entry.tx.vsize > MAX_PACKAGE_VSIZE) {
      const debug = `exceeds ancestor size limit [limit: ${MAX_PACKAGE_VSIZE}]`
      return reject('too-long-mempool-chain', debug)
    }
    for (const txid of ancestors) {
      const ancestor = this.#entries.get(txid)
      if (ancestor === undefined) continue
      const below = [...this.descendants(ancestor)].filter((child) => !replaced.has(child))
      const vsize = ancestor.tx.vsize + this.#packageVsize(below) + entry.tx.vsize
      if (below.length + 2 > MAX_PACKAGE_COUNT) {
        const debug = `too many descendants for tx ${txid} [limit: ${MAX_PACKAGE_COUNT}]`
        return reject('too-long-mempool-chain', debug)
      }
      if (vsize > MAX_PACKAGE_VSIZE) {
        const debug = `exceeds descendant size limit for tx ${txid} [limit: ${MAX_PACKAGE_VSIZE}]`
        return reject('too-long-mempool-chain', debug)
      }
    }
    return undefined
  }

  /** BIP431: version 3 has at most one unconfirmed parent or child, of version 3 too, and is small. */
  #checkTruc(
    { tx, parents }: MempoolEntry,
    ancestors: ReadonlySet<string>,
    replaced: ReadonlySet<string>,
  ): string | undefined {
    const isTruc = tx.body.version === TRUC_VERSION
    for (const txid of parents) {
      const parentTruc = this.#entries.get(txid)?.tx.body.version === TRUC_VERSION
      if (isTruc && !parentTruc) {
        return `version=3 tx ${tx.txid} cannot spend from non-version=3 tx ${txid}`
      }
      if (!isTruc && parentTruc) {
        return `non-version=3 tx ${tx.txid} cannot spend from version=3 tx ${txid}`
      }
    }
    if (!isTruc) return undefined
    if (tx.vsize > MAX_TRUC_VSIZE) return `version=3 tx ${tx.txid} is too big`
    if (ancestors.size === 0) return undefined
    if (ancestors.size > 1) return `tx ${tx.txid} would have too many ancestors`
    if (tx.vsize > MAX_TRUC_CHILD_VSIZE) return `version=3 child tx ${tx.txid} is too big`
    const [parent = ''] = ancestors
    const siblings = [...(this.#entries.get(parent)?.children ?? [])]
    const crowded = siblings.some((txid) => !replaced.has(txid))
    return crowded ? `tx ${parent} would exceed descendant count limit` : undefined
  }

  #packageVsize(txids: Iterable<string>): number {
    let sum = 0
    for (const txid of txids) sum += this.#entries.get(txid)?.tx.vsize ?? 0
    return sum
  }

  /** BIP125's rules 2 to 5, and Core's rule that the fee rate must rise. */
  #checkReplacement(
    { tx, feeSat, parents }: MempoolEntry,
    conflicts: ReadonlySet<string>,
    replaced: ReadonlySet<string>,
  ): ({ code: 'rejected' } & Rejection) | undefined {
    if (conflicts.size === 0) return undefined
    const rate = satPerKvb(feeSat, tx.vsize)
    const allowedParents = new Set<string>()
    for (const txid of conflicts) {
      const old = this.#entries.get(txid)
      if (old === undefined) continue
      for (const parent of old.parents) allowedParents.add(parent)
      const oldRate = satPerKvb(old.feeSat, old.tx.vsize)
      if (rate <= oldRate) {
        const rates = `new feerate ${rateText(rate)} <= old feerate ${rateText(oldRate)}`
        return reject('insufficient fee', `rejecting replacement ${tx.txid}; ${rates}`)
      }
    }
    if (replaced.size > MAX_REPLACED) {
      const debug = `rejecting replacement ${tx.txid}; too many potential replacements (${replaced.size} > ${MAX_REPLACED})\n`
      return reject('too many potential replacements', debug)
    }
    const added = tx.body.ins.findIndex((input) => {
      const parent = spentOutpoint(input).split(':')[0] ?? ''
      return parents.has(parent) && !allowedParents.has(parent)
    })
    if (added >= 0) {
      const debug = `replacement ${tx.txid} adds unconfirmed input, idx ${added}`
      return reject('replacement-adds-unconfirmed', debug)
    }
    let oldFeesSat = 0n
    for (const txid of replaced) oldFeesSat += this.#entries.get(txid)?.feeSat ?? 0n
    if (feeSat < oldFeesSat) {
      const fees = `${formatMoney(feeSat)} < ${formatMoney(oldFeesSat)}`
      const debug = `rejecting replacement ${tx.txid}, less fees than conflicting txs; ${fees}`
      return reject('insufficient fee', debug)
    }
    const neededSat = feeAtRate(INCREMENTAL_SAT_PER_KVB, tx.vsize)
    if (feeSat - oldFeesSat < neededSat) {
      const fees = `${formatMoney(feeSat - oldFeesSat)} < ${formatMoney(neededSat)}`
      const debug = `rejecting replacement ${tx.txid}, not enough additional fees to relay; ${fees}`
      return reject('insufficient fee', debug)
    }
    return undefined
  }

  #insert(entry: MempoolEntry): void {
    const { txid, vsize, body } = entry.tx
    this.#entries.set(txid, entry)
    this.#vsize += vsize
    this.sequence += 1
    for (const input of body.ins) this.#spenders.set(spentOutpoint(input), txid)
    for (const parent of entry.parents) this.#entries.get(parent)?.children.add(txid)
  }

  #remove(txid: string): void {
    const entry = this.#entries.get(txid)
    if (entry === undefined) return
    this.#entries.delete(txid)
    this.#vsize -= entry.tx.vsize
    this.sequence += 1
    for (const input of entry.tx.body.ins) this.#spenders.delete(spentOutpoint(input))
    for (const parent of entry.parents) this.#entries.get(parent)?.children.delete(txid)
    for (const child of entry.children) this.#entries.get(child)?.parents.delete(txid)
  }
}

function checkScripts(
  tx: Tx,
  coins: readonly Coin[],
): ({ code: 'rejected' } & Rejection) | undefined {
  for (let index = 0; index < coins.length; index++) {
    const fault = verifyInput(tx.body, index, coins, true)
    if (fault === undefined) continue
    const prefix = fault.policy ? 'non-mandatory-script-verify-flag' : MANDATORY
    return reject(`${prefix} (${fault.message})`)
  }
  return undefined
}

const MANDATORY = 'mandatory-script-verify-flag-failed'

export function satPerKvb(feeSat: bigint, vsize: number): bigint {
  return (feeSat * 1_000n) / BigInt(vsize)
}

function rateText(rate: bigint): string {
  return `${rate / 100_000_000n}.${(rate % 100_000_000n).toString().padStart(8, '0')} BTC/kvB`
}
