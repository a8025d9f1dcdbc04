/** What a command hands in goes to every node that is named; what it asks is answered by one. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { call, submitUntil } from '../../../../node/decisions/index.ts'

const NOBODY = 'http://127.0.0.1:9'

let servers: Server[] = []
afterEach(async () => {
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  servers = []
})

/** A node that gives one answer to all; what it was asked for. */
async function node(answer: object): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => {
      body += part
    })
    request.on('end', () => {
      const { method, params } = JSON.parse(body) as { method: string; params: string[] }
      asked.push(`${method} ${params.join()}`)
      response.setHeader('connection', 'close')
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...answer }))
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const REFUSED = { error: { code: -32000, message: 'no' } }
const decidedThen = async (isSubmitted: boolean) => (isSubmitted ? 'done' : undefined)

it('goes to all nodes; one that takes it is enough', async () => {
  const [one, two] = [await node(REFUSED), await node({ result: 'id' })]
  const url = `${one.url}, ${NOBODY},${two.url}`
  expect(await submitUntil({ url }, 'submit', 'ab', decidedThen)).toBe('done')
  expect([one.asked, two.asked]).toEqual([['submit ab'], ['submit ab']])
})

it('is refused where none takes it, and is over in time where no block has it', async () => {
  const { url } = await node(REFUSED)
  await expect(submitUntil({ url }, 'submit', 'ab', decidedThen)).rejects.toThrow('no')
  const taking = await node({ result: 'id' })
  const never = async () => undefined
  const options = { url: taking.url, wait: '0' }
  await expect(submitUntil(options, 'submit', 'ab', never)).rejects.toThrow('after 0 s')
})

it('what is asked is answered by the first node that is there, with its refusal too', async () => {
  const { url } = await node({ result: 7 })
  const refusing = await node(REFUSED)
  expect(await call(`${NOBODY},${url}`, 'ask', [])).toBe(7)
  await expect(call(`${refusing.url},${url}`, 'ask', [])).rejects.toThrow('no')
  await expect(call(`${NOBODY},${NOBODY}`, 'ask', [])).rejects.toThrow('no node answers')
})
