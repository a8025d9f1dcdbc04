import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDepositAddresses } from '../../node/adapters/deposit-addresses/index.ts'
import { AddressDisk } from '../sim/addresses.ts'
import { depositAddressesSuite, evmAddress, script } from './deposit-addresses-suite.ts'
import { RunningWorld } from './running-world.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-addresses-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

depositAddressesSuite('on disk', async () => {
  const book = openDepositAddresses(join(directory, 'book'))
  return { book, close: () => book.close() }
})

describe('simulated', () => {
  let running: RunningWorld
  let disk: AddressDisk
  beforeEach(() => {
    running = new RunningWorld()
    disk = new AddressDisk(running.world.chance('addresses'))
  })
  afterEach(() => running.stop())

  depositAddressesSuite('simulated', async () => {
    const life = running.life()
    return { book: disk.book(life), close: async () => life.end() }
  })
})

describe('the addresses on disk', () => {
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
