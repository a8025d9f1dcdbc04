/**
 * One of the bare processes that bench `skeleton` compares a node with: the same transport, the same number and size of messages and
 * synced writes as a block takes, and nothing else. No checks, signatures, execution, supervision. A child of floor.ts.
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
import { createLibp2pNetwork } from '../../node/adapters/libp2p/index.ts'

export interface FloorSetting {
  readonly index: number
  readonly count: number
  readonly seeds: readonly string[]
  readonly ports: readonly number[]
  readonly peerIds: readonly string[]
  readonly directory: string
}

export type FloorOrder =
  | { readonly kind: 'connect' }
  | {
      readonly kind: 'run'
      readonly firstAtMs: number
      readonly periodMs: number
      readonly rounds: number
    }

export type FloorAnswer =
  | { readonly kind: 'listening' }
  | { readonly kind: 'connected' }
  /** Milliseconds from a round's start to the last write here; rounds that did not end are absent. */
  | { readonly kind: 'done'; readonly latenciesMs: readonly number[] }

const PHASES = ['proposal', 'prepare', 'commit'] as const
type Phase = (typeof PHASES)[number]

/** A frame: phase, round, and as many bytes as the real message has. */
const HEAD_BYTES = 5
const SIZES: Readonly<Record<Phase, number>> = {
  proposal: encodeConsensusMessage({ kind: 'prePrepare', value: PrePrepareType.defaultValue() })
    .length,
  prepare: encodeConsensusMessage({ kind: 'vote', value: VoteType.defaultValue() }).length,
  commit: encodeConsensusMessage({ kind: 'vote', value: VoteType.defaultValue() }).length,
}
const BLOCK_BYTES = encodeCommittedBlock(CommittedBlockType.defaultValue()).length
const DIAL_MS = 10_000
const SETTLE_MS = 5_000

interface Round {
  readonly prepares: Set<number>
  readonly commits: Set<number>
  prepared: boolean
  committed: boolean
}

class FloorProcess {
  readonly #setting: FloorSetting
  readonly #network: NetworkPort
  readonly #rounds = new Map<number, Round>()
  readonly #latenciesMs: number[] = []
  readonly #connected = new Set<string>()
  readonly #quorum: number
  #record: FileHandle | undefined
  #store: FileHandle | undefined
  #firstAtMs = 0
  #periodMs = 0

  constructor(setting: FloorSetting) {
    this.#setting = setting
    this.#quorum = Math.floor((2 * setting.count) / 3) + 1
    const seed = setting.seeds[setting.index] as string
    this.#network = createLibp2pNetwork({ keySeed: new Uint8Array(Buffer.from(seed, 'hex')) })
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
      direct: { name: '/floor/1', maxFrameBytes: 1024 * 1024 },
      maxPeers: 50,
      events: {
        peerConnected: ({ peer }) => void this.#connected.add(peer),
        peerDisconnected: ({ peer }) => void this.#connected.delete(peer),
        frame: ({ peer, bytes }) => {
          this.#network.takeFrame(peer)
          this.#received(peer, bytes)
        },
        gossip: ({ id }) => this.#network.judge(id, 'ignore'),
        request: ({ id }) => this.#network.respond(id, undefined),
      },
    })
  }

  /** To those before us; those after us dial. Resolves when everybody is there. */
  async connect(): Promise<void> {
    const { index, count, ports, peerIds } = this.#setting
    for (let other = 0; other < index; other++) {
      const address = `/ip4/127.0.0.1/tcp/${ports[other]}/p2p/${peerIds[other]}`
      const dialled = await this.#network.dial(address, DIAL_MS)
      if (!dialled.ok) throw new Error(`${address}: ${dialled.code}`)
    }
    const endMs = Date.now() + DIAL_MS
    while (this.#connected.size < count - 1) {
      if (Date.now() > endMs) throw new Error('not everybody is connected')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async run(firstAtMs: number, periodMs: number, rounds: number): Promise<readonly number[]> {
    this.#firstAtMs = firstAtMs
    this.#periodMs = periodMs
    for (let round = 0; round < rounds; round++) {
      await sleepUntil(firstAtMs + round * periodMs)
      if (round % this.#setting.count === this.#setting.index) {
        await this.#say('proposal', round)
        await this.#take('proposal', round, this.#setting.index)
      }
    }
    await sleepUntil(firstAtMs + rounds * periodMs + SETTLE_MS)
    return this.#latenciesMs
  }

  async stop(): Promise<void> {
    await this.#network.stop()
    await this.#record?.close()
    await this.#store?.close()
  }

  #received(peer: string, bytes: Uint8Array): void {
    const phase = PHASES[bytes[0] as number]
    const round = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
    if (phase !== undefined) void this.#take(phase, round, this.#setting.peerIds.indexOf(peer))
  }

  async #take(phase: Phase, number: number, from: number): Promise<void> {
    let round = this.#rounds.get(number)
    if (round === undefined) {
      round = { prepares: new Set(), commits: new Set(), prepared: false, committed: false }
      this.#rounds.set(number, round)
    }
    if (phase === 'proposal') return this.#vote('prepare', number)
    const votes = phase === 'prepare' ? round.prepares : round.commits
    votes.add(from)
    if (votes.size < this.#quorum) return
    if (phase === 'prepare' && !round.prepared) {
      round.prepared = true
      await this.#vote('commit', number)
    }
    if (phase === 'commit' && !round.committed) {
      round.committed = true
      await this.#store?.write(new Uint8Array(BLOCK_BYTES))
      await this.#store?.datasync()
      this.#latenciesMs.push(Date.now() - (this.#firstAtMs + number * this.#periodMs))
    }
  }

  async #vote(phase: Phase, round: number): Promise<void> {
    await this.#say(phase, round)
    await this.#take(phase, round, this.#setting.index)
  }

  /** First the record of what is said, synced, then the message to everybody. */
  async #say(phase: Phase, round: number): Promise<void> {
    const bytes = new Uint8Array(HEAD_BYTES + SIZES[phase])
    bytes[0] = PHASES.indexOf(phase)
    new DataView(bytes.buffer).setUint32(1, round)
    await this.#record?.write(bytes)
    await this.#record?.datasync()
    for (const peer of this.#connected) this.#network.send(peer, bytes)
  }
}

async function sleepUntil(atMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - Date.now())))
}

function answer(message: FloorAnswer): void {
  process.send?.(message)
}

const floor = new FloorProcess(JSON.parse(process.argv[2] as string) as FloorSetting)
process.on('disconnect', () => process.exit(1))
process.on('message', (order: FloorOrder) => {
  const work =
    order.kind === 'connect'
      ? floor.connect().then(() => answer({ kind: 'connected' }))
      : floor
          .run(order.firstAtMs, order.periodMs, order.rounds)
          .then((latenciesMs) => answer({ kind: 'done', latenciesMs }))
  work.catch((error: Error) => {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  })
})
process.on('SIGTERM', () => void floor.stop().finally(() => process.exit(0)))
await floor.listen()
answer({ kind: 'listening' })
