/** What members' parts come to, off the node's loop: milliseconds for each input. */
import {
  joinAllParts,
  type SignedParts,
  type SigningList,
  type SigningTask,
} from '../../../core/signing/index.ts'

export interface JoinJob {
  readonly task: SigningTask
  readonly list: SigningList
  readonly all: readonly SignedParts[]
}

export function join({ all, list, task }: JoinJob) {
  return joinAllParts(task, list, all)
}
