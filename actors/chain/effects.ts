/**
 * What the ChainActor does outside itself. Each function reads as one of the flows: `produce` is flow 1 of the seeds,
 * `validate` its other side, `commit` the order of protocol §2.11.
 */
import {
  type Block,
  type CommittedBlock,
  EVIDENCE_PHASES,
  type Evidence,
  encodeEvidence,
  hashKey,
  randaoMessage,
} from '../../core/block/index.ts'
import {
  type BegunBlock,
  type BlockPlan,
  type ChainHead,
  checkBlock,
  commitVerdict,
  completeBlock,
  planBlock,
  sealBlock,
  validatorsAfter,
} from '../../core/chain/index.ts'
import { signRecord } from '../../core/guard/index.ts'
import { type Ledger, ledgerChanges, lowestNeeded } from '../../core/ledger/index.ts'
import { type Genesis, unknown, VALID, type Verdict } from '../../core/params/index.ts'
import { authorOfSlot, evidenceKey, viewLength } from '../../core/pbft/index.ts'
import type { PegQueue, Refused } from '../../core/peg/index.ts'
import { feeRatesKept } from '../../core/validators/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type {
  BatchStored,
  BlockProduced,
  BlockStored,
  BlockTemplate,
  BlockValidated,
  BlockWrite,
  BuildBlockRequest,
  ChainInbox,
  CommitPayload,
  EngineFailed,
  EngineHead,
  EvidenceStored,
  ExecutePayload,
  ExecutionOutcome,
  HaltStored,
  MessageSigned,
  PersistBlock,
  PersistBlockBatch,
  ReadBlocks,
  RecordEvidence,
  RecordHalt,
  ValidatePegOperations,
} from '../../messages/index.ts'
import { type ActorRun, type AskResult, faultError } from '../../supervisor/index.ts'
import { CHAIN_FAULTS } from './errors.ts'
import { encodeHalt } from './halt.ts'
import { bookingKey, type ChainEffect, conflictKey, pegInKey } from './handlers.ts'
import {
  BUILD_BUDGET_MS,
  EXECUTE_TIMEOUT_MS,
  MAX_UNSTORED_BLOCKS,
  PEG_CHECK_TIMEOUT_MS,
  PERSIST_TIMEOUT_MS,
  REBUILD_BUDGET_MS,
} from './limits.ts'
import { CHAIN_METRICS } from './metrics.ts'
import type { ChainPorts, SignGuard } from './port.ts'
import { type PegSuspect, suspectOf } from './suspects.ts'

export type ChainRun = ActorRun<ChainInbox, ChainPorts>
type EffectOf<Kind extends ChainEffect['kind']> = Extract<ChainEffect, { kind: Kind }>

/** What one incarnation of the actor holds open. */
export interface ChainResources {
  readonly guard: SignGuard
}

export async function perform(
  effect: ChainEffect,
  run: ChainRun,
  resources: ChainResources,
): Promise<ChainInbox | undefined> {
  switch (effect.kind) {
    case 'produce':
      return produce(effect, run)
    case 'validate':
      return validate(effect, run)
    case 'sign':
      return sign(effect, run, resources.guard)
    case 'commit':
      return commit(effect, run, resources.guard)
    case 'importBatch':
      return importBatch(effect, run, resources.guard)
    case 'answerCommitted':
      return answerCommitted(effect, run)
    case 'halt':
      return recordHalt(effect, run)
    case 'recordEvidence':
      return recordEvidence(effect, run)
    case 'tellEvidence':
      return tellEvidence(effect, run)
    case 'viewFailed':
      return viewFailed(effect, run)
    case 'note':
      return note(effect, run)
  }
}

/** Flow 1, 6.5: plan the block, let the engine build it, let the bridge look at the template, seal it. */
async function produce(effect: EffectOf<'produce'>, run: ChainRun): Promise<BlockProduced> {
  const { evidence, keygen, parent, pegOrders, slot, validatorChanges, view } = effect
  const { genesis, validator } = run.ports
  const height = parent.header.height + 1
  const failed = (code: string): BlockProduced => ({
    type: 'chain.BlockProduced',
    payload: { height, view, code },
  })
  const validators = validatorsAfter(parent)
  const author = validators.find(
    ({ blsKey }) => validator !== undefined && equalBytes(blsKey, validator.blsKey),
  )
  if (validator === undefined || author === undefined) return failed('NotAValidator')
  // Views grow so that those who are slow get their time: the budget is for one slot (BP-6).
  const budgetMs = BUILD_BUDGET_MS * viewLength(view, validators.length)
  const deadlineMs = slot * genesis.params.slotMs + budgetMs
  const reveal = validator.sign(randaoMessage(genesis.hash, slot))
  const planned = (queue: PegQueue | undefined) =>
    planBlock(genesis, parent, slot, queue, effect.feeRateSatPerKvb, reveal, {
      evidence,
      validatorChanges,
      keygen,
      pegOrders,
    })
  const built = (plan: BlockPlan, leastMs: number) => {
    const timeoutMs = Math.max(leastMs, deadlineMs - run.clock.nowMs())
    return buildTemplate(run, parent, plan, author.address, deadlineMs, timeoutMs)
  }
  const sealed = (plan: BlockPlan, { payload: { payload, outcome } }: BlockTemplate) =>
    sealBlock(genesis, parent, effect.certificate, plan, author, payload, outcome)
  const produced = (
    made: { readonly block: Block; readonly head: ChainHead },
    refused: readonly string[],
  ): BlockProduced => ({ type: 'chain.BlockProduced', payload: { height, view, ...made, refused } })

  /** BP-6: rather a block without peg operations than a slot without a block, whatever is wrong with them. */
  async function withoutPeg(code: string, suspect?: PegSuspect): Promise<BlockProduced> {
    const { kind = 'unknown' } = suspect ?? {}
    const key = suspect !== undefined && 'key' in suspect ? suspect.key : undefined
    run.log('warn', 'a block without its peg operations', { height, code, kind, key })
    run.ports.metrics.count(CHAIN_METRICS.pegPlansFailed, { code, kind })
    const plan = planned(undefined)
    if (!plan.ok) return failed(plan.error.code)
    const template = await built(plan.value, REBUILD_BUDGET_MS)
    if (typeof template === 'string') return failed(template)
    const block = sealed(plan.value, template)
    if (!block.ok) return failed(block.error.code)
    return produced(block.value, key === undefined ? [] : [key])
  }

  const plan = planned(effect.queue)
  if (!plan.ok) {
    const fails = (queue: PegQueue) => !planned(queue).ok
    return withoutPeg(plan.error.code, suspectOf(effect.queue, fails))
  }
  const template = await built(plan.value, budgetMs)
  if (typeof template === 'string') {
    // What is late would be late again.
    const retry = carriesPeg(plan.value) && template !== 'EngineTimeout'
    return retry ? withoutPeg(template) : failed(template)
  }
  if (await bridgeObjects(plan.value.items, run)) return withoutPeg('BridgeObjects')
  const block = sealed(plan.value, template)
  if (!block.ok) {
    return carriesPeg(plan.value) ? withoutPeg(block.error.code) : failed(block.error.code)
  }
  return produced(block.value, permanentlyRefused(effect.queue, plan.value.refused))
}

function carriesPeg({ items, withdrawals }: BlockPlan): boolean {
  const { bitcoinHeaders, bookings, conflicts, pegIns, records } = items
  const lists = [bitcoinHeaders, bookings, conflicts, pegIns, records, withdrawals]
  return lists.some(({ length }) => length > 0)
}

/** The engine's template of a plan, or why there is none. */
async function buildTemplate(
  run: ChainRun,
  parent: ChainHead,
  plan: BlockPlan,
  feeRecipient: Uint8Array,
  deadlineMs: number,
  timeoutMs: number,
): Promise<BlockTemplate | string> {
  const built = await run.ask<BuildBlockRequest>(
    'engine',
    {
      type: 'engine.BuildBlockRequest',
      payload: {
        ...buildFields(parent, plan, feeRecipient),
        mint: { withdrawals: plan.withdrawals },
        deadlineMs,
      },
    },
    { timeoutMs },
  )
  return templateOf(built)
}

function buildFields(
  parent: ChainHead,
  { gasLimit, prevRandao, timestamp }: BlockPlan,
  feeRecipient: Uint8Array,
) {
  return {
    parentHash: parent.evm.hash,
    timestamp,
    prevRandao,
    feeRecipient,
    parentBeaconBlockRoot: parent.hash,
    gasLimitTarget: gasLimit,
  }
}

/** Keys of the queue's entries that will never be valid. */
function permanentlyRefused(queue: PegQueue, refused: readonly Refused[]): string[] {
  return refused
    .filter(({ permanent }) => permanent)
    .flatMap(({ kind, index }) => {
      const pegIn = kind === 'pegIn' ? queue.pegIns[index] : undefined
      const booking = kind === 'booking' ? queue.bookings[index] : undefined
      const conflict = kind === 'conflict' ? queue.conflicts?.[index] : undefined
      if (pegIn !== undefined) return [pegInKey(pegIn.claim)]
      if (conflict !== undefined) return [conflictKey(conflict)]
      return booking === undefined ? [] : [bookingKey(booking)]
    })
}

function templateOf(result: AskResult<BlockTemplate | EngineFailed>): BlockTemplate | string {
  if (!result.ok) return `Engine${result.error.code}`
  return result.value.type === 'engine.BlockTemplate' ? result.value : result.value.payload.code
}

type PegParts = Pick<Block['body'], 'bitcoinHeaders' | 'pegIns' | 'proofs'>

/** Whether the node's own view of Bitcoin objects (4.6); no answer in time counts as an objection. */
async function bridgeObjects(items: PegParts, run: ChainRun): Promise<boolean> {
  if (items.bitcoinHeaders.length === 0 && items.pegIns.length === 0) return false
  const answer = await run.ask<ValidatePegOperations>(
    'bridge',
    {
      type: 'bridge.ValidatePegOperations',
      payload: {
        headers: items.bitcoinHeaders,
        deposits: items.pegIns.map((item) => ({
          outpoint: `${hashKey(item.txid)}:${item.vout}`,
          blockHash: items.proofs[item.proofIndex]?.blockHash ?? new Uint8Array(32),
        })),
      },
    },
    { timeoutMs: PEG_CHECK_TIMEOUT_MS },
  )
  if (!answer.ok) return true
  if (answer.value.payload.objects) {
    run.log('warn', 'the bridge objects', { reasons: answer.value.payload.reasons })
  }
  return answer.value.payload.objects
}

/** Full validation (BF-4): rules, execution, ledger, and for a fresh proposal the local view. */
async function validate(effect: EffectOf<'validate'>, run: ChainRun): Promise<BlockValidated> {
  const { parent, block, hash, fresh } = effect
  const executed = await execute(parent, block, run)
  const answer = (
    verdict: Verdict,
    objects: boolean,
    candidate?: { block: Block; head: ChainHead },
  ): BlockValidated => ({
    type: 'chain.BlockValidated',
    payload: { hash, verdict, objects, ...(candidate && { candidate }) },
  })
  if (executed.verdict.kind !== 'valid') return answer(executed.verdict, false)
  const objects = fresh && (await bridgeObjects(block.body, run))
  return answer(VALID, objects, { block, head: executed.head as ChainHead })
}

async function execute(
  parent: ChainHead,
  block: Block,
  run: ChainRun,
): Promise<{ verdict: Verdict; head?: ChainHead }> {
  const { genesis } = run.ports
  const begun = checkBlock(genesis, parent, block)
  if (!begun.ok) return { verdict: { kind: 'invalid', ...begun.error } }
  const result = await run.ask<ExecutePayload>(
    'engine',
    { type: 'engine.ExecutePayload', payload: { payload: block.body.payload } },
    { timeoutMs: EXECUTE_TIMEOUT_MS },
  )
  if (!result.ok) return { verdict: unknown(`Engine${result.error.code}`, 1_000) }
  if (result.value.type === 'engine.EngineFailed') {
    return { verdict: unknown(result.value.payload.code, 1_000) }
  }
  const { payload } = result.value
  switch (payload.status) {
    case 'UNKNOWN':
      // The parent is durable here or was executed just before: an engine without it lost what it held.
      if (payload.code === 'ParentMissing') throw engineLost(parent)
      return { verdict: unknown(payload.code, 1_000) }
    case 'INVALID':
      return { verdict: { kind: 'invalid', code: payload.code, detail: payload.reason } }
    case 'VALID':
      return complete(begun.value, payload.outcome)
  }

  function complete(begunBlock: BegunBlock, outcome: ExecutionOutcome) {
    const completed = completeBlock(genesis, parent, begunBlock, outcome)
    return completed.ok
      ? { verdict: VALID, head: completed.value }
      : { verdict: { kind: 'invalid', ...completed.error } as const }
  }
}

/** 2.8: the record is durable before the signature exists; a repeat gives the same bytes. */
async function sign(
  effect: EffectOf<'sign'>,
  run: ChainRun,
  guard: SignGuard,
): Promise<MessageSigned> {
  const { record } = effect
  const { genesis, validator } = run.ports
  const refused = (code: string): MessageSigned => ({
    type: 'chain.MessageSigned',
    payload: { refused: record, code },
  })
  if (validator === undefined) return refused('NotAValidator')
  const decision = await guard.append(record)
  if (typeof decision === 'object') {
    run.log('warn', 'the sign guard refuses', { code: decision.refuse, kind: record.kind })
    return refused(decision.refuse)
  }
  const signer = {
    publicKey: validator.blsKey,
    sign: (message: Uint8Array) => validator.sign(message),
  }
  return {
    type: 'chain.MessageSigned',
    payload: { signed: signRecord(genesis.hash, record, signer) },
  }
}

/** The lowest block that the peg still needs, or a restart: it reads the last fee rates from the blocks. */
function neededFrom(genesis: Genesis, ledger: Ledger): number {
  return Math.min(lowestNeeded(genesis, ledger), ledger.state.height - feeRatesKept(ledger))
}

/** 2.11: one fsynced storage commit, then the engine's head, then everyone is told. */
async function commit(
  effect: EffectOf<'commit'>,
  run: ChainRun,
  guard: SignGuard,
): Promise<BlockStored> {
  const { committed, head } = effect
  const write: BlockWrite = {
    committed,
    hash: head.hash,
    ledgerChanges: ledgerChanges(head.ledger),
    neededFrom: neededFrom(run.ports.genesis, head.ledger),
  }
  // Of a node that signed nothing at this height the floor of the one before may not be durable yet (2.8).
  await guard.compact(head.header.height - 1)
  const stored = await run.ask<PersistBlock>(
    'storage',
    { type: 'storage.PersistBlock', payload: write },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  if (!stored.ok) throw dependencyTimeout('storage', stored.error.code)
  const sinceSlotMs = run.clock.nowMs() - head.header.slot * run.ports.genesis.params.slotMs
  run.ports.metrics.observe(CHAIN_METRICS.commitSeconds, {}, sinceSlotMs / 1_000)
  await settleBlock(committed, head, run, guard, () => prepareNext(committed.block, head, run))
  return { type: 'chain.BlockStored', payload: { committed, head, guard: guard.view() } }
}

function refusalOf(answer: EngineHead | EngineFailed): string | undefined {
  return answer.type === 'engine.EngineFailed' ? answer.payload.code : undefined
}

/** Where the slot after a block with transactions is ours, the engine need not wait for it to go on. */
function prepareNext(block: Block, head: ChainHead, run: ChainRun): void {
  const { genesis, preparesBlocks, validator } = run.ports
  const slot = head.header.slot + 1
  const untilMs = slot * genesis.params.slotMs
  const isWorthIt = block.body.payload.transactions.length > 0 && run.clock.nowMs() < untilMs
  if (preparesBlocks !== true || validator === undefined || !isWorthIt) return
  const author = authorOfSlot(validatorsAfter(head), head.header.slot, slot)
  if (author === undefined || !equalBytes(author.blsKey, validator.blsKey)) return
  const reveal = validator.sign(randaoMessage(genesis.hash, slot))
  const plan = planBlock(genesis, head, slot, undefined, head.header.feeRateSatPerKvb, reveal)
  if (!plan.ok) return
  const payload = { ...buildFields(head, plan.value, author.address), untilMs }
  void run.tell('engine', { type: 'engine.PrepareBlock', payload })
}

/** What follows a durable block. The engine's head may lag: its answer is not waited for. `then`: it does not. */
async function settleBlock(
  committed: CommittedBlock,
  head: ChainHead,
  run: ChainRun,
  guard: SignGuard,
  then?: () => void,
): Promise<void> {
  const { height } = head.header
  void run
    .ask<CommitPayload>(
      'engine',
      { type: 'engine.CommitPayload', payload: { hash: head.evm.hash, height } },
      { timeoutMs: PERSIST_TIMEOUT_MS },
    )
    .then((result) => {
      const code = result.ok ? refusalOf(result.value) : result.error.code
      if (code === undefined) then?.()
      else run.log('warn', 'the engine did not commit', { code, height })
    })
  const { slot } = head.header
  const { metrics, views } = run.ports
  const committedAtMs = run.clock.nowMs()
  views.publishHead({ head, certificate: committed.certificate, committedAtMs })
  await guard.compact(height)
  metrics.count(CHAIN_METRICS.blocksCommitted, {})
  for (const evidence of committed.block.body.evidence) {
    run.log('warn', 'a block convicts a validator', { ...describeEvidence(evidence), by: height })
    countEvidence(run, evidence, 'block')
  }
  run.log('info', 'block committed', {
    height,
    slot,
    view: committed.certificate.view,
    hash: hashKey(head.hash).slice(0, 16),
    transactions: committed.block.body.payload.transactions.length,
    pegIns: committed.block.body.pegIns.length,
    records: committed.block.body.records.length,
    // Of a block that sync fetched it tells how late this node was.
    sinceSlotMs: committedAtMs - slot * run.ports.genesis.params.slotMs,
  })
}

interface ImportedBlock {
  readonly committed: CommittedBlock
  readonly head: ChainHead
}

interface Stopped {
  readonly code: string
  readonly fault: 'peer' | 'local'
}

/** Flow 4: certified blocks in order, executed one by one, stored a few at a time: the engine holds no more unstored. */
async function importBatch(
  effect: EffectOf<'importBatch'>,
  run: ChainRun,
  guard: SignGuard,
): Promise<BatchStored> {
  const { blocks, replyTo } = effect
  let parent = effect.parent
  let last: ImportedBlock | undefined
  let stopped: Stopped | undefined
  for (let at = 0; at < blocks.length && stopped === undefined; at += MAX_UNSTORED_BLOCKS) {
    const executed = await executeRun(parent, blocks.slice(at, at + MAX_UNSTORED_BLOCKS), run)
    stopped = executed.stopped
    const { imported } = executed
    if (imported.length === 0) break
    await storeRun(imported, run, guard)
    last = imported.at(-1) as ImportedBlock
    parent = last.head
  }
  return {
    type: 'chain.BatchStored',
    payload: {
      replyTo,
      result: { height: parent.header.height, ...stopped },
      ...(last && { last }),
      guard: guard.view(),
    },
  }
}

/** The blocks up to the first one that does not hold. */
async function executeRun(
  start: ChainHead,
  blocks: readonly CommittedBlock[],
  run: ChainRun,
): Promise<{ imported: readonly ImportedBlock[]; stopped?: Stopped }> {
  const imported: ImportedBlock[] = []
  let parent = start
  for (const committed of blocks) {
    const certified = commitVerdict(run.ports.genesis, parent, committed)
    if (certified.kind !== 'valid') {
      return { imported, stopped: { code: certified.code, fault: 'peer' } }
    }
    const { verdict, head } = await execute(parent, committed.block, run)
    if (head === undefined) {
      const code = verdict.kind === 'valid' ? 'NoHead' : verdict.code
      return { imported, stopped: { code, fault: verdict.kind === 'invalid' ? 'peer' : 'local' } }
    }
    imported.push({ committed, head })
    parent = head
  }
  return { imported }
}

/**
 * The guard is raised before the blocks are durable: they are certified, so nothing of theirs is left to sign, and a crash
 * in between leaves no guard that lags by more than one block and would leave out the height that is voted on (BP-4).
 */
async function storeRun(
  imported: readonly ImportedBlock[],
  run: ChainRun,
  guard: SignGuard,
): Promise<void> {
  const blocks = imported.map(({ committed, head }) => ({
    committed,
    hash: head.hash,
    ledgerChanges: ledgerChanges(head.ledger),
    neededFrom: neededFrom(run.ports.genesis, head.ledger),
  }))
  await guard.compact((imported.at(-1) as ImportedBlock).head.header.height)
  const stored = await run.ask<PersistBlockBatch>(
    'storage',
    { type: 'storage.PersistBlockBatch', payload: { blocks } },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  if (!stored.ok) throw dependencyTimeout('storage', stored.error.code)
  for (const { committed, head } of imported) await settleBlock(committed, head, run, guard)
}

/** 2.6: whoever speaks of a height that is committed here gets that block and its certificate. */
async function answerCommitted(
  effect: EffectOf<'answerCommitted'>,
  run: ChainRun,
): Promise<undefined> {
  const { height, peer } = effect
  const range = await run.ask<ReadBlocks>(
    'storage',
    { type: 'storage.ReadBlocks', payload: { from: height, count: 1, maxBytes: 16 * 1024 * 1024 } },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  const [committed] = range.ok ? range.value.payload.blocks : []
  if (committed === undefined) return undefined
  await run.tell('network', {
    type: 'network.SendToPeer',
    payload: { peer, message: { kind: 'committedBlock', value: committed } },
  })
  return undefined
}

/** 2.7. This process signs and commits nothing any more; with the record the next one does neither. */
async function recordHalt(effect: EffectOf<'halt'>, run: ChainRun): Promise<HaltStored> {
  announceHalt(effect, run)
  const recorded = await run.ask<RecordHalt>(
    'storage',
    { type: 'storage.RecordHalt', payload: { record: encodeHalt(effect.record) } },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  if (!recorded.ok) run.log('error', 'the halt is not recorded', { code: recorded.error.code })
  return { type: 'chain.HaltStored', payload: { stored: recorded.ok } }
}

function announceHalt({ record, snapshot }: EffectOf<'halt'>, run: ChainRun): void {
  const { id, reason, atMs, certificates } = record
  run.log('error', 'halted: an operator must act', { id, reason, atMs, certificates })
  run.ports.metrics.count(CHAIN_METRICS.halts, { reason })
  run.ports.views.publishSnapshot(snapshot)
}

/** 2.9: still there after a restart. */
async function recordEvidence(
  { drop, put }: EffectOf<'recordEvidence'>,
  run: ChainRun,
): Promise<EvidenceStored> {
  const rows = put.map((evidence) => ({
    key: toHex(evidenceKey(evidence)),
    bytes: encodeEvidence(evidence),
  }))
  const recorded = await run.ask<RecordEvidence>(
    'storage',
    { type: 'storage.RecordEvidence', payload: { put: rows, drop } },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  if (!recorded.ok) run.log('warn', 'evidence is not recorded', { code: recorded.error.code })
  return { type: 'chain.EvidenceStored', payload: { stored: recorded.ok } }
}

async function tellEvidence(
  { found, pool }: EffectOf<'tellEvidence'>,
  run: ChainRun,
): Promise<undefined> {
  run.ports.views.publishEvidence([...pool.values()])
  if (found === undefined) return undefined
  const { evidence, source } = found
  run.log('warn', 'a validator signed twice', { ...describeEvidence(evidence), source })
  countEvidence(run, evidence, source)
  return undefined
}

function countEvidence(run: ChainRun, { phase }: Evidence, source: string): void {
  const name = EVIDENCE_PHASES[phase] ?? 'none'
  run.ports.metrics.count(CHAIN_METRICS.evidence, { phase: name, source })
}

/** Evidence as people read it. */
function describeEvidence({ first, phase, round, second, validator }: Evidence) {
  const name = EVIDENCE_PHASES[phase]
  return {
    validator: toHex(validator),
    phase: name,
    height: first.height,
    ...(name === 'block' ? { slot: round, otherHeight: second.height } : { view: round }),
    hashes: [first, second].map(({ hash }) => hashKey(hash).slice(0, 16)),
  }
}

/** The one line that tells why: who proposed, what was missing, how late. */
async function viewFailed(effect: EffectOf<'viewFailed'>, run: ChainRun): Promise<undefined> {
  const { failure, snapshot } = effect
  const { reason, quorum, proposalMs, preparedMs, lastedMs } = failure
  run.log('info', 'view failed', {
    height: failure.height,
    view: failure.view,
    reason,
    code: failure.code,
    proposer: failure.proposer.slice(0, 16),
    prepares: `${failure.prepares} of ${quorum}`,
    commits: `${failure.commits} of ${quorum}`,
    missing: failure.missing.map((key) => key.slice(0, 16)).join(' '),
    proposalMs,
    preparedMs,
    lastedMs,
  })
  const { metrics, views } = run.ports
  metrics.count(CHAIN_METRICS.viewFailures, { reason })
  const times = { proposal: proposalMs, prepared: preparedMs, left: lastedMs }
  for (const [step, ms] of Object.entries(times)) {
    if (ms !== undefined) {
      metrics.observe(CHAIN_METRICS.viewLateness, { step }, Math.max(0, ms) / 1_000)
    }
  }
  views.publishSnapshot(snapshot)
  return undefined
}

async function note(effect: EffectOf<'note'>, run: ChainRun): Promise<undefined> {
  run.log('debug', effect.event, { ...effect.fields })
  if (effect.count !== undefined) {
    run.ports.metrics.count(CHAIN_METRICS[effect.count.metric], effect.count.labels)
  }
  run.ports.views.publishSnapshot(effect.snapshot)
  if (effect.consensus !== undefined) run.ports.views.publishConsensus(effect.consensus)
  return undefined
}

/** The next incarnation replays what the engine lacks (`replayEngine`). */
function engineLost({ header }: ChainHead): Error {
  const reason = `the engine has not executed block ${header.height}`
  return faultError('EngineLost', CHAIN_FAULTS.EngineLost, reason)
}

function dependencyTimeout(actor: string, code: string): Error {
  return faultError(
    'DependencyTimeout',
    CHAIN_FAULTS.DependencyTimeout,
    `${actor} did not answer: ${code}`,
  )
}
