/**
 * Batches that are not recorded, as a node would have to show them: rows of a ledger that differs from the real one in one thing,
 * proven under that ledger's own root, and headers with that root under certificates that are none.
 */
import { BitArray } from '@chainsafe/ssz'
import { parseTransaction, serializeTransaction, txid } from '../../core/bitcoin/index.ts'
import {
  type BlockHeader,
  blockHash,
  type QuorumCertificate,
  voteMessage,
} from '../../core/block/index.ts'
import {
  type BatchRow,
  encodeLedgerProof,
  encodeRow,
  type Ledger,
  LedgerDraft,
  type LedgerSet,
  ledgerRoot,
  proveRow,
  REQUEST_STATE,
  type RequestRow,
  rowOf,
  type SetRows,
  type SpendRow,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { blsAggregate, blsSign, hexBytes, sha256 } from '../../crypto/index.ts'
import type { NodeBody } from '../../proto/index.ts'

/** Where the thief would like the coins to go. */
const STRANGER = hexBytes(`0014${'74'.repeat(20)}`)

/** A batch that is recorded and open. */
export interface RecordedBatch {
  readonly id: Uint8Array
  readonly row: BatchRow
  readonly spendId: Uint8Array
  readonly spend: SpendRow
}

export function recordedBatch(ledger: Ledger, id: Uint8Array): RecordedBatch {
  const row = rowOf(ledger, 'batches', id)
  const spendId = row?.versions.at(-1)
  const spend = spendId && rowOf(ledger, 'spends', spendId)
  if (row === undefined || spendId === undefined || spend === undefined) {
    throw new Error('the batch is not recorded')
  }
  return { id, row, spendId, spend }
}

export interface ForgedBatch {
  readonly what: string
  readonly id: Uint8Array
  readonly version: number
  readonly genesisHash: Uint8Array
  /** The rows, as the thief's ledger has them. */
  readonly ledger: Ledger
}

type Outputs = { amountSat: bigint; scriptPubKey: Uint8Array }[]

/** Forgeries around a recorded batch; each has a ledger of its own. */
export function forgedBatches(
  genesis: Genesis,
  ledger: Ledger,
  batch: RecordedBatch,
): ForgedBatch[] {
  const { id } = batch
  const common = { id, version: 0, genesisHash: genesis.hash }
  const changed = (what: string, change: (outputs: Outputs) => void) => ({
    ...common,
    what,
    ledger: withTransaction(ledger, batch, change),
  })
  const first = (outputs: Outputs) => outputs[0] as Outputs[number]
  const last = (outputs: Outputs) => outputs.at(-1) as Outputs[number]
  const invented = sha256(id)
  const version = ledgerWith(ledger, (draft) => {
    const second = sha256(batch.spendId)
    draft.put('batches', id, { ...batch.row, versions: [...batch.row.versions, second] })
    draft.put('spends', second, { ...batch.spend, version: 1 })
  })
  return [
    changed('pays a stranger', (outputs) => {
      first(outputs).scriptPubKey = STRANGER
    }),
    changed('pays a stranger beside the user', (outputs) => {
      last(outputs).amountSat -= 1_000_000n
      outputs.push({ amountSat: 1_000_000n, scriptPubKey: STRANGER })
    }),
    changed('pays more than was burned', (outputs) => {
      first(outputs).amountSat += 1_000_000n
      last(outputs).amountSat -= 1_000_000n
    }),
    changed('pays less than was burned', (outputs) => {
      first(outputs).amountSat -= 1_000n
      last(outputs).amountSat += 1_000n
    }),
    changed('sends the change to a stranger', (outputs) => {
      last(outputs).scriptPubKey = STRANGER
    }),
    changed('has no change', (outputs) => {
      outputs.pop()
    }),
    changed('gives the miners too much', (outputs) => {
      last(outputs).amountSat /= 2n
    }),
    changed('has its outputs in another order', (outputs) => {
      outputs.reverse()
    }),
    { ...common, what: 'a version that is not recorded', version: 1, ledger: version },
    {
      ...common,
      what: 'a batch that is not recorded',
      id: invented,
      ledger: withInvented(ledger, batch, invented),
    },
    {
      ...common,
      what: 'requests that nobody made',
      ledger: ledgerWith(ledger, (draft) => {
        const request = rowOf(ledger, 'requests', batch.row.requests[0] as Uint8Array) as RequestRow
        const made = sha256(batch.spendId)
        draft.put('requests', made, { ...request, scriptPubKey: STRANGER })
        draft.put('batches', id, { ...batch.row, requests: [made] })
      }),
    },
    {
      ...common,
      what: 'a request that is paid already',
      ledger: ledgerWith(ledger, (draft) => {
        const key = batch.row.requests[0] as Uint8Array
        const request = rowOf(ledger, 'requests', key) as RequestRow
        draft.put('requests', key, { ...request, state: REQUEST_STATE.paid })
      }),
    },
    {
      ...common,
      what: 'without its conflict input',
      ledger: ledgerWith(ledger, (draft) => {
        draft.put('batches', id, { ...batch.row, inputs: [new Uint8Array(36).fill(7)] })
      }),
    },
    { ...common, what: 'of another chain', genesisHash: sha256(genesis.hash), ledger },
    { ...common, what: 'a batch id that is none', id: id.subarray(0, 31), ledger },
    { ...common, what: 'a version far away', version: 4_000_000_000, ledger },
  ]
}

function ledgerWith(ledger: Ledger, write: (draft: LedgerDraft) => void): Ledger {
  const draft = new LedgerDraft(ledger)
  write(draft)
  return draft.finish()
}

function withTransaction(
  ledger: Ledger,
  batch: RecordedBatch,
  change: (outputs: Outputs) => void,
): Ledger {
  const parsed = parseTransaction(batch.spend.transaction)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  const outputs = parsed.value.outputs.map((output) => ({ ...output }))
  change(outputs)
  const transaction = { ...parsed.value, outputs }
  const id = txid(transaction)
  return ledgerWith(ledger, (draft) => {
    draft.put('batches', batch.id, { ...batch.row, versions: [id] })
    draft.put('spends', id, { ...batch.spend, transaction: serializeTransaction(transaction) })
  })
}

/** A second batch for the same requests, from the same inputs. */
function withInvented(ledger: Ledger, batch: RecordedBatch, id: Uint8Array): Ledger {
  return ledgerWith(ledger, (draft) => {
    draft.put('batches', id, batch.row)
    draft.put('spends', batch.spendId, { ...batch.spend, batchId: id })
    for (const key of batch.row.requests) {
      draft.put('requests', key, {
        ...(rowOf(ledger, 'requests', key) as RequestRow),
        batchId: id,
      })
    }
    for (const key of batch.row.inputs) {
      const output = rowOf(ledger, 'outputs', key)
      if (output !== undefined) draft.put('outputs', key, { ...output, batchId: id })
    }
  })
}

/** Every row that a batch version refers to, with proofs under the root of `ledger`. */
export function proofAnswer(
  ledger: Ledger,
  height: number,
  id: Uint8Array,
  version: number,
): NodeBody {
  const batch = rowOf(ledger, 'batches', id)
  const spendId = batch?.versions[version]
  if (batch === undefined || spendId === undefined) {
    return {
      kind: 'errorResponse',
      code: 'INVALID_REQUEST',
      message: 'no such batch',
      retryAfterMs: 0,
    }
  }
  const rows = [
    proven(ledger, 'batches', id),
    proven(ledger, 'spends', spendId),
    ...batch.inputs.map((key) => proven(ledger, 'outputs', key)),
    ...batch.requests.map((key) => proven(ledger, 'requests', key)),
  ]
  return { kind: 'ledgerProof', height, rows }
}

function proven<S extends LedgerSet>(ledger: Ledger, set: S, key: Uint8Array) {
  const row = rowOf(ledger, set, key) as SetRows[S] | undefined
  return {
    set,
    key,
    present: row !== undefined,
    row: row === undefined ? new Uint8Array(0) : encodeRow(set, row),
    proof: encodeLedgerProof(proveRow(ledger, set, key)),
  }
}

/** A block after `parent` that commits to a ledger of the thief's. */
export function forgedHeader(parent: BlockHeader, ledger: Ledger, author: Uint8Array): BlockHeader {
  return {
    ...parent,
    height: parent.height + 1,
    slot: parent.slot + 1,
    author,
    parentHash: blockHash(parent),
    ledgerRoot: ledgerRoot(ledger),
  }
}

/** What one stolen validator key can put under a header. */
export function forgedCertificates(
  genesis: Genesis,
  header: BlockHeader,
  honest: QuorumCertificate,
  position: number,
  secretKey: Uint8Array,
): readonly (readonly [string, QuorumCertificate])[] {
  const n = genesis.validators.length
  const hash = blockHash(header)
  const { height } = header
  const vote = blsSign(secretKey, voteMessage(genesis.hash, 'commit', height, 0, hash))
  const prepare = blsSign(secretKey, voteMessage(genesis.hash, 'prepare', height, 0, hash))
  const bits = (isSet: (index: number) => boolean) =>
    BitArray.fromBoolArray(Array.from({ length: n }, (_, index) => isSet(index)))
  const own = bits((index) => index === position)
  const all = bits(() => true)
  const common = { height, view: 0, blockHash: hash }
  const times = blsAggregate(Array.from({ length: n }, () => vote)) ?? vote
  return [
    ["the last block's certificate", honest],
    ["the last block's signatures", { ...honest, ...common }],
    ['one vote', { ...common, bitmap: own, signature: vote }],
    ['one vote for all', { ...common, bitmap: all, signature: vote }],
    ['one vote many times', { ...common, bitmap: all, signature: times }],
    ['one prepare', { ...common, bitmap: own, signature: prepare }],
    ['a bitmap of one', { ...common, bitmap: BitArray.fromBoolArray([true]), signature: vote }],
    ['no vote', { ...common, bitmap: bits(() => false), signature: new Uint8Array(96) }],
  ]
}
