import { createEVM, type EVM } from '@ethereumjs/evm'
import { Account, Address } from '@ethereumjs/util'
import fc from 'fast-check'
import { toHex } from '../../../../crypto/index.ts'
import { AccessJournal } from '../../../../vm/evm/access-journal.ts'
import { EMPTY_STATE } from '../../../../vm/evm/state.ts'
import { StateJournal } from '../../../../vm/evm/state-journal.ts'
import { FlatStateManager } from '../../../../vm/evm/state-manager.ts'

const ADDRESSES = [1, 2, 3].map((last) => new Uint8Array(20).fill(last, 19))
const SLOTS = [4, 5].map((last) => new Uint8Array(32).fill(last, 31))

/** The library's own, which ours stands in for, on the same kind of state. */
async function pair() {
  const [state, other] = [new StateJournal(EMPTY_STATE), new StateJournal(EMPTY_STATE)]
  const { journal: library } = await createEVM({ stateManager: new FlatStateManager(other) })
  const ours = new AccessJournal(state) as unknown as EVM['journal']
  return { ours, library, state, other }
}

const address = fc.constantFrom(...ADDRESSES)
const slot = fc.constantFrom(...SLOTS)
const step = fc.oneof(
  fc.constant(['checkpoint'] as const),
  fc.constant(['commit'] as const),
  fc.constant(['revert'] as const),
  fc.tuple(fc.constant('warm' as const), address),
  fc.tuple(fc.constant('warmSlot' as const), address, slot),
  fc.tuple(fc.constant('put' as const), address, fc.bigInt(0n, 1n)),
  fc.tuple(fc.constant('delete' as const), address),
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

async function take(journal: EVM['journal'], what: Step, depth: number) {
  switch (what[0]) {
    case 'checkpoint':
      await journal.checkpoint()
      return depth + 1
    case 'commit':
    case 'revert':
      if (depth === 0) return depth
      await journal[what[0]]()
      return depth - 1
    case 'warm':
      journal.addWarmedAddress(what[1])
      return depth
    case 'warmSlot':
      journal.addWarmedStorage(what[1], what[2])
      return depth
    case 'put':
      await journal.putAccount(new Address(what[1]), new Account(0n, what[2]))
      return depth
    default:
      await journal.deleteAccount(new Address(what[1]))
      return depth
  }
}

function warmth(journal: EVM['journal']) {
  return ADDRESSES.map((at) => [
    journal.isWarmedAddress(at),
    ...SLOTS.map((key) => journal.isWarmedStorage(at, key)),
  ])
}

describe('what a transaction touched and made warm (EIP-161, 2929)', () => {
  it('is after any sequence of steps what the library says, and so is the state', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { ours, library, state, other } = await pair()
        for (const journal of [ours, library])
          journal.addAlwaysWarmAddress(toHex(ADDRESSES[0] as Uint8Array))
        let depth = 0
        for (const what of steps) {
          await take(ours, what, depth)
          depth = await take(library, what, depth)
          expect(warmth(ours)).toEqual(warmth(library))
        }
        for (; depth > 0; depth -= 1) await Promise.all([ours.commit(), library.commit()])
        await Promise.all([ours.cleanup(), library.cleanup()])
        for (const at of ADDRESSES)
          expect(state.account(toHex(at))).toEqual(other.account(toHex(at)))
        expect(warmth(ours)).toEqual(warmth(library))
      }),
      { numRuns: 200 },
    )
  })

  it('is listed where somebody asked, once, with slots; what is always warm only where it says so', async () => {
    const { ours, library } = await pair()
    const [first, second, third] = ADDRESSES as [Uint8Array, Uint8Array, Uint8Array]
    for (const journal of [ours, library]) {
      journal.startReportingAccessList()
      journal.addAlwaysWarmAddress(toHex(first))
      journal.addAlwaysWarmSlot(toHex(second), toHex(SLOTS[0] as Uint8Array), true)
      journal.addWarmedAddress(third)
      journal.addWarmedStorage(third, SLOTS[1] as Uint8Array)
      journal.addWarmedStorage(third, SLOTS[1] as Uint8Array)
    }
    expect(ours.accessList).toEqual(library.accessList)
    expect([...(ours.accessList?.keys() ?? [])]).toEqual([toHex(second), toHex(third)])
  })
})
