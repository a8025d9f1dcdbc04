/**
 * The figures of docs/explanation/consensus.md: two heights that four drivers of core/pbft play out, the counter-example that the
 * model gives without its lock rule, and the pacemaker's table. Each stands between two markers.
 */
import type { Block, ConsensusMessage } from '../../core/block/index.ts'
import type { GuardRecord } from '../../core/guard/index.ts'
import { type Effect, viewLength, viewStart } from '../../core/pbft/index.ts'
import { toHex } from '../../crypto/index.ts'
import { parseTraces, type Trace } from '../../test/spec/pbft/trace.ts'
import { Desk, freshBlock, PARENT_SLOT, proposerAt } from '../../test/unit/core/pbft/desk.ts'
import { hashOf } from '../../test/unit/core/pbft/fixtures.ts'
import { table } from './markdown.ts'
import { readSource } from './source.ts'

export const CONSENSUS_PAGE = 'docs/explanation/consensus.md'

const N = 4
const NODES = [0, 1, 2, 3] as const
const LETTERS = 'ABCDEFGHIJ'

/** One line of a figure: what each validator did since the line before. */
type Round = readonly (readonly string[])[]

/** Whether a message reaches a validator. */
type Passes = (message: ConsensusMessage, from: number, to: number) => boolean

/** Four drivers whose messages arrive a round after they were sent. */
class Play {
  readonly rounds: Round[] = []
  readonly #desks = NODES.map((self) => new Desk({ self }))
  readonly #blocks = new Map<string, Block>()
  readonly #letters = new Map<string, string>()
  #cells: string[][] = NODES.map(() => [])
  #sent: { readonly from: number; readonly message: ConsensusMessage }[] = []

  start(): void {
    for (const node of NODES) this.#note(node, this.#desk(node).start())
    this.#endRound()
  }

  /** Everybody's clock shows the start of the view. */
  enter(view: number): void {
    for (const node of NODES) {
      const desk = this.#desk(node)
      this.#note(node, desk.clock(desk.startOf(view)))
    }
    this.#endRound()
  }

  /** Delivers what was sent in the round before, as long as there is something. */
  run(passes: Passes = () => true): void {
    while (this.#sent.length > 0) {
      const sent = this.#sent
      this.#sent = []
      for (const { from, message } of sent) {
        for (const to of NODES) {
          if (to === from || !passes(message, from, to)) continue
          this.#note(to, this.#desk(to).hear(message, `peer ${from}`))
        }
      }
      this.#endRound()
    }
  }

  #desk(node: number): Desk {
    return this.#desks[node] as Desk
  }

  /** Writes down what a driver asks for, and answers it. */
  #note(node: number, effects: readonly Effect[]): void {
    const cell = this.#cells[node] as string[]
    for (const effect of effects) {
      const desk = this.#desk(node)
      if (effect.kind === 'sign') cell.push(this.#signed(effect.record))
      else if (effect.kind === 'commit') cell.push(`**decides ${this.#name(effect.block)}**`)
      else if (effect.kind === 'broadcast') this.#sent.push({ from: node, message: effect.message })
      else if (effect.kind === 'build') {
        const block = freshBlock(effect.view)
        this.#name(block)
        const { height, view } = effect
        this.#note(node, desk.tell({ kind: 'built', height, view, block }))
      } else if (effect.kind === 'validate') this.#note(node, desk.found(effect.block))
      else if (effect.kind === 'fetchBlock') {
        const block = this.#blocks.get(toHex(effect.hash))
        if (block === undefined) continue
        cell.push(`fetches ${this.#name(block)}`)
        this.#note(node, desk.tell({ kind: 'blockFetched', block, from: 'peer' }))
      }
    }
  }

  #signed(record: GuardRecord): string {
    switch (record.kind) {
      case 'propose': {
        const name = this.#letters.get(toHex(record.hash))
        return `PrePrepare ${record.fresh ? name : `${name} again`}`
      }
      case 'prepare':
        return `Prepare ${this.#letters.get(toHex(record.hash))}`
      case 'commit':
        return `lock, Commit ${this.#letters.get(toHex(record.hash))}`
      case 'viewChange': {
        const { certificate } = record
        const held = certificate && this.#letters.get(toHex(certificate.blockHash))
        return held === undefined ? 'ViewChange' : `ViewChange with certificate of ${held}`
      }
    }
  }

  #name(block: Block): string {
    const key = toHex(hashOf(block))
    const known = this.#letters.get(key)
    if (known !== undefined) return known
    const name = LETTERS[this.#letters.size] as string
    this.#letters.set(key, name)
    this.#blocks.set(key, block)
    return name
  }

  #endRound(): void {
    if (this.#cells.some((cell) => cell.length > 0)) this.rounds.push(this.#cells)
    this.#cells = NODES.map(() => [])
  }
}

function grid(rounds: readonly Round[], heads: readonly string[]): string {
  const rows = rounds.map((round, at) => [at + 1, ...round.map((cell) => cell.join('<br/>'))])
  return table(['', ...heads], rows)
}

const headsOf = (marked: ReadonlyMap<number, string>) =>
  NODES.map((node) => {
    const what = marked.get(node)
    return what === undefined ? `V${node}` : `V${node}, ${what}`
  })

function goodCase(): string {
  const play = new Play()
  play.start()
  play.run()
  return grid(play.rounds, headsOf(new Map([[proposerAt(0), 'proposer']])))
}

/** In view 0 only V0 hears the Prepares: it alone locks. View 1 must go on with its block. */
function lockedCase(): string {
  const play = new Play()
  play.start()
  play.run((message, _from, to) => {
    const isVote = message.kind === 'vote' || message.kind === 'prepareCertificate'
    return !isVote || (to === 0 && message.kind === 'vote')
  })
  play.enter(1)
  play.run()
  const marked = [0, 1].map((view) => [proposerAt(view), `proposer of view ${view}`] as const)
  return grid(play.rounds, headsOf(new Map(marked)))
}

/** What the model's run does, a line for each step. */
function withoutLock(): string {
  const [trace] = parseTraces(readSource('test/spec/pbft/without-lock.txt'))
  if (trace === undefined) throw new Error('there is no counter-example')
  const marked = new Map([[trace.liar, 'lies: has signed everything']])
  return grid(trace.steps.flatMap(linesOf), headsOf(marked))
}

function linesOf({ action, follows }: Trace['steps'][number]): Round[] {
  if (action === undefined) return []
  const cells: string[][] = NODES.map(() => [])
  const cell = cells[action.node] as string[]
  const block = (number: number) => LETTERS[number - 1]
  if (action.kind === 'enter') cell.push(`enters view ${action.view}`)
  else if (action.kind === 'learn') {
    cell.push(`has a prepare certificate of ${block(action.block)}`)
  } else if (action.kind === 'propose') cell.push(`PrePrepare ${LETTERS[action.view]}`)
  else if (action.kind === 'prepare') cell.push(`Prepare ${block(action.block)}`)
  else cell.push(action.kind)
  for (const follow of follows) {
    const name = follow.kind === 'propose' ? LETTERS[follow.view] : block(follow.block)
    const words = { commit: 'Commit', prepare: 'Prepare', propose: 'PrePrepare' } as const
    cells[follow.node]?.push(`${words[follow.kind]} ${name}`)
  }
  return [cells]
}

/** Views of one height at n = 4, at the ends and where the length doubles. */
function schedule(): string {
  const shown = [0, 1, 2, 3, 7, 8, 11, 12, 16, 20, 24]
  const row = (name: string, cell: (view: number) => number | string) => [name, ...shown.map(cell)]
  const rows = [
    row('starts, slots after the parent', (view) => viewStart(PARENT_SLOT, view, N) - PARENT_SLOT),
    row('lasts, slots', (view) => viewLength(view, N)),
    row(`proposer, parent in slot ${PARENT_SLOT}`, (view) => `V${proposerAt(view, N)}`),
  ]
  return table(['view', ...shown.map(String)], rows)
}

const FIGURES: Readonly<Record<string, () => string>> = {
  schedule,
  'good case': goodCase,
  'locked case': lockedCase,
  'without the lock': withoutLock,
}

/** The page with its figures drawn anew. */
export function consensusPage(): string {
  let text = readSource(CONSENSUS_PAGE)
  for (const [name, draw] of Object.entries(FIGURES)) {
    const begin = `<!-- figure: ${name}, written by \`npm run docs\` -->`
    const end = '<!-- /figure -->'
    const from = text.indexOf(begin)
    const to = text.indexOf(end, from)
    if (from < 0 || to < 0) throw new Error(`${CONSENSUS_PAGE} has no place for "${name}"`)
    text = `${text.slice(0, from + begin.length)}\n\n${draw()}\n\n${text.slice(to)}`
  }
  return text
}
