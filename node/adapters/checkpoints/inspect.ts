/** What the doctor says of checkpoints. */
import { existsSync } from 'node:fs'
import { Base } from './base.ts'
import { ROW_TABLE } from './rows.ts'
import { Shelf } from './shelf.ts'

export interface ShelfReport {
  /** Of the good ones, the newest first. */
  readonly heights: readonly number[]
  /** What is wrong, if something is. */
  readonly damage?: string
}

/** `isThorough`: every row of the whole one is read. Undefined: there are none. */
export async function inspectCheckpoints(
  directory: string,
  isThorough: boolean,
): Promise<ShelfReport | undefined> {
  const shelf = new Shelf(directory)
  if (!existsSync(shelf.basePath)) return undefined
  let base: Base | undefined
  try {
    base = Base.open(shelf.basePath, 'read')
    const meta = base.meta()
    if (meta === undefined) return undefined
    if (isThorough) readAll(base)
    const heights = shelf.good(base).map(({ meta: { height } }) => height)
    const bad = shelf.deltas(meta).find((delta) => !heights.includes(delta.meta.height))
    const damage = bad && `checkpoint ${bad.meta.height} is not whole`
    return { heights, ...(damage !== undefined && { damage }) }
  } catch (error) {
    return { heights: [], damage: (error as Error).message }
  } finally {
    await base?.close()
  }
}

function readAll(base: Base): void {
  for (const table of Object.values(ROW_TABLE)) for (const _ of base.rows(table));
}
