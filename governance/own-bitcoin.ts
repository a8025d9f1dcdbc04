/** What this member's own Bitcoin shows of a deposit; works on a pruned node without txindex. Never rejects. */
import type { CoinsSight, DepositSight, OwnCoin } from '../bridge/index.ts'
import { HEADER_BYTES, headerHash, parseTransaction, txid } from '../core/bitcoin/index.ts'
import {
  bitcoinMerkleRoot,
  bitcoinMerkleTree,
  equalBytes,
  fromDisplayHash,
  toDisplayHash,
} from '../crypto/index.ts'
import { BITCOIN_RPC_CODE, type BitcoinRpc } from '../node/adapters/bitcoin-rpc/index.ts'
import type { OutpointOf, OwnBitcoin } from './port.ts'

const NOT_ON_BEST_CHAIN = 'BitcoinBlockNotOnBestChain'
const BLOCK_UNKNOWN = 'BitcoinBlockUnknown'
const DISAGREES = 'BitcoinDisagrees'
const BAD_ANSWER = { ok: false, error: { code: 'BitcoinBadAnswer' } } as const

type SeenDeposit = Extract<DepositSight, { readonly kind: 'seen' }>

type Client = Pick<
  BitcoinRpc,
  | 'getBlock'
  | 'getBlockHeaderRaw'
  | 'getBlockchainInfo'
  | 'getBlockHeader'
  | 'getRawTransaction'
  | 'getTxOut'
>

/** Who has heard of no block for so long is no witness. Bitcoin itself was never so slow, so that nobody can wait for it to be. */
const STALE_MS = 24 * 3_600_000

/** Who shows so many confirmations fewer is not merely behind: it would have this member wait, without a word, for ever. */
const MOST_BEHIND_BLOCKS = 6

export function createOwnBitcoin(rpc: Client, nowMs: () => number): OwnBitcoin {
  return {
    sight: (blockHash, txid) => sight(rpc, nowMs, blockHash, txid),
    coins: (tipHash, outpoints) => coins(rpc, tipHash, outpoints),
  }
}

/**
 * Several endpoints as one (OP-5): who does not answer, or says itself that it has heard of no block for a day, is left out; what the others
 * show differently is not known. No height counts that an endpoint tells: a liar would make of the others ones that are merely behind.
 */
export function joinOwnBitcoins(endpoints: readonly OwnBitcoin[]): OwnBitcoin {
  return {
    async sight(blockHash, txid) {
      const sights = await Promise.all(endpoints.map((one) => one.sight(blockHash, txid)))
      const seen = sights.filter((one) => one.kind === 'seen')
      const unknown = sights.filter((one) => one.kind === 'unknown')
      const offChain = unknown.find(({ code }) => code === NOT_ON_BEST_CHAIN)
      const [first, ...others] = seen.sort((one, other) => one.confirmations - other.confirmations)
      if (first === undefined) return offChain ?? (unknown[0] as DepositSight)
      const differs =
        offChain !== undefined ||
        unknown.some(({ code, isStale }) => code === BLOCK_UNKNOWN && isStale !== true) ||
        others.some((other) => !showsTheSame(first, other))
      return differs ? { kind: 'unknown', code: DISAGREES } : first
    },
    async coins(tipHash, outpoints) {
      const sights = await Promise.all(endpoints.map((one) => one.coins(tipHash, outpoints)))
      const seen = sights.filter((one) => one.kind === 'seen')
      const [first, ...others] = seen
      if (first === undefined) return sights[0] as CoinsSight
      // Of one that is behind nothing is known yet, and an audit has time.
      const differs =
        sights.some(
          (one) => one.kind === 'unknown' && [BLOCK_UNKNOWN, NOT_ON_BEST_CHAIN].includes(one.code),
        ) || others.some((other) => other.coins.some((coin, at) => !isSame(coin, first.coins[at])))
      return differs ? { kind: 'unknown', code: DISAGREES } : first
    },
  }
}

/** Also of the witness, which no header commits to: by it a spend of the reserve is told from a deposit. */
function showsTheSame(one: SeenDeposit, other: SeenDeposit): boolean {
  const isNear = Math.abs(one.confirmations - other.confirmations) <= MOST_BEHIND_BLOCKS
  return isNear && one.index === other.index && equalBytes(one.transaction, other.transaction)
}

function isSame(one: OwnCoin | undefined, other: OwnCoin | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.amountSat === other.amountSat && equalBytes(one.scriptPubKey, other.scriptPubKey)
}

/** Questions to Bitcoin at a time. */
const MAX_QUESTIONS = 8

async function coins(
  rpc: Client,
  tipHash: Uint8Array,
  outpoints: readonly OutpointOf[],
): Promise<CoinsSight> {
  const tip = await rpc.getBlockHeader(toDisplayHash(tipHash))
  if (!tip.ok) return unknownBlock(tip.error)
  if (tip.value.confirmations < 1) return { kind: 'unknown', code: NOT_ON_BEST_CHAIN }
  const found: (OwnCoin | undefined)[] = []
  for (let from = 0; from < outpoints.length; from += MAX_QUESTIONS) {
    const some = outpoints.slice(from, from + MAX_QUESTIONS)
    const answers = await Promise.all(
      some.map(({ txid, vout }) => rpc.getTxOut(toDisplayHash(txid), vout, false)),
    )
    for (const answer of answers) {
      if (!answer.ok) return { kind: 'unknown', code: answer.error.code }
      const coin = answer.value
      found.push(
        coin === null ? undefined : { amountSat: coin.amountSat, scriptPubKey: coin.script },
      )
    }
  }
  return { kind: 'seen', coins: found }
}

function unknownBlock({ code, rpcCode }: { readonly code: string; readonly rpcCode?: number }) {
  const isUnknown = rpcCode === BITCOIN_RPC_CODE.notFound
  return { kind: 'unknown', code: isUnknown ? BLOCK_UNKNOWN : code } as const
}

async function sight(
  rpc: Client,
  nowMs: () => number,
  blockHash: Uint8Array,
  id: Uint8Array,
): Promise<DepositSight> {
  const hash = toDisplayHash(blockHash)
  const block = await rpc.getBlock(hash)
  if (!block.ok) {
    const unknown = unknownBlock(block.error)
    if (unknown.code !== BLOCK_UNKNOWN) return unknown
    const info = await rpc.getBlockchainInfo()
    if (!info.ok) return { kind: 'unknown', code: info.error.code }
    const isStale = nowMs() - 1_000 * info.value.medianTime > STALE_MS
    return isStale ? { ...unknown, isStale } : unknown
  }
  const { confirmations } = block.value
  if (confirmations < 1) return { kind: 'unknown', code: NOT_ON_BEST_CHAIN }
  const header = await rpc.getBlockHeaderRaw(hash)
  if (!header.ok) return { kind: 'unknown', code: header.error.code }
  const txids = block.value.txids.map(fromDisplayHash)
  if (!areOfHeader(txids, header.value, blockHash)) {
    return { kind: 'unknown', code: BAD_ANSWER.error.code }
  }
  const index = txids.findIndex((each) => equalBytes(each, id))
  if (index < 0) {
    const empty = new Uint8Array(0)
    return { kind: 'seen', confirmations, txids: [], index, transaction: empty, coinbase: empty }
  }
  const transaction = await transactionIn(rpc, hash, id)
  if (!transaction.ok) return { kind: 'unknown', code: transaction.error.code }
  const coinbase = await transactionIn(rpc, hash, txids[0] as Uint8Array)
  if (!coinbase.ok) return { kind: 'unknown', code: coinbase.error.code }
  return {
    kind: 'seen',
    confirmations,
    txids,
    index,
    transaction: transaction.value,
    coinbase: coinbase.value,
  }
}

async function transactionIn(rpc: Client, blockHash: string, id: Uint8Array) {
  const told = await rpc.getRawTransaction(toDisplayHash(id), blockHash)
  if (!told.ok) return told
  const { raw } = told.value
  const parsed = parseTransaction(raw)
  const isIt = parsed.ok && equalBytes(txid(parsed.value), id)
  return isIt ? ({ ok: true, value: raw } as const) : BAD_ANSWER
}

/** Whether these are all transactions of the block of this hash: none is left out or made up. */
function areOfHeader(
  txids: readonly Uint8Array[],
  header: Uint8Array,
  blockHash: Uint8Array,
): boolean {
  if (txids.length === 0 || header.length !== HEADER_BYTES) return false
  const root = bitcoinMerkleRoot(bitcoinMerkleTree(txids))
  return equalBytes(headerHash(header), blockHash) && equalBytes(root, header.subarray(36, 68))
}
