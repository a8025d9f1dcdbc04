/** What Bitcoin Core's answers look like, and the values that they become here. */
import { z } from 'zod'

const MAX_MONEY_BTC = 21_000_000
const MAX_HEX_CHARS = 8_000_000

/**
 * BTC to satoshi. Exact: below 21 million BTC the nearest double of an amount with eight decimals, times 10^8, is
 * within half a satoshi of it.
 */
export const amountSat = z
  .number()
  .min(-MAX_MONEY_BTC)
  .max(MAX_MONEY_BTC)
  .transform((btc) => BigInt(Math.round(btc * 1e8)))

/** A hash as RPC shows it: 64 lower-case hex digits, reversed. */
export const hash = z.string().regex(/^[0-9a-f]{64}$/)

/** Hex that becomes bytes. */
export const bytes = z
  .string()
  .max(MAX_HEX_CHARS)
  .transform((hex, context) => {
    const decoded = new Uint8Array(Buffer.from(hex, 'hex'))
    // It ends at the first character that is no digit, and at half a byte.
    if (decoded.length * 2 !== hex.length) context.addIssue('not hex')
    return decoded
  })

const height = z.number().int().min(0)
const count = z.number().int().min(0)

export const blockchainInfo = z
  .object({
    chain: z.string(),
    blocks: height,
    headers: height,
    bestblockhash: hash,
    mediantime: z.number().int(),
    verificationprogress: z.number(),
    initialblockdownload: z.boolean(),
    chainwork: z.string().regex(/^[0-9a-f]{1,64}$/),
    pruned: z.boolean(),
    pruneheight: height.optional(),
  })
  .transform((info) => ({
    chain: info.chain,
    blocks: info.blocks,
    headers: info.headers,
    bestBlockHash: info.bestblockhash,
    medianTime: info.mediantime,
    verificationProgress: info.verificationprogress,
    initialBlockDownload: info.initialblockdownload,
    chainWork: BigInt(`0x${info.chainwork}`),
    pruned: info.pruned,
    pruneHeight: info.pruneheight,
  }))
/** `medianTime` in seconds; `chainWork` of the best block; `pruneHeight` the lowest whole block of a pruned node. */
export type BlockchainInfo = z.output<typeof blockchainInfo>

const headerFields = z.object({
  hash,
  confirmations: z.number().int().min(-1),
  height,
  version: z.number().int(),
  merkleroot: hash,
  time: count,
  mediantime: count,
  nonce: count,
  bits: z.string().regex(/^[0-9a-f]{8}$/),
  chainwork: z.string().regex(/^[0-9a-f]{1,64}$/),
  nTx: count,
  previousblockhash: hash.optional(),
  nextblockhash: hash.optional(),
})

function readHeader(header: z.output<typeof headerFields>) {
  return {
    hash: header.hash,
    confirmations: header.confirmations,
    height: header.height,
    version: header.version,
    merkleRoot: header.merkleroot,
    time: header.time,
    medianTime: header.mediantime,
    nonce: header.nonce,
    bits: Number.parseInt(header.bits, 16),
    chainWork: BigInt(`0x${header.chainwork}`),
    txCount: header.nTx,
    previousBlockHash: header.previousblockhash,
    nextBlockHash: header.nextblockhash,
  }
}

export const blockHeader = headerFields.transform(readHeader)
/** `confirmations` is −1 off the best chain; `previousBlockHash` is absent for genesis, `nextBlockHash` for the tip. */
export type BlockHeader = z.output<typeof blockHeader>

export const blockWithIds = headerFields
  .extend({ size: count, weight: count, tx: z.array(hash) })
  .transform(({ size, weight, tx, ...header }) => ({
    ...readHeader(header),
    sizeBytes: size,
    weight,
    txids: tx,
  }))
export type BlockWithIds = z.output<typeof blockWithIds>

const scriptPubKey = z.object({ hex: bytes, type: z.string(), address: z.string().optional() })

const input = z
  .object({
    txid: hash.optional(),
    vout: count.optional(),
    coinbase: bytes.optional(),
    scriptSig: z.object({ hex: bytes }).optional(),
    txinwitness: z.array(bytes).optional(),
    sequence: count,
  })
  .transform((raw) => ({
    txid: raw.txid,
    vout: raw.vout,
    scriptSig: raw.coinbase ?? raw.scriptSig?.hex ?? new Uint8Array(),
    witness: raw.txinwitness ?? [],
    sequence: raw.sequence,
  }))

const output = z
  .object({ value: amountSat, n: count, scriptPubKey })
  .transform(({ value, n, scriptPubKey: script }) => ({
    amountSat: value,
    n,
    script: script.hex,
    scriptType: script.type,
    address: script.address,
  }))

const transactionFields = z.object({
  txid: hash,
  hash,
  version: z.number().int(),
  size: count,
  vsize: count,
  weight: count,
  locktime: count,
  vin: z.array(input),
  vout: z.array(output),
  hex: bytes,
  fee: amountSat.optional(),
  blockhash: hash.optional(),
  confirmations: z.number().int().optional(),
  blocktime: count.optional(),
})

export const transaction = transactionFields.transform((tx) => ({
  txid: tx.txid,
  wtxid: tx.hash,
  version: tx.version,
  sizeBytes: tx.size,
  vsize: tx.vsize,
  weight: tx.weight,
  locktime: tx.locktime,
  inputs: tx.vin,
  outputs: tx.vout,
  raw: tx.hex,
  feeSat: tx.fee,
  blockHash: tx.blockhash,
  confirmations: tx.confirmations,
  blockTime: tx.blocktime,
}))
/** An input without `txid` is a coinbase's. `feeSat` is known in blocks only, the block's fields outside of them. */
export type BitcoinTransaction = z.output<typeof transaction>

export const blockWithTransactions = headerFields
  .extend({ size: count, weight: count, tx: z.array(transaction) })
  .transform(({ size, weight, tx, ...header }) => ({
    ...readHeader(header),
    sizeBytes: size,
    weight,
    transactions: tx,
  }))
export type BlockWithTransactions = z.output<typeof blockWithTransactions>

export const txOut = z
  .object({
    bestblock: hash,
    confirmations: count,
    value: amountSat,
    scriptPubKey,
    coinbase: z.boolean(),
  })
  .transform(({ bestblock, confirmations, value, scriptPubKey: script, coinbase }) => ({
    bestBlockHash: bestblock,
    confirmations,
    amountSat: value,
    script: script.hex,
    address: script.address,
    coinbase,
  }))
  .nullable()
/** null: the output does not exist or is spent. `confirmations` 0: it is in the mempool. */
export type TxOut = z.output<typeof txOut>

export const scanResult = z
  .object({
    success: z.boolean(),
    height,
    bestblock: hash,
    unspents: z.array(
      z
        .object({ txid: hash, vout: count, scriptPubKey: bytes, amount: amountSat, height })
        .transform(({ txid, vout, scriptPubKey: script, amount, height: at }) => ({
          txid,
          vout,
          script,
          amountSat: amount,
          height: at,
        })),
    ),
    total_amount: amountSat,
  })
  .transform((scan) => ({
    success: scan.success,
    height: scan.height,
    bestBlockHash: scan.bestblock,
    unspents: scan.unspents,
    totalSat: scan.total_amount,
  }))
/** The unspent outputs of some scripts at one block. */
export type ScanResult = z.output<typeof scanResult>

export const acceptance = z
  .array(
    z
      .object({
        txid: hash,
        wtxid: hash,
        allowed: z.boolean().optional(),
        vsize: count.optional(),
        fees: z.object({ base: amountSat }).optional(),
        'reject-reason': z.string().optional(),
      })
      .transform((test) => ({
        txid: test.txid,
        wtxid: test.wtxid,
        allowed: test.allowed,
        vsize: test.vsize,
        feeSat: test.fees?.base,
        rejectReason: test['reject-reason'],
      })),
  )
  .min(1)
/** `allowed` is absent for transactions that were not tested, as one before them failed. */
export type MempoolAcceptance = z.output<typeof acceptance>[number]

export const mempoolInfo = z
  .object({ size: count, mempoolminfee: amountSat })
  .transform(({ size, mempoolminfee }) => ({ size, minFeeSatPerKvb: mempoolminfee }))
/** `size`: transactions that wait. `minFeeSatPerKvb`: what pays less is not taken; it rises while the mempool is full. */
export type MempoolInfo = z.output<typeof mempoolInfo>

export const mempoolEntry = z
  .object({
    vsize: count,
    weight: count,
    time: count,
    height,
    descendantcount: count,
    ancestorcount: count,
    wtxid: hash,
    fees: z.object({ base: amountSat, ancestor: amountSat, descendant: amountSat }),
    depends: z.array(hash),
    spentby: z.array(hash),
    'bip125-replaceable': z.boolean(),
  })
  .transform((entry) => ({
    vsize: entry.vsize,
    weight: entry.weight,
    time: entry.time,
    height: entry.height,
    descendantCount: entry.descendantcount,
    ancestorCount: entry.ancestorcount,
    wtxid: entry.wtxid,
    feeSat: entry.fees.base,
    ancestorFeeSat: entry.fees.ancestor,
    descendantFeeSat: entry.fees.descendant,
    depends: entry.depends,
    spentBy: entry.spentby,
    replaceable: entry['bip125-replaceable'],
  }))
/** Fees of the transaction and of its unconfirmed package; `height` of the tip when it came in. */
export type MempoolEntry = z.output<typeof mempoolEntry>

export const feeEstimate = z
  .object({ feerate: amountSat.optional(), blocks: count, errors: z.array(z.string()).optional() })
  .transform(({ feerate, blocks, errors }) => ({
    feeRateSatPerKvb: feerate,
    blocks,
    errors: errors ?? [],
  }))
/** Without `feeRateSatPerKvb` Bitcoin has seen too little to tell: always so on a regtest. */
export type FeeEstimate = z.output<typeof feeEstimate>

export const networkInfo = z
  .object({
    version: count,
    subversion: z.string(),
    connections: count,
    relayfee: amountSat,
    incrementalfee: amountSat,
  })
  .transform((info) => ({
    version: info.version,
    subversion: info.subversion,
    connections: info.connections,
    relayFeeSatPerKvb: info.relayfee,
    incrementalFeeSatPerKvb: info.incrementalfee,
  }))
export type NetworkInfo = z.output<typeof networkInfo>

export const blockTemplate = z
  .object({
    version: z.number().int(),
    previousblockhash: hash,
    transactions: z.array(
      z
        .object({ data: bytes, txid: hash, hash, fee: z.number().int(), weight: count })
        .transform(({ data, txid, hash: wtxid, fee, weight }) => ({
          raw: data,
          txid,
          wtxid,
          feeSat: BigInt(fee),
          weight,
        })),
    ),
    coinbasevalue: z.number().int().min(0),
    target: hash,
    mintime: count,
    curtime: count,
    bits: z.string().regex(/^[0-9a-f]{8}$/),
    height,
    default_witness_commitment: bytes.optional(),
  })
  .transform((template) => ({
    version: template.version,
    previousBlockHash: template.previousblockhash,
    transactions: template.transactions,
    coinbaseSat: BigInt(template.coinbasevalue),
    target: BigInt(`0x${template.target}`),
    minTime: template.mintime,
    currentTime: template.curtime,
    bits: Number.parseInt(template.bits, 16),
    height: template.height,
    witnessCommitmentScript: template.default_witness_commitment,
  }))
/** What a block on the tip would hold; `witnessCommitmentScript` is that of the coinbase's commitment output. */
export type BlockTemplate = z.output<typeof blockTemplate>
