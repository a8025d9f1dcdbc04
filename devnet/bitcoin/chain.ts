/**
 * The chain of blocks and its coins, pure: it validates, connects, disconnects with undo data and follows the
 * branch of most work, the first seen among equals. Invariant: `coins` is what the blocks from genesis to `tip`
 * left unspent. A block is applied whole or not at all.
 */
import {
  checkBlock,
  checkWitnessCommitment,
  type DecodedBlock,
  decodeBlock,
  type Header,
} from './block.ts'
import { ancestorAt, type BlockNode, blockOf, createNode, isDescendant } from './block-tree.ts'
import { encodeScriptNumber, equalBytes } from './bytes.ts'
import {
  genesisBlockBytes,
  MAX_BLOCK_SIGOPS_COST,
  MAX_FUTURE_SECONDS,
  MIN_BLOCK_VERSION,
  POW_LIMIT_BITS,
  subsidySat,
} from './chain-params.ts'
import { type Coin, checkTxInputs, isUnspendable } from './coins.ts'
import { sigopCost, verifyInput } from './script.ts'
import {
  isCoinbase,
  isFinal,
  type Outpoint,
  outpoint,
  sequenceLocksMet,
  spentOutpoint,
  type Tx,
} from './transaction.ts'

const MAX_VERIFIED = 20_000
const BLOCK_FILE_HEAD_BYTES = 8

/** Blocks that left and joined the active chain: the former newest first, the latter oldest first. */
export interface ChainChange {
  readonly disconnected: readonly DecodedBlock[]
  readonly connected: readonly DecodedBlock[]
}

/** Why a block was not taken. `reason` is Core's reject reason. */
export type Refusal =
  | { code: 'duplicate' | 'duplicate-invalid' }
  | { code: 'rejected'; reason: string }

export type SubmitOutcome = { code: 'accepted'; node: BlockNode; change: ChainChange } | Refusal

/** What a block spent: for each transaction but the coinbase the coins of its inputs. */
export type BlockUndo = readonly (readonly Coin[])[]

interface Applied {
  readonly undo: BlockUndo
  readonly created: ReadonlyMap<Outpoint, Coin>
  readonly spent: ReadonlySet<Outpoint>
}

export class Chain {
  readonly #nodes = new Map<string, BlockNode>()
  readonly #active: BlockNode[] = []
  readonly #coins = new Map<Outpoint, Coin>()
  readonly #undo = new Map<string, BlockUndo>()
  readonly #verified = new Set<string>()
  #sequence = 0
  #sizeBytes = 0

  constructor() {
    const genesis = decodeBlock(genesisBlockBytes())
    if (genesis === undefined) throw new Error('the genesis block does not decode')
    const node = this.#add(genesis, undefined)
    node.status = 'valid'
    this.#active.push(node)
    this.#undo.set(node.hash, [])
  }

  get tip(): BlockNode {
    const tip = this.#active.at(-1)
    if (tip === undefined) throw new Error('the chain has no genesis')
    return tip
  }

  /** Bytes of all blocks known, as Core's block files count them. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  node(hash: string): BlockNode | undefined {
    return this.#nodes.get(hash)
  }

  /** The active block at a height. */
  at(height: number): BlockNode | undefined {
    return this.#active[height]
  }

  isActive(node: BlockNode): boolean {
    return this.#active[node.height] === node
  }

  coin(key: Outpoint): Coin | undefined {
    return this.#coins.get(key)
  }

  coins(): IterableIterator<[Outpoint, Coin]> {
    return this.#coins.entries()
  }

  undo(hash: string): BlockUndo | undefined {
    return this.#undo.get(hash)
  }

  nodes(): IterableIterator<BlockNode> {
    return this.#nodes.values()
  }

  /** Median time past of the active block before `height`, as BIP68 measures it. */
  medianTimeBefore(height: number): number {
    return (this.at(Math.max(height - 1, 0)) ?? this.tip).medianTime
  }

  /** Remembers that all scripts of this witness id held, so that its block need not check them again. */
  rememberVerified(wtxid: string): void {
    const [oldest] = this.#verified
    if (this.#verified.size >= MAX_VERIFIED && oldest !== undefined) this.#verified.delete(oldest)
    this.#verified.add(wtxid)
  }

  /** Why a block cannot be added, or undefined: all that needs no coins is checked. Changes nothing. */
  check(block: DecodedBlock, nowSeconds: number): Refusal | undefined {
    const known = this.node(block.header.hash)
    if (known?.status === 'invalid') return { code: 'duplicate-invalid' }
    if (known !== undefined) return { code: 'duplicate' }
    const parent = this.node(block.header.prevHash)
    const reason =
      checkBlock(block) ??
      this.#checkHeader(block.header, nowSeconds) ??
      (parent && checkInContext(block, parent))
    return reason === undefined ? undefined : { code: 'rejected', reason }
  }

  /** Adds a block that `check` passed, and follows it if its branch has more work than the active one. */
  add(block: DecodedBlock): SubmitOutcome {
    const node = this.#add(block, this.node(block.header.prevHash))
    if (node.chainWork <= this.tip.chainWork) {
      return { code: 'accepted', node, change: { disconnected: [], connected: [] } }
    }
    const { change, faults } = this.#follow()
    const reason = faults.get(node.hash)
    return reason === undefined ? { code: 'accepted', node, change } : { code: 'rejected', reason }
  }

  /** Whether a block on the tip would be valid, its proof of work aside. */
  checkProposal(block: DecodedBlock, nowSeconds: number): string | undefined {
    const { tip } = this
    if (block.header.prevHash !== tip.hash) return 'inconclusive-not-best-prevblk'
    const alone = checkBlock(block)
    const reason =
      (alone === 'high-hash' ? undefined : alone) ??
      this.#checkHeader(block.header, nowSeconds) ??
      checkInContext(block, tip)
    if (reason !== undefined) return reason
    const applied = this.#apply(createNode(block, tip, this.#sequence), block)
    return 'reason' in applied ? applied.reason : undefined
  }

  /** Marks a block and all that follow it invalid, and follows the best branch that is left. */
  invalidate(target: BlockNode): ChainChange {
    if (target.height === 0) throw new Error('genesis cannot be invalidated')
    this.#markInvalid(target)
    return this.#follow().change
  }

  /** Takes back what `invalidate` said of a block, its ancestors and what follows it. */
  reconsider(target: BlockNode): ChainChange {
    for (const node of this.#nodes.values()) {
      const related = isDescendant(node, target) || isDescendant(target, node)
      if (related && node.status === 'invalid') node.status = 'unconnected'
    }
    return this.#follow().change
  }

  #add(block: DecodedBlock, parent: BlockNode | undefined): BlockNode {
    const node = createNode(block, parent, this.#sequence++)
    this.#nodes.set(node.hash, node)
    this.#sizeBytes += node.raw.length + BLOCK_FILE_HEAD_BYTES
    return node
  }

  #markInvalid(target: BlockNode): void {
    for (const node of this.#nodes.values()) {
      if (isDescendant(node, target)) node.status = 'invalid'
    }
  }

  #checkHeader(header: Header, nowSeconds: number): string | undefined {
    const parent = this.node(header.prevHash)
    if (parent === undefined) return 'prev-blk-not-found'
    if (parent.status === 'invalid') return 'bad-prevblk'
    if (header.bits !== POW_LIMIT_BITS) return 'bad-diffbits'
    if (header.time <= parent.medianTime) return 'time-too-old'
    if (header.time > nowSeconds + MAX_FUTURE_SECONDS) return 'time-too-new'
    if ((header.version | 0) < MIN_BLOCK_VERSION) {
      return `bad-version(0x${header.version.toString(16).padStart(8, '0')})`
    }
    return undefined
  }

  /** Moves to the branch of most work, past blocks that turn out to be invalid. */
  #follow(): { change: ChainChange; faults: ReadonlyMap<string, string> } {
    const disconnected: DecodedBlock[] = []
    const connected: DecodedBlock[] = []
    const faults = new Map<string, string>()
    for (;;) {
      const best = this.#best()
      if (best === this.tip) return { change: { disconnected, connected }, faults }
      while (!isDescendant(best, this.tip)) {
        const left = this.#disconnect()
        if (connected.at(-1)?.header.hash === left.header.hash) connected.pop()
        else disconnected.push(left)
      }
      for (let height = this.tip.height + 1; height <= best.height; height++) {
        const node = ancestorAt(best, height)
        if (node === undefined) throw new Error(`no ancestor at ${height}`)
        const outcome = this.#connect(node)
        if ('reason' in outcome) {
          this.#markInvalid(node)
          for (let at = best; at.height >= height && at.parent !== undefined; at = at.parent) {
            faults.set(at.hash, at === node ? outcome.reason : 'bad-prevblk')
          }
          break
        }
        connected.push(outcome.block)
      }
    }
  }

  #best(): BlockNode {
    let best: BlockNode | undefined
    for (const node of this.#nodes.values()) {
      if (node.status === 'invalid') continue
      const more = best === undefined || node.chainWork > best.chainWork
      const earlier =
        best !== undefined && node.chainWork === best.chainWork && node.sequence < best.sequence
      if (more || earlier) best = node
    }
    if (best === undefined) throw new Error('every block is invalid')
    return best
  }

  #connect(node: BlockNode): { block: DecodedBlock } | { reason: string } {
    const block = blockOf(node)
    const applied = this.#apply(node, block)
    if ('reason' in applied) return applied
    for (const [key, coin] of applied.created) this.#coins.set(key, coin)
    for (const key of applied.spent) this.#coins.delete(key)
    this.#undo.set(node.hash, applied.undo)
    node.status = 'valid'
    this.#active.push(node)
    return { block }
  }

  #disconnect(): DecodedBlock {
    const node = this.#active.pop()
    if (node === undefined || node.height === 0) throw new Error('genesis cannot be disconnected')
    const block = blockOf(node)
    const undo = this.#undo.get(node.hash)
    if (undo === undefined) throw new Error(`no undo data of ${node.hash}`)
    for (let index = block.txs.length - 1; index >= 0; index--) {
      const tx = block.txs[index]
      if (tx === undefined) continue
      tx.body.outs.forEach((_, vout) => {
        this.#coins.delete(outpoint(tx.txid, vout))
      })
      if (index === 0) continue
      tx.body.ins.forEach((input, position) => {
        const coin = undo[index - 1]?.[position]
        if (coin !== undefined) this.#coins.set(spentOutpoint(input), coin)
      })
    }
    return block
  }

  /** Checks a block against the coins of the tip and says what it would change (Core's ConnectBlock). */
  #apply(node: BlockNode, block: DecodedBlock): Applied | { reason: string } {
    const created = new Map<Outpoint, Coin>()
    const spent = new Set<Outpoint>()
    const undo: Coin[][] = []
    let feesSat = 0n
    let sigops = 0
    for (const tx of block.txs) {
      const coins: Coin[] = []
      const coinbase = isCoinbase(tx)
      if (!coinbase) {
        for (const input of tx.body.ins) {
          const key = spentOutpoint(input)
          const coin = spent.has(key) ? undefined : (created.get(key) ?? this.#coins.get(key))
          if (coin === undefined) return { reason: 'bad-txns-inputs-missingorspent' }
          coins.push(coin)
          spent.add(key)
        }
        const outcome = this.#checkSpend(tx, coins, node)
        if ('reason' in outcome) return outcome
        feesSat += outcome.feeSat
        undo.push(coins)
      }
      sigops += sigopCost(tx.body, coins)
      if (sigops > MAX_BLOCK_SIGOPS_COST) return { reason: 'bad-blk-sigops' }
      for (const [vout, out] of tx.body.outs.entries()) {
        const key = outpoint(tx.txid, vout)
        if (this.#coins.has(key)) return { reason: 'bad-txns-BIP30' }
        if (isUnspendable(out.script)) continue
        created.set(key, {
          valueSat: out.value,
          script: out.script,
          height: node.height,
          coinbase,
        })
      }
    }
    const rewardSat = block.txs[0]?.body.outs.reduce((sum, out) => sum + out.value, 0n) ?? 0n
    if (rewardSat > subsidySat(node.height) + feesSat) return { reason: 'bad-cb-amount' }
    return { undo, created, spent }
  }

  #checkSpend(
    tx: Tx,
    coins: readonly Coin[],
    { height, parent }: BlockNode,
  ): { feeSat: bigint } | { reason: string } {
    const amounts = checkTxInputs(tx, coins, height)
    if ('reason' in amounts) return amounts
    const heights = coins.map((coin) => coin.height)
    const parentTime = parent?.medianTime ?? 0
    const before = (at: number) => this.medianTimeBefore(at)
    if (!sequenceLocksMet(tx, heights, height, parentTime, before)) {
      return { reason: 'bad-txns-nonfinal' }
    }
    if (this.#verified.has(tx.wtxid)) return amounts
    for (let index = 0; index < coins.length; index++) {
      const fault = verifyInput(tx.body, index, coins, false)
      if (fault !== undefined) {
        return { reason: `mandatory-script-verify-flag-failed (${fault.message})` }
      }
    }
    return amounts
  }
}

/** Core's ContextualCheckBlock. */
function checkInContext(block: DecodedBlock, parent: BlockNode): string | undefined {
  const height = parent.height + 1
  if (block.txs.some((tx) => !isFinal(tx, height, parent.medianTime))) return 'bad-txns-nonfinal'
  const script = block.txs[0]?.body.ins[0]?.script ?? new Uint8Array()
  const wanted = heightPush(height)
  if (!equalBytes(script.subarray(0, wanted.length), wanted)) return 'bad-cb-height'
  return checkWitnessCommitment(block)
}

/** BIP34: the height as the first push of the coinbase's script. */
export function heightPush(height: number): Uint8Array {
  if (height <= 16) return Uint8Array.of(height === 0 ? 0 : 0x50 + height)
  const number = encodeScriptNumber(height)
  return Uint8Array.of(number.length, ...number)
}
