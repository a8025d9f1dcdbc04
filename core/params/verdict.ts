/**
 * What a check may answer (C-2). `invalid` is a function of the block and its parent's state alone. `unknown` means that
 * something is missing here: it is never stored, never held against a peer and never a vote against.
 */
export type Verdict<Code extends string = string> =
  | { readonly kind: 'valid' }
  | { readonly kind: 'invalid'; readonly code: Code; readonly detail?: string }
  | { readonly kind: 'unknown'; readonly code: string; readonly retryAfterMs: number }

export const VALID = { kind: 'valid' } as const

export function invalid<Code extends string>(
  code: Code,
  detail?: string,
): { readonly kind: 'invalid'; readonly code: Code; readonly detail?: string } {
  return detail === undefined ? { kind: 'invalid', code } : { kind: 'invalid', code, detail }
}

export function unknown(
  code: string,
  retryAfterMs: number,
): { readonly kind: 'unknown'; readonly code: string; readonly retryAfterMs: number } {
  return { kind: 'unknown', code, retryAfterMs }
}

/** A value, or the reason why there is none. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E }

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error }
}

/** Marks a switch that must be exhaustive. */
export function assertNever(value: never): never {
  throw new Error(`unhandled case: ${JSON.stringify(value)}`)
}
