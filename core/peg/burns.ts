/** After the execution: burns become requests or refund mints, fees enter the pool (protocol §4.4, §4.7; PO-2, PO-4). */
import { equalBytes, keccak256, uint32be } from '../../crypto/index.ts'
import { DUST_SAT, parsePayableScript, scriptFromAddress } from '../bitcoin/index.ts'
import {
  FUND_CAUSE,
  type Ledger,
  LedgerDraft,
  REQUEST_REASON,
  REQUEST_STATE,
  type RequestRow,
  ZERO_HASH,
} from '../ledger/index.ts'
import { err, type Genesis, ok, type Params, type Result, satFromWei } from '../params/index.ts'
import { fault, type PegError } from './errors.ts'
import { setFund } from './fund.ts'
import { checkIdentity } from './identity.ts'

/** RequestPegOut of the Bridge contract in a successful receipt. */
export interface BridgeBurn {
  /** Of the log in its block. */
  readonly logIndex: number
  readonly evmAddress: Uint8Array
  /** A scriptPubKey, or an address as text. */
  readonly bytes: Uint8Array
  readonly valueWei: bigint
}

/** CancelPegOut: somebody takes back a request; it counts if it is the burner and it is time. */
export interface BridgeCancel {
  readonly logIndex: number
  readonly evmAddress: Uint8Array
  readonly id: Uint8Array
}

/** Fund(amount): a burn in favour of the operating fund. */
export interface BridgeFund {
  readonly logIndex: number
  readonly amountWei: bigint
}

export interface ExecutedBlock {
  readonly genesis: Genesis
  readonly params: Params
  readonly height: number
  /** Seconds. */
  readonly timestamp: number
  readonly evmBlockHash: Uint8Array
  readonly burns: readonly BridgeBurn[]
  readonly cancels: readonly BridgeCancel[]
  readonly funds: readonly BridgeFund[]
  /** gasUsed × baseFee. */
  readonly feesBurnedWei: bigint
}

/** keccak256(genesis ‖ EVM block hash ‖ u32 log index) (4.4). */
export function requestId(
  genesis: Genesis,
  evmBlockHash: Uint8Array,
  logIndex: number,
): Uint8Array {
  return keccak256(genesis.hash, evmBlockHash, uint32be(logIndex))
}

/** The ledger after a block's execution, or the rule that it breaks. */
export function finishBlock(
  ledger: Ledger,
  block: ExecutedBlock,
): Result<{ readonly ledger: Ledger }, PegError> {
  const draft = new LedgerDraft(ledger, true)
  for (const burn of block.burns) {
    const refused = applyBurn(draft, block, burn)
    if (refused !== undefined) return err(refused)
  }
  for (const cancel of block.cancels) applyCancel(draft, block, cancel)
  for (const { amountWei, logIndex } of block.funds) {
    const amountSat = satFromWei(amountWei)
    if (amountSat === undefined) return err(fault('BurnNotWholeSat', `log ${logIndex}`))
    const id = requestId(block.genesis, block.evmBlockHash, logIndex)
    setFund(draft, FUND_CAUSE.contract, id, amountSat, block.height)
  }
  draft.update({
    height: block.height,
    feePoolWei: draft.state.feePoolWei + block.feesBurnedWei,
  })
  const finished = draft.finish()
  const broken = checkIdentity(finished)
  return broken === undefined ? ok({ ledger: finished }) : err(broken)
}

/** The script that a burn names, itself or by an address of our network; undefined when it cannot be paid. */
export function destinationScript(genesis: Genesis, bytes: Uint8Array): Uint8Array | undefined {
  if (parsePayableScript(bytes) !== undefined) return bytes
  // Each byte one character: whatever is no ASCII is no address.
  const script = scriptFromAddress(
    String.fromCharCode(...bytes.subarray(0, 128)),
    genesis.bitcoin.network,
  )
  return script.ok && bytes.length <= 128 ? script.value : undefined
}

function applyBurn(
  draft: LedgerDraft,
  { evmBlockHash, genesis, height, params, timestamp }: ExecutedBlock,
  burn: BridgeBurn,
): PegError | undefined {
  const amountSat = satFromWei(burn.valueWei)
  if (amountSat === undefined) return fault('BurnNotWholeSat', `log ${burn.logIndex}`)
  const script = destinationScript(genesis, burn.bytes)
  const isDust = amountSat < DUST_SAT
  const row: RequestRow = {
    state: REQUEST_STATE.open,
    reason: REQUEST_REASON.none,
    burner: burn.evmAddress,
    amountSat,
    destination: burn.bytes.slice(0, 128),
    scriptPubKey: script ?? new Uint8Array(0),
    height,
    logIndex: burn.logIndex,
    timestamp,
    batchId: ZERO_HASH,
    paidSat: 0n,
    paidBy: ZERO_HASH,
    feeSat: 0n,
    withdrawalIndex: 0,
  }
  const id = requestId(genesis, evmBlockHash, burn.logIndex)
  if (script !== undefined && !isDust) {
    draft.put('requests', id, row)
    return undefined
  }
  const reason = script === undefined ? REQUEST_REASON.unpayable : REQUEST_REASON.dust
  returnRequest(draft, id, { ...row, reason }, params.refundFeeSat, height)
  return undefined
}

/** A request that is not paid is minted back less the fee; what the fee eats up goes to the fund whole. */
function returnRequest(
  draft: LedgerDraft,
  id: Uint8Array,
  row: RequestRow,
  refundFeeSat: bigint,
  height: number,
): void {
  if (row.amountSat > refundFeeSat) {
    draft.put('requests', id, { ...row, state: REQUEST_STATE.refundDue, feeSat: refundFeeSat })
    return
  }
  draft.put('requests', id, { ...row, state: REQUEST_STATE.refunded, feeSat: row.amountSat })
  setFund(draft, FUND_CAUSE.refundFee, id, row.amountSat, height)
}

function applyCancel(
  draft: LedgerDraft,
  { height, params }: ExecutedBlock,
  { evmAddress, id }: BridgeCancel,
): void {
  const row = draft.get('requests', id)
  if (row === undefined || row.state !== REQUEST_STATE.open) return
  const isDue = height - row.height >= params.refundAfterBlocks
  if (!isDue || !equalBytes(row.burner, evmAddress)) return
  const cancelled = { ...row, reason: REQUEST_REASON.cancelled }
  returnRequest(draft, id, cancelled, params.refundFeeSat, height)
}
