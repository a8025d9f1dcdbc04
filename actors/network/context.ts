/** What the NetworkActor knows, and what it may ask of its port and of other actors. */
import type { ConsensusMessage, MemberApproval, PegInClaim } from '../../core/block/index.ts'
import type { Verdict } from '../../core/params/index.ts'
import type { Envelope, KernelEffect } from '../../supervisor/index.ts'
import type { Allowance, Penalties } from './conduct.ts'
import type { Later } from './later.ts'
import type { NetworkLimits } from './limits.ts'
import type { GossipVerdict, PeerCode } from './port.ts'
import type { Recent } from './recent.ts'
import type { Point, WireNames } from './wire.ts'

/** `signer`: who sent a valid message, where only trying the validators' keys shows it. */
export type CheckedSender = Verdict & { readonly signer?: Uint8Array }

/** The stateless checks that are made before anything is relayed or told (design §3). Pure, total. */
export interface NetworkChecks {
  consensus(message: ConsensusMessage, nowMs: number): CheckedSender
  transaction(raw: Uint8Array): Verdict
  approval(claim: PegInClaim, approval: MemberApproval): Verdict
}

export interface NetworkSettings {
  readonly genesisHash: Uint8Array
  readonly names: WireNames
  readonly checks: NetworkChecks
  readonly limits: NetworkLimits
  /** Multiaddrs by peer id. */
  readonly staticPeers: ReadonlyMap<string, string>
}

export interface Peer {
  readonly peer: string
  readonly inbound: boolean
  readonly sinceMs: number
  /** Its status was seen and its chain is ours. */
  readonly ready: boolean
  /** Its status named another genesis. */
  readonly foreign: boolean
  /** What it claims to have committed; only certificates count (SY-6). */
  readonly height: number
  /** Key of the validator whose genuine vote was the first over this peer's own stream; it may have been another's. */
  readonly validator?: Uint8Array
  readonly allowance: Allowance
}

export interface NetworkContext {
  readonly settings: NetworkSettings
  readonly startedMs: number
  readonly head: Point
  readonly peers: ReadonlyMap<string, Peer>
  readonly penalties: Penalties
  readonly bannedUntilMs: ReadonlyMap<string, number>
  /** Failed tries in a row, by address; no entry while its peer is ready. */
  readonly dialFailures: ReadonlyMap<string, number>
  readonly recent: Recent
  readonly later: Later
  /** When a prepare certificate of a height, view and hash was verified here or was our own, the oldest first. */
  readonly prepared: ReadonlyMap<string, number>
  /** What is left to each validator, by its key in hex; only genuine messages take from it. */
  readonly signers: ReadonlyMap<string, Allowance>
  /** Transactions and evidence that a pool looks at: who passed each on, and when it counts as ignored. By the name of its judgement. */
  readonly weighed: ReadonlyMap<number, { readonly peer: string; readonly untilMs: number }>
  /** Requests that are being answered. */
  readonly serving: number
}

export type NetworkEffect =
  | { readonly kind: 'send'; readonly peers: readonly string[]; readonly bytes: Uint8Array }
  | { readonly kind: 'publish'; readonly topic: string; readonly bytes: Uint8Array }
  | { readonly kind: 'judge'; readonly id: number; readonly verdict: GossipVerdict }
  | { readonly kind: 'takeFrame'; readonly peer: string }
  | { readonly kind: 'disconnect'; readonly peer: string; readonly code: PeerCode }
  | { readonly kind: 'ban'; readonly peer: string; readonly code: string; readonly forMs: number }
  | { readonly kind: 'dial'; readonly address: string }
  | {
      readonly kind: 'askStatus'
      readonly peer: string
      readonly protocol: string
      readonly status: Uint8Array
    }
  | { readonly kind: 'respond'; readonly id: number; readonly bytes: Uint8Array | undefined }
  | {
      readonly kind: 'serveRange'
      readonly id: number
      readonly from: number
      readonly count: number
    }
  | { readonly kind: 'serveBlock'; readonly id: number; readonly point: Point }
  | {
      readonly kind: 'fetchRange'
      readonly replyTo: Envelope
      readonly peer: string
      readonly protocol: string
      readonly from: number
      readonly count: number
    }
  | {
      readonly kind: 'fetchBlock'
      readonly peers: readonly string[]
      readonly protocol: string
      readonly point: Point
    }

export type Effects = readonly (NetworkEffect | KernelEffect)[]

/** A context and what follows; steps are joined by `then`. */
export interface Outcome {
  readonly context: NetworkContext
  readonly effects: Effects
}

export function outcome(context: NetworkContext, ...effects: Effects): Outcome {
  return { context, effects }
}

export function then(first: Outcome, next: (context: NetworkContext) => Outcome): Outcome {
  const { context, effects } = next(first.context)
  return { context, effects: [...first.effects, ...effects] }
}
