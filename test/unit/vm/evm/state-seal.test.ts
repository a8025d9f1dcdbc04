import fc from 'fast-check'
import { toHex, uint32be } from '../../../../crypto/index.ts'
import { type AccountRecord, emptyAccount } from '../../../../vm/evm/account.ts'
import { EMPTY_BYTES, StateSeal, sealState } from '../../../../vm/evm/state.ts'
import { StateJournal } from '../../../../vm/evm/state-journal.ts'
import { MemoryState } from './memory-store.ts'

const ADDRESSES = 6
const SLOTS = 8

type Step =
  | { readonly kind: 'pay'; readonly to: number; readonly wei: bigint }
  | { readonly kind: 'store'; readonly at: number; readonly slot: number; readonly value: number }
  | { readonly kind: 'die'; readonly who: number }
  | { readonly kind: 'absorb' }

const who = fc.nat(ADDRESSES - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('pay' as const), to: who, wei: fc.bigInt(0n, 9n) }),
  fc.record({
    kind: fc.constant('store' as const),
    at: who,
    slot: fc.nat(SLOTS - 1),
    value: fc.nat(3),
  }),
  fc.record({ kind: fc.constant('die' as const), who }),
  fc.constant({ kind: 'absorb' as const }),
)
const blocks = fc.array(fc.array(step, { maxLength: 40 }), { minLength: 1, maxLength: 5 })

const addressHex = (index: number) => toHex(uint32be(index + 1)).padStart(40, '0')
const slotHex = (index: number) => toHex(uint32be(index)).padStart(64, '0')

function apply(journal: StateJournal, made: Exclude<Step, { kind: 'absorb' }>): void {
  if (made.kind === 'die') journal.deleteAccount(addressHex(made.who))
  else if (made.kind === 'store') {
    const at = addressHex(made.at)
    // Storage without an account is nothing that execution leaves behind.
    if (journal.account(at) === undefined) journal.setAccount(at, funded(undefined, 1n))
    const value = made.value === 0 ? EMPTY_BYTES : Uint8Array.of(made.value)
    journal.setStorage(at, slotHex(made.slot), value)
  } else {
    const to = addressHex(made.to)
    journal.setAccount(to, funded(journal.account(to), made.wei))
  }
}

function funded(account: AccountRecord | undefined, wei: bigint): AccountRecord {
  const before = account ?? emptyAccount()
  return { ...before, balance: before.balance + wei }
}

it('a state that was absorbed piece by piece has the root, the records and the nodes of one that was sealed at once', () => {
  fc.assert(
    fc.property(blocks, (history) => {
      const once = new MemoryState()
      const pieces = new MemoryState()
      for (const steps of history) {
        const whole = new StateJournal(once)
        const journal = new StateJournal(pieces)
        const seal = new StateSeal(pieces)
        for (const made of steps) {
          if (made.kind === 'absorb') seal.absorb(journal.changes())
          else {
            apply(whole, made)
            apply(journal, made)
          }
        }
        const expected = sealState(once, whole.changes())
        const sealed = seal.seal(journal.changes())
        expect(toHex(sealed.root)).toBe(toHex(expected.root))
        expect(sealed.delta.accounts).toEqual(expected.delta.accounts)
        once.apply(expected.delta)
        pieces.apply(sealed.delta)
        expect(pieces.nodes).toEqual(once.nodes)
      }
    }),
    { numRuns: 300 },
  )
})
