/**
 * The BridgeActor: it watches Bitcoin for deposits and payouts, collects the members' approvals and signatures, and gives Chain what
 * a block can carry (flows 2 and 3). It holds no key. What it knows beyond the ledger can be found again from Bitcoin,
 * so a restart needs no journal (incident 36).
 */
import type { BridgeInbox } from '../../messages/index.ts'
import { type ActorDefinition, after } from '../../supervisor/index.ts'
import type { BridgeContext, BridgeEffect } from './context.ts'
import { perform } from './effects.ts'
import { handle, lane } from './handlers.ts'
import { MAILBOX_CAPACITY } from './limits.ts'
import { BRIDGE_FOLLOWS, bridgeMachine } from './machine.ts'
import type { BridgePorts } from './port.ts'

export { pegInMachine, pegOutMachine } from './machine.ts'
export type { DepositStep, PayoutStep, PegOperationView } from './operations.ts'
export type {
  BitcoinFault,
  BitcoinPort,
  BitcoinResult,
  BitcoinTip,
  BridgePorts,
  BridgeViewSink,
  DepositAddresses,
  JoinSignatures,
} from './port.ts'

export type BridgeActor = ActorDefinition<BridgeContext, BridgeInbox, BridgeEffect, BridgePorts>

export const bridgeActor: BridgeActor = {
  name: 'bridge',
  machine: bridgeMachine,
  follows: BRIDGE_FOLLOWS,
  mailbox: { capacity: MAILBOX_CAPACITY },
  async init({ ports }) {
    const { genesis, pollMs, validatorKey } = ports
    return {
      context: {
        genesis,
        validatorKey,
        pollMs,
        ledger: undefined,
        height: 0,
        bitcoin: { tipHeight: 0, reachable: false },
        scanned: [],
        missedHeight: undefined,
        deposits: new Map(),
        early: new Map(),
        payouts: new Map(),
        burns: new Map(),
        scanning: false,
        mempool: undefined,
        mempoolFault: undefined,
        mempoolDueMs: Number.NEGATIVE_INFINITY,
        conflictCursors: new Map(),
        conflictFault: undefined,
        conflictDueMs: 0,
        claimedAtMs: Number.NEGATIVE_INFINITY,
        keygen: new Map(),
        keygenRefused: new Map(),
      },
      effects: [after(0, 'poll', { type: 'bridge.PollBitcoin', payload: {} })],
    }
  },
  handle,
  lane,
  perform,
}
