/** Random programs and transactions for differential tests, all from one seed. */
import { concatBytes, sha256, uint32be } from '../../crypto/index.ts'

/** A seeded source of numbers: SHA-256 in counter mode. */
export class Chance {
  readonly #seed: Uint8Array
  #counter = 0
  #block = new Uint8Array(0)
  #at = 0

  constructor(seed: number) {
    this.#seed = uint32be(seed)
  }

  byte(): number {
    if (this.#at === this.#block.length) {
      this.#block = new Uint8Array(sha256(concatBytes(this.#seed, uint32be(this.#counter))))
      this.#counter += 1
      this.#at = 0
    }
    return this.#block[this.#at++] as number
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.byte())
  }

  below(limit: number): number {
    return ((this.byte() << 16) | (this.byte() << 8) | this.byte()) % limit
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0
  }
}

/** Opcodes that need no more than what stands on the stack, with how many they take. */
const TAKES: readonly (readonly [opcode: number, takes: number])[] = [
  ...[0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14].map(two),
  ...[0x16, 0x17, 0x18, 0x1a, 0x1b, 0x1c, 0x1d].map(two),
  ...[0x15, 0x19, 0x1e, 0x31, 0x35, 0x3b, 0x3f, 0x40, 0x54, 0x5c].map(one),
  [0x08, 3],
  [0x09, 3],
  ...[0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46].map(none),
  ...[0x47, 0x48, 0x4a, 0x58, 0x59, 0x5a, 0x5f].map(none),
  [0x50, 1],
  [0x55, 2],
  [0x5d, 2],
]

function none(opcode: number): readonly [number, number] {
  return [opcode, 0]
}
function one(opcode: number): readonly [number, number] {
  return [opcode, 1]
}
function two(opcode: number): readonly [number, number] {
  return [opcode, 2]
}

const push = (value: number): number[] => [0x61, value >> 8, value & 0xff]
const pushBytes = (bytes: Uint8Array): number[] => [0x5f + bytes.length, ...bytes]

/**
 * Code that mostly runs: arguments are pushed before what takes them, memory stays small, and calls go to `targets`. Now and then a
 * byte is anything at all.
 */
export function randomCode(chance: Chance, targets: readonly Uint8Array[]): Uint8Array {
  const code: number[] = []
  if (targets.length === 0) throw new Error('random code needs somebody to call')
  const statements = 4 + chance.below(40)
  for (let count = 0; count < statements; count++) code.push(...statement(chance, targets))
  if (chance.once(4)) code.push(...push(chance.below(64)), ...push(chance.below(64)), 0xf3)
  else if (chance.once(12)) code.push(...push(chance.below(64)), ...push(chance.below(64)), 0xfd)
  else if (chance.once(16)) code.push(...pushBytes(chance.pick(targets)), 0xff)
  return Uint8Array.from(code.slice(0, 4_096))
}

function statement(chance: Chance, targets: readonly Uint8Array[]): number[] {
  const kind = chance.below(20)
  if (kind < 9) return operation(chance)
  if (kind < 11) return store(chance)
  switch (kind) {
    case 11: // MSTORE, MLOAD, MSTORE8
      return [...value(chance), ...push(chance.below(512)), chance.pick([0x52, 0x53, 0x51])]
    case 12: // KECCAK256
      return [...push(chance.below(96)), ...push(chance.below(256)), 0x20, ...push(5), 0x55]
    case 13: // LOG0 … LOG4
      return log(chance)
    case 14:
    case 15:
      return call(chance, targets)
    case 16:
      return create(chance)
    case 17: // CALLDATACOPY, CODECOPY, RETURNDATACOPY of nothing, MCOPY
      return [
        ...push(chance.below(64)),
        ...push(chance.below(64)),
        ...push(chance.below(128)),
        chance.pick([0x37, 0x39, 0x5e]),
      ]
    case 18: // DUP, SWAP on what is there
      return [...value(chance), ...value(chance), chance.pick([0x80, 0x81, 0x90])]
    default:
      return chance.once(6) ? [chance.byte()] : value(chance)
  }
}

function value(chance: Chance): number[] {
  switch (chance.below(4)) {
    case 0:
      return [0x60, chance.below(8)]
    case 1:
      return push(chance.below(65_536))
    case 2:
      return pushBytes(chance.bytes(1 + chance.below(32)))
    default:
      return [0x7f, ...new Array<number>(32).fill(chance.pick([0xff, 0x80, 0x7f, 0]))]
  }
}

function operation(chance: Chance): number[] {
  const [opcode, takes] = chance.pick(TAKES)
  const args = Array.from({ length: takes }, () => value(chance)).flat()
  const result =
    opcode === 0x50 || opcode === 0x55 || opcode === 0x5d ? [] : [0x60, chance.below(8), 0x55]
  return [...args, opcode, ...result]
}

/** SSTORE to one of a few slots, zero now and then. */
function store(chance: Chance): number[] {
  return [...(chance.once(3) ? [0x5f] : value(chance)), 0x60, chance.below(8), 0x55]
}

function log(chance: Chance): number[] {
  const topics = chance.below(5)
  const given = Array.from({ length: topics }, () => value(chance)).flat()
  return [...given, ...push(chance.below(64)), ...push(chance.below(64)), 0xa0 + topics]
}

/** CALL, CALLCODE, DELEGATECALL, STATICCALL to an account or a precompile. */
function call(chance: Chance, targets: readonly Uint8Array[]): number[] {
  const opcode = chance.pick([0xf1, 0xf1, 0xf2, 0xf4, 0xfa])
  const memory = [0, 1, 2, 3].flatMap(() => push(chance.below(96)))
  const hasValue = opcode === 0xf1 || opcode === 0xf2
  const sent = hasValue ? [0x60, chance.once(3) ? chance.below(4) : 0] : []
  const precompile = concatBytes(new Uint8Array(19), Uint8Array.of(1 + chance.below(17)))
  const to = chance.once(5) ? precompile : chance.pick(targets)
  const gas = chance.once(3) ? [0x5a] : push(chance.below(65_536))
  return [...memory, ...sent, ...pushBytes(to), ...gas, opcode, 0x60, chance.below(8), 0x55]
}

/** CREATE or CREATE2 of a few bytes of init code. */
function create(chance: Chance): number[] {
  const length = chance.below(24)
  const init = pushBytes(concatBytes(chance.bytes(8), new Uint8Array(24)))
  const salt = chance.once(2)
  const tail = [...push(length), ...push(0), 0x60, chance.below(3), salt ? 0xf5 : 0xf0]
  return [...init, 0x5f, 0x52, ...(salt ? [0x60, chance.below(4)] : []), ...tail]
}

/** Init code that installs `runtime`. */
export function installs(runtime: Uint8Array): Uint8Array {
  const length = [runtime.length >> 8, runtime.length & 0xff]
  return concatBytes(
    Uint8Array.of(0x61, ...length, 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3),
    runtime,
  )
}
