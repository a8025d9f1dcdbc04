/** What an operator does about a node's data: `millrace doctor`, and what the node itself says when its disk fails. */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Key, open } from 'lmdb'
import { createNodeRpc } from '../../devnet/launcher/rpc.ts'
import { readChainStore } from '../../node/adapters/chain-store/index.ts'
import { TestFederation } from './federation.ts'
import { Program, runProgram } from './program.ts'
import { Account, include, minted, payDeposit } from './user.ts'

const PATIENCE = 300_000
const BLOCKS = 8

let federation: TestFederation
let user: Account
const own = () => federation.files.nodeDirectory(0)
const config = () => join(own(), 'config.json')

/** One node with a coin on its chain and some transfers in its blocks, stopped. */
beforeAll(async () => {
  federation = await TestFederation.start({ nodes: 1, members: 1 })
  const { rpc } = federation
  user = Account.random(Number(await rpc.call<string>('eth_chainId')))
  await minted(rpc, await payDeposit(federation, user.address, 1_000_000n))
  for (let at = 0; at < 3; at++) {
    await include(rpc, await user.transfer(`0x${'00'.repeat(18)}aa0${at}`, 10n ** 12n))
  }
  await federation.heightAtLeast(BLOCKS)
  await federation.stopMining()
  await federation.stopNode(0)
}, PATIENCE)
afterAll(() => federation?.stop(), PATIENCE)

/** A node that no file of may grow by more than so much: what a full disk is to it. */
async function runLimited(sizeKib: number): Promise<{ code: number | null; stderr: string }> {
  const door = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url))
  const command = `ulimit -f ${sizeKib}; exec "$0" "$@"`
  const args = ['-c', command, process.execPath, door, 'node', '--config', config()]
  const child = spawn('bash', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr })))
}

interface Diagnosis {
  readonly ok: boolean
  readonly checks: readonly { name: string; ok: boolean; detail: string; advice?: string }[]
}

async function doctor(...args: readonly string[]) {
  const run = await runProgram('doctor', '--config', config(), '--json', ...args)
  const diagnosis = run.json() as unknown as Diagnosis
  const found = diagnosis.checks.filter(({ ok }) => !ok)
  return { code: run.code, diagnosis, found }
}

it(
  '3: the disk is full: the node stops cleanly, says so, and has lost nothing when there is room again',
  async () => {
    const { rpc } = federation
    const sizes = ['chain', 'evm'].map(
      (name) => statSync(join(own(), 'data', name, 'data.mdb')).size,
    )
    const limited = runLimited(Math.ceil(Math.max(...sizes) / 1024) + 24)
    let acknowledged = 0
    let isOver = false
    const watched = limited.then((end) => {
      isOver = true
      return end
    })
    while (!isOver) {
      // By its own URL: the federation does not know of this process.
      const head = await createNodeRpc(federation.urls[0] as string)
        .call<{ height: number }>('getheadblock')
        .catch(() => ({ height: 0 }))
      acknowledged = Math.max(acknowledged, head.height)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    const { code, stderr } = await watched
    const lastLine = stderr.trimEnd().split('\n').at(-1)
    expect(lastLine).toMatch(
      /millrace node: stopped: actor \w+ was given up .*DiskUnusable: the disk/,
    )
    expect(code).toBe(3)
    expect(acknowledged).toBeGreaterThan(BLOCKS)
    expect((await doctor('--verify-state')).found).toEqual([])
    federation.startNode(0)
    await federation.answers(0)
    await federation.heightAtLeast(acknowledged + 2, rpc)
    await federation.stopNode(0)
  },
  PATIENCE,
)

interface History {
  readonly entries: readonly { kind: string; blockNumber: number; transactionHash?: string }[]
  readonly cursor: string | null
  readonly toBlock: number
}

it(
  'the history of an address is there soon after its blocks, page by page, and after a restart',
  async () => {
    federation.startNode(0)
    await federation.answers(0)
    const { rpc } = federation
    const ask = (page: object) => rpc.call<History>('millrace_addressHistory', [user.address, page])
    let known = await ask({})
    while (known.toBlock < BLOCKS) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      known = await ask({})
    }
    expect(known.entries.map(({ kind }) => kind)).toEqual(['sent', 'sent', 'sent', 'credited'])
    const first = await ask({ limit: 3 })
    const last = await ask({ limit: 3, cursor: first.cursor })
    expect([...first.entries, ...last.entries]).toEqual(known.entries)
    expect(last.cursor).toBeNull()
    const { blockNumber, transactionHash } = known.entries[0] as History['entries'][number]
    const receipt = await rpc.call<{ blockNumber: string }>('eth_getTransactionReceipt', [
      transactionHash,
    ])
    expect(Number(receipt.blockNumber)).toBe(blockNumber)
    await federation.stopNode(0)
  },
  PATIENCE,
)

describe('millrace backup and restore (OP-6)', () => {
  const password = () => join(own(), 'backup-password')
  const file = () => join(own(), 'backup')
  let backedUp: number
  let lastHeight: number

  it(
    'a backup is made while the node makes blocks',
    async () => {
      writeFileSync(password(), 'a password of a test\n', { mode: 0o600 })
      federation.startNode(0)
      await federation.answers(0)
      const { height } = await federation.head()
      await federation.heightAtLeast(height + 2)
      const flags = ['--config', config(), '--password-file', password(), '--json']
      const run = await runProgram('backup', '--out', file(), ...flags)
      expect([run.code, run.stderr]).toEqual([0, ''])
      backedUp = run.json()['headHeight'] as number
      expect(backedUp).toBeGreaterThanOrEqual(height + 2)
      await federation.heightAtLeast(backedUp + 3)
      lastHeight = (await federation.head()).height
      await federation.stopNode(0)
    },
    PATIENCE,
  )

  it(
    'restored, it has the chain of the backup, and signs nothing that it may have signed since',
    async () => {
      const data = join(own(), 'restored')
      const flags = ['--config', config(), '--data-dir', data, '--password-file', password()]
      const run = await runProgram('restore', '--from', file(), ...flags, '--json')
      expect([run.code, run.stderr]).toEqual([0, ''])
      const floor = run.json()['floor'] as number
      // The node that was backed up went on: its votes are about the height after its last one at most.
      expect(floor).toBeGreaterThan(lastHeight + 1)
      const guard = await runProgram('keys', 'guard', '--data-dir', data, '--json')
      expect(guard.json()).toMatchObject({ floorHeight: floor, lock: null })
      const { found, diagnosis } = await doctor('--verify-state', '--data-dir', data)
      expect([found, diagnosis.ok]).toEqual([[], true])
      const node = new Program(['node', '--config', config(), '--data-dir', data])
      await node.says(/"event":"ready"/)
      const rpc = createNodeRpc(federation.urls[0] as string)
      await new Promise((resolve) => setTimeout(resolve, 4_000))
      expect((await rpc.call<{ height: number }>('getheadblock')).height).toBe(backedUp)
      node.child.kill('SIGTERM')
      expect(await node.exited).toBe(0)
      const again = await runProgram('restore', '--from', file(), ...flags)
      expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('is not empty')])
      rmSync(data, { recursive: true })
    },
    PATIENCE,
  )

  it(
    '4: a wrong password leaves nothing behind',
    async () => {
      const wrong = join(own(), 'wrong-password')
      writeFileSync(wrong, 'another password of a test\n', { mode: 0o600 })
      const data = join(own(), 'restored')
      const flags = ['--config', config(), '--data-dir', data, '--password-file', wrong]
      const run = await runProgram('restore', '--from', file(), ...flags)
      expect([run.code, run.stderr]).toEqual([4, expect.stringContaining('BackupLocked')])
      expect([existsSync(data), existsSync(`${data}.restoring`)]).toEqual([false, false])
    },
    PATIENCE,
  )

  it(
    'kill -9 at any moment of a backup or of a restore: what is there is whole, and it is done again',
    async () => {
      const out = join(own(), 'killed-backup')
      const data = join(own(), 'killed-restored')
      const flags = ['--config', config(), '--password-file', password()]
      const backup = ['backup', '--out', out, ...flags]
      const restore = ['restore', '--from', file(), '--data-dir', data, ...flags]
      const clear = () => {
        for (const path of [out, data]) rmSync(path, { recursive: true, force: true })
      }
      for (const [args, made] of [
        [backup, out],
        [restore, data],
      ] as const) {
        const wholeMs = await msOf(args)
        expect(existsSync(made)).toBe(true)
        let cut = 0
        for (let part = 4; part <= 9; part++) {
          clear()
          const { child, exited } = new Program(args)
          const timer = setTimeout(() => child.kill('SIGKILL'), (wholeMs * part) / 10)
          await exited
          clearTimeout(timer)
          if (!existsSync(made)) cut += 1
          // A backup that is there can be restored, and what was restored is all of it.
          else if (made === out) await msOf(['restore', '--from', out, ...restore.slice(3)])
          if (existsSync(data)) {
            const { found, diagnosis } = await doctor('--verify-state', '--data-dir', data)
            expect([found, diagnosis.ok]).toEqual([[], true])
          }
        }
        expect(cut).toBeGreaterThan(0)
        clear()
        await msOf(args)
        const left = readdirSync(own()).filter((name) => /^killed-(backup|restored)/.test(name))
        expect(left).toEqual([made === out ? 'killed-backup' : 'killed-restored'])
      }
      clear()
    },
    PATIENCE,
  )
})

/** How long it takes; it ends well. */
async function msOf(args: readonly string[]): Promise<number> {
  const startedMs = performance.now()
  const { code, stderr } = await runProgram(...args)
  expect([code, stderr]).toEqual([0, ''])
  return performance.now() - startedMs
}

describe('millrace books', () => {
  it('writes the ledger as CSV, whose columns add up to its sums (PO-18)', async () => {
    const { code, stderr, stdout } = await runProgram('books', '--config', config())
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^block \d+: .*the books balance\n$/)])
    const [head = '', ...lines] = stdout.split('\r\n').slice(0, -1)
    const column = head.split(',').indexOf('adds_reserve_sat')
    const sum = lines.reduce((total, line) => total + Number(line.split(',')[column]), 0)
    expect(sum).toBe(1_000_000)
    expect(stderr).toContain('reserve 1000000,')
    expect(lines.filter((line) => line.startsWith('outputs,'))).toHaveLength(1)
  })

  it('writes nothing of a ledger that is not the one its validators signed', async () => {
    const copy = join(own(), 'books-copy')
    cpSync(join(own(), 'data', 'chain'), join(copy, 'chain'), { recursive: true })
    const root = open({ path: join(copy, 'chain'), maxDbs: 12 })
    const ledger = root.openDB<Buffer, Buffer>({
      name: 'ledger',
      encoding: 'binary',
      keyEncoding: 'binary',
    })
    const headers = [...ledger.getRange()].filter(({ key }) => key[0] === 1)
    await ledger.remove(headers.at(-1)?.key as Buffer)
    await root.close()
    const run = await runProgram('books', '--config', config(), '--data-dir', copy)
    expect([run.code, run.stdout]).toEqual([4, ''])
    expect(run.stderr).toContain('do not have the root of block')
    rmSync(copy, { recursive: true })
  })
})

describe('millrace doctor --verify-state', () => {
  it(
    'finds nothing wrong with a node that was stopped, and changes nothing',
    async () => {
      const { code, diagnosis, found } = await doctor('--verify-state')
      expect(found).toEqual([])
      expect([code, diagnosis.ok]).toEqual([0, true])
      expect(diagnosis.checks.length).toBeGreaterThanOrEqual(12)
      const details = Object.fromEntries(diagnosis.checks.map(({ name, detail }) => [name, detail]))
      expect(details['blocks']).toMatch(/^1 to \d+: checksums, hashes and parents are right$/)
      expect(details['ledger']).toMatch(/^\d+ rows have the root of block \d+/)
      expect(details['EVM blocks']).toMatch(/^0 to \d+: hashes, receipts and indexes are right$/)
      expect(details['EVM state']).toMatch(/^\d+ accounts and \d+ slots have the state root/)
    },
    PATIENCE,
  )

  async function heightOf(dataDir: string): Promise<number> {
    const read = await readChainStore(join(dataDir, 'chain'))
    if (!read.ok) throw new Error(read.reason)
    const height = read.store.headHeight()
    await read.store.close()
    return height
  }

  /** A node on that directory until the chain has grown beyond `height`; gives what it said. */
  async function runsAbove(dataDir: string, height: number): Promise<string> {
    const node = new Program(['node', '--config', config(), '--data-dir', dataDir])
    await node.says(/"event":"ready"/)
    const rpc = createNodeRpc(federation.urls[0] as string)
    while ((await rpc.call<{ height: number }>('getheadblock')).height <= height) {
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    node.child.kill('SIGTERM')
    expect(await node.exited).toBe(0)
    return node.stdout + node.stderr
  }

  type Encodings = { readonly key: 'ordered-binary' | 'binary' | 'uint32' }
  /** Flips the last bit of the value that `pick` chooses. */
  async function damage(
    directory: string,
    name: string,
    { key: keyEncoding }: Encodings,
    pick: (keys: readonly Key[]) => Key | undefined = (keys) => keys.at(-1),
  ): Promise<void> {
    const root = open({ path: directory, maxDbs: 16, overlappingSync: false })
    const table = root.openDB<Buffer, Key>({ name, encoding: 'binary', keyEncoding })
    const key = pick([...table.getKeys()]) as Key
    const record = Buffer.from(table.get(key) as Buffer)
    record.writeUInt8(record.readUInt8(record.length - 1) ^ 1, record.length - 1)
    await table.put(key, record)
    await root.close()
  }

  const damages: Record<string, readonly [string, (data: string) => Promise<void>]> = {
    'a block': [
      'blocks',
      (data) =>
        damage(join(data, 'chain'), 'blocks', { key: 'ordered-binary' }, ([, second]) => second),
    ],
    'a row of the ledger': [
      'ledger',
      (data) => damage(join(data, 'chain'), 'ledger', { key: 'binary' }),
    ],
    'an account': ['EVM state', (data) => damage(join(data, 'evm'), 'accounts', { key: 'binary' })],
    'a slot': ['EVM state', (data) => damage(join(data, 'evm'), 'storage', { key: 'binary' })],
    'a node of a trie': [
      'EVM state',
      (data) => damage(join(data, 'evm'), 'nodes', { key: 'binary' }),
    ],
    'a contract': ['EVM state', (data) => damage(join(data, 'evm'), 'code', { key: 'binary' })],
    'the place of a transaction': [
      'EVM blocks',
      (data) => damage(join(data, 'evm'), 'transactions', { key: 'binary' }),
    ],
    'a hash': [
      'EVM blocks',
      (data) => damage(join(data, 'evm'), 'hashes', { key: 'uint32' }, ([, second]) => second),
    ],
    'a payload': [
      'EVM blocks',
      (data) => damage(join(data, 'evm'), 'payloads', { key: 'uint32' }, ([, second]) => second),
    ],
  }

  it.each(Object.keys(damages))(
    '4: one bit of %s is another: it says so, and what to do',
    async (what) => {
      const [check, damageOne] = damages[what] as (typeof damages)[string]
      const copy = join(own(), 'copy')
      cpSync(join(own(), 'data'), copy, { recursive: true })
      try {
        await damageOne(copy)
        const { code, found } = await doctor('--verify-state', '--data-dir', copy)
        expect([code, found.map(({ name }) => name)]).toEqual([4, [check]])
        expect(found[0]?.advice).toBeTruthy()
      } finally {
        rmSync(copy, { recursive: true })
      }
    },
    PATIENCE,
  )

  it.each(['a row of the ledger', 'an account', 'a payload'])(
    'SY-9: --repair makes %s again, and the node goes on from its last block',
    async (what) => {
      const [, damageOne] = damages[what] as (typeof damages)[string]
      const copy = join(own(), 'copy')
      cpSync(join(own(), 'data'), copy, { recursive: true })
      try {
        await damageOne(copy)
        const { code, diagnosis, found } = await doctor('--repair', '--data-dir', copy)
        expect([code, found]).toEqual([0, []])
        const repaired = diagnosis.checks.filter(({ name }) => name === 'repair')
        expect(repaired.map(({ detail }) => detail)).toEqual([
          expect.stringMatching(/checkpoint \d+|the next start executes the blocks again/),
        ])
        await runsAbove(copy, await heightOf(copy))
        expect((await doctor('--verify-state', '--data-dir', copy)).found).toEqual([])
      } finally {
        rmSync(copy, { recursive: true })
      }
    },
    PATIENCE,
  )

  it(
    'SY-9: a node that finds ledger and EVM state damaged at its start makes both again and goes on',
    async () => {
      const copy = join(own(), 'copy')
      cpSync(join(own(), 'data'), copy, { recursive: true })
      try {
        const height = await heightOf(copy)
        await damage(join(copy, 'chain'), 'ledger', { key: 'binary' })
        await damage(join(copy, 'evm'), 'nodes', { key: 'binary' }, ([root]) => root)
        const said = await runsAbove(copy, height)
        expect(said).toMatch(/the ledger is made again/)
        expect(said).toMatch(/the EVM state is made again/)
        expect((await doctor('--verify-state', '--data-dir', copy)).found).toEqual([])
      } finally {
        rmSync(copy, { recursive: true })
      }
    },
    PATIENCE,
  )

  it(
    '4: the node runs: its data is left alone',
    async () => {
      federation.startNode(0)
      await federation.answers(0)
      const { code, found } = await doctor('--verify-state')
      expect([code, found.map(({ name }) => name)]).toEqual([4, ['data']])
      expect((await doctor()).code).toBe(0)
      await federation.stopNode(0)
    },
    PATIENCE,
  )
})
