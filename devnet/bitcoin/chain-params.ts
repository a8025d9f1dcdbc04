/** The constants of Bitcoin Core's regtest. */
import { Transaction } from 'bitcoinjs-lib'
import { parseHex } from './bytes.ts'

export const POW_LIMIT = (1n << 255n) - 1n
export const POW_LIMIT_BITS = 0x207fffff
export const POW_TARGET_HEX = '7fffff0000000000000000000000000000000000000000000000000000000000'
/** Work of one block at the lowest difficulty: 2^256 / (target + 1). */
export const WORK_PER_BLOCK = 2n
export const DIFFICULTY = 4.656542373906925e-10
export const HALVING_INTERVAL = 150
export const COINBASE_MATURITY = 100
export const MAX_BLOCK_SIGOPS_COST = 80_000
export const MAX_FUTURE_SECONDS = 7_200
/** Versions below are refused from height 1 on, as BIP34, BIP66 and BIP65 are active. */
export const MIN_BLOCK_VERSION = 4
export const BLOCK_VERSION = 0x20000000
export const COIN_SAT = 100_000_000n

const GENESIS_COINBASE =
  '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d' +
  '0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66' +
  '207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe55' +
  '48271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba' +
  '0b8d578a4c702b6bf11d5fac00000000'

const GENESIS_HEADER =
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e' +
  '67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000'

/** The regtest genesis block, whose hash is 0f9188f1…466e2206. */
export function genesisBlockBytes(): Uint8Array {
  const coinbase = Transaction.fromHex(GENESIS_COINBASE).toBuffer()
  const header = parseHex(GENESIS_HEADER) ?? new Uint8Array()
  return Uint8Array.of(...header, 1, ...coinbase)
}

/** What a block at `height` may create. */
export function subsidySat(height: number): bigint {
  const halvings = Math.floor(height / HALVING_INTERVAL)
  return halvings >= 64 ? 0n : (50n * COIN_SAT) >> BigInt(halvings)
}
