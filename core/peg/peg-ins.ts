/** A peg-in item enters the ledger: proof, script, kind, approval and limits, each with its own code (protocol §4.2; PI-5). */
import { equalBytes, type SignatureSuite, toDisplayHash } from '../../crypto/index.ts'
import type { BitcoinOutput } from '../bitcoin/index.ts'
import {
  type MemberApproval,
  PEG_IN_KINDS,
  type PegInClaim,
  REFUND_REASONS,
  TransactionProofType,
} from '../block/index.ts'
import {
  DEFICIT_CAUSE,
  FUND_CAUSE,
  type LedgerDraft,
  OUTPUT_KIND,
  OUTPUT_STATE,
  type OutputRow,
  outpointKey,
  SPEND_KIND,
  SPEND_STATE,
  ZERO_HASH,
} from '../ledger/index.ts'
import { verifyApproval } from './approvals.ts'
import type { PegContext } from './context.ts'
import { classifyDeposit, type Deposit, parseDeposits } from './deposits.ts'
import { noteDeposit } from './effects.ts'
import { fault, type PegError } from './errors.ts'
import { setDeficit, setFund } from './fund.ts'
import { bestHash } from './headers.ts'
import { isBuried, type ProvenTransaction } from './proofs.ts'
import { changeOutput, federationOutput, validUntil } from './scripts.ts'

/** Bitcoin blocks whose credits a reorg could take at once. */
const REORG_CAP_BLOCKS = 100

/**
 * The peg-in items of one block, one after another: no header and no booking comes between them. Where `signatures` puts checks off,
 * what is entered counts once they are made.
 */
export class PegInRun {
  readonly #draft: LedgerDraft
  readonly #context: PegContext
  readonly #signatures: SignatureSuite
  /** What the caps count, from the first credit on. */
  #credits: { recentSat: bigint; daySat: bigint } | undefined

  constructor(
    draft: LedgerDraft,
    context: PegContext,
    signatures: SignatureSuite = context.genesis.signatures,
  ) {
    this.#draft = draft
    this.#context = context
    this.#signatures = signatures
  }

  /** Enters the deposit that `claim` states, or says which rule it breaks and leaves the draft unchanged. */
  apply(
    claim: PegInClaim,
    proven: ProvenTransaction,
    approval: MemberApproval,
  ): PegError | undefined {
    const draft = this.#draft
    const context = this.#context
    const output = provenOutput(draft, context, claim, proven)
    if ('code' in output) return output
    const key = outpointKey(claim.txid, claim.vout)
    const before = draft.get('outputs', key)
    // A row that a reorg took away comes back by the same item; any other second item is refused for ever (D2).
    const isRestored = before?.state === OUTPUT_STATE.absent && before.kind === claim.kind
    if (before !== undefined && !isRestored) return fault('PegInDuplicate', nameOf(claim))
    const { membersEpoch } = draft.state
    const refused =
      depositFault(draft, context, claim, proven, output) ??
      verifyApproval(context.genesis, 'pegIn', membersEpoch, claim, approval, this.#signatures)
    if (refused !== undefined) return refused
    if (before !== undefined) {
      restore(draft, context, key, before, proven)
      this.#credits = undefined
      return undefined
    }
    const lastHeight = validUntil(draft.open('keys'), claim.depositEpoch)
    if (lastHeight !== undefined && proven.height > lastHeight) {
      return fault('PegInEpochOver', `${proven.height} after ${lastHeight}`)
    }
    if (draft.state.pegInStops > 0) return fault('PegInsPaused')
    const isCredit = claim.kind === OUTPUT_KIND.credit
    const capped = isCredit ? this.#capFault(claim) : undefined
    if (capped !== undefined) return capped
    enter(draft, context, key, claim, proven, output, approval)
    if (isCredit && this.#credits !== undefined) {
      this.#credits.daySat += claim.amountSat
      if (isRecent(draft, proven.height)) this.#credits.recentSat += claim.amountSat
    }
    return undefined
  }

  #capFault({ amountSat }: PegInClaim): PegError | undefined {
    const draft = this.#draft
    const { params, timestamp } = this.#context
    const { burnedSat, creditedSat, mintedSat } = draft.state
    this.#credits ??= {
      recentSat: recentCreditSat(draft),
      daySat: draft.dayCreditSat(timestamp),
    }
    const { daySat, recentSat } = this.#credits
    if (mintedSat - burnedSat + creditedSat + amountSat > params.totalCapSat) {
      return fault('TotalCapReached')
    }
    if (daySat + amountSat > params.dailyCapSat) return fault('DailyCapReached')
    return recentSat + amountSat > params.reorgCapSat ? fault('ReorgCapReached') : undefined
  }
}

export function nameOf(claim: Pick<PegInClaim, 'txid' | 'vout'>): string {
  return `${toDisplayHash(claim.txid)}:${claim.vout}`
}

/** The output that the claim is about, if it is what the claim says. */
function provenOutput(
  draft: LedgerDraft,
  { params }: PegContext,
  claim: PegInClaim,
  proven: ProvenTransaction,
): BitcoinOutput | PegError {
  if (PEG_IN_KINDS[claim.kind] === undefined || REFUND_REASONS[claim.reason] === undefined) {
    return fault('PegInKindUnknown', `${claim.kind}, ${claim.reason}`)
  }
  if (!equalBytes(claim.txid, proven.txid)) return fault('PegInTxidWrong', nameOf(claim))
  const output = proven.transaction.outputs[claim.vout]
  if (output === undefined) return fault('PegInOutputMissing', nameOf(claim))
  if (output.amountSat !== claim.amountSat) return fault('PegInAmountWrong', nameOf(claim))
  if (claim.depositEpoch > draft.state.epoch) return fault('PegInEpochUnknown', nameOf(claim))
  if (!isBuried(proven, params.pegInConfirmations)) {
    return fault('PegInTooYoung', `${proven.confirmations} confirmations`)
  }
  return output
}

/** Whether script, payload, kind and amount make the deposit that is claimed. */
function depositFault(
  draft: LedgerDraft,
  { genesis, params }: PegContext,
  claim: PegInClaim,
  proven: ProvenTransaction,
  { scriptPubKey }: BitcoinOutput,
): PegError | undefined {
  const { depositEpoch: epoch, evmAddress, refundScript } = claim
  const { transaction, txid } = proven
  const spendsReserve = transaction.inputs.some(
    (input) => draft.get('outputs', outpointKey(input.txid, input.vout)) !== undefined,
  )
  const plain = changeOutput(genesis, epoch, draft.open('keys')).scriptPubKey
  if (equalBytes(scriptPubKey, plain)) {
    if (spendsReserve) return fault('PegInSpendsReserve', nameOf(claim))
    const deposits = parseDeposits(transaction, [{ epoch, scriptPubKey: plain }], params)
    return claimFault(
      claim,
      deposits.find(({ vout }) => vout === claim.vout),
    )
  }
  const own = federationOutput(
    genesis,
    { epoch, deposit: { evmAddress, refundScript } },
    draft.open('keys'),
  )
  if (!equalBytes(scriptPubKey, own.scriptPubKey)) return fault('PegInScriptWrong', nameOf(claim))
  if (spendsReserve && !paysRequest(draft, txid, claim.vout)) {
    return fault('PegInSpendsReserve', nameOf(claim))
  }
  const found = classifyDeposit(params, claim.amountSat, { evmAddress })
  return claimFault(claim, found && { ...found, evmAddress, refundScript })
}

type ExpectedDeposit = Pick<Deposit, 'kind' | 'reason' | 'evmAddress' | 'refundScript'>

function claimFault(
  claim: PegInClaim,
  expected: ExpectedDeposit | undefined,
): PegError | undefined {
  if (expected === undefined) return fault('PegInBelowMinimum', nameOf(claim))
  if (!equalBytes(claim.evmAddress, expected.evmAddress)) {
    return fault('PegInAddressWrong', nameOf(claim))
  }
  if (!equalBytes(claim.refundScript, expected.refundScript)) {
    return fault('PegInRefundScriptWrong', nameOf(claim))
  }
  const kind = PEG_IN_KINDS[claim.kind]
  const reason = REFUND_REASONS[claim.reason]
  const isDenied = expected.kind === 'credit' && kind === 'refundable' && reason === 'denied'
  if (isDenied || (kind === expected.kind && reason === expected.reason)) return undefined
  return fault('PegInKindWrong', `${kind} ${reason} instead of ${expected.kind} ${expected.reason}`)
}

/** Whether the output pays a request of a booked batch: a peg-out to somebody's deposit address (4.2). */
function paysRequest(draft: LedgerDraft, txid: Uint8Array, vout: number): boolean {
  const spend = draft.get('spends', txid)
  if (spend?.kind !== SPEND_KIND.version || spend.state !== SPEND_STATE.booked) return false
  const batch = draft.get('batches', spend.batchId)
  return batch !== undefined && vout < batch.requests.length
}

function isRecent({ state }: LedgerDraft, height: number): boolean {
  return height > state.tipHeight - REORG_CAP_BLOCKS
}

/** Credits from the last 100 Bitcoin blocks. */
function recentCreditSat(draft: LedgerDraft): bigint {
  let sumSat = 0n
  const { tipHeight } = draft.state
  for (let height = tipHeight; isRecent(draft, height); height--) {
    const hash = height < 0 ? undefined : bestHash(draft, height)
    if (hash === undefined) break
    sumSat += draft.get('effects', hash)?.creditedSat ?? 0n
  }
  return sumSat
}

function enter(
  draft: LedgerDraft,
  { genesis, height, timestamp }: PegContext,
  key: Uint8Array,
  claim: PegInClaim,
  proven: ProvenTransaction,
  output: BitcoinOutput,
  approval: MemberApproval,
): void {
  const { amountSat, depositEpoch, evmAddress, kind, reason, refundScript } = claim
  const plain = changeOutput(genesis, depositEpoch, draft.open('keys')).scriptPubKey
  draft.put('outputs', key, {
    kind,
    reason,
    state: OUTPUT_STATE.live,
    amountSat,
    scriptPubKey: output.scriptPubKey,
    epoch: depositEpoch,
    tweaked: !equalBytes(output.scriptPubKey, plain),
    evmAddress,
    refundScript,
    refundTo: new Uint8Array(0),
    approvals:
      kind === OUTPUT_KIND.refundable
        ? [{ proofRoot: TransactionProofType.hashTreeRoot(claim.proof), approval }]
        : [],
    bitcoinHash: proven.blockHash,
    bitcoinHeight: proven.height,
    transactionIndex: proven.index,
    height,
    timestamp,
    minted: false,
    mintHeight: 0,
    withdrawalIndex: 0,
    feeSat: 0n,
    batchId: ZERO_HASH,
    spentBy: ZERO_HASH,
  })
  const isCredit = kind === OUTPUT_KIND.credit
  noteDeposit(draft, proven.blockHash, key, isCredit ? amountSat : 0n)
  if (isCredit) draft.markCredit(timestamp, amountSat)
  if (kind === OUTPUT_KIND.fund) setFund(draft, FUND_CAUSE.donation, key, amountSat, height)
}

/** The outpoint is proven again, in another block: its coin is back and its deficit is over (4.9). */
function restore(
  draft: LedgerDraft,
  { height }: PegContext,
  key: Uint8Array,
  row: OutputRow,
  proven: ProvenTransaction,
): void {
  draft.put('outputs', key, {
    ...row,
    state: OUTPUT_STATE.live,
    bitcoinHash: proven.blockHash,
    bitcoinHeight: proven.height,
    transactionIndex: proven.index,
  })
  noteDeposit(draft, proven.blockHash, key, row.kind === OUTPUT_KIND.credit ? row.amountSat : 0n)
  setDeficit(draft, DEFICIT_CAUSE.reorg, key, 0n, height)
}
