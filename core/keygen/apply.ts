/** One block's step in the making of a key: its items, one by one, then what its height ends. */
import {
  addCommitments,
  type DkgPackages,
  dkgPackageFault,
  equalBytes,
  judgeComplaint,
  schnorrVerify,
  verifyingShareAt,
} from '../../crypto/index.ts'
import { type KeygenItem, type KeygenKind, MAX_KEYGEN_ITEMS } from '../block/index.ts'
import {
  heightKey,
  KEYGEN_FAULT,
  KEYGEN_STAGE,
  type KeygenRow,
  type Ledger,
  LedgerDraft,
} from '../ledger/index.ts'
import { err, type Genesis, ok, type Result } from '../params/index.ts'
import type { KeygenCode, KeygenFault } from './codes.ts'
import {
  decodeKeygenContent,
  isKeygenItemSigned,
  type KeygenContents,
  keygenConfirmationMessage,
  keygenItemKey,
  keygenKind,
  STAGE_OF_KIND,
} from './items.ts'
import {
  allSigners,
  ciphertextFor,
  dkgSession,
  KEYGEN_CALL_BLOCKS,
  KEYGEN_FIRST_STAGE_BLOCKS,
  KEYGEN_RETRY_BLOCKS,
  KEYGEN_STAGE_BLOCKS,
  keyCommitments,
  keygenEpoch,
  keygenRow,
  keygenRowOf,
  openCalls,
  openSession,
  packagesOf,
} from './state.ts'

const MAX_CULPRITS = 128

/** The ledger after a block's items at `height`, whose other effects up to the execution it has; or the rule that an item breaks. */
export function applyKeygen(
  genesis: Genesis,
  ledger: Ledger,
  height: number,
  items: readonly KeygenItem[],
): Result<Ledger, KeygenFault> {
  const epoch = keygenEpoch(genesis, ledger.state.epoch)
  if (epoch === undefined) return items.length === 0 ? ok(ledger) : err(fault('KeygenNotOpen'))
  const draft = new LedgerDraft(ledger, true)
  for (const item of items) {
    const refused = applyItem(genesis, draft, epoch, height, item)
    if (refused !== undefined) return err(refused)
  }
  const ended = endOfBlock(genesis, draft, epoch, height)
  return ok(items.length > 0 || ended ? draft.finish() : ledger)
}

/** Of waiting items those that the next block can carry, in an order in which it can (C-4). */
export function selectKeygen(
  genesis: Genesis,
  ledger: Ledger,
  height: number,
  waiting: Iterable<KeygenItem>,
): KeygenItem[] {
  const epoch = keygenEpoch(genesis, ledger.state.epoch)
  if (epoch === undefined) return []
  const draft = new LedgerDraft(ledger, true)
  const taken: KeygenItem[] = []
  // Checking an item costs some t multiplications; a block has half a second for all that it carries (BP-6).
  const most = Math.min(MAX_KEYGEN_ITEMS, Math.max(2, Math.floor(160 / genesis.memberThreshold)))
  for (const item of waiting) {
    if (taken.length >= most) break
    if (applyItem(genesis, draft, epoch, height, item) === undefined) taken.push(item)
  }
  return taken
}

/** What keeps an item from standing in the next block on this ledger; undefined when nothing does. */
export function keygenItemFault(
  genesis: Genesis,
  ledger: Ledger,
  height: number,
  item: KeygenItem,
): KeygenFault | undefined {
  const epoch = keygenEpoch(genesis, ledger.state.epoch)
  if (epoch === undefined) return fault('KeygenNotOpen')
  return applyItem(genesis, new LedgerDraft(ledger, true), epoch, height, item)
}

/** Whether an item that was good is still of the session and stage that run, and not in the ledger yet. Cheap. */
export function standingKeygen(
  genesis: Genesis,
  ledger: Ledger,
  { epoch, kind, sessionId, signer }: KeygenItem,
): boolean {
  if (keygenEpoch(genesis, ledger.state.epoch) !== epoch) return false
  const row = keygenRowOf(genesis, ledger, epoch)
  const name = keygenKind({ kind })
  return (
    name !== undefined &&
    STAGE_OF_KIND[name] === row.stage &&
    equalBytes(sessionId, row.sessionId) &&
    !row.received.includes(signer)
  )
}

function applyItem(
  genesis: Genesis,
  draft: LedgerDraft,
  epoch: number,
  height: number,
  item: KeygenItem,
): KeygenFault | undefined {
  if (item.epoch !== epoch) return fault('KeygenNotOpen', `epoch ${item.epoch}`)
  const row = keygenRow(genesis, draft, epoch)
  const { kind, signer } = item
  if (!equalBytes(item.sessionId, row.sessionId)) return fault('KeygenSessionWrong')
  const name = keygenKind(item)
  if (name === undefined || STAGE_OF_KIND[name] !== row.stage) {
    return fault('KeygenStageWrong', `kind ${kind} in stage ${row.stage}`)
  }
  if (!row.signers.includes(signer)) return fault('KeygenSignerUnknown', `${signer}`)
  if (row.received.includes(signer)) return fault('KeygenDuplicate', `${signer}`)
  const content = decodeKeygenContent(name, item.content)
  if (content === undefined) return fault('KeygenContentMalformed', name)
  if (!isKeygenItemSigned(genesis, item)) return fault('KeygenSignatureWrong', `${signer}`)
  const said: Said = { genesis, draft, epoch, height, row, item }
  return APPLY[name](said, content as never)
}

interface Said {
  readonly genesis: Genesis
  readonly draft: LedgerDraft
  readonly epoch: number
  readonly height: number
  readonly row: KeygenRow
  readonly item: KeygenItem
}

const APPLY: {
  readonly [K in KeygenKind]: (said: Said, content: KeygenContents[K]) => KeygenFault | undefined
} = {
  package: (said, content) => {
    const { genesis, height, item, row } = said
    const wrong = dkgPackageFault(dkgSession(genesis, row), item.signer, content)
    if (wrong !== undefined) return fault('KeygenPackageWrong', wrong)
    const sums = addCommitments(row.sums, content.commitments)
    // Nobody alone sets the clock of a first session: t of them are here when it begins to run.
    const isBegun = row.deadline !== 0 || row.received.length + 1 < genesis.memberThreshold
    const deadline = isBegun ? row.deadline : height + KEYGEN_FIRST_STAGE_BLOCKS
    note(said, { sums: [...sums], deadline })
    return undefined
  },
  shares: (said, { ciphertexts }) => {
    const others = said.row.signers.length - 1
    if (ciphertexts.length !== others) {
      return fault('KeygenSharesWrong', `${ciphertexts.length} of ${others}`)
    }
    note(said, {})
    return undefined
  },
  complaint: ({ draft, epoch, genesis, height, item, row }, complaint) => {
    const { accused } = complaint
    if (accused === item.signer || !row.signers.includes(accused)) {
      return fault('KeygenAccusedWrong', `${accused}`)
    }
    const packages = packagesOf(draft, row.sessionId, [item.signer, accused])
    const ciphertext = sentCiphertext(draft, row, accused, item.signer)
    const session = dkgSession(genesis, row)
    const blamed = judgeComplaint(
      session,
      packages as DkgPackages,
      item.signer,
      complaint,
      ciphertext,
    )
    const why = blamed === accused ? KEYGEN_FAULT.wrongShare : KEYGEN_FAULT.falseComplaint
    restart(genesis, draft, epoch, height, row, [blamed], why)
    return undefined
  },
  confirmation: (said, { signature }) => {
    const { epoch, genesis, item, row } = said
    const commitments = keyCommitments(row)
    const share = commitments && verifyingShareAt(commitments, item.signer)
    const key = commitments?.[0]
    // Where there is no key, or no share of it, those who were given wrong shares complain.
    if (key === undefined || share === undefined) return fault('KeygenConfirmationWrong')
    const message = keygenConfirmationMessage(genesis, epoch, row.sessionId, key.slice(1))
    if (!schnorrVerify(share.slice(1), message, signature)) {
      return fault('KeygenConfirmationWrong')
    }
    note(said, {})
    return undefined
  },
  call: (said, { untilHeight }) => {
    const { height, row } = said
    if (untilHeight < height || untilHeight > height + KEYGEN_CALL_BLOCKS) {
      return fault('KeygenCallOver', `${untilHeight} at ${height}`)
    }
    note(said, { deadline: row.deadline || height + KEYGEN_CALL_BLOCKS })
    return undefined
  },
}

function sentCiphertext(
  draft: LedgerDraft,
  { sessionId, signers }: KeygenRow,
  sender: number,
  recipient: number,
): Uint8Array {
  const row = draft.get('keygenItems', keygenItemKey(sessionId, KEYGEN_STAGE.shares, sender))
  const content = row && decodeKeygenContent('shares', row.content)
  const found = content && ciphertextFor(signers, sender, recipient, content.ciphertexts)
  if (found === undefined) throw new Error(`signer ${sender} of a later stage gave no shares`)
  return found
}

/** Keeps what was said, and that its signer has done this stage's part. */
function note(
  { draft, epoch, height, item, row }: Said,
  changed: Partial<Pick<KeygenRow, 'sums' | 'deadline'>>,
): void {
  const key = keygenItemKey(row.sessionId, row.stage, item.signer)
  const { content, signature } = item
  draft.put('keygenItems', key, { content, signature, height })
  const received = [...row.received, item.signer]
  draft.put('keygen', heightKey(epoch), { ...row, ...changed, received, height })
}

/** The next stage, the key, a restart: whether anything changed. */
function endOfBlock(genesis: Genesis, draft: LedgerDraft, epoch: number, height: number): boolean {
  const row = draft.get('keygen', heightKey(epoch))
  if (row === undefined) return false
  if (row.stage === KEYGEN_STAGE.failed) {
    if (height < row.deadline) return false
    const { attempt, culprits } = row
    const next = {
      attempt: attempt + 1,
      culprits,
      deadline: 0,
      height,
      signers: allSigners(genesis),
    }
    draft.put('keygen', heightKey(epoch), openSession(genesis, epoch, next))
    return true
  }
  if (row.stage === KEYGEN_STAGE.calls) return endOfCalls(genesis, draft, epoch, height, row)
  if (row.received.length === row.signers.length) {
    nextStage(draft, epoch, height, row)
    return true
  }
  if (row.deadline === 0 || height < row.deadline) return false
  const missing = row.signers.filter((signer) => !row.received.includes(signer))
  restart(genesis, draft, epoch, height, row, missing, KEYGEN_FAULT.missed)
  return true
}

/** With t calls all members are asked for their packages; without them by the deadline all begins anew. */
function endOfCalls(
  genesis: Genesis,
  draft: LedgerDraft,
  epoch: number,
  height: number,
  row: KeygenRow,
): boolean {
  const { attempt, culprits } = row
  const begun = { attempt, culprits, deadline: 0, height }
  if (row.received.length >= genesis.memberThreshold) {
    const opened = openSession(genesis, epoch, { ...begun, signers: row.signers })
    draft.put('keygen', heightKey(epoch), opened)
    return true
  }
  if (row.deadline === 0 || height < row.deadline) return false
  const again = openCalls(genesis, epoch, { ...begun, attempt: attempt + 1 })
  draft.put('keygen', heightKey(epoch), again)
  return true
}

function nextStage(draft: LedgerDraft, epoch: number, height: number, row: KeygenRow): void {
  if (row.stage < KEYGEN_STAGE.confirmations) {
    draft.put('keygen', heightKey(epoch), {
      ...row,
      stage: row.stage + 1,
      received: [],
      deadline: height + KEYGEN_STAGE_BLOCKS,
      height,
    })
    return
  }
  const commitments = keyCommitments(row)
  if (commitments === undefined) throw new Error('confirmed without a key')
  draft.put('keygen', heightKey(epoch), {
    ...row,
    stage: KEYGEN_STAGE.completed,
    deadline: 0,
    height,
  })
  draft.put('keys', heightKey(epoch), {
    publicKey: (commitments[0] as Uint8Array).slice(1),
    commitments: [...commitments],
    signers: row.signers,
    sessionId: row.sessionId,
    height,
    bitcoinHeight: draft.state.tipHeight,
  })
  draft.update({ epoch })
}

/** Under a new session id without the culprits, t unchanged; with fewer than t left the old key stays. */
function restart(
  genesis: Genesis,
  draft: LedgerDraft,
  epoch: number,
  height: number,
  row: KeygenRow,
  blamed: readonly number[],
  why: number,
): void {
  const { attempt, stage } = row
  const named = blamed.map((signer) => ({ signer, fault: why, stage, attempt, height }))
  const culprits = [...row.culprits, ...named].slice(-MAX_CULPRITS)
  const signers = row.signers.filter((signer) => !blamed.includes(signer))
  const isFailed = signers.length < genesis.memberThreshold
  const deadline = height + (isFailed ? KEYGEN_RETRY_BLOCKS : KEYGEN_STAGE_BLOCKS)
  draft.put(
    'keygen',
    heightKey(epoch),
    isFailed
      ? { ...row, stage: KEYGEN_STAGE.failed, deadline, culprits, height }
      : openSession(genesis, epoch, {
          attempt: attempt + 1,
          culprits,
          deadline,
          height,
          signers,
        }),
  )
}

function fault(code: KeygenCode, detail?: string): KeygenFault {
  return detail === undefined ? { code } : { code, detail }
}
