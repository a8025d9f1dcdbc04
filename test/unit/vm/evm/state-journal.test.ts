import { toHex } from '../../../../crypto/index.ts'
import { emptyAccount } from '../../../../vm/evm/account.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import { EMPTY_STATE, type StateView } from '../../../../vm/evm/state.ts'
import { StateJournal } from '../../../../vm/evm/state-journal.ts'

/** A store as on disk: what is read is a copy, each time. */
function store(codes: readonly Uint8Array[]) {
  let reads = 0
  const byHash = new Map(codes.map((code) => [toHex(keccak256(code)), code]))
  const view: StateView = {
    ...EMPTY_STATE,
    code(hashHex) {
      reads += 1
      return byHash.get(hashHex)?.slice()
    },
  }
  const account = (code: Uint8Array) => ({ ...emptyAccount(), codeHash: keccak256(code) })
  return { view, account, reads: () => reads }
}

const codeOf = (seed: number, bytes = 24_576) => {
  const code = new Uint8Array(bytes)
  new DataView(code.buffer).setUint32(0, seed)
  return code
}

describe('BP-6: what a call costs', () => {
  it('code is read once: the same bytes again, in the next block too', () => {
    const code = codeOf(1)
    const { view, account, reads } = store([code])
    const journal = new StateJournal(view)
    const first = journal.code(account(code))
    expect(first).toEqual(code)
    expect(journal.code(account(code))).toBe(first)
    journal.begin(view)
    expect(journal.code(account(code))).toBe(first)
    expect(reads()).toBe(1)
  })

  it('no more than 16 MiB of code are kept, and the oldest goes', () => {
    const codes = Array.from({ length: 700 }, (_, seed) => codeOf(seed))
    const { view, account, reads } = store(codes)
    const journal = new StateJournal(view)
    for (const code of codes) journal.code(account(code))
    expect(reads()).toBe(700)
    journal.code(account(codes[699] as Uint8Array))
    expect(reads()).toBe(700)
    journal.code(account(codes[0] as Uint8Array))
    expect(reads()).toBe(701)
  })

  it('code that a state does not have is missed, and not remembered as missing', () => {
    const code = codeOf(1)
    const { view, account } = store([code])
    const journal = new StateJournal(EMPTY_STATE)
    expect(() => journal.code(account(code))).toThrow('is missing')
    journal.begin(view)
    expect(journal.code(account(code))).toEqual(code)
  })
})
