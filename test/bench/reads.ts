/** How fast a node answers reads while it fills its blocks. */
import { Agent, request } from 'node:http'
import { drive, type Lanes } from './load.ts'

const READERS = 4
const EACH_MS = 5_000
const WARM_UP_MS = 500

export interface Read {
  readonly method: string
  /** The parameters of the nth call. */
  params(index: number): readonly unknown[]
}

export interface ReadFigures {
  readonly perSecond: number
  readonly latenciesMs: readonly number[]
}

/** Reads of each kind in turn, four at a time, while `lanes` go in; each lane is long enough for all of them. */
export async function readWhile(
  url: string,
  reads: readonly Read[],
  lanes: Lanes,
): Promise<ReadonlyMap<string, ReadFigures>> {
  const figures = new Map<string, ReadFigures>()
  const stopping = new AbortController()
  const load = drive(url, lanes, stopping.signal)
  try {
    await pause(WARM_UP_MS)
    for (const read of reads) figures.set(read.method, await measure(url, read))
  } finally {
    stopping.abort()
    await load
  }
  return figures
}

async function measure(url: string, { method, params }: Read): Promise<ReadFigures> {
  const agent = new Agent({ keepAlive: true, maxSockets: READERS })
  const latenciesMs: number[] = []
  let index = 0
  const startedMs = performance.now()
  const reader = async () => {
    while (performance.now() - startedMs < EACH_MS) {
      index += 1
      const body = JSON.stringify({ jsonrpc: '2.0', id: index, method, params: params(index) })
      const askedMs = performance.now()
      await ask(agent, url, body)
      latenciesMs.push(performance.now() - askedMs)
    }
  }
  await Promise.all(Array.from({ length: READERS }, reader))
  const seconds = (performance.now() - startedMs) / 1_000
  agent.destroy()
  return { perSecond: latenciesMs.length / seconds, latenciesMs }
}

function ask(agent: Agent, url: string, body: string): Promise<void> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method: 'POST', headers }, (response) => {
      let text = ''
      response.setEncoding('latin1')
      response.on('data', (chunk: string) => {
        if (text.length < 200) text += chunk
      })
      response.on('end', () => {
        if (text.includes('"error":{')) reject(new Error(`a read failed: ${text.slice(0, 200)}`))
        else resolve()
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
