/**
 * Transfers at a steady rate while processes die. A transaction counts as acknowledged when a node answered with its receipt; one that
 * a node only took into its pool is offered again by its wallet when it does not show up, as wallets do.
 */
import { keccak256 } from 'ethers'
import { createNodeRpc } from '../../devnet/launcher/rpc.ts'
import type { TestFederation } from './federation.ts'
import { Account } from './user.ts'

export interface LoadFigures {
  /** Taken by a node. */
  readonly taken: number
  /** Receipt seen. */
  readonly acknowledged: number
  readonly offeredAgain: number
}

interface Sent {
  readonly hash: string
  readonly raw: string
  readonly sentAtMs: number
}

interface Sender {
  readonly account: Account
  readonly waiting: Sent[]
}

const SINK = '0x00000000000000000000000000000000000a11ce'
const PAUSE_MS = 200
/** Transactions of one sender without a receipt. */
const MAX_WAITING = 12
const STUCK_MS = 10_000

export class Load {
  readonly accounts: readonly Account[]
  readonly acknowledged: string[] = []
  readonly #federation: TestFederation
  readonly #senders: readonly Sender[]
  readonly #taken = new Set<string>()
  #offeredAgain = 0
  #valueWei = 1n
  #stopped = false
  #turns: Promise<void>[] = []

  constructor(federation: TestFederation, chainId: number, senders: number) {
    this.#federation = federation
    this.accounts = Array.from({ length: senders }, () => Account.random(chainId))
    this.#senders = this.accounts.map((account) => ({ account, waiting: [] }))
  }

  get figures(): LoadFigures {
    return {
      taken: this.#taken.size,
      acknowledged: this.acknowledged.length,
      offeredAgain: this.#offeredAgain,
    }
  }

  start(): void {
    this.#turns = [
      this.#repeat(async (turn) => this.#offer(turn)),
      this.#repeat(async () => this.#collect()),
    ]
  }

  /** Sends no more and waits until everything has its receipt; gives what never got one. */
  async stop(patienceMs: number): Promise<string[]> {
    this.#stopped = true
    await Promise.all(this.#turns)
    const end = Date.now() + patienceMs
    while (this.#waiting().length > 0 && Date.now() < end) {
      await this.#collect()
      await pause()
    }
    return this.#waiting()
      .map(({ hash }) => hash)
      .filter((hash) => this.#taken.has(hash))
  }

  #waiting(): Sent[] {
    return this.#senders.flatMap(({ waiting }) => waiting)
  }

  async #repeat(act: (turn: number) => Promise<void>): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      await act(turn)
      await pause()
    }
  }

  async #offer(turn: number): Promise<void> {
    const sender = this.#senders[turn % this.#senders.length] as Sender
    if (sender.waiting.length >= MAX_WAITING) return
    this.#valueWei += 1n
    const raw = await sender.account.transfer(SINK, this.#valueWei)
    const sent = { hash: keccak256(raw), raw, sentAtMs: Date.now() }
    sender.waiting.push(sent)
    await this.#give(sent, turn)
  }

  /** To one of the nodes that run; one that dies under it leaves the wallet to offer it again. */
  async #give({ hash, raw }: Sent, turn: number): Promise<void> {
    const running = this.#federation.runningNodes()
    const node = running[turn % running.length]
    if (node === undefined) return
    try {
      await createNodeRpc(this.#federation.urls[node] as string).call('eth_sendRawTransaction', [
        raw,
      ])
      this.#taken.add(hash)
    } catch {
      // Not taken: a dead node, or one that has it already.
    }
  }

  async #collect(): Promise<void> {
    for (const { waiting } of this.#senders) {
      while (waiting[0] !== undefined && (await this.#isIncluded(waiting[0].hash))) {
        this.acknowledged.push(waiting[0].hash)
        waiting.shift()
      }
      const [oldest] = waiting
      if (oldest === undefined || Date.now() - oldest.sentAtMs < STUCK_MS) continue
      for (const [turn, sent] of waiting.entries()) {
        this.#offeredAgain += 1
        waiting[turn] = { ...sent, sentAtMs: Date.now() }
        await this.#give(sent, turn)
      }
    }
  }

  async #isIncluded(hash: string): Promise<boolean> {
    try {
      return (await this.#federation.rpc.call('eth_getTransactionReceipt', [hash])) !== null
    } catch {
      return false
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}
