/** Whole NetworkActors over the simulated port, among actors that remember what they are told. */
import { createMachine } from 'xstate'
import { type NetworkOptions, networkActor } from '../../../../actors/network/index.ts'
import type { Block, CommittedBlock, ConsensusMessage } from '../../../../core/block/index.ts'
import { invalid, VALID, type Verdict } from '../../../../core/params/index.ts'
import { MESSAGE_ROWS, type NetworkInbox } from '../../../../messages/index.ts'
import {
  type ActorDefinition,
  childSpec,
  createSystem,
  type Message,
  reply,
  type System,
} from '../../../../supervisor/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'
import { createSimulatedWorld, type SimulatedWorld } from '../../../ports/network-sim.ts'

export const GENESIS = new Uint8Array(32).fill(7)

const running = createMachine({ id: 'running', initial: 'Running', states: { Running: {} } })

export interface NodeOptions extends Partial<NetworkOptions> {
  readonly blocks?: readonly CommittedBlock[]
  readonly height?: number
  /** What Chain holds of the open height. */
  readonly held?: Block
}

export interface TestNode {
  readonly name: string
  readonly system: System
  /** What the other actors were told, by actor. */
  readonly told: Readonly<Record<string, Message[]>>
  readonly tell: (message: NetworkInbox) => Promise<unknown>
  readonly state: () => string | undefined
  readonly logs: () => readonly string[]
}

export interface Network {
  readonly world: SimulatedWorld
  node(name: string, options?: NodeOptions): Promise<TestNode>
  advance(ms: number): Promise<void>
  stop(): Promise<void>
}

export const addressOf = (name: string): string => `/sim/${name}/p2p/${name}`

export function checkSignature(message: ConsensusMessage): Verdict {
  const { value } = message
  const signature = 'signature' in value ? value.signature : undefined
  return signature !== undefined && signature[0] !== 1 ? invalid('BadSignature') : VALID
}

function recorder(
  name: string,
  told: Message[],
  answer: (message: Message) => Message | undefined,
): ActorDefinition<null, Message, never, null> {
  return {
    name,
    machine: running,
    mailbox: { capacity: 64 },
    init: async () => ({ context: null }),
    handle: (context, message, { envelope }) => {
      told.push(message)
      const answered = answer(message)
      return { context, effects: answered === undefined ? [] : [reply(envelope, answered)] }
    },
    perform: async () => {},
  }
}

export function createNetwork(): Network {
  const ports = createTestPorts()
  const world = createSimulatedWorld(ports.clock)
  const nodes: TestNode[] = []
  return {
    world,
    advance: (ms) => ports.clock.advance(ms),
    stop: async () => {
      for (const { system } of nodes) {
        const stopped = system.stop()
        await ports.clock.settle()
        await stopped
      }
    },
    node: async (name, { blocks = [], height = 0, held, ...options } = {}) => {
      const told: Record<string, Message[]> = {}
      const record = (actor: string, answer: (message: Message) => Message | undefined) => {
        const list: Message[] = []
        told[actor] = list
        return childSpec(recorder(actor, list, answer), null)
      }
      const readBlocks = ({ type, payload }: Message): Message | undefined => {
        if (type !== 'storage.ReadBlocks') return undefined
        const { from, count } = payload as { from: number; count: number }
        const found = blocks.filter(({ block }) => {
          return block.header.height >= from && block.header.height < from + count
        })
        return { type: 'storage.BlockRange', payload: { blocks: found } }
      }
      const nothing = () => undefined
      const readHeld = ({ type }: Message): Message | undefined =>
        type === 'chain.ReadHeldBlock'
          ? { type: 'chain.BlockHeld', payload: { block: held } }
          : undefined
      const actor = networkActor({
        genesisHash: GENESIS,
        listen: [],
        staticPeers: [],
        head: () => ({ height, hash: new Uint8Array(32) }),
        checks: {
          consensus: checkSignature,
          transaction: (raw) => (raw[0] === 1 ? VALID : invalid('BadTransaction')),
          approval: () => VALID,
        },
        ...options,
      })
      const nodePorts = createTestPorts()
      const system = createSystem({
        ports: { ...nodePorts, clock: ports.clock },
        registry: MESSAGE_ROWS,
        children: [
          record('storage', readBlocks),
          record('chain', readHeld),
          record('engine', nothing),
          record('bridge', nothing),
          record('sync', nothing),
          childSpec(actor, { network: world.create(name), metrics: nodePorts.metrics }),
        ],
      })
      expect(await system.start()).toEqual({ ok: true })
      const node: TestNode = {
        name,
        system,
        told,
        tell: (message) => system.tell('network', message),
        state: () => system.snapshot().find(({ path }) => path === 'network')?.state,
        logs: () =>
          nodePorts.log.records.map(({ event, fields }) => `${event} ${fields?.['code'] ?? ''}`),
      }
      nodes.push(node)
      return node
    },
  }
}
