/** A libp2p peer that belongs to nobody: it speaks the node's protocols as well as any and says what it likes. */
import { randomBytes } from 'node:crypto'
import { MAX_CONSENSUS_BYTES } from '../../actors/network/limits.ts'
import type { NetworkPort, PeerCode } from '../../actors/network/port.ts'
import {
  decodeRange,
  encodeHeadFrame,
  encodeRangeRequest,
  encodeStatus,
  MAX_RANGE_ANSWER_BYTES,
  protocolsOf,
  topicsOf,
  type WireNames,
  wireNames,
} from '../../actors/network/wire.ts'
import { authorMessage } from '../../core/block/identity.ts'
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  encodeConsensusMessage,
  type QuorumCertificate,
  voteMessage,
} from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { type BlsKeyPair, blsKeyPair, blsSign } from '../../crypto/index.ts'
import { createLibp2pNetwork, networkPeerId } from '../../node/adapters/libp2p/index.ts'

const TIMEOUT_MS = 20_000

export class Stranger {
  readonly disconnected: PeerCode[] = []
  readonly #genesis: Genesis
  readonly #port: NetworkPort
  readonly #names: WireNames
  readonly #keys: BlsKeyPair = blsKeyPair(new Uint8Array(randomBytes(32)))

  constructor(genesis: Genesis) {
    this.#genesis = genesis
    this.#names = wireNames(genesis.hash)
    this.#port = createLibp2pNetwork({ keySeed: new Uint8Array(randomBytes(32)) })
  }

  /** Connects to a node and claims a chain as long as nobody has. The peer's name. */
  async meet(port: number, networkSeed: Uint8Array): Promise<string> {
    const { status } = this.#names
    const claim = { genesisHash: this.#genesis.hash, height: 1_000_000, hash: new Uint8Array(32) }
    await this.#port.start({
      listen: ['/ip4/127.0.0.1/tcp/0'],
      topics: topicsOf(this.#names),
      protocols: protocolsOf(this.#names),
      direct: { name: this.#names.direct, maxFrameBytes: MAX_CONSENSUS_BYTES },
      maxPeers: 8,
      events: {
        peerConnected: () => {},
        peerDisconnected: ({ code }) => this.disconnected.push(code),
        frame: ({ peer }) => this.#port.takeFrame(peer),
        gossip: ({ id }) => this.#port.judge(id, 'ignore'),
        request: ({ id, protocol }) =>
          this.#port.respond(id, protocol === status ? encodeStatus(claim) : undefined),
      },
    })
    const address = `/ip4/127.0.0.1/tcp/${port}/p2p/${await networkPeerId(networkSeed)}`
    const dialled = await this.#port.dial(address, TIMEOUT_MS)
    if (!dialled.ok) throw new Error(dialled.code)
    const limits = { timeoutMs: TIMEOUT_MS, maxBytes: 1_000 }
    await this.#port.request(dialled.value, status, encodeStatus(claim), limits)
    this.#port.send(dialled.value, encodeHeadFrame(claim))
    return dialled.value
  }

  /** A block as the node serves it to anyone. */
  async block(peer: string, height: number): Promise<CommittedBlock> {
    const limits = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_RANGE_ANSWER_BYTES }
    const ask = encodeRangeRequest({ from: height, count: 1 })
    const answer = await this.#port.request(peer, this.#names.blocks, ask, limits)
    const [block] = answer.ok ? (decodeRange(answer.value, 1) ?? []) : []
    if (block === undefined) throw new Error('the node serves no block')
    return block
  }

  /** Directly to the peer, and to everyone by gossip. */
  async say(peer: string, bytes: Uint8Array): Promise<void> {
    this.#port.send(peer, bytes)
    for (const topic of [this.#names.consensus, this.#names.transactions, this.#names.approvals]) {
      await this.#port.publish(topic, bytes).catch(() => {})
    }
  }

  stop(): Promise<void> {
    return this.#port.stop()
  }

  /** Messages of consensus that are wrong in one thing each, made from a real block. */
  forgeries({ block, certificate }: CommittedBlock): readonly (readonly [string, Uint8Array])[] {
    const { header } = block
    const { height } = header
    const next = {
      ...header,
      height: height + 1,
      slot: header.slot + 1,
      parentHash: blockHash(header),
    }
    const real = header.author
    const root = new Uint8Array(32).fill(7)
    const messages: readonly (readonly [string, ConsensusMessage])[] = [
      [
        'a block by a stranger',
        this.#proposal(
          this.#sealed({ ...block, header: { ...next, author: this.#keys.publicKey } }),
        ),
      ],
      [
        "a block under a validator's name",
        this.#proposal(this.#sealed({ ...block, header: next })),
      ],
      [
        'a block from the future',
        this.#proposal(this.#sealed({ ...block, header: { ...next, slot: next.slot + 100_000 } })),
      ],
      [
        'a block of long ago',
        this.#proposal(this.#sealed({ ...block, header: { ...next, slot: 1 } })),
      ],
      [
        'a block with a wrong root',
        {
          kind: 'committedBlock',
          value: { block: { ...block, header: { ...header, ledgerRoot: root } }, certificate },
        },
      ],
      [
        'a block with a certificate for another',
        { kind: 'committedBlock', value: { block: { ...block, header: next }, certificate } },
      ],
      [
        'a certificate with a false signature',
        {
          kind: 'committedBlock',
          value: {
            block: { ...block, header: next },
            certificate: this.#certificate(certificate, blockHash(next)),
          },
        },
      ],
      [
        'a prepare certificate of nobody',
        { kind: 'prepareCertificate', value: this.#certificate(certificate, blockHash(next)) },
      ],
      ["a vote under a validator's name", this.#vote(height + 1, blockHash(next), real)],
      ["a stranger's vote", this.#vote(height + 1, blockHash(next), this.#keys.publicKey)],
      [
        "a view change under a validator's name",
        {
          kind: 'viewChange',
          value: {
            height: height + 1,
            view: 900,
            certificate: [],
            validator: real,
            signature: this.#signature('view'),
          },
        },
      ],
    ]
    return messages.map(([what, message]) => [what, encodeConsensusMessage(message)])
  }

  #sealed(block: Block): Block {
    const message = authorMessage(this.#genesis.hash, block.header, blockHash(block.header))
    return { ...block, signature: blsSign(this.#keys.secretKey, message) }
  }

  #proposal(block: Block): ConsensusMessage {
    const { height } = block.header
    const hash = blockHash(block.header)
    const message = voteMessage(this.#genesis.hash, 'proposal', height, 0, hash)
    const signature = blsSign(this.#keys.secretKey, message)
    return { kind: 'prePrepare', value: { height, view: 0, block, certificate: [], signature } }
  }

  #vote(height: number, hash: Uint8Array, validator: Uint8Array): ConsensusMessage {
    const message = voteMessage(this.#genesis.hash, 'commit', height, 0, hash)
    const signature = blsSign(this.#keys.secretKey, message)
    return {
      kind: 'vote',
      value: { phase: 2, height, view: 0, blockHash: hash, validator, signature },
    }
  }

  #certificate(certificate: QuorumCertificate, hash: Uint8Array): QuorumCertificate {
    const { height } = certificate
    return {
      ...certificate,
      height: height + 1,
      view: 0,
      blockHash: hash,
      signature: this.#signature('certificate'),
    }
  }

  #signature(text: string): Uint8Array {
    return blsSign(this.#keys.secretKey, new TextEncoder().encode(text))
  }
}
