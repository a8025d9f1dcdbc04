/** Blocks of somebody else with recovery of their senders, as a node takes them that syncs: our engine beside stock @ethereumjs/vm. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionPayload } from '../../core/block/index.ts'
import { hexBytes, sha256, toHex } from '../../crypto/index.ts'
import { openEngine as openNodeEngine } from '../../node/adapters/engine/index.ts'
import { createdAddress } from '../../vm/evm/index.ts'
import { attributes, genesis, keyOf, mint, openEngine, signed } from '../unit/vm/evm/fixtures.ts'
import { createReference, runReference } from '../unit/vm/evm/reference.ts'
import type { Bench, Figure } from './figures.ts'

const SENDERS = 64
/** Blocks before those that count: the compiler has its turn, and the accounts are there. */
const WARM_UP = 5
/** The block in which the tokens come to be; withdrawals are credited at the end of the one before. */
const CREATED = 2
const MEASURED = 4
const TRANSFER_GAS = 21_000n
const TOKEN_GAS = 60_000n
const FUNDS_GWEI = 10n ** 12n
const FAR_MS = 8_640_000_000_000_000

type Kind = 'transfers' | 'erc20'
type Token = { readonly Token: { readonly bytecode: string } }

const { Token } = JSON.parse(
  readFileSync(new URL('./contracts/artifacts.json', import.meta.url), 'utf8'),
) as Token
const senders = Array.from({ length: SENDERS }, (_, index) => keyOf(`import ${index}`))
const deployer = keyOf('import deployer')
const token = createdAddress(deployer.address, 0n)
const stranger = (index: number) => sha256(Buffer.from(`import to ${index}`)).slice(12)

function creation(): Uint8Array {
  const holders = senders.map(({ address }) => toHex(address).padStart(64, '0')).join('')
  const words = [64n, 10n ** 24n, BigInt(SENDERS)].map((value) =>
    value.toString(16).padStart(64, '0'),
  )
  const data = hexBytes(Token.bytecode + words.join('') + holders)
  return signed(deployer, { nonce: 0, data, gas: 10_000_000n })
}

function transactionOf(kind: Kind, nonce: number, at: number, index: number): Uint8Array {
  const key = senders[at] as ReturnType<typeof keyOf>
  const to = stranger(index % 4_096)
  if (kind === 'transfers') return signed(key, { nonce, to, value: 1n, gas: TRANSFER_GAS })
  const data = hexBytes(`a9059cbb${toHex(to).padStart(64, '0')}${'1'.padStart(64, '0')}`)
  return signed(key, { nonce, to: token, data, gas: TOKEN_GAS })
}

/** Full blocks of one kind after one that gives everybody coins and one that makes the tokens. */
async function chainOf(kind: Kind): Promise<readonly ExecutionPayload[]> {
  const { engine, head } = await openEngine()
  const payloads: ExecutionPayload[] = []
  let parentHash = head.hash
  let nonce = 0
  for (let height = 1; height <= WARM_UP + MEASURED; height++) {
    const raws = height === CREATED ? [creation()] : []
    const gas = kind === 'transfers' ? TRANSFER_GAS : TOKEN_GAS
    const rounds = height <= CREATED ? 0 : Math.floor(genesis.gasLimit / Number(gas) / SENDERS)
    for (let round = 0; round < rounds; round++, nonce++) {
      for (let at = 0; at < SENDERS; at++) {
        raws.push(transactionOf(kind, nonce, at, nonce * SENDERS + at))
      }
    }
    const funded = [...senders, deployer].map(({ address }) => mint(address, FUNDS_GWEI))
    const built = await engine.build({
      ...attributes(parentHash, height),
      withdrawals: height === 1 ? funded : [],
      gasLimitTarget: genesis.gasLimit,
      transactions: raws.map((raw) => ({ raw })),
      deadlineMs: FAR_MS,
    })
    if (built.status !== 'BUILT') throw new Error(built.reason)
    const left = raws.length - built.payload.transactions.length
    if (left > 0) throw new Error(`${left} transactions do not fit: ${built.dropped[0]?.reason}`)
    payloads.push(built.payload)
    parentHash = built.payload.blockHash
    await engine.commit(parentHash)
  }
  return payloads
}

interface Importer {
  take(payload: ExecutionPayload): Promise<void>
  close(): Promise<void>
}

async function ourImporter(): Promise<Importer> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-import-'))
  const opened = await openNodeEngine({ directory, genesis })
  if (opened.status !== 'OPEN') throw new Error(opened.reason)
  const { engine } = opened
  return {
    async take(payload) {
      const recovered = await engine.recoverSenders(payload.transactions)
      const reply = await engine.execute({ payload, senders: recovered })
      if (reply.status !== 'VALID') throw new Error(reply.reason)
      const committed = await engine.commit(payload.blockHash)
      if (committed.status !== 'COMMITTED') throw new Error(committed.reason)
    },
    async close() {
      await engine.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function stockImporter(): Promise<Importer> {
  const vm = await createReference()
  return { take: (payload) => runReference(vm, payload), close: async () => {} }
}

async function measure(importer: Importer, payloads: readonly ExecutionPayload[]) {
  for (const payload of payloads.slice(0, WARM_UP)) await importer.take(payload)
  const startedMs = performance.now()
  const before = process.cpuUsage()
  for (const payload of payloads.slice(WARM_UP)) await importer.take(payload)
  const { user, system } = process.cpuUsage(before)
  const seconds = (performance.now() - startedMs) / 1_000
  await importer.close()
  const count = payloads.slice(WARM_UP).reduce((sum, { transactions }) => {
    return sum + transactions.length
  }, 0)
  return { perSecond: count / seconds, cpuUs: (user + system) / count, count }
}

export const importBench: Bench = async ({ tell }) => {
  const figures: Figure[] = []
  for (const kind of ['transfers', 'erc20'] as const) {
    tell(`blocks of ${kind}`)
    const payloads = await chainOf(kind)
    const ours = await measure(await ourImporter(), payloads)
    tell(`ours ${ours.perSecond.toFixed(0)}/s, ${ours.cpuUs.toFixed(0)} µs of processor each`)
    const stock = await measure(await stockImporter(), payloads)
    tell(`stock ${stock.perSecond.toFixed(0)}/s, ${stock.cpuUs.toFixed(0)} µs of processor each`)
    const note = `${ours.count} in ${MEASURED} blocks of 30 M gas; aim 10 times ethereumjs`
    figures.push(
      {
        metric: `import_${kind}`,
        unit: 'transactions/s',
        better: 'higher',
        ours: ours.perSecond,
        peers: { ethereumjs: stock.perSecond },
        note: `${note}; recovery, execution, roots, synced`,
      },
      {
        metric: `import_${kind}_cpu`,
        unit: 'µs/transaction',
        better: 'lower',
        ours: ours.cpuUs,
        peers: { ethereumjs: stock.cpuUs },
        note: 'user and system time, all threads',
      },
    )
  }
  return figures
}
