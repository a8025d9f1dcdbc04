import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readArchive, readHeader, writeArchive } from '../../../../node/backup/archive.ts'

const PASSWORD = 'correct horse battery'
const header = { chain: 'test', genesisHash: 'aa', createdAtMs: 5, headHeight: 7, headSlot: 9 }
const random = (length: number) => new Uint8Array(length).fill(length)

describe('a backup (OP-6)', () => {
  let directory: string
  let path: string
  /** More than three chunks, one that ends with a chunk, and an empty one. */
  const contents: Readonly<Record<string, Buffer>> = {
    first: Buffer.alloc(3 * 1024 * 1024 + 17, 1),
    empty: Buffer.alloc(0),
    last: Buffer.from('the end'),
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-backup-'))
    path = join(directory, 'backup')
    const files = Object.entries(contents).map(([name, bytes]) => {
      writeFileSync(join(directory, name), bytes)
      return { name, path: join(directory, name) }
    })
    await writeArchive(path, header, files, PASSWORD, random)
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const read = async (from = path, password = PASSWORD) => {
    const found: Record<string, Buffer> = {}
    const said = await readArchive(from, password, async (name, piece) => {
      found[name] = Buffer.concat([found[name] ?? Buffer.alloc(0), piece])
    })
    return { found, said }
  }

  it('gives back every file byte for byte, and its header to anybody', async () => {
    const { found, said } = await read()
    expect(Object.keys(found)).toEqual(Object.keys(contents))
    for (const [name, bytes] of Object.entries(contents))
      expect(found[name]?.equals(bytes)).toBe(true)
    expect(said).toMatchObject(header)
    expect(await readHeader(path)).toMatchObject(header)
    expect(readFileSync(path).includes('the end')).toBe(false)
    expect(readdirSync(directory).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  it('does not open with another password', async () => {
    await expect(read(path, 'another password')).rejects.toMatchObject({ code: 'BackupLocked' })
  })

  it('a changed, moved or missing byte anywhere is seen', async () => {
    const whole = readFileSync(path)
    const start = 8 + 8 + whole.readUInt32BE(12)
    const chunk = 4 + whole.readUInt32BE(start)
    const flipped = (at: number) => {
      const copy = Buffer.from(whole)
      copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
      return copy
    }
    const one = whole.subarray(start, start + chunk)
    const two = whole.subarray(start + chunk, start + 2 * chunk)
    const cases: Buffer[] = [
      flipped(0),
      flipped(start - 3),
      flipped(start + 9),
      flipped(start + chunk + 9),
      flipped(whole.length - 1),
      whole.subarray(0, whole.length - 1),
      whole.subarray(0, start + chunk),
      Buffer.concat([whole.subarray(0, start), two, one, whole.subarray(start + 2 * chunk)]),
      whole.subarray(0, 5),
    ]
    const damaged = join(directory, 'damaged')
    for (const bytes of cases) {
      writeFileSync(damaged, bytes)
      await expect(read(damaged)).rejects.toThrow()
    }
  })
})
