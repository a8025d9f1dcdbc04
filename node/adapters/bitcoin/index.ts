/**
 * The bridge's view of Bitcoin over Bitcoin Core's JSON-RPC: pruned, without txindex, without a wallet (design §7). Hashes are in
 * internal byte order on this side and in display form on the wire.
 */
import type { BitcoinPort } from '../../../actors/bridge/index.ts'
import { headerHash } from '../../../core/bitcoin/index.ts'
import { equalBytes, fromDisplayHash, toDisplayHash } from '../../../crypto/index.ts'
import { BITCOIN_RPC_CODE, type BitcoinRpc } from '../bitcoin-rpc/index.ts'
import { medianRate } from './median.ts'
import { absentIf, readBlockBy } from './read.ts'

export { type EndpointState, type EndpointsOptions, joinBitcoinEndpoints } from './endpoints.ts'
export { BlockReader } from './reader.ts'

/** Blocks within which a payout should confirm, for the estimate. */
const FEE_TARGET_BLOCKS = 6

/** `block`: reads in another thread; absent: in this one. */
export function createBitcoinPort(rpc: BitcoinRpc, block?: BitcoinPort['block']): BitcoinPort {
  return {
    async tip() {
      const info = await rpc.getBlockchainInfo()
      if (!info.ok) return info
      const { blocks, bestBlockHash } = info.value
      return { ok: true, value: { height: blocks, hash: fromDisplayHash(bestBlockHash) } }
    },
    async hashAt(height) {
      const hash = await rpc.getBlockHash(height)
      if (hash.ok) return { ok: true, value: fromDisplayHash(hash.value) }
      return absentIf(hash, BITCOIN_RPC_CODE.invalidParameter)
    },
    async header(hash) {
      const display = toDisplayHash(hash)
      const [raw, verbose] = await Promise.all([
        rpc.getBlockHeaderRaw(display),
        rpc.getBlockHeader(display),
      ])
      if (!raw.ok) return absentIf(raw, BITCOIN_RPC_CODE.notFound)
      if (!verbose.ok) return absentIf(verbose, BITCOIN_RPC_CODE.notFound)
      if (!equalBytes(headerHash(raw.value), hash)) {
        return {
          ok: false,
          error: { code: 'BitcoinBadAnswer', message: `getblockheader: not that of ${display}` },
        }
      }
      // Core gives −1 confirmations to a block that is not on the best chain.
      return { ok: true, value: { header: raw.value, isBest: verbose.value.confirmations > 0 } }
    },
    block: block ?? ((hash) => readBlockBy(rpc, hash)),
    mempool: {
      async txids(most) {
        const info = await rpc.getMempoolInfo()
        if (!info.ok) return info
        const { size } = info.value
        if (size <= most) return rpc.getRawMempool()
        return { ok: false, error: { code: 'MempoolTooLarge', message: `${size} wait` } }
      },
      async transaction(txid) {
        const raw = await rpc.getRawTransactionBytes(txid)
        return raw.ok ? raw : absentIf(raw, BITCOIN_RPC_CODE.notFound)
      },
    },
    async inMempool(txid) {
      const entry = await rpc.getMempoolEntry(toDisplayHash(txid))
      if (entry.ok) return { ok: true, value: true }
      const absent = absentIf<never>(entry, BITCOIN_RPC_CODE.notFound)
      return absent.ok ? { ok: true, value: false } : absent
    },
    async send(raw) {
      const sent = await rpc.sendRawTransaction(raw)
      if (sent.ok) return { ok: true, value: undefined }
      if (sent.error.code !== 'BitcoinRpcError') return sent
      // PO-14: what is in the chain already has arrived.
      const known = sent.error.rpcCode === BITCOIN_RPC_CODE.alreadyInChain
      return { ok: true, value: known ? undefined : sent.error.message }
    },
    async feeRate() {
      const [economical, conservative, mempool] = await Promise.all([
        rpc.estimateSmartFee(FEE_TARGET_BLOCKS, 'economical'),
        rpc.estimateSmartFee(FEE_TARGET_BLOCKS, 'conservative'),
        rpc.getMempoolInfo(),
      ])
      if (!economical.ok) return economical
      if (!conservative.ok) return conservative
      if (!mempool.ok) return mempool
      const rates = [economical, conservative].flatMap(({ value }) => value.feeRateSatPerKvb ?? [])
      const estimate = medianRate(rates.map(Number))
      if (estimate === undefined) return { ok: true, value: undefined }
      return { ok: true, value: Math.max(estimate, Number(mempool.value.minFeeSatPerKvb)) }
    },
  }
}
