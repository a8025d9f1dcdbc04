/**
 * Messages signed by who can spend a script (BIP322): a signature is the witness, or the whole, of a transaction that would spend an output
 * of that script which only the message fixes. Four kinds of script are understood: p2wpkh, p2tr by its key, p2sh-p2wpkh and p2pkh; of any
 * other nothing is said. Total: bytes give a verdict. Pure.
 */
import { crypto as bitcoinCrypto, script as bitcoinScript, Transaction } from 'bitcoinjs-lib'
import { verify as verifyEcdsa } from 'tiny-secp256k1'
import {
  type BitcoinTransaction,
  compactSize,
  parsePayableScript,
  parseTransaction,
  serializeTransaction,
  txid,
} from '../core/bitcoin/index.ts'
import { concatBytes, equalBytes, schnorrVerify, taggedHash } from '../crypto/index.ts'

export type MessageFault =
  /** Neither a witness nor a transaction of the form that BIP322 gives. */
  | 'SignatureMalformed'
  /** It is not by who can spend the script, or of another message. */
  | 'SignatureWrong'
  /** A script whose signatures are not understood here. */
  | 'ScriptUnsupported'

const OP_0 = 0x00
const OP_RETURN = 0x6a
const PUSH_32 = 0x20
const SIGHASH_DEFAULT = 0
const SIGHASH_ALL = 1
const MAX_SIGNATURE_BYTES = 4_096

/** BIP322's hash of a message. */
export function messageHash(message: string): Uint8Array {
  return taggedHash('BIP0322-signed-message', new TextEncoder().encode(message))
}

/** The transaction that nobody can send, whose one output is of the script. */
export function messageToSpend(message: string, scriptPubKey: Uint8Array): BitcoinTransaction {
  const input = {
    txid: new Uint8Array(32),
    vout: 0xffff_ffff,
    scriptSig: concatBytes(Uint8Array.of(OP_0, PUSH_32), messageHash(message)),
    sequence: 0,
    witness: [],
  }
  return { version: 0, inputs: [input], outputs: [{ amountSat: 0n, scriptPubKey }], lockTime: 0 }
}

/** What spends it, unsigned. */
export function messageToSign(message: string, scriptPubKey: Uint8Array): BitcoinTransaction {
  const spent = txid(messageToSpend(message, scriptPubKey))
  const input = { txid: spent, vout: 0, scriptSig: new Uint8Array(0), sequence: 0, witness: [] }
  const output = { amountSat: 0n, scriptPubKey: Uint8Array.of(OP_RETURN) }
  return { version: 0, inputs: [input], outputs: [output], lockTime: 0 }
}

interface Signed {
  readonly scriptSig: Uint8Array
  readonly witness: readonly Uint8Array[]
}

/** What is wrong with a signature, simple or full, of `message` by `scriptPubKey`; undefined when nothing is. */
export function messageFault(
  message: string,
  scriptPubKey: Uint8Array,
  signature: Uint8Array,
): MessageFault | undefined {
  const toSign = messageToSign(message, scriptPubKey)
  const signed = readSignature(toSign, signature)
  if (typeof signed === 'string') return signed
  const whole = Transaction.fromBuffer(serializeTransaction(toSign))
  const isSigned = isSignedBy(whole, scriptPubKey, signed)
  if (isSigned === undefined) return 'ScriptUnsupported'
  return isSigned ? undefined : 'SignatureWrong'
}

/** The whole transaction, which must be `toSign` but for what signs it, or its one witness. */
function readSignature(toSign: BitcoinTransaction, signature: Uint8Array): Signed | MessageFault {
  if (signature.length > MAX_SIGNATURE_BYTES) return 'SignatureMalformed'
  const parsed = parseTransaction(signature)
  const [input] = parsed.ok ? parsed.value.inputs : []
  if (!parsed.ok || input === undefined) {
    const witness = readWitness(signature)
    return witness ? { scriptSig: new Uint8Array(0), witness } : 'SignatureMalformed'
  }
  const { scriptSig, witness } = input
  const bare = { ...input, scriptSig: new Uint8Array(0), witness: [] }
  const rest = { ...parsed.value, inputs: [bare, ...parsed.value.inputs.slice(1)] }
  const isToSign = equalBytes(serializeTransaction(rest), serializeTransaction(toSign))
  return isToSign ? { scriptSig, witness } : 'SignatureWrong'
}

/** Items of fewer than 253 bytes, as many: none that is understood has longer ones. */
function readWitness(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  const [count = 255] = bytes
  const items: Uint8Array[] = []
  let at = 1
  for (let index = 0; index < count; index++) {
    const size = bytes[at]
    if (size === undefined || size >= 253) return undefined
    const item = bytes.slice(at + 1, at + 1 + size)
    if (item.length < size) return undefined
    items.push(item)
    at += 1 + size
  }
  return count < 253 && at === bytes.length ? items : undefined
}

/** A simple signature's bytes. */
export function writeWitness(items: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    compactSize(items.length),
    ...items.flatMap((item) => [compactSize(item.length), item]),
  )
}

/** Undefined: of this script nothing is known. */
function isSignedBy(
  toSign: Transaction,
  scriptPubKey: Uint8Array,
  { scriptSig, witness }: Signed,
): boolean | undefined {
  switch (parsePayableScript(scriptPubKey)) {
    case 'p2wpkh':
      return scriptSig.length === 0 && isByKeyHash(toSign, scriptPubKey.subarray(2), witness)
    case 'p2sh': {
      // The one push of a p2wpkh program; of another redeem script nothing is known.
      const program = scriptSig.subarray(1)
      const isProgram = scriptSig[0] === 22 && parsePayableScript(program) === 'p2wpkh'
      if (!isProgram) return undefined
      const isOurs = equalBytes(bitcoinCrypto.hash160(program), scriptPubKey.subarray(2, 22))
      return isOurs && isByKeyHash(toSign, program.subarray(2), witness)
    }
    case 'p2pkh': {
      const pushed = witness.length === 0 ? pushesOf(scriptSig) : undefined
      const [given, key] = pushed ?? []
      if (given === undefined || key === undefined || pushed?.length !== 2) return false
      const isOurs = equalBytes(bitcoinCrypto.hash160(key), scriptPubKey.subarray(3, 23))
      const digest = toSign.hashForSignature(0, scriptPubKey, SIGHASH_ALL)
      return isOurs && isEcdsa(digest, key, given)
    }
    case 'p2tr': {
      const [given] = witness
      if (given === undefined || witness.length !== 1 || scriptSig.length > 0) return undefined
      const type = given[64] ?? SIGHASH_DEFAULT
      const isKnown = given.length === 64 || (given.length === 65 && type === SIGHASH_ALL)
      const digest = toSign.hashForWitnessV1(0, [scriptPubKey], [0n], type)
      return isKnown && schnorrVerify(scriptPubKey.subarray(2), digest, given.subarray(0, 64))
    }
    default:
      return undefined
  }
}

function pushesOf(script: Uint8Array): readonly Uint8Array[] | undefined {
  const parts = bitcoinScript.decompile(script) ?? []
  const pushes = parts.flatMap((part) => (typeof part === 'number' ? [] : [part]))
  return pushes.length === parts.length ? pushes : undefined
}

/** BIP143's p2wpkh: a signature and the key. */
function isByKeyHash(
  toSign: Transaction,
  keyHash: Uint8Array,
  witness: readonly Uint8Array[],
): boolean {
  const [given, key] = witness
  if (given === undefined || key?.length !== 33 || witness.length !== 2) return false
  if (!equalBytes(bitcoinCrypto.hash160(key), keyHash)) return false
  const code = concatBytes(Uint8Array.of(0x76, 0xa9, 20), keyHash, Uint8Array.of(0x88, 0xac))
  return isEcdsa(toSign.hashForWitnessV0(0, code, 0n, SIGHASH_ALL), key, given)
}

/** DER and the byte of SIGHASH_ALL, with the low s that Bitcoin relays. */
function isEcdsa(digest: Uint8Array, key: Uint8Array, given: Uint8Array): boolean {
  if (!bitcoinScript.isCanonicalScriptSignature(given)) return false
  const { hashType, signature } = bitcoinScript.signature.decode(given)
  if (hashType !== SIGHASH_ALL) return false
  try {
    return verifyEcdsa(digest, key, signature, true)
  } catch {
    // Bytes that are no point.
    return false
  }
}
