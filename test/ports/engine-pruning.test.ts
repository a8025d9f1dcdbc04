/** What the embedded engine keeps of old blocks. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine, readEngineState } from '../../node/adapters/engine/index.ts'
import { damageOfBlock, verifyState } from '../../vm/evm/index.ts'
import { attributes, genesis, keyOf, mint, signed } from '../unit/vm/evm/fixtures.ts'

describe('the embedded engine', () => {
  const alice = keyOf('alice')
  const bob = keyOf('bob')
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-engine-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  async function openOnDisk() {
    const opened = await openEngine({ directory, genesis })
    if (opened.status !== 'OPEN') throw new Error(opened.reason)
    return opened.engine
  }

  it('PR-3: pruning leaves state root and hashes; the engine goes on, over a restart too', async () => {
    const engine = await openOnDisk()
    let parent = engine.openedAt.hash
    const step = async (height: number, from: typeof engine) => {
      const built = await from.build({
        ...attributes(parent, height),
        withdrawals: [mint(alice.address, 10n ** 10n)],
        transactions:
          height > 1 ? [{ raw: signed(alice, { nonce: height - 2, to: bob.address }) }] : [],
        deadlineMs: Date.now() + 60_000,
      })
      if (built.status !== 'BUILT') throw new Error(built.reason)
      await from.commit(built.payload.blockHash)
      parent = built.payload.blockHash
      return built.payload
    }
    const payloads = []
    for (let height = 1; height <= 6; height++) payloads.push(await step(height, engine))
    const early = engine.blocks.transactionsAt(3)[0]?.transaction.hash as Uint8Array
    const late = engine.blocks.transactionsAt(5)[0]?.transaction.hash as Uint8Array
    expect(engine.blocks.receipt(early)).toBeDefined()
    await engine.prune(5)
    await engine.prune(100)
    await engine.close()
    const again = await openOnDisk()
    expect(again.openedAt).toEqual({ number: 6, hash: parent })
    expect(again.blocks.blockAt(5)).toBeUndefined()
    expect(again.blocks.blockAt(6)).toBeDefined()
    expect([again.blocks.receipt(early), again.blocks.receipt(late)]).toEqual([
      undefined,
      undefined,
    ])
    for (const { blockHash, blockNumber } of payloads) {
      expect(again.blocks.heightOf(blockHash)).toBe(blockNumber)
    }
    const read = readEngineState(directory)
    if (!read.ok) throw new Error(read.reason)
    expect(read.database.lowestBlock()).toBe(6)
    const root = (payloads.at(-1) as { stateRoot: Uint8Array }).stateRoot
    expect(verifyState(read.database, root)).toMatchObject({ ok: true })
    expect(damageOfBlock(read.database, 6)).toBeUndefined()
    await read.database.close()
    await step(7, again)
    expect(again.blocks.head().number).toBe(7)
    await again.close()
  })
})
