/**
 * The real ones of the kernel's ports (clock, timers, randomness, ids, log, metrics) and opening of ports. The only
 * place where the node reads the time of day or the operating system's randomness for its actors.
 */
export { createRegistry, registerActorMetrics } from './actor-metrics.ts'
export { createIds, createSystemRandom } from './chance.ts'
export { createSystemClock } from './clock.ts'
export { EXIT, type ProgramEnd, programEnd } from './exit.ts'
export {
  bindServer,
  describeListenError,
  type Endpoint,
  findPort,
  type ListenError,
  type ListenOptions,
  type ListenResult,
  listenOn,
} from './listen.ts'
export { createLog, type LogFormat, type LogOptions, type SystemLog } from './log.ts'
export { createMetricSink } from './metrics.ts'
