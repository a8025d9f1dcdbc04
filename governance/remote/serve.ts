/**
 * Answers a member's questions from the vault of this process. Told to stop, it agrees to nothing new, and waits for the parts of what it
 * offered last (N4).
 */
import { wait } from '../../bridge/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { SignerFields, SignerMethod } from '../../proto/index.ts'
import type { Clock, LogLevel, MetricSink } from '../../supervisor/index.ts'
import type { Belief, Vault, VaultVerdict } from '../port.ts'
import { STALE_ADVICE, STALE_EVENT } from '../trust.ts'
import * as wire from './wire.ts'

export interface ServeOptions {
  readonly vault: Vault
  readonly genesisHash: Uint8Array
  readonly memberIndex: number
  readonly software: string
  readonly clock: Clock
  readonly metrics: Pick<MetricSink, 'count' | 'observe'>
  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void
}

export interface Answers {
  /** The answer's fields; undefined: no question of the schema. Rejects where the vault does. */
  answer(method: SignerMethod, fields: SignerFields): Promise<SignerFields | undefined>
  /** Resolves when what was begun is done, or has had its time. */
  finish(): Promise<void>
}

/** Within this time after an offer its parts are asked for, or those of another list. */
const OFFER_MS = 5_000
const NEXT_OFFER_MS = 2_000
const STOPPING = wait('SignerStopping', 2_000)

type Answerer = (fields: SignerFields) => Promise<SignerFields | undefined>

export function createAnswers(options: ServeOptions): Answers {
  const { clock, genesisHash, log, memberIndex, metrics, software, vault } = options
  let isStopping = false
  let open = 0
  let offerOutUntilMs = 0
  let waiting: (() => void) | undefined
  let wasStale = false

  /** What is begun anew waits for another time when this process stops. */
  function starts<T>(act: () => Promise<VaultVerdict<T>>): Promise<VaultVerdict<T>> {
    return isStopping ? Promise.resolve(STOPPING) : act()
  }

  function offered(lastsMs: number): void {
    offerOutUntilMs = clock.nowMs() + lastsMs
  }

  function toldStale({ header, isStale }: Belief): void {
    const fields = { height: header.height }
    if (isStale) log('error', STALE_EVENT, { ...fields, advice: STALE_ADVICE })
    else log('info', 'what is believed is within the trust window again', fields)
  }

  function told<T>(what: string, fields: object, verdict: VaultVerdict<T>): VaultVerdict<T> {
    const isRefusal = verdict.kind === 'refuse'
    const code = verdict.kind === 'sign' ? '' : verdict.code
    metrics.count('signer_verdicts_total', { question: what, verdict: verdict.kind, code })
    log(isRefusal ? 'warn' : 'info', `${what}: ${verdict.kind}`, {
      ...fields,
      ...(code && { code }),
    })
    return verdict
  }

  const answerers: Readonly<Record<SignerMethod, Answerer>> = {
    Hello: answerer(wire.hello, wire.welcome, async (asked) => {
      if (!equalBytes(asked.genesisHash, genesisHash)) {
        log('warn', 'a member of another chain', { genesis: toHex(asked.genesisHash) })
      }
      const head = await vault.head()
      if (head.isStale !== wasStale) toldStale(head)
      wasStale = head.isStale
      return { genesisHash, memberIndex, head, software }
    }),
    Follow: answerer(wire.followQuestion, wire.followAnswer, (headers) => vault.follow(headers)),
    Approve: answerer(wire.approvalQuestion, wire.approvalAnswer, async (question) => {
      const verdict = await starts(() => vault.approve(question))
      return told('approval', { deposit: question.request.outpoint }, verdict)
    }),
    Offer: answerer(wire.offerQuestion, wire.offerAnswer, async (question) => {
      const verdict = await starts(() => vault.offer(question))
      if (verdict.kind === 'sign') offered(OFFER_MS)
      const { attempt, batchId, version } = question.request
      return told(
        'offer',
        { batch: toHex(batchId), version, attempt, node: question.node },
        verdict,
      )
    }),
    Parts: answerer(wire.partsQuestion, wire.partsAnswer, async (question) => {
      const verdict = await vault.parts(question)
      if (verdict.kind === 'sign') offered(verdict.value.next === undefined ? 0 : NEXT_OFFER_MS)
      const { attempt, batchId, node, version } = question
      return told('parts', { batch: toHex(batchId), version, attempt, node }, verdict)
    }),
    Keygen: answerer(wire.keygenQuestion, wire.keygenAnswer, async (question) => {
      const verdict = await starts(() => vault.keygen(question))
      return told('keygen', { epoch: question.epoch }, verdict)
    }),
    Settle: answerer(wire.settleQuestion, wire.settleAnswer, (key) => vault.settle(key)),
  }

  function done(): void {
    if (open === 0 && clock.nowMs() >= offerOutUntilMs) waiting?.()
  }

  return {
    answer: async (method, fields) => {
      open += 1
      const startedMs = clock.nowMs()
      try {
        return await answerers[method](fields)
      } finally {
        open -= 1
        metrics.observe('signer_answer_seconds', { method }, (clock.nowMs() - startedMs) / 1_000)
        if (isStopping) done()
      }
    },
    finish: async () => {
      isStopping = true
      const finished = new Promise<void>((resolve) => {
        waiting = resolve
      })
      const leftMs = Math.max(0, offerOutUntilMs - clock.nowMs())
      const timer = clock.setTimer(leftMs, done)
      done()
      await finished
      timer.cancel()
    },
  }
}

function answerer<Q, A>(
  question: wire.Codec<Q>,
  answer: wire.Codec<A>,
  act: (question: Q) => Promise<A>,
): Answerer {
  return async (fields) => {
    const decoded = question.decode(fields)
    return decoded === undefined ? undefined : answer.encode(await act(decoded))
  }
}
