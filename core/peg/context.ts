/** What the peg's rules read beside the parent's ledger. */
import type { BlockBody } from '../block/index.ts'
import type { Genesis, Params } from '../params/index.ts'

export interface PegContext {
  readonly genesis: Genesis
  /** Effective at this height in the parent's state (4.0). */
  readonly params: Params
  readonly height: number
  readonly slot: number
  readonly parentSlot: number
  /** s(0) of this height (1.2). */
  readonly viewZeroSlot: number
  /** Seconds. */
  readonly timestamp: number
  /** What the author of this block states. */
  readonly feeRateSatPerKvb: number
  /** Of the headers of the last 2n + 1 blocks, the parent's last. */
  readonly recentFeeRates: readonly number[]
}

/** The part of a block's body that belongs to the peg. */
export type PegBody = Pick<
  BlockBody,
  'bitcoinHeaders' | 'proofs' | 'bookings' | 'conflicts' | 'pegIns' | 'records'
>

export function emptyPegBody(): PegBody {
  return { bitcoinHeaders: [], proofs: [], bookings: [], conflicts: [], pegIns: [], records: [] }
}
