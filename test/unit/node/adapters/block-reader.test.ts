/** Blocks that another thread reads: what comes over, how many wait, and what becomes of a thread that hangs. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BlockReader } from '../../../../node/adapters/bitcoin/index.ts'
import { BitcoinWorld, rawBlock, wholeBlock } from '../../core/peg/world.ts'

const MINED = new BitcoinWorld().mine([])
const HEX = Buffer.from(rawBlock(MINED)).toString('hex')
const TIMEOUT_MS = 400

describe('the thread that reads blocks', () => {
  let answer: (() => string) | undefined = () => HEX
  let asked = 0
  let server: Server
  let at: { url: string; timeoutMs: number }
  const reader = new BlockReader(TIMEOUT_MS)

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      asked += 1
      const parts: Uint8Array[] = []
      for await (const part of request) parts.push(part)
      const { id } = JSON.parse(Buffer.concat(parts).toString())
      if (answer !== undefined) {
        response.end(JSON.stringify({ id, error: null, result: answer() }))
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    at = { url: `http://user:password@127.0.0.1:${port}`, timeoutMs: 10_000 }
  })
  afterAll(async () => {
    await reader.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('gives the same block as this one would, in arrays of its own', async () => {
    expect(await reader.read(at, MINED.hash)).toEqual({ ok: true, value: wholeBlock(MINED) })
  })

  it('PI-12: what is not the whole block is a bad answer', async () => {
    answer = () => HEX.slice(0, -2)
    const bad = { ok: false, error: { code: 'BitcoinBadAnswer' } }
    expect(await reader.read(at, MINED.hash)).toMatchObject(bad)
    answer = () => 'ff'.repeat(4_100_000)
    expect(await reader.read(at, MINED.hash)).toMatchObject(bad)
    answer = () => HEX
  })

  it('C-7: more than it may hold are refused at once, and it reads on', async () => {
    const before = asked
    const reads = Array.from({ length: 60 }, () => reader.read(at, MINED.hash))
    const codes = (await Promise.all(reads)).map((read) => (read.ok ? 'read' : read.error.code))
    expect(new Set(codes)).toEqual(new Set(['read', 'BlockReaderFailed']))
    expect(asked - before).toBe(codes.filter((code) => code === 'read').length)
    expect(await reader.read(at, MINED.hash)).toMatchObject({ ok: true })
  })

  it('C-2: a thread that does not come back is ended, and the next read has another', async () => {
    answer = undefined
    // The call inside it would wait for longer than anybody may wait for the thread.
    const hung = reader.read({ ...at, timeoutMs: 0 }, MINED.hash)
    expect(await hung).toMatchObject({ ok: false, error: { code: 'BlockReaderFailed' } })
    answer = () => HEX
    expect(await reader.read(at, MINED.hash)).toMatchObject({ ok: true })
  })

  it('after its end it is a fault, never a rejection', async () => {
    const closed = new BlockReader()
    await closed.close()
    expect(await closed.read(at, MINED.hash)).toMatchObject({
      ok: false,
      error: { code: 'BlockReaderFailed' },
    })
  })
})
