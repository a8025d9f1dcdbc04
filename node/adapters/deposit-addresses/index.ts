/**
 * Deposit addresses that this node gave out (protocol §5.3), by their script: what it looks for in Bitcoin's blocks. For discovery
 * only: whatever is not in here can still be claimed by its fields. One LMDB environment; an address is on disk before its user
 * hears of it.
 */
import { type Database, open, type RootDatabase } from 'lmdb'
import type { DepositAddresses } from '../../../actors/bridge/index.ts'
import type { OwnAddress } from '../../../core/peg/index.ts'
import { concatBytes, uint64be } from '../../../crypto/index.ts'

export interface DepositAddressBook extends DepositAddresses {
  close(): Promise<void>
}

/** Some 200 MB; the oldest give way, and can be claimed. */
const MAX_ADDRESSES = 1_000_000
const EVM_OFFSET = 8
const REFUND_OFFSET = EVM_OFFSET + 20

export function openDepositAddresses(
  directory: string,
  maxAddresses = MAX_ADDRESSES,
): DepositAddressBook {
  return new LmdbAddresses(directory, maxAddresses)
}

class LmdbAddresses implements DepositAddressBook {
  readonly #root: RootDatabase
  /** By script. */
  readonly #rows: Database<Uint8Array, Uint8Array>
  /** Scripts by number, in the order in which they were given out. */
  readonly #order: Database<Uint8Array, number>
  readonly #maxAddresses: number

  constructor(path: string, maxAddresses: number) {
    this.#maxAddresses = maxAddresses
    this.#root = open({ path, maxDbs: 2, overlappingSync: false })
    this.#rows = this.#root.openDB({ name: 'rows', encoding: 'binary', keyEncoding: 'binary' })
    this.#order = this.#root.openDB({ name: 'order', encoding: 'binary' })
  }

  find(scriptPubKey: Uint8Array): OwnAddress | undefined {
    const row = this.#rows.get(scriptPubKey)
    if (row === undefined || row.length < REFUND_OFFSET) return undefined
    const bytes = Uint8Array.from(row)
    const epoch = Number(new DataView(bytes.buffer).getBigUint64(0))
    const evmAddress = bytes.slice(EVM_OFFSET, REFUND_OFFSET)
    return { epoch, evmAddress, refundScript: bytes.slice(REFUND_OFFSET) }
  }

  async watch(
    scriptPubKey: Uint8Array,
    { epoch, evmAddress, refundScript }: OwnAddress,
  ): Promise<void> {
    const row = concatBytes(uint64be(epoch), evmAddress, refundScript)
    await this.#root.transaction(() => {
      if (this.#rows.doesExist(scriptPubKey)) return
      const [first] = this.#order.getKeys({ limit: 1 })
      const [last] = this.#order.getKeys({ limit: 1, reverse: true })
      const next = (last ?? -1) + 1
      if (first !== undefined && next - first >= this.#maxAddresses) {
        this.#rows.removeSync(this.#order.get(first) as Uint8Array)
        this.#order.removeSync(first)
      }
      this.#rows.putSync(scriptPubKey, row)
      this.#order.putSync(next, scriptPubKey)
    })
    await this.#root.flushed
  }

  close(): Promise<void> {
    return this.#root.close()
  }
}
