/**
 * The ledger of the chain store from a checkpoint and what the blocks since then wrote (SY-9). It is put in the place of the damaged one
 * only when it has the root that the head commits to.
 */

import type { LedgerRow } from '../../../actors/storage/index.ts'
import { type CommittedBlock, decodeCommittedBlock } from '../../../core/block/index.ts'
import { ledgerFromRows, ledgerRoot } from '../../../core/ledger/index.ts'
import type { Genesis } from '../../../core/params/index.ts'
import { equalBytes, toHex } from '../../../crypto/index.ts'
import { type ChainStoreReader, readChainStore, rewriteLedger } from '../chain-store/index.ts'
import { Base } from './base.ts'
import { ROW_TABLE } from './rows.ts'
import { type Checkpoint, Shelf } from './shelf.ts'

export interface RepairRequest {
  readonly directory: string
  readonly chainDirectory: string
  readonly genesis: Genesis
}

export interface Repaired {
  /** Of the head; below what it was when the head's own block was damaged. */
  readonly height: number
  /** Of the checkpoint that it began with. */
  readonly checkpoint: number
}

/** Nobody may have the chain store open. Throws where it cannot be done. */
export async function repairLedger(request: RepairRequest): Promise<Repaired> {
  const opened = await readChainStore(request.chainDirectory)
  if (!opened.ok) throw new Error(`chain store: ${opened.reason}`)
  const chain = opened.store
  let found: Found | undefined
  const shelf = new Shelf(request.directory)
  const base = Base.open(shelf.basePath, 'read')
  try {
    found = findLedger(chain, shelf.good(base), request.genesis)
  } finally {
    await Promise.all([chain.close(), base.close()])
  }
  if (found === undefined) throw new Error('no checkpoint gives a ledger that the head commits to')
  await rewriteLedger(request.chainDirectory, found.height, found.rows)
  return { height: found.height, checkpoint: found.checkpoint }
}

interface Found extends Repaired {
  readonly rows: readonly LedgerRow[]
}

function findLedger(
  chain: ChainStoreReader,
  checkpoints: readonly Checkpoint[],
  genesis: Genesis,
): Found | undefined {
  const head = chain.headHeight()
  const oldest = checkpoints.at(-1)?.meta.height ?? head
  let top = head
  while (top > oldest && blockAt(chain, top) === undefined) top -= 1
  let best: Found | undefined
  for (const checkpoint of checkpoints) {
    if (checkpoint.meta.height > top) continue
    const found = ledgerFrom(chain, checkpoint, top)
    // Below a head that is there, nothing that was acknowledged is given up.
    const isEnough = top < head ? found.height > (best?.height ?? 0) : found.height === head
    if (isEnough && hasRoot(chain, found, genesis)) best = found
    if (best?.height === top) break
  }
  return best
}

/** The rows of the checkpoint and of the writes above it, as far up as they are there. */
function ledgerFrom(chain: ChainStoreReader, { meta, parts }: Checkpoint, top: number): Found {
  const rows = new Map<string, LedgerRow>()
  const put = (row: LedgerRow) => rows.set(`${row.set}:${toHex(row.key)}`, row)
  let height = meta.height
  try {
    for (const part of parts) {
      for (const { key, value } of part.rows(ROW_TABLE.ledger)) {
        put({ set: key[0] as number, key: key.subarray(1), value })
      }
    }
    for (const write of chain.ledgerWrites(meta.height)) {
      if (write.last > top) break
      for (const row of write.rows) put(row)
      height = write.last
    }
  } catch {
    // What is damaged ends it; the root says whether what came before is enough.
  }
  return { height, checkpoint: meta.height, rows: [...rows.values()] }
}

function hasRoot(chain: ChainStoreReader, { height, rows }: Found, genesis: Genesis): boolean {
  const committed = blockAt(chain, height)
  const ledger = ledgerFromRows(genesis, rows)
  return (
    committed !== undefined &&
    ledger.ok &&
    equalBytes(ledgerRoot(ledger.value), committed.block.header.ledgerRoot)
  )
}

function blockAt(chain: ChainStoreReader, height: number): CommittedBlock | undefined {
  try {
    const stored = chain.readBlock(height)
    const decoded = stored && decodeCommittedBlock(stored.bytes)
    return decoded?.ok ? decoded.value : undefined
  } catch {
    return undefined
  }
}
