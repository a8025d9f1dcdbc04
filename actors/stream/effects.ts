/** The async part: sending, and answering members' queries from the committed chain. */
import {
  blockHash,
  encodeCertificate,
  encodeHeader,
  encodeValidators,
} from '../../core/block/index.ts'
import {
  encodeLedgerProof,
  encodeRow,
  LEDGER_SETS,
  type Ledger,
  type LedgerSet,
  proveRow,
  rowOf,
} from '../../core/ledger/index.ts'
import { validatorsAt } from '../../core/validators/index.ts'
import {
  type NodeBody,
  type ProvenRowBytes,
  type RowKey,
  STREAM_LIMITS,
  type StreamErrorCode,
} from '../../proto/index.ts'
import type { ActorRun } from '../../supervisor/index.ts'
import type { StreamEffect, StreamInbox, StreamQuery } from './handlers.ts'
import { MAX_ANSWER_BYTES } from './limits.ts'
import { STREAM_METRICS } from './metrics.ts'
import type { CertifiedBlock, ChainReader, CommittedHead, StreamPorts } from './port.ts'

export async function perform(
  effect: StreamEffect,
  run: ActorRun<StreamInbox, StreamPorts>,
): Promise<StreamInbox | undefined> {
  const { stream, chain, metrics } = run.ports
  switch (effect.kind) {
    case 'send': {
      const outcome = stream.send(effect.memberIndex, effect.message)
      metrics?.count(STREAM_METRICS.sent, { kind: effect.message.body.kind, outcome })
      return undefined
    }
    case 'announceHead': {
      const head = chain.head()
      if (head === undefined) return undefined
      const body = newHead(head)
      for (const memberIndex of effect.memberIndexes) {
        stream.send(memberIndex, { requestId: '', correlationId: run.correlationId, body })
      }
      return undefined
    }
    case 'answerQuery': {
      const { memberIndex, message, query, connectedMembers } = effect
      const body = await answerQuery(chain, query, connectedMembers)
      const { requestId, correlationId } = message
      stream.send(memberIndex, { requestId, correlationId, body })
      metrics?.count(STREAM_METRICS.queries, { kind: query.kind })
      return { type: 'stream.QueryAnswered', payload: { memberIndex } }
    }
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}

/** The answer to one query; what cannot be answered is an error body, never a rejection. */
export async function answerQuery(
  chain: ChainReader,
  query: StreamQuery,
  connectedMembers: number,
): Promise<NodeBody> {
  const head = chain.head()
  if (head === undefined) return failure('UNAVAILABLE', 'the chain is not loaded', 1000)
  switch (query.kind) {
    case 'headerRequest': {
      const count = Math.min(query.count, STREAM_LIMITS.maxHeaders)
      if (query.fromHeight < 0 || count < 1) return failure('INVALID_REQUEST', 'an empty range')
      const blocks = await chain.headers(query.fromHeight, count)
      return {
        kind: 'certifiedHeaders',
        fromHeight: query.fromHeight,
        headers: encodeRange(count === 1 ? blocks.map((block) => withSet(block, head)) : blocks),
      }
    }
    case 'ledgerProofRequest': {
      const wanted = wantedRows(head.ledger, query)
      if (wanted === undefined) return failure('INVALID_REQUEST', 'no such set or batch')
      if (wanted.length > STREAM_LIMITS.maxProofRows) {
        return failure('INVALID_REQUEST', `more than ${STREAM_LIMITS.maxProofRows} rows`)
      }
      const rows = wanted.map(({ set, key }) => provenRow(head.ledger, set, key))
      const sizeBytes = rows.reduce((sum, { row, proof }) => sum + row.length + proof.length, 0)
      if (sizeBytes > MAX_ANSWER_BYTES) return failure('TOO_LARGE', `${sizeBytes} bytes`)
      return { kind: 'ledgerProof', height: head.header.height, rows }
    }
    case 'chainStatusRequest':
      return {
        kind: 'chainStatus',
        height: head.header.height,
        blockHash: blockHash(head.header),
        connectedMembers,
      }
  }
}

/** With the validators who decide after it, even those before: a member that begins at this block has to know them (5.6). */
function withSet(block: CertifiedBlock, { ledger }: CommittedHead): CertifiedBlock {
  return { ...block, nextValidators: validatorsAt(ledger, block.header.height + 1) }
}

function newHead(head: CertifiedBlock): NodeBody {
  return { kind: 'newHead', height: head.header.height, head: encodeCertified(head) }
}

function encodeCertified({ header, certificate, nextValidators = [] }: CertifiedBlock) {
  return {
    header: encodeHeader(header),
    certificate: encodeCertificate(certificate),
    nextValidators: encodeValidators(nextValidators),
  }
}

/** As many as one answer holds, at least one: the member asks again for the rest. */
function encodeRange(blocks: readonly CertifiedBlock[]) {
  const headers: ReturnType<typeof encodeCertified>[] = []
  let sizeBytes = 0
  for (const block of blocks) {
    const encoded = encodeCertified(block)
    const { header, certificate, nextValidators } = encoded
    sizeBytes += header.length + certificate.length + nextValidators.length
    if (headers.length > 0 && sizeBytes > MAX_ANSWER_BYTES) break
    headers.push(encoded)
  }
  return headers
}

interface WantedRow {
  readonly set: LedgerSet
  readonly key: Uint8Array
}

/** The rows that a query names, those that a batch version refers to, or those of the reserve. */
function wantedRows(
  ledger: Ledger,
  {
    batchId,
    reserve,
    rows,
    version,
  }: Extract<StreamQuery, { readonly kind: 'ledgerProofRequest' }>,
): readonly WantedRow[] | undefined {
  if (reserve === true) {
    const live = [...ledger.open.reserve.values()].slice(0, STREAM_LIMITS.maxProofRows)
    return live.map(({ key }) => ({ set: 'outputs', key }))
  }
  if (batchId.length === 0) {
    return rows.every(isLedgerRow) ? (rows as readonly WantedRow[]) : undefined
  }
  const batch = rowOf(ledger, 'batches', batchId)
  const txid = batch?.versions[version]
  const isRecorded = txid !== undefined && rowOf(ledger, 'spends', txid) !== undefined
  if (batch === undefined || !isRecorded) return undefined
  const before = batch.versions[version - 1]
  return [
    { set: 'batches', key: batchId },
    { set: 'spends', key: txid },
    ...(before === undefined ? [] : [{ set: 'spends', key: before } as const]),
    ...batch.inputs.map((key) => ({ set: 'outputs', key }) as const),
    ...batch.requests.map((key) => ({ set: 'requests', key }) as const),
  ]
}

function isLedgerRow({ set }: RowKey): boolean {
  return (LEDGER_SETS as readonly string[]).includes(set)
}

function provenRow(ledger: Ledger, set: LedgerSet, key: Uint8Array): ProvenRowBytes {
  const row = rowOf(ledger, set, key)
  return {
    set,
    key,
    present: row !== undefined,
    row: row === undefined ? new Uint8Array(0) : encodeRow(set, row),
    proof: encodeLedgerProof(proveRow(ledger, set, key)),
  }
}

function failure(code: StreamErrorCode, message: string, retryAfterMs = 0): NodeBody {
  return { kind: 'errorResponse', code, message, retryAfterMs }
}
