import { spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  main,
  type RegtestOptions,
  type RunningRegtest,
  startBitcoinRegtest,
} from '../../../../devnet/bitcoin/index.ts'
import { ALICE, ALICE_SCRIPT } from './fixture.ts'
import { addressOf, hexOf, spendKeyHash } from './wallet.ts'

interface Reply {
  readonly status: number
  readonly body: string
  readonly challenge: string | undefined
}

function post(
  { url }: RunningRegtest,
  body: string | Uint8Array,
  { method = 'POST', path = '/', auth }: { method?: string; path?: string; auth?: string } = {},
): Promise<Reply> {
  const { username, password, hostname, port } = new URL(url)
  return new Promise((done, failed) => {
    const sent = request(
      { hostname, port, method, path, auth: auth ?? `${username}:${password}` },
      (response) => {
        let text = ''
        response.on('data', (chunk) => {
          text += String(chunk)
        })
        response.on('end', () => {
          const challenge = response.headers['www-authenticate']
          done({ status: response.statusCode ?? 0, body: text, challenge })
        })
      },
    )
    sent.on('error', failed)
    sent.end(body)
  })
}

async function call(
  regtest: RunningRegtest,
  method: string,
  ...params: unknown[]
): Promise<unknown> {
  const { body } = await post(regtest, JSON.stringify({ id: 1, method, params }))
  const { result, error } = JSON.parse(body)
  return error ?? result
}

const options = (change: Partial<RegtestOptions> = {}): RegtestOptions => ({
  port: 0,
  host: '127.0.0.1',
  user: 'user',
  password: 'secret',
  now: () => 1_800_000_000_000,
  log: () => {},
  ...change,
})

async function start(change: Partial<RegtestOptions> = {}): Promise<RunningRegtest> {
  const started = await startBitcoinRegtest(options(change))
  if (!started.ok) throw new Error(started.error.code)
  return started.value
}

describe('regtest server', () => {
  let regtest: RunningRegtest
  beforeAll(async () => {
    regtest = await start()
  })
  afterAll(() => regtest.stop())

  it('answers garbage with a parse error and lives on', async () => {
    const deep = '['.repeat(100_000)
    for (const body of ['', 'nonsense', '{', '"text"', '7', 'null', '{"a":', deep, '\0\0\0']) {
      const { status, body: text } = await post(regtest, body)
      expect(status).toBe(500)
      expect(JSON.parse(text)).toMatchObject({ result: null, error: { code: -32700 }, id: null })
    }
    const random = Uint8Array.from({ length: 5_000 }, (_, index) => (index * 197) % 256)
    expect((await post(regtest, random)).status).toBe(500)
    expect(await call(regtest, 'getblockcount')).toBe(0)
  })

  it('answers as Core does to what is no request, no method, no parameters', async () => {
    const reply = async (request: unknown) => {
      const { status, body } = await post(regtest, JSON.stringify(request))
      return [status, JSON.parse(body).error.code]
    }
    expect(await reply({ id: 1 })).toEqual([400, -32600])
    expect(await reply({ id: 1, method: 5 })).toEqual([400, -32600])
    expect(await reply({ id: 1, method: 'getblockcount', params: 'x' })).toEqual([400, -32600])
    expect(await reply({ id: 1, method: 'toString' })).toEqual([404, -32601])
    expect(await reply({ id: 1, method: '__proto__' })).toEqual([404, -32601])
    expect(await reply({ id: 1, method: 'getblockcount', params: [1] })).toEqual([500, -1])
    expect(await reply({ id: 1, method: 'getblockhash', params: ['1'] })).toEqual([500, -3])
    expect(await reply({ id: 1, method: 'getblockhash', params: { hight: 1 } })).toEqual([500, -8])
  })

  it('takes parameters by name', async () => {
    const request = { id: 1, method: 'getblockhash', params: { height: 0 } }
    const { body } = await post(regtest, JSON.stringify(request))
    expect(JSON.parse(body).result).toMatch(/^0f9188f1/)
  })

  it('speaks JSON-RPC 1.0 with status codes, 2.0 without, and no answer to a notification', async () => {
    const one = await post(regtest, '{"id":"x","method":"nosuch"}')
    expect(one.status).toBe(404)
    expect(JSON.parse(one.body)).toEqual({
      result: null,
      error: { code: -32601, message: 'Method not found' },
      id: 'x',
    })
    const two = await post(regtest, '{"jsonrpc":"2.0","id":"x","method":"nosuch"}')
    expect(two.status).toBe(200)
    expect(JSON.parse(two.body)).toEqual({
      jsonrpc: '2.0',
      error: { code: -32601, message: 'Method not found' },
      id: 'x',
    })
    const silent = await post(regtest, '{"jsonrpc":"2.0","method":"getblockcount"}')
    expect([silent.status, silent.body]).toEqual([204, ''])
  })

  it('answers a batch in order, its faults in place', async () => {
    const batch = [{ id: 1, method: 'getblockcount' }, 5, { id: 2, method: 'nosuch' }, {}]
    const { status, body } = await post(regtest, JSON.stringify(batch))
    expect(status).toBe(200)
    const codes = JSON.parse(body).map((one: { error: { code: number } | null }) => one.error?.code)
    expect(codes).toEqual([undefined, -32600, -32601, -32600])
    expect((await post(regtest, '[]')).body.trim()).toBe('[]')
  })

  it('lets nobody in without the password', async () => {
    for (const auth of ['user:wrong', 'user', ':', 'other:secret']) {
      const reply = await post(regtest, '{"id":1,"method":"stop"}', { auth })
      expect(reply).toEqual({ status: 401, body: '', challenge: 'Basic realm="jsonrpc"' })
    }
    expect(await call(regtest, 'getblockcount')).toBe(0)
  })

  it('refuses other verbs, other paths and bodies above its limit', async () => {
    expect((await post(regtest, '', { method: 'GET' })).status).toBe(405)
    expect((await post(regtest, '', { path: '/wallet/x' })).status).toBe(404)
    const big = await post(regtest, new Uint8Array(0x02000001)).catch(() => ({ status: 413 }))
    expect(big.status).toBe(413)
    expect(await call(regtest, 'getblockcount')).toBe(0)
  })

  it('prints amounts with eight decimals', async () => {
    const { body } = await post(regtest, '{"id":1,"method":"getnetworkinfo"}')
    expect(body).toContain('"relayfee":0.00001000,')
    expect(body).toContain('"subversion":"/MillraceRegtest:')
  })

  it('stops by RPC', async () => {
    const other = await start()
    expect(await call(other, 'stop')).toMatch(/stopping$/)
    await other.stopped
    await expect(call(other, 'getblockcount')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('says which port is in use', async () => {
    expect(await startBitcoinRegtest(options({ port: regtest.port }))).toEqual({
      ok: false,
      error: { code: 'PortInUse', port: regtest.port },
    })
  })
})

describe('regtest data directory', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-regtest-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  it('brings back blocks, verdicts and mempool, and cuts a torn tail', async () => {
    const first = await start({ dataDir: dir })
    const hashes = (await call(
      first,
      'generatetoaddress',
      110,
      addressOf(ALICE_SCRIPT),
    )) as string[]
    await call(first, 'invalidateblock', hashes[108])
    const block = (await call(first, 'getblock', hashes[0])) as { tx: string[] }
    const coin = { txid: block.tx[0]!, vout: 0, amountSat: 5_000_000_000n, script: ALICE_SCRIPT }
    const payment = [{ script: ALICE_SCRIPT, amountSat: coin.amountSat - 1_000n }]
    const tx = spendKeyHash(coin, ALICE, payment)
    expect(await call(first, 'sendrawtransaction', hexOf(tx.toBuffer()))).toBe(tx.getId())
    const coins = await call(first, 'scantxoutset', 'start', [`addr(${addressOf(ALICE_SCRIPT)})`])
    await first.stop()
    appendFileSync(join(dir, 'blocks.log'), Uint8Array.of(40, 0, 0, 0, 1, 2, 3, 4, 0, 1))

    const lines: string[] = []
    const second = await start({ dataDir: dir, log: (line) => lines.push(line) })
    expect(lines[0]).toBe('cut 10 bytes of an unfinished record from blocks.log')
    expect(await call(second, 'getblockcount')).toBe(108)
    expect(await call(second, 'getbestblockhash')).toBe(hashes[107])
    expect(await call(second, 'getrawmempool')).toEqual([tx.getId()])
    expect(
      await call(second, 'scantxoutset', 'start', [`addr(${addressOf(ALICE_SCRIPT)})`]),
    ).toEqual(coins)
    await call(second, 'reconsiderblock', hashes[108])
    expect(await call(second, 'getbestblockhash')).toBe(hashes[109])
    await second.stop()
    const third = await start({ dataDir: dir })
    expect(await call(third, 'getbestblockhash')).toBe(hashes[109])
    await third.stop()
  })

  it('is refused when it is damaged or no directory, and left as it is', async () => {
    const first = await start({ dataDir: dir })
    await call(first, 'generatetoaddress', 3, addressOf(ALICE_SCRIPT))
    await first.stop()
    const path = join(dir, 'blocks.log')
    const content = readFileSync(path)
    writeFileSync(path, content.fill(1, 100, 101))
    for (const dataDir of [dir, path]) {
      expect(await startBitcoinRegtest(options({ dataDir }))).toMatchObject({
        ok: false,
        error: { code: 'DataDirUnusable' },
      })
    }
    expect(readFileSync(path)).toEqual(content)
    expect(existsSync(join(dir, 'lock'))).toBe(false)
  })

  it('belongs to one process, and to the next once that one was killed', async () => {
    const first = await start({ dataDir: dir })
    expect(await startBitcoinRegtest(options({ dataDir: dir }))).toMatchObject({
      ok: false,
      error: { code: 'DataDirInUse', pid: process.pid },
    })
    await first.stop()
    writeFileSync(join(dir, 'lock'), `${process.pid} 1\n`)
    const second = await start({ dataDir: dir })
    await second.stop()
  })
})

describe('millrace bitcoin', () => {
  const index = fileURLToPath(new URL('../../../../devnet/bitcoin/index.ts', import.meta.url))
  const program = `import(${JSON.stringify(index)}).then((room) => room.main(process.argv.slice(1))).then((code) => process.exit(code))`

  const run = (...args: string[]) => {
    const child = spawn(process.execPath, ['-e', program, '--', ...args], { stdio: 'pipe' })
    let out = ''
    let err = ''
    child.stderr.on('data', (chunk) => {
      err += String(chunk)
    })
    const ready = new Promise<string>((done) => {
      child.stdout.on('data', (chunk) => {
        out += String(chunk)
        if (out.includes('\n')) done(out.trim())
      })
    })
    const exit = new Promise<{ code: number | null; err: string }>((done) =>
      child.once('close', (code) => done({ code, err })),
    )
    return { child, ready, exit }
  }

  it('prints its address when ready and exits 0 on a signal', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { child, ready, exit } = run('--port', '0', '--user', 'u', '--password', 'p')
      expect(await ready).toMatch(/^http:\/\/u:p@127\.0\.0\.1:\d+$/)
      child.kill(signal)
      expect((await exit).code).toBe(0)
    }
  })

  it('says in one line what is wrong, with an exit code', async () => {
    const taken = await start()
    const { code, err } = await run('--port', String(taken.port)).exit
    expect([code, err]).toEqual([1, `millrace bitcoin: port ${taken.port} is in use\n`])
    await taken.stop()
    expect(await main(['--nonsense'])).toBe(2)
    expect(await main(['--port', '70000'])).toBe(2)
    expect(await main(['--port', '0', '--data-dir', index])).toBe(4)
  })
})
