/**
 * The rules of the peg that block validity depends on (protocol §4, §5.3, §7): headers as chain state, proofs, peg-in items with
 * their approvals, bookings, records, withdrawals, burns and the ledger identity. Pure: `beginBlock` and `finishBlock` map a
 * parent's ledger and a block to the next ledger or to the code of the one rule that the block breaks; `assemble` makes, with the same
 * functions, what they accept. Kept invariant: each outpoint has one row and one mint for ever; each burn is paid or minted
 * back once; every transaction that pays a request spends its batch's conflict input; reserve = supply + in flight.
 */
export * from './approvals.ts'
export * from './assemble.ts'
export * from './block.ts'
export * from './books.ts'
export * from './bumps.ts'
export * from './burns.ts'
export * from './conflicts.ts'
export * from './context.ts'
export * from './deposits.ts'
export * from './describe.ts'
export * from './errors.ts'
export * from './headers.ts'
export * from './identity.ts'
export * from './orders.ts'
export * from './payout.ts'
export * from './peg-ins.ts'
export * from './proofs.ts'
export * from './records.ts'
export * from './refund-approvals.ts'
export * from './refunds.ts'
export * from './releases.ts'
export * from './scripts.ts'
export * from './sweeps.ts'
export * from './versions.ts'
export * from './withdrawals.ts'
