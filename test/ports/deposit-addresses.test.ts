import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDepositAddresses } from '../../node/adapters/deposit-addresses/index.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-addresses-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const script = (fill: number) => Uint8Array.of(0x51, 32, ...new Uint8Array(32).fill(fill))
const evmAddress = new Uint8Array(20).fill(7)

describe('the addresses that a node looks for', () => {
  it('are found by their script, also by the next process (PI-2)', async () => {
    const address = { epoch: 3, evmAddress, refundScript: Uint8Array.of(0, 20, 1, 2) }
    const first = openDepositAddresses(join(directory, 'book'))
    expect(first.find(script(1))).toBeUndefined()
    await first.watch(script(1), address)
    await first.watch(script(1), address)
    expect(first.find(script(1))).toEqual(address)
    await first.close()
    const second = openDepositAddresses(join(directory, 'book'))
    expect(second.find(script(1))).toEqual(address)
    expect(second.find(script(2))).toBeUndefined()
    await second.close()
  })

  it('have a bound: the oldest give way, one for one, also where many are asked for at once (PI-2)', async () => {
    const book = openDepositAddresses(join(directory, 'book'), 2)
    const address = { epoch: 0, evmAddress, refundScript: new Uint8Array(0) }
    const all = [1, 2, 3, 4, 5]
    await Promise.all(all.map((fill) => book.watch(script(fill), address)))
    await book.watch(script(4), address)
    expect(all.filter((fill) => book.find(script(fill)) !== undefined)).toEqual([4, 5])
    await book.close()
  })
})
