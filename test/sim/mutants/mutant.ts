/** A planted bug: one exact piece of a file's source that is replaced while the module is loaded. No product code knows of it. */

import type { ProfileName } from '../profiles.ts'

export type Room = 'kernel' | 'consensus' | 'storage' | 'peg' | 'sync'

export interface Mutant {
  readonly name: string
  readonly room: Room
  /** Of the worlds that it is looked for in [everything]. */
  readonly profile?: ProfileName
  /** From the root of the repository. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** The requirement, or the section of the protocol, that no longer holds. */
  readonly breaks: string
  /** What the bug is, in a sentence. */
  readonly says: string
}

/** The source with the bug in it; throws when the place is not there exactly once. */
export function planted({ name, file, find, replace }: Mutant, source: string): string {
  const pieces = source.split(find)
  if (pieces.length !== 2) {
    throw new Error(`mutant ${name}: its place stands ${pieces.length - 1} times in ${file}`)
  }
  return pieces.join(replace)
}
