/**
 * bn254, precompiles 6 to 8 (EIP-196, 197), by mcl in WebAssembly: an instance of its own, for the other one is set to BLS12-381.
 * Points lie in the module's memory, so that nothing is allocated for a call.
 */
import { type EVMBN254Interface, EVMError } from '@ethereumjs/evm'
import createMcl from 'mcl-wasm/dist/mcl_c.js'
import { bigintToBytes } from '../../crypto/index.ts'

const CURVE_SNARK1 = 4
/** Words of a scalar and of a coordinate that the module is compiled for: 4 and 6. */
const COMPILED_FOR = 46
const COORDINATE_BYTES = 48
const G1_BYTES = 3 * COORDINATE_BYTES
const G2_BYTES = 6 * COORDINATE_BYTES
const GT_BYTES = 12 * COORDINATE_BYTES

const WORD_BYTES = 32
const PAIR_BYTES = 192
/** Pairs whose loops run together, and share their squarings. */
const BATCH = 16
const PRIME = bigintToBytes(
  0x3064_4e72_e131_a029_b850_45b6_8181_585d_9781_6a91_6871_ca8d_3c20_8c16_d87c_fd47n,
  WORD_BYTES,
)

/** What is called of the module; numbers are addresses in its memory. */
type Predicate = (point: number) => number
type Unary = (to: number, from: number) => void
type Binary = (to: number, left: number, right: number) => void
type FromBytes = (to: number, bytes: number, length: number) => number

interface MclModule {
  readonly wasmMemory: { readonly buffer: ArrayBuffer }
  _malloc(bytes: number): number
  _mclBn_init(curve: number, compiledFor: number): number
  _mclBn_verifyOrderG2(always: number): void
  _mclBnFr_setBigEndianMod: FromBytes
  _mclBnFp_setLittleEndian: FromBytes
  _mclBnFp_setInt32(to: number, value: number): void
  _mclBnFp_serialize(bytes: number, length: number, from: number): number
  _mclBnG1_clear(point: number): void
  _mclBnG1_isValid: Predicate
  _mclBnG1_isZero: Predicate
  _mclBnG1_normalize: Unary
  _mclBnG1_add: Binary
  _mclBnG1_mul: Binary
  _mclBnG2_clear(point: number): void
  _mclBnG2_isValid: Predicate
  _mclBnG2_isZero: Predicate
  _mclBnGT_setInt32(to: number, value: number): void
  _mclBnGT_isOne: Predicate
  _mclBnGT_mul: Binary
  _mclBn_millerLoopVec(to: number, points: number, twisted: number, count: number): void
  _mclBn_finalExp: Unary
}

export async function createBn254(): Promise<EVMBN254Interface> {
  const environment = { cryptoGetRandomValues: refuseRandomness }
  const mcl = (await createMcl(environment)) as MclModule
  if (mcl._mclBn_init(CURVE_SNARK1, COMPILED_FOR) !== 0) throw new Error('mcl has no SNARK1')
  mcl._mclBn_verifyOrderG2(1)
  return new Bn254(mcl)
}

/** Nothing here is random. */
function refuseRandomness(): never {
  throw new Error('bn254 asked for randomness')
}

class Bn254 implements EVMBN254Interface {
  readonly #mcl: MclModule
  readonly #bytes: number
  readonly #left: number
  readonly #right: number
  readonly #scalar: number
  readonly #points: number
  readonly #twisted: number
  readonly #product: number
  readonly #factor: number

  constructor(mcl: MclModule) {
    this.#mcl = mcl
    this.#bytes = mcl._malloc(WORD_BYTES)
    this.#left = mcl._malloc(G1_BYTES)
    this.#right = mcl._malloc(G1_BYTES)
    this.#scalar = mcl._malloc(WORD_BYTES)
    this.#points = mcl._malloc(BATCH * G1_BYTES)
    this.#twisted = mcl._malloc(BATCH * G2_BYTES)
    this.#product = mcl._malloc(GT_BYTES)
    this.#factor = mcl._malloc(GT_BYTES)
  }

  /** x1 ‖ y1 ‖ x2 ‖ y2, to the sum's x ‖ y. */
  add(input: Uint8Array): Uint8Array {
    this.#loadG1(this.#left, input, 0)
    this.#loadG1(this.#right, input, 64)
    this.#mcl._mclBnG1_add(this.#left, this.#left, this.#right)
    return this.#storeG1(this.#left)
  }

  /** x ‖ y ‖ any factor, to the product's x ‖ y. */
  mul(input: Uint8Array): Uint8Array {
    this.#loadG1(this.#left, input, 0)
    this.#memory().set(input.subarray(64, 96), this.#bytes)
    this.#mcl._mclBnFr_setBigEndianMod(this.#scalar, this.#bytes, WORD_BYTES)
    this.#mcl._mclBnG1_mul(this.#left, this.#left, this.#scalar)
    return this.#storeG1(this.#left)
  }

  /** Pairs of points of G1 and G2, to one if the product of their pairings is one, else zero. */
  pairing(input: Uint8Array): Uint8Array {
    const mcl = this.#mcl
    mcl._mclBnGT_setInt32(this.#product, 1)
    let count = 0
    for (let at = 0; at < input.length; at += PAIR_BYTES) {
      const point = this.#points + count * G1_BYTES
      const twisted = this.#twisted + count * G2_BYTES
      this.#loadG1(point, input, at)
      this.#loadG2(twisted, input, at + 64)
      // The pairing of infinity is one.
      if (mcl._mclBnG1_isZero(point) || mcl._mclBnG2_isZero(twisted)) continue
      count += 1
      if (count === BATCH) {
        this.#multiplyIn(count)
        count = 0
      }
    }
    this.#multiplyIn(count)
    mcl._mclBn_finalExp(this.#product, this.#product)
    return bigintToBytes(mcl._mclBnGT_isOne(this.#product) ? 1n : 0n, WORD_BYTES)
  }

  #multiplyIn(count: number): void {
    if (count === 0) return
    this.#mcl._mclBn_millerLoopVec(this.#factor, this.#points, this.#twisted, count)
    this.#mcl._mclBnGT_mul(this.#product, this.#product, this.#factor)
  }

  #loadG1(point: number, input: Uint8Array, at: number): void {
    const mcl = this.#mcl
    mcl._mclBnG1_clear(point)
    if (isZero(input, at, 64)) return
    this.#loadCoordinate(point, input, at)
    this.#loadCoordinate(point + COORDINATE_BYTES, input, at + 32)
    mcl._mclBnFp_setInt32(point + 2 * COORDINATE_BYTES, 1)
    if (!mcl._mclBnG1_isValid(point)) refuse()
  }

  /** The imaginary part comes first. Valid is a point of the right order only: the twist has others. */
  #loadG2(point: number, input: Uint8Array, at: number): void {
    const mcl = this.#mcl
    mcl._mclBnG2_clear(point)
    if (isZero(input, at, 128)) return
    this.#loadCoordinate(point + COORDINATE_BYTES, input, at)
    this.#loadCoordinate(point, input, at + 32)
    this.#loadCoordinate(point + 3 * COORDINATE_BYTES, input, at + 64)
    this.#loadCoordinate(point + 2 * COORDINATE_BYTES, input, at + 96)
    mcl._mclBnFp_setInt32(point + 4 * COORDINATE_BYTES, 1)
    if (!mcl._mclBnG2_isValid(point)) refuse()
  }

  #loadCoordinate(to: number, input: Uint8Array, at: number): void {
    if (!isBelowPrime(input, at)) throw new EVMError(EVMError.errorMessages.BN254_FP_NOT_IN_FIELD)
    const memory = this.#memory()
    for (let i = 0; i < WORD_BYTES; i += 1) memory[this.#bytes + i] = input[at + 31 - i] as number
    this.#mcl._mclBnFp_setLittleEndian(to, this.#bytes, WORD_BYTES)
  }

  #storeG1(point: number): Uint8Array {
    const out = new Uint8Array(64)
    if (this.#mcl._mclBnG1_isZero(point)) return out
    this.#mcl._mclBnG1_normalize(point, point)
    this.#storeCoordinate(out, 0, point)
    this.#storeCoordinate(out, 32, point + COORDINATE_BYTES)
    return out
  }

  #storeCoordinate(out: Uint8Array, at: number, from: number): void {
    this.#mcl._mclBnFp_serialize(this.#bytes, WORD_BYTES, from)
    const memory = this.#memory()
    for (let i = 0; i < WORD_BYTES; i += 1) out[at + i] = memory[this.#bytes + 31 - i] as number
  }

  /** Asked for each time: memory that grew is another buffer. */
  #memory(): Uint8Array {
    return new Uint8Array(this.#mcl.wasmMemory.buffer)
  }
}

function isZero(input: Uint8Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i += 1) if (input[i] !== 0) return false
  return true
}

function isBelowPrime(input: Uint8Array, at: number): boolean {
  for (let i = 0; i < WORD_BYTES; i += 1) {
    const difference = (input[at + i] as number) - (PRIME[i] as number)
    if (difference !== 0) return difference < 0
  }
  return false
}

function refuse(): never {
  throw new EVMError(EVMError.errorMessages.REVERT)
}
