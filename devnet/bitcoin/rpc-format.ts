/** Blocks, transactions and scripts as Core 26's RPC shows them. */
import type { Transaction } from 'bitcoinjs-lib'
import type { DecodedBlock } from './block.ts'
import type { BlockNode } from './block-tree.ts'
import { displayHash, toHex } from './bytes.ts'
import type { BlockUndo, Chain } from './chain.ts'
import { DIFFICULTY } from './chain-params.ts'
import type { Coin } from './coins.ts'
import type { Mempool, MempoolEntry } from './mempool.ts'
import { addressOf, assembly, inferDescriptor, scriptType } from './output-script.ts'
import { btc } from './rpc-method.ts'
import { isCoinbase, type Tx } from './transaction.ts'

export function bitsText(bits: number): string {
  return bits.toString(16).padStart(8, '0')
}

export function chainWorkText(node: BlockNode): string {
  return node.chainWork.toString(16).padStart(64, '0')
}

export function formatHeader(chain: Chain, node: BlockNode): Record<string, unknown> {
  const { header, height } = node
  const active = chain.isActive(node)
  const next = active ? chain.at(height + 1) : undefined
  return {
    hash: node.hash,
    confirmations: active ? chain.tip.height - height + 1 : -1,
    height,
    version: header.version | 0,
    versionHex: bitsText(header.version),
    merkleroot: header.merkleRoot,
    time: header.time,
    mediantime: node.medianTime,
    nonce: header.nonce,
    bits: bitsText(header.bits),
    difficulty: DIFFICULTY,
    chainwork: chainWorkText(node),
    nTx: node.txCount,
    ...(node.parent === undefined ? {} : { previousblockhash: node.parent.hash }),
    ...(next === undefined ? {} : { nextblockhash: next.hash }),
  }
}

/** With `detailed` transactions are objects, else ids. */
export function formatBlock(
  chain: Chain,
  node: BlockNode,
  block: DecodedBlock,
  detailed: boolean,
): Record<string, unknown> {
  const undo = chain.undo(node.hash)
  return {
    ...formatHeader(chain, node),
    strippedsize: block.strippedSize,
    size: block.raw.length,
    weight: block.weight,
    tx: block.txs.map((tx, index) =>
      detailed ? { ...formatTx(tx), ...feeField(tx, undo, index), hex: toHex(tx.raw) } : tx.txid,
    ),
  }
}

/** The fee of a block's transaction, where the coins that it spent are known. */
function feeField(tx: Tx, undo: BlockUndo | undefined, index: number): Record<string, unknown> {
  const coins = index === 0 ? undefined : undo?.[index - 1]
  if (coins === undefined) return {}
  const inSat = coins.reduce((sum, coin) => sum + coin.valueSat, 0n)
  return { fee: btc(inSat - tx.body.outs.reduce((sum, out) => sum + out.value, 0n)) }
}

/** All fields but `hex` and those that depend on the block. */
export function formatTx(tx: Tx): Record<string, unknown> {
  const { body } = tx
  const coinbase = isCoinbase(tx)
  return {
    txid: tx.txid,
    hash: tx.wtxid,
    version: body.version | 0,
    size: tx.raw.length,
    vsize: tx.vsize,
    weight: tx.weight,
    locktime: body.locktime,
    vin: body.ins.map((input) => formatInput(input, coinbase)),
    vout: body.outs.map((out, n) => ({
      value: btc(out.value),
      n,
      scriptPubKey: formatScript(out.script),
    })),
  }
}

function formatInput(input: Transaction['ins'][number], coinbase: boolean): object {
  const witness = input.witness.map(toHex)
  const txinwitness = witness.length > 0 ? { txinwitness: witness } : {}
  if (coinbase) return { coinbase: toHex(input.script), ...txinwitness, sequence: input.sequence }
  return {
    txid: displayHash(input.hash),
    vout: input.index,
    scriptSig: { asm: assembly(input.script), hex: toHex(input.script) },
    ...txinwitness,
    sequence: input.sequence,
  }
}

export function formatScript(script: Uint8Array): Record<string, unknown> {
  const known = addressOf(script)
  return {
    asm: assembly(script),
    desc: inferDescriptor(script),
    hex: toHex(script),
    ...(known === undefined ? {} : { address: known }),
    type: scriptType(script),
  }
}

export function formatCoin(chain: Chain, coin: Coin, confirmed: boolean): object {
  return {
    bestblock: chain.tip.hash,
    confirmations: confirmed ? chain.tip.height - coin.height + 1 : 0,
    value: btc(coin.valueSat),
    scriptPubKey: formatScript(coin.script),
    coinbase: coin.coinbase,
  }
}

export function formatEntry(mempool: Mempool, entry: MempoolEntry): Record<string, unknown> {
  const ancestors = related(mempool, mempool.ancestors(entry))
  const descendants = related(mempool, mempool.descendants(entry))
  const signals = [entry, ...ancestors].some(({ tx }) =>
    tx.body.ins.some((input) => input.sequence <= 0xfffffffd),
  )
  return {
    vsize: entry.tx.vsize,
    weight: entry.tx.weight,
    time: entry.timeSeconds,
    height: entry.height,
    descendantcount: descendants.length + 1,
    descendantsize: totalVsize([entry, ...descendants]),
    ancestorcount: ancestors.length + 1,
    ancestorsize: totalVsize([entry, ...ancestors]),
    wtxid: entry.tx.wtxid,
    fees: {
      base: btc(entry.feeSat),
      modified: btc(entry.feeSat),
      ancestor: btc(totalFees([entry, ...ancestors])),
      descendant: btc(totalFees([entry, ...descendants])),
    },
    depends: [...entry.parents].sort(),
    spentby: [...entry.children].sort(),
    'bip125-replaceable': signals,
    unbroadcast: entry.unbroadcast,
  }
}

function related(mempool: Mempool, txids: ReadonlySet<string>): MempoolEntry[] {
  return [...txids].flatMap((txid) => mempool.get(txid) ?? [])
}

function totalVsize(entries: readonly MempoolEntry[]): number {
  return entries.reduce((sum, { tx }) => sum + tx.vsize, 0)
}

function totalFees(entries: readonly MempoolEntry[]): bigint {
  return entries.reduce((sum, { feeSat }) => sum + feeSat, 0n)
}
