import { blockHash } from '../../../core/block/index.ts'
import { certifiedHeader, trustGenesis } from '../../../core/light/index.ts'
import type { BlsKeyPair } from '../../../crypto/index.ts'
import { contradicts, followHeaders, resumeLightClient } from '../../../governance/light-client.ts'
import { joiningKeys, Town } from '../core/chain/town.ts'
import { seeded, testGenesis } from '../core/peg/world.ts'
import { adding, approved } from '../core/validators/changes.ts'
import { HeaderChain } from './world.ts'

const genesis = testGenesis()

function chainOf(length: number): HeaderChain {
  const chain = new HeaderChain(genesis)
  for (let count = 0; count < length; count++) chain.commit()
  return chain
}

/** At block 0. */
function begun(over = genesis) {
  return resumeLightClient(over, trustGenesis(over))
}

describe('the light client (5.6)', () => {
  it('follows certified headers from the genesis file alone', () => {
    const chain = chainOf(4)
    const followed = followHeaders(begun(), chain.blocks.slice(1))
    if (!followed.ok) throw new Error(followed.error.code)
    expect(followed.value.head).toEqual(chain.head.header)
    expect(followed.value.headHash).toEqual(blockHash(chain.head.header))
    expect(followed.value.recent.map(({ height }) => height)).toEqual([0, 1, 2, 3, 4])
  })

  it('goes on from the header that it stored', () => {
    const chain = chainOf(4)
    const stored = chain.blocks[2]?.header
    if (stored === undefined) throw new Error('no header')
    const followed = followHeaders(
      resumeLightClient(genesis, { header: stored, nextValidators: genesis.validators }),
      chain.blocks.slice(3),
    )
    expect(followed.ok).toBe(true)
  })

  it('takes no certificate of fewer than q validators', () => {
    const chain = chainOf(1)
    const few = chain.certified(chain.ledger, {}, [0, 1])
    const refused = followHeaders(begun(), [...chain.blocks.slice(1), few])
    expect(refused).toMatchObject({ ok: false, error: { code: 'CertificateInvalid', height: 2 } })
  })

  it.each([
    ['a gap', { height: 9 }, 'HeightGap'],
    ['another parent', { parentHash: seeded('parent') }, 'ParentMismatch'],
    [
      'validators that the parent did not commit to',
      { validatorsHash: seeded('v') },
      'ValidatorSetMismatch',
    ],
    ['a slot that does not rise', { slot: 1 }, 'SlotNotRising'],
  ])('refuses %s', (_, changes, code) => {
    const chain = chainOf(2)
    const bad = chain.certified(chain.ledger, changes)
    const refused = followHeaders(begun(), [...chain.blocks.slice(1), bad])
    expect(refused).toMatchObject({ ok: false, error: { code } })
  })

  it('refuses a certificate of another block', () => {
    const chain = chainOf(2)
    const good = chain.certified(chain.ledger)
    const other = chain.certified(chain.ledger, { slot: good.header.slot + 3 })
    const mixed = { header: good.header, certificate: other.certificate }
    const refused = followHeaders(begun(), [...chain.blocks.slice(1), mixed])
    expect(refused).toMatchObject({ ok: false, error: { code: 'CertificateMismatch' } })
  })

  it('does not follow a set that it does not know', () => {
    const chain = new HeaderChain(genesis)
    chain.commit(chain.ledger, { nextValidatorsHash: seeded('next') })
    chain.commit(chain.ledger, { validatorsHash: seeded('next') })
    const refused = followHeaders(begun(), chain.blocks.slice(1))
    expect(refused).toMatchObject({ ok: false, error: { code: 'ValidatorSetUnknown', height: 1 } })
  })

  it('a header in the middle that nobody certified cannot hide under a good last one', () => {
    const chain = chainOf(3)
    const [, first, second, third] = chain.blocks
    if (first === undefined || second === undefined || third === undefined) throw new Error('short')
    const forged = { ...second, header: { ...second.header, ledgerRoot: seeded('forged') } }
    const refused = followHeaders(begun(), [first, forged, third])
    expect(refused).toMatchObject({ ok: false, error: { code: 'ParentMismatch', height: 3 } })
  })

  it('knows two certified blocks of one height when it sees them (2.7)', () => {
    const chain = chainOf(2)
    const followed = followHeaders(begun(), chain.blocks.slice(1))
    if (!followed.ok) throw new Error(followed.error.code)
    const other = chainOf(1)
    const twin = other.certified(other.ledger, { slot: chain.head.header.slot + 5 })
    expect(contradicts(followed.value, twin)).toBe(true)
    expect(contradicts(followed.value, chain.head)).toBe(false)
    const uncertified = { ...twin, certificate: chain.head.certificate }
    expect(contradicts(followed.value, uncertified)).toBe(false)
  })
})

describe('BF-13: members follow changes of the validators', () => {
  it('by the set that travels with the header that announces it, over a restart as well', async () => {
    const town = await Town.open()
    const change = adding(town.head.ledger, joiningKeys[0] as BlsKeyPair)
    await town.grow({ validatorChanges: [approved(town.genesis, change)] })
    for (let count = 0; count < 4; count++) await town.grow()
    const items = town.chain.map(({ block, certificate }) =>
      certifiedHeader(block.header, certificate, town.head.ledger),
    )
    expect(items.map(({ nextValidators }) => nextValidators?.length)).toEqual([
      undefined,
      5,
      undefined,
      undefined,
      undefined,
    ])
    const all = followHeaders(begun(town.genesis), items)
    if (!all.ok) throw new Error(all.error.code)
    expect(all.value.nextValidators).toHaveLength(5)
    const some = followHeaders(begun(town.genesis), items.slice(0, 2))
    if (!some.ok) throw new Error(some.error.code)
    const { head: header, nextValidators } = some.value
    const resumed = resumeLightClient(town.genesis, { header, nextValidators })
    expect(followHeaders(resumed, items.slice(2)).ok).toBe(true)
    const hidden = items.map(({ nextValidators: _, ...item }) => item)
    expect(followHeaders(begun(town.genesis), hidden)).toMatchObject({
      error: { code: 'ValidatorSetUnknown', height: 2 },
    })
  })
})
