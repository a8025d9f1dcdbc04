/** What must hold after every event of every world (protocol §2.7, §2.8, §4.7), seen from outside the nodes. */
import type { StoredBlock } from '../../actors/storage/index.ts'
import {
  blockHash,
  type CommittedBlock,
  decodeCommittedBlock,
  decodeConsensusMessage,
} from '../../core/block/index.ts'
import { ledgerRoot } from '../../core/ledger/index.ts'
import { checkIdentity } from '../../core/peg/index.ts'
import { equalBytes, toHex } from '../../crypto/index.ts'
import type { Invariant } from './coverage.ts'
import type { SimulatedNode } from './node.ts'
import type { World } from './world.ts'

/** A look into all mailboxes of one node costs more than an event. */
const EVENTS_PER_MAILBOX_CHECK = 16
/** Frames that tell a head begin with this bit. */
const NO_CONSENSUS = 0x80

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
  readonly #mints = new Map<string, bigint>()
  /** What deposits may mint, in gwei, by EVM address; each address has one deposit. */
  readonly expectedMints = new Map<string, bigint>()

  constructor(world: World) {
    this.world = world
  }

  get height(): number {
    return this.chain.length
  }

  minted(address: Uint8Array): boolean {
    return this.#mints.has(toHex(address))
  }

  get mintedCount(): number {
    return this.#mints.size
  }

  /** One block per height over all nodes; each node's durable height rises by one at a time. */
  stored(node: SimulatedNode, block: StoredBlock): void {
    const { world } = this
    const { height } = block
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
    for (const { address, amountGwei } of decoded.value.block.body.payload.withdrawals) {
      const key = toHex(address)
      const expected = this.expectedMints.get(key)
      if (expected === undefined) continue
      world.check('MintedOnce', !this.#mints.has(key) && amountGwei === expected, () => {
        return `${key}: ${amountGwei} of ${expected} gwei at ${height}, before ${this.#mints.get(key)}`
      })
      this.#mints.set(key, amountGwei)
    }
  }

  /** No two different messages for one (h, v, phase) leave a validator, over all its lives. */
  sent(from: string, bytes: Uint8Array): void {
    if (this.#looked.has(bytes) || ((bytes[0] as number) & NO_CONSENSUS) !== 0) return
    this.#looked.add(bytes)
    const decoded = decodeConsensusMessage(bytes)
    this.world.check('WellFormed', decoded.ok, () => `${from} sends what does not decode`)
    if (!decoded.ok) return
    const { kind, value } = decoded.value
    switch (kind) {
      case 'vote': {
        const place = `${toHex(value.validator).slice(0, 8)} ${value.phase} ${value.height} ${value.view}`
        this.#once('NoDoubleVote', place, toHex(value.blockHash))
        break
      }
      case 'prePrepare': {
        const { header } = value.block
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

  #once(invariant: Invariant, place: string, content: string): void {
    const held = this.#signed.get(place)
    this.world.check(invariant, held === undefined || held === content, () => {
      return `${place}: ${held?.slice(0, 16)} and ${content.slice(0, 16)}`
    })
    this.#signed.set(place, content)
  }

  afterEvent(nodes: readonly SimulatedNode[]): void {
    const { world } = this
    for (const node of nodes) this.#checkHead(node)
    if (world.events % EVENTS_PER_MAILBOX_CHECK !== 0) return
    const node = nodes[(world.events / EVENTS_PER_MAILBOX_CHECK) % nodes.length]
    for (const actor of node?.tree?.system.snapshot() ?? []) {
      const over = Object.entries(actor.depth).find(([priority, depth]) => {
        return depth > actor.capacity[priority as keyof typeof actor.capacity]
      })
      world.check('MailboxBound', over === undefined, () => {
        return `${node?.name} ${actor.path}: ${over?.join(' ')}`
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
    world.check('LedgerRoot', equalBytes(ledgerRoot(head.ledger), head.header.ledgerRoot), () => {
      return `${node.name} at ${height} has another ledger than its header`
    })
    world.check('EvmRoot', node.hasEvmBlock(height, head.header.evmBlockHash), () => {
      return `${node.name} at ${height} has another EVM block than its header`
    })
  }
}
