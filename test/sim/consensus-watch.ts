/**
 * The rules of voting, seen from outside: by what validators send and what nodes store, with a quorum counted here (protocol §1.2,
 * §2.3, §2.4, §2.6). An honest node that breaks one of them is found at once, not only when a fork comes of it.
 */
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  type PrePrepare,
  VOTE_PHASES,
  type Vote,
  voteMessage,
} from '../../core/block/index.ts'
import type { Genesis, Validator } from '../../core/params/index.ts'
import { proposer, viewAtSlot, viewLength, viewStart } from '../../core/pbft/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { Signature } from './disk.ts'
import type { SimulatedNode } from './node.ts'
import { powerOfKeys, quorumOf, type ValidatorBook } from './validator-book.ts'
import type { World } from './world.ts'

interface Place {
  readonly view: number
  readonly hash: string
}

/** A correct node, and the key that it signs with. */
export interface Sender {
  readonly node: SimulatedNode
  readonly key: Uint8Array
}

type Own = Extract<ConsensusMessage, { readonly kind: 'vote' | 'viewChange' | 'prePrepare' }>

/** As it came with a proposal of a view. */
interface Proposed {
  readonly slot: number
  readonly certificate: Place | undefined
  /** It is signed by whose turn it was. */
  readonly isByProposer: boolean
}

/** A clock that jumped ahead, or one of a far node, is so much faster at most. */
const CLOCK_AHEAD_MS = 6_000

export class ConsensusWatch {
  readonly #world: World
  readonly #genesis: Genesis
  readonly #book: ValidatorBook
  /** Voters by `phase height view hash`. */
  readonly #votes = new Map<string, Set<string>>()
  /** The view of the certificate that came with a proposal; −1: none. */
  readonly #proofs = new Map<string, number>()
  /** What each validator committed to, by `validator height`. */
  readonly #commits = new Map<string, Place[]>()
  /** Proposals by `height view hash`. */
  readonly #proposed = new Map<string, Proposed[]>()
  /** What was sent before, and is now sent again. */
  readonly #said = new Map<string, number>()
  /** The highest view of what each validator sent, by height. */
  readonly #views = new Map<number, Map<string, number>>()
  /** Who sent a ViewChange, by `height view`. */
  readonly #changes = new Map<string, Set<string>>()
  readonly #slots = new Map<number, number>()
  #last: { readonly height: number; readonly slot: number }

  /** Keys of validators that may have signed anything and told only those whom they wanted to know. */
  readonly #liars: () => readonly string[]

  constructor(world: World, genesis: Genesis, book: ValidatorBook, liars: () => readonly string[]) {
    this.#world = world
    this.#liars = liars
    this.#genesis = genesis
    this.#book = book
    this.#last = { height: 0, slot: genesis.slot }
    this.#slots.set(0, genesis.slot)
  }

  /** A message leaves a validator; the vote of one that lies is neither judged nor counted. */
  sent(
    message: ConsensusMessage,
    sender: Sender | undefined,
    isHonest: (validator: Uint8Array) => boolean,
  ): void {
    if (message.kind === 'prePrepare') this.#noteProposal(message.value)
    if (message.kind === 'viewChange') {
      const { height, view, validator } = message.value
      const place = `${height} ${view}`
      this.#changes.set(place, (this.#changes.get(place) ?? new Set()).add(toHex(validator)))
    }
    if (sender !== undefined) this.#judgeOwn(message, sender)
    if (message.kind !== 'vote') return
    const { value: vote } = message
    if (!isHonest(vote.validator)) return
    const key = voteKey(vote)
    const voters = this.#votes.get(key) ?? new Set()
    // What was sent once is sent again and again; it was judged when the validator made it.
    if (!voters.has(toHex(vote.validator))) this.#judge(vote)
    this.#votes.set(key, voters.add(toHex(vote.validator)))
  }

  #noteProposal({ height, view, block, certificate: [certificate], signature }: PrePrepare): void {
    const hash = blockHash(block.header)
    const key = `${height} ${view} ${toHex(hash)}`
    const parentSlot = this.#slots.get(height - 1)
    const validators = this.#book.at(height)
    if (parentSlot === undefined || validators === undefined) return
    const { hash: genesisHash, signatures } = this.#genesis
    const { blsKey } = proposer(validators, parentSlot, view)
    const signed = voteMessage(genesisHash, 'proposal', height, view, hash)
    const isByProposer = signatures.verify(blsKey, signed, signature)
    this.#proofs.set(key, Math.max(this.#proofs.get(key) ?? -1, certificate?.view ?? -1))
    const place = certificate && { view: certificate.view, hash: toHex(certificate.blockHash) }
    const known = this.#proposed.get(key) ?? []
    this.#proposed.set(key, [
      ...known,
      { slot: block.header.slot, certificate: place, isByProposer },
    ])
    if (place !== undefined) this.#countOlder(height, place)
  }

  /** Somebody is locked on another block in a later view: the lock is asked for (2.3). */
  #countOlder(height: number, { view, hash }: Place): void {
    const isOlder = [...this.#commits].some(
      ([key, places]) =>
        key.endsWith(` ${height}`) && places.some((one) => one.view > view && one.hash !== hash),
    )
    if (isOlder) this.#world.fault('olderCertificate')
  }

  /** What a correct node says with its own key, when it says it first. */
  #judgeOwn(message: ConsensusMessage, { node, key }: Sender): void {
    if (message.kind === 'prepareCertificate' || message.kind === 'committedBlock') return
    if (message.kind !== 'prePrepare' && !equalBytes(message.value.validator, key)) return
    const { height, view } = message.value
    const name = toHex(key)
    const content = message.kind === 'vote' ? `${message.value.phase}` : ''
    const said = `${message.kind} ${content} ${height} ${view} ${name}`
    if (this.#said.has(said)) return
    this.#said.set(said, this.#world.nowMs)
    const views = this.#views.get(height) ?? new Map<string, number>()
    const before = views.get(name) ?? -1
    this.#world.check('ViewNeverFalls', view >= before, () => {
      return `${node.name} signs for view ${view} of ${height} after view ${before}`
    })
    this.#checkLeap(node, height, view, before, views)
    this.#views.set(height, views.set(name, Math.max(view, before)))
    this.#world.check('GuardFirst', node.disk.allowsSignature(signatureOf(message)), () => {
      return `${node.name} sends its ${said}, of which nothing is durable in its guard`
    })
    this.#judgeLock(message, node, name)
    if (message.kind === 'prePrepare') {
      if (message.value.certificate.length > 0) this.#world.fault('reproposal')
      const changedAtMs = this.#said.get(`viewChange  ${height} ${view} ${name}`)
      this.#checkWait(message.value, node, changedAtMs)
    }
  }

  /** 1.3: liars alone do not lead anybody into a view before its time. */
  #checkLeap(
    node: SimulatedNode,
    height: number,
    view: number,
    before: number,
    views: ReadonlyMap<string, number>,
  ): void {
    const parentSlot = this.#slots.get(height - 1)
    const validators = this.#book.at(height)
    if (parentSlot === undefined || validators === undefined) return
    const { params } = this.#genesis
    const aheadMs = Math.max(CLOCK_AHEAD_MS, node.skew.offsetMs)
    const slot = Math.floor((this.#world.nowMs + aheadMs) / params.slotMs)
    const byClock = viewAtSlot(parentSlot, slot, validators.length) ?? -1
    const isLed = view <= before || [...views.values()].some((one) => one >= view)
    this.#world.check('NoLeap', view <= byClock || isLed, () => {
      return `${node.name} is the first correct node in view ${view} of ${height}, by the clock it is ${byClock}`
    })
  }

  /** 2.5: what it is locked on it tells, and proposes at least that. */
  #judgeLock(message: Own, node: SimulatedNode, name: string): void {
    if (message.kind === 'vote') return
    const { height, view, certificate } = message.value
    const lock = this.#commits
      .get(`${name} ${height}`)
      ?.filter((one) => one.view < view)
      .at(-1)
    if (lock === undefined) return
    const told = certificate[0]?.view ?? -1
    const invariant = message.kind === 'viewChange' ? 'TellsLock' : 'ProposesLock'
    this.#world.check(invariant, told >= lock.view, () => {
      return `${node.name} is locked in view ${lock.view} of ${height}; its ${message.kind} of view ${view} names view ${told}`
    })
  }

  /** 2.5: all have changed the view, or the one before was prepared, or an eighth of the view has passed. */
  #checkWait(
    { height, view, certificate }: PrePrepare,
    node: SimulatedNode,
    changedAtMs: number | undefined,
  ): void {
    const live = node.tree?.live.consensus
    if (view === 0 || live?.height !== height || live.view !== view) return
    const validators = this.#book.at(height)
    if (validators === undefined) return
    const { params } = this.#genesis
    const lengthMs = viewLength(view, validators.length) * params.slotMs
    const { nowMs } = this.#world
    const { offsetMs, changedAtMs: turnedAtMs = 0 } = node.skew
    // Whose clock was moved may have waited by another clock.
    if (nowMs - turnedAtMs <= lengthMs) return
    // What it signed in its last life, and could tell nobody, it sends as it starts.
    if (nowMs - node.startedAtMs <= lengthMs / 8) return
    // What was signed before a restart is sent after it: the wait began with the ViewChange.
    const waitedMs = Math.max(nowMs + offsetMs - live.atMs, nowMs - (changedAtMs ?? nowMs))
    const isInformed =
      certificate[0]?.view === view - 1 ||
      validators.every(({ blsKey }) => this.#changes.get(`${height} ${view}`)?.has(toHex(blsKey)))
    this.#world.check('WaitsForOthers', isInformed || waitedMs >= lengthMs / 8, () => {
      return `${node.name} proposes in view ${view} of ${height} after ${waitedMs} ms`
    })
  }

  /** The first node stores a height. */
  decided({ block, certificate }: CommittedBlock): void {
    const { height, view } = certificate
    const hash = toHex(blockHash(block.header))
    const validators = this.#book.at(height) ?? []
    const quorum = quorumOf(validators)
    const positions = certificate.bitmap.getTrueBitIndexes()
    const signers = positions.reduce((sum, at) => sum + (validators[at]?.power ?? 0), 0)
    const sent = this.#powerOf(validators, [
      ...(this.#votes.get(`commit ${height} ${view} ${hash}`) ?? []),
    ])
    // The vote of whoever stores it may still be on its way out.
    const isDecided = signers >= quorum && sent + most(validators) >= quorum
    this.#world.check('Decided', isDecided, () => {
      return `block ${height} is stored with a power of ${signers} signers and ${sent} commits of view ${view}, a quorum is ${quorum}`
    })
    this.#checkAuthor(block, validators)
    this.#last = block.header
    this.#slots.set(height, block.header.slot)
  }

  /** Of honest voters, with all who may have told others only. */
  #powerOf(validators: readonly Validator[], voters: readonly string[]): number {
    return powerOfKeys(validators, [...voters, ...this.#liars()])
  }

  #checkAuthor({ header }: Block, validators: readonly Validator[]): void {
    const { height, slot } = header
    const n = validators.length
    // Later views last longer than a slot.
    if (height !== this.#last.height + 1 || slot - this.#last.slot > 2 * n) return
    const author = validators[slot % n]
    const isRight = author !== undefined && equalBytes(author.blsKey, header.author)
    this.#world.check('RightAuthor', isRight, () => {
      return `block ${height} of slot ${slot} is not by validator ${slot % n}`
    })
  }

  #judge(vote: Vote): void {
    const { height, view } = vote
    const voter = toHex(vote.validator)
    const name = voter.slice(0, 8)
    const hash = toHex(vote.blockHash)
    this.#world.check('NothingBad', !this.#world.forged.has(hash), () => {
      return `${name} votes for ${hash.slice(0, 16)} at ${height} ${view}, which breaks a rule`
    })
    const commits = this.#commits.get(`${voter} ${height}`) ?? []
    if (VOTE_PHASES[vote.phase] === 'commit') {
      const validators = this.#book.at(height) ?? []
      const prepares = [...(this.#votes.get(`prepare ${height} ${view} ${hash}`) ?? []), voter]
      const power = this.#powerOf(validators, prepares)
      this.#world.check('Prepared', power >= quorumOf(validators), () => {
        return `${name} commits at ${height} ${view} after prepares of power ${power}, its own among them`
      })
      this.#commits.set(`${voter} ${height}`, [...commits, { view, hash }])
      return
    }
    this.#checkProposal(name, vote, hash)
    const lock = commits.filter((one) => one.view <= view).at(-1)
    if (lock === undefined) return
    const proof = this.#proofs.get(`${height} ${view} ${hash}`) ?? -1
    this.#world.check('LockHeld', lock.hash === hash || proof > lock.view, () => {
      return `${name} is locked in view ${lock.view} of ${height} and prepares another block in view ${view}`
    })
  }

  /** 2.2: it is of the view's own slot, or of an earlier one and shown to be prepared in an earlier view. */
  #checkProposal(name: string, { height, view }: Vote, hash: string): void {
    const proposals = this.#proposed.get(`${height} ${view} ${hash}`)
    const parentSlot = this.#slots.get(height - 1)
    const validators = this.#book.at(height)
    if (proposals === undefined || parentSlot === undefined || validators === undefined) return
    const start = viewStart(parentSlot, view, validators.length)
    const isProper = proposals.some(({ slot, certificate, isByProposer }) => {
      if (!isByProposer) return false
      if (certificate === undefined) return slot === start
      const prepares = this.#votes.get(`prepare ${height} ${certificate.view} ${hash}`) ?? []
      // One vote may have died with its voter, who noted the certificate before.
      const power = this.#powerOf(validators, [...prepares]) + most(validators)
      const isProven = power >= quorumOf(validators)
      return slot < start && certificate.view < view && certificate.hash === hash && isProven
    })
    this.#world.check('ProperProposal', isProper, () => {
      return `${name} prepares ${hash.slice(0, 16)} in view ${view} of ${height}, which nobody proposed by the rules`
    })
  }
}

function signatureOf({ kind, value }: Own): Signature {
  const { height, view } = value
  if (kind === 'viewChange') return { kind, height, view }
  if (kind === 'prePrepare') {
    return { kind: 'propose', height, view, hash: blockHash(value.block.header) }
  }
  const isPrepare = VOTE_PHASES[value.phase] === 'prepare'
  return { kind: isPrepare ? 'prepare' : 'commit', height, view, hash: value.blockHash }
}

/** The power of the strongest. */
function most(validators: readonly Validator[]): number {
  return Math.max(0, ...validators.map(({ power }) => power))
}

function voteKey({ phase, height, view, blockHash: hash }: Vote): string {
  return `${VOTE_PHASES[phase]} ${height} ${view} ${toHex(hash)}`
}
