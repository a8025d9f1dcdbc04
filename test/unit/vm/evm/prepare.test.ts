/** Blocks that are begun before their slot: the same blocks, earlier. */
import type { Engine, PrepareRequest } from '../../../../vm/evm/engine.ts'
import type { RawTransaction } from '../../../../vm/evm/executor.ts'
import { attributes, keyOf, mint, openEngine, signed } from './fixtures.ts'

const alice = keyOf('alice')
const bob = keyOf('bob')
const FAR_MS = 8_640_000_000_000_000

const transfer = (key: typeof alice, nonce: number, value = 1n): RawTransaction => ({
  raw: signed(key, { nonce, to: bob.address, value }),
  sender: key.address,
})

/** An engine in which alice and bob have coins, and the hash of its head. */
async function funded(): Promise<{ engine: Engine; parentHash: Uint8Array }> {
  const { engine, head } = await openEngine()
  const withdrawals = [mint(alice.address, 10n ** 11n), mint(bob.address, 10n ** 11n, 1)]
  const parentHash = await commit(engine, head.hash, 1, [], withdrawals)
  return { engine, parentHash }
}

async function commit(
  engine: Engine,
  parentHash: Uint8Array,
  height: number,
  transactions: readonly RawTransaction[],
  withdrawals: ReturnType<typeof mint>[] = [],
): Promise<Uint8Array> {
  const { payload } = await build(engine, parentHash, height, transactions, withdrawals)
  await engine.commit(payload.blockHash)
  return payload.blockHash
}

async function build(
  engine: Engine,
  parentHash: Uint8Array,
  height: number,
  transactions: readonly RawTransaction[],
  withdrawals: ReturnType<typeof mint>[] = [],
) {
  const asked = { ...attributes(parentHash, height), withdrawals, transactions, deadlineMs: FAR_MS }
  const built = await engine.build(asked)
  if (built.status !== 'BUILT') throw new Error(built.reason)
  return built
}

function ahead(
  parentHash: Uint8Array,
  height: number,
  transactions: readonly RawTransaction[],
  untilMs = FAR_MS,
): PrepareRequest {
  const { deadlineMs: _, withdrawals: __, ...seen } = attributes(parentHash, height)
  return { ...seen, transactions, untilMs }
}

describe('a block that is begun before its slot', () => {
  it('is the block that would have been built at once, with withdrawals that came later', async () => {
    const [one, other] = [await funded(), await funded()]
    const offered = [transfer(alice, 0), transfer(bob, 0), transfer(alice, 1)]
    const withdrawals = [mint(alice.address, 5n, 2)]
    await one.engine.prepare(ahead(one.parentHash, 2, offered))
    const prepared = await build(one.engine, one.parentHash, 2, offered, withdrawals)
    const atOnce = await build(other.engine, other.parentHash, 2, offered, withdrawals)
    expect(prepared.payload).toEqual(atOnce.payload)
    expect(prepared.dropped).toEqual([])
    const { payload } = prepared
    expect(await other.engine.execute({ payload: { ...payload } })).toMatchObject({
      status: 'VALID',
    })
  })

  it('goes on with what came meanwhile, and tells its senders by position', async () => {
    const { engine, parentHash } = await funded()
    await engine.prepare(ahead(parentHash, 2, [transfer(alice, 0)]))
    const [first, late] = [transfer(alice, 0), transfer(bob, 0)]
    const { payload, prepared, senders } = await build(engine, parentHash, 2, [late, first])
    expect(prepared).toBe(1)
    expect(payload.transactions).toEqual([first.raw, late.raw])
    expect(senders).toEqual([alice.address, bob.address])
  })

  it('drops no replacement of what it holds: its block may never be committed', async () => {
    const { engine, parentHash } = await funded()
    await engine.prepare(ahead(parentHash, 2, [transfer(alice, 0)]))
    const { payload, dropped } = await build(engine, parentHash, 2, [transfer(alice, 0, 2n)])
    expect(payload.transactions).toEqual([transfer(alice, 0).raw])
    expect(dropped).toEqual([])
  })

  it.each([
    ['a block of another slot', 3],
    ['the block of its slot, after another block was executed', 2],
  ])('is forgotten by %s', async (_, height) => {
    const [one, other] = [await funded(), await funded()]
    const foreign = await build(other.engine, other.parentHash, 4, [transfer(bob, 0)])
    await one.engine.prepare(ahead(one.parentHash, 2, [transfer(alice, 0)]))
    if (height === 2) {
      const payload = { ...foreign.payload }
      expect(await one.engine.execute({ payload })).toMatchObject({ status: 'VALID' })
    }
    const { payload } = await build(one.engine, one.parentHash, height, [transfer(bob, 0)])
    expect(payload.transactions).toEqual([transfer(bob, 0).raw])
    expect(await other.engine.execute({ payload: { ...payload } })).toMatchObject({
      status: 'VALID',
    })
  })

  it('is begun on no unknown parent and not after its slot began', async () => {
    const { engine, parentHash } = await funded()
    await engine.prepare(ahead(new Uint8Array(32), 2, [transfer(alice, 0)]))
    await engine.prepare(ahead(parentHash, 2, [transfer(alice, 0)], 0))
    const { payload } = await build(engine, parentHash, 2, [transfer(bob, 0)])
    expect(payload.transactions).toEqual([transfer(bob, 0).raw])
  })
})
