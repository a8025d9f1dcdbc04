/**
 * A development Bitcoin: one regtest node without network, wallet or index that speaks Bitcoin Core 26's JSON-RPC.
 * Blocks, proof of work, Merkle roots, witness commitments, coins, mempool, signatures and scripts are
 * checked for real, on Core's regtest genesis and parameters, so that the rest of Millrace cannot tell it from a
 * `bitcoind -regtest`. It is no Bitcoin node: only p2wpkh and taproot outputs can be spent, tapscript leaves hold a
 * few opcodes (see `script.ts`), and what is not supported is refused by name. Its subversion says what it is.
 *
 * With a data directory every block is on disk before the call that brought it returns; without one the
 * chain lives in memory.
 */
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { wrongUse } from '../../node/adapters/command-line/index.ts'
import { lockDir, syncDir } from './data-dir.ts'
import { openLog } from './log.ts'
import { loadMempool, saveMempool } from './mempool-file.ts'
import { Regtest } from './regtest.ts'
import { SUBVERSION } from './rpc.ts'
import { createRpcServer } from './server.ts'

export { blockOf } from './block-tree.ts'
export { displayHash, internalHash } from './bytes.ts'
export { Regtest } from './regtest.ts'
export { decodeTx, describeTx, outpoint, type Tx } from './transaction.ts'

export interface RegtestOptions {
  /** 0 takes a free port. */
  readonly port: number
  readonly host: string
  readonly user: string
  readonly password: string
  /** Absent: the chain lives in memory only. */
  readonly dataDir?: string
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: (line: string) => void
}

export interface RunningRegtest {
  /** With the credentials in it, as `createBitcoinRpc` takes it. */
  readonly url: string
  readonly port: number
  /** Settles when it stopped: by `stop()` or by the RPC of that name. */
  readonly stopped: Promise<void>
  stop(): Promise<void>
}

export type StartFault =
  | { readonly code: 'PortInUse'; readonly port: number }
  | { readonly code: 'CannotListen'; readonly message: string }
  | { readonly code: 'DataDirInUse'; readonly dataDir: string; readonly pid: number }
  | { readonly code: 'DataDirUnusable'; readonly dataDir: string; readonly message: string }

export type StartResult =
  | { readonly ok: true; readonly value: RunningRegtest }
  | { readonly ok: false; readonly error: StartFault }

interface Storage {
  readonly regtest: Regtest
  readonly close: () => void
}

/** Starts a regtest and its RPC server. */
export async function startBitcoinRegtest(options: RegtestOptions): Promise<StartResult> {
  const storage = openStorage(options)
  if ('code' in storage) return { ok: false, error: storage }
  const { regtest } = storage
  const { promise: stopped, resolve } = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= new Promise<void>((done) => {
      server.close(() => done())
      server.closeIdleConnections()
      setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS).unref()
    }).then(() => {
      storage.close()
      resolve()
    })
    return stopping
  }
  const context = { regtest, startedAtSeconds: regtest.nowSeconds(), stop: () => void stop() }
  const server = createRpcServer(context, options, options.log)
  const refused = await new Promise<NodeJS.ErrnoException | undefined>((done) => {
    server.once('error', done)
    server.listen(options.port, options.host, () => done(undefined))
  })
  if (refused !== undefined) {
    storage.close()
    const error: StartFault =
      refused.code === 'EADDRINUSE'
        ? { code: 'PortInUse', port: options.port }
        : { code: 'CannotListen', message: refused.message }
    return { ok: false, error }
  }
  const { port } = server.address() as AddressInfo
  const { tip } = regtest.chain
  options.log(`${SUBVERSION} development regtest, not Bitcoin Core; height ${tip.height}`)
  const credentials = `${encodeURIComponent(options.user)}:${encodeURIComponent(options.password)}`
  const url = `http://${credentials}@${options.host}:${port}`
  return { ok: true, value: { url, port, stopped, stop } }
}

const STOP_GRACE_MS = 1_000

function openStorage(options: RegtestOptions): Storage | StartFault {
  const { dataDir } = options
  if (dataDir === undefined) return { regtest: new Regtest(options), close: () => {} }
  try {
    return openDataDir(options, dataDir)
  } catch (error) {
    const message = Error.isError(error) ? error.message : String(error)
    return { code: 'DataDirUnusable', dataDir, message }
  }
}

function openDataDir({ now, log }: RegtestOptions, dataDir: string): Storage | StartFault {
  const lock = lockDir(dataDir)
  if (lock.code === 'inUse') return { code: 'DataDirInUse', dataDir, pid: lock.pid }
  try {
    const { log: blockLog, records, cutBytes } = openLog(join(dataDir, 'blocks.log'))
    syncDir(dataDir)
    if (cutBytes > 0) log(`cut ${cutBytes} bytes of an unfinished record from blocks.log`)
    const regtest = new Regtest({ now, log, blockLog })
    regtest.replay(records)
    loadMempool(join(dataDir, 'mempool.json'), regtest)
    const close = () => {
      saveMempool(join(dataDir, 'mempool.json'), regtest)
      blockLog.close()
      lock.release()
    }
    return { regtest, close }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** As of every command of Millrace. */
const EXIT = { ok: 0, failed: 1, usage: 2, data: 4 } as const
const DEFAULT_PORT = 18443

const USAGE =
  'usage: millrace bitcoin [--port N] [--host H] [--user U] [--password P] [--data-dir D]'

const HELP = `${USAGE}

A development Bitcoin on regtest that speaks Bitcoin Core's JSON-RPC. Prints its address when it is ready.

  --port N       [18443; 0 takes a free one]
  --host H       [127.0.0.1]
  --user U, --password P   credentials of the RPC [millrace]
  --data-dir D   keeps the chain on disk; without it the chain lives in memory
`

/** `millrace bitcoin`: runs until SIGTERM, SIGINT or the RPC `stop`; gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(HELP)
    return EXIT.ok
  }
  const options = readOptions(args)
  if (typeof options === 'string') {
    process.stderr.write(`millrace bitcoin: ${options}; ${USAGE}\n`)
    return EXIT.usage
  }
  const started = await startBitcoinRegtest(options)
  if (!started.ok) {
    process.stderr.write(`millrace bitcoin: ${faultText(started.error)}\n`)
    return started.error.code.startsWith('DataDir') ? EXIT.data : EXIT.failed
  }
  const { value: running } = started
  const stop = () => void running.stop()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  process.stdout.write(`${running.url}\n`)
  await running.stopped
  return EXIT.ok
}

function readOptions(args: readonly string[]): RegtestOptions | string {
  const values = parseOptions(args)
  if (typeof values === 'string') return values
  const port = Number(values.port ?? DEFAULT_PORT)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return `--port is no port: ${port}`
  const dataDir = values['data-dir']
  return {
    port,
    host: values.host ?? '127.0.0.1',
    user: values.user ?? 'millrace',
    password: values.password ?? 'millrace',
    ...(dataDir === undefined ? {} : { dataDir }),
    now: () => Date.now(),
    log: (line) => process.stderr.write(`bitcoin: ${line}\n`),
  }
}

function parseOptions(args: readonly string[]) {
  const text = { type: 'string' } as const
  const options = { port: text, host: text, user: text, password: text, 'data-dir': text }
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    return wrongUse(error)
  }
}

function faultText(fault: StartFault): string {
  switch (fault.code) {
    case 'PortInUse':
      return `port ${fault.port} is in use`
    case 'CannotListen':
      return fault.message
    case 'DataDirUnusable':
      return `data directory ${fault.dataDir} cannot be used: ${fault.message}`
    case 'DataDirInUse':
      return `data directory ${fault.dataDir} is in use by process ${fault.pid}`
  }
}
