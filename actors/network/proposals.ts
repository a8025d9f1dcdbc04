/** The last proposals that went through here, for peers that know a block only by its certificate. Pure. */
import type { ConsensusMessage } from '../../core/block/index.ts'
import { blockHash, hashKey } from '../../core/block/index.ts'
import { MAX_PROPOSALS, MAX_PROPOSALS_BYTES } from './limits.ts'

/** Encoded proposals by block hash, the oldest first. */
export type Proposals = ReadonlyMap<string, Uint8Array>

export function withProposal(
  proposals: Proposals,
  message: ConsensusMessage,
  bytes: Uint8Array,
): Proposals {
  if (message.kind !== 'prePrepare') return proposals
  const key = hashKey(blockHash(message.value.block.header))
  if (proposals.has(key)) return proposals
  const next = new Map(proposals).set(key, bytes)
  let size = 0
  for (const kept of next.values()) size += kept.length
  for (const [oldest, kept] of next) {
    if (next.size <= MAX_PROPOSALS && size <= MAX_PROPOSALS_BYTES) break
    next.delete(oldest)
    size -= kept.length
  }
  return next
}
