/** A bitcoind on a regtest of its own, for the suites that compare the development Bitcoin with it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'

const START_TRIES = 200
const CALL_MS = 20_000

export interface Backend {
  readonly url: string
  stop(): Promise<void>
}

/** The binary that BITCOIND names, with further options. */
export async function startCore(binary: string, options: readonly string[] = []): Promise<Backend> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-bitcoind-'))
  const port = await freePort()
  const args = ['-regtest', `-datadir=${dir}`, `-rpcport=${port}`, '-listen=0', '-server']
  args.push(
    '-rpcuser=user',
    '-rpcpassword=p@ss:word',
    '-printtoconsole=0',
    '-disablewallet',
    ...options,
  )
  const child = spawn(binary, args, { stdio: 'ignore' })
  const url = `http://user:${encodeURIComponent('p@ss:word')}@127.0.0.1:${port}`
  await answering(url, child)
  return {
    url,
    stop: async () => {
      const exited = new Promise((done) => child.once('exit', done))
      child.kill('SIGTERM')
      await exited
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const rpc = createBitcoinRpc({ url, timeoutMs: CALL_MS })
  for (let tries = 0; tries < START_TRIES; tries++) {
    if ((await rpc.getBlockCount()).ok) return rpc.close()
    if (child.exitCode !== null) break
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error('bitcoind does not answer')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise((done) => server.close(done))
  return typeof address === 'object' && address !== null ? address.port : 0
}
