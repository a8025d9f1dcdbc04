/**
 * Puts a backup in the place of a data directory that is not there: all of it, or nothing. The sign guard that it writes signs nothing
 * that the node may have signed after the backup was made.
 */
import { existsSync } from 'node:fs'
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  decodeGuardFile,
  EMPTY_GUARD,
  encodeGuardFile,
  guardFileOwner,
  restoredFloor,
} from '../../core/guard/index.ts'
import { parseGenesis } from '../../core/params/index.ts'
import { slotAt } from '../../core/pbft/index.ts'
import { blsSuite } from '../../crypto/index.ts'
import type { NodeConfig } from '../config/index.ts'
import { ArchiveFault, type BackupHeader, readArchive } from './archive.ts'
import { CHAIN, configuredFiles, GUARD, STATE } from './files.ts'

export interface Restored {
  readonly header: BackupHeader
  /** The lowest height that the validator signs; absent: it is none. */
  readonly floor?: number
  /** Configured files that were missing on this machine and came from the backup. */
  readonly filesWritten: readonly string[]
}

/** `floor`: what the operator knows of the chain instead of what follows from the clock. */
export async function restoreBackup(
  config: NodeConfig,
  from: string,
  password: string,
  nowMs: number,
  floor?: number,
): Promise<Restored> {
  const { dataDir } = config
  if (existsSync(dataDir) && (await readdir(dataDir)).length > 0) {
    throw new Error(`${dataDir} is not empty: move it away, nothing is overwritten`)
  }
  const staging = `${dataDir}.restoring`
  await rm(staging, { recursive: true, force: true })
  await mkdir(staging, { recursive: true, mode: 0o700 })
  try {
    const header = await unpack(from, password, staging)
    const guard = await raiseGuard(staging, header, nowMs, floor)
    const filesWritten = await placeFiles(config, join(staging, 'files'))
    await rm(join(staging, 'files'), { recursive: true, force: true })
    if (existsSync(dataDir)) await rmdir(dataDir)
    await syncDirectory(staging)
    await rename(staging, dataDir)
    await syncDirectory(dirname(dataDir))
    return { header, filesWritten, ...(guard !== undefined && { floor: guard }) }
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

const NAME = /^files\/[a-z-]{1,32}$/

async function unpack(from: string, password: string, staging: string): Promise<BackupHeader> {
  let target: FileHandle | undefined
  const header = await readArchive(from, password, async (name, piece, isLast) => {
    if (target === undefined) {
      const isKnown = name === CHAIN || name === STATE || name === GUARD || NAME.test(name)
      if (!isKnown) throw new ArchiveFault('NotABackup', `it holds a file ${JSON.stringify(name)}`)
      const path = join(staging, name)
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      target = await open(path, 'wx', 0o600)
    }
    await target.writeFile(piece)
    if (!isLast) return
    await target.sync()
    await target.close()
    target = undefined
  }).finally(() => target?.close())
  if (!existsSync(join(staging, CHAIN))) throw new ArchiveFault('NotABackup', 'it holds no chain')
  return header
}

/** Writes a guard of floors alone; its lowest height. */
async function raiseGuard(
  staging: string,
  header: BackupHeader,
  nowMs: number,
  given: number | undefined,
): Promise<number | undefined> {
  const path = join(staging, GUARD)
  if (!existsSync(path)) return undefined
  const genesis = parseGenesis(
    JSON.parse(await readFile(join(staging, 'files', 'genesis'), 'utf8')),
    blsSuite,
  )
  if (!genesis.ok) throw new Error(`the backup's genesis file: ${genesis.error.reason}`)
  const bytes = new Uint8Array(await readFile(path))
  const owner = guardFileOwner(bytes)
  if (!owner.ok) throw new Error(`the backup's sign guard: ${owner.error.code}`)
  // Records may be torn where the node wrote while it was copied, or damaged: the floor is above all of them.
  const decoded = decodeGuardFile(owner.value, bytes)
  const view = decoded.ok ? decoded.value.view : EMPTY_GUARD
  const nowSlot = slotAt(nowMs, genesis.value.params.slotMs)
  const head = { height: header.headHeight, slot: header.headSlot }
  const record = restoredFloor(view, head, nowSlot)
  const floor = given === undefined ? record : { ...record, floor: Math.max(view.floor, given) }
  await writeFile(path, encodeGuardFile(owner.value, [floor]), { mode: 0o600, flush: true })
  return floor.floor
}

/** What the configuration names and this machine lacks; nothing is overwritten. */
async function placeFiles(config: NodeConfig, staged: string): Promise<readonly string[]> {
  const written: string[] = []
  for (const [name, path] of configuredFiles(config)) {
    const source = join(dirname(staged), name)
    if (existsSync(path) || !existsSync(source)) continue
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, await readFile(source), { mode: 0o600, flag: 'wx', flush: true })
    written.push(path)
  }
  return written
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
