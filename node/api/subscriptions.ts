/**
 * eth_subscribe (OP-3): who wants to hear of new blocks, logs and transactions. Views are read when they change and somebody listens.
 * A reader that falls behind is told so and let go; it comes back and reads what it missed by the ordinary methods.
 */

import { toHex } from '../../crypto/index.ts'
import type { Random } from '../../supervisor/index.ts'
import { data, quantity } from './hex.ts'
import type { ApiLimits } from './limits.ts'
import type { LogFilterParam } from './params.ts'
import type { ApiPorts } from './port.ts'
import { blockToJson, logToJson, pooledTransactionToJson } from './shapes/evm.ts'

export type Topic =
  | { readonly kind: 'newHeads' }
  | { readonly kind: 'logs'; readonly filter: LogFilterParam }
  | { readonly kind: 'newPendingTransactions'; readonly isFull: boolean }
  | { readonly kind: 'syncing' }

/** One connection. */
export interface Subscriber {
  /** Undefined: it is behind. */
  notify(id: string, result: unknown): void
}

interface Subscription {
  readonly subscriber: Subscriber
  readonly topic: Topic
}

/** What of a block newHeads tells: its header. */
const BODY_FIELDS = ['transactions', 'uncles', 'withdrawals', 'size'] as const

export class Subscriptions {
  private readonly ports: ApiPorts
  private readonly limits: ApiLimits
  private readonly random: Random
  private readonly onBug: (place: string, error: unknown) => void
  private readonly all = new Map<string, Subscription>()
  private endings: (() => void)[] = []
  private toldHeight = 0
  private toldSyncing = ''

  constructor(
    ports: ApiPorts,
    limits: ApiLimits,
    random: Random,
    onBug: (place: string, error: unknown) => void,
  ) {
    this.ports = ports
    this.limits = limits
    this.random = random
    this.onBug = onBug
  }

  get size(): number {
    return this.all.size
  }

  /** The id of a new subscription; undefined when there are too many. */
  add(subscriber: Subscriber, topic: Topic): string | undefined {
    const own = [...this.all.values()].filter((one) => one.subscriber === subscriber)
    if (own.length >= this.limits.subscriptionsPerSocket) return undefined
    if (this.all.size >= this.limits.subscriptions) return undefined
    if (this.all.size === 0) this.begin()
    const id = `0x${toHex(this.random.bytes(16)).replace(/^0+/, '') || '1'}`
    this.all.set(id, { subscriber, topic })
    return id
  }

  /** False: this subscriber has none of that id. */
  remove(subscriber: Subscriber, id: string): boolean {
    if (this.all.get(id)?.subscriber !== subscriber) return false
    this.all.delete(id)
    if (this.all.size === 0) this.end()
    return true
  }

  removeAll(subscriber: Subscriber): void {
    for (const id of this.all.keys()) this.remove(subscriber, id)
  }

  private begin(): void {
    const { evm } = this.ports
    this.toldHeight = evm.headHeight()
    this.toldSyncing = JSON.stringify(this.syncing())
    this.endings = [
      this.ports.onChange(() => this.guarded(() => this.look())),
      this.ports.onPendingTransactions((hashes) => this.guarded(() => this.tellPending(hashes))),
    ]
  }

  private end(): void {
    for (const end of this.endings) end()
    this.endings = []
  }

  /** Actors publish through us: no fault of ours may reach them. */
  private guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.onBug('subscriptions', error)
    }
  }

  private of<Kind extends Topic['kind']>(kind: Kind) {
    return [...this.all].flatMap(([id, { subscriber, topic }]) =>
      topic.kind === kind
        ? [{ id, subscriber, topic: topic as Extract<Topic, { readonly kind: Kind }> }]
        : [],
    )
  }

  private look(): void {
    const { evm } = this.ports
    const head = evm.headHeight()
    // A node that caught up tells of the last blocks alone.
    const from = Math.max(this.toldHeight + 1, head - this.limits.subscriptionBlocks + 1)
    this.toldHeight = Math.max(this.toldHeight, head)
    for (let height = from; height <= head; height++) this.tellBlock(height)
    const syncing = this.syncing()
    const text = JSON.stringify(syncing)
    if (text === this.toldSyncing) return
    this.toldSyncing = text
    for (const { id, subscriber } of this.of('syncing')) subscriber.notify(id, syncing)
  }

  private tellBlock(height: number): void {
    const { evm } = this.ports
    const heads = this.of('newHeads')
    const block = heads.length === 0 ? undefined : evm.blockAt(height)
    if (block !== undefined) {
      const header = blockToJson(block)
      for (const field of BODY_FIELDS) delete header[field]
      for (const { id, subscriber } of heads) subscriber.notify(id, header)
    }
    for (const { id, subscriber, topic } of this.of('logs')) {
      const { matcher } = topic.filter
      const logs = evm.logs({ fromHeight: height, toHeight: height }, matcher)
      if ('code' in logs) continue
      for (const log of logs) subscriber.notify(id, logToJson(log))
    }
  }

  private tellPending(hashes: readonly Uint8Array[]): void {
    const wanting = this.of('newPendingTransactions')
    if (wanting.length === 0) return
    for (const hash of hashes) {
      for (const { id, subscriber, topic } of wanting) {
        if (!topic.isFull) subscriber.notify(id, data(hash))
        else void this.tellFull(id, subscriber, hash)
      }
    }
  }

  private async tellFull(id: string, subscriber: Subscriber, hash: Uint8Array): Promise<void> {
    const pooled = await this.ports.pool.transaction(hash)
    if (pooled !== undefined) subscriber.notify(id, pooledTransactionToJson(pooled))
  }

  private syncing(): unknown {
    const { startHeight, currentHeight, targetHeight } = this.ports.sync()
    if (targetHeight <= currentHeight) return false
    return {
      syncing: true,
      status: {
        startingBlock: quantity(startHeight),
        currentBlock: quantity(currentHeight),
        highestBlock: quantity(targetHeight),
      },
    }
  }
}
