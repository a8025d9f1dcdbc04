/** Flow 3 with four validators: whose turn it is, what a late or bad answer does, which flow a batch belongs to. */
import type { BridgeContext, BridgeStep } from '../../../../actors/bridge/context.ts'
import { handle } from '../../../../actors/bridge/handlers.ts'
import { MAX_REMEMBERED_BURNS } from '../../../../actors/bridge/limits.ts'
import { coordinatorOf } from '../../../../actors/bridge/operations.ts'
import { SIGNATURE_ROUND_MS } from '../../../../bridge/index.ts'
import { parseTransaction, txid } from '../../../../core/bitcoin/index.ts'
import { applyPegOrder, assemble, openBatches, requestId } from '../../../../core/peg/index.ts'
import { joinParts, type SigningList } from '../../../../core/signing/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import type { BridgeInbox, PayoutsUnconfirmed } from '../../../../messages/index.ts'
import { approvedOrder, orderOf } from '../../core/peg/orders.ts'
import { PegWorld, seeded } from '../../core/peg/world.ts'
import { TestSigner } from '../../core/signing/together.ts'
import { envelopeOf } from '../fake-run.ts'
import { bridgeContext } from './context.ts'

/** A world with one recorded batch, and a bridge that hears of it. */
class Desk {
  readonly world = new PegWorld({ batchWindowSeconds: 0 })
  readonly validatorIndex: number | undefined
  context: BridgeContext
  state = 'Monitoring'
  nowMs = 0

  constructor(validatorIndex: number | undefined) {
    this.validatorIndex = validatorIndex
    const { genesis } = this.world
    const validatorKey = genesis.validators[validatorIndex ?? -1]?.blsKey
    this.context = bridgeContext(genesis, { validatorKey, pollMs: 500 })
    this.world.pegIn('alice', 5_000_000n)
    this.world.block({ burns: [this.world.burn('bob', 1_000_000n, undefined, 4)] })
  }

  /** A block that records what is due. */
  record(): void {
    const { world } = this
    const nothing = { headers: [], pegIns: [], bookings: [] }
    const { items } = assemble(world.ledger, world.context(), nothing)
    world.block({ items })
  }

  /** Bitcoin goes on without the batch, and a block bumps it. */
  bump(): void {
    const { world } = this
    world.bitcoin.mine([], 3)
    world.syncHeaders()
    const queue = { headers: [], pegIns: [], bookings: [], unconfirmed: [this.batch.batchId] }
    world.block({ items: assemble(world.ledger, world.context(), queue).items })
    if (this.batch.versions.length < 2) throw new Error('no bump')
  }

  transaction(version: number) {
    const parsed = parseTransaction(
      this.batch.versions[version]?.row.transaction ?? new Uint8Array(),
    )
    if (!parsed.ok) throw new Error(parsed.error.reason)
    return parsed.value
  }

  /** What Bitcoin made of a version that was sent. */
  answer(version: number, outcome: { readonly accepted?: boolean; readonly code?: string }): void {
    const payload = { batchId: this.id, version, accepted: true, ...outcome }
    this.tell({ type: 'bridge.BroadcastResult', payload })
  }

  bitcoinAt(tipHeight: number): void {
    this.context = { ...this.context, bitcoin: { tipHeight, reachable: true } }
  }

  tell(message: BridgeInbox, flow = 'block'): BridgeStep {
    const about = { envelope: envelopeOf(message, flow), state: this.state, nowMs: this.nowMs }
    const step = handle(this.context, message, about)
    this.context = step.context
    return step
  }

  finalize(flow = 'block'): BridgeStep {
    const { height, ledger } = this.world
    const hash = new Uint8Array(32)
    return this.tell(
      {
        type: 'chain.FinalizeBlock',
        payload: { height, hash, header: undefined as never, ledger },
      },
      flow,
    )
  }

  get batch() {
    const [batch] = openBatches(this.world.ledger)
    if (batch === undefined) throw new Error('no batch')
    return batch
  }

  get id(): string {
    return toHex(this.batch.batchId)
  }

  get payout() {
    return this.context.payouts.get(this.id)
  }

  readonly members = [0, 1, 2, 3].map((index) => new TestSigner(index, seeded(`schnorr ${index}`)))

  get task() {
    const task = this.payout?.session?.coordinator.task
    if (task === undefined) throw new Error('nothing is signed')
    return task
  }

  get attempt() {
    return { batchId: this.id, version: 0, attempt: this.payout?.attempt ?? 0 }
  }

  /** A member's offer arrives. */
  offer(memberIndex: number): BridgeStep {
    const offer = this.members[memberIndex]?.offer(this.task)
    if (offer === undefined) throw new Error(`no member ${memberIndex}`)
    const payload = { ...this.attempt, memberIndex, offer }
    return this.tell({ type: 'bridge.NonceOfferReceived', payload })
  }

  /** A member's parts arrive, bent before. */
  sign(
    memberIndex: number,
    list: SigningList,
    bend = (parts: readonly Uint8Array[]) => parts,
  ): BridgeStep {
    const member = this.members[memberIndex]
    if (member === undefined) throw new Error(`no member ${memberIndex}`)
    const parts = member.parts(this.task, list, bend)
    const payload = { ...this.attempt, memberIndex, parts }
    return this.tell({ type: 'bridge.CollectedSignatures', payload })
  }

  /** What the effect of the step comes to arrives. */
  join(step: BridgeStep): BridgeStep {
    const effect = own(step).find(({ kind }) => kind === 'join')
    if (effect?.kind !== 'join') throw new Error('nothing to join')
    const { all, list, task } = effect
    const joined = task.inputs.map((_, index) => joinParts(task, list, all, index))
    return this.tell({
      type: 'bridge.SignaturesJoined',
      payload: { ...this.attempt, list, joined },
    })
  }
}

const told = ({ effects = [] }: BridgeStep) =>
  effects.flatMap((effect) =>
    'kernel' in effect && effect.kernel === 'tell'
      ? [{ to: effect.to, ...effect.message, flow: effect.correlationId }]
      : [],
  )
const timers = ({ effects = [] }: BridgeStep) =>
  effects.flatMap((effect) => ('kernel' in effect && effect.kernel === 'timer' ? [effect] : []))
const own = ({ effects = [] }: BridgeStep) =>
  effects.flatMap((effect) => ('kind' in effect ? [effect] : []))

function ready(validatorIndex: number | undefined): Desk {
  const desk = new Desk(validatorIndex)
  desk.record()
  return desk
}

describe('5.5: whose turn it is', () => {
  it('every node runs the timer, the coordinator of the attempt alone makes the transaction', () => {
    const makers: number[] = []
    for (const index of [0, 1, 2, 3]) {
      const desk = ready(index)
      const step = desk.finalize()
      expect(timers(step)).toMatchObject([{ delayMs: SIGNATURE_ROUND_MS }])
      if (told(step).some(({ type }) => type === 'bridge.CreateBitcoinTransaction')) {
        makers.push(index)
        expect(index).toBe(coordinatorOf(desk.batch.batchId, 0, 4))
      }
    }
    expect(makers).toHaveLength(1)
  })

  it('PO-12: SignatureTimeout gives the turn to the next validator, round and round', () => {
    const desk = ready(undefined)
    desk.finalize()
    const first = coordinatorOf(desk.batch.batchId, 0, 4)
    for (let attempt = 0; attempt < 9; attempt++) {
      const next: Desk = ready((first + attempt + 1) % 4)
      next.finalize()
      const step = next.tell({
        type: 'bridge.SignatureTimeout',
        payload: { batchId: next.id, attempt },
      })
      expect(told(step)).toMatchObject([
        {
          type: 'bridge.CreateBitcoinTransaction',
          payload: { attempt: attempt + 1 },
        },
      ])
    }
  })

  it('a node that is no validator coordinates nothing and still follows', () => {
    const desk = ready(undefined)
    expect(told(desk.finalize())).toEqual([])
    expect(desk.payout).toMatchObject({ step: 'Batched', attempt: 0 })
  })

  it('a late timer of an earlier attempt does not start an attempt that ended', () => {
    const desk = ready(0)
    desk.finalize()
    const { id: batchId } = desk
    desk.tell({ type: 'bridge.SignatureTimeout', payload: { batchId, attempt: 3 } })
    expect(desk.payout?.attempt).toBe(4)
    const late = desk.tell({
      type: 'bridge.CreateBitcoinTransaction',
      payload: { batchId, attempt: 1 },
    })
    expect(late.effects ?? []).toEqual([])
    expect(desk.payout?.step).toBe('Batched')
  })
})

describe('signatures', () => {
  function collecting(): Desk {
    const desk = ready(0)
    desk.finalize()
    const attempt = desk.payout?.attempt ?? 0
    const step = desk.tell({
      type: 'bridge.CreateBitcoinTransaction',
      payload: { batchId: desk.id, attempt },
    })
    expect(told(step)).toMatchObject([
      {
        to: 'stream',
        type: 'stream.RequestFederationSignatures',
        payload: { batchId: desk.id, version: 0, attempt: 0, height: desk.world.height },
      },
    ])
    return desk
  }

  const listOf = (step: BridgeStep): SigningList => {
    const asked = told(step).find(({ type }) => type === 'stream.RequestSignatureParts')
    if (asked?.type !== 'stream.RequestSignatureParts') throw new Error('nobody is asked')
    return (asked.payload as { readonly list: SigningList }).list
  }

  it('exactly t of them make the witness; those after it change nothing (incident 37)', () => {
    const desk = collecting()
    expect(told(desk.offer(0))).toEqual([])
    expect(told(desk.offer(3))).toEqual([])
    const list = listOf(desk.offer(2))
    expect(list.map(({ member }) => member)).toEqual([0, 2, 3])
    expect(told(desk.offer(1))).toEqual([])
    desk.sign(0, list)
    desk.sign(2, list)
    const signed = own(desk.join(desk.sign(3, list)))
    expect(signed[0]).toMatchObject({ kind: 'assemble', batchId: desk.id, members: [0, 2, 3] })
    expect(desk.payout?.mode.name).toBe('Broadcasting')
    expect(desk.offer(1).effects ?? []).toEqual([])
  })

  it('a member’s second offer counts once', () => {
    const desk = collecting()
    for (let again = 0; again < 4; again++) expect(told(desk.offer(1))).toEqual([])
    expect(desk.payout).toMatchObject({ step: 'CollectingSignatures' })
    expect(desk.payout?.session?.coordinator.free.size).toBe(1)
  })

  it('wrong parts convict their member, and the others go on without it', () => {
    const desk = collecting()
    desk.offer(0)
    desk.offer(1)
    const list = listOf(desk.offer(2))
    const flipped = (parts: readonly Uint8Array[]) =>
      parts.map((part) => part.map((byte, at) => (at === 5 ? byte ^ 1 : byte)))
    desk.sign(1, list, flipped)
    desk.sign(0, list)
    const end = desk.join(desk.sign(2, list))
    expect(own(end)).toMatchObject([
      { kind: 'log', event: 'a member signed wrongly', fields: { memberIndex: 1 } },
      { kind: 'publish' },
    ])
    expect(told(desk.offer(1))).toEqual([])
    desk.offer(0)
    desk.offer(2)
    const next = listOf(desk.offer(3))
    expect(next.map(({ member }) => member)).toEqual([0, 2, 3])
    desk.sign(0, next)
    desk.sign(2, next)
    expect(own(desk.join(desk.sign(3, next)))[0]).toMatchObject({ kind: 'assemble' })
  })

  it('words of another attempt or version are not heard', () => {
    const desk = collecting()
    const offer = desk.members[1]?.offer(desk.task)
    for (const other of [{ attempt: 7 }, { version: 1 }, { batchId: 'ab'.repeat(32) }]) {
      const payload = { ...desk.attempt, ...other, memberIndex: 1, ...(offer && { offer }) }
      const step = desk.tell({ type: 'bridge.NonceOfferReceived', payload })
      expect(step.effects ?? []).toEqual([])
    }
    expect(desk.payout?.session?.coordinator.free.size).toBe(0)
  })

  it('a refusal is logged with its reason', () => {
    const desk = collecting()
    const payload = { ...desk.attempt, memberIndex: 2, reason: 'NotAnchored' }
    const step = desk.tell({ type: 'bridge.NonceOfferReceived', payload })
    expect(own(step)).toMatchObject([
      { event: 'a member does not sign', fields: { memberIndex: 2, reason: 'NotAnchored' } },
    ])
  })
})

describe('bumps (PO-15)', () => {
  /** A batch that Bitcoin has; its height is 10 then. */
  function sent(): Desk {
    const desk = ready(0)
    desk.context = { ...desk.context, bitcoin: { tipHeight: 10, reachable: true } }
    desk.finalize()
    desk.answer(0, {})
    return desk
  }

  const bumpable = (desk: Desk) =>
    told(desk.finalize()).flatMap((message) =>
      message.type === 'chain.PayoutsUnconfirmed'
        ? (message.payload as PayoutsUnconfirmed['payload']).batchIds.map(toHex)
        : [],
    )

  it('Chain hears of a batch that Bitcoin has had for three blocks and has not mined, with every block', () => {
    const desk = sent()
    expect(bumpable(desk)).toEqual([])
    desk.bitcoinAt(12)
    expect(bumpable(desk)).toEqual([])
    desk.bitcoinAt(13)
    expect(bumpable(desk)).toEqual([desk.id])
    expect(bumpable(desk)).toEqual([desk.id])
    desk.context = { ...desk.context, bitcoin: { tipHeight: 13, reachable: false } }
    expect(bumpable(desk)).toEqual([])
  })

  it('one that never got there is none; one that was refused for its fee is (PO-14)', () => {
    const desk = ready(0)
    desk.finalize()
    desk.bitcoinAt(50)
    expect(bumpable(desk)).toEqual([])
    desk.answer(0, { accepted: false, code: 'bad-txns-inputs-missingorspent' })
    desk.bitcoinAt(60)
    expect(bumpable(desk)).toEqual([])
    desk.answer(0, { accepted: false, code: 'mempool min fee not met' })
    desk.bitcoinAt(63)
    expect(bumpable(desk)).toEqual([desk.id])
  })

  it('one whose input a reorg took away is, though it was never sent: no member signs it (4.5)', () => {
    const desk = ready(0)
    desk.finalize()
    expect(bumpable(desk)).toEqual([])
    const { bitcoin } = desk.world
    const branch = bitcoin.fork(0, 'branch')
    branch.mine([], bitcoin.tip.height + 1)
    desk.world.block({ items: { bitcoinHeaders: branch.headersAfter(0) } })
    expect(bumpable(desk)).toEqual([desk.id])
  })

  it('a further version begins anew, and what Bitcoin says of an earlier one says nothing of it', () => {
    const desk = sent()
    desk.bump()
    desk.finalize()
    expect(desk.payout).toMatchObject({ version: 1, step: 'Batched', attempt: 0 })
    desk.answer(0, {})
    expect(desk.payout).toMatchObject({ version: 1, step: 'Batched' })
    desk.answer(1, {})
    expect(desk.payout).toMatchObject({ version: 1, step: 'Broadcast' })
  })

  it('a node that started anew counts the rounds from the newest version, not from the batch (5.5)', () => {
    const desk = sent()
    desk.world.timestamp += 16 * 15
    desk.bump()
    desk.world.block()
    const { timestamp } = desk.world
    desk.context = bridgeContext(desk.world.genesis, { validatorKey: undefined, pollMs: 500 })
    desk.nowMs = (timestamp + 45) * 1_000
    desk.finalize()
    expect(desk.payout).toMatchObject({ version: 1, attempt: 3 })
  })

  it.each([0, 1])('version %i in a block: it is the one that is followed and booked', (version) => {
    const desk = sent()
    desk.bump()
    desk.finalize()
    const { id } = desk
    const transaction = desk.transaction(version)
    const { bitcoin } = desk.world
    bitcoin.mine([transaction])
    desk.tell({
      type: 'bridge.TransactionConfirmed',
      payload: {
        txid: txid(transaction),
        confirmations: 1,
        proof: bitcoin.proofOf(transaction),
        bitcoinHeight: bitcoin.tip.height,
      },
    })
    expect(desk.payout).toMatchObject({ version, step: 'Confirmed', txid: txid(transaction) })
    expect(bumpable(desk)).toEqual([])
    expect(desk.payout).toMatchObject({ version, step: 'Confirmed' })
    bitcoin.mine()
    desk.world.syncHeaders()
    const operations = told(desk.finalize()).map(({ type }) => type)
    expect(operations).toContain('bridge.PegOutOperation')
    const proofs = [bitcoin.proofOf(transaction)]
    desk.world.block({ items: { proofs, bookings: [{ proofIndex: 0 }] } })
    desk.finalize()
    expect(desk.context.payouts.get(id)).toMatchObject({ step: 'Booked' })
  })

  it.each(['its block', 'its transaction in another block'])(
    'PO-16: a booking that a reorg undid is watched again, whichever comes first: %s',
    (first) => {
      const desk = sent()
      const { id, world } = desk
      const transaction = desk.transaction(0)
      const { bitcoin } = world
      const confirm = (on: typeof bitcoin) =>
        desk.tell({
          type: 'bridge.TransactionConfirmed',
          payload: {
            txid: txid(transaction),
            confirmations: 1,
            proof: on.proofOf(transaction),
            bitcoinHeight: height,
          },
        })
      const { height, hash } = bitcoin.mine([transaction])
      confirm(bitcoin)
      bitcoin.mine()
      world.syncHeaders()
      const proofs = [bitcoin.proofOf(transaction)]
      world.block({ items: { proofs, bookings: [{ proofIndex: 0 }] } })
      desk.finalize()
      desk.context = { ...desk.context, scanned: [{ height, hash, timeMs: 0 }] }
      expect(desk.context.payouts.get(id)).toMatchObject({ step: 'Booked' })
      const branch = bitcoin.fork(height - 1, 'other')
      branch.mine([transaction])
      branch.mine([], 2)
      let step: BridgeStep
      if (first === 'its block') {
        world.block({ items: { bitcoinHeaders: branch.headersAfter(height - 1) } })
        step = desk.finalize()
      } else {
        step = confirm(branch)
      }
      expect(desk.context.payouts.get(id)).toMatchObject({ step: 'Confirmed' })
      expect(timers(step)).toMatchObject([{ key: `round:${id}`, delayMs: SIGNATURE_ROUND_MS }])
    },
  )

  it('PO-16: an earlier version that lost its block gives way to the newest', () => {
    const desk = sent()
    desk.bump()
    desk.finalize()
    const transaction = desk.transaction(0)
    const { bitcoin } = desk.world
    bitcoin.mine([transaction])
    const proof = bitcoin.proofOf(transaction)
    const { height } = bitcoin.tip
    desk.tell({
      type: 'bridge.TransactionConfirmed',
      payload: { txid: txid(transaction), confirmations: 1, proof, bitcoinHeight: height },
    })
    desk.tell({
      type: 'bridge.BitcoinScanned',
      payload: {
        tipHeight: height,
        tipHash: seeded('other'),
        headers: [],
        feeRateSatPerKvb: 2000,
        scanned: [{ height, hash: seeded('other'), timeMs: 0 }],
      },
    })
    desk.finalize()
    expect(desk.payout).toMatchObject({ version: 1, step: 'Batched' })
  })
})

describe('a cancelled batch (PO-19)', () => {
  it('is over for the bridge once its cancel is booked, though it stays open until that is deep', () => {
    const desk = ready(0)
    desk.context = { ...desk.context, bitcoin: { tipHeight: 10, reachable: true } }
    desk.finalize()
    const { world } = desk
    const order = approvedOrder(world.genesis, orderOf('cancel', desk.batch.batchId))
    const applied = applyPegOrder(world.genesis, world.ledger, world.height, order)
    if (!applied.ok) throw new Error(applied.error.code)
    world.ledger = applied.value
    desk.bump()
    desk.finalize()
    const { id } = desk
    const transaction = desk.transaction(1)
    world.bitcoin.mine([transaction])
    const proof = world.bitcoin.proofOf(transaction)
    const bitcoinHeight = world.bitcoin.tip.height
    const payload = { txid: txid(transaction), confirmations: 1, proof, bitcoinHeight }
    desk.tell({ type: 'bridge.TransactionConfirmed', payload })
    world.bitcoin.mine()
    world.syncHeaders()
    expect(told(desk.finalize()).map(({ type }) => type)).toContain('bridge.PegOutOperation')
    world.block({ items: { proofs: [proof], bookings: [{ proofIndex: 0 }] } })
    expect(told(desk.finalize())).toEqual([])
    expect(desk.context.payouts.get(id)).toMatchObject({ step: 'Booked' })
    desk.context = bridgeContext(world.genesis, { validatorKey: undefined, pollMs: 500 })
    desk.finalize()
    expect(desk.context.payouts.size).toBe(0)
  })
})

describe('the age of the coins (PO-22)', () => {
  it('past 60 % of the delay an output is named, with what its renewal waits for, every hundred blocks', () => {
    const desk = new Desk(0)
    const { world } = desk
    world.bitcoin.mine([], 600)
    while (world.ledger.state.tipHeight < world.bitcoin.tip.height) {
      const headers = world.bitcoin.headersAfter(world.ledger.state.tipHeight).slice(0, 144)
      world.block({ items: { bitcoinHeaders: headers } })
    }
    const alarms = (height: number) => {
      world.height = height
      return own(desk.finalize()).flatMap((effect) =>
        effect.kind === 'log' && effect.event === 'outputs are not renewed' ? [effect.fields] : [],
      )
    }
    expect(alarms(99)).toEqual([])
    expect(alarms(100)).toMatchObject([{ percent: 60, amountSat: '5000000', waitsFor: 'block' }])
  })
})

describe('flows (C-6)', () => {
  it('a batch belongs to the flow of its first burn; without one, to that of its block', () => {
    const desk = new Desk(0)
    const burn = desk.world.burn('bob', 1_000_000n, undefined, 4)
    const evmBlockHash = seeded(`evm block ${desk.world.height}`)
    desk.tell(
      {
        type: 'bridge.BurnEventDetected',
        payload: { evmBlockHash, height: 2, burn },
      },
      'burn flow',
    )
    const id = toHex(requestId(desk.world.genesis, evmBlockHash, 4))
    expect(desk.context.burns.get(id)).toBe('burn flow')
    desk.record()
    desk.finalize('block flow')
    expect(desk.payout?.flow).toBe('burn flow')
    expect(desk.context.burns.size).toBe(0)
    const stranger = ready(0)
    stranger.finalize('block flow')
    expect(stranger.payout?.flow).toBe('block flow')
  })

  it('burns that no batch takes are forgotten in the end', () => {
    const desk = new Desk(0)
    const burn = desk.world.burn('bob', 1_000_000n)
    for (let height = 0; height < MAX_REMEMBERED_BURNS + 10; height++) {
      desk.tell({
        type: 'bridge.BurnEventDetected',
        payload: {
          evmBlockHash: Uint8Array.from({ length: 32 }, (_, at) => (height >> (8 * at)) & 255),
          height,
          burn,
        },
      })
    }
    expect(desk.context.burns.size).toBe(MAX_REMEMBERED_BURNS)
  })
})
