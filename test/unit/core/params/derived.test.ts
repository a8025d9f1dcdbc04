import { Derived } from '../../../../core/params/index.ts'
import { changeOutput, federationKey, NO_KEYS } from '../../../../core/peg/index.ts'
import { testGenesis } from '../peg/world.ts'

describe('what is derived from a value', () => {
  it('is computed once per value and name', () => {
    const derived = new Derived()
    const [one, other] = [{}, {}]
    const computed: string[] = []
    const ask = (from: object, name: string) =>
      derived.of(from, name, () => {
        computed.push(name)
        return undefined
      })
    for (let round = 0; round < 3; round++) {
      ask(one, 'a')
      ask(one, 'b')
      ask(other, 'a')
    }
    expect(computed).toEqual(['a', 'b', 'a'])
  })

  it('a changed copy of a genesis derives its own', () => {
    const genesis = testGenesis()
    const before = changeOutput(genesis, 0)
    expect(changeOutput(genesis, 0)).toBe(before)
    expect(federationKey(genesis, 1, NO_KEYS)).not.toEqual(federationKey(genesis, 0))
    const few = { ...genesis, members: genesis.members.slice(1) }
    expect(changeOutput(few, 0).leafA).not.toEqual(before.leafA)
    expect(changeOutput(few, 0).scriptPubKey).not.toEqual(before.scriptPubKey)
    expect(changeOutput(genesis, 0)).toBe(before)
  })
})
