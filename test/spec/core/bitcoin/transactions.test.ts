import { existsSync, readFileSync } from 'node:fs'
import { parseTransaction, serializeTransaction } from '../../../../core/bitcoin/index.ts'
import { hexBytes } from '../../../../crypto/index.ts'

/** Bitcoin Core's tx_valid.json; the folder is beside the repository where there is one. */
const file = new URL('../../../../../shared/vectors/bitcoin-core/tx_valid.json', import.meta.url)
const rows: unknown[][] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
const transactions = rows.filter((row) => row.length === 3).map((row) => String(row[1]))

const describeVectors = transactions.length > 0 ? describe : describe.skip

describeVectors("Bitcoin Core's valid transactions", () => {
  it('decode and encode to the same bytes, each of them', () => {
    for (const hex of transactions) {
      const parsed = parseTransaction(hexBytes(hex))
      if (!parsed.ok) throw new Error(`${parsed.error.reason}: ${hex}`)
      expect(serializeTransaction(parsed.value)).toEqual(hexBytes(hex))
    }
    expect(transactions.length).toBeGreaterThan(100)
  })
})
