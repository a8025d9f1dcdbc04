/** What every actor may tell itself. */
import type { Envelope, Message } from '../supervisor/index.ts'

/** An effect has what a request asked for; the handler sends it. From: an actor's effect. To: itself. */
export type DeferredReply = Message<
  'system.DeferredReply',
  { readonly to: Envelope; readonly answer: Message }
>

export function deferredReply(to: Envelope, answer: Message): DeferredReply {
  return { type: 'system.DeferredReply', payload: { to, answer } }
}
