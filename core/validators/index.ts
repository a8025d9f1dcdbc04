/**
 * Who decides a height, and how that changes (protocol §1.4). The ledger's set `validators` has a row for each set that ever acted,
 * under the height from which on it acts; a change of block h acts at h + 2, is approved by t members and is good for one place in the
 * chain. Kept invariant: for every height up to the ledger's + 2 there is exactly one set, never empty, known to all who have the
 * chain up to two blocks before; a validator is its key, its position means something at its height only.
 */
export * from './change.ts'
export * from './codes.ts'
export * from './sets.ts'
