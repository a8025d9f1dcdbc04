/** How the making of the federation's key stands, as people see it (protocol §5.1, QD-12). */
import { keygenEpoch, keygenRowOf } from '../../core/keygen/index.ts'
import { KEYGEN_FAULT, KEYGEN_STAGE, type KeygenRow, type Ledger } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { validUntil } from '../../core/peg/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { KeygenStatus } from '../api/index.ts'

const STAGES = Object.keys(KEYGEN_STAGE) as (keyof typeof KEYGEN_STAGE)[]
const FAULTS = Object.keys(KEYGEN_FAULT) as (keyof typeof KEYGEN_FAULT)[]

export function keygenStatus(genesis: Genesis, ledger: Ledger): KeygenStatus {
  const { height } = ledger.state
  const keys = [...ledger.open.keys.values()].map(({ row }, index) => ({
    epoch: index + 1,
    publicKey: toHex(row.publicKey),
    members: membersOf(row.signers),
    height: row.height,
    validUntil: validUntil(ledger.open.keys, index + 1) ?? null,
  }))
  const { epoch } = ledger.state
  const making = keygenEpoch(genesis, epoch)
  const row = making === undefined ? undefined : keygenRowOf(genesis, ledger, making)
  const isCalled = row?.stage !== KEYGEN_STAGE.calls
  const isBegun = isCalled || row.received.length > 0
  return {
    height,
    epoch,
    keys,
    ...(row && making && isBegun && { making: makingOf(making, row) }),
    ...(row && making && !isCalled && { next: { epoch: making, attempt: row.attempt } }),
  }
}

function makingOf(epoch: number, row: KeygenRow): NonNullable<KeygenStatus['making']> {
  return {
    epoch,
    stage: STAGES[row.stage] ?? String(row.stage),
    attempt: row.attempt,
    members: membersOf(row.signers),
    waitingFor: membersOf(row.signers.filter((signer) => !row.received.includes(signer))),
    ...(row.deadline > 0 && { deadline: row.deadline }),
    culprits: row.culprits.map(({ attempt, fault, height, signer, stage }) => ({
      member: signer - 1,
      fault: FAULTS[fault] ?? String(fault),
      stage: STAGES[stage] ?? String(stage),
      attempt,
      height,
    })),
  }
}

/** Places in the genesis file. */
function membersOf(signers: readonly number[]): number[] {
  return signers.map((signer) => signer - 1)
}
