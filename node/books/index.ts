/**
 * `millrace books`: the ledger as CSV, every satoshi with its cause. It reads a node's data directory, beside the running node or
 * without it, and writes nothing before the rows have the root that the chain's validators signed, whom it follows from the genesis file,
 * and their sums are the ledger's.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Ledger, ledgerFromRows, TOTALS } from '../../core/ledger/index.ts'
import { type KnownBlock, type StoredChain, storedLedgerFault } from '../../core/light/index.ts'
import { type Genesis, parseGenesis } from '../../core/params/index.ts'
import { bookRows, bookTotals, checkIdentity } from '../../core/peg/index.ts'
import { blsSuite } from '../../crypto/index.ts'
import {
  type ChainStoreReader,
  certifiedAt,
  readChainStore,
} from '../adapters/chain-store/index.ts'
import { EXIT } from '../adapters/system/index.ts'
import { readDataOptions } from '../config/index.ts'
import { csvLines } from './csv.ts'

export { csvLines } from './csv.ts'

const USAGE = `usage: millrace books [settings of the node] > books.csv

  Writes the ledger as CSV (RFC 4180): every deposit, burn, transaction of the reserve, row of the operating
  fund and deficit, with what it adds to which sum of the books. The columns adds_… add up to those sums, and
  reserve = minted - burned + credited + unpaid + refunds + fund - deficit, in satoshi.
  It reads the data directory, beside the running node or without it, and believes of it only what the
  validators signed, whom it follows from the genesis file, or from --trusted-block HEIGHT:HASH. Settings
  are those of millrace node: --config FILE, or --data-dir and --genesis-file.

  Exit codes: 0 the books balance, 2 wrong use, 3 configuration, 4 no data, or damaged data
`

/** What may help, by the code of what is wrong with the chain. */
const HINTS: Readonly<Record<string, string>> = {
  HeaderMissing: '; name a later block that you know, by --trusted-block HEIGHT:HASH',
  NotDecided: '; take the data of another node, or a backup',
}

/** A running node may commit a block between two reads. */
const READS = 5

class Unreadable extends Error {}

export async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  const options = readDataOptions(args, 'books')
  if ('text' in options) {
    process.stderr.write(`${options.text}\n`)
    return options.exitCode
  }
  const { dataDir, genesisFile, trustedBlock } = options.data
  let genesis: Genesis
  try {
    const parsed = parseGenesis(JSON.parse(readFileSync(genesisFile, 'utf8')), blsSuite)
    if (!parsed.ok) throw new Error(parsed.error.reason)
    genesis = parsed.value
  } catch (error) {
    return refuse(`${genesisFile}: ${(error as Error).message}`, EXIT.configuration)
  }
  try {
    const { height, ledger } = await readBooks(join(dataDir, 'chain'), genesis, trustedBlock)
    for (const text of csvLines(bookRows(ledger), genesis.bitcoin.network)) {
      if (!process.stdout.write(text))
        await new Promise((done) => process.stdout.once('drain', done))
    }
    process.stderr.write(`${summary(height, ledger)}\n`)
    return EXIT.ok
  } catch (error) {
    const isDamage =
      error instanceof Unreadable || (error as { code?: string }).code === 'StoreDamaged'
    if (isDamage) return refuse((error as Error).message, EXIT.data)
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
  known: KnownBlock | undefined,
): Promise<{ readonly height: number; readonly ledger: Ledger }> {
  const opened = await readChainStore(directory)
  if (!opened.ok) throw new Unreadable(`${directory}: ${opened.reason}`)
  const { store } = opened
  try {
    for (let tries = 1; ; tries++) {
      const height = store.headHeight()
      const chain = readChain(store, height, genesis)
      if (height === store.headHeight()) {
        const fault = booksFault(genesis, chain, known)
        if (fault !== undefined) throw new Unreadable(fault)
        return { height, ledger: chain.ledger }
      }
      if (tries === READS) throw new Unreadable('the node commits faster than its ledger is read')
    }
  } finally {
    await store.close()
  }
}

/** Why nothing is written of a ledger: it is not the one that the chain's validators signed, or its sums are not those of its rows. */
export function booksFault(
  genesis: Genesis,
  chain: StoredChain,
  known?: KnownBlock,
): string | undefined {
  const fault = storedLedgerFault(genesis, chain, known)
  if (fault !== undefined) return fault.detail + (HINTS[fault.code] ?? '')
  const { ledger } = chain
  const totals = bookTotals(bookRows(ledger))
  const wrong = TOTALS.filter((name) => totals[name] !== ledger.state[name])
  const broken = checkIdentity(ledger)
  if (wrong.length === 0 && broken === undefined) return undefined
  return `the books do not balance: ${[...wrong, broken?.detail ?? ''].join(' ')}`
}

function readChain(store: ChainStoreReader, height: number, genesis: Genesis): StoredChain {
  const headerAt = (at: number) => certifiedAt(store, at)
  const head = headerAt(height)
  if (head === undefined) throw new Unreadable('there is no block yet')
  const ledger = ledgerFromRows(genesis, store.readLedgerRows())
  if (!ledger.ok) throw new Unreadable(`${ledger.error.code}: ${ledger.error.detail}`)
  return { ledger: ledger.value, head, certifiedAt: headerAt }
}
