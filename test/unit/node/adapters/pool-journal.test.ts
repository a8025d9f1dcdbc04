/** MP-7: what waits in the pool is there again after a restart, whenever the process was killed. */
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPoolJournal } from '../../../../node/adapters/pool-journal/index.ts'

let directory = ''
const faults: unknown[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-pool-'))
  faults.length = 0
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (change: Partial<Parameters<typeof openPoolJournal>[0]> = {}) =>
  openPoolJournal({
    directory,
    maxTransactions: 100,
    maxBytes: 10_000,
    maxTransactionBytes: 200,
    leastBytes: 500,
    onFault: (error) => void faults.push(error),
    ...change,
  })
const transaction = (index: number, length = 60) => ({
  raw: new Uint8Array(length).fill(index),
  sinceMs: 1_700_000_000_000 + index,
})
const files = () => readdirSync(directory).map((name) => join(directory, name))

it('MP-7: without a close, all that was remembered is there, in its order and with its times', async () => {
  const first = open()
  for (const index of [3, 1, 2, 1]) first.remember([transaction(index)])
  const second = open()
  second.remember([transaction(4)])
  expect(await open().load()).toEqual([3, 2, 1, 4].map((index) => transaction(index)))
  for (const journal of [first, second]) await journal.close()
  expect(faults).toEqual([])
})

it('MP-7: a record that a kill cut off, or that is not what was written, ends its file and nothing else', async () => {
  const journal = open()
  for (const index of [1, 2, 3]) journal.remember([transaction(index)])
  await journal.close()
  const [file] = files() as [string]
  const whole = readFileSync(file)
  for (let length = whole.length - 1; length > whole.length - 76; length -= 15) {
    truncateSync(file, length)
    expect((await open().load()).map(({ raw }) => raw[0])).toEqual([1, 2])
  }
  writeFileSync(file, whole)
  appendFileSync(file, Buffer.alloc(500, 0xff))
  expect(await open().load()).toHaveLength(3)
  whole[100] = 0xee
  writeFileSync(file, whole)
  expect((await open().load()).map(({ raw }) => raw[0])).toEqual([1])
})

it('MP-7: what no longer waits is left behind in time, and what comes meanwhile is not lost', async () => {
  const journal = open()
  for (let index = 0; index < 40; index++) journal.remember([transaction(index)])
  const waiting = [transaction(38), transaction(39)]
  journal.forget({ bytes: 120, all: () => waiting })
  journal.remember([transaction(77)])
  await journal.close()
  expect(files()).toHaveLength(1)
  expect(new Set((await open().load()).map(({ raw }) => raw[0]))).toEqual(new Set([38, 39, 77]))
})

it('MP-7: a kill while the fresh file is filled loses nothing', async () => {
  const journal = open()
  for (let index = 0; index < 40; index++) journal.remember([transaction(index)])
  function* waiting() {
    yield transaction(38)
    throw new Error('killed')
  }
  expect(() => journal.forget({ bytes: 60, all: waiting })).toThrow('killed')
  expect((await open().load()).map(({ raw }) => raw[0])).toHaveLength(40)
})

it('MP-1: no more is loaded than the pool holds, the latest', async () => {
  const journal = open()
  for (let index = 0; index < 40; index++) journal.remember([transaction(index)])
  const few = await open({ maxTransactions: 3 }).load()
  expect(few.map(({ raw }) => raw[0])).toEqual([37, 38, 39])
  expect(await open({ maxBytes: 200 }).load()).toHaveLength(3)
})

it('a disk that cannot be written is told once, and the pool goes on', async () => {
  const path = join(directory, 'file')
  writeFileSync(path, '')
  const journal = open({ directory: join(path, 'below') })
  journal.remember([transaction(1)])
  journal.forget({ bytes: 0, all: () => [] })
  expect(await journal.load()).toEqual([])
  await journal.close()
  expect(faults).toHaveLength(1)
})
