import { hexBytes, toHex } from '../../../../crypto/index.ts'
import { emptyAccount } from '../../../../vm/evm/account.ts'
import { genesisBlock, gethGenesis, sealState } from '../../../../vm/evm/index.ts'
import { EMPTY_STATE } from '../../../../vm/evm/state.ts'
import { StateJournal } from '../../../../vm/evm/state-journal.ts'
import { genesis } from './fixtures.ts'

type Account = { nonce: string; balance: string; code: string; storage?: Record<string, string> }

describe('block 0 for other execution clients', () => {
  const file = gethGenesis(genesis) as Record<string, string> & {
    config: Record<string, unknown>
    alloc: Record<string, Account>
  }

  it('6.1: its accounts have the state root of our block 0', () => {
    const state = new StateJournal(EMPTY_STATE)
    for (const [address, { nonce, balance, code, storage }] of Object.entries(file.alloc)) {
      const key = address.slice(2)
      state.setAccount(key, { ...emptyAccount(), nonce: BigInt(nonce), balance: BigInt(balance) })
      state.setCode(key, hexBytes(code.slice(2)))
      for (const [slot, value] of Object.entries(storage ?? {})) {
        state.setStorage(key, slot.slice(2), hexBytes(value.slice(2)))
      }
    }
    const { root } = sealState(EMPTY_STATE, state.changes())
    expect(toHex(root)).toBe(toHex(genesisBlock(genesis).payload.stateRoot))
  })

  it('6.1: it pins the one fork from block 0 on, and no deposit contract', () => {
    expect(file.config).toMatchObject({ chainId: genesis.chainId, pragueTime: 0, osakaTime: 0 })
    expect(file.config['depositContractAddress']).toBe(`0x${'00'.repeat(20)}`)
    expect(file).toMatchObject({ difficulty: '0x0', extraData: '0x', excessBlobGas: '0x0' })
    expect(Number(file['timestamp'])).toBe(genesis.timestamp)
    expect(BigInt(file['baseFeePerGas'] as string)).toBe(genesis.baseFeePerGas)
  })
})
