/** How the ChainActor finds its place again: store → ledger → engine replay → driver (design §3, SY-12). */
import { type CommittedBlock, hashKey } from '../../core/block/index.ts'
import { type ChainHead, genesisHead, headFromStored } from '../../core/chain/index.ts'
import { ledgerFromRows, ledgerRoot } from '../../core/ledger/index.ts'
import { feeRatesKept } from '../../core/validators/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import type {
  CommitPayload,
  EngineHead,
  EngineStatus,
  EvidenceRecord,
  ExecutePayload,
  LoadChain,
  ReadBlocks,
  RecordHalt,
} from '../../messages/index.ts'
import { faultError } from '../../supervisor/index.ts'
import type { ChainRun } from './effects.ts'
import { CHAIN_FAULTS, type ChainFaultCode } from './errors.ts'
import { decodeHalt, type HaltRecord } from './halt.ts'
import { EXECUTE_TIMEOUT_MS, PERSIST_TIMEOUT_MS } from './limits.ts'

export interface StartingPoint {
  readonly head: ChainHead
  readonly committed: CommittedBlock | undefined
  readonly halt: HaltRecord | undefined
  readonly evidence: readonly EvidenceRecord[]
}

/** The durable head with its ledger, checked against the roots that it commits to. */
export async function loadHead(run: ChainRun): Promise<StartingPoint> {
  const { genesis } = run.ports
  const origin = genesisHead(genesis)
  const loaded = await run.ask<LoadChain>(
    'storage',
    { type: 'storage.LoadChain', payload: {} },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  if (!loaded.ok) throw fault('DependencyTimeout', `storage: ${loaded.error.code}`)
  const { evidence = [], halt: halted, head: committed, ledgerRows } = loaded.value.payload
  const halt = halted === undefined ? undefined : await standingHalt(run, halted)
  if (committed === undefined) return { head: origin, committed: undefined, evidence, halt }
  const { header } = committed.block
  if (!equalBytes(header.paramsHash, genesis.paramsHash)) {
    throw fault('ForeignChain', 'the store belongs to another genesis file')
  }
  const read = ledgerFromRows(genesis, ledgerRows)
  if (!read.ok) throw fault('LedgerDamaged', `${read.error.code}: ${read.error.detail}`)
  const ledger = read.value
  if (!equalBytes(ledgerRoot(ledger), header.ledgerRoot)) {
    throw fault('LedgerDamaged', `ledger rows do not give the root of block ${header.height}`)
  }
  const kept = feeRatesKept(ledger)
  const first = Math.max(1, header.height - kept + 1)
  const blocks = await readBlocks(run, first, header.height - first + 1)
  const rates = blocks.map(({ block }) => block.header.feeRateSatPerKvb)
  const feeRates = [...origin.feeRates, ...rates].slice(-kept)
  return { head: headFromStored(committed, ledger, feeRates), committed, evidence, halt }
}

/**
 * A halt that is on record and that nobody has looked at. `resumeHalt` names the one that the operator has: its record goes, and
 * the node goes on.
 */
async function standingHalt(run: ChainRun, text: string): Promise<HaltRecord | undefined> {
  const record = decodeHalt(text)
  if (record.id !== run.ports.resumeHalt) return record
  const cleared = await run.ask<RecordHalt>(
    'storage',
    { type: 'storage.RecordHalt', payload: { record: null } },
    { timeoutMs: PERSIST_TIMEOUT_MS },
  )
  if (!cleared.ok) throw fault('DependencyTimeout', `storage: ${cleared.error.code}`)
  run.log('warn', 'the operator lets the chain go on after a halt', { ...record })
  return undefined
}

/**
 * The engine's durable head may lag: what it misses is executed again. It can never lead. A state that is not the one of the stored
 * blocks is rolled back to genesis; where a replay from there fails too, nothing helps.
 */
export async function replayEngine(run: ChainRun, head: ChainHead): Promise<void> {
  const status = await run.ask<EngineStatus>(
    'engine',
    { type: 'engine.EngineStatus', payload: {} },
    { timeoutMs: EXECUTE_TIMEOUT_MS },
  )
  if (!status.ok) throw fault('DependencyTimeout', `engine: ${status.error.code}`)
  if (status.value.type !== 'engine.EngineHead') {
    throw fault('DependencyTimeout', status.value.payload.reason)
  }
  const engine: EngineHead['payload'] = status.value.payload
  const diverged = await replayFrom(run, head, engine)
  if (diverged === undefined) return
  if (engine.number === 0) throw fault('EngineDiverged', diverged)
  await run.tell('engine', { type: 'engine.RollBack', payload: { reason: diverged } })
  throw fault('EngineRolledBack', diverged)
}

/** Where the engine's state turned out not to be the one of the stored blocks. */
async function replayFrom(
  run: ChainRun,
  head: ChainHead,
  engine: EngineHead['payload'],
): Promise<string | undefined> {
  if (engine.number > head.evm.number) {
    return `the engine is at ${engine.number}, the chain at ${head.evm.number}`
  }
  let below = engine.hash
  let next = engine.number + 1
  while (next <= head.evm.number) {
    const blocks = await readBlocks(run, next, Math.min(64, head.evm.number - next + 1))
    for (const committed of blocks) {
      const { payload } = committed.block.body
      if (!equalBytes(payload.parentHash, below)) {
        return `the engine has another block ${payload.blockNumber - 1}: ${hashKey(below)}`
      }
      if (!(await replayBlock(run, committed))) {
        return `block ${payload.blockNumber} ${hashKey(payload.blockHash)} does not execute`
      }
      below = payload.blockHash
    }
    next += blocks.length
  }
  return equalBytes(below, head.evm.hash)
    ? undefined
    : `the engine has another block ${head.evm.number}: ${hashKey(below)}`
}

/** False: it is not valid in the engine's state. */
async function replayBlock(run: ChainRun, { block }: CommittedBlock): Promise<boolean> {
  const { payload } = block.body
  const executed = await run.ask<ExecutePayload>(
    'engine',
    { type: 'engine.ExecutePayload', payload: { payload } },
    { timeoutMs: EXECUTE_TIMEOUT_MS },
  )
  if (!executed.ok) throw fault('DependencyTimeout', `engine: ${executed.error.code}`)
  const { value } = executed
  if (value.type !== 'engine.ExecutionResult') throw fault('EngineLost', value.payload.reason)
  const verdict = value.payload
  // A fault of the engine's own says nothing of its state; a block that it does not have does.
  if (verdict.status === 'UNKNOWN' && verdict.code === 'EngineFault') {
    throw fault('EngineLost', verdict.code)
  }
  if (verdict.status !== 'VALID') return false
  const committed = await run.ask<CommitPayload>(
    'engine',
    {
      type: 'engine.CommitPayload',
      payload: { hash: payload.blockHash, height: block.header.height },
    },
    { timeoutMs: EXECUTE_TIMEOUT_MS },
  )
  if (!committed.ok) throw fault('DependencyTimeout', `engine: ${committed.error.code}`)
  if (committed.value.type !== 'engine.EngineHead') {
    throw fault('EngineLost', committed.value.payload.reason)
  }
  return true
}

/** `count` blocks from `from` on, however many answers of Storage they take. */
async function readBlocks(
  run: ChainRun,
  from: number,
  count: number,
): Promise<readonly CommittedBlock[]> {
  const blocks: CommittedBlock[] = []
  while (blocks.length < count) {
    const next = from + blocks.length
    const range = await run.ask<ReadBlocks>(
      'storage',
      {
        type: 'storage.ReadBlocks',
        payload: { from: next, count: count - blocks.length, maxBytes: 16 * 1024 * 1024 },
      },
      { timeoutMs: PERSIST_TIMEOUT_MS },
    )
    if (!range.ok) throw fault('DependencyTimeout', `storage: ${range.error.code}`)
    if (range.value.payload.blocks.length === 0) {
      throw fault('BlocksMissing', `block ${next} is not stored`)
    }
    blocks.push(...range.value.payload.blocks)
  }
  return blocks
}

function fault(code: ChainFaultCode, reason: string): Error {
  return faultError(code, CHAIN_FAULTS[code], reason)
}
