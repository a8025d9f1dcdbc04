/**
 * The EngineActor: it owns the execution engine and the pool of transactions. Chain asks it to build, execute and commit; users'
 * transactions enter through it; burns of committed blocks leave it toward the Bridge (flows 1 and 3).
 */
import { Mempool } from '../../core/mempool/index.ts'
import type { EngineInbox } from '../../messages/index.ts'
import type { ActorDefinition } from '../../supervisor/index.ts'
import { Admission, reload } from './admission.ts'
import { perform } from './effects.ts'
import { type EngineContext, type EngineEffect, handle, lane } from './handlers.ts'
import { FIRST_TEMPLATE_TRANSACTIONS, MAILBOX_CAPACITY } from './limits.ts'
import { engineMachine } from './machine.ts'
import type { EnginePorts } from './port.ts'

export { ENGINE_FAULTS } from './errors.ts'
export type {
  EnginePort,
  EnginePorts,
  PoolJournal,
  PublishedPool,
  RememberedTransaction,
} from './port.ts'

export type EngineActor = ActorDefinition<EngineContext, EngineInbox, EngineEffect, EnginePorts>

export const engineActor: EngineActor = {
  name: 'engine',
  machine: engineMachine,
  follows: { SHUTDOWN: ['STOP'] },
  mailbox: { capacity: MAILBOX_CAPACITY },
  async init({ ports }) {
    const port = await ports.open()
    const { chainId, maxPoolTransactions: maxTransactions, minFeeCapWei } = ports
    const pool = new Mempool({
      chainId,
      minFeeCapWei,
      ...(maxTransactions !== undefined && { maxTransactions }),
    })
    await reload(pool, port, (await ports.journal?.load()) ?? [])
    const context = {
      port,
      pool,
      admission: new Admission(pool),
      candidates: new Map(),
      templateSize: FIRST_TEMPLATE_TRANSACTIONS,
    }
    ports.views.publishPool(context, [])
    return { context, event: 'READY' }
  },
  handle,
  lane,
  perform: (effect, { ports }) => perform(effect, ports),
  stop: ({ port }) => port.close(),
  // The state follows from the stored blocks alone: Chain replays them all when it starts again beside us.
  recover: { rollback: (_fault, { ports }) => ports.rollback() },
  notice: (fact) =>
    fact.kind === 'dependency' && !fact.up
      ? { type: 'engine.StorageAway', payload: {} }
      : undefined,
}
