/** What a recorded transaction of the reserve spends and pays, as its ledger has it. */
import { type BitcoinTransaction, parseTransaction } from '../bitcoin/index.ts'
import {
  type BatchRow,
  type Entry,
  type Ledger,
  type OutputRow,
  outpointKey,
  rowOf,
  SPEND_STATE,
  type SpendRow,
} from '../ledger/index.ts'

/** The transaction of a row. Throws on what does not parse: only what did was recorded. */
export function versionTransaction({
  transaction,
}: Pick<SpendRow, 'transaction'>): BitcoinTransaction {
  const parsed = parseTransaction(transaction)
  if (!parsed.ok) throw new Error('a recorded transaction does not parse')
  return parsed.value
}

/** Rows of what a version spends, whatever became of them. */
export function versionInputs(ledger: Ledger, spend: SpendRow): Entry<OutputRow>[] {
  return versionTransaction(spend).inputs.map((input) => {
    const key = outpointKey(input.txid, input.vout)
    const row = rowOf(ledger, 'outputs', key)
    if (row === undefined) throw new Error('a version spends what is no output of the federation')
    return { key, row }
  })
}

/** What a version gives the miner. */
export function versionFeeSat(ledger: Ledger, spend: SpendRow): bigint {
  const spentSat = versionInputs(ledger, spend).reduce((sum, { row }) => sum + row.amountSat, 0n)
  const { outputs } = versionTransaction(spend)
  return outputs.reduce((rest, { amountSat }) => rest - amountSat, spentSat)
}

/** Whether this version of a batch spends its conflict input and pays nobody, because t members cancelled the batch. */
export function isCancelVersion({ cancel: [cancel] }: Pick<BatchRow, 'cancel'>, version: number) {
  return cancel !== undefined && version >= cancel.version
}

/** Whether the newest version does. */
export function hasCancelVersion(batch: Pick<BatchRow, 'cancel' | 'versions'>): boolean {
  return isCancelVersion(batch, batch.versions.length - 1)
}

/** Whether Bitcoin has one of its versions; of an open batch it is one that cancels. */
export function hasBookedVersion(ledger: Ledger, { versions }: Pick<BatchRow, 'versions'>) {
  return versions.some((id) => rowOf(ledger, 'spends', id)?.state === SPEND_STATE.booked)
}
