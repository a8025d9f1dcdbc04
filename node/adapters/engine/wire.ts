/** What crosses between the node and the engine's threads: plain data, transactions packed. */
import type { ExecutionPayload } from '../../../core/block/index.ts'
import type {
  BuildReply,
  BuildRequest,
  EvmGenesis,
  ExecuteRequest,
  PrepareRequest,
  RawTransaction,
} from '../../../vm/evm/index.ts'
import { type PackedBytes, packBytes, unpackBytes, viewBytes } from './packing.ts'

export type EngineWorkerData = { readonly directory: string; readonly genesis: EvmGenesis }
export type CallsWorkerData = { readonly directory: string; readonly chainId: number }

export type CommitRequest = {
  readonly hash: Uint8Array
  /** What blocks from here on replaced is kept for a checkpoint. */
  readonly keepPastFrom: number
}

export type PackedPayload = Omit<ExecutionPayload, 'transactions'> & {
  readonly transactions: PackedBytes
}

/** Senders by position; an empty entry where none is known. */
export type PackedBuildRequest = Omit<BuildRequest, 'transactions'> & {
  readonly transactions: PackedBytes
  readonly senders: PackedBytes
}

export type PackedPrepareRequest = Omit<PrepareRequest, 'transactions'> & {
  readonly transactions: PackedBytes
  readonly senders: PackedBytes
}

export type PackedExecuteRequest = {
  readonly payload: PackedPayload
  readonly senders: PackedBytes
}

export type PackedBuildReply =
  | (Omit<Extract<BuildReply, { status: 'BUILT' }>, 'payload' | 'senders'> & {
      readonly payload: PackedPayload
      readonly senders: PackedBytes
    })
  | Extract<BuildReply, { status: 'UNKNOWN' }>

const NONE = new Uint8Array(0)

export function packPayload(payload: ExecutionPayload): PackedPayload {
  return { ...payload, transactions: packBytes(payload.transactions) }
}

export function unpackPayload(payload: PackedPayload): ExecutionPayload {
  return { ...payload, transactions: viewBytes(payload.transactions) }
}

export function packBuild(request: BuildRequest): PackedBuildRequest {
  return { ...request, ...packOffer(request.transactions) }
}

export function unpackBuild(request: PackedBuildRequest): BuildRequest {
  return { ...request, transactions: unpackOffer(request) }
}

export function packPrepare(request: PrepareRequest): PackedPrepareRequest {
  return { ...request, ...packOffer(request.transactions) }
}

export function unpackPrepare(request: PackedPrepareRequest): PrepareRequest {
  return { ...request, transactions: unpackOffer(request) }
}

export function packBuilt(reply: BuildReply): PackedBuildReply {
  if (reply.status !== 'BUILT') return reply
  const { payload, senders = [] } = reply
  return { ...reply, payload: packPayload(payload), senders: packBytes(senders) }
}

export function unpackBuilt(reply: PackedBuildReply): BuildReply {
  if (reply.status !== 'BUILT') return reply
  const { payload, senders } = reply
  return { ...reply, payload: unpackPayload(payload), senders: unpackBytes(senders) }
}

type PackedOffer = { readonly transactions: PackedBytes; readonly senders: PackedBytes }

function packOffer(transactions: readonly RawTransaction[]): PackedOffer {
  return {
    transactions: packBytes(transactions.map(({ raw }) => raw)),
    senders: packBytes(transactions.map(({ sender }) => sender ?? NONE)),
  }
}

function unpackOffer(offer: PackedOffer): RawTransaction[] {
  const senders = unpackBytes(offer.senders)
  return viewBytes(offer.transactions).map((raw, index) => ({ raw, sender: known(senders[index]) }))
}

export function packExecute({ payload, senders }: ExecuteRequest): PackedExecuteRequest {
  const list = payload.transactions.map((_, index) => senders?.[index] ?? NONE)
  return { payload: packPayload(payload), senders: packBytes(list) }
}

export function unpackExecute({ payload, senders }: PackedExecuteRequest): ExecuteRequest {
  return { payload: unpackPayload(payload), senders: unpackBytes(senders).map(known) }
}

function known(sender: Uint8Array | undefined): Uint8Array | undefined {
  return sender === undefined || sender.length === 0 ? undefined : sender
}
