/**
 * `millrace books`: the ledger as CSV, every satoshi with its cause. It reads a node's data directory, beside the running node or
 * without it, and writes nothing before the rows have the root that the head's validators signed and their sums are the ledger's.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CommittedBlock, decodeCommittedBlock } from '../../core/block/index.ts'
import { storedLedgerFault } from '../../core/chain/index.ts'
import { type Ledger, ledgerFromRows, TOTALS } from '../../core/ledger/index.ts'
import { type Genesis, parseGenesis } from '../../core/params/index.ts'
import { bookRows, bookTotals, checkIdentity } from '../../core/peg/index.ts'
import { blsSuite } from '../../crypto/index.ts'
import { type ChainStoreReader, readChainStore } from '../adapters/chain-store/index.ts'
import { EXIT } from '../adapters/system/index.ts'
import { readNodeOptions } from '../config/index.ts'
import { csvLines } from './csv.ts'

export { csvLines } from './csv.ts'

const USAGE = `usage: millrace books [settings of the node] > books.csv

  Writes the ledger as CSV (RFC 4180): every deposit, burn, transaction of the reserve, row of the operating
  fund and deficit, with what it adds to which sum of the books. The columns adds_… add up to those sums, and
  reserve = minted - burned + credited + unpaid + refunds + fund - deficit, in satoshi.
  It reads the data directory, beside the running node or without it. Settings are those of millrace
  node: --config FILE, or --data-dir and --genesis-file.

  Exit codes: 0 the books balance, 2 wrong use, 3 configuration, 4 no data, or damaged data
`

/** A running node may commit a block between two reads. */
const READS = 5

class Unreadable extends Error {}

export async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  const options = readNodeOptions(args)
  if ('text' in options) {
    process.stderr.write(`${options.text.replaceAll('millrace node', 'millrace books')}\n`)
    return options.exitCode
  }
  const { dataDir, genesisFile } = options.program
  let genesis: Genesis
  try {
    const parsed = parseGenesis(JSON.parse(readFileSync(genesisFile, 'utf8')), blsSuite)
    if (!parsed.ok) throw new Error(parsed.error.reason)
    genesis = parsed.value
  } catch (error) {
    return refuse(`${genesisFile}: ${(error as Error).message}`, EXIT.configuration)
  }
  try {
    const { height, ledger } = await readBooks(join(dataDir, 'chain'), genesis)
    for (const text of csvLines(bookRows(ledger), genesis.bitcoin.network)) {
      if (!process.stdout.write(text))
        await new Promise((done) => process.stdout.once('drain', done))
    }
    process.stderr.write(`${summary(height, ledger)}\n`)
    return EXIT.ok
  } catch (error) {
    if (error instanceof Unreadable) return refuse(error.message, EXIT.data)
    throw error
  }
}

function refuse(message: string, exitCode: number): number {
  process.stderr.write(`millrace books: ${message}\n`)
  return exitCode
}

function summary(height: number, { state }: Ledger): string {
  const sums = TOTALS.map((name) => `${name.replace(/Sat$/, '')} ${state[name]}`)
  return `block ${height}: ${sums.join(', ')} sat; the books balance`
}

/** The ledger after the head; throws `Unreadable`. */
async function readBooks(
  directory: string,
  genesis: Genesis,
): Promise<{ readonly height: number; readonly ledger: Ledger }> {
  const chain = await readChainStore(directory)
  if (!chain.ok) throw new Unreadable(`${directory}: ${chain.reason}`)
  try {
    for (let tries = 1; ; tries++) {
      const found = readLedger(chain.store, genesis)
      if (found.height === chain.store.headHeight()) {
        const fault = booksFault(genesis, found.ledger, found.head)
        if (fault !== undefined) throw new Unreadable(fault)
        return found
      }
      if (tries === READS) throw new Unreadable('the node commits faster than its ledger is read')
    }
  } finally {
    await chain.store.close()
  }
}

/** Why nothing is written of a ledger: it is not the one that the head's validators signed, or its sums are not those of its rows. */
export function booksFault(
  genesis: Genesis,
  ledger: Ledger,
  head: CommittedBlock,
): string | undefined {
  const fault = storedLedgerFault(genesis, ledger, head)
  if (fault !== undefined) return fault
  const totals = bookTotals(bookRows(ledger))
  const wrong = TOTALS.filter((name) => totals[name] !== ledger.state[name])
  const broken = checkIdentity(ledger)
  if (wrong.length === 0 && broken === undefined) return undefined
  return `the books do not balance: ${[...wrong, broken?.detail ?? ''].join(' ')}`
}

function readLedger(store: ChainStoreReader, genesis: Genesis) {
  const height = store.headHeight()
  const stored = height > 0 ? store.readBlock(height) : undefined
  if (stored === undefined) throw new Unreadable('there is no block yet')
  const head = decodeCommittedBlock(stored.bytes)
  if (!head.ok) throw new Unreadable(`block ${height}: ${head.error.reason}`)
  const ledger = ledgerFromRows(genesis, store.readLedgerRows())
  if (!ledger.ok) throw new Unreadable(`${ledger.error.code}: ${ledger.error.detail}`)
  return { height, ledger: ledger.value, head: head.value }
}
