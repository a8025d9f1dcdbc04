/**
 * The actor that follows Millrace's headers with the light client (`light-client.ts`): asks whichever node claims more, believes
 * only certificates, keeps the highest verified header on disk, and tells the signer the ledger roots it may rely on.
 */
import { decodeCertificate, decodeHeader, decodeValidators } from '../core/block/index.ts'
import type { CertifiedHeader } from '../core/light/index.ts'
import type { CertifiedHeaderBytes } from '../proto/index.ts'
import {
  type ActorDefinition,
  type ActorRun,
  every,
  type KernelEffect,
  type Step,
  tell,
} from '../supervisor/index.ts'
import {
  announcesSet,
  contradicts,
  type FollowedHeader,
  followHeaders,
  type LightClient,
  resumeLightClient,
  startLightClient,
  storedHead,
} from './light-client.ts'
import { memberMachine } from './machine.ts'
import type { FollowerInbox, LogEffect, NodeIndex } from './messages.ts'
import type { FollowerPorts } from './port.ts'

/** Headers asked for at a time. */
const RANGE = 256
const CHECK_MS = 1_000
/** A node that has not answered by then is not waited for. */
const ANSWER_MS = 10_000
/** A node that sent what does not hold is not asked for this long. */
const DISTRUST_MS = 10_000

interface Claim {
  readonly height: number
  readonly distrustedUntilMs: number
}

interface Wanted {
  readonly node: NodeIndex
  readonly requestId: string
  readonly fromHeight: number
  readonly askedAtMs: number
}

export interface FollowerContext {
  readonly client: LightClient
  /** The highest block that each node claims to have. */
  readonly claims: ReadonlyMap<NodeIndex, Claim>
  readonly wanted?: Wanted
  /** The next question goes to another node if there is one: none of them alone can slow this member down. */
  readonly lastAsked?: NodeIndex
  readonly contradicted: boolean
}

export type FollowerEffect =
  | {
      readonly kind: 'save'
      readonly client: LightClient
      /** Of the headers since the last save those that announced other validators. */
      readonly announced: readonly CertifiedHeader[]
    }
  | LogEffect

type FollowerStep = Step<FollowerContext, FollowerEffect>

export const followerActor: ActorDefinition<
  FollowerContext,
  FollowerInbox,
  FollowerEffect,
  FollowerPorts
> = {
  name: 'follower',
  machine: memberMachine('follower'),
  mailbox: { capacity: 1_000 },
  init: async ({ ports, log }) => {
    const stored = await ports.store.load()
    const client =
      stored === undefined
        ? startLightClient(ports.genesis)
        : resumeLightClient(ports.genesis, stored)
    log('info', 'following the chain', { height: client.head.height })
    return {
      context: { client, claims: new Map(), contradicted: false },
      effects: [
        every(CHECK_MS, 'check', { type: 'follower.CheckFollowing', payload: {} }),
        ...announce(client.recent),
      ],
      event: 'READY',
    }
  },
  handle: (context, message, { nowMs, state }) => {
    switch (message.type) {
      case 'follower.HeadSeen': {
        const { node, height, head } = message.payload
        return headSeen(context, node, height, head, nowMs)
      }
      case 'follower.HeadersReceived': {
        const { node, requestId, headers } = message.payload
        const { wanted, ...rest } = context
        if (wanted?.requestId !== requestId || wanted.node !== node) return { context }
        return answerReceived(rest, wanted, headers, nowMs)
      }
      case 'follower.CheckFollowing':
        return askForMore(context, nowMs)
      case 'member.MemberStopping':
        return state === 'Stopping' ? { context } : { context, event: 'STOP' }
    }
  },
  perform,
  /** Saves keep their order. */
  lane: (effect) => (effect.kind === 'save' ? 'save' : undefined),
  notice: (fact) =>
    fact.kind === 'stopping' ? { type: 'member.MemberStopping', payload: {} } : undefined,
}

function announce(headers: readonly FollowedHeader[]): KernelEffect[] {
  return [
    tell('signer', { type: 'signer.HeadersFollowed', payload: { headers } }),
    tell('keygen', { type: 'keygen.HeadersFollowed', payload: { headers } }),
    tell('auditor', { type: 'auditor.HeadersFollowed', payload: { headers } }),
  ]
}

function headSeen(
  context: FollowerContext,
  node: NodeIndex,
  height: number,
  head: CertifiedHeaderBytes,
  nowMs: number,
): FollowerStep {
  const present = context.claims.get(node)
  const claim = { height, distrustedUntilMs: present?.distrustedUntilMs ?? 0 }
  const seen = { ...context, claims: new Map(context.claims).set(node, claim) }
  if (claim.distrustedUntilMs > nowMs) return { context: seen }
  const { client } = seen
  if (height === client.head.height + 1) return follow(seen, node, [head], nowMs)
  if (height <= client.head.height) {
    const decoded = decode(head)
    const isContradiction = decoded !== undefined && contradicts(client, decoded)
    return isContradiction ? contradiction(seen, height) : { context: seen }
  }
  return askForMore(seen, nowMs)
}

/** More than f validators signed two blocks of one height: a person has to act, and nothing is signed (2.7). */
function contradiction(context: FollowerContext, height: number): FollowerStep {
  if (context.contradicted) return { context }
  return {
    context: { ...context, contradicted: true },
    effects: [
      {
        kind: 'log',
        level: 'error',
        event: 'two certified blocks at one height',
        fields: { height },
      },
      tell('signer', { type: 'signer.ChainContradicted', payload: { height } }),
    ],
  }
}

/** Who claims more and shows nothing that leads on is not asked for a while, and another one is asked. */
function answerReceived(
  context: FollowerContext,
  { fromHeight, node }: Wanted,
  headers: readonly CertifiedHeaderBytes[],
  nowMs: number,
): FollowerStep {
  const step = follow(context, node, headers, nowMs)
  const moved = step.context.client !== context.client
  // Meanwhile a head that was told may have led past what was asked for.
  if (moved || context.client.head.height >= fromHeight) return step
  const refused = step.effects === undefined ? distrust(context, node, 'NothingNew', nowMs) : step
  const other = askForMore(refused.context, nowMs)
  return {
    context: other.context,
    effects: [...(refused.effects ?? []), ...(other.effects ?? [])],
  }
}

function follow(
  context: FollowerContext,
  node: NodeIndex,
  headers: readonly CertifiedHeaderBytes[],
  nowMs: number,
): FollowerStep {
  const { client } = context
  const decoded = headers.map(decode)
  if (decoded.includes(undefined)) return distrust(context, node, 'Malformed', nowMs)
  const fresh = (decoded as CertifiedHeader[]).filter(
    ({ header }) => header.height > client.head.height,
  )
  if (fresh.length === 0) return { context }
  const result = followHeaders(client, fresh)
  if (!result.ok) {
    const { code, height, detail } = result.error
    return distrust(context, node, `${code} at ${height} ${detail ?? ''}`.trim(), nowMs)
  }
  const added = result.value.recent.slice(-fresh.length)
  const next = { ...context, client: result.value }
  const more = askForMore(next, nowMs)
  return {
    context: more.context,
    effects: [
      { kind: 'save', client: result.value, announced: fresh.filter(announcesSet) },
      ...announce(added),
      ...(more.effects ?? []),
    ],
  }
}

function decode(bytes: CertifiedHeaderBytes): CertifiedHeader | undefined {
  const header = decodeHeader(bytes.header)
  const certificate = decodeCertificate(bytes.certificate)
  const validators = decodeValidators(bytes.nextValidators)
  if (!header.ok || !certificate.ok || !validators.ok) return undefined
  const certified = { header: header.value, certificate: certificate.value }
  const shown = validators.value
  return shown.length === 0 ? certified : { ...certified, nextValidators: shown }
}

function distrust(
  context: FollowerContext,
  node: NodeIndex,
  reason: string,
  nowMs: number,
): FollowerStep {
  const claim = { height: 0, distrustedUntilMs: nowMs + DISTRUST_MS }
  const fields = { node, reason }
  return {
    context: { ...context, claims: new Map(context.claims).set(node, claim) },
    effects: [{ kind: 'log', level: 'warn', event: 'headers of a node refused', fields }],
  }
}

/** Asks the node that claims most for what follows our head, one range at a time. */
function askForMore(context: FollowerContext, nowMs: number): FollowerStep {
  const { client, wanted } = context
  if (wanted !== undefined && nowMs - wanted.askedAtMs < ANSWER_MS) return { context }
  const { height } = client.head
  const ahead = [...context.claims]
    .filter(([, claim]) => claim.height > height && claim.distrustedUntilMs <= nowMs)
    .sort(([a, left], [b, right]) => rank(a) - rank(b) || right.height - left.height)
  const [best] = ahead
  if (best === undefined) {
    const { wanted: _, ...rest } = context
    return { context: rest }
  }
  const [node, claim] = best
  const count = Math.min(RANGE, claim.height - height)
  const requestId = `headers-${height + 1}-${nowMs}`
  const body = { kind: 'headerRequest', fromHeight: height + 1, count } as const
  return {
    context: {
      ...context,
      wanted: { node, requestId, fromHeight: height + 1, askedAtMs: nowMs },
      lastAsked: node,
    },
    effects: [tell('links', { type: 'links.SendToNode', payload: { node, requestId, body } })],
  }

  function rank(candidate: NodeIndex): number {
    return candidate === context.lastAsked ? 1 : 0
  }
}

async function perform(
  effect: FollowerEffect,
  run: ActorRun<FollowerInbox, FollowerPorts>,
): Promise<undefined> {
  switch (effect.kind) {
    case 'save':
      await run.ports.store.save(storedHead(effect.client), effect.announced)
      return undefined
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}
