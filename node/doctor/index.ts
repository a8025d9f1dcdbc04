/**
 * `millrace doctor`: looks at what a node is started with, says of each thing whether it is well, and what to do where it is not. It
 * changes nothing, unless it is told to repair. `--verify-state` reads the data of a stopped node from the first block to the last.
 */
import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Genesis, parseGenesis } from '../../core/params/index.ts'
import { blsSuite } from '../../crypto/index.ts'
import { compareBitcoins, createBitcoinRpc } from '../adapters/bitcoin-rpc/index.ts'
import { readChainStore } from '../adapters/chain-store/index.ts'
import { directoryHolder } from '../adapters/data-directory/index.ts'
import { EXIT } from '../adapters/system/index.ts'
import { type NodeConfig, readNodeOptions } from '../config/index.ts'
import { inspectGuard } from '../keys/index.ts'
import { bad, type Check, good } from './check.ts'
import { compactData } from './compact.ts'
import { repairData } from './repair.ts'
import { verifyData } from './state.ts'

export type { Check } from './check.ts'
export { verifyData } from './state.ts'

const USAGE = `usage: millrace doctor [options] [settings of the node]
       millrace doctor --member FILE (of a member; --help there tells more)

  Looks at what a node is started with and what it has on disk, and says what to do about what is
  wrong. Without --repair and --compact it only reads. Settings are those of millrace node: --config FILE, or --data-dir, ...

  --verify-state    read the data of a stopped node as a whole: checksums, hashes, receipts, and
                    whether ledger and EVM state have the roots that the head commits to, and the head
                    certificates of validators that follow from the genesis file, or --trusted-block
  --repair          do that, and make again from the checkpoints what is damaged
  --compact         give the room back that pruning left in the files of a stopped node; it takes as
                    much free room as they will have
  --json            one line of JSON
  --help            this text

  Exit codes: 0 all is well, 3 configuration, 4 data damaged or in use, 5 Bitcoin does not answer
`

/** Less room than this, and the node is about to stop. */
const LEAST_FREE_BYTES = 1024 * 1024 * 1024
const BITCOIN_MS = 5_000

type Depth = 'look' | 'verify' | 'repair' | 'compact'

const DEPTHS: Readonly<Record<string, Depth>> = {
  '--compact': 'compact',
  '--repair': 'repair',
  '--verify-state': 'verify',
}

export async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(USAGE)
    return EXIT.ok
  }
  const own = new Set([...Object.keys(DEPTHS), '--json'])
  const options = readNodeOptions(
    args.filter((argument) => !own.has(argument)),
    'doctor',
  )
  if ('text' in options) {
    process.stderr.write(`${options.text}\n`)
    return options.exitCode
  }
  const depth = Object.entries(DEPTHS).find(([flag]) => args.includes(flag))?.[1] ?? 'look'
  const checks = await examine(options.program, depth)
  const worst = Math.max(...checks.map(({ exitCode }) => exitCode))
  const text = args.includes('--json')
    ? `${JSON.stringify({ ok: worst === 0, checks: checks.map(({ exitCode: _, ...rest }) => rest) })}\n`
    : checks.map(checkText).join('')
  process.stdout.write(text)
  return worst
}

function checkText({ name, ok, detail, advice }: Check): string {
  const line = `${ok ? 'ok  ' : 'BAD '} ${name.padEnd(14)} ${detail}\n`
  return advice === undefined ? line : `${line}${' '.repeat(20)}→ ${advice}\n`
}

/** All checks, in the order in which a start of the node would meet what they find. */
export async function examine(config: NodeConfig, depth: Depth): Promise<readonly Check[]> {
  const genesis = readGenesis(config.genesisFile)
  const files = filesOf(config).map(([name, path]) => fileCheck(name, path))
  const checks = [
    genesis.check,
    ...files,
    diskCheck(config.dataDir),
    holderCheck(config.dataDir),
    await guardCheck(config),
    await bitcoinCheck(config),
  ]
  const isRunning = directoryHolder(config.dataDir) !== undefined
  if (depth === 'look') return [...checks, await storeCheck(config.dataDir)]
  if (genesis.value === undefined) return checks
  if (isRunning) {
    const advice = 'stop the node first; its data is read as a whole'
    return [...checks, bad('data', 'in use by the running node', advice)]
  }
  if (depth === 'compact') return [...checks, ...(await compactData(config.dataDir))]
  const verified =
    depth === 'repair'
      ? await repairData(config.dataDir, genesis.value, config.trustedBlock)
      : await verifyData(config.dataDir, genesis.value, config.trustedBlock)
  return [...checks, ...verified]
}

function readGenesis(path: string): { readonly check: Check; readonly value?: Genesis } {
  const advice = 'it is the same file on every node of the chain: get it from another operator'
  try {
    const parsed = parseGenesis(JSON.parse(readFileSync(path, 'utf8')), blsSuite)
    if (parsed.ok) return { check: good('genesis', parsed.value.file.name), value: parsed.value }
    return { check: bad('genesis', parsed.error.reason, advice, EXIT.configuration) }
  } catch (error) {
    return { check: bad('genesis', (error as Error).message, advice, EXIT.configuration) }
  }
}

function filesOf(config: NodeConfig): readonly (readonly [string, string])[] {
  const { validatorKeyFile, validatorPasswordFile, networkKeyFile, governance } = config
  const optional = [
    ['validator key', validatorKeyFile],
    ['password', validatorPasswordFile],
  ] as const
  return [
    ...optional.flatMap(([name, path]) => (path === undefined ? [] : [[name, path] as const])),
    ['network key', networkKeyFile],
    ['authority', governance.authorityFile],
    ['certificate', governance.certificateFile],
    ['private key', governance.privateKeyFile],
  ]
}

const SECRETS: ReadonlySet<string> = new Set([
  'validator key',
  'password',
  'network key',
  'private key',
])

function fileCheck(name: string, path: string): Check {
  try {
    readFileSync(path)
    const othersRead = SECRETS.has(name) && (statSync(path).mode & 0o077) !== 0
    if (!othersRead) return good(name, path)
    return bad(name, `${path} is open to other users`, `chmod 600 ${path}`, EXIT.configuration)
  } catch (error) {
    const advice = 'name a file that this user can read'
    return bad(name, (error as Error).message, advice, EXIT.configuration)
  }
}

function diskCheck(dataDir: string): Check {
  let path = dataDir
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path)
  const { bavail, bsize } = statfsSync(path)
  const freeBytes = bavail * bsize
  const detail = `${Math.floor(freeBytes / 1024 ** 2)} MiB free at ${path}`
  if (freeBytes >= LEAST_FREE_BYTES) return good('disk', detail)
  return bad('disk', detail, 'make room: a node whose disk is full stops', EXIT.data)
}

function holderCheck(dataDir: string): Check {
  if (!existsSync(dataDir)) return good('data directory', `${dataDir} will be made`)
  const pid = directoryHolder(dataDir)
  return good('data directory', pid === undefined ? 'no node runs on it' : `node ${pid} runs on it`)
}

async function guardCheck(config: NodeConfig): Promise<Check> {
  const path = join(config.dataDir, 'sign-guard')
  if (config.validatorKeyFile === undefined) return good('sign guard', 'none needed: no validator')
  if (!existsSync(path)) return good('sign guard', 'none yet')
  const answer = await inspectGuard({ path, genesisFile: config.genesisFile, records: 1 })
  if (!('exitCode' in answer))
    return good('sign guard', `signs from height ${answer.floorHeight} on`)
  const advice = 'do not remove it: docs/guides/run-a-node.md says how a guard is replaced'
  return bad('sign guard', answer.message, advice)
}

async function bitcoinCheck({ bitcoinFallbackUrl, bitcoinUrl }: NodeConfig): Promise<Check> {
  const found = await compareBitcoins([bitcoinUrl, bitcoinFallbackUrl ?? []].flat(), (url) =>
    createBitcoinRpc({ url, timeoutMs: BITCOIN_MS }),
  )
  if (found.ok) return good('bitcoin', found.detail)
  const advice = 'blocks go on without it; deposits and payouts wait. See bitcoinUrl'
  return bad('bitcoin', found.detail, advice, EXIT.unreachable)
}

async function storeCheck(dataDir: string): Promise<Check> {
  const directory = join(dataDir, 'chain')
  if (!existsSync(directory)) return good('chain store', 'none yet')
  const chain = await readChainStore(directory)
  if (!chain.ok) return bad('chain store', chain.reason, '--verify-state tells more')
  const { store } = chain
  const detail = `blocks ${store.lowestBlock()} to ${store.headHeight()}; --verify-state reads them all`
  await store.close()
  return good('chain store', detail)
}
