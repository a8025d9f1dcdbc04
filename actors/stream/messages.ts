/** What the room tells itself; nobody else sends these. The rows complete the registry of `messages/`. */
import type { MessageRow } from '../../messages/index.ts'
import type { MemberMessage } from '../../proto/index.ts'
import type { Message } from '../../supervisor/index.ts'

/** A member registered. From: Stream's port. To: Stream. */
export type MemberConnected = Message<
  'stream.MemberConnected',
  { readonly memberIndex: number; readonly peer: string }
>

/** From: Stream's port. To: Stream. */
export type MemberDisconnected = Message<
  'stream.MemberDisconnected',
  { readonly memberIndex: number; readonly reason: string }
>

/** A heartbeat. From: Stream's port. To: Stream. */
export type MemberSeen = Message<'stream.MemberSeen', { readonly memberIndex: number }>

/** An answer or a query of a member. From: Stream's port. To: Stream. */
export type MemberMessageReceived = Message<
  'stream.MemberMessageReceived',
  { readonly memberIndex: number; readonly message: MemberMessage }
>

/** A query was answered. From: Stream's effect. To: Stream. */
export type QueryAnswered = Message<'stream.QueryAnswered', { readonly memberIndex: number }>

/** A block was committed. From: ChainReader. To: Stream. The latest one wins. */
export type HeadChanged = Message<'stream.HeadChanged', Record<string, never>>

/** Look through the open requests. From: timer. To: Stream. */
export type ResendDue = Message<'stream.ResendDue', Record<string, never>>

/** The shutdown began. From: kernel. To: Stream. */
export type StreamStopping = Message<'stream.StreamStopping', Record<string, never>>

export type StreamInternal =
  | MemberConnected
  | MemberDisconnected
  | MemberSeen
  | MemberMessageReceived
  | QueryAnswered
  | HeadChanged
  | ResendDue
  | StreamStopping

const OWN = { from: 'stream', to: 'stream', overflow: 'blockProducer' } as const

export const STREAM_ROWS: readonly MessageRow[] = [
  { ...OWN, type: 'stream.MemberConnected', priority: 'peg', neverDrop: true },
  { ...OWN, type: 'stream.MemberDisconnected', priority: 'peg', neverDrop: true },
  { ...OWN, type: 'stream.MemberMessageReceived', priority: 'peg', neverDrop: true },
  { ...OWN, type: 'stream.QueryAnswered', priority: 'peg', neverDrop: true },
  { ...OWN, type: 'stream.MemberSeen', priority: 'peg', overflow: 'dropOldest' },
  { ...OWN, type: 'stream.HeadChanged', priority: 'peg', coalesce: 'latest' },
  { ...OWN, type: 'stream.ResendDue', from: 'timer', priority: 'peg', coalesce: 'latest' },
  { ...OWN, type: 'stream.StreamStopping', from: 'kernel', priority: 'control' },
]
