/**
 * What commands about decisions of the members have in common: a decision is a file, each member approves it offline with its key file, and
 * whoever has t approvals hands it to a node. Files are read whole, what is wrong with one ends the command with a code.
 */
import { readFile } from 'node:fs/promises'
import { combineApprovals, type MemberApproval } from '../../core/block/index.ts'
import { type Genesis, parseGenesis } from '../../core/params/index.ts'
import {
  blsSigner,
  blsSuite,
  equalBytes,
  fromHex,
  openKeyFile,
  type Signer,
  toHex,
} from '../../crypto/index.ts'
import { type Flags, Refusal, usage } from '../adapters/command-line/index.ts'
import { EXIT } from '../adapters/system/index.ts'

export { Refusal, usage } from '../adapters/command-line/index.ts'

export const DEFAULT_URL = 'http://127.0.0.1:8545'
const CALL_MS = 10_000
const POLL_MS = 500
/** Looks between two submissions: ten seconds. */
const REPEAT_POLLS = 20

/** Of every such command. */
export const DECISION_FLAGS = {
  url: {
    value: 'URL,...',
    about: `JSON-RPC of a node, or of several: what is submitted goes to all of them, for each makes blocks of its own [${DEFAULT_URL}]`,
  },
  genesis: { value: 'FILE', about: 'the genesis file of the chain' },
  keys: { value: 'FILE', about: 'key file of the member' },
  'password-file': { value: 'FILE', about: 'its password' },
  approval: { value: 'FILE', about: "a member's approval; as many as t members", isMany: true },
  'members-epoch': { value: 'N', about: 'epoch of the members [0]' },
  wait: { value: 'SECONDS', about: 'how long to wait for a block that has it [60]' },
  help: { about: 'this text' },
} as const satisfies Flags

/** A member's approval, beside what it is of. */
interface ApprovalFile {
  readonly membersEpoch: number
  readonly member: number
  readonly signature: string
}

interface KeyOptions {
  readonly keys?: string | undefined
  readonly 'password-file'?: string | undefined
}

/** A member's approval of what `message` says in an epoch of the members. */
export async function signedByMember(
  genesis: Genesis,
  options: KeyOptions & { readonly 'members-epoch'?: string | undefined },
  message: (membersEpoch: number) => Uint8Array,
): Promise<ApprovalFile> {
  const signer = await openSigner(options)
  const member = genesis.members.findIndex(({ blsKey }) => equalBytes(blsKey, signer.publicKey))
  if (member < 0)
    throw new Refusal('KeysOfNoMember', 'the key file is of no member', EXIT.configuration)
  const membersEpoch = integer('members-epoch', options['members-epoch'] ?? '0')
  const signature = toHex(signer.sign(message(membersEpoch)))
  return { membersEpoch, member, signature }
}

/** The approval of t members out of their files, each checked. */
export async function combinedApproval(
  genesis: Genesis,
  paths: readonly string[],
  message: (membersEpoch: number) => Uint8Array,
): Promise<MemberApproval> {
  const signatures = new Map<number, Uint8Array>()
  let membersEpoch = 0
  for (const path of paths) {
    const approval = await readJson<ApprovalFile>('approval', path)
    const member = genesis.members[approval.member]
    const signature = bytes(`signature of ${path}`, approval.signature, 96)
    const signed = message(integer(`membersEpoch of ${path}`, String(approval.membersEpoch)))
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
  if (approval !== undefined) return approval
  const have = `${signatures.size} of ${genesis.memberThreshold}`
  throw new Refusal('ApprovalQuorumMissing', `approvals of ${have} members`, EXIT.data)
}

/**
 * Hands something in at every node of `--url`, again each ten seconds, until `decided` gives what the command prints. Each includes it in a
 * block of its own, and one that restarted has forgotten what waited there. One that takes it is enough.
 */
export async function submitUntil(
  options: { readonly url?: string | undefined; readonly wait?: string | undefined },
  method: string,
  raw: string,
  decided: (isSubmitted: boolean) => Promise<string | undefined>,
): Promise<string> {
  const waitMs = 1_000 * integer('wait', options.wait ?? '60')
  for (let poll = 0; ; poll++) {
    const answer = await decided(poll > 0)
    if (answer !== undefined) return answer
    if (poll * POLL_MS >= waitMs) {
      throw new Refusal('NotDecided', `no block has it after ${waitMs / 1_000} s`, EXIT.unreachable)
    }
    if (poll % REPEAT_POLLS === 0) await submitToAll(urlsOf(options.url), method, raw)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

async function submitToAll(urls: readonly string[], method: string, raw: string): Promise<void> {
  const answers = await Promise.allSettled(urls.map((url) => callOne(url, method, [raw])))
  const [refused] = answers.filter((answer) => answer.status === 'rejected')
  if (answers.some(({ status }) => status === 'fulfilled')) return
  throw refused?.reason
}

/** Several, divided by commas. */
function urlsOf(url = DEFAULT_URL): readonly string[] {
  return url.split(',').map((each) => each.trim())
}

/** What the first node of `--url` says that answers. */
export async function call<T>(
  url: string | undefined,
  method: string,
  params: readonly unknown[],
): Promise<T> {
  const urls = urlsOf(url)
  for (const each of urls.slice(0, -1)) {
    try {
      return await callOne<T>(each, method, params)
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'NodeUnreachable') throw error
    }
  }
  return callOne<T>(urls.at(-1) as string, method, params)
}

async function callOne<T>(url: string, method: string, params: readonly unknown[]): Promise<T> {
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

export async function openSigner(options: KeyOptions): Promise<Signer> {
  return blsSigner(await openSecret(options, 'bls'))
}

/** One secret of a key file. */
export async function openSecret(
  options: KeyOptions,
  name: 'bls' | 'schnorr',
): Promise<Uint8Array> {
  const file = await readJson<unknown>('keys', options.keys)
  const path = options['password-file']
  if (path === undefined) throw usage('--password-file is needed')
  const opened = openKeyFile(file, (await readText(path)).trim())
  if (!opened.ok) {
    throw new Refusal(opened.error.code, `${options.keys} does not open`, EXIT.configuration)
  }
  const secret = opened.value[name]
  if (secret !== undefined) return secret
  throw new Refusal('KeysIncomplete', `${options.keys} has no ${name} key`, EXIT.configuration)
}

export async function readGenesis({
  genesis,
}: {
  readonly genesis?: string | undefined
}): Promise<Genesis> {
  const parsed = parseGenesis(await readJson<unknown>('genesis', genesis), blsSuite)
  if (parsed.ok) return parsed.value
  throw new Refusal('GenesisInvalid', parsed.error.reason, EXIT.configuration)
}

export async function readJson<T>(flag: string, path: string | undefined): Promise<T> {
  if (path === undefined) throw usage(`--${flag} is needed`)
  const text = await readText(path)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Refusal('FileMalformed', `${path} is not JSON`, EXIT.data)
  }
  if (typeof value === 'object' && value !== null) return value as T
  throw new Refusal('FileMalformed', `${path} holds no JSON object`, EXIT.data)
}

export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new Refusal('FileUnreadable', (error as Error).message, EXIT.configuration)
  }
}

export function bytes(name: string, text: string | undefined, length: number): Uint8Array {
  const found = typeof text === 'string' ? fromHex(text.replace(/^0x/, '')) : undefined
  if (found?.length === length) return found
  throw usage(`${name}: expected ${length} bytes in hex`)
}

export function integer(name: string, text: string | undefined): number {
  const value = Number(text)
  if (text !== undefined && /^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw usage(`${name}: expected a whole number`)
}
