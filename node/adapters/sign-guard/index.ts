/**
 * The sign guard's file (protocol §2.8, BP-4, BF-10): append-only, synced before anything is signed. What may be signed
 * and how the bytes look is core's (`core/guard`); here is only the order of writes.
 *
 * A torn tail is cut at open (T5). Behind each record that is durable a seal is written, so that a record that was signed
 * on and cannot be read any more is told from one that a crash tore. Once a height is committed its records are dead; when enough of them lie about, the
 * live ones are written to a new file that takes the old one's place. After a failed write nothing is signed until the
 * file is opened again.
 *
 * A file of before can be put in this one's place, and knows nothing of what was signed since. So the highest (height, view) that the guard
 * knows of is marked elsewhere before anything is signed there; a guard that knows less leaves that height out.
 */

import {
  decideGuard,
  decodeGuardFile,
  encodeGuardEntry,
  encodeGuardFile,
  encodeGuardSeal,
  foldGuard,
  type GuardDecision,
  type GuardFileError,
  type GuardRecord,
  type GuardView,
  guardEntries,
  guardOwner,
  isAboveMark,
  type SigningMark,
  startFloor,
} from '../../../core/guard/index.ts'
import { err, ok, type Result } from '../../../core/params/index.ts'
import { type SignGuardFile, signGuardFile } from './file.ts'
import { type SigningMarkFile, signingMarkFile } from './mark.ts'

export { readGuardFile, type SignGuardFile } from './file.ts'
export { type SigningMarkFile, signingMarkFile } from './mark.ts'

export interface SignGuard {
  /** What all durable records add up to. */
  view(): GuardView
  /**
   * Resolves once the record is durable, or stands there already. On a refusal nothing is written and nothing may be
   * signed. Rejects when the disk fails.
   */
  append(record: GuardRecord): Promise<GuardDecision>
  /**
   * Closes all heights up to `committedHeight`. To be called after each commit that is durable, synced blocks included, and before the next
   * one: from then on the file never lags behind the chain by more than the one height that `open` makes good.
   */
  compact(committedHeight: number): Promise<void>
  /** Waits for what is being written. */
  close(): Promise<void>
}

export interface SignGuardFacts {
  readonly genesisHash: Uint8Array
  /** The key that the guard stands before. */
  readonly publicKey: Uint8Array
  /** The chain's highest durable height: a guard that is older than the chain leaves the next height out. */
  readonly committedHeight: number
  /** By the clock. Such a guard authors no block of a slot that may be used up. */
  readonly nowSlot: number
  /** File size above which dead records are dropped [4 MiB]. */
  readonly compactAtBytes?: number
}

export interface SignGuardOptions extends SignGuardFacts {
  readonly path: string
  /** Of the file that says where this node may have signed: with the chain, not with the guard. */
  readonly markPath: string
}

export type SignGuardError =
  | GuardFileError
  /** The file cannot be read or written. */
  | { readonly code: 'GuardIo'; readonly reason: string }

const DEFAULT_COMPACT_BYTES = 4 * 1024 * 1024

export function openSignGuard(
  options: SignGuardOptions,
): Promise<Result<SignGuard, SignGuardError>> {
  return openGuardOn(signGuardFile(options.path), signingMarkFile(options.markPath), options)
}

/** The guard over any files. */
export async function openGuardOn(
  file: SignGuardFile,
  markFile: SigningMarkFile,
  facts: SignGuardFacts,
): Promise<Result<SignGuard, SignGuardError>> {
  try {
    const opened = await open(file, markFile, facts)
    if (!opened.ok) await Promise.all([file.close(), markFile.close()])
    return opened
  } catch (error) {
    await Promise.allSettled([file.close(), markFile.close()])
    return err({ code: 'GuardIo', reason: String((error as Error).message) })
  }
}

async function open(
  file: SignGuardFile,
  markFile: SigningMarkFile,
  facts: SignGuardFacts,
): Promise<Result<SignGuard, SignGuardError>> {
  const { committedHeight, nowSlot } = facts
  const owner = guardOwner(facts.genesisHash, facts.publicKey)
  const bytes = await file.read()
  const decoded = decodeGuardFile(owner, bytes)
  if (!decoded.ok) return decoded
  const { view, goodBytes } = decoded.value
  const marked = await markFile.read(owner)
  const files = { file, markFile }
  const floor = startFloor(view, committedHeight, nowSlot, marked)
  if (goodBytes === 0 || floor.floor !== view.floor) {
    const raised = foldGuard(view, floor)
    const contents = encodeGuardFile(owner, guardEntries(raised))
    await file.replace(contents)
    return ok(
      createGuard(facts, owner, files, { view: raised, sizeBytes: contents.length, marked }),
    )
  }
  if (goodBytes < bytes.length) await file.truncate(goodBytes)
  // What was read may have been written and never synced: the writer's sync failed, or it was stopped before.
  await file.sync()
  const seal = encodeGuardSeal(owner, goodBytes)
  await file.write(seal, goodBytes)
  const sizeBytes = goodBytes + seal.length
  return ok(createGuard(facts, owner, files, { view, sizeBytes, marked }))
}

function createGuard(
  { compactAtBytes = DEFAULT_COMPACT_BYTES }: SignGuardFacts,
  owner: Uint8Array,
  { file, markFile }: { readonly file: SignGuardFile; readonly markFile: SigningMarkFile },
  start: { readonly view: GuardView; readonly sizeBytes: number; readonly marked: SigningMark },
): SignGuard {
  let { marked, sizeBytes, view } = start
  /** What is left of the file and its floor when the power goes; at least. */
  let durableBytes = sizeBytes
  let durableFloor = view.floor
  let failed: Error | undefined
  let queue: Promise<unknown> = Promise.resolve()

  /** One after the other. After a failure the tail is of unknown state: nothing is written behind it. */
  function serial<T>(work: () => Promise<T>): Promise<T> {
    const done = queue.then(async () => {
      if (failed !== undefined) throw failed
      try {
        return await work()
      } catch (error) {
        failed = error as Error
        throw error
      }
    })
    queue = done.catch(() => undefined)
    return done
  }

  async function write(bytes: Uint8Array): Promise<void> {
    await file.write(bytes, sizeBytes)
    sizeBytes += bytes.length
  }

  async function sync(): Promise<void> {
    const { floor } = view
    const bytes = sizeBytes
    await file.sync()
    durableBytes = bytes
    durableFloor = floor
  }

  /**
   * Not synced: the next record's sync carries it. The signature does not wait for it. A floor that was written meanwhile and not synced
   * must not stand before a seal: a bit of it that flips would look like damage.
   */
  function sealLater(): void {
    serial(async () => {
      if (sizeBytes === durableBytes) await write(encodeGuardSeal(owner, sizeBytes))
    }).catch(() => undefined)
  }

  /** To be called when the guard knows durably of the place, before anything is signed there. */
  async function raiseMark({ height, view: at }: SigningMark): Promise<void> {
    const mark = { height, view: at }
    if (!isAboveMark(mark, marked)) return
    await markFile.write(owner, mark)
    marked = mark
  }

  /** While nothing else is to be done: what the first signature of the next height would wait for. */
  function openHeightLater(): void {
    serial(async () => {
      if (durableFloor < view.floor) await sync()
      await raiseMark({ height: view.floor, view: 0 })
    }).catch(() => undefined)
  }

  async function append(record: GuardRecord): Promise<GuardDecision> {
    const decision = decideGuard(view, record)
    if (decision !== 'sign') return decision
    await write(encodeGuardEntry(owner, sizeBytes, record))
    await sync()
    await raiseMark(record)
    view = foldGuard(view, record)
    sealLater()
    return decision
  }

  async function compact(committedHeight: number): Promise<void> {
    if (committedHeight < view.floor) {
      if (committedHeight >= durableFloor) await sync()
      return
    }
    const entry = { kind: 'floor', floor: committedHeight + 1, slot: view.slot } as const
    const next = foldGuard(view, entry)
    if (sizeBytes < compactAtBytes) {
      // Not synced: the next record's sync carries it, and a floor that lags by one is made good at open. Not so one that lags by more.
      await write(encodeGuardEntry(owner, sizeBytes, entry))
      view = next
      if (committedHeight > durableFloor) await sync()
    } else {
      const contents = encodeGuardFile(owner, guardEntries(next))
      await file.replace(contents)
      sizeBytes = contents.length
      durableBytes = sizeBytes
      view = next
      durableFloor = next.floor
    }
  }

  return {
    view: () => view,
    append: (record) => serial(() => append(record)),
    async compact(committedHeight) {
      await serial(() => compact(committedHeight))
      openHeightLater()
    },
    async close() {
      await queue
      failed ??= new Error('the sign guard is closed')
      await Promise.all([file.close(), markFile.close()])
    },
  }
}
