/** Modular exponentiation, precompile 5 (EIP-198, 7823, 7883), by GMP in WebAssembly. */
import type { PrecompileFunc, PrecompileInput } from '@ethereumjs/evm'
import { init as initGmp } from 'gmp-wasm'
import { bigintFromBytes } from '../../crypto/index.ts'
import { larger } from './gas.ts'

/** EIP-7823: longest base, exponent and modulus. */
const MAX_BYTES = 1024
const LENGTHS_BYTES = 96
const MIN_GAS = 500n

/** `base` to the `exponent` modulo `modulus`, as long as the modulus. */
export type ModularPower = (
  base: Uint8Array,
  exponent: Uint8Array,
  modulus: Uint8Array,
) => Uint8Array

export async function createModularPower(): Promise<ModularPower> {
  const { binding: gmp } = await initGmp()
  const [a, e, m, result] = [gmp.mpz_t(), gmp.mpz_t(), gmp.mpz_t(), gmp.mpz_t()]
  for (const number of [a, e, m, result]) gmp.mpz_init(number)
  const bytes = gmp.malloc(MAX_BYTES)
  const load = (number: typeof a, value: Uint8Array) => {
    gmp.mem.set(value, bytes)
    gmp.mpz_import(number, value.length, 1, 1, 1, 0, bytes)
  }
  return (base, exponent, modulus) => {
    const out = new Uint8Array(modulus.length)
    if (modulus.every((byte) => byte === 0)) return out
    load(a, base)
    load(e, exponent)
    load(m, modulus)
    gmp.mpz_powm(result, a, e, m)
    const length = Math.ceil(gmp.mpz_sizeinbase(result, 2) / 8)
    gmp.mpz_export(bytes, 0, 1, 1, 1, 0, result)
    // The size of zero is said to be one digit, of which nothing is written.
    if (gmp.mpz_sgn(result) !== 0) {
      out.set(gmp.mem.subarray(bytes, bytes + length), modulus.length - length)
    }
    return out
  }
}

/** The precompile of Osaka. */
export function modexpPrecompile(
  power: ModularPower,
  outOfGas: (gasLimit: bigint) => ReturnType<PrecompileFunc>,
): PrecompileFunc {
  return ({ data, gasLimit }: PrecompileInput) => {
    const lengths = [0, 32, 64].map((at) => bigintFromBytes(padded(data, at, 32)))
    if (lengths.some((length) => length > BigInt(MAX_BYTES))) return outOfGas(gasLimit)
    const [baseBytes = 0, exponentBytes = 0, modulusBytes = 0] = lengths.map(Number)
    const exponent = padded(data, LENGTHS_BYTES + baseBytes, exponentBytes)
    const gas = modexpGas(Math.max(baseBytes, modulusBytes), exponent)
    if (gas > gasLimit) return outOfGas(gasLimit)
    const base = padded(data, LENGTHS_BYTES, baseBytes)
    const modulus = padded(data, LENGTHS_BYTES + baseBytes + exponentBytes, modulusBytes)
    return { executionGasUsed: gas, returnValue: power(base, exponent, modulus) }
  }
}

/** EIP-7883: twice the square of the words for each bit of the exponent, 16 for short numbers. */
export function modexpGas(longestBytes: number, exponent: Uint8Array): bigint {
  const words = BigInt(Math.ceil(longestBytes / 8))
  const complexity = longestBytes > 32 ? 2n * words * words : 16n
  const head = bigintFromBytes(exponent.subarray(0, 32))
  const headBits = head === 0n ? 0 : head.toString(2).length - 1
  const iterations = 16 * Math.max(0, exponent.length - 32) + headBits
  return larger(complexity * BigInt(Math.max(1, iterations)), MIN_GAS)
}

/** A part of the input; what is beyond its end reads as zeros. */
function padded(data: Uint8Array, from: number, length: number): Uint8Array {
  const part = data.subarray(from, from + length)
  if (part.length === length) return part
  const out = new Uint8Array(length)
  out.set(part)
  return out
}
