/** What the members' operators decide while their programs run: calls for another key. */
import { KEYGEN_KINDS } from '../../core/block/index.ts'
import { encodeKeygenContent, keygenRowOf, signKeygenItem } from '../../core/keygen/index.ts'
import { KEYGEN_STAGE } from '../../core/ledger/index.ts'
import type { MemberKeys } from '../../governance/tree.ts'
import type { SubmitKeyCall } from '../../messages/index.ts'
import type { Chance } from './chance.ts'
import { pickShowing, type Showing, type SimulatedNode, type Surroundings } from './node.ts'

/** The last key that a world comes to. */
const LAST_EPOCH = 3
const CALL_BLOCKS = 1_000
const ASK_MS = 5_000
/** An operator looks whether a block has what it asked for, and asks another node. */
const AGAIN_MS = 1_500
/** Of all calls for a key so many are by fewer than t members: nothing comes of them. */
const TOO_FEW = 0.3

export class KeyCalls {
  readonly #around: Surroundings
  readonly #nodes: readonly SimulatedNode[]
  readonly #chance: Chance
  /** Who wants a key of this epoch. */
  #wanted: { readonly epoch: number; readonly callers: readonly number[] } | undefined
  #stopped = false

  constructor(around: Surroundings, nodes: readonly SimulatedNode[]) {
    this.#around = around
    this.#nodes = nodes
    this.#chance = around.world.chance('decisions')
  }

  begin(handoverMs: number): void {
    const { world, makesKey } = this.#around
    if (makesKey !== true) return
    const want = () => {
      if (this.#stopped) return
      this.#wantKey()
      world.at(this.#chance.untilNext(handoverMs), 'a key is wanted', want)
    }
    world.at(this.#chance.untilNext(handoverMs), 'a key is wanted', want)
  }

  /** What was called for is still made. */
  stop(): void {
    this.#stopped = true
  }

  #wantKey(): void {
    const { federation, world } = this.#around
    const ledger = pickShowing(this.#chance, this.#nodes)?.ledger
    if (ledger === undefined || this.#wanted !== undefined) return
    const { epoch } = ledger.state
    if (epoch === 0 || epoch >= LAST_EPOCH) return
    const { members, memberThreshold } = federation.genesis
    const isEnough = !this.#chance.happens(TOO_FEW)
    const count = isEnough
      ? this.#chance.between(memberThreshold, members.length)
      : this.#chance.between(1, memberThreshold - 1)
    const inTurn = members.map((_, at) => ({ at, key: this.#chance.next() }))
    inTurn.sort((left, right) => left.key - right.key)
    const callers = inTurn.slice(0, count).map(({ at }) => at)
    world.log(`members ${callers.join(', ')} call for the key of epoch ${epoch + 1}`)
    this.#wanted = { epoch: epoch + 1, callers }
    this.#call()
  }

  /** Again as long as no block has it: a node that restarted has forgotten what waited there. */
  #call(): void {
    const { federation, world } = this.#around
    const wanted = this.#wanted
    const found = pickShowing(this.#chance, this.#nodes)
    if (wanted === undefined) return
    if (found !== undefined) {
      const row = keygenRowOf(federation.genesis, found.ledger, wanted.epoch)
      const isOpen = found.ledger.state.epoch < wanted.epoch && row.stage === KEYGEN_STAGE.calls
      const left = wanted.callers.filter((member) => !row.received.includes(member + 1))
      if (!isOpen || left.length === 0) {
        this.#wanted = undefined
        return
      }
      for (const member of left) this.#submit(found, wanted.epoch, row.sessionId, member)
    }
    world.at(AGAIN_MS, 'calls for a key', () => this.#call())
  }

  #submit({ ledger, node }: Showing, epoch: number, sessionId: Uint8Array, member: number): void {
    const { federation, world } = this.#around
    const { schnorrSecret } = federation.members[member] as MemberKeys
    const untilHeight = ledger.state.height + CALL_BLOCKS
    const statement = {
      epoch,
      sessionId,
      kind: KEYGEN_KINDS.indexOf('call'),
      signer: member + 1,
      content: encodeKeygenContent('call', { untilHeight }),
    }
    const random = this.#chance.bytes(32)
    const item = signKeygenItem(federation.genesis, statement, schnorrSecret, random)
    void node.tree?.system
      .ask<SubmitKeyCall>(
        'bridge',
        { type: 'bridge.SubmitKeyCall', payload: { item } },
        { timeoutMs: ASK_MS, sender: 'api' },
      )
      .then((answer) => {
        const what = answer.ok ? answer.value.type : answer.error.code
        world.log(`${node.name} call of member${member}: ${what}`)
      })
  }
}
