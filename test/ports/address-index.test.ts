/** Addresses → history, on real files, against what the blocks themselves say. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { concatBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { advance, prune } from '../../node/adapters/address-index/build.ts'
import type { HistoryEntry } from '../../node/adapters/address-index/index.ts'
import { HistoryStore } from '../../node/adapters/address-index/store.ts'
import { type EngineDatabase, openEngineDatabase } from '../../node/adapters/engine/store.ts'
import { Engine } from '../../vm/evm/engine.ts'
import { createdAddress } from '../../vm/evm/index.ts'
import { attributes, genesis, keyOf, mint, signed } from '../unit/vm/evm/fixtures.ts'

const alice = keyOf('alice')
const bob = keyOf('bob')
const token = createdAddress(alice.address, 0n)
const TRANSFER = 'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
/** LOG3 with the topics Transfer, the caller, and the first word of the call. */
const TOKEN_CODE = `5f35337f${TRANSFER}5f5fa300`
const HEIGHT = 12

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

class Chain {
  readonly root = mkdtempSync(join(tmpdir(), 'millrace-addresses-'))
  readonly engineDirectory = join(this.root, 'evm')
  readonly directory = join(this.root, 'addresses')
  #nonce = 0

  constructor() {
    directories.push(this.root)
  }

  open(): EngineDatabase {
    const state = openEngineDatabase(this.engineDirectory, 'write')
    if ('code' in state) throw new Error(state.reason)
    return state
  }

  /** A contract, then in each block a transfer of coins, one of tokens, and something from the chain. */
  async grow(height: number, salt = 0): Promise<this> {
    const state = this.open()
    const { engine, reply } = await Engine.open(state, genesis, () => 0)
    if (reply.status !== 'OPEN') throw new Error(reply.reason)
    let { number, hash } = reply.head
    while (number < height) {
      number += 1
      const built = await engine.build({
        ...attributes(hash, number + salt),
        withdrawals: [mint(number % 2 === 0 ? bob.address : alice.address, 10n ** 9n, number)],
        transactions: this.#transactions(number).map((raw) => ({ raw })),
        deadlineMs: 8_640_000_000_000_000,
      })
      if (built.status !== 'BUILT') throw new Error(built.reason)
      expect(built.dropped).toEqual([])
      await engine.commit(built.payload.blockHash)
      hash = built.payload.blockHash
    }
    await state.close()
    return this
  }

  #transactions(height: number): Uint8Array[] {
    if (height === 1) return []
    if (height === 2) {
      const length = (TOKEN_CODE.length / 2).toString(16).padStart(4, '0')
      const data = hexBytes(`61${length}80600a5f395ff3${TOKEN_CODE}`)
      return [signed(alice, { nonce: this.#nonce++, data, gas: 300_000n })]
    }
    const data = concatBytes(new Uint8Array(12), bob.address)
    return [
      signed(alice, { nonce: this.#nonce++, to: bob.address, value: BigInt(height) }),
      signed(alice, { nonce: this.#nonce++, to: token, data, gas: 100_000n }),
    ]
  }

  async index(): Promise<void> {
    while ((await advance({ ...this, maxMs: 1_000 })).behind > 0);
  }

  /** All pages, of so many entries each. */
  async history(address: Uint8Array, limit = 3): Promise<readonly HistoryEntry[]> {
    const store = HistoryStore.openForReading(this.directory)
    if (store === undefined) throw new Error('no index')
    const entries: HistoryEntry[] = []
    let page = store.page(address, limit)
    for (;;) {
      expect(page.entries.length).toBeLessThanOrEqual(limit)
      entries.push(...page.entries)
      if (page.cursor === undefined) break
      page = store.page(address, limit, page.cursor)
    }
    await store.close()
    return entries
  }
}

const told = (entries: readonly HistoryEntry[]) =>
  entries.map(({ amountGwei, height, kind, logIndex, transaction }) =>
    [height, transaction?.index ?? '', kind, logIndex ?? '', amountGwei ?? ''].join(' '),
  )

/** What bob's history is, as `grow` makes it, the latest first. */
function bobsHistory(from = 1): string[] {
  const heights = Array.from({ length: HEIGHT - from + 1 }, (_, at) => HEIGHT - at)
  return heights.flatMap((height) => [
    ...(height % 2 === 0 ? [`${height}  credited  1000000000`] : []),
    ...(height > 2 ? [`${height} 1 tokenReceived 0 `, `${height} 0 received  `] : []),
  ])
}

describe('the history of addresses', () => {
  let chain: Chain
  beforeAll(async () => {
    chain = await new Chain().grow(HEIGHT)
    await chain.index()
  })

  it('has what was sent, received, made, credited and transferred, page by page, the latest first', async () => {
    for (const limit of [1, 2, 7, 100]) {
      expect(told(await chain.history(bob.address, limit))).toEqual(bobsHistory())
    }
    const made = await chain.history(token, 100)
    expect(told(made)).toEqual([
      ...Array.from({ length: HEIGHT - 2 }, (_, at) => `${HEIGHT - at} 1 received  `),
      '2 0 created  ',
    ])
    const state = chain.open()
    for (const { height, transaction } of made) {
      expect(state.positionOf(transaction?.hash as Uint8Array)).toEqual({
        height,
        index: transaction?.index,
      })
    }
    await state.close()
    const own = told(await chain.history(alice.address, 100))
    expect(own.filter((line) => line.includes('sent'))).toHaveLength(2 * (HEIGHT - 2) + 1)
    expect(own.filter((line) => line.includes('tokenSent'))).toHaveLength(HEIGHT - 2)
    expect(await chain.history(keyOf('nobody').address)).toEqual([])
  })

  it('goes on where it was cut off, and does nothing twice', async () => {
    const other = await new Chain().grow(5)
    await other.index()
    await other.grow(HEIGHT)
    const before = told(await other.history(bob.address))
    expect(before.every((line) => Number(line.split(' ')[0]) <= 5)).toBe(true)
    expect(await advance({ ...other, maxMs: 0 })).toEqual({ behind: 0, blocks: HEIGHT - 5 })
    expect(await advance({ ...other, maxMs: 0 })).toEqual({ behind: 0, blocks: 0 })
    expect(told(await other.history(bob.address))).toEqual(bobsHistory())
  })

  it('one that is damaged, gone, or of another chain is made again', async () => {
    const other = await new Chain().grow(HEIGHT)
    await other.index()
    writeFileSync(join(other.directory, 'data.mdb'), Buffer.alloc(8_192, 7))
    expect(HistoryStore.openForReading(other.directory)).toBeUndefined()
    await other.index()
    expect(told(await other.history(bob.address))).toEqual(bobsHistory())
    rmSync(other.directory, { recursive: true })
    await other.index()
    expect(told(await other.history(bob.address))).toEqual(bobsHistory())
    const strange = new Chain()
    await strange.grow(4, 100)
    rmSync(other.engineDirectory, { recursive: true })
    expect(existsSync(other.engineDirectory)).toBe(false)
    const moved = { directory: other.directory, engineDirectory: strange.engineDirectory }
    await advance({ ...moved, maxMs: 1_000 })
    // The state may be one that comes up to where the index is: it is told apart when it has come there.
    await strange.grow(HEIGHT, 100)
    await advance({ ...moved, maxMs: 1_000 })
    const hashes = (await other.history(bob.address)).map(({ transaction }) => transaction?.hash)
    const state = strange.open()
    for (const hash of hashes) if (hash) expect(state.positionOf(hash)).toBeDefined()
    await state.close()
  })

  it('PR-1: goes with the history that is pruned, before it', async () => {
    const other = await new Chain().grow(HEIGHT)
    await other.index()
    await prune({ ...other, below: 6 })
    expect(told(await other.history(bob.address))).toEqual(bobsHistory(6))
    const state = other.open()
    state.prune(6)
    await state.close()
    await prune({ ...other, below: 9 })
    expect(told(await other.history(bob.address))).toEqual(bobsHistory(9))
    // Made again from what is left.
    rmSync(other.directory, { recursive: true })
    await other.index()
    expect(told(await other.history(bob.address))).toEqual(bobsHistory(6))
    expect(toHex(bob.address)).toHaveLength(40)
  })
})
