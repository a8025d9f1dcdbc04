/** Whether several endpoints of Bitcoin answer, and show one chain (OP-5): for those who look before they start. */
import type { BitcoinResult } from './transport.ts'

export type Compared =
  | { readonly ok: true; readonly detail: string }
  | { readonly ok: false; readonly code: 'Silent' | 'Differ'; readonly detail: string }

interface Client {
  getBlockchainInfo(): Promise<BitcoinResult<{ readonly blocks: number }>>
  getBlockHash(height: number): Promise<BitcoinResult<string>>
  close(): void
}

/** Closes the clients that it makes. */
export async function compareBitcoins(
  urls: readonly string[],
  clientOf: (url: string) => Client,
): Promise<Compared> {
  const endpoints = urls.map((url) => ({ host: new URL(url).host, rpc: clientOf(url) }))
  try {
    const infos = await Promise.all(endpoints.map(({ rpc }) => rpc.getBlockchainInfo()))
    const named = infos.map((info, at) => ({ info, host: endpoints[at]?.host }))
    const faults = named.flatMap(({ host, info }) =>
      info.ok ? [] : `${host}: ${info.error.message}`,
    )
    if (faults.length > 0) return { ok: false, code: 'Silent', detail: faults.join('; ') }
    const heights = infos.map((info) => (info.ok ? info.value.blocks : 0))
    if (!(await showOneChain(endpoints, Math.min(...heights)))) {
      const hosts = endpoints.map(({ host }) => host).join(' and ')
      return { ok: false, code: 'Differ', detail: `${hosts} show different chains` }
    }
    const at = endpoints.map(({ host }, index) => `${host} is at block ${heights[index]}`)
    return { ok: true, detail: at.join(', ') }
  } finally {
    for (const { rpc } of endpoints) rpc.close()
  }
}

async function showOneChain(
  endpoints: readonly { readonly rpc: Client }[],
  height: number,
): Promise<boolean> {
  const hashes = await Promise.all(endpoints.map(({ rpc }) => rpc.getBlockHash(height)))
  return new Set(hashes.map((hash) => (hash.ok ? hash.value : hash.error.message))).size <= 1
}
