/**
 * The ledger: all that the peg remembers, as an immutable value (protocol §4.7, §4.10, §7). Sets are sparse maps by key; a row is
 * never deleted, only closed, and one outpoint has one row for ever. A block writes through a `LedgerDraft`; versions share what
 * they do not change. Sums and the lists of open rows follow from the rows. `ledgerRoot` commits to all of it, and `proveRow`
 * shows one row of it to a member. Storage keeps `ledgerChanges` as opaque bytes; `ledgerFromRows` builds the ledger again.
 */
export * from './genesis.ts'
export * from './ledger.ts'
export * from './proof.ts'
export * from './retention.ts'
export * from './rows.ts'
export * from './totals.ts'
