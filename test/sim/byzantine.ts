/**
 * A validator that breaks the rules with its own key: a wrapper of a real node's network port. What the node says is withheld, said
 * in two versions, mixed with forgeries and repetitions. It holds no other key, so whatever it forges in another's name is only
 * bytes; safety must hold whatever it sends, and progress while there are at most f of its kind.
 */
import { BitArray } from '@chainsafe/ssz'
import type { NetworkPort, NetworkStart } from '../../actors/network/index.ts'
import {
  authorMessage,
  type Block,
  type BlockBody,
  type BlockHeader,
  blockHash,
  bodyRoot,
  type ConsensusMessage,
  decodeConsensusMessage,
  encodeConsensusMessage,
  type PegInItem,
  VOTE_PHASES,
  viewChangeMessage,
  voteMessage,
} from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { equalBytes, type Signer, toHex } from '../../crypto/index.ts'
import type { Chance } from './chance.ts'
import type { TreasonKind } from './coverage.ts'
import type { World } from './world.ts'

type OwnMessage = Extract<ConsensusMessage, { readonly kind: 'vote' | 'prePrepare' }>
type Vote = Extract<OwnMessage, { readonly kind: 'vote' }>['value']
type PrePrepare = Extract<OwnMessage, { readonly kind: 'prePrepare' }>['value']

/** Frames that tell a head begin with this bit. */
const NO_CONSENSUS = 0x80
const MAX_REMEMBERED = 64
const VIEWS_AHEAD = 12
const APPROVAL_BYTES = 96

export interface TraitorOptions {
  readonly world: World
  readonly chance: Chance
  readonly genesis: Genesis
  readonly signer: Signer
  readonly acts: ReadonlySet<TreasonKind>
}

export function byzantinePort(inner: NetworkPort, options: TraitorOptions): NetworkPort {
  const traitor = new Traitor(options)
  let peers: readonly string[] = []
  const connected = new Set<string>()
  const noteFrames = (start: NetworkStart): NetworkStart => ({
    ...start,
    events: {
      peerConnected: (peer) => {
        connected.add(peer.peer)
        peers = [...connected].sort()
        start.events.peerConnected(peer)
      },
      peerDisconnected: (peer) => {
        connected.delete(peer.peer)
        peers = [...connected].sort()
        start.events.peerDisconnected(peer)
      },
      frame: (frame) => {
        traitor.hear(frame.bytes)
        start.events.frame(frame)
      },
      gossip: (message) => {
        if (isConsensus(message.topic)) traitor.hear(message.bytes)
        start.events.gossip(message)
      },
      request: (request) => start.events.request(request),
    },
  })
  return {
    start: (start) => inner.start(noteFrames(start)),
    stop: () => inner.stop(),
    dial: (address, timeoutMs) => inner.dial(address, timeoutMs),
    disconnect: (peer, code) => inner.disconnect(peer, code),
    ban: (peer, forMs) => inner.ban(peer, forMs),
    async publish(topic, bytes) {
      if (!isConsensus(topic)) return inner.publish(topic, bytes)
      const said = traitor.say(bytes, undefined)
      for (const one of said) await inner.publish(topic, one)
      for (const peer of peers) for (const extra of traitor.plot(bytes)) inner.send(peer, extra)
    },
    judge: (id, verdict) => inner.judge(id, verdict),
    send(peer, bytes) {
      const side = peers.indexOf(peer) % 2 === 0
      return traitor.say(bytes, side).reduce((sent, one) => inner.send(peer, one) && sent, true)
    },
    takeFrame: (peer) => inner.takeFrame(peer),
    pauseReading: (paused) => inner.pauseReading(paused),
    request: (peer, protocol, bytes, limits) => inner.request(peer, protocol, bytes, limits),
    respond: (id, bytes) => inner.respond(id, traitor.answer(bytes)),
  }
}

function isConsensus(topic: string): boolean {
  return topic.endsWith('/consensus')
}

class Traitor {
  readonly #options: TraitorOptions
  readonly #heard: Uint8Array[] = []
  /** By message: its other version, made once. */
  readonly #twins = new Map<string, Uint8Array | undefined>()

  constructor(options: TraitorOptions) {
    this.#options = options
  }

  hear(bytes: Uint8Array): void {
    if (!this.#does('replays')) return
    this.#heard.push(bytes)
    if (this.#heard.length > MAX_REMEMBERED) this.#heard.shift()
  }

  /** What leaves in place of a message: to one side of the peers, or to all by gossip. */
  say(bytes: Uint8Array, side: boolean | undefined): readonly Uint8Array[] {
    if (((bytes[0] as number) & NO_CONSENSUS) !== 0) return [bytes]
    const { chance } = this.#options
    if (this.#does('withholds') && chance.happens(0.5)) {
      this.#count('withholds')
      return []
    }
    const twin = this.#twin(bytes)
    if (twin === undefined) return [bytes]
    // By gossip all would see both: sometimes they do, which is what evidence is made of.
    if (side === undefined) return chance.happens(0.3) ? [bytes, twin] : []
    return [side ? bytes : twin]
  }

  /** What is sent besides, to one peer. */
  plot(bytes: Uint8Array): readonly Uint8Array[] {
    const { chance } = this.#options
    const extra: Uint8Array[] = []
    const old = this.#does('replays') && chance.happens(0.3) && chance.pick(this.#heard)
    if (old) {
      this.#count('replays')
      extra.push(old)
    }
    const message = this.#own(bytes)
    if (message?.kind !== 'vote') return extra
    const vote = message.value
    if (this.#does('votesUnknown')) {
      this.#count('votesUnknown')
      extra.push(this.#vote({ ...vote, blockHash: chance.bytes(32) }))
    }
    if (this.#does('staleViews') && chance.happens(0.3)) {
      this.#count('staleViews')
      const ahead = vote.view + chance.between(1, VIEWS_AHEAD)
      extra.push(this.#viewChange(vote.height, ahead))
      extra.push(this.#vote({ ...vote, view: chance.between(0, vote.view) }))
      extra.push(this.#vote({ ...vote, view: ahead, phase: chance.between(1, 2) }))
    }
    return extra
  }

  /** What it answers to those who ask for blocks. */
  answer(bytes: Uint8Array | undefined): Uint8Array | undefined {
    const { chance } = this.#options
    if (bytes === undefined || !this.#does('badAnswers') || !chance.happens(0.5)) return bytes
    this.#count('badAnswers')
    if (chance.happens(0.3)) return undefined
    const bent = bytes.slice(0, chance.between(0, bytes.length))
    if (bent.length > 0) bent[chance.between(0, bent.length - 1)] = chance.between(0, 255)
    return bent
  }

  #does(act: TreasonKind): boolean {
    return this.#options.acts.has(act)
  }

  #count(act: TreasonKind): void {
    this.#options.world.fault(act)
  }

  /** The message, if it is one that this validator signed. */
  #own(bytes: Uint8Array): OwnMessage | undefined {
    if (((bytes[0] as number) & NO_CONSENSUS) !== 0) return undefined
    const decoded = decodeConsensusMessage(bytes)
    if (!decoded.ok) return undefined
    const { publicKey } = this.#options.signer
    const message = decoded.value
    if (message.kind === 'vote') {
      return equalBytes(message.value.validator, publicKey) ? message : undefined
    }
    if (message.kind !== 'prePrepare') return undefined
    const isFresh = message.value.certificate.length === 0
    return isFresh && equalBytes(message.value.block.header.author, publicKey) ? message : undefined
  }

  #twin(bytes: Uint8Array): Uint8Array | undefined {
    const message = this.#own(bytes)
    if (message === undefined) return undefined
    const { height, view } = message.value
    const phase = message.kind === 'vote' ? message.value.phase : 0
    const key = `${height} ${view} ${phase}`
    if (!this.#twins.has(key)) {
      this.#twins.set(
        key,
        message.kind === 'vote' ? this.#voteTwin(message.value) : this.#proposalTwin(message.value),
      )
    }
    return this.#twins.get(key)
  }

  #voteTwin(vote: Vote): Uint8Array | undefined {
    if (!this.#does('equivocatesVotes')) return undefined
    this.#count('equivocatesVotes')
    const proposal = this.#twins.get(`${vote.height} ${vote.view} 0`)
    const other = proposal && decodeConsensusMessage(proposal)
    const blockHashOfTwin =
      other?.ok && other.value.kind === 'prePrepare'
        ? blockHash(other.value.value.block.header)
        : this.#options.chance.bytes(32)
    return this.#vote({ ...vote, blockHash: blockHashOfTwin })
  }

  #proposalTwin(proposal: PrePrepare): Uint8Array | undefined {
    const { chance } = this.#options
    const possible = (['equivocatesProposals', 'badBlocks', 'forgesPegIns'] as const).filter(
      (act) => this.#does(act),
    )
    const act = chance.pick(possible)
    if (act === undefined) return undefined
    this.#count(act)
    const { header, body } = proposal.block
    switch (act) {
      case 'equivocatesProposals':
        // As valid as the first one: only the estimate of Bitcoin's fee rate is another.
        return this.#propose(
          proposal,
          { ...header, feeRateSatPerKvb: header.feeRateSatPerKvb + 1 },
          body,
        )
      case 'badBlocks':
        return this.#badBlock(proposal)
      case 'forgesPegIns':
        return this.#forged(proposal)
    }
  }

  #badBlock(proposal: PrePrepare): Uint8Array {
    const { chance } = this.#options
    const { header, body } = proposal.block
    const { payload } = body
    switch (chance.between(0, 4)) {
      case 0:
        return this.#propose(proposal, { ...header, ledgerRoot: chance.bytes(32) }, body)
      case 1:
        return this.#propose(proposal, { ...header, evmBlockHash: chance.bytes(32) }, body)
      case 2:
        return this.#propose(proposal, { ...header, parentHash: chance.bytes(32) }, body)
      case 3: {
        const stateRoot = chance.bytes(32)
        return this.#propose(proposal, header, { ...body, payload: { ...payload, stateRoot } })
      }
      default: {
        const mint = {
          index: (payload.withdrawals.at(-1)?.index ?? 0) + 1,
          validatorIndex: 0,
          address: chance.bytes(20),
          amountGwei: 1_000_000_000n,
        }
        const withdrawals = [...payload.withdrawals, mint]
        return this.#propose(proposal, header, { ...body, payload: { ...payload, withdrawals } })
      }
    }
  }

  /** A deposit that is there but mints elsewhere, or one that nobody approved. */
  #forged(proposal: PrePrepare): Uint8Array {
    const { chance, genesis } = this.#options
    const { header, body } = proposal.block
    const [first] = body.pegIns
    const evmAddress = chance.bytes(20)
    if (first !== undefined && chance.happens(0.7)) {
      const pegIns = [{ ...first, evmAddress }, ...body.pegIns.slice(1)]
      return this.#propose(proposal, header, { ...body, pegIns })
    }
    const proof = {
      blockHash: chance.bytes(32),
      transactionIndex: 1,
      transaction: chance.bytes(100),
      branch: [chance.bytes(32)],
      coinbase: chance.bytes(100),
      coinbaseBranch: [chance.bytes(32)],
    }
    const item: PegInItem = {
      kind: 0,
      reason: 0,
      txid: chance.bytes(32),
      vout: 0,
      amountSat: 100_000_000n,
      evmAddress,
      refundScript: new Uint8Array(0),
      depositEpoch: 0,
      proofIndex: body.proofs.length,
      approval: {
        membersEpoch: 0,
        bitmap: BitArray.fromBoolArray(genesis.members.map(() => true)),
        signature: chance.bytes(APPROVAL_BYTES),
      },
    }
    return this.#propose(proposal, header, {
      ...body,
      proofs: [...body.proofs, proof],
      pegIns: [...body.pegIns, item],
    })
  }

  #propose(proposal: PrePrepare, header: BlockHeader, body: BlockBody): Uint8Array {
    const { genesis, signer, world } = this.#options
    const { height, view } = proposal
    const sealed = { ...header, bodyRoot: bodyRoot(body) }
    const hash = blockHash(sealed)
    const block: Block = {
      header: sealed,
      body,
      signature: signer.sign(authorMessage(genesis.hash, sealed, hash)),
    }
    const signature = signer.sign(voteMessage(genesis.hash, 'proposal', height, view, hash))
    world.log(`traitor proposes also ${toHex(hash).slice(0, 16)} at ${height} ${view}`)
    return encodeConsensusMessage({ kind: 'prePrepare', value: { ...proposal, block, signature } })
  }

  #vote(vote: Vote): Uint8Array {
    const { genesis, signer } = this.#options
    const phase = VOTE_PHASES[vote.phase] ?? 'prepare'
    const signed = voteMessage(genesis.hash, phase, vote.height, vote.view, vote.blockHash)
    return encodeConsensusMessage({
      kind: 'vote',
      value: { ...vote, signature: signer.sign(signed) },
    })
  }

  #viewChange(height: number, view: number): Uint8Array {
    const { genesis, signer } = this.#options
    const validator = signer.publicKey
    const signature = signer.sign(viewChangeMessage(genesis.hash, height, view, []))
    const value = { height, view, certificate: [], validator, signature }
    return encodeConsensusMessage({ kind: 'viewChange', value })
  }
}
