/** Methods that read or move the chain and its coins. */

import { decodeHeader } from './block.ts'
import { type BlockNode, blockOf } from './block-tree.ts'
import { internalHash, parseHex, toHex } from './bytes.ts'
import type { Chain } from './chain.ts'
import { DIFFICULTY } from './chain-params.ts'
import type { Coin } from './coins.ts'
import { encodeMerkleProof, readMerkleProof } from './merkle-proof.ts'
import {
  addressOf,
  inferDescriptor,
  scriptOfAddress,
  scriptOfDescriptor,
  scriptType,
} from './output-script.ts'
import { chainWorkText, formatBlock, formatCoin, formatHeader } from './rpc-format.ts'
import {
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
  type RpcFault,
  text,
  verbosity,
} from './rpc-method.ts'
import { witnessProgram } from './script.ts'
import { outpoint } from './transaction.ts'

const MAX_SCAN_OBJECTS = 1_000
const MAX_TIP_AGE_SECONDS = 86_400

function findBlock(chain: Chain, blockhash: string): BlockNode | RpcFault {
  return chain.node(blockhash) ?? fault(RPC.INVALID_ADDRESS_OR_KEY, 'Block not found')
}

export const chainMethods: Readonly<Record<string, Method>> = {
  getblockchaininfo: method({}, ({ regtest }) => {
    const { chain } = regtest
    const { tip } = chain
    return answer({
      chain: 'regtest',
      blocks: tip.height,
      headers: tip.height,
      bestblockhash: tip.hash,
      difficulty: DIFFICULTY,
      time: tip.header.time,
      mediantime: tip.medianTime,
      verificationprogress: 1,
      initialblockdownload: tip.header.time < regtest.nowSeconds() - MAX_TIP_AGE_SECONDS,
      chainwork: chainWorkText(tip),
      size_on_disk: chain.sizeBytes,
      pruned: false,
      warnings: '',
    })
  }),

  getbestblockhash: method({}, ({ regtest }) => answer(regtest.chain.tip.hash)),

  getblockcount: method({}, ({ regtest }) => answer(regtest.chain.tip.height)),

  getdifficulty: method({}, () => answer(DIFFICULTY)),

  getblockhash: method({ height: integer }, ({ regtest }, { height }) => {
    const node = height < 0 ? undefined : regtest.chain.at(height)
    return node === undefined
      ? fault(RPC.INVALID_PARAMETER, 'Block height out of range')
      : answer(node.hash)
  }),

  getblockheader: method(
    { blockhash: hash, verbose: optional(flag, true) },
    ({ regtest }, { blockhash, verbose }) => {
      const node = findBlock(regtest.chain, blockhash)
      if (isFault(node)) return node
      return answer(verbose ? formatHeader(regtest.chain, node) : toHex(node.header.raw))
    },
  ),

  getblock: method(
    { blockhash: hash, verbosity: optional(verbosity, 1) },
    ({ regtest }, { blockhash, verbosity: level }) => {
      const node = findBlock(regtest.chain, blockhash)
      if (isFault(node)) return node
      if (level <= 0) return answer(toHex(node.raw))
      return answer(formatBlock(regtest.chain, node, blockOf(node), level >= 2))
    },
  ),

  getchaintips: method({}, ({ regtest }) => {
    const { chain } = regtest
    const parents = new Set([...chain.nodes()].map((node) => node.parent))
    const tips = [...chain.nodes()].filter((node) => node === chain.tip || !parents.has(node))
    tips.sort((a, b) => b.height - a.height)
    return answer(tips.map((tip) => formatChainTip(chain, tip)))
  }),

  gettxout: method(
    { txid: hash, n: integer, include_mempool: optional(flag, true) },
    ({ regtest }, { txid, n, include_mempool: withMempool }) => {
      const { chain, mempool } = regtest
      const key = outpoint(txid, n)
      const confirmed = chain.coin(key)
      if (!withMempool) {
        return answer(confirmed === undefined ? null : formatCoin(chain, confirmed, true))
      }
      const coin = mempool.spender(key) === undefined ? mempool.coin(key) : undefined
      if (coin === undefined) return answer(null)
      return answer(formatCoin(chain, coin, confirmed !== undefined))
    },
  ),

  gettxoutproof: method(
    { txids: list, blockhash: optional(hash, undefined) },
    ({ regtest }, { txids, blockhash }) => {
      const { chain } = regtest
      if (txids.length === 0) {
        return fault(RPC.INVALID_PARAMETER, "Parameter 'txids' cannot be empty")
      }
      const wanted = new Set<string>()
      for (const given of txids) {
        const txid = hash.read(given, 'txid')
        if (isFault(txid)) return txid
        if (wanted.has(txid.value)) {
          const message = `Invalid parameter, duplicated txid: ${txid.value}`
          return fault(RPC.INVALID_PARAMETER, message)
        }
        wanted.add(txid.value)
      }
      const node =
        blockhash === undefined ? blockOfUnspent(chain, wanted) : findBlock(chain, blockhash)
      if (isFault(node)) return node
      const block = blockOf(node)
      const found = block.txs.filter((tx) => wanted.has(tx.txid)).length
      if (found !== wanted.size) {
        const message = 'Not all transactions found in specified or retrieved block'
        return fault(RPC.INVALID_ADDRESS_OR_KEY, message)
      }
      return answer(toHex(encodeMerkleProof(block, wanted)))
    },
  ),

  verifytxoutproof: method({ proof: text }, ({ regtest }, { proof }) => {
    const bytes = proof === '' ? undefined : parseHex(proof)
    if (bytes === undefined) {
      const message = `proof must be hexadecimal string (not '${proof.slice(0, 200)}')`
      return fault(RPC.INVALID_PARAMETER, message)
    }
    const read = readMerkleProof(bytes)
    if (read === undefined) return answer([])
    const node = regtest.chain.node(decodeHeader(read.header).hash)
    if (node === undefined || !regtest.chain.isActive(node)) {
      return fault(RPC.INVALID_ADDRESS_OR_KEY, 'Block not found in chain')
    }
    return answer(read.txids)
  }),

  scantxoutset: method(
    { action: text, scanobjects: optional(list, undefined) },
    ({ regtest }, { action, scanobjects }) => {
      if (action === 'status') return answer(null)
      if (action === 'abort') return answer(false)
      if (action !== 'start') return fault(RPC.INVALID_PARAMETER, `Invalid action '${action}'`)
      if (scanobjects === undefined) {
        return fault(RPC.MISC_ERROR, 'scanobjects argument is required for the start action')
      }
      const scripts = readScanObjects(scanobjects)
      return isFault(scripts) ? scripts : answer(scan(regtest.chain, scripts))
    },
  ),

  invalidateblock: method({ blockhash: hash }, ({ regtest }, { blockhash }) => {
    const node = findBlock(regtest.chain, blockhash)
    if (isFault(node)) return node
    if (node.height === 0) return fault(RPC.DATABASE_ERROR, 'genesis cannot be invalidated')
    regtest.invalidate(node)
    return answer(null)
  }),

  reconsiderblock: method({ blockhash: hash }, ({ regtest }, { blockhash }) => {
    const node = findBlock(regtest.chain, blockhash)
    if (isFault(node)) return node
    regtest.reconsider(node)
    return answer(null)
  }),

  validateaddress: method({ address: text }, (_, { address }) => {
    const script = scriptOfAddress(address)
    if (script === undefined) {
      const error = 'Invalid or unsupported Segwit (Bech32) or Base58 encoding.'
      return answer({ isvalid: false, error_locations: [], error })
    }
    const program = witnessProgram(script)
    const isScript = ['scripthash', 'witness_v0_scripthash', 'witness_v1_taproot']
    const unknown = program !== undefined && program.version > 1
    return answer({
      isvalid: true,
      address: addressOf(script) ?? address,
      scriptPubKey: toHex(script),
      ...(unknown ? {} : { isscript: isScript.includes(scriptType(script)) }),
      iswitness: program !== undefined,
      ...(program === undefined
        ? {}
        : { witness_version: program.version, witness_program: toHex(program.bytes) }),
    })
  }),
}

function formatChainTip(chain: Chain, tip: BlockNode): object {
  let fork: BlockNode = tip
  while (!chain.isActive(fork) && fork.parent !== undefined) fork = fork.parent
  const fromStatus = { valid: 'valid-fork', unconnected: 'valid-headers', invalid: 'invalid' }
  return {
    height: tip.height,
    hash: tip.hash,
    branchlen: tip.height - fork.height,
    status: tip === chain.tip ? 'active' : fromStatus[tip.status],
  }
}

/** The active block of a transaction that still has an unspent output. */
function blockOfUnspent(chain: Chain, txids: ReadonlySet<string>): BlockNode | RpcFault {
  for (const [key, coin] of chain.coins()) {
    const node = txids.has(key.slice(0, 64)) ? chain.at(coin.height) : undefined
    if (node !== undefined) return node
  }
  return fault(RPC.INVALID_ADDRESS_OR_KEY, 'Transaction not yet in block')
}

function readScanObjects(objects: readonly unknown[]): ReadonlySet<string> | RpcFault {
  if (objects.length > MAX_SCAN_OBJECTS) {
    return fault(RPC.INVALID_PARAMETER, `more than ${MAX_SCAN_OBJECTS} scan objects`)
  }
  const scripts = new Set<string>()
  for (const object of objects) {
    const description = typeof object === 'string' ? object : descriptorField(object)
    if (description === undefined) {
      const message =
        typeof object === 'object' && object !== null
          ? 'Descriptor needs to be provided in scan object'
          : 'Scan object needs to be either a string or an object'
      return fault(RPC.INVALID_PARAMETER, message)
    }
    const read = scriptOfDescriptor(description)
    if ('fault' in read) return fault(RPC.INVALID_ADDRESS_OR_KEY, read.fault)
    scripts.add(toHex(read.script))
  }
  return scripts
}

function descriptorField(object: unknown): string | undefined {
  if (typeof object !== 'object' || object === null || !('desc' in object)) return undefined
  return typeof object.desc === 'string' ? object.desc : undefined
}

function scan(chain: Chain, scripts: ReadonlySet<string>): object {
  const found: { txid: string; vout: number; coin: Coin }[] = []
  let count = 0
  for (const [key, coin] of chain.coins()) {
    count += 1
    if (!scripts.has(toHex(coin.script))) continue
    found.push({ txid: key.slice(0, 64), vout: Number(key.slice(65)), coin })
  }
  found.sort(
    (a, b) => Buffer.compare(internalHash(a.txid), internalHash(b.txid)) || a.vout - b.vout,
  )
  return {
    success: true,
    txouts: count,
    height: chain.tip.height,
    bestblock: chain.tip.hash,
    unspents: found.map(({ txid, vout, coin }) => ({
      txid,
      vout,
      scriptPubKey: toHex(coin.script),
      desc: inferDescriptor(coin.script),
      amount: btc(coin.valueSat),
      coinbase: coin.coinbase,
      height: coin.height,
    })),
    total_amount: btc(found.reduce((sum, { coin }) => sum + coin.valueSat, 0n)),
  }
}
