import { toHex } from '../../../../crypto/index.ts'
import type { ApiPorts } from '../../../../node/api/index.ts'
import type { HistoryPage } from '../../../../node/api/port.ts'
import { startApi, type UnderTest } from './api-under-test.ts'
import { SENDER } from './fake-node.ts'

describe('millrace_addressHistory', () => {
  let api: UnderTest
  const asked: (string | number | undefined)[][] = []
  const ME = `0x${toHex(SENDER)}`
  const CURSOR = new Uint8Array(13).fill(5)
  const HASH = new Uint8Array(32).fill(9)

  const answers = (page: HistoryPage) => {
    const addressHistory: ApiPorts['addressHistory'] = (address, limit, cursor) => {
      asked.push([toHex(address), limit, cursor && toHex(cursor)])
      return page
    }
    Object.assign(api.node.ports, { addressHistory })
  }
  beforeEach(async () => {
    asked.length = 0
    api = await startApi()
  })
  afterEach(() => api.close())

  it('tells a page, and where the next one begins', async () => {
    answers({
      entries: [
        { kind: 'credited', height: 8, amountGwei: 7n },
        { kind: 'tokenSent', height: 7, transaction: { index: 2, hash: HASH }, logIndex: 4 },
      ],
      cursor: CURSOR,
      from: 1,
      to: 9,
    })
    const cursor = toHex(CURSOR)
    expect(await api.result('millrace_addressHistory', ME, { limit: 2, cursor })).toEqual({
      entries: [
        { kind: 'credited', blockNumber: 8, amountWei: '7000000000' },
        {
          kind: 'tokenSent',
          blockNumber: 7,
          transactionHash: `0x${toHex(HASH)}`,
          transactionIndex: 2,
          logIndex: 4,
        },
      ],
      cursor,
      fromBlock: 1,
      toBlock: 9,
    })
    expect(asked).toEqual([[toHex(SENDER), 2, cursor]])
  })

  it('the last page has no cursor; without options a page is small', async () => {
    answers({ entries: [], from: 1, to: 0 })
    const last = await api.result('millrace_addressHistory', ME)
    expect(last).toEqual({ entries: [], cursor: null, fromBlock: 1, toBlock: 0 })
    expect(asked).toEqual([[toHex(SENDER), 25, undefined]])
  })

  it('OP-2: a page is bounded, a cursor is one of ours', async () => {
    answers({ entries: [], from: 1, to: 0 })
    const code = async (page: object) =>
      (await api.rpc('millrace_addressHistory', [ME, page])).error?.code
    expect(await code({ limit: 101 })).toBe(-32005)
    expect(await code({ limit: 0 })).toBe(-32602)
    expect(await code({ cursor: '00' })).toBe(-32602)
    expect(await code({ page: 1 })).toBe(-32602)
    expect(asked).toEqual([])
  })

  it('a node without the index says so', async () => {
    const answer = async () => (await api.rpc('millrace_addressHistory', [ME])).error?.message
    expect(await answer()).toContain('index.addresses')
  })
})
