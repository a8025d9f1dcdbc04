import {
  type CommittedBlock,
  decodeCommittedBlock,
  encodeCertified,
  encodeCommittedBlock,
} from '../../core/block/index.ts'
import { equalBytes, fromHex, toHex } from '../../crypto/index.ts'
import {
  type BlockWrite,
  type DeferredReply,
  deferredReply,
  type EvidenceRecord,
  type RecordEvidence,
} from '../../messages/index.ts'
import { type ActorRun, faultError } from '../../supervisor/index.ts'
import { STORAGE_FAULTS, writeFault } from './errors.ts'
import type { StorageEffect, StorageInbox } from './handlers.ts'
import { MAX_BLOCKS_PER_READ, MAX_BYTES_PER_READ, PRUNE_BLOCKS, PRUNE_BYTES } from './limits.ts'
import { STORAGE_METRICS } from './metrics.ts'
import type { ChainStore, StoragePorts, StoredBlock } from './port.ts'

type StorageRun = ActorRun<StorageInbox, StoragePorts>

export async function perform(
  effect: StorageEffect,
  run: Pick<StorageRun, 'clock' | 'ports'>,
): Promise<DeferredReply | StorageInbox | readonly StorageInbox[]> {
  if (effect.kind === 'prune') return prune(effect.store, effect.below, run)
  const { store, replyTo } = effect
  const { clock, ports } = run
  const { metrics } = ports
  switch (effect.kind) {
    case 'writeBlocks': {
      const startedMs = clock.nowMs()
      const height = await writeBlocks(store, effect.blocks)
      const tookMs = clock.nowMs() - startedMs
      metrics.observe(STORAGE_METRICS.commitSeconds, {}, tookMs / 1_000)
      metrics.count(STORAGE_METRICS.blocksWritten, {}, effect.blocks.length)
      const neededFrom = effect.blocks.at(-1)?.neededFrom ?? 1
      return [
        deferredReply(replyTo, { type: 'storage.BlockPersisted', payload: { height } }),
        { type: 'storage.WriteMeasured', payload: { tookMs, height, neededFrom } },
      ]
    }
    case 'loadChain': {
      const stored = store.readHead()
      const halt = store.readHalt()
      const evidence = readEvidence(store)
      const payload = {
        ...(stored && { head: decodeStored(stored) }),
        ledgerRows: [...store.readLedgerRows()],
        ...(halt !== undefined && { halt }),
        ...(evidence.length > 0 && { evidence }),
      }
      return deferredReply(replyTo, { type: 'storage.ChainLoaded', payload })
    }
    case 'readBlocks': {
      const { blocks, isDamaged } = readBlocks(store, effect.range)
      if (isDamaged) metrics.count(STORAGE_METRICS.damagedBlocks, {})
      const lowest = store.lowestBlock()
      const isPruned = effect.range.from >= 1 && effect.range.from < lowest
      const payload = { blocks, ...(isPruned && { prunedBelow: lowest }) }
      return deferredReply(replyTo, { type: 'storage.BlockRange', payload })
    }
    case 'recordHalt':
      await store.writeHalt(effect.record)
      return deferredReply(replyTo, { type: 'storage.HaltRecorded', payload: {} })
    case 'recordEvidence':
      await writeEvidence(store, effect.change)
      return deferredReply(replyTo, { type: 'storage.EvidenceRecorded', payload: {} })
  }
}

/** The lowest blocks below `below` lose their bodies, some at once; headers and certificates stay (PR-1). */
async function prune(
  store: ChainStore,
  below: number,
  { clock, ports }: Pick<StorageRun, 'clock' | 'ports'>,
): Promise<StorageInbox> {
  const startedMs = clock.nowMs()
  const { headers, isStuck } = headersOf(store, below)
  try {
    await store.pruneBlocks(headers)
  } catch (cause) {
    throw writeFault(cause)
  }
  ports.metrics.count(STORAGE_METRICS.blocksPruned, {}, headers.length)
  const lowest = store.lowestBlock()
  await ports.pruneOthers?.(lowest)
  const tookMs = clock.nowMs() - startedMs
  return { type: 'storage.PruneEnded', payload: { tookMs, lowest, isStuck } }
}

function headersOf(
  store: ChainStore,
  below: number,
): { readonly headers: readonly StoredBlock[]; readonly isStuck: boolean } {
  const headers: StoredBlock[] = []
  let bytes = 0
  for (let height = store.lowestBlock(); height < below; height++) {
    if (headers.length >= PRUNE_BLOCKS || bytes >= PRUNE_BYTES) break
    try {
      const stored = store.readBlock(height)
      if (stored === undefined) break
      const { block, certificate } = decodeStored(stored)
      headers.push({ ...stored, bytes: encodeCertified(block.header, certificate) })
      bytes += stored.bytes.length
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== 'StoreDamaged') throw error
      return { headers, isStuck: headers.length === 0 }
    }
  }
  return { headers, isStuck: headers.length === 0 }
}

/** Evidence stands in the journal, under this and its key. */
const EVIDENCE_PREFIX = 'evidence/'

async function writeEvidence(
  store: ChainStore,
  { put, drop }: RecordEvidence['payload'],
): Promise<void> {
  const kept = put.map(({ key, bytes }) => ({ key: EVIDENCE_PREFIX + key, value: toHex(bytes) }))
  const gone = drop.map((key) => ({ key: EVIDENCE_PREFIX + key, value: null }))
  try {
    await store.writeJournal([...kept, ...gone])
  } catch (cause) {
    throw writeFault(cause, 'JournalWriteFailed')
  }
}

function readEvidence(store: ChainStore): EvidenceRecord[] {
  return [...store.readJournal()]
    .filter(({ key }) => key.startsWith(EVIDENCE_PREFIX))
    .map(({ key, value }) => ({
      key: key.slice(EVIDENCE_PREFIX.length),
      bytes: fromHex(value) ?? new Uint8Array(0),
    }))
}

async function writeBlocks(store: ChainStore, blocks: readonly BlockWrite[]): Promise<number> {
  const stored = blocks.map(({ committed, hash }) => ({
    height: committed.block.header.height,
    hash,
    bytes: encodeCommittedBlock(committed),
  }))
  const last = stored.at(-1)
  if (last === undefined) throw faultError('EmptyWrite', 'logic', 'a write holds no block')
  // A write that was tried again after a crash may have been done already.
  if (isStored(store, last)) return last.height
  assertFollows(store.readHead()?.height ?? 0, stored)
  try {
    await store.writeBlocks(
      stored,
      blocks.flatMap((block) => block.ledgerChanges),
    )
  } catch (cause) {
    throw writeFault(cause)
  }
  return last.height
}

function isStored(store: ChainStore, { height, hash }: StoredBlock): boolean {
  const known = store.readBlock(height)
  return known !== undefined && equalBytes(known.hash, hash)
}

/** The chain only grows, by one block after the other: anything else would overwrite what was acknowledged. */
function assertFollows(headHeight: number, blocks: readonly StoredBlock[]): void {
  for (const [index, { height }] of blocks.entries()) {
    if (height !== headHeight + 1 + index) {
      throw faultError('NotTheNextBlock', 'logic', `block ${height} after head ${headHeight}`)
    }
  }
}

/**
 * An answer ends before a block that is damaged: who asks is often a peer, whom a bit in an old block gives no hold on this node. Chain
 * asks for what it cannot do without, and says itself that it is missing.
 */
function readBlocks(
  store: ChainStore,
  range: { readonly from: number; readonly count: number; readonly maxBytes: number },
): { readonly blocks: readonly CommittedBlock[]; readonly isDamaged: boolean } {
  const blocks: CommittedBlock[] = []
  const count = Math.min(range.count, MAX_BLOCKS_PER_READ)
  let room = Math.min(range.maxBytes, MAX_BYTES_PER_READ)
  for (let height = range.from; height < range.from + count; height++) {
    try {
      const stored = store.readBlock(height)
      if (stored === undefined || stored.bytes.length > room) break
      room -= stored.bytes.length
      blocks.push(decodeStored(stored))
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== 'StoreDamaged') throw error
      return { blocks, isDamaged: true }
    }
  }
  return { blocks, isDamaged: false }
}

function decodeStored(stored: StoredBlock): CommittedBlock {
  const decoded = decodeCommittedBlock(stored.bytes)
  if (decoded.ok) return decoded.value
  const reason = `block ${stored.height}: ${decoded.error.reason}`
  throw faultError('StoreDamaged', STORAGE_FAULTS.StoreDamaged, reason)
}
