/** Read-only calls and traces, apart from the engine's thread: a slow one delays other calls and no block. */
import { workerData } from 'piscina'
import {
  type AnswerOf,
  type CallSite,
  loadCalls,
  proveAccount,
  type QuestionKind,
  type Questions,
  type StateGone,
  type TracedBlock,
} from '../../../vm/evm/index.ts'
import { type EngineDatabase, openEngineDatabase } from './store.ts'
import type { CallsWorkerData } from './wire.ts'

type Answerer = {
  readonly [Kind in QuestionKind]: (question: Questions[Kind]) => Promise<AnswerOf<Kind>>
}

const { directory, chainId } = workerData as CallsWorkerData
const database = openEngineDatabase(directory, 'read')
const calls = await loadCalls(chainId)

const GONE: StateGone = { ok: false, code: 'StateUnavailable' }

const answerer: Answerer = {
  call: async ({ height, request }) => at(height, (site) => calls.call(site, request)),
  estimateGas: async ({ height, request }) =>
    at(height, (site) => calls.estimateGas(site, request)),
  createAccessList: async ({ height, request }) =>
    at(height, (site) => calls.createAccessList(site, request)),
  traceCall: async ({ height, request, config }) =>
    at(height, (site) => calls.traceCall(site, request, config)),
  async traceBlock({ height, from, to, config }) {
    const block = tracedBlock(fresh(), height)
    if (block === undefined) return GONE
    return { ok: true, traces: await calls.traceBlock(block, config, from, to) }
  },
  async proof({ height, address, slots }) {
    const state = fresh()
    const head = state.head()
    if (head === undefined || (height !== undefined && height !== head.number)) return GONE
    return { ok: true, proof: proveAccount(state.view(), address, slots) }
  },
}

/** The interpreter is loaded. */
export function ready(): void {}

export function answer<Kind extends QuestionKind>(asked: {
  readonly kind: Kind
  readonly question: Questions[Kind]
}): Promise<AnswerOf<Kind>> {
  return answerer[asked.kind](asked.question)
}

/** A pool's thread sleeps between tasks without an event turn, which would end the last snapshot. */
function fresh(): EngineDatabase {
  if ('code' in database) throw new Error(database.reason)
  database.refresh()
  return database
}

function at<T>(
  height: number | undefined,
  read: (site: CallSite) => Promise<T>,
): Promise<T> | StateGone {
  const state = fresh()
  const asked = height ?? state.head()?.number
  if (asked === undefined) return GONE
  const block = state.payloadAt(asked)
  const view = state.viewAt(asked)
  return block === undefined || view === undefined ? GONE : read({ view, block })
}

function tracedBlock(state: EngineDatabase, height: number): TracedBlock | undefined {
  if (height === 0) return undefined
  const [parent, payload] = [state.payloadAt(height - 1), state.payloadAt(height)]
  const view = state.viewAt(height - 1)
  if (parent === undefined || payload === undefined || view === undefined) return undefined
  return { view, parent, payload, senders: state.sendersAt(height) }
}
