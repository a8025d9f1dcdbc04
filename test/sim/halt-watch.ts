/**
 * Splits that leave no side with a quorum (BF-12): while one lasts nothing is decided, and when it ends, with all streams whole and
 * nothing else wrong, a block comes within as many views as there can be faulty proposers in a row, and one more.
 */
import type { CommittedBlock } from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { viewStart } from '../../core/pbft/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { Network } from './network.ts'
import type { SimulatedNode } from './node.ts'
import { LULL_AFTER_MS } from './plan.ts'
import { powerOfKeys, quorumOf, type ValidatorBook } from './validator-book.ts'
import { START_MS, type World } from './world.ts'

/** What was on its way when the split began has arrived, and what it decided is stored. */
const SETTLE_MS = 1_000
/** A block that is decided in a slot may become durable in the next. */
const STORE_SLOTS = 1

interface Healing {
  readonly height: number
  readonly view: number
  readonly lastView: number
  readonly deadlineMs: number
}

export class HaltWatch {
  readonly #world: World
  readonly #genesis: Genesis
  readonly #book: ValidatorBook
  readonly #network: Network
  #last: { readonly height: number; readonly slot: number }
  #splitAtMs: number | undefined
  /** Stored by anybody, and so decided, when the split began. */
  #decidedAtSplit = 0
  #highest = 0
  /** All correct nodes were linked and together as the split began. */
  #isWhole = false
  #healing: Healing | undefined

  constructor(world: World, genesis: Genesis, book: ValidatorBook, network: Network) {
    this.#world = world
    this.#genesis = genesis
    this.#book = book
    this.#network = network
    this.#last = { height: 0, slot: genesis.slot }
  }

  /** `side` against all others, where neither decides the next heights: power may have moved since the plan was drawn. */
  split(nodes: readonly SimulatedNode[], side: readonly number[]): void {
    this.#healing = undefined
    this.#isWhole = this.#areTogether(nodes)
    this.#splitAtMs = this.#isHalved(side) ? this.#world.nowMs : undefined
    this.#decidedAtSplit = this.#highest
  }

  #isHalved(side: readonly number[]): boolean {
    const keys = this.#genesis.validators.map(({ blsKey }) => toHex(blsKey))
    const here = keys.filter((_, at) => side.includes(at))
    const there = keys.filter((_, at) => !side.includes(at))
    const { height } = this.#last
    // What was under way may decide one more height, and no change of it acts before the one after next.
    return [height + 1, height + 2].every((next) => {
      const set = this.#book.at(next) ?? []
      return [here, there].every((part) => powerOfKeys(set, part) < quorumOf(set))
    })
  }

  /** `held`: the streams outlived the split. */
  mended(nodes: readonly SimulatedNode[], held: boolean): void {
    const isWhole = this.#isWhole && held && this.#areTogether(nodes)
    if (this.#splitAtMs === undefined) return
    this.#splitAtMs = undefined
    // Whatever was decided meanwhile was looked at.
    this.#world.check('HaltsSplit', true, () => '')
    if (!isWhole) return
    const height = this.#last.height + 1
    const views = nodes.flatMap((node) => {
      const live = node.tree?.live.consensus
      return counts(node) && live?.height === height ? [live.view] : []
    })
    const view = Math.max(0, ...views)
    const faulty = nodes.filter((node) => !counts(node)).length
    const lastView = view + faulty + 1
    const { slotMs } = this.#genesis.params
    const { length } = this.#book.at(height) ?? nodes
    const endSlot = viewStart(this.#last.slot, lastView + 1, length) + STORE_SLOTS
    const deadlineMs = endSlot * slotMs
    // Later something else may go wrong.
    if (deadlineMs > this.#world.nowMs + LULL_AFTER_MS) return
    this.#healing = { height, view, lastView, deadlineMs }
  }

  forget(): void {
    this.#splitAtMs = undefined
    this.#healing = undefined
  }

  /** Any node stores a height, those too that break the rules: even then it is decided. */
  stored(height: number): void {
    this.#highest = Math.max(this.#highest, height)
  }

  /** The first correct node stores a height. */
  decided({ block: { header }, certificate }: CommittedBlock): void {
    const { nowMs } = this.#world
    this.#last = header
    const splitAtMs = this.#splitAtMs
    if (splitAtMs !== undefined && header.height > this.#decidedAtSplit) {
      this.#world.check('HaltsSplit', nowMs <= splitAtMs + SETTLE_MS, () => {
        return `block ${header.height} is decided ${nowMs - splitAtMs} ms after a split in halves`
      })
    }
    const healing = this.#healing
    if (healing === undefined || header.height < healing.height) return
    this.#healing = undefined
    const { view } = certificate
    const later = view - healing.view
    if (later <= 0) this.#world.fault('resumedInView')
    else this.#world.fault(later === 1 ? 'resumedInNextView' : 'resumedLater')
    this.#world.check('ResumesSoon', view <= healing.lastView, () => {
      return `block ${header.height} is of view ${view}, the split ended in view ${healing.view}`
    })
  }

  afterEvent(): void {
    const healing = this.#healing
    if (healing === undefined || this.#world.nowMs <= healing.deadlineMs) return
    this.#world.check('ResumesSoon', false, () => {
      const afterMs = this.#world.nowMs - START_MS
      return `no block ${healing.height} until ${afterMs} ms, the split ended in view ${healing.view}`
    })
    this.#healing = undefined
  }

  #areTogether(nodes: readonly SimulatedNode[]): boolean {
    const correct = nodes.filter(counts)
    return correct.every(
      (node) =>
        (node.tree?.live.head?.head.header.height ?? -1) >= this.#last.height - 1 &&
        correct.every(({ name }) => name === node.name || this.#network.isLinked(name, node.name)),
    )
  }
}

/** Neither a liar nor one whose clock is as good as none, or whose guard made it leave a height out. */
function counts(node: SimulatedNode): boolean {
  return node.isCorrect && !node.hasForgotten && Math.abs(node.skew.offsetMs) < 1_000
}
