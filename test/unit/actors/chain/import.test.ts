/** A batch of synced blocks against a real engine: protocol §2.8 (guard), §2.11 (store, then engine), SY-5. */
import { perform } from '../../../../actors/chain/effects.ts'
import type { ChainEffect } from '../../../../actors/chain/handlers.ts'
import type { ChainPorts, SignGuard } from '../../../../actors/chain/port.ts'
import type { CommittedBlock, ExecutionPayload } from '../../../../core/block/index.ts'
import { genesisHead } from '../../../../core/chain/index.ts'
import { EMPTY_GUARD, foldGuard, type GuardView } from '../../../../core/guard/index.ts'
import type { BatchStored, BlockWrite } from '../../../../messages/index.ts'
import type { Envelope, Message } from '../../../../supervisor/index.ts'
import type { Engine } from '../../../../vm/evm/engine.ts'
import { openTownEngine, Town } from '../../core/chain/town.ts'

type Run = Parameters<typeof perform>[1]

/** Storage and engine of one node, and the guard, by hand. */
class Importer {
  readonly stored: CommittedBlock[] = []
  /** Floor of the guard whenever blocks became durable. */
  readonly floors: number[] = []
  engine: Engine | undefined
  #view: GuardView = EMPTY_GUARD

  readonly guard: SignGuard = {
    view: () => this.#view,
    append: async () => 'sign',
    compact: async (height) => {
      this.#view = foldGuard(this.#view, { kind: 'floor', floor: height + 1, slot: -1 })
    },
    close: async () => {},
  }

  async import(town: Town, blocks: readonly CommittedBlock[]): Promise<BatchStored['payload']> {
    const effect: ChainEffect = {
      kind: 'importBatch',
      parent: genesisHead(town.genesis),
      blocks,
      replyTo: {} as Envelope,
    }
    const ports = {
      genesis: town.genesis,
      views: {
        publishHead() {},
        publishConsensus() {},
        publishSnapshot() {},
        publishEvidence() {},
      },
      metrics: { count() {}, gauge() {}, observe() {} },
    } as unknown as ChainPorts
    const run = {
      ports,
      clock: { nowMs: () => 0 },
      log() {},
      ask: (_to: string, message: Message) => this.#answer(message),
    } as unknown as Run
    const done = await perform(effect, run, { guard: this.guard })
    if (done?.type !== 'chain.BatchStored') throw new Error('no batch was stored')
    return done.payload
  }

  async #answer({ type, payload }: Message) {
    const engine = this.engine as Engine
    const answered = (value: unknown) => ({ ok: true, value })
    switch (type) {
      case 'storage.PersistBlockBatch': {
        const { blocks } = payload as { blocks: readonly BlockWrite[] }
        this.stored.push(...blocks.map(({ committed }) => committed))
        this.floors.push(this.#view.floor)
        return answered({ type: 'storage.BlockPersisted', payload: {} })
      }
      case 'engine.ExecutePayload': {
        const result = await engine.execute(payload as { payload: ExecutionPayload })
        return answered({ type: 'engine.ExecutionResult', payload: result })
      }
      case 'engine.CommitPayload': {
        const result = await engine.commit((payload as { hash: Uint8Array }).hash)
        if (result.status === 'COMMITTED') {
          return answered({ type: 'engine.EngineHead', payload: result.head })
        }
        return answered({ type: 'engine.EngineFailed', payload: result })
      }
      default:
        throw new Error(type)
    }
  }
}

describe('a batch of synced blocks', () => {
  it('longer than the engine holds unstored is imported whole, and the engine follows (2.11, SY-5)', async () => {
    const town = await Town.open()
    for (let height = 1; height <= 70; height++) await town.grow()
    const importer = new Importer()
    importer.engine = (await openTownEngine(town.genesis)).engine
    const { last, result } = await importer.import(town, town.chain)
    expect(result).toEqual({ height: 70 })
    expect(last?.head.hash).toEqual(town.head.hash)
    expect(importer.stored).toHaveLength(70)
    const tip = town.chain.at(-1)?.block.body.payload.blockHash as Uint8Array
    expect(await importer.engine.commit(tip)).toMatchObject({
      status: 'COMMITTED',
      head: { number: 70 },
    })
  }, 60_000)

  it('raises the guard before the blocks are durable, so that a crash between leaves no height out (2.8, BP-4)', async () => {
    const town = await Town.open()
    for (let height = 1; height <= 3; height++) await town.grow()
    const importer = new Importer()
    importer.engine = (await openTownEngine(town.genesis)).engine
    await importer.import(town, town.chain)
    expect(importer.floors).toEqual([4])
  })

  it('on an engine that lost its blocks ends the incarnation, whose next one replays (2.11)', async () => {
    const town = await Town.open()
    for (let height = 1; height <= 3; height++) await town.grow()
    const importer = new Importer()
    const { engine } = await openTownEngine(town.genesis)
    importer.engine = engine
    engine.execute = async () => ({ status: 'UNKNOWN', code: 'ParentMissing', reason: 'gone' })
    await expect(importer.import(town, town.chain)).rejects.toMatchObject({
      code: 'EngineLost',
      faultClass: 'service',
    })
  })

  it('with a bad block keeps what came before it and blames the sender', async () => {
    const town = await Town.open()
    for (let height = 1; height <= 3; height++) await town.grow()
    const importer = new Importer()
    importer.engine = (await openTownEngine(town.genesis)).engine
    const [first, second] = town.chain as [CommittedBlock, CommittedBlock]
    const { header, body } = second.block
    const other = { ...body, payload: { ...body.payload, gasUsed: 1 } }
    const forged = { ...second, block: { ...second.block, header, body: other } }
    const { result } = await importer.import(town, [first, forged])
    expect(result).toEqual({ height: 1, code: 'WrongBodyRoot', fault: 'peer' })
    expect(importer.stored).toEqual([first])
  })
})
