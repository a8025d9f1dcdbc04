/**
 * The SyncActor: fetches what others have committed and this node has not (seed 003 flow 4, design §9). Ranges are
 * disjoint and complete, come from several peers at once, and are imported strictly in order, each block with its
 * certificate checked. Invariants: the lowest missing range has an owner whenever a peer may have it; what waits
 * for import is bounded in bytes; a claimed height counts for nothing until its blocks arrive; an episode ends with
 * exactly one SyncCompleted, and no state is kept beyond it.
 */
import type { SyncInbox } from '../../messages/index.ts'
import type { ActorDefinition } from '../../supervisor/index.ts'
import { verifyRange } from './effects.ts'
import { handle, type SyncContext, type SyncEffect } from './handlers.ts'
import { DEFAULT_LIMITS, MAILBOX_CAPACITY, type SyncLimits } from './limits.ts'
import { syncMachine } from './machine.ts'
import type { SyncPorts, VerifyCommitted } from './port.ts'

export type { SyncLimits } from './limits.ts'
export type { SyncPorts, VerifyCommitted } from './port.ts'

export interface SyncOptions {
  readonly verifyCommitted: VerifyCommitted
  readonly limits?: Partial<SyncLimits>
}

export type SyncActor = ActorDefinition<SyncContext, SyncInbox, SyncEffect, SyncPorts>

export function syncActor({ verifyCommitted, limits }: SyncOptions): SyncActor {
  return {
    name: 'sync',
    machine: syncMachine,
    mailbox: { capacity: MAILBOX_CAPACITY },
    init: async () => ({ context: { limits: { ...DEFAULT_LIMITS, ...limits }, height: 0 } }),
    handle,
    perform: (effect, run) => verifyRange(effect, verifyCommitted, run),
  }
}
