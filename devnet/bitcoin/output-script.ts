/** What an output script is, as Core's RPC describes it: type, address, assembly, descriptor. */
import { address, script as bscript, networks } from 'bitcoinjs-lib'
import * as ecc from 'tiny-secp256k1'
import { parseHex, toHex } from './bytes.ts'
import { addChecksum } from './descriptor.ts'
import { witnessProgram } from './script.ts'

export type ScriptType =
  | 'pubkey'
  | 'pubkeyhash'
  | 'scripthash'
  | 'multisig'
  | 'nulldata'
  | 'witness_v0_keyhash'
  | 'witness_v0_scripthash'
  | 'witness_v1_taproot'
  | 'witness_unknown'
  | 'nonstandard'

/** Core's Solver. */
export function scriptType(script: Uint8Array): ScriptType {
  const hex = toHex(script)
  if (/^a914.{40}87$/.test(hex)) return 'scripthash'
  const program = witnessProgram(script)
  if (program !== undefined) {
    if (program.version === 0 && program.bytes.length === 20) return 'witness_v0_keyhash'
    if (program.version === 0 && program.bytes.length === 32) return 'witness_v0_scripthash'
    if (program.version === 1 && program.bytes.length === 32) return 'witness_v1_taproot'
    return program.version === 0 ? 'nonstandard' : 'witness_unknown'
  }
  if (hex.startsWith('6a') && isPushOnly(script.subarray(1))) return 'nulldata'
  if (/^(21.{66}|41.{130})ac$/.test(hex)) return 'pubkey'
  if (/^76a914.{40}88ac$/.test(hex)) return 'pubkeyhash'
  return multisigKeys(script) === undefined ? 'nonstandard' : 'multisig'
}

/** The keys of a bare multisig script and how many must sign, or undefined. */
export function multisigKeys(
  script: Uint8Array,
): { needed: number; keys: readonly Uint8Array[] } | undefined {
  const chunks = bscript.decompile(script)
  if (chunks === null || chunks.length < 4 || chunks.at(-1) !== 0xae) return undefined
  const count = (chunk: number | Uint8Array | undefined) =>
    typeof chunk === 'number' && chunk >= 0x51 && chunk <= 0x60 ? chunk - 0x50 : 0
  const [needed, total] = [count(chunks[0]), count(chunks.at(-2))]
  const keys = chunks.slice(1, -2).flatMap((chunk) => (typeof chunk === 'number' ? [] : [chunk]))
  const fits = keys.every((key) => key.length === 33 || key.length === 65)
  const whole = keys.length === total && chunks.length === total + 3
  return fits && whole && needed >= 1 && needed <= total ? { needed, keys } : undefined
}

/** Whether a script consists of pushes alone (OP_RESERVED counts as one, as in Core). */
export function isPushOnly(script: Uint8Array): boolean {
  const chunks = bscript.decompile(script)
  return chunks?.every((chunk) => typeof chunk !== 'number' || chunk <= 0x60) ?? false
}

/** The regtest address of a script, where it has one. Any 32 bytes make a taproot address, as in Core. */
export function addressOf(script: Uint8Array): string | undefined {
  const { bech32, pubKeyHash, scriptHash } = networks.regtest
  const type = scriptType(script)
  if (type === 'pubkeyhash') return address.toBase58Check(script.slice(3, 23), pubKeyHash)
  if (type === 'scripthash') return address.toBase58Check(script.slice(2, 22), scriptHash)
  const program = witnessProgram(script)
  if (program === undefined || type === 'nonstandard') return undefined
  return address.toBech32(program.bytes, program.version, bech32)
}

/** The script that an address of this network pays to, or undefined. */
export function scriptOfAddress(text: string): Uint8Array | undefined {
  if (text.length > 100) return undefined
  return scriptOfBech32(text) ?? scriptOfBase58(text)
}

function scriptOfBech32(text: string): Uint8Array | undefined {
  try {
    const { version, prefix, data } = address.fromBech32(text)
    if (prefix !== networks.regtest.bech32 || version > 16) return undefined
    const lengths = version === 0 ? data.length === 20 || data.length === 32 : true
    if (!lengths || data.length < 2 || data.length > 40) return undefined
    return Uint8Array.of(version === 0 ? 0 : 0x50 + version, data.length, ...data)
  } catch {
    return undefined
  }
}

function scriptOfBase58(text: string): Uint8Array | undefined {
  const { pubKeyHash, scriptHash } = networks.regtest
  try {
    const { version, hash } = address.fromBase58Check(text)
    if (version === pubKeyHash) return Uint8Array.of(0x76, 0xa9, 0x14, ...hash, 0x88, 0xac)
    return version === scriptHash ? Uint8Array.of(0xa9, 0x14, ...hash, 0x87) : undefined
  } catch {
    return undefined
  }
}

/** Core's assembly: opcodes by name, pushes of up to four bytes as numbers, longer ones as hex. */
export function assembly(script: Uint8Array): string {
  const chunks = bscript.decompile(script)
  if (chunks === null) return '[error]'
  return chunks
    .map((chunk) => (typeof chunk === 'number' ? opcodeName(chunk) : pushText(chunk)))
    .join(' ')
}

function opcodeName(opcode: number): string {
  if (opcode === 0) return '0'
  if (opcode === 0x4f) return '-1'
  if (opcode >= 0x51 && opcode <= 0x60) return String(opcode - 0x50)
  return bscript.toASM([opcode])
}

function pushText(data: Uint8Array): string {
  if (data.length > 4) return toHex(data)
  let value = 0
  data.forEach((byte, index) => {
    value += (index === data.length - 1 ? byte & 0x7f : byte) * 256 ** index
  })
  return String((data.at(-1) ?? 0) >= 0x80 ? -value : value)
}

/** The descriptor that Core infers for a script of which it has no keys. */
export function inferDescriptor(script: Uint8Array): string {
  const type = scriptType(script)
  if (type === 'witness_v1_taproot' && ecc.isXOnlyPoint(script.slice(2))) {
    return addChecksum(`rawtr(${toHex(script.subarray(2))})`)
  }
  if (type === 'pubkey') return addChecksum(`pk(${toHex(script.subarray(1, -1))})`)
  const multisig = multisigKeys(script)
  if (multisig !== undefined) {
    const keys = multisig.keys.map((key) => `,${toHex(key)}`).join('')
    return addChecksum(`multi(${multisig.needed}${keys})`)
  }
  const known = addressOf(script)
  return addChecksum(known === undefined ? `raw(${toHex(script)})` : `addr(${known})`)
}

/** The script of a descriptor `addr(…)`, `raw(…)`, `rawtr(…)` or `pk(…)`, or what is wrong with it. */
export function scriptOfDescriptor(text: string): { script: Uint8Array } | { fault: string } {
  const [body = '', checksum] = text.split('#')
  const wanted = addChecksum(body).slice(body.length + 1)
  if (checksum !== undefined && checksum.length !== wanted.length) {
    return { fault: `Expected 8 character checksum, not ${checksum.length} characters` }
  }
  if (checksum !== undefined && checksum !== wanted) {
    const given = `Provided checksum '${checksum}'`
    return { fault: `${given} does not match computed checksum '${wanted}'` }
  }
  const match = /^(addr|raw|rawtr|pk)\((.*)\)$/.exec(body)
  const [, kind, argument = ''] = match ?? []
  if (kind === 'addr') {
    const script = scriptOfAddress(argument)
    return script === undefined ? { fault: 'Address is not valid' } : { script }
  }
  const bytes = parseHex(argument)
  if (kind === 'raw') {
    return bytes === undefined ? { fault: 'Raw script is not hex' } : { script: bytes }
  }
  if (kind === 'rawtr') {
    if (bytes?.length !== 32) return { fault: `Pubkey '${argument}' is invalid` }
    return { script: Uint8Array.of(0x51, 0x20, ...bytes) }
  }
  if (kind === 'pk') {
    if (bytes === undefined || !ecc.isPoint(bytes)) {
      return { fault: `Pubkey '${argument}' is invalid` }
    }
    return { script: Uint8Array.of(bytes.length, ...bytes, 0xac) }
  }
  return { fault: `'${body}' is not a valid descriptor function` }
}
