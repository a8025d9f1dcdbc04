import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SignGuard } from '../../actors/chain/index.ts'
import { type LineFile, openLines } from '../../governance/files.ts'
import { fileHeadStore } from '../../governance/head-store.ts'
import { openSignGuard } from '../../node/adapters/sign-guard/index.ts'
import { Disk, HeaderDisk, LineDisk } from '../sim/disk.ts'
import { GENESIS_HASH, keyOf } from '../unit/core/pbft/fixtures.ts'
import { testGenesis } from '../unit/core/peg/world.ts'
import { type FilesUnderTest, filesSuite } from './files-suite.ts'
import { RunningWorld } from './running-world.ts'

const publicKey = keyOf(0)

async function onDisk(directory?: string): Promise<FilesUnderTest> {
  const place = directory ?? (await mkdtemp(join(tmpdir(), 'millrace-files-')))
  const guards: SignGuard[] = []
  const files: LineFile[] = []
  const end = async () => {
    for (const each of [...guards.splice(0), ...files.splice(0)]) await each.close()
  }
  return {
    openGuard: async (committedHeight) => {
      const path = join(place, 'guard')
      const markPath = join(place, 'signing-mark')
      const facts = { genesisHash: GENESIS_HASH, publicKey, committedHeight, nowSlot: 100 }
      const opened = await openSignGuard({ path, markPath, ...facts })
      if (!opened.ok) throw new Error(opened.error.code)
      guards.push(opened.value)
      return opened.value
    },
    openLines: async () => {
      const opened = await openLines(join(place, 'lines'))
      files.push(opened.file)
      return opened
    },
    heads: fileHeadStore(join(place, 'head'), testGenesis()),
    kill: async () => {
      await end()
      return onDisk(place)
    },
    close: async () => {
      await end()
      await rm(place, { recursive: true, force: true })
    },
  }
}

interface SimulatedDisks {
  readonly running: RunningWorld
  readonly guard: Disk
  readonly lines: LineDisk
  readonly heads: HeaderDisk
}

async function simulated(disks?: SimulatedDisks): Promise<FilesUnderTest> {
  const running = disks?.running ?? new RunningWorld()
  const { world } = running
  const chance = world.chance('files')
  const kept = disks ?? {
    running,
    guard: new Disk(world, chance, () => {}),
    lines: new LineDisk(chance),
    heads: new HeaderDisk(chance),
  }
  const life = running.life()
  return {
    openGuard: (height) => kept.guard.openGuard(life, GENESIS_HASH, publicKey, height),
    openLines: async () => ({
      file: {
        append: (line) => kept.lines.append(life, line),
        close: async () => {},
      },
      lines: [...kept.lines.lines],
    }),
    heads: kept.heads.store(life),
    kill: async () => {
      life.end()
      kept.guard.crash()
      kept.lines.crash()
      return simulated(kept)
    },
    close: async () => running.stop(),
  }
}

filesSuite('on disk', () => onDisk())
filesSuite('simulated', () => simulated())
