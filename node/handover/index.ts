/**
 * `millrace handover`: another key for the federation (protocol §5.8). A member calls for it with its key file; when t members have, all of them
 * make the key, and the coins move to it (docs/guides/hand-over-the-key.md).
 */
import { encodeKeygenItem, KEYGEN_KINDS } from '../../core/block/index.ts'
import {
  allSigners,
  encodeKeygenContent,
  KEYGEN_CALL_BLOCKS,
  keygenSessionId,
  signKeygenItem,
} from '../../core/keygen/index.ts'
import { equalBytes, schnorrPublicKey, toHex } from '../../crypto/index.ts'
import {
  type Flags,
  type OptionsOf,
  type Program,
  runCommand,
} from '../adapters/command-line/index.ts'
import { createSystemRandom, EXIT } from '../adapters/system/index.ts'
import type { KeygenStatus } from '../api/index.ts'
import {
  call,
  DECISION_FLAGS,
  integer,
  openSecret,
  Refusal,
  readGenesis,
  submitUntil,
} from '../decisions/index.ts'

const { genesis, keys, url, wait, help, 'password-file': passwordFile } = DECISION_FLAGS
const FLAGS = {
  url,
  genesis,
  keys,
  'password-file': passwordFile,
  blocks: { value: 'N', about: 'how long the call is good if no block takes it [1000]' },
  wait,
  help,
} as const satisfies Flags

type Options = OptionsOf<typeof FLAGS>

export const PROGRAM: Program<typeof FLAGS> = {
  name: 'handover',
  commands: {
    show: {
      form: '[--url URL]',
      about: 'the keys that the members made, and the making of the next one',
      run: show,
    },
    call: {
      form: '--genesis FILE --keys FILE --password-file FILE [--blocks N] [--url URL,...] [--wait SECONDS]',
      about:
        "says in a member's name that the next key is to be made, and waits until a block has it; when t members have called, the key is made and the coins move to it",
      run: callForKey,
    },
  },
  flags: FLAGS,
}

export const main = (args: readonly string[]): Promise<number> => runCommand(PROGRAM, args)

async function show({ url }: Options): Promise<string> {
  const { keys, making } = await statusOf(url)
  const known = keys.map(({ epoch, height, members, publicKey, validUntil }) => {
    const until = validUntil === null ? 'in use' : `deposits up to Bitcoin block ${validUntil}`
    return `epoch ${epoch}  ${publicKey}  since block ${height}  shares of ${members.join(', ')}  ${until}`
  })
  const next = making
    ? `epoch ${making.epoch}: ${making.stage}, waits for ${making.waitingFor.join(', ') || 'nobody'}`
    : 'no key is called for'
  return [...known, next].join('\n')
}

async function callForKey(options: Options): Promise<string> {
  const genesis = await readGenesis(options)
  const secret = await openSecret(options, 'schnorr')
  const own = schnorrPublicKey(secret)
  const member = genesis.members.findIndex(({ schnorrKey }) => equalBytes(schnorrKey, own))
  if (member < 0) {
    throw new Refusal('KeysOfNoMember', 'the key file is of no member', EXIT.configuration)
  }
  const blocks = integer('blocks', options.blocks ?? '1000')
  const { height, making, next } = await statusOf(options.url)
  if (next === undefined) {
    const stage = making ? `the key of epoch ${making.epoch} is being made` : 'there is no key yet'
    throw new Refusal('NoKeyDue', stage, EXIT.error)
  }
  const { attempt, epoch } = next
  const untilHeight = height + Math.min(blocks, KEYGEN_CALL_BLOCKS)
  const statement = {
    epoch,
    sessionId: keygenSessionId(genesis, epoch, attempt, allSigners(genesis)),
    kind: KEYGEN_KINDS.indexOf('call'),
    signer: member + 1,
    content: encodeKeygenContent('call', { untilHeight }),
  }
  const item = signKeygenItem(genesis, statement, secret, createSystemRandom().bytes(32))
  const raw = toHex(encodeKeygenItem(item))
  return submitUntil(options, 'millrace_submitKeyCall', raw, async () => {
    const isHeard = isCalled(await statusOf(options.url), epoch, member)
    return isHeard ? JSON.stringify({ epoch, attempt, member }) : undefined
  })
}

/** Whether the ledger has the member's call, or is past calls. */
function isCalled(
  { epoch: current, making }: KeygenStatus,
  epoch: number,
  member: number,
): boolean {
  if (current >= epoch) return true
  if (making === undefined) return false
  return making.stage !== 'calls' || !making.waitingFor.includes(member)
}

async function statusOf(url: string | undefined): Promise<KeygenStatus> {
  const status = await call<KeygenStatus | null>(url, 'millrace_keygenStatus', [])
  if (status !== null) return status
  throw new Refusal('NotReady', 'the node has not loaded its chain yet', EXIT.unreachable)
}
