/** `doctor --compact`: the files of a stopped node without the room that pruning left in them (PR-4). */
import { join } from 'node:path'
import { lockDirectory } from '../adapters/data-directory/index.ts'
import { compactEnvironment } from '../adapters/disk/index.ts'
import { bad, type Check, good } from './check.ts'

const ENVIRONMENTS = ['chain', 'evm', 'addresses', 'checkpoints/base']
const MIB = 1024 ** 2

export async function compactData(dataDir: string): Promise<readonly Check[]> {
  const lock = lockDirectory(dataDir)
  if (!lock.ok) return [bad('compact', `in use by process ${lock.pid}`, 'stop the node first')]
  const done: Check[] = []
  try {
    for (const name of ENVIRONMENTS) {
      const compacted = await compactEnvironment(join(dataDir, name))
      if (compacted === undefined) continue
      const { afterBytes, beforeBytes } = compacted
      const detail = `${name}: ${mib(beforeBytes)} MiB before, ${mib(afterBytes)} MiB now`
      done.push(good('compact', detail))
    }
  } catch (error) {
    const advice = 'nothing was changed: it needs as much free room as the file will have'
    done.push(bad('compact', (error as Error).message, advice))
  } finally {
    lock.release()
  }
  return done
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}
