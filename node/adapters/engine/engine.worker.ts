/** The engine's thread: it alone writes the EVM state. One task at a time, in the order in which they were given. */
import { workerData } from 'piscina'
import {
  type CommitReply,
  type Engine,
  type ExecuteReply,
  type OpenReply,
  openEngineCore,
} from '../../../vm/evm/index.ts'
import { type EngineStoreFault, openEngineDatabase } from './store.ts'
import {
  type CommitRequest,
  type EngineWorkerData,
  type PackedBuildReply,
  type PackedBuildRequest,
  type PackedExecuteRequest,
  type PackedPrepareRequest,
  packBuilt,
  unpackBuild,
  unpackExecute,
  unpackPrepare,
} from './wire.ts'

export type OpenResult = OpenReply | ({ readonly status: 'REFUSED' } & EngineStoreFault)

const { directory, genesis } = workerData as EngineWorkerData
const database = openEngineDatabase(directory, 'write')
const opened = 'code' in database ? undefined : await openEngineCore(database, genesis, Date.now)

export async function open(): Promise<OpenResult> {
  // What is refused may be discarded next: no thread that ends later has it open then.
  if (opened?.reply.status === 'REFUSED') await close()
  return 'code' in database ? { status: 'REFUSED', ...database } : (opened as Opened).reply
}

export async function build(request: PackedBuildRequest): Promise<PackedBuildReply> {
  return packBuilt(await engine().build(unpackBuild(request)))
}

export function prepare(request: PackedPrepareRequest): Promise<void> {
  return engine().prepare(unpackPrepare(request))
}

export function execute(request: PackedExecuteRequest): Promise<ExecuteReply> {
  return engine().execute(unpackExecute(request))
}

export async function recall(hash: Uint8Array): Promise<ExecuteReply | undefined> {
  return engine().recall(hash)
}

export function commit({ hash, keepPastFrom }: CommitRequest): Promise<CommitReply> {
  if (!('code' in database)) database.keepPast(keepPastFrom)
  return engine().commit(hash)
}

/** Blocks below `below` lose what is kept of them beside their hashes, a few at once. The lowest that still has it. */
export async function prune({ below }: { readonly below: number }): Promise<number> {
  if ('code' in database) return below
  database.prune(below)
  return database.lowestBlock()
}

export async function close(): Promise<void> {
  if (!('code' in database)) await database.close()
}

export function memory(): { readonly heapUsedBytes: number; readonly externalBytes: number } {
  const { heapUsed, external } = process.memoryUsage()
  return { heapUsedBytes: heapUsed, externalBytes: external }
}

type Opened = Awaited<ReturnType<typeof openEngineCore>>

function engine(): Engine {
  if (opened === undefined || opened.reply.status !== 'OPEN')
    throw new Error('the engine is not open')
  return opened.engine
}
