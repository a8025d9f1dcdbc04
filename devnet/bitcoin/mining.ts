/** Builds blocks on the tip: chooses transactions, makes the coinbase, finds the proof of work. */
import { crypto, Transaction } from 'bitcoinjs-lib'
import {
  assembleBlock,
  commitmentScript,
  type DecodedBlock,
  HEADER_BYTES,
  meetsTarget,
  merkleRoot,
  txHash,
  witnessCommitment,
} from './block.ts'
import { concatBytes, displayHash, internalHash } from './bytes.ts'
import { type Chain, heightPush } from './chain.ts'
import { BLOCK_VERSION, MAX_BLOCK_SIGOPS_COST, POW_LIMIT_BITS, subsidySat } from './chain-params.ts'
import type { Mempool, MempoolEntry } from './mempool.ts'
import { sigopCost } from './script.ts'
import { describeTx, MAX_BLOCK_WEIGHT, spentOutpoint, type Tx } from './transaction.ts'

const RESERVED_WEIGHT = 8_000
const RESERVED_SIGOPS = 400
const MAX_NONCE = 0xffffffff

/** What a block on the tip would contain. */
export interface BlockPlan {
  readonly prevHash: string
  readonly height: number
  readonly time: number
  readonly minTime: number
  readonly txs: readonly Tx[]
  /** Subsidy and fees. */
  readonly rewardSat: bigint
}

/** Chooses transactions by the fee rate of their unconfirmed package, parents first (Core's rule). */
export function planBlock(
  chain: Chain,
  mempool: Mempool,
  nowSeconds: number,
  leastSatPerKvb = 0n,
): BlockPlan {
  const { tip } = chain
  const height = tip.height + 1
  const minTime = tip.medianTime + 1
  const entries = chooseEntries(mempool, leastSatPerKvb)
  const feesSat = entries.reduce((sum, entry) => sum + entry.feeSat, 0n)
  return {
    prevHash: tip.hash,
    height,
    time: Math.max(nowSeconds, minTime),
    minTime,
    txs: entries.map((entry) => entry.tx),
    rewardSat: subsidySat(height) + feesSat,
  }
}

/** `leastSatPerKvb`: packages that pay less are left out (Core's `-blockmintxfee`). */
function chooseEntries(mempool: Mempool, leastSatPerKvb: bigint): MempoolEntry[] {
  const packages = mempool.entries().map((entry, order) => {
    const ancestors = [...mempool.ancestors(entry)].flatMap((txid) => mempool.get(txid) ?? [])
    const members = [...ancestors, entry]
    const feeSat = members.reduce((sum, member) => sum + member.feeSat, 0n)
    const vsize = members.reduce((sum, member) => sum + member.tx.vsize, 0)
    return { members, feeSat, vsize, order }
  })
  packages.sort((a, b) => {
    const difference = b.feeSat * BigInt(a.vsize) - a.feeSat * BigInt(b.vsize)
    return difference === 0n ? a.order - b.order : difference > 0n ? 1 : -1
  })
  const chosen = new Map<string, MempoolEntry>()
  let weight = RESERVED_WEIGHT
  let sigops = RESERVED_SIGOPS
  for (const { feeSat, members, vsize } of packages) {
    if (feeSat * 1_000n < leastSatPerKvb * BigInt(vsize)) break
    const missing = members.filter(({ tx }) => !chosen.has(tx.txid)).sort(byDepth(mempool))
    const addedWeight = missing.reduce((sum, { tx }) => sum + tx.weight, 0)
    const addedSigops = missing.reduce((sum, entry) => sum + entrySigops(mempool, entry), 0)
    if (weight + addedWeight > MAX_BLOCK_WEIGHT) continue
    if (sigops + addedSigops > MAX_BLOCK_SIGOPS_COST) continue
    weight += addedWeight
    sigops += addedSigops
    for (const entry of missing) chosen.set(entry.tx.txid, entry)
  }
  return [...chosen.values()]
}

function byDepth(mempool: Mempool): (a: MempoolEntry, b: MempoolEntry) => number {
  return (a, b) => mempool.ancestors(a).size - mempool.ancestors(b).size
}

/** Signature operations of an entry, in units of weight. */
export function entrySigops(mempool: Mempool, { tx }: MempoolEntry): number {
  const coins = tx.body.ins.flatMap((input) => mempool.coin(spentOutpoint(input)) ?? [])
  return sigopCost(tx.body, coins)
}

/**
 * A block with proof of work that pays its reward to `payTo`. Deterministic; `isKnown` blocks are passed over, so
 * that mining after invalidateblock at the same second makes a new block.
 */
export function mineBlock(
  plan: BlockPlan,
  payTo: Uint8Array,
  isKnown: (hash: string) => boolean,
): DecodedBlock {
  const all = [buildCoinbase(plan, payTo), ...plan.txs]
  const header = buildHeader(plan, all)
  for (let nonce = 0; nonce <= MAX_NONCE; nonce++) {
    header.writeUInt32LE(nonce, 76)
    const hash = displayHash(crypto.hash256(header))
    if (meetsTarget(hash) && !isKnown(hash)) return assembleBlock(Uint8Array.from(header), all)
  }
  throw new Error('no nonce meets the target')
}

function buildHeader(plan: BlockPlan, txs: readonly Tx[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(BLOCK_VERSION, 0)
  header.set(internalHash(plan.prevHash), 4)
  header.set(merkleRoot(txs.map(txHash)).root, 36)
  header.writeUInt32LE(plan.time, 68)
  header.writeUInt32LE(POW_LIMIT_BITS, 72)
  return header
}

/** The script of the witness commitment output for a block of these transactions, its coinbase left out. */
export function defaultCommitment(txs: readonly Tx[]): Uint8Array {
  const coinbase = describeTx(new Transaction())
  return commitmentScript(witnessCommitment([coinbase, ...txs], new Uint8Array(32)))
}

function buildCoinbase(plan: BlockPlan, payTo: Uint8Array): Tx {
  const coinbase = new Transaction()
  coinbase.version = 2
  coinbase.addInput(
    new Uint8Array(32),
    0xffffffff,
    0xffffffff,
    concatBytes(heightPush(plan.height), Uint8Array.of(0)),
  )
  coinbase.addOutput(payTo, plan.rewardSat)
  coinbase.addOutput(defaultCommitment(plan.txs), 0n)
  coinbase.setWitness(0, [new Uint8Array(32)])
  return describeTx(coinbase)
}
