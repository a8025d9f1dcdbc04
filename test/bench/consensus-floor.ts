/**
 * One of the bare processes that bench `consensus` compares a node with: the same transport and the same bytes in the same three steps, a
 * synced write before each vote and of the block, and the signatures that the protocol has on this path, made and checked. Nothing else:
 * no decoding, no rules, no execution, no actors, one message in one frame to each peer. A child of consensus.ts.
 */
import { mkdirSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { NetworkPort } from '../../actors/network/index.ts'
import {
  CommittedBlockType,
  encodeCommittedBlock,
  encodeConsensusMessage,
  PrePrepareType,
  VoteType,
} from '../../core/block/index.ts'
import { blsKeyPair, blsSigner, blsSuite, type Signer, sha256 } from '../../crypto/index.ts'
import { createLibp2pNetwork } from '../../node/adapters/libp2p/index.ts'
import { monotonicMs } from './children.ts'

export interface FloorSetting {
  readonly index: number
  /** Of the transport's keys and of the signing keys. */
  readonly seeds: readonly string[]
  readonly ports: readonly number[]
  readonly peerIds: readonly string[]
  readonly directory: string
}

export type FloorOrder =
  | { readonly kind: 'connect' }
  /** To whom proposes it. */
  | { readonly kind: 'propose'; readonly round: number; readonly payloadBytes: number }

export type FloorTold =
  | { readonly kind: 'listening' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'proposed'; readonly round: number; readonly atMs: number }
  | { readonly kind: 'durable'; readonly round: number; readonly atMs: number }

const PHASES = ['proposal', 'prepare', 'commit'] as const
type Phase = (typeof PHASES)[number]

const SIGNATURE_BYTES = 96
/** Phase, round, then signatures. */
const HEAD_BYTES = 5
/** Of a proposal: the proposal's, the author's and the randao reveal. */
const PROPOSAL_SIGNATURES = 3
const SIZES: Readonly<Record<Phase, number>> = {
  proposal: encodeConsensusMessage({ kind: 'prePrepare', value: PrePrepareType.defaultValue() })
    .length,
  prepare: encodeConsensusMessage({ kind: 'vote', value: VoteType.defaultValue() }).length,
  commit: encodeConsensusMessage({ kind: 'vote', value: VoteType.defaultValue() }).length,
}
const BLOCK_BYTES = encodeCommittedBlock(CommittedBlockType.defaultValue()).length
const MAX_FRAME_BYTES = 16 * 1024 * 1024
const DIAL_MS = 10_000

interface Round {
  payload: Uint8Array
  readonly votes: Readonly<Record<'prepare' | 'commit', Map<number, Uint8Array>>>
  proposed: boolean
  prepared: boolean
  committed: boolean
}

class FloorProcess {
  readonly #setting: FloorSetting
  readonly #network: NetworkPort
  readonly #signers: readonly Signer[]
  readonly #rounds = new Map<number, Round>()
  readonly #connected = new Set<string>()
  readonly #quorum: number
  #record: FileHandle | undefined
  #store: FileHandle | undefined

  constructor(setting: FloorSetting) {
    this.#setting = setting
    this.#quorum = Math.floor((2 * setting.seeds.length) / 3) + 1
    const seeds = setting.seeds.map((seed) => new Uint8Array(Buffer.from(seed, 'hex')))
    this.#signers = seeds.map((seed) => blsSigner(blsKeyPair(seed).secretKey))
    this.#network = createLibp2pNetwork({ keySeed: seeds[setting.index] as Uint8Array })
  }

  async listen(): Promise<void> {
    const { directory, index, ports } = this.#setting
    mkdirSync(directory, { recursive: true })
    this.#record = await open(join(directory, `record-${index}`), 'w')
    this.#store = await open(join(directory, `store-${index}`), 'w')
    await this.#network.start({
      listen: [`/ip4/127.0.0.1/tcp/${ports[index]}`],
      topics: [{ name: 'floor', maxBytes: 1_024 }],
      protocols: [],
      direct: { name: '/floor/1', maxFrameBytes: MAX_FRAME_BYTES },
      maxPeers: 50,
      events: {
        peerConnected: ({ peer }) => void this.#connected.add(peer),
        peerDisconnected: ({ peer }) => void this.#connected.delete(peer),
        frame: ({ peer, bytes }) => {
          this.#network.takeFrame(peer)
          void this.#take(bytes, this.#setting.peerIds.indexOf(peer))
        },
        gossip: ({ id }) => this.#network.judge(id, 'ignore'),
        request: ({ id }) => this.#network.respond(id, undefined),
      },
    })
  }

  /** To those before us; those after us dial. Resolves when everybody is there. */
  async connect(): Promise<void> {
    const { index, ports, peerIds, seeds } = this.#setting
    for (let other = 0; other < index; other++) {
      const address = `/ip4/127.0.0.1/tcp/${ports[other]}/p2p/${peerIds[other]}`
      const dialled = await this.#network.dial(address, DIAL_MS)
      if (!dialled.ok) throw new Error(`${address}: ${dialled.code}`)
    }
    const endMs = Date.now() + DIAL_MS
    while (this.#connected.size < seeds.length - 1) {
      if (Date.now() > endMs) throw new Error('not everybody is connected')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Its record is synced and its signatures are made before the clock starts. */
  async propose(number: number, payloadBytes: number): Promise<void> {
    const bytes = new Uint8Array(SIZES.proposal + payloadBytes)
    setHead(bytes, 'proposal', number)
    for (let at = 0; at < PROPOSAL_SIGNATURES; at++) {
      bytes.set(this.#sign('proposal', number, at), HEAD_BYTES + at * SIGNATURE_BYTES)
    }
    await this.#sync(this.#record, bytes)
    answer({ kind: 'proposed', round: number, atMs: monotonicMs() })
    for (const peer of this.#connected) this.#network.send(peer, bytes)
    await this.#proposed(number, bytes)
  }

  async stop(): Promise<void> {
    await this.#network.stop()
    await this.#record?.close()
    await this.#store?.close()
  }

  async #take(bytes: Uint8Array, from: number): Promise<void> {
    const phase = PHASES[bytes[0] as number]
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
    if (phase === undefined) return
    if (phase !== 'proposal') {
      return this.#voted(phase, number, from, bytes.slice(HEAD_BYTES, HEAD_BYTES + SIGNATURE_BYTES))
    }
    for (let at = 0; at < PROPOSAL_SIGNATURES; at++) {
      const start = HEAD_BYTES + at * SIGNATURE_BYTES
      const signature = bytes.slice(start, start + SIGNATURE_BYTES)
      const { publicKey } = this.#signers[from] as Signer
      if (!blsSuite.verify(publicKey, messageOf(phase, number, at), signature)) {
        throw new Error('a proposal that nobody signed')
      }
    }
    await this.#proposed(number, bytes)
  }

  async #proposed(number: number, proposal: Uint8Array): Promise<void> {
    const round = this.#round(number)
    round.payload = proposal
    await this.#vote('prepare', number, proposal)
    round.proposed = true
    await this.#count(number)
  }

  async #voted(
    phase: 'prepare' | 'commit',
    number: number,
    from: number,
    signature: Uint8Array,
  ): Promise<void> {
    this.#round(number).votes[phase].set(from, signature)
    await this.#count(number)
  }

  /** What a quorum allows: the Commit, then the block. */
  async #count(number: number): Promise<void> {
    const round = this.#round(number)
    const { prepare, commit } = round.votes
    if (round.proposed && !round.prepared && prepare.size >= this.#quorum) {
      round.prepared = true
      this.#check('prepare', number, prepare)
      await this.#vote('commit', number, new Uint8Array(SIZES.commit))
    }
    if (round.prepared && !round.committed && commit.size >= this.#quorum) {
      round.committed = true
      this.#check('commit', number, commit)
      const block = new Uint8Array(BLOCK_BYTES + round.payload.length - SIZES.proposal)
      await this.#sync(this.#store, block)
      answer({ kind: 'durable', round: number, atMs: monotonicMs() })
      this.#rounds.delete(number - 2)
    }
  }

  /** First the record of what is said, synced, then the signature, then the message to everybody. */
  async #vote(phase: 'prepare' | 'commit', number: number, record: Uint8Array): Promise<void> {
    await this.#sync(this.#record, record)
    const bytes = new Uint8Array(SIZES[phase])
    setHead(bytes, phase, number)
    const signature = this.#sign(phase, number)
    bytes.set(signature, HEAD_BYTES)
    for (const peer of this.#connected) this.#network.send(peer, bytes)
    await this.#voted(phase, number, this.#setting.index, signature)
  }

  /** Signatures of a quorum, joined and checked as one. */
  #check(phase: Phase, number: number, votes: ReadonlyMap<number, Uint8Array>): void {
    const joined = blsSuite.aggregate([...votes.values()])
    const keys = [...votes.keys()].map((index) => (this.#signers[index] as Signer).publicKey)
    if (
      joined === undefined ||
      !blsSuite.verifyAggregate(keys, messageOf(phase, number, 0), joined)
    ) {
      throw new Error('votes that nobody signed')
    }
  }

  #sign(phase: Phase, number: number, at = 0): Uint8Array {
    return (this.#signers[this.#setting.index] as Signer).sign(messageOf(phase, number, at))
  }

  async #sync(file: FileHandle | undefined, bytes: Uint8Array): Promise<void> {
    await file?.write(bytes)
    await file?.datasync()
  }

  #round(number: number): Round {
    const known = this.#rounds.get(number)
    if (known !== undefined) return known
    const round: Round = {
      payload: new Uint8Array(0),
      votes: { prepare: new Map(), commit: new Map() },
      proposed: false,
      prepared: false,
      committed: false,
    }
    this.#rounds.set(number, round)
    return round
  }
}

function setHead(bytes: Uint8Array, phase: Phase, round: number): void {
  bytes[0] = PHASES.indexOf(phase)
  new DataView(bytes.buffer).setUint32(1, round)
}

function messageOf(phase: Phase, round: number, at: number): Uint8Array {
  return sha256(new TextEncoder().encode(`${phase} ${round} ${at}`))
}

function answer(message: FloorTold): void {
  process.send?.(message)
}

function failed(error: Error): never {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

const floor = new FloorProcess(JSON.parse(process.argv[2] as string) as FloorSetting)
process.on('disconnect', () => process.exit(1))
process.on('message', (order: FloorOrder) => {
  if (order.kind === 'connect') {
    floor.connect().then(() => answer({ kind: 'connected' }), failed)
  } else floor.propose(order.round, order.payloadBytes).catch(failed)
})
process.on('SIGTERM', () => void floor.stop().finally(() => process.exit(0)))
await floor.listen()
answer({ kind: 'listening' })
