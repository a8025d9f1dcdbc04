/** net_, web3_, txpool_, rpc_ and admin_ methods. */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { z } from 'zod'

import { ApiFailure } from '../errors.ts'
import { data, quantity } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import { addressParam, bytesParam } from '../params.ts'
import type { PooledTransaction } from '../port.ts'
import { pooledTransactionToJson } from '../shapes/evm.ts'

const none = z.tuple([])

type BySender = Record<string, Record<string, unknown>>

function bySender(list: readonly PooledTransaction[]): BySender {
  const grouped: BySender = {}
  for (const pooled of list) {
    const sender = data(pooled.sender)
    grouped[sender] ??= {}
    grouped[sender][pooled.transaction.nonce.toString()] = pooledTransactionToJson(pooled)
  }
  return grouped
}

async function poolContent({ ports, limits }: CallContext): Promise<unknown> {
  const { pending, queued } = await ports.pool.content()
  if (pending.length + queued.length > limits.poolContent) {
    return new ApiFailure('LimitExceeded', `the pool holds more than ${limits.poolContent}`)
  }
  return { pending: bySender(pending), queued: bySender(queued) }
}

async function poolContentFrom({ ports }: CallContext, address: Uint8Array): Promise<unknown> {
  const lane = await ports.pool.contentFrom(address)
  const byNonce = (list: readonly PooledTransaction[]) => Object.values(bySender(list))[0] ?? {}
  return { pending: byNonce(lane.pending), queued: byNonce(lane.queued) }
}

/** One line for a transaction, as go-ethereum writes it. */
function inspected({ transaction }: PooledTransaction): string {
  const { to, value, gasLimit, maxFeePerGas } = transaction
  const target = to === undefined ? 'contract creation' : data(to)
  return `${target}: ${value} wei + ${gasLimit} gas × ${maxFeePerGas} wei`
}

async function poolInspection({ ports, limits }: CallContext): Promise<unknown> {
  const { pending, queued } = await ports.pool.content()
  if (pending.length + queued.length > limits.poolContent) {
    return new ApiFailure('LimitExceeded', `the pool holds more than ${limits.poolContent}`)
  }
  const grouped = (list: readonly PooledTransaction[]) => {
    const lines: Record<string, Record<string, string>> = {}
    for (const pooled of list) {
      const sender = data(pooled.sender)
      lines[sender] = {
        ...lines[sender],
        [pooled.transaction.nonce.toString()]: inspected(pooled),
      }
    }
    return lines
  }
  return { pending: grouped(pending), queued: grouped(queued) }
}

const levels = z.enum(['trace', 'debug', 'info', 'warn', 'error'])

export const GENERAL_METHODS: MethodTable = {
  net_version: method('light', none, ({ ports }) => ports.evm.chainId.toString()),
  net_listening: method('light', none, () => true),
  net_peerCount: method('light', none, ({ ports }) => quantity(ports.peers().length)),
  web3_clientVersion: method('light', none, ({ ports }) => {
    return `millrace/v${ports.node.version}/${process.platform}-${process.arch}/node${process.versions.node}`
  }),
  web3_sha3: method('light', z.tuple([bytesParam]), (_, [bytes]) => data(keccak_256(bytes))),
  txpool_status: method('light', none, ({ ports }) => {
    const { pending, queued } = ports.pool.status()
    return { pending: quantity(pending), queued: quantity(queued) }
  }),
  txpool_content: method('heavy', none, poolContent),
  txpool_contentFrom: method('state', z.tuple([addressParam]), (context, [address]) =>
    poolContentFrom(context, address),
  ),
  txpool_inspect: method('heavy', none, poolInspection),
  admin_peers: method('admin', none, ({ ports }) => ports.peers()),
  admin_setLogLevel: method(
    'admin',
    z.tuple([levels, z.string().max(64).optional()]),
    ({ ports }, [level, actor]) => {
      ports.admin.setLogLevel(level, actor)
      return true
    },
  ),
}
