/**
 * The actor that compares the reserve with this member's own Bitcoin (protocol §4.8). It asks one node after the other for the coins that
 * the ledger holds, believes those that are proven under a header that the follower verified, and looks for each in Bitcoin. What two audits in
 * a row find missing stops this member's approvals and signatures, until an audit finds it there or the ledger has booked it.
 */
import {
  type AuditVerdict,
  auditReserve,
  type ShownReserve,
  shownReserve,
} from '../bridge/index.ts'
import { splitOutpoint } from '../core/ledger/index.ts'
import { STREAM_LIMITS } from '../proto/index.ts'
import {
  type ActorDefinition,
  type ActorRun,
  every,
  type KernelEffect,
  type Step,
  tell,
} from '../supervisor/index.ts'
import type { FollowedHeader } from './light-client.ts'
import { memberMachine } from './machine.ts'
import { AUDIT_REQUEST, type AuditorInbox, type LogEffect, type ProofReceived } from './messages.ts'
import type { AuditPorts } from './port.ts'

export interface AuditorContext {
  readonly ports: AuditPorts
  /** Verified headers, oldest first, the head last. */
  readonly headers: readonly FollowedHeader[]
  readonly nextNode: number
  /** The question that is out; a later one takes its place. */
  readonly asked?: { readonly node: number; readonly requestId: string }
  readonly isLooking: boolean
  /** What the last audit that knew found missing. */
  readonly suspected: readonly string[]
  /** What the signer was told is missing. */
  readonly missing: readonly string[]
  /** Why the last audit knows nothing: a thief's Bitcoin beside an honest one would keep it so. */
  readonly unknown?: string
}

export type AuditorEffect = { readonly kind: 'look'; readonly reserve: ShownReserve } | LogEffect

type AuditorStep = Step<AuditorContext, AuditorEffect>

const KEPT_HEADERS = 256
/** Of a log line. */
const NAMED_COINS = 16

export const auditorActor: ActorDefinition<
  AuditorContext,
  AuditorInbox,
  AuditorEffect,
  AuditPorts
> = {
  name: 'auditor',
  machine: memberMachine('auditor'),
  mailbox: { capacity: 1_000 },
  init: async ({ ports }) => ({
    context: { ports, headers: [], nextNode: 0, isLooking: false, suspected: [], missing: [] },
    effects: [every(ports.everyMs, 'audit', { type: 'auditor.AuditDue', payload: {} })],
    event: 'READY',
  }),
  handle: (context, message, { nowMs, state }) => {
    switch (message.type) {
      case 'auditor.HeadersFollowed': {
        const headers = [...context.headers, ...message.payload.headers].slice(-KEPT_HEADERS)
        return { context: { ...context, headers } }
      }
      case 'auditor.AuditDue':
        return ask(context, nowMs)
      case 'auditor.ProofReceived':
        return proofReceived(context, message.payload)
      case 'auditor.AuditEnded':
        return ended({ ...context, isLooking: false }, message.payload.verdict)
      case 'member.MemberStopping':
        return state === 'Stopping' ? { context } : { context, event: 'STOP' }
    }
  },
  perform,
  notice: (fact) =>
    fact.kind === 'stopping' ? { type: 'member.MemberStopping', payload: {} } : undefined,
}

function ask(context: AuditorContext, nowMs: number): AuditorStep {
  const { headers, isLooking, nextNode, ports } = context
  if (isLooking || headers.length === 0) return { context }
  const node = nextNode % ports.nodes
  const requestId = `${AUDIT_REQUEST}${nowMs}`
  const body = {
    kind: 'ledgerProofRequest',
    rows: [],
    batchId: new Uint8Array(0),
    version: 0,
    reserve: true,
  } as const
  return {
    context: { ...context, asked: { node, requestId }, nextNode: node + 1 },
    effects: [tell('links', { type: 'links.SendToNode', payload: { node, requestId, body } })],
  }
}

function proofReceived(
  context: AuditorContext,
  { height, node, requestId, rows }: ProofReceived['payload'],
): AuditorStep {
  const { asked, ...rest } = context
  if (asked?.requestId !== requestId || asked.node !== node) return { context }
  const header = context.headers.find((each) => each.height === height)
  // A node may be a block ahead of what is verified here: the next audit asks again. A reserve without coins has no row.
  if (header === undefined || rows === undefined || rows.length === 0) return { context: rest }
  const reserve = shownReserve(header.ledgerRoot, rows)
  if (reserve === undefined) {
    const event = 'a node proves no coin of the reserve'
    return { context: rest, effects: [{ kind: 'log', level: 'warn', event, fields: { node } }] }
  }
  const isKept = !reserve.isWhole && rows.length < STREAM_LIMITS.maxProofRows
  const event = 'a node keeps coins of the reserve back'
  const log = { kind: 'log', level: 'warn', event, fields: { node } } as const
  const look = { kind: 'look', reserve } as const
  return { context: { ...rest, isLooking: true }, effects: isKept ? [log, look] : [look] }
}

/** What is not known says nothing about what was found before. */
function ended(context: AuditorContext, verdict: AuditVerdict): AuditorStep {
  if (verdict.kind === 'unknown') return notKnown(context, verdict.code)
  const { unknown: _, ...known } = context
  return judged(known, verdict)
}

/** Told when it begins, and when the reason is another. */
function notKnown(context: AuditorContext, code: string): AuditorStep {
  if (context.unknown === code) return { context }
  const event = 'whether the reserve is on Bitcoin is not known'
  const log = { kind: 'log', level: 'warn', event, fields: { code } } as const
  return { context: { ...context, unknown: code }, effects: [log] }
}

function judged(
  context: AuditorContext,
  verdict: Exclude<AuditVerdict, { readonly kind: 'unknown' }>,
): AuditorStep {
  const found = verdict.kind === 'pass' ? [] : verdict.missing
  const missing = found.filter((coin) => context.suspected.includes(coin))
  const next = { ...context, suspected: found, missing }
  const isNews = missing.join() !== context.missing.join()
  if (!isNews) return { context: next }
  const told = tell('signer', { type: 'signer.ReserveAudited', payload: { missing } })
  const coins = missing.slice(0, NAMED_COINS)
  const effects: (AuditorEffect | KernelEffect)[] = [told]
  if (missing.length === 0) {
    const event = 'the reserve is on Bitcoin again: signing goes on'
    effects.push({ kind: 'log', level: 'info', event, fields: {} })
    return { context: next, effects, event: 'RECOVERED' }
  }
  const event = 'coins of the reserve are missing on Bitcoin: nothing is signed'
  effects.push({ kind: 'log', level: 'error', event, fields: { coins, count: missing.length } })
  return { context: next, effects, ...(context.missing.length === 0 && { event: 'DEGRADED' }) }
}

async function perform(
  effect: AuditorEffect,
  run: ActorRun<AuditorInbox, AuditPorts>,
): Promise<AuditorInbox | undefined> {
  if (effect.kind === 'log') {
    run.log(effect.level, effect.event, { ...effect.fields })
    return undefined
  }
  const { reserve } = effect
  const outpoints = reserve.coins.map(({ key }) => splitOutpoint(key))
  const sight = await run.ports.bitcoin.coins(reserve.tipHash, outpoints)
  const verdict = auditReserve(reserve, sight)
  run.ports.metrics.count('millrace_member_audits_total', { verdict: verdict.kind })
  return { type: 'auditor.AuditEnded', payload: { verdict } }
}
