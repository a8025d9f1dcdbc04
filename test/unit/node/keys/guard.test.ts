/** `millrace keys guard`: what an operator sees of a sign guard's file. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeGuardFile, guardOwner } from '../../../../core/guard/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import { openSignGuard } from '../../../../node/adapters/sign-guard/index.ts'
import { guardText, inspectGuard } from '../../../../node/keys/index.ts'
import { certificateBy, GENESIS_HASH, keyOf } from '../../core/pbft/fixtures.ts'

const hash = new Uint8Array(32).fill(0xa)
const certificate = certificateBy([0, 1, 2], 4, 'prepare', 5, 1, hash)
const block = Uint8Array.of(7)
const owner = guardOwner(GENESIS_HASH, keyOf(0))

describe('millrace keys guard', () => {
  let directory: string
  let path: string
  const shown = () => inspectGuard({ path, records: 2 })

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-keys-'))
    path = join(directory, 'sign-guard')
    const entries = [
      { kind: 'floor', floor: 5, slot: 99 },
      { kind: 'prepare', height: 5, view: 1, hash, block },
      { kind: 'commit', height: 5, view: 1, hash, block: new Uint8Array(0), certificate },
    ] as const
    await writeFile(path, encodeGuardFile(owner, entries))
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('shows floors, lock and the last records (2.8)', async () => {
    const answer = await shown()
    expect(answer).toMatchObject({
      path,
      owner: toHex(owner),
      version: 2,
      floorHeight: 5,
      highestSlot: 99,
      height: 5,
      view: 1,
      lock: { view: 1, hash: toHex(hash), blockHeld: true },
      tornBytes: 0,
      runningPid: null,
      records: [{ kind: 'prepare' }, { kind: 'commit' }],
    })
    if ('exitCode' in answer) throw new Error(answer.code)
    const text = guardText(answer)
    expect(text).toContain('signs at height 5 and above')
    expect(text).toMatch(/lock +view 1, block 0a0a/)
    expect(text).toContain('commit      height 5  view 1  0a0a')
  })

  it('changes nothing, and stands beside an open guard', async () => {
    const facts = { path, genesisHash: GENESIS_HASH, publicKey: keyOf(0) }
    const opened = await openSignGuard({
      ...facts,
      markPath: `${path}-mark`,
      committedHeight: 4,
      nowSlot: 100,
    })
    if (!opened.ok) throw new Error(opened.error.code)
    const before = await readFile(path)
    expect(await shown()).toMatchObject({ height: 5 })
    expect(await readFile(path)).toEqual(before)
    const record = { kind: 'viewChange', height: 5, view: 2, certificate: undefined } as const
    expect(await opened.value.append(record)).toBe('sign')
    expect(await shown()).toMatchObject({ height: 5, view: 2 })
    await opened.value.close()
  })

  it('says how many bytes of the tail are torn', async () => {
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.from('GREC')]))
    const answer = await shown()
    expect(answer).toMatchObject({ tornBytes: 4, height: 5 })
    if ('exitCode' in answer) throw new Error(answer.code)
    expect(guardText(answer)).toContain('4 bytes that are no whole record (torn by a crash')
  })

  it('names what is wrong with a file that nothing may be signed on', async () => {
    const bytes = await readFile(path)
    bytes[70]! ^= 1
    await writeFile(path, bytes)
    expect(await shown()).toMatchObject({ code: 'GuardDamaged', exitCode: 4 })
    await writeFile(path, bytes.subarray(0, 30))
    expect(await shown()).toMatchObject({ code: 'GuardUnreadable', exitCode: 4 })
    await writeFile(path, 'something else')
    expect(await shown()).toMatchObject({ code: 'GuardUnreadable' })
    await writeFile(path, '')
    expect(await shown()).toMatchObject({ code: 'GuardUnreadable' })
    await rm(path)
    expect(await shown()).toMatchObject({ code: 'GuardMissing' })
    expect(await inspectGuard({ path: directory, records: 2 })).toMatchObject({ code: 'GuardIo' })
  })

  it('needs a genesis file to say whose it is, and says when it is none of its validators’', async () => {
    const genesisFile = join(directory, 'genesis.json')
    const wanted = { path, records: 2, genesisFile }
    expect(await inspectGuard(wanted)).toMatchObject({ code: 'FileUnreadable', exitCode: 3 })
    await writeFile(genesisFile, '{}')
    expect(await inspectGuard(wanted)).toMatchObject({ code: 'GenesisInvalid', exitCode: 3 })
  })
})
