/**
 * Key files: secrets under a password, scrypt (RFC 7914) for the key and AES-256-GCM (NIST SP 800-38D) for the
 * bytes. The public part is readable and authenticated with the secrets, so that a file cannot be relabelled.
 * Randomness is an argument; a salt and a nonce are used for one file only.
 */
import { createCipheriv, createDecipheriv, scryptSync } from 'node:crypto'
import { concatBytes, fromHex, toHex } from './bytes.ts'

/** Memory and time of scrypt: 128·n·r bytes. The default takes 128 MiB and about half a second. */
export interface ScryptCost {
  readonly n: number
  readonly r: number
  readonly p: number
}

export const KEYSTORE_COST: ScryptCost = { n: 131_072, r: 8, p: 1 }

export interface KeyFile {
  readonly version: 1
  /** Whose keys these are, for people. */
  readonly label: string
  /** Public keys by name, hex. */
  readonly publicKeys: Readonly<Record<string, string>>
  readonly kdf: { readonly name: 'scrypt'; readonly salt: string } & ScryptCost
  readonly cipher: {
    readonly name: 'aes-256-gcm'
    readonly nonce: string
    readonly tag: string
    readonly ciphertext: string
  }
}

export type KeyFileError =
  | { readonly code: 'KeyFileMalformed'; readonly reason: string }
  /** The password is wrong, or the file was changed: the two cannot be told apart. */
  | { readonly code: 'KeyFileLocked' }

export type OpenedKeys =
  | { readonly ok: true; readonly value: Readonly<Record<string, Uint8Array>> }
  | { readonly ok: false; readonly error: KeyFileError }

const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MAX_FILE_SECRETS = 16
/** Bounds of what a file may ask of this machine: 1 GiB. */
const MAX_SCRYPT_BYTES = 1 << 30

function deriveKey(password: string, salt: Uint8Array, cost: ScryptCost): Uint8Array {
  const maxmem = 128 * cost.n * cost.r + 128 * cost.r * cost.p + (1 << 20)
  return scryptSync(password.normalize('NFKC'), salt, 32, {
    N: cost.n,
    r: cost.r,
    p: cost.p,
    maxmem,
  })
}

function publicPart(label: string, publicKeys: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(publicKeys).sort(([left], [right]) => (left < right ? -1 : 1))
  return new TextEncoder().encode(JSON.stringify(['millrace/keyfile', 1, label, entries]))
}

/** Encrypts named secrets. `random` gives fresh random bytes. */
export function sealKeyFile(options: {
  readonly label: string
  readonly publicKeys: Readonly<Record<string, Uint8Array>>
  readonly secrets: Readonly<Record<string, Uint8Array>>
  readonly password: string
  readonly random: (length: number) => Uint8Array
  readonly cost?: ScryptCost
}): KeyFile {
  const cost = options.cost ?? KEYSTORE_COST
  const salt = options.random(SALT_BYTES)
  const nonce = options.random(NONCE_BYTES)
  const publicKeys = hexValues(options.publicKeys)
  const cipher = createCipheriv('aes-256-gcm', deriveKey(options.password, salt, cost), nonce)
  cipher.setAAD(publicPart(options.label, publicKeys))
  const plaintext = new TextEncoder().encode(JSON.stringify(hexValues(options.secrets)))
  const ciphertext = concatBytes(cipher.update(plaintext), cipher.final())
  plaintext.fill(0)
  return {
    version: 1,
    label: options.label,
    publicKeys,
    kdf: { name: 'scrypt', ...cost, salt: toHex(salt) },
    cipher: {
      name: 'aes-256-gcm',
      nonce: toHex(nonce),
      tag: toHex(new Uint8Array(cipher.getAuthTag())),
      ciphertext: toHex(ciphertext),
    },
  }
}

/** Decrypts a key file. Total: any value and password give the secrets or the reason why not. */
export function openKeyFile(value: unknown, password: string): OpenedKeys {
  const parsed = parseKeyFile(value)
  if (typeof parsed === 'string') {
    return { ok: false, error: { code: 'KeyFileMalformed', reason: parsed } }
  }
  const { file, salt, nonce, tag, ciphertext } = parsed
  const key = deriveKey(password, salt, file.kdf)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(publicPart(file.label, file.publicKeys))
  decipher.setAuthTag(tag)
  try {
    const plaintext = concatBytes(decipher.update(ciphertext), decipher.final())
    const secrets = JSON.parse(new TextDecoder().decode(plaintext)) as Record<string, string>
    plaintext.fill(0)
    const entries = Object.entries(secrets).map(([name, hex]) => [name, fromHex(hex)] as const)
    return { ok: true, value: Object.fromEntries(entries) as Record<string, Uint8Array> }
  } catch {
    return { ok: false, error: { code: 'KeyFileLocked' } }
  }
}

function hexValues(values: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, bytes]) => [name, toHex(bytes)]))
}

interface ParsedKeyFile {
  readonly file: KeyFile
  readonly salt: Uint8Array
  readonly nonce: Uint8Array
  readonly tag: Uint8Array
  readonly ciphertext: Uint8Array
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bytesOf(value: unknown, length?: number): Uint8Array | undefined {
  if (typeof value !== 'string' || value.length > 65_536) return undefined
  const bytes = fromHex(value)
  return length === undefined || bytes?.length === length ? bytes : undefined
}

function parseKeyFile(value: unknown): ParsedKeyFile | string {
  if (!isRecord(value) || value['version'] !== 1) return 'expected a key file of version 1'
  const { label, publicKeys, kdf, cipher } = value
  if (typeof label !== 'string' || label.length > 256) return 'label: expected text'
  if (!isRecord(publicKeys) || Object.keys(publicKeys).length > MAX_FILE_SECRETS) {
    return 'publicKeys: expected names with hex'
  }
  if (!Object.values(publicKeys).every((key) => bytesOf(key) !== undefined)) {
    return 'publicKeys: expected hex'
  }
  if (!isRecord(kdf) || kdf['name'] !== 'scrypt') return 'kdf: expected scrypt'
  if (!isScryptCost(kdf)) return 'kdf: expected scrypt costs within 1 GiB'
  if (!isRecord(cipher) || cipher['name'] !== 'aes-256-gcm') return 'cipher: expected aes-256-gcm'
  const salt = bytesOf(kdf['salt'], SALT_BYTES)
  const nonce = bytesOf(cipher['nonce'], NONCE_BYTES)
  const tag = bytesOf(cipher['tag'], TAG_BYTES)
  const ciphertext = bytesOf(cipher['ciphertext'])
  if (salt === undefined) return `kdf.salt: expected ${SALT_BYTES} bytes`
  if (nonce === undefined) return `cipher.nonce: expected ${NONCE_BYTES} bytes`
  if (tag === undefined) return `cipher.tag: expected ${TAG_BYTES} bytes`
  if (ciphertext === undefined) return 'cipher.ciphertext: expected hex'
  return { file: value as unknown as KeyFile, salt, nonce, tag, ciphertext }
}

function isScryptCost(value: Record<string, unknown>): boolean {
  const { n, r, p } = value
  if (typeof n !== 'number' || typeof r !== 'number' || typeof p !== 'number') return false
  if (![n, r, p].every((cost) => Number.isSafeInteger(cost) && cost >= 1)) return false
  if (n < 2 || Math.log2(n) % 1 !== 0 || p > 16) return false
  return 128 * n * r <= MAX_SCRYPT_BYTES
}
