/** Why the peg's part of a block is invalid, or an entry of a queue is not taken. One code per rule (C-2). */

/** Each code with the rule that it stands for. */
export const PEG_CODES = {
  PegOutsideViewZero: '4.0: only a block of view 0 carries headers, peg-ins, proofs or records',
  HeaderMalformed: '4.1: a header has 80 bytes',
  HeaderParentUnknown:
    '4.1: a header links to one of the in-block chain, the next to the one before',
  HeaderBitsWrong: '4.1: nBits by the rule of the network',
  HeaderWorkMissing: '4.1: a hash at or below its target',
  HeaderTimeTooOld: '4.1: later than the median of the last 11',
  HeaderTimeTooNew: '4.1: at most 7,200 s after the block',
  HeadersTooMany: '4.1: at most 144 headers that extend the tip, 2,016 in a branch',
  BranchFromStale: '4.1: a branch leaves the best chain, and is whole',
  BranchWithoutMoreWork: '4.1: a branch has strictly more work',
  BranchNeedsApproval: '4.1: a switch that removes more than 100 blocks needs an approval',
  ProofIndexUnknown: '4.2: an item names a proof of its block',
  ProofDuplicate: '4.2: items of one transaction share its proof',
  ProofUnused: '4.2: each proof serves an item or a booking',
  ProofsTooLarge: '4.2: at most 256 KiB of proofs',
  ProofBlockUnknown: '4.2: the block is on the best chain of the headers',
  ProofTransactionMalformed: '4.2: a stripped transaction and nothing after it',
  ProofTransaction64Bytes: '4.2: 64 bytes could be an inner node of the tree',
  ProofBranchLength: '4.2: both branches are equally long',
  ProofIndexTooLarge: '4.2: the index is below 2^length',
  ProofBranchWrong: '4.2: the branch leads to the Merkle root',
  ProofCoinbaseBranchWrong: '4.2: the branch of the coinbase leads to the Merkle root',
  PegInKindUnknown: '4.2: credit, refundable or fund, and a reason of the list',
  PegInTxidWrong: '4.2: the txid is that of the proven transaction',
  PegInOutputMissing: '4.2: the transaction has that output',
  PegInAmountWrong: '4.2: the amount is that of the output',
  PegInEpochUnknown: '4.2: an epoch of the federation key that has begun',
  PegInEpochOver: '4.2: no later in Bitcoin than 52,560 blocks after the next key was made',
  PegInTooYoung: '4.2: N confirmations in the header chain, 100 for a coinbase output',
  PegInScriptWrong: '4.2: the script that epoch, address and refund script give, or the plain one',
  PegInDuplicate: '4.2: one row per outpoint, for ever',
  PegInSpendsReserve: '4.2: a transaction that spends a row of the ledger makes no deposit',
  PegInAddressWrong: '4.2: the address is the one that the payload names',
  PegInRefundScriptWrong: '4.2: the refund script is the one that the payload names',
  PegInKindWrong: '4.2: kind and reason follow from payload, address and amount',
  PegInBelowMinimum: '4.2: below minPegIn never an item',
  ApprovalEpochWrong: "4.2: the members' epoch is the parent ledger's",
  ApprovalBitmapWrong: '4.2: one bit per member',
  ApprovalQuorumMissing: '4.2: t of the members, by count',
  ApprovalSignatureWrong: '4.2: the aggregate of their signatures over the claim',
  PegInsPaused: '4.9: no new peg-ins while a deficit of a reorg is open',
  TotalCapReached: '4.2: the cap on supply and credits',
  DailyCapReached: '4.2: the cap on credits of 86,400 s',
  ReorgCapReached: '4.2: the cap on credits of the last 100 Bitcoin blocks',
  BookingUnrelated: '4.5: a booking is of a transaction that spends the reserve',
  BookingDuplicate: '4.5: a transaction is booked once',
  BookingTooYoung: '4.5: M confirmations in the header chain',
  BookingInputAbsent: '4.5: what it spends is in the reserve',
  ConflictAncestryBroken:
    '4.5: the first is a deposit, each further one made what the one before spends',
  ConflictWithout: '4.5: the proven transaction spends what the last of the ancestry would spend',
  ConflictTooYoung: '4.5: conflictDepth confirmations in the header chain',
  ConflictUnrelated: '4.5: a deposit of the ancestry is gone by a reorg, and not yet known as lost',
  ConflictUnbooked: '4.5: a conflict that spends what has a row is booked first',
  RecordKindUnknown: '4.5: a kind of the list',
  RecordExtra: '4.5: one record in a block',
  RecordRateOutOfBounds: '4.5: a rate in [ref/2, 2·ref] and within the parameters',
  RecordNotDue: '4.5: the oldest request has waited for batchWindow, or 100 wait',
  RecordInputGone: "4.5: the inputs are free after this block's headers and bookings",
  RecordRequestGone: "4.5: no batch that this block's headers opened again has a request of it",
  RecordWrong: '4.5: the record is the one that the parent ledger and the rate give',
  BumpBatchClosed: '4.5: a bump is a further version of an open batch',
  BumpTooEarly: '4.5: 3 Bitcoin blocks after the last version',
  BumpRateOutOfBounds: '4.5: at least 1 sat/vB and an eighth more, at most twice it and 4·ref',
  BumpFeeTooLow: '4.5: what it replaces paid, and 1 sat for each of its vB (BIP125)',
  BumpEatsPayment: '4.5: each request still gets 80 % and 546 sat',
  BumpInputGone: '4.5: it keeps inputs[0], and the rest covers the requests in one transaction',
  BumpVersionsExhausted: '4.5: at most 32 versions of a batch, 36 of one that is cancelled',
  SweepNotDue: '4.5: a sweep is due by age, key or number, and the fund pays it',
  SweepFundShort: '4.7: the fund, or the advance, pays for the bump of a sweep',
  RefundNotOwed: '5.9: the deposit is owed back, is there, and named a script that can be paid',
  RefundEatsDeposit: '5.9: 80 % of the deposit and 546 sat arrive',
  OrderKindUnknown: '5.9: an order is of a kind of the list, and has the fields of its kind alone',
  OrderRefundNotOwed: '5.9: the deposit is owed back, is there, and nobody knows whom it goes to',
  OrderScriptUnpayable: '5.9: whom it goes to can be paid',
  OrderOutdated:
    '4.9: the members decided about this loss, and not about one of the same subject before',
  OrderBatchClosed: '4.5: only an open payout is cancelled, once',
  OrderNoLoss: '4.9: a loss that is open and that the members have not booked yet',
  OrderFundTooSmall: '4.9: the fund bears at most the loss, and at most what it has',
  PegOutsPaused: '4.5: no payout after a spend without a record',
  BurnNotWholeSat: 'C-1: an amount with a remainder is an error',
  IdentityBroken: '4.7: reserve = supply + in flight',
} as const

export type PegCode = keyof typeof PEG_CODES

export interface PegError {
  readonly code: PegCode
  readonly detail?: string
}

export function fault(code: PegCode, detail?: string): PegError {
  return detail === undefined ? { code } : { code, detail }
}

/**
 * Faults that time or another block can mend: an entry of a queue stays for a later block. The others are permanent for
 * these bytes.
 */
const TRANSIENT: ReadonlySet<PegCode> = new Set([
  'PegOutsideViewZero',
  'HeaderTimeTooNew',
  'ProofBlockUnknown',
  'PegInTooYoung',
  'PegInEpochUnknown',
  'PegInsPaused',
  'TotalCapReached',
  'DailyCapReached',
  'ReorgCapReached',
  'BookingUnrelated',
  'BookingTooYoung',
  'BookingInputAbsent',
  'ConflictTooYoung',
  'ConflictUnbooked',
  'ProofsTooLarge',
])

export function isTransient(code: PegCode): boolean {
  return TRANSIENT.has(code)
}
