/** T12: whoever cannot look up what a block burned in fees has no opinion; nobody takes it for zero, and so for another ledger. */
import { alice, burn, EAGER } from '../../core/chain/journey.ts'
import { certify, type Made } from '../../core/chain/town.ts'
import { ChainStage } from './stage.ts'

/** A chain whose user has coins, on a node that has all of it, and a block with fees on top. */
async function openStage(place: number): Promise<{ stage: ChainStage; made: Made }> {
  const stage = await ChainStage.open(place, EAGER)
  const { town } = stage
  await stage.start()
  await town.grow({ queue: town.deposit('alice', 5_000_000n, alice.address) })
  await stage.toSlot(town.head.header.slot)
  expect(await stage.give(...town.chain)).toEqual({ height: 1 })
  await stage.tell({ type: 'sync.SyncCompleted', payload: { height: 1 } })
  const made = await town.make({ transactions: [burn(town, 0, 100_000n)] })
  expect(made.outcome.feesBurnedWei).toBeGreaterThan(0n)
  stage.told.length = 0
  return { stage, made }
}

const told = (stage: ChainStage, type: string) =>
  stage.told.filter((message) => message.type === type)

describe('T12: the fees of a block', () => {
  it('that an engine cannot tell leave the block unjudged: it is not stored, its sender not blamed, and taken when it can', async () => {
    const { stage, made } = await openStage(2)
    const certificate = certify(stage.town.genesis, 2, made.head.hash)
    const committed = { block: made.block, certificate }
    stage.engineAnswers = false
    expect(await stage.give(committed)).toMatchObject({ height: 1, fault: 'local' })
    expect(told(stage, 'storage.PersistBlockBatch')).toEqual([])
    expect(told(stage, 'network.PenalizePeer')).toEqual([])
    stage.engineAnswers = true
    expect(await stage.give(committed)).toEqual({ height: 2 })
    await stage.stop()
  })

  it('that a proposer’s engine cannot tell are in no block of its own: the slot is skipped', async () => {
    // One place on, since the chain is one block and one slot on.
    const { stage, made } = await openStage(1)
    stage.engineAnswers = false
    await stage.toSlot(made.block.header.slot)
    expect(told(stage, 'engine.BuildBlockRequest').length).toBeGreaterThan(0)
    expect(told(stage, 'network.PropagateBlock')).toEqual([])
    await stage.stop()
  })

  it('are in the ledger root: who takes them for zero has another one', async () => {
    const { stage, made } = await openStage(2)
    const { town } = stage
    expect(town.codeOf(made.block, made.outcome)).toBeUndefined()
    expect(town.codeOf(made.block, { ...made.outcome, feesBurnedWei: 0n })).toBe('WrongLedgerRoot')
    expect(made.head.ledger.state.feePoolWei).toBe(made.outcome.feesBurnedWei)
    await stage.stop()
  })
})
