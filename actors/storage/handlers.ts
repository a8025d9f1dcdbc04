import type {
  BlockWrite,
  DeferredReply,
  LoadChain,
  PersistBlock,
  PersistBlockBatch,
  PruneDue,
  PruneEnded,
  ReadBlocks,
  RecordEvidence,
  RecordHalt,
  RollBackLedger,
  WriteMeasured,
} from '../../messages/index.ts'
import { type About, after, type Envelope, fail, reply, type Step } from '../../supervisor/index.ts'
import { STORAGE_FAULTS } from './errors.ts'
import { PRUNE_REST, PRUNE_REST_MS, SLOW_WRITE_MS } from './limits.ts'
import type { ChainStore } from './port.ts'

export type StorageInbox =
  | PersistBlock
  | PersistBlockBatch
  | LoadChain
  | RollBackLedger
  | ReadBlocks
  | RecordEvidence
  | RecordHalt
  | WriteMeasured
  | PruneDue
  | PruneEnded
  | DeferredReply

export interface StorageContext {
  readonly store: ChainStore
  /** Absent: all blocks are kept. */
  readonly keepBlocks?: number
  /** Blocks below may go, as the last write said. */
  readonly prunable?: number
  /** A step is under way or due, or the next block cannot be pruned. */
  readonly pruning?: 'step' | 'rest' | 'stuck'
}

export type StorageEffect =
  | {
      readonly kind: 'writeBlocks'
      readonly store: ChainStore
      readonly blocks: readonly BlockWrite[]
      readonly replyTo: Envelope
    }
  | { readonly kind: 'prune'; readonly store: ChainStore; readonly below: number }
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
    case 'storage.RollBackLedger': {
      const code = 'LedgerDamaged'
      const { reason } = message.payload
      return { context, effects: [fail({ code, faultClass: STORAGE_FAULTS[code], reason })] }
    }
    case 'storage.ReadBlocks':
      return step({ kind: 'readBlocks', store, range: message.payload, replyTo })
    case 'storage.RecordHalt':
      return step({ kind: 'recordHalt', store, record: message.payload.record, replyTo })
    case 'storage.RecordEvidence':
      return step({ kind: 'recordEvidence', store, change: message.payload, replyTo })
    case 'storage.WriteMeasured':
      return measured(noted(context, message.payload), message.payload.tookMs, about.state)
    case 'storage.PruneDue':
      return prune({ ...context, pruning: 'rest' })
    case 'storage.PruneEnded':
      return pruneEnded(context, message.payload)
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
  const next = context.pruning === undefined ? prune(context) : { context }
  if (state === 'Running' && tookMs >= SLOW_WRITE_MS) return { ...next, event: 'DEGRADED' }
  if (state === 'Degraded' && tookMs < SLOW_WRITE_MS / 2) return { ...next, event: 'RECOVERED' }
  return next
}

/** PR-1, PR-2: below the last blocks that are kept, and below what the ledger needs. */
function noted(
  context: StorageContext,
  { height, neededFrom }: WriteMeasured['payload'],
): StorageContext {
  const { keepBlocks } = context
  if (keepBlocks === undefined) return context
  return { ...context, prunable: Math.min(height - keepBlocks + 1, neededFrom) }
}

/** The next step, if there is something left to prune. */
function prune(context: StorageContext): Step<StorageContext, StorageEffect> {
  const { store, prunable = 0, pruning, ...rest } = context
  if (pruning === 'stuck' || prunable <= store.lowestBlock()) {
    return { context: { ...rest, store, prunable, ...(pruning === 'stuck' && { pruning }) } }
  }
  return {
    context: { ...context, pruning: 'step' },
    effects: [{ kind: 'prune', store, below: prunable }],
  }
}

/** PR-4: most of the writer's time is for blocks. */
function pruneEnded(
  context: StorageContext,
  { tookMs, isStuck }: PruneEnded['payload'],
): Step<StorageContext, StorageEffect> {
  if (isStuck) return { context: { ...context, pruning: 'stuck' } }
  const restMs = Math.max(PRUNE_REST_MS, tookMs * PRUNE_REST)
  const due: PruneDue = { type: 'storage.PruneDue', payload: {} }
  return { context: { ...context, pruning: 'rest' }, effects: [after(restMs, 'prune', due)] }
}

const WRITES: ReadonlySet<StorageEffect['kind']> = new Set([
  'writeBlocks',
  'recordHalt',
  'recordEvidence',
  'prune',
])

/** Writes keep their order; reads go past them, but for Chain's, which is to know how they end: none may come after it. */
export function lane(effect: StorageEffect): string | undefined {
  return WRITES.has(effect.kind) || effect.kind === 'loadChain' ? 'write' : undefined
}
