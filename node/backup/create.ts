/** Makes a backup, of a stopped node or beside a running one. */
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeCommittedBlock } from '../../core/block/index.ts'
import { parseGenesis } from '../../core/params/index.ts'
import { blsSuite, toHex } from '../../crypto/index.ts'
import { readChainStore } from '../adapters/chain-store/index.ts'
import { copyEnvironment } from '../adapters/disk/index.ts'
import { createSystemRandom } from '../adapters/system/index.ts'
import type { NodeConfig } from '../config/index.ts'
import { type ArchivedFile, type BackupHeader, writeArchive } from './archive.ts'
import { CHAIN, configuredFiles, GUARD, STATE } from './files.ts'

export interface Created {
  readonly header: BackupHeader
  readonly sizeBytes: number
}

/**
 * Each store is copied as it is at one moment, in the order in which they may lag: sign guard, EVM state, chain. The state then is never
 * ahead of the chain, and what the guard lacks is covered by the floor that a restore sets.
 */
export async function createBackup(
  config: NodeConfig,
  out: string,
  password: string,
  nowMs: number,
): Promise<Created> {
  const { dataDir, genesisFile } = config
  const genesis = parseGenesis(JSON.parse(readFileSync(genesisFile, 'utf8')), blsSuite)
  if (!genesis.ok) throw new Error(`${genesisFile}: ${genesis.error.reason}`)
  const copies = `${out}.copies`
  await rm(copies, { recursive: true, force: true })
  await mkdir(copies, { recursive: true, mode: 0o700 })
  try {
    const files: ArchivedFile[] = configuredFiles(config).map(([name, path]) => ({ name, path }))
    const guard = join(dataDir, 'sign-guard')
    if (existsSync(guard)) {
      await copyFile(guard, join(copies, 'sign-guard'))
      files.push({ name: GUARD, path: join(copies, 'sign-guard') })
    }
    const state = await copyEnvironment(join(dataDir, 'evm'), join(copies, 'evm'))
    if (state !== undefined) files.push({ name: STATE, path: state })
    const chain = await copyEnvironment(join(dataDir, 'chain'), join(copies, 'chain'))
    if (chain === undefined) throw new Error(`there is no chain in ${dataDir}`)
    files.push({ name: CHAIN, path: chain })
    const header: BackupHeader = {
      chain: genesis.value.file.name,
      genesisHash: toHex(genesis.value.hash),
      createdAtMs: nowMs,
      ...(await headOf(join(copies, 'chain'))),
    }
    const { bytes } = createSystemRandom()
    return { header, sizeBytes: await writeArchive(out, header, files, password, bytes) }
  } finally {
    await rm(copies, { recursive: true, force: true })
  }
}

async function headOf(directory: string): Promise<{ headHeight: number; headSlot: number }> {
  const opened = await readChainStore(directory)
  if (!opened.ok) throw new Error(opened.reason)
  const { store } = opened
  try {
    const height = store.headHeight()
    const stored = store.readBlock(height)
    if (stored === undefined) return { headHeight: 0, headSlot: 0 }
    const decoded = decodeCommittedBlock(stored.bytes)
    if (!decoded.ok) throw new Error(`block ${height}: ${decoded.error.reason}`)
    return { headHeight: height, headSlot: decoded.value.block.header.slot }
  } finally {
    await store.close()
  }
}
