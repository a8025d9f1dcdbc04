/**
 * Addresses as text: Base58Check, bech32 (BIP173) and bech32m (BIP350), for the five payable forms. Decoding is total and
 * bound to one network; regtest shares its Base58 versions with testnet and signet, and has a prefix of its own.
 */
import { concatBytes, equalBytes, sha256d } from '../../crypto/index.ts'
import { err, ok, type Result } from '../params/index.ts'
import { parsePayableScript } from './script.ts'

export type BitcoinNetwork = 'main' | 'test' | 'signet' | 'regtest'

export type AddressError = {
  readonly code: 'AddressMalformed' | 'AddressChecksum' | 'AddressNetwork' | 'AddressUnpayable'
}

interface NetworkRow {
  readonly p2pkh: number
  readonly p2sh: number
  readonly hrp: string
}

const NETWORKS: Readonly<Record<BitcoinNetwork, NetworkRow>> = {
  main: { p2pkh: 0x00, p2sh: 0x05, hrp: 'bc' },
  test: { p2pkh: 0x6f, p2sh: 0xc4, hrp: 'tb' },
  signet: { p2pkh: 0x6f, p2sh: 0xc4, hrp: 'tb' },
  regtest: { p2pkh: 0x6f, p2sh: 0xc4, hrp: 'bcrt' },
}

const LONGEST_ADDRESS = 90
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const BECH32_CONSTANT = 1
const BECH32M_CONSTANT = 0x2bc8_30a3

/** The scriptPubKey that an address of `network` stands for. */
export function scriptFromAddress(
  text: string,
  network: BitcoinNetwork,
): Result<Uint8Array, AddressError> {
  if (text.length === 0 || text.length > LONGEST_ADDRESS) return err({ code: 'AddressMalformed' })
  const separator = text.lastIndexOf('1')
  const prefix = text.slice(0, separator).toLowerCase()
  const isSegwit = separator > 0 && Object.values(NETWORKS).some(({ hrp }) => hrp === prefix)
  return isSegwit ? decodeSegwit(text, separator, network) : decodeBase58(text, network)
}

/** The address of a payable script; undefined for a script that has none. */
export function addressFromScript(script: Uint8Array, network: BitcoinNetwork): string | undefined {
  const row = NETWORKS[network]
  switch (parsePayableScript(script)) {
    case 'p2pkh':
      return encodeBase58Check(concatBytes(Uint8Array.of(row.p2pkh), script.subarray(3, 23)))
    case 'p2sh':
      return encodeBase58Check(concatBytes(Uint8Array.of(row.p2sh), script.subarray(2, 22)))
    case 'p2wpkh':
    case 'p2wsh':
      return encodeSegwit(row.hrp, 0, script.subarray(2))
    case 'p2tr':
      return encodeSegwit(row.hrp, 1, script.subarray(2))
    default:
      return undefined
  }
}

function decodeBase58(text: string, network: BitcoinNetwork): Result<Uint8Array, AddressError> {
  // 25 bytes take at most 35 characters; longer text would only cost time.
  if (text.length > 35) return err({ code: 'AddressMalformed' })
  let value = 0n
  for (const character of text) {
    const digit = BASE58.indexOf(character)
    if (digit < 0) return err({ code: 'AddressMalformed' })
    value = value * 58n + BigInt(digit)
  }
  const bytes = new Uint8Array(25)
  for (let index = 24; index >= 0; index--) {
    bytes[index] = Number(value & 0xffn)
    value >>= 8n
  }
  // One form only: as many leading ones as leading zero bytes.
  if (value !== 0n || encodeBase58(bytes) !== text) return err({ code: 'AddressMalformed' })
  if (!equalBytes(sha256d(bytes.subarray(0, 21)).subarray(0, 4), bytes.subarray(21))) {
    return err({ code: 'AddressChecksum' })
  }
  const hash = bytes.subarray(1, 21)
  const row = NETWORKS[network]
  if (bytes[0] === row.p2pkh) return ok(Uint8Array.of(0x76, 0xa9, 20, ...hash, 0x88, 0xac))
  if (bytes[0] === row.p2sh) return ok(Uint8Array.of(0xa9, 20, ...hash, 0x87))
  const isOther = Object.values(NETWORKS).some(
    ({ p2pkh, p2sh }) => bytes[0] === p2pkh || bytes[0] === p2sh,
  )
  return err({ code: isOther ? 'AddressNetwork' : 'AddressUnpayable' })
}

function encodeBase58Check(payload: Uint8Array): string {
  return encodeBase58(concatBytes(payload, sha256d(payload).subarray(0, 4)))
}

function encodeBase58(bytes: Uint8Array): string {
  let value = 0n
  for (const byte of bytes) value = value * 256n + BigInt(byte)
  let text = ''
  while (value > 0n) {
    text = BASE58[Number(value % 58n)] + text
    value /= 58n
  }
  const zeros = bytes.findIndex((byte) => byte !== 0)
  return '1'.repeat(zeros < 0 ? bytes.length : zeros) + text
}

function decodeSegwit(
  text: string,
  separator: number,
  network: BitcoinNetwork,
): Result<Uint8Array, AddressError> {
  const lower = text.toLowerCase()
  if (text !== lower && text !== text.toUpperCase()) return err({ code: 'AddressMalformed' })
  const hrp = lower.slice(0, separator)
  const words = [...lower.slice(separator + 1)].map((character) => BECH32.indexOf(character))
  if (words.length < 8 || words.includes(-1)) return err({ code: 'AddressMalformed' })
  const version = words[0] as number
  const constant = version === 0 ? BECH32_CONSTANT : BECH32M_CONSTANT
  if (polymod([...expandPrefix(hrp), ...words]) !== constant)
    return err({ code: 'AddressChecksum' })
  if (hrp !== NETWORKS[network].hrp) return err({ code: 'AddressNetwork' })
  const program = bytesFromWords(words.slice(1, -6))
  if (program === undefined) return err({ code: 'AddressMalformed' })
  const script = concatBytes(
    Uint8Array.of(version === 0 ? 0 : 0x50 + version, program.length),
    program,
  )
  return parsePayableScript(script) === undefined ? err({ code: 'AddressUnpayable' }) : ok(script)
}

function encodeSegwit(hrp: string, version: number, program: Uint8Array): string {
  const words = [version, ...wordsFromBytes(program)]
  const constant = version === 0 ? BECH32_CONSTANT : BECH32M_CONSTANT
  const check = polymod([...expandPrefix(hrp), ...words, 0, 0, 0, 0, 0, 0]) ^ constant
  for (let index = 0; index < 6; index++) words.push((check >>> (5 * (5 - index))) & 31)
  return `${hrp}1${words.map((word) => BECH32[word]).join('')}`
}

function expandPrefix(hrp: string): number[] {
  const codes = [...hrp].map((character) => character.charCodeAt(0))
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)]
}

const GENERATOR = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]

function polymod(words: readonly number[]): number {
  let checksum = 1
  for (const word of words) {
    const top = checksum >>> 25
    checksum = ((checksum & 0x1ff_ffff) << 5) ^ word
    for (const [bit, factor] of GENERATOR.entries()) {
      if (((top >>> bit) & 1) === 1) checksum ^= factor
    }
  }
  return checksum
}

/** 5-bit groups to bytes; undefined when the padding is not 0 to 4 zero bits. */
function bytesFromWords(words: readonly number[]): Uint8Array | undefined {
  const bytes: number[] = []
  let bits = 0
  let pending = 0
  for (const word of words) {
    pending = (pending << 5) | word
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((pending >> bits) & 0xff)
      pending &= (1 << bits) - 1
    }
  }
  return bits < 5 && pending === 0 ? Uint8Array.from(bytes) : undefined
}

function wordsFromBytes(bytes: Uint8Array): number[] {
  const words: number[] = []
  let bits = 0
  let pending = 0
  for (const byte of bytes) {
    pending = (pending << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      words.push((pending >> bits) & 31)
      pending &= (1 << bits) - 1
    }
  }
  if (bits > 0) words.push((pending << (5 - bits)) & 31)
  return words
}
