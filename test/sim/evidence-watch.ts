/**
 * Who signs twice is convicted, and nobody else (protocol §2.9, BP-17): no correct validator stands in a pool or a block as a liar,
 * and what convicts a liar in the pool of a correct node as everything heals is in a block soon after.
 */
import type { CommittedBlock, Evidence } from '../../core/block/index.ts'
import { evidenceKey } from '../../core/pbft/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { SimulatedNode } from './node.ts'
import type { World } from './world.ts'

export class EvidenceWatch {
  readonly #world: World
  readonly #isCorrect: (validator: Uint8Array) => boolean
  /** The pool of each node as it was seen last. */
  readonly #pools = new Map<SimulatedNode, readonly Evidence[]>()
  readonly #carried = new Set<string>()
  #due: readonly string[] = []

  constructor(world: World, isCorrect: (validator: Uint8Array) => boolean) {
    this.#world = world
    this.#isCorrect = isCorrect
  }

  /** The first node stores a height. */
  decided({ block: { body, header } }: CommittedBlock): void {
    for (const evidence of body.evidence) {
      const key = toHex(evidenceKey(evidence))
      this.#convicts(evidence, `block ${header.height}`)
      this.#world.check('ConvictedOnce', !this.#carried.has(key), () => {
        return `block ${header.height} carries ${key.slice(0, 16)} again`
      })
      this.#carried.add(key)
    }
  }

  /** Of correct nodes. */
  afterEvent(nodes: readonly SimulatedNode[]): void {
    for (const node of nodes) {
      const pool = node.tree?.live.evidence
      if (pool === undefined || pool === this.#pools.get(node)) continue
      this.#pools.set(node, pool)
      for (const evidence of pool) this.#convicts(evidence, node.name)
    }
  }

  /** From now on nothing is in the way of what waits in the pools of correct nodes. */
  healed(nodes: readonly SimulatedNode[]): void {
    const waiting = nodes.flatMap((node) => node.tree?.live.evidence ?? [])
    this.#due = [...new Set(waiting.map((evidence) => toHex(evidenceKey(evidence))))]
  }

  isCarried(): boolean {
    return this.#due.every((key) => this.#carried.has(key))
  }

  #convicts({ validator }: Evidence, where: string): void {
    this.#world.check('NoCorrectConvicted', !this.#isCorrect(validator), () => {
      return `${where} convicts ${toHex(validator).slice(0, 8)}, who follows the rules`
    })
  }
}
