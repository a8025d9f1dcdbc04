/** The wire between a member and its signer (signer.proto): names, bounds, and the plain form of what came. */
import { plainFields } from './plain.ts'

export const SIGNER_PROTO = new URL('./signer.proto', import.meta.url)
export const SIGNER_SERVICE = 'millrace.governance.v1.MemberSigner'

export const SIGNER_METHODS = [
  'Hello',
  'Follow',
  'Approve',
  'Offer',
  'Parts',
  'Keygen',
  'Settle',
] as const
export type SignerMethod = (typeof SIGNER_METHODS)[number]

export const SIGNER_LIMITS = {
  /** A node's proof is at most 4 MiB, a deposit's transaction as much. */
  maxQuestionBytes: 8 * 1024 * 1024,
  /** Parts and the next offer for 50 inputs are some 10 KiB, a part in a key of 100 members is less. */
  maxAnswerBytes: 64 * 1024,
  /** Fields of a message, those inside of others included; 512 rows with their proofs are some 3,000. */
  maxFields: 20_000,
  /** Questions at a time; a member asks for each node and batch once. */
  maxOpen: 256,
  handshakeMs: 5_000,
  /** A connection that says nothing is asked whether it is there, and ended when it is not. */
  keepaliveMs: 10_000,
  keepaliveAnswerMs: 5_000,
  helloMs: 5_000,
  answerMs: 20_000,
  /** Files under a password are slow to write on purpose. */
  keygenMs: 60_000,
  reconnectFirstMs: 250,
  reconnectMaxMs: 5_000,
} as const

export type SignerFields = Readonly<Record<string, unknown>>

/** What came, with bytes as plain Uint8Array; undefined when a number is not exact, a message inside is missing, or there is too much of it. */
export function signerFields(wire: unknown): SignerFields | undefined {
  return plainFields(wire, SIGNER_LIMITS.maxFields) as SignerFields | undefined
}
