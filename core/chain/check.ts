/**
 * Whether a block may follow `parent`: everything that depends on the two alone (protocol §2.1, §4, §6.2). It runs in three
 * steps, because the EVM stands between the second and the third: `checkHeader` (linkage, author, signatures, roots),
 * `beginBlock` of core/peg (items up to withdrawals), then, with the engine's outcome, `finishBlock`.
 */
import { equalBytes } from '../../crypto/index.ts'
import {
  authorMessage,
  type Block,
  type BlockBody,
  blockHash,
  type CommittedBlock,
  type ExecutionPayload,
  evidenceRoot,
  genesisMembersHash,
  knownBodyRoot,
  mixRandao,
  randaoMessage,
  type Withdrawal,
  WithdrawalType,
} from '../block/index.ts'
import { applyKeygen } from '../keygen/index.ts'
import { type Ledger, ledgerRoot } from '../ledger/index.ts'
import {
  err,
  type Genesis,
  invalid,
  nextGasLimit,
  ok,
  type Result,
  type Validator,
  type Verdict,
} from '../params/index.ts'
import { authorOfSlot, verifyCertificate } from '../pbft/index.ts'
import {
  applyPegOrder,
  type BridgeBurn,
  type BridgeCancel,
  type BridgeFund,
  beginBlock,
  finishBlock,
} from '../peg/index.ts'
import {
  applyValidatorChange,
  feeRateWindow,
  validatorsAt,
  validatorsHash,
} from '../validators/index.ts'
import { evidenceListFault, ledgerWithEvidence } from './evidence.ts'
import { type ChainHead, validatorsAfter } from './head.ts'

/** Why a block is not a valid child of its parent. Each is a function of the two alone. */
export const INVALID_BLOCK_CODES = [
  'WrongHeight',
  'WrongParent',
  'SlotNotAfterParent',
  'WrongSlotAuthor',
  'BadAuthorSignature',
  'BadRandaoReveal',
  'BadParentCertificate',
  'WrongBodyRoot',
  'WrongEvidenceRoot',
  'WrongParamsHash',
  'WrongValidatorsHash',
  'WrongMembersHash',
  'FeeRateOutOfBounds',
  'WrongPayloadField',
  'WithdrawalMismatch',
  'WrongLedgerRoot',
] as const
export type InvalidBlockCode = (typeof INVALID_BLOCK_CODES)[number]

export interface InvalidBlock {
  /** A code of this room or of core/peg. */
  readonly code: string
  readonly detail?: string
}

/** What an executed payload did, as far as the ledger is concerned. */
export interface ExecutionEffects {
  readonly burns: readonly BridgeBurn[]
  readonly cancels: readonly BridgeCancel[]
  readonly funds: readonly BridgeFund[]
  readonly feesBurnedWei: bigint
}

/** A block that is valid up to its execution. */
export interface BegunBlock {
  readonly block: Block
  readonly hash: Uint8Array
  readonly ledger: Ledger
}

/** Unix seconds of a slot (1.1). */
export function slotTimestamp(slot: number, slotMs: number): number {
  return (slot * slotMs) / 1000
}

/** The surroundings that the peg's rules read, for a block of `slot` after `parent`. */
export function pegContext(genesis: Genesis, parent: ChainHead, slot: number, feeRate: number) {
  return {
    genesis,
    params: genesis.params,
    height: parent.header.height + 1,
    slot,
    parentSlot: parent.header.slot,
    viewZeroSlot: parent.header.slot + 1,
    timestamp: slotTimestamp(slot, genesis.params.slotMs),
    feeRateSatPerKvb: feeRate,
    recentFeeRates: [...parent.feeRates],
  }
}

/** Steps one and two: everything up to the execution. */
export function checkBlock(
  genesis: Genesis,
  parent: ChainHead,
  block: Block,
): Result<BegunBlock, InvalidBlock> {
  const hash = blockHash(block.header)
  const fault = headerFault(genesis, parent, block, hash) ?? payloadFault(genesis, parent, block)
  if (fault !== undefined) return err(fault)
  const { header, body } = block
  const begun = beginBlock(
    parent.ledger,
    pegContext(genesis, parent, header.slot, header.feeRateSatPerKvb),
    body,
  )
  if (!begun.ok) return begun
  const mismatch = withdrawalFault(body.payload.withdrawals, begun.value.withdrawals)
  if (mismatch !== undefined) return err(mismatch)
  const evidence = evidenceListFault(genesis, parent.ledger, body.evidence)
  if (evidence !== undefined) return err({ code: evidence })
  const changed = ledgerWithChanges(genesis, begun.value.ledger, header.height, body)
  return changed.ok ? ok({ block, hash, ledger: changed.value }) : changed
}

/** The ledger with the block's evidence, its change of the validators and its order of the members, if any, and its part in the making of a key. */
export function ledgerWithChanges(
  genesis: Genesis,
  ledger: Ledger,
  height: number,
  {
    evidence,
    keygen,
    pegOrders: [order],
    validatorChanges: [change],
  }: Pick<BlockBody, 'evidence' | 'keygen' | 'pegOrders' | 'validatorChanges'>,
): Result<Ledger, InvalidBlock> {
  const convicted = ledgerWithEvidence(ledger, height, evidence)
  const changed =
    change === undefined ? ok(convicted) : applyValidatorChange(genesis, convicted, height, change)
  if (!changed.ok) return changed
  const ordered =
    order === undefined ? changed : applyPegOrder(genesis, changed.value, height, order)
  return ordered.ok ? applyKeygen(genesis, ordered.value, height, keygen) : ordered
}

/** Step three: the ledger after the execution must be the one that the header commits to. */
export function completeBlock(
  genesis: Genesis,
  parent: ChainHead,
  begun: BegunBlock,
  effects: ExecutionEffects,
): Result<ChainHead, InvalidBlock> {
  const { header, body } = begun.block
  const ledger = ledgerAfter(genesis, begun.ledger, header.height, body.payload, effects)
  if (!ledger.ok) return ledger
  if (!equalBytes(ledgerRoot(ledger.value), header.ledgerRoot))
    return err({ code: 'WrongLedgerRoot' })
  return ok(headAfter(parent, begun.block, begun.hash, ledger.value))
}

/** The ledger after a payload's burns and fees. */
export function ledgerAfter(
  genesis: Genesis,
  ledger: Ledger,
  height: number,
  payload: ExecutionPayload,
  effects: ExecutionEffects,
): Result<Ledger, InvalidBlock> {
  const finished = finishBlock(ledger, {
    genesis,
    params: genesis.params,
    height,
    timestamp: payload.timestamp,
    evmBlockHash: payload.blockHash,
    burns: effects.burns,
    cancels: effects.cancels,
    funds: effects.funds,
    feesBurnedWei: effects.feesBurnedWei,
  })
  return finished.ok ? ok(finished.value.ledger) : finished
}

export function headAfter(
  parent: ChainHead,
  block: Block,
  hash: Uint8Array,
  ledger: Ledger,
): ChainHead {
  const { header, body } = block
  const window = feeRateWindow(validatorsAt(ledger, header.height + 1).length)
  return {
    header,
    hash,
    ledger,
    evm: {
      hash: header.evmBlockHash,
      number: body.payload.blockNumber,
      prevRandao: body.payload.prevRandao,
      gasLimit: body.payload.gasLimit,
    },
    feeRates: [...parent.feeRates, header.feeRateSatPerKvb].slice(-window),
  }
}

function headerFault(
  genesis: Genesis,
  parent: ChainHead,
  block: Block,
  hash: Uint8Array,
): InvalidBlock | undefined {
  const { header, body } = block
  const validators = validatorsAfter(parent)
  if (header.height !== parent.header.height + 1) return { code: 'WrongHeight' }
  if (!equalBytes(header.parentHash, parent.hash)) return { code: 'WrongParent' }
  if (header.slot <= parent.header.slot) return { code: 'SlotNotAfterParent' }
  const author = authorOfSlot(validators, parent.header.slot, header.slot)
  if (author === undefined || !equalBytes(author.blsKey, header.author)) {
    return { code: 'WrongSlotAuthor' }
  }
  if (!equalBytes(header.bodyRoot, knownBodyRoot(genesis, body))) {
    return { code: 'WrongBodyRoot' }
  }
  if (!equalBytes(header.evidenceRoot, evidenceRoot(body.evidence)))
    return { code: 'WrongEvidenceRoot' }
  if (!equalBytes(header.paramsHash, genesis.paramsHash)) return { code: 'WrongParamsHash' }
  const next = nextValidatorsHash(genesis, parent)
  if (
    !equalBytes(header.validatorsHash, parent.header.nextValidatorsHash) ||
    !equalBytes(header.nextValidatorsHash, next)
  ) {
    return { code: 'WrongValidatorsHash' }
  }
  if (!equalBytes(header.membersHash, genesisMembersHash(genesis))) {
    return { code: 'WrongMembersHash' }
  }
  const { minFeeRateSatPerKvb, maxFeeRateSatPerKvb } = genesis.params
  const rate = header.feeRateSatPerKvb
  if (rate < minFeeRateSatPerKvb || rate > maxFeeRateSatPerKvb)
    return { code: 'FeeRateOutOfBounds' }
  if (!parentCertificateHolds(genesis, parent, block)) return { code: 'BadParentCertificate' }
  if (
    !genesis.signatures.verify(
      header.author,
      randaoMessage(genesis.hash, header.slot),
      header.randaoReveal,
    )
  ) {
    return { code: 'BadRandaoReveal' }
  }
  if (
    !genesis.signatures.verify(
      header.author,
      authorMessage(genesis.hash, header, hash),
      block.signature,
    )
  ) {
    return { code: 'BadAuthorSignature' }
  }
  return undefined
}

function parentCertificateHolds(genesis: Genesis, parent: ChainHead, block: Block): boolean {
  const certificate = block.body.parentCertificate
  if (parent.header.height === 0) {
    return (
      certificate.height === 0 &&
      certificate.view === 0 &&
      certificate.bitmap.bitLen === 0 &&
      certificate.blockHash.every((byte) => byte === 0) &&
      certificate.signature.every((byte) => byte === 0)
    )
  }
  // By those who decided the parent, who need not be those who decide this block.
  const validators = validatorsAt(parent.ledger, parent.header.height)
  return (
    certificate.height === parent.header.height &&
    equalBytes(certificate.blockHash, parent.hash) &&
    verifyCertificate(genesis.signatures, genesis.hash, 'commit', validators, certificate).kind ===
      'valid'
  )
}

/** What the header of the block after `parent` says of the one after it: all that acts there was decided by the parent or before. */
export function nextValidatorsHash(genesis: Genesis, { header, ledger }: ChainHead): Uint8Array {
  return validatorsHash(genesis, validatorsAt(ledger, header.height + 2))
}

function payloadFault(
  genesis: Genesis,
  parent: ChainHead,
  { header, body }: Block,
): InvalidBlock | undefined {
  const { payload } = body
  const author = validatorsAfter(parent).find(({ blsKey }) => equalBytes(blsKey, header.author))
  const wrong = (detail: string): InvalidBlock => ({ code: 'WrongPayloadField', detail })
  if (!equalBytes(payload.blockHash, header.evmBlockHash)) return wrong('blockHash')
  if (!equalBytes(payload.parentHash, parent.evm.hash)) return wrong('parentHash')
  if (payload.blockNumber !== parent.evm.number + 1) return wrong('blockNumber')
  if (payload.timestamp !== slotTimestamp(header.slot, genesis.params.slotMs))
    return wrong('timestamp')
  if (author === undefined || !equalBytes(payload.feeRecipient, author.address)) {
    return wrong('feeRecipient')
  }
  const randao = mixRandao(parent.evm.prevRandao, header.randaoReveal)
  if (!equalBytes(payload.prevRandao, randao)) return wrong('prevRandao')
  if (!equalBytes(payload.parentBeaconBlockRoot, parent.hash)) return wrong('parentBeaconBlockRoot')
  if (payload.gasLimit !== nextGasLimit(parent.evm.gasLimit, genesis.params.gasLimit)) {
    return wrong('gasLimit')
  }
  if (payload.blobGasUsed !== 0 || payload.excessBlobGas !== 0) return wrong('blobGasUsed')
  if (payload.extraData.length !== 0) return wrong('extraData')
  return undefined
}

function withdrawalFault(
  found: readonly Withdrawal[],
  expected: readonly Withdrawal[],
): InvalidBlock | undefined {
  const mismatch = (detail: string): InvalidBlock => ({ code: 'WithdrawalMismatch', detail })
  if (found.length !== expected.length) return mismatch(`${found.length} of ${expected.length}`)
  for (const [index, withdrawal] of expected.entries()) {
    if (!WithdrawalType.equals(withdrawal, found[index] as Withdrawal))
      return mismatch(`slot ${index}`)
  }
  return undefined
}

/** Whether a committed block's certificate is one for it, by the validators of its height. */
export function commitVerdict(
  genesis: Genesis,
  parent: ChainHead,
  committed: CommittedBlock,
): Verdict {
  return certificateVerdict(genesis, validatorsAfter(parent), committed)
}

function certificateVerdict(
  genesis: Genesis,
  validators: readonly Validator[],
  { block, certificate }: CommittedBlock,
): Verdict {
  if (certificate.height !== block.header.height) return invalid('WrongCertificateHeight')
  if (!equalBytes(certificate.blockHash, blockHash(block.header)))
    return invalid('WrongCertificateHash')
  return verifyCertificate(genesis.signatures, genesis.hash, 'commit', validators, certificate)
}
