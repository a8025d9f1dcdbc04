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

export interface KernelPorts {
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly log: LogSink
  readonly metrics: MetricSink
}
