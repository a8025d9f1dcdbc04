/**
 * What a member has to say in the making of a key, from proven ledger rows and what it keeps itself (protocol §5.1). Pure. It says one
 * package for a session, the one that is on its disk, and what follows from that; a confirmation only once its share is on its disk. Rows
 * say what validators wrote: of the other members it believes what they signed, and adds up itself what the key comes to.
 */
import { KEYGEN_KINDS, type KeygenKind, type KeygenStatement } from '../core/block/index.ts'
import {
  ciphertextFor,
  decodeKeygenContent,
  dkgSession,
  encodeKeygenContent,
  isKeygenItemSigned,
  type KeygenContents,
  keyCommitments,
  keygenConfirmationMessage,
  keygenItemKey,
  STAGE_OF_KIND,
} from '../core/keygen/index.ts'
import {
  KEYGEN_STAGE,
  type KeygenItemRow,
  type KeygenRow,
  type KeyRow,
} from '../core/ledger/index.ts'
import type { Genesis } from '../core/params/index.ts'
import {
  addCommitments,
  complain,
  type DkgPackage,
  type DkgPackages,
  type DkgSecret,
  dkgKeyShare,
  dkgPackageFault,
  encryptShares,
  equalBytes,
  groupKeyFrom,
  isPoint,
  isShareOf,
  type KeyShare,
  openShare,
  schnorrSign,
  schnorrVerify,
  toHex,
  verifyingShareAt,
} from '../crypto/index.ts'

/** The session as the ledger has it, proven. `items`: what its signers said so far. */
export interface KeygenSight {
  readonly epoch: number
  readonly row: KeygenRow
  readonly items: KeygenItems
}

/** By hex key of the row. */
export type KeygenItems = ReadonlyMap<string, KeygenItemRow>

/** What a member keeps of a session: its polynomial and the package that it tells. */
export interface SessionSecret {
  readonly epoch: number
  readonly sessionId: Uint8Array
  readonly secret: DkgSecret
  readonly told: DkgPackage
}

/** A share of an epoch's key, and what the key is. */
export interface HeldShare {
  readonly epoch: number
  readonly sessionId: Uint8Array
  readonly commitments: readonly Uint8Array[]
  readonly signers: readonly number[]
  readonly share: KeyShare
}

export type KeygenTask =
  /** Nothing to say in this stage, or said already. */
  | { readonly kind: 'wait' }
  /** What it kept of this session is gone: it cannot go on, and will be left out. */
  | { readonly kind: 'lost' }
  /** The ledger shows what its rules forbid, or what the members never said: those who wrote it want another key. */
  | { readonly kind: 'doubt' }
  /** Draw the session's secret and store it, then look again. */
  | { readonly kind: 'begin' }
  | { readonly kind: 'say'; readonly statement: KeygenStatement; readonly accused?: number }
  /** Store the share, then confirm. */
  | { readonly kind: 'confirm'; readonly held: HeldShare }

/** Rows of items that a member must see before it can speak in a stage. */
export function rowsOfStage({ sessionId, signers, stage }: KeygenRow): readonly Uint8Array[] {
  const rows = (of: number) => signers.map((signer) => keygenItemKey(sessionId, of, signer))
  if (stage === KEYGEN_STAGE.shares) return rows(KEYGEN_STAGE.packages)
  if (stage !== KEYGEN_STAGE.confirmations) return []
  return [...rows(KEYGEN_STAGE.packages), ...rows(KEYGEN_STAGE.shares)]
}

/** Whether this stage still waits for the signer. */
export function isWanted({ received, signers, stage }: KeygenRow, signer: number): boolean {
  const isOpen = stage <= KEYGEN_STAGE.confirmations
  return isOpen && signers.includes(signer) && !received.includes(signer)
}

export function decideKeygen(
  genesis: Genesis,
  signer: number,
  sight: KeygenSight,
  stored: SessionSecret | undefined,
  /** For a complaint: 32 bytes of fresh randomness. */
  auxiliary: Uint8Array,
): KeygenTask {
  const { row } = sight
  if (!isWanted(row, signer)) return { kind: 'wait' }
  if (row.stage === KEYGEN_STAGE.packages) {
    if (stored === undefined) return { kind: 'begin' }
    return say(sight, signer, 'package', stored.told)
  }
  if (stored === undefined) return { kind: 'lost' }
  const packages = packagesIn(genesis, sight)
  const own = packages?.get(signer)
  if (packages === undefined || own === undefined) return { kind: 'doubt' }
  const told = (content: DkgPackage) => encodeKeygenContent('package', content)
  if (!equalBytes(told(own), told(stored.told))) return { kind: 'lost' }
  return row.stage === KEYGEN_STAGE.shares
    ? sayShares(genesis, sight, stored, packages)
    : judgeShares(genesis, sight, stored, packages, auxiliary)
}

function say<K extends KeygenKind>(
  { epoch, row }: KeygenSight,
  signer: number,
  kind: K,
  content: KeygenContents[K],
): Extract<KeygenTask, { readonly kind: 'say' }> {
  const statement = {
    epoch,
    sessionId: row.sessionId,
    kind: KEYGEN_KINDS.indexOf(kind),
    signer,
    content: encodeKeygenContent(kind, content),
  }
  return { kind: 'say', statement }
}

function sayShares(
  genesis: Genesis,
  sight: KeygenSight,
  { secret }: SessionSecret,
  packages: DkgPackages,
): KeygenTask {
  const encrypted = encryptShares(dkgSession(genesis, sight.row), secret, packages)
  const ciphertexts = sight.row.signers.flatMap((other) => {
    const one = encrypted.get(other)
    return one === undefined ? [] : [one]
  })
  return say(sight, secret.signer, 'shares', { ciphertexts })
}

function judgeShares(
  genesis: Genesis,
  sight: KeygenSight,
  { secret }: SessionSecret,
  packages: DkgPackages,
  auxiliary: Uint8Array,
): KeygenTask {
  const { epoch, row } = sight
  const { signer } = secret
  const session = dkgSession(genesis, row)
  const opened = new Map<number, Uint8Array>()
  for (const sender of row.signers) {
    if (sender === signer) continue
    const sent = saidBy(genesis, sight, 'shares', sender)
    const ciphertext = sent && ciphertextFor(row.signers, sender, signer, sent.ciphertexts)
    if (ciphertext === undefined) return { kind: 'doubt' }
    const share = openShare(session, secret, packages, sender, ciphertext)
    if (share === undefined) {
      const complaint = complain(session, secret, packages, sender, auxiliary)
      return { ...say(sight, signer, 'complaint', complaint), accused: sender }
    }
    opened.set(sender, share)
  }
  const sums = [...packages.values()].reduce<readonly Uint8Array[]>(
    (sum, one) => addCommitments(sum, one.commitments),
    [],
  )
  const commitments = keyCommitments({ sums: [...sums] })
  // Somebody cancelled what the others committed to: those whom it could not give right shares complain.
  if (commitments === undefined) return { kind: 'wait' }
  const share = dkgKeyShare(session, secret, packages, opened)
  if (!isShareOf(groupKeyFrom(commitments, []), share)) return { kind: 'wait' }
  const { sessionId, signers } = row
  return { kind: 'confirm', held: { epoch, sessionId, commitments, signers, share } }
}

/** The confirmation of a share that is stored. `auxiliary`: 32 bytes of fresh randomness. */
export function confirmation(
  genesis: Genesis,
  sight: KeygenSight,
  { commitments, epoch, sessionId, share }: HeldShare,
  auxiliary: Uint8Array,
): KeygenStatement {
  const [key = new Uint8Array(33)] = commitments
  const message = keygenConfirmationMessage(genesis, epoch, sessionId, key.slice(1))
  const signature = schnorrSign(share.secret, message, auxiliary)
  return say(sight, share.signer, 'confirmation', { signature }).statement
}

/**
 * Whether t members said that they hold shares of a key, each by its share and under its own signature: nobody else makes a key the
 * federation's, whatever the ledger's rows are. Holds for members too that were left out of it or lost their share.
 */
export function isConfirmed(
  genesis: Genesis,
  epoch: number,
  made: KeyRow,
  items: KeygenItems,
): boolean {
  const { commitments, publicKey, sessionId, signers } = made
  const [constant] = commitments
  if (commitments.length !== genesis.memberThreshold || !commitments.every(isPoint)) return false
  // Shares are checked by their x alone: commitments of turned signs have the same ones, and another key.
  if (constant === undefined || !equalBytes(constant.slice(1), publicKey)) return false
  const message = keygenConfirmationMessage(genesis, epoch, sessionId, publicKey)
  const confirmed = [...new Set(signers)].filter((signer) => {
    const said = saidBy(genesis, { epoch, row: made, items }, 'confirmation', signer)
    const share = said && verifyingShareAt(commitments, signer)
    return said && share && schnorrVerify(share.slice(1), message, said.signature)
  })
  return confirmed.length >= genesis.memberThreshold
}

/** Rows of the items that show whether a key is confirmed. */
export function confirmationRows({
  sessionId,
  signers,
}: Pick<KeyRow, 'sessionId' | 'signers'>): readonly Uint8Array[] {
  return signers.map((signer) => keygenItemKey(sessionId, KEYGEN_STAGE.confirmations, signer))
}

/** The packages of all signers; undefined where one is missing, is not its signer's or is none that the rules allow. */
function packagesIn(genesis: Genesis, sight: KeygenSight): DkgPackages | undefined {
  const session = dkgSession(genesis, sight.row)
  const packages = new Map<number, DkgPackage>()
  for (const signer of sight.row.signers) {
    const content = saidBy(genesis, sight, 'package', signer)
    if (content === undefined || dkgPackageFault(session, signer, content)) return undefined
    packages.set(signer, content)
  }
  return packages
}

interface Session {
  readonly epoch: number
  readonly row: Pick<KeygenRow, 'sessionId'>
  readonly items: KeygenItems
}

/** What a signer said of a kind; undefined where no row has it, or one that its own key has not signed. */
function saidBy<K extends KeygenKind>(
  genesis: Genesis,
  { epoch, items, row: { sessionId } }: Session,
  kind: K,
  signer: number,
): KeygenContents[K] | undefined {
  const found = items.get(toHex(keygenItemKey(sessionId, STAGE_OF_KIND[kind], signer)))
  if (found === undefined) return undefined
  const { content, signature } = found
  const item = { epoch, sessionId, kind: KEYGEN_KINDS.indexOf(kind), signer, content, signature }
  return isKeygenItemSigned(genesis, item) ? decodeKeygenContent(kind, content) : undefined
}
