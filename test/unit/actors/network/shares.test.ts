/** Who pays for what: no peer for what it relays, every validator for its own words (protocol §2.10, BF-8; incident 27). */
import type { NetworkContext } from '../../../../actors/network/context.ts'
import { handle } from '../../../../actors/network/handlers.ts'
import {
  DEFAULT_LIMITS,
  MAX_PREPARED,
  MAX_WEIGHED,
  REPEAT_MS,
} from '../../../../actors/network/limits.ts'
import { NOTHING_RECENT } from '../../../../actors/network/recent.ts'
import { wireNames } from '../../../../actors/network/wire.ts'
import {
  type ConsensusMessage,
  encodeConsensusMessage,
  QuorumCertificateType,
} from '../../../../core/block/index.ts'
import { invalid, VALID } from '../../../../core/params/index.ts'
import type { ConsensusMessageReceived, NetworkInbox } from '../../../../messages/index.ts'
import type { About } from '../../../../supervisor/index.ts'
import { chainOfBlocks, proposalOf, voteOf } from '../chain-of-blocks.ts'

const GENESIS = new Uint8Array(32).fill(3)
const names = wireNames(GENESIS)
const HEAD = 10

/** A node with one connected peer; what it was told, checked and how it judged. */
class Gate {
  checked = 0
  readonly told: ConsensusMessage[] = []
  /** Of those, what Chain has to verify. */
  readonly trusted: ConsensusMessage[] = []
  readonly verdicts: string[] = []
  #nowMs = 0
  #context: NetworkContext = {
    settings: {
      genesisHash: GENESIS,
      names,
      checks: {
        consensus: (message) => {
          this.checked += 1
          if (message.kind === 'prePrepare') return { ...VALID, signer: new Uint8Array(48).fill(9) }
          return message.kind !== 'vote' || message.value.signature[0] === 1
            ? VALID
            : invalid('BadSignature')
        },
        transaction: () => VALID,
        approval: () => VALID,
      },
      limits: DEFAULT_LIMITS,
      staticPeers: new Map(),
    },
    startedMs: 0,
    head: { height: HEAD, hash: new Uint8Array(32) },
    peers: new Map([
      [
        'peer',
        {
          peer: 'peer',
          inbound: true,
          sinceMs: 0,
          ready: true,
          foreign: false,
          height: 0,
          allowance: {},
        },
      ],
    ]),
    penalties: new Map(),
    bannedUntilMs: new Map(),
    dialFailures: new Map(),
    recent: NOTHING_RECENT,
    later: [],
    prepared: new Map(),
    signers: new Map(),
    weighed: new Map(),
    serving: 0,
  }

  get points(): number {
    return this.#context.penalties.get('peer')?.points ?? 0
  }

  /** From now on it is one that the operator named. */
  name(): void {
    const settings = {
      ...this.#context.settings,
      staticPeers: new Map([['peer', '/ip4/192.0.2.1']]),
    }
    this.#context = { ...this.#context, settings }
  }

  pass(ms: number): void {
    this.#nowMs += ms
  }

  tell(message: NetworkInbox): void {
    const about = { nowMs: this.#nowMs, state: 'Running' } as About<NetworkInbox>
    const step = handle(this.#context, message, about)
    this.#context = step.context
    for (const effect of step.effects ?? []) {
      if ('kernel' in effect) {
        const told = (effect as { message?: { type: string; payload: never } }).message
        if (told?.type === 'chain.ConsensusMessageReceived') {
          const { message, verified } = told.payload as ConsensusMessageReceived['payload']
          this.told.push(message)
          if (!verified) this.trusted.push(message)
        }
      } else if (effect.kind === 'judge') this.verdicts.push(effect.verdict)
    }
  }

  hear(message: ConsensusMessage, origin: 'stream' | number = 'stream'): void {
    const bytes = encodeConsensusMessage(message)
    this.tell({ type: 'network.FrameReceived', payload: { peer: 'peer', bytes, origin } })
  }

  gossip(raw: Uint8Array, id = 1): void {
    const payload = { id, topic: names.transactions, peer: 'peer', bytes: raw }
    this.tell({ type: 'network.GossipReceived', payload })
  }
}

const { rates } = DEFAULT_LIMITS

describe('a peer that relays more than is read', () => {
  it('is not blamed: others wrote it, and could cut honest nodes from one another', () => {
    const gate = new Gate()
    for (let view = 0; view < rates.relayed.burst + 500; view++) {
      gate.hear(voteOf(HEAD + 1, view, true, view % 100), view)
    }
    for (let index = 0; index < rates.gossip.burst + 500; index++) {
      gate.gossip(Uint8Array.of(1, index & 255, index >> 8))
    }
    expect(gate.points).toBe(0)
    expect(gate.verdicts).toContain('ignore')
  })

  it('still has its own frames read', () => {
    const gate = new Gate()
    for (let view = 0; view < rates.relayed.burst + 1; view++) {
      gate.hear(voteOf(HEAD + 1, view, true, view % 100), view)
    }
    const own = voteOf(HEAD + 1, 0, true, 200)
    gate.hear(own)
    expect(gate.told.at(-1)).toEqual(own)
  })

  it('pays for what is forged, and for its own frames', () => {
    const gate = new Gate()
    gate.hear(voteOf(HEAD + 1, 0, false), 1)
    expect(gate.points).toBe(20)
    for (let view = 0; view < rates.consensus.burst + 1; view++) {
      gate.hear(voteOf(HEAD + 1, view, true, view % 100))
    }
    expect(gate.points).toBeGreaterThan(20)
  })
})

describe('a validator that signs more than an honest one', () => {
  it('is not heard beyond its share, and is heard again later; others are', () => {
    const gate = new Gate()
    for (let view = 0; view < rates.signer.burst + 100; view++) {
      gate.hear(voteOf(HEAD + 1, view, true, 1), view)
    }
    expect(gate.told).toHaveLength(rates.signer.burst)
    expect(gate.checked).toBe(rates.signer.burst)
    gate.hear(voteOf(HEAD + 1, 0, true, 2), 1)
    expect(gate.told).toHaveLength(rates.signer.burst + 1)
    gate.pass(1_000)
    gate.hear(voteOf(HEAD + 1, 5_000, true, 1), 1)
    expect(gate.told).toHaveLength(rates.signer.burst + 2)
  })

  it('proposes others’ blocks again within its share, which only the check can tell', () => {
    const gate = new Gate()
    const [committed] = chainOfBlocks(HEAD + 1, HEAD + 1)
    if (committed === undefined) throw new Error('no block')
    const first = proposalOf(committed)
    if (first.kind !== 'prePrepare') throw new Error('no proposal')
    for (let view = 1; view <= rates.signer.burst + 100; view++) {
      const value = { ...first.value, view, certificate: [committed.certificate] }
      gate.hear({ kind: 'prePrepare', value }, view)
    }
    expect(gate.told).toHaveLength(rates.signer.burst)
    expect(gate.verdicts.filter((verdict) => verdict === 'accept')).toHaveLength(rates.signer.burst)
    expect(gate.points).toBe(0)
  })

  it('cannot be silenced by forged messages in its name (T3)', () => {
    const gate = new Gate()
    for (let view = 0; view < rates.signer.burst + 100; view++) {
      gate.hear(voteOf(HEAD + 1, view, false, 1), view)
    }
    const genuine = voteOf(HEAD + 1, 0, true, 1)
    gate.hear(genuine)
    expect(gate.told).toEqual([genuine])
  })
})

describe('2.10: a vote over the stream of the peer that voted there before', () => {
  const first = voteOf(HEAD + 1, 0, true, 1)
  const knownAsFirst = (): Gate => {
    const gate = new Gate()
    gate.hear(first)
    return gate
  }

  it('is left to Chain, which verifies a quorum at once; the peer’s first vote is verified here', () => {
    const gate = knownAsFirst()
    expect([gate.checked, gate.trusted.length]).toEqual([1, 0])
    const next = voteOf(HEAD + 1, 1, true, 1)
    gate.hear(next)
    expect(gate.checked).toBe(1)
    expect(gate.trusted).toEqual([next])
  })

  it.each([
    ['in another validator’s name', voteOf(HEAD + 1, 1, true, 2), 'stream'],
    ['that the peer relays', voteOf(HEAD + 1, 1, true, 1), 7],
    ['for a height that was decided long ago', voteOf(HEAD - 1, 1, true, 1), 'stream'],
  ] as const)('is verified here all the same when it is one %s', (_, vote, origin) => {
    const gate = knownAsFirst()
    gate.hear(vote, origin)
    expect([gate.checked, gate.told.length, gate.trusted.length]).toEqual([2, 2, 0])
  })

  it('is neither remembered nor paid for by the validator: a forged one shuts out nothing genuine (T3)', () => {
    const gate = knownAsFirst()
    for (let view = 1; view <= rates.signer.burst; view++) {
      gate.hear(voteOf(HEAD + 1, view, false, 1))
      gate.pass(20)
    }
    const genuine = voteOf(HEAD + 1, 1, true, 1)
    gate.hear(genuine, 1)
    expect(gate.told.at(-1)).toEqual(genuine)
    expect(gate.trusted).not.toContain(genuine)
    expect(gate.verdicts).toEqual(['accept'])
  })
})

describe('a prepare certificate', () => {
  /** Of another quorum for each `quorum`. */
  const certificate = (quorum: number, view = 0): ConsensusMessage => {
    const value = QuorumCertificateType.defaultValue()
    const blockHash = new Uint8Array(32).fill(7)
    const signature = new Uint8Array(96).fill(quorum)
    return {
      kind: 'prepareCertificate',
      value: { ...value, height: 11, view, blockHash, signature },
    }
  }

  it('is checked and told once for its statement, by whichever quorum, until it may be said again', () => {
    const gate = new Gate()
    for (const quorum of [1, 2, 3, 4]) gate.hear(certificate(quorum))
    expect([gate.checked, gate.told.length]).toEqual([1, 1])
    gate.hear(certificate(2, 1))
    expect([gate.checked, gate.told.length]).toEqual([2, 2])
    gate.pass(REPEAT_MS)
    gate.hear(certificate(3))
    expect([gate.checked, gate.told.length]).toEqual([3, 3])
    expect(gate.points).toBe(0)
  })

  it('of our own is not learnt from others', () => {
    const gate = new Gate()
    gate.tell({ type: 'network.PropagateBlock', payload: { message: certificate(1) } })
    gate.hear(certificate(2))
    expect([gate.checked, gate.told.length]).toEqual([0, 0])
  })

  it('is looked at again when many others came in between: what is remembered has a bound', () => {
    const gate = new Gate()
    for (let view = 0; view <= MAX_PREPARED; view++) gate.hear(certificate(1, view))
    gate.hear(certificate(2, 0))
    expect(gate.told).toHaveLength(MAX_PREPARED + 2)
  })
})

describe('MP-8: the transactions of one peer', () => {
  /** How many of `count` the pool was asked about. */
  const taken = (gate: Gate, count: number, bytes = 1): number => {
    const before = gate.verdicts.length
    for (let id = 0; id < count; id++) {
      gate.gossip(new Uint8Array(bytes), id)
      gate.tell({ type: 'network.TransactionJudged', payload: { id, verdict: 'accept' } })
    }
    return gate.verdicts.slice(before).filter((verdict) => verdict === 'accept').length
  }

  it('are 100 a second after a burst of 1,000; the rest is ignored, and nobody is blamed', () => {
    const gate = new Gate()
    expect(taken(gate, 1_500)).toBe(1_000)
    gate.pass(1_000)
    expect(taken(gate, 150)).toBe(100)
    gate.pass(60_000)
    expect(taken(gate, 1_500)).toBe(1_000)
    expect(gate.points).toBe(0)
  })

  it('are one megabyte a second, however few they are', () => {
    const gate = new Gate()
    expect(taken(gate, 12, 128 * 1024)).toBe(8)
    gate.pass(500)
    expect(taken(gate, 12, 128 * 1024)).toBe(4)
  })

  it('of one that the operator named have the allowance of all gossip', () => {
    const gate = new Gate()
    gate.name()
    expect(taken(gate, 3_000)).toBe(3_000)
  })

  it('that are never valid cost points that are forgiven in time', () => {
    const gate = new Gate()
    for (let id = 0; id < 4; id++) {
      gate.gossip(Uint8Array.of(1), id)
      gate.tell({ type: 'network.TransactionJudged', payload: { id, verdict: 'reject' } })
    }
    expect(gate.points).toBe(80)
    gate.pass(120_000)
    gate.gossip(Uint8Array.of(1), 5)
    gate.tell({ type: 'network.TransactionJudged', payload: { id: 5, verdict: 'reject' } })
    expect(gate.points).toBe(80)
  })
})

describe('a gossiped transaction', () => {
  const judged = (gate: Gate, id: number, verdict: 'accept' | 'ignore' | 'reject') =>
    gate.tell({ type: 'network.TransactionJudged', payload: { id, verdict } })

  it.each([
    ['accept', 0],
    ['ignore', 0],
    ['reject', 20],
  ] as const)('is relayed or not as the pool says: %s', (verdict, points) => {
    const gate = new Gate()
    gate.gossip(Uint8Array.of(1), 5)
    expect(gate.verdicts).toEqual([])
    judged(gate, 5, verdict)
    judged(gate, 5, 'accept')
    expect(gate.verdicts).toEqual([verdict])
    expect(gate.points).toBe(points)
  })

  it('that the pool says nothing of is ignored in time, and its peer is not blamed', () => {
    const gate = new Gate()
    gate.gossip(Uint8Array.of(1), 5)
    gate.tell({ type: 'network.TendPeers', payload: {} })
    expect(gate.verdicts).toEqual([])
    gate.pass(5_000)
    gate.tell({ type: 'network.TendPeers', payload: {} })
    judged(gate, 5, 'reject')
    expect(gate.verdicts).toEqual(['ignore'])
    expect(gate.points).toBe(0)
  })

  it('is ignored while too many wait for the pool', () => {
    const gate = new Gate()
    gate.name()
    for (let id = 0; id < MAX_WEIGHED + 3; id++) gate.gossip(Uint8Array.of(1), id)
    expect(gate.verdicts).toEqual(['ignore', 'ignore', 'ignore'])
    judged(gate, 0, 'accept')
    gate.gossip(Uint8Array.of(1), 5_000)
    expect(gate.verdicts).toHaveLength(4)
  })
})

describe('genuine messages about decided heights', () => {
  it('sent over and over are verified a few times only', () => {
    const gate = new Gate()
    for (let turn = 0; turn < 500; turn++) gate.hear(voteOf(1, 0, true))
    expect(gate.checked).toBeLessThanOrEqual(rates.stale.burst)
    expect(gate.points).toBe(0)
  })

  it('a committed block is not passed on: one block has many valid certificates', () => {
    const gate = new Gate()
    const [value] = chainOfBlocks(HEAD + 1, HEAD + 1)
    if (value === undefined) throw new Error('no block')
    gate.hear({ kind: 'committedBlock', value }, 1)
    expect(gate.verdicts).toEqual(['ignore'])
    gate.hear({ kind: 'committedBlock', value })
    expect(gate.told).toHaveLength(1)
  })
})
