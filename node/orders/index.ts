/**
 * `millrace order`: what t members decide about the peg's books. Whom a deposit goes back to that named nobody (protocol §5.9): approving it
 * takes the proof by the owners of what it spent. That a deficit is a loss (4.9), and that a payout is given up (4.5). An order is written as a file, each member approves
 * it with its key file, offline, and anybody who has t approvals submits it to a node that makes blocks.
 */
import { type RefundProof, refundMessage, refundProofFault } from '../../bridge/index.ts'
import { parsePayableScript, scriptFromAddress } from '../../core/bitcoin/index.ts'
import {
  encodePegOrder,
  PEG_ORDER_KINDS,
  type PegOrder,
  type PegOrderKind,
} from '../../core/block/index.ts'
import {
  causeKey,
  DEFICIT_CAUSE,
  decodeRow,
  type LedgerSet,
  outpointKey,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { pegOrderId, pegOrderMessage } from '../../core/peg/index.ts'
import { equalBytes, fromHex, toHex } from '../../crypto/index.ts'
import {
  type Flags,
  type OptionsOf,
  type Program,
  runCommand,
} from '../adapters/command-line/index.ts'
import { EXIT } from '../adapters/system/index.ts'
import {
  bytes,
  call,
  combinedApproval,
  DECISION_FLAGS,
  integer,
  Refusal,
  readGenesis,
  readJson,
  signedByMember,
  submitUntil,
  usage,
} from '../decisions/index.ts'

/** What stands in an order's file; numbers that may be large are text. */
interface OrderFile {
  readonly kind: string
  readonly subject: string
  readonly scriptPubKey: string
  readonly fundSat: string
  readonly since: number
  /** Of a refund: for the owners to sign. */
  readonly message?: string
}

interface ProofFile {
  readonly deposit: string
  readonly previous: readonly string[]
  readonly signatures: Readonly<Record<string, string>>
}

const FLAGS = {
  deposit: { value: 'TXID:VOUT', about: 'an output that pays the federation' },
  spend: { value: 'TXID', about: 'a transaction that spends the reserve' },
  batch: { value: 'ID', about: 'of the payout, as millrace_pegStatus names it' },
  to: { value: 'ADDRESS', about: 'a Bitcoin address of the network, or a script in hex' },
  fund: { value: 'SAT', about: 'how much of the loss the operating fund bears [0]' },
  since: {
    value: 'HEIGHT',
    about:
      'of the block that opened it: another loss of the same coin is not booked by this order [asked of the node]',
  },
  order: { value: 'FILE', about: 'what refund, loss or cancel wrote' },
  proof: {
    value: 'FILE',
    about: '{"deposit": HEX, "previous": [HEX...], "signatures": {SCRIPT: BASE64}}',
  },
  ...DECISION_FLAGS,
} as const satisfies Flags

type Options = OptionsOf<typeof FLAGS>

export const PROGRAM: Program<typeof FLAGS> = {
  name: 'order',
  commands: {
    refund: {
      form: '--deposit TXID:VOUT --to ADDRESS --genesis FILE',
      about:
        'writes an order that pays a deposit back which named nobody, with the message that the owner of each script that the deposit spent signs (BIP322)',
      run: refund,
    },
    loss: {
      form: '(--deposit TXID:VOUT | --spend TXID) [--fund SAT] [--since HEIGHT | --url URL]',
      about:
        'writes an order that books a deficit as a loss, so that it stops nothing any more: of a deposit that Bitcoin lost, or of a spend of the reserve that no record explains',
      run: loss,
    },
    cancel: {
      form: '--batch ID',
      about:
        'writes an order that gives a payout up which cannot be finished: its first coin goes back to the federation, and when that is buried deep its requests wait for another payout',
      run: cancel,
    },
    approve: {
      form: '--order FILE [--proof FILE] --genesis FILE --keys FILE --password-file FILE [--members-epoch N]',
      about:
        "writes a member's approval of an order to the standard output; needs no node. Of a refund it asks for the proof",
      run: approve,
    },
    submit: {
      form: '--order FILE --genesis FILE --approval FILE... [--url URL,...] [--wait SECONDS]',
      about:
        'hands an order with the approvals of t members to a node and waits until a block has it',
      run: submit,
    },
  },
  flags: FLAGS,
}

export const main = (args: readonly string[]): Promise<number> => runCommand(PROGRAM, args)

async function refund(options: Options): Promise<string> {
  const genesis = await readGenesis(options)
  const subject = outpoint(options.deposit)
  const scriptPubKey = destination(genesis, options.to)
  const order = { kind: kindOf('refundTo'), subject, scriptPubKey, fundSat: 0n, since: 0 }
  const message = refundMessage(genesis, subject, scriptPubKey)
  return JSON.stringify({ ...toFile(order), message }, undefined, 2)
}

async function loss({ deposit, fund = '0', since, spend, url }: Options): Promise<string> {
  if ((deposit === undefined) === (spend === undefined)) {
    throw usage('either --deposit or --spend says what is lost')
  }
  const scriptPubKey = new Uint8Array(0)
  const fundSat = BigInt(integer('fund', fund))
  const [kind, subject] =
    spend === undefined
      ? (['reorgLoss', outpoint(deposit)] as const)
      : (['strayLoss', displayedTxid(spend)] as const)
  const height = since === undefined ? await openedAt(url, kind, subject) : integer('since', since)
  const order = { kind: kindOf(kind), subject, scriptPubKey, fundSat, since: height }
  return JSON.stringify(toFile(order), undefined, 2)
}

async function cancel({ batch }: Options): Promise<string> {
  const nothing = { scriptPubKey: new Uint8Array(0), fundSat: 0n, since: 0 }
  const order = { kind: kindOf('cancel'), subject: bytes('batch', batch, 32), ...nothing }
  return JSON.stringify(toFile(order), undefined, 2)
}

/** As the node's ledger has it; the members compare it with their own. */
async function openedAt(
  url: string | undefined,
  kind: 'reorgLoss' | 'strayLoss',
  subject: Uint8Array,
): Promise<number> {
  const cause = DEFICIT_CAUSE[kind === 'reorgLoss' ? 'reorg' : 'stray']
  const missing = await rowAt(url, 'deficits', causeKey(cause, subject))
  const found = missing ?? (kind === 'strayLoss' ? await rowAt(url, 'spends', subject) : undefined)
  if (found === undefined) throw new Refusal('NoLoss', 'the ledger has none of it', EXIT.data)
  return found.height
}

async function approve(options: Options): Promise<string> {
  const genesis = await readGenesis(options)
  const file = await readJson<OrderFile>('order', options.order)
  const order = fromFile(file)
  if (order.kind === kindOf('refundTo')) {
    const proof = readProof(await readJson<ProofFile>('proof', options.proof))
    const found = refundProofFault(genesis, order.subject, order.scriptPubKey, proof)
    if (found !== undefined) {
      const detail = 'detail' in found ? found.detail : 'not of this deposit'
      throw new Refusal(found.code, detail, EXIT.data)
    }
  }
  const signed = await signedByMember(genesis, options, (membersEpoch) =>
    pegOrderMessage(genesis, membersEpoch, order),
  )
  return JSON.stringify({ order: file, ...signed }, undefined, 2)
}

async function submit(options: Options): Promise<string> {
  const genesis = await readGenesis(options)
  const order = fromFile(await readJson<OrderFile>('order', options.order))
  const approval = await combinedApproval(genesis, options.approval ?? [], (membersEpoch) =>
    pegOrderMessage(genesis, membersEpoch, order),
  )
  const raw = toHex(encodePegOrder({ ...order, approval }))
  const answer = JSON.stringify({ id: pegOrderId(order) })
  return submitUntil(options, 'millrace_submitPegOrder', raw, async () =>
    (await isDone(options.url, order)) ? answer : undefined,
  )
}

/** Whether the ledger has what the order says. */
async function isDone(url: string | undefined, order: PegOrder): Promise<boolean> {
  const { kind, scriptPubKey, subject } = order
  switch (PEG_ORDER_KINDS[kind]) {
    case 'refundTo': {
      const deposit = await rowAt(url, 'outputs', subject)
      return deposit !== undefined && equalBytes(deposit.refundTo, scriptPubKey)
    }
    case 'reorgLoss':
      return (
        (await rowAt(url, 'deficits', causeKey(DEFICIT_CAUSE.reorg, subject)))?.accepted === true
      )
    case 'cancel':
      return (await rowAt(url, 'batches', subject))?.cancel.length === 1
    default:
      return (await rowAt(url, 'spends', subject))?.accepted === true
  }
}

async function rowAt<S extends LedgerSet>(url: string | undefined, set: S, key: Uint8Array) {
  const answer = await call<{ readonly row: string | null }>(url, 'millrace_ledgerProof', [
    set,
    toHex(key),
  ])
  const found = answer.row === null ? undefined : fromHex(answer.row)
  return found && decodeRow(set, found)
}

function kindOf(name: (typeof PEG_ORDER_KINDS)[number]): number {
  return PEG_ORDER_KINDS.indexOf(name)
}

function outpoint(text = ''): Uint8Array {
  const [id, vout] = text.split(':')
  return outpointKey(displayedTxid(id), integer('vout', vout))
}

/** Internal byte order, from display form. */
function displayedTxid(text: string | undefined): Uint8Array {
  return bytes('txid', text, 32).toReversed()
}

function destination({ bitcoin }: Genesis, to = ''): Uint8Array {
  const script = fromHex(to)
  if (script !== undefined && parsePayableScript(script) !== undefined) return script
  const address = scriptFromAddress(to, bitcoin.network)
  if (address.ok) return address.value
  throw usage(`--to: neither an address of ${bitcoin.network} nor a script that can be paid`)
}

/** BIP322 may name the form before the base64: simple or full, which the bytes say themselves. */
function withoutForm(signature: string): string {
  return signature.replace(/^(?:smp|ful)/, '')
}

function readProof({ deposit, previous, signatures }: ProofFile): RefundProof {
  const raw = (name: string, text: unknown) => {
    const found = typeof text === 'string' ? fromHex(text) : undefined
    if (found !== undefined) return found
    throw usage(`${name}: expected bytes in hex`)
  }
  if (!Array.isArray(previous) || typeof signatures !== 'object' || signatures === null) {
    throw usage('proof: expected deposit, previous and signatures')
  }
  return {
    deposit: raw('deposit', deposit),
    previous: previous.map((one) => raw('previous', one)),
    signatures: new Map(
      Object.entries(signatures).map(([script, signature]) => [
        script.toLowerCase(),
        new Uint8Array(Buffer.from(withoutForm(String(signature)), 'base64')),
      ]),
    ),
  }
}

function toFile({ fundSat, kind, scriptPubKey, since, subject }: PegOrder): OrderFile {
  return {
    kind: PEG_ORDER_KINDS[kind] as string,
    subject: toHex(subject),
    scriptPubKey: toHex(scriptPubKey),
    fundSat: String(fundSat),
    since,
  }
}

function fromFile({ fundSat, kind, scriptPubKey, since, subject }: OrderFile): PegOrder {
  const index = PEG_ORDER_KINDS.indexOf(kind as PegOrderKind)
  const scripts = [subject, scriptPubKey].map((text) => fromHex(String(text)))
  const [subjectBytes, script] = scripts
  if (index < 0 || subjectBytes === undefined || script === undefined) {
    throw usage('order: expected kind, subject, scriptPubKey, fundSat and since')
  }
  const fund = BigInt(integer('fundSat', String(fundSat)))
  const height = integer('since', String(since))
  return { kind: index, subject: subjectBytes, scriptPubKey: script, fundSat: fund, since: height }
}
