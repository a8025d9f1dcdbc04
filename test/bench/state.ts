/** State by the number of accounts in it: roots, transactions, memory and disk. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Bench, Figure } from './figures.ts'

interface Measured {
  readonly rootUs: number
  readonly transactionUs: number
  readonly transactions: number
  readonly memoryMib: number
  readonly bytes: number
  readonly grownBytes: number
}

const SMALL = 1_000
const BASE = 10_000
const PROGRAM = fileURLToPath(new URL('./state-process.ts', import.meta.url))
const run = promisify(execFile)
/** The largest state is filled within this time, or not at all. */
const FILL_MS = 1_800_000
const HEAP = '--max-old-space-size=4096'
const SECONDS_A_YEAR = 365 * 86_400
const THOUSAND_A_SECOND = 1_000 * SECONDS_A_YEAR

async function measure(accounts: number): Promise<Measured> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-state-'))
  try {
    const step = async (mode: string) => {
      const args = [HEAP, PROGRAM, mode, directory, String(accounts)]
      return (await run(process.execPath, args, { timeout: FILL_MS })).stdout
    }
    await step('fill')
    return JSON.parse(await step('measure')) as Measured
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

export const state: Bench = async ({ tell, accounts }) => {
  const sizes = [...new Set([SMALL, BASE, accounts])].sort((left, right) => left - right)
  const bySize = new Map<number, Measured>()
  for (const size of sizes) {
    tell(`${size} accounts`)
    bySize.set(size, await measure(size))
  }
  const [base, largest] = [bySize.get(BASE) as Measured, bySize.get(accounts) as Measured]
  const lower = { better: 'lower' } as const
  const diskPerTransaction = largest.grownBytes / largest.transactions
  const figures: Figure[] = sizes.flatMap((size) => {
    const { rootUs, transactionUs } = bySize.get(size) as Measured
    const note = 'processor time, accounts at random'
    return [
      { metric: `state_root_${size}`, unit: 'µs/dirty key', ...lower, ours: rootUs, note },
      {
        metric: `transfer_${size}`,
        unit: 'µs/transaction',
        ...lower,
        ours: transactionUs,
        ...(size === accounts && { peers: { aim: 2 * base.transactionUs } }),
        note: 'executed, root, written; all accounts cold. Aim: twice that at 10,000',
      },
    ]
  })
  return [
    ...figures,
    {
      metric: 'resident_memory',
      unit: 'MiB',
      ...lower,
      ours: largest.memoryMib,
      peers: { aim: 1_024 },
      note: `at ${accounts} accounts, the map apart`,
    },
    {
      metric: 'disk_per_account',
      unit: 'bytes',
      ...lower,
      ours: largest.bytes / accounts,
      note: 'record, trie nodes and what the pages leave free',
    },
    {
      metric: 'disk_per_transaction',
      unit: 'bytes',
      ...lower,
      ours: diskPerTransaction,
      note: 'transfer: block, receipt, sender, index, past states; without new accounts',
    },
    {
      metric: 'disk_per_year',
      unit: 'GB',
      ...lower,
      ours: (diskPerTransaction * THOUSAND_A_SECOND) / 1e9,
      note: 'at 1,000 transfers a second, archive',
    },
  ]
}
