/**
 * What a gas costs at worst: for each opcode and precompile a transaction that does nothing else until its gas is gone, and the
 * processor time of it. The slowest one bounds the block's gas limit (protocol 6.3).
 */
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { bn254 } from '@noble/curves/bn254.js'
import { p256 } from '@noble/curves/nist.js'
import { DEFAULT_GAS_LIMIT, gasWithin } from '../../core/params/index.ts'
import { bigintToBytes, concatBytes, hexBytes, sha256, toHex } from '../../crypto/index.ts'
import { emptyAccount } from '../../vm/evm/account.ts'
import { type ChainEvm, createChainEvm } from '../../vm/evm/chain.ts'
import { type BlockEnvironment, evmBlock, runTransaction } from '../../vm/evm/run-transaction.ts'
import { EMPTY_STATE, sealState } from '../../vm/evm/state.ts'
import { StateJournal } from '../../vm/evm/state-journal.ts'
import { decodeTransaction, isTransaction } from '../../vm/evm/transaction.ts'
import { MemoryState } from '../unit/vm/evm/memory-store.ts'
import type { Bench, Figure } from './figures.ts'
import { CHAIN_ID, keyOf, sign } from './load.ts'

/** Of the measured transaction: some seconds in all, and more than the largest call needs. */
const GAS_LIMIT = 2_000_000n
/** Protocol 6.3: the slowest block executes in a quarter of a slot. */
const SLOT_MS = 2_000
/** Unrolled, so that the jump back costs next to nothing; code ends at 24 KiB. */
const BODY_BYTES = 20_000
const SHOWN = 12

const CONTRACT = sha256(Buffer.from('worst gas')).slice(12)
const OTHER = sha256(Buffer.from('somebody')).slice(12)
const caller = keyOf('worst gas')

const word = (value: bigint | number) => bigintToBytes(BigInt(value), 32)
const PUSH32 = 0x7f
const POP = 0x50
const full = [PUSH32, ...new Array<number>(32).fill(0xfd)]
const odd = [PUSH32, ...word((1n << 255n) + 12_345_678_901n)]
const small = [0x60, 0x20]
const zero = [0x5f]

interface Program {
  readonly name: string
  /** Runs once. */
  readonly before?: readonly number[]
  /** Runs again and again; leaves the stack as it was. */
  readonly body: readonly number[]
  readonly data?: Uint8Array
  /** Code of the account that is called; else as long as code may be, and nothing but STOP. */
  readonly other?: Uint8Array
}

const binary: readonly (readonly [string, number])[] = [
  ['ADD', 0x01],
  ['MUL', 0x02],
  ['SUB', 0x03],
  ['DIV', 0x04],
  ['SDIV', 0x05],
  ['MOD', 0x06],
  ['SMOD', 0x07],
  ['EXP', 0x0a],
  ['SIGNEXTEND', 0x0b],
  ['LT', 0x10],
  ['SGT', 0x13],
  ['EQ', 0x14],
  ['AND', 0x16],
  ['XOR', 0x18],
  ['BYTE', 0x1a],
  ['SHL', 0x1b],
  ['SHR', 0x1c],
  ['SAR', 0x1d],
]
const unary: readonly (readonly [string, number])[] = [
  ['ISZERO', 0x15],
  ['NOT', 0x19],
  ['CLZ', 0x1e],
  ['BALANCE warm', 0x31],
  ['CALLDATALOAD', 0x35],
  ['EXTCODESIZE warm', 0x3b],
  ['EXTCODEHASH warm', 0x3f],
  ['BLOCKHASH', 0x40],
  ['MLOAD', 0x51],
  ['SLOAD warm', 0x54],
  ['TLOAD', 0x5c],
]
const nullary: readonly (readonly [string, number])[] = [
  ['ADDRESS', 0x30],
  ['ORIGIN', 0x32],
  ['CALLER', 0x33],
  ['CALLVALUE', 0x34],
  ['CALLDATASIZE', 0x36],
  ['CODESIZE', 0x38],
  ['GASPRICE', 0x3a],
  ['RETURNDATASIZE', 0x3d],
  ['COINBASE', 0x41],
  ['TIMESTAMP', 0x42],
  ['NUMBER', 0x43],
  ['PREVRANDAO', 0x44],
  ['GASLIMIT', 0x45],
  ['CHAINID', 0x46],
  ['SELFBALANCE', 0x47],
  ['BASEFEE', 0x48],
  ['BLOBBASEFEE', 0x4a],
  ['PC', 0x58],
  ['MSIZE', 0x59],
  ['GAS', 0x5a],
  ['PUSH0', 0x5f],
]

function opcodes(): Program[] {
  const argument = (name: string) => {
    if (/warm|TLOAD|BLOCKHASH|MLOAD|CALLDATALOAD/.test(name)) return small
    return odd
  }
  const to = [0x73, ...OTHER]
  return [
    ...binary.map(([name, opcode]) => ({ name, body: [...full, ...odd, opcode, POP] })),
    ...unary.map(([name, opcode]) => ({ name, body: [...argument(name), opcode, POP] })),
    ...nullary.map(([name, opcode]) => ({ name, body: [opcode, POP] })),
    { name: 'ADDMOD', body: [...odd, ...full, ...odd, 0x08, POP] },
    { name: 'MULMOD', body: [...odd, ...full, ...odd, 0x09, POP] },
    { name: 'PUSH32', body: [...full, POP] },
    { name: 'DUP1', before: small, body: [0x80, POP] },
    { name: 'SWAP1', before: [...small, ...small], body: [0x90] },
    { name: 'JUMPDEST', body: [0x5b] },
    { name: 'MSTORE', body: [...full, ...small, 0x52] },
    { name: 'MSTORE8', body: [...full, ...small, 0x53] },
    { name: 'KECCAK256 of a word', body: [...small, ...zero, 0x20, POP] },
    { name: 'KECCAK256 of 4 KiB', body: [0x61, 0x10, 0, ...zero, 0x20, POP] },
    { name: 'MCOPY of 4 KiB', body: [0x61, 0x10, 0, 0x61, 0x10, 0, ...zero, 0x5e] },
    { name: 'CALLDATACOPY of 4 KiB', body: [0x61, 0x10, 0, ...zero, ...zero, 0x37] },
    { name: 'CODECOPY of 4 KiB', body: [0x61, 0x10, 0, ...zero, ...zero, 0x39] },
    { name: 'EXTCODECOPY of 4 KiB', body: [0x61, 0x10, 0, ...zero, ...zero, ...to, 0x3c] },
    { name: 'SLOAD cold', body: [0x5a, 0x54, POP] },
    { name: 'SSTORE new', body: [0x5a, 0x5a, 0x55] },
    { name: 'SSTORE warm', body: [0x5a, 0x60, 1, 0x55] },
    { name: 'TSTORE', body: [0x5a, 0x5a, 0x5d] },
    { name: 'BALANCE cold', body: [0x5a, 0x31, POP] },
    { name: 'EXTCODEHASH cold', body: [0x5a, 0x3f, POP] },
    { name: 'LOG0', body: [...small, ...zero, 0xa0] },
    { name: 'LOG4', body: [0x5a, 0x5a, 0x5a, 0x5a, ...small, ...zero, 0xa4] },
    { name: 'CALL warm', body: callOf(to, 0xf1) },
    { name: 'CALL warm, jumps', body: callOf(to, 0xf1), other: jumping() },
    { name: 'DELEGATECALL warm', body: callOf(to, 0xf4) },
    { name: 'CALL cold', body: callOf([0x5a], 0xf1) },
    { name: 'CREATE', body: [...zero, ...zero, ...zero, 0xf0, POP] },
    { name: 'CREATE2', body: [0x5a, ...zero, ...zero, ...zero, 0xf5, POP] },
  ]
}

/** Code that jumps once, as long as code may be: where it may jump to must be known for all of it. */
function jumping(): Uint8Array {
  const code = new Uint8Array(24_576).fill(0x5b)
  code.set([0x61, 0x5f, 0xfe, 0x56])
  code.set([0x5b, 0x00], 0x5ffe)
  return code
}

function callOf(to: readonly number[], opcode: number): number[] {
  const value = opcode === 0xf1 ? zero : []
  return [...zero, ...zero, ...zero, ...zero, ...value, ...to, 0x5a, opcode, POP]
}

/** A precompile on one input, which stands in memory from the start. */
function precompile(name: string, address: number, input: Uint8Array): Program {
  const size = [0x62, input.length >> 16, (input.length >> 8) & 0xff, input.length & 0xff]
  return {
    name,
    before: [...size, ...zero, ...zero, 0x37],
    body: [...zero, ...zero, ...size, ...zero, 0x61, address >> 8, address & 0xff, 0x5a, 0xfa, POP],
    data: input,
  }
}

function precompiles(): Program[] {
  const hash = new Uint8Array(sha256(Uint8Array.of(1)))
  const field = (value: bigint) => bigintToBytes(value, 64)
  const g1 = (scalar: bigint) => {
    const { x, y } = bls12_381.G1.Point.BASE.multiply(scalar).toAffine()
    return concatBytes(field(x), field(y))
  }
  const g2 = (scalar: bigint) => {
    const { x, y } = bls12_381.G2.Point.BASE.multiply(scalar).toAffine()
    return concatBytes(field(x.c0), field(x.c1), field(y.c0), field(y.c1))
  }
  const bnG1 = (scalar: bigint) => {
    const { x, y } = bn254.G1.Point.BASE.multiply(scalar).toAffine()
    return concatBytes(word(x), word(y))
  }
  const bnG2 = bn254.G2.Point.BASE.multiply(7n).toAffine()
  const bnPair = concatBytes(
    bnG1(5n),
    word(bnG2.x.c1),
    word(bnG2.x.c0),
    word(bnG2.y.c1),
    word(bnG2.y.c0),
  )
  const highest = word(2n ** 256n - 190n)
  const secret = new Uint8Array(hash)
  const signature = p256.sign(hash, secret, { prehash: false, lowS: false })
  const signed = concatBytes(hash, signature, p256.getPublicKey(secret, false).subarray(1))
  const modexp = (bytes: number, exponent: number) => {
    const lengths = concatBytes(word(bytes), word(exponent), word(bytes))
    return concatBytes(lengths, new Uint8Array(2 * bytes + exponent).fill(0xfd))
  }
  const recover = sign(caller, { nonce: 0, gasLimit: 21_000n })
  const transaction = decodeTransaction(hexBytes(recover.slice(2)))
  if (!isTransaction(transaction)) throw new Error('not a transaction')
  const { r, s, yParity } = transaction.signature
  const ecrecover = concatBytes(transaction.signingHash(), word(27 + yParity), word(r), word(s))
  const blake = concatBytes(
    Uint8Array.of(0, 0, 4, 0),
    new Uint8Array(208).fill(7),
    Uint8Array.of(1),
  )
  const infinity = Uint8Array.of(0xc0, ...new Uint8Array(47))
  const versioned = concatBytes(Uint8Array.of(1), sha256(infinity).subarray(1))
  const kzg = concatBytes(versioned, word(3), word(0), infinity, infinity)
  const msm = (point: Uint8Array, count: number) =>
    concatBytes(
      ...Array.from({ length: count }, (_, at) =>
        concatBytes(point, word(2n ** 254n + BigInt(at))),
      ),
    )
  return [
    precompile('ecrecover', 1, ecrecover),
    precompile('sha256 of a word', 2, word(1)),
    precompile('sha256 of 8 KiB', 2, new Uint8Array(8_192)),
    precompile('ripemd160 of a word', 3, word(1)),
    precompile('ripemd160 of 8 KiB', 3, new Uint8Array(8_192)),
    precompile('identity of 8 KiB', 4, new Uint8Array(8_192)),
    precompile('modexp 1', 5, modexp(1, 1)),
    precompile('modexp 32', 5, modexp(32, 32)),
    precompile('modexp 64', 5, modexp(64, 8)),
    precompile('modexp 256', 5, modexp(256, 8)),
    precompile('modexp 1024', 5, modexp(1_024, 3)),
    precompile('bn254 add', 6, concatBytes(bnG1(5n), bnG1(9n))),
    precompile('bn254 mul', 7, concatBytes(bnG1(5n), highest)),
    precompile('bn254 pairing of 1', 8, bnPair),
    precompile('bn254 pairing of 8', 8, concatBytes(...new Array<Uint8Array>(8).fill(bnPair))),
    precompile('blake2f of 1024', 9, blake),
    precompile('point evaluation', 10, kzg),
    precompile('bls g1 add', 11, concatBytes(g1(5n), g1(7n))),
    precompile('bls g1 msm of 1', 12, msm(g1(5n), 1)),
    precompile('bls g1 msm of 128', 12, msm(g1(5n), 128)),
    precompile('bls g2 add', 13, concatBytes(g2(5n), g2(7n))),
    precompile('bls g2 msm of 1', 14, msm(g2(5n), 1)),
    precompile('bls g2 msm of 64', 14, msm(g2(5n), 64)),
    precompile('bls pairing of 1', 15, concatBytes(g1(5n), g2(7n))),
    precompile(
      'bls pairing of 8',
      15,
      concatBytes(...new Array<Uint8Array>(8).fill(concatBytes(g1(5n), g2(7n)))),
    ),
    precompile('bls map to g1', 16, field(12_345n)),
    precompile('bls map to g2', 17, concatBytes(field(12_345n), field(777n))),
    precompile('p256', 256, signed),
  ]
}

function codeOf({ before = [], body }: Program): Uint8Array {
  const times = Math.floor(BODY_BYTES / body.length)
  const repeated = Array.from({ length: times }, () => body).flat()
  const back = [0x61, before.length >> 8, before.length & 0xff, 0x56]
  return Uint8Array.from([...before, 0x5b, ...repeated, ...back])
}

const ENVIRONMENT: BlockEnvironment = {
  height: 300,
  timestamp: 1_700_000_000,
  gasLimit: 1_000_000_000,
  baseFeeWei: 1n,
  feeRecipient: new Uint8Array(20).fill(7),
  prevRandao: new Uint8Array(32).fill(7),
}

/** Runs the program until `gasLimit` is gone: processor time per gas. */
async function nsPerGas(chain: ChainEvm, program: Program, gasLimit: bigint): Promise<number> {
  const journal = new StateJournal(EMPTY_STATE)
  journal.setAccount(toHex(caller.address), { ...emptyAccount(), balance: 10n ** 24n })
  journal.setCode(toHex(CONTRACT), codeOf(program))
  journal.setCode(toHex(OTHER), program.other ?? new Uint8Array(24_576).fill(0))
  const state = new MemoryState()
  state.apply(sealState(EMPTY_STATE, journal.changes()).delta)
  state.blockHash = () => new Uint8Array(32).fill(1)
  chain.begin(state)
  const raw = sign(caller, {
    nonce: 0,
    to: CONTRACT,
    gasLimit,
    ...(program.data && { data: program.data }),
  })
  const transaction = decodeTransaction(hexBytes(raw.slice(2)))
  if (!isTransaction(transaction)) throw new Error('not a transaction')
  const before = process.cpuUsage()
  const ran = await runTransaction(
    chain,
    ENVIRONMENT,
    evmBlock(ENVIRONMENT),
    transaction,
    caller.address,
    gasLimit,
  )
  const { user, system } = process.cpuUsage(before)
  if ('rejected' in ran) throw new Error(`${program.name}: ${ran.rejected}`)
  return ((user + system) * 1_000) / Number(ran.result.gasUsed)
}

export const worstGas: Bench = async ({ only, tell }) => {
  const chain = await createChainEvm(CHAIN_ID)
  const measured: { readonly name: string; readonly ns: number }[] = []
  for (const program of [...opcodes(), ...precompiles()]) {
    if (only !== undefined && !only.some((name) => program.name.startsWith(name))) continue
    // Once before, so that what is measured is compiled code, not its compilation.
    await nsPerGas(chain, program, GAS_LIMIT / 2n)
    const ns = await nsPerGas(chain, program, GAS_LIMIT)
    measured.push({ name: program.name, ns })
    tell(`${program.name.padEnd(24)} ${ns.toFixed(1).padStart(8)} ns/gas`)
  }
  const sorted = measured.sort((left, right) => right.ns - left.ns)
  const worst = sorted[0]
  if (worst === undefined) throw new Error('nothing was measured')
  const implied = gasWithin(SLOT_MS / 4, worst.ns)
  const ratio = implied / DEFAULT_GAS_LIMIT
  return [
    ...sorted.slice(0, SHOWN).map(({ name, ns }): Figure => {
      return { metric: name, unit: 'ns/gas', better: 'lower', ours: ns }
    }),
    {
      metric: 'implied_gas_limit',
      unit: 'gas',
      better: 'higher',
      ours: implied,
      peers: { default: DEFAULT_GAS_LIMIT },
      note: `${worst.name} for a quarter of ${SLOT_MS} ms; ${ratio.toFixed(2)} of the default`,
    },
  ]
}
