/** Mines development blocks on demand: one a second while a transaction, a peg operation or a sweep waits, none otherwise. */
import type { BitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import type { NodeRpc } from './rpc.ts'

const PAUSE_MS = 700

interface Waiting {
  readonly step: string
  readonly next?: string
  /** Of a deposit that goes back: that, too, is buried by blocks. */
  readonly refund?: { readonly state: string }
}

interface Reserves {
  readonly openSweeps: number
}

export class OnDemandMiner {
  readonly #bitcoin: BitcoinRpc
  readonly #node: NodeRpc
  readonly #address: string
  #stopped = false
  #turn: Promise<void> | undefined

  constructor(bitcoin: BitcoinRpc, node: NodeRpc, address: string) {
    this.#bitcoin = bitcoin
    this.#node = node
    this.#address = address
  }

  start(): void {
    this.#turn ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#turn
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (await this.#isWanted()) await this.#bitcoin.generateToAddress(1, this.#address)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  async #isWanted(): Promise<boolean> {
    const mempool = await this.#bitcoin.getRawMempool()
    if (mempool.ok && mempool.value.length > 0) return true
    try {
      const { openSweeps } = await this.#node.call<Reserves>('millrace_reserves')
      if (openSweeps > 0) return true
      const operations = await this.#node.call<readonly Waiting[]>('millrace_pegStatus')
      return operations.some(({ refund, step }) => {
        return WAITS_FOR_BITCOIN.has(step) || refund?.state === 'batched'
      })
    } catch {
      // A node that does not answer waits for nothing.
      return false
    }
  }
}

/** Steps that go on only with another Bitcoin block. */
const WAITS_FOR_BITCOIN: ReadonlySet<string> = new Set([
  'Detected',
  'Confirming',
  'AwaitingApproval',
  'Approved',
  'Broadcast',
  'Confirmed',
])
