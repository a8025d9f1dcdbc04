/** Files that must survive a kill at any moment: replaced whole, or appended to; fsynced before anyone is told. */
import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Replaces a file: either the old or the new content is there afterwards. */
export async function replaceFile(path: string, content: string, mode = 0o600): Promise<void> {
  const fresh = `${path}.${randomUUID()}.new`
  const file = await open(fresh, 'wx', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
  await syncDirectory(dirname(path))
}

/** The content, or undefined when there is no such file. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** A file of lines that only grows. */
export interface LineFile {
  /** Resolves when the line is on disk. Appends keep their order; after one that failed all fail: a line may be torn, which the next start cuts off. */
  append(line: string): Promise<void>
  close(): Promise<void>
}

export interface OpenedLines {
  readonly file: LineFile
  /** The whole lines; a torn last one was cut off. */
  readonly lines: readonly string[]
}

export async function openLines(path: string): Promise<OpenedLines> {
  const content = (await readIfPresent(path)) ?? ''
  const end = content.lastIndexOf('\n') + 1
  const handle = await open(path, 'a', 0o600)
  if (end < content.length) await handle.truncate(Buffer.byteLength(content.slice(0, end)))
  await handle.sync()
  await syncDirectory(dirname(path))
  const lines = content.slice(0, end).split('\n').slice(0, -1)
  return { file: new AppendedLines(handle), lines }
}

export class AppendedLines implements LineFile {
  private readonly handle: Pick<FileHandle, 'appendFile' | 'datasync' | 'close'>
  private last: Promise<void> = Promise.resolve()

  constructor(handle: Pick<FileHandle, 'appendFile' | 'datasync' | 'close'>) {
    this.handle = handle
  }

  append(line: string): Promise<void> {
    const done = this.last.then(async () => {
      await this.handle.appendFile(`${line}\n`)
      await this.handle.datasync()
    })
    this.last = done
    done.catch(() => {})
    return done
  }

  async close(): Promise<void> {
    await this.last.catch(() => {})
    await this.handle.close()
  }
}
