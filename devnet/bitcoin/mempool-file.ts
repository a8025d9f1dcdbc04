/** The mempool over a restart: written when the regtest stops, offered again when it starts. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { parseHex, toHex } from './bytes.ts'
import type { Regtest } from './regtest.ts'
import { decodeTx } from './transaction.ts'

export function saveMempool(path: string, { mempool }: Regtest): void {
  const txs = mempool.entries().map(({ tx }) => toHex(tx.raw))
  writeFileSync(`${path}.new`, JSON.stringify(txs), { mode: 0o600, flush: true })
  renameSync(`${path}.new`, path)
}

/** Takes in what still is valid. A file that is missing or unreadable counts as empty, as in Core. */
export function loadMempool(path: string, regtest: Regtest): void {
  for (const hex of readList(path)) {
    const bytes = typeof hex === 'string' ? parseHex(hex) : undefined
    const tx = bytes && decodeTx(bytes)
    if (tx !== undefined) regtest.sendTransaction(tx)
  }
}

function readList(path: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return Array.isArray(list) ? list : []
  } catch {
    return []
  }
}
