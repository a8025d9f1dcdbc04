/** What this member's own Bitcoin shows of a deposit; works on a pruned node without txindex. Never rejects. */
import type { CoinsSight, DepositSight, OwnCoin } from '../bridge/index.ts'
import { fromDisplayHash, toDisplayHash } from '../crypto/index.ts'
import { BITCOIN_RPC_CODE, type BitcoinRpc } from '../node/adapters/bitcoin-rpc/index.ts'
import type { OutpointOf, OwnBitcoin } from './port.ts'

const NOT_ON_BEST_CHAIN = 'BitcoinBlockNotOnBestChain'
const BLOCK_UNKNOWN = 'BitcoinBlockUnknown'

type Client = Pick<
  BitcoinRpc,
  'getBlock' | 'getBlockchainInfo' | 'getBlockHeader' | 'getRawTransaction' | 'getTxOut'
>

export function createOwnBitcoin(rpc: Client): OwnBitcoin {
  return {
    sight: (blockHash, txid) => sight(rpc, blockHash, txid),
    coins: (tipHash, outpoints) => coins(rpc, tipHash, outpoints),
  }
}

/**
 * Several endpoints as one (OP-5): who does not answer, or is only behind, is left out; where one shows the block on the best chain and
 * another, whose chain is as high, does not, nothing is known of it.
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
        unknown.some((one) => seen.some(({ height }) => contradicts(one, height))) ||
        others.some(({ index }) => index !== first.index)
      if (offChain !== undefined || differs) {
        return { kind: 'unknown', code: 'BitcoinDisagrees' }
      }
      return first
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
        ) ||
        others.some((other) =>
          other.coins.some((coin, at) => (coin === undefined) !== (first.coins[at] === undefined)),
        )
      return differs ? { kind: 'unknown', code: 'BitcoinDisagrees' } : first
    },
  }
}

/** It has no such block, though its chain may be as high as that. */
function contradicts(
  { code, tipHeight }: Extract<DepositSight, { readonly kind: 'unknown' }>,
  height: number | undefined,
): boolean {
  const isBehind = tipHeight !== undefined && height !== undefined && tipHeight < height
  return code === BLOCK_UNKNOWN && !isBehind
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

async function sight(rpc: Client, blockHash: Uint8Array, txid: Uint8Array): Promise<DepositSight> {
  const hash = toDisplayHash(blockHash)
  const block = await rpc.getBlock(hash)
  if (!block.ok) {
    const unknown = unknownBlock(block.error)
    if (unknown.code !== BLOCK_UNKNOWN) return unknown
    const tip = await rpc.getBlockchainInfo()
    return tip.ok
      ? { ...unknown, tipHeight: tip.value.blocks }
      : { kind: 'unknown', code: tip.error.code }
  }
  const { confirmations, height, txids } = block.value
  if (confirmations < 1) return { kind: 'unknown', code: NOT_ON_BEST_CHAIN }
  const index = txids.indexOf(toDisplayHash(txid))
  const first = txids[0]
  if (index < 0 || first === undefined) {
    const empty = new Uint8Array(0)
    return {
      kind: 'seen',
      confirmations,
      txids: [],
      index: -1,
      transaction: empty,
      coinbase: empty,
      height,
    }
  }
  const transaction = await rpc.getRawTransaction(toDisplayHash(txid), hash)
  if (!transaction.ok) return { kind: 'unknown', code: transaction.error.code }
  const coinbase = await rpc.getRawTransaction(first, hash)
  if (!coinbase.ok) return { kind: 'unknown', code: coinbase.error.code }
  return {
    kind: 'seen',
    confirmations,
    txids: txids.map(fromDisplayHash),
    index,
    transaction: transaction.value.raw,
    coinbase: coinbase.value.raw,
    height,
  }
}
