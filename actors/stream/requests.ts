/**
 * The open requests: what Bridge wants from the members, whom it was sent to and what each has answered. Pure; a
 * request is known by its key, so that the same question twice is one question (PI-10, PO-13, GV-5).
 */
import type { NonceOffer } from '../../core/signing/index.ts'
import type { Decision, NodeBody } from '../../proto/index.ts'
import { ANSWER_MS, FORGET_MS, MAX_OPEN_REQUESTS, REFUSAL_MS, RETRY_MS } from './limits.ts'

/** How it stands with one member. */
export interface Asked {
  /** Not asked again before this time. */
  readonly notBeforeMs: number
  readonly answer?: MemberAnswer
}

export interface MemberAnswer {
  readonly decision: Exclude<Decision, 'UNKNOWN'>
  readonly code: string
  /** Of an approval. */
  readonly signatures: readonly Uint8Array[]
  /** For a batch. */
  readonly offer?: NonceOffer
}

export interface OpenRequest {
  /** Request id on the wire. */
  readonly key: string
  readonly correlationId: string
  readonly body: NodeBody
  /** What an answer must repeat for it to count. */
  readonly bound: Uint8Array
  /** Bridge asked, or repeated itself, at this time. */
  readonly wantedAtMs: number
  readonly asked: ReadonlyMap<number, Asked>
}

export type OpenRequests = ReadonlyMap<string, OpenRequest>

/** Adds a request, or marks the one that is open as still wanted; the oldest gives way to too many. */
export function openRequest(
  open: OpenRequests,
  request: Omit<OpenRequest, 'asked'>,
  isSame: (present: OpenRequest) => boolean,
): OpenRequests {
  const next = new Map(open)
  const present = next.get(request.key)
  next.delete(request.key)
  const asked = present !== undefined && isSame(present) ? present.asked : new Map()
  next.set(request.key, { ...request, asked })
  if (next.size > MAX_OPEN_REQUESTS) next.delete(next.keys().next().value as string)
  return next
}

export interface Dispatch {
  readonly memberIndex: number
  readonly request: OpenRequest
}

/** Whom to ask what now; those are then put off by the time that an answer may take. */
export function dueRequests(
  open: OpenRequests,
  connected: readonly number[],
  nowMs: number,
): { readonly open: OpenRequests; readonly dispatches: readonly Dispatch[] } {
  const dispatches: Dispatch[] = []
  let next: Map<string, OpenRequest> | undefined
  for (const [key, request] of open) {
    if (nowMs - request.wantedAtMs > FORGET_MS) {
      next ??= new Map(open)
      next.delete(key)
      continue
    }
    const due = connected.filter((memberIndex) => isDue(request.asked.get(memberIndex), nowMs))
    if (due.length === 0) continue
    const asked = new Map(request.asked)
    for (const memberIndex of due) {
      asked.set(memberIndex, { notBeforeMs: nowMs + ANSWER_MS })
      dispatches.push({ memberIndex, request })
    }
    next ??= new Map(open)
    next.set(key, { ...request, asked })
  }
  return { open: next ?? open, dispatches }
}

function isDue(asked: Asked | undefined, nowMs: number): boolean {
  if (asked === undefined) return true
  return asked.answer?.decision !== 'APPROVED' && asked.notBeforeMs <= nowMs
}

/** A member's final word on a request. */
export function answered(
  open: OpenRequests,
  request: OpenRequest,
  memberIndex: number,
  answer: MemberAnswer,
  nowMs: number,
): OpenRequests {
  return withAsked(open, request, memberIndex, { notBeforeMs: nowMs + REFUSAL_MS, answer })
}

/** A member cannot say yet. */
export function postponed(
  open: OpenRequests,
  request: OpenRequest,
  memberIndex: number,
  retryAfterMs: number,
  nowMs: number,
): OpenRequests {
  const delayMs = Math.min(Math.max(retryAfterMs, RETRY_MS.least), RETRY_MS.most)
  return withAsked(open, request, memberIndex, { notBeforeMs: nowMs + delayMs })
}

/** A member that comes back is asked at once whatever it has not answered (GV-10). */
export function forgetAsked(open: OpenRequests, memberIndex: number): OpenRequests {
  const next = new Map(open)
  for (const [key, request] of open) {
    if (request.asked.get(memberIndex)?.answer !== undefined) continue
    const asked = new Map(request.asked)
    asked.delete(memberIndex)
    next.set(key, { ...request, asked })
  }
  return next
}

function withAsked(
  open: OpenRequests,
  request: OpenRequest,
  memberIndex: number,
  entry: Asked,
): OpenRequests {
  const asked = new Map(request.asked).set(memberIndex, entry)
  return new Map(open).set(request.key, { ...request, asked })
}
