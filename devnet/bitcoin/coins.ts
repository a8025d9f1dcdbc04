/** Unspent outputs and the rules for spending them that blocks and the mempool share. */
import { COIN_SAT, COINBASE_MATURITY } from './chain-params.ts'
import type { SpentOutput } from './script.ts'
import { MAX_MONEY_SAT, type Outpoint, type Tx } from './transaction.ts'

export interface Coin extends SpentOutput {
  readonly height: number
  readonly coinbase: boolean
}

export type CoinLookup = (outpoint: Outpoint) => Coin | undefined

/** Core's reject reason, and its debug text where it has one. */
export interface Rejection {
  readonly reason: string
  readonly debug?: string
}

export interface TxFee {
  readonly feeSat: bigint
}

/** Amounts and coinbase maturity (Core's CheckTxInputs): the fee, or why the coins cannot be spent so. */
export function checkTxInputs(tx: Tx, coins: readonly Coin[], height: number): TxFee | Rejection {
  let inSat = 0n
  for (const coin of coins) {
    const depth = height - coin.height
    if (coin.coinbase && depth < COINBASE_MATURITY) {
      const debug = `tried to spend coinbase at depth ${depth}`
      return { reason: 'bad-txns-premature-spend-of-coinbase', debug }
    }
    inSat += coin.valueSat
    if (inSat > MAX_MONEY_SAT) return { reason: 'bad-txns-inputvalues-outofrange' }
  }
  const outSat = tx.body.outs.reduce((sum, out) => sum + out.value, 0n)
  if (inSat < outSat) {
    const debug = `value in (${formatMoney(inSat)}) < value out (${formatMoney(outSat)})`
    return { reason: 'bad-txns-in-belowout', debug }
  }
  return { feeSat: inSat - outSat }
}

/** Core's FormatMoney: at least two decimals, at most eight. */
export function formatMoney(sat: bigint): string {
  const decimals = (sat % COIN_SAT)
    .toString()
    .padStart(8, '0')
    .replace(/0{1,6}$/, '')
  return `${sat / COIN_SAT}.${decimals}`
}

/** Outputs that can never be spent are not kept. */
export function isUnspendable(script: Uint8Array): boolean {
  return script[0] === 0x6a || script.length > 10_000
}
