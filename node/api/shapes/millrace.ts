/** Our own objects as JSON: hex without prefix, Bitcoin hashes in display form, money as decimal strings. */
import type { CertifiedBlock } from '../../../actors/stream/index.ts'
import {
  blockHash,
  type CommittedBlock,
  encodeCertificate,
  encodeHeader,
  encodeValidators,
  KEYGEN_KINDS,
  PEG_IN_KINDS,
  PEG_ORDER_KINDS,
  type QuorumCertificate,
  RECORD_KINDS,
  REFUND_REASONS,
} from '../../../core/block/index.ts'
import { quorum, totalPower } from '../../../core/pbft/index.ts'
import { sha256, toDisplayHash, toHex } from '../../../crypto/index.ts'
import type {
  ConsensusSnapshot,
  FederationSnapshot,
  PegOperation,
  ReserveSnapshot,
  ValidatorRow,
  ValidatorSetSnapshot,
} from '../port.ts'
import { evidenceToJson } from './evidence.ts'

type Json = Record<string, unknown>

export function certificateToJson(certificate: QuorumCertificate): Json {
  return {
    height: certificate.height,
    view: certificate.view,
    blockHash: toHex(certificate.blockHash),
    signers: signersOf(certificate),
    signature: toHex(certificate.signature),
  }
}

/** Positions in the validator set whose votes are in a certificate. */
export function signersOf(certificate: QuorumCertificate): number[] {
  const signers: number[] = []
  for (let index = 0; index < certificate.bitmap.bitLen; index++) {
    if (certificate.bitmap.get(index)) signers.push(index)
  }
  return signers
}

/** The block that Alys's getblockbyheight and its kin answer with. */
export function committedToJson(committed: CommittedBlock): Json {
  const { block, certificate } = committed
  const { header, body } = block
  return {
    hash: toHex(blockHash(header)),
    height: header.height,
    slot: header.slot,
    author: toHex(header.author),
    parentHash: toHex(header.parentHash),
    bodyRoot: toHex(header.bodyRoot),
    evmBlockHash: toHex(header.evmBlockHash),
    ledgerRoot: toHex(header.ledgerRoot),
    paramsHash: toHex(header.paramsHash),
    validatorsHash: toHex(header.validatorsHash),
    nextValidatorsHash: toHex(header.nextValidatorsHash),
    membersHash: toHex(header.membersHash),
    evidenceRoot: toHex(header.evidenceRoot),
    feeRateSatPerKvb: header.feeRateSatPerKvb,
    randaoReveal: toHex(header.randaoReveal),
    signature: toHex(block.signature),
    parentCertificate: certificateToJson(body.parentCertificate),
    certificate: certificateToJson(certificate),
    bitcoinHeaders: body.bitcoinHeaders.map((bytes) => ({
      hash: toDisplayHash(sha256(sha256(bytes))),
      header: toHex(bytes),
    })),
    pegIns: body.pegIns.map((item) => ({
      kind: PEG_IN_KINDS[item.kind],
      reason: REFUND_REASONS[item.reason],
      outpoint: `${toDisplayHash(item.txid)}:${item.vout}`,
      amountSat: item.amountSat.toString(),
      evmAddress: toHex(item.evmAddress),
      refundScript: toHex(item.refundScript),
      depositEpoch: item.depositEpoch,
    })),
    bookings: body.bookings.length,
    lostDeposits: body.conflicts.flatMap(({ ancestry }) =>
      ancestry.slice(0, 1).map((bytes) => toDisplayHash(sha256(sha256(bytes)))),
    ),
    records: body.records.map((record) => ({
      kind: RECORD_KINDS[record.kind],
      batchId: toHex(record.batchId),
      version: record.version,
      feeRateSatPerKvb: record.feeRateSatPerKvb,
      transaction: toHex(record.transaction),
    })),
    evidence: body.evidence.map(evidenceToJson),
    validatorChanges: body.validatorChanges.length,
    keygen: body.keygen.map(({ epoch, kind, signer }) => {
      return { epoch, kind: KEYGEN_KINDS[kind], member: signer - 1 }
    }),
    pegOrders: body.pegOrders.map(({ fundSat, kind, subject }) => {
      return { kind: PEG_ORDER_KINDS[kind], subject: toHex(subject), fundSat: fundSat.toString() }
    }),
    evm: {
      number: body.payload.blockNumber,
      hash: toHex(body.payload.blockHash),
      transactions: body.payload.transactions.length,
      withdrawals: body.payload.withdrawals.length,
      gasUsed: body.payload.gasUsed,
      timestamp: body.payload.timestamp,
    },
  }
}

export function operationToJson(operation: PegOperation): Json {
  const { amountSat, ...rest } = operation
  const feeSat = operation.direction === 'out' ? operation.feeSat : undefined
  return {
    ...rest,
    amountSat: amountSat.toString(),
    ...(feeSat === undefined ? {} : { feeSat: feeSat.toString() }),
  }
}

export function reserveToJson(reserve: ReserveSnapshot): Json {
  const { totals } = reserve
  return {
    height: reserve.height,
    reserveSat: reserve.reserveSat.toString(),
    supplySat: reserve.supplySat.toString(),
    inFlightSat: reserve.inFlightSat.toString(),
    deficitSat: reserve.deficitSat.toString(),
    balanced: isBalanced(reserve),
    pegInsPaused: reserve.pegInsPaused,
    pegOutsPaused: reserve.pegOutsPaused,
    oldestOutput: reserve.oldestOutput
      ? { ...reserve.oldestOutput, amountSat: reserve.oldestOutput.amountSat.toString() }
      : null,
    openSweeps: reserve.openSweeps,
    inFlight: reserve.inFlight.map((row) => ({ ...row, amountSat: row.amountSat.toString() })),
    outputs: reserve.outputs.map(({ outpoint, amountSat }) => ({
      outpoint,
      amountSat: amountSat.toString(),
    })),
    scripts: [...reserve.scripts],
    totals: {
      pegIns: totals.pegIns,
      pegInSat: totals.pegInSat.toString(),
      pegOuts: totals.pegOuts,
      pegOutSat: totals.pegOutSat.toString(),
      mintedSat: totals.mintedSat.toString(),
      burnedSat: totals.burnedSat.toString(),
    },
  }
}

/** Protocol 4.7. */
export function isBalanced(reserve: ReserveSnapshot): boolean {
  return reserve.reserveSat === reserve.supplySat + reserve.inFlightSat
}

export function validatorToJson(row: ValidatorRow, index: number): Json {
  return {
    index,
    key: toHex(row.key),
    power: row.power,
    address: toHex(row.address),
    self: row.self,
  }
}

/** What a light client verifies: SSZ in hex; the set only where the header announces another than its own. */
export function certifiedToJson({ certificate, header, nextValidators }: CertifiedBlock): Json {
  return {
    header: toHex(encodeHeader(header)),
    certificate: toHex(encodeCertificate(certificate)),
    ...(nextValidators && { nextValidators: toHex(encodeValidators(nextValidators)) }),
  }
}

export function validatorSetToJson(set: ValidatorSetSnapshot): Json {
  const { hash, height, sequence, since, validators } = set
  return {
    height,
    since,
    sequence,
    hash: toHex(hash),
    totalPower: totalPower(validators),
    quorum: quorum(validators),
    validators: validators.map(validatorToJson),
  }
}

export function consensusToJson(snapshot: ConsensusSnapshot): Json {
  return { ...snapshot }
}

export function federationToJson(federation: FederationSnapshot): Json {
  return { ...federation, members: federation.members.map((member) => ({ ...member })) }
}
