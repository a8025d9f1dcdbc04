/**
 * Messages signed by who can spend a script (BIP322): a signature is the witness, or the whole, of a transaction that would spend an output
 * of that script which only the message fixes. Understood are the five payable scripts: by one key, by its hash, by t of several keys
 * (p2sh, p2wsh, p2wsh in p2sh), and p2tr by its key or by a leaf of such a form; of any other script nothing is said. Total: bytes give
 * a verdict. Pure.
 */
import { crypto as bitcoinCrypto, script as bitcoinScript, Transaction } from 'bitcoinjs-lib'
import { verify as verifyEcdsa, xOnlyPointAddTweak } from 'tiny-secp256k1'
import {
  type BitcoinTransaction,
  compactSize,
  parsePayableScript,
  parseTransaction,
  serializeTransaction,
  txid,
} from '../core/bitcoin/index.ts'
import { tapLeafHash } from '../core/peg/index.ts'
import {
  compareBytes,
  concatBytes,
  equalBytes,
  schnorrVerify,
  sha256,
  taggedHash,
} from '../crypto/index.ts'
import { isLeafUnlocked, isUnlocked, type VerifySignature } from './owned-script.ts'

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
/** Of a transaction that signs: as BIP322 has it, or as locks need it. */
const VERSIONS: readonly number[] = [0, 2]
const TAPSCRIPT_VERSION = 0xc0
const CONTROL_BASE_BYTES = 33
const NODE_BYTES = 32
const MAX_PATH_NODES = 128
const COMPRESSED_BYTES = 33

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

/** What is wrong with a signature, simple or full, of `message` by `scriptPubKey`; undefined when nothing is. */
export function messageFault(
  message: string,
  scriptPubKey: Uint8Array,
  signature: Uint8Array,
): MessageFault | undefined {
  const signed = readSignature(messageToSign(message, scriptPubKey), signature)
  if (typeof signed === 'string') return signed
  const isSigned = isSignedBy(new ToSign(signed), scriptPubKey)
  if (isSigned === undefined) return 'ScriptUnsupported'
  return isSigned ? undefined : 'SignatureWrong'
}

/**
 * The whole transaction, which must be `toSign` but for what signs it and for version, lock time and sequence, which the signature
 * covers and no script that is understood here asks for; or its witness alone.
 */
function readSignature(
  toSign: BitcoinTransaction,
  signature: Uint8Array,
): BitcoinTransaction | MessageFault {
  if (signature.length > MAX_SIGNATURE_BYTES) return 'SignatureMalformed'
  const whole = parseTransaction(signature)
  const parsed = whole.ok ? whole : parseTransaction(withWitness(toSign, signature))
  if (!parsed.ok) return 'SignatureMalformed'
  const signed = parsed.value
  const inputs = signed.inputs.map((input) => {
    return { ...input, scriptSig: new Uint8Array(0), sequence: 0, witness: [] }
  })
  const bare = { ...signed, inputs, version: 0, lockTime: 0 }
  const isToSign = equalBytes(serializeTransaction(bare), serializeTransaction(toSign))
  return isToSign && VERSIONS.includes(signed.version) ? signed : 'SignatureWrong'
}

/** The bytes of the transaction with a witness that is given as bytes (BIP144). */
function withWitness(toSign: BitcoinTransaction, witness: Uint8Array): Uint8Array {
  const bare = serializeTransaction(toSign)
  const [version, body, lockTime] = [bare.subarray(0, 4), bare.subarray(4, -4), bare.subarray(-4)]
  return concatBytes(version, Uint8Array.of(0, 1), body, witness, lockTime)
}

/** A simple signature's bytes. */
export function writeWitness(items: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    compactSize(items.length),
    ...items.flatMap((item) => [compactSize(item.length), item]),
  )
}

/** A transaction that signs a message, and what its input gives. */
class ToSign {
  readonly scriptSig: Uint8Array
  readonly witness: readonly Uint8Array[]
  readonly #whole: Transaction

  constructor(signed: BitcoinTransaction) {
    const [input] = signed.inputs
    this.scriptSig = input?.scriptSig ?? new Uint8Array(0)
    this.witness = input?.witness ?? []
    this.#whole = Transaction.fromBuffer(serializeTransaction(signed, 'stripped'))
  }

  /** Before segwit. */
  legacy(code: Uint8Array): VerifySignature {
    const digest = this.#whole.hashForSignature(0, code, SIGHASH_ALL)
    return (key, given) => isEcdsa(digest, key, given)
  }

  /** BIP143, by compressed keys. */
  segwit(code: Uint8Array): VerifySignature {
    const digest = this.#whole.hashForWitnessV0(0, code, 0n, SIGHASH_ALL)
    return (key, given) => key.length === COMPRESSED_BYTES && isEcdsa(digest, key, given)
  }

  /** BIP341: 64 bytes, or 65 with the byte of SIGHASH_ALL. */
  taproot(scriptPubKey: Uint8Array, leafHash?: Uint8Array): VerifySignature {
    return (key, given) => {
      const type = given[64] ?? SIGHASH_DEFAULT
      const isKnown = given.length === 64 || (given.length === 65 && type === SIGHASH_ALL)
      if (!isKnown) return false
      const digest = this.#whole.hashForWitnessV1(0, [scriptPubKey], [0n], type, leafHash)
      return schnorrVerify(key, digest, given.subarray(0, 64))
    }
  }
}

/** Undefined: of this script nothing is known. */
function isSignedBy(toSign: ToSign, scriptPubKey: Uint8Array): boolean | undefined {
  const { scriptSig, witness } = toSign
  const type = parsePayableScript(scriptPubKey)
  switch (type) {
    case 'p2wpkh':
    case 'p2wsh':
      return scriptSig.length === 0 && isByProgram(toSign, scriptPubKey)
    case 'p2sh':
      return isByScriptHash(toSign, scriptPubKey.subarray(2, 22))
    case 'p2pkh': {
      const items = witness.length === 0 ? pushesOf(scriptSig) : undefined
      return items !== undefined && isUnlocked(scriptPubKey, items, toSign.legacy(scriptPubKey))
    }
    case 'p2tr': {
      const [first] = witness
      if (scriptSig.length > 0 || first === undefined) return false
      if (witness.length > 1) return isByLeaf(toSign, scriptPubKey)
      return toSign.taproot(scriptPubKey)(scriptPubKey.subarray(2), first)
    }
    default:
      return undefined
  }
}

/** A witness program of version 0. */
function isByProgram(toSign: ToSign, program: Uint8Array): boolean | undefined {
  const { witness } = toSign
  if (parsePayableScript(program) === 'p2wpkh') {
    const keyHash = program.subarray(2)
    const code = concatBytes(Uint8Array.of(0x76, 0xa9, 20), keyHash, Uint8Array.of(0x88, 0xac))
    return isUnlocked(code, witness, toSign.segwit(code))
  }
  const script = witness.at(-1)
  if (script === undefined || !equalBytes(sha256(script), program.subarray(2))) return false
  return isUnlocked(script, witness.slice(0, -1), toSign.segwit(script))
}

/** BIP16: the last push is the script; where that is a witness program, it is the only one. */
function isByScriptHash(toSign: ToSign, hash: Uint8Array): boolean | undefined {
  const items = pushesOf(toSign.scriptSig)
  const script = items?.at(-1)
  if (items === undefined || script === undefined) return false
  if (!equalBytes(bitcoinCrypto.hash160(script), hash)) return false
  const type = parsePayableScript(script)
  if (type === 'p2wpkh' || type === 'p2wsh') {
    return items.length === 1 && isByProgram(toSign, script)
  }
  if (toSign.witness.length > 0) return false
  return isUnlocked(script, items.slice(0, -1), toSign.legacy(script))
}

/** BIP341's script path without annex: items, leaf, control block. */
function isByLeaf(toSign: ToSign, scriptPubKey: Uint8Array): boolean | undefined {
  const items = toSign.witness.slice(0, -2)
  const [leaf, control] = toSign.witness.slice(-2) as [Uint8Array, Uint8Array]
  const path = control.subarray(CONTROL_BASE_BYTES)
  // Also where the last item is an annex.
  if (((control[0] ?? 0) & 0xfe) !== TAPSCRIPT_VERSION) return undefined
  if (control.length < CONTROL_BASE_BYTES || path.length % NODE_BYTES !== 0) return false
  if (path.length > MAX_PATH_NODES * NODE_BYTES) return false
  const leafHash = tapLeafHash(leaf)
  let root = leafHash
  for (let at = 0; at < path.length; at += NODE_BYTES) {
    const node = path.subarray(at, at + NODE_BYTES)
    const ordered = compareBytes(root, node) < 0 ? [root, node] : [node, root]
    root = taggedHash('TapBranch', ...ordered)
  }
  const internalKey = control.subarray(1, CONTROL_BASE_BYTES)
  const output = tweakedKey(internalKey, taggedHash('TapTweak', internalKey, root))
  const isThere =
    output !== undefined &&
    output.parity === ((control[0] as number) & 1) &&
    equalBytes(output.key, scriptPubKey.subarray(2))
  return isThere && isLeafUnlocked(leaf, items, toSign.taproot(scriptPubKey, leafHash))
}

function tweakedKey(internalKey: Uint8Array, tweak: Uint8Array) {
  try {
    const sum = xOnlyPointAddTweak(internalKey, tweak)
    return sum === null ? undefined : { key: sum.xOnlyPubkey, parity: sum.parity as number }
  } catch {
    // Bytes that are no point, or no scalar.
    return undefined
  }
}

/** What a script that only pushes leaves on the stack. */
function pushesOf(script: Uint8Array): readonly Uint8Array[] | undefined {
  const parts = bitcoinScript.decompile(script) ?? []
  const pushes = parts.map((part) => (part === OP_0 ? new Uint8Array(0) : part))
  return pushes.every((part) => typeof part !== 'number') ? pushes : undefined
}

/** DER and the byte of SIGHASH_ALL, with the low s that Bitcoin relays. */
function isEcdsa(digest: Uint8Array, key: Uint8Array, given: Uint8Array): boolean {
  try {
    if (!bitcoinScript.isCanonicalScriptSignature(given)) return false
    const { hashType, signature } = bitcoinScript.signature.decode(given)
    return hashType === SIGHASH_ALL && verifyEcdsa(digest, key, signature, true)
  } catch {
    // Bytes that are no point, or a number that is too long for the curve.
    return false
  }
}
