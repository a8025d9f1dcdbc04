import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { directoryHolder, lockDirectory } from '../../../../node/adapters/data-directory/index.ts'

const adapter = fileURLToPath(
  new URL('../../../../node/adapters/data-directory/index.ts', import.meta.url),
)

describe('the lock of a data directory', () => {
  let directory: string
  const children: ReturnType<typeof spawn>[] = []
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
  })
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  const lock = () => join(directory, 'LOCK')

  /** Another process that takes the directory and stays, or says why not. */
  function holder(): Promise<{ pid: number; said: string; kill(): Promise<void> }> {
    const source = [
      `import { lockDirectory } from ${JSON.stringify(adapter)}`,
      `const taken = lockDirectory(${JSON.stringify(directory)})`,
      `console.log(taken.ok ? 'taken' : 'held by ' + taken.pid)`,
      `if (taken.ok) setInterval(() => {}, 1000)`,
    ].join('\n')
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.stdout.on('data', (chunk: Buffer) =>
        resolve({
          pid: child.pid as number,
          said: chunk.toString().trim(),
          kill: () =>
            new Promise((done) => {
              child.on('exit', () => done())
              child.kill('SIGKILL')
            }),
        }),
      )
    })
  }

  it('one process at a time: the second one is told who holds it', async () => {
    const first = await holder()
    expect(first.said).toBe('taken')
    expect(directoryHolder(directory)).toBe(first.pid)
    expect(lockDirectory(directory)).toEqual({ ok: false, pid: first.pid })
    expect((await holder()).said).toBe(`held by ${first.pid}`)
  })

  it('SU-12: after a kill the next one takes it without an operator', async () => {
    const first = await holder()
    await first.kill()
    expect(existsSync(lock())).toBe(true)
    const taken = lockDirectory(directory)
    expect(taken.ok).toBe(true)
    expect(readdirSync(directory)).toEqual(['LOCK'])
  })

  it('SU-12: an id that another program got since is no holder', async () => {
    const first = await holder()
    const [pid, began] = readFileSync(lock(), 'utf8').split(' ')
    if (began === '') return
    writeFileSync(lock(), `${pid} 1`)
    expect(directoryHolder(directory)).toBeUndefined()
    expect(lockDirectory(directory).ok).toBe(true)
    expect(first.pid).toBe(Number(pid))
  })

  it('what is no lock is taken over; release removes it', () => {
    for (const text of ['', 'nonsense', '-5', '0', '1e9', '99999999']) {
      writeFileSync(lock(), text)
      const taken = lockDirectory(directory)
      if (!taken.ok) throw new Error(`held: ${text}`)
      taken.release()
      expect(existsSync(lock())).toBe(false)
    }
  })

  it('a lock of this very process, left by an earlier one of the same id, is taken over', () => {
    writeFileSync(lock(), String(process.pid))
    expect(lockDirectory(directory).ok).toBe(true)
  })
})
