/** Signed transactions, and how fast a node takes them over JSON-RPC and commits them. The same bytes go to every contender. */
import { createHash } from 'node:crypto'
import { Agent, request } from 'node:http'
import secp256k1 from 'secp256k1'
import { bigintFromBytes, concatBytes, keccak256, toHex } from '../../crypto/index.ts'
import { createNodeRpc, RpcError } from '../../devnet/launcher/rpc.ts'
import { encodeRlp, integerBytes } from '../../vm/evm/rlp.ts'
import { addressOf } from '../../vm/evm/sender.ts'

/** The chain of the development federation, and of every peer for the length of a bench. */
export const CHAIN_ID = 262_144
const FEE_CAP_WEI = 20_000_000_000n
const TIP_WEI = 1_000_000_000n
const BATCH = 100
const CONNECTIONS = 8
/** Accepted and not yet committed: below every pool's bound. */
const MOST_WAITING = 40_000
const POLL_MS = 50
const PATIENCE_MS = 120_000

export interface Key {
  readonly secret: Uint8Array
  readonly address: Uint8Array
}

export interface Fields {
  readonly nonce: number
  readonly to?: Uint8Array
  readonly valueWei?: bigint
  readonly data?: Uint8Array
  readonly gasLimit: bigint
}

/** Keys by name, the same in every run. */
export function keyOf(name: string): Key {
  const secret = new Uint8Array(createHash('sha256').update(`bench ${name}`).digest())
  return { secret, address: addressOf(secp256k1.publicKeyCreate(secret, false)) }
}

const EMPTY = new Uint8Array(0)

/** A signed EIP-1559 transaction, in hex. */
export function sign(key: Key, { nonce, to, valueWei, data, gasLimit }: Fields): string {
  const fields = [
    integerBytes(CHAIN_ID),
    integerBytes(nonce),
    integerBytes(TIP_WEI),
    integerBytes(FEE_CAP_WEI),
    integerBytes(gasLimit),
    to ?? EMPTY,
    integerBytes(valueWei ?? 0n),
    data ?? EMPTY,
    [],
  ]
  const type = Uint8Array.of(2)
  const hash = keccak256(concatBytes(type, encodeRlp(fields)))
  const { signature, recid } = secp256k1.ecdsaSign(hash, key.secret)
  const word = (from: number) => integerBytes(bigintFromBytes(signature.slice(from, from + 32)))
  const signed = encodeRlp([...fields, integerBytes(recid), word(0), word(32)])
  return `0x${toHex(concatBytes(type, signed))}`
}

/** One lane per connection, each in the order in which it is to be sent. */
export type Lanes = readonly (readonly string[])[]

/** `count` transactions of `keys` in turn; one sender's stay on one connection, so that its nonces arrive in order. */
export function lanesOf(
  keys: readonly Key[],
  firstNonce: number,
  count: number,
  fields: (index: number) => Omit<Fields, 'nonce'>,
): Lanes {
  const lanes: string[][] = Array.from({ length: CONNECTIONS }, () => [])
  for (let index = 0; index < count; index++) {
    const at = index % keys.length
    const nonce = firstNonce + Math.floor(index / keys.length)
    const lane = lanes[at % CONNECTIONS] as string[]
    lane.push(sign(keys[at] as Key, { nonce, ...fields(index) }))
  }
  return lanes
}

export interface LoadFigures {
  readonly perSecond: number
  readonly seconds: number
  readonly blocks: number
  /** From the first request until all were taken. */
  readonly takenPerSecond: number
}

/** Sends everything, or what it comes to until `signal`, and waits until it stands in blocks. Throws when a transaction is refused. */
export async function drive(url: string, lanes: Lanes, signal?: AbortSignal): Promise<LoadFigures> {
  const bodies = lanes.map(bodiesOf)
  const blocks = new CommittedCount(url)
  await blocks.start()
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const startedMs = performance.now()
  let taken = 0
  await Promise.all(
    bodies.map(async (lane) => {
      for (const { body, count } of lane) {
        while (taken - blocks.transactions > MOST_WAITING) await pause()
        if (signal?.aborted === true) return
        await post(agent, url, body)
        taken += count
      }
    }),
  )
  const takenMs = performance.now()
  const total = taken
  await blocks.reaches(total)
  blocks.stop()
  agent.destroy()
  const seconds = (blocks.reachedMs - startedMs) / 1_000
  return {
    perSecond: total / seconds,
    seconds,
    blocks: blocks.blocks,
    takenPerSecond: (total * 1_000) / (takenMs - startedMs),
  }
}

function bodiesOf(lane: readonly string[]): { readonly body: Buffer; readonly count: number }[] {
  const bodies: { body: Buffer; count: number }[] = []
  for (let at = 0; at < lane.length; at += BATCH) {
    const items = lane.slice(at, at + BATCH).map((raw, id) => {
      return `{"jsonrpc":"2.0","id":${id},"method":"eth_sendRawTransaction","params":["${raw}"]}`
    })
    bodies.push({ body: Buffer.from(`[${items.join(',')}]`), count: items.length })
  }
  return bodies
}

function post(agent: Agent, url: string, body: Buffer): Promise<void> {
  const headers = { 'content-type': 'application/json', 'content-length': body.length }
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method: 'POST', headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('latin1')
        const at = text.indexOf('"error":{')
        if (at === -1) resolve()
        else reject(new Error(`refused: ${text.slice(at, at + 200)}`))
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Follows a chain and counts the transactions of its new blocks. */
class CommittedCount {
  transactions = 0
  blocks = 0
  reachedMs = 0
  readonly #rpc: ReturnType<typeof createNodeRpc>
  #height = 0
  #stopped = false
  #failure: unknown

  constructor(url: string) {
    this.#rpc = createNodeRpc(url)
  }

  async start(): Promise<void> {
    this.#height = Number(await this.#rpc.call<string>('eth_blockNumber'))
    void this.#follow().catch((error: unknown) => {
      this.#failure = error
    })
  }

  stop(): void {
    this.#stopped = true
  }

  async reaches(total: number): Promise<void> {
    let lastMs = performance.now()
    let last = this.transactions
    while (this.transactions < total) {
      if (this.#failure !== undefined) throw this.#failure
      if (this.transactions > last) {
        last = this.transactions
        lastMs = performance.now()
      }
      if (performance.now() - lastMs > PATIENCE_MS) {
        throw new Error(`${total - this.transactions} transactions never came into a block`)
      }
      await pause()
    }
  }

  /** A node may be deaf while it executes a block; what never comes ends by patience. */
  async #ask(method: string, params: readonly unknown[] = []): Promise<number | undefined> {
    try {
      return Number(await this.#rpc.call<string>(method, params))
    } catch (error) {
      if (error instanceof RpcError) throw error
      return undefined
    }
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      const head = (await this.#ask('eth_blockNumber')) ?? 0
      while (this.#height < head) {
        const height = `0x${(this.#height + 1).toString(16)}`
        const count = await this.#ask('eth_getBlockTransactionCountByNumber', [height])
        if (count === undefined) break
        this.#height += 1
        this.transactions += count
        if (count > 0) this.blocks += 1
        this.reachedMs = performance.now()
      }
      await pause()
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS))
}
