/**
 * The sign guard (protocol §2.8, BP-4, BF-10, T4, T5): every signature of a validator is preceded by a durable record, and
 * what the records add up to says what may still be signed. `rules` decide and fold, `codec` is the file's bytes, `summary`
 * is the file as an operator sees it. Pure; the file's writes and syncs are `node/adapters/sign-guard`. See README.md.
 *
 * Invariants: one block per slot, one PrePrepare, Prepare and Commit per (height, view), nothing below the highest signed
 * or the floor; a file of which a record may be missing signs nothing that the record could have been about.
 */
export * from './codec.ts'
export * from './mark.ts'
export * from './restored.ts'
export * from './rules.ts'
export * from './summary.ts'
