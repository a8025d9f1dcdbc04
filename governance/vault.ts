/**
 * The vault over the member's own files: decides by what a question shows, writes down what binds, and only then uses a secret (protocol
 * §4.2, §4.5, §5.1, §5.4…5.6). The same code in the member's process and in that of a remote signer, which differ in who asks.
 * Kept invariant: nothing is signed but what was computed here from proven rows or from a claim, and nonces are used once.
 */
import {
  decideApproval,
  decideSignature,
  isLeafEarly,
  type KnownFederation,
  readApprovalRequest,
  readBatchRows,
  refusal,
  sign,
  signingTask,
  wait,
} from '../bridge/index.ts'
import { encodeKeygenItem, type KeygenStatement, PegInClaimType } from '../core/block/index.ts'
import { dkgSession, firstSession, keygenEpoch, signKeygenItem } from '../core/keygen/index.ts'
import { encodeRow, heightKey, type KeygenRow } from '../core/ledger/index.ts'
import type { KnownBlock } from '../core/light/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { approvalMessage, type FederationKeys } from '../core/peg/index.ts'
import {
  listFault,
  makeOffer,
  type SigningMember,
  type SigningTask,
  signMyParts,
} from '../core/signing/index.ts'
import {
  beginDkg,
  equalBytes,
  groupKeyFrom,
  isShareOf,
  type KeyShare,
  toHex,
} from '../crypto/index.ts'
import {
  type ConfirmedKey,
  type Evidence,
  federationOf,
  keygenRows,
  keygenRowsToSpeak,
  Proven,
} from './evidence.ts'
import type { Journal } from './journal.ts'
import { confirmation, decideKeygen, isConfirmed, type KeygenSight } from './keygen-part.ts'
import type { MemberKeys } from './keys.ts'
import { attemptName, Offers } from './offers.ts'
import { limitReached, type MemberPolicy } from './policy.ts'
import type {
  Approval,
  ApprovalQuestion,
  HeadStore,
  KeygenQuestion,
  KeygenSaid,
  OfferGiven,
  OfferQuestion,
  OwnBitcoin,
  PartsGiven,
  PartsQuestion,
  Vault,
  VaultVerdict,
} from './port.ts'
import type { ShareStore } from './shares.ts'
import { Trust, type TrustFault } from './trust.ts'

export interface VaultOptions {
  readonly genesis: Genesis
  readonly memberIndex: number
  readonly keys: MemberKeys
  readonly policy: MemberPolicy
  readonly journal: Journal
  readonly shares: ShareStore
  /** Where it keeps the validators in whom it believes. */
  readonly trust: HeadStore
  /** A block that the operator knows to be of this chain, for when that belief is too old. */
  readonly trustedBlock?: KnownBlock
  /** A Bitcoin of its own: what the question says of the deposit is then not looked at. */
  readonly bitcoin?: OwnBitcoin
  readonly nowMs: () => number
  readonly random: (length: number) => Uint8Array
}

/** As many as a member's configuration may name. */
const MAX_NODES = 1024
/** Of one key: each has a file. Those of a key go when it is made. */
const MAX_SESSIONS = 256
const RETRY_MS = 2_000
const LIMIT_RETRY_MS = 30_000

export function createVault(options: VaultOptions): Vault {
  const core = new KeystoreVault(options)
  // One after another: the second question about a batch finds what was decided at the first. Deposits bind to nothing else, and wait for Bitcoin.
  const signing = inTurn()
  const making = inTurn()
  return {
    head: () => core.head(),
    follow: (announced) => signing(() => core.follow(announced)),
    approve: (question) => core.approve(question),
    offer: (question) => signing(() => core.offer(question)),
    parts: (question) => signing(() => core.parts(question)),
    keygen: (question) => making(() => core.keygen(question)),
    settle: (key) => making(() => core.settle(key)),
  }
}

function inTurn(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (act) => {
    const done = last.then(act)
    last = done.catch(() => {})
    return done
  }
}

/** Whether only what was shown, or this member, is at fault: the header that announced a set is on its way, and another proof may hold. */
function isPassing(code: TrustFault): boolean {
  const faults: readonly TrustFault[] = [
    'ValidatorSetMismatch',
    'ProofStale',
    'TrustStale',
    'HeaderAhead',
    'CertificateInvalid',
    'CertificateMismatch',
  ]
  return faults.includes(code)
}

class KeystoreVault {
  readonly #options: VaultOptions
  readonly #trust: Trust
  /** Nonces in memory; a process that starts again has none. */
  readonly #offers = new Offers()
  /** By epoch: rows of keys whose confirmations were looked at. */
  readonly #confirmed = new Map<number, Uint8Array>()

  constructor(options: VaultOptions) {
    const { genesis, nowMs, trust: store, trustedBlock } = options
    this.#options = options
    this.#trust = new Trust({ genesis, store, nowMs, ...(trustedBlock && { trustedBlock }) })
  }

  head() {
    return this.#trust.belief()
  }

  async follow(announced: Parameters<Trust['follow']>[0]): Promise<boolean> {
    return (await this.#trust.follow(announced)) === undefined
  }

  async approve({ keys, request, sight }: ApprovalQuestion): Promise<VaultVerdict<Approval>> {
    const { bitcoin, genesis, journal, keys: own, nowMs, policy } = this.#options
    const federation = this.#federation(keys)
    const read = readApprovalRequest(genesis, request, federation)
    if (read.kind !== 'sign') return read
    const standstill = await this.#standstill()
    if (standstill !== undefined) return standstill
    const claim = read.value
    const { membersEpoch, outpoint } = request
    const claimRoot = PegInClaimType.hashTreeRoot(claim)
    const stored = journal.approval(outpoint, claimRoot)
    if (stored !== undefined) return sign({ signature: stored, isNew: false })
    const seen = await (bitcoin?.sight(claim.proof.blockHash, claim.txid) ?? sight)
    const verdict = decideApproval(genesis, claim, seen, policy.confirmations, federation)
    if (verdict.kind !== 'sign') return verdict
    const signature = own.approver.sign(approvalMessage(genesis, 'pegIn', membersEpoch, claim))
    await journal.noteApproval(nowMs(), outpoint, claimRoot, signature)
    return sign({ signature, isNew: true })
  }

  /** The decision is in the journal before anything that signs is made. */
  async offer(question: OfferQuestion): Promise<VaultVerdict<OfferGiven>> {
    const { evidence, keys: shown, node, request } = question
    const { genesis, journal, policy, random } = this.#options
    const { attempt, batchId, version } = request
    if (!equalBytes(request.genesisHash, genesis.hash) || batchId.length !== 32) {
      return refusal('WrongChain')
    }
    // Each node has a place in a table.
    if (node >= MAX_NODES) return refusal('NodeUnknown')
    const standstill = await this.#standstill()
    if (standstill !== undefined) return standstill
    const nowMs = this.#options.nowMs()
    const passed = this.#offers.refusal(node, attemptName(genesis, request), nowMs)
    if (passed !== undefined) return wait(passed, RETRY_MS)
    const root = await this.#rootOf(evidence)
    if (root.kind !== 'sign') return root
    const rows = readBatchRows(root.value, request, evidence.rows)
    if (rows.kind !== 'sign') return rows
    const verdict = decideSignature(genesis, request, rows.value, this.#federation(shown))
    if (verdict.kind !== 'sign') return verdict
    const { batch, keys, leavingSat, minerFeeSat, paidSat, timestamp, txid } = verdict.value
    const begun = journal.intent(batchId, version)
    if (begun !== undefined && !equalBytes(begun, txid)) return refusal('OtherTransactionSigned')
    if (isLeafEarly(attempt, batch, timestamp, nowMs)) return wait('AttemptEarly', RETRY_MS)
    const leaving = { batchId: toHex(batchId), leavingSat, paysNobody: paidSat === 0n }
    const reached = limitReached(policy, journal.leaving(), leaving, nowMs)
    if (reached !== undefined) return wait(reached, LIMIT_RETRY_MS)
    const task = signingTask(genesis, keys, { batchId, version, attempt }, batch)
    const serial = this.#offers.serial(node, task, nowMs)
    if (serial === undefined) return wait('AttemptExhausted', RETRY_MS)
    const made = makeOffer(task, await this.#memberOf(task, keys), serial, random)
    if (made === undefined) return refusal('NoShareOfKey')
    const { offer } = made
    if (begun === undefined) await journal.noteIntent(nowMs, batchId, version, txid, leaving)
    this.#offers.put(node, task, serial, nowMs, { task, keys, txid, ...made })
    return sign(begun === undefined ? { offer, begun: { txid, paidSat, minerFeeSat } } : { offer })
  }

  async parts(question: PartsQuestion): Promise<VaultVerdict<PartsGiven>> {
    const { attempt, batchId, node, offers: list, version } = question
    const { journal, memberIndex, nowMs, random } = this.#options
    const standstill = await this.#standstill()
    if (standstill !== undefined) return standstill
    const open = this.#offers.take(node, batchId)
    const isAsked = open?.task.attempt === attempt && open.task.version === version
    if (open === undefined || !isAsked) return wait('NoncesUnknown', RETRY_MS)
    const { keys, nonces, offer, task, txid } = open
    const mine = list.find(({ member }) => member === memberIndex)
    const fault = listFault(task, list)
    if (fault !== undefined || mine === undefined || !equalBytes(mine.signature, offer.signature)) {
      return refusal(fault?.code ?? 'OtherOffer')
    }
    const member = await this.#memberOf(task, keys)
    const given = signMyParts(task, member, nonces, list, random)
    if (given === undefined) return wait('NoncesUnknown', RETRY_MS)
    if (!journal.isSigned(batchId, version)) {
      await journal.noteSigned(nowMs(), batchId, version, txid)
    }
    const serial = this.#offers.serial(node, task, nowMs())
    const next = serial === undefined ? undefined : makeOffer(task, member, serial, random)
    if (next !== undefined) {
      this.#offers.put(node, task, next.offer.serial, nowMs(), { task, keys, txid, ...next })
    }
    const { listHash, parts, signature } = given
    return sign({ listHash, parts, signature, ...(next && { next: next.offer }) })
  }

  async keygen({ epoch, evidence }: KeygenQuestion): Promise<VaultVerdict<KeygenSaid>> {
    const root = await this.#rootOf(evidence)
    if (root.kind !== 'sign') return root
    const sight = this.#sightOf(epoch, root.value, evidence)
    if (sight.kind !== 'sign') return sight
    return this.#speak(sight.value)
  }

  /** While the share of a key is not there, what it can be made from again stays. */
  async settle(key: ConfirmedKey): Promise<VaultVerdict<boolean>> {
    const { memberIndex, shares } = this.#options
    if (!this.#isConfirmed(key)) return refusal('KeyUnconfirmed')
    const { commitments, sessionId, signers } = key.row
    const held = await shares.shareOnDisk(sessionId)
    const isWhole = held !== undefined && isShareOf(groupKeyFrom(commitments, []), held.share)
    if (!isWhole && signers.includes(memberIndex + 1)) return sign(false)
    await shares.forgetSessions(key.epoch)
    return sign(true)
  }

  /** Why nothing is signed at present, whatever is asked. */
  async #standstill() {
    if (this.#options.policy.hold) return wait('PolicyHold', RETRY_MS)
    return (await this.#trust.isStale()) ? wait('TrustStale', RETRY_MS) : undefined
  }

  async #rootOf({ header }: Evidence): Promise<VaultVerdict<Uint8Array>> {
    const found = await this.#trust.rootOf(header)
    if (found.ok) return sign(found.ledgerRoot)
    const { code, detail } = found
    return isPassing(code) ? wait(code, RETRY_MS) : refusal(code, detail)
  }

  /** By the keys that are shown, those that their members confirmed. */
  #federation(shown: readonly ConfirmedKey[]): KnownFederation {
    return federationOf(shown.filter((key) => this.#isConfirmed(key)))
  }

  #isConfirmed({ epoch, items, row }: ConfirmedKey): boolean {
    const known = this.#confirmed.get(epoch)
    const shown = encodeRow('keys', row)
    if (known !== undefined) return equalBytes(known, shown)
    if (!isConfirmed(this.#options.genesis, epoch, row, items)) return false
    this.#confirmed.set(epoch, shown)
    return true
  }

  /** A session of any other epoch would only fill the disk with secrets of keys that are not made. */
  #sightOf(epoch: number, root: Uint8Array, { rows }: Evidence): VaultVerdict<KeygenSight> {
    const { genesis } = this.#options
    const key = heightKey(epoch)
    const proven = new Proven(root, keygenRows(epoch), rows)
    if (!proven.shows('keygen', key) || proven.state === undefined) return refusal('RowUnproven')
    if (epoch !== keygenEpoch(genesis, proven.state.epoch)) return refusal('KeygenNotOpen')
    const row: KeygenRow = proven.row('keygen', key) ?? firstSession(genesis, epoch)
    const wanted = keygenRowsToSpeak(epoch, row)
    const said = new Proven(root, wanted, rows).items(wanted.slice(2).map((one) => one.key))
    return said === undefined ? refusal('RowUnproven') : sign({ epoch, row, items: said })
  }

  /** Stores what has to be stored first; gives the signed item. */
  async #speak(sight: KeygenSight): Promise<VaultVerdict<KeygenSaid>> {
    const { genesis, memberIndex, random, shares } = this.#options
    const { epoch, row } = sight
    const { sessionId } = row
    const signer = memberIndex + 1
    const decide = async () => {
      return decideKeygen(genesis, signer, sight, await shares.session(sessionId), random(32))
    }
    let task = await decide()
    const isFirst = task.kind === 'begin'
    if (isFirst) {
      if ((await shares.sessionCount()) >= MAX_SESSIONS)
        return wait('TooManySessions', LIMIT_RETRY_MS)
      const begun = beginDkg(dkgSession(genesis, row), signer, random)
      await shares.saveSession({ epoch, sessionId, ...begun })
      task = await decide()
    }
    switch (task.kind) {
      case 'say': {
        const { accused, statement } = task
        const item = this.#signed(statement)
        if (accused === undefined) return sign({ word: 'said', item, isFirst })
        return sign({ word: 'complained', item, isFirst, accused })
      }
      case 'confirm': {
        if ((await shares.share(sessionId)) === undefined) await shares.saveShare(task.held)
        const item = this.#signed(confirmation(genesis, sight, task.held, random(32)))
        return sign({ word: 'confirmed', item, isFirst })
      }
      case 'doubt':
        return sign({ word: 'doubted', isFirst })
      case 'lost':
        return sign({ word: 'lost', isFirst })
      default:
        return sign({ word: 'silent', isFirst })
    }
  }

  #signed(statement: KeygenStatement): Uint8Array {
    const { genesis, keys, random } = this.#options
    return encodeKeygenItem(signKeygenItem(genesis, statement, keys.schnorrSecret, random(32)))
  }

  /** This member with its shares of the keys that a task takes. */
  async #memberOf({ inputs }: SigningTask, made: FederationKeys): Promise<SigningMember> {
    const { keys, memberIndex, shares } = this.#options
    const held = new Map<number, KeyShare>()
    for (const input of inputs) {
      if (input.path === 'leaf' || held.has(input.epoch)) continue
      const key = made.get(toHex(heightKey(input.epoch)))
      // A file that is damaged ends neither this member nor its word about deposits.
      const found = key && (await shares.share(key.row.sessionId).catch(() => undefined))
      if (found !== undefined) held.set(input.epoch, found.share)
    }
    return { index: memberIndex, secretKey: keys.schnorrSecret, shares: held }
  }
}
