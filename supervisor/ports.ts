/**
 * What the kernel needs from the world. The real ones live in node/adapters, the manual ones for tests in
 * supervisor/testing, the simulated ones in test/sim. Nothing else in this room touches time or chance.
 */

export interface TimerHandle {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since the Unix epoch. Read once per handled message. */
  nowMs(): number
  /** Calls `fire` once after `delayMs`; timers of equal due time fire in the order they were set. */
  setTimer(delayMs: number, fire: () => void): TimerHandle
  /** Calls `resume` after timers and I/O had their turn (`setImmediate` on Node). */
  yieldToLoop(resume: () => void): void
}

export interface Random {
  bytes(length: number): Uint8Array
}

export interface Ids {
  /** A fresh correlation id, unique among all processes of the network. */
  next(): string
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

export interface LogRecord {
  readonly level: LogLevel
  readonly atMs: number
  /** Path of the actor that speaks, or `kernel`. */
  readonly actor: string
  /** What happened, as a constant phrase: what varies goes into `fields`. */
  readonly event: string
  readonly correlationId?: string
  readonly fields?: Readonly<Record<string, unknown>>
}

export interface LogSink {
  write(record: LogRecord): void
}

export type MetricLabels = Readonly<Record<string, string>>

/** Rare events only; what happens once per message is counted inside the kernel and read by snapshot(). */
export interface MetricSink {
  count(name: string, labels: MetricLabels, by?: number): void
  observe(name: string, labels: MetricLabels, value: number): void
}

/** One piece of work of a sampled flow, after its end. */
export interface Span {
  readonly kind: 'message' | 'effect'
  /** The flow; all its spans, on all nodes, are one trace. */
  readonly correlationId: string
  /** Path of the actor that did the work. */
  readonly actor: string
  /** The message's type; for an effect its `kind`, or `effect`. */
  readonly type: string
  /** `sequence` of the message that was handled, or that led to the effect; 0: the effect came from `init`. */
  readonly sequence: number
  /** `sequence` of the message whose handling sent this one (message), or of the one that led to it (effect). */
  readonly parent: number
  readonly startedAtMs: number
  /** In the mailbox, or in the lane. */
  readonly waitedMs: number
  readonly tookMs: number
  /** `ok`, or the code of the fault. */
  readonly outcome: string
}

/** Takes the spans of the flows that are sampled. Absent: nothing is measured and nothing is paid. */
export interface Tracer {
  /**
   * Share of the flows, 0 to 1. The decision is a function of the correlation id alone (`isSampled`), so a flow is
   * traced whole or not at all, by every actor and every node of the same rate.
   */
  readonly rate: number
  /** Must not throw and must not block. */
  record(span: Span): void
}

export interface KernelPorts {
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly log: LogSink
  readonly metrics: MetricSink
  readonly tracer?: Tracer
}
