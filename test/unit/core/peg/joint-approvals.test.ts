import type { MemberApproval, PegInClaim } from '../../../../core/block/index.ts'
import { ledgerRoot } from '../../../../core/ledger/index.ts'
import { Chance } from '../../../sim/chance.ts'
import { addressOf, approve, claimOf, depositOf, PegWorld } from './world.ts'

const DEPOSITS = 4
const ROUNDS = 60

type Item = { readonly claim: PegInClaim; readonly approval: MemberApproval }

describe('the approvals of a block are checked together (P 4.2)', () => {
  const world = new PegWorld()
  const { bitcoin, genesis } = world
  const deposits = Array.from({ length: DEPOSITS }, (_, at) =>
    depositOf(genesis, `user ${at}`, 1_000_000n),
  )
  bitcoin.mine(deposits)
  bitcoin.mine([], 2)
  world.syncHeaders()
  const items = deposits.map((deposit): Item => {
    const claim = claimOf(bitcoin, deposit)
    return { claim, approval: approve(genesis, claim) }
  })
  const [first, second] = items as [Item, Item]

  /** What a block with these items comes to; `genesis` says how signatures are checked. */
  function verdict(of: readonly Item[], changes = {}) {
    const proofs = of.map(({ claim }) => claim.proof)
    const pegIns = of.map(({ claim, approval }, at) => world.item(claim, approval, at))
    const begun = world.begin({ proofs, pegIns }, changes)
    return begun.ok ? { ledger: ledgerRoot(begun.value.ledger) } : begun.error
  }

  const flaws: readonly ((item: Item) => Item)[] = [
    ({ claim, approval }) => ({ claim, approval: { ...approval, signature: new Uint8Array(96) } }),
    ({ claim }) => ({ claim, approval: second.approval }),
    ({ claim }) => ({ claim, approval: approve(genesis, claim, [0, 1, 2], 1) }),
    ({ claim }) => ({ claim, approval: approve(genesis, claim, [0, 1]) }),
    ({ claim, approval }) => ({
      claim,
      approval: { ...approval, bitmap: approve(genesis, claim, [1, 2, 3]).bitmap },
    }),
    ({ claim, approval }) => ({
      claim: { ...claim, evmAddress: addressOf('mallory') },
      approval,
    }),
    ({ claim, approval }) => ({ claim: { ...claim, amountSat: 1n }, approval }),
  ]

  it('with any mix of wrong items the verdict is that of one after another (PI-5)', () => {
    const chance = new Chance(7, 'joint approvals')
    // No joint check ever holds, so every block is judged signature by signature.
    const single = {
      genesis: { ...genesis, signatures: { ...genesis.signatures, verifyEach: () => false } },
    }
    const seen = new Set<string>()
    for (let round = 0; round < ROUNDS; round++) {
      const mixed = items.map((item) => {
        const flaw = flaws[chance.between(0, 2 * flaws.length)]
        return flaw === undefined ? item : flaw(item)
      })
      const found = verdict(mixed)
      expect(found).toEqual(verdict(mixed, single))
      seen.add('code' in found ? found.code : 'valid')
    }
    expect(seen).toContain('valid')
    expect(seen).toContain('ApprovalSignatureWrong')
    expect(seen.size).toBeGreaterThan(4)
  })

  it('approvals that were exchanged, whose sum is right, are wrong', () => {
    const exchanged = [
      { claim: first.claim, approval: second.approval },
      { claim: second.claim, approval: first.approval },
    ]
    expect(verdict(exchanged)).toMatchObject({ code: 'ApprovalSignatureWrong' })
  })

  it('a right block asks for no signature by itself', () => {
    let singles = 0
    const verifyAggregate: typeof genesis.signatures.verifyAggregate = (...given) => {
      singles += 1
      return genesis.signatures.verifyAggregate(...given)
    }
    const signatures = { ...genesis.signatures, verifyAggregate }
    expect(verdict(items, { genesis: { ...genesis, signatures } })).toHaveProperty('ledger')
    expect(singles).toBe(0)
  })
})
