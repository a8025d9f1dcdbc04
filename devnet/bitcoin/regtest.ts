/**
 * One regtest: its chain, its mempool and its log, moved together. Every block and verdict is durable before it
 * takes effect, so that a failed write changes nothing and a crash loses nothing that was answered.
 */
import type { DecodedBlock } from './block.ts'
import { decodeBlock } from './block.ts'
import type { BlockNode } from './block-tree.ts'
import { displayHash, internalHash } from './bytes.ts'
import { Chain, type ChainChange, type SubmitOutcome } from './chain.ts'
import type { BlockLog, LogRecord } from './log.ts'
import { type Acceptance, Mempool } from './mempool.ts'
import { mineBlock, planBlock } from './mining.ts'
import type { Tx } from './transaction.ts'

export interface RegtestPorts {
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: (line: string) => void
  /** Without one the chain lives in memory only. */
  readonly blockLog?: BlockLog
}

export class Regtest {
  readonly chain = new Chain()
  readonly mempool = new Mempool(this.chain)
  readonly #ports: RegtestPorts
  #mockTime: number | undefined

  constructor(ports: RegtestPorts) {
    this.#ports = ports
  }

  /** Seconds since 1970, or what setmocktime said. */
  nowSeconds(): number {
    return this.#mockTime ?? Math.floor(this.#ports.now() / 1000)
  }

  /** Stops the clock at a time; 0 lets it run again. */
  setMockTime(seconds: number): void {
    this.#mockTime = seconds === 0 ? undefined : seconds
  }

  /** Applies the records of a log that an earlier run wrote. */
  replay(records: readonly LogRecord[]): void {
    for (const { kind, body } of records) {
      if (kind === 'block') {
        const block = decodeBlock(body)
        if (block === undefined || this.chain.check(block, Number.MAX_SAFE_INTEGER) !== undefined) {
          throw new Error('the block log holds a block that is not valid')
        }
        this.chain.add(block)
        continue
      }
      const node = this.chain.node(displayHash(body))
      if (node === undefined) throw new Error('the block log names a block that it does not hold')
      if (kind === 'invalidate') this.chain.invalidate(node)
      else this.chain.reconsider(node)
    }
  }

  submitBlock(block: DecodedBlock): SubmitOutcome {
    const outcome = this.chain.check(block, this.nowSeconds()) ?? this.#addBlock(block)
    if (outcome.code === 'rejected') {
      this.#ports.log(`refused block ${block.header.hash}: ${outcome.reason}`)
    }
    return outcome
  }

  #addBlock(block: DecodedBlock): SubmitOutcome {
    this.#ports.blockLog?.append({ kind: 'block', body: block.raw })
    const outcome = this.chain.add(block)
    if (outcome.code === 'accepted') this.#follow(outcome.change)
    return outcome
  }

  /** Mines one block that pays to a script. Fails where the clock is hours behind the chain. */
  mine(payTo: Uint8Array, leastSatPerKvb = 0n): { block: DecodedBlock } | { reason: string } {
    const plan = planBlock(this.chain, this.mempool, this.nowSeconds(), leastSatPerKvb)
    const block = mineBlock(plan, payTo, (hash) => this.chain.node(hash) !== undefined)
    const outcome = this.submitBlock(block)
    if (outcome.code === 'accepted') return { block }
    return { reason: outcome.code === 'rejected' ? outcome.reason : outcome.code }
  }

  sendTransaction(tx: Tx): Acceptance {
    const outcome = this.mempool.accept(tx, { nowSeconds: this.nowSeconds() })
    if (outcome.code === 'accepted') {
      for (const { tx: old } of outcome.replaced) {
        this.#ports.log(`transaction ${old.txid} replaced by ${tx.txid}`)
      }
    } else {
      this.#ports.log(`refused transaction ${tx.txid}: ${outcome.reason}`)
    }
    return outcome
  }

  invalidate(node: BlockNode): void {
    this.#ports.blockLog?.append({ kind: 'invalidate', body: internalHash(node.hash) })
    this.#follow(this.chain.invalidate(node))
  }

  reconsider(node: BlockNode): void {
    this.#ports.blockLog?.append({ kind: 'reconsider', body: internalHash(node.hash) })
    this.#follow(this.chain.reconsider(node))
  }

  #follow({ disconnected, connected }: ChainChange): void {
    for (const block of connected) this.mempool.removeForBlock(block.txs)
    if (disconnected.length > 0) {
      const returned = disconnected.toReversed().flatMap((block) => block.txs.slice(1))
      this.mempool.rebuild(returned, this.nowSeconds())
      this.#ports.log(`reorganised: ${disconnected.length} blocks left, ${connected.length} joined`)
    }
  }
}
