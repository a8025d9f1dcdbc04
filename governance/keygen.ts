/**
 * The actor that takes this member's part in the making of the federation's key (protocol §5.1). It believes only ledger rows that are
 * proven under headers which the follower verified, stores what it must not say twice before it says it, and tells the signer
 * which keys are the federation's.
 */
import { FIRST_FEDERATION, type KnownFederation } from '../bridge/index.ts'
import { encodeKeygenItem, type KeygenStatement } from '../core/block/index.ts'
import { dkgSession, firstSession, keygenEpoch, signKeygenItem } from '../core/keygen/index.ts'
import {
  decodeLedgerProof,
  decodeRow,
  heightKey,
  KEYGEN_STAGE,
  type KeyRow,
  type LedgerSet,
  type SetRows,
  type StateRow,
  verifyRow,
} from '../core/ledger/index.ts'
import { beginDkg, groupKeyFrom, isShareOf, toHex } from '../crypto/index.ts'
import type { ProvenRowBytes, RowKey } from '../proto/index.ts'
import {
  type ActorDefinition,
  type ActorRun,
  every,
  type KernelEffect,
  type Step,
  tell,
} from '../supervisor/index.ts'
import {
  confirmation,
  confirmationRows,
  decideKeygen,
  isConfirmed,
  isWanted,
  type KeygenItems,
  type KeygenSight,
  rowsOfStage,
} from './keygen-part.ts'
import type { FollowedHeader } from './light-client.ts'
import { memberMachine } from './machine.ts'
import { KEYGEN_REQUEST, type KeygenInbox, type NodeIndex, type ProofReceived } from './messages.ts'
import type { KeygenPorts } from './port.ts'

/** A question to one node; the next one goes to another. */
interface Asked {
  readonly node: NodeIndex
  readonly requestId: string
  readonly askedAtMs: number
  readonly rows: readonly RowKey[]
}

/** What this member last said, to say it again to nodes that may have lost it. */
interface Said {
  readonly name: string
  readonly item: Uint8Array
  readonly saidAtMs: number
}

export interface KeygenContext {
  readonly ports: KeygenPorts
  readonly headers: readonly FollowedHeader[]
  readonly federation: KnownFederation
  /** The height under whose root the last rows were proven: what is older is not looked at. */
  readonly provenHeight: number
  readonly asked?: Asked
  readonly nextNode: NodeIndex
  readonly said?: Said
  /** An effect is at work for this session and stage. */
  readonly working?: string
  /** No key is called for: until then nobody is asked again. */
  readonly quietUntilMs: number
  /** The making of a key that this member takes part in, as last proven. */
  readonly making?: Pick<KeygenSight, 'epoch' | 'row'>
  /** Hex of a key that the ledger calls the federation's and its members do not. */
  readonly doubted?: string
}

export type KeygenEffect =
  | { readonly kind: 'speak'; readonly name: string; readonly sight: KeygenSight }
  /** A key is made: what was only needed to make it goes, if this member's share is there. */
  | { readonly kind: 'settle'; readonly made: KeyRow }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly event: string
      readonly fields: Readonly<Record<string, unknown>>
    }

type KeygenStep = Step<KeygenContext, KeygenEffect>

const STAGES = Object.keys(KEYGEN_STAGE)
const KEPT_HEADERS = 256
const CHECK_MS = 1_000
/** A node that has not answered by then is not waited for. */
const ANSWER_MS = 5_000
/** What no block has is sent again after this time. */
const REPEAT_MS = 10_000
/** While no key is called for, the ledger is looked at this often. */
const IDLE_MS = 5_000

export const keygenActor: ActorDefinition<KeygenContext, KeygenInbox, KeygenEffect, KeygenPorts> = {
  name: 'keygen',
  machine: memberMachine('keygen'),
  mailbox: { capacity: 1_000 },
  init: async ({ ports }) => ({
    context: {
      ports,
      headers: [],
      federation: FIRST_FEDERATION,
      provenHeight: -1,
      nextNode: 0,
      quietUntilMs: 0,
    },
    effects: [every(CHECK_MS, 'check', { type: 'keygen.CheckKeygen', payload: {} })],
    event: 'READY',
  }),
  handle: (context, message, { nowMs, state }) => {
    switch (message.type) {
      case 'keygen.HeadersFollowed': {
        const headers = [...context.headers, ...message.payload.headers].slice(-KEPT_HEADERS)
        return { context: { ...context, headers } }
      }
      case 'keygen.CheckKeygen':
        return look(context, nowMs)
      case 'keygen.ProofReceived':
        return proofReceived(context, message.payload, nowMs)
      case 'keygen.PartReady': {
        const { item, name } = message.payload
        const { working: _, ...rest } = context
        if (item === undefined) return { context: rest }
        const said = { name, item, saidAtMs: nowMs }
        return { context: { ...rest, said }, effects: tellNodes(context, said) }
      }
      case 'member.MemberStopping':
        return state === 'Stopping'
          ? { context }
          : { context, event: 'STOP', effects: farewell(context) }
    }
  },
  perform,
  /** What is being written or said is finished first (N4). */
  busy: ({ working }) => working !== undefined,
  lane: (effect) => (effect.kind === 'log' ? undefined : 'store'),
  notice: (fact) =>
    fact.kind === 'stopping' ? { type: 'member.MemberStopping', payload: {} } : undefined,
}

/** All that was said is on disk and is said again after a start: who comes back in time has lost nothing. */
function farewell({ making }: KeygenContext): KeygenEffect[] {
  if (making === undefined) return []
  const { epoch, row } = making
  const stage = STAGES[row.stage] ?? String(row.stage)
  const until = row.deadline === 0 ? 'when t members are here' : row.deadline
  const fields = { epoch, attempt: row.attempt, stage, untilHeight: until }
  return [{ kind: 'log', level: 'warn', event: 'stopping while a key is made', fields }]
}

/** While a key may be made, a node is asked how it stands whenever there is a newer block. */
function look(context: KeygenContext, nowMs: number): KeygenStep {
  const { asked, federation, headers, ports, provenHeight, working } = context
  const head = headers.at(-1)
  const isWaiting = asked !== undefined && nowMs - asked.askedAtMs < ANSWER_MS
  const epoch = keygenEpoch(ports.genesis, federation.epoch)
  const isBusy = isWaiting || working !== undefined || nowMs < context.quietUntilMs
  if (head === undefined || isBusy || epoch === undefined) return { context }
  if (head.height <= provenHeight || head.height === 0) return { context }
  return ask(context, ports.nodes, wantedRows(epoch), nowMs)
}

function wantedRows(epoch: number): readonly RowKey[] {
  return (['keygen', 'keys'] as const).map((set) => ({ set, key: heightKey(epoch) }))
}

function ask(
  context: KeygenContext,
  nodes: number,
  rows: readonly RowKey[],
  nowMs: number,
): KeygenStep {
  const node = context.nextNode % nodes
  const requestId = `${KEYGEN_REQUEST}${nowMs}-${rows.length}`
  const body = { kind: 'ledgerProofRequest', rows, batchId: new Uint8Array(0), version: 0 } as const
  return {
    context: { ...context, asked: { node, requestId, askedAtMs: nowMs, rows }, nextNode: node + 1 },
    effects: [tell('links', { type: 'links.SendToNode', payload: { node, requestId, body } })],
  }
}

function proofReceived(
  context: KeygenContext,
  { height, node, requestId, rows }: ProofReceived['payload'],
  nowMs: number,
): KeygenStep {
  const { asked, ...rest } = context
  if (asked?.requestId !== requestId || asked.node !== node) return { context }
  const header = context.headers.find((each) => each.height === height)
  // A node may be a block ahead of what is verified here: the next look asks again.
  if (rows === undefined || header === undefined || height < context.provenHeight) {
    return { context: rest }
  }
  const proven = new Proven(header.ledgerRoot, asked.rows, rows)
  if (!asked.rows.every(({ key, set }) => proven.shows(set as LedgerSet, key))) {
    const log = {
      kind: 'log',
      level: 'warn',
      event: 'a node proves no rows',
      fields: { node },
    } as const
    return { context: rest, effects: [log] }
  }
  return judge(rest, proven, height, nowMs)
}

/** What the proven rows ask of this member. */
function judge(context: KeygenContext, proven: Proven, height: number, nowMs: number): KeygenStep {
  const { federation, ports } = context
  const { genesis, memberIndex } = ports
  const epoch = federation.epoch + 1
  const made = proven.row('keys', heightKey(epoch))
  if (made !== undefined && (proven.state?.epoch ?? 0) >= epoch) {
    return judgeKey(context, proven, { epoch, made, height }, nowMs)
  }
  const row = proven.row('keygen', heightKey(epoch)) ?? firstSession(genesis, epoch)
  const signer = memberIndex + 1
  const { making: _, ...others } = context
  const isHere = row.stage <= KEYGEN_STAGE.confirmations && row.signers.includes(signer)
  const quietUntilMs = row.stage === KEYGEN_STAGE.calls ? nowMs + IDLE_MS : 0
  const making = isHere && { making: { epoch, row } }
  const seen = { ...others, provenHeight: height, quietUntilMs, ...making }
  if (!isWanted(row, signer)) return { context: seen }
  const name = `${toHex(row.sessionId)}:${row.stage}`
  const { said } = seen
  if (said?.name === name) {
    if (nowMs - said.saidAtMs < REPEAT_MS) return { context: seen }
    const again = { ...said, saidAtMs: nowMs }
    return { context: { ...seen, said: again }, effects: tellNodes(seen, again) }
  }
  const keys = rowsOfStage(row)
  const items = proven.items(keys)
  if (items === undefined) return askItems(context, epoch, keys, nowMs)
  return {
    context: { ...seen, working: name },
    effects: [{ kind: 'speak', name, sight: { epoch, row, items } }],
  }
}

interface MadeKey {
  readonly epoch: number
  readonly made: KeyRow
  readonly height: number
}

/** What the ledger calls the federation's key: it is, if its members say so. */
function judgeKey(
  context: KeygenContext,
  proven: Proven,
  { epoch, height, made }: MadeKey,
  nowMs: number,
): KeygenStep {
  const { federation, ports } = context
  const { genesis } = ports
  const publicKey = toHex(made.publicKey)
  const fields = { epoch, publicKey, signers: made.signers }
  const wanted = confirmationRows(made)
  const items = proven.items(wanted)
  if (items === undefined) return askItems(context, epoch, wanted, nowMs)
  if (!isConfirmed(genesis, epoch, made, items)) {
    const event = 'the ledger has a key that its members did not confirm'
    const log = { kind: 'log', level: 'error', event, fields } as const
    return {
      context: { ...context, provenHeight: height, doubted: publicKey },
      effects: context.doubted === publicKey ? [] : [log],
    }
  }
  const key = heightKey(epoch)
  const keys = new Map(federation.keys).set(toHex(key), { key, row: made })
  const known = { epoch, keys }
  const { doubted: _, making: __, said: ___, ...rest } = context
  return {
    context: { ...rest, federation: known, provenHeight: height },
    effects: [
      tell('signer', { type: 'signer.FederationFollowed', payload: known }),
      { kind: 'settle', made },
      { kind: 'log', level: 'info', event: 'the federation has its key', fields },
    ],
  }
}

/** The same question once more, with what members said beside it: all has to be proven under one root. */
function askItems(
  context: KeygenContext,
  epoch: number,
  keys: readonly Uint8Array[],
  nowMs: number,
): KeygenStep {
  const wanted = keys.map((key) => ({ set: 'keygenItems', key }) as const)
  return ask(context, context.ports.nodes, [...wantedRows(epoch), ...wanted], nowMs)
}

/** To every node: whoever proposes next may carry it. */
function tellNodes({ ports }: KeygenContext, { item }: Said): KernelEffect[] {
  const body = { kind: 'keygenItem', item } as const
  return Array.from({ length: ports.nodes }, (_, node) =>
    tell('links', { type: 'links.SendToNode', payload: { node, requestId: '', body } }),
  )
}

/** Rows that are proven under one root, or proven to be absent. */
class Proven {
  /** Of the proofs, which all show the same. */
  readonly state: StateRow | undefined
  private readonly rows = new Map<string, Uint8Array | undefined>()

  /** Of what the node sent only what it was asked for is looked at. */
  constructor(root: Uint8Array, asked: readonly RowKey[], rows: readonly ProvenRowBytes[]) {
    const wanted = new Set(asked.map(({ key, set }) => `${set}:${toHex(key)}`))
    for (const { key, present, proof, row, set } of rows) {
      if (!wanted.has(`${set}:${toHex(key)}`)) continue
      const decoded = decodeLedgerProof(proof)
      const shown = present ? row : undefined
      if (decoded === undefined || !verifyRow(root, decoded, set as LedgerSet, key, shown)) continue
      this.state = decoded.summary.state
      this.rows.set(`${set}:${toHex(key)}`, shown)
    }
  }

  shows(set: LedgerSet, key: Uint8Array): boolean {
    return this.rows.has(`${set}:${toHex(key)}`)
  }

  row<S extends LedgerSet>(set: S, key: Uint8Array): SetRows[S] | undefined {
    const bytes = this.rows.get(`${set}:${toHex(key)}`)
    return bytes && decodeRow(set, bytes)
  }

  /** What members said, those rows that there are; undefined where it was not asked for yet. */
  items(keys: readonly Uint8Array[]): KeygenItems | undefined {
    if (!keys.every((key) => this.shows('keygenItems', key))) return undefined
    const items = keys.flatMap((key) => {
      const row = this.row('keygenItems', key)
      return row === undefined ? [] : [[toHex(key), row] as const]
    })
    return new Map(items)
  }
}

type KeygenRun = ActorRun<KeygenInbox, KeygenPorts>

async function perform(effect: KeygenEffect, run: KeygenRun): Promise<KeygenInbox | undefined> {
  switch (effect.kind) {
    case 'speak': {
      const item = await speak(effect.sight, run)
      const { name } = effect
      return { type: 'keygen.PartReady', payload: { name, ...(item && { item }) } }
    }
    case 'settle':
      await settle(effect.made, run)
      return undefined
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}

/** While the share of a key is not there, what it can be made from again stays. */
async function settle({ commitments, sessionId, signers }: KeyRow, run: KeygenRun): Promise<void> {
  const { memberIndex, store } = run.ports
  const held = await store.shareOnDisk(sessionId)
  const isWhole = held !== undefined && isShareOf(groupKeyFrom(commitments, []), held.share)
  if (isWhole || !signers.includes(memberIndex + 1)) {
    await store.forgetSessions()
    return
  }
  run.log('error', 'no share of the federation’s key on this disk', { sessionId: toHex(sessionId) })
}

/** Stores what has to be stored first; gives the signed item. */
async function speak(sight: KeygenSight, run: KeygenRun): Promise<Uint8Array | undefined> {
  const { genesis, memberIndex, store } = run.ports
  const { epoch, row } = sight
  const { sessionId } = row
  const signer = memberIndex + 1
  const random = (length: number) => run.random.bytes(length)
  const decide = async () => {
    return decideKeygen(genesis, signer, sight, await store.session(sessionId), random(32))
  }
  let task = await decide()
  if (task.kind === 'begin') {
    const begun = beginDkg(dkgSession(genesis, row), signer, random)
    await store.saveSession({ epoch, sessionId, ...begun })
    run.log('info', 'making a key', { epoch, attempt: row.attempt, signers: row.signers })
    task = await decide()
  }
  switch (task.kind) {
    case 'say':
      if (task.accused !== undefined) {
        run.log('warn', 'complaint about a share', { epoch, signer: task.accused })
      }
      return signed(task.statement, run)
    case 'confirm': {
      if ((await store.share(sessionId)) === undefined) await store.saveShare(task.held)
      run.log('info', 'share of a key confirmed', { epoch, attempt: row.attempt })
      return signed(confirmation(genesis, sight, task.held, random(32)), run)
    }
    case 'doubt':
      run.log('error', 'the ledger shows what its members did not say', {
        epoch,
        attempt: row.attempt,
      })
      return undefined
    case 'lost':
      run.log('error', 'the secret of this session is gone', { epoch, attempt: row.attempt })
      return undefined
    default:
      return undefined
  }
}

function signed(statement: KeygenStatement, { ports, random }: KeygenRun): Uint8Array {
  const { genesis, schnorrSecret } = ports
  return encodeKeygenItem(signKeygenItem(genesis, statement, schnorrSecret, random.bytes(32)))
}
