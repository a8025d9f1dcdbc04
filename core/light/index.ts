/**
 * The light client: pure functions that believe a header because of certificates and a row or field because of an SSZ proof under it
 * (protocol §1.4, §5.6). Members follow the chain with it, and so can anybody who has the genesis file; `docs/explanation/light-client.md`
 * says how. Kept invariant: what is believed was signed by a quorum of the set that the believed headers name.
 */
export * from './field.ts'
export * from './follow.ts'
export * from './stored.ts'
