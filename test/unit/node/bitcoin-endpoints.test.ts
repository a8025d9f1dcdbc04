/** OP-5, N11…N13: several endpoints of Bitcoin, with failover; what they show differently is not known, which is no verdict. */
import type { BitcoinPort, BitcoinResult } from '../../../actors/bridge/index.ts'
import { headerHash, type WholeBlock } from '../../../core/bitcoin/index.ts'
import { sha256, toHex } from '../../../crypto/index.ts'
import { joinBitcoinEndpoints } from '../../../node/adapters/bitcoin/index.ts'
import { BitcoinWorld, wholeBlock } from '../core/peg/world.ts'

const hashOf = (name: string) => sha256(new TextEncoder().encode(name))
const BLOCK = wholeBlock(new BitcoinWorld().mine([]))
const BLOCK_HASH = headerHash(BLOCK.raw.subarray(0, 80))

/** Names of blocks from height 0 on. */
const branch = (length: number, name = '', from = length) =>
  Array.from({ length }, (_, height) => `${height}${height < from ? '' : name}`)

/** A header that names the block before it. */
function headerOn(before = ''): Uint8Array {
  const header = new Uint8Array(80)
  header.set(hashOf(before), 4)
  return header
}

/** An endpoint that shows a chain, or answers as it is told to, and counts. */
class Endpoint {
  asked = 0
  code: string | undefined
  chain = branch(8)
  whole: WholeBlock | undefined = BLOCK
  rate: number | undefined
  waiting: readonly string[] = []
  refusal: string | undefined
  readonly sent: Uint8Array[] = []
  readonly port: BitcoinPort = {
    tip: () => this.#answer(() => this.#at(this.chain.length - 1)),
    hashAt: (height) => this.#answer(() => this.#at(height)?.hash),
    header: (hash) =>
      this.#answer(() => {
        const height = this.chain.findIndex((name) => toHex(hashOf(name)) === toHex(hash))
        return height < 0 ? undefined : { header: headerOn(this.chain[height - 1]), isBest: true }
      }),
    block: () => this.#answer(() => this.whole),
    mempool: {
      txids: () => this.#answer(() => this.waiting),
      transaction: () => this.#answer(() => undefined),
    },
    inMempool: () => this.#answer(() => false),
    send: (raw) =>
      this.#answer(() => {
        this.sent.push(raw)
        return this.refusal
      }),
    feeRate: () => this.#answer(() => this.rate),
  }

  #at(height: number) {
    const name = this.chain[height]
    return name === undefined ? (undefined as never) : { height, hash: hashOf(name) }
  }

  async #answer<T>(value: () => T): Promise<BitcoinResult<T>> {
    this.asked += 1
    await Promise.resolve()
    if (this.code === undefined) return { ok: true, value: value() }
    return { ok: false, error: { code: this.code, message: 'no' } }
  }
}

function joined(count = 2) {
  const endpoints = Array.from({ length: count }, () => new Endpoint())
  const [first, second] = endpoints as [Endpoint, Endpoint]
  const changes: string[] = []
  const clock = { ms: 0 }
  const bitcoin = joinBitcoinEndpoints({
    endpoints: endpoints.map(({ port }) => port),
    nowMs: () => clock.ms,
    changed: (endpoint, state) => changes.push(`${endpoint} ${state}`),
  })
  return { bitcoin, endpoints, first, second, changes, clock }
}

const tip = (height: number, name = `${height}`) => ({
  ok: true,
  value: { height, hash: hashOf(name) },
})

describe('OP-5: two endpoints of Bitcoin, one of which is away', () => {
  it('the other answers; the one that fell silent rests, and is asked again', async () => {
    const { bitcoin, changes, clock, first } = joined()
    expect(await bitcoin.tip()).toEqual(tip(7))
    first.code = 'BitcoinUnreachable'
    expect(await bitcoin.tip()).toEqual(tip(7))
    const asked = first.asked
    expect(await bitcoin.tip()).toEqual(tip(7))
    expect(first.asked).toBe(asked)
    first.code = undefined
    clock.ms += 15_000
    expect(await bitcoin.tip()).toEqual(tip(7))
    expect(changes).toEqual(['0 silent', '0 agrees'])
  })

  it('with both away the answer is a fault, and both are asked again at once', async () => {
    const { bitcoin, first, second } = joined()
    first.code = 'BitcoinUnreachable'
    second.code = 'BitcoinTimeout'
    expect(await bitcoin.tip()).toMatchObject({ ok: false, error: { code: 'BitcoinUnreachable' } })
    expect(await bitcoin.hashAt(1)).toMatchObject({ ok: false })
    second.code = undefined
    expect(await bitcoin.tip()).toEqual(tip(7))
  })

  it('when all rest but one and that one falls silent, those that rest are asked', async () => {
    const { bitcoin, first, second } = joined()
    first.code = 'BitcoinUnreachable'
    await bitcoin.tip()
    first.code = undefined
    second.code = 'BitcoinTimeout'
    expect(await bitcoin.tip()).toEqual(tip(7))
  })

  it('questions side by side change the endpoint once', async () => {
    const { bitcoin, changes, first } = joined()
    first.code = 'BitcoinUnreachable'
    const answers = await Promise.all([bitcoin.hashAt(1), bitcoin.hashAt(2), bitcoin.hashAt(3)])
    expect(answers.every(({ ok }) => ok)).toBe(true)
    expect(changes).toEqual(['0 silent'])
  })

  it('what Bitcoin refuses is refused: nobody else is asked', async () => {
    const { bitcoin, changes, first, second } = joined()
    first.code = 'BitcoinRpcError'
    expect(await bitcoin.inMempool(BLOCK_HASH)).toMatchObject({
      ok: false,
      error: { code: 'BitcoinRpcError' },
    })
    expect(second.asked).toBe(0)
    expect(changes).toEqual([])
  })

  it('N11: a block that one has pruned comes from the other', async () => {
    const { bitcoin, first, second } = joined()
    first.whole = undefined
    expect(await bitcoin.block(BLOCK_HASH)).toEqual({ ok: true, value: BLOCK })
    second.whole = undefined
    expect(await bitcoin.block(BLOCK_HASH)).toEqual({ ok: true, value: undefined })
  })

  it('PI-12: a block that one does not tell whole comes from the other', async () => {
    const { bitcoin, changes, first, second } = joined()
    first.code = 'BitcoinBadAnswer'
    expect(await bitcoin.block(BLOCK_HASH)).toEqual({ ok: true, value: BLOCK })
    expect(changes).toEqual(['0 silent'])
    second.code = first.code
    const bad = { ok: false, error: { code: 'BitcoinBadAnswer' } }
    expect(await bitcoin.block(BLOCK_HASH)).toMatchObject(bad)
  })
})

describe('OP-5, N12, N13: two endpoints of Bitcoin that show different things', () => {
  it('one that is only behind agrees; the longer chain is read', async () => {
    const { bitcoin, changes, first } = joined()
    first.chain = branch(3)
    expect(await bitcoin.tip()).toEqual(tip(7))
    expect(await bitcoin.hashAt(7)).toEqual({ ok: true, value: hashOf('7') })
    expect(await bitcoin.header(hashOf('7'))).toMatchObject({ ok: true, value: { isBest: true } })
    expect(changes).toEqual([])
  })

  it('PI-12: one that lies of a block below the tip is contradicted by the other, and no block is passed over for it', async () => {
    const { bitcoin, endpoints } = joined(3)
    const [first, second, third] = endpoints as [Endpoint, Endpoint, Endpoint]
    // It is the longest, so that it would be asked first; at its tip and that of the others it is one with them.
    first.chain = branch(9).map((name, height) => (height === 5 ? 'a lie' : name))
    expect(await bitcoin.tip()).toEqual(tip(8, '8'))
    const disagrees = { ok: false, error: { code: 'BitcoinDisagrees' } }
    expect(await bitcoin.hashAt(5)).toMatchObject(disagrees)
    expect(await bitcoin.hashAt(6)).toEqual({ ok: true, value: hashOf('6') })
    expect(await bitcoin.hashAt(8)).toEqual({ ok: true, value: hashOf('8') })
    expect(await bitcoin.hashAt(9)).toEqual({ ok: true, value: undefined })
    second.code = 'BitcoinTimeout'
    third.code = 'BitcoinTimeout'
    expect(await bitcoin.hashAt(5)).toEqual({ ok: true, value: hashOf('a lie') })
  })

  it('on two branches the tip is the last block of both, whoever is longer, until they are one', async () => {
    const { bitcoin, changes, first, second } = joined()
    second.chain = branch(10, ' of a branch', 5)
    expect(await bitcoin.tip()).toEqual(tip(4))
    expect(changes).toEqual(['0 differs'])
    first.chain = second.chain
    expect(await bitcoin.tip()).toEqual(tip(9, '9 of a branch'))
    expect(changes).toEqual(['0 differs', '0 agrees'])
  })

  it('of three the last block of all', async () => {
    const { bitcoin, endpoints } = joined(3)
    const [, second, third] = endpoints as [Endpoint, Endpoint, Endpoint]
    second.chain = branch(9, ' of a branch', 5)
    third.chain = branch(9, ' of another', 3)
    expect(await bitcoin.tip()).toEqual(tip(2))
  })

  it('whether a block of a branch is on the best chain is unknown, by a name of its own', async () => {
    const { bitcoin, second } = joined()
    second.chain = branch(8, ' of a branch', 5)
    await bitcoin.tip()
    const unknown = { ok: false, error: { code: 'BitcoinDisagrees' } }
    expect(await bitcoin.header(hashOf('6'))).toMatchObject(unknown)
    expect(await bitcoin.header(hashOf('6 of a branch'))).toMatchObject(unknown)
    expect(await bitcoin.header(hashOf('4'))).toMatchObject({ ok: true, value: { isBest: true } })
  })

  it("N13: a block beside the other's chain is not above its tip because a liar has that tip too", async () => {
    const { bitcoin, first, second } = joined()
    // The liar calls a block best that follows block 4, and shows the other's chain wherever heights are asked for.
    const stale = [hashOf('6 of a branch'), hashOf('5 of a branch')] as const
    const { header } = first.port
    const befores = new Map([
      [toHex(stale[0]), '5 of a branch'],
      [toHex(stale[1]), '4'],
    ])
    first.port.header = async (hash) => {
      const before = befores.get(toHex(hash))
      return before === undefined
        ? header(hash)
        : { ok: true, value: { header: headerOn(before), isBest: true } }
    }
    for (const hash of stale) {
      expect(await bitcoin.header(hash)).toMatchObject({
        ok: false,
        error: { code: 'BitcoinDisagrees' },
      })
    }
    // Above the tip of one that is behind it is as the other says.
    second.chain = branch(5)
    expect(await bitcoin.header(stale[0])).toMatchObject({ ok: true, value: { isBest: true } })
  })

  it('one that is far behind is behind all the same', async () => {
    const { bitcoin, first, second } = joined()
    first.chain = branch(500)
    second.chain = branch(3)
    const isBest = { ok: true, value: { isBest: true } }
    expect(await bitcoin.header(hashOf('499'))).toMatchObject(isBest)
    expect(first.asked + second.asked).toBeLessThan(150)
  })

  it('one whose tip moves while it is compared is behind all the same', async () => {
    const { bitcoin, second } = joined()
    second.chain = branch(5)
    second.port.tip = async () => tip(3) as BitcoinResult<{ height: number; hash: Uint8Array }>
    expect(await bitcoin.header(hashOf('7'))).toMatchObject({ ok: true, value: { isBest: true } })
  })

  it('an idle look asks each endpoint one question, while they differ as well', async () => {
    const { bitcoin, first, second } = joined()
    second.chain = branch(9, ' of a branch', 2)
    await bitcoin.tip()
    const asked = first.asked + second.asked
    await bitcoin.tip()
    expect(first.asked + second.asked - asked).toBe(2)
  })

  it.each([1, 2, 3, 4, 5, 64, 100, 143, 144])(
    'a fork of %i blocks is found with a bounded number of questions',
    async (depth) => {
      const { bitcoin, first, second } = joined()
      first.chain = branch(300)
      second.chain = branch(302, ' of a branch', 300 - depth)
      expect(await bitcoin.tip()).toEqual(tip(299 - depth))
      expect(first.asked).toBeLessThanOrEqual(1 + 16)
      expect(second.asked).toBeLessThanOrEqual(1 + 16)
    },
  )

  it.each([
    ['falls silent', async () => ({ ok: false, error: { code: 'BitcoinTimeout', message: '' } })],
    ['knows no such height', async () => ({ ok: true, value: undefined })],
  ])('one that lies and %s when its tip is compared is not believed', async (_, hashAt) => {
    const { bitcoin, changes, clock, first } = joined()
    first.chain = branch(10, ' of a lie', 5)
    Object.assign(first.port, { hashAt })
    expect(await bitcoin.tip()).toEqual(tip(7))
    expect(changes).toEqual(['0 silent'])
    // What it alone calls the best chain is no verdict, neither while it rests nor when it is asked again.
    expect(await bitcoin.header(hashOf('6 of a lie'))).toEqual({ ok: true, value: undefined })
    clock.ms += 15_000
    const disagrees = { ok: false, error: { code: 'BitcoinDisagrees' } }
    expect(await bitcoin.header(hashOf('6 of a lie'))).toMatchObject(disagrees)
  })

  it('a tip that is left alone stands as that of one endpoint', async () => {
    const { bitcoin, first, second } = joined()
    second.chain = branch(10)
    for (const { port } of [first, second]) {
      Object.assign(port, { hashAt: async () => ({ ok: true, value: undefined }) })
    }
    first.chain = branch(8, ' of a branch', 5)
    // That of the shorter is known without a question; the longer is left out.
    expect(await bitcoin.tip()).toEqual(tip(7, '7 of a branch'))
  })

  it('one whose hashes come too slowly has told none', async () => {
    const { bitcoin, changes, clock, first } = joined()
    first.chain = branch(10, ' of a branch', 1)
    const { hashAt } = first.port
    Object.assign(first.port, {
      hashAt: (height: number) => {
        clock.ms += 5_001
        return hashAt(height)
      },
    })
    expect(await bitcoin.tip()).toEqual(tip(7))
    expect(changes).toEqual(['0 silent'])
    expect(first.asked).toBe(3)
  })

  it('chains that share none of 144 blocks are a fault', async () => {
    const { bitcoin, first, second } = joined()
    first.chain = branch(300)
    second.chain = branch(300, ' of elsewhere', 0)
    expect(await bitcoin.tip()).toMatchObject({ ok: false, error: { code: 'BitcoinDisagrees' } })
  })
})

describe('PO-8, PO-14: what is sent goes to all endpoints, and all estimate', () => {
  it('one that takes a transaction is enough', async () => {
    const { bitcoin, first, second } = joined()
    first.refusal = 'mempool min fee not met'
    expect(await bitcoin.send(hashOf('raw'))).toEqual({ ok: true, value: undefined })
    expect([first.sent.length, second.sent.length]).toEqual([1, 1])
    second.refusal = 'bad-txns'
    expect(await bitcoin.send(hashOf('raw'))).toEqual({
      ok: true,
      value: 'mempool min fee not met',
    })
  })

  it.each([
    [[undefined, undefined, undefined], undefined],
    [[3_000, undefined, undefined], 3_000],
    [[3_001, 1_000, undefined], 2_000],
    [[900_000, 2_000, 1_000], 2_000],
  ])('of %j the rate is %j', async (rates, rate) => {
    const { bitcoin, endpoints } = joined(3)
    for (const [at, endpoint] of endpoints.entries()) endpoint.rate = rates[at]
    expect(await bitcoin.feeRate()).toEqual({ ok: true, value: rate })
  })
})

describe('PI-3: the mempool of two endpoints', () => {
  it('is what both show; one that does not answer takes nothing away', async () => {
    const { bitcoin, first, second } = joined()
    first.waiting = ['a', 'b', 'c']
    second.waiting = ['c', 'b', 'x']
    expect(await bitcoin.mempool?.txids(9)).toEqual({ ok: true, value: ['b', 'c'] })
    second.code = 'BitcoinTimeout'
    expect(await bitcoin.mempool?.txids(9)).toEqual({ ok: true, value: ['a', 'b', 'c'] })
    first.code = 'BitcoinTimeout'
    expect(await bitcoin.mempool?.txids(9)).toMatchObject({ error: { code: 'BitcoinTimeout' } })
  })

  it('OP-5: an endpoint whose mempool cannot be had is not silent', async () => {
    const { bitcoin, changes, first, second } = joined()
    first.waiting = ['a']
    first.code = 'BitcoinBadAnswer'
    second.code = 'BitcoinTimeout'
    expect(await bitcoin.mempool?.txids(9)).toMatchObject({ error: { code: 'BitcoinBadAnswer' } })
    expect(await bitcoin.mempool?.transaction('a')).toMatchObject({ ok: false })
    expect(changes).toEqual([])
    first.code = undefined
    expect(await bitcoin.mempool?.transaction('a')).toEqual({ ok: true, value: undefined })
    expect(changes).toEqual([])
  })
})
