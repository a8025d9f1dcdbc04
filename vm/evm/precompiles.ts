/**
 * The precompiles that pure JavaScript is slow at: BLS12-381 (EIP-2537), KZG's pairing and bn254 by mcl, modular powers by GMP and
 * BLAKE2b's rounds, all in WebAssembly; P-256 (EIP-7951), RIPEMD-160 and SHA-256 by OpenSSL. The others are the library's.
 */
import { createHash } from 'node:crypto'
import {
  EVMError,
  type EVMOpts,
  MCLBLS,
  type PrecompileFunc,
  type PrecompileInput,
} from '@ethereumjs/evm'
import { Address } from '@ethereumjs/util'
import { bigintToBytes, verifyP256 } from '../../crypto/index.ts'
import { createBlake2f } from './blake2f.ts'
import { createBn254 } from './bn254.ts'
import type { Fork } from './fork.ts'
import { createModularPower, modexpPrecompile } from './modexp.ts'
import { mcl } from './pairing.ts'

const RIPEMD160_GAS = 600n
const RIPEMD160_WORD_GAS = 120n
const P256_GAS = 6_900n
const P256_INPUT_BYTES = 160

const EMPTY = new Uint8Array(0)
const TRUE = bigintToBytes(1n, 32)

export type Precompiles = Required<Pick<EVMOpts, 'bls' | 'bn254' | 'customPrecompiles'>>

/** What an EVM of `fork` gets in place of the library's own. */
export async function createPrecompiles(fork: Fork): Promise<Precompiles> {
  const own: [number, PrecompileFunc][] = [
    [0x03, ripemd160],
    [0x09, await createBlake2f(outOfGas)],
  ]
  if (fork.name === 'osaka') {
    own.push([0x05, modexpPrecompile(await createModularPower(), outOfGas)], [0x100, p256Verify])
  }
  return {
    bls: new MCLBLS(mcl),
    bn254: await createBn254(),
    customPrecompiles: own.map(([address, run]) => ({
      address: new Address(bigintToBytes(BigInt(address), 20)),
      function: run,
    })),
  }
}

function outOfGas(gasLimit: bigint): ReturnType<PrecompileFunc> {
  return {
    returnValue: EMPTY,
    executionGasUsed: gasLimit,
    exceptionError: new EVMError(EVMError.errorMessages.OUT_OF_GAS),
  }
}

function ripemd160({ data, gasLimit }: PrecompileInput): ReturnType<PrecompileFunc> {
  const gas = RIPEMD160_GAS + RIPEMD160_WORD_GAS * BigInt(Math.ceil(data.length / 32))
  if (gas > gasLimit) return outOfGas(gasLimit)
  const returnValue = new Uint8Array(32)
  returnValue.set(createHash('ripemd160').update(data).digest(), 12)
  return { executionGasUsed: gas, returnValue }
}

/** EIP-7951: input hash ‖ r ‖ s ‖ x ‖ y; no answer unless the signature is right. */
function p256Verify({ data, gasLimit }: PrecompileInput): ReturnType<PrecompileFunc> {
  if (gasLimit < P256_GAS) return outOfGas(gasLimit)
  const at = (index: number) => data.subarray(index * 32, index * 32 + 32)
  const isRight =
    data.length === P256_INPUT_BYTES && verifyP256(at(0), at(1), at(2), { x: at(3), y: at(4) })
  return { executionGasUsed: P256_GAS, returnValue: isRight ? TRUE : EMPTY }
}
