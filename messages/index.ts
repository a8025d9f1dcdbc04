/**
 * The vocabulary of the seven actors: one file per family, one registry row per type. Names are those of the seeds'
 * diagrams. A message is plain frozen data; the envelope is the kernel's.
 */
export type * from './bridge.ts'
export type * from './chain.ts'
export type * from './engine.ts'
export type * from './network.ts'
export * from './registry.ts'
export type * from './storage.ts'
export type * from './stream.ts'
export type * from './sync.ts'
export * from './system.ts'
