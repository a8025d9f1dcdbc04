/**
 * The StorageActor: the only writer of chain data. One committed block, its certificate, its ledger rows and the head
 * enter one fsynced transaction (design §3, BP-7); what it acknowledged survives a kill at any moment.
 */
import type { ActorDefinition } from '../../supervisor/index.ts'
import { faultError } from '../../supervisor/index.ts'
import { perform } from './effects.ts'
import { STORAGE_FAULTS } from './errors.ts'
import {
  handle,
  lane,
  type StorageContext,
  type StorageEffect,
  type StorageInbox,
} from './handlers.ts'
import { MAILBOX_CAPACITY } from './limits.ts'
import { storageMachine } from './machine.ts'
import type { ChainStore, StoragePorts } from './port.ts'

export { STORAGE_FAULTS } from './errors.ts'
export type { StorageInbox } from './handlers.ts'
export type { ChainStore, JournalRow, LedgerRow, StoragePorts, StoredBlock } from './port.ts'

export type StorageActor = ActorDefinition<
  StorageContext,
  StorageInbox,
  StorageEffect,
  StoragePorts
>

export const storageActor: StorageActor = {
  name: 'storage',
  machine: storageMachine,
  follows: { SHUTDOWN: ['STOP'] },
  mailbox: { capacity: MAILBOX_CAPACITY },
  init: async ({ ports }) => {
    const store = await ports.open()
    assertHistory(store, ports)
    const { keepBlocks } = ports
    return { context: { store, ...(keepBlocks !== undefined && { keepBlocks }) }, event: 'READY' }
  },
  handle,
  perform,
  lane,
  stop: ({ store }) => store.close(),
  recover: {
    async rollback(_fault, { ports }) {
      if (ports.repair === undefined) throw new Error('no checkpoints are kept')
      await ports.repair()
    },
  },
}

/** PR-5: what was pruned is not here any more. */
function assertHistory(store: ChainStore, { keepBlocks }: StoragePorts): void {
  const lowest = store.lowestBlock()
  if (keepBlocks !== undefined || lowest === 1) return
  throw faultError(
    'HistoryPruned',
    STORAGE_FAULTS.HistoryPruned,
    `blocks below ${lowest} were pruned, so this cannot be an archive: set history to a number of blocks, or empty the data directory but for sign-guard and let the node fetch all again`,
  )
}
