/** The thread in which blocks are fetched, parsed and hashed: a full one takes a tenth of a second. */
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { type BitcoinRpc, createBitcoinRpc } from '../bitcoin-rpc/index.ts'
import { type BlockRead, readBlockBy } from './read.ts'
import type { ReadJob } from './reader.ts'

/** A block in hex, and what stands around it. */
const MAX_ANSWER_BYTES = 8_100_000

/** By URL: a node has one or two. */
const clients = new Map<string, BitcoinRpc>()

export async function read({ hash, rpc }: ReadJob) {
  const client =
    clients.get(rpc.url) ?? createBitcoinRpc({ ...rpc, maxAnswerBytes: MAX_ANSWER_BYTES })
  clients.set(rpc.url, client)
  return moved(await readBlockBy(client, hash))
}

/** Its arrays change hands and are not copied. */
function moved(read: BlockRead) {
  if (!read.ok || read.value === undefined) return read
  const { inputs, raw, starts, taproots, tree } = read.value
  const buffers = [raw, starts, inputs, taproots, tree.nodes].map(({ buffer }) => buffer)
  return move({
    [transferableSymbol]: buffers,
    [valueSymbol]: read,
  })
}
