import type {
  BlockWrite,
  DeferredReply,
  LoadChain,
  PersistBlock,
  PersistBlockBatch,
  ReadBlocks,
  RecordEvidence,
  RecordHalt,
  WriteMeasured,
} from '../../messages/index.ts'
import { type About, type Envelope, reply, type Step } from '../../supervisor/index.ts'
import { SLOW_WRITE_MS } from './limits.ts'
import type { ChainStore } from './port.ts'

export type StorageInbox =
  | PersistBlock
  | PersistBlockBatch
  | LoadChain
  | ReadBlocks
  | RecordEvidence
  | RecordHalt
  | WriteMeasured
  | DeferredReply

export interface StorageContext {
  readonly store: ChainStore
}

export type StorageEffect =
  | {
      readonly kind: 'writeBlocks'
      readonly store: ChainStore
      readonly blocks: readonly BlockWrite[]
      readonly replyTo: Envelope
    }
  | { readonly kind: 'loadChain'; readonly store: ChainStore; readonly replyTo: Envelope }
  | {
      readonly kind: 'readBlocks'
      readonly store: ChainStore
      readonly range: ReadBlocks['payload']
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'recordHalt'
      readonly store: ChainStore
      readonly record: string | null
      readonly replyTo: Envelope
    }
  | {
      readonly kind: 'recordEvidence'
      readonly store: ChainStore
      readonly change: RecordEvidence['payload']
      readonly replyTo: Envelope
    }

export function handle(
  context: StorageContext,
  message: StorageInbox,
  about: About<StorageInbox>,
): Step<StorageContext, StorageEffect> {
  const { store } = context
  const replyTo = about.envelope
  switch (message.type) {
    case 'storage.PersistBlock':
      return step({ kind: 'writeBlocks', store, blocks: [message.payload], replyTo })
    case 'storage.PersistBlockBatch':
      return step({ kind: 'writeBlocks', store, blocks: message.payload.blocks, replyTo })
    case 'storage.LoadChain':
      return step({ kind: 'loadChain', store, replyTo })
    case 'storage.ReadBlocks':
      return step({ kind: 'readBlocks', store, range: message.payload, replyTo })
    case 'storage.RecordHalt':
      return step({ kind: 'recordHalt', store, record: message.payload.record, replyTo })
    case 'storage.RecordEvidence':
      return step({ kind: 'recordEvidence', store, change: message.payload, replyTo })
    case 'storage.WriteMeasured':
      return measured(context, message.payload.tookMs, about.state)
    case 'system.DeferredReply':
      return { context, effects: [reply(message.payload.to, message.payload.answer)] }
  }

  function step(effect: StorageEffect): Step<StorageContext, StorageEffect> {
    return { context, effects: [effect] }
  }
}

/** Degraded: the disk takes so long for a block that slots are missed; with room between, so that it does not flap. */
function measured(
  context: StorageContext,
  tookMs: number,
  state: string,
): Step<StorageContext, StorageEffect> {
  if (state === 'Running' && tookMs >= SLOW_WRITE_MS) return { context, event: 'DEGRADED' }
  if (state === 'Degraded' && tookMs < SLOW_WRITE_MS / 2) return { context, event: 'RECOVERED' }
  return { context }
}

const WRITES: ReadonlySet<StorageEffect['kind']> = new Set([
  'writeBlocks',
  'recordHalt',
  'recordEvidence',
])

/** Writes keep their order; reads go past them. */
export function lane(effect: StorageEffect): string | undefined {
  return WRITES.has(effect.kind) ? 'write' : undefined
}
