/** What every book of deposit addresses does. */
import type { DepositAddresses } from '../../actors/bridge/index.ts'

export const script = (fill: number) => Uint8Array.of(0x51, 32, ...new Uint8Array(32).fill(fill))
export const evmAddress = new Uint8Array(20).fill(7)

export interface OpenBook {
  readonly book: DepositAddresses
  close(): Promise<void>
}

/** `open` opens the same book again after each `close`. */
export function depositAddressesSuite(name: string, open: () => Promise<OpenBook>): void {
  describe(`the addresses that a node looks for, ${name}`, () => {
    it('are found by their script, also by the next process (PI-2)', async () => {
      const address = { epoch: 3, evmAddress, refundScript: Uint8Array.of(0, 20, 1, 2) }
      const first = await open()
      expect(first.book.find(script(1))).toBeUndefined()
      await first.book.watch(script(1), address)
      await first.book.watch(script(1), address)
      expect(first.book.find(script(1))).toEqual(address)
      await first.close()
      const second = await open()
      expect(second.book.find(script(1))).toEqual(address)
      expect(second.book.find(script(2))).toBeUndefined()
      await second.close()
    })
  })
}
