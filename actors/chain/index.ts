/**
 * The ChainActor: it proposes, votes, imports and commits. Consensus itself is core/pbft's driver, block rules are
 * core/chain's; this room says when they run and in which order their outcome becomes durable (protocol §2.11).
 * States: the seeds' diagram. A restart finds its place from store, guard and engine alone.
 */
import { createDriver } from '../../core/pbft/index.ts'
import type { ChainInbox } from '../../messages/index.ts'
import type { ActorDefinition } from '../../supervisor/index.ts'
import { type ChainResources, perform } from './effects.ts'
import { restoreEvidence } from './evidence.ts'
import {
  announceHead,
  type ChainContext,
  type ChainEffect,
  drive,
  EMPTY_QUEUE,
  haltEffect,
  handle,
  lane,
  nextSlotTick,
  startHeight,
} from './handlers.ts'
import { MAILBOX_CAPACITY } from './limits.ts'
import { CHAIN_FOLLOWS, chainMachine } from './machine.ts'
import type { ChainPorts } from './port.ts'
import { loadHead, replayEngine } from './start.ts'

export type { HaltRecord } from './halt.ts'
export type {
  ChainPorts,
  ChainViewSink,
  ConsensusStatus,
  PublishedHead,
  SignGuard,
  ValidatorKey,
} from './port.ts'

export type ChainActor = ActorDefinition<ChainContext, ChainInbox, ChainEffect, ChainPorts>

/** A new definition per node: it holds the guard that its incarnation has open. */
export function chainActor(): ChainActor {
  let resources: ChainResources | undefined
  return {
    name: 'chain',
    machine: chainMachine,
    follows: CHAIN_FOLLOWS,
    mailbox: { capacity: MAILBOX_CAPACITY },
    async init(run) {
      const { genesis, validator, views } = run.ports
      const { head, committed, evidence, halt } = await loadHead(run)
      await replayEngine(run, head)
      const guard = await run.ports.openGuard(head.header.height)
      resources = { guard }
      views.publishHead({
        head,
        committedAtMs: run.clock.nowMs(),
        ...(committed && { certificate: committed.certificate }),
      })
      const nowMs = run.clock.nowMs()
      const config = {
        genesisHash: genesis.hash,
        slotMs: genesis.params.slotMs,
        suite: genesis.signatures,
        ...(validator && { self: validator.blsKey }),
      }
      const driver = createDriver(config, halt?.reason)
      const restored = restoreEvidence(genesis, head.ledger, evidence)
      const context: ChainContext = {
        genesis,
        driver,
        head,
        certificate: committed?.certificate,
        candidates: new Map(),
        queue: EMPTY_QUEUE,
        evidence: restored.holding,
        changes: new Map(),
        orders: new Map(),
        keygen: [],
        feeRateSatPerKvb: genesis.params.minFeeRateSatPerKvb,
        producing: false,
        importing: 0,
        storing: false,
        waitingCommit: undefined,
        unexecuted: undefined,
        halt,
        isHaltStored: true,
        syncing: false,
        batchAtMs: 0,
      }
      const input = startHeight(head, committed?.certificate, guard.view(), nowMs)
      const started = drive(context, input, nowMs, [
        nextSlotTick(genesis, nowMs),
        ...announceHead(head),
        ...restored.effects,
      ])
      run.log('info', 'chain loaded', { height: head.header.height })
      const { effects = [] } = started
      const halted = halt === undefined ? [] : [haltEffect(started.context, halt)]
      return {
        ...started,
        effects: [...effects, ...halted],
        event: ['GENESIS_LOADED', 'CAUGHT_UP'],
      }
    },
    handle,
    lane,
    perform(effect, run) {
      if (resources === undefined) throw new Error('an effect ran before the actor was initialised')
      return perform(effect, run, resources)
    },
    recover: {
      // The rows are Storage's: it makes them again while nobody reads them, and Chain starts when it is back.
      async rollback({ code, reason }, run) {
        if (code !== 'LedgerDamaged') throw new Error('nothing to roll back')
        await run.tell('storage', { type: 'storage.RollBackLedger', payload: { reason } })
      },
    },
    async stop() {
      await resources?.guard.close()
      resources = undefined
    },
  }
}
