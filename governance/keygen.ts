/**
 * The actor that takes this member's part in the making of the federation's key (protocol §5.1). It believes only ledger rows that are
 * proven under headers which the follower verified, has the vault say what is to be said by them, and tells the signer which keys are
 * the federation's.
 */
import type { ProvenRow } from '../bridge/index.ts'
import { firstSession, keygenEpoch } from '../core/keygen/index.ts'
import { heightKey, KEYGEN_STAGE, type KeygenRow, type KeyRow } from '../core/ledger/index.ts'
import { toHex } from '../crypto/index.ts'
import type { RowKey } from '../proto/index.ts'
import {
  type ActorDefinition,
  type ActorRun,
  every,
  type KernelEffect,
  type Step,
  tell,
} from '../supervisor/index.ts'
import {
  type ConfirmedKey,
  federationOf,
  keygenRows,
  keygenRowsToSpeak,
  Proven,
} from './evidence.ts'
import { confirmationRows, isConfirmed, isWanted } from './keygen-part.ts'
import type { FollowedHeader } from './light-client.ts'
import { memberMachine } from './machine.ts'
import {
  KEYGEN_REQUEST,
  type KeygenInbox,
  type KeygenTrouble,
  type LogEffect,
  type NodeIndex,
  type ProofReceived,
} from './messages.ts'
import type { KeygenPorts, KeygenQuestion } from './port.ts'

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
  /** The federation's, oldest first. */
  readonly keys: readonly ConfirmedKey[]
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
  readonly making?: { readonly epoch: number; readonly row: KeygenRow }
  /** What was told of why nothing is said in a session: it is asked for again with every block, and told once. */
  readonly troubles?: { readonly sessionId: string; readonly codes: ReadonlySet<string> }
  /** Hex of a key that the ledger calls the federation's and its members do not. */
  readonly doubted?: string
}

export type KeygenEffect =
  | {
      readonly kind: 'speak'
      readonly name: string
      readonly question: KeygenQuestion
      readonly row: KeygenRow
    }
  /** A key is made: what was only needed to make it goes, if this member's share is there. */
  | { readonly kind: 'settle'; readonly made: ConfirmedKey }
  | { readonly kind: 'trouble'; readonly trouble: KeygenTrouble }
  | LogEffect

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
      keys: [],
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
        const { item, name, trouble } = message.payload
        const { working: _, ...rest } = context
        if (trouble !== undefined) return troubled(rest, trouble)
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
  notice: (fact) =>
    fact.kind === 'stopping' ? { type: 'member.MemberStopping', payload: {} } : undefined,
}

function troubled(context: KeygenContext, trouble: KeygenTrouble): KeygenStep {
  const { code, sessionId } = trouble
  const { troubles } = context
  const known = troubles?.sessionId === sessionId ? troubles.codes : new Set<string>()
  if (known.has(code)) return { context }
  const codes = new Set([...known, code])
  return {
    context: { ...context, troubles: { sessionId, codes } },
    effects: [{ kind: 'trouble', trouble }],
  }
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
  const { asked, headers, keys, ports, provenHeight, working } = context
  const head = headers.at(-1)
  const isWaiting = asked !== undefined && nowMs - asked.askedAtMs < ANSWER_MS
  const epoch = keygenEpoch(ports.genesis, federationOf(keys).epoch)
  const isBusy = isWaiting || working !== undefined || nowMs < context.quietUntilMs
  if (head === undefined || isBusy || epoch === undefined) return { context }
  if (head.height <= provenHeight || head.height === 0) return { context }
  return ask(context, ports.nodes, keygenRows(epoch), nowMs)
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
  if (!proven.showsAll(asked.rows)) {
    const log = {
      kind: 'log',
      level: 'warn',
      event: 'a node proves no rows',
      fields: { node },
    } as const
    return { context: rest, effects: [log] }
  }
  return judge(rest, proven, { header, rows }, nowMs)
}

/** An answer, as it came. */
interface Shown {
  readonly header: FollowedHeader
  readonly rows: readonly ProvenRow[]
}

/** What the proven rows ask of this member. */
function judge(context: KeygenContext, proven: Proven, shown: Shown, nowMs: number): KeygenStep {
  const { keys, ports } = context
  const { genesis, memberIndex } = ports
  const { certified, height } = shown.header
  const epoch = federationOf(keys).epoch + 1
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
  const wanted = keygenRowsToSpeak(epoch, row)
  if (!proven.showsAll(wanted)) return ask(context, ports.nodes, wanted, nowMs)
  // Under a header whose certificate was not verified nothing can be shown: the next one has it.
  if (certified === undefined) return { context: seen }
  const question = { epoch, evidence: { header: certified, rows: shown.rows } }
  return {
    context: { ...seen, working: name },
    effects: [{ kind: 'speak', name, question, row }],
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
  const { genesis, nodes } = context.ports
  const publicKey = toHex(made.publicKey)
  const fields = { epoch, publicKey, signers: made.signers }
  const wanted = confirmationRows(made)
  const items = proven.items(wanted)
  if (items === undefined) {
    const said = wanted.map((key) => ({ set: 'keygenItems', key }) as const)
    return ask(context, nodes, [...keygenRows(epoch), ...said], nowMs)
  }
  if (!isConfirmed(genesis, epoch, made, items)) {
    const event = 'the ledger has a key that its members did not confirm'
    const log = { kind: 'log', level: 'error', event, fields } as const
    return {
      context: { ...context, provenHeight: height, doubted: publicKey },
      effects: context.doubted === publicKey ? [] : [log],
    }
  }
  const key = { epoch, row: made, items }
  const keys = [...context.keys, key]
  const { doubted: _, making: __, said: ___, ...rest } = context
  return {
    context: { ...rest, keys, provenHeight: height },
    effects: [
      tell('signer', { type: 'signer.FederationFollowed', payload: { keys } }),
      { kind: 'settle', made: key },
      { kind: 'log', level: 'info', event: 'the federation has its key', fields },
    ],
  }
}

/** To every node: whoever proposes next may carry it. */
function tellNodes({ ports }: KeygenContext, { item }: Said): KernelEffect[] {
  const body = { kind: 'keygenItem', item } as const
  return Array.from({ length: ports.nodes }, (_, node) =>
    tell('links', { type: 'links.SendToNode', payload: { node, requestId: '', body } }),
  )
}

type KeygenRun = ActorRun<KeygenInbox, KeygenPorts>

async function perform(effect: KeygenEffect, run: KeygenRun): Promise<KeygenInbox | undefined> {
  switch (effect.kind) {
    case 'speak': {
      const { name } = effect
      return { type: 'keygen.PartReady', payload: { name, ...(await speak(effect, run)) } }
    }
    case 'trouble': {
      const { code, log } = effect.trouble
      run.ports.metrics.count('millrace_member_keygen_troubles_total', { code })
      run.log(log.level, log.event, { ...log.fields })
      return undefined
    }
    case 'settle':
      await settle(effect.made, run)
      return undefined
    case 'log':
      run.log(effect.level, effect.event, { ...effect.fields })
      return undefined
  }
}

/** The vault keeps what the key can be made from while the share is not there. */
async function settle(made: ConfirmedKey, run: KeygenRun): Promise<void> {
  const verdict = await run.ports.vault.settle(made)
  const sessionId = toHex(made.row.sessionId)
  if (verdict.kind !== 'sign') {
    run.log('warn', 'a key is not settled', { sessionId, code: verdict.code })
  } else if (!verdict.value) {
    run.log('error', 'no share of the federation’s key on this disk', { sessionId })
  }
}

/** What the vault says in this stage, signed and durable, or why it says nothing. */
async function speak(
  { question, row }: Extract<KeygenEffect, { readonly kind: 'speak' }>,
  run: KeygenRun,
): Promise<{ readonly item?: Uint8Array; readonly trouble?: KeygenTrouble }> {
  const verdict = await run.ports.vault.keygen(question)
  const fields = { epoch: question.epoch, attempt: row.attempt }
  const trouble = (level: LogEffect['level'], code: string, event: string) => ({
    trouble: {
      sessionId: toHex(row.sessionId),
      code,
      log: { kind: 'log', level, event, fields: { ...fields, code } } as const,
    },
  })
  if (verdict.kind !== 'sign') return trouble('warn', verdict.code, 'no part in a key')
  const { accused, isFirst, item, word } = verdict.value
  if (isFirst) run.log('info', 'making a key', { ...fields, signers: row.signers })
  switch (word) {
    case 'doubted':
      return trouble('error', 'RowsDoubted', 'the ledger shows what its members did not say')
    case 'lost':
      return trouble('error', 'SecretLost', 'the secret of this session is gone')
    case 'complained':
      run.log('warn', 'complaint about a share', { epoch: fields.epoch, signer: accused })
      break
    case 'confirmed':
      run.log('info', 'share of a key confirmed', fields)
      break
    default:
      break
  }
  return item === undefined ? {} : { item }
}
