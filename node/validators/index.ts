/**
 * `millrace validators`: who decides blocks, and changes of that. A change is written as a file, each member approves it with its key
 * file, offline, and anybody who has t approvals submits it to any node (protocol §1.4, docs/guides/change-validators.md).
 */
import { encodeValidatorChange, type ValidatorChange } from '../../core/block/index.ts'
import { validatorChangeMessage } from '../../core/validators/index.ts'
import { provePossession, toHex } from '../../crypto/index.ts'
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
  openSigner,
  Refusal,
  readGenesis,
  readJson,
  signedByMember,
  submitUntil,
  usage,
} from '../decisions/index.ts'

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
  height: { value: 'N', about: 'of which height' },
  key: { value: 'HEX', about: 'BLS key of a validator' },
  power: { value: 'N', about: 'its voting power from now on' },
  address: {
    value: 'HEX',
    about: 'EVM address for the tips of its blocks; needed unless --power is 0',
  },
  sequence: { value: 'N', about: 'number of the change; without it propose asks the node' },
  change: { value: 'FILE', about: 'what propose wrote' },
  ...DECISION_FLAGS,
  keys: { value: 'FILE', about: 'key file of the member, or of the new validator' },
} as const satisfies Flags

type Options = OptionsOf<typeof FLAGS>

export const PROGRAM: Program<typeof FLAGS> = {
  name: 'validators',
  commands: {
    show: {
      form: '[--height N] [--url URL]',
      about: 'the validators that decide the next height, or height N',
      run: show,
    },
    propose: {
      form: '(--keys FILE --password-file FILE | --key HEX) --power N [--address HEX] [--sequence N | --url URL]',
      about:
        'writes a change to the standard output: a key with another power or address, a new key (--keys: the key file of the new validator, which proves that it has the key), or none any more (--power 0)',
      run: propose,
    },
    approve: {
      form: '--change FILE --genesis FILE --keys FILE --password-file FILE [--members-epoch N]',
      about: "writes a member's approval of a change to the standard output; needs no node",
      run: approve,
    },
    submit: {
      form: '--change FILE --genesis FILE --approval FILE... [--url URL,...] [--wait SECONDS]',
      about:
        'hands a change with the approvals of t members to a node and waits until it is decided',
      run: submit,
    },
  },
  flags: FLAGS,
}

export const main = (args: readonly string[]): Promise<number> => runCommand(PROGRAM, args)

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
