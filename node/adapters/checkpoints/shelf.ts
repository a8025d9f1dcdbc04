/** The directory of checkpoints: one whole, and files of what changed from one to the next, in order. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Base } from './base.ts'
import { isWhole, readDeltaMeta, readDeltaRows, syncDirectory } from './delta-file.ts'
import type { CheckpointMeta, DeltaMeta, Row } from './rows.ts'

const FILE = /^(\d{1,15})\.checkpoint$/

export interface Delta {
  readonly path: string
  readonly meta: DeltaMeta
}

/** A checkpoint with what it takes to make it: the rows of the whole one, then those of each file. */
export interface Checkpoint {
  readonly meta: CheckpointMeta
  readonly parts: readonly { readonly meta: CheckpointMeta; rows(table: number): Iterable<Row> }[]
}

export class Shelf {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  get basePath(): string {
    return join(this.directory, 'base')
  }

  pathOf(height: number): string {
    return join(this.directory, `${height}.checkpoint`)
  }

  /** Files that follow the whole one, up to the first that does not. */
  deltas(base: CheckpointMeta): readonly Delta[] {
    const found: Delta[] = []
    let last = base
    for (const path of this.#files()) {
      const meta = readDeltaMeta(path)
      if (meta === undefined || meta.height <= last.height) continue
      if (meta.from !== last.height || meta.fromHash !== last.evmHash) break
      found.push({ path, meta })
      last = meta
    }
    return found
  }

  /** Checkpoints whose files are whole, the newest first. Throws where the whole one cannot be read. */
  good(base: Base): readonly Checkpoint[] {
    const meta = base.meta()
    if (meta === undefined) return []
    const parts = [{ meta, rows: (table: number) => base.rows(table) }]
    const found: Checkpoint[] = [{ meta, parts: [...parts] }]
    for (const delta of this.deltas(meta)) {
      if (!isWhole(delta.path)) break
      parts.push({ meta: delta.meta, rows: (table: number) => readDeltaRows(delta.path, table) })
      found.unshift({ meta: delta.meta, parts: [...parts] })
    }
    return found
  }

  /** Removes what is no checkpoint, or follows none that is kept. */
  tidy(kept: ReadonlySet<string>): void {
    for (const name of this.#names()) {
      const path = join(this.directory, name)
      if (name !== 'base' && !kept.has(path)) rmSync(path, { recursive: true, force: true })
    }
  }

  /** Forgets all checkpoints. */
  clear(): void {
    rmSync(this.directory, { recursive: true, force: true })
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    syncDirectory(this.directory)
  }

  #names(): readonly string[] {
    return existsSync(this.directory) ? readdirSync(this.directory) : []
  }

  /** By height. */
  #files(): readonly string[] {
    return this.#names()
      .flatMap((name) => {
        const height = FILE.exec(name)?.[1]
        return height === undefined ? [] : [{ name, height: Number(height) }]
      })
      .sort((left, right) => left.height - right.height)
      .map(({ name }) => join(this.directory, name))
  }
}
