/**
 * One look at Bitcoin: which headers the next block could carry, and what the new blocks hold for the federation. It starts where
 * the last look ended, steps back over a reorg, and reads through Core's RPC alone: pruned, without txindex.
 */
import {
  HEADER_BYTES,
  headerHash,
  outpointsOf,
  parseHeader,
  parsePayableScript,
  parseTransaction,
  taprootsOf,
  transactionOf,
  txidOf,
  type WholeBlock,
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
import {
  BLOCKS_AHEAD,
  MAX_BLOCKS_PER_SCAN,
  MAX_HEADERS_PER_BLOCK,
  SCAN_MEMORY_BLOCKS,
  STEPS_PER_PROOF,
  STEPS_PER_TURN,
} from './limits.ts'
import type { BitcoinFault, BitcoinPort, BitcoinResult, BitcoinTip } from './port.ts'

/** Whose deposits an output's script takes. */
export type FindAddress = (scriptPubKey: Uint8Array) => OwnAddress | undefined

export interface ScanOptions {
  readonly find?: FindAddress
  /** Resolves after others had their turn: a full block takes longer than the node's loop may stand still. */
  readonly rest?: () => Promise<void>
}

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
  options: ScanOptions = {},
): Promise<BitcoinResult<ScanOutcome>> {
  try {
    const tip = answered(await bitcoin.tip())
    const hashes = new BestChain(bitcoin, tip, before)
    const headers = await newHeaders(bitcoin, hashes, ledger, tip.height)
    const scan = new Scan(genesis, ledger, options)
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
    return answered(await this.ask(height))
  }

  async ask(height: number): Promise<BitcoinResult<Uint8Array | undefined>> {
    const known = this.#known.get(height)
    return known === undefined ? this.#bitcoin.hashAt(height) : { ok: true, value: known }
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
  readonly #options: ScanOptions
  readonly #scripts: ReturnType<typeof federationScripts>
  #steps = 0

  constructor(genesis: Genesis, ledger: Ledger, options: ScanOptions) {
    this.#genesis = genesis
    this.#ledger = ledger
    this.#options = options
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
    for await (const { hash, height, block } of blocksAhead(bitcoin, hashes, start, end)) {
      // Pruned or gone in a reorg, or of another branch than the block before: the next look begins here.
      if (!hash || !block || !this.#follows(block, scanned.at(-1))) break
      await this.block(block, hash, height)
      scanned.push({ height, hash, timeMs: timeMsOf(block) })
    }
    return scanned.slice(-SCAN_MEMORY_BLOCKS)
  }

  /** A reorg while we look must not leave out a block (incident 41). */
  #follows({ raw }: WholeBlock, before: ScannedBlock | undefined): boolean {
    const parent = before?.hash ?? headerHash(this.#genesis.bitcoin.checkpoint.header)
    return equalBytes(raw.subarray(4, 36), parent)
  }

  async block(block: WholeBlock, hash: Uint8Array, height: number): Promise<void> {
    const spending = new Set<number>()
    for (const { index, outpoint } of outpointsOf(block)) {
      if (this.#isTurnOver(1)) await this.#options.rest?.()
      if (this.#rowAt(outpoint) === undefined) continue
      if (!this.#isBooked(txidOf(block, index), hash)) spending.add(index)
    }
    const touched = new Set(spending)
    for (const { index, script, vout } of taprootsOf(block)) {
      if (this.#isTurnOver(1)) await this.#options.rest?.()
      if (this.#isOurs(script, txidOf(block, index), vout)) touched.add(index)
    }
    for (const index of [...touched].sort((one, other) => one - other)) {
      if (this.#isTurnOver(STEPS_PER_PROOF)) await this.#options.rest?.()
      this.#transaction(block, index, hash, height, spending.has(index))
    }
  }

  /** Whether it did, with these steps, as much as may be done at once. */
  #isTurnOver(steps: number): boolean {
    this.#steps += steps
    if (this.#steps < STEPS_PER_TURN) return false
    this.#steps = 0
    return true
  }

  #isOurs(script: Uint8Array, txid: Uint8Array, vout: number): boolean {
    return (
      this.#scripts.some(({ scriptPubKey }) => equalBytes(scriptPubKey, script)) ||
      this.#ownAddress(script, txid, vout) !== undefined
    )
  }

  /**
   * Whose an output is: of an address that was given out, or of a row. A deposit that somebody claimed once is found again wherever a
   * reorg has moved it: until it is proven there it is missing from the reserve, which stops all peg-ins (4.9).
   */
  #ownAddress(script: Uint8Array, txid: Uint8Array, vout: number): OwnAddress | undefined {
    if (parsePayableScript(script) !== 'p2tr') return undefined
    const given = this.#options.find?.(script)
    if (given !== undefined) return given
    const row = this.#outputRow(txid, vout)
    return row?.tweaked === true && row.kind !== OUTPUT_KIND.change ? row : undefined
  }

  #outputRow(txid: Uint8Array, vout: number) {
    return rowOf(this.#ledger, 'outputs', outpointKey(txid, vout))
  }

  /** The row of an outpoint as Bitcoin writes it: the index of the output, which comes last, the other way round. */
  #rowAt(outpoint: Uint8Array) {
    const key = outpoint.slice()
    key.subarray(32).reverse()
    return rowOf(this.#ledger, 'outputs', key)
  }

  #isBooked(txid: Uint8Array, blockHash: Uint8Array): boolean {
    const spend = rowOf(this.#ledger, 'spends', txid)
    return spend?.state === SPEND_STATE.booked && equalBytes(spend.bitcoinHash, blockHash)
  }

  #transaction(
    block: WholeBlock,
    index: number,
    blockHash: Uint8Array,
    bitcoinHeight: number,
    spendsUs: boolean,
  ): void {
    const [transaction, coinbase] = [transactionOf(block, index), transactionOf(block, 0)]
    if (transaction === undefined || coinbase === undefined) return
    const txid = txidOf(block, index)
    const proof = buildProof({ blockHash, tree: block.tree, index, transaction, coinbase })
    const parsed = parseTransaction(transaction)
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

interface FetchedBlock {
  readonly height: number
  readonly hash: Uint8Array | undefined
  readonly block: WholeBlock | undefined
}

/** Blocks in their order, of which the next few are asked for while one is read. */
async function* blocksAhead(
  bitcoin: BitcoinPort,
  hashes: BestChain,
  start: number,
  end: number,
): AsyncGenerator<FetchedBlock> {
  const fetched: Promise<BitcoinResult<FetchedBlock>>[] = []
  for (let height = start; height <= end; height++) {
    for (let next = height + fetched.length; next <= end; next++) {
      if (fetched.length > BLOCKS_AHEAD) break
      fetched.push(fetchBlock(bitcoin, hashes, next))
    }
    yield answered(await (fetched.shift() as Promise<BitcoinResult<FetchedBlock>>))
  }
}

/** What does not come is a value, since nobody may wait for it any more. */
async function fetchBlock(
  bitcoin: BitcoinPort,
  hashes: BestChain,
  height: number,
): Promise<BitcoinResult<FetchedBlock>> {
  const hash = await hashes.ask(height)
  if (!hash.ok || hash.value === undefined) {
    return hash.ok ? { ok: true, value: { height, hash: undefined, block: undefined } } : hash
  }
  const block = await bitcoin.block(hash.value)
  return block.ok ? { ok: true, value: { height, hash: hash.value, block: block.value } } : block
}

/** What one block of the in-block chain holds for the federation, whenever it was scanned. */
export async function claimFromBlock(
  genesis: Genesis,
  bitcoin: BitcoinPort,
  ledger: Ledger,
  { hash, height }: BitcoinBlockAt,
  options: ScanOptions,
): Promise<BitcoinResult<readonly DetectedTransaction[]>> {
  try {
    const block = answered(await bitcoin.block(hash))
    if (block === undefined) {
      throw new Unanswered({ code: 'BlockUnavailable', message: 'our Bitcoin has no such block' })
    }
    const scan = new Scan(genesis, ledger, options)
    await scan.block(block, hash, height)
    return { ok: true, value: scan.detected }
  } catch (error) {
    if (error instanceof Unanswered) return { ok: false, error: error.fault }
    throw error
  }
}

function timeMsOf({ raw }: WholeBlock): number {
  const header = parseHeader(raw.subarray(0, HEADER_BYTES))
  return header.ok ? 1_000 * header.value.time : 0
}
