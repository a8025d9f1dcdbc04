/** C-2: what a node cannot judge now is no vote against, costs nobody anything, is not kept, and is judged again. */
import { type Block, type PrePrepare, voteMessage } from '../../../../core/block/index.ts'
import { proposerIndex } from '../../../../core/pbft/index.ts'
import { type BlsKeyPair, blsSign } from '../../../../crypto/index.ts'
import { certify, validatorKeys } from '../../core/chain/town.ts'
import { ChainStage } from './stage.ts'

let stage: ChainStage
beforeEach(async () => {
  // Two places after the proposer: it votes on another's block.
  stage = await ChainStage.open(2)
  await stage.start()
})
afterEach(() => stage.stop())

async function proposal(): Promise<PrePrepare> {
  const { town } = stage
  const { block, head } = await town.make()
  const keys = validatorKeys[proposerIndex(town.head.header.slot, 0, 4)] as BlsKeyPair
  const message = voteMessage(town.genesis.hash, 'proposal', 1, 0, head.hash)
  const signature = blsSign(keys.secretKey, message)
  return { height: 1, view: 0, block, certificate: [], signature }
}

const receive = (value: PrePrepare) =>
  stage.tell({
    type: 'chain.ConsensusMessageReceived',
    payload: { message: { kind: 'prePrepare', value }, peer: 'peer', verified: true },
  })

/** What was told to others, by type. */
const told = (type: string) => stage.told.filter((message) => message.type === type)

describe('C-2: Unknown', () => {
  it('a proposal that the engine cannot execute gets no vote, its sender no penalty, and nothing is stored', async () => {
    const value = await proposal()
    stage.engineAnswers = false
    await stage.toSlot(value.block.header.slot)
    stage.told.length = 0
    await receive(value)
    expect(told('engine.ExecutePayload')).toHaveLength(1)
    expect(told('network.PropagateBlock')).toEqual([])
    expect(told('network.PenalizePeer')).toEqual([])
    expect(told('storage.PersistBlock')).toEqual([])
  })

  it('the same proposal is voted for when the engine answers', async () => {
    const value = await proposal()
    await stage.toSlot(value.block.header.slot)
    await receive(value)
    const votes = told('network.PropagateBlock').map(
      ({ payload }) => (payload as { message: { kind: string } }).message.kind,
    )
    expect(votes).toContain('vote')
    expect(told('network.PenalizePeer')).toEqual([])
  })

  it('a batch of Sync that cannot be executed now blames nobody, is not stored, and is taken later', async () => {
    const { block, head } = await stage.town.make()
    const committed = {
      block: block as Block,
      certificate: certify(stage.town.genesis, 1, head.hash),
    }
    stage.engineAnswers = false
    const refused = await stage.give(committed)
    expect(refused).toMatchObject({ height: 0, fault: 'local', code: 'EngineUnavailable' })
    expect(told('storage.PersistBlockBatch')).toEqual([])
    expect(told('network.PenalizePeer')).toEqual([])
    stage.engineAnswers = true
    expect(await stage.give(committed)).toEqual({ height: 1 })
    expect(told('storage.PersistBlockBatch')).toHaveLength(1)
  })
})
