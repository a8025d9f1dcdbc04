import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clientGenesis, main } from '../../../../node/genesis/index.ts'

describe('millrace genesis', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-genesis-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it('says what is wrong with a file that is not there, no JSON, or no genesis file', () => {
    const path = join(directory, 'genesis.json')
    expect(clientGenesis(path)).toMatchObject({ ok: false })
    for (const text of ['{', '{}', 'null']) {
      writeFileSync(path, text)
      const written = clientGenesis(path)
      expect(written.ok).toBe(false)
      if (!written.ok) expect(written.reason.startsWith(`${path}: `)).toBe(true)
    }
  })

  it('has the exit codes of every command: 2 for wrong use, 3 for the file', async () => {
    const { stderr } = process
    const write = stderr.write.bind(stderr)
    stderr.write = () => true
    try {
      expect(await main([])).toBe(2)
      expect(await main(['--nothing'])).toBe(2)
      expect(await main(['--genesis-file', join(directory, 'absent')])).toBe(3)
    } finally {
      stderr.write = write
    }
  })
})
