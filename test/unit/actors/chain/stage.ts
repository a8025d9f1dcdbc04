/** A whole ChainActor, one validator of four, among actors that this file plays; the engine behind them is a real one. */
import { createMachine } from 'xstate'
import { chainActor, type SignGuard, type ValidatorKey } from '../../../../actors/chain/index.ts'
import type { Block, CommittedBlock } from '../../../../core/block/index.ts'
import { genesisHead } from '../../../../core/chain/index.ts'
import {
  decideGuard,
  EMPTY_GUARD,
  foldGuard,
  type GuardView,
} from '../../../../core/guard/index.ts'
import type { Genesis } from '../../../../core/params/index.ts'
import { proposerIndex } from '../../../../core/pbft/index.ts'
import { blsSign } from '../../../../crypto/index.ts'
import {
  type DeferredReply,
  deferredReply,
  MESSAGE_ROWS,
  type ValidatedBlockBatch,
} from '../../../../messages/index.ts'
import {
  type ActorDefinition,
  type ChildSpec,
  childSpec,
  createSystem,
  type Envelope,
  type Message,
  reply,
  type System,
} from '../../../../supervisor/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'
import type { BuildRequest, Engine } from '../../../../vm/evm/engine.ts'
import { openTownEngine, Town, validatorKeys } from '../../core/chain/town.ts'

const running = createMachine({ id: 'running', initial: 'Running', states: { Running: {} } })

interface Question {
  readonly to: Envelope
  readonly message: Message
}

type Answering = (message: Message) => Promise<Message | undefined>

/** An actor that answers what it is asked, after a while of its own. */
function playing(name: string, answer: Answering): ChildSpec {
  const definition: ActorDefinition<null, Message, Question, null> = {
    name,
    machine: running,
    mailbox: { capacity: 256 },
    init: async () => ({ context: null }),
    handle: (context, message, { envelope }) => {
      if (message.type === 'system.DeferredReply') {
        const { to, answer: given } = (message as DeferredReply).payload
        return { context, effects: [reply(to, given)] }
      }
      return { context, effects: [{ to: envelope, message }] }
    },
    perform: async ({ to, message }) => {
      const given = await answer(message)
      return given === undefined ? undefined : deferredReply(to, given)
    },
  }
  return childSpec(definition, null)
}

function memoryGuard(): SignGuard {
  let view: GuardView = EMPTY_GUARD
  return {
    view: () => view,
    async append(record) {
      const decision = decideGuard(view, record)
      if (decision === 'sign') view = foldGuard(view, record)
      return decision
    },
    async compact() {},
    async close() {},
  }
}

export class ChainStage {
  readonly town: Town
  readonly system: System
  readonly ports: ReturnType<typeof createTestPorts>
  /** Whether the engine answers what it is asked to build or to execute. */
  engineAnswers = true
  /** What Storage has at the start. */
  stored: { readonly head?: CommittedBlock } = {}
  /** What Chain told or asked others, in order. */
  readonly told: Message[] = []
  readonly #engine: Engine

  private constructor(town: Town, engine: Engine, place: number) {
    this.town = town
    this.#engine = engine
    this.ports = createTestPorts()
    const { genesis } = town
    this.system = createSystem({
      ports: this.ports,
      registry: MESSAGE_ROWS,
      children: [
        this.#playing('storage', async (message) => this.#storage(message)),
        this.#playing('engine', (message) => this.#execution(message)),
        this.#playing('bridge', async () => undefined),
        this.#playing('network', async () => undefined),
        this.#playing('sync', async () => undefined),
        childSpec(
          chainActor(),
          {
            genesis,
            validator: keyAt(genesis, (proposerIndex(0, 0, 4) + place) % 4),
            openGuard: async () => memoryGuard(),
            views: {
              publishHead() {},
              publishConsensus() {},
              publishSnapshot() {},
              publishEvidence() {},
            },
            metrics: this.ports.metrics,
          },
          { dependsOn: ['storage', 'engine'], critical: true },
        ),
      ],
    })
  }

  /** `place` after the proposer of the first view. */
  static async open(place: number, changes?: Parameters<typeof Town.open>[0]): Promise<ChainStage> {
    const town = await Town.open(changes)
    const { engine } = await openTownEngine(town.genesis)
    return new ChainStage(town, engine, place)
  }

  async start(): Promise<void> {
    const started = this.system.start()
    await this.ports.clock.settle()
    await started
  }

  async tell(message: Message): Promise<void> {
    await this.system.tell('chain', message)
    await this.ports.clock.settle()
  }

  /** To the start of the slot. */
  async toSlot(slot: number): Promise<void> {
    const { clock } = this.ports
    await clock.advance(slot * 1_000 - clock.nowMs())
  }

  /** Sync gives blocks; Chain's answer. */
  async give(...blocks: readonly CommittedBlock[]): Promise<unknown> {
    const batch: ValidatedBlockBatch = { type: 'sync.ValidatedBlockBatch', payload: { blocks } }
    const asked = this.system.ask('chain', batch, { timeoutMs: 60_000 })
    await this.ports.clock.settle()
    const answer = await asked
    return answer.ok ? answer.value.payload : answer.error
  }

  async stop(): Promise<void> {
    const stopped = this.system.stop({ drainMs: 100 })
    await this.ports.clock.advance(1_000)
    await stopped
  }

  get state(): string | undefined {
    return this.system.snapshot().find(({ path }) => path === 'chain')?.state
  }

  #playing(name: string, answer: Answering): ChildSpec {
    return playing(name, (message) => {
      this.told.push(message)
      return answer(message)
    })
  }

  #storage({ type, payload }: Message): Message {
    switch (type) {
      case 'storage.LoadChain':
        return { type: 'storage.ChainLoaded', payload: { ...this.stored, ledgerRows: [] } }
      case 'storage.PersistBlockBatch': {
        const { blocks } = payload as { blocks: readonly { committed: { block: Block } }[] }
        const height = blocks.at(-1)?.committed.block.header.height ?? 0
        return { type: 'storage.BlockPersisted', payload: { height } }
      }
      default:
        return { type: 'storage.BlockPersisted', payload: { height: 1 } }
    }
  }

  async #execution({ type, payload }: Message): Promise<Message> {
    if (type === 'engine.EngineStatus') {
      const { number, hash } = genesisHead(this.town.genesis).evm
      return { type: 'engine.EngineHead', payload: { number, hash } }
    }
    if (!this.engineAnswers) {
      const reason = 'the thread died'
      return { type: 'engine.EngineFailed', payload: { code: 'EngineUnavailable', reason } }
    }
    if (type === 'engine.BuildBlockRequest') {
      const { mint, ...attributes } = payload as Omit<BuildRequest, 'withdrawals'> & {
        mint: { withdrawals: BuildRequest['withdrawals'] }
      }
      const { withdrawals } = mint
      const built = await this.#engine.build({ ...attributes, withdrawals, transactions: [] })
      if (built.status !== 'BUILT') throw new Error(built.reason)
      const outcome = { ...built.outcome, mint: { success: true, withdrawals: withdrawals.length } }
      return { type: 'engine.BlockTemplate', payload: { payload: built.payload, outcome } }
    }
    if (type === 'engine.ExecutePayload') {
      const result = await this.#engine.execute(payload as { payload: Block['body']['payload'] })
      return { type: 'engine.ExecutionResult', payload: result }
    }
    const { hash } = payload as { hash: Uint8Array }
    await this.#engine.commit(hash)
    return { type: 'engine.EngineHead', payload: { number: 1, hash } }
  }
}

function keyAt(genesis: Genesis, index: number): ValidatorKey {
  const keys = validatorKeys[index]
  const validator = genesis.validators[index]
  if (keys === undefined || validator === undefined) throw new Error('no such validator')
  return {
    blsKey: keys.publicKey,
    sign: (message) => blsSign(keys.secretKey, message),
  }
}
