import type { CommittedBlock } from '../../core/block/index.ts'
import type { Verdict } from '../../core/params/index.ts'
import type { MetricSink } from '../../supervisor/index.ts'

/**
 * Whether a committed block follows `previous` and its certificate holds; a pure function. Without `previous` the
 * block follows the committed head, which the caller of this room knows.
 */
export type VerifyCommitted = (
  previous: CommittedBlock | undefined,
  committed: CommittedBlock,
) => Verdict

/** All else is reached through other actors. */
export interface SyncPorts {
  readonly metrics: MetricSink
}
