import { startApi, type UnderTest } from './api-under-test.ts'
import { actorRow } from './fake-node.ts'

interface Event {
  readonly name: string
  readonly data: unknown
}

/** Reads one event at a time off a stream. */
async function open(url: string) {
  const stop = new AbortController()
  const response = await fetch(`${url}/events`, { signal: stop.signal })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let text = ''
  const next = async (): Promise<Event> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const frame = text.slice(0, end)
        text = text.slice(end + 2)
        const name = /^event: (.*)$/m.exec(frame)?.[1]
        const data = /^data: (.*)$/m.exec(frame)?.[1]
        if (name !== undefined && data !== undefined) return { name, data: JSON.parse(data) }
        continue
      }
      const { value, done } = await reader.read()
      if (done) throw new Error('stream ended')
      text += Buffer.from(value).toString()
    }
  }
  return { response, next, close: () => stop.abort() }
}

describe('server-sent events', () => {
  let api: UnderTest
  beforeEach(async () => {
    api = await startApi({ eventClients: 2 })
  })
  afterEach(() => api.close())

  it('begin with the whole status', async () => {
    const stream = await open(api.url)
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream')
    const first = await stream.next()
    expect(first).toMatchObject({ name: 'status', data: { blocks: [{ height: 3 }, {}, {}] } })
    stream.close()
  })

  it('then tell each part that changed, and new blocks alone', async () => {
    const stream = await open(api.url)
    await stream.next()
    api.node.actors[0] = actorRow('chain', { restarts: 1 })
    api.node.addBlock()
    api.clock.advance(1_000)
    const events = [await stream.next(), await stream.next()]
    expect(events.map(({ name }) => name)).toEqual(['blocks', 'actors'])
    expect(events[0]?.data).toEqual([expect.objectContaining({ height: 4 })])
    stream.close()
  })

  it('readers above the limit are refused', async () => {
    const streams = [await open(api.url), await open(api.url)]
    expect((await fetch(`${api.url}/events`)).status).toBe(503)
    for (const stream of streams) stream.close()
  })

  it('end when the API closes', async () => {
    const stream = await open(api.url)
    await stream.next()
    await api.api.close()
    await expect(stream.next()).rejects.toThrow('stream ended')
    api = await startApi()
  })
})
