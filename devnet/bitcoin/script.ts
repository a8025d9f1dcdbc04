/**
 * Verifies inputs: p2wpkh (BIP141, BIP143), the taproot key path (BIP341) and tapscript leaves (BIP342) made
 * of the opcodes below. What else consensus would allow is refused with an error that says so: a
 * development regtest may be stricter than Bitcoin, never laxer.
 */
import { script as bscript, crypto, type Transaction } from 'bitcoinjs-lib'
import * as ecc from 'tiny-secp256k1'
import { compactSize, concatBytes, encodeScriptNumber, equalBytes, toHex } from './bytes.ts'

/** An output that an input spends. */
export interface SpentOutput {
  readonly valueSat: bigint
  readonly script: Uint8Array
}

/** Core's text for the failure. `policy` failures keep a transaction out of the mempool only. */
export interface ScriptFault {
  readonly message: string
  readonly policy: boolean
}

const OP = {
  PUSHDATA1: 0x4c,
  PUSHDATA2: 0x4d,
  PUSHDATA4: 0x4e,
  NEGATE_1: 0x4f,
  RESERVED: 0x50,
  TRUE: 0x51,
  SIXTEEN: 0x60,
  VERIFY: 0x69,
  DROP: 0x75,
  NUMEQUAL: 0x9c,
  NUMEQUALVERIFY: 0x9d,
  CHECKSIG: 0xac,
  CHECKSIGVERIFY: 0xad,
  CHECKLOCKTIMEVERIFY: 0xb1,
  CHECKSEQUENCEVERIFY: 0xb2,
  CHECKSIGADD: 0xba,
} as const

const LEAF_VERSION = 0xc0
const ANNEX_TAG = 0x50
const MAX_PUSH_BYTES = 520
const MAX_STACK = 1000
const UNSUPPORTED = 'Not supported by the Millrace development regtest'

const EVAL_FALSE =
  'Script evaluated without error but finished with a false/empty top stack element'
const STACK_SIZE = 'Operation not valid with the current stack size'
const SEQUENCE_FINAL = 0xffffffff
const LOCKTIME_THRESHOLD = 500_000_000
const SEQUENCE_LOCK_BITS = 0x0040ffff

const invalid = (message: string): ScriptFault => ({ message, policy: false })
const nonstandard = (message: string): ScriptFault => ({ message, policy: true })

/** Checks input `index` of `tx`, which spends `spent[index]`. With `policy` the mempool's stricter rules hold. */
export function verifyInput(
  tx: Transaction,
  index: number,
  spent: readonly SpentOutput[],
  policy: boolean,
): ScriptFault | undefined {
  const output = spent[index]
  const input = tx.ins[index]
  if (output === undefined || input === undefined) throw new Error(`no input ${index}`)
  const program = witnessProgram(output.script)
  if (program === undefined) return invalid(`${UNSUPPORTED}: spending ${toHex(output.script)}`)
  if (input.script.length > 0) return invalid('Witness requires empty scriptSig')
  if (program.version === 0 && program.bytes.length === 20) {
    return verifyKeyHash(tx, index, output, program.bytes, policy)
  }
  if (program.version === 1 && program.bytes.length === 32) {
    return verifyTaproot(tx, index, spent, program.bytes, policy)
  }
  if (program.version === 0 && program.bytes.length !== 32) {
    return invalid('Witness program has incorrect length')
  }
  return invalid(`${UNSUPPORTED}: spending witness version ${program.version}`)
}

/** The witness version and program of a script (BIP141), or undefined. */
export function witnessProgram(
  script: Uint8Array,
): { version: number; bytes: Uint8Array } | undefined {
  const [first = 0, length] = script
  if (script.length < 4 || script.length > 42 || length !== script.length - 2) return undefined
  if (first !== 0 && (first < OP.TRUE || first > OP.SIXTEEN)) return undefined
  return { version: first === 0 ? 0 : first - OP.TRUE + 1, bytes: script.subarray(2) }
}

function verifyKeyHash(
  tx: Transaction,
  index: number,
  output: SpentOutput,
  keyHash: Uint8Array,
  policy: boolean,
): ScriptFault | undefined {
  const witness = tx.ins[index]?.witness ?? []
  const [signature, key] = witness
  if (witness.length !== 2 || signature === undefined || key === undefined) {
    return invalid('Witness program hash mismatch')
  }
  if (key.length > MAX_PUSH_BYTES || signature.length > MAX_PUSH_BYTES) {
    return invalid('Push value size limit exceeded')
  }
  if (!equalBytes(crypto.hash160(key), keyHash)) {
    return invalid('Script failed an OP_EQUALVERIFY operation')
  }
  const compact = compactSignature(signature.subarray(0, -1))
  if (signature.length > 0 && compact === undefined) return invalid('Non-canonical DER signature')
  const hashType = signature.at(-1) ?? 1
  const base = hashType & 0x7f
  if (policy && (base < 1 || base > 3)) {
    return nonstandard('Signature hash type missing or not understood')
  }
  const compressed = key.length === 33 && (key[0] === 2 || key[0] === 3)
  if (policy && !compressed) return nonstandard('Using non-compressed keys in segwit')
  if (compact === undefined) return invalid(EVAL_FALSE)
  if (!ecc.isPoint(key)) return invalid(policy ? NULLFAIL : EVAL_FALSE)
  const script = concatBytes(Uint8Array.of(0x76, 0xa9, 0x14), keyHash, Uint8Array.of(0x88, 0xac))
  const digest = tx.hashForWitnessV0(index, script, output.valueSat, hashType)
  if (!ecc.verify(digest, key, compact, false)) return invalid(policy ? NULLFAIL : EVAL_FALSE)
  if (policy && !ecc.verify(digest, key, compact, true)) {
    return nonstandard('Non-canonical signature: S value is unnecessarily high')
  }
  return undefined
}

const NULLFAIL = 'Signature must be zero for failed CHECK(MULTI)SIG operation'

/** 64 bytes r ‖ s of a strictly encoded DER signature (BIP66), or undefined. */
function compactSignature(der: Uint8Array): Uint8Array | undefined {
  try {
    return bscript.signature.decode(concatBytes(der, Uint8Array.of(1))).signature
  } catch {
    return undefined
  }
}

function verifyTaproot(
  tx: Transaction,
  index: number,
  spent: readonly SpentOutput[],
  outputKey: Uint8Array,
  policy: boolean,
): ScriptFault | undefined {
  const witness = tx.ins[index]?.witness ?? []
  if (witness.length === 0) return invalid('Witness program was passed an empty witness')
  const last = witness.at(-1)
  const annex = witness.length >= 2 && last?.[0] === ANNEX_TAG ? last : undefined
  const stack = annex === undefined ? witness.slice() : witness.slice(0, -1)
  const spend: TaprootSpend = { tx, index, spent, annex }
  const [only] = stack
  if (stack.length === 1 && only !== undefined) return checkSchnorr(spend, only, outputKey)
  const control = stack.pop() ?? new Uint8Array()
  const leafScript = stack.pop() ?? new Uint8Array()
  const depth = (control.length - 33) / 32
  if (!Number.isInteger(depth) || depth < 0 || depth > 128) {
    return invalid('Invalid Taproot control block size')
  }
  const leafVersion = (control[0] ?? 0) & 0xfe
  const leafHash = tapLeafHash(leafScript, leafVersion)
  if (!commitsToLeaf(control, leafHash, outputKey)) return invalid('Witness program hash mismatch')
  if (leafVersion !== LEAF_VERSION) {
    return invalid('Taproot version reserved for soft-fork upgrades')
  }
  return runLeaf(spend, stack, leafScript, leafHash, policy)
}

interface TaprootSpend {
  readonly tx: Transaction
  readonly index: number
  readonly spent: readonly SpentOutput[]
  readonly annex: Uint8Array | undefined
}

/** BIP341's TapLeaf hash. */
export function tapLeafHash(script: Uint8Array, leafVersion = LEAF_VERSION): Uint8Array {
  return crypto.taggedHash(
    'TapLeaf',
    concatBytes(Uint8Array.of(leafVersion), compactSize(script.length), script),
  )
}

/** Whether the control block's internal key, tweaked with the root that its path gives, is the output key. */
function commitsToLeaf(control: Uint8Array, leafHash: Uint8Array, outputKey: Uint8Array): boolean {
  let node = leafHash
  for (let offset = 33; offset < control.length; offset += 32) {
    const sibling = control.subarray(offset, offset + 32)
    const ordered = Buffer.compare(node, sibling) < 0 ? [node, sibling] : [sibling, node]
    node = crypto.taggedHash('TapBranch', concatBytes(...ordered))
  }
  const internalKey = control.slice(1, 33)
  if (!ecc.isXOnlyPoint(internalKey)) return false
  const tweak = crypto.taggedHash('TapTweak', concatBytes(internalKey, node))
  const tweaked = ecc.xOnlyPointAddTweak(internalKey, tweak)
  return (
    tweaked !== null &&
    equalBytes(tweaked.xOnlyPubkey, outputKey) &&
    tweaked.parity === ((control[0] ?? 0) & 1)
  )
}

/** Checks a non-empty Schnorr signature of 64 or 65 bytes; `leafHash` for script path spends. */
function checkSchnorr(
  { tx, index, spent, annex }: TaprootSpend,
  signature: Uint8Array,
  key: Uint8Array,
  leafHash?: Uint8Array,
): ScriptFault | undefined {
  if (signature.length !== 64 && signature.length !== 65) {
    return invalid('Invalid Schnorr signature size')
  }
  const hashType = signature.length === 65 ? (signature[64] ?? 0) : 0
  const known = [0, 1, 2, 3, 0x81, 0x82, 0x83].includes(hashType)
  const explicitDefault = signature.length === 65 && hashType === 0
  const singleWithoutOutput = (hashType & 3) === 3 && index >= tx.outs.length
  if (!known || explicitDefault || singleWithoutOutput) {
    return invalid('Invalid Schnorr signature hash type')
  }
  const digest = tx.hashForWitnessV1(
    index,
    spent.map((output) => output.script),
    spent.map((output) => output.valueSat),
    hashType,
    leafHash,
    annex,
  )
  const valid = ecc.isXOnlyPoint(key) && ecc.verifySchnorr(digest, key, signature.slice(0, 64))
  return valid ? undefined : invalid('Invalid Schnorr signature')
}

/** Runs a tapscript leaf on its stack. */
function runLeaf(
  spend: TaprootSpend,
  stack: Uint8Array[],
  leafScript: Uint8Array,
  leafHash: Uint8Array,
  policy: boolean,
): ScriptFault | undefined {
  const steps = parseLeaf(leafScript)
  if ('message' in steps) return steps
  if (stack.length > MAX_STACK) return invalid('Stack size limit exceeded')
  if (stack.some((item) => item.length > MAX_PUSH_BYTES)) {
    return invalid('Push value size limit exceeded')
  }
  const run: LeafRun = { spend, stack, leafHash, policy }
  for (const step of steps) {
    const fault = runStep(run, step)
    if (fault !== undefined) return fault
    if (stack.length > MAX_STACK) return invalid('Stack size limit exceeded')
  }
  if (stack.length !== 1) return invalid('Stack size must be exactly one after execution')
  return isTrue(stack[0]) ? undefined : invalid(EVAL_FALSE)
}

interface Step {
  readonly opcode: number
  readonly data: Uint8Array | undefined
}

interface LeafRun {
  readonly spend: TaprootSpend
  readonly stack: Uint8Array[]
  readonly leafHash: Uint8Array
  readonly policy: boolean
}

function parseLeaf(script: Uint8Array): Step[] | ScriptFault {
  const steps: Step[] = []
  for (let at = 0; at < script.length; ) {
    const opcode = script[at] ?? 0
    at += 1
    const size = pushSize(script, at, opcode)
    if (size === undefined) {
      steps.push({ opcode, data: undefined })
      continue
    }
    const end = at + size.header + size.length
    if (end > script.length) return invalid('Opcode missing or not understood')
    if (size.length > MAX_PUSH_BYTES) return invalid('Push value size limit exceeded')
    steps.push({ opcode, data: script.slice(at + size.header, end) })
    at = end
  }
  return steps
}

function pushSize(
  script: Uint8Array,
  at: number,
  opcode: number,
): { header: number; length: number } | undefined {
  if (opcode > OP.PUSHDATA4) return undefined
  if (opcode < OP.PUSHDATA1) return { header: 0, length: opcode }
  const header = opcode === OP.PUSHDATA1 ? 1 : opcode === OP.PUSHDATA2 ? 2 : 4
  let length = 0
  for (let i = header - 1; i >= 0; i--) length = length * 256 + (script[at + i] ?? 0)
  return { header, length }
}

function runStep(run: LeafRun, { opcode, data }: Step): ScriptFault | undefined {
  const { stack } = run
  if (data !== undefined) {
    if (run.policy && !isMinimalPush(opcode, data)) {
      return nonstandard('Data push larger than necessary')
    }
    stack.push(data)
    return undefined
  }
  if (opcode === OP.NEGATE_1 || (opcode >= OP.TRUE && opcode <= OP.SIXTEEN)) {
    stack.push(encodeScriptNumber(opcode - OP.RESERVED))
    return undefined
  }
  switch (opcode) {
    case OP.DROP:
      return stack.pop() === undefined ? invalid(STACK_SIZE) : undefined
    case OP.VERIFY: {
      const top = stack.pop()
      if (top === undefined) return invalid(STACK_SIZE)
      return isTrue(top) ? undefined : invalid('Script failed an OP_VERIFY operation')
    }
    case OP.NUMEQUAL:
    case OP.NUMEQUALVERIFY:
      return numEqual(run, opcode === OP.NUMEQUALVERIFY)
    case OP.CHECKSIG:
    case OP.CHECKSIGVERIFY:
      return checkSig(run, opcode === OP.CHECKSIGVERIFY)
    case OP.CHECKSIGADD:
      return checkSigAdd(run)
    case OP.CHECKLOCKTIMEVERIFY:
      return checkLockTime(run)
    case OP.CHECKSEQUENCEVERIFY:
      return checkSequence(run)
    default:
      return invalid(`${UNSUPPORTED}: opcode 0x${opcode.toString(16)} in a tapscript leaf`)
  }
}

function numEqual({ stack }: LeafRun, verify: boolean): ScriptFault | undefined {
  if (stack.length < 2) return invalid(STACK_SIZE)
  const b = readNumber(stack.pop(), 4)
  const a = readNumber(stack.pop(), 4)
  if (a === undefined || b === undefined) return invalid('unknown error')
  if (verify) {
    return a === b ? undefined : invalid('Script failed an OP_NUMEQUALVERIFY operation')
  }
  stack.push(encodeScriptNumber(a === b ? 1 : 0))
  return undefined
}

function checkSig(run: LeafRun, verify: boolean): ScriptFault | undefined {
  const { stack } = run
  if (stack.length < 2) return invalid(STACK_SIZE)
  const key = stack.pop() ?? new Uint8Array()
  const signature = stack.pop() ?? new Uint8Array()
  const fault = checkLeafSignature(run, signature, key)
  if (fault !== undefined) return fault
  const signed = signature.length > 0
  if (verify) return signed ? undefined : invalid('Script failed an OP_CHECKSIGVERIFY operation')
  stack.push(encodeScriptNumber(signed ? 1 : 0))
  return undefined
}

function checkSigAdd(run: LeafRun): ScriptFault | undefined {
  const { stack } = run
  if (stack.length < 3) return invalid(STACK_SIZE)
  const key = stack.pop() ?? new Uint8Array()
  const count = readNumber(stack.pop(), 4)
  const signature = stack.pop() ?? new Uint8Array()
  if (count === undefined) return invalid('unknown error')
  const fault = checkLeafSignature(run, signature, key)
  if (fault !== undefined) return fault
  stack.push(encodeScriptNumber(count + (signature.length > 0 ? 1 : 0)))
  return undefined
}

/**
 * BIP342: an empty signature is false, any other must be valid, an unknown key type is reserved. Its limit on signatures by
 * witness size needs no count here: no opcode of ours copies one, so each valid signature brings its own 64 bytes.
 */
function checkLeafSignature(
  run: LeafRun,
  signature: Uint8Array,
  key: Uint8Array,
): ScriptFault | undefined {
  if (key.length === 0) return invalid('Public key is neither compressed or uncompressed')
  if (key.length !== 32) return invalid('Public key version reserved for soft-fork upgrades')
  return signature.length === 0 ? undefined : checkSchnorr(run.spend, signature, key, run.leafHash)
}

function checkLockTime({ stack, spend }: LeafRun): ScriptFault | undefined {
  if (stack.length === 0) return invalid(STACK_SIZE)
  const wanted = readNumber(stack.at(-1), 5)
  if (wanted === undefined) return invalid('unknown error')
  if (wanted < 0) return invalid('Negative locktime')
  const { locktime, ins } = spend.tx
  const sameKind = wanted < LOCKTIME_THRESHOLD === locktime < LOCKTIME_THRESHOLD
  const final = ins[spend.index]?.sequence === SEQUENCE_FINAL
  return !sameKind || wanted > locktime || final
    ? invalid('Locktime requirement not satisfied')
    : undefined
}

function checkSequence({ stack, spend }: LeafRun): ScriptFault | undefined {
  if (stack.length === 0) return invalid(STACK_SIZE)
  const wanted = readNumber(stack.at(-1), 5)
  if (wanted === undefined) return invalid('unknown error')
  if (wanted < 0) return invalid('Negative locktime')
  if (Math.floor(wanted / 2 ** 31) % 2 === 1) return undefined
  const sequence = spend.tx.ins[spend.index]?.sequence ?? SEQUENCE_FINAL
  const usable = spend.tx.version >= 2 && sequence < 0x80000000
  const wantedLock = Number(BigInt(wanted) & BigInt(SEQUENCE_LOCK_BITS))
  const lock = sequence & SEQUENCE_LOCK_BITS
  const sameKind = wantedLock >>> 22 === lock >>> 22
  return !usable || !sameKind || wantedLock > lock
    ? invalid('Locktime requirement not satisfied')
    : undefined
}

function isTrue(item: Uint8Array | undefined): boolean {
  if (item === undefined) return false
  return item.some((byte, index) => byte !== 0 && !(index === item.length - 1 && byte === 0x80))
}

/** A minimally encoded script number of at most `maxBytes`, or undefined. */
function readNumber(item: Uint8Array | undefined, maxBytes: number): number | undefined {
  if (item === undefined || item.length > maxBytes) return undefined
  let magnitude = 0
  item.forEach((byte, index) => {
    magnitude += (index === item.length - 1 ? byte & 0x7f : byte) * 256 ** index
  })
  const value = (item.at(-1) ?? 0) >= 0x80 ? -magnitude : magnitude
  return equalBytes(encodeScriptNumber(value), item) ? value : undefined
}

/** Whether the push uses the shortest opcode for its data (BIP62 rule 3). */
function isMinimalPush(opcode: number, data: Uint8Array): boolean {
  const [first = 0] = data
  if (data.length === 0) return opcode === 0
  if (data.length === 1 && ((first >= 1 && first <= 16) || first === 0x81)) return false
  if (data.length <= 75) return opcode === data.length
  return data.length <= 255 ? opcode === OP.PUSHDATA1 : opcode === OP.PUSHDATA2
}

/** Signature operations as blocks count them, in units of weight: legacy ones cost four times as much. */
export function sigopCost(tx: Transaction, spent: readonly SpentOutput[]): number {
  const legacy = [...tx.ins, ...tx.outs].reduce((sum, { script }) => sum + countSigops(script), 0)
  const witness = spent.filter(({ script }) => script.length === 22 && script[0] === 0).length
  return legacy * 4 + witness
}

function countSigops(script: Uint8Array): number {
  const chunks = bscript.decompile(script) ?? []
  let count = 0
  for (const chunk of chunks) {
    if (chunk === OP.CHECKSIG || chunk === OP.CHECKSIGVERIFY) count += 1
    if (chunk === 0xae || chunk === 0xaf) count += 20
  }
  return count
}
