import { createServer } from 'node:net'
import { Registry } from 'prom-client'
import {
  bindServer,
  createIds,
  createLog,
  createMetricSink,
  createSystemClock,
  createSystemRandom,
  describeListenError,
  type Endpoint,
  findPort,
  listenOn,
} from '../../../../node/adapters/system/index.ts'
import type { LogRecord } from '../../../../supervisor/index.ts'

const HOST = '127.0.0.1'

describe('ports', () => {
  const servers: ReturnType<typeof createServer>[] = []
  const bind = (endpoint: Endpoint) => {
    const server = createServer()
    servers.push(server)
    return bindServer(server, endpoint)
  }
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  it('a default port that is taken falls to the next free one', async () => {
    const taken = await bind({ host: HOST, port: 0 })
    const result = await listenOn({ host: HOST, port: taken }, { fallback: true }, bind)
    expect(result).toMatchObject({ ok: true })
    if (result.ok) expect(result.value).toBeGreaterThan(taken)
  })

  it('one that was asked for by name fails with one clear line', async () => {
    const port = await bind({ host: HOST, port: 0 })
    const result = await findPort({ host: HOST, port }, { fallback: false })
    expect(result).toEqual({ ok: false, error: { code: 'PortInUse', host: HOST, port } })
    if (!result.ok) {
      expect(describeListenError(result.error)).toBe(`${HOST}:${port} is in use by another process`)
    }
  })

  it('an address that is not here fails at once, also with fallback', async () => {
    const result = await listenOn({ host: '203.0.113.1', port: 4_000 }, { fallback: true }, bind)
    expect(result).toMatchObject({ ok: false, error: { code: 'AddressNotAvailable', port: 4_000 } })
  })

  it('a bug while binding is not swallowed', async () => {
    const broken = listenOn({ host: HOST, port: 0 }, { fallback: true }, async () => {
      throw new Error('broken')
    })
    await expect(broken).rejects.toThrow('broken')
  })
})

describe('log', () => {
  const record = (fields: Partial<LogRecord> = {}): LogRecord => ({
    level: 'info',
    atMs: 1_700_000_000_000,
    actor: 'bridge/pegin/a',
    event: 'deposit detected',
    correlationId: 'c1',
    fields: { txid: Uint8Array.of(0xab, 0xcd), amountSat: 5n, note: 'two words' },
    ...fields,
  })
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  beforeEach(() => lines.splice(0))

  it('as JSON: one object per line with hex, digits and the correlation id', () => {
    createLog({ level: 'info', format: 'json', node: 'node-0', write }).write(record())
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      level: 'info',
      node: 'node-0',
      actor: 'bridge/pegin/a',
      msg: 'deposit detected',
      correlationId: 'c1',
      fields: { txid: 'abcd', amountSat: '5' },
    })
  })

  it('as text: one line for people', () => {
    createLog({ level: 'info', format: 'text', write }).write(record())
    expect(lines).toEqual([
      '22:13:20.000 INFO  bridge/pegin/a deposit detected txid=abcd amountSat=5 note="two words"\n',
    ])
  })

  it('levels hold per actor and change while running', () => {
    const log = createLog({ level: 'warn', format: 'text', levels: { bridge: 'debug' }, write })
    log.write(record({ level: 'debug' }))
    log.write(record({ actor: 'chain' }))
    expect(lines).toHaveLength(1)
    log.setLevel('info')
    log.write(record({ actor: 'chain' }))
    log.setLevel('error', 'bridge')
    log.write(record())
    expect(lines).toHaveLength(2)
  })

  it('a value without end does not make a line without end', () => {
    const loop: Record<string, unknown> = { text: 'x'.repeat(100_000) }
    loop['self'] = loop
    createLog({ level: 'info', format: 'json', write }).write(record({ fields: loop }))
    expect((lines[0] as string).length).toBeLessThan(20_000)
  })
})

describe('clock, ids, metrics', () => {
  it('ids are 32 hex digits, never the same, and sort by age', () => {
    const ids = createIds(createSystemRandom())
    const made = Array.from({ length: 1_000 }, () => ids.next())
    expect(made[0]).toMatch(/^[0-9a-f]{32}$/)
    expect(new Set(made).size).toBe(1_000)
    expect(made.toSorted()).toEqual(made)
  })

  it('timers fire once, in the order of equal delays, unless cancelled', async () => {
    const clock = createSystemClock()
    const fired: number[] = []
    const done = Promise.withResolvers<void>()
    for (const at of [1, 2, 3]) clock.setTimer(5, () => fired.push(at))
    clock.setTimer(5, () => fired.push(4)).cancel()
    clock.setTimer(20, () => done.resolve())
    clock.setTimer(2 ** 40, () => fired.push(5)).cancel()
    await done.promise
    expect(fired).toEqual([1, 2, 3])
  })

  it('metrics are counted by label and bounded in number', async () => {
    const registry = new Registry()
    const sink = createMetricSink(registry)
    sink.count('actor_faults_total', { actor: 'chain', class: 'service' })
    sink.count('actor_faults_total', { actor: 'chain', class: 'service' }, 2)
    for (let peer = 0; peer < 1_100; peer++) sink.count('peers_seen', { peer: `p${peer}` })
    sink.observe('took_seconds', { what: 'x' }, 0.2)
    const text = await registry.metrics()
    expect(text).toContain('millrace_actor_faults_total{actor="chain",class="service"} 3')
    expect(text).toContain('millrace_peers_seen{peer="further"} 100')
    expect(text).toContain('millrace_took_seconds_count{what="x"} 1')
  })
})
