/**
 * Validator changes that the members approve while everything else goes on: keys leave and come back, power moves (protocol §1.4, BF-13).
 * Whatever is approved, who may break the rules in this world never gets a third of the power.
 */
import {
  combineApprovals,
  type ValidatorChange,
  type ValidatorChangeItem,
} from '../../core/block/index.ts'
import type { Validator } from '../../core/params/index.ts'
import { largestStep, validatorChangeMessage } from '../../core/validators/index.ts'
import { equalBytes, provePossession, type Signer, toHex } from '../../crypto/index.ts'
import type { SubmitValidatorChange } from '../../messages/index.ts'
import type { Chance } from './chance.ts'
import type { Federation } from './federation.ts'
import type { SimulatedNode, Surroundings } from './node.ts'
import { powerOfKeys, totalOf } from './validator-book.ts'

const SUBMIT_MS = 2_000
/** Below, one key that never comes up would stop the chain. */
const FEWEST = 3
const MOST_POWER = 4
/** Submitted again, perhaps to another node. */
const AGAIN = 0.3

/** With the approval of as many members as it takes. */
export function approvedChange(
  { genesis, members }: Federation,
  change: ValidatorChange,
): ValidatorChangeItem {
  const message = validatorChangeMessage(genesis, 0, change)
  const signatures = new Map(
    members
      .slice(0, genesis.memberThreshold)
      .map(({ approver }, index) => [index, approver.sign(message)]),
  )
  const approval = combineApprovals(genesis, 0, signatures)
  if (approval === undefined) throw new Error('no approval')
  return { ...change, approval }
}

export class Changes {
  readonly #around: Surroundings
  readonly #nodes: readonly SimulatedNode[]
  readonly #chance: Chance
  /** Keys of those who may break the rules, in hex. */
  readonly #faulty: readonly string[]
  #stopped = false

  constructor(
    around: Surroundings,
    nodes: readonly SimulatedNode[],
    faultyNodes: ReadonlySet<number>,
  ) {
    const { federation, world } = around
    this.#around = around
    this.#nodes = nodes
    this.#chance = world.chance('changes')
    this.#faulty = federation.validators
      .filter((_, at) => faultyNodes.has(at))
      .map(({ publicKey }) => toHex(publicKey))
  }

  begin(everyMs: number): void {
    this.#around.world.at(this.#chance.untilNext(everyMs), 'a change of validators', () => {
      if (this.#stopped) return
      this.#change()
      this.begin(everyMs)
    })
  }

  stop(): void {
    this.#stopped = true
  }

  #change(): void {
    const { book, federation, world } = this.#around
    const signer = this.#chance.pick(federation.validators)
    const change = signer && this.#drawn(signer)
    if (change === undefined || !this.#isBearable(change)) return
    const approved = approvedChange(federation, change)
    world.log(
      `validators: ${toHex(change.blsKey).slice(0, 8)} is to have power ${change.power} of ${totalOf(book.latest)}`,
    )
    for (let count = this.#chance.happens(AGAIN) ? 2 : 1; count > 0; count--) {
      const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
      void node?.tree?.system.ask<SubmitValidatorChange>(
        'chain',
        { type: 'chain.SubmitValidatorChange', payload: { change: approved } },
        { timeoutMs: SUBMIT_MS, sender: 'api' },
      )
    }
  }

  #drawn(signer: Signer): ValidatorChange | undefined {
    const { book, federation } = this.#around
    const set = book.latest
    const isSigner = ({ blsKey }: Validator) => equalBytes(blsKey, signer.publicKey)
    const present = set.find(isSigner)
    const address = federation.genesis.validators.find(isSigner)?.address ?? new Uint8Array(20)
    const base = { sequence: book.changes + 1, blsKey: signer.publicKey, address }
    const none = new Uint8Array(96)
    const step = largestStep(set)
    if (present === undefined) {
      const power = this.#chance.between(1, Math.min(step, MOST_POWER))
      return { ...base, power, proofOfPossession: provePossession(signer) }
    }
    if (present.power <= step && this.#chance.happens(0.4)) {
      return { ...base, power: 0, address: new Uint8Array(20), proofOfPossession: none }
    }
    const by = this.#chance.between(1, step) * (this.#chance.happens(0.5) ? 1 : -1)
    const power = Math.min(MOST_POWER, Math.max(1, present.power + by))
    return power === present.power ? undefined : { ...base, power, proofOfPossession: none }
  }

  #isBearable({ address, blsKey, power }: ValidatorChange): boolean {
    const others = this.#around.book.latest.filter((one) => !equalBytes(one.blsKey, blsKey))
    const after = power === 0 ? others : [...others, { address, blsKey, power }]
    return after.length >= FEWEST && 3 * powerOfKeys(after, this.#faulty) < totalOf(after)
  }
}
