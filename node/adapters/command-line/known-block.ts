/** A block that an operator knows to be of the chain, as flags and configurations have it. */
import { hexBytes } from '../../../crypto/index.ts'

export const KNOWN_BLOCK = /^\d{1,15}:(?:0x)?[\da-f]{64}$/i
export const KNOWN_BLOCK_EXPECTED =
  'expected a height and the hash of its block in hex, HEIGHT:HASH'

/** HEIGHT:HASH, which matches `KNOWN_BLOCK`. */
export function knownBlock(text: string): { readonly height: number; readonly hash: Uint8Array } {
  const [height = '', hash = ''] = text.split(':')
  return { height: Number(height), hash: hexBytes(hash.replace(/^0x/i, '')) }
}
