/** Text forms of execution-apis: quantities without leading zeros, data with two digits per byte, both with 0x. */
import { toHex } from '../../crypto/index.ts'

export function quantity(value: number | bigint): string {
  if (value < 0) throw new Error(`negative quantity ${value}`)
  return `0x${value.toString(16)}`
}

export function data(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`
}

export function dataOrNull(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : data(bytes)
}
