/**
 * A proposer that hoards: it keeps its own block, or the certificate of it, from everybody until its next turn at the height, and
 * helps others to lock another block meanwhile. What it then proposes is what §2.1–2.3 are there to refuse: an older certificate,
 * a block of an earlier slot without one, a certificate of too few or of another block, a block that is not by the proposer.
 */
import { BitArray } from '@chainsafe/ssz'
import {
  authorMessage,
  type Block,
  type BlockHeader,
  blockHash,
  bodyRoot,
  type ConsensusMessage,
  encodeConsensusMessage,
  mixRandao,
  type QuorumCertificate,
  randaoMessage,
  VOTE_PHASES,
  viewChangeMessage,
  voteMessage,
} from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { equalBytes, type Signer, toHex } from '../../crypto/index.ts'
import { hashPayload } from '../../vm/evm/index.ts'
import type { Chance } from './chance.ts'
import { powerOfKeys, quorumOf, type ValidatorBook } from './validator-book.ts'
import type { World } from './world.ts'

type PrePrepare = Extract<ConsensusMessage, { readonly kind: 'prePrepare' }>['value']

const PLOTS = ['older', 'twin', 'few', 'stale', 'stranger', 'usurper'] as const
/** Those that need its block to be prepared by as few as possible. */
const SHOWN: ReadonlySet<string> = new Set(['older', 'twin', 'usurper'])

/** What it holds back at a height. */
interface Hoard {
  readonly plot: (typeof PLOTS)[number]
  readonly own: PrePrepare
  readonly hash: Uint8Array
  /** Prepares for it, by the signer's key. */
  readonly prepares: Map<string, Uint8Array>
}

export interface HoarderOptions {
  readonly world: World
  readonly book: ValidatorBook
  readonly chance: Chance
  readonly genesis: Genesis
  readonly signer: Signer
  /** A key that is nobody's. */
  readonly stranger: Signer
}

export class Hoarder {
  readonly #options: HoarderOptions
  #height = 0
  #hoard: Hoard | undefined
  /** What was made of a message stays so: it is sent again and again. */
  readonly #made = new Map<string, Uint8Array>()
  /** So many of as many as there were at first are a quorum. */
  readonly #quorum: number

  constructor(options: HoarderOptions) {
    this.#options = options
    this.#quorum = Math.floor((2 * options.genesis.validators.length) / 3) + 1
  }

  /** What leaves in place of a message of its node; `place` is that of the peer, undefined for gossip. */
  say(message: ConsensusMessage, bytes: Uint8Array, place: number | undefined): Uint8Array[] {
    switch (message.kind) {
      case 'prePrepare':
        return this.#propose(message.value, place)
      case 'vote': {
        this.#turn(message.value.height)
        // Without it nobody is to be sure before it has a block of its own, and nothing is to be decided.
        const isPrepare = VOTE_PHASES[message.value.phase] === 'prepare'
        const hoard = this.#hoard
        const isOwn = hoard !== undefined && equalBytes(hoard.hash, message.value.blockHash)
        return isPrepare && hoard?.plot === 'older' && !isOwn ? [bytes] : []
      }
      case 'viewChange': {
        const { height, view, certificate } = message.value
        return [certificate.length === 0 ? bytes : this.#viewChange(height, view)]
      }
      case 'prepareCertificate':
        return []
      case 'committedBlock':
        return [bytes]
    }
  }

  /** Its node must not hear that another block is prepared before it has one of its own, and decides nothing by itself. */
  isDeafTo(message: ConsensusMessage): boolean {
    if (message.kind === 'prePrepare' || message.kind === 'committedBlock') return false
    if (message.kind === 'vote' && VOTE_PHASES[message.value.phase] === 'commit') return true
    const { height } = message.value
    if (this.#hoard !== undefined && height <= this.#hoard.own.height) return false
    if (message.kind === 'vote') return VOTE_PHASES[message.value.phase] === 'prepare'
    return message.kind === 'prepareCertificate' || message.value.certificate.length > 0
  }

  /** What it tells all others because of what it heard. */
  hear(message: ConsensusMessage): Uint8Array[] {
    const hoard = this.#hoard
    if (hoard === undefined) return []
    const { genesis, signer } = this.#options
    const { height, view } = hoard.own
    if (message.kind === 'vote') {
      const vote = message.value
      if (vote.height !== height || vote.view !== view) return []
      if (VOTE_PHASES[vote.phase] !== 'prepare' || !equalBytes(vote.blockHash, hoard.hash))
        return []
      hoard.prepares.set(toHex(vote.validator), vote.signature)
      return []
    }
    if (message.kind === 'viewChange') return this.#usurp(hoard, message.value)
    if (message.kind !== 'prePrepare') return []
    const proposal = message.value
    // Who is locked refuses what the others plot for another reason.
    if (hoard.plot !== 'older') return []
    if (proposal.height !== height || proposal.view <= view) return []
    const hash = blockHash(proposal.block.header)
    return [
      encodeConsensusMessage({
        kind: 'vote',
        value: {
          phase: VOTE_PHASES.indexOf('prepare'),
          height,
          view: proposal.view,
          blockHash: hash,
          validator: signer.publicKey,
          signature: signer.sign(voteMessage(genesis.hash, 'prepare', height, proposal.view, hash)),
        },
      }),
    ]
  }

  /** As soon as others are in the next view it proposes there, though it is somebody else's. */
  #usurp(hoard: Hoard, change: { readonly height: number; readonly view: number }): Uint8Array[] {
    const certificate = this.#certificate(hoard)
    const { height, view, block } = hoard.own
    const isNext = change.height === height && change.view === view + 1
    if (hoard.plot !== 'usurper' || !isNext || certificate === undefined) return []
    this.#options.world.log(`hoarder proposes in view ${change.view}, which is not its own`)
    return [this.#again(change.view, block, hoard.hash, certificate)]
  }

  #turn(height: number): void {
    if (height <= this.#height) return
    this.#height = height
    this.#hoard = undefined
    this.#made.clear()
  }

  #propose(value: PrePrepare, place: number | undefined): Uint8Array[] {
    this.#turn(value.height)
    const key = `${value.view}`
    const made = this.#made.get(key) ?? this.#make(value)
    this.#made.set(key, made)
    const hoard = this.#hoard
    if (hoard === undefined || hoard.own.view !== value.view) return [made]
    // The first turn: nobody gets it, or as many as it takes to prepare it together with its own vote.
    const isOne = place !== undefined && place < this.#quorum - 1
    if (hoard.plot === 'stranger') return [made]
    return isOne && SHOWN.has(hoard.plot) ? [made] : []
  }

  #make(value: PrePrepare): Uint8Array {
    const { chance, world } = this.#options
    const hoard = this.#hoard
    if (hoard === undefined) {
      if (value.certificate.length > 0) return encoded(value)
      const plot = chance.pick(PLOTS) ?? 'older'
      world.fault('hoards')
      world.log(`hoarder keeps its block of ${value.height} ${value.view}: ${plot}`)
      const own = plot === 'stranger' ? this.#byStranger(value) : value
      const hash = blockHash(own.block.header)
      this.#hoard = { plot, own, hash, prepares: new Map() }
      return encoded(own)
    }
    const { view } = value
    const { plot, own, hash } = hoard
    const certificate = this.#certificate(hoard)
    world.log(`hoarder comes back to its block of ${own.height} ${own.view} in view ${view}`)
    switch (plot) {
      case 'older':
      case 'usurper':
        return certificate ? this.#again(view, own.block, hash, certificate) : encoded(value)
      case 'twin': {
        if (certificate === undefined) return encoded(value)
        const twin = this.#twin(own.block)
        return this.#again(view, twin, blockHash(twin.header), certificate)
      }
      case 'few':
        return this.#again(view, own.block, hash, certificate ?? this.#together(hoard))
      case 'stale':
        return this.#again(view, own.block, hash, undefined)
      case 'stranger':
        return encoded(value)
    }
  }

  /** A genuine one, if enough have prepared its block. */
  #certificate(hoard: Hoard): QuorumCertificate | undefined {
    const { book, signer } = this.#options
    const validators = book.at(hoard.own.height) ?? []
    const power = powerOfKeys(validators, [...hoard.prepares.keys(), toHex(signer.publicKey)])
    return power >= quorumOf(validators) ? this.#together(hoard) : undefined
  }

  /** Of all whose votes there are, its own among them. */
  #together({ own, hash, prepares }: Hoard): QuorumCertificate {
    const { book, genesis, signer } = this.#options
    const { height, view } = own
    const signed = signer.sign(voteMessage(genesis.hash, 'prepare', height, view, hash))
    const all = new Map(prepares).set(toHex(signer.publicKey), signed)
    const validators = book.at(height) ?? []
    const bitmap = BitArray.fromBitLen(validators.length)
    const signatures: Uint8Array[] = []
    for (const [position, { blsKey }] of validators.entries()) {
      const vote = all.get(toHex(blsKey))
      if (vote === undefined) continue
      bitmap.set(position, true)
      signatures.push(vote)
    }
    const signature = genesis.signatures.aggregate(signatures)
    return { height, view, blockHash: hash, bitmap, signature: signature ?? new Uint8Array(96) }
  }

  #again(
    view: number,
    block: Block,
    hash: Uint8Array,
    certificate: QuorumCertificate | undefined,
  ): Uint8Array {
    const { genesis, signer, world } = this.#options
    const { height } = block.header
    const signed = voteMessage(genesis.hash, 'proposal', height, view, hash)
    if (certificate === undefined)
      world.log(`hoarder proposes ${toHex(hash).slice(0, 16)} as fresh`)
    return encoded({
      height,
      view,
      block,
      certificate: certificate === undefined ? [] : [certificate],
      signature: signer.sign(signed),
    })
  }

  /** As valid as the first one. */
  #twin({ header, body }: Block): Block {
    return this.#signed(
      { ...header, feeRateSatPerKvb: header.feeRateSatPerKvb + 1 },
      body,
      this.#options.signer,
    )
  }

  #byStranger(value: PrePrepare): PrePrepare {
    const { book, genesis, signer, stranger, world } = this.#options
    const { header, body } = value.block
    const before = book.tip?.block.body.payload.prevRandao ?? genesis.prevRandao
    const randaoReveal = stranger.sign(randaoMessage(genesis.hash, header.slot))
    // All of it is as the stranger would make it, so that nothing else is wrong with it.
    const unsealed = { ...body.payload, prevRandao: mixRandao(before, randaoReveal) }
    const payload = { ...unsealed, blockHash: hashPayload(unsealed) }
    const changed = { ...body, payload }
    const block = this.#signed(
      {
        ...header,
        author: stranger.publicKey,
        randaoReveal,
        evmBlockHash: payload.blockHash,
        bodyRoot: bodyRoot(changed),
      },
      changed,
      stranger,
    )
    const hash = blockHash(block.header)
    world.forged.add(toHex(hash))
    const signed = voteMessage(genesis.hash, 'proposal', value.height, value.view, hash)
    return { ...value, block, signature: signer.sign(signed) }
  }

  #signed(header: BlockHeader, body: Block['body'], author: Signer): Block {
    const { genesis } = this.#options
    const message = authorMessage(genesis.hash, header, blockHash(header))
    return { header, body, signature: author.sign(message) }
  }

  #viewChange(height: number, view: number): Uint8Array {
    const { genesis, signer } = this.#options
    const signature = signer.sign(viewChangeMessage(genesis.hash, height, view, []))
    const value = { height, view, certificate: [], validator: signer.publicKey, signature }
    return encodeConsensusMessage({ kind: 'viewChange', value })
  }
}

function encoded(value: PrePrepare): Uint8Array {
  return encodeConsensusMessage({ kind: 'prePrepare', value })
}
