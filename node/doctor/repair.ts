/** `doctor --repair`: what is damaged in the data of a stopped node is made again from its checkpoints (SY-9), and looked at again. */
import { join } from 'node:path'
import type { KnownBlock } from '../../core/light/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { repairLedger, restoreState } from '../adapters/checkpoints/index.ts'
import { lockDirectory } from '../adapters/data-directory/index.ts'
import { discardState } from '../adapters/engine/index.ts'
import { bad, type Check, good } from './check.ts'
import { verifyData } from './state.ts'

interface Places {
  readonly chainDirectory: string
  readonly engineDirectory: string
  readonly directory: string
}

/** By the check that failed: mends it and says how. */
const REPAIRS: Readonly<Record<string, (places: Places, genesis: Genesis) => Promise<string>>> = {
  blocks: ledgerAgain,
  ledger: ledgerAgain,
  'EVM blocks': blocksAgain,
  'EVM state': stateAgain,
}

/** What was done, and all checks after it. */
export async function repairData(
  dataDir: string,
  genesis: Genesis,
  known?: KnownBlock,
): Promise<readonly Check[]> {
  const lock = lockDirectory(dataDir)
  if (!lock.ok) {
    return [bad('data', `in use by process ${lock.pid}`, 'stop the node first')]
  }
  const places: Places = {
    chainDirectory: join(dataDir, 'chain'),
    engineDirectory: join(dataDir, 'evm'),
    directory: join(dataDir, 'checkpoints'),
  }
  const done: Check[] = []
  const tried = new Set<unknown>()
  try {
    for (;;) {
      const checks = await verifyData(dataDir, genesis, known)
      const repair = REPAIRS[checks.find(({ ok }) => !ok)?.name ?? '']
      if (repair === undefined || tried.has(repair)) return [...done, ...checks]
      tried.add(repair)
      try {
        done.push(good('repair', await repair(places, genesis)))
      } catch (error) {
        const advice = 'restore a backup (millrace restore)'
        return [...done, bad('repair', (error as Error).message, advice), ...checks]
      }
    }
  } finally {
    lock.release()
  }
}

async function ledgerAgain(places: Places, genesis: Genesis): Promise<string> {
  const { checkpoint, height } = await repairLedger({ ...places, genesis })
  return `the ledger of block ${height}, from checkpoint ${checkpoint} and the blocks above it`
}

async function stateAgain(places: Places): Promise<string> {
  const below = Number.MAX_SAFE_INTEGER
  const { height } = await restoreState({ ...places, below, isMissing: false })
  return height === 0
    ? 'the EVM state is empty: the next start executes all blocks again'
    : `the EVM state of checkpoint ${height}: the next start executes the blocks above it`
}

async function blocksAgain(places: Places): Promise<string> {
  discardState(places.engineDirectory)
  return 'the directory evm is empty: the next start executes the blocks again'
}
