/**
 * A door before a Bitcoin's JSON-RPC that can be made to behave as a full node does: its mempool takes no transaction for some time, and
 * its estimates rise. All else passes through.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Asked {
  readonly id?: unknown
  readonly method?: string
}

/** Core's code for what its policy does not take. */
const RPC_VERIFY_REJECTED = -26

export class CrowdedBitcoin {
  /** Transactions are refused: `mempool min fee not met`. */
  isFull = false
  /** What estimatesmartfee says instead of its own; undefined: its own. */
  feeRateSatPerKvb: number | undefined
  /** How often a transaction was refused. */
  refused = 0
  readonly #target: URL
  readonly #authorization: string
  readonly #server: Server

  constructor(url: string) {
    const { username, password, origin } = new URL(url)
    this.#target = new URL(origin)
    this.#authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        void this.#answer(Buffer.concat(parts).toString('utf8')).then(
          ({ status, text }) => {
            response.writeHead(status, { 'content-type': 'application/json' }).end(text)
          },
          () => response.writeHead(502).end(),
        )
      })
    })
  }

  /** Its own URL. */
  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://door:door@127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(text: string): Promise<{ readonly status: number; readonly text: string }> {
    const asked = JSON.parse(text) as Asked | readonly Asked[]
    const one = Array.isArray(asked) ? undefined : (asked as Asked)
    if (this.isFull && one?.method === 'sendrawtransaction') {
      this.refused += 1
      const error = { code: RPC_VERIFY_REJECTED, message: 'mempool min fee not met' }
      return { status: 500, text: JSON.stringify({ id: one.id, result: null, error }) }
    }
    if (this.feeRateSatPerKvb !== undefined && one?.method === 'estimatesmartfee') {
      const result = { feerate: this.feeRateSatPerKvb / 1e8, blocks: 6 }
      return { status: 200, text: JSON.stringify({ id: one.id, result, error: null }) }
    }
    const response = await fetch(this.#target, {
      method: 'POST',
      headers: { authorization: this.#authorization, 'content-type': 'application/json' },
      body: text,
    })
    return { status: response.status, text: await response.text() }
  }
}
