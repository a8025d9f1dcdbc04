/** What the BridgeActor does outside itself: it looks at Bitcoin, answers Chain, puts witnesses together and sends. */
import { completeTransaction } from '../../bridge/index.ts'
import { headerHash } from '../../core/bitcoin/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { joinAllParts } from '../../core/signing/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import { type BridgeInbox, deferredReply } from '../../messages/index.ts'
import type { ActorRun } from '../../supervisor/index.ts'
import { lookForConflicts } from './conflicts.ts'
import type { BridgeEffect } from './context.ts'
import { outpointId } from './deposits.ts'
import { MAX_QUESTIONS } from './limits.ts'
import { lookAtMempool } from './mempool.ts'
import { BRIDGE_METRICS } from './metrics.ts'
import { NOT_IN_MEMPOOL } from './payouts.ts'
import type { BitcoinPort, BridgePorts } from './port.ts'
import { claimFromBlock, type FindAddress, scanBitcoin } from './scan.ts'

export type BridgeRun = ActorRun<BridgeInbox, BridgePorts>
type EffectOf<Kind extends BridgeEffect['kind']> = Extract<BridgeEffect, { kind: Kind }>
type Told = BridgeInbox | readonly BridgeInbox[] | undefined

export async function perform(effect: BridgeEffect, run: BridgeRun): Promise<Told> {
  const { bitcoin, metrics, views } = run.ports
  switch (effect.kind) {
    case 'scan':
      return scan(effect, run)
    case 'mempool':
      return mempool(effect, run)
    case 'conflicts': {
      const { before, ledger } = effect
      const payload = await lookForConflicts(run.ports.genesis, bitcoin, ledger, before)
      return { type: 'bridge.ConflictsLooked', payload }
    }
    case 'claim':
      return claim(effect, run)
    case 'checkProposal':
      return checkProposal(effect, bitcoin)
    case 'join':
      return join(effect, run.ports)
    case 'assemble':
      return assemble(effect, run.ports.genesis)
    case 'broadcast':
      metrics.count(BRIDGE_METRICS.broadcasts, {})
      return broadcast(effect, bitcoin)
    case 'findPayout': {
      const { batchId, txid, version } = effect
      const found = await bitcoin.inMempool(txid)
      if (!found.ok) return undefined
      const { value: accepted } = found
      return {
        type: 'bridge.BroadcastResult',
        payload: { batchId, version, accepted, ...(!accepted && { code: NOT_IN_MEMPOOL }) },
      }
    }
    case 'publish':
      views.publishOperations(effect.operations)
      return undefined
    case 'publishBitcoin':
      views.publishBitcoin(effect.status)
      return undefined
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}

async function scan(effect: EffectOf<'scan'>, run: BridgeRun): Promise<Told> {
  const { bitcoin, genesis, metrics } = run.ports
  const { depositAddresses } = run.ports
  const outcome = await scanBitcoin(genesis, bitcoin, effect.ledger, effect.scanned, {
    find: (script) => depositAddresses?.find(script),
    rest: () => rest(run),
  })
  if (!outcome.ok) {
    const { code, message } = outcome.error
    return { type: 'bridge.BitcoinUnavailable', payload: { code, reason: message } }
  }
  const { detected, ...scanned } = outcome.value
  const estimate = await bitcoin.feeRate()
  const { minFeeRateSatPerKvb, maxFeeRateSatPerKvb } = genesis.params
  const feeRate = estimate.ok ? (estimate.value ?? minFeeRateSatPerKvb) : minFeeRateSatPerKvb
  const feeRateSatPerKvb = Math.min(maxFeeRateSatPerKvb, Math.max(minFeeRateSatPerKvb, feeRate))
  const before = effect.scanned.at(-1)?.height ?? genesis.bitcoin.checkpoint.height
  const newBlocks = (scanned.scanned.at(-1)?.height ?? before) - before
  if (newBlocks > 0) metrics.count(BRIDGE_METRICS.bitcoinBlocks, {}, newBlocks)
  for (const payload of detected) {
    if (payload.deposits.length > 0) {
      metrics.count(BRIDGE_METRICS.depositsSeen, {}, payload.deposits.length)
    }
    // Each begins a flow of its own: one peg-in is one trace (design §4).
    const message = { type: 'bridge.BitcoinTransactionDetected', payload } as const
    await run.tell(run.self, message, { correlationId: run.ids.next() })
  }
  return [{ type: 'bridge.BitcoinScanned', payload: { ...scanned, feeRateSatPerKvb } }]
}

async function mempool(
  { before, ledger }: EffectOf<'mempool'>,
  { clock, ports }: BridgeRun,
): Promise<Told> {
  const { bitcoin, depositAddresses, genesis } = ports
  if (bitcoin.mempool === undefined) return undefined
  const find: FindAddress = (script) => depositAddresses?.find(script)
  const nowMs = clock.nowMs()
  const look = await lookAtMempool(genesis, bitcoin.mempool, ledger, before, find, nowMs)
  const payload = look.ok ? { sight: look.value } : { code: look.error.code }
  return { type: 'bridge.MempoolSeen', payload }
}

async function claim(effect: EffectOf<'claim'>, run: BridgeRun): Promise<BridgeInbox> {
  const { addresses, block, ledger, replyTo } = effect
  const { bitcoin, genesis } = run.ports
  const outcome = await claimFromBlock(genesis, bitcoin, ledger, block, {
    find: (script) => addresses.find(({ scriptPubKey }) => equalBytes(scriptPubKey, script)),
    rest: () => rest(run),
  })
  if (!outcome.ok) {
    const { code } = outcome.error
    return deferredReply(replyTo, { type: 'bridge.ClaimRefused', payload: { code } })
  }
  for (const payload of outcome.value) {
    const message = { type: 'bridge.BitcoinTransactionDetected', payload } as const
    await run.tell(run.self, message, { correlationId: run.ids.next() })
  }
  const outpoints = outcome.value.flatMap(({ deposits }) => deposits.map(outpointId))
  return deferredReply(replyTo, { type: 'bridge.DepositsClaimed', payload: { outpoints } })
}

function rest({ clock }: BridgeRun): Promise<void> {
  return new Promise((resolve) => clock.yieldToLoop(resolve))
}

/** 4.6: every named block must be on our own Bitcoin's best chain; what is not known here counts as an objection. */
async function checkProposal(
  effect: EffectOf<'checkProposal'>,
  bitcoin: BitcoinPort,
): Promise<BridgeInbox> {
  const last = effect.headers.at(-1)
  const hashes = last === undefined ? effect.blocks : [...effect.blocks, headerHash(last)]
  const distinct = hashes.filter(
    (hash, index) => hashes.findIndex((other) => equalBytes(other, hash)) === index,
  )
  const answers = await inParallel(distinct, MAX_QUESTIONS, (hash) => bitcoin.header(hash))
  const reasons = answers.flatMap((found) => {
    if (!found.ok) return [found.error.code]
    return found.value?.isBest === true ? [] : ['NotOnBestChain']
  })
  return deferredReply(effect.replyTo, {
    type: 'bridge.PegValidationResult',
    payload: { objects: reasons.length > 0, reasons },
  })
}

/** Answers in the order of the items, of which at most so many are asked at once. */
async function inParallel<Item, Answer>(
  items: readonly Item[],
  most: number,
  ask: (item: Item) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = []
  const waiting = items.entries()
  const askOn = async () => {
    for (const [index, item] of waiting) answers[index] = await ask(item)
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, askOn))
  return answers
}

async function join(
  { all, attempt, batchId, list, task, version }: EffectOf<'join'>,
  { joinSignatures }: BridgePorts,
): Promise<Told> {
  const joined =
    joinSignatures === undefined
      ? joinAllParts(task, list, all)
      : await joinSignatures(task, list, all).catch(() => undefined)
  // Too many wait for the thread: the round ends by its timer.
  if (joined === undefined) return undefined
  return { type: 'bridge.SignaturesJoined', payload: { batchId, version, attempt, list, joined } }
}

function assemble(effect: EffectOf<'assemble'>, genesis: Genesis): BridgeInbox {
  const { batchId, members, session, signatures, version } = effect
  const { batch, coordinator, keys } = session
  const raw = completeTransaction(genesis, keys, batch, coordinator.task, members, signatures)
  return { type: 'bridge.BroadcastBitcoinTransaction', payload: { batchId, version, raw } }
}

/** PO-14: known already is success; a refusal is told with its reason; no answer leaves the matter to the next round. */
async function broadcast(
  effect: EffectOf<'broadcast'>,
  bitcoin: BitcoinPort,
): Promise<BridgeInbox> {
  const { batchId, raw, version } = effect
  const sent = await bitcoin.send(raw)
  const code = sent.ok ? sent.value : sent.error.code
  return {
    type: 'bridge.BroadcastResult',
    payload: {
      batchId,
      version,
      raw,
      accepted: code === undefined,
      ...(code !== undefined && { code }),
    },
  }
}
