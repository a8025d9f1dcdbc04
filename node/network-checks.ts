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
import { type Genesis, invalid, VALID } from '../core/params/index.ts'
import {
  checkSlotWindow,
  slotAt,
  verifyCertificate,
  verifyConsensusMessage,
} from '../core/pbft/index.ts'
import { verifyApproval } from '../core/peg/index.ts'
import { equalBytes } from '../crypto/index.ts'
import { decodeTransaction, isTransaction } from '../vm/evm/index.ts'

/** `membersEpoch`: of the committed ledger. */
export function networkChecks(genesis: Genesis, membersEpoch: () => number): NetworkChecks {
  return {
    consensus(message, nowMs) {
      if (message.kind === 'prePrepare') {
        const { slot } = message.value.block.header
        const { slotMs } = genesis.params
        const window = checkSlotWindow(slot, slotAt(nowMs, slotMs), slotMs)
        if (window.kind !== 'valid') return window
      }
      // Who may send it costs less than what it holds: a proposal's body is hashed last.
      const sender = checkSender(genesis, message)
      if (sender.kind !== 'valid') return sender
      const own = verifyConsensusMessage(genesis.signatures, { genesisHash: genesis.hash }, message)
      return own.kind === 'valid' ? sender : own
    },
    transaction: (raw) =>
      isTransaction(decodeTransaction(raw)) ? VALID : invalid('TransactionMalformed'),
    approval(claim, approval) {
      const fault = verifyApproval(genesis, 'pegIn', membersEpoch(), claim, approval)
      return fault === undefined ? VALID : { kind: 'invalid', ...fault }
    },
  }
}

/** Whose word a message is: votes of strangers and certificates without a quorum are not passed on. */
function checkSender(genesis: Genesis, message: ConsensusMessage): CheckedSender {
  const { hash, signatures, validators } = genesis
  switch (message.kind) {
    case 'vote':
    case 'viewChange':
      return isValidator(genesis, message.value.validator) ? VALID : invalid('NotAValidator')
    case 'prePrepare':
      return checkProposer(genesis, message.value)
    case 'prepareCertificate':
      return verifyCertificate(signatures, hash, 'prepare', validators, message.value)
    case 'committedBlock':
      return verifyCertificate(signatures, hash, 'commit', validators, message.value.certificate)
  }
}

function isValidator({ validators }: Genesis, key: Uint8Array): boolean {
  return validators.some(({ blsKey }) => equalBytes(blsKey, key))
}

/** A fresh block is proposed by its author, an older one by any validator with a prepare quorum for it (2.2). */
function checkProposer(genesis: Genesis, value: PrePrepare): CheckedSender {
  const { block, height, signature, view } = value
  const { hash, signatures, validators } = genesis
  if (!isValidator(genesis, block.header.author)) return invalid('NotAValidator')
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
