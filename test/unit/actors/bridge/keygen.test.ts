/** Parts in the making of a key that wait for a block (protocol §5.1). */
import type { BridgeContext } from '../../../../actors/bridge/context.ts'
import { keyCalled, keygenArrived, keygenFinalized } from '../../../../actors/bridge/keygen.ts'
import type { KeygenItem } from '../../../../core/block/index.ts'
import { Ceremony } from '../../core/keygen/ceremony.ts'
import { testGenesis } from '../../core/peg/world.ts'
import { bridgeContext } from './context.ts'

const genesis = testGenesis()

function contextOf({ height, ledger }: Ceremony): BridgeContext {
  return bridgeContext(genesis, { ledger, height })
}

describe('the pool of what members said for a key', () => {
  it('takes what the next block can carry, once, and tells Chain', () => {
    const ceremony = new Ceremony(genesis)
    const item = ceremony.package(2)
    const taken = keygenArrived(contextOf(ceremony), 1, item)
    expect([...taken.context.keygen.values()]).toEqual([item])
    expect(taken.effects).toHaveLength(1)
    expect(keygenArrived(taken.context, 1, item).effects).toBeUndefined()
  })

  it('takes nothing that a member says for another', () => {
    const ceremony = new Ceremony(genesis)
    expect(keygenArrived(contextOf(ceremony), 2, ceremony.package(2)).context.keygen.size).toBe(0)
  })

  it('looks at one wrong item of a member per block, and at the others all the same', () => {
    const ceremony = new Ceremony(genesis)
    const good = ceremony.package(1)
    const bad = { ...good, signature: new Uint8Array(64) }
    const refused = keygenArrived(contextOf(ceremony), 0, bad).context
    expect(refused.keygen.size).toBe(0)
    expect(keygenArrived(refused, 0, good).context.keygen.size).toBe(0)
    expect(keygenArrived(refused, 1, ceremony.package(2)).context.keygen.size).toBe(1)
    expect(keygenArrived({ ...refused, height: 1 }, 0, good).context.keygen.size).toBe(1)
  })

  it('forgets what a block carried and what no block can carry any more', () => {
    const ceremony = new Ceremony(genesis)
    const [first, second] = [ceremony.package(1), ceremony.package(2)]
    const one = keygenArrived(contextOf(ceremony), 0, first).context
    const both = keygenArrived(one, 1, second).context
    ceremony.block([first])
    const left = keygenFinalized({ ...both, ledger: ceremony.ledger, height: 1 })
    expect([...left.context.keygen.values()]).toEqual([second])
    ceremony.block([second, ceremony.package(3), ceremony.package(4)])
    const over = keygenFinalized({ ...left.context, ledger: ceremony.ledger, height: 2 })
    expect(over.context.keygen.size).toBe(0)
  })
})

describe('a call for the next key that anybody may carry (P 5.8; PO-19)', () => {
  function calling() {
    const ceremony = new Ceremony(genesis)
    ceremony.toKey()
    ceremony.epoch = 2
    const about = { envelope: {}, nowMs: 0 } as Parameters<typeof keyCalled>[2]
    const call = (context: BridgeContext, item: KeygenItem) => {
      const step = keyCalled(context, item, about)
      const reply = step.effects?.find((effect) => 'kernel' in effect && effect.kernel === 'reply')
      const { message } = reply as unknown as { message: { type: string; payload: unknown } }
      return { context: step.context, ...message }
    }
    return { ceremony, call }
  }

  it('waits for a block and is told to Chain', () => {
    const { call, ceremony } = calling()
    const item = ceremony.call(3)
    const taken = call(contextOf(ceremony), item)
    expect(taken).toMatchObject({ type: 'bridge.KeyCallTaken', payload: { epoch: 2 } })
    expect([...taken.context.keygen.values()]).toEqual([item])
  })

  it('is refused with its reason and leaves no trace: a stranger cannot keep a member from speaking', () => {
    const { call, ceremony } = calling()
    const before = contextOf(ceremony)
    const code = (item: KeygenItem) => {
      const refused = call(before, item)
      expect(refused.type).toBe('bridge.KeyCallRefused')
      expect(refused.context).toBe(before)
      return (refused.payload as { code: string }).code
    }
    expect(code({ ...ceremony.call(3), signature: new Uint8Array(64) })).toBe(
      'KeygenSignatureWrong',
    )
    expect(code(ceremony.call(3, ceremony.height))).toBe('KeygenCallOver')
    expect(code(ceremony.package(3))).toBe('KeygenStageWrong')
  })
})
