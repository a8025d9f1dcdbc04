/**
 * The rules of voting, seen from outside: by what validators send and what nodes store, with a quorum counted here (protocol §1.2,
 * §2.3, §2.4, §2.6). An honest node that breaks one of them is found at once, not only when a fork comes of it.
 */
import {
  type Block,
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  VOTE_PHASES,
  type Vote,
} from '../../core/block/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { World } from './world.ts'

interface Place {
  readonly view: number
  readonly hash: string
}

export class ConsensusWatch {
  readonly #world: World
  readonly #genesis: Genesis
  readonly #quorum: number
  /** Voters by `phase height view hash`. */
  readonly #votes = new Map<string, Set<string>>()
  /** The view of the certificate that came with a proposal; −1: none. */
  readonly #proofs = new Map<string, number>()
  /** What each validator committed to, by `validator height`. */
  readonly #commits = new Map<string, Place[]>()
  #last: { readonly height: number; readonly slot: number }

  /** Validators that may have signed anything and told only those whom they wanted to know. */
  readonly #liars: () => number

  constructor(world: World, genesis: Genesis, liars: () => number) {
    this.#world = world
    this.#liars = liars
    this.#genesis = genesis
    this.#quorum = Math.floor((2 * genesis.validators.length) / 3) + 1
    this.#last = { height: 0, slot: genesis.slot }
  }

  /** A message leaves a validator; the vote of one that lies is neither judged nor counted. */
  sent(message: ConsensusMessage, isHonest: (validator: Uint8Array) => boolean): void {
    if (message.kind === 'prePrepare') {
      const { height, view, block, certificate } = message.value
      const key = `${height} ${view} ${toHex(blockHash(block.header))}`
      this.#proofs.set(key, Math.max(this.#proofs.get(key) ?? -1, certificate[0]?.view ?? -1))
    }
    if (message.kind !== 'vote') return
    const { value: vote } = message
    if (!isHonest(vote.validator)) return
    const key = voteKey(vote)
    const voters = this.#votes.get(key) ?? new Set()
    // What was sent once is sent again and again; it was judged when the validator made it.
    if (!voters.has(toHex(vote.validator))) this.#judge(vote)
    this.#votes.set(key, voters.add(toHex(vote.validator)))
  }

  /** The first node stores a height. */
  decided({ block, certificate }: CommittedBlock): void {
    const { height, view } = certificate
    const hash = toHex(blockHash(block.header))
    const signers = certificate.bitmap.getTrueBitIndexes().length
    const sent = this.#votes.get(`commit ${height} ${view} ${hash}`)?.size ?? 0
    // Its own vote may still be on its way out.
    const isDecided = signers >= this.#quorum && sent >= this.#quorum - 1 - this.#liars()
    this.#world.check('Decided', isDecided, () => {
      return `block ${height} is stored with ${signers} signers and ${sent} commits of view ${view}`
    })
    this.#checkAuthor(block)
    this.#last = block.header
  }

  #checkAuthor({ header }: Block): void {
    const { validators } = this.#genesis
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
    const commits = this.#commits.get(`${voter} ${height}`) ?? []
    if (VOTE_PHASES[vote.phase] === 'commit') {
      const prepares = new Set(this.#votes.get(`prepare ${height} ${view} ${hash}`))
      prepares.delete(voter)
      this.#world.check('Prepared', prepares.size >= this.#quorum - 1 - this.#liars(), () => {
        return `${name} commits at ${height} ${view} after ${prepares.size} prepares of others`
      })
      this.#commits.set(`${voter} ${height}`, [...commits, { view, hash }])
      return
    }
    const lock = commits.filter((one) => one.view <= view).at(-1)
    if (lock === undefined) return
    const proof = this.#proofs.get(`${height} ${view} ${hash}`) ?? -1
    this.#world.check('LockHeld', lock.hash === hash || proof > lock.view, () => {
      return `${name} is locked in view ${lock.view} of ${height} and prepares another block in view ${view}`
    })
  }
}

function voteKey({ phase, height, view, blockHash: hash }: Vote): string {
  return `${VOTE_PHASES[phase]} ${height} ${view} ${toHex(hash)}`
}
