/**
 * Replays a run of the model on core/pbft: three honest drivers, and a liar whose messages the replay signs. After
 * every step each driver must have signed exactly what the model's node signed, and every proposal that stands open is put
 * to a copy of the driver, which must prepare it if and only if the model allows it.
 */
import type { Block, ConsensusMessage, QuorumCertificate } from '../../../core/block/index.ts'
import type { GuardRecord } from '../../../core/guard/index.ts'
import { type Effect, viewLength } from '../../../core/pbft/index.ts'
import { equalBytes } from '../../../crypto/index.ts'
import { Desk, freshBlock, HEIGHT, only, proposerAt } from '../../unit/core/pbft/desk.ts'
import {
  certificateBy,
  hashOf,
  proposalBy,
  SLOT_MS,
  viewChangeBy,
  voteBy,
} from '../../unit/core/pbft/fixtures.ts'
import { type Action, type Offer, type Trace, type TraceStep, VIEWS } from './trace.ts'

export interface Mismatch {
  /** Index in the trace; the length of the trace: the end. */
  readonly step: number
  readonly node: number
  readonly expected: string
  readonly got: string
}

const N = 4
/** The liar's second block for a view of its own. */
const SECOND = VIEWS + 1

export function replay(trace: Trace): readonly Mismatch[] {
  return new Replay(trace).run()
}

class Replay {
  readonly #trace: Trace
  readonly #desks = new Map<number, Desk>()
  readonly #blocks = new Map<number, Block>()
  /** By view, who prepared and who committed to which block. */
  readonly #votes = {
    prepare: Array.from({ length: VIEWS }, () => new Map<number, number>()),
    commit: Array.from({ length: VIEWS }, () => new Map<number, number>()),
  }
  /** Proposals of honest validators, as they were broadcast. */
  readonly #proposals = new Map<number, ConsensusMessage>()
  readonly #mismatches: Mismatch[] = []

  constructor(trace: Trace) {
    this.#trace = trace
    for (let view = 0; view < VIEWS; view++) {
      this.#blocks.set(1 + view, freshBlock(view))
      if (proposerAt(view) === trace.liar) this.#blocks.set(SECOND, freshBlock(view, 1))
    }
  }

  run(): readonly Mismatch[] {
    for (let node = 0; node < N; node++) {
      if (node === this.#trace.liar) continue
      const desk = new Desk({ self: node })
      this.#desks.set(node, desk)
      this.#compare(0, node, [], desk.start())
    }
    this.#trace.steps.forEach((step, index) => {
      if (this.#mismatches.length > 0) return
      if (step.action !== undefined) this.#take(index, step.action, step)
      for (const offer of step.offers) this.#probe(index, offer)
    })
    if (this.#mismatches.length === 0) this.#decide()
    return this.#mismatches
  }

  #take(index: number, action: Action, { follows }: TraceStep): void {
    const { node } = action
    const expected = follows.map((follow) =>
      follow.kind === 'propose'
        ? proposeText(follow.view, follow.certificateView)
        : `${follow.kind} ${follow.view} ${follow.block}`,
    )
    if (action.kind === 'crash') {
      this.#compare(index, node, expected, this.#restart(node))
      return
    }
    const own =
      action.kind === 'enter'
        ? [`viewChange ${action.view}`]
        : action.kind === 'prepare'
          ? [`prepare ${action.view} ${action.block}`]
          : action.kind === 'propose'
            ? [proposeText(action.view, action.certificateView)]
            : []
    this.#compare(index, node, [...own, ...expected], this.#perform(index, action))
  }

  #perform(index: number, action: Exclude<Action, { kind: 'crash' }>): Effect[] {
    const desk = this.#desk(action.node)
    switch (action.kind) {
      case 'enter':
        return this.#enter(index, action.node, action.view)
      case 'learn':
        return this.#learn(index, action.node, action.view)
      case 'fetch': {
        const block = this.#block(action.block)
        return [...desk.tell({ kind: 'blockFetched', block, from: 'peer' }), ...desk.found(block)]
      }
      case 'propose':
        return this.#propose(desk, action.view, action.certificateView)
      case 'prepare':
        return this.#offer(desk, action.node, action.view, action.block, action.certificateView)
    }
  }

  /** By the clock, or by the ViewChanges of two others, of whom one is honest (1.3). */
  #enter(index: number, node: number, view: number): Effect[] {
    const desk = this.#desk(node)
    const startMs = desk.startOf(view)
    const ahead = [...this.#desks].filter(([, { state }]) => (state.height?.view ?? -1) >= view)
    const [honest] = ahead.map(([other]) => other).filter((other) => other !== node)
    const byVotes = index % 3 === 0 && honest !== undefined && proposerAt(view) !== node
    if (!byVotes || honest === undefined) return desk.clock(Math.max(desk.nowMs, startMs))
    const heard = [honest, this.#trace.liar].flatMap((other) =>
      desk.hear(viewChangeBy(other, HEIGHT, view), `peer ${other}`),
    )
    return [...heard, ...desk.clock(Math.max(desk.nowMs, startMs))]
  }

  /** As a certificate, or as the votes that make it. */
  #learn(index: number, node: number, view: number): Effect[] {
    const desk = this.#desk(node)
    const certificate = this.#certificate(view)
    if (index % 2 === 0 || desk.state.height?.view !== view) {
      return desk.hear({ kind: 'prepareCertificate', value: certificate })
    }
    return certificate.bitmap
      .getTrueBitIndexes()
      .filter((voter) => voter !== node)
      .flatMap((voter) =>
        desk.hear(voteBy(voter, 'prepare', HEIGHT, view, certificate.blockHash), `peer ${voter}`),
      )
  }

  /** The wait for ViewChanges is over; what is needed is built or fetched. */
  #propose(desk: Desk, view: number, certificateView: number | undefined): Effect[] {
    const effects: Effect[] = []
    if (certificateView !== undefined) {
      const block = this.#block(this.#certified(certificateView) ?? 0)
      effects.push(...desk.tell({ kind: 'blockFetched', block, from: 'peer' }))
    }
    const waitMs = (viewLength(view, N) * SLOT_MS) / 8
    effects.push(...desk.clock(Math.max(desk.nowMs, desk.startOf(view) + waitMs)))
    if (certificateView === undefined && only(desk.log, 'build').some((one) => one.view === view)) {
      effects.push(...desk.tell({ kind: 'built', height: HEIGHT, view, block: freshBlock(view) }))
    }
    return effects
  }

  #offer(
    desk: Desk,
    node: number,
    view: number,
    block: number,
    certificateView: number | undefined,
  ): Effect[] {
    const effects: Effect[] = []
    const proposer = proposerAt(view)
    if (proposer !== node) {
      const message =
        this.#proposals.get(view) ??
        proposalBy(
          proposer,
          view,
          this.#block(block),
          certificateView === undefined ? undefined : this.#certificate(certificateView),
        )
      effects.push(...desk.hear(message, `peer ${proposer}`))
    }
    effects.push(...desk.found(this.#block(block)))
    return effects
  }

  /** A new life with the old guard. It may repeat what it signed, byte for byte, and nothing else. */
  #restart(node: number): Effect[] {
    const old = this.#desk(node)
    const desk = new Desk({ self: node, guard: old.guard, nowMs: old.nowMs })
    this.#desks.set(node, desk)
    const known = new Set(recordsIn(old.log).map((record) => this.#text(record)))
    return desk
      .start()
      .filter(
        (effect) =>
          effect.kind !== 'sign' ||
          effect.record.kind === 'viewChange' ||
          !known.has(this.#text(effect.record)),
      )
      .filter((effect) => effect.kind !== 'sign' || effect.record.kind !== 'viewChange')
  }

  /** Shows a copy of the driver an open proposal. */
  #probe(index: number, { node, block, certificateView, allowed }: Offer): void {
    const desk = this.#desk(node)
    const view = desk.state.height?.view ?? -1
    const copy = new Desk({ self: node, guard: desk.guard, nowMs: desk.nowMs })
    copy.state = desk.state
    const effects = this.#offer(copy, node, view, block, certificateView)
    const prepared = recordsIn(effects).find(({ kind }) => kind === 'prepare')
    const got = prepared === undefined ? 'nothing' : this.#text(prepared)
    const expected = allowed ? `prepare ${view} ${block}` : 'nothing'
    if (got !== expected) this.#mismatches.push({ step: index, node, expected, got })
  }

  /** Whoever hears of a commit quorum commits that block. */
  #decide(): void {
    for (const [view, votes] of this.#votes.commit.entries()) {
      const [block] = votes.values()
      if (votes.size < 2 || block === undefined) continue
      const voters = [...votes.keys(), this.#trace.liar]
      const hash = hashOf(this.#block(block))
      const certificate = certificateBy(voters, N, 'commit', HEIGHT, view, hash)
      for (const [node, desk] of this.#desks) {
        const value = { block: this.#block(block), certificate }
        const effects = [
          ...desk.hear({ kind: 'committedBlock', value }),
          ...desk.found(this.#block(block)),
        ]
        const [committed] = only(desk.log, 'commit')
        const halted = only(effects, 'halt').length > 0
        const got = halted
          ? 'a halt'
          : committed === undefined
            ? 'nothing'
            : `block ${this.#name(hashOf(committed.block))}`
        const expected = `block ${block}`
        if (got !== expected) {
          this.#mismatches.push({ step: this.#trace.steps.length, node, expected, got })
        }
      }
    }
  }

  #compare(step: number, node: number, expected: readonly string[], effects: Effect[]): void {
    const records = recordsIn(effects)
    const got = records.map((record) => this.#text(record))
    for (const record of records) {
      if (record.kind !== 'prepare' && record.kind !== 'commit') continue
      this.#votes[record.kind][record.view]?.set(node, this.#name(record.hash))
    }
    for (const { message } of only(effects, 'broadcast')) {
      if (message.kind === 'prePrepare') this.#proposals.set(message.value.view, message)
    }
    if (got.join(', ') === expected.join(', ')) return
    this.#mismatches.push({ step, node, expected: expected.join(', '), got: got.join(', ') })
  }

  #text(record: GuardRecord): string {
    if (record.kind === 'viewChange') return `viewChange ${record.view}`
    if (record.kind !== 'propose') {
      return `${record.kind} ${record.view} ${this.#name(record.hash)}`
    }
    if (record.fresh) return proposeText(record.view, undefined)
    const certificateView = this.#votes.prepare.findLastIndex(
      (_, view) => view < record.view && this.#certified(view) === this.#name(record.hash),
    )
    return proposeText(record.view, certificateView)
  }

  #desk(node: number): Desk {
    const desk = this.#desks.get(node)
    if (desk === undefined) throw new Error(`no honest validator ${node}`)
    return desk
  }

  #block(number: number): Block {
    const block = this.#blocks.get(number)
    if (block === undefined) throw new Error(`no block ${number}`)
    return block
  }

  #name(hash: Uint8Array): number {
    for (const [number, block] of this.#blocks) if (equalBytes(hashOf(block), hash)) return number
    return -1
  }

  #certified(view: number): number | undefined {
    const counts = new Map<number, number>()
    for (const block of this.#votes.prepare[view]?.values() ?? []) {
      const count = (counts.get(block) ?? 0) + 1
      if (count === 2) return block
      counts.set(block, count)
    }
    return undefined
  }

  /** The votes of the honest, and the liar's to make it a quorum. */
  #certificate(view: number): QuorumCertificate {
    const block = this.#certified(view)
    if (block === undefined) throw new Error(`no quorum in view ${view}`)
    const voters = [...(this.#votes.prepare[view] ?? [])]
      .filter(([, voted]) => voted === block)
      .map(([voter]) => voter)
    const hash = hashOf(this.#block(block))
    return certificateBy([...voters, this.#trace.liar], N, 'prepare', HEIGHT, view, hash)
  }
}

function proposeText(view: number, certificateView: number | undefined): string {
  return `propose ${view} ${certificateView === undefined ? 'fresh' : `of ${certificateView}`}`
}

function recordsIn(effects: readonly Effect[]): GuardRecord[] {
  return only(effects, 'sign').map(({ record }) => record)
}
