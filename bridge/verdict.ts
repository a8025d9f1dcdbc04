/** What a signer decides: sign, refuse for good, or wait because something is missing on its own side. */
export type SignerVerdict<T, Code extends string> =
  | { readonly kind: 'sign'; readonly value: T }
  | { readonly kind: 'refuse'; readonly code: Code; readonly detail?: string }
  | { readonly kind: 'unknown'; readonly code: string; readonly retryAfterMs: number }

export function sign<T>(value: T): { readonly kind: 'sign'; readonly value: T } {
  return { kind: 'sign', value }
}

export function refusal<Code extends string>(
  code: Code,
  detail?: string,
): { readonly kind: 'refuse'; readonly code: Code; readonly detail?: string } {
  return detail === undefined ? { kind: 'refuse', code } : { kind: 'refuse', code, detail }
}

export function wait(
  code: string,
  retryAfterMs: number,
): { readonly kind: 'unknown'; readonly code: string; readonly retryAfterMs: number } {
  return { kind: 'unknown', code, retryAfterMs }
}
