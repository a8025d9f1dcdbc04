/**
 * `node state-process.ts fill|measure DIRECTORY ACCOUNTS`: makes a state of that many accounts, or tells in a line of JSON what work
 * on it costs. Apart, so that the memory of the one is not the other's.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionPayload } from '../../core/block/index.ts'
import { hexBytes, sha256, toHex } from '../../crypto/index.ts'
import { type EngineDatabase, openEngineDatabase } from '../../node/adapters/engine/index.ts'
import { type AccountRecord, emptyAccount, encodeAccount } from '../../vm/evm/account.ts'
import { createChainEvm } from '../../vm/evm/chain.ts'
import { BlockDraft, type ParentHeader } from '../../vm/evm/executor.ts'
import { keccak256 } from '../../vm/evm/keccak.ts'
import { sealState } from '../../vm/evm/state.ts'
import {
  compactKey,
  encodeBranch,
  encodeExtension,
  encodeLeaf,
  referenceTo,
} from '../../vm/evm/trie-nodes.ts'
import { attributes, CHAIN_ID, COINBASE, keyOf, signed } from '../unit/vm/evm/fixtures.ts'
import { median } from './figures.ts'
import { anonymousMib } from './processes.ts'

const [mode = '', directory = '', given = ''] = process.argv.slice(2)
const accounts = Number(given)

const HASH_BYTES = 32
/** Of the hash's bytes: so many buckets share the first two. */
const BUCKETS = 65_536
/** Rows of one transaction of the database. */
const CHUNK = 200_000
const DIRTY_KEYS = 1_000
const ROUNDS = 9
const BLOCKS = 12
const BLOCK_TRANSACTIONS = 1_400
const WARM_UP_BLOCKS = 3

const record: AccountRecord = { ...emptyAccount(), balance: 10n ** 21n }
const value = encodeAccount(record)

/** In ascending order, evenly over all addresses. */
function addressHexOf(index: number): string {
  const high = Math.floor((index * 2 ** 40) / accounts)
  return high.toString(16).padStart(10, '0') + index.toString(16).padStart(30, '0')
}

/** Hashes of all addresses, in ascending order. */
function sortedKeys(): Uint8Array {
  const keys = new Uint8Array(accounts * HASH_BYTES)
  const counts = new Uint32Array(BUCKETS + 1)
  for (let index = 0; index < accounts; index++) {
    const key = keccak256(Buffer.from(addressHexOf(index), 'hex'))
    keys.set(key, index * HASH_BYTES)
    const bucket = bucketOf(key, 0) + 1
    counts[bucket] = (counts[bucket] as number) + 1
  }
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    counts[bucket + 1] = (counts[bucket + 1] as number) + (counts[bucket] as number)
  }
  const order = new Uint32Array(accounts)
  const next = counts.slice()
  for (let index = 0; index < accounts; index++) {
    const bucket = bucketOf(keys, index * HASH_BYTES)
    order[next[bucket] as number] = index
    next[bucket] = (next[bucket] as number) + 1
  }
  const view = Buffer.from(keys.buffer)
  const compare = (left: number, right: number) =>
    view.compare(
      view,
      right * HASH_BYTES,
      (right + 1) * HASH_BYTES,
      left * HASH_BYTES,
      (left + 1) * HASH_BYTES,
    )
  const sorted = new Uint8Array(keys.length)
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    order.subarray(counts[bucket], counts[bucket + 1]).sort(compare)
  }
  for (const [at, index] of order.entries()) {
    sorted.set(keys.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES), at * HASH_BYTES)
  }
  return sorted
}

function bucketOf(keys: Uint8Array, at: number): number {
  return ((keys[at] as number) << 8) | (keys[at + 1] as number)
}

/** What is to be written, handed over a chunk at a time. */
class Rows {
  readonly #database: EngineDatabase
  #accounts = new Map<string, AccountRecord>()
  #nodes = new Map<string, Uint8Array>()
  readonly #written: Promise<void>[] = []

  constructor(database: EngineDatabase) {
    this.#database = database
  }

  account(addressHex: string): void {
    this.#accounts.set(addressHex, record)
    if (this.#accounts.size === CHUNK) this.#write()
  }

  node(path: string, node: Uint8Array): void {
    this.#nodes.set(path, node)
    if (this.#nodes.size === CHUNK) this.#write()
  }

  async end(): Promise<void> {
    this.#write()
    await Promise.all(this.#written)
  }

  /** As block 0 each time: nothing before it has a past. The store has written when it returns its promise. */
  #write(): void {
    const payload = emptyPayload()
    const delta = {
      accounts: this.#accounts,
      storage: new Map(),
      code: new Map(),
      nodes: this.#nodes,
    }
    const nothing = { receipts: [], transactionHashes: [], senders: [] }
    this.#written.push(this.#database.append([{ payload, delta, ...nothing }]))
    this.#accounts = new Map()
    this.#nodes = new Map()
  }
}

function emptyPayload(): ExecutionPayload {
  const zero = new Uint8Array(32)
  return {
    parentHash: zero,
    feeRecipient: new Uint8Array(20),
    stateRoot: zero,
    receiptsRoot: zero,
    logsBloom: new Uint8Array(256),
    prevRandao: zero,
    blockNumber: 0,
    gasLimit: 30_000_000,
    gasUsed: 0,
    timestamp: 1,
    extraData: new Uint8Array(0),
    baseFeePerGas: 7n,
    blockHash: sha256(Buffer.from('state')),
    transactions: [],
    withdrawals: [],
    blobGasUsed: 0,
    excessBlobGas: 0,
    parentBeaconBlockRoot: zero,
    executionRequests: [],
  }
}

/** The trie of sorted keys, from its leaves up: every node is written once. */
function writeTrie(sorted: Uint8Array, rows: Rows): void {
  const hexOf = (at: number) => toHex(sorted.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES))
  const digitAt = (at: number, depth: number) => {
    const byte = sorted[at * HASH_BYTES + (depth >> 1)] as number
    return depth % 2 === 0 ? byte >> 4 : byte & 15
  }
  function encode(from: number, to: number, depth: number): Uint8Array {
    const first = hexOf(from)
    if (to - from === 1) return encodeLeaf(compactKey(first, depth, true), value)
    const last = hexOf(to - 1)
    let shared = depth
    while (first.charCodeAt(shared) === last.charCodeAt(shared)) shared += 1
    if (shared > depth) {
      const child = reference(from, to, shared, first.slice(0, shared))
      return encodeExtension(compactKey(first.slice(0, shared), depth, false), child)
    }
    const children: (Uint8Array | undefined)[] = new Array(16).fill(undefined)
    for (let start = from; start < to; ) {
      const digit = digitAt(start, depth)
      let end = start + 1
      while (end < to && digitAt(end, depth) === digit) end += 1
      const path = first.slice(0, depth) + digit.toString(16)
      children[digit] = reference(start, end, depth + 1, path)
      start = end
    }
    return encodeBranch(children)
  }
  function reference(from: number, to: number, depth: number, path: string): Uint8Array {
    const node = encode(from, to, depth)
    if (node.length >= 32) rows.node(path, node)
    return referenceTo(node)
  }
  rows.node('', encode(0, accounts, 0))
}

async function fill(database: EngineDatabase): Promise<void> {
  const rows = new Rows(database)
  for (let index = 0; index < accounts; index++) rows.account(addressHexOf(index))
  writeTrie(sortedKeys(), rows)
  await rows.end()
}

/** Numbers below `accounts`, the same in every run, no two alike in a row of `accounts`. */
function* somebody(): Generator<number> {
  let at = 12_345 % accounts
  // A step that has no factor in common with the count visits everybody.
  const step = 7_368_787
  for (;;) {
    at = (at + step) % accounts
    yield at
  }
}

const people = somebody()
const next = () => addressHexOf(people.next().value as number)

function rootUsPerKey(database: EngineDatabase): number {
  const view = database.view()
  const samples: number[] = []
  const count = Math.min(DIRTY_KEYS, accounts)
  for (let round = 0; round < ROUNDS; round++) {
    const changed = new Map<string, AccountRecord>()
    while (changed.size < count) changed.set(next(), { ...record, nonce: BigInt(round + 1) })
    const before = process.cpuUsage()
    sealState(view, { accounts: changed, storage: new Map(), code: new Map() })
    samples.push(process.cpuUsage(before).user / count)
  }
  return median(samples)
}

async function transactions(database: EngineDatabase) {
  const chain = await createChainEvm(CHAIN_ID)
  const key = keyOf('state')
  const perBlock: number[] = []
  const nonces = new Map<string, number>()
  let parent: ParentHeader = emptyPayload()
  let raws = 0
  let warmBytes = 0
  for (let height = 1; height <= BLOCKS; height++) {
    const list = Array.from({ length: BLOCK_TRANSACTIONS }, () => {
      const [to, from] = [next(), next()]
      const nonce = nonces.get(from) ?? 0
      nonces.set(from, nonce + 1)
      // Whose signature it is nobody looks at: the sender is told.
      return { raw: signed(key, { nonce, to: hexBytes(to), value: 1n }), sender: hexBytes(from) }
    })
    const before = process.cpuUsage()
    const asked = {
      ...attributes(parent.blockHash, height),
      feeRecipient: COINBASE,
      gasLimit: 30_000_000,
    }
    const draft = new BlockDraft(chain, database.view(), parent, asked)
    await draft.pack(list, () => false)
    const block = await draft.finish(asked)
    await database.append([block])
    const { user, system } = process.cpuUsage(before)
    database.refresh()
    parent = block.payload
    const count = block.payload.transactions.length
    if (height === WARM_UP_BLOCKS) warmBytes = bytesOf()
    if (height <= WARM_UP_BLOCKS) continue
    raws += count
    perBlock.push((user + system) / count)
  }
  // The first blocks also make the pages that later ones change in turn.
  const grownBytes = bytesOf() - warmBytes
  return { transactionUs: median(perBlock), transactions: raws, grownBytes }
}

const bytesOf = () => statSync(join(directory, 'data.mdb')).blocks * 512

async function measure(database: EngineDatabase): Promise<void> {
  const bytesBefore = bytesOf()
  const rootUs = rootUsPerKey(database)
  const measured = await transactions(database)
  const figures = {
    rootUs,
    ...measured,
    memoryMib: anonymousMib(process.pid),
    bytes: bytesBefore,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}

const database = openEngineDatabase(directory, 'write')
if ('code' in database) throw new Error(database.reason)
await (mode === 'fill' ? fill(database) : measure(database))
await database.close()
