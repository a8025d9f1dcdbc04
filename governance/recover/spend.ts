/** The commands that spend the reserve by a leaf: plan, show, sign, combine, finish. */
import { createInterface } from 'node:readline/promises'
import {
  combineRecoveries,
  decodeRecovery,
  encodeRecovery,
  finishRecovery,
  mostInputs,
  outputOf,
  planRecovery,
  RECOVERY_LEAVES,
  type Recovery,
  type RecoveryFault,
  type RecoveryLeaf,
  type ReserveFile,
  type ReserveOutput,
  readReserveOutput,
  recoveryFeeSat,
  signRecovery,
} from '../../bridge/index.ts'
import {
  type BitcoinOutput,
  txid as hashOf,
  parseTransaction,
  scriptFromAddress,
} from '../../core/bitcoin/index.ts'
import { outpointKey } from '../../core/ledger/index.ts'
import type { Genesis, Result } from '../../core/params/index.ts'
import { federationKey, outpointName } from '../../core/peg/index.ts'
import {
  equalBytes,
  schnorrPublicKey,
  sealKeyFile,
  toDisplayHash,
  toHex,
} from '../../crypto/index.ts'
import { type BitcoinRpc, createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import type { Said } from '../../node/adapters/command-line/index.ts'
import { EXIT } from '../../node/adapters/system/index.ts'
import {
  Refusal,
  random,
  readGenesis,
  readPassword,
  readSchnorrSecret,
  readText,
  usage,
  wanted,
  writeNew,
} from './files.ts'
import type { RecoverOptions } from './options.ts'
import { checkedReserve, readReserve, reserveOfDirectory, reserveOfNode } from './reserve.ts'
import { signerName, summaryOf, summaryText } from './text.ts'

/** Lines for people, figures for --json. */
export type Told = Exclude<Said, string>

const BITCOIN_MS = 30_000
/** Of outputs that are left out, where none is left. */
const SHOWN_REASONS = 12
const LEAST_PASSWORD = 12

/** A new cold key for the genesis file. */
export async function makeKey(options: RecoverOptions): Promise<Told> {
  const path = wanted('out', options.out)
  const label = options.label ?? 'recovery key'
  const password = await readPassword(options['password-file'])
  if (password.length < LEAST_PASSWORD) {
    throw usage(`--password-file: expected at least ${LEAST_PASSWORD} characters`)
  }
  const schnorr = random(32)
  const publicKey = schnorrPublicKey(schnorr)
  const file = sealKeyFile({
    label,
    publicKeys: { schnorr: publicKey },
    secrets: { schnorr },
    password,
    random,
  })
  schnorr.fill(0)
  await writeNew(path, `${JSON.stringify(file)}\n`)
  return {
    text: `${path}: ${label}\npublic key for the genesis file: ${toHex(publicKey)}\n`,
    figures: { path, publicKey: toHex(publicKey) },
  }
}

/** The rows of the reserve, into a file. */
export async function exportRows(options: RecoverOptions): Promise<Told> {
  const genesis = await readGenesis(options.genesis)
  const path = wanted('out', options.out)
  const { url } = options
  const directory = options['data-dir']
  if ((url === undefined) === (directory === undefined)) {
    throw usage('either --url or --data-dir says where the rows are')
  }
  const value =
    url === undefined
      ? await reserveOfDirectory(genesis, directory as string)
      : await reserveOfNode(url)
  const { height, keys, outputs } = checkedReserve(genesis, value, url ?? (directory as string))
  await writeNew(path, `${JSON.stringify(value, undefined, 1)}\n`)
  const totalSat = outputs.reduce((sum, { amountSat }) => sum + amountSat, 0n)
  return {
    text: `${path}: the reserve at block ${height}: ${outputs.length} outputs, ${totalSat} sat; ${keys.length === 1 ? 'the key of one epoch' : `keys of ${keys.length} epochs`}\n`,
    figures: { path, height, outputs: outputs.length, totalSat: totalSat.toString() },
  }
}

export async function plan(options: RecoverOptions): Promise<Told> {
  const genesis = await readGenesis(options.genesis)
  const path = wanted('out', options.out)
  const leaf = leafOf(options)
  const reserve = await reserveWanted(genesis, options)
  const chosen = freeOutputs(chosenOutputs(reserve, options), options)
  const present = await presentOutputs(genesis, leaf, reserve, chosen, options)
  if (present.outputs.length === 0) {
    const why = present.notes.slice(0, SHOWN_REASONS).map((note) => `\n  ${note}`)
    throw new Refusal('NothingToSpend', `${FAULTS.NothingToSpend}${why.join('')}`, EXIT.data)
  }
  const most = mostInputs(genesis, leaf)
  const parts = Math.max(1, Math.ceil(present.outputs.length / most))
  const part = whole('part', options.part ?? '1')
  if (part < 1 || part > parts) throw usage(`--part: there are ${parts}`)
  const recovery = must(
    planRecovery(genesis, {
      leaf,
      outputs: present.outputs.slice((part - 1) * most, part * most),
      keys: reserve.keys,
      payments: (options.pay ?? []).map((text) => payment(genesis, text)),
      rest: scriptOf(genesis, wanted('to', options.to)),
      feeRateSatPerKvb: feeRate(wanted('fee-rate', options['fee-rate'])),
    }),
  )
  await writeNew(path, `${encodeRecovery(genesis, recovery)}\n`)
  const notes = [
    ...present.notes,
    ...(parts > 1 ? [`part ${part} of ${parts}: plan the others with --part`] : []),
    ...heightNote(genesis, leaf, present.outputs),
    ...(leaf === 'members' ? [MEMBERS_NOTE] : []),
  ]
  const text = [
    summaryText(genesis, recovery),
    ...notes.map((note) => `note: ${note}\n`),
    `\n${path}: to be signed by each holder with millrace recover sign\n`,
  ].join('')
  return { text, figures: { path, notes, part, parts, ...summaryOf(genesis, recovery) } }
}

const MEMBERS_NOTE =
  'a chain that runs knows nothing of this transaction: it books it as a loss and pauses peg-outs'

/** Without --bitcoin nobody has looked; the ledger says at what height each output came. */
function heightNote(
  { recovery }: Genesis,
  leaf: RecoveryLeaf,
  outputs: readonly ReserveOutput[],
): string[] {
  if (leaf === 'members') return []
  const heights = outputs.map(({ bitcoinHeight }) => bitcoinHeight)
  if (heights.includes(undefined)) return []
  const last = Math.max(...(heights as number[])) + recovery.csvBlocks
  return [`blocks from height ${last} on may hold it`]
}

async function reserveWanted(genesis: Genesis, options: RecoverOptions): Promise<ReserveFile> {
  const written = (options.row ?? []).map((text) => {
    const read = readReserveOutput(jsonOf('row', text))
    if (!read.ok) throw usage(`--row: ${read.error.reason}`)
    return read.value
  })
  if (options.rows === undefined && written.length === 0) throw usage('--rows or --row is needed')
  const file =
    options.rows === undefined
      ? { genesisHash: genesis.hash, height: 0, keys: [], outputs: [] }
      : await readReserve(genesis, options.rows)
  return { ...file, outputs: [...file.outputs, ...written] }
}

/** Those that were named, or all; the largest first. */
function chosenOutputs({ outputs }: ReserveFile, { output: names }: RecoverOptions) {
  const chosen =
    names === undefined ? outputs : outputs.filter((one) => names.includes(nameOf(one)))
  const missing = names?.find((name) => !chosen.some((one) => nameOf(one) === name))
  if (missing !== undefined) throw usage(`--output: ${missing} is no row of the reserve`)
  return [...chosen].sort((left, right) => {
    if (left.amountSat !== right.amountSat) return left.amountSat > right.amountSat ? -1 : 1
    return nameOf(left) < nameOf(right) ? -1 : 1
  })
}

function nameOf({ txid, vout }: ReserveOutput): string {
  return outpointName(outpointKey(txid, vout))
}

interface Present {
  readonly outputs: readonly ReserveOutput[]
  readonly notes: readonly string[]
}

/**
 * Without what open batches hold: a payout that is signed may confirm after the plan was made, so that whoever pays its requests from what was
 * recovered pays them twice. With --held that too, each named.
 */
function freeOutputs(
  chosen: readonly ReserveOutput[],
  { held: isHeldWanted = false, output: names }: RecoverOptions,
): Present {
  const held = chosen.filter(({ batchId }) => batchId !== undefined)
  const texts = held.map(
    (output) => `${nameOf(output)} (${output.amountSat} sat): ${holderOf(output)}`,
  )
  if (isHeldWanted) {
    const notes = texts.map((text) => `held, and taken: ${text}; do not pay its requests by hand`)
    return { outputs: chosen, notes }
  }
  if (names !== undefined && held.length > 0) {
    throw usage(`--output: ${texts[0]}; --held takes it all the same`)
  }
  const outputs = chosen.filter(({ batchId }) => batchId === undefined)
  return { outputs, notes: texts.map((text) => `left out: ${text}; --held takes it`) }
}

function holderOf({ batchId = new Uint8Array(0) }: ReserveOutput): string {
  return `batch ${toHex(batchId)} may spend it`
}

/** Of these outputs those that Bitcoin has unspent and, for leaf B, deep enough. Without --bitcoin all of them. */
async function presentOutputs(
  genesis: Genesis,
  leaf: RecoveryLeaf,
  { keys }: ReserveFile,
  chosen: Present,
  options: RecoverOptions,
): Promise<Present> {
  if (options.bitcoin === undefined) return chosen
  const notes = [...chosen.notes]
  const rpc = openBitcoin(options.bitcoin)
  try {
    const outputs: ReserveOutput[] = []
    for (const output of chosen.outputs) {
      const why = await absence(rpc, genesis, leaf, keys, output)
      if (why === undefined) outputs.push(output)
      else notes.push(`left out: ${nameOf(output)} (${output.amountSat} sat): ${why}`)
    }
    return { outputs, notes }
  } finally {
    rpc.close()
  }
}

/** Why Bitcoin would not take a spend of it in the next block. */
async function absence(
  rpc: BitcoinRpc,
  genesis: Genesis,
  leaf: RecoveryLeaf,
  keys: ReserveFile['keys'],
  { amountSat, deposit, epoch, txid, vout }: ReserveOutput,
): Promise<string | undefined> {
  const found = await rpc.getTxOut(toDisplayHash(txid), vout)
  if (!found.ok) throw new Refusal('BitcoinUnreachable', found.error.message, EXIT.unreachable)
  if (found.value === null) return 'Bitcoin does not have it unspent'
  const made = epoch === 0 ? undefined : keys.find((key) => key.epoch === epoch)
  const groupKey = made?.publicKey ?? federationKey(genesis, 0)
  const { scriptPubKey } = outputOf(genesis, { epoch, ...(deposit && { deposit }) }, groupKey)
  if (!equalBytes(Uint8Array.from(found.value.script), scriptPubKey)) {
    return 'Bitcoin has another script there'
  }
  if (found.value.amountSat !== amountSat) return 'Bitcoin has another amount there'
  const lackBlocks = genesis.recovery.csvBlocks - found.value.confirmations
  if (leaf === 'members' || lackBlocks <= 0) return undefined
  return `${lackBlocks} more blocks until leaf B opens`
}

export async function show(options: RecoverOptions): Promise<Told> {
  const genesis = await readGenesis(options.genesis)
  const [path, ...others] = options.psbt ?? []
  if (others.length > 0) throw usage('one --psbt at a time')
  const recovery = await readPsbt(genesis, wanted('psbt', path))
  return { text: summaryText(genesis, recovery), figures: summaryOf(genesis, recovery) }
}

export async function sign(options: RecoverOptions): Promise<Told> {
  const genesis = await readGenesis(options.genesis)
  const [path, ...others] = options.psbt ?? []
  if (others.length > 0) throw usage('one --psbt at a time')
  const out = wanted('out', options.out)
  const recovery = await readPsbt(genesis, wanted('psbt', path))
  await confirmed(options, summaryText(genesis, recovery), 'Sign it?')
  const secret = await readSchnorrSecret(options.keys, options['password-file'])
  const key = toHex(schnorrPublicKey(secret))
  const auxiliary = random(32)
  const signed = signRecovery(genesis, recovery, secret, auxiliary)
  secret.fill(0)
  const done = must(signed)
  await writeNew(out, `${encodeRecovery(genesis, done)}\n`)
  const name = signerName(genesis, recovery.leaf, key)
  return {
    text: `${summaryText(genesis, done)}\n${out}: signed by ${name}\n`,
    figures: { path: out, signer: name, ...summaryOf(genesis, done) },
  }
}

/** A person looks at what is about to be done, or --yes says that one has. */
export async function confirmed(
  options: RecoverOptions,
  what: string,
  question: string,
): Promise<void> {
  if (options.yes === true) return
  if (process.stdin.isTTY !== true) throw usage('without a terminal --yes is needed')
  process.stderr.write(what)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`\n${question} (yes) `)
    if (answer.trim() !== 'yes') throw new Refusal('NotConfirmed', 'nothing was done')
  } finally {
    terminal.close()
  }
}

export async function combine(options: RecoverOptions): Promise<Told> {
  const genesis = await readGenesis(options.genesis)
  const out = wanted('out', options.out)
  const recovery = await readCopies(genesis, options)
  await writeNew(out, `${encodeRecovery(genesis, recovery)}\n`)
  return {
    text: `${summaryText(genesis, recovery)}\n${out}\n`,
    figures: { path: out, ...summaryOf(genesis, recovery) },
  }
}

export async function finish(options: RecoverOptions): Promise<Told> {
  const genesis = await readGenesis(options.genesis)
  const recovery = await readCopies(genesis, options)
  const raw = must(finishRecovery(genesis, recovery))
  const parsed = parseTransaction(raw)
  if (!parsed.ok) throw new Error(parsed.error.reason)
  const id = toDisplayHash(hashOf(parsed.value))
  if (options.out !== undefined) await writeNew(options.out, `${toHex(raw)}\n`)
  const lines = options.out === undefined ? [toHex(raw)] : [`${options.out}: transaction ${id}`]
  if (options.bitcoin !== undefined) {
    lines.push(await offered(options.bitcoin, raw, options.send === true))
  } else if (options.send === true) {
    throw usage('--send needs --bitcoin')
  }
  const feeSat = recoveryFeeSat(recovery).toString()
  const figures = { txid: id, feeSat, rawTransaction: toHex(raw) }
  return { text: `${lines.join('\n')}\n`, figures }
}

/** Sent, or only shown to Bitcoin, which says whether it would take it. */
async function offered(url: string, raw: Uint8Array, isSent: boolean): Promise<string> {
  const rpc = openBitcoin(url)
  try {
    if (isSent) {
      const sent = await rpc.sendRawTransaction(raw)
      if (sent.ok) return `sent: ${sent.value}`
      throw new Refusal('BitcoinRefused', sent.error.message)
    }
    const tested = await rpc.testMempoolAccept([raw])
    if (!tested.ok) throw new Refusal('BitcoinUnreachable', tested.error.message, EXIT.unreachable)
    const [verdict] = tested.value
    if (verdict?.allowed === true) return 'Bitcoin would take it; --send sends it'
    throw new Refusal('BitcoinRefused', verdict?.rejectReason ?? 'no answer')
  } finally {
    rpc.close()
  }
}

async function readCopies(genesis: Genesis, options: RecoverOptions): Promise<Recovery> {
  const copies: Recovery[] = []
  for (const path of options.psbt ?? []) copies.push(await readPsbt(genesis, path))
  const [first, ...rest] = copies
  if (first === undefined) throw usage('--psbt is needed')
  return must(combineRecoveries(genesis, [first, ...rest]))
}

async function readPsbt(genesis: Genesis, path: string): Promise<Recovery> {
  const decoded = decodeRecovery(genesis, await readText(path))
  if (decoded.ok) return decoded.value
  throw refusalOf(decoded.error, `${path}: `)
}

function must<T>(result: Result<T, RecoveryFault>): T {
  if (result.ok) return result.value
  throw refusalOf(result.error)
}

function refusalOf({ code, ...fields }: RecoveryFault, before = ''): Refusal {
  const said = Object.entries(fields).map(([name, value]) => `${name} ${value}`)
  const what = FAULTS[code]
  const details = said.length === 0 ? '' : ` (${said.join(', ')})`
  return new Refusal(code, `${before}${what}${details}`, EXIT.data)
}

const FAULTS: Readonly<Record<RecoveryFault['code'], string>> = {
  NothingToSpend: 'no output of the reserve is left to spend',
  TooManyInputs: 'one transaction cannot spend so many',
  FeeRateWrong: 'that fee rate is a mistake',
  PaymentBelowDust: 'Bitcoin does not relay so small a payment',
  AmountTooSmall: 'the outputs do not cover payments and fee',
  EpochKeyMissing: 'the key of an epoch is not in the rows: export them again',
  PsbtMalformed: 'no plan of a recovery',
  PsbtOfAnotherChain: 'a plan for another genesis file',
  InputForeign: 'an input is no output of this federation',
  SignatureWrong: 'a signature is wrong',
  KeyNotInLeaf: 'this key has no part in the leaf',
  OtherTransaction: 'these are copies of different plans',
  SignaturesMissing: 'not enough holders have signed',
}

function leafOf({ leaf }: RecoverOptions): RecoveryLeaf {
  const found = RECOVERY_LEAVES.find((name) => name === leaf)
  if (found !== undefined) return found
  throw usage('--leaf: members (t of their own keys) or recovery (cold keys, after the delay)')
}

function payment(genesis: Genesis, text: string): BitcoinOutput {
  const [address = '', amount = '', ...rest] = text.split('=')
  if (!/^\d{1,16}$/.test(amount) || rest.length > 0) throw usage('--pay: expected ADDRESS=SATOSHI')
  return { scriptPubKey: scriptOf(genesis, address), amountSat: BigInt(amount) }
}

function scriptOf({ bitcoin }: Genesis, address: string): Uint8Array {
  const script = scriptFromAddress(address, bitcoin.network)
  if (script.ok) return script.value
  throw usage(`${address}: no address of Bitcoin ${bitcoin.network} (${script.error.code})`)
}

function feeRate(text: string): number {
  const rate = /^\d{1,7}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1_000) : Number.NaN
  if (Number.isSafeInteger(rate)) return rate
  throw usage('--fee-rate: expected sat/vB, such as 5 or 2.5')
}

export function whole(name: string, text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw usage(`--${name}: expected a whole number`)
}

function jsonOf(name: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw usage(`--${name}: expected JSON`)
  }
}

function openBitcoin(url: string): BitcoinRpc {
  try {
    return createBitcoinRpc({ url, timeoutMs: BITCOIN_MS })
  } catch {
    throw usage('--bitcoin: expected http://user:password@host:port')
  }
}
