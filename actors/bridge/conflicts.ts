/**
 * Looks for what keeps a deposit from ever coming back (protocol §4.5): a reorg took its block, and the branch that replaced it spends
 * otherwise what the deposit, or a transaction that went with it, would spend. It reads the blocks that were replaced, then those of the
 * best chain from the fork on, as far as they are buried deep enough to count.
 */
import {
  outpointsOf,
  parseTransaction,
  serializeTransaction,
  transactionOf,
  txidOf,
  uint32le,
  type WholeBlock,
} from '../../core/bitcoin/index.ts'
import { MAX_ANCESTRY, MAX_STRIPPED_TRANSACTION_BYTES } from '../../core/block/index.ts'
import {
  type HeaderRow,
  heightKey,
  type Ledger,
  rowOf,
  splitOutpoint,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import {
  buildProof,
  missingDeposits,
  outpointName,
  type QueuedConflict,
} from '../../core/peg/index.ts'
import { concatBytes, equalBytes, toHex } from '../../crypto/index.ts'
import type { ConflictsLooked } from '../../messages/index.ts'
import type { BitcoinBlockAt } from './context.ts'
import { MAX_ANCESTOR_BYTES, MAX_BLOCKS_PER_CONFLICT_LOOK, MAX_REPLACED_BLOCKS } from './limits.ts'
import type { BitcoinPort } from './port.ts'

type Looked = ConflictsLooked['payload']

/**
 * Goes on from where the last look ended, for each deposit that an open batch waits for. What Bitcoin does not answer comes with the next
 * look; what was found is found again until a block carries it.
 */
export async function lookForConflicts(
  genesis: Genesis,
  bitcoin: BitcoinPort,
  ledger: Ledger,
  before: Looked['cursors'],
): Promise<Looked> {
  const cursors = new Map<string, BitcoinBlockAt>()
  const found: QueuedConflict[] = []
  const lastHeight = lastDeepHeight(genesis, ledger)
  let code: string | undefined
  for (const { key, row } of missingDeposits(ledger)) {
    const name = outpointName(key)
    const cursor = cursorOf(ledger, before.get(name))
    const replaced = replacedBlocks(ledger, row.bitcoinHash)
    const start = cursor?.height ?? (replaced.at(-1)?.height ?? lastHeight) - 1
    if (cursor !== undefined) cursors.set(name, cursor)
    if (start >= lastHeight) continue
    try {
      const search = await Search.begin(bitcoin, ledger, key, replaced)
      const end = Math.min(lastHeight, start + MAX_BLOCKS_PER_CONFLICT_LOOK)
      const looked = await search.run(start + 1, end)
      if (looked.cursor !== undefined) cursors.set(name, looked.cursor)
      if (looked.found !== undefined) found.push(looked.found)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      code = error.message
    }
  }
  return { cursors, found, ...(code !== undefined && { code }) }
}

/** The last Bitcoin block whose transactions count as conflicts. */
function lastDeepHeight(genesis: Genesis, ledger: Ledger): number {
  return ledger.state.tipHeight - genesis.params.conflictDepth + 1
}

/** Where the last look ended, unless a reorg has replaced that block. */
function cursorOf(ledger: Ledger, before: BitcoinBlockAt | undefined): BitcoinBlockAt | undefined {
  return before !== undefined && isBest(ledger, before) ? before : undefined
}

function isBest(ledger: Ledger, { hash, height }: BitcoinBlockAt): boolean {
  const best = rowOf(ledger, 'chain', heightKey(height))?.hash
  return best !== undefined && equalBytes(best, hash)
}

/** What a look needs did not come. Never leaves this file. */
class Unreadable extends Error {}

/** How the shortest line from the deposit leads to a transaction: by the one of them that spends it. */
interface Place {
  readonly child: string | undefined
  /** Transactions of the line before it. */
  readonly depth: number
}

/** A transaction that can only come back with its ancestors. */
interface Doomed extends Place {
  readonly bytes: Uint8Array
}

class Search {
  readonly #bitcoin: BitcoinPort
  readonly #ledger: Ledger
  readonly #doomed = new Map<string, Doomed>()
  /** Who of them spends an outpoint, as Bitcoin writes it. */
  readonly #spenders = new Map<string, string>()
  #bytes = 0

  private constructor(bitcoin: BitcoinPort, ledger: Ledger) {
    this.#bitcoin = bitcoin
    this.#ledger = ledger
  }

  /** With the deposit's transaction and those of its ancestors that were replaced with it. */
  static async begin(
    bitcoin: BitcoinPort,
    ledger: Ledger,
    key: Uint8Array,
    replaced: readonly BitcoinBlockAt[],
  ): Promise<Search> {
    const search = new Search(bitcoin, ledger)
    const deposit = toHex(splitOutpoint(key).txid)
    const wanted = new Map<string, Place>([[deposit, { child: undefined, depth: 0 }]])
    for (const { hash } of replaced) search.#takeFrom(await search.#read(hash), wanted)
    if (search.#doomed.size === 0) throw new Unreadable('DepositNotThere')
    return search
  }

  /** An ancestor stands before what spends it, so one look back through the blocks finds them all, each after all that spend it. */
  #takeFrom(block: WholeBlock, wanted: Map<string, Place>): void {
    for (let index = block.starts.length - 1; index >= 0; index--) {
      const id = toHex(txidOf(block, index))
      const place = wanted.get(id)
      if (place === undefined || place.depth >= MAX_ANCESTRY) continue
      const parsed = parseTransaction(transactionOf(block, index) as Uint8Array)
      if (!parsed.ok) continue
      const bytes = serializeTransaction(parsed.value, 'stripped')
      if (bytes.length > MAX_STRIPPED_TRANSACTION_BYTES) continue
      this.#bytes += bytes.length
      if (this.#bytes > MAX_ANCESTOR_BYTES) throw new Unreadable('TooManyAncestors')
      this.#doomed.set(id, { ...place, bytes })
      const depth = place.depth + 1
      for (const { txid, vout } of parsed.value.inputs) {
        this.#spenders.set(toHex(concatBytes(txid, uint32le(vout))), id)
        const parent = toHex(txid)
        const known = wanted.get(parent)
        if (known === undefined || known.depth > depth) wanted.set(parent, { child: id, depth })
      }
    }
  }

  async run(
    start: number,
    end: number,
  ): Promise<{ readonly cursor?: BitcoinBlockAt; readonly found?: QueuedConflict }> {
    let cursor: BitcoinBlockAt | undefined
    for (let height = start; height <= end; height++) {
      const hash = rowOf(this.#ledger, 'chain', heightKey(height))?.hash
      if (hash === undefined) break
      const found = this.#conflictIn(await this.#read(hash), hash)
      if (found !== undefined) return { ...(cursor && { cursor }), found }
      cursor = { height, hash }
    }
    return cursor === undefined ? {} : { cursor }
  }

  #conflictIn(block: WholeBlock, blockHash: Uint8Array): QueuedConflict | undefined {
    for (const { index, outpoint } of outpointsOf(block)) {
      const doomed = this.#spenders.get(toHex(outpoint))
      // A coinbase spends what no other transaction does; an ancestor that is mined again spends what it spent.
      const isOther = doomed !== undefined && index > 0 && doomed !== toHex(txidOf(block, index))
      const [transaction, coinbase] = [transactionOf(block, index), transactionOf(block, 0)]
      if (!isOther || transaction === undefined || coinbase === undefined) continue
      const proof = buildProof({ blockHash, tree: block.tree, index, transaction, coinbase })
      if (proof.ok) return { proof: proof.value, ancestry: this.#lineTo(doomed) }
    }
    return undefined
  }

  /** From the deposit's transaction to this one. */
  #lineTo(id: string): Uint8Array[] {
    const line: Uint8Array[] = []
    for (let at: string | undefined = id; at !== undefined; ) {
      const { bytes, child }: Doomed = this.#doomed.get(at) as Doomed
      line.unshift(bytes)
      at = child
    }
    return line
  }

  async #read(hash: Uint8Array): Promise<WholeBlock> {
    const block = await this.#bitcoin.block(hash)
    if (!block.ok) throw new Unreadable(block.error.code)
    if (block.value === undefined) throw new Unreadable('BlockUnavailable')
    return block.value
  }
}

/** From the block of this hash back to the fork, which is not among them; none where the way is too long. */
function replacedBlocks(ledger: Ledger, hash: Uint8Array): BitcoinBlockAt[] {
  const blocks: BitcoinBlockAt[] = []
  for (let at = hash; ; ) {
    const row: HeaderRow | undefined = rowOf(ledger, 'headers', at)
    if (row === undefined || blocks.length > MAX_REPLACED_BLOCKS) return []
    const block = { hash: at, height: row.height }
    if (isBest(ledger, block)) return blocks
    blocks.push(block)
    at = row.header.slice(4, 36)
  }
}
