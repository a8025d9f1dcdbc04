/** What happened to an address, page by page. */
import { z } from 'zod'
import { ApiFailure } from '../errors.ts'
import { data } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import { addressParam } from '../params.ts'
import { HISTORY_CURSOR_BYTES, type HistoryEntry } from '../port.ts'

const DEFAULT_ENTRIES = 25

const pageParam = z.strictObject({
  limit: z.number().int().min(1).optional(),
  cursor: z
    .string()
    .length(2 * HISTORY_CURSOR_BYTES, 'expected a cursor of a page before')
    .regex(/^[0-9a-f]*$/, 'expected a cursor of a page before')
    .transform((text) => new Uint8Array(Buffer.from(text, 'hex')))
    .optional(),
})

async function addressHistory(
  { limits, ports }: CallContext,
  address: Uint8Array,
  { cursor, limit = DEFAULT_ENTRIES }: z.output<typeof pageParam>,
): Promise<unknown> {
  if (ports.addressHistory === undefined) {
    return new ApiFailure('Unavailable', 'this node keeps no index of addresses (index.addresses)')
  }
  if (limit > limits.historyEntries) {
    return new ApiFailure('LimitExceeded', `a page has at most ${limits.historyEntries} entries`)
  }
  const page = await ports.addressHistory(address, limit, cursor)
  return {
    entries: page.entries.map(entryToJson),
    cursor: page.cursor === undefined ? null : Buffer.from(page.cursor).toString('hex'),
    fromBlock: page.from,
    toBlock: page.to,
  }
}

function entryToJson({ amountGwei, height, kind, logIndex, transaction }: HistoryEntry): object {
  return {
    kind,
    blockNumber: height,
    ...(transaction && {
      transactionHash: data(transaction.hash),
      transactionIndex: transaction.index,
    }),
    ...(logIndex !== undefined && { logIndex }),
    ...(amountGwei !== undefined && { amountWei: String(amountGwei * 1_000_000_000n) }),
  }
}

export const HISTORY_METHODS: MethodTable = {
  millrace_addressHistory: method(
    'state',
    z.tuple([addressParam, pageParam.optional()]),
    (context, [address, page = {}]) => addressHistory(context, address, page),
  ),
}
