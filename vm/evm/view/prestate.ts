/** `prestateTracer`: every account and slot that a transaction looked at, as it was before; with `diffMode` what it changed. */
import { toHex } from '../../../crypto/index.ts'
import type { AccountRecord } from '../account.ts'
import { codeOf, EMPTY_BYTES, type StateChanges, type StateView } from '../state.ts'

type Json = Record<string, unknown>

/** A view that remembers what was read through it. */
export class RecordingView implements StateView {
  readonly #below: StateView
  readonly #accounts = new Map<string, AccountRecord | undefined>()
  readonly #storage = new Map<string, Map<string, Uint8Array>>()

  constructor(below: StateView) {
    this.#below = below
  }

  account(addressHex: string): AccountRecord | undefined {
    const account = this.#below.account(addressHex)
    if (!this.#accounts.has(addressHex)) this.#accounts.set(addressHex, account)
    return account
  }

  storage(addressHex: string, slotHex: string): Uint8Array {
    const value = this.#below.storage(addressHex, slotHex)
    let slots = this.#storage.get(addressHex)
    if (slots === undefined) {
      slots = new Map()
      this.#storage.set(addressHex, slots)
    }
    if (!slots.has(slotHex)) slots.set(slotHex, value)
    return value
  }

  code(codeHashHex: string): Uint8Array | undefined {
    return this.#below.code(codeHashHex)
  }

  slots(addressHex: string): Iterable<string> {
    return this.#below.slots(addressHex)
  }

  node(path: string): Uint8Array | undefined {
    return this.#below.node(path)
  }

  blockHash(height: number): Uint8Array | undefined {
    return this.#below.blockHash(height)
  }

  prestate(): Json {
    const result: Record<string, Json> = {}
    for (const [addressHex, account] of this.#accounts) {
      const storage = this.#storage.get(addressHex)
      result[`0x${addressHex}`] = {
        ...accountJson(account, this.#codeOf(account)),
        ...(storage === undefined ? {} : { storage: wordsJson(storage) }),
      }
    }
    return result
  }

  /** `changes`: of the transaction alone. Only what differs stands in either part. */
  difference(changes: StateChanges): Json {
    const pre: Record<string, Json> = {}
    const post: Record<string, Json> = {}
    const touched = new Set([...changes.accounts.keys(), ...changes.storage.keys()])
    for (const addressHex of touched) {
      const before = this.#below.account(addressHex)
      const changed = changes.accounts.get(addressHex)
      const after = changed === undefined ? before : (changed ?? undefined)
      const slots = new Map(
        [...(changes.storage.get(addressHex) ?? [])].filter(
          ([slotHex, value]) => toHex(this.#below.storage(addressHex, slotHex)) !== toHex(value),
        ),
      )
      const codes = changes.code
      const was = accountJson(before, this.#codeOf(before))
      const is = accountJson(
        after,
        after && (codes.get(toHex(after.codeHash)) ?? this.#codeOf(after)),
      )
      const differing = Object.keys(is).filter((name) => is[name] !== was[name])
      if (
        differing.length === 0 &&
        slots.size === 0 &&
        (after !== undefined || before === undefined)
      ) {
        continue
      }
      const key = `0x${addressHex}`
      const old = new Map(
        [...slots.keys()].map((slotHex) => [slotHex, this.#below.storage(addressHex, slotHex)]),
      )
      if (before !== undefined) pre[key] = { ...was, ...storageJson(old) }
      if (after === undefined) continue
      post[key] = {
        ...Object.fromEntries(differing.map((name) => [name, is[name]])),
        ...storageJson(slots),
      }
    }
    return { pre, post }
  }

  #codeOf(account: AccountRecord | undefined): Uint8Array {
    return codeOf(this.#below, account)
  }
}

/** As go-ethereum writes it: a nonce of 0 and no code are left out. */
function accountJson(account: AccountRecord | undefined, code: Uint8Array = EMPTY_BYTES): Json {
  return {
    balance: `0x${(account?.balance ?? 0n).toString(16)}`,
    ...(code.length > 0 ? { code: `0x${toHex(code)}` } : {}),
    ...((account?.nonce ?? 0n) > 0n ? { nonce: Number(account?.nonce) } : {}),
  }
}

/** Zero stands in neither part of a difference. */
function storageJson(slots: ReadonlyMap<string, Uint8Array>): Json {
  const given = new Map([...slots].filter(([, value]) => value.length > 0))
  return given.size === 0 ? {} : { storage: wordsJson(given) }
}

function wordsJson(slots: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries(
    [...slots].map(([slotHex, value]) => [`0x${slotHex}`, `0x${toHex(value).padStart(64, '0')}`]),
  )
}
