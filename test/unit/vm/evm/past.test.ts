/** State of past blocks, from what later blocks replaced. */
import fc from 'fast-check'
import { sha256, toHex } from '../../../../crypto/index.ts'
import { emptyAccount, encodeAccount } from '../../../../vm/evm/account.ts'
import { encodePast, findPast, pastView, type Replaced } from '../../../../vm/evm/past.ts'
import { MemoryState } from './memory-store.ts'

const addresses = [0, 1, 2, 3].map((index) => toHex(sha256(Uint8Array.of(index)).slice(0, 20)))
const slots = [0, 1, 2].map((index) => toHex(sha256(Uint8Array.of(index, 1))))
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

/** What each block writes: a balance (0: the account goes), or a slot (empty: cleared). */
const write = fc.record({
  address: fc.constantFrom(...addresses),
  slot: fc.option(fc.constantFrom(...slots)),
  value: fc.nat(5),
})

it('the state after any past block is what it was, accounts, slots and which slots there are', () => {
  fc.assert(
    fc.property(fc.array(fc.array(write, { maxLength: 8 }), { maxLength: 10 }), (blocks) => {
      const state = new MemoryState()
      const records: Uint8Array[] = []
      const snapshots = [snapshot(state)]
      for (const writes of blocks) {
        const accounts = new Map()
        const storage = new Map<string, Map<string, Uint8Array>>()
        for (const { address, slot, value } of writes) {
          if (slot === null) {
            accounts.set(
              address,
              value === 0 ? null : { ...emptyAccount(), balance: BigInt(value) },
            )
          } else {
            const held = storage.get(address) ?? new Map()
            storage.set(address, held.set(slot, value === 0 ? bytes('') : Uint8Array.of(value)))
          }
        }
        records.push(encodePast(replacedBy(state, accounts, storage)))
        state.apply({ accounts, storage, code: new Map(), nodes: new Map() })
        snapshots.push(snapshot(state))
      }
      for (const [height, expected] of snapshots.entries()) {
        expect(snapshot(pastView(state, height, records.slice(height)))).toEqual(expected)
      }
    }),
    { numRuns: 100 },
  )
})

it('a key that a block did not write is not in its record, in an empty one neither', () => {
  const key = Uint8Array.of(1, 2, 3)
  expect(findPast(encodePast([]), key)).toBeUndefined()
  const record = encodePast([{ key, value: Uint8Array.of(9) }])
  expect(findPast(record, Uint8Array.of(1, 2))).toBeUndefined()
  expect(findPast(record, key)).toEqual(Uint8Array.of(9))
})

it('a past view knows no later block and has no trie', () => {
  const state = new MemoryState()
  for (const height of [1, 2, 3]) state.hashes.set(height, Uint8Array.of(height))
  const view = pastView(state, 2, [encodePast([])])
  expect([view.blockHash(2), view.blockHash(3)]).toEqual([Uint8Array.of(2), undefined])
  expect(() => view.node('')).toThrow('trie')
})

function replacedBy(
  state: MemoryState,
  accounts: ReadonlyMap<string, unknown>,
  storage: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>,
): Replaced[] {
  const replaced: Replaced[] = []
  for (const address of accounts.keys()) {
    const before = state.account(address)
    replaced.push({ key: bytes(address), value: before ? encodeAccount(before) : bytes('') })
  }
  for (const [address, written] of storage) {
    for (const slot of written.keys()) {
      replaced.push({ key: bytes(address + slot), value: state.storage(address, slot) })
    }
  }
  return replaced
}

function snapshot(
  view: Pick<MemoryState, 'account' | 'storage' | 'slots'> | ReturnType<typeof pastView>,
) {
  return addresses.map((address) => ({
    balance: view.account(address)?.balance,
    values: slots.map((slot) => toHex(view.storage(address, slot))),
    slots: [...view.slots(address)].sort(),
  }))
}
