/** How the ChainActor finds its place again. */
import { encodeHalt, haltRecord } from '../../../../actors/chain/halt.ts'
import type { ChainPorts } from '../../../../actors/chain/index.ts'
import { loadHead, replayEngine } from '../../../../actors/chain/start.ts'
import type { CommittedBlock } from '../../../../core/block/index.ts'
import { genesisHead } from '../../../../core/chain/index.ts'
import { type LedgerChange, ledgerChanges, ledgerRoot } from '../../../../core/ledger/index.ts'
import type { ChainInbox } from '../../../../messages/index.ts'
import type { Message } from '../../../../supervisor/index.ts'
import type { Engine } from '../../../../vm/evm/engine.ts'
import { alice } from '../../core/chain/journey.ts'
import { openTownEngine, Town, townGenesis } from '../../core/chain/town.ts'
import { fakeRun } from '../fake-run.ts'

/** A town of 14 blocks: more than the nine headers whose rates the next block reads. */
async function history() {
  const town = await Town.open()
  const rows: LedgerChange[] = []
  for (let height = 1; height <= 14; height++) {
    const queue = height === 2 ? { queue: town.deposit('a', 1_000_000n, alice.address) } : {}
    const made = await town.grow({ ...queue, feeRateSatPerKvb: 1000 + 100 * height })
    rows.push(...ledgerChanges(made.head.ledger))
  }
  return { town, rows }
}

interface Stored {
  readonly town: Town
  readonly rows: readonly LedgerChange[]
  readonly blocks?: readonly CommittedBlock[]
  /** Blocks in one answer of Storage. */
  readonly perAnswer?: number
  readonly engine?: Engine
  readonly genesis?: Town['genesis']
  readonly halt?: string
  readonly resumeHalt?: string
}

function fakeOn({ town, rows, perAnswer = 100, engine, ...rest }: Stored) {
  const blocks = rest.blocks ?? town.chain
  const { halt, resumeHalt } = rest
  const ports = { genesis: rest.genesis ?? town.genesis, resumeHalt } as unknown as ChainPorts
  return fakeRun<ChainInbox, ChainPorts>(ports, async ({ type, payload }: Message) => {
    switch (type) {
      case 'storage.LoadChain':
        return {
          type: 'storage.ChainLoaded',
          payload: {
            ...(blocks.length > 0 && { head: blocks.at(-1) }),
            ledgerRows: rows,
            ...(halt !== undefined && { halt }),
          },
        }
      case 'storage.ReadBlocks': {
        const { from, count } = payload as { from: number; count: number }
        const at = blocks.findIndex(({ block: { header } }) => header.height === from)
        const answer = at < 0 ? [] : blocks.slice(at, at + Math.min(count, perAnswer))
        return { type: 'storage.BlockRange', payload: { blocks: answer } }
      }
      case 'storage.RecordHalt':
        expect(payload).toEqual({ record: null })
        return { type: 'storage.HaltRecorded', payload: {} }
      case 'engine.EngineStatus': {
        const head = (engine && heads.get(engine)) ?? genesisHead(town.genesis).evm
        return { type: 'engine.EngineHead', payload: head }
      }
      case 'engine.ExecutePayload': {
        const result = await (engine as Engine).execute(payload as never)
        return { type: 'engine.ExecutionResult', payload: result }
      }
      case 'engine.CommitPayload': {
        const reply = await (engine as Engine).commit((payload as { hash: Uint8Array }).hash)
        if (reply.status !== 'COMMITTED') throw new Error(reply.reason)
        heads.set(engine as Engine, reply.head)
        return { type: 'engine.EngineHead', payload: reply.head }
      }
      default:
        throw new Error(type)
    }
  })
}

const runOn = (stored: Stored) => fakeOn(stored).run

const heads = new WeakMap<Engine, { readonly number: number; readonly hash: Uint8Array }>()

describe('loading the head', () => {
  let stored: Stored
  beforeAll(async () => {
    stored = await history()
  })

  it('an empty store gives the genesis head', async () => {
    const { town } = stored
    const loaded = await loadHead(runOn({ town, rows: [], blocks: [] }))
    expect(loaded.committed).toBeUndefined()
    expect(loaded.head.hash).toEqual(genesisHead(town.genesis).hash)
  })

  it('2.7: a halt stays until the operator names it; what cannot be read is a halt', async () => {
    const record = haltRecord('ConflictingCertificates', [], 7)
    const opened = (halt: string, resumeHalt?: string) => {
      const { town } = stored
      return runOn({ town, rows: [], blocks: [], halt, ...(resumeHalt && { resumeHalt }) })
    }
    const text = encodeHalt(record)
    expect((await loadHead(opened(text))).halt).toEqual(record)
    expect((await loadHead(opened(text, 'another'))).halt).toEqual(record)
    expect((await loadHead(opened(text, record.id))).halt).toBeUndefined()
    for (const torn of ['', '{', '[]', '{"id":1}', text.slice(0, -1)]) {
      const { halt } = await loadHead(opened(torn))
      expect(halt).toMatchObject({ reason: 'ConflictingCertificates', certificates: [] })
      expect((await loadHead(opened(torn, halt?.id))).halt).toBeUndefined()
    }
  })

  it('C-4: gives the very head that the blocks made, fee rates included', async () => {
    const { town } = stored
    const { head } = await loadHead(runOn(stored))
    expect(head.hash).toEqual(town.head.hash)
    expect(head.feeRates).toEqual(town.head.feeRates)
    expect(head.feeRates).toHaveLength(9)
    expect(head.evm).toEqual(town.head.evm)
    expect(ledgerRoot(head.ledger)).toEqual(ledgerRoot(town.head.ledger))
  })

  it('C-4: however few blocks Storage puts into one answer', async () => {
    const { town } = stored
    for (const perAnswer of [1, 2, 5]) {
      const { head } = await loadHead(runOn({ ...stored, perAnswer }))
      expect(head.feeRates).toEqual(town.head.feeRates)
    }
  })

  it('a young chain’s rates begin with the genesis header’s', async () => {
    const { town, rows } = await (async () => {
      const young = await Town.open()
      const made = await young.grow({ feeRateSatPerKvb: 3000 })
      return { town: young, rows: ledgerChanges(made.head.ledger) }
    })()
    const { head } = await loadHead(runOn({ town, rows }))
    expect(head.feeRates).toEqual([1000, 3000])
    expect(head.feeRates).toEqual(town.head.feeRates)
  })

  it('a store of another chain, or whose rows do not make the root, is a configuration fault', async () => {
    const { rows } = stored
    const configuration = { faultClass: 'configuration' }
    await expect(
      loadHead(runOn({ ...stored, genesis: townGenesis({ minPegInSat: 20_000 }) })),
    ).rejects.toMatchObject({ code: 'ForeignChain', ...configuration })
    const broken = rows.map((row, index) =>
      index === 3 ? { ...row, value: row.value.slice(1) } : row,
    )
    for (const damaged of [rows.slice(0, -4), broken]) {
      await expect(loadHead(runOn({ ...stored, rows: damaged }))).rejects.toMatchObject({
        code: 'LedgerDamaged',
        faultClass: 'corruption',
      })
    }
  })

  it('a block of the window that is not there is corruption', async () => {
    const { chain } = stored.town
    const gap = [...chain.slice(0, 8), ...chain.slice(12)]
    await expect(loadHead(runOn({ ...stored, blocks: gap.slice(-2) }))).rejects.toMatchObject({
      code: 'BlocksMissing',
      faultClass: 'corruption',
    })
  })
})

describe('replaying the engine', () => {
  it('2.11: what it lags is executed again, and nothing else', async () => {
    const stored = await history()
    const { engine, store } = await openTownEngine(stored.town.genesis)
    const run = runOn({ ...stored, engine, perAnswer: 4 })
    const { head } = await loadHead(run)
    await replayEngine(run, head)
    expect(store.head()).toEqual({ number: 14, hash: stored.town.head.evm.hash })
    const before = store.blocks.length
    await replayEngine(run, head)
    expect(store.blocks).toHaveLength(before)
  })

  it('2.11, SU-15: a head that leads or is not the chain’s, and a state that cannot go on, are rolled back', async () => {
    const { town, rows } = await history()
    const hashAt = (height: number) => town.chain[height - 1]?.block.body.payload.blockHash
    const strange = new Uint8Array(32).fill(7)
    const states = [
      { number: 99, hash: strange },
      { number: 14, hash: strange },
      { number: 9, hash: strange },
      // The right head, over a state that lacks it: block 10 does not execute.
      { number: 9, hash: hashAt(9) as Uint8Array },
    ]
    for (const state of states) {
      const { engine } = await openTownEngine(town.genesis)
      heads.set(engine, state)
      const { run, sent } = fakeOn({ town, rows, engine })
      const { head } = await loadHead(run)
      await expect(replayEngine(run, head)).rejects.toMatchObject({ code: 'EngineRolledBack' })
      const told = sent.filter(({ message }) => message.type === 'engine.RollBack')
      expect(told).toHaveLength(1)
    }
  })

  it('SU-15: where a replay from genesis fails too there is nothing to roll back: the data are damaged', async () => {
    const { town, rows } = await history()
    const { head } = await loadHead(runOn({ town, rows }))
    const { engine: strange } = await openTownEngine(townGenesis({ minPegOutSat: 30_000 }))
    const { run, sent } = fakeOn({ town, rows, engine: strange })
    await expect(replayEngine(run, head)).rejects.toMatchObject({
      code: 'EngineDiverged',
      faultClass: 'corruption',
    })
    expect(sent.filter(({ message }) => message.type === 'engine.RollBack')).toEqual([])
  })
})
