/** A SyncActor between a Network whose peers behave as told and a Chain that imports. */
import { createMachine } from 'xstate'
import { type SyncOptions, syncActor } from '../../../../actors/sync/index.ts'
import type { CommittedBlock } from '../../../../core/block/index.ts'
import { invalid, VALID } from '../../../../core/params/index.ts'
import {
  type BlockBatch,
  type BlockBatchImported,
  type DeferredReply,
  deferredReply,
  type GetSyncStatus,
  MESSAGE_ROWS,
  type SyncStatus,
} from '../../../../messages/index.ts'
import {
  type ActorDefinition,
  childSpec,
  createSystem,
  type Envelope,
  type Message,
  reply,
  type System,
} from '../../../../supervisor/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'

const running = createMachine({ id: 'running', initial: 'Running', states: { Running: {} } })

export interface FakePeer {
  claim: number
  /** Undefined: it never answers, which Network tells after its own deadline. */
  answer: (from: number, count: number) => BlockBatch['payload'] | undefined
  delayMs?: number
}

export interface Asked {
  readonly peer: string
  readonly from: number
  readonly count: number
  readonly atMs: number
}

export interface SyncWorld {
  readonly system: System
  readonly peers: Map<string, FakePeer>
  readonly asked: Asked[]
  readonly penalties: { readonly peer: string; readonly code: string; readonly score: number }[]
  /** Heights that Chain imported, in order. */
  readonly imported: number[]
  readonly completed: number[]
  /** States that the machine went through. */
  readonly states: string[]
  /** Replaces how Chain takes a batch; undefined result: it imports. */
  onImport: (blocks: readonly CommittedBlock[]) => BlockBatchImported['payload'] | undefined
  importMs: number
  require(height: number, targetHeight: number, peer?: string): Promise<void>
  status(): Promise<SyncStatus['payload']>
  advance(ms: number): Promise<void>
  nowMs(): number
}

interface Answer {
  readonly to: Envelope
  readonly message: Message
  readonly delayMs: number
}

const NETWORK_TIMEOUT_MS = 10_000

function answering(
  name: string,
  answerTo: (message: Message, envelope: Envelope) => Answer | undefined,
): ActorDefinition<null, Message, Answer, null> {
  return {
    name,
    machine: running,
    mailbox: { capacity: 64 },
    init: async () => ({ context: null }),
    handle: (context, message, { envelope }) => {
      if (message.type === 'system.DeferredReply') {
        const { to, answer } = (message as DeferredReply).payload
        return { context, effects: [reply(to, answer)] }
      }
      const answer = answerTo(message, envelope)
      return { context, effects: answer === undefined ? [] : [answer] }
    },
    perform: async ({ to, message, delayMs }, { clock }) => {
      await new Promise<void>((resolve) => void clock.setTimer(delayMs, resolve))
      return deferredReply(to, message)
    },
  }
}

export async function createSyncWorld(options: Partial<SyncOptions> = {}): Promise<SyncWorld> {
  const ports = createTestPorts()
  const { clock } = ports
  const peers = new Map<string, FakePeer>()
  const asked: Asked[] = []
  const penalties: SyncWorld['penalties'] = []
  const imported: number[] = []
  const completed: number[] = []
  const states: string[] = []

  const network = answering('network', ({ type, payload }, to) => {
    if (type === 'network.PenalizePeer') {
      penalties.push(payload as (typeof penalties)[number])
      return undefined
    }
    if (type === 'network.GetConnectedPeers') {
      const list = [...peers].map(([peer, { claim }]) => ({
        peer,
        height: claim,
        inbound: false,
        score: 0,
      }))
      return { to, message: { type: 'network.PeerList', payload: { peers: list } }, delayMs: 1 }
    }
    const { peer, from, count } = payload as { peer: string; from: number; count: number }
    asked.push({ peer, from, count, atMs: clock.nowMs() })
    const known = peers.get(peer)
    const batch = known?.answer(from, count)
    const late = { blocks: [], code: known === undefined ? 'NotConnected' : 'Timeout' }
    const delayMs =
      batch !== undefined ? (known?.delayMs ?? 20) : known === undefined ? 1 : NETWORK_TIMEOUT_MS
    return { to, message: { type: 'network.BlockBatch', payload: batch ?? late }, delayMs }
  })

  const chain = answering('chain', ({ type, payload }, to) => {
    if (type === 'sync.SyncCompleted') {
      completed.push((payload as { height: number }).height)
      return undefined
    }
    if (type !== 'sync.ValidatedBlockBatch') return undefined
    const { blocks } = payload as { blocks: readonly CommittedBlock[] }
    const special = world.onImport(blocks)
    if (special === undefined) imported.push(...blocks.map(({ block }) => block.header.height))
    const height = blocks.at(-1)?.block.header.height ?? 0
    const result = special ?? { height }
    return {
      to,
      message: { type: 'sync.BlockBatchImported', payload: result },
      delayMs: world.importMs,
    }
  })

  const sync = syncActor({
    // A certificate holds when its signature begins with 0.
    verifyCommitted: (previous, { block, certificate }) => {
      const follows =
        previous === undefined || block.header.height === previous.block.header.height + 1
      if (!follows) return invalid('WrongParent')
      return certificate.signature[0] === 0 ? VALID : invalid('BadCertificate')
    },
    ...options,
  })
  const system = createSystem({
    ports,
    registry: MESSAGE_ROWS,
    children: [
      childSpec(network, null),
      childSpec(chain, null),
      childSpec(sync, { metrics: ports.metrics }),
    ],
  })
  system.subscribe((event) => {
    if (event.kind === 'state' && event.path === 'sync') states.push(event.to)
  })
  expect(await system.start()).toEqual({ ok: true })

  const world: SyncWorld = {
    system,
    peers,
    asked,
    penalties,
    imported,
    completed,
    states,
    onImport: () => undefined,
    importMs: 5,
    require: async (height, targetHeight, peer = 'alfa') => {
      const payload = { height, targetHeight, peer }
      await system.tell('sync', { type: 'sync.SyncRequiredNotification', payload })
      await clock.settle()
    },
    status: async () => {
      const request: GetSyncStatus = { type: 'sync.GetSyncStatus', payload: {} }
      const answer = system.ask('sync', request, { timeoutMs: 1_000 })
      await clock.settle()
      const result = await answer
      if (!result.ok) throw new Error(result.error.code)
      return result.value.payload
    },
    advance: (ms) => clock.advance(ms),
    nowMs: () => clock.nowMs(),
  }
  return world
}

/** A peer that serves what it has. */
export function honest(blocks: readonly CommittedBlock[], claim?: number): FakePeer {
  const top = blocks.at(-1)?.block.header.height ?? 0
  return {
    claim: claim ?? top,
    answer: (from, count) => ({
      blocks: blocks.filter(({ block: { header } }) => {
        return header.height >= from && header.height < from + count
      }),
    }),
  }
}
