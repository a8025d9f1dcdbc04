/**
 * What a Bitcoin transaction deposits (protocol §4.2, §7; PI-1, PI-2). The OP_RETURN form is exactly one output to the plain
 * federation script and one OP_RETURN with 20 raw bytes, or "ALYS", 01, 20 bytes and a refund script. The form of §5.3 has
 * address and refund script in the output's own script.
 */
import { equalBytes, hexBytes, toHex } from '../../crypto/index.ts'
import {
  type BitcoinTransaction,
  isOpReturn,
  opReturnPayload,
  opReturnScript,
  txid,
} from '../bitcoin/index.ts'
import {
  PEG_IN_KINDS,
  type PegInClaim,
  type PegInKind,
  REFUND_REASONS,
  type RefundReason,
  type TransactionProof,
} from '../block/index.ts'
import type { Genesis, Params } from '../params/index.ts'
import { changeOutput, type DepositTweak, type FederationKeys } from './scripts.ts'

/** Code that the genesis file holds or that Ethereum's forks put there: no deposit may name it. */
const SYSTEM_CONTRACTS: ReadonlySet<string> = new Set([
  // Bridge
  'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',
  // FeeSplitter
  'fee5fee5fee5fee5fee5fee5fee5fee5fee5fee5',
  // EIP-4788, 2935, 7002, 7251 and the address that they are called from
  '000f3df6d732807ef1319fb7b8bb8522d0beac02',
  '0000f90827f1c53a10cb7a02335b175320002935',
  '00000961ef480eb55e80d19ad83579a64c007002',
  '0000bbddc7ce488642fb579f8b00f3a590007251',
  'fffffffffffffffffffffffffffffffffffffffe',
])
const HIGHEST_PRECOMPILE = 0x1ffn

const ALYS_MARK = hexBytes('414c595301')
const ADDRESS_BYTES = 20
export const ZERO_ADDRESS = new Uint8Array(ADDRESS_BYTES)
const NO_SCRIPT = new Uint8Array(0)

/** A plain federation script that deposits in the OP_RETURN form may pay. */
export interface FederationScript {
  readonly epoch: number
  readonly scriptPubKey: Uint8Array
}

/** One deposit of a transaction: the fields of a peg-in item that follow from its bytes. */
export interface Deposit {
  readonly txid: Uint8Array
  readonly vout: number
  readonly amountSat: bigint
  readonly kind: PegInKind
  readonly reason: RefundReason
  readonly evmAddress: Uint8Array
  readonly refundScript: Uint8Array
  readonly depositEpoch: number
}

/** The plain scripts of all epochs up to `epoch`. */
export function federationScripts(
  genesis: Genesis,
  epoch: number,
  keys: FederationKeys,
): FederationScript[] {
  return Array.from({ length: epoch + 1 }, (_, index) => ({
    epoch: index,
    scriptPubKey: changeOutput(genesis, index, keys).scriptPubKey,
  }))
}

export interface DepositPayload {
  readonly evmAddress: Uint8Array
  readonly refundScript: Uint8Array
}

/** The payload of an OP_RETURN output; undefined when it is none of the two forms. */
export function parseDepositPayload(script: Uint8Array): DepositPayload | undefined {
  const payload = opReturnPayload(script)
  if (payload === undefined) return undefined
  if (payload.length === ADDRESS_BYTES) return { evmAddress: payload, refundScript: NO_SCRIPT }
  const end = ALYS_MARK.length + ADDRESS_BYTES
  if (payload.length < end || !equalBytes(payload.subarray(0, ALYS_MARK.length), ALYS_MARK)) {
    return undefined
  }
  return { evmAddress: payload.slice(ALYS_MARK.length, end), refundScript: payload.slice(end) }
}

/** The OP_RETURN script that names an address: 20 raw bytes, or the longer form when there is a refund script (≤ 50 bytes). */
export function depositPayloadScript(
  evmAddress: Uint8Array,
  refundScript: Uint8Array = NO_SCRIPT,
): Uint8Array {
  return refundScript.length === 0
    ? opReturnScript(evmAddress)
    : opReturnScript(Uint8Array.of(...ALYS_MARK, ...evmAddress, ...refundScript))
}

/** Zero is a donation; precompiles and system contracts cannot use what they are given. */
export function isForbiddenAddress(evmAddress: Uint8Array): boolean {
  const hex = toHex(evmAddress)
  return BigInt(`0x${hex}`) <= HIGHEST_PRECOMPILE || SYSTEM_CONTRACTS.has(hex)
}

/** Kind and reason of a deposit; `payload` is undefined where none could be read. Undefined below minPegIn: never an item. */
export function classifyDeposit(
  params: Pick<Params, 'minPegInSat' | 'maxPegInSat'>,
  amountSat: bigint,
  payload: Pick<DepositPayload, 'evmAddress'> | undefined,
): { readonly kind: PegInKind; readonly reason: RefundReason } | undefined {
  if (amountSat < params.minPegInSat) return undefined
  if (payload === undefined) return { kind: 'refundable', reason: 'badPayload' }
  if (equalBytes(payload.evmAddress, ZERO_ADDRESS)) return { kind: 'fund', reason: 'none' }
  if (isForbiddenAddress(payload.evmAddress)) {
    return { kind: 'refundable', reason: 'forbiddenAddress' }
  }
  if (amountSat > params.maxPegInSat) return { kind: 'refundable', reason: 'aboveMaximum' }
  return { kind: 'credit', reason: 'none' }
}

/**
 * The deposits of a transaction in the OP_RETURN form, by its bytes alone; whether it spends reserve is the ledger's
 * question. More than one plain output, or not exactly one good OP_RETURN, makes each of them refundable (D8).
 */
export function parseDeposits(
  transaction: BitcoinTransaction,
  scripts: readonly FederationScript[],
  params: Pick<Params, 'minPegInSat' | 'maxPegInSat'>,
): Deposit[] {
  const paid = transaction.outputs.flatMap((output, vout) => {
    const script = scripts.find(({ scriptPubKey }) => equalBytes(scriptPubKey, output.scriptPubKey))
    return script === undefined ? [] : [{ vout, amountSat: output.amountSat, epoch: script.epoch }]
  })
  if (paid.length === 0) return []
  const messages = transaction.outputs.filter(({ scriptPubKey }) => isOpReturn(scriptPubKey))
  const [message] = messages
  const isClear = paid.length === 1 && messages.length === 1 && message !== undefined
  const payload = isClear ? parseDepositPayload(message.scriptPubKey) : undefined
  const id = txid(transaction)
  return paid.flatMap(({ vout, amountSat, epoch }) => {
    const found = classifyDeposit(params, amountSat, payload)
    if (found === undefined) return []
    return [
      {
        txid: id,
        vout,
        amountSat,
        ...found,
        evmAddress: payload?.evmAddress ?? ZERO_ADDRESS,
        refundScript: payload?.refundScript ?? NO_SCRIPT,
        depositEpoch: epoch,
      },
    ]
  })
}

/** Who an output of the form of §5.3 is for: what its script commits to. */
export interface OwnAddress extends DepositTweak {
  readonly epoch: number
}

/** The deposits of a transaction to addresses of their users' own, as far as `find` knows their outputs. */
export function parseOwnDeposits(
  transaction: BitcoinTransaction,
  find: (scriptPubKey: Uint8Array, vout: number) => OwnAddress | undefined,
  params: Pick<Params, 'minPegInSat' | 'maxPegInSat'>,
): Deposit[] {
  const paid = transaction.outputs.flatMap(({ amountSat, scriptPubKey }, vout) => {
    const address = find(scriptPubKey, vout)
    const found = address && classifyDeposit(params, amountSat, address)
    if (found === undefined) return []
    const { epoch: depositEpoch, evmAddress, refundScript } = address as OwnAddress
    return [{ vout, amountSat, ...found, evmAddress, refundScript, depositEpoch }]
  })
  if (paid.length === 0) return []
  const id = txid(transaction)
  return paid.map((deposit) => ({ txid: id, ...deposit }))
}

/** A deposit's fields as claim and item carry them. */
export function claimFields(deposit: Deposit) {
  const { kind, reason, ...rest } = deposit
  return {
    ...rest,
    kind: PEG_IN_KINDS.indexOf(kind),
    reason: REFUND_REASONS.indexOf(reason),
  }
}

/** What the members are asked to approve: a deposit with its proof. */
export function claimOfDeposit(deposit: Deposit, proof: TransactionProof): PegInClaim {
  return { ...claimFields(deposit), proof }
}
