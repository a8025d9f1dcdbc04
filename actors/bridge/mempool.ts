/**
 * What waits in Bitcoin's mempool for the federation (PI-3, Detected): shown to who sent it, and nothing else. No rule, no approval and no
 * vote of this node rests on it; a deposit begins with the block that holds it, in the scan.
 */
import { parsePayableScript, parseTransaction, txid } from '../../core/bitcoin/index.ts'
import { type Ledger, outpointKey, rowOf } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { federationScripts, nameOf, parseDeposits, parseOwnDeposits } from '../../core/peg/index.ts'
import { toDisplayHash } from '../../crypto/index.ts'
import type { MempoolSight, PendingDeposit } from '../../messages/index.ts'
import { MAX_MEMPOOL_READS, MAX_MEMPOOL_TRANSACTIONS, MAX_PENDING_DEPOSITS } from './limits.ts'
import type { BitcoinPort, BitcoinResult } from './port.ts'
import type { FindAddress } from './scan.ts'

export const NOTHING_SEEN: MempoolSight = { looked: new Set(), deposits: [] }

/**
 * Goes on from what was seen before: what left the mempool is forgotten, and of what is new a bounded part is read, the rest with the
 * next looks. A fault: Bitcoin does not say what waits, or it is too much.
 */
export async function lookAtMempool(
  genesis: Genesis,
  mempool: NonNullable<BitcoinPort['mempool']>,
  ledger: Ledger,
  before: MempoolSight,
  find: FindAddress,
  nowMs: number,
): Promise<BitcoinResult<MempoolSight>> {
  const listed = await mempool.txids(MAX_MEMPOOL_TRANSACTIONS)
  if (!listed.ok) return listed
  if (listed.value.length > MAX_MEMPOOL_TRANSACTIONS) {
    return {
      ok: false,
      error: { code: 'MempoolTooLarge', message: `${listed.value.length} wait` },
    }
  }
  const there = new Set(listed.value)
  const looked = new Set([...before.looked].filter((id) => there.has(id)))
  const deposits = before.deposits.filter(({ txid: id }) => there.has(id))
  let reads = 0
  for (const id of there) {
    if (looked.has(id)) continue
    if (reads === MAX_MEMPOOL_READS) break
    reads += 1
    const raw = await mempool.transaction(id)
    if (!raw.ok) break
    looked.add(id)
    if (raw.value !== undefined) {
      deposits.push(...pendingDeposits(genesis, ledger, raw.value, id, find, nowMs))
    }
  }
  // Who fills the list hides what comes later until a block holds it, and pays Bitcoin's fees for each.
  return { ok: true, value: { looked, deposits: deposits.slice(0, MAX_PENDING_DEPOSITS) } }
}

function pendingDeposits(
  genesis: Genesis,
  ledger: Ledger,
  raw: Uint8Array,
  id: string,
  find: FindAddress,
  seenAtMs: number,
): PendingDeposit[] {
  const parsed = parseTransaction(raw)
  if (!parsed.ok || toDisplayHash(txid(parsed.value)) !== id) return []
  const { inputs } = parsed.value
  const spendsReserve = inputs.some(
    (input) => rowOf(ledger, 'outputs', outpointKey(input.txid, input.vout)) !== undefined,
  )
  if (spendsReserve) return []
  const { params } = genesis
  const plain = federationScripts(genesis, ledger.state.epoch, ledger.open.keys)
  const isOwn: FindAddress = (script) =>
    parsePayableScript(script) === 'p2tr' ? find(script) : undefined
  const found = [
    ...parseDeposits(parsed.value, plain, params),
    ...parseOwnDeposits(parsed.value, isOwn, params),
  ]
  return found.map((deposit) => ({
    outpoint: nameOf(deposit),
    txid: id,
    amountSat: deposit.amountSat,
    evmAddress: deposit.evmAddress,
    refundable: deposit.kind === 'refundable',
    seenAtMs,
  }))
}
