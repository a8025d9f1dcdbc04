import type { RangeVerified, SyncInbox } from '../../messages/index.ts'
import type { ActorRun } from '../../supervisor/index.ts'
import type { VerifyEffect } from './handlers.ts'
import { VERIFY_SLICE } from './limits.ts'
import { SYNC_METRICS } from './metrics.ts'
import type { SyncPorts, VerifyCommitted } from './port.ts'

type Run = ActorRun<SyncInbox, SyncPorts>

/** Checks certificates one after another; a certificate takes about a millisecond, so others get their turn. */
export async function verifyRange(
  { blocks, from, previous }: VerifyEffect,
  verify: VerifyCommitted,
  run: Run,
): Promise<RangeVerified | undefined> {
  const ended = (payload: Omit<RangeVerified['payload'], 'from'>): RangeVerified => {
    run.ports.metrics.count(SYNC_METRICS.verified, {}, payload.valid)
    if (payload.code !== undefined) {
      run.ports.metrics.count(SYNC_METRICS.rejected, { code: payload.code })
    }
    return { type: 'sync.RangeVerified', payload: { from, ...payload } }
  }
  let parent = previous
  for (const [index, committed] of blocks.entries()) {
    if (index > 0 && index % VERIFY_SLICE === 0) {
      await new Promise<void>((resolve) => run.clock.yieldToLoop(resolve))
      if (run.signal.aborted) return undefined
    }
    const verdict = verify(parent, committed)
    if (verdict.kind === 'invalid')
      return ended({ valid: index, code: verdict.code, fault: 'peer' })
    if (verdict.kind === 'unknown')
      return ended({ valid: index, code: verdict.code, fault: 'local' })
    parent = committed
  }
  return ended({ valid: blocks.length })
}
