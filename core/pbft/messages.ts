/** Stateless checks of consensus messages (protocol §2.10, design §3 "Network checks first"). */
import { equalBytes, type SignatureSuite } from '../../crypto/index.ts'
import {
  authorMessage,
  type Block,
  blockHash,
  bodyRoot,
  type ConsensusMessage,
  VOTE_PHASES,
  viewChangeMessage,
  voteMessage,
} from '../block/index.ts'
import { assertNever, invalid, VALID, type Verdict } from '../params/index.ts'

export type MessageFault =
  | 'BadPhase'
  | 'BadSignature'
  | 'BadAuthorSignature'
  | 'HeightMismatch'
  | 'CertificateMismatch'

/** The height that a message is about. */
export function heightOf(message: ConsensusMessage): number {
  return message.kind === 'committedBlock'
    ? message.value.block.header.height
    : message.value.height
}

/**
 * Whether the author signed the block's hash, and the body is the one that the hash covers: under a genuine header anybody
 * can put another body, and what it breaks must not be held against the block.
 */
export function verifyAuthor(
  suite: SignatureSuite,
  genesisHash: Uint8Array,
  { body, header, signature }: Block,
): boolean {
  const message = authorMessage(genesisHash, header, blockHash(header))
  return (
    suite.verify(header.author, message, signature) && equalBytes(header.bodyRoot, bodyRoot(body))
  )
}

/**
 * What can be checked without knowing the validators: signatures bound to the genesis, and that the parts of a
 * message speak of the same thing. Who may sign, and certificates, are the driver's to check.
 */
export function verifyConsensusMessage(
  suite: SignatureSuite,
  config: { readonly genesisHash: Uint8Array },
  message: ConsensusMessage,
): Verdict<MessageFault> {
  const { genesisHash } = config
  switch (message.kind) {
    case 'vote': {
      const { phase, height, view, validator, signature } = message.value
      const name = VOTE_PHASES[phase]
      if (name !== 'prepare' && name !== 'commit') return invalid('BadPhase')
      const signed = voteMessage(genesisHash, name, height, view, message.value.blockHash)
      return suite.verify(validator, signed, signature) ? VALID : invalid('BadSignature')
    }
    case 'viewChange': {
      const { height, view, certificate, validator, signature } = message.value
      const [named] = certificate
      if (named !== undefined && (named.height !== height || named.view > view)) {
        return invalid('CertificateMismatch')
      }
      const signed = viewChangeMessage(genesisHash, height, view, certificate)
      return suite.verify(validator, signed, signature) ? VALID : invalid('BadSignature')
    }
    case 'prePrepare': {
      const { height, view, block, certificate } = message.value
      if (block.header.height !== height) return invalid('HeightMismatch')
      const [named] = certificate
      if (named !== undefined) {
        const sameBlock = equalBytes(named.blockHash, blockHash(block.header))
        if (named.height !== height || named.view >= view || !sameBlock) {
          return invalid('CertificateMismatch')
        }
      }
      return verifyAuthor(suite, genesisHash, block) ? VALID : invalid('BadAuthorSignature')
    }
    case 'committedBlock': {
      const { block, certificate } = message.value
      if (certificate.height !== block.header.height) return invalid('HeightMismatch')
      if (!equalBytes(certificate.blockHash, blockHash(block.header))) {
        return invalid('CertificateMismatch')
      }
      return verifyAuthor(suite, genesisHash, block) ? VALID : invalid('BadAuthorSignature')
    }
    case 'prepareCertificate':
      return VALID
    default:
      return assertNever(message)
  }
}
