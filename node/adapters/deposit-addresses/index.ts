/**
 * Deposit addresses that this node gave out (protocol §5.3), by their script: what it looks for in Bitcoin's blocks. For discovery
 * only: whatever is not in here can still be claimed by its fields. One LMDB environment; an address is on disk before its user
 * hears of it.
 */
import { open, type RootDatabase } from 'lmdb'
import type { DepositAddresses } from '../../../actors/bridge/index.ts'
import { concatBytes, uint64be } from '../../../crypto/index.ts'

export interface DepositAddressBook extends DepositAddresses {
  close(): Promise<void>
}

/** Some 200 MB. */
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
  readonly #rows: RootDatabase<Uint8Array, Uint8Array>

  readonly #maxAddresses: number

  constructor(path: string, maxAddresses: number) {
    this.#maxAddresses = maxAddresses
    this.#rows = open({ path, encoding: 'binary', keyEncoding: 'binary', overlappingSync: false })
  }

  find(scriptPubKey: Uint8Array) {
    const row = this.#rows.get(scriptPubKey)
    if (row === undefined || row.length < REFUND_OFFSET) return undefined
    const bytes = Uint8Array.from(row)
    const epoch = Number(new DataView(bytes.buffer).getBigUint64(0))
    const evmAddress = bytes.slice(EVM_OFFSET, REFUND_OFFSET)
    return { epoch, evmAddress, refundScript: bytes.slice(REFUND_OFFSET) }
  }

  async watch(
    scriptPubKey: Uint8Array,
    { epoch, evmAddress, refundScript }: NonNullable<ReturnType<DepositAddresses['find']>>,
  ): Promise<boolean> {
    if (this.#rows.doesExist(scriptPubKey)) return true
    const { entryCount } = this.#rows.getStats() as { readonly entryCount: number }
    if (entryCount >= this.#maxAddresses) return false
    await this.#rows.put(scriptPubKey, concatBytes(uint64be(epoch), evmAddress, refundScript))
    await this.#rows.flushed
    return true
  }

  close(): Promise<void> {
    return this.#rows.close()
  }
}
