/** Methods of miners: templates, submission, and blocks on demand. */
import { assembleBlock, type DecodedBlock, decodeBlock, findCommitment } from './block.ts'
import { parseHex, toHex } from './bytes.ts'
import {
  BLOCK_VERSION,
  DIFFICULTY,
  MAX_BLOCK_SIGOPS_COST,
  POW_LIMIT_BITS,
  POW_TARGET_HEX,
  subsidySat,
} from './chain-params.ts'
import { type BlockPlan, defaultCommitment, entrySigops, mineBlock, planBlock } from './mining.ts'
import { scriptOfAddress, scriptOfDescriptor } from './output-script.ts'
import type { Regtest } from './regtest.ts'
import { bitsText } from './rpc-format.ts'
import {
  answer,
  fault,
  flag,
  integer,
  isFault,
  list,
  type Method,
  method,
  optional,
  RPC,
  type RpcAnswer,
  type RpcFault,
  record,
  text,
} from './rpc-method.ts'
import { decodeTx, describeTx, isCoinbase, MAX_BLOCK_WEIGHT, type Tx } from './transaction.ts'

const MAX_BLOCKS_PER_CALL = 10_000
const MAX_BLOCK_BYTES = 4_000_000

export const miningMethods: Readonly<Record<string, Method>> = {
  generatetoaddress: method(
    { nblocks: integer, address: text, maxtries: optional(integer, undefined) },
    ({ regtest }, { nblocks, address }) => {
      const script = scriptOfAddress(address)
      if (script === undefined) {
        return fault(RPC.INVALID_ADDRESS_OR_KEY, 'Error: Invalid address')
      }
      if (nblocks > MAX_BLOCKS_PER_CALL) {
        return fault(RPC.INVALID_PARAMETER, `at most ${MAX_BLOCKS_PER_CALL} blocks in one call`)
      }
      const hashes: string[] = []
      while (hashes.length < nblocks) {
        const mined = regtest.mine(script)
        if ('reason' in mined) {
          return fault(RPC.INTERNAL_ERROR, `ProcessNewBlock, block not accepted: ${mined.reason}`)
        }
        hashes.push(mined.block.header.hash)
      }
      return answer(hashes)
    },
  ),

  generateblock: method(
    { output: text, transactions: list, submit: optional(flag, true) },
    ({ regtest }, { output, transactions, submit }) => {
      const described = scriptOfDescriptor(output)
      const script = 'script' in described ? described.script : scriptOfAddress(output)
      if (script === undefined) {
        return fault(RPC.INVALID_ADDRESS_OR_KEY, 'Error: Invalid address or descriptor')
      }
      const txs: Tx[] = []
      for (const given of transactions) {
        const tx = namedTransaction(regtest, given)
        if ('error' in tx) return tx
        txs.push(tx)
      }
      const block = mineChosen(regtest, script, txs)
      const reason = regtest.chain.checkProposal(block, regtest.nowSeconds())
      if (reason !== undefined) {
        return fault(RPC.VERIFY_ERROR, `TestBlockValidity failed: ${reason}`)
      }
      if (!submit) return answer({ hash: block.header.hash, hex: toHex(block.raw) })
      regtest.submitBlock(block)
      return answer({ hash: block.header.hash })
    },
  ),

  submitblock: method(
    { hexdata: text, dummy: optional(text, undefined) },
    ({ regtest }, { hexdata }) => {
      const block = decodeHexBlock(hexdata)
      if (block === undefined) return fault(RPC.DESERIALIZATION_ERROR, 'Block decode failed')
      const [coinbase] = block.txs
      if (coinbase === undefined || !isCoinbase(coinbase)) {
        return fault(RPC.DESERIALIZATION_ERROR, 'Block does not start with a coinbase')
      }
      return submit(regtest, withWitnessNonce(block, coinbase))
    },
  ),

  getblocktemplate: method(
    { template_request: record },
    ({ regtest }, { template_request: request }) => {
      const { mode = 'template', data, rules } = request
      if (mode === 'proposal') return propose(regtest, data)
      if (mode !== 'template') return fault(RPC.INVALID_PARAMETER, 'Invalid mode')
      if (!Array.isArray(rules) || !rules.includes('segwit')) {
        const message =
          'getblocktemplate must be called with the segwit rule set (call with {"rules": ["segwit"]})'
        return fault(RPC.INVALID_PARAMETER, message)
      }
      return answer(formatTemplate(regtest))
    },
  ),

  getmininginfo: method({}, ({ regtest }) =>
    answer({
      blocks: regtest.chain.tip.height,
      difficulty: DIFFICULTY,
      networkhashps: 0,
      pooledtx: regtest.mempool.size,
      chain: 'regtest',
      warnings: '',
    }),
  ),

  setmocktime: method({ timestamp: integer }, ({ regtest }, { timestamp }) => {
    if (timestamp < 0) return fault(RPC.INVALID_PARAMETER, 'Timestamp must be 0 or greater')
    regtest.setMockTime(timestamp)
    return answer(null)
  }),
}

function decodeHexBlock(hex: string): DecodedBlock | undefined {
  if (hex.length > 2 * MAX_BLOCK_BYTES) return undefined
  const bytes = parseHex(hex)
  return bytes && decodeBlock(bytes)
}

/** Miners may leave the coinbase's witness out; it is implied when there is a commitment (as in Core). */
function withWitnessNonce(block: DecodedBlock, coinbase: Tx): DecodedBlock {
  if (findCommitment(coinbase) === undefined || coinbase.body.hasWitnesses()) return block
  const body = coinbase.body.clone()
  body.setWitness(0, [new Uint8Array(32)])
  return assembleBlock(block.header.raw, [describeTx(body), ...block.txs.slice(1)])
}

/** BIP22: null for a block that became the tip, else why it did not. */
function submit(regtest: Regtest, block: DecodedBlock): RpcAnswer {
  const outcome = regtest.submitBlock(block)
  if (outcome.code === 'rejected') return answer(outcome.reason)
  if (outcome.code !== 'accepted') return answer(outcome.code)
  return answer(regtest.chain.isActive(outcome.node) ? null : 'inconclusive')
}

function propose(regtest: Regtest, data: unknown): RpcAnswer {
  if (typeof data !== 'string') {
    return fault(RPC.TYPE_ERROR, 'Missing data String key for proposal')
  }
  const block = decodeHexBlock(data)
  if (block === undefined) return fault(RPC.DESERIALIZATION_ERROR, 'Block decode failed')
  const known = regtest.chain.node(block.header.hash)
  if (known?.status === 'valid') return answer('duplicate')
  if (known?.status === 'invalid') return answer('duplicate-invalid')
  if (known !== undefined) return answer('duplicate-inconclusive')
  return answer(regtest.chain.checkProposal(block, regtest.nowSeconds()) ?? null)
}

/** A transaction given as an id in the mempool or as raw hex. */
function namedTransaction(regtest: Regtest, given: unknown): Tx | RpcFault {
  const name = text.read(given, 'rawtx/txid')
  if (isFault(name)) return name
  if (name.value.length === 64) {
    const tx = regtest.mempool.get(name.value)?.tx
    const message = `Transaction ${name.value} not in mempool.`
    return tx ?? fault(RPC.INVALID_ADDRESS_OR_KEY, message)
  }
  const bytes = parseHex(name.value)
  const tx = bytes && decodeTx(bytes)
  const shown = name.value.slice(0, 200)
  const message = `Transaction decode failed for ${shown}. Make sure the tx has at least one input.`
  return tx ?? fault(RPC.DESERIALIZATION_ERROR, message)
}

/** A block of exactly these transactions; its coinbase takes the subsidy alone. */
function mineChosen(regtest: Regtest, payTo: Uint8Array, txs: readonly Tx[]): DecodedBlock {
  const { tip } = regtest.chain
  const minTime = tip.medianTime + 1
  const plan: BlockPlan = {
    prevHash: tip.hash,
    height: tip.height + 1,
    time: Math.max(regtest.nowSeconds(), minTime),
    minTime,
    txs,
    rewardSat: subsidySat(tip.height + 1),
  }
  return mineBlock(plan, payTo, (hash) => regtest.chain.node(hash) !== undefined)
}

function formatTemplate(regtest: Regtest): object {
  const { chain, mempool } = regtest
  const plan = planBlock(chain, mempool, regtest.nowSeconds())
  const positions = new Map(plan.txs.map((tx, index) => [tx.txid, index + 1]))
  return {
    capabilities: ['proposal'],
    version: BLOCK_VERSION,
    rules: ['csv', '!segwit', 'taproot'],
    vbavailable: {},
    vbrequired: 0,
    previousblockhash: plan.prevHash,
    transactions: plan.txs.flatMap((tx) => {
      const entry = mempool.get(tx.txid)
      if (entry === undefined) return []
      const depends = [...entry.parents].flatMap((parent) => positions.get(parent) ?? [])
      return {
        data: toHex(tx.raw),
        txid: tx.txid,
        hash: tx.wtxid,
        depends,
        fee: Number(entry.feeSat),
        sigops: entrySigops(mempool, entry),
        weight: tx.weight,
      }
    }),
    coinbaseaux: {},
    coinbasevalue: Number(plan.rewardSat),
    longpollid: `${plan.prevHash}${mempool.sequence}`,
    target: POW_TARGET_HEX,
    mintime: plan.minTime,
    mutable: ['time', 'transactions', 'prevblock'],
    noncerange: '00000000ffffffff',
    sigoplimit: MAX_BLOCK_SIGOPS_COST,
    sizelimit: MAX_BLOCK_BYTES,
    weightlimit: MAX_BLOCK_WEIGHT,
    curtime: plan.time,
    bits: bitsText(POW_LIMIT_BITS),
    height: plan.height,
    default_witness_commitment: toHex(defaultCommitment(plan.txs)),
  }
}
