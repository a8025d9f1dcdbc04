/** What health probes say about an actor (SU-11): a pure count of failures and successes in a row. */
import { Letter } from './letter.ts'
import type { KernelLimits } from './limits.ts'
import type { MessageRow } from './registry.ts'

export interface Health {
  readonly healthy: boolean
  /** Probes in a row that failed. */
  readonly failures: number
  /** Probes in a row that passed. */
  readonly successes: number
}

/** Nothing is held against an actor before its first probe. */
export const HEALTHY: Health = { healthy: true, failures: 0, successes: 0 }

type Bounds = Pick<KernelLimits, 'probeFailures' | 'probeSuccesses'>

/** After a probe. It turns unhealthy with the last failure allowed, and healthy again after enough successes. */
export const afterProbe = (before: Health, passed: boolean, bounds: Bounds): Health => {
  const failures = passed ? 0 : before.failures + 1
  const successes = passed ? before.successes + 1 : 0
  const healthy = before.healthy
    ? failures < bounds.probeFailures
    : successes >= bounds.probeSuccesses
  return { healthy, failures, successes }
}

const PROBE = { type: 'kernel.Probe', payload: null }

/** The kernel's own row: no actor ever handles one. */
export const PROBE_ROW: MessageRow = {
  type: PROBE.type,
  rank: 0,
  overflow: 'returnError',
  coalesce: false,
  blockMs: 0,
  spec: { type: PROBE.type, priority: 'control', overflow: 'returnError' },
}

export const probeLetter = (incarnation: number, nowMs: number): Letter =>
  new Letter('probe', 0, 0, nowMs, 'kernel', PROBE, PROBE_ROW, undefined, incarnation)
