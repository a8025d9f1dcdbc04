/**
 * The interpreter of the library with a loop of its own. What is cheap (arithmetic, stack, memory, jumps, what a frame knows) runs here,
 * one opcode after the other without a promise, and counts gas in a number; all that touches state, calls or logs is the library's handler.
 * While somebody listens to steps (a trace), the library runs the frame alone.
 */
import { EVM, EVMError, type ExecResult, type Message } from '@ethereumjs/evm'
import { Account, createZeroAddress } from '@ethereumjs/util'
import { bigintFromBytes } from '../../crypto/index.ts'
import { keccak256 } from './keccak.ts'

type RunState = NonNullable<ExecResult['runState']>
type Interpreter = RunState['interpreter']
type InterpreterClass = new (
  evm: EVM,
  stateManager: EVM['stateManager'],
  blockchain: EVM['blockchain'],
  env: RunState['env'],
  gasLeft: bigint,
  journal: EVM['journal'],
  performance: EVM['performanceLogger'],
) => Interpreter

/** Above it the library counts, in bigints: no transaction of a chain has that much (EIP-7825), some test vectors do. */
const MAX_GAS = 2n ** 40n
/** Memory beyond it costs more than that. */
const MAX_OFFSET = 0xffff_ffffn
const MAX_STACK = 1024
/** Constants that are kept of a code: those of a large contract's common paths. */
const MAX_PUSHES = 512
const WORD = 32

const MAX = 2n ** 256n - 1n
const MODULUS = 2n ** 256n
const BITS = 256n
const LOW_64 = 0xffff_ffff_ffff_ffffn

/** An opcode that the loop has done; others are told by their number. */
const DONE = -1

const SMALL = Array.from({ length: 256 }, (_, value) => BigInt(value))

const { errorMessages } = EVMError

function halt(error: EVMError['error']): never {
  throw new EVMError(error)
}

/** What is known of a code: made when it first runs, kept as long as its bytes are. */
type Code = {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** 1 where a jump may go to; made at the first jump. */
  destinations: Uint8Array | undefined
  /** Constants of three bytes and more, by place. */
  readonly pushes: Map<number, bigint>
}

/** What is found out once about bytes, for as long as they are there. */
class Known {
  readonly #codes = new WeakMap<Uint8Array, Code>()
  readonly #words = new WeakMap<Uint8Array, bigint>()

  codeOf(bytes: Uint8Array): Code {
    const known = this.#codes.get(bytes)
    if (known !== undefined) return known
    const code: Code = { bytes, view: viewOf(bytes), destinations: undefined, pushes: new Map() }
    this.#codes.set(bytes, code)
    return code
  }

  /** The number that bytes are which stay for a block or a transaction. */
  wordOf(bytes: Uint8Array): bigint {
    const known = this.#words.get(bytes)
    if (known !== undefined) return known
    const word = bigintFromBytes(bytes)
    this.#words.set(bytes, word)
    return word
  }
}

function destinationsOf(bytes: Uint8Array): Uint8Array {
  const destinations = new Uint8Array(bytes.length)
  for (let at = 0; at < bytes.length; at += 1) {
    const opcode = bytes[at] as number
    if (opcode === 0x5b) destinations[at] = 1
    else if (opcode >= 0x60 && opcode <= 0x7f) at += opcode - 0x5f
  }
  return destinations
}

/** A constant in code; what is beyond the end reads as zeros. */
function readPush(code: Code, at: number, length: number): bigint {
  const known = code.pushes.get(at)
  if (known !== undefined) return known
  let value = 0n
  if (length === WORD && at + WORD <= code.bytes.length) value = readWord(code.view, at)
  else {
    for (let from = at; from < at + length; from += 6) {
      const until = Math.min(from + 6, at + length)
      let part = 0
      for (let i = from; i < until; i += 1) part = part * 256 + (code.bytes[i] ?? 0)
      value = (value << BigInt((until - from) * 8)) | BigInt(part)
    }
  }
  if (code.pushes.size < MAX_PUSHES) code.pushes.set(at, value)
  return value
}

function readWord(view: DataView, at: number): bigint {
  const high = (view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8)
  const low = (view.getBigUint64(at + 16) << 64n) | view.getBigUint64(at + 24)
  return high === 0n ? low : (high << 128n) | low
}

/** One frame of a call: what its opcodes ask for again and again. */
class Frame {
  readonly interpreter: Interpreter
  readonly state: RunState
  readonly code: Code
  readonly known: Known
  readonly stack: bigint[]
  memory: Uint8Array
  memoryView: DataView
  words = 0
  memoryCost = 0
  #address: bigint | undefined
  #caller: bigint | undefined

  constructor(interpreter: Interpreter, code: Uint8Array, known: Known) {
    this.interpreter = interpreter
    this.state = interpreter['_runState']
    this.state.code = code
    this.known = known
    this.code = known.codeOf(code)
    this.stack = this.state.stack['_store']
    this.memory = this.state.memory._store
    this.memoryView = viewOf(this.memory)
  }

  get address(): bigint {
    this.#address ??= bigintFromBytes(this.state.env.address.bytes)
    return this.#address
  }

  get caller(): bigint {
    this.#caller ??= bigintFromBytes(this.state.env.caller.bytes)
    return this.#caller
  }

  /** Gas for memory that reaches to `end`; makes it that long. */
  expand(end: number, gas: number): number {
    const words = Math.ceil(end / WORD)
    if (words <= this.words) return gas
    const cost = 3 * words + Math.floor((words * words) / 512)
    const left = gas - (cost - this.memoryCost)
    if (left < 0) halt(errorMessages.OUT_OF_GAS)
    this.words = words
    this.memoryCost = cost
    this.grow(words * WORD)
    return left
  }

  /** Doubled, so that growing word by word copies each byte a few times only. */
  grow(bytes: number): void {
    if (bytes > this.memory.length) {
      const memory = new Uint8Array(Math.max(bytes, 2 * this.memory.length))
      memory.set(this.memory)
      this.state.memory._store = memory
    }
    this.#takeMemory()
  }

  #takeMemory(): void {
    if (this.memory === this.state.memory._store) return
    this.memory = this.state.memory._store
    this.memoryView = viewOf(this.memory)
  }

  /** To where the library's handlers look. */
  save(programCounter: number, gas: number, height: number): void {
    const { state } = this
    state.programCounter = programCounter
    state.gasLeft = BigInt(gas)
    state.stack['_len'] = height
    if (Number(state.memoryWordCount) !== this.words) {
      state.memoryWordCount = BigInt(this.words)
      state.highestMemCost = BigInt(this.memoryCost)
    }
  }

  /** After a handler: it may have made memory longer. */
  load(): void {
    const words = Number(this.state.memoryWordCount)
    if (words !== this.words) {
      this.words = words
      this.memoryCost = Number(this.state.highestMemCost)
    }
    if (this.memory !== this.state.memory._store) {
      this.#takeMemory()
      // What the library added is just enough: the next time there is room.
      this.grow(2 * this.memory.length)
    }
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function signed(value: bigint): bigint {
  return value >> 255n === 0n ? value : value - MODULUS
}

function unsigned(value: bigint): bigint {
  return value < 0n ? value + MODULUS : value
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base]
  for (let left = exponent; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = (result * square) & MAX
    if (left > 1n) square = (square * square) & MAX
  }
  return result
}

function byteLength(value: bigint): number {
  return value === 0n ? 0 : Math.ceil(value.toString(16).length / 2)
}

/** An offset or a length; what no gas can pay for ends the frame. */
function offsetOf(value: bigint): number {
  if (value > MAX_OFFSET) halt(errorMessages.OUT_OF_GAS)
  return Number(value)
}

/** Gas for a copy, and for the words that it passes. */
function copyGas(length: number): number {
  return 3 + 3 * Math.ceil(length / WORD)
}

/** Copies a part of `source`; what is beyond its end reads as zeros. */
function copyIn(memory: Uint8Array, to: number, source: Uint8Array, from: bigint, length: number) {
  const start = from > BigInt(source.length) ? source.length : Number(from)
  const part = source.subarray(start, Math.min(source.length, start + length))
  memory.set(part, to)
  memory.fill(0, to + part.length, to + length)
}

/** Runs cheap opcodes until one comes that is the library's, which it names, or the frame ends. */
function runCheap(frame: Frame): number {
  const { state, stack, code } = frame
  const { env } = state
  const { bytes } = code
  const length = bytes.length
  let pc = state.programCounter
  let gas = Number(state.gasLeft)
  let top = state.stack.length
  for (;;) {
    const opcode = pc < length ? (bytes[pc] as number) : 0
    if (opcode >= 0x5f && opcode <= 0x9f) {
      gas -= opcode === 0x5f ? 2 : 3
      if (gas < 0) halt(errorMessages.OUT_OF_GAS)
      if (opcode >= 0x90) {
        const other = top - (opcode - 0x8e)
        if (other < 0) halt(errorMessages.STACK_UNDERFLOW)
        const value = stack[top - 1] as bigint
        stack[top - 1] = stack[other] as bigint
        stack[other] = value
        pc += 1
        continue
      }
      if (top >= MAX_STACK) halt(errorMessages.STACK_OVERFLOW)
      if (opcode >= 0x80) {
        const other = top - (opcode - 0x7f)
        if (other < 0) halt(errorMessages.STACK_UNDERFLOW)
        stack[top] = stack[other] as bigint
        pc += 1
      } else if (opcode === 0x5f) {
        stack[top] = 0n
        pc += 1
      } else if (opcode === 0x60) {
        stack[top] = SMALL[bytes[pc + 1] ?? 0] as bigint
        pc += 2
      } else if (opcode === 0x61) {
        stack[top] = BigInt((bytes[pc + 1] ?? 0) * 256 + (bytes[pc + 2] ?? 0))
        pc += 3
      } else {
        stack[top] = readPush(code, pc + 1, opcode - 0x5f)
        pc += opcode - 0x5e
      }
      top += 1
      continue
    }
    if (opcode === 0x5b) {
      gas -= 1
      if (gas < 0) halt(errorMessages.OUT_OF_GAS)
      pc += 1
      continue
    }
    if (opcode === 0x56 || opcode === 0x57) {
      gas -= opcode === 0x56 ? 8 : 10
      if (gas < 0) halt(errorMessages.OUT_OF_GAS)
      top -= opcode - 0x55
      if (top < 0) halt(errorMessages.STACK_UNDERFLOW)
      if (opcode === 0x57 && stack[top] === 0n) {
        pc += 1
        continue
      }
      const to = stack[opcode === 0x56 ? top : top + 1] as bigint
      code.destinations ??= destinationsOf(bytes)
      if (to >= BigInt(length) || code.destinations[Number(to)] !== 1) {
        halt(errorMessages.INVALID_JUMP)
      }
      pc = Number(to)
      continue
    }
    const inputs = INPUTS[opcode] as number
    if (inputs > 0) {
      gas -= STATIC_GAS[opcode] as number
      if (gas < 0) halt(errorMessages.OUT_OF_GAS)
      if (top < inputs) halt(errorMessages.STACK_UNDERFLOW)
      if (opcode === 0x50) {
        top -= 1
        pc += 1
        continue
      }
      const a = stack[top - 1] as bigint
      const b = inputs > 1 ? (stack[top - 2] as bigint) : 0n
      let result: bigint
      switch (opcode) {
        case 0x01: {
          const sum = a + b
          result = sum > MAX ? sum - MODULUS : sum
          break
        }
        case 0x02: {
          const product = a * b
          result = product > MAX ? product & MAX : product
          break
        }
        case 0x03:
          result = unsigned(a - b)
          break
        case 0x04:
          result = b === 0n ? 0n : a / b
          break
        case 0x05:
          result = b === 0n ? 0n : unsigned(signed(a) / signed(b))
          break
        case 0x06:
          result = b === 0n ? 0n : a % b
          break
        case 0x07:
          result = b === 0n ? 0n : unsigned(signed(a) % signed(b))
          break
        case 0x08: {
          const n = stack[top - 3] as bigint
          result = n === 0n ? 0n : (a + b) % n
          break
        }
        case 0x09: {
          const n = stack[top - 3] as bigint
          result = n === 0n ? 0n : (a * b) % n
          break
        }
        case 0x0a:
          gas -= 50 * byteLength(b)
          if (gas < 0) halt(errorMessages.OUT_OF_GAS)
          result = power(a, b)
          break
        case 0x0b:
          result = a > 30n ? b : unsigned(BigInt.asIntN(Number(a) * 8 + 8, b))
          break
        case 0x10:
          result = a < b ? 1n : 0n
          break
        case 0x11:
          result = a > b ? 1n : 0n
          break
        case 0x12:
          result = signed(a) < signed(b) ? 1n : 0n
          break
        case 0x13:
          result = signed(a) > signed(b) ? 1n : 0n
          break
        case 0x14:
          result = a === b ? 1n : 0n
          break
        case 0x15:
          result = a === 0n ? 1n : 0n
          break
        case 0x16:
          result = a & b
          break
        case 0x17:
          result = a | b
          break
        case 0x18:
          result = a ^ b
          break
        case 0x19:
          result = MAX - a
          break
        case 0x1a:
          result = a > 31n ? 0n : (b >> (248n - 8n * a)) & 0xffn
          break
        case 0x1b:
          result = a >= BITS ? 0n : (b << a) & MAX
          break
        case 0x1c:
          result = a >= BITS ? 0n : b >> a
          break
        default:
          result = a >= BITS ? (b >> 255n === 0n ? 0n : MAX) : unsigned(signed(b) >> a)
      }
      top -= inputs
      stack[top] = result
      top += 1
      pc += 1
      continue
    }
    if (NULLARY[opcode] === 1) {
      gas -= opcode === 0x47 ? 5 : 2
      if (gas < 0) halt(errorMessages.OUT_OF_GAS)
      if (top >= MAX_STACK) halt(errorMessages.STACK_OVERFLOW)
      let value: bigint
      switch (opcode) {
        case 0x30:
          value = frame.address
          break
        case 0x32:
          value = frame.known.wordOf(env.origin.bytes)
          break
        case 0x33:
          value = frame.caller
          break
        case 0x34:
          value = env.callValue
          break
        case 0x36:
          value = BigInt(env.callData.length)
          break
        case 0x38:
          value = BigInt(length)
          break
        case 0x3a:
          value = env.gasPrice
          break
        case 0x3d:
          value = BigInt(state.returnBytes.length)
          break
        case 0x41:
          value = frame.known.wordOf(env.block.header.coinbase.bytes)
          break
        case 0x42:
          value = env.block.header.timestamp
          break
        case 0x43:
          value = env.block.header.number
          break
        case 0x44:
          value = frame.known.wordOf(env.block.header.prevRandao)
          break
        case 0x45:
          value = env.block.header.gasLimit
          break
        case 0x46:
          value = frame.interpreter.getChainId()
          break
        case 0x47:
          value = env.contract.balance
          break
        case 0x48:
          value = frame.interpreter.getBlockBaseFee()
          break
        case 0x4a:
          value = frame.interpreter.getBlobBaseFee()
          break
        case 0x58:
          value = BigInt(pc)
          break
        case 0x59:
          value = BigInt(frame.words * WORD)
          break
        default:
          value = BigInt(gas)
      }
      stack[top] = value
      top += 1
      pc += 1
      continue
    }
    switch (opcode) {
      case 0x00:
        frame.save(pc, gas, top)
        return DONE
      case 0x20: {
        if (top < 2) halt(errorMessages.STACK_UNDERFLOW)
        const size = offsetOf(stack[top - 2] as bigint)
        gas -= 30 + 6 * Math.ceil(size / WORD)
        if (gas < 0) halt(errorMessages.OUT_OF_GAS)
        let from = 0
        if (size > 0) {
          from = offsetOf(stack[top - 1] as bigint)
          gas = frame.expand(from + size, gas)
        }
        top -= 1
        stack[top - 1] = hashed(frame.memory.subarray(from, from + size))
        break
      }
      case 0x35: {
        gas -= 3
        if (gas < 0) halt(errorMessages.OUT_OF_GAS)
        if (top < 1) halt(errorMessages.STACK_UNDERFLOW)
        stack[top - 1] = callDataWord(env.callData, stack[top - 1] as bigint)
        break
      }
      case 0x37:
      case 0x39:
      case 0x3e: {
        if (top < 3) halt(errorMessages.STACK_UNDERFLOW)
        const from = stack[top - 2] as bigint
        if (opcode === 0x3e && from + (stack[top - 3] as bigint) > state.returnBytes.length) {
          halt(errorMessages.OUT_OF_GAS)
        }
        const size = offsetOf(stack[top - 3] as bigint)
        gas -= copyGas(size)
        if (gas < 0) halt(errorMessages.OUT_OF_GAS)
        if (size > 0) {
          const to = offsetOf(stack[top - 1] as bigint)
          gas = frame.expand(to + size, gas)
          const source =
            opcode === 0x37 ? env.callData : opcode === 0x39 ? bytes : state.returnBytes
          copyIn(frame.memory, to, source, from, size)
        }
        top -= 3
        break
      }
      case 0x51: {
        if (top < 1) halt(errorMessages.STACK_UNDERFLOW)
        const at = offsetOf(stack[top - 1] as bigint)
        gas -= 3
        if (gas < 0) halt(errorMessages.OUT_OF_GAS)
        gas = frame.expand(at + WORD, gas)
        stack[top - 1] = readWord(frame.memoryView, at)
        break
      }
      case 0x52: {
        if (top < 2) halt(errorMessages.STACK_UNDERFLOW)
        const at = offsetOf(stack[top - 1] as bigint)
        gas -= 3
        if (gas < 0) halt(errorMessages.OUT_OF_GAS)
        gas = frame.expand(at + WORD, gas)
        writeWord(frame.memoryView, at, stack[top - 2] as bigint)
        top -= 2
        break
      }
      case 0x53: {
        if (top < 2) halt(errorMessages.STACK_UNDERFLOW)
        const at = offsetOf(stack[top - 1] as bigint)
        gas -= 3
        if (gas < 0) halt(errorMessages.OUT_OF_GAS)
        gas = frame.expand(at + 1, gas)
        frame.memory[at] = Number((stack[top - 2] as bigint) & 0xffn)
        top -= 2
        break
      }
      case 0x5e: {
        if (top < 3) halt(errorMessages.STACK_UNDERFLOW)
        const size = offsetOf(stack[top - 3] as bigint)
        gas -= copyGas(size)
        if (gas < 0) halt(errorMessages.OUT_OF_GAS)
        if (size > 0) {
          const to = offsetOf(stack[top - 1] as bigint)
          const from = offsetOf(stack[top - 2] as bigint)
          gas = frame.expand(Math.max(to, from) + size, gas)
          frame.memory.copyWithin(to, from, from + size)
        }
        top -= 3
        break
      }
      case 0xf3:
      case 0xfd: {
        if (top < 2) halt(errorMessages.STACK_UNDERFLOW)
        const size = offsetOf(stack[top - 2] as bigint)
        let from = 0
        if (size > 0) {
          from = offsetOf(stack[top - 1] as bigint)
          gas = frame.expand(from + size, gas)
        }
        frame.save(pc, gas, top - 2)
        frame.interpreter._result.returnValue = frame.memory.slice(from, from + size)
        if (opcode === 0xfd) halt(errorMessages.REVERT)
        return DONE
      }
      default:
        frame.save(pc, gas, top)
        return opcode
    }
    pc += 1
  }
}

function hashed(bytes: Uint8Array): bigint {
  const hash = keccak256(bytes)
  return readWord(viewOf(hash), 0)
}

function callDataWord(data: Uint8Array, at: bigint): bigint {
  if (at >= BigInt(data.length)) return 0n
  const from = Number(at)
  if (from + WORD <= data.length) return readWord(viewOf(data), from)
  const word = new Uint8Array(WORD)
  word.set(data.subarray(from))
  return readWord(viewOf(word), 0)
}

function writeWord(view: DataView, at: number, value: bigint): void {
  if (value <= LOW_64) {
    view.setBigUint64(at, 0n)
    view.setBigUint64(at + 8, 0n)
    view.setBigUint64(at + 16, 0n)
    view.setBigUint64(at + 24, value)
    return
  }
  const high = value >> 128n
  view.setBigUint64(at, high >> 64n)
  view.setBigUint64(at + 8, high & LOW_64)
  view.setBigUint64(at + 16, (value >> 64n) & LOW_64)
  view.setBigUint64(at + 24, value & LOW_64)
}

/** Words taken from the stack and gas, of the opcodes from ADD to SAR and of POP. */
const INPUTS = new Uint8Array(256)
const STATIC_GAS = new Uint8Array(256)
const NULLARY = new Uint8Array(256)
for (const [opcode, inputs, gas] of [
  ...[0x01, 0x03, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18].map((code) => [code, 2, 3]),
  ...[0x1a, 0x1b, 0x1c, 0x1d].map((code) => [code, 2, 3]),
  ...[0x02, 0x04, 0x05, 0x06, 0x07, 0x0b].map((code) => [code, 2, 5]),
  ...[0x15, 0x19].map((code) => [code, 1, 3]),
  ...[0x08, 0x09].map((code) => [code, 3, 8]),
  [0x0a, 2, 10],
  [0x50, 1, 2],
] as [number, number, number][]) {
  INPUTS[opcode] = inputs
  STATIC_GAS[opcode] = gas
}
for (const opcode of [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d]) NULLARY[opcode] = 1
for (const opcode of [0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4a]) NULLARY[opcode] = 1
for (const opcode of [0x58, 0x59, 0x5a]) NULLARY[opcode] = 1

/** The EVM of the library with the loop above in it. */
export class LoopEvm extends EVM {
  readonly #known = new Known()
  #interpreterClass: InterpreterClass | undefined

  /** The library does not export its interpreter's class: a frame that it runs itself shows it. */
  async prepare(): Promise<void> {
    const { runState } = await this.runCode({ code: Uint8Array.of(0), gasLimit: 0n })
    this.#interpreterClass = runState?.interpreter.constructor as InterpreterClass
    this.journal.cleanJournal()
  }

  /** Nobody listens, but for a trace: then there is nothing to wait for. */
  protected override readonly _emit = async (topic: string, data: unknown): Promise<void> => {
    for (const listener of this.events.listeners(topic as 'step')) {
      await new Promise<void>((resolve) => {
        if (listener.length === 2) {
          listener(data as never, resolve)
          return
        }
        listener(data as never)
        resolve()
      })
    }
  }

  protected override async runInterpreter(
    message: Message,
    options: Parameters<Interpreter['run']>[1] = {},
  ): Promise<ExecResult> {
    const Interpreter = this.#interpreterClass
    const { code } = message
    if (
      Interpreter === undefined ||
      !(code instanceof Uint8Array) ||
      message.gasLimit > MAX_GAS ||
      this.events.listenerCount('step') > 0
    ) {
      return super.runInterpreter(message, options)
    }
    const env = await this.#environment(message, code)
    const interpreter = new Interpreter(
      this,
      this.stateManager,
      this.blockchain,
      env,
      message.gasLimit,
      this.journal,
      this.performanceLogger,
    )
    const result = interpreter._result
    if (message.selfdestruct) result.selfdestruct = message.selfdestruct
    if (message.createdAddresses) result.createdAddresses = message.createdAddresses
    const frame = new Frame(interpreter, code, this.#known)
    const fault = await this.#run(frame)
    const returnValue = result.returnValue ?? new Uint8Array(0)
    const { gasLeft, gasRefund } = frame.state
    if (fault === undefined) {
      const { logs, selfdestruct, createdAddresses = new Set() } = result
      const executionGasUsed = message.gasLimit - gasLeft
      return { logs, selfdestruct, createdAddresses, executionGasUsed, gasRefund, returnValue }
    }
    const isRevert = fault.error === errorMessages.REVERT
    return {
      logs: [],
      selfdestruct: new Map(),
      createdAddresses: new Set(),
      exceptionError: fault,
      executionGasUsed: isRevert ? message.gasLimit - gasLeft : message.gasLimit,
      gasRefund,
      returnValue,
    }
  }

  async #environment(message: Message, code: Uint8Array): Promise<RunState['env']> {
    const address = message.to ?? createZeroAddress()
    const transaction = this._tx
    if (transaction === undefined || this._block === undefined) throw new Error('no transaction')
    const env: RunState['env'] = {
      address,
      caller: message.caller,
      callData: message.data,
      callValue: message.value,
      code,
      isStatic: message.isStatic,
      isCreate: message.isCreate ?? false,
      depth: message.depth,
      gasPrice: transaction.gasPrice,
      origin: transaction.origin,
      block: this._block,
      contract: (await this.stateManager.getAccount(address)) ?? new Account(),
      codeAddress: message.codeAddress,
      gasRefund: message.gasRefund,
      blobVersionedHashes: message.blobVersionedHashes ?? [],
    }
    if (message.createdAddresses) env.createdAddresses = message.createdAddresses
    return env
  }

  /** To the end of the frame; what it failed of, if it did. */
  async #run(frame: Frame): Promise<EVMError | undefined> {
    try {
      for (;;) {
        const opcode = runCheap(frame)
        if (opcode === DONE) return undefined
        await this.#step(frame, opcode)
        frame.load()
      }
    } catch (cause) {
      if (!(cause instanceof EVMError)) throw cause
      return cause.error === errorMessages.STOP ? undefined : cause
    }
  }

  /** One opcode by the library's handlers. */
  async #step({ state, interpreter }: Frame, opcode: number): Promise<void> {
    const { opcodeInfo, opHandler, gasHandler } = interpreter.lookupOpInfo(opcode)
    state.opCode = opcode
    let gas = opcodeInfo.feeBigInt
    if (opcodeInfo.dynamicGas) gas = await gasHandler(state, gas, this.common)
    if (opcodeInfo.isInvalid) halt(errorMessages.INVALID_OPCODE)
    interpreter.useGas(gas)
    state.programCounter += 1
    const answer = opHandler(state, this.common)
    if (opcodeInfo.isAsync) await answer
  }
}
