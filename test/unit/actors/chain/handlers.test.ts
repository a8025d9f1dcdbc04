/** The ChainActor's handlers as pure functions, one validator of four, with real blocks and signatures. */
import { encodeHalt, haltRecord } from '../../../../actors/chain/halt.ts'
import { type ChainContext, type ChainEffect, handle } from '../../../../actors/chain/handlers.ts'
import { type ChainPorts, chainActor, type ValidatorKey } from '../../../../actors/chain/index.ts'
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  type Evidence,
  type PrePrepare,
  voteMessage,
} from '../../../../core/block/index.ts'
import { genesisHead } from '../../../../core/chain/index.ts'
import { EMPTY_GUARD } from '../../../../core/guard/index.ts'
import { ledgerChanges } from '../../../../core/ledger/index.ts'
import { VALID } from '../../../../core/params/index.ts'
import { type HaltReason, proposerIndex } from '../../../../core/pbft/index.ts'
import { type BlsKeyPair, blsSign, toHex } from '../../../../crypto/index.ts'
import type { BlockHeld, ChainInbox } from '../../../../messages/index.ts'
import type { KernelEffect, Step } from '../../../../supervisor/index.ts'
import { certify, type Made, reseal, Town, validatorKeys } from '../../core/chain/town.ts'
import { seeded } from '../../core/peg/world.ts'
import { envelopeOf, fakeRun } from '../fake-run.ts'

type ChainStep = Step<ChainContext, ChainEffect>
type Own<Kind extends ChainEffect['kind']> = Extract<ChainEffect, { kind: Kind }>

const GENESIS_MS = 1_700_000_000_000

/** One node's ChainActor, its effects in the test's hands. */
class Desk {
  readonly town: Town
  readonly index: number
  context: ChainContext
  state = 'Active'
  nowMs = GENESIS_MS

  private constructor(town: Town, index: number, context: ChainContext) {
    this.town = town
    this.index = index
    this.context = context
  }

  /** `place` after the proposer of the first view. */
  static async open(place: number, town?: Town, halted?: HaltReason, stored?: Made): Promise<Desk> {
    const here = town ?? (await Town.open())
    const index = (proposerIndex(here.head.header.slot, 0, 4) + place) % 4
    const keys = validatorKeys[index] as BlsKeyPair
    const validator: ValidatorKey = {
      blsKey: keys.publicKey,
      sign: (message) => blsSign(keys.secretKey, message),
    }
    const ports = {
      genesis: here.genesis,
      validator,
      openGuard: async () => ({ view: () => EMPTY_GUARD }),
      views: {
        publishHead() {},
        publishConsensus() {},
        publishSnapshot() {},
        publishEvidence() {},
      },
      metrics: { count() {}, observe() {} },
    } as unknown as ChainPorts
    const blocks = stored === undefined ? [] : [committedOf(here, stored)]
    const { run } = fakeRun<ChainInbox, ChainPorts>(ports, ({ type }) => {
      switch (type) {
        case 'storage.LoadChain':
          return {
            type: 'storage.ChainLoaded',
            payload: {
              ...(blocks[0] && { head: blocks[0] }),
              ledgerRows: stored === undefined ? [] : ledgerChanges(stored.head.ledger),
              ...(halted && { halt: encodeHalt(haltRecord(halted, [], 0)) }),
            },
          }
        case 'storage.ReadBlocks':
          return { type: 'storage.BlockRange', payload: { blocks } }
        default:
          return {
            type: 'engine.EngineHead',
            payload: (stored?.head ?? genesisHead(here.genesis)).evm,
          }
      }
    })
    const started = await chainActor().init(run)
    expect(started.event).toEqual(['GENESIS_LOADED', 'CAUGHT_UP'])
    return new Desk(here, index, started.context)
  }

  hear(message: ChainInbox, flow = 'flow'): ChainStep {
    const about = { envelope: envelopeOf(message, flow), state: this.state, nowMs: this.nowMs }
    const step = handle(this.context, message, about)
    this.context = step.context
    for (const event of [step.event ?? []].flat()) this.state = MODES[event] ?? this.state
    return step
  }

  /** The tick of the slot, at its start. */
  tick(slot: number): ChainStep {
    this.nowMs = slot * 1000
    return this.hear({ type: 'chain.SlotTick', payload: { slot, startedAtMs: this.nowMs } })
  }

  receive(message: ConsensusMessage): ChainStep {
    return this.hear({
      type: 'chain.ConsensusMessageReceived',
      payload: { message, peer: 'peer', verified: true },
    })
  }

  get slot(): number {
    return this.town.head.header.slot + 1
  }
}

const MODES: Readonly<Record<string, string>> = {
  CAUGHT_UP: 'Active',
  FELL_BEHIND: 'Syncing',
  ASSIGNED_SLOT: 'Producing',
  RECEIVED_BLOCK: 'Importing',
  BLOCK_PRODUCED: 'Active',
  BLOCK_IMPORTED: 'Active',
  PRODUCTION_ERROR: 'Failed',
  IMPORT_ERROR: 'Failed',
  RECOVER: 'Syncing',
}

const own = <Kind extends ChainEffect['kind']>({ effects = [] }: ChainStep, kind: Kind) =>
  effects.filter((effect): effect is Own<Kind> => 'kind' in effect && effect.kind === kind)
const told = ({ effects = [] }: ChainStep) =>
  effects.flatMap((effect) =>
    'kernel' in effect && effect.kernel === 'tell' ? [{ to: effect.to, ...effect.message }] : [],
  )
const kernel = <Kind extends KernelEffect['kernel']>({ effects = [] }: ChainStep, kind: Kind) =>
  effects.filter(
    (effect): effect is Extract<KernelEffect, { kernel: Kind }> =>
      'kernel' in effect && effect.kernel === kind,
  )

function proposal(town: Town, block: Block, signer: number, view = 0): ConsensusMessage {
  const { height } = block.header
  const hash = hashOf(block)
  const message = voteMessage(town.genesis.hash, 'proposal', height, view, hash)
  const { secretKey } = validatorKeys[signer] as BlsKeyPair
  const value: PrePrepare = {
    height,
    view,
    block,
    certificate: [],
    signature: blsSign(secretKey, message),
  }
  return { kind: 'prePrepare', value }
}

const hashOf = (block: Block) => blockHash(block.header)

/** A Commit of the validator at `position`. */
function voteOf(
  town: Town,
  position: number,
  height: number,
  view: number,
  hash: Uint8Array,
): ConsensusMessage {
  const keys = validatorKeys[position] as BlsKeyPair
  const signature = blsSign(
    keys.secretKey,
    voteMessage(town.genesis.hash, 'commit', height, view, hash),
  )
  const value = { phase: 2, height, view, blockHash: hash, validator: keys.publicKey, signature }
  return { kind: 'vote', value }
}

const committedOf = (town: Town, { block, head }: Made): CommittedBlock => ({
  block,
  certificate: certify(town.genesis, block.header.height, head.hash),
})

/** The engine found it valid. */
function executed({ block, head }: Made): ChainInbox {
  return {
    type: 'chain.BlockValidated',
    payload: { hash: head.hash, verdict: VALID, objects: false, candidate: { block, head } },
  }
}

/** The block's whole way through a node: received with its certificate, executed, stored. */
function commit(desk: Desk, made: Made): ChainStep {
  const committed = committedOf(desk.town, made)
  desk.receive({ kind: 'committedBlock', value: committed })
  const validated = desk.hear(executed(made))
  const [effect] = own(validated, 'commit')
  if (effect === undefined) throw new Error('nothing to commit')
  return desk.hear({
    type: 'chain.BlockStored',
    payload: { committed: effect.committed, head: effect.head, guard: EMPTY_GUARD },
  })
}

describe('slots', () => {
  it('BP-1, BP-5: the author of the slot builds, nobody else does', async () => {
    const town = await Town.open()
    for (const place of [0, 1, 2, 3]) {
      const desk = await Desk.open(place, town)
      const step = desk.tick(desk.slot)
      const produce = own(step, 'produce')
      expect(produce).toHaveLength(place === 0 ? 1 : 0)
      expect(desk.state).toBe(place === 0 ? 'Producing' : 'Active')
      if (place === 0) expect(produce[0]).toMatchObject({ view: 0, slot: desk.slot })
      const [next] = kernel(step, 'timer').filter(({ key }) => key === 'slot')
      expect(next).toMatchObject({ delayMs: 1000, newFlow: true })
    }
  })

  it('BP-4: a second tick of the slot builds no second block', async () => {
    const desk = await Desk.open(0)
    expect(own(desk.tick(desk.slot), 'produce')).toHaveLength(1)
    expect(own(desk.tick(desk.slot), 'produce')).toHaveLength(0)
    desk.nowMs -= 5_000
    expect(own(desk.tick(desk.slot - 3), 'produce')).toHaveLength(0)
  })

  it('BP-6: a build that failed skips the slot, is counted by its reason, and another view goes on', async () => {
    const desk = await Desk.open(0)
    desk.tick(desk.slot)
    const step = desk.hear({
      type: 'chain.BlockProduced',
      payload: { height: 1, view: 0, code: 'EngineTimeout' },
    })
    expect(own(step, 'note')[0]).toMatchObject({
      event: 'slot skipped',
      count: { metric: 'slotsSkipped', labels: { reason: 'EngineTimeout' } },
    })
    expect(desk.state).toBe('Failed')
    expect(own(step, 'sign')).toEqual([])
    const recovered = desk.tick(desk.slot + 1)
    expect(recovered.event).toEqual(['RECOVER', 'CAUGHT_UP'])
    const second = await Desk.open(1, desk.town)
    // The second proposer waits for an eighth of its view, then builds.
    const [wake] = kernel(second.tick(desk.slot + 1), 'timer').filter(
      ({ key }) => key === 'consensus',
    )
    second.nowMs += wake?.delayMs ?? 0
    const woken = second.hear({ type: 'chain.ConsensusWake', payload: { atMs: second.nowMs } })
    expect(own(woken, 'produce')).toMatchObject([{ view: 1, slot: desk.slot + 1 }])
  })

  it('2.6: an old tip is told again once per slot, one of the last slot is not', async () => {
    const desk = await Desk.open(1)
    const made = await desk.town.make()
    const heads = (step: ChainStep) =>
      told(step).flatMap(({ type, payload }) => (type === 'network.HeadAnnounced' ? [payload] : []))
    desk.tick(made.block.header.slot)
    commit(desk, made)
    expect(heads(desk.tick(made.block.header.slot + 1))).toEqual([])
    const tip = { height: 1, hash: made.head.hash }
    expect(heads(desk.tick(made.block.header.slot + 2))).toEqual([tip])
    expect(heads(desk.tick(made.block.header.slot + 3))).toEqual([tip])
  })

  it('BP-5: while it syncs a tick is skipped and counted', async () => {
    const desk = await Desk.open(0)
    const made = await desk.town.make()
    const begun = desk.hear({
      type: 'sync.ValidatedBlockBatch',
      payload: { blocks: [committedOf(desk.town, made)] },
    })
    expect(own(begun, 'importBatch')).toHaveLength(1)
    expect(desk.state).toBe('Syncing')
    const step = desk.tick(desk.slot)
    expect(own(step, 'produce')).toEqual([])
    expect(own(step, 'note')[0]?.count).toEqual({
      metric: 'slotsSkipped',
      labels: { reason: 'Syncing' },
    })
    const ended = desk.hear({ type: 'sync.SyncCompleted', payload: { height: 0 } })
    expect(own(ended, 'importBatch')).toEqual([])
    expect(desk.context.syncing).toBe(false)
  })
})

describe('proposals', () => {
  it('BF-4: a proposal of the right author is executed before anything is signed', async () => {
    const town = await Town.open()
    const made = await town.make()
    const desk = await Desk.open(2, town)
    desk.tick(desk.slot)
    const author = proposerIndex(town.head.header.slot, 0, 4)
    const step = desk.receive(proposal(town, made.block, author))
    expect(own(step, 'validate')).toMatchObject([{ fresh: true }])
    expect(own(step, 'sign')).toEqual([])
    expect(desk.state).toBe('Importing')
    const judged = desk.hear(executed(made))
    expect(own(judged, 'sign').map(({ record }) => record.kind)).toEqual(['prepare'])
    expect(desk.state).toBe('Active')
  })

  it('BP-10, 4.6: no Prepare for what is invalid, unknown or objected to', async () => {
    const town = await Town.open()
    const made = await town.make()
    const author = proposerIndex(town.head.header.slot, 0, 4)
    const verdicts = [
      { verdict: { kind: 'invalid', code: 'WithdrawalMismatch' }, objects: false },
      { verdict: { kind: 'unknown', code: 'EngineTimeout', retryAfterMs: 1000 }, objects: false },
      { verdict: VALID, objects: true },
    ] as const
    for (const { verdict, objects } of verdicts) {
      const desk = await Desk.open(2, town)
      desk.tick(desk.slot)
      desk.receive(proposal(town, made.block, author))
      const candidate =
        verdict.kind === 'valid' ? { candidate: { block: made.block, head: made.head } } : {}
      const step = desk.hear({
        type: 'chain.BlockValidated',
        payload: { hash: made.head.hash, verdict, objects, ...candidate },
      })
      expect(own(step, 'sign')).toEqual([])
      expect(kernel(step, 'fail')).toEqual([])
    }
  })

  it('D13, BP-1: a block by the wrong author is neither executed nor voted for', async () => {
    const town = await Town.open()
    const made = await town.make()
    const author = proposerIndex(town.head.header.slot, 0, 4)
    for (const liar of [1, 2, 3].map((step) => (author + step) % 4)) {
      const { publicKey } = validatorKeys[liar] as BlsKeyPair
      const forged = reseal(town.genesis, made.block, { header: { author: publicKey } })
      for (const block of [forged, made.block]) {
        const desk = await Desk.open(2, town)
        desk.tick(desk.slot)
        const step = desk.receive(proposal(town, block, liar))
        expect(own(step, 'validate')).toEqual([])
        expect(own(step, 'sign')).toEqual([])
      }
    }
  })

  it('D13, BP-3: a block from the future is held until its slot, one of far ahead is not', async () => {
    const town = await Town.open()
    const near = await town.make({ skip: 3 })
    const desk = await Desk.open(0, town)
    desk.tick(desk.slot - 1)
    const author = proposerIndex(town.head.header.slot, 2, 4)
    const held = desk.receive(proposal(town, near.block, author, 2))
    expect(own(held, 'validate')).toEqual([])
    desk.tick(desk.slot)
    const due = desk.tick(desk.slot + 2)
    expect(own(due, 'validate')).toHaveLength(1)
    const far = await town.make({ skip: 8 })
    const other = await Desk.open(1, town)
    other.nowMs = GENESIS_MS - 60_000
    const early = other.receive(
      proposal(town, far.block, proposerIndex(town.head.header.slot, 7, 4), 7),
    )
    expect(own(early, 'validate')).toEqual([])
    expect(own(early, 'sign')).toEqual([])
  })

  it('D13: a vote for another height or block counts for nothing here', async () => {
    const town = await Town.open()
    const made = await town.make()
    const desk = await Desk.open(2, town)
    desk.tick(desk.slot)
    // It has the block, executed and valid: a quorum is all that it waits for.
    desk.receive(proposal(town, made.block, proposerIndex(town.head.header.slot, 0, 4)))
    desk.hear(executed(made))
    for (const [height, hash] of [
      [0, made.head.hash],
      [1, seeded('another')],
      [9, made.head.hash],
    ] as const) {
      for (const [index, { publicKey, secretKey }] of validatorKeys.entries()) {
        if (index === desk.index) continue
        const message = voteMessage(town.genesis.hash, 'commit', height, 0, hash)
        const step = desk.receive({
          kind: 'vote',
          value: {
            phase: 2,
            height,
            view: 0,
            blockHash: hash,
            validator: publicKey,
            signature: blsSign(secretKey, message),
          },
        })
        expect(own(step, 'commit')).toEqual([])
      }
    }
    expect(desk.context.head.header.height).toBe(0)
  })
})

describe('commits', () => {
  it('2.11: told to everyone when it is stored: head, ledger, and each deposit in its own flow', async () => {
    const town = await Town.open()
    const queue = town.deposit('alice', 1_000_000n)
    const [entry] = queue.pegIns
    if (entry === undefined) throw new Error('no deposit')
    const made = await town.make({ queue })
    const desk = await Desk.open(1, town)
    desk.tick(desk.slot)
    desk.hear({ type: 'bridge.PegInOperation', payload: entry }, 'deposit flow')
    expect(desk.context.queue.pegIns.size).toBe(1)
    const step = commit(desk, made)
    expect(told(step).map(({ to, type }) => `${to} ← ${type}`)).toEqual([
      'network ← network.HeadAnnounced',
      'bridge ← chain.FinalizeBlock',
      'bridge ← bridge.PegInComplete',
    ])
    const [complete] = kernel(step, 'tell').filter(
      ({ message }) => message.type === 'bridge.PegInComplete',
    )
    expect(complete?.correlationId).toBe('deposit flow')
    expect(complete?.message.payload).toEqual({
      outpoints: [`${toHex(entry.claim.txid)}:0`],
      height: 1,
    })
    expect(desk.context).toMatchObject({ storing: false, head: { hash: made.head.hash } })
    expect(desk.context.queue.pegIns.size).toBe(0)
    expect(desk.context.candidates.size).toBe(0)
  })

  it('2.6: a block that is committed already is answered, not voted on', async () => {
    const town = await Town.open()
    const made = await town.make()
    const desk = await Desk.open(1, town)
    desk.tick(desk.slot)
    commit(desk, made)
    const { publicKey, secretKey } = validatorKeys[(desk.index + 1) % 4] as BlsKeyPair
    const message = voteMessage(town.genesis.hash, 'prepare', 1, 3, made.head.hash)
    const step = desk.receive({
      kind: 'vote',
      value: {
        phase: 1,
        height: 1,
        view: 3,
        blockHash: made.head.hash,
        validator: publicKey,
        signature: blsSign(secretKey, message),
      },
    })
    expect(own(step, 'answerCommitted')).toMatchObject([{ height: 1, peer: 'peer' }])
    expect(own(step, 'sign')).toEqual([])
  })

  it('2.7: two certificates at one height halt the node, durably and with the evidence', async () => {
    const town = await Town.open()
    const first = await town.make()
    const second = await town.make({ feeRateSatPerKvb: 3000 })
    const desk = await Desk.open(1, town)
    desk.tick(desk.slot)
    commit(desk, first)
    const step = desk.receive({ kind: 'committedBlock', value: committedOf(town, second) })
    const [halt, ...more] = own(step, 'halt')
    expect(more).toEqual([])
    expect(halt?.record.reason).toBe('ConflictingCertificates')
    expect(halt?.record.certificates).toHaveLength(2)
    expect(halt?.snapshot).toMatchObject({ halted: 'ConflictingCertificates', halt: halt?.record })
  })

  it('2.7: so do they when the first was stored before a restart, or came by Sync', async () => {
    const town = await Town.open()
    const first = await town.make()
    const value = committedOf(town, await town.make({ feeRateSatPerKvb: 3000 }))
    const restarted = await Desk.open(1, town, undefined, first)
    expect(restarted.context.head.header.height).toBe(1)
    expect(own(restarted.receive({ kind: 'committedBlock', value }), 'halt')).toHaveLength(1)

    const synced = await Desk.open(1, town)
    const last = { committed: committedOf(town, first), head: first.head }
    const replyTo = envelopeOf(
      { type: 'sync.ValidatedBlockBatch', payload: { blocks: [] } },
      'sync',
    )
    const result = { height: 1 }
    synced.hear({
      type: 'chain.BatchStored',
      payload: { replyTo, result, last, guard: EMPTY_GUARD },
    })
    expect(own(synced.receive({ kind: 'committedBlock', value }), 'halt')).toHaveLength(1)
  })

  it('2.7: a halted node neither proposes, votes, commits nor imports, and says so', async () => {
    const town = await Town.open()
    const desk = await Desk.open(0, town, 'ConflictingCertificates')
    const made = await town.make()
    const tick = desk.tick(desk.slot)
    expect(own(tick, 'produce')).toEqual([])
    expect(own(tick, 'note')[0]?.count?.labels).toEqual({ reason: 'Halted' })
    expect(own(tick, 'note')[0]?.snapshot).toMatchObject({ halted: 'ConflictingCertificates' })
    const author = proposerIndex(town.head.header.slot, 0, 4)
    expect(own(desk.receive(proposal(town, made.block, author)), 'validate')).toEqual([])
    const batch = desk.hear({
      type: 'sync.ValidatedBlockBatch',
      payload: { blocks: [committedOf(town, made)] },
    })
    expect(own(batch, 'importBatch')).toEqual([])
    expect(kernel(batch, 'reply')[0]?.message.payload).toMatchObject({ code: 'ChainHalted' })
  })

  it('2.7: a record that could not be written is written again with the next slot', async () => {
    const desk = await Desk.open(1, undefined, 'ConflictingCertificates')
    desk.hear({ type: 'chain.HaltStored', payload: { stored: false } })
    expect(own(desk.tick(desk.slot), 'halt')).toHaveLength(1)
    expect(own(desk.tick(desk.slot + 1), 'halt')).toHaveLength(0)
  })

  it('BP-17, BF-11: who votes twice is convicted once: kept, told to peers, and in the next block', async () => {
    const town = await Town.open()
    const desk = await Desk.open(0, town)
    const { height } = town.head.header
    const liar = (desk.index + 1) % 4
    const hear = (name: string) => desk.receive(voteOf(town, liar, height + 1, 3, seeded(name)))
    hear('one')
    const second = hear('two')
    expect(own(second, 'recordEvidence')).toMatchObject([{ put: [{ round: 3 }], drop: [] }])
    expect(own(second, 'tellEvidence')).toMatchObject([{ found: { source: 'own' } }])
    expect(told(second).map(({ type }) => type)).toContain('network.GossipEvidence')
    expect(told(hear('three')).map(({ type }) => type)).not.toContain('network.GossipEvidence')
    const [evidence] = own(second, 'recordEvidence')[0]?.put ?? []
    if (evidence === undefined) throw new Error('nobody was convicted')
    const again = desk.hear({
      type: 'chain.EvidenceReceived',
      payload: { id: 4, peer: 'peer', evidence },
    })
    expect(told(again)).toMatchObject([
      { to: 'network', type: 'network.EvidenceJudged', payload: { id: 4, verdict: 'ignore' } },
    ])
    expect(own(desk.tick(desk.slot), 'produce')).toMatchObject([{ evidence: [evidence] }])
  })

  it('BP-17: evidence of a peer is relayed when it is news, and refused when it convicts nobody', async () => {
    const town = await Town.open()
    const finder = await Desk.open(1, town)
    const liar = (finder.index + 1) % 4
    finder.receive(voteOf(town, liar, 1, 3, seeded('one')))
    const found = finder.receive(voteOf(town, liar, 1, 3, seeded('two')))
    const [evidence] = own(found, 'recordEvidence')[0]?.put ?? []
    if (evidence === undefined) throw new Error('nobody was convicted')
    const desk = await Desk.open(1, town)
    const judge = (id: number, one: typeof evidence) => {
      const step = desk.hear({
        type: 'chain.EvidenceReceived',
        payload: { id, peer: 'peer', evidence: one },
      })
      return told(step).map(({ payload }) => (payload as { verdict: string }).verdict)
    }
    expect(judge(1, { ...evidence, round: 4 })).toEqual(['reject'])
    expect(judge(2, evidence)).toEqual(['accept'])
    expect(judge(3, evidence)).toEqual(['ignore'])
  })

  it('BP-17: whoever connects is sent what waits; what a peer sent is passed on when it is news, and at its cost when it is forged', async () => {
    const town = await Town.open()
    const holder = await Desk.open(1, town)
    const liar = (holder.index + 1) % 4
    holder.receive(voteOf(town, liar, 1, 3, seeded('one')))
    holder.receive(voteOf(town, liar, 1, 3, seeded('two')))
    const connected = holder.hear({ type: 'chain.PeerConnected', payload: { peer: 'new' } })
    const sent = told(connected).flatMap((message) =>
      message.type === 'network.SendEvidence' ? [message.payload] : [],
    )
    expect(sent).toMatchObject([{ peer: 'new', evidence: { round: 3 } }])
    const { evidence } = sent[0] as { readonly evidence: Evidence }
    const desk = await Desk.open(1, town)
    const hear = (one: Evidence) => {
      const payload = { id: undefined, peer: 'peer', evidence: one }
      return told(desk.hear({ type: 'chain.EvidenceReceived', payload }))
    }
    expect(hear({ ...evidence, round: 4 })).toMatchObject([
      { type: 'network.PenalizePeer', payload: { peer: 'peer', code: 'ForgedEvidence' } },
    ])
    expect(hear(evidence)).toMatchObject([
      { type: 'network.GossipEvidence', payload: { evidence } },
    ])
    expect(hear(evidence)).toEqual([])
    const nobody = await Desk.open(1, town)
    const empty = nobody.hear({ type: 'chain.PeerConnected', payload: { peer: 'new' } })
    expect(told(empty).map(({ type }) => type)).not.toContain('network.SendEvidence')
  })

  it('BP-17: evidence that could not be written is written again with the next slot', async () => {
    const town = await Town.open()
    const desk = await Desk.open(1, town)
    const liar = (desk.index + 1) % 4
    desk.receive(voteOf(town, liar, 1, 3, seeded('one')))
    desk.receive(voteOf(town, liar, 1, 3, seeded('two')))
    expect(own(desk.tick(desk.slot), 'recordEvidence')).toEqual([])
    desk.hear({ type: 'chain.EvidenceStored', payload: { stored: false } })
    expect(own(desk.tick(desk.slot + 1), 'recordEvidence')).toMatchObject([
      { put: [{ round: 3 }], drop: [] },
    ])
    expect(own(desk.tick(desk.slot + 2), 'recordEvidence')).toEqual([])
  })

  it('2.6: a decided block whose execution was let go of is executed again and committed', async () => {
    const town = await Town.open()
    const made = await town.make()
    const desk = await Desk.open(1, town)
    desk.tick(desk.slot)
    const author = proposerIndex(town.head.header.slot, 0, 4)
    desk.receive(proposal(town, made.block, author))
    const { head } = made
    desk.hear(executed(made))
    desk.context = { ...desk.context, candidates: new Map() }
    const decided = desk.receive({ kind: 'committedBlock', value: committedOf(town, made) })
    expect(own(decided, 'commit')).toEqual([])
    expect(own(decided, 'validate')).toMatchObject([{ fresh: false }])
    desk.hear({
      type: 'chain.BlockValidated',
      payload: {
        hash: head.hash,
        verdict: { kind: 'unknown', code: 'EngineTimeout', retryAfterMs: 1000 },
        objects: false,
      },
    })
    expect(own(desk.tick(desk.slot + 1), 'validate')).toHaveLength(1)
    const step = desk.hear(executed(made))
    expect(own(step, 'commit')).toMatchObject([{ head: { hash: head.hash } }])
    expect(desk.context.unexecuted).toBeUndefined()
  })

  it('2.7: what is proposed, prepared or locked is not evicted by any number of other blocks', async () => {
    const town = await Town.open()
    const made = await town.make()
    const desk = await Desk.open(1, town)
    desk.tick(desk.slot)
    const author = proposerIndex(town.head.header.slot, 0, 4)
    desk.receive(proposal(town, made.block, author))
    desk.hear(executed(made))
    for (let index = 0; index < 100; index++) {
      const head = { ...made.head, hash: seeded(`other ${index}`) }
      desk.hear(executed({ ...made, head }))
    }
    expect(desk.context.candidates.has(toHex(made.head.hash))).toBe(true)
    expect(desk.context.candidates.size).toBe(64)
  })

  it('2.5: a block of the open height is handed to whoever asks by its hash; one that a peer handed over is taken if a certificate names it', async () => {
    const town = await Town.open()
    const made = await town.make()
    const author = proposerIndex(town.head.header.slot, 0, 4)
    const held = (desk: Desk, hash: Uint8Array) => {
      const step = desk.hear({ type: 'chain.ReadHeldBlock', payload: { height: 1, hash } })
      const [answer] = (step.effects ?? []) as unknown as { message: BlockHeld }[]
      return answer?.message.payload.block
    }
    const proposed = await Desk.open(2, town)
    proposed.tick(proposed.slot)
    proposed.receive(proposal(town, made.block, author))
    expect(held(proposed, made.head.hash)).toEqual(made.block)
    expect(held(proposed, seeded('another'))).toBeUndefined()

    const told = await Desk.open(3, town)
    told.tick(told.slot)
    const fetched: ChainInbox = {
      type: 'chain.BlockFetched',
      payload: { block: made.block, peer: 'peer' },
    }
    told.hear(fetched)
    expect(held(told, made.head.hash)).toBeUndefined()
    const signers = [0, 1, 2]
    const value = certify(town.genesis, 1, made.head.hash, signers, { phase: 'prepare' })
    told.receive({ kind: 'prepareCertificate', value })
    told.hear(fetched)
    expect(held(told, made.head.hash)).toEqual(made.block)
  })

  it('T2: a block whose certificate is none is not executed', async () => {
    const town = await Town.open()
    const made = await town.make()
    const few = certify(town.genesis, 1, made.head.hash, [0, 1])
    few.bitmap.set(2, true)
    const desk = await Desk.open(1, town)
    desk.tick(desk.slot)
    const step = desk.receive({
      kind: 'committedBlock',
      value: { block: made.block, certificate: few },
    })
    expect(own(step, 'validate')).toEqual([])
    expect(own(step, 'commit')).toEqual([])
  })
})
