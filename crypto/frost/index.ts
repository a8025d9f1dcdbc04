/** FROST threshold signatures on secp256k1 for BIP340 keys: keys made together, signing, tweaks, lost shares. */
export * from './dkg.ts'
export * from './dleq.ts'
export * from './group.ts'
export * from './repair.ts'
export { isPoint, type Random } from './scalars.ts'
export * from './sealed.ts'
export * from './signing.ts'
