/**
 * How fast the bridge scans Bitcoin's blocks, beside the transfer of the same blocks by the same RPC and nothing else; and for how long a
 * block of four megabytes keeps the node's loop from anything else.
 */
import { createServer } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { Worker, workerData } from 'node:worker_threads'
import { Block as BitcoinBlock, Transaction } from 'bitcoinjs-lib'
import type { BitcoinPort } from '../../actors/bridge/index.ts'
import { scanBitcoin } from '../../actors/bridge/scan.ts'
import { compactSize, headerHash, serializeHeader, uint32le } from '../../core/bitcoin/index.ts'
import { genesisLedger } from '../../core/ledger/index.ts'
import { sha256, toDisplayHash, toHex } from '../../crypto/index.ts'
import { BlockReader, createBitcoinPort } from '../../node/adapters/bitcoin/index.ts'
import { type BitcoinRpc, createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import { testGenesis } from '../unit/core/peg/world.ts'
import { type Figure, median, medianRatio } from './figures.ts'

/** Of a usual size, for the speed; as large as they may be, for the stall. */
const USUAL = { blocks: 24, transactions: 3_000 }
const FULL = { blocks: 3, transactions: 10_000 }
type Chain = typeof USUAL
const MIB = 1024 * 1024
const TIME = 1_700_000_000

interface Served {
  readonly hash: string
  readonly header: string
  readonly raw: string
}

/** Blocks as Bitcoin's are: two inputs and outputs a transaction, signatures in the witness. */
function chainOf({ blocks, transactions }: Chain, parent: Uint8Array): readonly Served[] {
  const served: Served[] = []
  let previousHash = parent
  for (let height = 1; height <= blocks; height++) {
    const block = new BitcoinBlock()
    block.transactions = Array.from({ length: transactions }, (_, at) => transaction(height, at))
    const fields = {
      version: 4,
      merkleRoot: Uint8Array.from(BitcoinBlock.calculateMerkleRoot(block.transactions)),
      time: TIME + height,
    }
    const header = serializeHeader({ ...fields, previousHash, bits: 0x207fffff, nonce: 0 })
    const body = block.transactions.map((one) => toHex(Uint8Array.from(one.toBuffer()))).join('')
    const count = toHex(compactSize(transactions))
    previousHash = headerHash(header)
    const raw = `${toHex(header)}${count}${body}`
    served.push({ hash: toDisplayHash(previousHash), header: toHex(header), raw })
  }
  return served
}

function transaction(height: number, at: number): Transaction {
  const made = new Transaction()
  made.version = 2
  for (const input of [0, 1]) {
    const from = sha256(uint32le(height), uint32le(at), uint32le(input))
    made.addInput(from, input)
    made.setWitness(input, [new Uint8Array(71).fill(3), new Uint8Array(33).fill(2)])
  }
  const taproot = Uint8Array.of(0x51, 32, ...sha256(uint32le(at)))
  made.addOutput(taproot, 10_000n)
  made.addOutput(Uint8Array.of(0, 20, ...sha256(uint32le(height)).subarray(0, 20)), 20_000n)
  return made
}

/** Everything that a scan asks, of `Served`. */
function serve(
  { parent, served: all }: { readonly parent: string; readonly served: readonly Served[] },
  told: (port: number) => void,
): void {
  const byHash = new Map(all.map((one, at) => [one.hash, { ...one, height: at + 1 }]))
  const answer = (method: string, [first, second]: readonly unknown[]): unknown => {
    switch (method) {
      case 'getblockchaininfo':
        return {
          chain: 'regtest',
          blocks: all.length,
          headers: all.length,
          bestblockhash: all.at(-1)?.hash,
          mediantime: TIME,
          verificationprogress: 1,
          initialblockdownload: false,
          chainwork: '02',
          pruned: false,
        }
      case 'getblockhash':
        return Number(first) === 0 ? parent : all[Number(first) - 1]?.hash
      case 'getblockheader':
        return second === false ? byHash.get(String(first))?.header : headerOf(String(first))
      case 'getblock':
        return byHash.get(String(first))?.raw
      default:
        return null
    }
  }
  const headerOf = (hash: string) => ({
    hash,
    confirmations: 1,
    height: byHash.get(hash)?.height,
    version: 4,
    merkleroot: hash,
    time: TIME,
    mediantime: TIME,
    nonce: 0,
    bits: '207fffff',
    chainwork: '02',
    nTx: 1,
  })
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { id, method, params } = JSON.parse(Buffer.concat(parts).toString())
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ id, error: null, result: answer(method, params) ?? null }))
    })
  })
  server.listen(0, '127.0.0.1', () => told((server.address() as { port: number }).port))
}

/** `chain` behind a server in a thread of its own; the port reads blocks in a thread as the node does, `inThread` in this one. */
async function serving<T>(
  chain: Chain,
  work: (world: {
    readonly all: readonly Served[]
    readonly sizeMib: number
    readonly rpc: BitcoinRpc
    readonly port: BitcoinPort
    readonly inThread: BitcoinPort
    scan(bitcoin: BitcoinPort): Promise<void>
  }) => Promise<T>,
): Promise<T> {
  const genesis = testGenesis()
  const parent = headerHash(genesis.bitcoin.checkpoint.header)
  const all = chainOf(chain, parent)
  const worker = new Worker(fileURLToPath(import.meta.url), {
    workerData: { parent: toDisplayHash(parent), served: all },
  })
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  const at = { url: `http://user:password@127.0.0.1:${port}`, timeoutMs: 30_000 }
  const rpc = createBitcoinRpc(at)
  const reader = new BlockReader()
  const ledger = genesisLedger(genesis)
  const rest = () => new Promise<void>((resolve) => setImmediate(resolve))
  try {
    return await work({
      all,
      sizeMib: all.reduce((sum, { raw }) => sum + raw.length / 2, 0) / MIB,
      rpc,
      port: createBitcoinPort(rpc, (hash) => reader.read(at, hash)),
      inThread: createBitcoinPort(rpc),
      async scan(bitcoin) {
        const outcome = await scanBitcoin(genesis, bitcoin, ledger, [], { rest })
        if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`)
        if (outcome.value.scanned.length !== all.length) throw new Error('not all is scanned')
      },
    })
  } finally {
    rpc.close()
    await reader.close()
    await worker.terminate()
  }
}

export async function scanSpeed(rounds: number): Promise<readonly Figure[]> {
  return [await speed(rounds), await stall(rounds)]
}

function speed(rounds: number): Promise<Figure> {
  return serving(USUAL, async ({ all, inThread, port, rpc, scan, sizeMib }) => {
    const speeds = { ours: [] as number[], inThread: [] as number[], rawRpc: [] as number[] }
    const timed = async (into: number[], work: () => Promise<void>) => {
      const startedMs = performance.now()
      await work()
      into.push(sizeMib / ((performance.now() - startedMs) / 1_000))
    }
    // Its thread is there while blocks come often.
    await scan(port)
    for (let round = 0; round < rounds; round++) {
      await timed(speeds.ours, () => scan(port))
      await timed(speeds.inThread, () => scan(inThread))
      await timed(speeds.rawRpc, async () => {
        for (const { hash } of all) {
          const raw = await rpc.getBlockRaw(hash)
          if (!raw.ok) throw new Error(raw.error.message)
        }
      })
    }
    const { blocks, transactions } = USUAL
    return {
      metric: 'scan',
      unit: 'MiB/s',
      better: 'higher',
      ours: median(speeds.ours),
      peers: { inThread: median(speeds.inThread), rawRpc: median(speeds.rawRpc) },
      ratio: {
        inThread: medianRatio(speeds.ours, speeds.inThread),
        rawRpc: medianRatio(speeds.ours, speeds.rawRpc),
      },
      note: `${blocks} blocks of ${transactions} transactions, ${(sizeMib / blocks).toFixed(2)} MiB each; the server is a thread of its own`,
    }
  })
}

function stall(rounds: number): Promise<Figure> {
  return serving(FULL, async ({ inThread, port, scan, sizeMib }) => {
    const longestMs = async (bitcoin: BitcoinPort) => {
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      await scan(bitcoin)
      delay.disable()
      return delay.max / 1e6
    }
    await scan(port)
    const stalls = { ours: [] as number[], inThread: [] as number[] }
    for (let round = 0; round < rounds; round++) {
      stalls.ours.push(await longestMs(port))
      stalls.inThread.push(await longestMs(inThread))
    }
    const { blocks, transactions } = FULL
    return {
      metric: 'scan_stall',
      unit: 'ms',
      better: 'lower',
      ours: median(stalls.ours),
      peers: { inThread: median(stalls.inThread) },
      note: `longest while ${blocks} blocks of ${transactions} transactions are scanned, ${(sizeMib / blocks).toFixed(2)} MiB each`,
    }
  })
}

if (workerData?.served !== undefined) {
  const { parentPort } = await import('node:worker_threads')
  serve(workerData, (port) => parentPort?.postMessage(port))
}
