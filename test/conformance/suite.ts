/** What a suite of public vectors gives to the runner: cases by name, each with its verdict. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The folder of the vectors; they are no part of this repository. */
export const VECTORS =
  process.env['VECTORS_DIR'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url))

export const hasVectors = (folder: string): boolean => existsSync(`${VECTORS}/${folder}`)

export type Verdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'skipped'; readonly reason: string }

export interface Case {
  readonly name: string
  /** A case throws only when our code does, which is a failure. */
  run(): Promise<Verdict>
}

export interface Suite {
  readonly name: string
  /** Of the suite's files, below the folder of the vectors. */
  readonly files: string
  /** The cases that one file holds. */
  casesOf(parsed: unknown): Iterable<Case>
}

export const PASSED: Verdict = { kind: 'passed' }

export const skipped = (reason: string): Verdict => ({ kind: 'skipped', reason })

/** Passed iff both texts are the same. */
export function compared(what: string, expected: string, got: string): Verdict {
  if (expected === got) return PASSED
  return { kind: 'failed', reason: `${what}: expected ${expected}, got ${got}` }
}

/** Why a file or a case is passed over that would be run. */
export const SKIPPED = {
  fork: 'another fork',
  blobs: 'blobs: no blob transaction is valid here',
  time: 'minutes, for more gas than a transaction may have (EIP-7825)',
  precision: 'a gas limit, time or index above 2^53 in a header',
} as const
