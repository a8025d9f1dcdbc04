/** The books as RFC 4180 has them: one row a line, ended by CRLF, cells quoted where they must be. */
import { addressFromScript, type BitcoinNetwork } from '../../core/bitcoin/index.ts'
import { TOTALS } from '../../core/ledger/index.ts'
import type { BookRow } from '../../core/peg/index.ts'
import { fromHex } from '../../crypto/index.ts'

const COLUMNS = [
  'set',
  'id',
  'cause',
  'state',
  'height',
  'time',
  'bitcoin_height',
  'settled_by',
  'evm_address',
  'bitcoin_address',
  'amount_sat',
  'fee_sat',
  ...TOTALS.map((name) => `adds_${name.replace(/Sat$/, '')}_sat`),
]

/** Lines with their ends; the first one names the columns. No cell begins with what a spreadsheet takes for a formula, but numbers. */
export function* csvLines(rows: Iterable<BookRow>, network: BitcoinNetwork): Iterable<string> {
  yield line(COLUMNS)
  for (const row of rows) {
    yield line([
      row.set,
      row.id,
      row.cause,
      row.state,
      row.height,
      row.timestamp === undefined ? undefined : new Date(row.timestamp * 1_000).toISOString(),
      row.bitcoinHeight,
      row.settledBy,
      row.evmAddress,
      addressOf(row.scriptPubKey, network),
      row.amountSat,
      row.feeSat,
      ...TOTALS.map((name) => row.adds[name]),
    ])
  }
}

/** A script without an address stands as its hex. */
function addressOf(script: string | undefined, network: BitcoinNetwork): string | undefined {
  const bytes = script === undefined ? undefined : fromHex(script)
  return bytes === undefined ? undefined : (addressFromScript(bytes, network) ?? script)
}

function line(cells: readonly (string | number | bigint | undefined)[]): string {
  return `${cells.map((cell) => quoted(String(cell ?? ''))).join(',')}\r\n`
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}
