/** Pruning as a node does it, a block at a time: the chain, then the history of addresses, then the engine. */
import { join } from 'node:path'
import { prune } from '../../node/adapters/address-index/build.ts'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
import { HEIGHT, SmallChain } from './small-chain.ts'

export const bytesOf = (height: number, length: number) => new Uint8Array(length).fill(height)

/** Blocks of bytes beside those of the engine, so that the three are pruned alike. */
export async function writeChain(root: string): Promise<void> {
  const store = await openChainStore(join(root, 'chain'))
  for (let height = 1; height <= HEIGHT; height++) {
    const block = { height, hash: bytesOf(height, 32), bytes: bytesOf(height, 3_000) }
    const row = { set: 1, key: Uint8Array.of(height), value: bytesOf(height, 100) }
    await store.writeBlocks([block], [row])
  }
  await store.close()
}

/** `at` hears of each step before it is done. */
export async function pruneAll(root: string, at: (step: string) => void): Promise<void> {
  const small = new SmallChain(root)
  const store = await openChainStore(join(root, 'chain'))
  const engine = small.open()
  for (let height = store.lowestBlock(); height < HEIGHT - 1; height++) {
    at(`chain ${height}`)
    await store.pruneBlocks([{ height, hash: bytesOf(height, 32), bytes: bytesOf(height, 300) }])
    at(`index ${height}`)
    const lowest = await prune({ ...small, below: height + 1 })
    at(`engine ${height}`)
    engine.prune(lowest)
  }
  // What a kill came between is made good by the next step; at the end there is none.
  engine.prune(await prune({ ...small, below: HEIGHT - 1 }))
  await store.close()
  await engine.close()
}
