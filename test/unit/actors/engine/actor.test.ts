/** The EngineActor's messages, with a real engine and pool behind it. */
import { Admission } from '../../../../actors/engine/admission.ts'
import { perform } from '../../../../actors/engine/effects.ts'
import {
  type EngineContext,
  type EngineEffect,
  handle,
  lane,
} from '../../../../actors/engine/handlers.ts'
import type { EnginePort, EnginePorts } from '../../../../actors/engine/index.ts'
import { MAX_CANDIDATES } from '../../../../actors/engine/limits.ts'
import { Mempool } from '../../../../core/mempool/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import type { EngineInbox } from '../../../../messages/index.ts'
import type { KernelEffect, Message } from '../../../../supervisor/index.ts'
import { createTestPorts } from '../../../../supervisor/testing/index.ts'
import { nextBaseFee } from '../../../../vm/evm/gas.ts'
import {
  BRIDGE_ADDRESS,
  decodeTransaction,
  isTransaction,
  recoverSender,
} from '../../../../vm/evm/index.ts'
import { burnData } from '../../core/chain/journey.ts'
import { p2wpkh } from '../../core/peg/world.ts'
import { attributes, CHAIN_ID, keyOf, mint, openEngine, signed } from '../../vm/evm/fixtures.ts'
import { envelopeOf } from '../fake-run.ts'

type PayloadOf<Type extends EngineInbox['type']> = Extract<EngineInbox, { type: Type }>['payload']

const alice = keyOf('alice')
const bob = keyOf('bob')
const FAR_MS = 8_640_000_000_000_000

/** An engine with its actor's handlers around it; every message is carried through to its end. */
class Bench {
  context: EngineContext
  readonly replies: Message[] = []
  readonly told: { readonly to: string; readonly message: Message }[] = []
  readonly remembered: Uint8Array[] = []
  /** Signatures that were looked at. */
  recovered = 0
  poolChanges = 0
  readonly ports: EnginePorts

  private constructor(port: EnginePort) {
    const pool = new Mempool({ chainId: CHAIN_ID, minFeeCapWei: 0n })
    const admission = new Admission(pool)
    this.context = { port, pool, admission, candidates: new Map(), templateSize: 2_048 }
    this.ports = {
      metrics: createTestPorts().metrics,
      views: {
        publishPool: () => {
          this.poolChanges += 1
        },
      },
      journal: {
        load: async () => [],
        remember: (transactions) =>
          void this.remembered.push(...transactions.map(({ raw }) => raw)),
        forget() {},
        close: async () => {},
      },
    } as Partial<EnginePorts> as EnginePorts
  }

  static async open(): Promise<Bench> {
    const { engine, store, head } = await openEngine()
    const bench: Bench = new Bench({
      head: () => store.head() ?? head,
      build: (request) => engine.build(request),
      prepare: (request) => engine.prepare(request),
      execute: (request) => engine.execute(request),
      commit: (hash) => engine.commit(hash),
      recoverSenders: async (raws) =>
        raws.map((raw) => {
          bench.recovered += 1
          const transaction = decodeTransaction(raw)
          return isTransaction(transaction) ? recoverSender(transaction) : undefined
        }),
      accounts: async (addresses) =>
        addresses.map((address) => {
          const account = store.state.account(toHex(address))
          return { nonce: account?.nonce ?? 0n, balanceWei: account?.balance ?? 0n }
        }),
      nextBaseFeeWei: () => nextBaseFee(store.blocks.at(-1)?.payload as never),
      close: async () => {},
    })
    return bench
  }

  async hear(message: EngineInbox): Promise<Message | undefined> {
    const before = this.replies.length
    const about = { envelope: envelopeOf(message), state: 'Running', nowMs: 0 }
    const step = handle(this.context, message, about)
    this.context = step.context
    for (const effect of step.effects ?? []) await this.#carryOut(effect)
    return this.replies[before]
  }

  async #carryOut(effect: EngineEffect | KernelEffect): Promise<void> {
    if ('kind' in effect) {
      const next = await perform(effect, this.ports)
      if (next !== undefined) await this.hear(next)
    } else if (effect.kernel === 'reply') this.replies.push(effect.message)
    else if (effect.kernel === 'tell') this.told.push({ to: effect.to, message: effect.message })
  }

  async build(height: number, parentHash: Uint8Array, withdrawals: ReturnType<typeof mint>[] = []) {
    const { transactions: _, ...rest } = { transactions: [], ...attributes(parentHash, height) }
    const answer = await this.hear({
      type: 'engine.BuildBlockRequest',
      payload: { ...rest, mint: { withdrawals }, deadlineMs: FAR_MS },
    })
    if (answer?.type !== 'engine.BlockTemplate') throw new Error(JSON.stringify(answer?.payload))
    return answer.payload as {
      payload: { blockHash: Uint8Array; transactions: readonly Uint8Array[] }
      outcome: { burns: readonly unknown[]; mint: unknown }
    }
  }

  commit(hash: Uint8Array, height: number) {
    return this.hear({ type: 'engine.CommitPayload', payload: { hash, height } })
  }

  submit(raw: Uint8Array) {
    return this.hear({ type: 'engine.SubmitTransaction', payload: { raw } })
  }
}

async function funded(): Promise<{ bench: Bench; hash: Uint8Array }> {
  const bench = await Bench.open()
  const first = await bench.build(1, bench.context.port.head().hash, [
    mint(alice.address, 10n ** 11n),
  ])
  await bench.commit(first.payload.blockHash, 1)
  return { bench, hash: first.payload.blockHash }
}

const burnOf = (nonce: number) =>
  signed(alice, {
    nonce,
    to: BRIDGE_ADDRESS,
    gas: 1_000_000n,
    value: 2_000_000n * 10n ** 10n,
    data: burnData(p2wpkh('bob')),
  })

const judgedAs = (id: number, verdict: string) =>
  expect.objectContaining({
    to: 'network',
    message: { type: 'network.TransactionJudged', payload: { id, verdict } },
  })

describe('the EngineActor', () => {
  it('6.5: a mint is part of the request, MintResult of the template', async () => {
    const bench = await Bench.open()
    const { outcome } = await bench.build(1, bench.context.port.head().hash, [
      mint(alice.address, 5n),
      mint(bob.address, 6n, 1),
    ])
    expect(outcome.mint).toEqual({ success: true, withdrawals: 2 })
  })

  it('a transaction is admitted, passed on, packed, and leaves the pool with its block', async () => {
    const { bench, hash } = await funded()
    const raw = signed(alice, { nonce: 0, to: bob.address, value: 1n })
    expect(await bench.submit(raw)).toMatchObject({ type: 'engine.TransactionAccepted' })
    expect(bench.told).toMatchObject([
      { to: 'network', message: { type: 'network.GossipTransaction', payload: { raw } } },
    ])
    const { payload } = await bench.build(2, hash)
    expect(payload.transactions).toEqual([raw])
    expect(bench.context.pool.senders()).toHaveLength(1)
    await bench.commit(payload.blockHash, 2)
    expect(bench.context.pool.senders()).toHaveLength(0)
    const next = await bench.build(3, payload.blockHash)
    expect(next.payload.transactions).toEqual([])
    expect(bench.poolChanges).toBeGreaterThan(0)
  })

  it('TX-1: what stood in a candidate that was never committed is offered again, the rest of it never', async () => {
    const { bench, hash } = await funded()
    const [both, lost] = [0, 1].map((nonce) => signed(alice, { nonce, to: bob.address, value: 1n }))
    await bench.submit(both as Uint8Array)
    await bench.submit(lost as Uint8Array)
    const loser = await bench.build(2, hash)
    expect(loser.payload.transactions).toEqual([both, lost])
    const other = await funded()
    await other.bench.submit(both as Uint8Array)
    const { payload: winner } = await other.bench.build(2, hash)
    await bench.hear({ type: 'engine.ExecutePayload', payload: { payload: winner as never } })
    await bench.commit(winner.blockHash, 2)
    const { payload } = await bench.build(3, winner.blockHash)
    expect(payload.transactions).toEqual([lost])
  })

  it('6.3: what the slot before had time for stands first, and everybody’s account is looked at after the block', async () => {
    const { bench, hash } = await funded()
    const early = signed(alice, { nonce: 0, to: bob.address, value: 10n ** 18n })
    await bench.submit(early)
    const { deadlineMs: _, withdrawals: __, ...seen } = attributes(hash, 2)
    await bench.hear({ type: 'engine.PrepareBlock', payload: { ...seen, untilMs: FAR_MS } })
    const late = signed(alice, { nonce: 1, to: bob.address, value: 1n, tip: 5n })
    await bench.submit(late)
    const { payload } = await bench.build(2, hash)
    expect(payload.transactions).toEqual([early, late])
    await bench.commit(payload.blockHash, 2)
    expect(bench.context.pool.stats().transactions).toBe(0)
  })

  it('a sender is recovered once, whether the block is our own or another node’s', async () => {
    const { bench, hash } = await funded()
    await bench.submit(signed(alice, { nonce: 0, to: bob.address, value: 1n }))
    const { payload } = await bench.build(2, hash)
    const own = payload as PayloadOf<'engine.ExecutePayload'>['payload']
    const others = { ...own, transactions: own.transactions.map((raw) => raw.slice()) }
    for (const each of [own, others]) {
      const answer = await bench.hear({
        type: 'engine.ExecutePayload',
        payload: { payload: each },
      })
      expect(answer).toMatchObject({ type: 'engine.ExecutionResult', payload: { status: 'VALID' } })
    }
    expect(bench.recovered).toBe(1)
    const unseen = signed(alice, { nonce: 1, to: bob.address, value: 2n })
    const mixed = { ...others, transactions: [...others.transactions, unseen] }
    expect(
      await bench.hear({ type: 'engine.ExecutePayload', payload: { payload: mixed } }),
    ).toEqual(expect.objectContaining({ payload: expect.objectContaining({ status: 'INVALID' }) }))
    expect(bench.recovered).toBe(2)
  })

  it('TX-5: what is known already is passed on once, and refused with its code', async () => {
    const { bench } = await funded()
    const raw = signed(alice, { nonce: 0, to: bob.address, value: 1n })
    await bench.submit(raw)
    expect(await bench.submit(raw)).toMatchObject({
      type: 'engine.TransactionRejected',
      payload: { code: 'AlreadyKnown' },
    })
    await bench.hear({ type: 'engine.TransactionReceived', payload: { raw, peer: 'peer', id: 7 } })
    expect(bench.told.slice(1)).toEqual([judgedAs(7, 'accept')])
    expect(bench.recovered).toBe(1)
  })

  it('TX-5: sent by a user and by fifty peers at once, it is looked at once, kept once, and nobody is left waiting', async () => {
    const { bench } = await funded()
    const raw = signed(alice, { nonce: 0, to: bob.address, value: 1n })
    const peers = Array.from({ length: 50 }, (_, id) =>
      bench.hear({ type: 'engine.TransactionReceived', payload: { raw, peer: `${id}`, id } }),
    )
    const submitted = bench.submit(raw)
    await Promise.all([...peers, submitted])
    expect(bench.recovered).toBe(1)
    expect(bench.remembered).toEqual([raw])
    expect(bench.replies.at(-1)).toMatchObject({ type: 'engine.TransactionAccepted' })
    expect(bench.told).toEqual(Array.from({ length: 50 }, (_, id) => judgedAs(id, 'accept')))
  })

  it('TX-5: transactions that come while others are recovered are one batch', async () => {
    const { bench } = await funded()
    const batches: number[] = []
    const { port } = bench.context
    const { recoverSenders } = port
    Object.assign(port, {
      recoverSenders: (raws: readonly Uint8Array[]) => {
        batches.push(raws.length)
        return recoverSenders(raws)
      },
    })
    const raws = [0, 1, 2, 3].map((nonce) => signed(alice, { nonce, to: bob.address, value: 1n }))
    await Promise.all(raws.map((raw) => bench.submit(raw)))
    expect(batches).toEqual([1, 3])
    expect(bench.context.pool.stats()).toMatchObject({ pending: 4, queued: 0 })
  })

  it('MP-7: what is accepted is in the journal before anybody is told', async () => {
    const { bench } = await funded()
    const raw = signed(alice, { nonce: 0, to: bob.address, value: 1n })
    const about = (message: EngineInbox) => ({
      envelope: envelopeOf(message),
      state: 'Running',
      nowMs: 0,
    })
    const submit: EngineInbox = { type: 'engine.SubmitTransaction', payload: { raw } }
    const [recover] = handle(bench.context, submit, about(submit)).effects ?? []
    const recovered = await perform(recover as EngineEffect, bench.ports)
    const { effects = [] } = handle(bench.context, recovered as EngineInbox, about(submit))
    const kinds = effects.map((effect) => ('kind' in effect ? effect.kind : effect.kernel))
    expect(kinds.indexOf('remember')).toBe(0)
    expect(kinds).toContain('reply')
  })

  it('MP-3: what is never valid is looked at once, and answered with its first reason until the next head', async () => {
    const { bench, hash } = await funded()
    const raw = signed(alice, { nonce: 0, to: bob.address })
    raw.fill(0, raw.length - 32)
    const first = await bench.submit(raw)
    const looked = bench.recovered
    expect(await bench.submit(raw)).toEqual(first)
    expect(bench.recovered).toBe(looked)
    const { payload } = await bench.build(2, hash)
    await bench.commit(payload.blockHash, 2)
    expect(await bench.submit(raw)).toEqual(first)
  })

  it('TX-2: ten megabytes are refused by their size, in less than a millisecond', async () => {
    const { bench } = await funded()
    const raw = new Uint8Array(10_000_000).fill(0xff)
    await bench.submit(raw)
    const startedMs = performance.now()
    const answers = await Promise.all(Array.from({ length: 100 }, () => bench.submit(raw)))
    expect((performance.now() - startedMs) / answers.length).toBeLessThan(1)
    expect(bench.replies.at(-1)).toMatchObject({ payload: { code: 'TransactionTooLarge' } })
  })

  it('a template is halved to what there was the time for, and grows again with what is taken', async () => {
    const { bench } = await funded()
    const built = async (offered: number, taken: number) => {
      await bench.hear({
        type: 'engine.PayloadExecuted',
        payload: {
          hash: undefined,
          outcome: undefined,
          transactions: Array.from({ length: taken }, () => new Uint8Array(0)),
          senders: [],
          dropped: [],
          offered,
          to: envelopeOf({ type: 'x', payload: {} }),
          answer: { type: 'engine.EngineFailed', payload: { code: 'x', reason: '' } },
        },
      })
      return bench.context.templateSize
    }
    expect(await built(2_048, 0)).toBe(512)
    expect(await built(100, 100)).toBe(512)
    expect(await built(512, 500)).toBe(1_024)
    expect(await built(1_024, 700)).toBe(1_024)
    expect(await built(1_024, 400)).toBe(600)
  })

  it('TX-1: what a build could not hold for good leaves with its reason', async () => {
    const { bench, hash } = await funded()
    const raw = signed(alice, { nonce: 0, to: bob.address, value: 10n ** 19n })
    await bench.submit(raw)
    const [held] = [...bench.context.pool.all()]
    bench.context.pool.refresh(alice.address, { nonce: 0n, balanceWei: 10n ** 30n })
    await bench.hear({
      type: 'engine.PayloadExecuted',
      payload: {
        hash,
        outcome: undefined,
        transactions: [],
        senders: [],
        dropped: [{ hash: held?.hash as Uint8Array, reason: 'SenderNotEoa' }],
        to: envelopeOf({ type: 'x', payload: {} }),
        answer: { type: 'engine.EngineFailed', payload: { code: 'x', reason: '' } },
      },
    })
    expect(bench.context.pool.endOf(held?.hash as Uint8Array)).toMatchObject({
      state: 'Rejected',
      code: 'SenderNotEoa',
    })
  })

  it('MP-5: a gossiped transaction is relayed only when the pool keeps it; only what is never valid is rejected', async () => {
    const { bench } = await funded()
    const verdictOf = async (raw: Uint8Array) => {
      const before = bench.told.length
      await bench.hear({
        type: 'engine.TransactionReceived',
        payload: { raw, peer: 'peer', id: 9 },
      })
      return bench.told.slice(before)
    }
    const { address: to } = bob
    expect(await verdictOf(signed(alice, { nonce: 0, to, value: 1n }))).toEqual([
      judgedAs(9, 'accept'),
    ])
    const unfunded = keyOf('nobody has paid this one')
    expect(await verdictOf(signed(unfunded, { nonce: 0, to, value: 1n }))).toEqual([
      judgedAs(9, 'ignore'),
    ])
    expect(await verdictOf(signed(alice, { nonce: 5_000, to, value: 1n }))).toEqual([
      judgedAs(9, 'ignore'),
    ])
    expect(await verdictOf(Uint8Array.of(2, 0xc0))).toEqual([judgedAs(9, 'reject')])
    expect(await verdictOf(signed(alice, { nonce: 1, to, value: 1n, chainId: 99 }))).toEqual([
      judgedAs(9, 'reject'),
    ])
  })

  it('C-7: bytes that are no transaction, and one that nobody signed, are refused by name', async () => {
    const { bench } = await funded()
    for (const raw of [new Uint8Array(0), Uint8Array.of(2, 0xc0), new Uint8Array(500).fill(0xff)]) {
      expect(await bench.submit(raw)).toMatchObject({
        type: 'engine.TransactionRejected',
        payload: { code: 'TransactionMalformed' },
      })
    }
    const unsigned = signed(alice, { nonce: 0, to: bob.address })
    unsigned.fill(0, unsigned.length - 32)
    expect(await bench.submit(unsigned)).toMatchObject({ type: 'engine.TransactionRejected' })
    expect(bench.told).toEqual([])
  })

  it('flow 3, SU-8: burns are told when their block is committed, not before', async () => {
    const { bench, hash } = await funded()
    await bench.submit(burnOf(0))
    const { payload, outcome } = await bench.build(2, hash)
    expect(outcome.burns).toHaveLength(1)
    const burns = () => bench.told.filter(({ to }) => to === 'bridge')
    expect(burns()).toEqual([])
    await bench.commit(payload.blockHash, 2)
    expect(burns()).toMatchObject([
      {
        message: {
          type: 'bridge.BurnEventDetected',
          payload: { evmBlockHash: payload.blockHash, height: 2, burn: { logIndex: 0 } },
        },
      },
    ])
    await bench.commit(payload.blockHash, 2)
    expect(burns()).toHaveLength(1)
  })

  it('flow 3, SU-8: burns of a whole batch are told, though all of it was executed first', async () => {
    const source = await funded()
    const blocks = []
    let parent = source.hash
    for (const height of [2, 3, 4]) {
      await source.bench.submit(burnOf(height - 2))
      const built = await source.bench.build(height, parent)
      await source.bench.commit(built.payload.blockHash, height)
      blocks.push(built.payload)
      parent = built.payload.blockHash
    }
    const { bench } = await funded()
    for (const payload of blocks) {
      const answer = await bench.hear({
        type: 'engine.ExecutePayload',
        payload: { payload: payload as never },
      })
      expect(answer?.payload).toMatchObject({ status: 'VALID' })
    }
    for (const [index, payload] of blocks.entries())
      await bench.commit(payload.blockHash, 2 + index)
    const heights = bench.told
      .filter(({ to }) => to === 'bridge')
      .map(({ message }) => (message.payload as { height: number }).height)
    expect(heights).toEqual([2, 3, 4])
    expect(bench.context.candidates.size).toBe(0)
  })

  it('BP-10: INVALID and UNKNOWN pass through; a commit of what is not there is a failure', async () => {
    const { bench, hash } = await funded()
    const { payload } = await bench.build(2, hash)
    const execute = (change: object) =>
      bench.hear({
        type: 'engine.ExecutePayload',
        payload: { payload: { ...payload, ...change } as never },
      })
    expect((await execute({ stateRoot: new Uint8Array(32) }))?.payload).toMatchObject({
      status: 'INVALID',
    })
    expect((await execute({ parentHash: new Uint8Array(32) }))?.payload).toMatchObject({
      status: 'UNKNOWN',
      code: 'ParentMissing',
    })
    expect(await bench.commit(new Uint8Array(32), 9)).toMatchObject({
      type: 'engine.EngineFailed',
      payload: { code: 'CandidateMissing' },
    })
    expect(await bench.hear({ type: 'engine.EngineStatus', payload: {} })).toEqual({
      type: 'engine.EngineHead',
      payload: { number: 1, hash },
    })
  })

  it('outcomes that wait for a commit are bounded', async () => {
    const { bench } = await funded()
    const outcome = { burns: [], cancels: [], funds: [], feesBurnedWei: 0n } as never
    for (let index = 0; index < MAX_CANDIDATES + 20; index++) {
      await bench.hear({
        type: 'engine.PayloadExecuted',
        payload: {
          hash: Uint8Array.from({ length: 32 }, () => index),
          outcome,
          transactions: [],
          senders: [],
          dropped: [],
          to: envelopeOf({ type: 'x', payload: {} }),
          answer: { type: 'engine.EngineFailed', payload: { code: 'x', reason: '' } },
        },
      })
    }
    expect(bench.context.candidates.size).toBe(MAX_CANDIDATES)
  })

  it('the engine’s calls keep their order; recoveries go beside them', () => {
    const kinds = ['build', 'execute', 'commit', 'recover', 'publish'] as const
    expect(kinds.map((kind) => lane({ kind } as EngineEffect))).toEqual([
      'engine',
      'engine',
      'engine',
      undefined,
      undefined,
    ])
  })
})
