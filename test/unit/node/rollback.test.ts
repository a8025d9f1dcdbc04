/** What a node does about a state of its engine that is damaged: it is emptied and made again from the stored blocks. */
import type { LedgerRow, StoredBlock } from '../../../actors/storage/index.ts'
import { decodeCommittedBlock, encodeCommittedBlock } from '../../../core/block/index.ts'
import { exitCauseOf } from '../../../supervisor/index.ts'
import { type Disks, Village } from './village.ts'

const opened: Village[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.stop()
})

/** The disks of a node that ran for some blocks. */
async function disksAt(height: number): Promise<Disks> {
  const town = await new Village().start()
  await town.until(() => town.height >= height)
  await town.stop()
  return town.disks
}

function restarted(disks: Disks): Village {
  const town = new Village({}, disks)
  opened.push(town)
  return town
}

/** Begins to start and lets time pass, whatever becomes of it. */
async function startAnyway(town: Village, forMs = 30_000): Promise<void> {
  void town.tree.system.start()
  for (let passed = 0; passed < forMs; passed += 250) await town.ports.clock.advance(250)
}

const alerts = (town: Village, code: string) =>
  town.ports.log.records.filter(
    ({ event, fields }) => event.startsWith('alert') && fields?.['code'] === code,
  )
const actions = (town: Village, kind: string, result: string) =>
  town.ports.metrics.total('recovery_actions_total', { kind, result })

const damages: Record<string, (disks: Disks) => void> = {
  'the root of the state is another': ({ engine }) => {
    engine.state.nodes.set('', new Uint8Array(40).fill(1))
  },
  'the head’s block is not what its hash says': ({ engine }) => {
    const last = engine.blocks.pop()
    if (last === undefined) throw new Error('no block')
    engine.blocks.push({ ...last, payload: { ...last.payload, gasUsed: 1 } })
  },
}

describe('SU-15: a damaged state of the engine', () => {
  it.each(Object.keys(damages))(
    '%s: one alert, and the node goes on from its stored blocks',
    async (name) => {
      const disks = await disksAt(4)
      const held = disks.engine.blocks.map(({ payload }) => payload.blockHash)
      damages[name]?.(disks)
      const town = await restarted(disks).start()
      expect(town.rollbacks).toBe(1)
      expect(alerts(town, 'StateDamaged')).toHaveLength(1)
      expect(actions(town, 'rollback', 'ok')).toBe(1)
      const { height } = town
      expect(height).toBeGreaterThanOrEqual(4)
      const replayed = disks.engine.blocks.map(({ payload }) => payload.blockHash)
      expect(replayed.slice(0, held.length)).toEqual(held)
      await town.until(() => town.height > height)
      expect(town.ended).toBeUndefined()
    },
  )

  it('an engine that leads the chain store is found by Chain, and rolled back once', async () => {
    const disks = await disksAt(5)
    const longer = await disksAt(3)
    // Blocks of a life that the chain store knows nothing of.
    longer.engine.clear()
    await longer.engine.append(disks.engine.blocks)
    const town = restarted(longer)
    await startAnyway(town, 5_000)
    expect(town.rollbacks).toBe(1)
    expect(alerts(town, 'StateDiverged')).toHaveLength(1)
    expect(actions(town, 'rollback', 'ok')).toBe(1)
    expect(town.height).toBeGreaterThan(3)
    expect(town.ended).toBeUndefined()
  })

  it('one that stays damaged ends the node after as many tries as restarts are allowed, as damaged data', async () => {
    const disks = await disksAt(3)
    damages['the root of the state is another']?.(disks)
    const town = restarted(disks)
    town.mood.rollback = 'without effect'
    await startAnyway(town)
    expect(town.rollbacks).toBe(10)
    expect(town.ended).toMatchObject({ path: 'engine', fault: { code: 'StateDamaged' } })
    expect(town.ended && exitCauseOf(town.ended)).toBe('data')
    await town.slots(4)
    expect(town.rollbacks).toBe(10)
  })

  it('blocks that do not execute from genesis on either end the node after one rollback, as damaged data', async () => {
    const disks = await disksAt(4)
    damages['the root of the state is another']?.(disks)
    const { height, hash, bytes } = disks.chain.blocks.get(2) as StoredBlock
    const read = decodeCommittedBlock(bytes)
    if (!read.ok) throw new Error(read.error.code)
    const { block, certificate } = read.value
    const payload = { ...block.body.payload, gasUsed: 1 }
    const changed = { ...block, body: { ...block.body, payload } }
    const other = encodeCommittedBlock({ block: changed, certificate })
    disks.chain.blocks.set(2, { height, hash, bytes: other })
    const town = restarted(disks)
    await startAnyway(town)
    expect(town.rollbacks).toBe(1)
    expect(town.ended).toMatchObject({ path: 'chain', fault: { code: 'EngineDiverged' } })
    expect(town.ended && exitCauseOf(town.ended)).toBe('data')
  })

  it('a rollback that fails ends the node as damaged data, though Chain that waits for the engine falls first', async () => {
    const disks = await disksAt(5)
    const longer = await disksAt(3)
    longer.engine.clear()
    await longer.engine.append(disks.engine.blocks)
    const town = restarted(longer)
    town.mood.rollback = 'fails'
    await startAnyway(town)
    expect(town.rollbacks).toBe(1)
    expect(actions(town, 'rollback', 'failed')).toBe(1)
    expect(town.ended).toMatchObject({ path: 'engine', fault: { code: 'StateDiverged' } })
    expect(town.ended && exitCauseOf(town.ended)).toBe('data')
  })
})

describe('SY-9: a damaged ledger', () => {
  const ledgerDamages: Record<string, (disks: Disks) => void> = {
    'a row is another': ({ chain }) => {
      const [key, row] = [...chain.rows][0] as [string, LedgerRow]
      chain.rows.set(key, { ...row, value: row.value.map((byte) => byte ^ 1) })
    },
    'a row is missing': ({ chain }) => {
      chain.rows.delete([...chain.rows.keys()][0] as string)
    },
  }

  it.each(Object.keys(ledgerDamages))(
    '%s: one repair by Storage while nobody has the store open, and the node goes on from its last block',
    async (name) => {
      const disks = await disksAt(4)
      const rows = new Map(disks.chain.rows)
      ledgerDamages[name]?.(disks)
      const town = restarted(disks)
      let repairs = 0
      town.mood.repair = async () => {
        repairs += 1
        disks.chain.rows.clear()
        for (const [key, row] of rows) disks.chain.rows.set(key, row)
      }
      await startAnyway(town, 5_000)
      expect([repairs, town.ended]).toEqual([1, undefined])
      expect(actions(town, 'rollback', 'failed')).toBe(0)
      expect(alerts(town, 'LedgerDamaged').length).toBeGreaterThan(0)
      expect(town.height).toBeGreaterThan(4)
    },
  )

  it('where it cannot be made again the node ends, as damaged data', async () => {
    const disks = await disksAt(3)
    ledgerDamages['a row is missing']?.(disks)
    const town = restarted(disks)
    await startAnyway(town)
    expect(town.ended).toMatchObject({ path: 'storage', fault: { code: 'LedgerDamaged' } })
    expect(town.ended && exitCauseOf(town.ended)).toBe('data')
    expect(actions(town, 'rollback', 'failed')).toBe(1)
  })
})
