/** A whole block of Bitcoin, read in place: what a scan looks at and what proofs are made of, without a copy of any transaction. */
import {
  type BitcoinMerkleTree,
  bitcoinMerkleLeaf,
  bitcoinMerkleRoot,
  bitcoinMerkleTree,
  equalBytes,
  sha256d,
  toHex,
} from '../../crypto/index.ts'
import { err, ok, type Result } from '../params/index.ts'
import { HEADER_BYTES, headerHash } from './header.ts'
import { isMarked, Malformed, Reader } from './reader.ts'
import { parsePayableScript } from './script.ts'
import {
  MAX_TRANSACTION_BYTES,
  SMALLEST_INPUT_BYTES,
  SMALLEST_OUTPUT_BYTES,
} from './transaction.ts'

const SMALLEST_TRANSACTION_BYTES = 10 + SMALLEST_INPUT_BYTES + SMALLEST_OUTPUT_BYTES
const OUTPOINT_BYTES = 36
const TAPROOT_SCRIPT_BYTES = 34

/**
 * A block whose transactions were found to be those of its header. Few flat arrays, so that it goes from thread to thread at no cost;
 * the functions below read it.
 */
export interface WholeBlock {
  readonly raw: Uint8Array
  /** Where each transaction begins in `raw`; the last one ends with it. */
  readonly starts: Uint32Array
  /** Of each input two numbers: its transaction, and where its outpoint stands in `raw`. */
  readonly inputs: Uint32Array
  /** Of each output to a taproot three: its transaction, its index there, and where its script stands. */
  readonly taproots: Uint32Array
  /** Over the txids. */
  readonly tree: BitcoinMerkleTree
}

export interface BlockMalformed {
  readonly code: 'BlockMalformed'
  readonly reason: string
}

/** The block of this hash: nothing is left out, added or moved. Total: any bytes give a value or a reason. */
export function readBlock(hash: Uint8Array, raw: Uint8Array): Result<WholeBlock, BlockMalformed> {
  const refused = (reason: string) => err({ code: 'BlockMalformed', reason } as const)
  if (raw.length > MAX_TRANSACTION_BYTES) return refused(`${raw.length} bytes`)
  const places: Places = { starts: [], inputs: [], taproots: [], txids: [] }
  try {
    const reader = new Reader(raw)
    if (!equalBytes(headerHash(reader.view(HEADER_BYTES)), hash)) {
      return refused('a block under another hash')
    }
    const count = reader.count(SMALLEST_TRANSACTION_BYTES)
    for (let index = 0; index < count; index++) readInPlace(reader, raw, places)
    if (reader.left > 0) return refused(`${reader.left} trailing bytes`)
  } catch (error) {
    if (error instanceof Malformed) return refused(error.message)
    throw error
  }
  const { inputs, starts, taproots, txids } = places
  // The last ones written twice give the same root (CVE-2012-2459).
  const isOnce = new Set(txids.map(toHex)).size === txids.length
  const tree = bitcoinMerkleTree(txids)
  if (!isOnce || txids.length === 0 || !equalBytes(bitcoinMerkleRoot(tree), merkleRootOf(raw))) {
    return refused('not the transactions of its header')
  }
  return ok({
    raw,
    starts: Uint32Array.from(starts),
    inputs: Uint32Array.from(inputs),
    taproots: Uint32Array.from(taproots),
    tree,
  })
}

interface Places {
  readonly starts: number[]
  readonly inputs: number[]
  readonly taproots: number[]
  readonly txids: Uint8Array[]
}

function merkleRootOf(raw: Uint8Array): Uint8Array {
  return raw.subarray(36, 68)
}

function readInPlace(reader: Reader, raw: Uint8Array, places: Places): void {
  const index = places.starts.length
  const start = reader.offset
  places.starts.push(start)
  const version = reader.view(4)
  const hasWitness = isMarked(reader)
  if (hasWitness) reader.skip(2)
  const bodyStart = reader.offset
  const inputCount = reader.count(SMALLEST_INPUT_BYTES)
  for (let input = 0; input < inputCount; input++) {
    places.inputs.push(index, reader.offset)
    reader.skip(OUTPOINT_BYTES)
    reader.skip(reader.compactSize() + 4)
  }
  const outputCount = reader.count(SMALLEST_OUTPUT_BYTES)
  for (let vout = 0; vout < outputCount; vout++) {
    reader.skip(8)
    const size = reader.compactSize()
    const at = reader.offset
    if (parsePayableScript(reader.view(size)) === 'p2tr') places.taproots.push(index, vout, at)
  }
  const body = raw.subarray(bodyStart, reader.offset)
  for (let input = 0; hasWitness && input < inputCount; input++) {
    const items = reader.count(1)
    for (let item = 0; item < items; item++) reader.skip(reader.compactSize())
  }
  const lockTime = reader.view(4)
  const stripped = hasWitness ? [version, body, lockTime] : [raw.subarray(start, reader.offset)]
  places.txids.push(sha256d(...stripped))
}

/** The bytes of a transaction, with its witness, as a part of the block's; undefined where there is none. */
export function transactionOf({ raw, starts }: WholeBlock, index: number): Uint8Array | undefined {
  const start = starts[index]
  return start === undefined ? undefined : raw.subarray(start, starts[index + 1] ?? raw.length)
}

/** The txid of one of its transactions. */
export function txidOf({ tree }: WholeBlock, index: number): Uint8Array {
  return bitcoinMerkleLeaf(tree, index) as Uint8Array
}

/** What the block spends: 36 bytes as they are written, txid and output index. */
export function* outpointsOf({
  inputs,
  raw,
}: WholeBlock): Generator<{ readonly index: number; readonly outpoint: Uint8Array }> {
  for (let at = 0; at < inputs.length; at += 2) {
    const [index, start] = inputs.subarray(at, at + 2) as unknown as [number, number]
    yield { index, outpoint: raw.subarray(start, start + OUTPOINT_BYTES) }
  }
}

/** The outputs to a taproot; `index` is their transaction's. */
export function* taprootsOf({ raw, taproots }: WholeBlock): Generator<{
  readonly index: number
  readonly vout: number
  readonly script: Uint8Array
}> {
  for (let at = 0; at < taproots.length; at += 3) {
    const [index, vout, start] = taproots.subarray(at, at + 3) as unknown as [
      number,
      number,
      number,
    ]
    yield { index, vout, script: raw.subarray(start, start + TAPROOT_SCRIPT_BYTES) }
  }
}
