/** OP-2: no client's request takes the thread or the memory from consensus. */
import { connect } from 'node:net'
import { Budget, Turns } from '../../../../node/api/turns.ts'
import { startApi } from './api-under-test.ts'

const later = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('turns', () => {
  it('so many at once, so many in the line, and the rest is told so', async () => {
    const turns = new Turns(2, 3)
    let now = 0
    let most = 0
    const work = async () => {
      now += 1
      most = Math.max(most, now)
      await later()
      now -= 1
      return 'done'
    }
    const answers = await Promise.all(Array.from({ length: 7 }, () => turns.take(work)))
    expect(most).toBe(2)
    expect(answers.filter((answer) => answer === 'done')).toHaveLength(5)
    expect(await turns.take(work)).toBe('done')
  })

  it('a turn that failed is given on', async () => {
    const turns = new Turns(1, 1)
    const failing = turns.take(() => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    expect(await turns.take(async () => 1)).toBe(1)
  })

  it('a budget is never overdrawn', () => {
    const budget = new Budget(10)
    expect([budget.take(6), budget.take(6), budget.take(4), budget.take(1)]).toEqual([
      true,
      false,
      true,
      false,
    ])
    budget.give(6)
    expect(budget.take(6)).toBe(true)
  })
})

describe('a log query over many blocks', () => {
  it('gives the thread away between slices, and finds the same', async () => {
    const api = await startApi({ logSliceMs: 0 })
    try {
      let turns = 0
      const beat = setImmediate(function again() {
        turns += 1
        if (turns < 1_000) setImmediate(again)
      })
      const sliced = await api.result('eth_getLogs', { fromBlock: 'earliest' })
      clearImmediate(beat)
      const { ports } = api.node
      expect(turns).toBeGreaterThanOrEqual(ports.evm.headHeight())
      const whole = await startApi()
      expect(await whole.result('eth_getLogs', { fromBlock: 'earliest' })).toEqual(sliced)
      expect(sliced).not.toEqual([])
      await whole.close()
    } finally {
      await api.close()
    }
  })
})

describe('closing (SU-12)', () => {
  it('does not wait for a client that never ends its request', async () => {
    const api = await startApi({ closeMs: 50 })
    const { port, hostname } = new URL(api.url)
    const slow = connect(Number(port), hostname)
    slow.on('error', () => slow.destroy())
    slow.write('POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\n\r\n1')
    await new Promise((resolve) => setTimeout(resolve, 50))
    let closed = false
    const closing = api.api.close().then(() => {
      closed = true
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(closed).toBe(false)
    await api.clock.advance(50)
    await closing
    slow.destroy()
  })
})

describe('the bodies of all requests', () => {
  it('are bounded together; what is over is told to come back, and room comes back', async () => {
    const api = await startApi({ allBodyBytes: 10_000 })
    const { port, hostname } = new URL(api.url)
    const slow = connect(Number(port), hostname)
    try {
      slow.write('POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n')
      slow.write(`content-length: 9500\r\n\r\n${' '.repeat(9_000)}`)
      const call = {
        jsonrpc: '2.0',
        id: 1,
        method: 'eth_chainId',
        params: [],
        pad: 'x'.repeat(2_000),
      }
      let refused = await api.post(call)
      while (refused.status !== 503) refused = await api.post(call)
      expect(refused.headers.get('retry-after')).toBe('1')
      slow.destroy()
      let status = 503
      while (status === 503) ({ status } = await api.post({ ...call, pad: 'x'.repeat(5_000) }))
      expect(status).toBe(200)
    } finally {
      slow.destroy()
      await api.close()
    }
  })
})
