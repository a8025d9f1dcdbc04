/** A chain of a few blocks on real files, with the history of its addresses. */
import { join } from 'node:path'
import { concatBytes, hexBytes } from '../../crypto/index.ts'
import { advance } from '../../node/adapters/address-index/build.ts'
import type { HistoryEntry } from '../../node/adapters/address-index/index.ts'
import { HistoryStore } from '../../node/adapters/address-index/store.ts'
import { type EngineDatabase, openEngineDatabase } from '../../node/adapters/engine/store.ts'
import { Engine } from '../../vm/evm/engine.ts'
import { createdAddress } from '../../vm/evm/index.ts'
import { attributes, genesis, keyOf, mint, signed } from '../unit/vm/evm/fixtures.ts'

export const alice = keyOf('alice')
export const bob = keyOf('bob')
export const token = createdAddress(alice.address, 0n)
const TRANSFER = 'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
/** LOG3 with the topics Transfer, the caller, and the first word of the call. */
const TOKEN_CODE = `5f35337f${TRANSFER}5f5fa300`
export const HEIGHT = 12

export class SmallChain {
  readonly root: string
  readonly engineDirectory: string
  /** Of the index. */
  readonly directory: string
  #nonce = 0

  constructor(root: string) {
    this.root = root
    this.engineDirectory = join(root, 'evm')
    this.directory = join(root, 'addresses')
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
      if (built.dropped.length > 0) throw new Error(JSON.stringify(built.dropped))
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
      if (page.entries.length > limit)
        throw new Error(`${page.entries.length} in a page of ${limit}`)
      entries.push(...page.entries)
      if (page.cursor === undefined) break
      page = store.page(address, limit, page.cursor)
    }
    await store.close()
    return entries
  }
}

export const told = (entries: readonly HistoryEntry[]) =>
  entries.map(({ amountGwei, height, kind, logIndex, transaction }) =>
    [height, transaction?.index ?? '', kind, logIndex ?? '', amountGwei ?? ''].join(' '),
  )

/** What bob's history is, as `grow` makes it, the latest first. */
export function bobsHistory(from = 1): string[] {
  const heights = Array.from({ length: HEIGHT - from + 1 }, (_, at) => HEIGHT - at)
  return heights.flatMap((height) => [
    ...(height % 2 === 0 ? [`${height}  credited  1000000000`] : []),
    ...(height > 2 ? [`${height} 1 tokenReceived 0 `, `${height} 0 received  `] : []),
  ])
}
