/**
 * The compression function of BLAKE2b, precompile 9 (EIP-152, RFC 7693 §3.2). A round is one gas, and words have 64 bits, which
 * JavaScript lacks: so the rounds are a WebAssembly function, assembled here from the RFC's tables.
 */
import { EVMError, type PrecompileFunc, type PrecompileInput } from '@ethereumjs/evm'

const INPUT_BYTES = 213
/** A multiple of the ten rounds of SIGMA. Code that runs in one long call is never optimised, so long ones are cut up. */
const ROUNDS_AT_ONCE = 10_000

const IV = [
  0x6a09_e667_f3bc_c908n,
  0xbb67_ae85_84ca_a73bn,
  0x3c6e_f372_fe94_f82bn,
  0xa54f_f53a_5f1d_36f1n,
  0x510e_527f_ade6_82d1n,
  0x9b05_688c_2b3e_6c1fn,
  0x1f83_d9ab_fb41_bd6bn,
  0x5be0_cd19_137e_2179n,
] as const
const ALL_ONES = 0xffff_ffff_ffff_ffffn

const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
] as const

/** The words that each of a round's eight mixings takes: four columns, four diagonals. */
const MIXINGS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const

/** In the module's memory: sixteen words of work, sixteen of message. */
const MESSAGE_AT = 128

/** What is used of WebAssembly, which the types of ECMAScript leave out. */
declare const WebAssembly: {
  instantiate(module: Uint8Array<ArrayBuffer>): Promise<{ readonly instance: Instance }>
}
type Instance = {
  readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; run: Rounds['run'] }
}

type Rounds = { readonly words: BigUint64Array; run(rounds: number): void }

/** The precompile: rounds (4, big endian) ‖ h (64) ‖ m (128) ‖ t (16) ‖ final (1). */
export async function createBlake2f(
  outOfGas: (gasLimit: bigint) => ReturnType<PrecompileFunc>,
): Promise<PrecompileFunc> {
  const { words, run } = await createRounds()
  return ({ data, gasLimit }: PrecompileInput) => {
    const final = data[INPUT_BYTES - 1]
    if (data.length !== INPUT_BYTES || (final !== 0 && final !== 1)) return malformed(gasLimit)
    const input = new DataView(data.buffer, data.byteOffset, data.byteLength)
    const rounds = input.getUint32(0)
    const gas = BigInt(rounds)
    if (gas > gasLimit) return outOfGas(gasLimit)
    const word = (at: number) => input.getBigUint64(at, true)
    for (let i = 0; i < 8; i += 1) {
      words[i] = word(4 + 8 * i)
      words[i + 8] = IV[i] as bigint
    }
    for (let i = 0; i < 16; i += 1) words[16 + i] = word(68 + 8 * i)
    words[12] = IV[4] ^ word(196)
    words[13] = IV[5] ^ word(204)
    if (final === 1) words[14] = IV[6] ^ ALL_ONES
    for (let left = rounds; left > 0; left -= ROUNDS_AT_ONCE) run(Math.min(left, ROUNDS_AT_ONCE))
    const returnValue = new Uint8Array(64)
    const output = new DataView(returnValue.buffer)
    for (let i = 0; i < 8; i += 1) {
      const mixed = word(4 + 8 * i) ^ (words[i] as bigint) ^ (words[i + 8] as bigint)
      output.setBigUint64(8 * i, mixed, true)
    }
    return { executionGasUsed: gas, returnValue }
  }
}

function malformed(gasLimit: bigint): Awaited<ReturnType<PrecompileFunc>> {
  return {
    returnValue: new Uint8Array(0),
    executionGasUsed: gasLimit,
    exceptionError: new EVMError(EVMError.errorMessages.OUT_OF_RANGE),
  }
}

async function createRounds(): Promise<Rounds> {
  const { instance } = await WebAssembly.instantiate(assembleRounds())
  const { memory, run } = instance.exports
  return { words: new BigUint64Array(memory.buffer, 0, 32), run }
}

const [VOID, I32, I64] = [0x40, 0x7f, 0x7e]
const op = {
  block: [0x02, VOID],
  loop: [0x03, VOID],
  end: [0x0b],
  br: (depth: number) => [0x0c, depth],
  brIf: (depth: number) => [0x0d, depth],
  get: (local: number) => [0x20, local],
  set: (local: number) => [0x21, local],
  load: (at: number) => [0x41, 0, 0x29, 3, ...unsigned(at)],
  store: (at: number) => [0x37, 3, ...unsigned(at)],
  zero: [0x41, 0],
  one: [0x41, 1],
  isZero: [0x45],
  minus: [0x6b],
  /** A constant below 64. */
  constant: (value: number) => [0x42, value],
  add: [0x7c],
  xor: [0x85],
  rotateRight: [0x8a],
} as const

/** `run(rounds)` with the words in local variables: 0 is the count of rounds, then v, then m. */
function assembleRounds(): Uint8Array<ArrayBuffer> {
  const v = (index: number) => 1 + index
  const m = (index: number) => 17 + index
  const all = Array.from({ length: 16 }, (_, index) => index)
  const code = [
    ...all.flatMap((i) => [...op.load(8 * i), ...op.set(v(i))]),
    ...all.flatMap((i) => [...op.load(MESSAGE_AT + 8 * i), ...op.set(m(i))]),
    ...op.block,
    ...op.loop,
    ...SIGMA.flatMap((order) => [
      ...[...op.get(0), ...op.isZero, ...op.brIf(1)],
      ...[...op.get(0), ...op.one, ...op.minus, ...op.set(0)],
      ...MIXINGS.flatMap(([a, b, c, d], at) => {
        const [x, y] = [m(order[2 * at] as number), m(order[2 * at + 1] as number)]
        return mixing(v(a), v(b), v(c), v(d), x, y)
      }),
    ]),
    ...op.br(0),
    ...op.end,
    ...op.end,
    ...all.flatMap((i) => [...op.zero, ...op.get(v(i)), ...op.store(8 * i)]),
    ...op.end,
  ]
  const locals = [1, 32, I64]
  const body = [...locals, ...code]
  const name = (text: string) => [text.length, ...Buffer.from(text)]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('run'), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ])
}

/** G of RFC 7693 §3.1. */
function mixing(a: number, b: number, c: number, d: number, x: number, y: number): number[] {
  const sum = (...locals: number[]) =>
    locals.flatMap((local, at) => [...op.get(local), ...(at > 0 ? op.add : [])])
  const turned = (to: number, other: number, bits: number) => [
    ...[...op.get(to), ...op.get(other), ...op.xor],
    ...[...op.constant(bits), ...op.rotateRight, ...op.set(to)],
  ]
  return [
    ...[...sum(a, b, x), ...op.set(a), ...turned(d, a, 32)],
    ...[...sum(c, d), ...op.set(c), ...turned(b, c, 24)],
    ...[...sum(a, b, y), ...op.set(a), ...turned(d, a, 16)],
    ...[...sum(c, d), ...op.set(c), ...turned(b, c, 63)],
  ]
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content]
}

/** LEB128. */
function unsigned(value: number): number[] {
  if (value < 0x80) return [value]
  return [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}
