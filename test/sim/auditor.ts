/** What must hold after every event of every world (protocol §2.7, §2.8, §4.7), seen from outside the nodes. */
import type { StoredBlock } from '../../actors/storage/index.ts'
import {
  blockHash,
  type CommittedBlock,
  type ConsensusMessage,
  decodeCommittedBlock,
  decodeConsensusMessage,
  type PegOrder,
  type PrePrepare,
  voteMessage,
} from '../../core/block/index.ts'
import { type Ledger, ledgerRoot } from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import { proposer } from '../../core/pbft/index.ts'
import { checkIdentity } from '../../core/peg/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { MemberMessage, NodeMessage } from '../../proto/index.ts'
import { ConsensusWatch, type Sender } from './consensus-watch.ts'
import type { Invariant } from './coverage.ts'
import { EvidenceWatch } from './evidence-watch.ts'
import { HaltWatch } from './halt-watch.ts'
import { KernelWatch } from './kernel-watch.ts'
import { KeygenWatch } from './keygen-watch.ts'
import type { SimulatedMember } from './member.ts'
import { NODE_NAMES, type SimulatedNode, type Surroundings } from './node.ts'
import { PegWatch, type SentDeposit } from './peg-watch.ts'
import { SigningWatch } from './signing-watch.ts'
import type { ValidatorBook } from './validator-book.ts'
import type { World } from './world.ts'

/** A look into all mailboxes of one node costs more than an event. */
const EVENTS_PER_MAILBOX_CHECK = 16
/** Results of an actor's own effects are taken past the capacity; so many effects are under way at most (supervisor/limits.ts). */
const MAX_RESULTS = 1_024
/** Withdrawals of these validators are minted deposits, and burns that are minted back (protocol 4.3). */
const PEG_IN = 0
const RETURNED = 1
/** Frames that tell a head begin with this bit. */
const NO_CONSENSUS = 0x80
/** How a node's log names a member by the shares that it signed. */
const SIGNED_WRONGLY = 'a member signed wrongly'

export class Auditor {
  readonly world: World
  /** The one chain: first durable block of each height. */
  readonly chain: CommittedBlock[] = []
  readonly viewChanges = new Set<string>()
  readonly #hashes: string[] = []
  readonly #signed = new Map<string, string>()
  readonly #looked = new WeakSet<Uint8Array>()
  readonly #heads = new Map<SimulatedNode, { incarnation: number; height: number }>()
  readonly #durable = new Map<SimulatedNode, number>()
  /** What deposits are still to mint, in gwei, by EVM address; addresses that deposits have named. */
  readonly #expected = new Map<string, bigint[]>()
  readonly #ownAddresses = new Set<string>()
  #mintedCount = 0
  /** How often a burn was minted back, by burner and amount, where it may be. */
  readonly #returned = new Map<string, number>()
  /** Scripts that users were given as their own. */
  readonly ownScripts = new Set<string>()

  readonly #kernel: KernelWatch
  readonly #signing: SigningWatch
  #consensus: ConsensusWatch | undefined
  #halts: HaltWatch | undefined
  #evidence: EvidenceWatch | undefined
  #peg: PegWatch | undefined
  #keygen: KeygenWatch | undefined

  /** Nodes that break the rules: their books and their words do not count. */
  readonly #traitors = new Set<string>()
  #genesis: Genesis | undefined
  #book: ValidatorBook | undefined
  readonly #nodes = new Map<string, SimulatedNode>()
  /** Up to which height a node must not sign, since its guard is older than its chain. */
  readonly #staysOut = new Map<string, number>()

  constructor(world: World) {
    this.world = world
    this.#kernel = new KernelWatch(world)
    this.#signing = new SigningWatch(world)
  }

  /** From the beginning: the rules that need more than the nodes to be judged. */
  watch(around: Surroundings, nodes: readonly SimulatedNode[]): void {
    const { bitcoin, book, federation, network, streams } = around
    this.#genesis = federation.genesis
    this.#book = book
    for (const node of nodes) this.#nodes.set(node.name, node)
    this.#halts = new HaltWatch(this.world, federation.genesis, book, network)
    this.#consensus = new ConsensusWatch(this.world, federation.genesis, book, () => this.#liars())
    this.#evidence = new EvidenceWatch(this.world, (key) => this.#isCorrectKey(key))
    this.#peg = new PegWatch(this.world, federation.genesis, bitcoin, this.ownScripts)
    this.#keygen = new KeygenWatch(this.world, federation.genesis, streams)
    this.world.told = (process, _, event, fields) => {
      if (event !== SIGNED_WRONGLY || this.#traitors.has(process)) return
      this.world.fault('memberNamed')
      const member = Number(fields['memberIndex'])
      const isLiar = streams.conductOf(member) === 'memberLies'
      this.world.check('NoCorrectNamed', isLiar, () => `${process} names member${member}`)
    }
  }

  /** At the end, when the peg has nothing under way. */
  atRest(ledger: Ledger): void {
    this.#peg?.atRest(ledger)
  }

  watchMembers(members: readonly SimulatedMember[]): void {
    this.#signing.watch(members)
    this.#keygen?.watch(members)
  }

  /** A fault ends a member's process; its disk may go with it. */
  memberDies(member: number, losesDisk: boolean): void {
    this.#keygen?.memberDies()
    if (losesDisk) this.#keygen?.diskLost(member)
  }

  /** The members are in the middle of making a key. */
  get isMakingKey(): boolean {
    return this.#keygen?.isMaking === true
  }

  get evidence(): EvidenceWatch {
    if (this.#evidence === undefined) throw new Error('the watch has not begun')
    return this.#evidence
  }

  get halts(): HaltWatch {
    if (this.#halts === undefined) throw new Error('the watch has not begun')
    return this.#halts
  }

  /** The guard of a node that is down is from before its head: it must not sign where it may have signed. */
  guardIsOld(node: SimulatedNode): void {
    node.hasForgotten = true
    const { headHeight, markedHeight } = node.disk
    this.#staysOut.set(node.name, Math.max(headHeight, markedHeight))
  }

  get height(): number {
    return this.chain.length
  }

  /** A deposit was sent that is to be minted once. */
  expect(address: Uint8Array, amountGwei: bigint, isOwn = false): void {
    const key = toHex(address)
    this.#expected.set(key, [...(this.#expected.get(key) ?? []), amountGwei])
    if (isOwn) this.#ownAddresses.add(key)
  }

  /** Its coin was spent otherwise. */
  expectNot(address: Uint8Array, amountGwei: bigint): void {
    const open = this.#expected.get(toHex(address)) ?? []
    open.splice(open.indexOf(amountGwei), 1)
  }

  isExpected(address: Uint8Array): boolean {
    return (this.#expected.get(toHex(address)) ?? []).length > 0
  }

  /** Deposits that are not minted yet. */
  get expectedCount(): number {
    return [...this.#expected.values()].reduce((sum, open) => sum + open.length, 0)
  }

  get mintedCount(): number {
    return this.#mintedCount
  }

  /** A burn was sent; it is paid, or this is minted back. */
  mayReturn(burner: Uint8Array, amountGwei: bigint): void {
    this.#returned.set(`${toHex(burner)} ${amountGwei}`, 0)
  }

  returned(burner: Uint8Array, amountGwei: bigint): number {
    return this.#returned.get(`${toHex(burner)} ${amountGwei}`) ?? 0
  }

  /** What a user pays in: members may approve it and nothing else. `txid` in display form. */
  deposited(txid: string, vout: number, fields: SentDeposit): void {
    this.#peg?.deposited(`${txid}:${vout}`, fields)
  }

  /** t members decided on an order. */
  ordered(order: PegOrder): void {
    this.#peg?.ordered(order)
  }

  depositGone(txid: string): void {
    this.#peg?.depositGone(txid)
  }

  asked(node: number, member: number, message: NodeMessage): void {
    this.#peg?.asked(message)
    this.#signing.asked(node, member, message)
  }

  answered(node: number, member: number, message: MemberMessage): void {
    this.#peg?.answered(member, message)
    this.#signing.answered(node, member, message)
  }

  /** One block per height over all nodes; each node's durable height rises by one at a time. */
  stored(node: SimulatedNode, block: StoredBlock): void {
    const { world } = this
    const { height } = block
    this.#halts?.stored(height)
    this.#peg?.stored(block)
    if (!node.isCorrect) return
    const before = this.#durable.get(node) ?? 0
    this.#durable.set(node, height)
    world.check('HeightNeverFalls', height === before + 1, () => {
      return `${node.name} stores ${height} after ${before}`
    })
    const hash = toHex(block.hash)
    const known = this.#hashes[height]
    world.check('Agreement', known === undefined || known === hash, () => {
      return `${node.name} has ${hash.slice(0, 16)} at ${height}, others ${known?.slice(0, 16)}`
    })
    if (known !== undefined) return
    this.#hashes[height] = hash
    const decoded = decodeCommittedBlock(block.bytes)
    world.check('StoredWhole', decoded.ok, () => `block ${height} of ${node.name}`)
    if (!decoded.ok) return
    this.chain.push(decoded.value)
    world.check('NamedRight', equalBytes(blockHash(decoded.value.block.header), block.hash), () => {
      return `block ${height} of ${node.name} is stored under another hash`
    })
    this.#book?.decided(decoded.value)
    this.#consensus?.decided(decoded.value)
    this.#halts?.decided(decoded.value)
    this.#evidence?.decided(decoded.value)
    this.#peg?.decided(decoded.value)
    this.#keygen?.decided(decoded.value)
    for (const { address, amountGwei, validatorIndex } of decoded.value.block.body.payload
      .withdrawals) {
      if (validatorIndex === RETURNED) this.#checkReturn(height, address, amountGwei)
      if (validatorIndex === PEG_IN) this.#checkMint(height, address, amountGwei)
    }
  }

  #checkMint(height: number, address: Uint8Array, amountGwei: bigint): void {
    const key = toHex(address)
    const open = this.#expected.get(key)
    this.world.check('MintedByDeposit', open !== undefined, () => {
      return `${key}: ${amountGwei} gwei at ${height}, and no deposit`
    })
    const at = open?.indexOf(amountGwei) ?? -1
    this.world.check('MintedOnce', at >= 0, () => {
      return `${key}: ${amountGwei} gwei at ${height}, expected were ${open?.join(', ')}`
    })
    open?.splice(at, 1)
    this.#mintedCount += 1
    if (this.#ownAddresses.has(key)) this.world.fault('ownMinted')
  }

  #checkReturn(height: number, address: Uint8Array, amountGwei: bigint): void {
    const key = `${toHex(address)} ${amountGwei}`
    const times = this.#returned.get(key)
    this.world.check('ReturnedOnce', times === 0, () => {
      return `${key} gwei is minted back at ${height} after ${times} times`
    })
    this.#returned.set(key, (times ?? 0) + 1)
    this.world.fault('burnReturned')
  }

  /** No two different messages for one (h, v, phase) leave a validator, over all its lives. */
  sent(from: string, bytes: Uint8Array): void {
    if (this.#looked.has(bytes) || ((bytes[0] as number) & NO_CONSENSUS) !== 0) return
    this.#looked.add(bytes)
    const decoded = decodeConsensusMessage(bytes)
    if (!this.#traitors.has(from)) {
      this.world.check('WellFormed', decoded.ok, () => `${from} sends what does not decode`)
    }
    if (!decoded.ok) return
    const { kind, value } = decoded.value
    const isCorrect = (key: Uint8Array) => this.#isCorrectKey(key)
    this.#consensus?.sent(decoded.value, this.#senderOf(from), isCorrect)
    this.#checkStaysOut(from, decoded.value)
    switch (kind) {
      case 'vote': {
        if (!this.#isCorrectKey(value.validator)) return
        const place = `${toHex(value.validator).slice(0, 8)} ${value.phase} ${value.height} ${value.view}`
        this.#once('NoDoubleVote', place, toHex(value.blockHash))
        break
      }
      case 'prePrepare': {
        const { header } = value.block
        if (!this.#isCorrectKey(header.author) || !this.#isCorrectProposer(value)) return
        const hash = toHex(blockHash(header))
        this.#once('NoDoubleProposal', `proposal ${value.height} ${value.view}`, hash)
        this.#once('NoDoubleBlock', `${toHex(header.author).slice(0, 8)} slot ${header.slot}`, hash)
        break
      }
      case 'viewChange':
        this.viewChanges.add(`${value.height} ${value.view}`)
        break
      case 'prepareCertificate':
      case 'committedBlock':
        break
    }
  }

  /** The node, when it is one whose words count. */
  #senderOf(from: string): Sender | undefined {
    const node = this.#nodes.get(from)
    const key = node && this.#genesis?.validators[node.index]?.blsKey
    return node === undefined || key === undefined || !node.isCorrect ? undefined : { node, key }
  }

  #checkStaysOut(from: string, message: ConsensusMessage): void {
    const until = this.#staysOut.get(from)
    const sender = this.#senderOf(from)
    if (until === undefined || sender === undefined) return
    if (message.kind !== 'vote' && message.kind !== 'viewChange') return
    const { height, validator } = message.value
    if (!equalBytes(validator, sender.key)) return
    this.world.check('RestoredStaysOut', height > until, () => {
      return `${from} signs at ${height}, its guard has forgotten what it signed up to ${until}`
    })
  }

  #once(invariant: Invariant, place: string, content: string): void {
    const held = this.#signed.get(place)
    this.world.check(invariant, held === undefined || held === content, () => {
      return `${place}: ${held?.slice(0, 16)} and ${content.slice(0, 16)}`
    })
    this.#signed.set(place, content)
  }

  /** Keys of those who break the rules, in hex. */
  #liars(): readonly string[] {
    const all = this.#genesis?.validators ?? []
    return all.filter((_, at) => !this.#isCorrectAt(at)).map(({ blsKey }) => toHex(blsKey))
  }

  #isCorrectKey(key: Uint8Array): boolean {
    const at = this.#genesis?.validators.findIndex(({ blsKey }) => equalBytes(blsKey, key)) ?? -1
    return this.#isCorrectAt(at)
  }

  #isCorrectAt(position: number): boolean {
    return !this.#traitors.has(NODE_NAMES[position] ?? '')
  }

  /** Of the proposer of that height and view; the author of a block that is proposed again may be another. */
  #isCorrectProposer({ block, height, signature, view }: PrePrepare): boolean {
    const genesis = this.#genesis
    if (genesis === undefined) return true
    const slot = height === 1 ? genesis.slot : this.chain[height - 2]?.block.header.slot
    const validators = this.#book?.at(height)
    if (slot === undefined || validators === undefined) return false
    const { blsKey } = proposer(validators, slot, view)
    const signed = voteMessage(genesis.hash, 'proposal', height, view, blockHash(block.header))
    // Others may say what is due to it, as who usurps a view does.
    return this.#isCorrectKey(blsKey) && genesis.signatures.verify(blsKey, signed, signature)
  }

  /** A node that breaks the rules, from before its start. */
  betrays(node: SimulatedNode): void {
    this.#traitors.add(node.name)
  }

  /** Who follows the rules is never shut out by others who do, whatever a third one makes them relay. */
  banned(by: string, peer: string): void {
    this.world.log(`${by} bans ${peer}`)
    this.world.fault('ban')
    const isOwnFault = this.#traitors.has(by) || this.#traitors.has(peer)
    this.world.check('NoCorrectBanned', isOwnFault, () => `${by} bans ${peer}`)
  }

  afterEvent(all: readonly SimulatedNode[]): void {
    const { world } = this
    const nodes = all.filter(({ isCorrect }) => isCorrect)
    for (const node of nodes) this.#checkHead(node)
    this.#kernel.afterEvent(nodes)
    this.#halts?.afterEvent()
    this.#evidence?.afterEvent(nodes)
    if (world.events % EVENTS_PER_MAILBOX_CHECK !== 0) return
    const node = nodes[(world.events / EVENTS_PER_MAILBOX_CHECK) % nodes.length]
    if (node !== undefined) this.#kernel.look(node)
    // Nobody was banned since the last look who did nothing, which counts as a check.
    world.check('NoCorrectBanned', true, () => '')
    for (const { path, excess } of node?.tree?.system.loads() ?? []) {
      world.check('MailboxBound', excess <= MAX_RESULTS, () => {
        return `${node?.name} ${path}: ${excess} letters above its capacity`
      })
    }
  }

  #checkHead(node: SimulatedNode): void {
    const head = node.tree?.live.head?.head
    if (head === undefined) return
    const { height } = head.header
    const before = this.#heads.get(node)
    if (before?.incarnation === node.incarnations && before.height === height) return
    const { world } = this
    if (before?.incarnation === node.incarnations) {
      world.check('HeadNeverFalls', height > before.height, () => {
        return `${node.name} is at ${height} after ${before.height}`
      })
    }
    this.#heads.set(node, { incarnation: node.incarnations, height })
    world.check('HeadIsDurable', height === 0 || node.disk.holds(height, head.hash), () => {
      return `${node.name} shows ${height}, which is not on its disk`
    })
    const broken = checkIdentity(head.ledger)
    world.check('LedgerIdentity', broken === undefined, () => {
      return `${node.name} at ${height}: ${broken?.detail}`
    })
    if (height === 0) return
    this.#peg?.checkRows(node.name, head.ledger)
    this.#peg?.checkShown(node.name, node.tree?.live.operations ?? [])
    this.#keygen?.checkRows(head.ledger)
    world.check('LedgerRoot', equalBytes(ledgerRoot(head.ledger), head.header.ledgerRoot), () => {
      return `${node.name} at ${height} has another ledger than its header`
    })
    world.check('EvmRoot', node.hasEvmBlock(height, head.header.evmBlockHash), () => {
      return `${node.name} at ${height} has another EVM block than its header`
    })
  }
}
