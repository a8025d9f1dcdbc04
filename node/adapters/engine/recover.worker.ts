/** Senders of raw transactions, a batch at a time. An empty entry: undecodable, or no key fits. */
import { decodeTransaction, isTransaction, recoverSender } from '../../../vm/evm/index.ts'
import { type PackedBytes, packBytes, viewBytes } from './packing.ts'

export function recover(raws: PackedBytes): PackedBytes {
  return packBytes(viewBytes(raws).map(senderOf))
}

function senderOf(raw: Uint8Array): Uint8Array {
  const transaction = decodeTransaction(raw)
  const sender = isTransaction(transaction) ? recoverSender(transaction) : undefined
  return sender ?? new Uint8Array(0)
}
