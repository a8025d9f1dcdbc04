/** A bridge that has seen nothing yet, on a Bitcoin that answers. */
import type { BridgeContext } from '../../../../actors/bridge/context.ts'
import type { Genesis } from '../../../../core/params/index.ts'

export function bridgeContext(genesis: Genesis, known: Partial<BridgeContext>): BridgeContext {
  return {
    genesis,
    validatorKey: undefined,
    pollMs: 1_000,
    ledger: undefined,
    height: 0,
    bitcoin: { tipHeight: 0, reachable: true },
    scanned: [],
    missedHeight: undefined,
    deposits: new Map(),
    early: new Map(),
    payouts: new Map(),
    burns: new Map(),
    keygen: new Map(),
    keygenRefused: new Map(),
    scanning: false,
    mempool: undefined,
    mempoolFault: undefined,
    mempoolDueMs: Number.NEGATIVE_INFINITY,
    conflictCursors: new Map(),
    conflictFault: undefined,
    conflictDueMs: 0,
    claimedAtMs: Number.NEGATIVE_INFINITY,
    ...known,
  }
}
