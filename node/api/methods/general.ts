/** net_, web3_, txpool_, rpc_ and admin_ methods. */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { z } from 'zod'

import { ApiFailure } from '../errors.ts'
import { data, quantity } from '../hex.ts'
import { type CallContext, type MethodTable, method } from '../method.ts'
import { bytesParam } from '../params.ts'
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
