/** What /metrics of the development Bitcoin tells. Loaded with the first scrape: most federations never look. */
import { Gauge, type Registry } from 'prom-client'
import { createRegistry } from '../../node/adapters/system/index.ts'
import type { RpcContext } from './rpc-method.ts'

const registries = new WeakMap<RpcContext, Registry>()

export function registryOf(context: RpcContext): Registry {
  const known = registries.get(context)
  if (known !== undefined) return known
  const registry = createRegistry()
  registerRegtestMetrics(registry, context)
  registries.set(context, registry)
  return registry
}

export function registerRegtestMetrics(registry: Registry, context: RpcContext): void {
  const gauge = (name: string, help: string, read: () => number) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  }
  const { regtest, startedAtSeconds } = context
  gauge('millrace_regtest_height', 'Height of the active chain', () => regtest.chain.tip.height)
  gauge('millrace_regtest_mempool_transactions', 'Transactions that wait for a block', () => {
    return regtest.mempool.size
  })
  gauge('millrace_regtest_start_time_seconds', 'When it started, Unix time', () => startedAtSeconds)
}
