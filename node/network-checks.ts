/**
 * The stateless checks that Network makes before it relays or tells anything (design §3, protocol §2.10). What passes was
 * made by who may make it: nobody else can wrap, repeat in another form, or multiply messages of the validators.
 */
import type { CheckedSender, NetworkChecks } from '../actors/network/index.ts'
import {
  blockHash,
  type ConsensusMessage,
  type PrePrepare,
  voteMessage,
} from '../core/block/index.ts'
import type { Ledger } from '../core/ledger/index.ts'
import { type Genesis, invalid, unknown, VALID, type Validator } from '../core/params/index.ts'
import {
  checkSlotWindow,
  heightOf,
  slotAt,
  verifyCertificate,
  verifyConsensusMessage,
} from '../core/pbft/index.ts'
import { verifyApproval } from '../core/peg/index.ts'
import { CHANGE_DELAY, latestValidators, validatorsAt } from '../core/validators/index.ts'
import { equalBytes } from '../crypto/index.ts'
import { decodeTransaction, isTransaction } from '../vm/evm/index.ts'

/** A node that is behind knows no sets beyond this; what it cannot judge is not passed on, and is nobody's fault. */
const BEHIND_RETRY_MS = 1_000

/** `ledger`: after the last committed block. */
export function networkChecks(genesis: Genesis, ledger: () => Ledger): NetworkChecks {
  return {
    consensus(message, nowMs) {
      if (message.kind === 'prePrepare') {
        const { slot } = message.value.block.header
        const { slotMs } = genesis.params
        const window = checkSlotWindow(slot, slotAt(nowMs, slotMs), slotMs)
        // Dropped, and nobody's fault: it may be our own clock that is wrong, and then all others would be banned.
        if (window.kind === 'invalid') return unknown(window.code, slotMs)
        if (window.kind === 'unknown') return window
      }
      // Who may send it costs less than what it holds: a proposal's body is hashed last.
      const sender = judgeSender(genesis, ledger(), message)
      if (sender.kind !== 'valid') return sender
      const own = verifyConsensusMessage(genesis.signatures, { genesisHash: genesis.hash }, message)
      return own.kind === 'valid' ? sender : own
    },
    transaction: (raw) =>
      isTransaction(decodeTransaction(raw)) ? VALID : invalid('TransactionMalformed'),
    approval(claim, approval) {
      const fault = verifyApproval(genesis, 'pegIn', ledger().state.membersEpoch, claim, approval)
      return fault === undefined ? VALID : { kind: 'invalid', ...fault }
    },
  }
}

/** By the validators of the message's height; for one that this node cannot know yet, by the latest set that it knows. */
function judgeSender(genesis: Genesis, ledger: Ledger, message: ConsensusMessage): CheckedSender {
  const height = heightOf(message)
  if (height <= ledger.state.height + CHANGE_DELAY) {
    return checkSender(genesis, validatorsAt(ledger, height), message)
  }
  const verdict = checkSender(genesis, latestValidators(ledger), message)
  return verdict.kind === 'invalid' ? unknown('ValidatorsUnknown', BEHIND_RETRY_MS) : verdict
}

/** Whose word a message is: votes of strangers and certificates without a quorum are not passed on. */
function checkSender(
  genesis: Genesis,
  validators: readonly Validator[],
  message: ConsensusMessage,
): CheckedSender {
  const { hash, signatures } = genesis
  switch (message.kind) {
    case 'vote':
    case 'viewChange':
      return isValidator(validators, message.value.validator) ? VALID : invalid('NotAValidator')
    case 'prePrepare':
      return checkProposer(genesis, validators, message.value)
    case 'prepareCertificate':
      return verifyCertificate(signatures, hash, 'prepare', validators, message.value)
    case 'committedBlock':
      return verifyCertificate(signatures, hash, 'commit', validators, message.value.certificate)
  }
}

function isValidator(validators: readonly Validator[], key: Uint8Array): boolean {
  return validators.some(({ blsKey }) => equalBytes(blsKey, key))
}

/** A fresh block is proposed by its author, an older one by any validator with a prepare quorum for it (2.2). */
function checkProposer(
  genesis: Genesis,
  validators: readonly Validator[],
  value: PrePrepare,
): CheckedSender {
  const { block, height, signature, view } = value
  const { hash, signatures } = genesis
  if (!isValidator(validators, block.header.author)) return invalid('NotAValidator')
  const signed = voteMessage(hash, 'proposal', height, view, blockHash(block.header))
  const signedBy = (key: Uint8Array) => signatures.verify(key, signed, signature)
  const [certificate] = value.certificate
  if (certificate === undefined) {
    return signedBy(block.header.author) ? VALID : invalid('NotTheProposer')
  }
  const prepared = verifyCertificate(signatures, hash, 'prepare', validators, certificate)
  if (prepared.kind !== 'valid') return prepared
  const signer = validators.find(({ blsKey }) => signedBy(blsKey))?.blsKey
  return signer === undefined ? invalid('NotTheProposer') : { ...VALID, signer }
}
