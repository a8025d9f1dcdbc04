/** Output scripts that Millrace pays to, and the OP_RETURN form (protocol §4.4, §7). */

export const PAYABLE_TYPES = ['p2pkh', 'p2sh', 'p2wpkh', 'p2wsh', 'p2tr'] as const
export type PayableType = (typeof PAYABLE_TYPES)[number]

/** No payable output is smaller (4.4). */
export const DUST_SAT = 546n

const OP_0 = 0x00
const OP_1 = 0x51
const OP_RETURN = 0x6a
const OP_DUP = 0x76
const OP_EQUAL = 0x87
const OP_EQUALVERIFY = 0x88
const OP_HASH160 = 0xa9
const OP_CHECKSIG = 0xac
const LONGEST_DIRECT_PUSH = 75

/** Which payable form a script has; undefined when it has none. */
export function parsePayableScript(script: Uint8Array): PayableType | undefined {
  const at = (index: number) => script[index]
  switch (script.length) {
    case 22:
      return at(0) === OP_0 && at(1) === 20 ? 'p2wpkh' : undefined
    case 23:
      return at(0) === OP_HASH160 && at(1) === 20 && at(22) === OP_EQUAL ? 'p2sh' : undefined
    case 25: {
      const opens = at(0) === OP_DUP && at(1) === OP_HASH160 && at(2) === 20
      return opens && at(23) === OP_EQUALVERIFY && at(24) === OP_CHECKSIG ? 'p2pkh' : undefined
    }
    case 34:
      if (at(1) !== 32) return undefined
      if (at(0) === OP_0) return 'p2wsh'
      return at(0) === OP_1 ? 'p2tr' : undefined
    default:
      return undefined
  }
}

export function isOpReturn(script: Uint8Array): boolean {
  return script[0] === OP_RETURN
}

/** The bytes of an OP_RETURN with exactly one direct push (1 to 75 bytes); undefined for any other script. */
export function opReturnPayload(script: Uint8Array): Uint8Array | undefined {
  const length = script[1]
  if (script[0] !== OP_RETURN || length === undefined) return undefined
  if (length < 1 || length > LONGEST_DIRECT_PUSH || script.length !== 2 + length) return undefined
  return script.slice(2)
}

/** The script that carries 1 to 75 bytes. */
export function opReturnScript(payload: Uint8Array): Uint8Array {
  if (payload.length < 1 || payload.length > LONGEST_DIRECT_PUSH) {
    throw new Error(`a direct push holds 1 to 75 bytes, got ${payload.length}`)
  }
  return Uint8Array.of(OP_RETURN, payload.length, ...payload)
}
