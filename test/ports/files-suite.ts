/** What must survive a kill, on a real disk or a simulated one: the sign guard, a member's journal lines and its header. */
import type { SignGuard } from '../../actors/chain/index.ts'
import { encodeBlock, genesisHeader } from '../../core/block/index.ts'
import { type GuardRecord, guardedBlock } from '../../core/guard/index.ts'
import { genesisLedger, ledgerRoot } from '../../core/ledger/index.ts'
import { sha256 } from '../../crypto/index.ts'
import type { LineFile } from '../../governance/files.ts'
import type { HeadStore } from '../../governance/port.ts'
import { blockOf, certificateBy, hashOf } from '../unit/core/pbft/fixtures.ts'
import { testGenesis } from '../unit/core/peg/world.ts'

/** One process with what it has open on the disk; `kill` ends it, and gives the next one. */
export interface FilesUnderTest {
  openGuard(committedHeight: number): Promise<SignGuard>
  openLines(): Promise<{ readonly file: LineFile; readonly lines: readonly string[] }>
  readonly heads: HeadStore
  kill(): Promise<FilesUnderTest>
  close(): Promise<void>
}

const block = blockOf({
  height: 5,
  slot: 101,
  parentHash: sha256(Uint8Array.of(1)),
  author: 0,
  salt: 1,
})
const other = blockOf({
  height: 5,
  slot: 102,
  parentHash: sha256(Uint8Array.of(1)),
  author: 1,
  salt: 2,
})
const certificate = certificateBy([0, 1, 2], 4, 'prepare', 5, 0, hashOf(block))

const prepare: Extract<GuardRecord, { kind: 'prepare' }> = {
  kind: 'prepare',
  height: 5,
  view: 0,
  hash: hashOf(block),
  block: encodeBlock(block),
}
const commit: GuardRecord = {
  kind: 'commit',
  height: 5,
  view: 0,
  hash: hashOf(block),
  block: new Uint8Array(0),
  certificate,
}

export function filesSuite(name: string, open: () => Promise<FilesUnderTest>): void {
  describe(`durable files: ${name}`, () => {
    let under: FilesUnderTest
    beforeEach(async () => {
      under = await open()
    })
    afterEach(() => under.close())

    it('2.8: what the guard took is there after a kill: lock, block and view', async () => {
      const guard = await under.openGuard(0)
      await guard.compact(4)
      for (const record of [prepare, commit]) expect(await guard.append(record)).toBe('sign')
      const before = guard.view()
      under = await under.kill()
      const again = await under.openGuard(4)
      expect(again.view()).toEqual(before)
      expect(again.view().lock).toMatchObject({ view: 0, hash: hashOf(block) })
      expect(guardedBlock(again.view(), hashOf(block))).toEqual(block)
    })

    it('BP-4: the same vote may be signed again, another one not, before and after a kill', async () => {
      const contrary = { ...prepare, hash: hashOf(other), block: encodeBlock(other) }
      const guard = await under.openGuard(0)
      await guard.compact(4)
      expect(await guard.append(prepare)).toBe('sign')
      expect(typeof (await guard.append(contrary))).toBe('object')
      under = await under.kill()
      const again = await under.openGuard(4)
      expect(typeof (await again.append(prepare))).toBe('string')
      expect(typeof (await again.append(contrary))).toBe('object')
    })

    it('2.8: what lies below a committed height is dropped and can never be signed again', async () => {
      const guard = await under.openGuard(0)
      await guard.compact(4)
      expect(await guard.append(prepare)).toBe('sign')
      await guard.compact(5)
      expect(typeof (await guard.append(prepare))).toBe('object')
      under = await under.kill()
      const again = await under.openGuard(5)
      expect(again.view().lock).toBeUndefined()
      expect(typeof (await again.append(prepare))).toBe('object')
    })

    it('PI-10: lines that were acknowledged are there after a kill, whole and in order', async () => {
      const { file, lines } = await under.openLines()
      expect(lines).toEqual([])
      const written = Array.from({ length: 20 }, (_, at) => `line ${at}`)
      await Promise.all(written.map((line) => file.append(line)))
      under = await under.kill()
      const again = await under.openLines()
      expect(again.lines).toEqual(written)
      await again.file.append('one more')
      under = await under.kill()
      expect((await under.openLines()).lines.at(-1)).toBe('one more')
    })

    it('lines that nobody was told of are a prefix after a kill', async () => {
      const { file } = await under.openLines()
      await file.append('first')
      for (const line of ['second', 'third']) void file.append(line).catch(() => {})
      under = await under.kill()
      const { lines } = await under.openLines()
      expect(['first', 'second', 'third'].slice(0, lines.length)).toEqual(lines)
      expect(lines.length).toBeGreaterThan(0)
    })

    it('a member’s header is the one that was saved last', async () => {
      expect(await under.heads.load()).toBeUndefined()
      const genesis = testGenesis()
      const first = genesisHeader(genesis, ledgerRoot(genesisLedger(genesis)))
      const nextValidators = [...genesis.validators]
      const second = { header: { ...first, height: 7 }, nextValidators }
      await under.heads.save({ header: first, nextValidators })
      await under.heads.save(second)
      under = await under.kill()
      expect(await under.heads.load()).toEqual(second)
    })
  })
}
