/**
 * `doctor --verify-state`: the data of a stopped node, read from the first block to the last. It changes nothing. The chain is one of
 * this genesis file, each block follows its parent, the ledger's rows and the flat EVM state have the roots that the head commits to.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  blockHash,
  bodyRoot,
  type CommittedBlock,
  decodeCommittedBlock,
} from '../../core/block/index.ts'
import { ledgerFromRows } from '../../core/ledger/index.ts'
import { type KnownBlock, storedLedgerFault } from '../../core/light/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { equalBytes } from '../../crypto/index.ts'
import { damageOfBlock, verifyState } from '../../vm/evm/index.ts'
import {
  type ChainStoreReader,
  certifiedAt,
  readChainStore,
} from '../adapters/chain-store/index.ts'
import { inspectCheckpoints } from '../adapters/checkpoints/index.ts'
import { readEngineState } from '../adapters/engine/index.ts'
import { bad, type Check, good } from './check.ts'

type EngineState = Extract<Awaited<ReturnType<typeof readEngineState>>, { ok: true }>['database']

const REPAIR = 'millrace doctor --repair makes it again from the newest good checkpoint'
const RESTORE =
  'restore a backup (millrace restore), or empty the data directory but for sign-guard: the node fetches all again'
const FILL_AGAIN =
  'move the directory evm-mirror away: the next start fills it again from the stored blocks'
const EXECUTE_AGAIN =
  'millrace doctor --repair empties it: the next start executes the blocks again, from block 1 on; of a pruned node those above the newest good checkpoint'

/** By the code of what is wrong with who signed the head. */
const VALIDATOR_ADVICE = {
  HeaderMissing:
    'name a later block that you know to be of this chain: --trusted-block HEIGHT:HASH',
  NotDecided: RESTORE,
  NotNamed: `compare with another operator which block that is; if this disk is wrong, ${RESTORE}`,
} as const

/** Every check that could be made, in order. */
export async function verifyData(
  dataDir: string,
  genesis: Genesis,
  known?: KnownBlock,
): Promise<readonly Check[]> {
  const chain = await readChainStore(join(dataDir, 'chain'))
  if (!chain.ok) return [bad('chain store', chain.reason, RESTORE)]
  try {
    const checks = [...chainChecks(chain.store, genesis, known)]
    if (checks.some(({ ok }) => !ok)) return checks
    const mirror = join(dataDir, 'evm-mirror')
    const engine = existsSync(join(mirror, 'data.mdb'))
      ? await mirrorChecks(mirror, chain.store)
      : await engineChecks(join(dataDir, 'evm'), chain.store)
    return [...checks, ...engine, await checkpointCheck(join(dataDir, 'checkpoints'))]
  } finally {
    await chain.store.close()
  }
}

function* chainChecks(
  store: ChainStoreReader,
  genesis: Genesis,
  known: KnownBlock | undefined,
): Iterable<Check> {
  const head = attempt(() => committedAt(store, store.headHeight()))
  if ('damage' in head) {
    yield bad('blocks', head.damage, RESTORE)
    return
  }
  const { value: top } = head
  if (top === undefined) {
    yield good('blocks', 'none yet')
    return
  }
  if (!equalBytes(top.block.header.paramsHash, genesis.paramsHash)) {
    const advice = 'name the genesis file of this chain, or another data directory'
    yield bad('blocks', 'of another chain than the genesis file', advice)
    return
  }
  yield checked('blocks', RESTORE, () => verifyChain(store, top.block.header.height))
  const ledger = attempt(() => verifyLedger(store, genesis, top, known))
  if ('damage' in ledger) yield bad('ledger', ledger.damage, REPAIR)
  else yield* ledger.value
}

/** From block to block: hash, parent, index. */
function verifyChain(store: ChainStoreReader, headHeight: number): string {
  let below: Uint8Array | undefined
  for (let height = store.lowestBlock(); height <= headHeight; height++) {
    const stored = store.readBlock(height)
    const committed = committedAt(store, height)
    if (stored === undefined || committed === undefined)
      throw new Damage(`block ${height} is missing`)
    const { header } = committed.block
    const hash = blockHash(header)
    if (header.height !== height || !equalBytes(hash, stored.hash)) {
      throw new Damage(`block ${height} does not have its hash`)
    }
    if (!equalBytes(bodyRoot(committed.block.body), header.bodyRoot)) {
      throw new Damage(`block ${height} has another body than its header names`)
    }
    if (below !== undefined && !equalBytes(header.parentHash, below)) {
      throw new Damage(`block ${height} does not follow block ${height - 1}`)
    }
    if (store.heightOf(hash) !== height)
      throw new Damage(`block ${height} is not found by its hash`)
    below = hash
  }
  return `${store.lowestBlock()} to ${headHeight}: checksums, hashes and parents are right`
}

/** Whether the rows are the head's, and whether the head is of the chain that the genesis file begins. */
function verifyLedger(
  store: ChainStoreReader,
  genesis: Genesis,
  { block: { header }, certificate }: CommittedBlock,
  known: KnownBlock | undefined,
): readonly Check[] {
  const rows = [...store.readLedgerRows()]
  const ledger = ledgerFromRows(genesis, rows)
  if (!ledger.ok) throw new Damage(`${ledger.error.code}: ${ledger.error.detail}`)
  const head = { header, certificate }
  const chain = { ledger: ledger.value, head, certifiedAt: (at: number) => certifiedAt(store, at) }
  const fault = storedLedgerFault(genesis, chain, known)
  if (fault?.code === 'RowsWrong') throw new Damage(fault.detail)
  const whole = good('ledger', `${rows.length} rows have the root of block ${header.height}`)
  if (fault !== undefined) {
    return [whole, bad('validators', fault.detail, VALIDATOR_ADVICE[fault.code])]
  }
  const from = known === undefined ? 'the genesis file' : `block ${known.height}`
  return [whole, good('validators', `followed from ${from}, they signed block ${header.height}`)]
}

/** The blocks beside an execution client of another make, whose state is its own to verify. */
async function mirrorChecks(directory: string, store: ChainStoreReader): Promise<readonly Check[]> {
  const opened = readEngineState(directory)
  if (!opened.ok) return [bad('EVM blocks', opened.reason, FILL_AGAIN)]
  const { database } = opened
  try {
    return [checked('EVM blocks', FILL_AGAIN, () => verifyEvmBlocks(database, store))]
  } finally {
    await database.close()
  }
}

async function engineChecks(directory: string, store: ChainStoreReader): Promise<readonly Check[]> {
  if (!existsSync(join(directory, 'data.mdb'))) {
    return [good('EVM blocks', 'none: the next start executes the blocks again')]
  }
  const opened = readEngineState(directory)
  if (!opened.ok) return [bad('EVM blocks', opened.reason, EXECUTE_AGAIN)]
  const { database } = opened
  try {
    return [
      checked('EVM blocks', EXECUTE_AGAIN, () => verifyEvmBlocks(database, store)),
      checked('EVM state', REPAIR, () => verifyEvmState(database)),
    ]
  } finally {
    await database.close()
  }
}

async function checkpointCheck(directory: string): Promise<Check> {
  const report = await inspectCheckpoints(directory, true)
  if (report === undefined) return good('checkpoints', 'none yet')
  const { damage, heights } = report
  const detail = heights.length === 0 ? 'none is good' : `good ones of blocks ${heights.join(', ')}`
  if (damage === undefined) return good('checkpoints', detail)
  const advice = 'nothing hangs on it: the node leaves what is damaged out, and makes new ones'
  return bad('checkpoints', `${damage}; ${detail}`, advice)
}

function verifyEvmBlocks(database: EngineState, store: ChainStoreReader): string {
  const head = database.head()
  if (head === undefined) return 'none yet'
  const chainHead = committedAt(store, store.headHeight())?.block.body.payload
  if (chainHead !== undefined && head.number > chainHead.blockNumber) {
    throw new Damage(`the state is at block ${head.number}, the chain at ${chainHead.blockNumber}`)
  }
  for (let height = database.lowestBlock(); height <= head.number; height++) {
    const damage = damageOfBlock(database, height)
    if (damage !== undefined) throw new Damage(damage)
  }
  for (let height = store.lowestBlock(); height <= store.headHeight(); height++) {
    const payload = committedAt(store, height)?.block.body.payload
    const known = payload && database.hashAt(payload.blockNumber)
    if (payload !== undefined && known !== undefined && !equalBytes(known, payload.blockHash)) {
      throw new Damage(`block ${payload.blockNumber} is another one than the chain's`)
    }
  }
  const lag = (chainHead?.blockNumber ?? 0) - head.number
  const behind = lag === 0 ? '' : `; the last ${lag} are executed at the next start`
  return `${database.lowestBlock()} to ${head.number}: hashes, receipts and indexes are right${behind}`
}

function verifyEvmState(database: EngineState): string {
  const head = database.head()
  const payload = head && database.payloadAt(head.number)
  if (payload === undefined) return 'none yet'
  const verdict = verifyState(database, payload.stateRoot)
  if (!verdict.ok) throw new Damage(verdict.reason)
  const { accounts, slots } = verdict
  return `${accounts} accounts and ${slots} slots have the state root of block ${payload.blockNumber}`
}

/** What is not as it was written, where it is found. */
class Damage extends Error {}

function committedAt(store: ChainStoreReader, height: number): CommittedBlock | undefined {
  const stored = height > 0 ? store.readBlock(height) : undefined
  if (stored === undefined) return undefined
  const decoded = decodeCommittedBlock(stored.bytes)
  if (!decoded.ok) throw new Damage(`block ${height}: ${decoded.error.reason}`)
  return decoded.value
}

/** A check that throws found its damage: checksums, decoders and LMDB say so by themselves. */
function attempt<T>(work: () => T): { readonly value: T } | { readonly damage: string } {
  try {
    return { value: work() }
  } catch (error) {
    return { damage: (error as Error).message }
  }
}

function checked(name: string, advice: string, work: () => string): Check {
  const result = attempt(work)
  return 'damage' in result ? bad(name, result.damage, advice) : good(name, result.value)
}
