/** What readers see past the mailboxes, over a tree that ran. */

import { emptyCertificate } from '../../../core/block/index.ts'
import { genesisHead } from '../../../core/chain/index.ts'
import { createChainReader, createChainView, LiveViews } from '../../../node/views/index.ts'
import { createTestPorts } from '../../../supervisor/testing/index.ts'
import { openMemoryChainStore } from '../../ports/memory-chain-store.ts'
import { Village } from './village.ts'

describe('views over a running tree', () => {
  let village: Village
  beforeAll(async () => {
    village = await new Village().start()
    await village.slots(6)
  })
  afterAll(() => village.stop())

  const options = () => ({
    genesis: village.genesis,
    live: village.tree.live,
    clock: village.ports.clock,
    store: () => village.tree.store(),
    self: village.genesis.validators[0]?.blsKey,
  })

  it('blocks by height and hash up to the head and not beyond; block 0 is in no store', async () => {
    const view = createChainView(options())
    const { height } = village
    expect((await view.head())?.block.header.height).toBe(height)
    for (let at = 1; at <= height; at++) {
      const block = await view.blockByHeight(at)
      expect(block?.block.header.height).toBe(at)
      expect(await view.certificate(at)).toEqual(block?.certificate)
    }
    const head = village.tree.live.head?.head
    const found = await view.blockByHash(head?.hash ?? new Uint8Array(32))
    expect(found?.block.header.height).toBe(height)
    expect(await view.blockByHeight(height + 1)).toBeUndefined()
    expect(await view.blockByHeight(0)).toBeUndefined()
    expect(await view.blockByHash(new Uint8Array(32))).toBeUndefined()
  })

  it('consensus: the height that is decided next, whose slot it is, who we are', () => {
    const snapshot = createChainView(options()).consensus()
    expect(snapshot).toMatchObject({ height: village.height + 1, slotMs: 1000, proposer: 0 })
    expect(snapshot.viewStartSlot).toBe((village.tree.live.head?.head.header.slot ?? 0) + 1)
    expect(createChainView(options()).validators()).toMatchObject([{ power: 1, self: true }])
    expect(village.tree.live.produced).toBe(village.height)
  })

  it('members read certified headers from genesis to the head', async () => {
    const reader = createChainReader(options())
    const headers = await reader.headers(0, 1000)
    expect(headers.map(({ header }) => header.height)).toEqual(
      Array.from({ length: village.height + 1 }, (_, height) => height),
    )
    expect(headers[0]).toEqual({
      header: genesisHead(village.genesis).header,
      certificate: emptyCertificate(),
    })
    expect(await reader.headers(2, 2)).toEqual(headers.slice(2, 4))
    expect(await reader.headers(village.height + 1, 5)).toEqual([])
    expect(reader.head()?.header.height).toBe(village.height)
  })

  it('subscribers hear of each commit until they leave', async () => {
    const reader = createChainReader(options())
    let heard = 0
    const leave = reader.subscribe(() => {
      heard += 1
    })
    const before = village.height
    await village.slots(2)
    expect(heard).toBe(village.height - before)
    leave()
    await village.slots(1)
    expect(heard).toBe(village.height - before - 1)
  })
})

describe('views before anything is there', () => {
  it('say nothing rather than something wrong', async () => {
    const { genesis } = new Village()
    const { clock } = createTestPorts()
    const live = new LiveViews(undefined)
    const options = { genesis, live, clock, store: () => undefined, self: undefined }
    const view = createChainView(options)
    expect(await view.head()).toBeUndefined()
    expect(await view.blockByHeight(1)).toBeUndefined()
    expect(await view.blockByHash(new Uint8Array(32))).toBeUndefined()
    expect(view.consensus()).toMatchObject({ height: 1, view: 0, step: 'starting' })
    const reader = createChainReader({ ...options, store: () => openMemoryChainStore() })
    expect(reader.head()).toBeUndefined()
    expect((await reader.headers(0, 5)).map(({ header }) => header.height)).toEqual([0])
  })
})
