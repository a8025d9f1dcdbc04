/**
 * The block and everything that is signed about it: SSZ containers, total codecs, hashes, messages to sign.
 * Follows protocol §2.1, §4.10, §6.2, §7. Invariant: a value that decodes encodes to the same bytes.
 */
export * from './approval.ts'
export * from './codec.ts'
export * from './identity.ts'
export * from './schema.ts'
