/**
 * The EVM state from the newest checkpoint that is good. Its root is computed anew from every row, so that what is restored is the state
 * that a committed block names, or nothing. Where no checkpoint helps the state is emptied, and all blocks are executed again.
 */
import { decodeCommittedBlock } from '../../../core/block/index.ts'
import { equalBytes, hexBytes, toHex } from '../../../crypto/index.ts'
import { type ChainStoreReader, readChainStore } from '../chain-store/index.ts'
import { discardState, StateRestore } from '../engine/index.ts'
import { Base } from './base.ts'
import { type CheckpointMeta, ROW_TABLE, type Row } from './rows.ts'
import { type Checkpoint, Shelf } from './shelf.ts'

export interface RestoreRequest {
  readonly directory: string
  readonly chainDirectory: string
  readonly engineDirectory: string
  /** Only checkpoints below a height. */
  readonly below: number
  /** The state is not there at all. */
  readonly isMissing: boolean
}

export interface RestoreReply {
  /** 0: the state is empty now. */
  readonly height: number
  /** Why newer checkpoints were of no use. */
  readonly refused: readonly string[]
}

/** In place of a state whose restoration was cut off so often, nothing of it is kept: its pages may end the process. */
const MAX_ATTEMPTS = 2

/** What is wrong lies in the checkpoint. */
class BadCheckpoint extends Error {}

/** Nobody may have the state open. */
export async function restoreState(request: RestoreRequest): Promise<RestoreReply> {
  const { chainDirectory, directory, engineDirectory } = request
  const opened = await readChainStore(chainDirectory)
  if (!opened.ok) throw new Error(`chain store: ${opened.reason}`)
  const chain = opened.store
  // All of history comes back from all of the blocks; what is left of it is worth more than the time that this takes.
  const isArchive = chain.lowestBlock() === 1
  const shelf = new Shelf(directory)
  const refused: string[] = []
  let base: Base | undefined
  try {
    if (request.isMissing && isArchive) return { height: 0, refused }
    base = openBase(shelf, refused)
    const checkpoints = base === undefined ? [] : goodOnes(base, shelf, chain, request, refused)
    const wholes = request.isMissing ? [] : [false]
    if (!isArchive) wholes.push(true)
    for (const isFresh of checkpoints.length > 0 ? wholes : []) {
      if (isFresh) discardState(engineDirectory)
      const restored = await restoreOne(engineDirectory, checkpoints, isFresh, refused)
      if (restored === undefined) continue
      // What is newer is damaged, or did not help: nothing is built on it.
      const kept = base === undefined ? [] : shelf.deltas(base.meta() as CheckpointMeta)
      shelf.tidy(
        new Set(kept.filter(({ meta }) => meta.height <= restored).map(({ path }) => path)),
      )
      return { height: restored, refused }
    }
    discardState(engineDirectory)
    return { height: 0, refused }
  } finally {
    await Promise.all([chain.close(), base?.close()])
  }
}

function openBase(shelf: Shelf, refused: string[]): Base | undefined {
  try {
    return Base.open(shelf.basePath, 'read')
  } catch (error) {
    refused.push(`the whole checkpoint: ${(error as Error).message}`)
    return undefined
  }
}

/** Those whose files are whole and that are of this chain, the newest first. */
function goodOnes(
  base: Base,
  shelf: Shelf,
  chain: ChainStoreReader,
  { below }: RestoreRequest,
  refused: string[],
): readonly Checkpoint[] {
  const whole = base.meta()
  if (whole === undefined) return []
  const good = shelf.good(base)
  const heights = new Set(good.map(({ meta }) => meta.height))
  for (const { meta } of shelf.deltas(whole)) {
    if (!heights.has(meta.height)) refused.push(`checkpoint ${meta.height}: it is not whole`)
  }
  return good.filter(({ meta }) => meta.height < below && isOfChain(meta, chain))
}

function isOfChain({ height, evmHash }: CheckpointMeta, chain: ChainStoreReader): boolean {
  if (height > chain.headHeight()) return false
  try {
    const stored = chain.readBlock(height)
    const decoded = stored && decodeCommittedBlock(stored.bytes)
    return decoded?.ok === true && toHex(decoded.value.block.body.payload.blockHash) === evmHash
  } catch {
    return false
  }
}

/** The height of the one that was restored; undefined: the state that is there does not let itself be replaced, or none is good. */
async function restoreOne(
  directory: string,
  checkpoints: readonly Checkpoint[],
  isFresh: boolean,
  refused: string[],
): Promise<number | undefined> {
  let restore: StateRestore | undefined
  try {
    restore = StateRestore.open(directory)
    if (!isFresh && restore.attempts >= MAX_ATTEMPTS) return undefined
    for (const checkpoint of checkpoints) {
      try {
        fill(restore, checkpoint)
        return checkpoint.meta.height
      } catch (error) {
        if (!(error instanceof BadCheckpoint)) throw error
        refused.push(`checkpoint ${checkpoint.meta.height}: ${error.message}`)
      }
    }
  } catch (error) {
    refused.push(`the state cannot be replaced: ${(error as Error).message}`)
  } finally {
    await restore?.close()
  }
  return undefined
}

function fill(restore: StateRestore, { meta, parts }: Checkpoint): void {
  restore.begin()
  const hashes = new Map<number, Uint8Array>()
  let payload: Uint8Array | undefined
  for (const part of parts) {
    const root = restore.apply((table) => readable(part.rows(table)))
    if (!equalBytes(root, hexBytes(part.meta.stateRoot))) {
      throw new BadCheckpoint(`its rows do not have the state root of block ${part.meta.height}`)
    }
    for (const { key, value } of readable(part.rows(ROW_TABLE.hashes))) {
      hashes.set(Buffer.from(key).readUInt32BE(0), value)
    }
    for (const { value } of readable(part.rows(ROW_TABLE.payload))) payload = value
  }
  if (payload === undefined) throw new BadCheckpoint('its block is missing')
  restore.finish({ height: meta.height, hash: hexBytes(meta.evmHash), payload, hashes })
}

function* readable(rows: Iterable<Row>): Iterable<Row> {
  try {
    yield* rows
  } catch (error) {
    throw new BadCheckpoint((error as Error).message)
  }
}
