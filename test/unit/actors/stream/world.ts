/** The StreamActor between a Bridge that remembers and members that this file plays. */

import { setup } from 'xstate'
import {
  type SendOutcome,
  STREAM_ROWS,
  type StreamListener,
  type StreamPort,
  streamActor,
} from '../../../../actors/stream/index.ts'
import { emptyCertificate, genesisHeader } from '../../../../core/block/index.ts'
import { genesisLedger, type Ledger, ledgerRoot } from '../../../../core/ledger/index.ts'
import type {
  BridgeInbox,
  CollectedSignatures,
  GovernanceApproval,
  NonceOfferReceived,
} from '../../../../messages/index.ts'
import { MESSAGE_ROWS } from '../../../../messages/index.ts'
import type { MemberBody, NodeMessage } from '../../../../proto/index.ts'
import {
  type ActorDefinition,
  childSpec,
  createSystem,
  type Message,
  type System,
} from '../../../../supervisor/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'
import { testGenesis } from '../../core/peg/world.ts'

const genesis = testGenesis()

export class StreamWorld {
  readonly ports = createTestPorts()
  readonly system: System
  /** What Bridge was told. */
  readonly told: (GovernanceApproval | CollectedSignatures | NonceOfferReceived)[] = []
  /** What members were sent, in order. */
  readonly sent: { readonly member: number; readonly message: NodeMessage }[] = []
  readonly here = new Set<number>()
  ledger: Ledger = genesisLedger(genesis)
  loaded = true
  readonly pauses: boolean[] = []
  private listener: StreamListener | undefined
  private onHead: () => void = () => {}

  constructor() {
    const stream: StreamPort = {
      start: async (listener) => {
        this.listener = listener
        return { port: 1 }
      },
      send: (member, message): SendOutcome => {
        if (!this.here.has(member)) return 'notConnected'
        this.sent.push({ member, message })
        return 'sent'
      },
      pauseReading: (paused) => {
        this.pauses.push(paused)
      },
      stop: async () => {
        this.listener = undefined
      },
    }
    const chain = {
      head: () => (this.loaded ? { ...this.block(), ledger: this.ledger } : undefined),
      headers: async (from: number) => (from === 0 ? [this.block()] : []),
      subscribe: (listener: () => void) => {
        this.onHead = listener
        return () => {
          this.onHead = () => {}
        }
      },
    }
    const options = { genesisHash: genesis.hash, memberCount: 4, memberThreshold: 3 }
    this.system = createSystem({
      ports: this.ports,
      registry: [...MESSAGE_ROWS, ...STREAM_ROWS],
      children: [
        childSpec(streamActor(options), { stream, chain }),
        childSpec(this.bridge(), undefined),
      ],
    })
  }

  async start(): Promise<this> {
    const started = this.system.start()
    await this.settle()
    await started
    return this
  }

  async stop(): Promise<void> {
    const stopped = this.system.stop()
    await this.settle()
    await stopped
  }

  settle(): Promise<void> {
    return this.ports.clock.settle()
  }

  async connect(...members: readonly number[]): Promise<void> {
    for (const member of members) {
      this.here.add(member)
      this.listener?.registered(member, `peer ${member}`)
    }
    await this.settle()
  }

  async disconnect(member: number): Promise<void> {
    this.here.delete(member)
    this.listener?.disconnected(member, 'gone')
    await this.settle()
  }

  async answer(member: number, requestId: string, body: MemberBody): Promise<void> {
    await this.listener?.message(member, { requestId, correlationId: 'flow', body })
    await this.settle()
  }

  async commit(): Promise<void> {
    this.onHead()
    await this.settle()
  }

  async tell(message: Message): Promise<void> {
    await this.system.tell('stream', message, { correlationId: 'flow' })
    await this.settle()
  }

  /** Kinds sent to a member. */
  kinds(member: number): readonly string[] {
    return this.sent
      .filter((each) => each.member === member)
      .map(({ message }) => message.body.kind)
  }

  state(): string | undefined {
    return this.system.snapshot().find(({ path }) => path === 'stream')?.state
  }

  private block() {
    const header = genesisHeader(genesis, ledgerRoot(this.ledger))
    return { header, certificate: emptyCertificate() }
  }

  private bridge(): ActorDefinition<null, BridgeInbox, never, undefined> {
    return {
      name: 'bridge',
      machine: setup({}).createMachine({ initial: 'Monitoring', states: { Monitoring: {} } }),
      mailbox: { capacity: 100 },
      init: async () => ({ context: null }),
      handle: (context, message) => {
        this.told.push(message as (typeof this.told)[number])
        return { context }
      },
      perform: async () => undefined,
    }
  }
}
