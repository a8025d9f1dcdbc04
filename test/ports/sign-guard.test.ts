import {
  type FileHandle,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { encodeBlock } from '../../core/block/index.ts'
import {
  decodeGuardFile,
  encodeGuardFile,
  encodeGuardHeader,
  type GuardRecord,
  type GuardView,
  guardEntries,
  guardedBlock,
  guardOwner,
  NO_MARK,
  type SigningMark,
} from '../../core/guard/index.ts'
import { sha256 } from '../../crypto/index.ts'
import {
  openGuardOn,
  openSignGuard,
  type SignGuard,
  type SignGuardFile,
  type SigningMarkFile,
  signingMarkFile,
} from '../../node/adapters/sign-guard/index.ts'
import { blockOf, certificateBy, GENESIS_HASH, hashOf, keyOf } from '../unit/core/pbft/fixtures.ts'

const NO_BYTES = new Uint8Array(0)
const PARENT = sha256(Uint8Array.of(1))

const blockA = blockOf({ height: 5, slot: 101, parentHash: PARENT, author: 0, salt: 1 })
const blockB = blockOf({ height: 5, slot: 102, parentHash: PARENT, author: 1, salt: 2 })
const certificateA = certificateBy([0, 1, 2], 4, 'prepare', 5, 0, hashOf(blockA))

const propose: GuardRecord = {
  kind: 'propose',
  height: 5,
  view: 0,
  slot: 101,
  hash: hashOf(blockA),
  fresh: true,
  bytes: Uint8Array.of(1, 2, 3),
}
const prepare: GuardRecord = {
  kind: 'prepare',
  height: 5,
  view: 0,
  hash: hashOf(blockA),
  block: encodeBlock(blockA),
}
const commit: GuardRecord = {
  kind: 'commit',
  height: 5,
  view: 0,
  hash: hashOf(blockA),
  block: NO_BYTES,
  certificate: certificateA,
}
const viewChange: GuardRecord = {
  kind: 'viewChange',
  height: 5,
  view: 1,
  certificate: certificateA,
}
const RECORDS = [propose, prepare, commit, viewChange]

describe('the sign guard file', () => {
  let directory: string
  let path: string
  /** Taken away: the machine stopped before it was written. */
  let markPath: string
  const opened: SignGuard[] = []

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-guard-'))
    path = join(directory, 'guard')
    markPath = join(directory, 'chain', 'signing-mark')
    const guard = await openGuard({ committedHeight: 0 })
    await guard.compact(4)
    await guard.close()
  })

  afterEach(async () => {
    for (const guard of opened.splice(0)) await guard.close()
    await rm(directory, { recursive: true })
  })

  async function openGuard(
    overrides: {
      committedHeight?: number
      compactAtBytes?: number
      key?: number
      nowSlot?: number
    } = {},
  ): Promise<SignGuard> {
    const { committedHeight = 4, key = 0, nowSlot = 100, ...rest } = overrides
    const publicKey = keyOf(key)
    const options = {
      path,
      markPath,
      genesisHash: GENESIS_HASH,
      publicKey,
      committedHeight,
      nowSlot,
      ...rest,
    }
    const guard = await openSignGuard(options)
    if (!guard.ok) throw new Error(guard.error.code)
    opened.push(guard.value)
    return guard.value
  }

  async function write(records: readonly GuardRecord[]): Promise<GuardView> {
    const guard = await openGuard()
    for (const record of records) expect(await guard.append(record)).toBe('sign')
    const view = guard.view()
    await guard.close()
    return view
  }

  it('gives lock, block, own proposal and highest view back after a restart (2.8, T4)', async () => {
    await write(RECORDS)
    const view = (await openGuard()).view()
    expect([view.height, view.view, view.slot]).toEqual([5, 1, 101])
    expect(view.lock).toMatchObject({ view: 0, hash: hashOf(blockA) })
    expect(view.lock?.certificate.signature).toEqual(certificateA.signature)
    expect(guardedBlock(view, hashOf(blockA))).toEqual(blockA)
  })

  it('keeps the exact bytes of the proposal of the present view (BP-4)', async () => {
    await write([propose])
    const guard = await openGuard()
    expect(guard.view().propose).toEqual(propose)
    expect(await guard.append(propose)).toBe('repeat')
    const other = { ...propose, bytes: Uint8Array.of(9) }
    expect(await guard.append(other)).toEqual({ refuse: 'ConflictingPropose' })
  })

  it('writes nothing for a repeated or refused record', async () => {
    const guard = await openGuard()
    await guard.append(prepare)
    expect(await guard.append(prepare)).toBe('repeat')
    const { size } = await stat(path)
    expect(await guard.append(prepare)).toBe('repeat')
    const conflicting = { ...prepare, hash: hashOf(blockB), block: encodeBlock(blockB) }
    expect(await guard.append(conflicting)).toEqual({ refuse: 'ConflictingPrepare' })
    expect((await stat(path)).size).toBe(size)
  })

  it('cuts a tail torn at any byte and goes on behind it (T5, BF-10)', async () => {
    const full = await write(RECORDS)
    const bytes = await readFile(path)
    const before = await lastRecordOffset(bytes)
    for (let length = before; length < bytes.length - 17; length += 7) {
      await writeFile(path, bytes.subarray(0, length))
      await rm(markPath)
      const torn = await openGuard()
      expect([torn.view().view, torn.view().lock?.view]).toEqual([0, 0])
      expect(await torn.append(viewChange)).toBe('sign')
      await torn.close()
      const again = await openGuard()
      expect(again.view()).toEqual(full)
      await again.close()
    }
  })

  it('tells a torn record from one that was signed on: behind that a seal stands (2.8, BF-10)', async () => {
    await write(RECORDS)
    const bytes = await readFile(path)
    // The last record proper, seventeen bytes of seal behind it.
    const at = bytes.length - 17 - 1
    bytes[at]! ^= 1
    await writeFile(path, bytes)
    await expect(openGuard()).rejects.toThrow('GuardDamaged')
    await writeFile(path, bytes.subarray(0, bytes.length - 17))
    await rm(markPath)
    const torn = await openGuard()
    expect(torn.view()).toMatchObject({ height: 5, view: 0 })
  })

  it('seals nothing that is not durable: a height that is closed between a record and its seal (2.8)', async () => {
    const guard = await openGuard()
    const records = RECORDS.map((record) => guard.append(record))
    const closed = guard.compact(5)
    await Promise.all([...records, closed])
    await guard.close()
    const bytes = await readFile(path)
    // A bit of the floor record that is the end of the file.
    bytes[bytes.length - 17 - 1]! ^= 1
    await writeFile(path, bytes)
    await rm(markPath)
    const torn = await openGuard()
    expect(torn.view()).toMatchObject({ floor: 5, height: 5 })
    await torn.close()
  })

  it('takes garbage and zeros at the end for a torn record', async () => {
    const full = await write(RECORDS)
    const bytes = await readFile(path)
    for (const tail of [new Uint8Array(100), new Uint8Array(33).fill(0x47)]) {
      await writeFile(path, Buffer.concat([bytes, tail]))
      const guard = await openGuard()
      expect(guard.view()).toEqual(full)
      await guard.close()
      // A seal for the tail that was cut.
      expect((await stat(path)).size).toBe(bytes.length + 17)
      await writeFile(path, bytes)
    }
  })

  it('refuses to start over a damaged record with good ones behind it', async () => {
    await write(RECORDS)
    const bytes = await readFile(path)
    bytes[Math.floor(bytes.length / 2)]! ^= 1
    await writeFile(path, bytes)
    const publicKey = keyOf(0)
    const facts = { genesisHash: GENESIS_HASH, publicKey, committedHeight: 4, nowSlot: 100 }
    expect(await openSignGuard({ path, markPath, ...facts })).toMatchObject({
      ok: false,
      error: { code: 'GuardDamaged' },
    })
  })

  it('refuses the file of another key, another program or another version', async () => {
    await write(RECORDS)
    await expect(openGuard({ key: 1 })).rejects.toThrow('GuardForeign')
    const bytes = await readFile(path)
    await writeFile(
      path,
      Buffer.concat([bytes.subarray(0, 11), Uint8Array.of(9), bytes.subarray(12)]),
    )
    await expect(openGuard()).rejects.toThrow('GuardUnreadable')
    await writeFile(path, Buffer.alloc(100, 0x20))
    await expect(openGuard()).rejects.toThrow('GuardUnreadable')
  })

  it('forgets a height when it is committed, but not the slot (2.8)', async () => {
    await write(RECORDS)
    const guard = await openGuard()
    await guard.compact(5)
    expect(guard.view()).toMatchObject({ floor: 6, slot: 101, height: -1 })
    expect(guard.view().blocks.size).toBe(0)
    expect(await guard.append({ ...prepare, view: 9 })).toEqual({ refuse: 'BelowFloor' })
    const next = { ...propose, height: 6, view: 3, bytes: Uint8Array.of(4) }
    expect(await guard.append(next)).toEqual({ refuse: 'SlotUsed' })
  })

  it('is compacted when it has grown, without losing what counts', async () => {
    await write([
      ...RECORDS,
      { ...prepare, view: 1, hash: hashOf(blockB), block: encodeBlock(blockB) },
    ])
    const guard = await openGuard({ compactAtBytes: 1000 })
    const view = guard.view()
    await guard.compact(4)
    expect(guard.view()).toEqual({ ...view, floor: 5 })
    await guard.compact(5)
    const { size } = await stat(path)
    expect(size).toBeLessThan(200)
    expect(await guard.append({ ...viewChange, height: 6 })).toBe('sign')
    await guard.close()
    expect((await openGuard({ committedHeight: 5 })).view()).toMatchObject({
      floor: 6,
      height: 6,
      view: 1,
    })
    expect((await readdir(directory)).sort()).toEqual(['chain', 'guard'])
  })

  it('folds to the same view through a rewrite in the middle of a height', async () => {
    const second = { ...prepare, view: 1, hash: hashOf(blockB), block: encodeBlock(blockB) }
    const view = await write([...RECORDS, second])
    const rewritten = encodeGuardFile(guardOwner(GENESIS_HASH, keyOf(0)), guardEntries(view))
    await writeFile(path, rewritten)
    expect((await openGuard()).view()).toEqual(view)
  })

  it('leaves the next height out when the guard is older than the chain (BP-4, 2.8)', async () => {
    await rm(path)
    const lost = await openGuard({ committedHeight: 20 })
    expect(lost.view().floor).toBe(22)
    expect(await lost.append({ ...viewChange, height: 21 })).toEqual({ refuse: 'BelowFloor' })
    expect(await lost.append({ ...viewChange, height: 22 })).toBe('sign')
  })

  it('authors no block of a slot that a forgotten one may have (BP-4, 2.8)', async () => {
    await write([propose])
    const old = await openGuard({ committedHeight: 20, nowSlot: 300 })
    expect(old.view()).toMatchObject({ floor: 22, slot: 310 })
    const next = { ...propose, height: 22, view: 1, bytes: Uint8Array.of(4) }
    expect(await old.append({ ...next, slot: 310 })).toEqual({ refuse: 'SlotUsed' })
    expect(await old.append({ ...next, slot: 311 })).toBe('sign')
  })

  it('refuses a file that was emptied: no crash leaves one', async () => {
    await writeFile(path, new Uint8Array(0))
    await expect(openGuard()).rejects.toThrow('GuardIo')
    await writeFile(path, encodeGuardHeader(guardOwner(GENESIS_HASH, keyOf(0))).subarray(0, 51))
    await expect(openGuard()).rejects.toThrow('GuardUnreadable')
  })

  it('starts a fresh chain with a fresh file, and tolerates a floor that lags by one', async () => {
    await rm(path)
    await rm(markPath)
    const fresh = await openGuard({ committedHeight: 0 })
    expect(fresh.view().floor).toBe(1)
    await fresh.close()
    expect((await openGuard({ committedHeight: 1 })).view().floor).toBe(2)
  })

  it('appends in the order of the calls', async () => {
    const guard = await openGuard()
    const decisions = await Promise.all(RECORDS.map((record) => guard.append(record)))
    expect(decisions).toEqual(['sign', 'sign', 'sign', 'sign'])
    expect(await guard.append(commit)).toEqual({ refuse: 'BelowHighest' })
  })

  it('signs nothing after it was closed', async () => {
    const guard = await openGuard()
    await guard.close()
    await expect(guard.append(prepare)).rejects.toThrow('closed')
  })

  it('syncs what it finds before it counts as recorded: its writer may not have come to that (2.8)', async () => {
    const probe = await open(path, 'r')
    const sync = jest.spyOn(Object.getPrototypeOf(probe) as FileHandle, 'datasync')
    await probe.close()
    try {
      await (await openGuard()).close()
      expect(sync).toHaveBeenCalledTimes(1)
    } finally {
      sync.mockRestore()
    }
  })

  it('says so when the file cannot be opened', async () => {
    const options = {
      path: join(directory, 'missing', 'guard'),
      markPath,
      genesisHash: GENESIS_HASH,
      publicKey: keyOf(0),
      committedHeight: 0,
      nowSlot: 100,
    }
    expect(await openSignGuard(options)).toMatchObject({ ok: false, error: { code: 'GuardIo' } })
  })
})

/** Where the last record starts that is no seal. */
function lastRecordOffset(bytes: Uint8Array): number {
  return Buffer.from(bytes).lastIndexOf('GREC', bytes.length - 18)
}

describe('the owner of a guard file', () => {
  it('is one key on one chain', () => {
    const one = guardOwner(GENESIS_HASH, keyOf(0))
    expect(guardOwner(GENESIS_HASH, keyOf(1))).not.toEqual(one)
    expect(guardOwner(PARENT, keyOf(0))).not.toEqual(one)
  })
})

/** A file of which nothing outlives the power but what was synced. */
class FragileFile implements SignGuardFile {
  #synced: Uint8Array = NO_BYTES
  #tail: Uint8Array = NO_BYTES

  cutPower(): void {
    this.#tail = NO_BYTES
  }

  async read(): Promise<Uint8Array> {
    return Buffer.concat([this.#synced, this.#tail])
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#synced = this.#synced.slice(0, sizeBytes)
    this.#tail = NO_BYTES
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#tail = Buffer.concat([this.#tail, bytes])
  }

  async sync(): Promise<void> {
    this.#synced = await this.read()
    this.#tail = NO_BYTES
  }

  async replace(bytes: Uint8Array): Promise<void> {
    this.#synced = bytes
    this.#tail = NO_BYTES
  }

  async close(): Promise<void> {}
}

class FragileMark implements SigningMarkFile {
  marks: readonly SigningMark[] = []
  fails = false

  async read(): Promise<SigningMark> {
    return this.marks.at(-1) ?? NO_MARK
  }

  async write(_: Uint8Array, mark: SigningMark): Promise<void> {
    if (this.fails) throw new Error('input/output error')
    this.marks = [...this.marks, mark]
  }

  async close(): Promise<void> {}
}

async function openOn(
  file: SignGuardFile,
  mark: SigningMarkFile,
  committedHeight: number,
): Promise<SignGuard> {
  const facts = { genesisHash: GENESIS_HASH, publicKey: keyOf(0), nowSlot: 100 }
  const opened = await openGuardOn(file, mark, { ...facts, committedHeight })
  if (!opened.ok) throw new Error(opened.error.code)
  return opened.value
}

describe('a guard whose machine loses its power', () => {
  it.each([
    ['several blocks that came at once', [4, 9]],
    ['blocks that it signed nothing for', [4, 4, 5, 5, 6, 6, 7]],
  ])('after %s leaves out no height that it forgot nothing of (BP-4, 2.8)', async (_, closed) => {
    const file = new FragileFile()
    const mark = new FragileMark()
    const guard = await openOn(file, mark, 0)
    for (const height of closed) await guard.compact(height)
    file.cutPower()
    const last = closed.at(-1) ?? 0
    expect((await openOn(file, mark, last)).view().floor).toBe(last + 1)
  })
})

describe('a guard from before', () => {
  /** A guard at height 5 over a chain of 4 blocks. */
  async function atFive() {
    const file = new FragileFile()
    const mark = new FragileMark()
    const guard = await openOn(file, mark, 0)
    await guard.compact(4)
    expect(await guard.append(prepare)).toBe('sign')
    return { file, guard, mark }
  }
  const later = (height: number, view: number) => ({ ...viewChange, height, view })

  it('2.8, BP-4: put back one block later leaves out the height that it may have signed at', async () => {
    const { file, guard, mark } = await atFive()
    const old = await file.read()
    await guard.compact(5)
    await guard.append({ ...prepare, height: 6 })
    await guard.close()
    await file.replace(old)
    expect((await openOn(file, mark, 5)).view().floor).toBe(7)
  })

  it('2.8, BP-4: put back at the same height leaves it out where views have passed', async () => {
    const { file, guard, mark } = await atFive()
    const old = await file.read()
    await guard.append(later(5, 1))
    await guard.close()
    await file.replace(old)
    const again = await openOn(file, mark, 4)
    expect(again.view().floor).toBe(6)
    expect(await again.append(later(5, 2))).toEqual({ refuse: expect.any(String) })
  })

  it('2.8: a lost one leaves out even the first height, once something was signed there', async () => {
    const file = new FragileFile()
    const mark = new FragileMark()
    const first = await openOn(file, mark, 0)
    expect(first.view().floor).toBe(1)
    await first.append({ ...prepare, height: 1 })
    await first.close()
    await file.replace(NO_BYTES)
    expect((await openOn(file, mark, 0)).view().floor).toBe(2)
  })

  it('2.8: the mark is behind the guard and before the signature; without it nothing is signed', async () => {
    const { file, guard, mark } = await atFive()
    expect(mark.marks.at(-1)).toEqual({ height: 5, view: 0 })
    const { length } = mark.marks
    await guard.append(commit)
    expect(mark.marks).toHaveLength(length)
    let known: Uint8Array = NO_BYTES
    const write = mark.write.bind(mark)
    mark.write = async (owner, one) => {
      file.cutPower()
      known = await file.read()
      await write(owner, one)
    }
    await guard.append(later(5, 1))
    expect(mark.marks.at(-1)).toEqual({ height: 5, view: 1 })
    const decoded = decodeGuardFile(guardOwner(GENESIS_HASH, keyOf(0)), known)
    expect(decoded.ok && decoded.value.view.view).toBe(1)
    mark.fails = true
    await expect(guard.append(later(5, 2))).rejects.toThrow('input/output error')
  })

  it('2.8: the height that comes is opened while nothing else is to be done', async () => {
    const { guard, mark } = await atFive()
    await guard.compact(5)
    await guard.close()
    expect(mark.marks.at(-1)).toEqual({ height: 6, view: 0 })
  })
})

describe('the file of the signing mark', () => {
  const owner = guardOwner(GENESIS_HASH, keyOf(0))
  let directory: string
  let path: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-mark-'))
    path = join(directory, 'chain', 'signing-mark')
  })
  afterEach(() => rm(directory, { recursive: true }))

  async function reopened(from = owner): Promise<SigningMark> {
    const file = signingMarkFile(path)
    const mark = await file.read(from)
    await file.close()
    return mark
  }

  it('gives the highest that was written, over restarts; none where there is none', async () => {
    expect(await reopened()).toEqual(NO_MARK)
    for (let height = 1; height <= 5; height++) {
      const file = signingMarkFile(path)
      await file.read(owner)
      await file.write(owner, { height, view: 0 })
      await file.write(owner, { height, view: 7 })
      await file.close()
      expect(await reopened()).toEqual({ height, view: 7 })
    }
    expect(await reopened(guardOwner(GENESIS_HASH, keyOf(1)))).toEqual(NO_MARK)
  })

  it('a torn write leaves the mark before it', async () => {
    const file = signingMarkFile(path)
    await file.read(owner)
    for (const height of [1, 2, 3]) await file.write(owner, { height, view: 0 })
    await file.close()
    const bytes = await readFile(path)
    for (let at = 0; at < 64; at++) {
      const torn = Buffer.from(bytes)
      torn[at]! ^= 1
      await writeFile(path, torn)
      expect((await reopened()).height).toBe(at < 32 ? 2 : 3)
    }
    await writeFile(path, bytes.subarray(0, 40))
    expect((await reopened()).height).toBe(3)
  })
})
