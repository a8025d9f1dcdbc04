/**
 * One look at Bitcoin: which headers the next block could carry, and what the new blocks hold for the federation. It starts where
 * the last look ended, steps back over a reorg, and reads through Core's RPC alone: pruned, without txindex.
 */
import { Block as BitcoinBlock, type Transaction } from 'bitcoinjs-lib'
import {
  HEADER_BYTES,
  headerHash,
  parseHeader,
  parsePayableScript,
  parseTransaction,
} from '../../core/bitcoin/index.ts'
import type { PegInClaim, TransactionProof } from '../../core/block/index.ts'
import {
  heightKey,
  type Ledger,
  OUTPUT_KIND,
  OUTPUT_STATE,
  outpointKey,
  rowOf,
  SPEND_STATE,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import {
  buildProof,
  claimFields,
  federationScripts,
  type OwnAddress,
  parseDeposits,
  parseOwnDeposits,
} from '../../core/peg/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import type { BitcoinBlockAt, ScannedBlock } from './context.ts'
import { MAX_BLOCKS_PER_SCAN, MAX_HEADERS_PER_BLOCK, SCAN_MEMORY_BLOCKS } from './limits.ts'
import type { BitcoinFault, BitcoinPort, BitcoinResult, BitcoinTip } from './port.ts'

/** Whose deposits an output's script takes. */
export type FindAddress = (scriptPubKey: Uint8Array) => OwnAddress | undefined

export interface DetectedTransaction {
  readonly txid: Uint8Array
  readonly bitcoinHeight: number
  readonly deposits: readonly PegInClaim[]
  readonly spends?: TransactionProof
}

export interface ScanOutcome {
  readonly tipHeight: number
  readonly tipHash: Uint8Array
  readonly headers: readonly Uint8Array[]
  readonly scanned: readonly ScannedBlock[]
  readonly detected: readonly DetectedTransaction[]
}

/** Ends a scan at the first answer that did not come. Never leaves this file. */
class Unanswered extends Error {
  readonly fault: BitcoinFault

  constructor(fault: BitcoinFault) {
    super(fault.message)
    this.fault = fault
  }
}

export async function scanBitcoin(
  genesis: Genesis,
  bitcoin: BitcoinPort,
  ledger: Ledger,
  before: readonly ScannedBlock[],
  find: FindAddress = () => undefined,
): Promise<BitcoinResult<ScanOutcome>> {
  try {
    const tip = answered(await bitcoin.tip())
    const hashes = new BestChain(bitcoin, tip, before)
    const headers = await newHeaders(bitcoin, hashes, ledger, tip.height)
    const scan = new Scan(genesis, ledger, find)
    const scanned = await scan.run(bitcoin, hashes, before, tip.height)
    return {
      ok: true,
      value: {
        tipHeight: tip.height,
        tipHash: tip.hash,
        headers,
        scanned,
        detected: scan.detected,
      },
    }
  } catch (error) {
    if (error instanceof Unanswered) return { ok: false, error: error.fault }
    throw error
  }
}

function answered<T>(result: BitcoinResult<T>): T {
  if (!result.ok) throw new Unanswered(result.error)
  return result.value
}

/** Hashes by height; those that follow from the last look are not asked for again, so that an idle look costs one question. */
class BestChain {
  readonly #bitcoin: BitcoinPort
  readonly #known = new Map<number, Uint8Array>()

  constructor(bitcoin: BitcoinPort, tip: BitcoinTip, before: readonly ScannedBlock[]) {
    this.#bitcoin = bitcoin
    // Each scanned block is the parent of the next: if the last one is the tip, all are on its chain.
    const last = before.at(-1)
    if (last?.height !== tip.height || !equalBytes(last.hash, tip.hash)) return
    for (const { height, hash } of before) this.#known.set(height, hash)
  }

  async at(height: number): Promise<Uint8Array | undefined> {
    return this.#known.get(height) ?? answered(await this.#bitcoin.hashAt(height))
  }
}

/**
 * Headers after the last one that our Bitcoin and the in-block chain share, up to our tip − 1 (4.6). A branch that replaces
 * in-block headers comes whole; whether it has more work is the rules' question.
 */
async function newHeaders(
  bitcoin: BitcoinPort,
  hashes: BestChain,
  ledger: Ledger,
  tipHeight: number,
): Promise<Uint8Array[]> {
  let height = ledger.state.tipHeight
  let removed = 0
  while (removed <= MAX_HEADERS_PER_BLOCK) {
    const inBlock = rowOf(ledger, 'chain', heightKey(height))?.hash
    const ours = await hashes.at(height)
    if (inBlock !== undefined && ours !== undefined && equalBytes(inBlock, ours)) break
    height -= 1
    removed += 1
  }
  const headers: Uint8Array[] = []
  const last = Math.min(tipHeight - 1, height + MAX_HEADERS_PER_BLOCK + removed)
  for (let at = height + 1; at <= last; at++) {
    const hash = await hashes.at(at)
    const found = hash && answered(await bitcoin.header(hash))
    if (!found) break
    headers.push(found.header)
  }
  return headers.length > removed
    ? headers.slice(0, Math.max(removed + 1, MAX_HEADERS_PER_BLOCK))
    : []
}

class Scan {
  readonly detected: DetectedTransaction[] = []
  readonly #genesis: Genesis
  readonly #ledger: Ledger
  readonly #find: FindAddress
  readonly #scripts: ReturnType<typeof federationScripts>

  constructor(genesis: Genesis, ledger: Ledger, find: FindAddress) {
    this.#genesis = genesis
    this.#ledger = ledger
    this.#find = find
    this.#scripts = federationScripts(genesis, ledger.state.epoch, ledger.open.keys)
  }

  /** Scans what follows the last block that is still on the best chain; gives the blocks to remember. */
  async run(
    bitcoin: BitcoinPort,
    hashes: BestChain,
    before: readonly ScannedBlock[],
    tipHeight: number,
  ): Promise<ScannedBlock[]> {
    const scanned = [...before]
    for (let last = scanned.at(-1); last !== undefined; last = scanned.at(-1)) {
      const hash = await hashes.at(last.height)
      if (hash !== undefined && equalBytes(hash, last.hash)) break
      scanned.pop()
    }
    const start = (scanned.at(-1)?.height ?? this.#genesis.bitcoin.checkpoint.height) + 1
    const end = Math.min(tipHeight, start + MAX_BLOCKS_PER_SCAN - 1)
    for (let height = start; height <= end; height++) {
      const hash = await hashes.at(height)
      const raw = hash && answered(await bitcoin.block(hash))
      // Pruned or gone in a reorg, or of another branch than the block before: the next look begins here.
      if (!hash || !raw || !this.#follows(raw, scanned.at(-1))) break
      this.block(raw, hash, height)
      scanned.push({ height, hash, timeMs: timeMsOf(raw) })
    }
    return scanned.slice(-SCAN_MEMORY_BLOCKS)
  }

  /** A reorg while we look must not leave out a block (incident 41). */
  #follows(raw: Uint8Array, before: ScannedBlock | undefined): boolean {
    const parent = before?.hash ?? headerHash(this.#genesis.bitcoin.checkpoint.header)
    return equalBytes(raw.subarray(4, 36), parent)
  }

  /** Throws `Unanswered` on what is not the block. */
  block(raw: Uint8Array, hash: Uint8Array, height: number): void {
    if (!equalBytes(headerHash(raw.subarray(0, HEADER_BYTES)), hash)) {
      throw new Unanswered({ code: 'BitcoinBadAnswer', message: 'a block under another hash' })
    }
    const transactions = parseBlock(raw)
    const txids = transactions.map((transaction) => Uint8Array.from(transaction.getHash()))
    for (const [index, transaction] of transactions.entries()) {
      const txid = txids[index] as Uint8Array
      const paysUs = transaction.outs.some(
        ({ script }, vout) =>
          this.#scripts.some(({ scriptPubKey }) => equalBytes(scriptPubKey, script)) ||
          this.#ownAddress(script, txid, vout) !== undefined,
      )
      const spendsUs =
        transaction.ins.some((input) => this.#outputRow(input.hash, input.index) !== undefined) &&
        !this.#isBooked(txid, hash)
      if (paysUs || spendsUs) {
        this.#transaction(transactions, txids, index, hash, height, spendsUs)
      }
    }
  }

  /**
   * Whose an output is: of an address that was given out, or of a row. A deposit that somebody claimed once is found again wherever a
   * reorg has moved it: until it is proven there it is missing from the reserve, which stops all peg-ins (4.9).
   */
  #ownAddress(script: Uint8Array, txid: Uint8Array, vout: number): OwnAddress | undefined {
    if (parsePayableScript(script) !== 'p2tr') return undefined
    const given = this.#find(script)
    if (given !== undefined) return given
    const row = this.#outputRow(txid, vout)
    return row?.tweaked === true && row.kind !== OUTPUT_KIND.change ? row : undefined
  }

  #outputRow(txid: Uint8Array, vout: number) {
    return rowOf(this.#ledger, 'outputs', outpointKey(Uint8Array.from(txid), vout))
  }

  #isBooked(txid: Uint8Array, blockHash: Uint8Array): boolean {
    const spend = rowOf(this.#ledger, 'spends', txid)
    return spend?.state === SPEND_STATE.booked && equalBytes(spend.bitcoinHash, blockHash)
  }

  #transaction(
    transactions: readonly Transaction[],
    txids: readonly Uint8Array[],
    index: number,
    blockHash: Uint8Array,
    bitcoinHeight: number,
    spendsUs: boolean,
  ): void {
    const txid = txids[index] as Uint8Array
    const bytes = Uint8Array.from((transactions[index] as Transaction).toBuffer())
    const coinbase = Uint8Array.from((transactions[0] as Transaction).toBuffer())
    const proof = buildProof({ blockHash, txids, index, transaction: bytes, coinbase })
    const parsed = parseTransaction(bytes)
    if (!proof.ok || !parsed.ok) return
    const deposits = spendsUs
      ? []
      : [
          ...parseDeposits(parsed.value, this.#scripts, this.#genesis.params),
          ...parseOwnDeposits(
            parsed.value,
            (script, vout) => this.#ownAddress(script, txid, vout),
            this.#genesis.params,
          ),
        ]
          .filter(({ txid, vout }) => {
            // A deposit that a reorg took has to be proven again (4.9), also where its old block came back.
            const row = this.#outputRow(txid, vout)
            const isThere = row !== undefined && row.state !== OUTPUT_STATE.absent
            return !isThere || !equalBytes(row.bitcoinHash, blockHash)
          })
          .map((deposit): PegInClaim => ({ ...claimFields(deposit), proof: proof.value }))
    if (deposits.length === 0 && !spendsUs) return
    this.detected.push({ txid, bitcoinHeight, deposits, ...(spendsUs && { spends: proof.value }) })
  }
}

/** What one block of the in-block chain holds for the federation, whenever it was scanned. */
export async function claimFromBlock(
  genesis: Genesis,
  bitcoin: BitcoinPort,
  ledger: Ledger,
  { hash, height }: BitcoinBlockAt,
  find: FindAddress,
): Promise<BitcoinResult<readonly DetectedTransaction[]>> {
  try {
    const raw = answered(await bitcoin.block(hash))
    if (raw === undefined) {
      throw new Unanswered({ code: 'BlockUnavailable', message: 'our Bitcoin has no such block' })
    }
    const scan = new Scan(genesis, ledger, find)
    scan.block(raw, hash, height)
    return { ok: true, value: scan.detected }
  } catch (error) {
    if (error instanceof Unanswered) return { ok: false, error: error.fault }
    throw error
  }
}

/** Of a block whose header was checked against its hash. */
function timeMsOf(raw: Uint8Array): number {
  const header = parseHeader(raw.subarray(0, HEADER_BYTES))
  return header.ok ? 1_000 * header.value.time : 0
}

/** The block's transactions. Bitcoin is not trusted to send what it should: malformed bytes end the look, not the actor. */
function parseBlock(raw: Uint8Array): Transaction[] {
  try {
    return BitcoinBlock.fromBuffer(raw).transactions ?? []
  } catch (cause) {
    throw new Unanswered({ code: 'BitcoinBadAnswer', message: `a block does not parse: ${cause}` })
  }
}
