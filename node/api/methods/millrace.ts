/** Alys's bare names, and ours. */
import { z } from 'zod'
import {
  blockHash,
  type CommittedBlock,
  decodeKeygenItem,
  decodePegOrder,
  decodeValidatorChange,
  MAX_PEG_ORDER_BYTES,
  MAX_VALIDATOR_CHANGE_BYTES,
} from '../../../core/block/index.ts'
import { LEDGER_SETS, type LedgerSet } from '../../../core/ledger/index.ts'
import {
  encodeField,
  HEADER_FIELDS,
  type HeaderField,
  proveField,
} from '../../../core/light/index.ts'
import type { Result } from '../../../core/params/index.ts'
import { toHex } from '../../../crypto/index.ts'
import { ApiFailure } from '../errors.ts'
import { data } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import { bareHashParam } from '../params.ts'
import { evidencePageToJson } from '../shapes/evidence.ts'
import { actorRowToJson, actorToJson } from '../shapes/inspect.ts'
import {
  certificateToJson,
  certifiedToJson,
  committedToJson,
  consensusToJson,
  federationToJson,
  operationToJson,
  reserveToJson,
  validatorSetToJson,
} from '../shapes/millrace.ts'

/** A call is the smallest item of the making of a key. */
const MAX_CALL_BYTES = 256
const none = z.tuple([])
const actorPath = z.string().min(1).max(128)
const heightParam = z.number().int().min(0)
const bareAddress = z
  .string()
  .regex(/^(?:0x)?[0-9a-f]{40}$/i, 'expected an EVM address')
  .transform((text) => new Uint8Array(Buffer.from(text.slice(-40), 'hex')))
const bareScript = z
  .string()
  .max(256)
  .regex(/^(?:[0-9a-f]{2})*$/i, 'expected a script in hex')
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex')))

const NO_SCRIPT = new Uint8Array(0)
/** As Bitcoin's RPC shows it; internal order inside. */
const bitcoinHash = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'expected the hash of a Bitcoin block')
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex').reverse()))

const headerField = z.enum(HEADER_FIELDS)
const ledgerSet = z.enum(LEDGER_SETS)
const ledgerKey = z
  .string()
  .max(256)
  .regex(/^(?:[0-9a-f]{2})*$/i, 'expected a key in hex')
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex')))
/** SSZ of a decision with its approval, in hex, as the members' commands write it. */
function approvedParam<Item>(
  what: string,
  mostBytes: number,
  decode: (bytes: Uint8Array) => Result<Item, unknown>,
) {
  return z
    .string()
    .max(2 * mostBytes)
    .regex(/^(?:[0-9a-f]{2})+$/i, `expected ${what} in hex`)
    .transform((text, context) => {
      const decoded = decode(new Uint8Array(Buffer.from(text, 'hex')))
      if (decoded.ok) return decoded.value
      context.addIssue({ code: 'custom', message: `not approved ${what}` })
      return z.NEVER
    })
}
const changeParam = approvedParam(
  'change of the validators',
  MAX_VALIDATOR_CHANGE_BYTES,
  decodeValidatorChange,
)
const orderParam = approvedParam('order about the peg', MAX_PEG_ORDER_BYTES, decodePegOrder)

const callParam = approvedParam('call for the next key', MAX_CALL_BYTES, decodeKeygenItem)

function blockAnswer(committed: CommittedBlock | undefined): unknown {
  return committed === undefined ? new ApiFailure('BlockNotFound') : committedToJson(committed)
}

/** The supervision tree, or one actor with its figures by message type. */
function inspect({ ports, clock }: CallContext, path: string | undefined): unknown {
  const actors = ports.system.actors()
  const { name, version, startedAtMs } = ports.node
  const head = { node: name, version, startedAtMs, nowMs: clock.nowMs() }
  if (path === undefined) return { ...head, actors: actors.map(actorRowToJson) }
  const actor = actors.find((row) => row.path === path)
  if (actor === undefined) {
    const known = actors.map((row) => row.path).join(', ')
    return new ApiFailure('ResourceNotFound', `no actor ${path}; there are ${known}`)
  }
  return { ...head, actor: actorToJson(actor) }
}

function isSyncing({ ports }: CallContext): boolean {
  const { currentHeight, targetHeight } = ports.sync()
  return targetHeight > currentHeight + 1
}

/** Without parameters the address as text, as Alys does; with an EVM address all that the depositor needs. */
async function depositAddress(
  context: CallContext,
  evmAddress: Uint8Array | undefined,
  refundScript = NO_SCRIPT,
): Promise<unknown> {
  if (isSyncing(context)) return new ApiFailure('Syncing')
  const { peg } = context.ports
  if (evmAddress === undefined) return peg.federationAddress()
  const answer = await peg.depositAddress({ evmAddress, refundScript })
  if ('reason' in answer) return new ApiFailure('InvalidParams', answer.reason, answer.code)
  const genesisHash = toHex(context.ports.node.genesisHash)
  const fields = { evmAddress: `0x${toHex(evmAddress)}`, refundScript: toHex(refundScript) }
  return { ...answer, ...fields, genesisHash }
}

async function claimDeposits(
  context: CallContext,
  blockHash: Uint8Array,
  evmAddress: Uint8Array,
  refundScript = NO_SCRIPT,
): Promise<unknown> {
  if (isSyncing(context)) return new ApiFailure('Syncing')
  const answer = await context.ports.peg.claimDeposits({ evmAddress, refundScript }, blockHash)
  if ('reason' in answer) return new ApiFailure('InvalidParams', answer.reason, answer.code)
  return answer
}

async function pegStatus({ ports, limits }: CallContext, id: string | undefined): Promise<unknown> {
  if (id === undefined) {
    return (await ports.peg.operations(limits.statusOperations)).map(operationToJson)
  }
  const operation = await ports.peg.operation(id.toLowerCase().replace(/^0x/, ''))
  if (operation === undefined) {
    return new ApiFailure('ResourceNotFound', 'no peg operation has this id')
  }
  return operationToJson(operation)
}

/** From here on a transaction is called finalized (TX-3); it is final already when it is committed (protocol 3.4). */
const FINALIZED_CONFIRMATIONS = 6

/** The state of a transaction to its end, with the reason where there is one (TX-1…TX-4). */
async function transactionStatus({ ports }: CallContext, hash: Uint8Array): Promise<unknown> {
  const receipt = ports.evm.receipt(hash)
  if (receipt !== undefined) {
    const { blockNumber, index } = receipt.transaction
    const certificate = await ports.chain.certificate(blockNumber)
    const confirmations = ports.evm.headHeight() - blockNumber + 1
    return {
      state: confirmations >= FINALIZED_CONFIRMATIONS ? 'Finalized' : 'Confirmed',
      status: 'committed',
      final: true,
      success: receipt.status === 1,
      height: blockNumber,
      index,
      confirmations,
      ...(certificate === undefined ? {} : { certificate: certificateToJson(certificate) }),
    }
  }
  const standing = ports.pool.standing(hash)
  if (standing === undefined) return { state: 'Unknown', status: 'unknown', final: false }
  switch (standing.state) {
    case 'Mempool': {
      const { state, waitsFor } = standing
      const reason = waitsFor === undefined ? {} : { reason: waitsFor }
      return { state, status: 'pending', final: false, confirmations: 0, ...reason }
    }
    case 'Pending': {
      const evmBlockHash = data(standing.blockHash)
      const { state } = standing
      return { state, status: 'pending', final: false, confirmations: 0, evmBlockHash }
    }
    case 'Rejected': {
      const { state, code, reason } = standing
      return { state, status: 'dropped', final: false, reason: code, detail: reason }
    }
    case 'Replaced': {
      const { state, by } = standing
      const replacement = by === undefined ? {} : { replacedBy: data(by) }
      return { state, status: 'dropped', final: false, reason: 'NonceUsed', ...replacement }
    }
    case 'Expired': {
      const { state, afterMs } = standing
      const detail = `waited ${afterMs / 3_600_000} hours`
      return { state, status: 'dropped', final: false, reason: 'Expired', detail }
    }
  }
}

async function commit(context: CallContext, height: number | undefined): Promise<unknown> {
  const { chain } = context.ports
  const committed = height === undefined ? await chain.head() : await chain.blockByHeight(height)
  const at = committed?.block.header.height
  const certificate = at === undefined ? undefined : await chain.certificate(at)
  if (committed === undefined || certificate === undefined) return new ApiFailure('BlockNotFound')
  const certified = await chain.certified(committed.block.header.height)
  return {
    hash: toHex(blockHash(committed.block.header)),
    ...certificateToJson(certificate),
    ...(certified && certifiedToJson(certified)),
  }
}

function validators({ ports }: CallContext, height: number | undefined): unknown {
  const { chain } = ports
  const at = height ?? chain.consensus().height
  const set = chain.validatorsAt(at)
  return set === undefined
    ? new ApiFailure('BlockNotFound', `the validators of height ${at} are not decided yet`)
    : validatorSetToJson(set)
}

async function headerProof(
  { ports }: CallContext,
  height: number,
  field: HeaderField,
): Promise<unknown> {
  const certified = await ports.chain.certified(height)
  if (certified === undefined) return new ApiFailure('BlockNotFound')
  const { header } = certified
  return {
    height,
    hash: toHex(blockHash(header)),
    field,
    value: toHex(encodeField(header, field)),
    branch: proveField(header, field).map(toHex),
  }
}

function ledgerProof({ ports }: CallContext, set: LedgerSet, key: Uint8Array): unknown {
  const found = ports.chain.ledgerProof(set, key)
  if (found === undefined) return new ApiFailure('BlockNotFound')
  const { height, proof, row } = found
  return {
    height,
    set,
    key: toHex(key),
    row: row === undefined ? null : toHex(row),
    proof: toHex(proof),
  }
}

/** What the chain says to a decision of the members. */
function submitted<Taken extends object>(
  result:
    | ({ readonly ok: true } & Taken)
    | { readonly ok: false; readonly error: { readonly code: string; readonly detail?: string } },
): unknown {
  if (result.ok) {
    const { ok: _, ...taken } = result
    return taken
  }
  const { code, detail } = result.error
  return new ApiFailure('InvalidParams', detail === undefined ? code : `${code}: ${detail}`, code)
}

export const MILLRACE_METHODS: MethodTable = {
  getdepositaddress: method(
    'rare',
    z.tuple([bareAddress.optional(), bareScript.optional()]),
    (context, [evmAddress, refundScript]) => depositAddress(context, evmAddress, refundScript),
  ),
  claimdeposit: method(
    'claim',
    z.tuple([bitcoinHash, bareAddress, bareScript.optional()]),
    (context, [blockHash, evmAddress, refundScript]) =>
      claimDeposits(context, blockHash, evmAddress, refundScript),
  ),
  getheadblock: method('state', none, async ({ ports }) => blockAnswer(await ports.chain.head())),
  getblockbyheight: method(
    'state',
    z.tuple([heightParam]),
    async ({ ports }, [height]) => blockAnswer(await ports.chain.blockByHeight(height)),
    { bare: true },
  ),
  getblockbyhash: method(
    'state',
    z.tuple([bareHashParam]),
    async ({ ports }, [hash]) => blockAnswer(await ports.chain.blockByHash(hash)),
    { bare: true },
  ),
  millrace_pegStatus: method('state', z.tuple([z.string().max(128).optional()]), (context, [id]) =>
    pegStatus(context, id),
  ),
  millrace_reserves: method('state', none, async ({ ports }) =>
    reserveToJson(await ports.peg.reserve()),
  ),
  millrace_reserveRows: method(
    'state',
    none,
    async ({ ports }) => (await ports.peg.reserveRows()) ?? null,
  ),
  millrace_keygenStatus: method(
    'state',
    none,
    async ({ ports }) => (await ports.peg.keygen()) ?? null,
  ),
  millrace_federation: method('state', none, ({ ports }) => federationToJson(ports.federation())),
  millrace_params: method('light', none, ({ ports }) => ({
    chain: ports.node.chain,
    genesisHash: toHex(ports.node.genesisHash),
    chainId: ports.evm.chainId,
    ...ports.node.params,
  })),
  millrace_syncStatus: method('light', none, (context) => ({
    ...context.ports.sync(),
    syncing: isSyncing(context),
  })),
  millrace_transactionStatus: method('state', z.tuple([bareHashParam]), (context, [hash]) =>
    transactionStatus(context, hash),
  ),
  millrace_consensusState: method('light', none, ({ ports }) =>
    consensusToJson(ports.chain.consensus()),
  ),
  millrace_validators: method(
    'state',
    z.tuple([heightParam.optional()]),
    (context, [height]) => validators(context, height),
    { bare: true },
  ),
  millrace_headerProof: method(
    'state',
    z.tuple([heightParam, headerField]),
    (context, [height, field]) => headerProof(context, height, field),
  ),
  millrace_ledgerProof: method('state', z.tuple([ledgerSet, ledgerKey]), (context, [set, key]) =>
    ledgerProof(context, set, key),
  ),
  millrace_submitValidatorChange: method(
    'send',
    z.tuple([changeParam]),
    async ({ ports }, [change]) => submitted(await ports.submitValidatorChange(change)),
    { bare: true },
  ),
  millrace_submitPegOrder: method(
    'send',
    z.tuple([orderParam]),
    async ({ ports }, [order]) => submitted(await ports.submitPegOrder(order)),
    { bare: true },
  ),
  millrace_submitKeyCall: method(
    'send',
    z.tuple([callParam]),
    async ({ ports }, [call]) => submitted(await ports.submitKeyCall(call)),
    { bare: true },
  ),
  millrace_commit: method(
    'state',
    z.tuple([heightParam.optional()]),
    (context, [height]) => commit(context, height),
    { bare: true },
  ),
  millrace_evidence: method(
    'state',
    z.tuple([heightParam.optional(), z.number().int().min(1).optional()]),
    ({ limits, ports }, [from = 0, count = limits.evidenceRows]) =>
      count > limits.evidenceRows
        ? new ApiFailure('LimitExceeded', `a page has at most ${limits.evidenceRows} rows`)
        : evidencePageToJson(ports.chain.evidence(from, count), from),
  ),
  millrace_inspect: method('light', z.tuple([actorPath.optional()]), (context, [path]) =>
    inspect(context, path),
  ),
}
