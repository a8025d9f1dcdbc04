import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import * as fc from 'fast-check'
import {
  type BitcoinResult,
  type BitcoinRpc,
  type BitcoinRpcOptions,
  createBitcoinRpc,
} from '../../../../node/adapters/bitcoin-rpc/index.ts'

type Handler = (
  body: { id: number; method: string; params: unknown[] },
  response: ServerResponse,
  request: IncomingMessage,
) => void

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A client of a server that answers as the test says. */
async function against(
  handler: Handler,
  change: Partial<BitcoinRpcOptions> = {},
): Promise<BitcoinRpc> {
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => {
      text += String(chunk)
    })
    request.on('end', () => handler(JSON.parse(text), response, request))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return client(`http://user:pa%3Ass@127.0.0.1:${port}`, change, () => {
    server.closeAllConnections()
    return new Promise<void>((done) => server.close(() => done()))
  })
}

function client(
  url: string,
  change: Partial<BitcoinRpcOptions>,
  close: () => Promise<void> | void,
): BitcoinRpc {
  closers.push(close)
  const rpc = createBitcoinRpc({ url, timeoutMs: 2_000, ...change })
  closers.push(() => rpc.close())
  return rpc
}

const giving =
  (result: unknown): Handler =>
  (body, response) =>
    response.end(JSON.stringify({ result, error: null, id: body.id }))

async function faultOf(result: Promise<BitcoinResult<unknown>>) {
  const settled = await result
  if (settled.ok) throw new Error(`unexpected answer ${String(settled.value)}`)
  return settled.error
}

describe('Bitcoin RPC client', () => {
  it('converts amounts to satoshi exactly, whatever they are', async () => {
    const amounts = fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n })
    let sat = 0n
    const rpc = await against((body, response) => {
      const btc = `${sat / 100_000_000n}.${(sat % 100_000_000n).toString().padStart(8, '0')}`
      response.end(`{"result":{"feerate":${btc},"blocks":2},"error":null,"id":${body.id}}`)
    })
    await fc.assert(
      fc.asyncProperty(amounts, async (given) => {
        sat = given
        const estimate = await rpc.estimateSmartFee(2, 'economical')
        expect(estimate.ok && estimate.value.feeRateSatPerKvb).toBe(given)
      }),
      { numRuns: 200, examples: [[1n], [2_099_999_999_999_999n], [10_000_000_1n]] },
    )
  })

  it('sends credentials, method and parameters as Core wants them, over one kept connection', async () => {
    const sockets = new Set<Socket>()
    const seen: unknown[] = []
    const rpc = await against((body, response, request) => {
      sockets.add(request.socket)
      seen.push([request.headers.authorization, body.method, body.params])
      response.end(JSON.stringify({ result: 'aa'.repeat(32), error: null, id: body.id }))
    })
    for (let calls = 0; calls < 3; calls++) await rpc.getBlockHash(7)
    const basic = `Basic ${Buffer.from('user:pa:ss').toString('base64')}`
    expect(seen).toEqual(Array.from({ length: 3 }, () => [basic, 'getblockhash', [7]]))
    expect(sockets.size).toBe(1)
  })

  it('reads the error of an answer whatever its HTTP status, also of JSON-RPC 2.0', async () => {
    const rpc = await against((body, response) => {
      response.statusCode = body.method === 'getblockcount' ? 500 : 200
      const error = { code: -8, message: 'Block height out of range' }
      response.end(JSON.stringify({ jsonrpc: '2.0', error, id: body.id }))
    })
    const expected = { code: 'BitcoinRpcError', rpcCode: -8, message: 'Block height out of range' }
    expect(await faultOf(rpc.getBlockCount())).toEqual(expected)
    expect(await faultOf(rpc.getBlockHash(1))).toEqual(expected)
  })

  it('names answers that are none: no JSON, another id, another type, wrong hex, absurd amounts', async () => {
    const answers: Record<string, (id: number) => string> = {
      getblockcount: () => '<html>',
      getbestblockhash: (id) =>
        JSON.stringify({ result: 'aa'.repeat(32), error: null, id: id + 1 }),
      getblockhash: (id) => JSON.stringify({ result: 'AA'.repeat(32), error: null, id }),
      getrawmempool: (id) => JSON.stringify({ result: 'no list', error: null, id }),
      getblock: (id) => JSON.stringify({ result: 'abc', error: null, id }),
      estimatesmartfee: (id) => JSON.stringify({ result: { feerate: 1e12, blocks: 2 }, id }),
    }
    const rpc = await against((body, response) => response.end(answers[body.method]?.(body.id)))
    for (const answer of [
      rpc.getBlockCount(),
      rpc.getBestBlockHash(),
      rpc.getBlockHash(1),
      rpc.getRawMempool(),
      rpc.getBlockRaw('00'),
      rpc.estimateSmartFee(2, 'economical'),
    ]) {
      expect((await faultOf(answer)).code).toBe('BitcoinBadAnswer')
    }
  })

  it('cuts off an answer above its bound', async () => {
    const rpc = await against(giving('f'.repeat(100_000)), { maxAnswerBytes: 50_000 })
    expect(await faultOf(rpc.call('anything'))).toEqual({
      code: 'BitcoinBadAnswer',
      message: 'the answer exceeds 50000 bytes',
    })
  })

  it('gives up at its deadline: before the answer and in the middle of it', async () => {
    const rpc = await against(
      (body, response) => {
        if (body.method === 'getblockcount') return
        response.writeHead(200)
        response.write('{"result":')
      },
      { timeoutMs: 100 },
    )
    expect((await faultOf(rpc.getBlockCount())).code).toBe('BitcoinTimeout')
    expect((await faultOf(rpc.getBestBlockHash())).code).toBe('BitcoinTimeout')
  })

  it('says unreachable when nobody listens, the server is full or the connection breaks', async () => {
    const nobody = client('http://u:p@127.0.0.1:1', {}, () => {})
    expect((await faultOf(nobody.getBlockCount())).code).toBe('BitcoinUnreachable')
    const full = await against((_, response) => {
      response.statusCode = 503
      response.end('Work queue depth exceeded')
    })
    expect(await faultOf(full.getBlockCount())).toEqual({
      code: 'BitcoinUnreachable',
      message: 'too busy (HTTP 503): Work queue depth exceeded',
    })
    const broken = await against((_, response) => {
      response.writeHead(200, { 'content-length': 1_000 })
      response.write('{')
      setTimeout(() => response.destroy(), 10)
    })
    expect((await faultOf(broken.getBlockCount())).code).toBe('BitcoinUnreachable')
  })

  it('says refused for wrong credentials', async () => {
    const rpc = await against((_, response) => {
      response.statusCode = 401
      response.end()
    })
    expect(await faultOf(rpc.getBlockCount())).toEqual({
      code: 'BitcoinRpcError',
      message: 'user or password refused (HTTP 401)',
    })
  })

  it('tries again once when the server closed a kept connection, but never a call that must not repeat', async () => {
    const reply = (id: number, result: unknown) => {
      const body = JSON.stringify({ result, error: null, id })
      return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    }
    const methods: string[] = []
    const server = createTcpServer((socket) => {
      let answered = 0
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        const { id, method } = JSON.parse(String(chunk).split('\r\n\r\n')[1] ?? '{}')
        methods.push(method)
        if (answered > 0 || method === 'stop') socket.resetAndDestroy()
        else socket.write(reply(id, 5))
        answered += 1
      })
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    const rpc = client(`http://u:p@127.0.0.1:${port}`, {}, () => void server.close())
    expect(await rpc.getBlockCount()).toEqual({ ok: true, value: 5 })
    expect(await rpc.getBlockCount()).toEqual({ ok: true, value: 5 })
    expect(methods).toHaveLength(3)
    expect((await faultOf(rpc.stop())).code).toBe('BitcoinUnreachable')
    expect(methods).toHaveLength(4)
  })
})
