/**
 * `millrace validators`: who decides blocks, and changes of that. A change is written as a file, each member approves it with its key
 * file, offline, and anybody who has t approvals submits it to any node (protocol §1.4, docs/guides/change-validators.md).
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import {
  combineApprovals,
  encodeValidatorChange,
  type ValidatorChange,
} from '../../core/block/index.ts'
import { type Genesis, parseGenesis } from '../../core/params/index.ts'
import { validatorChangeMessage } from '../../core/validators/index.ts'
import {
  blsSigner,
  blsSuite,
  equalBytes,
  fromHex,
  openKeyFile,
  provePossession,
  type Signer,
  toHex,
} from '../../crypto/index.ts'
import { EXIT } from '../adapters/system/index.ts'

const DEFAULT_URL = 'http://127.0.0.1:8545'
const CALL_MS = 10_000
const POLL_MS = 500

const USAGE = `usage: millrace validators show [--height N] [--url URL]
       millrace validators propose (--keys FILE --password-file FILE | --key HEX) --power N [--address HEX]
       millrace validators approve --change FILE --genesis FILE --keys FILE --password-file FILE
       millrace validators submit --change FILE --genesis FILE --approval FILE... [--url URL]

  show                    the validators that decide the next height, or height N
  propose                 writes a change to the standard output: a key with another power or address, a new
                          key (--keys: the key file of the new validator, which proves that it has the key),
                          or none any more (--power 0)
  approve                 writes a member's approval of a change to the standard output; needs no node
  submit                  hands a change with the approvals of t members to a node and waits until it is decided

  --url URL               JSON-RPC of any node [${DEFAULT_URL}]
  --sequence N            number of the change; without it propose asks the node
  --address HEX           EVM address for the tips of its blocks; needed unless --power is 0
  --members-epoch N       epoch of the members [0]
  --wait SECONDS          how long submit waits [60]
  --help                  this text
`

interface Fault {
  readonly code: string
  readonly message: string
  readonly exitCode: number
}

interface ChangeFile {
  readonly sequence: number
  readonly blsKey: string
  readonly power: number
  readonly address: string
  readonly proofOfPossession: string
}

interface ApprovalFile {
  readonly change: ChangeFile
  readonly membersEpoch: number
  readonly member: number
  readonly signature: string
}

interface SetAnswer {
  readonly height: number
  readonly since: number
  readonly sequence: number
  readonly totalPower: number
  readonly quorum: number
  readonly validators: readonly {
    readonly key: string
    readonly power: number
    readonly address: string
  }[]
}

/** What a command could not do, thrown to where the exit code is made. */
class Refusal extends Error {
  readonly fault: Fault

  constructor(code: string, message: string, exitCode: number) {
    super(message)
    this.fault = { code, message, exitCode }
  }
}

const FLAGS = {
  url: { type: 'string' },
  height: { type: 'string' },
  keys: { type: 'string' },
  key: { type: 'string' },
  'password-file': { type: 'string' },
  power: { type: 'string' },
  address: { type: 'string' },
  sequence: { type: 'string' },
  change: { type: 'string' },
  genesis: { type: 'string' },
  approval: { type: 'string', multiple: true },
  'members-epoch': { type: 'string' },
  wait: { type: 'string' },
  help: { type: 'boolean' },
} as const

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: true })
}

type Options = ReturnType<typeof parse>['values']

const COMMANDS: Readonly<Record<string, (options: Options) => Promise<string>>> = {
  show,
  propose,
  approve,
  submit,
}

export async function main(args: readonly string[]): Promise<number> {
  try {
    const { positionals, values } = parse(args)
    if (values.help) {
      process.stdout.write(USAGE)
      return EXIT.ok
    }
    const [name = ''] = positionals
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (command === undefined || positionals.length > 1) {
      process.stderr.write(USAGE)
      return EXIT.usage
    }
    process.stdout.write(`${await command(values)}\n`)
    return EXIT.ok
  } catch (error) {
    const { code, exitCode, message } =
      error instanceof Refusal
        ? error.fault
        : { code: 'Usage', message: (error as Error).message, exitCode: EXIT.usage }
    process.stderr.write(`millrace validators: ${code}: ${message}\n`)
    return exitCode
  }
}

async function show({ height, url }: Options): Promise<string> {
  const set = await readSet(url, height === undefined ? undefined : integer('height', height))
  const rows = set.validators.map(
    ({ address, key, power }, position) =>
      `${position}  power ${power}  ${key}  tips to ${address}`,
  )
  const head = `height ${set.height}: ${set.validators.length} validators, power ${set.totalPower}, quorum ${set.quorum}, since ${set.since}, change ${set.sequence}`
  return [head, ...rows].join('\n')
}

async function propose(options: Options): Promise<string> {
  const power = integer('power', options.power)
  const signer = options.keys === undefined ? undefined : await openSigner(options)
  if ((signer === undefined) === (options.key === undefined)) {
    throw usage('either --keys or --key says whose power it is')
  }
  const blsKey = signer?.publicKey ?? bytes('key', options.key, 48)
  if ((power === 0) !== (options.address === undefined)) {
    throw usage('--address stands with every power but 0')
  }
  const address = power === 0 ? new Uint8Array(20) : bytes('address', options.address, 20)
  const sequence =
    options.sequence === undefined
      ? (await latestSet(options.url)).sequence + 1
      : integer('sequence', options.sequence)
  const proofOfPossession = signer === undefined ? new Uint8Array(96) : provePossession(signer)
  const change = { sequence, blsKey, power, address, proofOfPossession }
  return JSON.stringify(toFile(change), undefined, 2)
}

async function approve(options: Options): Promise<string> {
  const genesis = await readGenesis(options)
  const file = await readJson<ChangeFile>('change', options.change)
  const signer = await openSigner(options)
  const member = genesis.members.findIndex(({ blsKey }) => equalBytes(blsKey, signer.publicKey))
  if (member < 0)
    throw new Refusal('KeysOfNoMember', 'the key file is of no member', EXIT.configuration)
  const membersEpoch = integer('members-epoch', options['members-epoch'] ?? '0')
  const message = validatorChangeMessage(genesis, membersEpoch, fromFile(file))
  const signature = toHex(signer.sign(message))
  return JSON.stringify({ change: file, membersEpoch, member, signature }, undefined, 2)
}

async function submit(options: Options): Promise<string> {
  const genesis = await readGenesis(options)
  const change = fromFile(await readJson<ChangeFile>('change', options.change))
  const signatures = new Map<number, Uint8Array>()
  let membersEpoch = 0
  for (const path of options.approval ?? []) {
    const approval = await readJson<ApprovalFile>('approval', path)
    const member = genesis.members[approval.member]
    const signature = bytes(`signature of ${path}`, approval.signature, 96)
    const signed = validatorChangeMessage(genesis, approval.membersEpoch, change)
    if (member === undefined || !genesis.signatures.verify(member.blsKey, signed, signature)) {
      throw new Refusal(
        'ApprovalOfAnotherChange',
        `${path} does not approve this change`,
        EXIT.data,
      )
    }
    signatures.set(approval.member, signature)
    membersEpoch = approval.membersEpoch
  }
  const approval = combineApprovals(genesis, membersEpoch, signatures)
  if (approval === undefined) {
    const have = `${signatures.size} of ${genesis.memberThreshold}`
    throw new Refusal('ApprovalQuorumMissing', `approvals of ${have} members`, EXIT.data)
  }
  const raw = toHex(encodeValidatorChange({ ...change, approval }))
  const waitMs = 1_000 * integer('wait', options.wait ?? '60')
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const { sequence, since, validators } = await latestSet(options.url)
    if (waitedMs > 0 && sequence === change.sequence) {
      const present = validators.find(({ key }) => key === toHex(change.blsKey))
      if ((present?.power ?? 0) === change.power) {
        return JSON.stringify({ sequence, actsFromHeight: since })
      }
      throw new Refusal('AnotherChangeDecided', `change ${sequence} is another one`, EXIT.error)
    }
    if (waitedMs >= waitMs) {
      throw new Refusal('NotDecided', `no block has it after ${waitMs / 1_000} s`, EXIT.unreachable)
    }
    // Again as long as it is not decided: a node that restarted has forgotten what waited there.
    if (waitedMs % 10_000 === 0) await call(options.url, 'millrace_submitValidatorChange', [raw])
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** The set that acts last of those that are decided. */
async function latestSet(url: string | undefined): Promise<SetAnswer> {
  const { height } = await readSet(url, undefined)
  // A block may come in between; what it decides acts later still, and the next look sees it.
  return readSet(url, height + 1)
}

function readSet(url: string | undefined, height: number | undefined): Promise<SetAnswer> {
  return call<SetAnswer>(url, 'millrace_validators', height === undefined ? [] : [height])
}

async function call<T>(url = DEFAULT_URL, method: string, params: readonly unknown[]): Promise<T> {
  let answer: { readonly result?: unknown; readonly error?: { readonly message: string } }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: AbortSignal.timeout(CALL_MS),
    })
    answer = (await response.json()) as typeof answer
  } catch (error) {
    const { message } = error as Error
    throw new Refusal('NodeUnreachable', `no node answers at ${url} (${message})`, EXIT.unreachable)
  }
  if (answer.error !== undefined) throw new Refusal('Refused', answer.error.message, EXIT.error)
  return answer.result as T
}

async function openSigner(options: Options): Promise<Signer> {
  const file = await readJson<unknown>('keys', options.keys)
  const path = options['password-file']
  if (path === undefined) throw usage('--password-file is needed')
  const opened = openKeyFile(file, (await readText(path)).trim())
  if (!opened.ok) {
    throw new Refusal(opened.error.code, `${options.keys} does not open`, EXIT.configuration)
  }
  const secret = opened.value['bls']
  if (secret === undefined) {
    throw new Refusal('KeysIncomplete', `${options.keys} has no bls key`, EXIT.configuration)
  }
  return blsSigner(secret)
}

async function readGenesis({ genesis }: Options): Promise<Genesis> {
  const parsed = parseGenesis(await readJson<unknown>('genesis', genesis), blsSuite)
  if (parsed.ok) return parsed.value
  throw new Refusal('GenesisInvalid', parsed.error.reason, EXIT.configuration)
}

async function readJson<T>(flag: string, path: string | undefined): Promise<T> {
  if (path === undefined) throw usage(`--${flag} is needed`)
  const text = await readText(path)
  try {
    return JSON.parse(text) as T
  } catch {
    throw new Refusal('FileMalformed', `${path} is not JSON`, EXIT.data)
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new Refusal('FileUnreadable', (error as Error).message, EXIT.configuration)
  }
}

function toFile(change: ValidatorChange): ChangeFile {
  const { address, blsKey, power, proofOfPossession, sequence } = change
  return {
    sequence,
    blsKey: toHex(blsKey),
    power,
    address: toHex(address),
    proofOfPossession: toHex(proofOfPossession),
  }
}

function fromFile(file: ChangeFile): ValidatorChange {
  return {
    sequence: integer('sequence', String(file.sequence)),
    blsKey: bytes('blsKey', file.blsKey, 48),
    power: integer('power', String(file.power)),
    address: bytes('address', file.address, 20),
    proofOfPossession: bytes('proofOfPossession', file.proofOfPossession, 96),
  }
}

function bytes(name: string, text: string | undefined, length: number): Uint8Array {
  const found = typeof text === 'string' ? fromHex(text.replace(/^0x/, '')) : undefined
  if (found?.length === length) return found
  throw usage(`${name}: expected ${length} bytes in hex`)
}

function integer(name: string, text: string | undefined): number {
  const value = Number(text)
  if (text !== undefined && /^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw usage(`${name}: expected a whole number`)
}

function usage(message: string): Refusal {
  return new Refusal('Usage', message, EXIT.usage)
}
