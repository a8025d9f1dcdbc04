/** What a call may suppose: accounts and the block other than they are. Nothing of it is kept. */
import type { ExecutionPayload } from '../../../core/block/index.ts'
import { toHex } from '../../../crypto/index.ts'
import { emptyAccount } from '../account.ts'
import { keccak256 } from '../keccak.ts'
import type { BlockEnvironment } from '../run-transaction.ts'
import { EMPTY_BYTES, type StateView } from '../state.ts'

/** A slot and its word, 32 bytes each. */
export type SlotOverride = readonly [slot: Uint8Array, word: Uint8Array]

export type AccountOverride = {
  readonly address: Uint8Array
  readonly nonce?: bigint | undefined
  readonly balanceWei?: bigint | undefined
  readonly code?: Uint8Array | undefined
  /** The whole storage. */
  readonly state?: readonly SlotOverride[] | undefined
  /** Slots beside what is there. */
  readonly stateDiff?: readonly SlotOverride[] | undefined
}

export type BlockOverrides = {
  readonly number?: number | undefined
  readonly timestamp?: number | undefined
  readonly gasLimit?: number | undefined
  readonly baseFeeWei?: bigint | undefined
  readonly feeRecipient?: Uint8Array | undefined
  readonly prevRandao?: Uint8Array | undefined
}

export function overriddenView(
  below: StateView,
  overrides: readonly AccountOverride[] | undefined,
): StateView {
  if (overrides === undefined || overrides.length === 0) return below
  const accounts = new Map(overrides.map((override) => [toHex(override.address), override]))
  const codes = new Map<string, Uint8Array>()
  const slots = new Map<string, ReadonlyMap<string, Uint8Array>>()
  for (const [addressHex, { code, state, stateDiff }] of accounts) {
    if (code !== undefined && code.length > 0) codes.set(toHex(keccak256(code)), code)
    const words = [...(state ?? []), ...(stateDiff ?? [])]
    slots.set(addressHex, new Map(words.map(([slot, word]) => [toHex(slot), shortest(word)])))
  }
  return {
    ...below,
    account(addressHex) {
      const override = accounts.get(addressHex)
      const account = below.account(addressHex)
      if (override === undefined) return account
      const base = account ?? emptyAccount()
      return {
        ...base,
        nonce: override.nonce ?? base.nonce,
        balance: override.balanceWei ?? base.balance,
        codeHash: override.code === undefined ? base.codeHash : keccak256(override.code),
      }
    },
    storage(addressHex, slotHex) {
      const given = slots.get(addressHex)?.get(slotHex)
      if (given !== undefined) return given
      return accounts.get(addressHex)?.state === undefined
        ? below.storage(addressHex, slotHex)
        : EMPTY_BYTES
    },
    code: (codeHashHex) => codes.get(codeHashHex) ?? below.code(codeHashHex),
    slots(addressHex) {
      const given = slots.get(addressHex)
      if (given === undefined) return below.slots(addressHex)
      const own = accounts.get(addressHex)?.state === undefined ? below.slots(addressHex) : []
      return new Set([...own, ...given.keys()])
    },
    node: (path) => below.node(path),
    blockHash: (height) => below.blockHash(height),
  }
}

/** The block that a call runs in: the one whose state it reads, with what it supposes of it. */
export function environmentOf(
  block: ExecutionPayload,
  overrides: BlockOverrides | undefined,
  isPriced: boolean,
): BlockEnvironment {
  return {
    height: overrides?.number ?? block.blockNumber,
    timestamp: overrides?.timestamp ?? block.timestamp,
    gasLimit: overrides?.gasLimit ?? block.gasLimit,
    baseFeeWei: overrides?.baseFeeWei ?? (isPriced ? block.baseFeePerGas : 0n),
    feeRecipient: overrides?.feeRecipient ?? block.feeRecipient,
    prevRandao: overrides?.prevRandao ?? block.prevRandao,
  }
}

function shortest(word: Uint8Array): Uint8Array {
  const start = word.findIndex((byte) => byte !== 0)
  return start === -1 ? EMPTY_BYTES : word.slice(start)
}
