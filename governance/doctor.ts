/**
 * `millrace doctor --member FILE`: what a member is started with, and whether it holds its shares of the federation's keys. It only reads, and
 * may run beside the member.
 */
import { existsSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ReserveFile } from '../bridge/index.ts'
import type { KnownBlock } from '../core/light/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { blsSuite, groupKeyFrom, isShareOf, toHex } from '../crypto/index.ts'
import { compareBitcoins, createBitcoinRpc } from '../node/adapters/bitcoin-rpc/index.ts'
import { wrongUse } from '../node/adapters/command-line/index.ts'
import { directoryHolder } from '../node/adapters/data-directory/index.ts'
import { createSystemClock, EXIT } from '../node/adapters/system/index.ts'
import { type ConfigFault, configFault, type MemberConfig, readConfig } from './config.ts'
import { fileHeadStore } from './head-store.ts'
import type { HeldShare } from './keygen-part.ts'
import { type KeystoreFiles, type OpenedKeys, readKeys } from './keystore.ts'
import { Refusal } from './recover/files.ts'
import { checkedReserve, reserveOfNode } from './recover/reserve.ts'
import { readSignerConfig, type SignerConfig } from './remote/config.ts'
import { readGenesisFile } from './run.ts'
import { readShareFile, shareFileName, shareFiles } from './shares.ts'
import { STALE_ADVICE, Trust } from './trust.ts'

const USAGE = `usage: millrace doctor --member FILE [options]
       millrace doctor --signer FILE [options]

  Looks at what a member (millrace governance) is started with, and whether it holds its shares of the
  federation's keys. It only reads, and may run beside the member.

  --member FILE   configuration of the member
  --signer FILE   configuration of the signer that holds a member's secrets
  --url URL       JSON-RPC of a node: says of which keys this member must have shares
  --json          one line of JSON
  --help          this text

  Exit codes: 0 all is well, 3 configuration, 4 a share is missing or damaged, 5 Bitcoin or the node does not answer
`

interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly advice?: string
  readonly exitCode: number
}

const BITCOIN_MS = 5_000
const GET_BACK =
  'millrace recover share gets it back from t others: docs/guides/recover-coins.md#a-lost-share'

const good = (name: string, detail: string): Check => ({
  name,
  ok: true,
  detail,
  exitCode: EXIT.ok,
})
const bad = (name: string, detail: string, advice: string, exitCode: number): Check => {
  return { name, ok: false, detail, advice, exitCode }
}

export async function doctor(args: readonly string[]): Promise<number> {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  let flags: { member?: string; signer?: string; url?: string; json?: boolean; help?: boolean }
  try {
    const options = { member: text, signer: text, url: text, json: flag, help: flag }
    flags = parseArgs({ args: [...args], options, strict: true }).values
  } catch (error) {
    process.stderr.write(`millrace doctor: ${wrongUse(error)}\n`)
    return EXIT.usage
  }
  if (flags.help === true) {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  const checks = await examineNamed(flags)
  if ('code' in checks) {
    process.stderr.write(`millrace doctor: ${checks.message}\n`)
    return EXIT.configuration
  }
  const worst = Math.max(...checks.map(({ exitCode }) => exitCode))
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ ok: worst === EXIT.ok, checks: checks.map(({ exitCode: _, ...rest }) => rest) })}\n`
      : checks.map(lineOf).join(''),
  )
  return worst
}

async function examineNamed(flags: {
  readonly member?: string
  readonly signer?: string
  readonly url?: string
}): Promise<readonly Check[] | ConfigFault> {
  const { member, signer, url } = flags
  if (signer !== undefined) {
    const config = readSignerConfig(signer)
    return 'code' in config ? config : await examineSigner(config, url)
  }
  const config = readConfig(['--config', member ?? ''])
  if (config === 'help') return configFault('--member FILE is missing')
  return 'code' in config ? config : await examineMember(config, url)
}

function lineOf({ advice, detail, name, ok }: Check): string {
  const line = `${ok ? 'ok  ' : 'BAD '} ${name.padEnd(14)} ${detail}\n`
  return advice === undefined ? line : `${line}${' '.repeat(20)}→ ${advice}\n`
}

/** What is looked at, of a member or of the signer that holds its secrets. */
interface Examined {
  readonly genesisFile: string
  readonly dataDir: string
  /** Absent where a signer has them. */
  readonly keystore?: KeystoreFiles | undefined
  readonly privateKeyFile: string
  readonly bitcoinUrls: readonly string[]
  readonly trustedBlock?: KnownBlock | undefined
}

/** In the order in which a start would meet what they find. */
export function examineMember(config: MemberConfig, url?: string): Promise<readonly Check[]> {
  const { bitcoinFallbackUrl, bitcoinUrl, dataDir, genesisFile, keystore, tls } = config
  const { trustedBlock } = config
  const bitcoinUrls = [bitcoinUrl, bitcoinFallbackUrl ?? []].flat()
  const { privateKeyFile } = tls
  const examined = {
    genesisFile,
    dataDir,
    keystore,
    privateKeyFile,
    bitcoinUrls,
    trustedBlock,
  }
  return examine(examined, url, config.signer?.endpoint)
}

export function examineSigner(config: SignerConfig, url?: string): Promise<readonly Check[]> {
  const { bitcoinUrl, dataDir, genesisFile, keyFile, passwordFile, tls, trustedBlock } = config
  const bitcoinUrls = bitcoinUrl === undefined ? [] : [bitcoinUrl]
  const keystore = { keyFile, passwordFile }
  const { privateKeyFile } = tls
  return examine({ genesisFile, dataDir, keystore, privateKeyFile, bitcoinUrls, trustedBlock }, url)
}

async function examine(
  config: Examined,
  url: string | undefined,
  signer?: string,
): Promise<readonly Check[]> {
  const files = readFiles(config)
  if (!('genesis' in files)) return [files]
  const { genesis, opened } = files
  const elsewhere = `with the signer at ${signer}: millrace doctor --signer FILE looks at them there`
  const checks = [
    good('genesis', genesis.file.name),
    good('keys', opened === undefined ? elsewhere : `of member ${opened.memberIndex}`),
    modeCheck(config),
    holderCheck(config),
    ...(await bitcoinChecks(config)),
  ]
  if (opened === undefined) return checks
  checks.push(await trustCheck(genesis, config))
  const { memberIndex, password } = opened
  const directory = join(config.dataDir, 'shares')
  const { held, found } = await heldShares(directory, password)
  const reserve = url === undefined ? undefined : await keysOf(genesis, url)
  if (reserve !== undefined && 'exitCode' in reserve) return [...checks, ...found, reserve]
  return [...checks, ...found, ...expected(memberIndex, held, reserve, directory)]
}

function readFiles({
  genesisFile,
  keystore,
}: Examined): { readonly genesis: Genesis; readonly opened?: OpenedKeys } | Check {
  const fault = (name: string, detail: string) =>
    bad(name, detail, 'name files that this user can read', EXIT.configuration)
  try {
    const genesis = readGenesisFile(genesisFile, blsSuite)
    if ('code' in genesis) return fault('genesis', genesis.message)
    if (keystore === undefined) return { genesis }
    const opened = readKeys(genesis, keystore)
    return 'code' in opened ? fault('keys', opened.message) : { genesis, opened }
  } catch (error) {
    return fault('files', (error as Error).message.split('\n', 1)[0] ?? '')
  }
}

function modeCheck({ keystore, privateKeyFile }: Examined): Check {
  const secrets = [keystore?.keyFile ?? [], keystore?.passwordFile ?? [], privateKeyFile].flat()
  const open = secrets.find((path) => existsSync(path) && (statSync(path).mode & 0o077) !== 0)
  if (open === undefined) return good('secrets', 'no other user can read them')
  return bad('secrets', `${open} is open to other users`, `chmod 600 ${open}`, EXIT.configuration)
}

function holderCheck({ dataDir }: Examined): Check {
  const pid = existsSync(dataDir) ? directoryHolder(dataDir) : undefined
  return good(
    'data directory',
    pid === undefined ? 'no member runs on it' : `member ${pid} runs on it`,
  )
}

/** Where the secrets are: whether what it believed last still counts. */
async function trustCheck(genesis: Genesis, { dataDir, trustedBlock }: Examined): Promise<Check> {
  const store = fileHeadStore(join(dataDir, 'trust.json'), genesis)
  const nowMs = () => createSystemClock().nowMs()
  try {
    const { header, isStale } = await new Trust({ genesis, store, nowMs }).belief()
    const at = `believed block ${header.height} last`
    if (!isStale) return good('trust', `${at}, within the trust window`)
    const detail = `${at}, which is older than the trust window`
    if (trustedBlock === undefined) return bad('trust', detail, STALE_ADVICE, EXIT.configuration)
    return good('trust', `${detail}; waits for block ${trustedBlock.height}, which you named`)
  } catch (error) {
    const advice = 'put it back from a backup, or take it away and name a block: --trusted-block'
    return bad('trust', (error as Error).message, advice, EXIT.data)
  }
}

async function bitcoinChecks({ bitcoinUrls }: Examined): Promise<readonly Check[]> {
  if (bitcoinUrls.length === 0) return []
  const found = await compareBitcoins(bitcoinUrls, (url) =>
    createBitcoinRpc({ url, timeoutMs: BITCOIN_MS }),
  )
  if (found.ok) return [good('bitcoin', found.detail)]
  const advice = 'without its own Bitcoin a member approves nothing, nor what two do not both show'
  return [bad('bitcoin', found.detail, advice, EXIT.unreachable)]
}

/** What opens, and a check for each file that does not or is no share of the key that it names. */
async function heldShares(
  directory: string,
  password: string,
): Promise<{ readonly held: readonly HeldShare[]; readonly found: readonly Check[] }> {
  const held: HeldShare[] = []
  const found: Check[] = []
  const names = existsSync(directory) ? await shareFiles(directory) : []
  for (const name of names) {
    const path = join(directory, name)
    try {
      const share = await readShareFile(path, password)
      const isWhole = share && isShareOf(groupKeyFrom(share.commitments, []), share.share)
      if (share === undefined || isWhole !== true) throw new Error(`${path}: no share of its key`)
      held.push(share)
    } catch (error) {
      found.push(bad('share', (error as Error).message, GET_BACK, EXIT.data))
    }
  }
  const sessions = existsSync(directory)
    ? (await readdir(directory)).filter((name) => name.startsWith('session-')).length
    : 0
  if (sessions > 0) found.push(good('making a key', `secrets of ${sessions} sessions are kept`))
  return { held, found }
}

async function keysOf(genesis: Genesis, url: string): Promise<ReserveFile | Check> {
  try {
    return checkedReserve(genesis, await reserveOfNode(url), url)
  } catch (error) {
    const { exitCode, message } = error as Refusal
    if (!(error instanceof Refusal)) throw error
    return bad('shares', message, 'name a node of this chain that runs', exitCode)
  }
}

/** Against the keys of the ledger, where a node told them. */
function expected(
  memberIndex: number,
  held: readonly HeldShare[],
  reserve: ReserveFile | undefined,
  directory: string,
): readonly Check[] {
  if (reserve === undefined) {
    const epochs = held.map(({ epoch }) => epoch).sort((left, right) => left - right)
    const detail =
      epochs.length === 0 ? `none in ${directory}` : `of the keys of epochs ${epochs.join(', ')}`
    return [good('shares', `${detail}; --url says which there must be`)]
  }
  const keys = reserve.keys.filter(({ signers }) => signers.includes(memberIndex + 1))
  if (keys.length === 0) return [good('shares', 'this member has a share of no key yet')]
  return keys.map(({ epoch, sessionId }) => {
    const isHeld = held.some((one) => toHex(one.sessionId) === toHex(sessionId))
    if (isHeld) return good('share', `of the key of epoch ${epoch}`)
    const detail = `of the key of epoch ${epoch}: ${shareFileName(sessionId)} is not there`
    return bad('share', detail, GET_BACK, EXIT.data)
  })
}
