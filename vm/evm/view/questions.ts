/** What is asked of a state in a thread apart, and what it answers. `height`: after which block; absent: the latest. */
import type {
  AccessListResult,
  CallRequest,
  CallResult,
  EstimateResult,
  TraceResult,
} from './call.ts'
import type { AccountProof } from './proof.ts'
import type { TraceConfig } from './tracers.ts'

type At = { readonly height?: number | undefined }

export type Questions = {
  readonly call: At & { readonly request: CallRequest }
  readonly estimateGas: At & { readonly request: CallRequest }
  readonly createAccessList: At & { readonly request: CallRequest }
  readonly traceCall: At & { readonly request: CallRequest; readonly config: TraceConfig }
  /** Transactions `from` to `to` of the block at `height`. */
  readonly traceBlock: {
    readonly height: number
    readonly from: number
    readonly to: number
    readonly config: TraceConfig
  }
  /** Of the latest state. */
  readonly proof: At & { readonly address: Uint8Array; readonly slots: readonly Uint8Array[] }
}

export type Answers = {
  readonly call: CallResult
  readonly estimateGas: EstimateResult
  readonly createAccessList: AccessListResult
  readonly traceCall: TraceResult
  /** JSON by position; undefined where a trace does not fit into an answer. */
  readonly traceBlock: { readonly ok: true; readonly traces: readonly unknown[] }
  readonly proof: { readonly ok: true; readonly proof: AccountProof }
}

/** The state after that block is not kept, or there is no such block. */
export type StateGone = { readonly ok: false; readonly code: 'StateUnavailable' }

export type QuestionKind = keyof Questions
export type AnswerOf<Kind extends QuestionKind> = Answers[Kind] | StateGone

/** An aborted question ends with the thread that works on it. */
export type Ask = <Kind extends QuestionKind>(
  kind: Kind,
  question: Questions[Kind],
  signal?: AbortSignal,
) => Promise<AnswerOf<Kind>>
