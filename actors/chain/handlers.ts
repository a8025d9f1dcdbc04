/**
 * What the ChainActor makes of each message: consensus inputs go into core/pbft's driver, whose effects become effects of
 * this actor; finished work comes back as messages and goes into the driver again.
 */
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type Evidence,
  hashKey,
  type KeygenItem,
  type PegOrderItem,
  type QuorumCertificate,
  type TransactionProof,
  type ValidatorChangeItem,
} from '../../core/block/index.ts'
import { type ChainHead, type PoolChange, validatorsAfter } from '../../core/chain/index.ts'
import type { GuardRecord, GuardView } from '../../core/guard/index.ts'
import type { Genesis, Verdict } from '../../core/params/index.ts'
import {
  type Effect as DriverEffect,
  type Input as DriverInput,
  type DriverState,
  heldBlock,
  neededBlocks,
  slotAt,
  snapshot,
  step,
  type ViewFailure,
} from '../../core/pbft/index.ts'
import type { PegQueue, QueuedConflict } from '../../core/peg/index.ts'
import { validatorsAt } from '../../core/validators/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import type {
  BlockProduced,
  ChainInbox,
  EvidenceReceived,
  SlotTick,
  ValidatorChangeReceived,
} from '../../messages/index.ts'
import {
  type About,
  after,
  type Envelope,
  fail,
  type KernelEffect,
  reply,
  type Step,
  tell,
} from '../../supervisor/index.ts'
import {
  standingChanges,
  standingOrders,
  takeChange,
  takeOrder,
  type WaitingChanges,
  type WaitingOrders,
} from './changes.ts'
import { CHAIN_FAULTS } from './errors.ts'
import {
  type EvidenceEffect,
  type EvidenceHolding,
  type Held,
  holdEvidence,
  settleHolding,
  storeAgain,
} from './evidence.ts'
import { type HaltRecord, haltRecord } from './halt.ts'
import { MAX_CANDIDATES, MAX_QUEUED_OPERATIONS, SYNC_PATIENCE_MS } from './limits.ts'

export interface Candidate {
  readonly block: Block
  readonly head: ChainHead
}

/** Peg operations that wait for a block of ours. */
export interface OperationQueue {
  readonly headers: readonly Uint8Array[]
  readonly pegIns: ReadonlyMap<string, PegQueue['pegIns'][number] & { readonly flow: string }>
  readonly bookings: ReadonlyMap<string, TransactionProof>
  /** Bridge tells them all again. */
  readonly conflicts: readonly QueuedConflict[]
  /** Batches to bump, by id. */
  readonly unconfirmed: readonly Uint8Array[]
}

/** How a deposit and a booking are named in the queue. */
export function pegInKey({
  txid,
  vout,
}: {
  readonly txid: Uint8Array
  readonly vout: number
}): string {
  return `${hashKey(txid)}:${vout}`
}

export function bookingKey(
  proof: Pick<TransactionProof, 'blockHash' | 'transactionIndex'>,
): string {
  return `${hashKey(proof.blockHash)}:${proof.transactionIndex}`
}

export function conflictKey({ proof }: QueuedConflict): string {
  return `conflict:${bookingKey(proof)}`
}

export const EMPTY_QUEUE: OperationQueue = {
  headers: [],
  pegIns: new Map(),
  bookings: new Map(),
  conflicts: [],
  unconfirmed: [],
}

export interface ChainContext {
  readonly genesis: Genesis
  readonly driver: DriverState
  /** The committed head, durable. */
  readonly head: ChainHead
  /** Its certificate; undefined for the genesis block. */
  readonly certificate: QuorumCertificate | undefined
  /** Executed children of the head, by hash. */
  readonly candidates: ReadonlyMap<string, Candidate>
  readonly queue: OperationQueue
  readonly evidence: EvidenceHolding
  readonly changes: WaitingChanges
  readonly orders: WaitingOrders
  /** What members said for the key that is being made, as Bridge has it. */
  readonly keygen: readonly KeygenItem[]
  readonly feeRateSatPerKvb: number
  /** Work under way, which decides the mode. */
  readonly producing: boolean
  readonly importing: number
  /** A commit or a batch is being stored; neither starts beside the other, or the head could go backwards. */
  readonly storing: boolean
  /** A commit that waits for the end of a batch; void when the batch moved the head. */
  readonly waitingCommit: CommitEffect | undefined
  /** A decided block whose execution was let go of: it is executed again before it is committed. */
  readonly unexecuted: CommittedBlock | undefined
  /** Agreement is broken (2.7): nothing is signed or committed until an operator has acted. */
  readonly halt: HaltRecord | undefined
  /** Its record is durable or being written; else the next slot tries again. */
  readonly isHaltStored: boolean
  readonly syncing: boolean
  /** When a batch last came or ended: a Sync that went away must not keep this node from voting. */
  readonly batchAtMs: number
}

/** A decided block becomes durable. */
export interface CommitEffect {
  readonly kind: 'commit'
  readonly committed: CommittedBlock
  readonly head: ChainHead
}

export type ChainEffect =
  | {
      readonly kind: 'produce'
      readonly parent: ChainHead
      readonly certificate: QuorumCertificate | undefined
      readonly view: number
      readonly slot: number
      readonly queue: PegQueue
      readonly evidence: readonly Evidence[]
      readonly validatorChanges: readonly ValidatorChangeItem[]
      readonly pegOrders: readonly PegOrderItem[]
      readonly keygen: readonly KeygenItem[]
      readonly feeRateSatPerKvb: number
    }
  | {
      readonly kind: 'validate'
      readonly parent: ChainHead
      readonly block: Block
      readonly hash: Uint8Array
      readonly fresh: boolean
    }
  | { readonly kind: 'sign'; readonly record: GuardRecord }
  | EvidenceEffect
  | CommitEffect
  | {
      readonly kind: 'importBatch'
      readonly parent: ChainHead
      readonly blocks: readonly CommittedBlock[]
      readonly replyTo: Envelope
    }
  | { readonly kind: 'answerCommitted'; readonly height: number; readonly peer: string }
  /** The operator is told why. */
  | { readonly kind: 'viewFailed'; readonly failure: ViewFailure; readonly snapshot: unknown }
  /** The record becomes durable; the operator is told. */
  | { readonly kind: 'halt'; readonly record: HaltRecord; readonly snapshot: unknown }
  | {
      readonly kind: 'note'
      readonly event: string
      readonly fields: Readonly<Record<string, unknown>>
      /** A counter of this room that the event adds to. */
      readonly count?: {
        readonly metric: 'slotsSkipped'
        readonly labels: Readonly<Record<string, string>>
      }
      readonly consensus?: {
        readonly height: number
        readonly view: number
        readonly proposer?: Uint8Array
        readonly reason: string
        readonly atMs: number
      }
      readonly snapshot: unknown
    }

type ChainStep = Step<ChainContext, ChainEffect>
type AnyEffect = ChainEffect | KernelEffect

export function handle(
  context: ChainContext,
  message: ChainInbox,
  about: About<ChainInbox>,
): ChainStep {
  const { nowMs } = about
  switch (message.type) {
    case 'chain.SlotTick': {
      const next = nextSlotTick(context.genesis, nowMs)
      const { halt } = context
      if (halt !== undefined) {
        const stored = context.isHaltStored ? [] : [haltEffect(context, halt)]
        const effects = [next, slotSkipped(context, 'Halted'), ...stored]
        return withMode({ context: { ...context, isHaltStored: true }, effects }, about)
      }
      if (isSyncing(context, nowMs)) {
        return withMode({ context, effects: [next, slotSkipped(context, 'Syncing')] }, about)
      }
      const caughtUp = { ...context, syncing: false }
      const again = executeAgain(caughtUp)
      const kept = withHolding(again.context, storeAgain(again.context.evidence))
      const told = tellOldHead(kept.context, nowMs)
      const effects = [next, ...told, ...again.effects, ...kept.effects]
      return withMode(drive(kept.context, { kind: 'clock', nowMs }, nowMs, effects), about)
    }
    case 'chain.ConsensusWake':
      if (isSyncing(context, nowMs)) return { context }
      return withMode(drive(context, { kind: 'clock', nowMs }, nowMs), about)
    case 'chain.ConsensusMessageReceived': {
      const { message: received, peer, verified } = message.payload
      const input: DriverInput = { kind: 'message', message: received, from: peer, nowMs, verified }
      return withMode(drive(context, input, nowMs), about)
    }
    case 'chain.BlockFetched': {
      const { block, peer } = message.payload
      return withMode(drive(context, { kind: 'blockFetched', block, from: peer }, nowMs), about)
    }
    case 'chain.ReadHeldBlock': {
      const block = heldBlock(context.driver, message.payload.hash)
      return {
        context,
        effects: [reply(about.envelope, { type: 'chain.BlockHeld', payload: { block } })],
      }
    }
    case 'chain.PeerConnected':
      return withMode(peerConnected(context, message.payload.peer, nowMs), about)
    case 'sync.ValidatedBlockBatch':
      return withMode(beginBatch(context, message.payload.blocks, about), about)
    case 'sync.SyncCompleted':
      return withMode(drive({ ...context, syncing: false }, { kind: 'clock', nowMs }, nowMs), about)
    case 'chain.BitcoinHeadersDetected':
      return queued(context, { ...context.queue, headers: message.payload.headers })
    case 'chain.FeeRateEstimated':
      return { context: { ...context, feeRateSatPerKvb: message.payload.feeRateSatPerKvb } }
    case 'chain.PayoutsUnconfirmed':
      return queued(context, { ...context.queue, unconfirmed: message.payload.batchIds })
    case 'chain.DepositsLost':
      return queued(context, { ...context.queue, conflicts: message.payload.conflicts })
    case 'bridge.PegInOperation': {
      const { claim } = message.payload
      const key = pegInKey(claim)
      return queued(context, {
        ...context.queue,
        pegIns: bounded(context.queue.pegIns, key, {
          ...message.payload,
          flow: about.envelope.correlationId,
        }),
      })
    }
    case 'bridge.PegOutOperation': {
      const { proof } = message.payload
      const key = bookingKey(proof)
      return queued(context, {
        ...context.queue,
        bookings: bounded(context.queue.bookings, key, proof),
      })
    }
    case 'chain.BlockProduced': {
      const { payload } = message
      const done: ChainContext = { ...context, producing: false }
      if ('code' in payload) {
        const { code, height, view } = payload
        const input: DriverInput = { kind: 'buildFailed', height, view, code }
        const skipped = slotSkipped(context, code)
        return withMode(drive(done, input, nowMs, [skipped]), about, 'PRODUCTION_ERROR')
      }
      const { block, head, height, refused, view } = payload
      const cleared = { ...done, queue: withoutRefused(done.queue, refused) }
      const executed = remember(cleared, { block, head })
      return withMode(drive(executed, { kind: 'built', height, view, block }, nowMs), about)
    }
    case 'chain.BlockValidated': {
      const { hash, verdict, objects, candidate } = message.payload
      const done: ChainContext = { ...context, importing: Math.max(0, context.importing - 1) }
      const executed = candidate === undefined ? done : remember(done, candidate)
      const notes =
        verdict.kind === 'valid'
          ? []
          : [note(context, 'block not accepted', { hash: hashKey(hash), ...verdict })]
      const again = commitExecuted(executed, hash, verdict)
      const driven = { kind: 'validated', hash, verdict, objects } as const
      return withMode(
        drive(again.context, driven, nowMs, [...notes, ...again.effects]),
        about,
        verdict.kind === 'unknown' ? 'IMPORT_ERROR' : undefined,
      )
    }
    case 'chain.MessageSigned': {
      const { payload } = message
      const input: DriverInput =
        'signed' in payload
          ? { kind: 'signed', message: payload.signed }
          : { kind: 'signRefused', record: payload.refused, code: payload.code }
      return withMode(drive(context, input, nowMs), about)
    }
    case 'chain.HaltStored':
      return { context: { ...context, isHaltStored: message.payload.stored } }
    case 'chain.SubmitValidatorChange':
      return submitChange(context, message.payload.change, about.envelope)
    case 'chain.SubmitPegOrder':
      return submitOrder(context, message.payload.order, about.envelope)
    case 'chain.KeygenWaiting':
      return { context: { ...context, keygen: message.payload.items } }
    case 'chain.ValidatorChangeReceived':
      return judgeChange(context, message.payload)
    case 'chain.EvidenceReceived':
      return judgeEvidence(context, message.payload)
    case 'chain.EvidenceStored': {
      const isStored = message.payload.stored && context.evidence.isStored
      return { context: { ...context, evidence: { ...context.evidence, isStored } } }
    }
    case 'chain.BlockStored': {
      const { committed, head, guard } = message.payload
      return withMode(advance(context, committed, head, guard, nowMs), about)
    }
    case 'chain.BatchStored': {
      const { replyTo, result, last, guard } = message.payload
      const answered: AnyEffect = reply(replyTo, {
        type: 'sync.BlockBatchImported',
        payload: result,
      })
      const { waitingCommit } = context
      const failure = result.fault === 'local' ? 'SYNC_ERROR' : undefined
      const ended = { ...context, storing: false, waitingCommit: undefined, batchAtMs: nowMs }
      if (last === undefined) {
        const effects: AnyEffect[] = waitingCommit === undefined ? [] : [waitingCommit]
        const storing = waitingCommit !== undefined
        const stepped = { context: { ...ended, storing }, effects: [answered, ...effects] }
        return withMode(stepped, about, failure)
      }
      const stepped = advance(ended, last.committed, last.head, guard, nowMs)
      const effects = [...(stepped.effects ?? []), answered]
      return withMode({ ...stepped, effects }, about, failure)
    }
  }
}

/** Effects that change what is durable run one after another. */
export function lane(effect: ChainEffect): string | undefined {
  switch (effect.kind) {
    case 'commit':
    case 'importBatch':
      return 'store'
    case 'sign':
      return 'sign'
    case 'halt':
      return 'halt'
    case 'recordEvidence':
      return 'evidence'
    case 'produce':
    case 'validate':
    case 'answerCommitted':
    case 'tellEvidence':
    case 'viewFailed':
    case 'note':
      return undefined
  }
}

/** The timer of the next slot; its message is told with the slot that it starts. */
export function nextSlotTick(genesis: Genesis, nowMs: number): KernelEffect {
  const { slotMs } = genesis.params
  const slot = slotAt(nowMs, slotMs) + 1
  const startedAtMs = slot * slotMs
  const tick: SlotTick = { type: 'chain.SlotTick', payload: { slot, startedAtMs } }
  return after(startedAtMs - nowMs, 'slot', tick, { newFlow: true })
}

/** The driver's input for the height after `head`. `certificate`: of the head; undefined for the genesis block. */
export function startHeight(
  head: ChainHead,
  certificate: QuorumCertificate | undefined,
  guard: GuardView,
  nowMs: number,
): DriverInput {
  const { height, slot } = head.header
  return {
    kind: 'startHeight',
    context: {
      height: height + 1,
      parentHash: head.hash,
      parentSlot: slot,
      validators: validatorsAfter(head),
      parent: certificate && { height, validators: validatorsAt(head.ledger, height), certificate },
    },
    guard,
    nowMs,
  }
}

/** Feeds the driver and turns its effects into this actor's. */
export function drive(
  context: ChainContext,
  input: DriverInput,
  nowMs: number,
  before: readonly AnyEffect[] = [],
): ChainStep {
  const stepped = step(context.driver, input)
  let next: ChainContext = { ...context, driver: stepped.state }
  const effects: AnyEffect[] = [...before]
  for (const effect of stepped.effects) {
    const performed = perform(next, effect, nowMs)
    next = performed.context
    effects.push(...performed.effects)
  }
  return { context: next, effects }
}

function perform(
  context: ChainContext,
  effect: DriverEffect,
  nowMs: number,
): { context: ChainContext; effects: readonly AnyEffect[] } {
  const { head } = context
  switch (effect.kind) {
    case 'build':
      return {
        context: { ...context, producing: true },
        effects: [
          {
            kind: 'produce',
            parent: head,
            certificate: context.certificate,
            view: effect.view,
            slot: effect.slot,
            queue: pegQueue(context.queue),
            evidence: [...context.evidence.pool.values()],
            validatorChanges: [...context.changes.values()],
            pegOrders: [...context.orders.values()],
            keygen: context.keygen,
            feeRateSatPerKvb: context.feeRateSatPerKvb,
          },
        ],
      }
    case 'validate': {
      const hash = blockHash(effect.block.header)
      return {
        context: { ...context, importing: context.importing + 1 },
        effects: [
          { kind: 'validate', parent: head, block: effect.block, hash, fresh: effect.fresh },
        ],
      }
    }
    case 'sign':
      return { context, effects: [{ kind: 'sign', record: effect.record }] }
    case 'broadcast':
      return {
        context,
        effects: [
          tell('network', { type: 'network.PropagateBlock', payload: { message: effect.message } }),
        ],
      }
    case 'sendTo': {
      const { peer, message } = effect
      return {
        context,
        effects: [tell('network', { type: 'network.SendToPeer', payload: { peer, message } })],
      }
    }
    case 'answerCommitted':
      return {
        context,
        effects: [{ kind: 'answerCommitted', height: effect.height, peer: effect.peer }],
      }
    case 'commit': {
      const { block, certificate } = effect
      const committed = { block, certificate }
      const candidate = context.candidates.get(hashKey(blockHash(block.header)))
      return candidate === undefined
        ? executeAgain({ ...context, unexecuted: committed })
        : beginCommit(context, committed, candidate.head)
    }
    case 'fetchBlock': {
      const { height, hash, peers } = effect
      return {
        context,
        effects: [
          tell('network', { type: 'network.FetchBlock', payload: { height, hash, peers } }),
        ],
      }
    }
    case 'wake':
      return {
        context,
        effects: [
          after(Math.max(0, effect.atMs - nowMs), 'consensus', {
            type: 'chain.ConsensusWake',
            payload: { atMs: effect.atMs },
          }),
        ],
      }
    case 'behind': {
      const height = head.header.height
      return {
        context,
        effects: [
          tell('sync', {
            type: 'sync.SyncRequiredNotification',
            payload: { height, targetHeight: effect.height, peer: '' },
          }),
        ],
      }
    }
    case 'evidence': {
      const { evidence } = effect
      const { genesis } = context
      const held = holdEvidence(genesis, head.ledger, context.evidence, evidence, 'own')
      const kept = withHolding(context, held)
      if (held.outcome !== 'taken') return kept
      return { context: kept.context, effects: [...kept.effects, gossiped(evidence)] }
    }
    case 'punish': {
      const { blame, peer, code } = effect
      // What a liar signed and an honest peer passed on costs the peer nothing.
      if (blame !== 'peer')
        return { context, effects: [note(context, 'misconduct', { peer, code })] }
      return { context, effects: [penalty(peer, code)] }
    }
    case 'halt': {
      const halt = haltRecord(effect.reason, effect.certificates, nowMs)
      const halted = { ...context, halt, isHaltStored: true }
      return { context: halted, effects: [haltEffect(halted, halt)] }
    }
    case 'viewEntered': {
      const { height, view, proposer, reason } = effect
      return {
        context,
        effects: [
          {
            ...note(context, 'view entered', { height, view, reason }),
            consensus: { height, view, proposer, reason, atMs: nowMs },
          },
        ],
      }
    }
    case 'viewFailed': {
      const { failure } = effect
      const shown = snapshotOf(context)
      return { context, effects: [{ kind: 'viewFailed', failure, snapshot: shown }] }
    }
    case 'locked':
      return {
        context,
        effects: [note(context, 'locked', { height: effect.height, view: effect.view })],
      }
  }
}

interface Performed {
  readonly context: ChainContext
  readonly effects: readonly AnyEffect[]
}

function withHolding(context: ChainContext, { effects, holding }: Held): Performed {
  return { context: { ...context, evidence: holding }, effects }
}

/** Only what this node keeps is relayed; what is late, early or known already is nobody's fault. */
function judgeEvidence(
  context: ChainContext,
  { evidence, id, peer }: EvidenceReceived['payload'],
): ChainStep {
  const { genesis, head } = context
  const held = holdEvidence(genesis, head.ledger, context.evidence, evidence, 'gossip')
  const kept = withHolding(context, held)
  const answers = id === undefined ? told(held.outcome, peer, evidence) : judged(held.outcome, id)
  return { context: kept.context, effects: [...kept.effects, ...answers] }
}

function judged(outcome: PoolChange['outcome'], id: number): KernelEffect[] {
  const verdict = outcome === 'taken' ? 'accept' : outcome === 'forged' ? 'reject' : 'ignore'
  return [tell('network', { type: 'network.EvidenceJudged', payload: { id, verdict } })]
}

/** What a peer sent to this node alone is passed on by gossip from here. */
function told(outcome: PoolChange['outcome'], peer: string, evidence: Evidence): KernelEffect[] {
  if (outcome === 'taken') return [gossiped(evidence)]
  return outcome === 'forged' ? [penalty(peer, 'ForgedEvidence')] : []
}

function gossiped(evidence: Evidence): KernelEffect {
  return tell('network', { type: 'network.GossipEvidence', payload: { evidence } })
}

function penalty(peer: string, code: string): KernelEffect {
  return tell('network', { type: 'network.PenalizePeer', payload: { peer, code, score: 20 } })
}

/** Whoever connects may have missed what was gossiped: the evidence that waits is sent to it (2.9). */
function peerConnected(context: ChainContext, peer: string, nowMs: number): ChainStep {
  const effects = [...context.evidence.pool.values()].map((evidence) =>
    tell('network', { type: 'network.SendEvidence', payload: { peer, evidence } }),
  )
  return drive(context, { kind: 'peerConnected', peer }, nowMs, effects)
}

function submitChange(
  context: ChainContext,
  change: ValidatorChangeItem,
  replyTo: Envelope,
): ChainStep {
  const { genesis, head } = context
  const taken = takeChange(genesis, head.ledger, context.changes, change)
  if (taken.kind === 'refused') {
    const refused = { type: 'chain.ValidatorChangeRefused', payload: taken.fault } as const
    return { context, effects: [reply(replyTo, refused)] }
  }
  const { id } = taken
  const payload = { id, sequence: change.sequence }
  const effects: AnyEffect[] = [reply(replyTo, { type: 'chain.ValidatorChangeAccepted', payload })]
  // Also one that is known: whoever submits again has seen that it did not come through.
  effects.push(tell('network', { type: 'network.GossipValidatorChange', payload: { change } }))
  return taken.kind === 'known'
    ? { context, effects }
    : { context: { ...context, changes: taken.waiting }, effects }
}

/** An order waits for a block of this node's own: whoever is in a hurry hands it to several. */
function submitOrder(context: ChainContext, order: PegOrderItem, replyTo: Envelope): ChainStep {
  const { genesis, head } = context
  const taken = takeOrder(genesis, head.ledger, context.orders, order)
  if (taken.kind === 'refused') {
    const refused = { type: 'chain.PegOrderRefused', payload: taken.fault } as const
    return { context, effects: [reply(replyTo, refused)] }
  }
  const accepted = { type: 'chain.PegOrderAccepted', payload: { id: taken.id } } as const
  const orders = taken.kind === 'taken' ? taken.waiting : context.orders
  return { context: { ...context, orders }, effects: [reply(replyTo, accepted)] }
}

/** Only what waits here is relayed. What this node refuses may stand on another head: it is nobody's fault, but not passed on. */
function judgeChange(
  context: ChainContext,
  { change, id }: ValidatorChangeReceived['payload'],
): ChainStep {
  const { genesis, head } = context
  const taken = takeChange(genesis, head.ledger, context.changes, change)
  const verdict = taken.kind === 'taken' ? 'accept' : 'ignore'
  const judged = tell('network', {
    type: 'network.ValidatorChangeJudged',
    payload: { id, verdict },
  })
  return taken.kind === 'taken'
    ? { context: { ...context, changes: taken.waiting }, effects: [judged] }
    : { context, effects: [judged] }
}

/** One durable write at a time: while a batch is stored the commit waits for its end. */
function beginCommit(context: ChainContext, committed: CommittedBlock, head: ChainHead): Performed {
  const committing: CommitEffect = { kind: 'commit', committed, head }
  return context.storing
    ? { context: { ...context, waitingCommit: committing }, effects: [] }
    : { context: { ...context, storing: true }, effects: [committing] }
}

/** Asks for the execution that a decided block lacks, unless some execution is under way: at the latest every slot. */
function executeAgain(context: ChainContext): Performed {
  const { head, importing, unexecuted } = context
  if (unexecuted === undefined || importing > 0) return { context, effects: [] }
  const { block } = unexecuted
  const hash = blockHash(block.header)
  return {
    context: { ...context, importing: 1 },
    effects: [{ kind: 'validate', parent: head, block, hash, fresh: false }],
  }
}

/** The decided block, once it is executed again. It was valid before: anything else but "unknown" is a fault of this node. */
function commitExecuted(context: ChainContext, hash: Uint8Array, verdict: Verdict): Performed {
  const { unexecuted } = context
  if (unexecuted === undefined || !equalBytes(blockHash(unexecuted.block.header), hash)) {
    return { context, effects: [] }
  }
  if (verdict.kind === 'unknown') return { context, effects: [] }
  const executed = context.candidates.get(hashKey(hash))
  if (verdict.kind === 'invalid' || executed === undefined) {
    const reason = `block ${unexecuted.block.header.height} was valid and is not any more`
    const fault = { code: 'EngineDiverged', faultClass: CHAIN_FAULTS.EngineDiverged, reason }
    return { context, effects: [fail(fault)] }
  }
  return beginCommit({ ...context, unexecuted: undefined }, unexecuted, executed.head)
}

export function haltEffect(context: ChainContext, record: HaltRecord): ChainEffect {
  return { kind: 'halt', record, snapshot: snapshotOf(context) }
}

/** What the status page sees of consensus, the evidence of a halt included. */
function snapshotOf({ driver, halt }: ChainContext): unknown {
  const shown = snapshot(driver)
  return shown === undefined || halt === undefined ? shown : { ...shown, halt }
}

function note(
  context: ChainContext,
  event: string,
  fields: Readonly<Record<string, unknown>>,
): ChainEffect & { kind: 'note' } {
  return { kind: 'note', event, fields, snapshot: snapshotOf(context) }
}

/** BP-5. */
function slotSkipped(context: ChainContext, reason: string): ChainEffect {
  return {
    ...note(context, 'slot skipped', { reason }),
    count: { metric: 'slotsSkipped', labels: { reason } },
  }
}

/** The head moved: the next height begins, and those who follow are told. */
function advance(
  context: ChainContext,
  committed: CommittedBlock,
  head: ChainHead,
  guard: GuardView,
  nowMs: number,
): ChainStep {
  const { header } = head
  if (header.height <= context.head.header.height) {
    throw new Error(`the head would go from ${context.head.header.height} to ${header.height}`)
  }
  const queue = withoutCommitted(context.queue, committed.block)
  const settled = settleHolding(context.genesis, head.ledger, context.evidence)
  const next: ChainContext = {
    ...context,
    head,
    certificate: committed.certificate,
    candidates: new Map(),
    queue,
    evidence: settled.holding,
    changes: standingChanges(head.ledger, context.changes),
    orders: standingOrders(head.ledger, context.orders),
    storing: false,
    unexecuted: undefined,
  }
  const told = [
    ...announceHead(head),
    ...completed(context.queue, committed.block),
    ...settled.effects,
  ]
  const begun = startHeight(head, committed.certificate, guard, nowMs)
  return drive(next, begun, nowMs, told)
}

/** Each deposit that a block credits is told of in its own flow, where this node knows it (C-6). */
function completed(queue: OperationQueue, { body, header }: Block): KernelEffect[] {
  return body.pegIns.map((item) => {
    const key = pegInKey(item)
    const flow = queue.pegIns.get(key)?.flow
    return tell(
      'bridge',
      { type: 'bridge.PegInComplete', payload: { outpoints: [key], height: header.height } },
      flow === undefined ? {} : { correlationId: flow },
    )
  })
}

/** 2.6: the tip is told once per slot. In a slot after a block it was just told; whoever lacks it asks for it. */
function tellOldHead({ genesis, head }: ChainContext, nowMs: number): KernelEffect[] {
  const { hash, header } = head
  if (header.slot + 1 >= slotAt(nowMs, genesis.params.slotMs)) return []
  return [
    tell('network', { type: 'network.HeadAnnounced', payload: { height: header.height, hash } }),
  ]
}

/** Those who follow the committed head. */
export function announceHead({ hash, header, ledger }: ChainHead): KernelEffect[] {
  const { height } = header
  return [
    tell('network', { type: 'network.HeadAnnounced', payload: { height, hash } }),
    tell('bridge', { type: 'chain.FinalizeBlock', payload: { height, hash, header, ledger } }),
  ]
}

function withoutCommitted(queue: OperationQueue, block: Block): OperationQueue {
  const pegIns = new Map(queue.pegIns)
  for (const item of block.body.pegIns) pegIns.delete(pegInKey(item))
  const bookings = new Map(queue.bookings)
  for (const { proofIndex } of block.body.bookings) {
    const proof = block.body.proofs[proofIndex] as TransactionProof
    bookings.delete(bookingKey(proof))
  }
  // The headers are looked up anew after every block; those that were taken would no longer extend the tip.
  const headers = block.body.bitcoinHeaders.length > 0 ? [] : queue.headers
  const conflicts = block.body.conflicts.length > 0 ? [] : queue.conflicts
  // As are the batches to bump: Bridge names them again with the block.
  return { headers, pegIns, bookings, conflicts, unconfirmed: [] }
}

/** Between batches for a while; then the node votes again, and is told to sync again if it still must (SY-6). */
function isSyncing({ syncing, storing, batchAtMs }: ChainContext, nowMs: number): boolean {
  return syncing && (storing || nowMs - batchAtMs < SYNC_PATIENCE_MS)
}

/** What no block can ever carry leaves the queue. */
function withoutRefused(
  queue: OperationQueue,
  refused: Extract<BlockProduced['payload'], { block: Block }>['refused'],
): OperationQueue {
  if (refused.length === 0) return queue
  const gone = new Set(refused)
  return {
    ...queue,
    pegIns: new Map([...queue.pegIns].filter(([key]) => !gone.has(key))),
    bookings: new Map([...queue.bookings].filter(([key]) => !gone.has(key))),
    conflicts: queue.conflicts.filter((conflict) => !gone.has(conflictKey(conflict))),
  }
}

function beginBatch(
  context: ChainContext,
  blocks: readonly CommittedBlock[],
  { envelope: replyTo, nowMs }: About<ChainInbox>,
): ChainStep {
  const height = context.head.header.height
  const missing = blocks.filter((committed) => committed.block.header.height > height)
  const answer = (code?: string): ChainStep => ({
    context,
    effects: [
      reply(replyTo, {
        type: 'sync.BlockBatchImported',
        payload: code === undefined ? { height } : { height, code, fault: 'local' as const },
      }),
    ],
  })
  if (missing.length === 0) return answer()
  if (context.halt !== undefined) return answer('ChainHalted')
  if (context.storing) return answer('ChainBusy')
  return {
    context: { ...context, storing: true, syncing: true, batchAtMs: nowMs },
    effects: [{ kind: 'importBatch', parent: context.head, blocks: missing, replyTo }],
  }
}

function queued(context: ChainContext, queue: OperationQueue): ChainStep {
  return { context: { ...context, queue } }
}

/** A map with one more entry, unless it is full. */
function bounded<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  if (!map.has(key) && map.size >= MAX_QUEUED_OPERATIONS) return map
  return new Map(map).set(key, value)
}

function remember(context: ChainContext, candidate: Candidate): ChainContext {
  if (!isChild(context, candidate)) return context
  const candidates = new Map(context.candidates)
  if (candidates.size >= MAX_CANDIDATES) {
    const needed = neededBlocks(context.driver)
    const keys = [...candidates.keys()]
    // Also one that is needed, if all are: it would be executed again before its commit.
    candidates.delete(keys.find((key) => !needed.has(key)) ?? (keys[0] as string))
  }
  candidates.set(hashKey(candidate.head.hash), candidate)
  return { ...context, candidates }
}

/** An execution that ended after its height was decided is of no use. */
function isChild(context: ChainContext, candidate: Candidate): boolean {
  return candidate.head.header.height === context.head.header.height + 1
}

function pegQueue(queue: OperationQueue): PegQueue {
  return {
    headers: [...queue.headers],
    pegIns: [...queue.pegIns.values()],
    bookings: [...queue.bookings.values()],
    conflicts: queue.conflicts,
    unconfirmed: queue.unconfirmed,
  }
}

/** Which work failed here, by the mode that it fails in. */
const FAILS = {
  SYNC_ERROR: 'Syncing',
  PRODUCTION_ERROR: 'Producing',
  IMPORT_ERROR: 'Importing',
} as const

/**
 * The events that lead the machine from where it is to what the work under way makes it. After a failure it is Failed until
 * the next slot; consensus itself goes on.
 */
function withMode(
  stepped: ChainStep,
  about: About<ChainInbox>,
  failure?: keyof typeof FAILS,
): ChainStep {
  const { context } = stepped
  const events: string[] = []
  let state = about.state
  const go = (event: string, to: string) => {
    events.push(event)
    state = to
  }
  const wanted = wantedMode(context)
  if (failure !== undefined && state === FAILS[failure]) go(failure, 'Failed')
  else if (state === 'Failed' && about.envelope.messageType === 'chain.SlotTick') {
    go('RECOVER', 'Syncing')
  }
  if (state === 'Syncing' && wanted !== 'Syncing') go('CAUGHT_UP', 'Active')
  if (state === 'Producing' && wanted !== 'Producing') go('BLOCK_PRODUCED', 'Active')
  if (state === 'Importing' && wanted !== 'Importing') go('BLOCK_IMPORTED', 'Active')
  if (state === 'Active') {
    if (wanted === 'Syncing') go('FELL_BEHIND', 'Syncing')
    if (wanted === 'Producing') go('ASSIGNED_SLOT', 'Producing')
    if (wanted === 'Importing') go('RECEIVED_BLOCK', 'Importing')
  }
  return events.length === 0 ? stepped : { ...stepped, event: events }
}

function wantedMode(context: ChainContext): 'Syncing' | 'Producing' | 'Importing' | 'Active' {
  if (context.syncing) return 'Syncing'
  if (context.producing) return 'Producing'
  return context.importing > 0 ? 'Importing' : 'Active'
}
