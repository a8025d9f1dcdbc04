import { request } from 'node:http'
import { expositionFaults } from '../../../exposition.ts'
import { startApi, type UnderTest } from './api-under-test.ts'
import { actorRow } from './fake-node.ts'

/** fetch does not let one choose Host. */
function statusWithHost(url: string, host: string): Promise<number> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path: '/live', headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('HTTP', () => {
  let api: UnderTest
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.close())

  const rpcFrom = (origin: string) =>
    api.post({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' }, { origin })

  it.each([
    'http://localhost:3000',
    'https://app.localhost',
    'http://127.0.0.1:5173',
    'chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn',
    'https://dapp.example',
  ])('the origin %s may call', async (origin) => {
    const response = await rpcFrom(origin)
    expect(response.status).toBe(200)
    expect(response.headers.get('access-control-allow-origin')).toBe(origin)
  })

  it.each(['https://evil.example', 'http://localhost.evil.example', 'null'])(
    'the origin %s may not',
    async (origin) => {
      expect((await rpcFrom(origin)).status).toBe(403)
    },
  )

  it('a preflight is answered, also for a page that asks for a private network', async () => {
    const response = await fetch(api.url, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:3000',
        'access-control-request-method': 'POST',
        'access-control-request-private-network': 'true',
      },
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-headers')).toContain('content-type')
    expect(response.headers.get('access-control-allow-private-network')).toBe('true')
  })

  it('a name that was rebound to this address is refused', async () => {
    expect(await statusWithHost(api.url, 'evil.example:8545')).toBe(403)
    expect(await statusWithHost(api.url, 'localhost:8545')).toBe(200)
    expect(await statusWithHost(api.url, '[::1]:8545')).toBe(200)
  })

  it.each(['PUT', 'DELETE', 'PATCH'])('%s is not allowed', async (verb) => {
    expect((await fetch(api.url, { method: verb })).status).toBe(405)
  })

  it('an unknown route is 404', async () => {
    expect((await fetch(`${api.url}/nothing`)).status).toBe(404)
  })

  it('/live answers while the node stands', async () => {
    expect(await (await fetch(`${api.url}/live`)).json()).toEqual({ live: true })
  })

  it('/ready: 200 when synced with a quorum, Bitcoin and storage', async () => {
    const response = await fetch(`${api.url}/ready`)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ status: 'ready' })
  })

  it('/ready: peers that are not known as validators count as average ones', async () => {
    api.node.peers = [1, 2].map((peer) => ({ id: `peer-${peer}`, inbound: false }))
    expect((await fetch(`${api.url}/ready`)).status).toBe(200)
    api.node.peers = api.node.peers.slice(1)
    expect((await fetch(`${api.url}/ready`)).status).toBe(503)
  })

  it('/ready: 206 while blocks are missing', async () => {
    api.node.sync = { ...api.node.sync, targetHeight: 30 }
    expect((await fetch(`${api.url}/ready`)).status).toBe(206)
  })

  it.each<[string, (node: UnderTest['node']) => Partial<UnderTest['node']>]>([
    ['the quorum is not connected', ({ peers }) => ({ peers: peers.slice(0, 1) })],
    ['Bitcoin does not answer', ({ bitcoin }) => ({ bitcoin: { ...bitcoin, reachable: false } })],
    [
      'N12: the last block of Bitcoin that was read is old',
      ({ bitcoin }) => ({ bitcoin: { ...bitcoin, network: 'main', tipAgeMs: 10_900_000 } }),
    ],
    [
      'every validator had two turns without a block',
      ({ consensus }) => ({ consensus: { ...consensus, view: 8 } }),
    ],
    [
      'storage restarts',
      ({ actors }) => ({
        actors: [...actors.slice(0, 6), actorRow('storage', { life: 'Restarting' })],
      }),
    ],
  ])('/ready: 503 when %s', async (_, change) => {
    Object.assign(api.node, change(api.node))
    expect((await fetch(`${api.url}/ready`)).status).toBe(503)
  })

  it('OP-4: /metrics tells chain, mailboxes, restarts and the peg ledger under known names', async () => {
    api.node.actors[0] = actorRow('chain', { dropped: { 'chain.SlotTick': 5 } })
    api.node.reserve = { ...api.node.reserve, pegOutsPaused: true }
    await api.result('eth_chainId')
    const text = await (await fetch(`${api.url}/metrics`)).text()
    for (const line of [
      'alys_chain_block_height 3',
      'alys_chain_last_finalized_block 3',
      'alys_chain_discovered_peers 3',
      'alys_rpc_requests_total{method="eth_chainId",outcome="ok"} 1',
      'millrace_mailbox_dropped_total{actor="chain",message="chain.SlotTick"} 5',
      'millrace_mailbox_depth{actor="engine",priority="consensus"} 0',
      'millrace_view_changes_total 2',
      'millrace_peg_reserve_sat 1000000',
      'millrace_peg_imbalance_sat 0',
      'millrace_peg_paused{direction="in"} 0',
      'millrace_peg_paused{direction="out"} 1',
      'millrace_members_connected 3',
    ]) {
      expect(text).toContain(line)
    }
    expect(expositionFaults(text)).toEqual([])
  })

  it('counters do not grow by being read', async () => {
    await fetch(`${api.url}/metrics`)
    const text = await (await fetch(`${api.url}/metrics`)).text()
    expect(text).toContain('millrace_view_changes_total 2')
  })

  it('/status.json holds everything that the page shows', async () => {
    const status = (await (await fetch(`${api.url}/status.json`)).json()) as Record<string, unknown>
    expect(status).toMatchObject({
      nowMs: expect.any(Number),
      node: { name: 'node-0', chain: 'millrace-dev', notices: [expect.any(String)] },
      health: { status: 'ready' },
      consensus: { height: 4, view: 0 },
      blocks: [
        { height: 3, author: 3, voters: [0, 1, 2], transactions: 0, keygen: 0, pegOrders: 0 },
        { height: 2, transactions: 2 },
        { height: 1 },
      ],
      peg: {
        operations: [
          { direction: 'in', step: 'Confirming', progress: { have: 1, need: 3 } },
          { direction: 'out', step: 'Broadcast', amountSat: '50000', feeSat: '300' },
        ],
        reserve: { balanced: true, reserveSat: '1000000', openSweeps: 0 },
        keys: { epoch: 0, keys: [] },
      },
      network: { peers: expect.any(Array), federation: { threshold: 3 } },
    })
    expect(status['actors']).toHaveLength(7)
  })

  it('the page is one file that may load nothing but itself', async () => {
    const response = await fetch(`${api.url}/`)
    const html = await response.text()
    expect(response.headers.get('content-type')).toContain('text/html')
    expect(html.length).toBeLessThan(60_000)
    expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
})
