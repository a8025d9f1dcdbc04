/**
 * Hashes, signatures and Merkle structures: the lowest floor. Pure functions over bytes; randomness comes in
 * as an argument. Sources: FIPS 180-4, BIP340, draft-irtf-cfrg-bls-signature, RFC 9591, Bitcoin's Merkle tree.
 */
export * from './bls.ts'
export * from './bytes.ts'
export * from './frost/index.ts'
export * from './hash.ts'
export * from './keystore.ts'
export * from './merkle.ts'
export * from './p256.ts'
export * from './remembered.ts'
export * from './schnorr.ts'
export * from './sealed-stream.ts'
export * from './sparse-map.ts'
export * from './suite.ts'
