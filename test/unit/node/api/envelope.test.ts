import { ADMIN_TOKEN, type Answer, startApi, type UnderTest } from './api-under-test.ts'

const json = async (response: Response) => (await response.json()) as Answer

describe('JSON-RPC envelope', () => {
  let api: UnderTest
  beforeEach(async () => {
    api = await startApi({ batchItems: 10, bodyBytes: 10_000, responseBytes: 4_000 })
  })
  afterEach(() => api.close())

  it('OP-1: a 2.0 request is answered with its id and either result or error', async () => {
    const good = await json(await api.post({ jsonrpc: '2.0', id: 'a', method: 'eth_chainId' }))
    expect(good).toEqual({ jsonrpc: '2.0', id: 'a', result: '0x33c99' })
    const bad = await json(await api.post({ jsonrpc: '2.0', id: 7, method: 'eth_nothing' }))
    expect(bad).toEqual({ jsonrpc: '2.0', id: 7, error: expect.objectContaining({ code: -32601 }) })
  })

  it('OP-1: a 1.0 request is answered with both result and error', async () => {
    const good = await json(await api.post({ id: 1, method: 'net_version', params: [] }))
    expect(good).toEqual({ result: '212121', error: null, id: 1 })
    const bad = await json(await api.post({ id: 2, method: 'getblockbyheight', params: [99] }))
    expect(bad).toEqual({
      result: null,
      error: { code: -32604, message: 'block not found' },
      id: 2,
    })
  })

  it('OP-1: a batch is answered in its order, without its notifications', async () => {
    const response = await api.post([
      { jsonrpc: '2.0', id: 1, method: 'eth_chainId' },
      { jsonrpc: '2.0', method: 'eth_chainId' },
      { jsonrpc: '2.0', id: 2, method: 'eth_blockNumber' },
      17,
    ])
    expect(await response.json()).toEqual([
      { jsonrpc: '2.0', id: 1, result: '0x33c99' },
      { jsonrpc: '2.0', id: 2, result: '0x3' },
      { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'invalid request' } },
    ])
  })

  it('a notification alone has no answer', async () => {
    const response = await api.post({ jsonrpc: '2.0', method: 'eth_chainId' })
    expect(response.status).toBe(204)
    expect(await response.text()).toBe('')
  })

  it.each([
    ['{', -32700],
    ['', -32700],
    ['[]', -32600],
    ['17', -32600],
    ['{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600],
    ['{"jsonrpc":"3.0","id":1,"method":"eth_chainId"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":7}', -32600],
  ])('%s is refused with its code and status 400', async (body, code) => {
    const response = await api.post(body)
    expect(response.status).toBe(400)
    expect((await json(response)).error?.code).toBe(code)
  })

  it.each([
    '__proto__',
    'constructor',
    'toString',
    'createauxblock',
    'submitauxblock',
    'getauxblock',
  ])('OP-1: %s is no method', async (name) => {
    expect((await api.rpc(name)).error?.code).toBe(-32601)
  })

  it('parameters by name are refused', async () => {
    expect((await api.rpc('eth_getBalance', { address: '0x' })).error?.code).toBe(-32602)
  })

  it('what a batch submits waits together, in its order', async () => {
    const wide = await startApi({ batchItems: 40, batchConcurrency: 2 })
    const seen: number[] = []
    const waiting: (() => void)[] = []
    wide.node.onSubmit = async (raw) => {
      seen.push(raw[0] as number)
      await new Promise<void>((resolve) => waiting.push(resolve))
      return { ok: true, hash: new Uint8Array(32).fill(raw[0] as number) }
    }
    const items = Array.from({ length: 40 }, (_, id) => {
      const raw = `0x${id.toString(16).padStart(2, '0')}`
      return { jsonrpc: '2.0', id, method: 'eth_sendRawTransaction', params: [raw] }
    })
    const answered = wide.post(items)
    while (waiting.length < items.length) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(seen).toEqual(items.map(({ id }) => id))
    for (const go of waiting.reverse()) go()
    const answers = (await (await answered).json()) as { readonly id: number }[]
    expect(answers.map(({ id }) => id)).toEqual(seen)
    await wide.close()
  })

  it('OP-2: a batch above the limit is refused as a whole', async () => {
    const item = { jsonrpc: '2.0', id: 1, method: 'eth_chainId' }
    const response = await api.post(Array(11).fill(item))
    expect((await json(response)).error).toMatchObject({ code: -32005 })
  })

  it('OP-2: a body above the limit is refused unread', async () => {
    const response = await api.post(`{"a":"${'x'.repeat(10_000)}"}`)
    expect(response.status).toBe(413)
    expect((await json(response)).error?.code).toBe(-32005)
  })

  it('OP-2: a response never grows above its limit', async () => {
    const item = { jsonrpc: '2.0', id: 1, method: 'getheadblock' }
    const alone = await (await api.post(item)).text()
    expect(alone.length).toBeLessThan(4_000)
    const answers = (await (await api.post(Array(8).fill(item))).json()) as Answer[]
    expect(answers).toHaveLength(8)
    expect(answers.filter(({ error }) => error?.code === -32005).length).toBeGreaterThan(4)
    expect(answers[0]?.result).toBeDefined()
  })

  it('OP-2: calls of one method above its rate wait, others do not', async () => {
    const slow = await startApi({
      rates: {
        light: { perSecond: 10, burst: 3 },
        state: { perSecond: 10, burst: 3 },
        heavy: { perSecond: 10, burst: 3 },
        send: { perSecond: 10, burst: 3 },
        rare: { perSecond: 10, burst: 3 },
        claim: { perSecond: 0.1, burst: 5 },
        admin: { perSecond: 10, burst: 3 },
      },
    })
    for (let call = 0; call < 3; call++) await slow.result('eth_chainId')
    const limited = await slow.post({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' })
    expect(limited.status).toBe(429)
    expect(limited.headers.get('retry-after')).toBe('1')
    expect((await json(limited)).error?.code).toBe(-32005)
    expect(await slow.result('eth_blockNumber')).toBe('0x3')
    slow.clock.advance(100)
    expect(await slow.result('eth_chainId')).toBe('0x33c99')
    await slow.close()
  })

  it('OP-2: a slow call does not hold up another', async () => {
    const gate = Promise.withResolvers<void>()
    api.node.onCall = async () => {
      await gate.promise
      return { ok: true, returnValue: new Uint8Array(), gasUsed: 0n }
    }
    const slow = api.result('eth_call', { to: `0x${'11'.repeat(20)}` })
    expect(await api.result('eth_blockNumber')).toBe('0x3')
    gate.resolve()
    expect(await slow).toBe('0x')
  })

  it('what is unknown becomes -32603 with an incident id and no internals', async () => {
    api.node.onCall = async () => {
      throw new Error('secret path /var/lib')
    }
    const answer = await api.rpc('eth_call', [{}])
    expect(answer.error).toEqual({
      code: -32603,
      message: 'internal error',
      data: { incident: expect.any(String) },
    })
    expect(JSON.stringify(answer)).not.toContain('secret')
    const { incident } = (answer.error as { data: { incident: string } }).data
    expect(api.log).toContainEqual(
      expect.objectContaining({ level: 'error', fields: expect.objectContaining({ incident }) }),
    )
  })

  describe('admin methods', () => {
    const call = { jsonrpc: '2.0', id: 1, method: 'admin_setLogLevel', params: ['debug', 'chain'] }
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

    it.each([undefined, 'Bearer wrong', 'Bearer', basic('user:wrong'), 'Basic %%%'])(
      'OP-2: refuse %s',
      async (authorization) => {
        const response = await api.post(call, authorization === undefined ? {} : { authorization })
        expect(response.status).toBe(401)
        expect(api.node.logLevels).toEqual([])
      },
    )

    it.each([`Bearer ${ADMIN_TOKEN}`, basic(`user:${ADMIN_TOKEN}`)])(
      'OP-1, OP-2: take the token as %s',
      async (authorization) => {
        expect((await json(await api.post(call, { authorization }))).result).toBe(true)
        expect(api.node.logLevels).toEqual(['chain=debug'])
      },
    )
  })
})
