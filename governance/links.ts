/**
 * The actor that keeps one stream to every federation node: opens it, opens it again after 1 s, 2 s … 60 s ± 10 % for ever
 * (GV-10), and takes what arrives to whom it concerns. It judges nothing.
 */
import {
  type ActorDefinition,
  type ActorRun,
  after,
  backoffMs,
  DEFAULT_RESTART,
  type KernelEffect,
  type Step,
  tell,
  watchOverload,
} from '../supervisor/index.ts'
import { memberMachine } from './machine.ts'
import {
  AUDIT_REQUEST,
  KEYGEN_REQUEST,
  type LinkReceived,
  type LinksInbox,
  type NodeIndex,
  type ProofReceived,
  type SendToNode,
} from './messages.ts'
import type { LinksPorts } from './port.ts'

interface Link {
  readonly up: boolean
  /** Attempts in a row that failed. */
  readonly failures: number
}

export interface LinksContext {
  readonly links: readonly Link[]
  /** An offer of nonces is out that a list may hold: the streams stay for its parts (N4, SU-12). */
  readonly isSigning: boolean
}

/** Within this time a node asks for the parts of an offer, or what stands beside parts is used by another list. */
const OFFER_MS = 5_000
const NEXT_OFFER_MS = 2_000

export type LinksEffect =
  | { readonly kind: 'open'; readonly node: NodeIndex }
  | { readonly kind: 'send'; readonly message: SendToNode['payload'] }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn' | 'debug'
      readonly event: string
      readonly fields: Readonly<Record<string, unknown>>
    }

type LinksStep = Step<LinksContext, LinksEffect>

const RECONNECT = { ...DEFAULT_RESTART, backoffFirstMs: 1_000, backoffMaxMs: 60_000, jitter: 0.1 }

export const linksActor: ActorDefinition<LinksContext, LinksInbox, LinksEffect, LinksPorts> = {
  name: 'links',
  machine: memberMachine('links'),
  mailbox: { capacity: 1_000 },
  init: async (run) => {
    const { nodes } = run.ports
    watchOverload(run, READERS, (paused) => run.ports.pauseReading(paused))
    return {
      context: {
        links: Array.from({ length: nodes }, () => ({ up: false, failures: 0 })),
        isSigning: false,
      },
      messages: Array.from({ length: nodes }, (_, node) => connect(node)),
      event: ['READY', 'DEGRADED'],
    }
  },
  handle: (context, message, { state }) => withMode(step(context, message, state), state),
  perform,
  busy: ({ isSigning }) => isSigning,
  stop: async (_context, { ports }) => ports.closeAll(),
  notice: (fact) =>
    fact.kind === 'stopping' ? { type: 'member.MemberStopping', payload: {} } : undefined,
}

/** Who takes what nodes send: while one of them has too much to do, nodes wait (SU-9). */
const READERS = ['links', 'signer', 'follower', 'keygen', 'auditor']

function connect(node: NodeIndex): LinksInbox {
  return { type: 'links.Connect', payload: { node } }
}

function step(context: LinksContext, message: LinksInbox, state: string): LinksStep {
  switch (message.type) {
    case 'links.Connect':
      return { context, effects: [{ kind: 'open', node: message.payload.node }] }
    case 'links.LinkUp': {
      const { node, memberIndex } = message.payload
      const fields = { node, memberIndex }
      return {
        context: withLink(context, node, { up: true, failures: 0 }),
        effects: [{ kind: 'log', level: 'info', event: 'connected to node', fields }],
      }
    }
    case 'links.LinkDown': {
      const { node, reason, chance } = message.payload
      const failures = context.links[node]?.failures ?? 0
      const retryMs = backoffMs(failures, RECONNECT, chance)
      const fields = { node, reason, retryMs }
      return {
        context: withLink(context, node, { up: false, failures: failures + 1 }),
        effects: [
          // Said once; what follows are only further attempts.
          {
            kind: 'log',
            level: failures === 0 ? 'warn' : 'debug',
            event: 'no stream to node',
            fields,
          },
          after(retryMs, `connect-${node}`, connect(node)),
        ],
      }
    }
    case 'links.LinkReceived': {
      // Who goes finishes what it began to sign, and begins nothing.
      const isLate = state === 'Stopping' && message.payload.body.kind === 'signatureRequest'
      return isLate ? { context } : { context, effects: [route(message.payload)] }
    }
    case 'links.SendToNode':
      return sent(context, message.payload, state)
    case 'links.OfferLapsed':
      return { context: { ...context, isSigning: false } }
    case 'member.MemberStopping':
      return { context, event: 'STOP' }
  }
}

function sent(context: LinksContext, message: SendToNode['payload'], state: string): LinksStep {
  const { body } = message
  const send = { kind: 'send', message } as const
  const offers = 'offers' in body ? body.offers.length : 0
  if (offers === 0 || state === 'Stopping') return { context, effects: [send] }
  const lapsed = { type: 'links.OfferLapsed', payload: {} } as const
  const lastsMs = body.kind === 'signatureResponse' ? OFFER_MS : NEXT_OFFER_MS
  return {
    context: { ...context, isSigning: true },
    effects: [send, after(lastsMs, 'offer', lapsed)],
  }
}

function withLink(context: LinksContext, node: NodeIndex, link: Link): LinksContext {
  return {
    ...context,
    links: context.links.map((present, index) => (index === node ? link : present)),
  }
}

/** Degraded while no node is connected. */
function withMode(given: LinksStep, state: string): LinksStep {
  if (given.event !== undefined) return state === 'Stopping' ? { context: given.context } : given
  const isUp = given.context.links.some(({ up }) => up)
  if (isUp && state === 'Degraded') return { ...given, event: 'RECOVERED' }
  return !isUp && state === 'Running' ? { ...given, event: 'DEGRADED' } : given
}

function route({ node, requestId, body }: LinkReceived['payload']): LinksEffect | KernelEffect {
  switch (body.kind) {
    case 'requestFederationApproval':
      return tell('signer', {
        type: 'signer.ApprovalAsked',
        payload: { node, requestId, request: body },
      })
    case 'signatureRequest':
      return tell('signer', {
        type: 'signer.SignatureAsked',
        payload: { node, requestId, request: body },
      })
    case 'partsRequest':
      return tell('signer', {
        type: 'signer.PartsAsked',
        payload: { node, requestId, request: body },
      })
    case 'ledgerProof': {
      const { height, rows } = body
      return proof({ node, requestId, height, rows })
    }
    case 'errorResponse': {
      const reason = `${body.code}: ${body.message}`.slice(0, 200)
      return proof({ node, requestId, height: 0, reason })
    }
    case 'newHead':
      return tell('follower', {
        type: 'follower.HeadSeen',
        payload: { node, height: body.height, head: body.head },
      })
    case 'certifiedHeaders':
      return tell('follower', {
        type: 'follower.HeadersReceived',
        payload: { node, requestId, headers: body.headers },
      })
    default: {
      const fields = { node, kind: body.kind }
      return { kind: 'log', level: 'debug', event: 'message of a node ignored', fields }
    }
  }
}

/** Questions of keygen and of the auditor bear their names. */
function proof(payload: ProofReceived['payload']): KernelEffect {
  if (payload.requestId.startsWith(AUDIT_REQUEST)) {
    return tell('auditor', { type: 'auditor.ProofReceived', payload })
  }
  return payload.requestId.startsWith(KEYGEN_REQUEST)
    ? tell('keygen', { type: 'keygen.ProofReceived', payload })
    : tell('signer', { type: 'signer.ProofReceived', payload })
}

async function perform(
  effect: LinksEffect,
  run: ActorRun<LinksInbox, LinksPorts>,
): Promise<undefined> {
  switch (effect.kind) {
    case 'open':
      open(effect.node, run)
      return undefined
    case 'send': {
      const { node, requestId, body } = effect.message
      const outcome = run.ports.send(node, { requestId, correlationId: run.correlationId, body })
      if (outcome === 'closed') run.log('debug', 'not sent: no stream', { node, kind: body.kind })
      return undefined
    }
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}

function open(node: NodeIndex, run: ActorRun<LinksInbox, LinksPorts>): void {
  run.ports.open(node, {
    registered: (memberIndex) => {
      void run.tell(run.self, { type: 'links.LinkUp', payload: { node, memberIndex } })
    },
    message: async ({ requestId, correlationId, body }) => {
      await run.tell(
        run.self,
        { type: 'links.LinkReceived', payload: { node, requestId, body } },
        correlationId === '' ? {} : { correlationId },
      )
    },
    closed: (reason) => {
      const chance = (run.random.bytes(1)[0] ?? 0) / 256
      void run.tell(run.self, { type: 'links.LinkDown', payload: { node, reason, chance } })
    },
  })
}
