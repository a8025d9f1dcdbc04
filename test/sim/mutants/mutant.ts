/** A planted bug: exact pieces of source that are replaced while their modules are loaded. No product code knows of it. */

import type { ProfileName } from '../profiles.ts'
import type { StageName } from '../stages.ts'

export type Room = 'kernel' | 'consensus' | 'storage' | 'peg' | 'sync'

/** One exact piece of a file's source and what stands there instead. */
export interface Place {
  /** From the root of the repository. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly find: string
  readonly replace: string
}

export interface Mutant extends Place {
  readonly name: string
  readonly room: Room
  /** Of the worlds that it is looked for in [everything]. */
  readonly profile?: ProfileName | StageName
  /** It takes a dozen worlds or more to find, and the whole hunt's command to look for it. */
  readonly rare?: true
  /** Where the same rule is looked at once more. */
  readonly also?: readonly Place[]
  /** The requirement, or the section of the protocol, that no longer holds. */
  readonly breaks: string
  /** What the bug is, in a sentence. */
  readonly says: string
}

export function placesOf(mutant: Mutant): readonly Place[] {
  return [mutant, ...(mutant.also ?? [])]
}

/** The source of one of its files with the bug in it; throws when a place is not there exactly once. */
export function planted(mutant: Mutant, file: string, source: string): string {
  let changed = source
  for (const place of placesOf(mutant)) {
    if (place.file !== file) continue
    const pieces = changed.split(place.find)
    if (pieces.length !== 2) {
      throw new Error(`mutant ${mutant.name}: a place stands ${pieces.length - 1} times in ${file}`)
    }
    changed = pieces.join(place.replace)
  }
  return changed
}
