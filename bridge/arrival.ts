/** A member's answer is checked when it arrives, against the ledger of the node that asked (protocol §5.5, PO-12). */
import { parseTransaction } from '../core/bitcoin/index.ts'
import { type Ledger, outpointKey, rowOf, type SpendRow } from '../core/ledger/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { type Prevout, unsignedBatch, verifyBatchSignature } from './signing.ts'

export type SignatureFault =
  | 'MemberUnknown'
  | 'TransactionMalformed'
  | 'InputUnknown'
  | 'SignatureCountWrong'
  | 'SignatureWrong'

/** The batch that a recorded transaction makes, with its inputs' outputs from the ledger. */
export function batchToSign(
  genesis: Genesis,
  ledger: Ledger,
  spend: Pick<SpendRow, 'transaction'>,
) {
  const parsed = parseTransaction(spend.transaction)
  if (!parsed.ok) return 'TransactionMalformed'
  const prevouts: Prevout[] = []
  for (const input of parsed.value.inputs) {
    const row = rowOf(ledger, 'outputs', outpointKey(input.txid, input.vout))
    if (row === undefined) return 'InputUnknown'
    prevouts.push({ scriptPubKey: row.scriptPubKey, amountSat: row.amountSat })
  }
  return unsignedBatch(genesis, spend.transaction, prevouts)
}

/** What is wrong with a member's signatures for a recorded transaction; undefined when nothing is. */
export function signatureFault(
  genesis: Genesis,
  ledger: Ledger,
  spend: Pick<SpendRow, 'transaction'>,
  memberIndex: number,
  signatures: readonly Uint8Array[],
): SignatureFault | undefined {
  const member = genesis.members[memberIndex]
  if (member === undefined) return 'MemberUnknown'
  const batch = batchToSign(genesis, ledger, spend)
  if (typeof batch === 'string') return batch
  if (signatures.length !== batch.prevouts.length) return 'SignatureCountWrong'
  const isGood = signatures.every((signature, index) =>
    verifyBatchSignature(member.schnorrKey, batch, index, signature),
  )
  return isGood ? undefined : 'SignatureWrong'
}
