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
  type QuorumCertificate,
  VOTE_PHASES,
  viewChangeMessage,
  voteMessage,
} from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { concatBytes, equalBytes, type Signer, sha256, toHex } from '../../crypto/index.ts'
import type { Chance } from './chance.ts'
import type { TreasonKind } from './coverage.ts'
import type { Hoarder } from './hoarder.ts'
import type { World } from './world.ts'

type OwnMessage = Extract<ConsensusMessage, { readonly kind: 'vote' | 'prePrepare' }>
type Vote = Extract<OwnMessage, { readonly kind: 'vote' }>['value']
type PrePrepare = Extract<OwnMessage, { readonly kind: 'prePrepare' }>['value']

/** Frames that tell a head begin with this bit. */
const NO_CONSENSUS = 0x80
const MAX_REMEMBERED = 64
const VIEWS_AHEAD = 12
const APPROVAL_BYTES = 96
/** Proposals that come late in their view, or after it. */
const MIN_DELAY_MS = 200
const MAX_DELAY_MS = 1_600
const LENGTH_BYTES = 4

export interface TraitorOptions {
  readonly world: World
  readonly chance: Chance
  readonly genesis: Genesis
  readonly signer: Signer
  /** Outlives the process. */
  readonly hoarder: Hoarder | undefined
  readonly acts: ReadonlySet<TreasonKind>
}

export function byzantinePort(inner: NetworkPort, options: TraitorOptions): NetworkPort {
  const traitor = new Traitor(options)
  let peers: readonly string[] = []
  const connected = new Set<string>()
  const tellAll = (messages: readonly Uint8Array[]) => {
    for (const bytes of messages) for (const peer of peers) inner.send(peer, bytes)
  }
  let plotted = ''
  /** A proposal leaves later than it is made. */
  const whenDue = (bytes: Uint8Array, send: () => void): boolean => {
    const delayMs = traitor.delayOf(bytes)
    if (delayMs > 0) options.world.at(delayMs, 'a late proposal', send)
    return delayMs > 0
  }
  /** The same message leaves by several ways: what comes of it, comes once. */
  const plotOnce = (bytes: Uint8Array): void => {
    const name = toHex(sha256(bytes))
    if (name === plotted) return
    plotted = name
    for (const peer of peers) for (const extra of traitor.plot(bytes)) inner.send(peer, extra)
  }
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
        tellAll(traitor.hear(frame.bytes))
        if (traitor.isDeafTo(frame.bytes)) inner.takeFrame(frame.peer)
        else start.events.frame(frame)
      },
      gossip: (message) => {
        if (isConsensus(message.topic)) {
          tellAll(traitor.hear(message.bytes))
          if (traitor.isDeafTo(message.bytes)) return inner.judge(message.id, 'ignore')
        }
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
      if (whenDue(bytes, () => void inner.publish(topic, bytes))) return
      plotOnce(bytes)
      for (const one of traitor.say(bytes, undefined)) await inner.publish(topic, one)
    },
    judge: (id, verdict) => inner.judge(id, verdict),
    send(peer, bytes) {
      if (whenDue(bytes, () => void inner.send(peer, bytes))) return true
      plotOnce(bytes)
      return traitor
        .say(bytes, peers.indexOf(peer))
        .reduce((sent, one) => inner.send(peer, one) && sent, true)
    },
    takeFrame: (peer) => inner.takeFrame(peer),
    pauseReading: (paused) => inner.pauseReading(paused),
    request: (peer, protocol, bytes, limits) => inner.request(peer, protocol, bytes, limits),
    respond: (id, bytes) => {
      const answer = traitor.answer(bytes)
      if (answer !== 'never') inner.respond(id, answer)
    },
  }
}

function isConsensus(topic: string): boolean {
  return topic.endsWith('/consensus')
}

/** The blocks of an answer, encoded: a count, then each behind its length. None of what is no such answer. */
function rangeParts(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: Uint8Array[] = []
  let offset = LENGTH_BYTES
  while (offset + LENGTH_BYTES <= bytes.length) {
    const end = offset + LENGTH_BYTES + view.getUint32(offset, true)
    if (end > bytes.length) return []
    parts.push(bytes.subarray(offset, end))
    offset = end
  }
  return offset === bytes.length && view.getUint32(0, true) === parts.length ? parts : []
}

function rangeOf(parts: readonly Uint8Array[]): Uint8Array {
  const count = new Uint8Array(LENGTH_BYTES)
  new DataView(count.buffer).setUint32(0, parts.length, true)
  return concatBytes(count, ...parts)
}

class Traitor {
  readonly #options: TraitorOptions
  readonly #heard: Uint8Array[] = []
  /** By message: its other version, made once. */
  readonly #twins = new Map<string, Uint8Array | undefined>()
  readonly #hoarder: Hoarder | undefined
  readonly #blocks = new Map<string, Block>()
  #prepared: QuorumCertificate | undefined

  constructor(options: TraitorOptions) {
    this.#options = options
    this.#hoarder = options.hoarder
  }

  /** Gives what it tells everybody because of it. */
  hear(bytes: Uint8Array): readonly Uint8Array[] {
    if (this.#does('usurps')) this.#spy(bytes)
    if (this.#does('replays')) {
      this.#heard.push(bytes)
      if (this.#heard.length > MAX_REMEMBERED) this.#heard.shift()
    }
    if (this.#hoarder === undefined || ((bytes[0] as number) & NO_CONSENSUS) !== 0) return []
    const decoded = decodeConsensusMessage(bytes)
    return decoded.ok ? this.#hoarder.hear(decoded.value) : []
  }

  isDeafTo(bytes: Uint8Array): boolean {
    if (this.#hoarder === undefined || ((bytes[0] as number) & NO_CONSENSUS) !== 0) return false
    const decoded = decodeConsensusMessage(bytes)
    return decoded.ok && this.#hoarder.isDeafTo(decoded.value)
  }

  /** How long a proposal is kept back. */
  delayOf(bytes: Uint8Array): number {
    if (!this.#does('delaysProposals') || ((bytes[0] as number) & NO_CONSENSUS) !== 0) return 0
    const decoded = decodeConsensusMessage(bytes)
    if (!decoded.ok || decoded.value.kind !== 'prePrepare') return 0
    this.#count('delaysProposals')
    return this.#options.chance.between(MIN_DELAY_MS, MAX_DELAY_MS)
  }

  /** What leaves in place of a message: to the peer of a place among them, or to all by gossip. */
  say(bytes: Uint8Array, place: number | undefined): readonly Uint8Array[] {
    if (((bytes[0] as number) & NO_CONSENSUS) !== 0) return [bytes]
    const side = place === undefined ? undefined : place % 2 === 0
    const { chance } = this.#options
    if (this.#does('silent')) {
      this.#count('silent')
      return []
    }
    if (this.#does('silentProposer') || this.#hoarder !== undefined) {
      const decoded = decodeConsensusMessage(bytes)
      if (decoded.ok && decoded.value.kind === 'prePrepare' && this.#does('silentProposer')) {
        this.#count('silentProposer')
        return []
      }
      if (decoded.ok && this.#hoarder !== undefined) {
        return this.#hoarder.say(decoded.value, bytes, place)
      }
    }
    if (this.#does('withholds') && chance.happens(0.5)) {
      this.#count('withholds')
      return []
    }
    const twin = this.#twin(bytes)
    if (twin === undefined) return [bytes]
    // Who turns its coat tells the same peer one thing now and the other the next time.
    if (this.#does('turnsCoat')) return [chance.happens(0.5) ? bytes : twin]
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
    extra.push(...this.#usurped(bytes))
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

  /** Remembers blocks, and the certificate of the highest view. */
  #spy(bytes: Uint8Array): void {
    if (((bytes[0] as number) & NO_CONSENSUS) !== 0) return
    const decoded = decodeConsensusMessage(bytes)
    if (!decoded.ok) return
    const { kind, value } = decoded.value
    if (kind === 'prePrepare') this.#blocks.set(toHex(blockHash(value.block.header)), value.block)
    if (this.#blocks.size > MAX_REMEMBERED) this.#blocks.clear()
    if (kind === 'committedBlock' || kind === 'vote') return
    const certificate = kind === 'prepareCertificate' ? value : value.certificate[0]
    if (certificate === undefined) return
    const held = this.#prepared
    const isLater = held?.height === certificate.height ? certificate.view > held.view : true
    if (isLater) this.#prepared = certificate
  }

  /** As it enters a view of somebody else it proposes what was prepared before, without being asked. */
  #usurped(bytes: Uint8Array): readonly Uint8Array[] {
    if (!this.#does('usurps') || ((bytes[0] as number) & NO_CONSENSUS) !== 0) return []
    const decoded = decodeConsensusMessage(bytes)
    if (!decoded.ok || decoded.value.kind !== 'viewChange') return []
    const { genesis, signer } = this.#options
    const { height, validator, view } = decoded.value.value
    const certificate = this.#prepared
    const block = certificate && this.#blocks.get(toHex(certificate.blockHash))
    if (block === undefined || certificate?.height !== height || certificate.view >= view) return []
    if (!equalBytes(validator, signer.publicKey)) return []
    this.#count('usurps')
    const hash = certificate.blockHash
    const signature = signer.sign(voteMessage(genesis.hash, 'proposal', height, view, hash))
    const value = { height, view, block, certificate: [certificate], signature }
    return [encodeConsensusMessage({ kind: 'prePrepare', value })]
  }

  /** What it answers to those who ask for blocks. */
  answer(bytes: Uint8Array | undefined): Uint8Array | undefined | 'never' {
    const { chance } = this.#options
    if (bytes !== undefined && this.#does('shortAnswers') && chance.happens(0.7)) {
      const parts = rangeParts(bytes)
      if (parts.length === 0) return bytes
      this.#count('shortAnswers')
      const at = chance.between(0, parts.length - 1)
      switch (chance.between(0, 3)) {
        case 0:
          return 'never'
        case 1:
          return rangeOf(parts.filter((_, index) => index !== at))
        default:
          return rangeOf(parts.slice(0, at + 1))
      }
    }
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
    const acts = ['equivocatesProposals', 'turnsCoat', 'badBlocks', 'forgesPegIns'] as const
    const act = chance.pick(acts.filter((one) => this.#does(one)))
    if (act === undefined) return undefined
    this.#count(act)
    const { header, body } = proposal.block
    if (act === 'badBlocks' || act === 'forgesPegIns') return this.#forge(act, proposal)
    // As valid as the first one: only the estimate of Bitcoin's fee rate is another.
    const other = { ...header, feeRateSatPerKvb: header.feeRateSatPerKvb + 1 }
    return this.#propose(proposal, other, body)
  }

  #forge(act: 'badBlocks' | 'forgesPegIns', proposal: PrePrepare): Uint8Array {
    const bytes = act === 'badBlocks' ? this.#badBlock(proposal) : this.#forged(proposal)
    const decoded = decodeConsensusMessage(bytes)
    if (decoded.ok && decoded.value.kind === 'prePrepare') {
      this.#options.world.forged.add(toHex(blockHash(decoded.value.value.block.header)))
    }
    return bytes
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
      coinbaseState: chance.bytes(32),
      coinbaseBlock: chance.bytes(64),
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
