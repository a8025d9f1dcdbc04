/** OP-3: JSON-RPC over WebSocket and eth_subscribe, with bounds. */
import { request } from 'node:http'
import { WebSocketProvider } from 'ethers'
import { createPublicClient, webSocket } from 'viem'
import { toHex } from '../../../../crypto/index.ts'
import { startApi, type UnderTest } from './api-under-test.ts'
import { CONTRACT, decoded, signedTransaction, TOPIC } from './fake-node.ts'

const hex = (bytes: Uint8Array) => `0x${toHex(bytes)}`

/** A client by hand: what it was told, in order. */
class Client {
  readonly heard: Record<string, unknown>[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #socket: WebSocket
  #next = 0

  constructor(url: string) {
    this.#socket = new WebSocket(url.replace('http', 'ws'))
    this.#socket.onmessage = ({ data }) => void this.heard.push(JSON.parse(String(data)))
    this.closed = new Promise((resolve) => {
      this.#socket.onclose = ({ code, reason }) => resolve({ code, reason })
    })
  }

  async open(): Promise<this> {
    await new Promise((resolve, reject) => {
      this.#socket.onopen = resolve
      this.#socket.onerror = reject
    })
    return this
  }

  async ask(
    method: string,
    ...params: unknown[]
  ): Promise<{ result?: unknown; error?: { code: number } }> {
    this.#next += 1
    const id = this.#next
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    return this.until((message) => message['id'] === id)
  }

  async until(
    test: (message: Record<string, unknown>) => boolean,
  ): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.heard.find(test)
      if (found !== undefined) return found
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  told(id: unknown): unknown[] {
    return this.heard.flatMap(({ params }) => {
      const { subscription, result } = (params ?? {}) as { subscription?: string; result?: unknown }
      return subscription === id ? [result] : []
    })
  }

  send(text: string): void {
    this.#socket.send(text)
  }

  close(): void {
    this.#socket.close()
  }
}

describe('WebSocket', () => {
  let api: UnderTest
  let client: Client
  beforeEach(async () => {
    api = await startApi({ subscriptionsPerSocket: 4, socketNotices: 50, sockets: 3 })
    client = await new Client(api.url).open()
  })
  afterEach(async () => {
    client.close()
    await client.closed
    await api.close()
  })

  it('OP-3: answers what HTTP answers, errors and batches too', async () => {
    expect(await client.ask('eth_blockNumber')).toMatchObject({ result: '0x3' })
    expect(await client.ask('eth_nothing')).toMatchObject({ error: { code: -32601 } })
    client.send('{')
    await client.until(({ error }) => (error as { code?: number } | undefined)?.code === -32700)
    client.send(JSON.stringify([{ jsonrpc: '2.0', id: 'a', method: 'eth_chainId' }]))
    await client.until((message) => Array.isArray(message))
  })

  it('OP-3: newHeads, logs, newPendingTransactions and syncing are told once each, in order', async () => {
    const [heads, logs, others, pending] = await Promise.all([
      client.ask('eth_subscribe', 'newHeads'),
      client.ask('eth_subscribe', 'logs', { address: hex(CONTRACT), topics: [hex(TOPIC)] }),
      client.ask('eth_subscribe', 'logs', { address: `0x${'11'.repeat(20)}` }),
      client.ask('eth_subscribe', 'newPendingTransactions'),
    ])
    expect(await client.ask('eth_subscribe', 'syncing')).toMatchObject({ error: { code: -32005 } })
    expect(await client.ask('eth_unsubscribe', others.result)).toMatchObject({ result: true })
    const syncing = await client.ask('eth_subscribe', 'syncing')
    const raw = signedTransaction({ type: 2, nonce: 2, to: CONTRACT })
    for (const listener of api.node.onPending) listener([decoded(raw).hash])
    api.node.addBlock([raw], [{ address: CONTRACT, topics: [TOPIC], data: Uint8Array.of(5) }])
    api.node.addBlock()
    api.node.sync = { ...api.node.sync, targetHeight: 99 }
    api.node.changed()
    await client.until(() => client.told(syncing.result).length === 1)
    expect(client.told(heads.result)).toMatchObject([{ number: '0x4' }, { number: '0x5' }])
    expect(client.told(heads.result)[0]).not.toHaveProperty('transactions')
    expect(client.told(logs.result)).toMatchObject([{ data: '0x05', blockNumber: '0x4' }])
    expect(client.told(pending.result)).toEqual([hex(decoded(raw).hash)])
    expect(client.told(syncing.result)).toMatchObject([{ syncing: true }])
    expect(await client.ask('eth_unsubscribe', heads.result)).toMatchObject({ result: true })
    expect(await client.ask('eth_unsubscribe', heads.result)).toMatchObject({
      error: { code: -32001 },
    })
    const before = client.told(heads.result).length
    api.node.addBlock()
    await client.until(() => true)
    expect(client.told(heads.result)).toHaveLength(before)
  })

  it('OP-3: whoever falls behind is told so and let go', async () => {
    await client.ask('eth_subscribe', 'newPendingTransactions')
    const hashes = Array.from({ length: 60 }, (_, index) => new Uint8Array(32).fill(index))
    for (const listener of api.node.onPending) listener(hashes)
    expect(await client.closed).toMatchObject({ code: 1013, reason: 'lagged' })
    expect(client.heard.at(-1)).toMatchObject({ params: { error: { message: 'lagged' } } })
    expect(api.node.onPending.size).toBe(0)
  })

  it('over HTTP there is nothing to subscribe to, and wrong topics are refused', async () => {
    expect((await api.rpc('eth_subscribe', ['newHeads'])).error?.code).toBe(-32601)
    expect(await client.ask('eth_subscribe', 'gossip')).toMatchObject({ error: { code: -32602 } })
  })

  it('OP-2: other origins, and more clients than are served, are refused', async () => {
    const others = await Promise.all([new Client(api.url).open(), new Client(api.url).open()])
    await expect(new Client(api.url).open()).rejects.toBeDefined()
    for (const other of others) other.close()
    await Promise.all(others.map(({ closed }) => closed))
    expect(await upgradeStatus('https://evil.example')).toBe(403)
  })

  /** The status of an upgrade that is refused. */
  function upgradeStatus(origin: string): Promise<number | undefined> {
    const headers = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      origin,
    }
    return new Promise((resolve, reject) => {
      const asked = request(api.url, { headers })
      asked.once('response', ({ statusCode }) => resolve(statusCode))
      asked.once('error', reject)
      asked.end()
    })
  }

  it('a node that stops closes its clients', async () => {
    const closing = api.close()
    expect(await client.closed).toMatchObject({ code: 1001 })
    await closing
  })

  it('ethers and viem hear of blocks', async () => {
    const url = api.url.replace('http', 'ws')
    const provider = new WebSocketProvider(url)
    const heardByEthers = new Promise((resolve) => void provider.on('block', resolve))
    const transport = webSocket(url, { retryCount: 0, reconnect: false })
    const reader = createPublicClient({ transport })
    let unwatch = () => {}
    const heardByViem = new Promise((resolve) => {
      unwatch = reader.watchBlockNumber({ onBlockNumber: resolve })
    })
    const blocks = setInterval(() => api.node.addBlock(), 100)
    try {
      expect(await heardByEthers).toBeGreaterThan(3)
      expect(await heardByViem).toBeGreaterThan(3n)
    } finally {
      clearInterval(blocks)
      unwatch()
      await provider.destroy()
      const { socket } = await reader.transport.getRpcClient()
      socket.close()
    }
  })
})
