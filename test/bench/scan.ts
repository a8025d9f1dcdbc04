/** How fast the bridge scans Bitcoin's blocks, beside the transfer of the same blocks by the same RPC and nothing else. */
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { Worker, workerData } from 'node:worker_threads'
import { Block as BitcoinBlock, Transaction } from 'bitcoinjs-lib'
import { scanBitcoin } from '../../actors/bridge/scan.ts'
import { headerHash, serializeHeader, uint32le } from '../../core/bitcoin/index.ts'
import { genesisLedger } from '../../core/ledger/index.ts'
import { sha256, toDisplayHash, toHex } from '../../crypto/index.ts'
import { createBitcoinPort } from '../../node/adapters/bitcoin/index.ts'
import { createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import { testGenesis } from '../unit/core/peg/world.ts'
import { type Figure, median, medianRatio } from './figures.ts'

const BLOCKS = 24
const TRANSACTIONS = 3_000
const MIB = 1024 * 1024
const TIME = 1_700_000_000

interface Served {
  readonly hash: string
  readonly header: string
  readonly raw: string
}

/** Blocks as Bitcoin's are: two inputs and outputs a transaction, signatures in the witness. */
function blocks(parent: Uint8Array): readonly Served[] {
  const served: Served[] = []
  let previousHash = parent
  for (let height = 1; height <= BLOCKS; height++) {
    const block = new BitcoinBlock()
    block.transactions = Array.from({ length: TRANSACTIONS }, (_, at) => transaction(height, at))
    const fields = {
      version: 4,
      merkleRoot: sha256(uint32le(height)),
      time: TIME + height,
    }
    const header = serializeHeader({ ...fields, previousHash, bits: 0x207fffff, nonce: 0 })
    const body = block.transactions.map((one) => toHex(Uint8Array.from(one.toBuffer()))).join('')
    const count = toHex(Uint8Array.of(0xfd, TRANSACTIONS & 0xff, TRANSACTIONS >> 8))
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
    nTx: TRANSACTIONS,
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

export async function scanSpeed(rounds: number): Promise<readonly Figure[]> {
  const genesis = testGenesis()
  const parent = headerHash(genesis.bitcoin.checkpoint.header)
  const all = blocks(parent)
  const bytes = all.reduce((sum, { raw }) => sum + raw.length / 2, 0)
  const worker = new Worker(fileURLToPath(import.meta.url), {
    workerData: { parent: toDisplayHash(parent), served: all },
  })
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  const rpc = createBitcoinRpc({ url: `http://user:password@127.0.0.1:${port}`, timeoutMs: 30_000 })
  const bitcoin = createBitcoinPort(rpc)
  const ledger = genesisLedger(genesis)
  const speeds = { ours: [] as number[], transfer: [] as number[] }
  const timed = async (work: () => Promise<void>) => {
    const startedMs = performance.now()
    await work()
    return bytes / MIB / ((performance.now() - startedMs) / 1_000)
  }
  for (let round = 0; round < rounds; round++) {
    speeds.ours.push(
      await timed(async () => {
        const outcome = await scanBitcoin(genesis, bitcoin, ledger, [])
        if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`)
        if (outcome.value.scanned.length !== BLOCKS) throw new Error('not all is scanned')
      }),
    )
    speeds.transfer.push(
      await timed(async () => {
        for (const { hash } of all) {
          const raw = await rpc.getBlockRaw(hash)
          if (!raw.ok) throw new Error(raw.error.message)
        }
      }),
    )
  }
  await worker.terminate()
  const ours = median(speeds.ours)
  return [
    {
      metric: 'scan',
      unit: 'MiB/s',
      better: 'higher',
      ours,
      peers: { rawRpc: median(speeds.transfer) },
      ratio: { rawRpc: medianRatio(speeds.ours, speeds.transfer) },
      note: `${BLOCKS} blocks of ${TRANSACTIONS} transactions, ${(bytes / BLOCKS / MIB).toFixed(2)} MiB each; the server is a thread of its own`,
    },
  ]
}

if (workerData?.served !== undefined) {
  const { parentPort } = await import('node:worker_threads')
  serve(workerData, (port) => parentPort?.postMessage(port))
}
