/** Protocol §2.1: a block's hash covers its body. Who puts another body under a genuine header must neither halt nor divide. */
import { type Block, BlockBodyType } from '../../../../core/block/index.ts'
import { invalid } from '../../../../core/params/index.ts'
import { verifyConsensusMessage } from '../../../../core/pbft/index.ts'
import { Desk, freshBlock, HEIGHT, kinds, only, votesIn } from './desk.ts'
import { certificateBy, fakeSuite, GENESIS_HASH, hashOf, proposalBy, voteBy } from './fixtures.ts'

function voter(): Desk {
  const desk = new Desk({ self: 0 })
  desk.start()
  return desk
}

/** The same header and signature over a body that the header does not name. */
function withOtherBody(block: Block): Block {
  const body = BlockBodyType.defaultValue()
  body.payload.gasUsed = 4_711
  return { ...block, body }
}

function certified(block: Block) {
  return certificateBy([1, 2, 3], 4, 'commit', HEIGHT, 0, hashOf(block))
}

describe('a body that the header does not name (2.1)', () => {
  it('in a PrePrepare it is refused, and the genuine block is prepared when it comes', () => {
    const desk = voter()
    const block = freshBlock(0)
    const forged = desk.hear(proposalBy(1, 0, withOtherBody(block)), 'liar')
    expect(only(forged, 'punish')).toMatchObject([{ peer: 'liar', blame: 'peer' }])
    expect(only(forged, 'validate')).toEqual([])
    const [asked] = only(desk.hear(proposalBy(1, 0, block)), 'validate')
    expect(asked?.block).toBe(block)
    expect(votesIn(desk.found(block))).toEqual(['prepare 0'])
  })

  it('beside a genuine certificate it halts nobody; the block is fetched and committed', () => {
    const desk = voter()
    const block = freshBlock(0)
    const certificate = certified(block)
    const forged = desk.hear(
      { kind: 'committedBlock', value: { block: withOtherBody(block), certificate } },
      'liar',
    )
    expect(kinds(forged)).toEqual(expect.arrayContaining(['punish', 'fetchBlock']))
    expect(only(forged, 'validate')).toEqual([])
    const verdict = invalid('WrongBodyRoot')
    const judged = desk.tell({ kind: 'validated', hash: hashOf(block), verdict })
    expect(only(judged, 'halt')).toEqual([])
    desk.hear({ kind: 'committedBlock', value: { block, certificate } })
    expect(only(desk.found(block), 'commit')).toHaveLength(1)
  })

  it('as the answer to a fetch it is refused and the block stays wanted', () => {
    const desk = voter()
    const block = freshBlock(0)
    for (const one of [1, 2, 3]) desk.hear(voteBy(one, 'commit', HEIGHT, 0, hashOf(block)))
    const answer = { kind: 'blockFetched', block: withOtherBody(block), from: 'liar' } as const
    expect(only(desk.tell(answer), 'punish')).toMatchObject([{ peer: 'liar' }])
    desk.tell({ kind: 'blockFetched', block, from: 'peer' })
    expect(only(desk.found(block), 'commit')).toHaveLength(1)
  })

  it('is seen before anything is relayed (2.10)', () => {
    const block = freshBlock(0)
    const config = { genesisHash: GENESIS_HASH }
    const value = { block: withOtherBody(block), certificate: certified(block) }
    for (const message of [
      proposalBy(1, 0, withOtherBody(block)),
      { kind: 'committedBlock', value } as const,
    ]) {
      expect(verifyConsensusMessage(fakeSuite, config, message)).toMatchObject({ kind: 'invalid' })
    }
  })
})
