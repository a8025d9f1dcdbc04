/** From the port's calls to messages: one listener per incarnation. */
import { type ActorRun, watchOverload } from '../../supervisor/index.ts'
import type { StreamInbox } from './handlers.ts'
import { STREAM_METRICS } from './metrics.ts'
import type { StreamListener, StreamPorts } from './port.ts'

/** Who takes what members send: while one of them has too much to do, members wait (SU-9). */
const READERS = ['stream', 'bridge']

export function pauseUnderPressure(run: ActorRun<StreamInbox, StreamPorts>): void {
  watchOverload(run, READERS, (paused, path) => {
    run.log('debug', paused ? 'members are not read' : 'members are read again', { path })
    run.ports.stream.pauseReading(paused)
  })
}

export function streamListener(run: ActorRun<StreamInbox, StreamPorts>): StreamListener {
  const toSelf = (message: StreamInbox): void => {
    void run.tell(run.self, message)
  }
  return {
    registered: (memberIndex, peer) =>
      toSelf({ type: 'stream.MemberConnected', payload: { memberIndex, peer } }),
    message: async (memberIndex, message) => {
      // Waits while the mailbox is full, and with it the member's stream.
      const { correlationId } = message
      await run.tell(
        run.self,
        { type: 'stream.MemberMessageReceived', payload: { memberIndex, message } },
        correlationId === '' ? undefined : { correlationId },
      )
    },
    seen: (memberIndex) => toSelf({ type: 'stream.MemberSeen', payload: { memberIndex } }),
    disconnected: (memberIndex, reason) =>
      toSelf({ type: 'stream.MemberDisconnected', payload: { memberIndex, reason } }),
    refused: (peer, code, detail) => {
      run.ports.metrics?.count(STREAM_METRICS.refused, { code })
      run.log('warn', 'governance connection refused', { peer, code, detail })
    },
  }
}
