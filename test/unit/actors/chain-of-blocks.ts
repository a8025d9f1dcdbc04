/** Linked blocks without content, for tests of what happens around blocks. */
import {
  blockHash,
  type CommittedBlock,
  CommittedBlockType,
  type ConsensusMessage,
  PrePrepareType,
  VoteType,
} from '../../../core/block/index.ts'

/** Blocks of heights `from`…`to`, each the child of the one before; extra bytes make one large. */
export function chainOfBlocks(from: number, to: number, extraBytes = 0): CommittedBlock[] {
  const blocks: CommittedBlock[] = []
  let parentHash: Uint8Array = new Uint8Array(32).fill(from % 251)
  for (let height = from; height <= to; height += 1) {
    const committed = CommittedBlockType.defaultValue()
    committed.block.header.height = height
    committed.block.header.parentHash = parentHash
    for (let left = extraBytes; left > 0; left -= 100_000) {
      committed.block.body.payload.transactions.push(new Uint8Array(Math.min(left, 100_000)))
    }
    parentHash = blockHash(committed.block.header)
    committed.certificate.height = height
    // The default value's arrays are shared.
    committed.certificate.signature = new Uint8Array(96)
    committed.certificate.blockHash = parentHash
    blocks.push(committed)
  }
  return blocks
}

/** By the validator of key `salt` `salt` …, signed well when the first byte of the signature is 1. */
export function voteOf(height: number, view: number, good = true, salt = 0): ConsensusMessage {
  const value = VoteType.defaultValue()
  value.phase = 1
  value.height = height
  value.view = view
  value.validator = new Uint8Array(48).fill(salt)
  value.signature = new Uint8Array(96)
  value.signature.set([good ? 1 : 0, salt])
  return { kind: 'vote', value }
}

export function proposalOf(committed: CommittedBlock): ConsensusMessage {
  const value = PrePrepareType.defaultValue()
  value.height = committed.block.header.height
  value.block = committed.block
  value.signature = new Uint8Array(96).fill(1, 0, 1)
  return { kind: 'prePrepare', value }
}
