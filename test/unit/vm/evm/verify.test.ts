import { sha256, toHex } from '../../../../crypto/index.ts'
import { emptyAccount } from '../../../../vm/evm/account.ts'
import { keccak256, verifyState } from '../../../../vm/evm/index.ts'
import { type StateChanges, sealState } from '../../../../vm/evm/state.ts'
import { MemoryState } from './memory-store.ts'

const hashOf = (text: string) => toHex(sha256(new TextEncoder().encode(text)))
const addressOf = (at: number) => hashOf(`account ${at}`).slice(0, 40)

/** A state of accounts with storage and code, and its root. */
function stateOf(count: number) {
  const state = new MemoryState()
  const changes: StateChanges & { accounts: Map<string, ReturnType<typeof emptyAccount>> } = {
    accounts: new Map(),
    storage: new Map(),
    code: new Map(),
  }
  const storage = changes.storage as Map<string, Map<string, Uint8Array>>
  const code = changes.code as Map<string, Uint8Array>
  for (let at = 0; at < count; at++) {
    const bytes = Uint8Array.of(at, 1, 2)
    const codeHash = keccak256(bytes)
    const withCode = at % 3 === 0
    if (withCode) code.set(toHex(codeHash), bytes)
    const account = { ...emptyAccount(), nonce: BigInt(at), balance: 5n }
    changes.accounts.set(addressOf(at), withCode ? { ...account, codeHash } : account)
    const slots = new Map<string, Uint8Array>()
    for (let slot = 0; slot < at % 5; slot++) {
      slots.set(hashOf(`slot ${at} ${slot}`), Uint8Array.of(slot + 1))
    }
    storage.set(addressOf(at), slots)
  }
  const { root, delta } = sealState(state, changes)
  state.apply(delta)
  return { state, root, verify: () => verifyState(sourceOf(state), root) }
}

const sourceOf = (state: MemoryState) => ({
  view: () => state,
  accounts: () => state.accounts.keys(),
})

describe('verifyState', () => {
  it.each([0, 1, 2, 40])('flat state of %i accounts has its root', (count) => {
    const slots = Array.from({ length: count }, (_, at) => at % 5).reduce((sum, n) => sum + n, 0)
    expect(stateOf(count).verify()).toEqual({ ok: true, accounts: count, slots })
  })

  it('another root is not the one of the state', () => {
    const { state } = stateOf(7)
    expect(verifyState(sourceOf(state), new Uint8Array(32))).toMatchObject({ ok: false })
  })

  it('finds any account, slot, code or node that is gone, changed or too many', () => {
    const damages: ((state: MemoryState) => void)[] = []
    const { state: whole } = stateOf(10)
    for (const [key, account] of whole.accounts) {
      damages.push((state) => state.accounts.delete(key))
      damages.push((state) => state.accounts.set(key, { ...account, balance: 6n }))
    }
    damages.push((state) => state.accounts.set('11'.repeat(20), emptyAccount()))
    for (const [key, slots] of whole.values) {
      for (const slot of slots.keys()) {
        damages.push((state) => state.values.get(key)?.delete(slot))
        damages.push((state) => state.values.get(key)?.set(slot, Uint8Array.of(99)))
      }
      damages.push((state) => state.values.get(key)?.set(hashOf('other'), Uint8Array.of(1)))
    }
    for (const key of whole.codes.keys()) {
      damages.push((state) => state.codes.delete(key))
      damages.push((state) => state.codes.set(key, Uint8Array.of(1)))
    }
    for (const [path, node] of whole.nodes) {
      damages.push((state) => state.nodes.delete(path))
      const flipped = Uint8Array.from(node)
      flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1
      damages.push((state) => state.nodes.set(path, flipped))
    }
    for (const damage of damages) {
      const { state, verify } = stateOf(10)
      damage(state)
      expect(verify()).toMatchObject({ ok: false, reason: expect.any(String) })
    }
  })
})
