/** OP-5: what a doctor says of several endpoints. */
import { compareBitcoins } from '../../../../node/adapters/bitcoin-rpc/index.ts'

interface Shown {
  readonly blocks?: number
  readonly branch?: string
}

function compared(...shown: readonly Shown[]) {
  const closed: number[] = []
  const clients = shown.map(({ blocks, branch = '' }, at) => ({
    getBlockchainInfo: async () =>
      blocks === undefined
        ? ({ ok: false, error: { code: 'BitcoinUnreachable', message: 'refused' } } as const)
        : ({ ok: true, value: { blocks } } as const),
    getBlockHash: async (height: number) => ({ ok: true, value: `${height}${branch}` }) as const,
    close: () => void closed.push(at),
  }))
  const urls = shown.map((_, at) => `http://user:secret@127.0.0.1:${8332 + at}`)
  const clientOf = (url: string) => clients[urls.indexOf(url)] as (typeof clients)[number]
  return compareBitcoins(urls, clientOf).then((found) => ({ found, closed }))
}

describe('OP-5: endpoints side by side', () => {
  it('are well when they share the block at the lower of their tips', async () => {
    const { closed, found } = await compared({ blocks: 9 }, { blocks: 7 })
    const detail = '127.0.0.1:8332 is at block 9, 127.0.0.1:8333 is at block 7'
    expect(found).toEqual({ ok: true, detail })
    expect(closed).toEqual([0, 1])
  })

  it('are not when one does not answer, which is named without its password', async () => {
    const { found } = await compared({ blocks: 9 }, {})
    expect(found).toEqual({ ok: false, code: 'Silent', detail: '127.0.0.1:8333: refused' })
  })

  it('are not when they show two chains', async () => {
    const { found } = await compared({ blocks: 9 }, { blocks: 9, branch: "'" })
    expect(found).toMatchObject({ ok: false, code: 'Differ' })
  })
})
