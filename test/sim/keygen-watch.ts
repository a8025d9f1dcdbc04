/**
 * The making of the federation's keys, seen from outside (protocol §5.1, §5.8): who is left out and why, who holds what, who called for
 * it, and which sweeps follow.
 */
import type { CommittedBlock } from '../../core/block/index.ts'
import { keygenKind } from '../../core/keygen/index.ts'
import {
  BATCH_KIND,
  heightKey,
  KEYGEN_FAULT,
  KEYGEN_STAGE,
  type KeygenRow,
  type KeyRow,
  type Ledger,
  rowOf,
  SWEEP_REASON,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { groupKeyFrom, isShareOf, toHex } from '../../crypto/index.ts'
import type { KeygenTurnKind } from './coverage.ts'
import type { SimulatedMember } from './member.ts'
import type { Streams } from './streams.ts'
import type { World } from './world.ts'

const DIED_IN: Readonly<Record<number, KeygenTurnKind>> = {
  [KEYGEN_STAGE.packages]: 'diedInPackages',
  [KEYGEN_STAGE.shares]: 'diedInShares',
  [KEYGEN_STAGE.confirmations]: 'diedInConfirmations',
}

const NAMED: Readonly<Record<number, KeygenTurnKind>> = {
  [KEYGEN_FAULT.missed]: 'namedMissed',
  [KEYGEN_FAULT.wrongShare]: 'namedWrongShare',
  [KEYGEN_FAULT.falseComplaint]: 'namedFalseComplaint',
}

const SWEPT: Readonly<Record<number, KeygenTurnKind>> = {
  [SWEEP_REASON.renewal]: 'sweptRenewal',
  [SWEEP_REASON.handover]: 'sweptHandover',
  [SWEEP_REASON.split]: 'sweptSplit',
}

export class KeygenWatch {
  readonly #world: World
  readonly #genesis: Genesis
  readonly #streams: Streams
  #members: readonly SimulatedMember[] = []
  /** Members that have lost what was on their disk. */
  readonly #lost = new Set<number>()
  /** Who called for the key of an epoch in some block. */
  readonly #callers = new Map<number, Set<number>>()
  readonly #named = new Set<string>()
  readonly #batches = new Set<string>()
  #height = 0
  /** Of the highest ledger that was shown. */
  #epoch = 0
  #making: KeygenRow | undefined

  constructor(world: World, genesis: Genesis, streams: Streams) {
    this.#world = world
    this.#genesis = genesis
    this.#streams = streams
  }

  watch(members: readonly SimulatedMember[]): void {
    this.#members = members
  }

  memberDies(): void {
    const kind = DIED_IN[this.#making?.stage ?? KEYGEN_STAGE.completed]
    if (kind !== undefined) this.#world.fault(kind)
  }

  diskLost(member: number): void {
    this.#lost.add(member)
  }

  /** Items of a session whose making has begun are waited for. */
  get isMaking(): boolean {
    return this.#making !== undefined && DIED_IN[this.#making.stage] !== undefined
  }

  /** The first node stores a height. */
  decided({ block: { body } }: CommittedBlock): void {
    for (const item of body.keygen) {
      if (keygenKind(item) !== 'call') continue
      const callers = this.#callers.get(item.epoch) ?? new Set()
      this.#callers.set(item.epoch, callers.add(item.signer))
      this.#world.fault('keyCalled')
    }
    for (const { depositEpoch } of body.pegIns) {
      if (depositEpoch < this.#epoch) this.#world.fault('depositToOldKey')
    }
  }

  /** A node shows another head. */
  checkRows(ledger: Ledger): void {
    const { epoch, height } = ledger.state
    if (height <= this.#height) return
    this.#height = height
    const made = rowOf(ledger, 'keys', heightKey(epoch))
    const making = rowOf(ledger, 'keygen', heightKey(epoch))
    if (epoch > this.#epoch && made !== undefined) this.#checkKey(epoch, made, making)
    this.#epoch = epoch
    this.#making = rowOf(ledger, 'keygen', heightKey(epoch + 1))
    // What a session ended with is in the row that its key came of.
    for (const making of [epoch, epoch + 1]) {
      const row = rowOf(ledger, 'keygen', heightKey(making))
      if (row !== undefined) this.#checkNamed(making, row)
    }
    if (epoch > 0 && this.#making !== undefined && this.isMaking) {
      const callers = this.#callers.get(epoch + 1)?.size ?? 0
      this.#world.check('KeyCalledFor', callers >= this.#genesis.memberThreshold, () => {
        return `a key of epoch ${epoch + 1} is made after ${callers} calls`
      })
    }
    for (const [id, { row }] of ledger.open.batches) {
      if (row.kind !== BATCH_KIND.sweep || this.#batches.has(id)) continue
      this.#batches.add(id)
      const kind = SWEPT[row.reason]
      if (kind !== undefined) this.#world.fault(kind)
    }
  }

  #checkNamed(epoch: number, { culprits }: KeygenRow): void {
    for (const { attempt, fault, signer, stage } of culprits) {
      const name = `${epoch} ${attempt} ${signer}`
      if (this.#named.has(name)) continue
      this.#named.add(name)
      const kind = NAMED[fault]
      if (kind !== undefined) this.#world.fault(kind)
      this.#world.log(
        `member${signer - 1} is left out of epoch ${epoch}, attempt ${attempt}: ${kind}`,
      )
      const isMissed = fault === KEYGEN_FAULT.missed
      const isFaulty = this.#isLiar(signer - 1) || (isMissed && this.#lost.has(signer - 1))
      this.#world.check('NoCorrectLeftOut', isFaulty, () => {
        return `member${signer - 1} is left out in stage ${stage} of attempt ${attempt}: ${kind}`
      })
    }
  }

  /** Each signer holds its share, and nobody is among them who spoiled the session. */
  #checkKey(
    epoch: number,
    { commitments, sessionId, signers }: KeyRow,
    making: KeygenRow | undefined,
  ): void {
    if (epoch > 1) this.#world.fault('keyHandedOver')
    this.#world.log(`the key of epoch ${epoch} is made by signers ${signers.join(', ')}`)
    const group = groupKeyFrom(commitments, [])
    for (const signer of signers) {
      const member = signer - 1
      const liar = this.#streams.keygenLiar(member)
      const isNamed = making?.culprits.some((culprit) => culprit.signer === signer) === true
      const isSpoiler = isNamed || liar?.spoiled.has(toHex(sessionId)) === true
      this.#world.check('SpoilerLeftOut', !isSpoiler, () => {
        return `member${member} lied in the session that made the key of epoch ${epoch}`
      })
      if (liar !== undefined || this.#lost.has(member)) continue
      const held = this.#members[member]?.shareOf(sessionId)
      const isHeld = held !== undefined && isShareOf(group, held.share)
      this.#world.check('ShareHeld', isHeld, () => {
        return `member${member} has no share of the key of epoch ${epoch}, which it confirmed`
      })
    }
  }

  #isLiar(member: number): boolean {
    return this.#streams.keygenLiar(member) !== undefined
  }
}
