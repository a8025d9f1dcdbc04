/** The directory of the state as a whole: thrown away in one step. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Empties the state in one durable step, the new name of its directory: after a crash all of it is there, or nothing. Nobody may
 * have it open.
 */
export function discardState(directory: string): void {
  removeDiscarded(directory)
  if (!existsSync(directory)) return
  renameSync(directory, discarded(directory))
  const parent = openSync(dirname(directory), 'r')
  try {
    fsyncSync(parent)
  } finally {
    closeSync(parent)
  }
  removeDiscarded(directory)
}

/** What a crash left of a state that was discarded. */
export function removeDiscarded(directory: string): void {
  rmSync(discarded(directory), { recursive: true, force: true })
}

function discarded(directory: string): string {
  return `${directory}.discarded`
}
