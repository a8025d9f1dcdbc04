/** Keys and spends for tests: p2wpkh, taproot key path, tapscript leaves. All keys are public knowledge. */
import { address, crypto, networks, Transaction } from 'bitcoinjs-lib'
import * as ecc from 'tiny-secp256k1'
import { tapLeafHash } from '../../../../devnet/bitcoin/script.ts'

export interface Coin {
  readonly txid: string
  readonly vout: number
  readonly amountSat: bigint
  readonly script: Uint8Array
}

export interface Payment {
  readonly script: Uint8Array
  readonly amountSat: bigint
}

export const concat = (...parts: readonly Uint8Array[]) => Uint8Array.from(Buffer.concat(parts))
export const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
export const reversed = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex').reverse())

export function secretKey(number: number): Uint8Array {
  const secret = new Uint8Array(32)
  new DataView(secret.buffer).setUint32(28, number)
  return secret
}

export function publicKey(secret: Uint8Array): Uint8Array {
  const point = ecc.pointFromScalar(secret, true)
  if (point === null) throw new Error('not a secret key')
  return point
}

export const xOnly = (secret: Uint8Array) => publicKey(secret).slice(1)

export function keyHashScript(secret: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(0, 20), crypto.hash160(publicKey(secret)))
}

/** The bech32(m) address of a witness script. */
export function addressOf(script: Uint8Array): string {
  const version = script[0] === 0 ? 0 : (script[0] ?? 0) - 0x50
  return address.toBech32(script.slice(2), version, networks.regtest.bech32)
}

/** A taproot output with one leaf under an internal key. */
export interface LeafOutput {
  readonly script: Uint8Array
  readonly leaf: Uint8Array
  readonly control: Uint8Array
}

export function leafOutput(internalKey: Uint8Array, leaf: Uint8Array): LeafOutput {
  const tweak = crypto.taggedHash('TapTweak', concat(internalKey, tapLeafHash(leaf)))
  const tweaked = ecc.xOnlyPointAddTweak(internalKey, tweak)
  if (tweaked === null) throw new Error('the tweak has no point')
  return {
    script: concat(Uint8Array.of(0x51, 0x20), tweaked.xOnlyPubkey),
    leaf,
    control: concat(Uint8Array.of(0xc0 | tweaked.parity), internalKey),
  }
}

/** The output whose key path is this secret key with no leaf. */
export function keyPathScript(secret: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(0x51, 0x20), xOnly(tweakedSecret(secret)))
}

function tweakedSecret(secret: Uint8Array): Uint8Array {
  const even = publicKey(secret)[0] === 2 ? secret : ecc.privateNegate(secret)
  const tweaked = ecc.privateAdd(even, crypto.taggedHash('TapTweak', xOnly(secret)))
  if (tweaked === null) throw new Error('the tweak has no key')
  return tweaked
}

/** `<k1> CHECKSIG <k2> CHECKSIGADD … <t> NUMEQUAL`, after `prefix`. */
export function thresholdLeaf(
  keys: readonly Uint8Array[],
  threshold: number,
  prefix: Uint8Array = new Uint8Array(),
): Uint8Array {
  const checks = keys.map((key, index) =>
    concat(Uint8Array.of(0x20), key, Uint8Array.of(index === 0 ? 0xac : 0xba)),
  )
  return concat(prefix, ...checks, Uint8Array.of(0x50 + threshold, 0x9c))
}

export interface SpendOptions {
  readonly version?: number
  readonly sequence?: number
  readonly locktime?: number
}

export function unsigned(
  coins: readonly Coin[],
  payments: readonly Payment[],
  { version = 2, sequence = 0xfffffffd, locktime = 0 }: SpendOptions = {},
): Transaction {
  const tx = new Transaction()
  tx.version = version
  tx.locktime = locktime
  for (const coin of coins) tx.addInput(reversed(coin.txid), coin.vout, sequence)
  for (const { script, amountSat } of payments) tx.addOutput(script, amountSat)
  return tx
}

export function signKeyHash(tx: Transaction, index: number, coin: Coin, secret: Uint8Array): void {
  const key = publicKey(secret)
  const code = concat(
    Uint8Array.of(0x76, 0xa9, 0x14),
    crypto.hash160(key),
    Uint8Array.of(0x88, 0xac),
  )
  const digest = tx.hashForWitnessV0(index, code, coin.amountSat, Transaction.SIGHASH_ALL)
  const der = derSignature(ecc.sign(digest, secret))
  tx.setWitness(index, [concat(der, Uint8Array.of(Transaction.SIGHASH_ALL)), key])
}

function derSignature(compact: Uint8Array): Uint8Array {
  const integer = (bytes: Uint8Array) => {
    const start = bytes.findIndex((byte) => byte !== 0)
    const digits = bytes.slice(start)
    const body = (digits[0] ?? 0) >= 0x80 ? concat(Uint8Array.of(0), digits) : digits
    return concat(Uint8Array.of(2, body.length), body)
  }
  const body = concat(integer(compact.slice(0, 32)), integer(compact.slice(32)))
  return concat(Uint8Array.of(0x30, body.length), body)
}

export function signKeyPath(
  tx: Transaction,
  index: number,
  coins: readonly Coin[],
  secret: Uint8Array,
): void {
  const digest = taprootDigest(tx, index, coins)
  tx.setWitness(index, [ecc.signSchnorr(digest, tweakedSecret(secret))])
}

/** The leaf's digest for SIGHASH_DEFAULT. */
export function leafSignature(
  tx: Transaction,
  index: number,
  coins: readonly Coin[],
  leaf: Uint8Array,
  secret: Uint8Array,
): Uint8Array {
  return ecc.signSchnorr(taprootDigest(tx, index, coins, tapLeafHash(leaf)), secret)
}

function taprootDigest(
  tx: Transaction,
  index: number,
  coins: readonly Coin[],
  leafHash?: Uint8Array,
): Uint8Array {
  return tx.hashForWitnessV1(
    index,
    coins.map((coin) => coin.script),
    coins.map((coin) => coin.amountSat),
    Transaction.SIGHASH_DEFAULT,
    leafHash,
  )
}

/** Spends one p2wpkh coin to payments; what is left over is the fee. */
export function spendKeyHash(
  coin: Coin,
  secret: Uint8Array,
  payments: readonly Payment[],
  options?: SpendOptions,
): Transaction {
  const tx = unsigned([coin], payments, options)
  signKeyHash(tx, 0, coin, secret)
  return tx
}
