/**
 * Scripts whose owners are told from their form: one key, the hash of one, or t of several keys; as a p2wsh or p2sh script, or as a leaf of
 * taproot. There is no interpreter here: of a script of any other form, one with a time lock say, nothing is known. Total. Pure.
 */
import { crypto as bitcoinCrypto, script as bitcoinScript } from 'bitcoinjs-lib'
import { parsePayableScript } from '../core/bitcoin/index.ts'
import { equalBytes } from '../crypto/index.ts'

/** Whether a signature is by a key over what is to be signed. */
export type VerifySignature = (key: Uint8Array, signature: Uint8Array) => boolean

const OP_1 = 0x51
const OP_16 = 0x60
const OP_NUMEQUAL = 0x9c
const OP_CHECKSIG = 0xac
const OP_CHECKMULTISIG = 0xae
const OP_CHECKSIGADD = 0xba
/** Bitcoin relays no script with more keys in CHECKMULTISIG. */
const MAX_KEYS = 20

interface Owners {
  readonly keys: readonly Uint8Array[]
  readonly threshold: number
}

/** Whether `items`, the stack before `script`, satisfy it; undefined: it has none of the forms. */
export function isUnlocked(
  script: Uint8Array,
  items: readonly Uint8Array[],
  verify: VerifySignature,
): boolean | undefined {
  if (parsePayableScript(script) === 'p2pkh') {
    const [signature, key] = items
    if (signature === undefined || key === undefined || items.length !== 2) return false
    return equalBytes(bitcoinCrypto.hash160(key), script.subarray(3, 23)) && verify(key, signature)
  }
  const parts = bitcoinScript.decompile(script) ?? []
  const [key, last] = parts
  if (parts.length === 2 && isKey(key, 33, 65) && last === OP_CHECKSIG) {
    const [signature] = items
    return items.length === 1 && signature !== undefined && verify(key, signature)
  }
  const owners = multisigOwners(parts)
  return owners && isSignedInOrder(owners, items, verify)
}

/** `<t> <key>… <n> CHECKMULTISIG`. */
function multisigOwners(parts: readonly (number | Uint8Array)[]): Owners | undefined {
  const keys = parts.slice(1, -2).filter((part) => isKey(part, 33, 65))
  const threshold = smallNumber(parts[0])
  const isWhole = keys.length === parts.length - 3 && keys.length <= MAX_KEYS
  if (!isWhole || parts.at(-1) !== OP_CHECKMULTISIG) return undefined
  const isCounted = smallNumber(parts.at(-2)) === keys.length
  if (threshold === undefined || !isCounted || threshold > keys.length) return undefined
  return { keys, threshold }
}

/** CHECKMULTISIG: an empty item, then one signature for each of t keys, in the order of the keys. */
function isSignedInOrder(
  { keys, threshold }: Owners,
  [dummy, ...signatures]: readonly Uint8Array[],
  verify: VerifySignature,
): boolean {
  if (dummy?.length !== 0 || signatures.length !== threshold) return false
  let at = 0
  for (const signature of signatures) {
    while (at < keys.length && !verify(keys[at] as Uint8Array, signature)) at += 1
    if (at === keys.length) return false
    at += 1
  }
  return true
}

/** The same for a leaf: `<key> CHECKSIG`, or `<key> CHECKSIG <key> CHECKSIGADD … <t> NUMEQUAL`. */
export function isLeafUnlocked(
  leaf: Uint8Array,
  items: readonly Uint8Array[],
  verify: VerifySignature,
): boolean | undefined {
  const owners = leafOwners(bitcoinScript.decompile(leaf) ?? [])
  if (owners === undefined) return undefined
  const { keys, threshold } = owners
  // The first key's item lies on top, and an empty one is no signature.
  const given = items.toReversed()
  if (given.length !== keys.length) return false
  const signed = given.filter((item) => item.length > 0)
  return (
    signed.length === threshold &&
    given.every((item, at) => item.length === 0 || verify(keys[at] as Uint8Array, item))
  )
}

function leafOwners(parts: readonly (number | Uint8Array)[]): Owners | undefined {
  const [first, opcode] = parts
  if (!isKey(first, 32) || opcode !== OP_CHECKSIG) return undefined
  if (parts.length === 2) return { keys: [first], threshold: 1 }
  const keys = [first]
  for (let at = 2; at < parts.length - 2; at += 2) {
    const key = parts[at]
    if (!isKey(key, 32) || parts[at + 1] !== OP_CHECKSIGADD) return undefined
    keys.push(key)
  }
  const threshold = smallNumber(parts.at(-2))
  const isWhole = parts.length === 2 * keys.length + 2 && parts.at(-1) === OP_NUMEQUAL
  if (!isWhole || threshold === undefined) return undefined
  return threshold <= keys.length && keys.length <= MAX_KEYS ? { keys, threshold } : undefined
}

function isKey(part: number | Uint8Array | undefined, ...sizes: number[]): part is Uint8Array {
  return part instanceof Uint8Array && sizes.includes(part.length)
}

/** 1 to 16, as their opcodes. */
function smallNumber(part: number | Uint8Array | undefined): number | undefined {
  if (typeof part !== 'number' || part < OP_1 || part > OP_16) return undefined
  return part - OP_1 + 1
}
