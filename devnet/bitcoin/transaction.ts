/** Transactions as the rest of the regtest handles them: decoded once, with ids and sizes beside them. */
import { crypto, Transaction } from 'bitcoinjs-lib'
import { displayHash, toHex } from './bytes.ts'

export const MAX_MONEY_SAT = 2_100_000_000_000_000n
export const MAX_BLOCK_WEIGHT = 4_000_000

/** A decoded transaction. Ids are in display order, as RPC and the maps of this room use them. */
export interface Tx {
  readonly body: Transaction
  readonly raw: Uint8Array
  readonly txid: string
  readonly wtxid: string
  readonly strippedSize: number
  readonly weight: number
  readonly vsize: number
}

/** Key of an output in the maps of this room: `txid:vout`. */
export type Outpoint = string

export function outpoint(txid: string, vout: number): Outpoint {
  return `${txid}:${vout}`
}

export function describeTx(body: Transaction): Tx {
  const raw = Uint8Array.from(body.toBuffer())
  const strippedSize = body.byteLength(false)
  const weight = strippedSize * 3 + raw.length
  return {
    body,
    raw,
    txid: displayHash(body.getHash(false)),
    wtxid: displayHash(crypto.hash256(raw)),
    strippedSize,
    weight,
    vsize: Math.ceil(weight / 4),
  }
}

/** Total: any bytes give a transaction whose encoding is exactly these bytes, or undefined. */
export function decodeTx(bytes: Uint8Array): Tx | undefined {
  if (bytes.length < 10 || bytes.length > MAX_BLOCK_WEIGHT) return undefined
  try {
    const body = Transaction.fromBuffer(Uint8Array.from(bytes))
    if (body.ins.length === 0) return undefined
    const tx = describeTx(body)
    return toHex(tx.raw) === toHex(bytes) ? tx : undefined
  } catch {
    return undefined
  }
}

/** The outpoint that an input spends. */
export function spentOutpoint(input: Transaction['ins'][number]): Outpoint {
  return outpoint(displayHash(input.hash), input.index)
}

export function isCoinbase(tx: Tx): boolean {
  const [first] = tx.body.ins
  return (
    tx.body.ins.length === 1 &&
    first !== undefined &&
    first.index === 0xffffffff &&
    first.hash.every((byte) => byte === 0)
  )
}

/** Rules that need no context (Core's CheckTransaction). Gives Core's reject reason, or undefined. */
export function checkTransaction(tx: Tx): string | undefined {
  const { ins, outs } = tx.body
  if (ins.length === 0) return 'bad-txns-vin-empty'
  if (outs.length === 0) return 'bad-txns-vout-empty'
  if (tx.strippedSize * 4 > MAX_BLOCK_WEIGHT) return 'bad-txns-oversize'
  let total = 0n
  for (const out of outs) {
    if (out.value < 0n) return 'bad-txns-vout-negative'
    if (out.value > MAX_MONEY_SAT) return 'bad-txns-vout-toolarge'
    total += out.value
    if (total > MAX_MONEY_SAT) return 'bad-txns-txouttotal-toolarge'
  }
  if (new Set(ins.map(spentOutpoint)).size !== ins.length) return 'bad-txns-inputs-duplicate'
  if (isCoinbase(tx)) {
    const length = ins[0]?.script.length ?? 0
    return length < 2 || length > 100 ? 'bad-cb-length' : undefined
  }
  const nullInput = ins.some(
    (input) => input.index === 0xffffffff && input.hash.every((byte) => byte === 0),
  )
  return nullInput ? 'bad-txns-prevout-null' : undefined
}

/** BIP65-style finality at a block height and a cutoff time (BIP113: the median time past). */
export function isFinal(tx: Tx, height: number, cutoffTime: number): boolean {
  const { locktime, ins } = tx.body
  if (locktime === 0) return true
  if (locktime < (locktime < 500_000_000 ? height : cutoffTime)) return true
  return ins.every((input) => input.sequence === 0xffffffff)
}

const SEQUENCE_DISABLED = 0x80000000
const SEQUENCE_TIME = 0x00400000
const SEQUENCE_MASK = 0xffff

/**
 * BIP68: whether every relative lock lets this transaction into a block of `height` whose parent has
 * `parentMedianTime`. `medianTimeBefore(h)` is the median time past of the block before height h.
 */
export function sequenceLocksMet(
  tx: Tx,
  coinHeights: readonly number[],
  height: number,
  parentMedianTime: number,
  medianTimeBefore: (height: number) => number,
): boolean {
  if (tx.body.version < 2) return true
  return tx.body.ins.every((input, index) => {
    const { sequence } = input
    if (sequence >= SEQUENCE_DISABLED) return true
    const coinHeight = coinHeights[index] ?? 0
    const value = sequence & SEQUENCE_MASK
    if ((sequence & SEQUENCE_TIME) === 0) return coinHeight + value <= height
    return medianTimeBefore(coinHeight) + value * 512 <= parentMedianTime
  })
}
