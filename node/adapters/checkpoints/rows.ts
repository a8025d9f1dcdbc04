/** Rows of a checkpoint: the flat EVM state, the ledger, and what of the EVM's chain its next block asks for. */
import { type StateRow, TABLE_OF } from '../engine/index.ts'

/** Numbers of the tables, on disk as well. Hashes stand under the height, the payload under one byte. */
export const ROW_TABLE = { ...TABLE_OF, ledger: 3, hashes: 4, payload: 5 } as const
export const PAYLOAD_KEY = Uint8Array.of(0)

export type Row = StateRow

/** What a checkpoint is the state of. */
export interface CheckpointMeta {
  readonly height: number
  /** Of the EVM block, in hex. */
  readonly evmHash: string
  readonly stateRoot: string
}

/** What changed since another checkpoint, whose EVM block is named too. */
export interface DeltaMeta extends CheckpointMeta {
  readonly from: number
  readonly fromHash: string
}
