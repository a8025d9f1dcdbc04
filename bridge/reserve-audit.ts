/**
 * Whether Bitcoin has what the ledger says the reserve holds (protocol §4.8). Local, never a rule of blocks: a member looks at its own
 * Bitcoin, and what it finds missing stops its own signatures. More coins than the ledger has are no fault. Pure.
 */
import {
  decodeLedgerProof,
  decodeRow,
  type Entry,
  isZero,
  OUTPUT_STATE,
  type OutputRow,
  type StateRow,
  verifyRow,
} from '../core/ledger/index.ts'
import { outpointName } from '../core/peg/index.ts'
import { equalBytes, toHex } from '../crypto/index.ts'
import type { ProvenRow } from './signature-policy.ts'

/** The reserve as rows under one root show it. */
export interface ShownReserve {
  /** Each outpoint once, all `live`. */
  readonly coins: readonly Entry<OutputRow>[]
  /** Whether the coins add up to the ledger's sum: then none was kept back. */
  readonly isWhole: boolean
  /** The block of Bitcoin up to which the ledger's bookings go, internal byte order. */
  readonly tipHash: Uint8Array
}

/** What an own Bitcoin shows of coins at its tip, blocks alone and no mempool. */
export type CoinsSight =
  | {
      readonly kind: 'seen'
      /** In the order of the question; undefined: spent, or there never was such an output. */
      readonly coins: readonly (OwnCoin | undefined)[]
    }
  | { readonly kind: 'unknown'; readonly code: string }

export interface OwnCoin {
  readonly amountSat: bigint
  readonly scriptPubKey: Uint8Array
}

export type AuditVerdict =
  | { readonly kind: 'pass'; readonly coins: number; readonly isWhole: boolean }
  /** `txid:vout` of what is missing, sorted. */
  | { readonly kind: 'fail'; readonly missing: readonly string[] }
  | { readonly kind: 'unknown'; readonly code: string }

/** Undefined when none of the rows is proven under the root. Rows of other sets, twice the same and what is not `live` are passed over. */
export function shownReserve(
  root: Uint8Array,
  rows: readonly ProvenRow[],
): ShownReserve | undefined {
  const coins = new Map<string, Entry<OutputRow>>()
  let state: StateRow | undefined
  for (const { key, present, proof, row: bytes, set } of rows) {
    if (set !== 'outputs' || !present) continue
    const decoded = decodeLedgerProof(proof)
    const row = decodeRow('outputs', bytes)
    if (decoded === undefined || row === undefined) continue
    if (!verifyRow(root, decoded, 'outputs', key, bytes)) continue
    state = decoded.summary.state
    if (row.state === OUTPUT_STATE.live) coins.set(toHex(key), { key, row })
  }
  if (state === undefined) return undefined
  const shown = [...coins.values()]
  const sumSat = shown.reduce((sum, { row }) => sum + row.amountSat, 0n)
  return { coins: shown, isWhole: sumSat === state.reserveSat, tipHash: state.tipHash }
}

/**
 * A coin of an open batch may be gone: one of its versions took it, or a stray spend that a block will book. A coin that no batch holds has
 * nobody who may spend it.
 */
export function auditReserve({ coins, isWhole }: ShownReserve, sight: CoinsSight): AuditVerdict {
  if (sight.kind === 'unknown') return sight
  const missing = coins.filter(({ row }, index) => {
    const coin = sight.coins[index]
    if (coin === undefined) return isZero(row.batchId)
    return coin.amountSat !== row.amountSat || !equalBytes(coin.scriptPubKey, row.scriptPubKey)
  })
  if (missing.length === 0) return { kind: 'pass', coins: coins.length, isWhole }
  return { kind: 'fail', missing: missing.map(({ key }) => outpointName(key)).sort() }
}
