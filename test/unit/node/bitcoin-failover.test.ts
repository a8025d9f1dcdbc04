/** Design §7: two endpoints with failover; an endpoint that is away is no verdict about a deposit. */
import type { BitcoinPort, BitcoinResult } from '../../../actors/bridge/index.ts'
import { createBitcoinFailover } from '../../../node/adapters/bitcoin/index.ts'

const TIP = { height: 7, hash: new Uint8Array(32) }

/** An endpoint that answers as it is told to, and counts. */
class Endpoint {
  asked = 0
  code: string | undefined
  readonly port = { tip: () => this.#tip() } as unknown as BitcoinPort

  async #tip(): Promise<BitcoinResult<typeof TIP>> {
    this.asked += 1
    await Promise.resolve()
    if (this.code === undefined) return { ok: true, value: TIP }
    return { ok: false, error: { code: this.code, message: 'no' } }
  }
}

function pair() {
  const [first, second] = [new Endpoint(), new Endpoint()]
  const changes: number[] = []
  const bitcoin = createBitcoinFailover({
    endpoints: [first.port, second.port],
    changed: (endpoint) => changes.push(endpoint),
  })
  return { bitcoin, first, second, changes }
}

describe('two endpoints of Bitcoin', () => {
  it('the second is asked when the first does not answer, and from then on', async () => {
    const { bitcoin, changes, first, second } = pair()
    expect(await bitcoin.tip()).toEqual({ ok: true, value: TIP })
    first.code = 'BitcoinUnreachable'
    expect(await bitcoin.tip()).toEqual({ ok: true, value: TIP })
    expect(await bitcoin.tip()).toEqual({ ok: true, value: TIP })
    expect([first.asked, second.asked]).toEqual([2, 2])
    first.code = undefined
    second.code = 'BitcoinTimeout'
    expect(await bitcoin.tip()).toEqual({ ok: true, value: TIP })
    expect(changes).toEqual([1, 0])
  })

  it('with both away the answer is the fault, each is asked once, and they are asked again', async () => {
    const { bitcoin, first, second } = pair()
    first.code = 'BitcoinUnreachable'
    second.code = 'BitcoinTimeout'
    expect(await bitcoin.tip()).toMatchObject({ ok: false, error: { code: 'BitcoinTimeout' } })
    expect([first.asked, second.asked]).toEqual([1, 1])
    first.code = undefined
    expect(await bitcoin.tip()).toEqual({ ok: true, value: TIP })
  })

  it('what Bitcoin refuses is refused: nobody else is asked', async () => {
    const { bitcoin, changes, first, second } = pair()
    first.code = 'BitcoinRpcError'
    expect(await bitcoin.tip()).toMatchObject({ ok: false, error: { code: 'BitcoinRpcError' } })
    expect(second.asked).toBe(0)
    expect(changes).toEqual([])
  })

  it('questions side by side change the endpoint once', async () => {
    const { bitcoin, changes, first } = pair()
    first.code = 'BitcoinUnreachable'
    const answers = await Promise.all([bitcoin.tip(), bitcoin.tip(), bitcoin.tip()])
    expect(answers.every(({ ok }) => ok)).toBe(true)
    expect(changes).toEqual([1])
  })
})
