/** Methods for transactions and the mempool. */
import { blockOf } from './block-tree.ts'
import { parseHex, toHex } from './bytes.ts'
import type { Chain } from './chain.ts'
import { type Acceptance, satPerKvb } from './mempool.ts'
import { feeAtRate, INCREMENTAL_SAT_PER_KVB, MIN_RELAY_SAT_PER_KVB } from './policy.ts'
import type { Regtest } from './regtest.ts'
import { formatEntry, formatTx } from './rpc-format.ts'
import {
  amount,
  answer,
  btc,
  fault,
  flag,
  hash,
  integer,
  isFault,
  list,
  type Method,
  method,
  optional,
  RPC,
  type RpcAnswer,
  text,
  verbosity,
} from './rpc-method.ts'
import { decodeTx, outpoint, type Tx } from './transaction.ts'

const MAX_PACKAGE_COUNT = 25
const MAX_CONF_TARGET = 1008
const DEFAULT_MAX_FEE_RATE_SAT = 10_000_000n
const MEMPOOL_BYTES = 300_000_000

const DECODE_FAILED = 'TX decode failed. Make sure the tx has at least one input.'

function decodeHexTx(hex: string): Tx | undefined {
  const bytes = parseHex(hex)
  return bytes && decodeTx(bytes)
}

function feeExceeds(tx: Tx, feeSat: bigint, maxRateSat: bigint): boolean {
  const maxSat = feeAtRate(maxRateSat, tx.vsize)
  return maxSat > 0n && feeSat > maxSat
}

export const transactionMethods: Readonly<Record<string, Method>> = {
  sendrawtransaction: method(
    {
      hexstring: text,
      maxfeerate: optional(amount, DEFAULT_MAX_FEE_RATE_SAT),
      maxburnamount: optional(amount, 0n),
    },
    ({ regtest }, { hexstring, maxfeerate, maxburnamount }) => {
      const tx = decodeHexTx(hexstring)
      if (tx === undefined) return fault(RPC.DESERIALIZATION_ERROR, DECODE_FAILED)
      const burns = tx.body.outs.some((out) => out.script[0] === 0x6a && out.value > maxburnamount)
      if (burns) {
        const message = 'Unspendable output exceeds maximum configured by user (maxburnamount)'
        return fault(RPC.VERIFY_ERROR, message)
      }
      return send(regtest, tx, maxfeerate)
    },
  ),

  testmempoolaccept: method(
    { rawtxs: list, maxfeerate: optional(amount, DEFAULT_MAX_FEE_RATE_SAT) },
    ({ regtest }, { rawtxs, maxfeerate }) => {
      if (rawtxs.length < 1 || rawtxs.length > MAX_PACKAGE_COUNT) {
        const message = `Array must contain between 1 and ${MAX_PACKAGE_COUNT} transactions.`
        return fault(RPC.INVALID_PARAMETER, message)
      }
      const txs: Tx[] = []
      for (const raw of rawtxs) {
        const hex = text.read(raw, 'rawtx')
        if (isFault(hex)) return hex
        const tx = decodeHexTx(hex.value)
        if (tx === undefined) {
          const shown = hex.value.slice(0, 200)
          const message = `TX decode failed: ${shown} Make sure the tx has at least one input.`
          return fault(RPC.DESERIALIZATION_ERROR, message)
        }
        txs.push(tx)
      }
      return answer(testPackage(regtest, txs, maxfeerate))
    },
  ),

  getrawtransaction: method(
    { txid: hash, verbosity: optional(verbosity, 0), blockhash: optional(hash, undefined) },
    ({ regtest }, { txid, verbosity: level, blockhash }) => {
      const { chain, mempool } = regtest
      if (chain.at(0)?.header.merkleRoot === txid) {
        const message =
          'The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved'
        return fault(RPC.INVALID_ADDRESS_OR_KEY, message)
      }
      if (blockhash !== undefined) return fromBlock(chain, txid, blockhash, level)
      const tx = mempool.get(txid)?.tx
      if (tx !== undefined) {
        return answer(level <= 0 ? toHex(tx.raw) : { ...formatTx(tx), hex: toHex(tx.raw) })
      }
      const message =
        'No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries. Use gettransaction for wallet transactions.'
      return fault(RPC.INVALID_ADDRESS_OR_KEY, message)
    },
  ),

  decoderawtransaction: method(
    { hexstring: text, iswitness: optional(flag, undefined) },
    (_, { hexstring }) => {
      const tx = decodeHexTx(hexstring)
      return tx === undefined
        ? fault(RPC.DESERIALIZATION_ERROR, 'TX decode failed')
        : answer(formatTx(tx))
    },
  ),

  getmempoolentry: method({ txid: hash }, ({ regtest }, { txid }) => {
    const entry = regtest.mempool.get(txid)
    return entry === undefined
      ? fault(RPC.INVALID_ADDRESS_OR_KEY, 'Transaction not in mempool')
      : answer(formatEntry(regtest.mempool, entry))
  }),

  getrawmempool: method(
    { verbose: optional(flag, false), mempool_sequence: optional(flag, false) },
    ({ regtest }, { verbose, mempool_sequence: withSequence }) => {
      const { mempool } = regtest
      if (verbose && withSequence) {
        const message = 'Verbose results cannot contain mempool sequence values.'
        return fault(RPC.INVALID_PARAMETER, message)
      }
      const entries = mempool.entries()
      if (verbose) {
        const rows = entries.map((entry) => [entry.tx.txid, formatEntry(mempool, entry)])
        return answer(Object.fromEntries(rows))
      }
      const txids = entries.map(({ tx }) => tx.txid)
      return answer(withSequence ? { txids, mempool_sequence: mempool.sequence } : txids)
    },
  ),

  getmempoolinfo: method({}, ({ regtest }) => {
    const { mempool } = regtest
    const entries = mempool.entries()
    return answer({
      loaded: true,
      size: mempool.size,
      bytes: mempool.vsize,
      usage: entries.reduce((sum, { tx }) => sum + tx.raw.length, 0),
      total_fee: btc(entries.reduce((sum, { feeSat }) => sum + feeSat, 0n)),
      maxmempool: MEMPOOL_BYTES,
      mempoolminfee: btc(MIN_RELAY_SAT_PER_KVB),
      minrelaytxfee: btc(MIN_RELAY_SAT_PER_KVB),
      incrementalrelayfee: btc(INCREMENTAL_SAT_PER_KVB),
      unbroadcastcount: entries.filter((entry) => entry.unbroadcast).length,
      fullrbf: false,
    })
  }),

  estimatesmartfee: method(
    { conf_target: integer, estimate_mode: optional(text, 'conservative') },
    (_, { conf_target: target, estimate_mode: mode }) => {
      if (target < 1 || target > MAX_CONF_TARGET) {
        const message = `Invalid conf_target, must be between 1 and ${MAX_CONF_TARGET}`
        return fault(RPC.INVALID_PARAMETER, message)
      }
      if (!['unset', 'economical', 'conservative'].includes(mode.toLowerCase())) {
        const message =
          'Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"'
        return fault(RPC.INVALID_PARAMETER, message)
      }
      return answer({ errors: ['Insufficient data or no feerate found'], blocks: 0 })
    },
  ),
}

/** sendrawtransaction once decoded: idempotent for what the mempool already holds. */
function send(regtest: Regtest, tx: Tx, maxRateSat: bigint): RpcAnswer {
  const { chain, mempool } = regtest
  if (tx.body.outs.some((_, vout) => chain.coin(outpoint(tx.txid, vout)) !== undefined)) {
    return fault(RPC.VERIFY_ALREADY_IN_CHAIN, 'Transaction already in block chain')
  }
  if (mempool.get(tx.txid) !== undefined) return answer(tx.txid)
  const trial = mempool.accept(tx, { nowSeconds: regtest.nowSeconds(), dryRun: true })
  if (trial.code === 'accepted' && feeExceeds(tx, trial.entry.feeSat, maxRateSat)) {
    const message = 'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)'
    return fault(RPC.VERIFY_ERROR, message)
  }
  const outcome = regtest.sendTransaction(tx)
  if (outcome.code === 'accepted') return answer(tx.txid)
  const { reason, debug } = outcome
  const missing = reason === 'bad-txns-inputs-missingorspent'
  const code = missing ? RPC.VERIFY_ERROR : RPC.VERIFY_REJECTED
  return fault(code, debug === undefined ? reason : `${reason}, ${debug}`)
}

/** Tests transactions in order, each on top of those before it, and leaves the mempool as it was. */
function testPackage(regtest: Regtest, txs: readonly Tx[], maxRateSat: bigint): object[] {
  const { mempool } = regtest
  const single = txs.length === 1
  const { sequence } = mempool
  const taken: string[] = []
  const results: object[] = []
  let stopped = false
  for (const tx of txs) {
    const ids = { txid: tx.txid, wtxid: tx.wtxid }
    if (stopped) {
      results.push(ids)
      continue
    }
    const outcome = mempool.accept(tx, {
      nowSeconds: regtest.nowSeconds(),
      dryRun: single,
      allowReplacement: single,
    })
    if (outcome.code === 'accepted' && !single) taken.push(tx.txid)
    const allowed = outcome.code === 'accepted' && !feeExceeds(tx, outcome.entry.feeSat, maxRateSat)
    stopped = !allowed
    results.push({ ...ids, ...describeTest(outcome, allowed) })
  }
  for (const txid of taken.reverse()) mempool.removeWithDescendants(txid)
  mempool.sequence = sequence
  return results
}

function describeTest(outcome: Acceptance, allowed: boolean): object {
  if (outcome.code === 'rejected') {
    const missing = outcome.reason === 'bad-txns-inputs-missingorspent'
    return { allowed: false, 'reject-reason': missing ? 'missing-inputs' : outcome.reason }
  }
  if (!allowed) return { allowed: false, 'reject-reason': 'max-fee-exceeded' }
  const { tx, feeSat } = outcome.entry
  return {
    allowed: true,
    vsize: tx.vsize,
    fees: {
      base: btc(feeSat),
      'effective-feerate': btc(satPerKvb(feeSat, tx.vsize)),
      'effective-includes': [tx.wtxid],
    },
  }
}

function fromBlock(chain: Chain, txid: string, blockhash: string, level: number): RpcAnswer {
  const node = chain.node(blockhash)
  if (node === undefined) return fault(RPC.INVALID_ADDRESS_OR_KEY, 'Block hash not found')
  const tx = blockOf(node).txs.find((candidate) => candidate.txid === txid)
  if (tx === undefined) {
    const message =
      'No such transaction found in the provided block. Use gettransaction for wallet transactions.'
    return fault(RPC.INVALID_ADDRESS_OR_KEY, message)
  }
  if (level <= 0) return answer(toHex(tx.raw))
  const active = chain.isActive(node)
  return answer({
    in_active_chain: active,
    ...formatTx(tx),
    hex: toHex(tx.raw),
    blockhash,
    confirmations: active ? chain.tip.height - node.height + 1 : 0,
    ...(active ? { time: node.header.time, blocktime: node.header.time } : {}),
  })
}
