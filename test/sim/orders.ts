/**
 * What members order about the peg's books while their programs run (protocol §4.9, §5.9): a deposit that named nobody goes back to whom its
 * owner says, a deposit that Bitcoin lost after it was credited is a loss. And what one of them alone would order: nothing comes of it.
 */
import { BitArray } from '@chainsafe/ssz'
import { refundMessage, refundProofFault } from '../../bridge/index.ts'
import {
  combineApprovals,
  PEG_ORDER_KINDS,
  type PegOrder,
  type PegOrderItem,
} from '../../core/block/index.ts'
import { BATCH_KIND, DEFICIT_CAUSE, type Ledger } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { orderFault, pegOrderId, pegOrderMessage } from '../../core/peg/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { MemberKeys } from '../../governance/tree.ts'
import type { SubmitPegOrder } from '../../messages/index.ts'
import { ownerWith } from '../unit/bridge/owners.ts'
import type { Auditor } from './auditor.ts'
import type { Chance } from './chance.ts'
import { type Deposits, payable } from './deposits.ts'
import { USER } from './federation.ts'
import { pickShowing, type Showing, type SimulatedNode, type Surroundings } from './node.ts'

const ASK_MS = 5_000
/** Operators look at the books now and then. */
const LOOK_MS = 1_500
/** A deficit that lasts for so long is looked into. */
const OPEN_MS = 3_000
/** Of those that would have come back so many are booked as losses all the same. */
const TOO_EARLY = 0.15
/** How often a payout that is not booked yet is cancelled, while users work: there is no other end to that. */
const CANCELS = 0.15
/** How often one of the members tries it alone. */
const ALONE = 0.5
const NOTHING = new Uint8Array(0)

export class Orders {
  readonly #around: Surroundings
  readonly #auditor: Auditor
  readonly #nodes: readonly SimulatedNode[]
  readonly #deposits: Deposits
  readonly #chance: Chance
  /** When a deficit was seen first, and whether it is booked whatever becomes of it, by its key. */
  readonly #deficits = new Map<string, { readonly sinceMs: number; readonly tooEarly: boolean }>()

  #stopped = false

  constructor(
    around: Surroundings,
    auditor: Auditor,
    nodes: readonly SimulatedNode[],
    deposits: Deposits,
  ) {
    this.#around = around
    this.#auditor = auditor
    this.#nodes = nodes
    this.#deposits = deposits
    this.#chance = around.world.chance('orders')
  }

  /** Nothing is cancelled any more. */
  stop(): void {
    this.#stopped = true
  }

  /** To the end: what waits for an order has no other end. */
  begin(): void {
    const look = () => {
      const showing = pickShowing(this.#chance, this.#nodes)
      if (showing !== undefined) this.#decide(showing)
      this.#around.world.at(LOOK_MS, 'operators look', look)
    }
    this.#around.world.at(LOOK_MS, 'operators look', look)
  }

  #decide(showing: Showing): void {
    if (this.#chance.happens(ALONE)) this.#alone(showing)
    const { ledger } = showing
    for (const order of [
      ...this.#refunds(ledger),
      ...this.#losses(ledger),
      ...this.#cancels(ledger),
    ]) {
      if (orderFault(ledger, order) !== undefined) continue
      this.#auditor.ordered(order)
      this.#submit(showing, this.#approved(order))
    }
  }

  /** Each approves what the owner of the deposit's inputs has signed. */
  #refunds({ open }: Ledger): PegOrder[] {
    const { genesis } = this.#around.federation
    return this.#deposits.nameless.flatMap(({ deposit, outpoint, previous, script }) => {
      if (!open.refundables.has(toHex(outpoint))) return []
      const owner = ownerWith(USER, 'p2wpkh')
      const signature = owner.sign(refundMessage(genesis, outpoint, script))
      const signatures = new Map([[toHex(owner.script), signature]])
      const proof = { deposit, previous: [previous], signatures }
      const found = refundProofFault(genesis, outpoint, script, proof)
      if (found !== undefined) throw new Error(`a proof of the owner is refused: ${found.code}`)
      return [orderOf('refundTo', outpoint, { scriptPubKey: script })]
    })
  }

  /** What does not come back is booked; now and then something else too. The fund bears a part, or nothing. */
  #losses({ open, state }: Ledger): PegOrder[] {
    const { world } = this.#around
    const orders: PegOrder[] = []
    for (const [name, { key, row }] of open.deficits) {
      if (row.cause !== DEFICIT_CAUSE.reorg || row.accepted) continue
      const seen = this.#deficits.get(`${name} ${row.height}`)
      if (seen === undefined) {
        const tooEarly = this.#chance.happens(TOO_EARLY)
        this.#deficits.set(`${name} ${row.height}`, { sinceMs: world.nowMs, tooEarly })
        continue
      }
      const subject = key.slice(1)
      const isLost = seen.tooEarly || this.#deposits.isLost(subject)
      if (!isLost || world.nowMs - seen.sinceMs < OPEN_MS) continue
      const halfSat = state.fundSat / 2n
      const fundSat = this.#chance.happens(0.5) && halfSat <= row.amountSat ? halfSat : 0n
      orders.push(orderOf('reorgLoss', subject, { fundSat, since: row.height }))
    }
    return orders
  }

  /** One of the payouts that are under way, signed or not, on its way or in a block. */
  #cancels({ open }: Ledger): PegOrder[] {
    if (this.#stopped || !this.#chance.happens(CANCELS)) return []
    const paying = [...open.batches.values()].filter(({ row }) => row.kind === BATCH_KIND.payout)
    const batch = this.#chance.pick(paying)
    return batch === undefined ? [] : [orderOf('cancel', batch.key, {})]
  }

  /** A deposit is to go to somebody else, a deficit to be forgotten, a payout to end: with fewer signatures than it takes. */
  #alone(showing: Showing): void {
    const { genesis, members } = this.#around.federation
    const { open } = showing.ledger
    const scriptPubKey = payable('a thief')
    const wanted = [
      ...[...open.deficits.values()].map(({ key, row }) =>
        orderOf('reorgLoss', key.slice(1), { since: row.height }),
      ),
      ...[...open.refundables.values()].map(({ key }) =>
        orderOf('refundTo', key, { scriptPubKey }),
      ),
      ...[...open.batches.values()].map(({ key }) => orderOf('cancel', key, {})),
    ]
    const due = wanted.filter((one) => orderFault(showing.ledger, one) === undefined)
    const order = this.#chance.pick(due)
    if (order === undefined) return
    const { membersEpoch } = showing.ledger.state
    const { approver } = this.#chance.pick(members) as MemberKeys
    const signature = approver.sign(pegOrderMessage(genesis, membersEpoch, order))
    const bitmap = BitArray.fromBitLen(members.length)
    const says = this.#chance.happens(0.5) ? genesis.memberThreshold : 1
    for (let at = 0; at < says; at++) bitmap.set(at, true)
    this.#around.world.fault('orderForged')
    this.#submit(showing, { ...order, approval: { membersEpoch, bitmap, signature } })
  }

  #approved(order: PegOrder): PegOrderItem {
    const { genesis, members } = this.#around.federation
    const message = pegOrderMessage(genesis, 0, order)
    const inTurn = members.map((keys, at) => ({ at, keys, turn: this.#chance.next() }))
    inTurn.sort((left, right) => left.turn - right.turn)
    const signatures = new Map(
      inTurn
        .slice(0, genesis.memberThreshold)
        .map(({ at, keys }) => [at, keys.approver.sign(message)] as const),
    )
    const approval = combineApprovals(genesis as Genesis, 0, signatures)
    if (approval === undefined) throw new Error('t members are not enough')
    return { ...order, approval }
  }

  #submit({ node }: Showing, order: PegOrderItem): void {
    void node.tree?.system
      .ask<SubmitPegOrder>(
        'chain',
        { type: 'chain.SubmitPegOrder', payload: { order } },
        { timeoutMs: ASK_MS, sender: 'api' },
      )
      .then((answer) => {
        const what = answer.ok ? answer.value.type : answer.error.code
        const name = `${PEG_ORDER_KINDS[order.kind]} ${pegOrderId(order).slice(0, 16)}`
        this.#around.world.log(`${node.name} order ${name}: ${what}`)
      })
  }
}

function orderOf(
  kind: (typeof PEG_ORDER_KINDS)[number],
  subject: Uint8Array,
  fields: Partial<Pick<PegOrder, 'scriptPubKey' | 'fundSat' | 'since'>>,
): PegOrder {
  const nothing = { scriptPubKey: NOTHING, fundSat: 0n, since: 0 }
  return { kind: PEG_ORDER_KINDS.indexOf(kind), subject, ...nothing, ...fields }
}
