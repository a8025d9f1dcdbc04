/** One driver on a desk: inputs by hand, signatures made at once and folded into a guard that outlives it. */
import type { Block, ConsensusMessage } from '../../../../core/block/index.ts'
import { EMPTY_GUARD, foldGuard, type GuardView, signRecord } from '../../../../core/guard/index.ts'
import { VALID } from '../../../../core/params/index.ts'
import {
  createDriver,
  type DriverState,
  type Effect,
  type Input,
  step,
  viewStart,
} from '../../../../core/pbft/index.ts'
import { type SignatureSuite, sha256 } from '../../../../crypto/index.ts'
import {
  blockOf,
  fakeSuite,
  GENESIS_HASH,
  hashOf,
  keyOf,
  SLOT_MS,
  signerOf,
  validatorsOf,
} from './fixtures.ts'

export const PARENT_HASH = sha256(Uint8Array.of(5))
export const PARENT_SLOT = 100
export const HEIGHT = 10

export interface DeskOptions {
  readonly n?: number
  /** Position; undefined: an observer. */
  readonly self?: number | undefined
  readonly guard?: GuardView
  readonly suite?: SignatureSuite
  readonly nowMs?: number
  readonly powers?: readonly number[]
}

/** Proposers at n = 4 by view: 1, 2, 3, 0, 1 … */
export function proposerAt(view: number, n = 4): number {
  return (PARENT_SLOT + 1 + view) % n
}

/** A fresh block for the view, by its proposer. */
export function freshBlock(view: number, salt = 0, n = 4): Block {
  const slot = viewStart(PARENT_SLOT, view, n)
  const author = proposerAt(view, n)
  return blockOf({ height: HEIGHT, slot, parentHash: PARENT_HASH, author, salt })
}

export class Desk {
  state: DriverState
  guard: GuardView
  nowMs: number
  /** Everything asked for so far. */
  readonly log: Effect[] = []
  readonly #n: number
  readonly #self: number | undefined
  readonly #powers: readonly number[]

  constructor(options: DeskOptions = {}) {
    const { n = 4, self, guard = EMPTY_GUARD, suite = fakeSuite, powers = [] } = options
    const config = { genesisHash: GENESIS_HASH, slotMs: SLOT_MS, suite }
    this.#n = n
    this.#self = self
    this.#powers = powers
    this.guard = guard
    this.nowMs = options.nowMs ?? this.startOf(0)
    this.state = createDriver(self === undefined ? config : { ...config, self: keyOf(self) })
  }

  startOf(view: number): number {
    return viewStart(PARENT_SLOT, view, this.#n) * SLOT_MS
  }

  start(height = HEIGHT): Effect[] {
    const validators = validatorsOf(this.#n, this.#powers)
    const context = { height, parentHash: PARENT_HASH, parentSlot: PARENT_SLOT, validators }
    return this.tell({ kind: 'startHeight', context, guard: this.guard, nowMs: this.nowMs })
  }

  tell(input: Input): Effect[] {
    const { state, effects } = step(this.state, input)
    this.state = state
    this.log.push(...effects)
    const all = [...effects]
    for (const effect of effects) {
      if (effect.kind !== 'sign' || this.#self === undefined) continue
      this.guard = foldGuard(this.guard, effect.record)
      const message = signRecord(GENESIS_HASH, effect.record, signerOf(this.#self))
      all.push(...this.tell({ kind: 'signed', message }))
    }
    return all
  }

  clock(nowMs: number): Effect[] {
    this.nowMs = nowMs
    return this.tell({ kind: 'clock', nowMs })
  }

  hear(message: ConsensusMessage, from = 'peer', verified = false): Effect[] {
    return this.tell({ kind: 'message', message, from, nowMs: this.nowMs, verified })
  }

  found(block: Block, objects = false): Effect[] {
    return this.tell({ kind: 'validated', hash: hashOf(block), verdict: VALID, objects })
  }
}

export function kinds(effects: readonly Effect[]): string[] {
  return effects.map(({ kind }) => kind)
}

export function only<K extends Effect['kind']>(
  effects: readonly Effect[],
  kind: K,
): Extract<Effect, { kind: K }>[] {
  return effects.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind)
}

/** Votes that were broadcast, as `prepare 0` and so on. */
export function votesIn(effects: readonly Effect[]): string[] {
  return only(effects, 'broadcast').flatMap(({ message }) =>
    message.kind === 'vote'
      ? [`${message.value.phase === 1 ? 'prepare' : 'commit'} ${message.value.view}`]
      : [],
  )
}
