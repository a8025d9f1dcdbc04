/**
 * The actor that follows Millrace's headers with the light client (`light-client.ts`): asks whichever node claims more, believes
 * only certificates, keeps the highest verified header on disk, and tells the signer the ledger roots it may rely on. While the vault's belief is
 * older than the trust window it follows nobody (protocol §5.6): it only asks for the block that the operator named, whose hash says whether it
 * is the one.
 */
import { decodeCertificate, decodeHeader, decodeValidators } from '../core/block/index.ts'
import type { CertifiedHeader, KnownBlock } from '../core/light/index.ts'
import { equalBytes } from '../crypto/index.ts'
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
  storedHead,
} from './light-client.ts'
import { memberMachine } from './machine.ts'
import type { FollowerInbox, LogEffect, NodeIndex } from './messages.ts'
import type { Belief, FollowerPorts } from './port.ts'
import { isPast, namedFault, STALE_ADVICE, STALE_EVENT } from './trust.ts'

/** Headers asked for at a time. */
const RANGE = 256
const CHECK_MS = 1_000
/** How often the vault's belief is looked at. */
const LOOK_MS = 10_000
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

/** The vault's belief is too old. */
interface Stale {
  /** What its operator named to go on from. */
  readonly block?: KnownBlock
  /** That block is too old itself. */
  readonly isPast?: true
}

export interface FollowerContext {
  readonly client: LightClient
  readonly stale?: Stale
  readonly lookedAtMs: number
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
  /** Looks at the vault's belief, after it was shown the block that its operator named. */
  | { readonly kind: 'look'; readonly named?: CertifiedHeader }
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
  init: async ({ clock, log, ports }) => {
    const belief = await ports.store.load()
    const client = resumeLightClient(ports.genesis, belief)
    log('info', 'following the chain', { height: client.head.height })
    const context = { client, claims: new Map(), lookedAtMs: clock.nowMs(), contradicted: false }
    const begun = belief.isStale
      ? gotStale(context, belief)
      : { context, effects: announce(client.recent) }
    return {
      context: begun.context,
      effects: [
        every(CHECK_MS, 'check', { type: 'follower.CheckFollowing', payload: {} }),
        ...(begun.effects ?? []),
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
        return context.stale === undefined
          ? answerReceived(rest, wanted, headers, nowMs)
          : namedReceived(rest, context.stale, node, headers, nowMs)
      }
      case 'follower.CheckFollowing':
        return lookOrAsk(context, nowMs)
      case 'follower.BeliefSeen':
        return beliefSeen(context, message.payload.belief, nowMs)
      case 'member.MemberStopping':
        return state === 'Stopping' ? { context } : { context, event: 'STOP' }
    }
  },
  perform,
  /** Saves keep their order, and what is looked at is what they left. */
  lane: (effect) => (effect.kind === 'log' ? undefined : 'save'),
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

function lookOrAsk(context: FollowerContext, nowMs: number): FollowerStep {
  const step = askForMore(context, nowMs)
  if (nowMs - context.lookedAtMs < LOOK_MS) return step
  return {
    context: { ...step.context, lookedAtMs: nowMs },
    effects: [...(step.effects ?? []), { kind: 'look' }],
  }
}

function beliefSeen(context: FollowerContext, belief: Belief, nowMs: number): FollowerStep {
  const { client, stale } = context
  if (belief.isStale) {
    const isKnown = stale !== undefined && isSameBlock(stale.block, belief.trustedBlock)
    return isKnown ? { context } : gotStale(context, belief)
  }
  if (stale === undefined) return { context }
  const { stale: _, wanted: __, ...rest } = context
  const next = { ...rest, client: resumeLightClient(client.genesis, belief) }
  const more = askForMore(next, nowMs)
  const { height } = belief.header
  return {
    context: more.context,
    effects: [
      {
        kind: 'log',
        level: 'info',
        event: 'following on from the block that the operator named',
        fields: { height },
      },
      ...announce(next.client.recent),
      ...(more.effects ?? []),
    ],
  }
}

function isSameBlock(left: KnownBlock | undefined, right: KnownBlock | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  return left.height === right.height && equalBytes(left.hash, right.hash)
}

/** Nothing is followed from here on, and what was asked for is not waited for. */
function gotStale(context: FollowerContext, { header, trustedBlock }: Belief): FollowerStep {
  const { wanted: _, ...rest } = context
  const waits = `waits for block ${trustedBlock?.height}, which the operator named`
  return {
    context: { ...rest, stale: { ...(trustedBlock && { block: trustedBlock }) } },
    effects: [
      {
        kind: 'log',
        level: 'error',
        event: STALE_EVENT,
        fields: { height: header.height, advice: trustedBlock ? waits : STALE_ADVICE },
      },
    ],
  }
}

/** The answer to the question for the block that the operator named. */
function namedReceived(
  context: FollowerContext,
  stale: Stale,
  node: NodeIndex,
  headers: readonly CertifiedHeaderBytes[],
  nowMs: number,
): FollowerStep {
  const { block } = stale
  const [first] = headers
  const item = first && decode(first)
  if (block === undefined) return { context }
  const fault = item === undefined ? 'NothingShown' : namedFault(block, item)
  if (item === undefined || fault !== undefined) {
    const refused = distrust(context, node, fault ?? 'NothingShown', nowMs)
    const other = askForMore(refused.context, nowMs)
    const effects = [...(refused.effects ?? []), ...(other.effects ?? [])]
    return { context: other.context, effects }
  }
  if (!isPast(context.client.genesis, item.header, nowMs)) {
    return { context, effects: [{ kind: 'look', named: item }] }
  }
  const { height } = block
  const event = 'the block that the operator named is itself older than the trust window'
  return {
    context: { ...context, stale: { block, isPast: true } },
    effects: [{ kind: 'log', level: 'error', event, fields: { height, advice: STALE_ADVICE } }],
  }
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
  const { client, stale } = seen
  if (stale !== undefined) return askForMore(seen, nowMs)
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

/** From which height on more is wanted, and how many at most; undefined: nothing is. */
function range({
  client,
  stale,
}: FollowerContext): readonly [from: number, most: number] | undefined {
  if (stale === undefined) return [client.head.height + 1, RANGE]
  return stale.block === undefined || stale.isPast ? undefined : [stale.block.height, 1]
}

/** Asks the node that claims most for what follows our head, one range at a time. */
function askForMore(context: FollowerContext, nowMs: number): FollowerStep {
  const { wanted } = context
  if (wanted !== undefined && nowMs - wanted.askedAtMs < ANSWER_MS) return { context }
  const [fromHeight, most] = range(context) ?? [Number.POSITIVE_INFINITY, 0]
  const ahead = [...context.claims]
    .filter(([, claim]) => claim.height >= fromHeight && claim.distrustedUntilMs <= nowMs)
    .sort(([a, left], [b, right]) => rank(a) - rank(b) || right.height - left.height)
  const [best] = ahead
  if (best === undefined) {
    const { wanted: _, ...rest } = context
    return { context: rest }
  }
  const [node, claim] = best
  const count = Math.min(most, claim.height - fromHeight + 1)
  const requestId = `headers-${fromHeight}-${nowMs}`
  const body = { kind: 'headerRequest', fromHeight, count } as const
  return {
    context: {
      ...context,
      wanted: { node, requestId, fromHeight, askedAtMs: nowMs },
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
): Promise<FollowerInbox | undefined> {
  const { store } = run.ports
  switch (effect.kind) {
    case 'save':
      await store.save(storedHead(effect.client), effect.announced)
      return undefined
    case 'look': {
      if (effect.named !== undefined) await store.confirm(effect.named)
      const belief = await store.belief()
      return belief && { type: 'follower.BeliefSeen', payload: { belief } }
    }
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}
