/** What a proposer does, with the same functions that check it (C-4): plan, let the engine build, seal. */
import {
  type Block,
  type BlockBody,
  blockHash,
  type Evidence,
  type ExecutionPayload,
  evidenceRoot,
  genesisMembersHash,
  type KeygenItem,
  knownBodyRoot,
  mixRandao,
  type PegOrderItem,
  type QuorumCertificate,
  type ValidatorChangeItem,
  type Withdrawal,
} from '../block/index.ts'
import { selectKeygen } from '../keygen/index.ts'
import { type Ledger, ledgerRoot } from '../ledger/index.ts'
import { err, type Genesis, nextGasLimit, ok, type Result } from '../params/index.ts'
import {
  type Assembled,
  assemble,
  beginBlock,
  checkPegOrder,
  emptyPegBody,
  type PegBody,
  type PegQueue,
  type Refused,
} from '../peg/index.ts'
import { checkValidatorChange } from '../validators/index.ts'
import {
  type ExecutionEffects,
  headAfter,
  type InvalidBlock,
  ledgerAfter,
  ledgerWithChanges,
  nextValidatorsHash,
  pegContext,
  slotTimestamp,
} from './check.ts'
import { dueEvidence } from './evidence.ts'
import { type ChainHead, GENESIS_CERTIFICATE } from './head.ts'

export type PegItems = PegBody

/** A block before its execution: what it will carry and what the engine is asked for. */
export interface BlockPlan {
  readonly slot: number
  readonly items: PegItems
  /** Queue entries that were not taken, by their place. */
  readonly refused: readonly Refused[]
  readonly validatorChanges: readonly ValidatorChangeItem[]
  readonly evidence: readonly Evidence[]
  readonly keygen: readonly KeygenItem[]
  readonly pegOrders: readonly PegOrderItem[]
  readonly ledger: Ledger
  readonly withdrawals: readonly Withdrawal[]
  readonly timestamp: number
  readonly prevRandao: Uint8Array
  readonly gasLimit: number
  readonly feeRateSatPerKvb: number
  readonly randaoReveal: Uint8Array
}

/** What a block may carry beside the peg's items, as it waits; what is not valid now is left out. */
export interface BlockExtras {
  readonly validatorChanges?: readonly ValidatorChangeItem[]
  /** Verified. */
  readonly evidence?: readonly Evidence[]
  readonly keygen?: readonly KeygenItem[]
  readonly pegOrders?: readonly PegOrderItem[]
}

export interface BlockAuthor {
  readonly blsKey: Uint8Array
  readonly address: Uint8Array
}

const NOTHING_ASSEMBLED: Assembled = { items: emptyPegBody(), refused: [] }

/** What the next block of `slot` carries; peg items only in a block of view 0 (4.0). */
export function planBlock(
  genesis: Genesis,
  parent: ChainHead,
  slot: number,
  queue: PegQueue | undefined,
  feeRateSatPerKvb: number,
  randaoReveal: Uint8Array,
  extras: BlockExtras = {},
): Result<BlockPlan, InvalidBlock> {
  const context = pegContext(genesis, parent, slot, feeRateSatPerKvb)
  const withPeg = queue !== undefined && slot === context.viewZeroSlot
  const assembled = withPeg ? assemble(parent.ledger, context, queue) : NOTHING_ASSEMBLED
  const { items, refused } = assembled
  const begun = beginBlock(parent.ledger, context, items)
  if (!begun.ok) return err(begun.error)
  const validatorChanges = (extras.validatorChanges ?? [])
    .filter((change) => checkValidatorChange(genesis, parent.ledger, change).ok)
    .slice(0, 1)
  const evidence = dueEvidence(genesis, parent.ledger, extras.evidence ?? [])
  const keygen = selectKeygen(genesis, parent.ledger, context.height, extras.keygen ?? [])
  // On the ledger after the peg's items, of which one may have done what an order is for.
  const pegOrders = (extras.pegOrders ?? [])
    .filter((order) => checkPegOrder(genesis, begun.value.ledger, order) === undefined)
    .slice(0, 1)
  const changes = { evidence, keygen, pegOrders, validatorChanges }
  const changed = ledgerWithChanges(genesis, begun.value.ledger, context.height, changes)
  if (!changed.ok) return changed
  return ok({
    slot,
    items,
    refused,
    validatorChanges,
    evidence,
    keygen,
    pegOrders,
    ledger: changed.value,
    withdrawals: begun.value.withdrawals,
    timestamp: slotTimestamp(slot, genesis.params.slotMs),
    prevRandao: mixRandao(parent.evm.prevRandao, randaoReveal),
    gasLimit: nextGasLimit(parent.evm.gasLimit, genesis.params.gasLimit),
    feeRateSatPerKvb,
    randaoReveal,
  })
}

/**
 * The block of a plan and its payload. Its signature is zero: the author signs after the guard recorded the proposal.
 */
export function sealBlock(
  genesis: Genesis,
  parent: ChainHead,
  parentCertificate: QuorumCertificate | undefined,
  plan: BlockPlan,
  author: BlockAuthor,
  payload: ExecutionPayload,
  effects: ExecutionEffects,
): Result<{ block: Block; head: ChainHead }, InvalidBlock> {
  const height = parent.header.height + 1
  const ledger = ledgerAfter(genesis, plan.ledger, height, payload, effects)
  if (!ledger.ok) return ledger
  const body: BlockBody = {
    parentCertificate: parentCertificate ?? GENESIS_CERTIFICATE,
    ...plan.items,
    evidence: [...plan.evidence],
    validatorChanges: [...plan.validatorChanges],
    keygen: [...plan.keygen],
    pegOrders: [...plan.pegOrders],
    payload,
  }
  const header = {
    height,
    slot: plan.slot,
    author: author.blsKey,
    parentHash: parent.hash,
    bodyRoot: knownBodyRoot(genesis, body),
    evmBlockHash: payload.blockHash,
    ledgerRoot: ledgerRoot(ledger.value),
    paramsHash: genesis.paramsHash,
    validatorsHash: parent.header.nextValidatorsHash,
    nextValidatorsHash: nextValidatorsHash(genesis, parent),
    membersHash: genesisMembersHash(genesis),
    evidenceRoot: evidenceRoot(body.evidence),
    feeRateSatPerKvb: plan.feeRateSatPerKvb,
    randaoReveal: plan.randaoReveal,
  }
  const hash = blockHash(header)
  const block: Block = { header, body, signature: new Uint8Array(96) }
  return ok({ block, head: headAfter(parent, block, hash, ledger.value) })
}
