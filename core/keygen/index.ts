/**
 * The federation's key, made by its members through blocks (protocol §5.1): packages, encrypted shares, then from each a complaint or a
 * confirmation by its share of the new key; deadlines are heights. Pure and total: `applyKeygen` is the whole transition. Kept
 * invariant: the current epoch moves only when every signer of the session has shown that it holds its share; who misses a deadline, gave
 * a wrong share or complained falsely is named and left out of the next session; below t signers the old key stays until a later
 * attempt. Every key after the first one is made when t members have called for it (§5.8). What is in the ledger is public: no row opens a share.
 */
export * from './apply.ts'
export * from './codes.ts'
export * from './items.ts'
export * from './state.ts'
