/**
 * A federation node in the hands of a thief: it has the node's TLS identity and everything that the node had on disk, and serves the
 * members a governance stream on the node's port. What it says is up to the scenario; queries it answers from the stolen chain
 * unless it was given other rows for a batch.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { answerQuery, type ChainReader, type StreamPort } from '../../actors/stream/index.ts'
import {
  type CommittedBlock,
  decodeCommittedBlock,
  encodeCertificate,
  encodeHeader,
  type QuorumCertificate,
} from '../../core/block/index.ts'
import { type Ledger, ledgerFromRows } from '../../core/ledger/index.ts'
import { toHex } from '../../crypto/index.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
import { createGovernanceServer } from '../../node/adapters/governance-grpc/index.ts'
import { createSystemClock } from '../../node/adapters/system/index.ts'
import type { MemberBody, MemberMessage, NodeBody } from '../../proto/index.ts'
import { PATIENCE_MS, type TestFederation } from './federation.ts'

/** What a stopped node has on disk. */
export interface StolenChain {
  readonly blocks: readonly CommittedBlock[]
  readonly head: CommittedBlock
  readonly ledger: Ledger
}

/** The node must not run. */
export async function stealChain(federation: TestFederation, node: number): Promise<StolenChain> {
  const directory = join(federation.files.nodeDirectory(node), 'data', 'chain')
  const store = await openChainStore(directory)
  try {
    const blocks: CommittedBlock[] = []
    for (let height = 1; ; height++) {
      const stored = store.readBlock(height)
      const decoded = stored && decodeCommittedBlock(stored.bytes)
      if (decoded?.ok !== true) break
      blocks.push(decoded.value)
    }
    const ledger = ledgerFromRows(federation.genesis, store.readLedgerRows())
    const head = blocks.at(-1)
    if (!ledger.ok || head === undefined) throw new Error('the node holds no chain')
    return { blocks, head, ledger: ledger.value }
  } finally {
    await store.close()
  }
}

export interface Answer {
  readonly member: number
  readonly body: MemberBody
}

export class Forger {
  readonly chain: StolenChain
  readonly members = new Set<number>()
  /** Answers to proof requests, by batch id in hex. */
  readonly proofs = new Map<string, NodeBody>()
  readonly #stream: StreamPort
  readonly #reader: ChainReader
  readonly #answers = new Map<string, Answer[]>()
  #asked = 0
  #headersServed = 0

  constructor(federation: TestFederation, node: number, chain: StolenChain) {
    const { genesis } = federation
    const own = federation.files.nodeDirectory(node)
    const text = (name: string) => readFileSync(join(own, name), 'utf8')
    this.chain = chain
    this.#reader = readerOf(chain)
    this.#stream = createGovernanceServer({
      host: '127.0.0.1',
      port: federation.governancePorts[node] as number,
      tls: {
        authorityPem: text('authority.pem'),
        certificatePem: text('certificate.pem'),
        privateKeyPem: text('private-key.pem'),
      },
      genesisHash: genesis.hash,
      members: genesis.members.map(({ blsKey }, index) => ({ index, blsKey })),
      clock: createSystemClock(),
    })
  }

  /** Resolves when so many members have taken it for the node, and whoever lacked headers has asked it for them. */
  async open(members: number): Promise<void> {
    await this.#stream.start({
      registered: (member) => this.members.add(member),
      disconnected: (member) => this.members.delete(member),
      seen: () => {},
      refused: () => {},
      message: async (member, message) => this.#received(member, message),
    })
    await until(`${members} members at the forger`, PATIENCE_MS, async () =>
      this.members.size >= members ? true : undefined,
    )
    const { block, certificate } = this.chain.head
    for (const member of this.members) this.say(member, this.announce(block.header, certificate))
    await until('the last header asked for', PATIENCE_MS, async () =>
      this.#headersServed >= block.header.height ? true : undefined,
    )
  }

  async close(): Promise<void> {
    await this.#stream.stop()
  }

  /** Says something that nobody answers. */
  say(member: number, body: NodeBody, requestId = ''): void {
    this.#stream.send(member, { requestId, correlationId: 'forgery', body })
  }

  /** Asks one member; undefined when it does not answer within the time. */
  async ask(member: number, body: NodeBody, patienceMs: number): Promise<MemberBody | undefined> {
    this.#asked += 1
    const requestId = `forged-${this.#asked}`
    this.#answers.set(requestId, [])
    this.say(member, body, requestId)
    const end = Date.now() + patienceMs
    while (Date.now() < end) {
      const [first] = this.#answers.get(requestId) ?? []
      if (first !== undefined) return first.body
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return undefined
  }

  announce(header: CommittedBlock['block']['header'], certificate: QuorumCertificate): NodeBody {
    const head = {
      header: encodeHeader(header),
      certificate: encodeCertificate(certificate),
      nextValidators: new Uint8Array(0),
    }
    return { kind: 'newHead', height: header.height, head }
  }

  async #received(member: number, message: MemberMessage): Promise<void> {
    const { body, requestId } = message
    this.#answers.get(requestId)?.push({ member, body })
    const isQuery =
      body.kind === 'headerRequest' ||
      body.kind === 'ledgerProofRequest' ||
      body.kind === 'chainStatusRequest'
    if (!isQuery) return
    const forged =
      body.kind === 'ledgerProofRequest' ? this.proofs.get(toHex(body.batchId)) : undefined
    const answer = forged ?? (await answerQuery(this.#reader, body, this.members.size))
    this.say(member, answer, requestId)
    if (answer.kind === 'certifiedHeaders') {
      this.#headersServed = answer.fromHeight + answer.headers.length - 1
    }
  }
}

function readerOf({ blocks, head, ledger }: StolenChain): ChainReader {
  const certified = ({ block, certificate }: CommittedBlock) => ({
    header: block.header,
    certificate,
  })
  return {
    head: () => ({ ...certified(head), ledger }),
    headers: async (from, count) => blocks.slice(from - 1, from - 1 + count).map(certified),
    subscribe: () => () => {},
  }
}
