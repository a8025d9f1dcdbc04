/**
 * Several endpoints of Bitcoin as one (OP-5). Who does not answer is left for the next. Where two show different branches neither is
 * believed: the tip is the last block that all of them share, and whether a later block is on the best chain is not known.
 */
import type {
  BitcoinFault,
  BitcoinPort,
  BitcoinResult,
  BitcoinTip,
} from '../../../actors/bridge/index.ts'
import { equalBytes, toDisplayHash, toHex } from '../../../crypto/index.ts'
import { medianRate } from './median.ts'

/** `agrees`: its chain holds the tip that is told, or is the beginning of it. */
export type EndpointState = 'agrees' | 'differs' | 'silent'

export interface EndpointsOptions {
  /** In the order of preference; at least one. */
  readonly endpoints: readonly BitcoinPort[]
  readonly nowMs: () => number
  /** An endpoint came into another state; all begin as `agrees`. */
  readonly changed: (endpoint: number, state: EndpointState, reason: string) => void
}

/** Faults of an endpoint; what Bitcoin itself refuses is refused everywhere. */
const UNANSWERED: ReadonlySet<string> = new Set([
  'BitcoinUnreachable',
  'BitcoinTimeout',
  'BitcoinBadAnswer',
])
/** One that did not answer is asked again after so long, while another answers. */
const REST_MS = 15_000
/** Two chains that share none of so many blocks are not of one Bitcoin. */
const MAX_FORK_BLOCKS = 144
/** A block that leaves a chain further below than this was mined at more cost than a lie to one node is worth. */
const MAX_HEADERS_BACK = 24
/** An endpoint whose hashes take longer than this in one look has not told them; each question ends by its own deadline. */
const MAX_COMPARE_MS = 10_000
const UNCOMPARED: BitcoinFault = {
  code: 'BitcoinBadAnswer',
  message: 'it told a tip, and not the blocks below it',
}

const MEMPOOL_UNKNOWN: BitcoinResult<never> = {
  ok: false,
  error: { code: 'MempoolUnknown', message: 'this endpoint shows no mempool' },
}

type Mempool = NonNullable<BitcoinPort['mempool']>
type Question<T> = (bitcoin: BitcoinPort) => Promise<BitcoinResult<T>>

/** An endpoint with what is known of it. */
interface Endpoint {
  readonly bitcoin: BitcoinPort
  readonly index: number
  state: EndpointState
  silentSinceMs: number
}

interface Branch extends BitcoinTip {
  readonly endpoint: Endpoint
  spentMs: number
}

/** Who did not let its tip be compared. */
interface Mute {
  readonly mute: readonly Branch[]
}

/** With one endpoint it is that endpoint. */
export function joinBitcoinEndpoints(options: EndpointsOptions): BitcoinPort {
  const [only] = options.endpoints
  return only !== undefined && options.endpoints.length === 1 ? only : new Endpoints(options)
}

class Endpoints implements BitcoinPort {
  readonly #all: readonly Endpoint[]
  readonly #options: EndpointsOptions
  /** The one that is asked first. */
  #first: Endpoint
  /** Where branches part, by the hashes of their tips: an idle look costs each endpoint one question. */
  #forks = new Map<string, BitcoinTip>()

  constructor(options: EndpointsOptions) {
    this.#options = options
    this.#all = options.endpoints.map((bitcoin, index) => {
      return { bitcoin, index, state: 'agrees', silentSinceMs: 0 }
    })
    this.#first = this.#all[0] as Endpoint
  }

  /** Who told a tip and does not let it be compared has told none: the rest is compared without it. */
  async tip(): Promise<BitcoinResult<BitcoinTip>> {
    const { answered, faults } = await this.#askAll((bitcoin) => bitcoin.tip())
    let branches = answered
      .map(({ endpoint, value }): Branch => ({ ...value, endpoint, spentMs: 0 }))
      .sort((left, right) => right.height - left.height)
    for (;;) {
      const [longest, ...others] = branches
      if (longest === undefined) return { ok: false, error: faults[0] ?? UNCOMPARED }
      const compared = await this.#compare(longest, others)
      if (!('mute' in compared)) return compared
      const { mute } = compared
      for (const { endpoint } of mute) this.#silent(endpoint, UNCOMPARED)
      branches = branches.filter((branch) => !mute.includes(branch))
    }
  }

  /** On the best chain is what one calls so, if all others do or are only behind it. */
  async header(hash: Uint8Array): ReturnType<BitcoinPort['header']> {
    const { answered, faults } = await this.#askAll((bitcoin) => bitcoin.header(hash))
    const [fault] = faults
    if (answered.length === 0 && fault !== undefined) return { ok: false, error: fault }
    const best = answered.find(({ value }) => value?.isBest)
    const known = best ?? answered.find(({ value }) => value !== undefined)
    const doubters = best === undefined ? [] : answered.filter(({ value }) => !value?.isBest)
    for (const { endpoint } of doubters) {
      if (best?.value && !(await isBehind(endpoint, best.endpoint, best.value.header))) {
        return disagreement(`block ${toDisplayHash(hash)} is on the best chain of some alone`)
      }
    }
    return { ok: true, value: known?.value }
  }

  /** Of those that have come so far: one that lies below the tip would have the others' blocks passed over in silence. */
  async hashAt(height: number): ReturnType<BitcoinPort['hashAt']> {
    const { answered, faults } = await this.#askAll((bitcoin) => bitcoin.hashAt(height))
    const [fault] = faults
    if (answered.length === 0 && fault !== undefined) return { ok: false, error: fault }
    const [hash, ...others] = answered.flatMap(({ value }) => value ?? [])
    const isOne = others.every((other) => hash !== undefined && equalBytes(other, hash))
    return isOne
      ? { ok: true, value: hash }
      : disagreement(`at height ${height} they have different blocks`)
  }

  /** One of them may have pruned it, or tells other transactions than those of its header. */
  async block(hash: Uint8Array): ReturnType<BitcoinPort['block']> {
    const first = await this.#ask((bitcoin) => bitcoin.block(hash))
    if (first.ok && first.value !== undefined) return first
    for (const { bitcoin, state } of this.#all) {
      if (bitcoin === this.#first.bitcoin || state === 'silent') continue
      const other = await bitcoin.block(hash)
      if (other.ok && other.value !== undefined) return other
    }
    return first
  }

  /** What waits at all of them that answer: of the rest it is not known. */
  readonly mempool = {
    txids: async (most: number): Promise<BitcoinResult<readonly string[]>> => {
      const answers = await this.#askMempools((mempool) => mempool.txids(most))
      const [first, ...others] = answers.flatMap((answer) => (answer.ok ? [answer.value] : []))
      if (first === undefined) return answers[0] as BitcoinResult<never>
      const sets = others.map((ids) => new Set(ids))
      return { ok: true, value: first.filter((id) => sets.every((ids) => ids.has(id))) }
    },
    transaction: async (txid: string): Promise<BitcoinResult<Uint8Array | undefined>> => {
      const answers = await this.#askMempools((mempool) => mempool.transaction(txid))
      const found = answers.find((answer) => answer.ok && answer.value !== undefined)
      return found ?? answers.find(({ ok }) => ok) ?? (answers[0] as BitcoinResult<never>)
    },
  }

  inMempool(txid: Uint8Array): Promise<BitcoinResult<boolean>> {
    return this.#ask((bitcoin) => bitcoin.inMempool(txid))
  }

  /** To all of them: what one relays has left this machine. */
  async send(raw: Uint8Array): Promise<BitcoinResult<string | undefined>> {
    const { answered, faults } = await this.#askAll((bitcoin) => bitcoin.send(raw))
    const [refused] = answered
    if (refused === undefined) return { ok: false, error: faults[0] as BitcoinFault }
    const isTaken = answered.some(({ value }) => value === undefined)
    return { ok: true, value: isTaken ? undefined : refused.value }
  }

  /** The median of what they estimate (PO-8). */
  async feeRate(): Promise<BitcoinResult<number | undefined>> {
    const { answered, faults } = await this.#askAll((bitcoin) => bitcoin.feeRate())
    const [fault] = faults
    if (answered.length === 0 && fault !== undefined) return { ok: false, error: fault }
    return { ok: true, value: medianRate(answered.flatMap(({ value }) => value ?? [])) }
  }

  /** Each endpoint at most once, from the first on; without any answer the last fault is told. */
  async #ask<T>(question: Question<T>): Promise<BitcoinResult<T>> {
    const start = this.#first.index
    for (let turn = 0; ; turn++) {
      const endpoint = this.#all[(start + turn) % this.#all.length] as Endpoint
      const answer = await question(endpoint.bitcoin)
      if (answer.ok || !UNANSWERED.has(answer.error.code)) return answer
      this.#silent(endpoint, answer.error)
      const next = this.#all[(endpoint.index + 1) % this.#all.length] as Endpoint
      // Somebody else's question may have moved on meanwhile.
      if (this.#first === endpoint) this.#first = next
      if (turn + 1 === this.#all.length) return answer
    }
  }

  /** Who shows no mempool, or too slowly, is not silent for that: what blocks hold may come from it as before. */
  #askMempools<T>(question: (mempool: Mempool) => Promise<BitcoinResult<T>>) {
    return Promise.all(
      this.#awake().map(async ({ bitcoin: { mempool } }) =>
        mempool === undefined ? MEMPOOL_UNKNOWN : question(mempool),
      ),
    )
  }

  /** All that did not fall silent just now; all, if there is no other. */
  #awake(): readonly Endpoint[] {
    const nowMs = this.#options.nowMs()
    const awake = this.#all.filter(
      ({ silentSinceMs, state }) => state !== 'silent' || nowMs - silentSinceMs >= REST_MS,
    )
    return awake.length === 0 ? this.#all : awake
  }

  /** Of those that are awake; of all, if none of them answers. */
  async #askAll<T>(question: Question<T>) {
    const asked = this.#awake()
    const first = await this.#answers(asked, question)
    if (first.answered.length > 0 || asked.length === this.#all.length) return first
    return this.#answers(this.#all, question)
  }

  async #answers<T>(asked: readonly Endpoint[], question: Question<T>) {
    const answers = await Promise.all(asked.map(({ bitcoin }) => question(bitcoin)))
    const answered: { readonly endpoint: Endpoint; readonly value: T }[] = []
    const faults: BitcoinFault[] = []
    for (const [at, answer] of answers.entries()) {
      const endpoint = asked[at] as Endpoint
      if (answer.ok) {
        answered.push({ endpoint, value: answer.value })
        if (endpoint.state === 'silent') this.#see(endpoint, 'agrees', 'it answers')
        continue
      }
      faults.push(answer.error)
      if (UNANSWERED.has(answer.error.code)) this.#silent(endpoint, answer.error)
    }
    return { answered, faults }
  }

  async #compare(
    longest: Branch,
    others: readonly Branch[],
  ): Promise<BitcoinResult<BitcoinTip> | Mute> {
    this.#first = longest.endpoint
    const forks = new Map<string, BitcoinTip>()
    const parts: { readonly other: Branch; readonly fork: BitcoinTip }[] = []
    for (const other of others) {
      const names = `${toHex(longest.hash)} ${toHex(other.hash)}`
      const fork = this.#forks.get(names) ?? (await this.#lastShared(longest, other))
      if (fork === undefined) return this.#strangers(longest, other)
      if ('mute' in fork) return fork
      forks.set(names, fork)
      parts.push({ other, fork })
    }
    let { hash, height } = longest
    for (const { fork, other } of parts) {
      const isPart = equalBytes(fork.hash, other.hash)
      this.#see(other.endpoint, isPart ? 'agrees' : 'differs', isPart ? '' : parted(fork))
      if (!isPart && fork.height < height) ({ hash, height } = fork)
    }
    this.#forks = forks
    this.#see(longest.endpoint, 'agrees', '')
    return { ok: true, value: { height, hash } }
  }

  /** By steps that double, then by halves: 8 and 7 questions to each at most. Undefined: none of the last blocks. */
  async #lastShared(longest: Branch, other: Branch): Promise<BitcoinTip | Mute | undefined> {
    const last = Math.max(0, other.height - MAX_FORK_BLOCKS)
    let shared: BitcoinTip | undefined
    let above = other.height + 1
    for (let step = 1; shared === undefined; step *= 2) {
      const height = Math.max(last, above - step)
      const there = await this.#sharedAt(longest, other, height)
      if (there !== undefined && 'mute' in there) return there
      if (there === undefined && height === last) return undefined
      if (there === undefined) above = height
      shared = there
    }
    while (above - shared.height > 1) {
      const height = Math.floor((above + shared.height) / 2)
      const there = await this.#sharedAt(longest, other, height)
      if (there !== undefined && 'mute' in there) return there
      if (there === undefined) above = height
      else shared = there
    }
    return shared
  }

  /** The block that both have at a height; undefined where they have different ones. */
  async #sharedAt(
    longest: Branch,
    other: Branch,
    height: number,
  ): Promise<BitcoinTip | Mute | undefined> {
    const [ours, theirs] = await Promise.all([
      this.#hashOf(longest, height),
      height === other.height ? other.hash : this.#hashOf(other, height),
    ])
    if (ours !== undefined && theirs !== undefined) {
      return equalBytes(ours, theirs) ? { height, hash: ours } : undefined
    }
    return { mute: [...(ours ? [] : [longest]), ...(theirs ? [] : [other])] }
  }

  /** Undefined: not told, or not in the time that it has for all such questions of a look. */
  async #hashOf(branch: Branch, height: number): Promise<Uint8Array | undefined> {
    if (branch.spentMs > MAX_COMPARE_MS) return undefined
    const begunMs = this.#options.nowMs()
    const answer = await branch.endpoint.bitcoin.hashAt(height)
    branch.spentMs += this.#options.nowMs() - begunMs
    return answer.ok ? answer.value : undefined
  }

  #strangers(longest: Branch, other: Branch): BitcoinResult<never> {
    const reason = `endpoints ${longest.endpoint.index} and ${other.endpoint.index} share none of the last ${MAX_FORK_BLOCKS} blocks`
    this.#see(other.endpoint, 'differs', reason)
    return disagreement(reason)
  }

  #silent(endpoint: Endpoint, { code, message }: BitcoinFault): void {
    endpoint.silentSinceMs = this.#options.nowMs()
    this.#see(endpoint, 'silent', `${code}: ${message}`)
  }

  #see(endpoint: Endpoint, state: EndpointState, reason: string): void {
    if (endpoint.state === state) return
    endpoint.state = state
    this.#options.changed(endpoint.index, state, reason)
  }
}

/**
 * Its tip is on the other's best chain, and the block, by headers that name each other, does not leave its chain below that tip: what it does
 * not have comes after it. Of one more than MAX_HEADERS_BACK above it only the former is known.
 */
async function isBehind(
  { bitcoin }: Endpoint,
  other: Endpoint,
  header: Uint8Array,
): Promise<boolean> {
  const tip = await bitcoin.tip()
  if (!tip.ok) return false
  const there = await other.bitcoin.hashAt(tip.value.height)
  if (!there.ok || there.value === undefined || !equalBytes(there.value, tip.value.hash)) {
    return false
  }
  let above = header
  for (let step = 0; step < MAX_HEADERS_BACK; step++) {
    const before = above.subarray(4, 36)
    if (equalBytes(before, tip.value.hash)) return true
    const [own, others] = await Promise.all([bitcoin.header(before), other.bitcoin.header(before)])
    if (!own.ok || !others.ok || others.value === undefined) return false
    // It leaves the chain here, unless the tip moved on meanwhile.
    if (own.value?.isBest) return isNext(bitcoin, tip.value, before)
    above = others.value.header
  }
  return true
}

async function isNext(
  bitcoin: BitcoinPort,
  { height }: BitcoinTip,
  hash: Uint8Array,
): Promise<boolean> {
  const next = await bitcoin.hashAt(height + 1)
  return next.ok && next.value !== undefined && equalBytes(next.value, hash)
}

function parted({ hash, height }: BitcoinTip): string {
  return `the last block that is shared is ${height}, ${toDisplayHash(hash)}`
}

function disagreement(message: string): BitcoinResult<never> {
  return { ok: false, error: { code: 'BitcoinDisagrees', message } }
}
