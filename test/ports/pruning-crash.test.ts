/** PR-4: a process that prunes is killed; what it leaves is whole, and the next one goes on from there. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HistoryStore } from '../../node/adapters/address-index/store.ts'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
import { damageOfBlock, verifyState } from '../../vm/evm/index.ts'
import { bytesOf, pruneAll, writeChain } from './pruning-steps.ts'
import { bob, bobsHistory, HEIGHT, SmallChain, told } from './small-chain.ts'

const directories: string[] = []
function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-pruning-'))
  directories.push(directory)
  return directory
}
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/** Kills the process when it has said so many steps and some time more; the copy that it was at. */
function killedAfter(args: readonly string[], steps: number, afterMs: number): Promise<number> {
  const writer = fileURLToPath(new URL('./pruning-writer.ts', import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [writer, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let [round, said] = [0, 0]
    child.stdout.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n')) {
        if (line === '') continue
        round = Number(line.split(' ')[0])
        said += 1
        if (said === steps) setTimeout(() => child.kill('SIGKILL'), afterMs)
      }
    })
    child.on('error', reject)
    child.on('close', () => resolve(round))
  })
}

/** All three are whole, and none has forgotten what one that goes before it still has. The lowest block of each. */
async function lowestOfWhole(root: string, stateRoot: Uint8Array): Promise<readonly number[]> {
  const store = await openChainStore(join(root, 'chain'))
  const lowest = store.lowestBlock()
  expect(store.readHead()?.height).toBe(HEIGHT)
  for (let height = 1; height <= HEIGHT; height++) {
    const [kept, left] = [store.readBlock(height), store.readHeader(height)]
    expect(kept?.bytes).toEqual(height < lowest ? undefined : bytesOf(height, 3_000))
    expect(left?.bytes).toEqual(height < lowest ? bytesOf(height, 300) : undefined)
  }
  const rows = [...store.readLedgerRows()].map(({ key, value }) => [key[0], value])
  expect(rows).toEqual(
    Array.from({ length: HEIGHT }, (_, at) => [at + 1, bytesOf(at + 1, 100)] as const),
  )
  await store.close()
  const small = new SmallChain(root)
  const index = HistoryStore.openForReading(small.directory)
  const { from = 0, next } = index?.progress() ?? {}
  await index?.close()
  expect(next).toBe(HEIGHT + 1)
  expect(told(await small.history(bob.address))).toEqual(bobsHistory(from))
  const engine = small.open()
  expect(engine.head()?.number).toBe(HEIGHT)
  expect(verifyState(engine, stateRoot)).toMatchObject({ ok: true })
  const first = engine.lowestBlock()
  for (let height = 1; height <= HEIGHT; height++) {
    expect(engine.hashAt(height)).toBeDefined()
    if (height >= first) expect(damageOfBlock(engine, height)).toBeUndefined()
    else
      expect([engine.payloadAt(height), engine.receiptsAt(height)]).toEqual([undefined, undefined])
  }
  await engine.close()
  expect([first <= from, from <= lowest]).toEqual([true, true])
  return [lowest, from, first]
}

it('PR-4: kill -9 at any point of pruning: no block is half there, the state has its root, and pruning goes on', async () => {
  const source = newDirectory()
  const grown = await new SmallChain(source).grow(HEIGHT)
  await grown.index()
  await writeChain(source)
  const state = grown.open()
  const stateRoot = state.payloadAt(HEIGHT)?.stateRoot as Uint8Array
  await state.close()
  expect(await lowestOfWhole(source, stateRoot)).toEqual([1, 1, 0])
  for (const [index, steps] of [2, 9, 16, 21, 30].entries()) {
    const target = newDirectory()
    const root = join(target, String(await killedAfter([source, target], steps, index % 4)))
    await lowestOfWhole(root, stateRoot)
    await pruneAll(root, () => undefined)
    expect(await lowestOfWhole(root, stateRoot)).toEqual([HEIGHT - 1, HEIGHT - 1, HEIGHT - 1])
    rmSync(target, { recursive: true })
  }
})
