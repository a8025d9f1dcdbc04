/** What the kernel tells about actors, and what every actor may be told. */
import type { Envelope, Message, Request } from '../supervisor/index.ts'

/** From: kernel. To: watchers. */
export type ActorStarted = Message<'system.ActorStarted', { readonly actor: string }>

/** From: kernel. To: watchers. */
export type ActorStopped = Message<
  'system.ActorStopped',
  { readonly actor: string; readonly reason: string }
>

/** Are you well? From: supervisor. To: any actor. Reply: HealthReport. */
export type HealthCheck = Request<'system.HealthCheck', Record<string, never>, HealthReport>

export type HealthReport = Message<
  'system.HealthReport',
  { readonly healthy: boolean; readonly detail?: string }
>

/** Settings that may change while running. From: api. To: the actor it concerns. */
export type ConfigUpdate = Message<
  'system.ConfigUpdate',
  { readonly settings: Readonly<Record<string, string | number | boolean>> }
>

/** An effect has what a request asked for; the handler sends it. From: an actor's effect. To: itself. */
export type DeferredReply = Message<
  'system.DeferredReply',
  { readonly to: Envelope; readonly answer: Message }
>

export function deferredReply(to: Envelope, answer: Message): DeferredReply {
  return { type: 'system.DeferredReply', payload: { to, answer } }
}
