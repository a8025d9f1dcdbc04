/** How the making of a key stands, as the ledger has it, and what everybody can derive from that. */
import {
  addToGroup,
  type DkgPackages,
  type DkgSession,
  type GroupKey,
  groupKeyFrom,
  isInfinity,
  scriptlessTweak,
} from '../../crypto/index.ts'
import {
  heightKey,
  KEYGEN_STAGE,
  type KeygenRow,
  type KeyRow,
  type Ledger,
  type LedgerDraft,
  rowOf,
} from '../ledger/index.ts'
import type { Genesis } from '../params/index.ts'
import { decodeKeygenContent, keygenItemKey, keygenSessionId } from './items.ts'

/** Blocks that a later stage may take, and packages without somebody who was left out. Where all signers are quick it ends with the last of them. */
export const KEYGEN_STAGE_BLOCKS = 150
/**
 * Blocks that packages may take where all members are asked, from the t-th package on. Who is left out has no share until the next key, and
 * until this one is made the old key serves: so a program that is being updated or a machine that is being mended is waited for.
 */
export const KEYGEN_FIRST_STAGE_BLOCKS = 600
/** Blocks from a failure, fewer than t signers left, to the next attempt with all members. */
export const KEYGEN_RETRY_BLOCKS = 300

/** Blocks in which t members have to call for the next key; what was called before is void then. */
export const KEYGEN_CALL_BLOCKS = 86_400

type Reader = Pick<LedgerDraft, 'get' | 'state'>

/** The epoch whose key may be made after this one; undefined when none can be. FROST takes two signers at least. */
export function keygenEpoch({ memberThreshold }: Genesis, epoch: number): number | undefined {
  return memberThreshold > 1 ? epoch + 1 : undefined
}

/** All members, numbered from 1. */
export function allSigners({ members }: Genesis): number[] {
  return members.map((_, index) => index + 1)
}

/** A session of these signers that begins now. `deadline` 0: it runs from the t-th package on. */
export function openSession(
  genesis: Genesis,
  epoch: number,
  {
    attempt,
    culprits,
    deadline,
    height,
    signers,
  }: Pick<KeygenRow, 'attempt' | 'culprits' | 'deadline' | 'height' | 'signers'>,
): KeygenRow {
  return {
    stage: KEYGEN_STAGE.packages,
    attempt,
    sessionId: keygenSessionId(genesis, epoch, attempt, signers),
    signers,
    received: [],
    deadline,
    sums: [],
    culprits,
    height,
  }
}

/** The row of the epoch's making; before anybody said anything it follows from the genesis file. */
export function keygenRow(genesis: Genesis, reader: Reader, epoch: number): KeygenRow {
  return reader.get('keygen', heightKey(epoch)) ?? firstSession(genesis, epoch)
}

/** The first key is made as soon as t members are here, every later one when t members have called for it. */
export function firstSession(genesis: Genesis, epoch: number): KeygenRow {
  return epoch === 1
    ? openSession(genesis, epoch, { ...UNBEGUN, signers: allSigners(genesis) })
    : openCalls(genesis, epoch, UNBEGUN)
}

const UNBEGUN = { attempt: 0, culprits: [], deadline: 0, height: 0 }

/** A session that begins when t members have called for it. */
export function openCalls(
  genesis: Genesis,
  epoch: number,
  begun: Pick<KeygenRow, 'attempt' | 'culprits' | 'deadline' | 'height'>,
): KeygenRow {
  const row = openSession(genesis, epoch, { ...begun, signers: allSigners(genesis) })
  return { ...row, stage: KEYGEN_STAGE.calls }
}

/** The same of a ledger that is not written to. */
export function keygenRowOf(genesis: Genesis, ledger: Ledger, epoch: number): KeygenRow {
  return rowOf(ledger, 'keygen', heightKey(epoch)) ?? firstSession(genesis, epoch)
}

export function dkgSession(genesis: Genesis, { sessionId, signers }: KeygenRow): DkgSession {
  return { id: sessionId, threshold: genesis.memberThreshold, signers }
}

/** The new key's commitments, from the sums of a session's packages; undefined where somebody cancelled what the others committed to. */
export function keyCommitments({
  sums,
}: Pick<KeygenRow, 'sums'>): readonly Uint8Array[] | undefined {
  if (sums.some(isInfinity)) return undefined
  const group = groupKeyFrom(sums, [])
  return addToGroup(group, scriptlessTweak(group)).commitments
}

/** The epoch's key with the verifying share of each signer. */
export function groupKeyOf({ commitments, signers }: KeyRow): GroupKey {
  return groupKeyFrom(commitments, signers)
}

/** Whether a member, by its place in the genesis file, holds a share of a key. */
export function holdsShare({ signers }: Pick<KeyRow, 'signers'>, memberIndex: number): boolean {
  return signers.includes(memberIndex + 1)
}

/** The packages of these signers, decoded from their rows. */
export function packagesOf(
  reader: Pick<Reader, 'get'>,
  sessionId: Uint8Array,
  signers: readonly number[],
): DkgPackages {
  return new Map(
    signers.flatMap((signer) => {
      const row = reader.get('keygenItems', keygenItemKey(sessionId, KEYGEN_STAGE.packages, signer))
      const content = row && decodeKeygenContent('package', row.content)
      return content === undefined ? [] : [[signer, content] as const]
    }),
  )
}

/** What `sender` encrypted to `recipient`, of the ciphertexts of its item. */
export function ciphertextFor(
  signers: readonly number[],
  sender: number,
  recipient: number,
  ciphertexts: readonly Uint8Array[],
): Uint8Array | undefined {
  const others = signers.filter((signer) => signer !== sender)
  return ciphertexts[others.indexOf(recipient)]
}
