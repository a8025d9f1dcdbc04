/** OP-5, N13: a member with two Bitcoins of its own. */
import type { DepositSight } from '../../../bridge/index.ts'
import { joinOwnBitcoins } from '../../../governance/own-bitcoin.ts'

const bytes = new Uint8Array(0)
const seen = (confirmations: number, index = 1): DepositSight => {
  return { kind: 'seen', confirmations, txids: [], index, transaction: bytes, coinbase: bytes }
}
const unknown = (code: string): DepositSight => ({ kind: 'unknown', code })
const sightOf = (...sights: readonly DepositSight[]) =>
  joinOwnBitcoins(sights.map((sight) => ({ sight: async () => sight }))).sight(bytes, bytes)

describe('OP-5: what a member sees of a deposit by two endpoints', () => {
  it('is what the shorter chain has of confirmations', async () => {
    expect(await sightOf(seen(7), seen(6))).toEqual(seen(6))
  })

  it.each(['BitcoinUnreachable', 'BitcoinTimeout', 'BitcoinBlockUnknown'])(
    'is what the other shows, where one says %s',
    async (code) => {
      expect(await sightOf(unknown(code), seen(6))).toEqual(seen(6))
      expect(await sightOf(seen(6), unknown(code))).toEqual(seen(6))
    },
  )

  it('is unknown, if the block is on the best chain of one and not of the other', async () => {
    const disagrees = unknown('BitcoinDisagrees')
    expect(await sightOf(seen(6), unknown('BitcoinBlockNotOnBestChain'))).toEqual(disagrees)
  })

  it('is unknown, if the transaction is in the block of one and not of the other', async () => {
    expect(await sightOf(seen(6), seen(6, -1))).toEqual(unknown('BitcoinDisagrees'))
  })

  it('is unknown with the reason of the one that says most', async () => {
    const offChain = unknown('BitcoinBlockNotOnBestChain')
    expect(await sightOf(unknown('BitcoinTimeout'), offChain)).toEqual(offChain)
    expect(await sightOf(unknown('BitcoinTimeout'))).toEqual(unknown('BitcoinTimeout'))
  })
})
