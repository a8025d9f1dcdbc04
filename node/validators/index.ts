/**
 * `millrace validators`: who decides blocks, and changes of that. A change is written as a file, each member approves it with its key
 * file, offline, and anybody who has t approvals submits it to any node (protocol §1.4, docs/guides/change-validators.md).
 */
import { parseArgs } from 'node:util'
import { encodeValidatorChange, type ValidatorChange } from '../../core/block/index.ts'
import { validatorChangeMessage } from '../../core/validators/index.ts'
import { provePossession, toHex } from '../../crypto/index.ts'
import { EXIT } from '../adapters/system/index.ts'
import {
  bytes,
  call,
  combinedApproval,
  DECISION_FLAGS,
  DEFAULT_URL,
  integer,
  openSigner,
  Refusal,
  readGenesis,
  readJson,
  runCommand,
  signedByMember,
  submitUntil,
  usage,
} from '../decisions/index.ts'

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

  --url URL,...           JSON-RPC of any node, or of several [${DEFAULT_URL}]
  --sequence N            number of the change; without it propose asks the node
  --address HEX           EVM address for the tips of its blocks; needed unless --power is 0
  --members-epoch N       epoch of the members [0]
  --wait SECONDS          how long submit waits [60]
  --help                  this text
`

interface ChangeFile {
  readonly sequence: number
  readonly blsKey: string
  readonly power: number
  readonly address: string
  readonly proofOfPossession: string
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

const FLAGS = {
  ...DECISION_FLAGS,
  height: { type: 'string' },
  key: { type: 'string' },
  power: { type: 'string' },
  address: { type: 'string' },
  sequence: { type: 'string' },
  change: { type: 'string' },
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

export const main = (args: readonly string[]): Promise<number> =>
  runCommand('validators', USAGE, COMMANDS, () => parse(args))

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
  const change = fromFile(file)
  const signed = await signedByMember(genesis, options, (membersEpoch) =>
    validatorChangeMessage(genesis, membersEpoch, change),
  )
  return JSON.stringify({ change: file, ...signed }, undefined, 2)
}

async function submit(options: Options): Promise<string> {
  const genesis = await readGenesis(options)
  const change = fromFile(await readJson<ChangeFile>('change', options.change))
  const approval = await combinedApproval(genesis, options.approval ?? [], (membersEpoch) =>
    validatorChangeMessage(genesis, membersEpoch, change),
  )
  const raw = toHex(encodeValidatorChange({ ...change, approval }))
  return submitUntil(options, 'millrace_submitValidatorChange', raw, async (isSubmitted) => {
    const { sequence, since, validators } = await latestSet(options.url)
    if (!isSubmitted || sequence !== change.sequence) return undefined
    const present = validators.find(({ key }) => key === toHex(change.blsKey))
    if ((present?.power ?? 0) === change.power) {
      return JSON.stringify({ sequence, actsFromHeight: since })
    }
    throw new Refusal('AnotherChangeDecided', `change ${sequence} is another one`, EXIT.error)
  })
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
