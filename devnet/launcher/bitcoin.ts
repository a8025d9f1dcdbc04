/** The Bitcoin of a development federation: embedded, a bitcoind of ours, or one that runs already. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import { type Supervised, startProcess, startProgram } from './processes.ts'
import { Unreachable, until } from './rpc.ts'

export interface LaunchedBitcoin {
  readonly url: string
  readonly what: string
  /** Absent when somebody else runs it. */
  readonly process?: Supervised
}

const DEFAULT_PORT = 18_443
const START_MS = 30_000
/** One that is said to run answers soon, or it does not run. */
const RUNNING_MS = 5_000
/** bitcoind does not watch its standard input; this shell ends it when the launcher is gone. */
const TIED_TO_STDIN =
  'exec 3<&0; "$0" "$@" <&- & p=$!; trap "kill $p" TERM INT; (cat <&3 >/dev/null; kill $p) & wait $p; wait $p'

/** Throws with one clear line when it cannot be had. */
export async function launchBitcoin(
  which: string,
  directory: string,
  knownUrl: string | undefined,
): Promise<LaunchedBitcoin> {
  if (which !== 'embedded' && which !== 'bitcoind') {
    const { host } = new URL(which)
    try {
      await answer(which, `an answer of the Bitcoin at ${host}`, RUNNING_MS)
    } catch (error) {
      throw new Unreachable((error as Error).message)
    }
    return { url: which, what: `the Bitcoin at ${host}` }
  }
  const known = knownUrl === undefined ? undefined : new URL(knownUrl)
  const wanted = known === undefined ? DEFAULT_PORT : Number(known.port)
  const found = await findPort(
    { host: '127.0.0.1', port: wanted },
    { fallback: known === undefined },
  )
  if (!found.ok) throw new Error(`port ${wanted} of the development Bitcoin is in use`)
  const user = known?.username ?? 'millrace'
  const password = known?.password ?? randomBytes(16).toString('hex')
  const url = `http://${user}:${password}@127.0.0.1:${found.value}`
  const data = join(directory, 'bitcoin')
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const logFile = join(directory, 'bitcoin.log')
  const launched =
    which === 'embedded'
      ? embedded(found.value, user, password, data, logFile)
      : bitcoind(found.value, user, password, data, logFile)
  await answer(url, 'an answer of Bitcoin', START_MS, launched)
  const what = which === 'embedded' ? 'the embedded development regtest' : 'Bitcoin Core on regtest'
  return { url, what, process: launched }
}

function embedded(port: number, user: string, password: string, data: string, logFile: string) {
  const options = ['--port', String(port), '--user', user, '--password', password]
  return startProgram('bitcoin', ['bitcoin', ...options, '--data-dir', data], logFile)
}

function bitcoind(port: number, user: string, password: string, data: string, logFile: string) {
  const command = process.env['BITCOIND'] ?? 'bitcoind'
  if (spawnSync(command, ['-version'], { stdio: 'ignore' }).error !== undefined) {
    throw new Error('there is no bitcoind: name one by BITCOIND, or put it on PATH')
  }
  const options = [
    '-regtest',
    `-datadir=${data}`,
    `-rpcport=${port}`,
    `-rpcuser=${user}`,
    `-rpcpassword=${password}`,
    '-rpcbind=127.0.0.1',
    '-rpcallowip=127.0.0.1',
    '-listen=0',
    '-fallbackfee=0.00001',
    '-printtoconsole=1',
  ]
  return startProcess('bitcoin', 'sh', ['-c', TIED_TO_STDIN, command, ...options], logFile)
}

async function answer(
  url: string,
  what: string,
  deadlineMs: number,
  launched?: Supervised,
): Promise<void> {
  const rpc = createBitcoinRpc({ url, timeoutMs: 2_000 })
  try {
    await until(what, deadlineMs, async () => {
      if (launched !== undefined && launched.child.exitCode !== null) return 'exited'
      const info = await rpc.getBlockchainInfo()
      if (info.ok) return 'ready'
      throw new Error(info.error.message)
    })
  } finally {
    rpc.close()
  }
  if (launched !== undefined && launched.child.exitCode !== null) {
    throw new Error(`Bitcoin ended at once: ${launched.tail().trim()}`)
  }
}
