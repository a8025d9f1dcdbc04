/**
 * One member on simulated ports: federation nodes that answer from a chain made here (and may lie), a Bitcoin of its own, a
 * journal and a state file in memory that survive a restart.
 */
import { answerQuery, type CertifiedBlock } from '../../../actors/stream/index.ts'
import type { DepositSight } from '../../../bridge/index.ts'
import { serializeTransaction, txid } from '../../../core/bitcoin/index.ts'
import {
  type BlockHeader,
  blockHash,
  emptyCertificate,
  encodeCertificate,
  encodeHeader,
  genesisHeader,
  type PegInClaim,
  PegInClaimType,
  voteMessage,
} from '../../../core/block/index.ts'
import { genesisLedger, type Ledger, ledgerRoot } from '../../../core/ledger/index.ts'
import type { KnownBlock } from '../../../core/light/index.ts'
import type { Genesis } from '../../../core/params/index.ts'
import { buildCertificate } from '../../../core/pbft/index.ts'
import { blsKeyPair, blsSign, blsSigner, blsSuite, toDisplayHash } from '../../../crypto/index.ts'
import { createJournal, type Journal } from '../../../governance/journal.ts'
import type { StoredHead } from '../../../governance/light-client.ts'
import type { MemberPolicy } from '../../../governance/policy.ts'
import type { HeadStore, LinkListener, LinksPorts, OwnBitcoin } from '../../../governance/port.ts'
import { createMemberTree, createVault, storeBehindVault } from '../../../governance/tree.ts'
import type { MemberBody, MemberMessage, NodeBody, NonceOfferBytes } from '../../../proto/index.ts'
import type { System } from '../../../supervisor/index.ts'
import { createTestPorts, type TestPorts } from '../../../supervisor/testing/index.ts'
import { type BitcoinWorld, seeded } from '../core/peg/world.ts'
import { MemoryShares } from './memory-shares.ts'

const validatorKeys = [0, 1, 2, 3].map((index) => blsKeyPair(seeded(`validator ${index}`)))

/** Certified headers over ledgers. */
export class HeaderChain {
  readonly genesis: Genesis
  readonly blocks: CertifiedBlock[]
  ledger: Ledger

  constructor(genesis: Genesis) {
    this.genesis = genesis
    this.ledger = genesisLedger(genesis)
    const header = genesisHeader(genesis, ledgerRoot(this.ledger))
    this.blocks = [{ header, certificate: emptyCertificate() }]
  }

  get head(): CertifiedBlock {
    return this.blocks.at(-1) as CertifiedBlock
  }

  /** Commits a block; `signers` are the validators that sign it. */
  commit(
    ledger = this.ledger,
    changes: Partial<BlockHeader> = {},
    signers: readonly number[] = [0, 1, 2],
  ): CertifiedBlock {
    const block = this.certified(ledger, changes, signers)
    this.ledger = ledger
    this.blocks.push(block)
    return block
  }

  certified(
    ledger: Ledger,
    changes: Partial<BlockHeader> = {},
    signers: readonly number[] = [0, 1, 2],
  ): CertifiedBlock {
    const parent = this.head.header
    const header: BlockHeader = {
      ...parent,
      height: parent.height + 1,
      slot: parent.slot + 1,
      author: validatorKeys[0]?.publicKey as Uint8Array,
      parentHash: blockHash(parent),
      ledgerRoot: ledgerRoot(ledger),
      ...changes,
    }
    const hash = blockHash(header)
    const { height } = header
    const message = voteMessage(this.genesis.hash, 'commit', height, 0, hash)
    const votes = signers.map((index) => {
      const keys = validatorKeys[index] as { publicKey: Uint8Array; secretKey: Uint8Array }
      return { validator: keys.publicKey, signature: blsSign(keys.secretKey, message) }
    })
    const few = this.genesis.validators.filter((_, index) => signers.includes(index))
    const enough = signers.length >= 3 ? this.genesis.validators : few
    const subject = { height, view: 0, blockHash: hash }
    const certificate = buildCertificate(blsSuite, enough, subject, votes)
    if (certificate === undefined) throw new Error('no certificate')
    return { header, certificate }
  }
}

/** A federation node as the member sees it. `alter` makes it a liar. */
export class TestNode {
  readonly chain: HeaderChain
  readonly received: MemberMessage[] = []
  alter: (body: NodeBody) => NodeBody = (body) => body
  listener: LinkListener | undefined
  opened = 0
  reachable = true

  constructor(chain: HeaderChain) {
    this.chain = chain
  }

  open(listener: LinkListener): void {
    this.opened += 1
    if (!this.reachable) {
      listener.closed('refused')
      return
    }
    this.listener = listener
    listener.registered(0)
    this.announce()
  }

  drop(): void {
    const { listener } = this
    this.listener = undefined
    listener?.closed('connection lost')
  }

  announce(block = this.chain.head): void {
    const { header, certificate } = block
    const head = {
      header: encodeHeader(header),
      certificate: encodeCertificate(certificate),
      nextValidators: new Uint8Array(0),
    }
    this.say('', { kind: 'newHead', height: header.height, head })
  }

  say(requestId: string, body: NodeBody): void {
    void this.listener?.message({ requestId, correlationId: 'flow', body: this.alter(body) })
  }

  receive(message: MemberMessage): void {
    this.received.push(message)
    const { body, requestId } = message
    const isQuery =
      body.kind === 'headerRequest' ||
      body.kind === 'ledgerProofRequest' ||
      body.kind === 'chainStatusRequest'
    if (!isQuery) return
    const { chain } = this
    const reader = {
      head: () => ({ ...chain.head, ledger: chain.ledger }),
      headers: async (from: number, count: number) => chain.blocks.slice(from, from + count),
      subscribe: () => () => {},
    }
    void answerQuery(reader, body, 1).then((answer) => this.say(requestId, answer))
  }

  askApproval(
    claim: PegInClaim,
    changes: Partial<Extract<NodeBody, { kind: 'requestFederationApproval' }>> = {},
  ): void {
    const outpoint = `${toDisplayHash(claim.txid)}:${claim.vout}`
    this.say(outpoint, {
      kind: 'requestFederationApproval',
      genesisHash: this.chain.genesis.hash,
      outpoint,
      membersEpoch: 0,
      claim: PegInClaimType.serialize(claim),
      ...changes,
    })
  }

  askSignature(
    batchId: Uint8Array,
    changes: Partial<Extract<NodeBody, { kind: 'signatureRequest' }>> = {},
  ): void {
    this.say('batch', {
      kind: 'signatureRequest',
      genesisHash: this.chain.genesis.hash,
      batchId,
      version: 0,
      attempt: 0,
      height: 1,
      ...changes,
    })
  }

  askParts(
    batchId: Uint8Array,
    offers: readonly NonceOfferBytes[],
    changes: Partial<Extract<NodeBody, { kind: 'partsRequest' }>> = {},
  ): void {
    this.say('parts', { kind: 'partsRequest', batchId, version: 0, attempt: 0, offers, ...changes })
  }

  answers<K extends MemberBody['kind']>(kind: K): Extract<MemberBody, { kind: K }>[] {
    return this.received.flatMap(({ body }) =>
      body.kind === kind ? [body as Extract<MemberBody, { kind: K }>] : [],
    )
  }
}

/** A Bitcoin node that follows a test chain. */
export function bitcoinOf(bitcoin: BitcoinWorld): OwnBitcoin {
  return {
    sight: async (hash, id): Promise<DepositSight> => {
      const block = bitcoin.blocks.find((each) => toDisplayHash(each.hash) === toDisplayHash(hash))
      if (block === undefined) return { kind: 'unknown', code: 'BitcoinBlockUnknown' }
      const txids = block.transactions.map((transaction) => txid(transaction))
      const index = txids.findIndex((each) => toDisplayHash(each) === toDisplayHash(id))
      const bytes = (at: number) => {
        const transaction = block.transactions[at]
        return transaction === undefined ? new Uint8Array(0) : serializeTransaction(transaction)
      }
      return {
        kind: 'seen',
        confirmations: bitcoin.tip.height - block.height + 1,
        txids,
        index,
        transaction: bytes(index),
        coinbase: bytes(0),
      }
    },
    coins: async (tipHash, outpoints) => {
      const isThere = bitcoin.blocks.some(
        ({ hash }) => toDisplayHash(hash) === toDisplayHash(tipHash),
      )
      if (!isThere) return { kind: 'unknown', code: 'BitcoinBlockUnknown' }
      const all = bitcoin.blocks.flatMap(({ transactions }) => transactions)
      const nameOf = (id: Uint8Array, vout: number) => `${toDisplayHash(id)}:${vout}`
      const spent = new Set(
        all.flatMap(({ inputs }) => inputs.map((input) => nameOf(input.txid, input.vout))),
      )
      const coins = outpoints.map(({ txid: id, vout }) => {
        const found = all.find((one) => toDisplayHash(txid(one)) === toDisplayHash(id))
        return spent.has(nameOf(id, vout)) ? undefined : found?.outputs[vout]
      })
      return { kind: 'seen', coins }
    },
  }
}

/** Of the members of these tests. */
export const AUDIT_MS = 60_000

export interface MemberWorldOptions {
  readonly genesis: Genesis
  readonly nodes: readonly TestNode[]
  readonly bitcoin: OwnBitcoin
  readonly policy?: Partial<MemberPolicy>
  readonly trustedBlock?: KnownBlock
}

/** The member's process, which can be killed and started again over the same disk. */
export class MemberWorld {
  readonly ports: TestPorts = createTestPorts()
  /** The journal's lines on disk. */
  readonly lines: string[] = []
  header: StoredHead | undefined
  /** In whom the vault believes. */
  trusted: StoredHead | undefined
  readonly shares = new MemoryShares()
  system: System | undefined
  /** Called when a line is about to become durable. */
  onAppend: (line: string) => void = () => {}
  private readonly options: MemberWorldOptions

  constructor(options: MemberWorldOptions) {
    this.options = options
  }

  async start(): Promise<void> {
    const { bitcoin, genesis, nodes, policy, trustedBlock } = this.options
    const journal = createJournal({
      lines: [...this.lines],
      file: {
        append: async (line) => {
          this.onAppend(line)
          this.lines.push(line)
        },
        close: async () => {},
      },
    }) as Journal
    const links: LinksPorts = {
      nodes: nodes.length,
      open: (node, listener) => nodes[node]?.open(listener),
      send: (node, message) => {
        const target = nodes[node]
        if (target?.listener === undefined) return 'closed'
        target.receive(message)
        return 'sent'
      },
      pauseReading() {},
      closeAll: () => {
        for (const node of nodes) node.listener = undefined
      },
    }
    const head: HeadStore = {
      load: async () => this.header,
      save: async (stored) => {
        this.header = stored
      },
    }
    const trust: HeadStore = {
      load: async () => this.trusted,
      save: async (stored) => {
        this.trusted = stored
      },
    }
    const vault = createVault({
      genesis,
      memberIndex: 0,
      keys: {
        approver: blsSigner(blsKeyPair(seeded('member 0')).secretKey),
        schnorrSecret: seeded('schnorr 0'),
      },
      policy: { confirmations: 1, hold: false, dailySweepFeeSat: 1_000_000n, ...policy },
      journal,
      shares: this.shares.store(),
      trust,
      ...(trustedBlock && { trustedBlock }),
      nowMs: () => this.ports.clock.nowMs(),
      random: (length) => this.ports.random.bytes(length),
    })
    this.system = createMemberTree({
      kernel: this.ports,
      links,
      follower: { genesis, store: storeBehindVault(head, vault, genesis) },
      signer: { genesis, bitcoin, vault },
      keygen: { metrics: this.ports.metrics, genesis, memberIndex: 0, nodes: nodes.length, vault },
      auditor: {
        metrics: this.ports.metrics,
        genesis,
        nodes: nodes.length,
        bitcoin,
        everyMs: AUDIT_MS,
      },
    })
    const started = this.system.start()
    await this.settle()
    const result = await started
    if (!result.ok) throw new Error(result.reason.fault.reason)
    await this.settle()
  }

  async stop(): Promise<void> {
    const stopped = this.system?.stop()
    // An offer that is out is waited for.
    await this.advance(5_000)
    await stopped
  }

  settle(): Promise<void> {
    return this.ports.clock.settle()
  }

  advance(ms: number): Promise<void> {
    return this.ports.clock.advance(ms)
  }

  /** What was logged about an event, in order. */
  logged(event: string): readonly Readonly<Record<string, unknown>>[] {
    return this.ports.log.records.flatMap((one) => (one.event === event ? [one.fields ?? {}] : []))
  }

  warnings(): readonly string[] {
    return this.ports.log.records
      .filter(({ level }) => level === 'warn' || level === 'error')
      .map(({ event, fields }) => `${event} ${JSON.stringify(fields)}`)
  }
}
