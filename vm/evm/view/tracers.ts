/**
 * What happens within a transaction, step by step or call by call, in the shapes of execution-apis and of go-ethereum's tracers that
 * tools read: `callTracer`, `prestateTracer`, and the struct logger. A tracer hears the interpreter; without one nothing is paid.
 */
import type { EVM, EVMResult, InterpreterStep, Message } from '@ethereumjs/evm'
import { bigintToBytes, toHex } from '../../../crypto/index.ts'
import type { StateJournal } from '../state-journal.ts'

export type TraceConfig = {
  readonly tracer?: 'callTracer' | 'prestateTracer' | 'noopTracer' | undefined
  readonly onlyTopCall?: boolean | undefined
  readonly withLog?: boolean | undefined
  readonly diffMode?: boolean | undefined
  readonly enableMemory?: boolean | undefined
  readonly disableStack?: boolean | undefined
  readonly disableStorage?: boolean | undefined
  readonly enableReturnData?: boolean | undefined
  /** Steps that are told; 0: all that fit. */
  readonly limit?: number | undefined
}

/** What is traced, as the transaction itself says it. */
export type Traced = {
  readonly from: Uint8Array
  readonly to: Uint8Array | undefined
  readonly valueWei: bigint
  readonly data: Uint8Array
  readonly gasLimit: bigint
}

export type TraceEnd = {
  readonly gasUsed: bigint
  readonly returnValue: Uint8Array
  readonly error: string | undefined
}

export interface Listener {
  /** JSON. Undefined: it does not fit into an answer. */
  result(end: TraceEnd): unknown
  stop(): void
}

/** Characters of a trace; a longer one is refused. */
export const MAX_TRACE_CHARACTERS = 20_000_000

const hex = (bytes: Uint8Array) => `0x${toHex(bytes)}`
const quantity = (value: bigint | number) => `0x${value.toString(16)}`

export function listen(
  evm: EVM,
  state: StateJournal,
  config: TraceConfig,
  traced: Traced,
): Listener {
  if (config.tracer === 'callTracer') return listenToCalls(evm, config, traced)
  if (config.tracer === undefined) return listenToSteps(evm, state, config)
  return { result: () => ({}), stop: () => {} }
}

type Json = Record<string, unknown>

function listenToSteps(evm: EVM, state: StateJournal, config: TraceConfig): Listener {
  const logs: Json[] = []
  const storage = new Map<string, Record<string, string>>()
  let characters = 0
  let returned = '0x'
  let calling: { readonly log: Json; readonly depth: number } | undefined
  const isFull = () => config.limit !== undefined && config.limit > 0 && logs.length >= config.limit
  const onStep = (step: InterpreterStep) => {
    if (isFull() || characters > MAX_TRACE_CHARACTERS) return
    const gas = Number(step.gasLeft)
    // What an inner call is given is a cost of the step that makes it.
    if (calling !== undefined && step.depth > calling.depth) {
      calling.log['gasCost'] =
        (calling.log['gasCost'] as number) + gas - (calling.log['stipend'] as number)
    }
    if (calling !== undefined) delete calling.log['stipend']
    calling = undefined
    const log: Json = {
      pc: step.pc,
      op: step.opcode.name,
      gas,
      gasCost: Number(step.opcode.dynamicFee ?? step.opcode.fee),
      depth: step.depth + 1,
    }
    if (step.gasRefund > 0n) log['refund'] = Number(step.gasRefund)
    if (config.disableStack !== true) log['stack'] = step.stack.map(quantity)
    if (config.enableMemory === true) log['memory'] = wordsOf(step.memory)
    if (config.enableReturnData === true) log['returnData'] = returned
    if (config.disableStorage !== true) noteStorage(step, log)
    if (/^(CALL|CALLCODE|DELEGATECALL|STATICCALL)$/.test(step.opcode.name)) {
      const hasValue = /^CALL/.test(step.opcode.name) && (step.stack.at(-3) ?? 0n) > 0n
      log['stipend'] = hasValue ? 2_300 : 0
      calling = { log, depth: step.depth }
    }
    characters += 80 + JSON.stringify(log).length
    logs.push(log)
  }
  const noteStorage = (step: InterpreterStep, log: Json) => {
    const { name } = step.opcode
    const top = step.stack.at(-1)
    if ((name !== 'SLOAD' && name !== 'SSTORE') || top === undefined) return
    const addressHex = toHex(step.address.bytes)
    const slotHex = toHex(bigintToBytes(top, 32))
    const value =
      name === 'SSTORE'
        ? bigintToBytes(step.stack.at(-2) ?? 0n, 32)
        : wordOf(state.storage(addressHex, slotHex))
    const seen = { ...storage.get(addressHex), [`0x${slotHex}`]: hex(value) }
    storage.set(addressHex, seen)
    log['storage'] = seen
  }
  const depths: number[] = []
  const onBefore = ({ depth }: Message) => void depths.push(depth)
  const onAfter = ({ execResult }: EVMResult) => {
    const depth = depths.pop()
    if (depth !== undefined && depth > 0) returned = hex(execResult.returnValue)
    const last = logs.at(-1)
    const error = execResult.exceptionError?.error
    if (last !== undefined && error !== undefined && last['depth'] === (depth ?? 0) + 1) {
      last['error'] = errorName(error)
    }
  }
  evm.events.on('step', onStep)
  evm.events.on('beforeMessage', onBefore)
  evm.events.on('afterMessage', onAfter)
  return {
    result({ gasUsed, returnValue, error }) {
      if (characters > MAX_TRACE_CHARACTERS) return undefined
      for (const log of logs) delete log['stipend']
      return {
        gas: Number(gasUsed),
        failed: error !== undefined,
        returnValue: hex(returnValue),
        structLogs: logs,
      }
    },
    stop() {
      evm.events.off('step', onStep)
      evm.events.off('beforeMessage', onBefore)
      evm.events.off('afterMessage', onAfter)
    },
  }
}

interface Frame extends Json {
  calls?: Frame[]
}

function listenToCalls(evm: EVM, config: TraceConfig, traced: Traced): Listener {
  const open: { readonly frame: Frame; readonly isStatic: boolean; readonly logs: number }[] = []
  let top: Frame | undefined
  let characters = 0
  const onBefore = (message: Message) => {
    const frame = frameOf(message, open.at(-1)?.isStatic === true)
    characters += 400 + 2 * message.data.length
    open.push({ frame, isStatic: message.isStatic, logs: 0 })
  }
  const onAfter = ({ execResult, createdAddress }: EVMResult) => {
    const closed = open.pop()
    if (closed === undefined) return
    const { frame } = closed
    const { returnValue, executionGasUsed, exceptionError, logs } = execResult
    frame['gasUsed'] = quantity(executionGasUsed)
    if (createdAddress !== undefined) frame['to'] = hex(createdAddress.bytes)
    if (returnValue.length > 0) frame['output'] = hex(returnValue)
    if (exceptionError !== undefined) frame['error'] = errorName(exceptionError.error)
    if (config.withLog === true && exceptionError === undefined && logs !== undefined) {
      // Logs of inner calls come before; the frame's own are what is left.
      const own = logs.filter(([address]) => frame['to'] === hex(address))
      frame['logs'] = own.map(([address, topics, data]) => ({
        address: hex(address),
        topics: topics.map(hex),
        data: hex(data),
      }))
    }
    characters += 2 * returnValue.length
    const parent = open.at(-1)
    if (parent === undefined) top = frame
    else if (config.onlyTopCall !== true && characters <= MAX_TRACE_CHARACTERS) {
      parent.frame.calls ??= []
      parent.frame.calls.push(frame)
    }
  }
  evm.events.on('beforeMessage', onBefore)
  evm.events.on('afterMessage', onAfter)
  return {
    result({ gasUsed, returnValue, error }) {
      if (characters > MAX_TRACE_CHARACTERS) return undefined
      // A transfer to an account without code is not run by the interpreter at all.
      const frame: Frame = top ?? { type: traced.to === undefined ? 'CREATE' : 'CALL' }
      return {
        from: hex(traced.from),
        ...(traced.to === undefined ? {} : { to: hex(traced.to) }),
        ...frame,
        gas: quantity(traced.gasLimit),
        gasUsed: quantity(gasUsed),
        value: quantity(traced.valueWei),
        input: hex(traced.data),
        ...(returnValue.length > 0 ? { output: hex(returnValue) } : {}),
        ...(error === undefined ? {} : { error: errorName(error) }),
      }
    },
    stop() {
      evm.events.off('beforeMessage', onBefore)
      evm.events.off('afterMessage', onAfter)
    },
  }
}

function frameOf(message: Message, inStatic: boolean): Frame {
  const { caller, to, value, data, gasLimit, delegatecall, isStatic, salt } = message
  const base = { gas: quantity(gasLimit), input: hex(data) }
  if (to === undefined) {
    const type = salt === undefined ? 'CREATE' : 'CREATE2'
    return { type, from: hex(caller.bytes), value: quantity(value), ...base }
  }
  const code = message.codeAddress
  if (delegatecall) {
    const from = hex(to.bytes)
    return { type: 'DELEGATECALL', from, to: hex(code.bytes), value: quantity(value), ...base }
  }
  const from = hex(caller.bytes)
  if (!code.equals(to)) {
    return { type: 'CALLCODE', from, to: hex(code.bytes), value: quantity(value), ...base }
  }
  if (isStatic && (inStatic || message.depth > 0)) {
    return { type: 'STATICCALL', from, to: hex(to.bytes), ...base }
  }
  return { type: 'CALL', from, to: hex(to.bytes), value: quantity(value), ...base }
}

/** The interpreter's names of faults in the words of go-ethereum, which tools show. */
const ERROR_NAMES: Readonly<Record<string, string>> = {
  revert: 'execution reverted',
  'invalid opcode': 'invalid opcode',
  'invalid JUMP': 'invalid jump destination',
  'stack underflow': 'stack underflow',
  'stack overflow': 'stack limit reached',
  'static state change': 'write protection',
  'create collision': 'contract address collision',
  'insufficient balance': 'insufficient balance for transfer',
  'code size to deposit exceeds maximum code size': 'max code size exceeded',
}

export function errorName(error: string): string {
  return ERROR_NAMES[error] ?? error
}

function wordsOf(memory: Uint8Array): string[] {
  const words: string[] = []
  for (let at = 0; at < memory.length; at += 32) words.push(hex(memory.subarray(at, at + 32)))
  return words
}

function wordOf(value: Uint8Array): Uint8Array {
  const word = new Uint8Array(32)
  word.set(value, 32 - value.length)
  return word
}
