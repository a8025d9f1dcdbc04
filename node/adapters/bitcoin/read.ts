/** One block by RPC, checked: in whatever thread. */
import type { BitcoinPort, BitcoinResult } from '../../../actors/bridge/index.ts'
import { readBlock } from '../../../core/bitcoin/index.ts'
import { toDisplayHash } from '../../../crypto/index.ts'
import { BITCOIN_RPC_CODE, type BitcoinRpc } from '../bitcoin-rpc/index.ts'

export type BlockRead = Awaited<ReturnType<BitcoinPort['block']>>

export async function readBlockBy(
  rpc: Pick<BitcoinRpc, 'getBlockRaw'>,
  hash: Uint8Array,
): Promise<BlockRead> {
  const raw = await rpc.getBlockRaw(toDisplayHash(hash))
  if (!raw.ok) return absentIf(raw, BITCOIN_RPC_CODE.notFound)
  const block = readBlock(hash, raw.value)
  if (block.ok) return block
  return { ok: false, error: { code: 'BitcoinBadAnswer', message: block.error.reason } }
}

type Failed = Extract<BitcoinResult<never>, { ok: false }> & {
  readonly error: { readonly rpcCode?: number | undefined }
}

/** The one RPC error that means "there is none" becomes that; every other stays an error. */
export function absentIf<T>(failed: Failed, rpcCode: number): BitcoinResult<T | undefined> {
  return failed.error.rpcCode === rpcCode ? { ok: true, value: undefined } : failed
}
