/**
 * The StreamActor: the federation node's end of the governance streams (design §8, protocol §5.6). Bridge tells it what the
 * members should approve or sign; it asks every member that is connected, asks again when one comes back or stays
 * silent, and tells Bridge each member's answer once. It also serves members the certified headers and
 * ledger proofs by which they check everything themselves. It holds no key and believes nobody: Bridge verifies signatures.
 */
import type { ActorDefinition } from '../../supervisor/index.ts'
import { every } from '../../supervisor/index.ts'
import { perform } from './effects.ts'
import {
  handle,
  initialContext,
  type StreamContext,
  type StreamEffect,
  type StreamInbox,
  type StreamOptions,
} from './handlers.ts'
import { MAILBOX_CAPACITY, RESEND_TICK_MS } from './limits.ts'
import { streamMachine } from './machine.ts'
import type { StreamPorts } from './port.ts'
import { pauseUnderPressure, streamListener } from './start.ts'

export { answerQuery } from './effects.ts'
export { STREAM_FAULTS } from './errors.ts'
export type { StreamInbox, StreamOptions } from './handlers.ts'
export { STREAM_ROWS } from './messages.ts'
export type {
  CertifiedBlock,
  ChainReader,
  CommittedHead,
  RefusalCode,
  SendOutcome,
  StreamListener,
  StreamPort,
  StreamPorts,
} from './port.ts'

export type StreamActor = ActorDefinition<StreamContext, StreamInbox, StreamEffect, StreamPorts>

export function streamActor(options: StreamOptions): StreamActor {
  return {
    name: 'stream',
    machine: streamMachine,
    mailbox: { capacity: MAILBOX_CAPACITY },
    init: async (run) => {
      const { stream, chain } = run.ports
      await stream.start(streamListener(run))
      pauseUnderPressure(run)
      const unsubscribe = chain.subscribe(() => {
        void run.tell(run.self, { type: 'stream.HeadChanged', payload: {} })
      })
      return {
        context: initialContext(options, unsubscribe),
        effects: [every(RESEND_TICK_MS, 'resend', { type: 'stream.ResendDue', payload: {} })],
        event: ['READY', 'DEGRADED'],
      }
    },
    handle,
    perform,
    stop: async (context, run) => {
      context.unsubscribe()
      await run.ports.stream.stop()
    },
    notice: (fact) =>
      fact.kind === 'stopping' ? { type: 'stream.StreamStopping', payload: {} } : undefined,
  }
}
