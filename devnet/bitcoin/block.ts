/** Blocks: decoding, Merkle trees, the witness commitment (BIP141), and the checks that need no chain. */
import { Block, crypto } from 'bitcoinjs-lib'
import { compactSize, concatBytes, displayHash, equalBytes, readUint32, toHex } from './bytes.ts'
import { MAX_BLOCK_SIGOPS_COST, POW_LIMIT, POW_LIMIT_BITS } from './chain-params.ts'
import { sigopCost } from './script.ts'
import {
  checkTransaction,
  describeTx,
  isCoinbase,
  MAX_BLOCK_WEIGHT,
  type Tx,
} from './transaction.ts'

export const HEADER_BYTES = 80
export const ZERO_HASH = '0'.repeat(64)
const COMMITMENT_PREFIX = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed)

/** The fields of an 80-byte header; hashes in display order. */
export interface Header {
  readonly raw: Uint8Array
  readonly hash: string
  readonly version: number
  readonly prevHash: string
  readonly merkleRoot: string
  readonly time: number
  readonly bits: number
  readonly nonce: number
}

export interface DecodedBlock {
  readonly header: Header
  readonly raw: Uint8Array
  readonly txs: readonly Tx[]
  readonly strippedSize: number
  readonly weight: number
}

export function decodeHeader(raw: Uint8Array): Header {
  return {
    raw,
    hash: displayHash(crypto.hash256(raw)),
    version: readUint32(raw, 0),
    prevHash: displayHash(raw.subarray(4, 36)),
    merkleRoot: displayHash(raw.subarray(36, 68)),
    time: readUint32(raw, 68),
    bits: readUint32(raw, 72),
    nonce: readUint32(raw, 76),
  }
}

/** Total: a block whose encoding is exactly these bytes, or undefined. */
export function decodeBlock(bytes: Uint8Array): DecodedBlock | undefined {
  if (bytes.length <= HEADER_BYTES || bytes.length > MAX_BLOCK_WEIGHT) return undefined
  try {
    const copy = Uint8Array.from(bytes)
    const txs = (Block.fromBuffer(copy).transactions ?? []).map(describeTx)
    const block = assembleBlock(copy.slice(0, HEADER_BYTES), txs)
    return toHex(block.raw) === toHex(copy) ? block : undefined
  } catch {
    return undefined
  }
}

export function assembleBlock(header: Uint8Array, txs: readonly Tx[]): DecodedBlock {
  const count = compactSize(txs.length)
  const raw = concatBytes(header, count, ...txs.map((tx) => tx.raw))
  const witnessBytes = txs.reduce((sum, tx) => sum + tx.raw.length - tx.strippedSize, 0)
  const strippedSize = raw.length - witnessBytes
  return {
    header: decodeHeader(header),
    raw,
    txs,
    strippedSize,
    weight: strippedSize * 3 + raw.length,
  }
}

/** The Merkle root of hashes in internal order; `mutated` marks the duplication of CVE-2012-2459. */
export function merkleRoot(leaves: readonly Uint8Array[]): { root: Uint8Array; mutated: boolean } {
  let level = [...leaves]
  let mutated = false
  while (level.length > 1) {
    const next: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] ?? new Uint8Array(32)
      const right = level[i + 1]
      if (right !== undefined && equalBytes(left, right)) mutated = true
      next.push(crypto.hash256(concatBytes(left, right ?? left)))
    }
    level = next
  }
  return { root: level[0] ?? new Uint8Array(32), mutated }
}

/** Internal-order txid of a transaction. */
export function txHash(tx: Tx): Uint8Array {
  return tx.body.getHash(false)
}

/** The hash that the coinbase commits to: of the witness root (the coinbase counts as zero) and its nonce. */
export function witnessCommitment(txs: readonly Tx[], nonce: Uint8Array): Uint8Array {
  const leaves = txs.map((tx, index) => (index === 0 ? new Uint8Array(32) : tx.body.getHash(true)))
  return crypto.hash256(concatBytes(merkleRoot(leaves).root, nonce))
}

/** The script of the output that carries a witness commitment. */
export function commitmentScript(commitment: Uint8Array): Uint8Array {
  return concatBytes(COMMITMENT_PREFIX, commitment)
}

/** The commitment that the last matching output of a coinbase makes, or undefined. */
export function findCommitment(coinbase: Tx): Uint8Array | undefined {
  const found = coinbase.body.outs.findLast(
    ({ script }) => script.length >= 38 && equalBytes(script.subarray(0, 6), COMMITMENT_PREFIX),
  )
  return found?.script.slice(6, 38)
}

export function meetsTarget(hash: string): boolean {
  return BigInt(`0x${hash}`) <= targetOf(POW_LIMIT_BITS)
}

function targetOf(bits: number): bigint {
  const target = BigInt(bits & 0x7fffff) << BigInt(8 * ((bits >>> 24) - 3))
  return target > POW_LIMIT ? POW_LIMIT : target
}

/** Core's CheckBlock: what can be said of a block alone. Gives Core's reject reason, or undefined. */
export function checkBlock({ header, txs, strippedSize }: DecodedBlock): string | undefined {
  if (header.bits === POW_LIMIT_BITS && !meetsTarget(header.hash)) return 'high-hash'
  const { root, mutated } = merkleRoot(txs.map(txHash))
  if (displayHash(root) !== header.merkleRoot) return 'bad-txnmrklroot'
  if (mutated) return 'bad-txns-duplicate'
  if (txs.length === 0 || strippedSize * 4 > MAX_BLOCK_WEIGHT) return 'bad-blk-length'
  const [coinbase, ...rest] = txs
  if (coinbase === undefined || !isCoinbase(coinbase)) return 'bad-cb-missing'
  if (rest.some(isCoinbase)) return 'bad-cb-multiple'
  for (const tx of txs) {
    const reason = checkTransaction(tx)
    if (reason !== undefined) return reason
  }
  const sigops = txs.reduce((sum, tx) => sum + sigopCost(tx.body, []), 0)
  return sigops > MAX_BLOCK_SIGOPS_COST ? 'bad-blk-sigops' : undefined
}

/** BIP141's rules for the coinbase's commitment. Gives Core's reject reason, or undefined. */
export function checkWitnessCommitment({ txs, weight }: DecodedBlock): string | undefined {
  const [coinbase] = txs
  if (coinbase === undefined) return 'bad-cb-missing'
  const commitment = findCommitment(coinbase)
  if (commitment === undefined) {
    return txs.some((tx) => tx.body.hasWitnesses()) ? 'unexpected-witness' : undefined
  }
  const witness = coinbase.body.ins[0]?.witness ?? []
  const [nonce] = witness
  if (witness.length !== 1 || nonce?.length !== 32) return 'bad-witness-nonce-size'
  if (!equalBytes(witnessCommitment(txs, nonce), commitment)) return 'bad-witness-merkle-match'
  return weight > MAX_BLOCK_WEIGHT ? 'bad-blk-weight' : undefined
}
