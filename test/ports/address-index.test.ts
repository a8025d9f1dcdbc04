/** Addresses → history, on real files, against what the blocks themselves say. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex } from '../../crypto/index.ts'
import { advance, prune } from '../../node/adapters/address-index/build.ts'
import { HistoryStore } from '../../node/adapters/address-index/store.ts'
import { keyOf } from '../unit/vm/evm/fixtures.ts'
import { alice, bob, bobsHistory, HEIGHT, SmallChain, token, told } from './small-chain.ts'

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

function newChain(): SmallChain {
  const root = mkdtempSync(join(tmpdir(), 'millrace-addresses-'))
  directories.push(root)
  return new SmallChain(root)
}

describe('the history of addresses', () => {
  let chain: SmallChain
  beforeAll(async () => {
    chain = await newChain().grow(HEIGHT)
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
    const other = await newChain().grow(5)
    await other.index()
    await other.grow(HEIGHT)
    const before = told(await other.history(bob.address))
    expect(before.every((line) => Number(line.split(' ')[0]) <= 5)).toBe(true)
    expect(await advance({ ...other, maxMs: 0 })).toEqual({ behind: 0, blocks: HEIGHT - 5 })
    expect(await advance({ ...other, maxMs: 0 })).toEqual({ behind: 0, blocks: 0 })
    expect(told(await other.history(bob.address))).toEqual(bobsHistory())
  })

  it('one that is damaged, gone, or of another chain is made again', async () => {
    const other = await newChain().grow(HEIGHT)
    await other.index()
    writeFileSync(join(other.directory, 'data.mdb'), Buffer.alloc(8_192, 7))
    expect(HistoryStore.openForReading(other.directory)).toBeUndefined()
    await other.index()
    expect(told(await other.history(bob.address))).toEqual(bobsHistory())
    rmSync(other.directory, { recursive: true })
    await other.index()
    expect(told(await other.history(bob.address))).toEqual(bobsHistory())
    const strange = newChain()
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
    const other = await newChain().grow(HEIGHT)
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
