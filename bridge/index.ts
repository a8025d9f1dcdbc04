/**
 * How the federation's Bitcoin transactions are signed, and what a signer asks before it signs (protocol §4.5, §5): by the key that the
 * members made, or through leaf A by t of their own. Pure: digests, tasks of signing sessions, witnesses, and the two
 * decisions of a member. Kept invariant: no decision rests on what a federation node merely says.
 */
export * from './approval-policy.ts'
export * from './recovery.ts'
export * from './recovery-psbt.ts'
export * from './refund-proof.ts'
export * from './reserve-audit.ts'
export * from './reserve-file.ts'
export * from './share-repair.ts'
export * from './signature-policy.ts'
export * from './signed-message.ts'
export * from './signing.ts'
export * from './verdict.ts'
