/** What the ChainActor does outside itself, by hand: a real engine, answers that come late or not at all. */
import { type ChainRun, perform } from '../../../../actors/chain/effects.ts'
import type { ChainEffect } from '../../../../actors/chain/handlers.ts'
import type { ChainPorts, SignGuard, ValidatorKey } from '../../../../actors/chain/index.ts'
import { type ExecutionPayload, encodeBlock } from '../../../../core/block/index.ts'
import {
  decideGuard,
  EMPTY_GUARD,
  foldGuard,
  type GuardRecord,
  type GuardView,
} from '../../../../core/guard/index.ts'
import { authorOfSlot } from '../../../../core/pbft/index.ts'
import type { PegQueue } from '../../../../core/peg/index.ts'
import { blsSign } from '../../../../crypto/index.ts'
import type {
  BlockProduced,
  BlockValidated,
  BuildBlockRequest,
  ChainInbox,
} from '../../../../messages/index.ts'
import type { Message } from '../../../../supervisor/index.ts'
import type { BuildRequest } from '../../../../vm/evm/engine.ts'
import { EMPTY_QUEUE, keyOfValidator, reseal, signBlock, Town } from '../../core/chain/town.ts'
import { addressOf } from '../../core/peg/world.ts'
import { type Answer, type FakeRun, fakeRun } from '../fake-run.ts'

type Effect<Kind extends ChainEffect['kind']> = Extract<ChainEffect, { kind: Kind }>

/** The author of the town's next slot. */
function authorOf(town: Town): ValidatorKey {
  const { slot } = town.head.header
  const author = authorOfSlot(town.genesis.validators, slot, slot + 1)
  if (author === undefined) throw new Error('no author')
  const { secretKey } = keyOfValidator(author.blsKey)
  return {
    blsKey: author.blsKey,
    sign: (message) => blsSign(secretKey, message),
  }
}

interface Setting {
  readonly validator?: ValidatorKey | undefined
  /** Replaces the answer of the bridge or the engine. */
  readonly answer?: (message: Message) => Answer | 'pass' | Promise<Answer | 'pass'>
  readonly guard?: SignGuard
  readonly preparesBlocks?: boolean
}

function memoryGuard(calls: string[] = []): SignGuard {
  let view: GuardView = EMPTY_GUARD
  return {
    view: () => view,
    async append(record: GuardRecord) {
      calls.push(`append ${record.kind}`)
      const decision = decideGuard(view, record)
      if (decision === 'sign') view = foldGuard(view, record)
      return decision
    },
    async compact(height) {
      calls.push(`compact ${height}`)
    },
    async close() {},
  }
}

function runIn(town: Town, setting: Setting = {}, calls: string[] = []) {
  const ports = {
    genesis: town.genesis,
    validator: 'validator' in setting ? setting.validator : authorOf(town),
    metrics: { count() {}, observe() {} },
    preparesBlocks: setting.preparesBlocks,
    views: {
      publishHead: () => calls.push('publishHead'),
      publishConsensus() {},
      publishSnapshot() {},
      publishEvidence() {},
    },
  } as unknown as ChainPorts
  const answer = async (message: Message): Promise<Answer> => {
    calls.push(message.type)
    const own = (await setting.answer?.(message)) ?? 'pass'
    if (own !== 'pass') return own
    return towns(town, message)
  }
  const fake: FakeRun<ChainInbox, ChainPorts> = fakeRun(ports, answer)
  const guard = setting.guard ?? memoryGuard(calls)
  return {
    ...fake,
    calls,
    perform: (effect: ChainEffect) => perform(effect, fake.run as ChainRun, { guard }),
  }
}

/** Bridge, engine and storage that do what they should. */
async function towns(town: Town, { type, payload }: Message): Promise<Answer> {
  switch (type) {
    case 'bridge.ValidatePegOperations':
      return { type: 'bridge.PegValidationResult', payload: { objects: false, reasons: [] } }
    case 'engine.BuildBlockRequest': {
      const { mint, ...attributes } = payload as Omit<BuildRequest, 'withdrawals'> & {
        mint: { withdrawals: BuildRequest['withdrawals'] }
      }
      const { withdrawals } = mint
      const built = await town.engine.build({ ...attributes, withdrawals, transactions: [] })
      if (built.status !== 'BUILT') throw new Error(built.reason)
      const outcome = { ...built.outcome, mint: { success: true, withdrawals: withdrawals.length } }
      return { type: 'engine.BlockTemplate', payload: { payload: built.payload, outcome } }
    }
    case 'engine.ExecutePayload': {
      const result = await town.engine.execute(payload as { payload: ExecutionPayload })
      return { type: 'engine.ExecutionResult', payload: result }
    }
    case 'engine.CommitPayload':
      return { type: 'engine.EngineHead', payload: { number: 1, hash: new Uint8Array(32) } }
    case 'storage.PersistBlock':
      return { type: 'storage.BlockPersisted', payload: { height: 1 } }
    default:
      throw new Error(type)
  }
}

function produceIn(town: Town, queue: PegQueue = EMPTY_QUEUE): Effect<'produce'> {
  return {
    kind: 'produce',
    keygen: [],
    parent: town.head,
    certificate: town.certificate,
    view: 0,
    slot: town.head.header.slot + 1,
    queue,
    evidence: [],
    validatorChanges: [],
    pegOrders: [],
    feeRateSatPerKvb: 2000,
  }
}

const producedBy = async (told: Promise<ChainInbox | undefined>) => {
  const message = (await told) as BlockProduced
  expect(message.type).toBe('chain.BlockProduced')
  return message.payload
}

describe('produce (flow 1)', () => {
  it('6.5: the queue goes into the template, the bridge looks at it, and the block is valid', async () => {
    const town = await Town.open()
    const queue = town.deposit('alice', 1_000_000n)
    const { perform: act, sent } = runIn(town)
    const produced = await producedBy(act(produceIn(town, queue)))
    if ('code' in produced) throw new Error(produced.code)
    expect(sent.map(({ to, message }) => `${to}: ${message.type}`)).toEqual([
      'engine: engine.BuildBlockRequest',
      'bridge: bridge.ValidatePegOperations',
    ])
    const [request] = sent as [(typeof sent)[0]]
    expect(request.message.payload).toMatchObject({
      mint: { withdrawals: [{ amountGwei: 9_990_000n }] },
    })
    expect(produced.block.body.pegIns).toHaveLength(1)
    expect(town.codeOf(signBlock(town.genesis, produced.block))).toBeUndefined()
  })

  it('a block without peg items does not ask the bridge', async () => {
    const town = await Town.open()
    const { perform: act, sent } = runIn(town)
    expect(await producedBy(act(produceIn(town)))).toHaveProperty('block')
    expect(sent.map(({ to }) => to)).toEqual(['engine'])
  })

  it.each([
    ['objects', { objects: true, reasons: ['NotOnBestChain'] }],
    ['is silent', 'Timeout'],
  ] as const)('BP-6: where the bridge %s, one rebuild without peg items', async (_, verdict) => {
    const town = await Town.open()
    const queue = town.deposit('alice', 1_000_000n)
    const { perform: act, sent } = runIn(town, {
      answer: ({ type }) => {
        if (type !== 'bridge.ValidatePegOperations') return 'pass'
        if (verdict === 'Timeout') return 'Timeout'
        return { type: 'bridge.PegValidationResult', payload: verdict }
      },
    })
    const produced = await producedBy(act(produceIn(town, queue)))
    if ('code' in produced) throw new Error(produced.code)
    expect(sent.map(({ to }) => to)).toEqual(['engine', 'bridge', 'engine'])
    const { bitcoinHeaders, pegIns, proofs, payload } = produced.block.body
    expect([bitcoinHeaders, pegIns, proofs, payload.withdrawals]).toEqual([[], [], [], []])
    expect(town.codeOf(signBlock(town.genesis, produced.block))).toBeUndefined()
  })

  it('BP-6: a template that is late, or an engine that cannot, skips the slot by name', async () => {
    const town = await Town.open()
    const late = runIn(town, { answer: () => 'Timeout' })
    expect(await producedBy(late.perform(produceIn(town)))).toEqual({
      height: 1,
      view: 0,
      code: 'EngineTimeout',
    })
    const failing = runIn(town, {
      answer: () => ({
        type: 'engine.EngineFailed',
        payload: { code: 'ParentMissing', reason: '' },
      }),
    })
    expect(await producedBy(failing.perform(produceIn(town)))).toEqual({
      height: 1,
      view: 0,
      code: 'ParentMissing',
    })
  })

  it('BP-6: where the engine cannot make the block of the queue, one rebuild without peg items', async () => {
    const town = await Town.open()
    const queue = town.deposit('alice', 1_000_000n)
    let asked = 0
    const failing = {
      type: 'engine.EngineFailed',
      payload: { code: 'ExecutionFailed', reason: '' },
    }
    const { perform: act, logs } = runIn(town, {
      answer: ({ type }) => {
        if (type !== 'engine.BuildBlockRequest') return 'pass'
        asked += 1
        return asked === 1 ? failing : 'pass'
      },
    })
    const produced = await producedBy(act(produceIn(town, queue)))
    if ('code' in produced) throw new Error(produced.code)
    expect(produced.block.body.pegIns).toEqual([])
    expect(town.codeOf(signBlock(town.genesis, produced.block))).toBeUndefined()
    expect(logs.map(({ event }) => event)).toEqual(['a block without its peg operations'])
  })

  it('BP-6: where the block of the queue does not seal, one rebuild without peg items', async () => {
    const town = await Town.open()
    const queue = town.deposit('alice', 1_000_000n)
    let asked = 0
    const { perform: act } = runIn(town, {
      answer: async (message) => {
        if (message.type !== 'engine.BuildBlockRequest') return 'pass'
        asked += 1
        if (asked > 1) return 'pass'
        const answer = (await towns(town, message)) as Message<string, { outcome: object }>
        const outcome = { ...answer.payload.outcome, funds: [{ amountWei: 1n, logIndex: 0 }] }
        return { ...answer, payload: { ...answer.payload, outcome } }
      },
    })
    const produced = await producedBy(act(produceIn(town, queue)))
    if ('code' in produced) throw new Error(produced.code)
    expect(asked).toBe(2)
    expect(produced.block.body.pegIns).toEqual([])
    expect(town.codeOf(signBlock(town.genesis, produced.block))).toBeUndefined()
  })

  it('BP-5: a node without a validator’s key asks for nothing', async () => {
    const town = await Town.open()
    const { perform: act, sent } = runIn(town, { validator: undefined })
    expect(await producedBy(act(produceIn(town)))).toEqual({
      height: 1,
      view: 0,
      code: 'NotAValidator',
    })
    expect(sent).toEqual([])
  })

  it('what can never be in a block is named, so that it leaves the queue', async () => {
    const town = await Town.open()
    const queue = town.deposit('alice', 1_000_000n)
    await town.grow({ queue })
    const { perform: act } = runIn(town)
    const produced = await producedBy(act(produceIn(town, { ...queue, headers: [] })))
    if ('code' in produced) throw new Error(produced.code)
    expect(produced.refused).toHaveLength(1)
    expect(produced.block.body.pegIns).toEqual([])
  })
})

describe('validate', () => {
  const validated = async (told: Promise<ChainInbox | undefined>) => {
    const message = (await told) as BlockValidated
    expect(message.type).toBe('chain.BlockValidated')
    return message.payload
  }
  const effectOf = (town: Town, block: Effect<'validate'>['block'], fresh: boolean) =>
    ({ kind: 'validate', parent: town.head, block, hash: new Uint8Array(32), fresh }) as const

  it('BF-4, T1: valid only after full execution, with the state after it', async () => {
    const town = await Town.open()
    const made = await town.make({ queue: town.deposit('alice', 1_000_000n) })
    const { perform: act, calls } = runIn(town)
    const payload = await validated(act(effectOf(town, made.block, true)))
    expect(calls).toEqual(['engine.ExecutePayload', 'bridge.ValidatePegOperations'])
    expect(payload).toMatchObject({ verdict: { kind: 'valid' }, objects: false })
    expect(payload.candidate?.head.hash).toEqual(made.head.hash)
  })

  it('4.6: a local objection is no verdict, and is asked for a fresh block only', async () => {
    const town = await Town.open()
    const made = await town.make({ queue: town.deposit('alice', 1_000_000n) })
    const answer = ({ type }: Message): Answer | 'pass' =>
      type === 'bridge.ValidatePegOperations' ? 'Timeout' : 'pass'
    const fresh = runIn(town, { answer })
    expect(await validated(fresh.perform(effectOf(town, made.block, true)))).toMatchObject({
      verdict: { kind: 'valid' },
      objects: true,
    })
    const again = runIn(town, { answer })
    expect(await validated(again.perform(effectOf(town, made.block, false)))).toMatchObject({
      verdict: { kind: 'valid' },
      objects: false,
    })
    expect(again.calls).toEqual(['engine.ExecutePayload'])
  })

  it('a broken rule is invalid by its name, before the engine is asked', async () => {
    const town = await Town.open()
    const made = await town.make()
    const extra = { index: 0, validatorIndex: 0, address: addressOf('thief'), amountGwei: 1n }
    const forged = reseal(town.genesis, made.block, { payload: { withdrawals: [extra] } })
    const { perform: act, sent } = runIn(town)
    expect(await validated(act(effectOf(town, forged, true)))).toMatchObject({
      verdict: { kind: 'invalid', code: 'WithdrawalMismatch' },
    })
    expect(sent).toEqual([])
  })

  it('BP-10, D16: INVALID is invalid; UNKNOWN, a failure and silence are unknown and come again', async () => {
    const town = await Town.open()
    const made = await town.make()
    const verdictAfter = async (answer: Answer) => {
      const { perform: act } = runIn(town, { answer: () => answer })
      return (await validated(act(effectOf(town, made.block, true)))).verdict
    }
    const result = (payload: unknown): Message => ({ type: 'engine.ExecutionResult', payload })
    expect(
      await verdictAfter(result({ status: 'INVALID', code: 'StateRootMismatch', reason: 'x' })),
    ).toMatchObject({ kind: 'invalid', code: 'StateRootMismatch' })
    expect(await verdictAfter(result({ status: 'UNKNOWN', code: 'EngineFault' }))).toEqual({
      kind: 'unknown',
      code: 'EngineFault',
      retryAfterMs: 1000,
    })
    expect(await verdictAfter('Timeout')).toMatchObject({ kind: 'unknown', code: 'EngineTimeout' })
    const failed = { type: 'engine.EngineFailed', payload: { code: 'Busy', reason: '' } }
    expect(await verdictAfter(failed)).toMatchObject({ kind: 'unknown', code: 'Busy' })
  })

  it('BP-10: what the engine finds valid and the ledger does not is invalid', async () => {
    const town = await Town.open()
    const made = await town.make()
    const forged = reseal(town.genesis, made.block, {
      header: { ledgerRoot: new Uint8Array(32) },
    })
    const { perform: act } = runIn(town)
    expect(await validated(act(effectOf(town, forged, true)))).toMatchObject({
      verdict: { kind: 'invalid', code: 'WrongLedgerRoot' },
    })
  })
})

describe('sign', () => {
  const recordOf = async (town: Town, feeRateSatPerKvb: number): Promise<GuardRecord> => {
    const { block, head } = await town.make({ feeRateSatPerKvb })
    return { kind: 'prepare', height: 1, view: 0, hash: head.hash, block: encodeBlock(block) }
  }

  it('BP-4: the record is durable before the key is used', async () => {
    const town = await Town.open()
    const calls: string[] = []
    const key = authorOf(town)
    const validator: ValidatorKey = {
      ...key,
      sign: (message) => {
        calls.push('sign')
        return key.sign(message)
      },
    }
    const { perform: act } = runIn(town, { validator }, calls)
    const signed = await act({ kind: 'sign', record: await recordOf(town, 2000) })
    expect(calls).toEqual(['append prepare', 'sign'])
    expect(signed?.payload).toHaveProperty('signed')
  })

  it('BP-4: what the guard refuses is never signed; a repeat gives the same bytes', async () => {
    const town = await Town.open()
    const guard = memoryGuard()
    const { perform: act } = runIn(town, { guard })
    const record = await recordOf(town, 2000)
    const first = await act({ kind: 'sign', record })
    expect(await act({ kind: 'sign', record })).toEqual(first)
    const other = await recordOf(town, 3000)
    const second = await act({ kind: 'sign', record: other })
    expect(second?.payload).toEqual({ refused: other, code: 'ConflictingPrepare' })
  })
})

describe('commit (2.11)', () => {
  it('BP-7: the store, then the engine, then everyone', async () => {
    const town = await Town.open()
    const made = await town.make()
    await town.commit(made)
    const [committed] = town.chain as [(typeof town.chain)[0]]
    const { perform: act, calls } = runIn(town)
    const told = await act({ kind: 'commit', committed, head: made.head })
    expect(calls).toEqual([
      // What the guard keeps is not to lag behind what the store will have by more than this height.
      'compact 0',
      'storage.PersistBlock',
      'engine.CommitPayload',
      'publishHead',
      'compact 1',
    ])
    expect(told).toMatchObject({ type: 'chain.BlockStored', payload: { committed } })
  })

  it.each([
    ['after a block with transactions', 1, authorOf, 1],
    ['not after an empty one', 0, authorOf, 0],
    ['not when the next slot is another’s', 1, () => undefined, 0],
  ])(
    '6.3: the engine that can goes on with the next block of ours, %s',
    async (_, count, who, told) => {
      const town = await Town.open()
      const made = await town.make()
      await town.commit(made)
      const [{ block, certificate }] = town.chain as [(typeof town.chain)[0]]
      const transactions = Array.from({ length: count }, () => Uint8Array.of(2))
      const payload = { ...block.body.payload, transactions }
      const committed = { block: { ...block, body: { ...block.body, payload } }, certificate }
      const setting = { preparesBlocks: true, validator: who(town) }
      const { perform: act, sent } = runIn(town, setting)
      await act({ kind: 'commit', committed, head: made.head })
      // The engine's answer to the commit is not waited for.
      await new Promise((resolve) => setImmediate(resolve))
      const prepared = sent.filter(({ message }) => message.type === 'engine.PrepareBlock')
      expect(prepared).toHaveLength(told)
      if (told === 0) return
      const { perform: produce, sent: asked } = runIn(town, setting)
      await produce(produceIn(town))
      const {
        mint: __,
        deadlineMs,
        ...built
      } = (asked as [(typeof asked)[0]])[0].message.payload as BuildBlockRequest['payload']
      expect(prepared[0]?.message.payload).toEqual({
        ...built,
        untilMs: built.timestamp * 1_000,
      })
      expect(deadlineMs).toBeGreaterThan(built.timestamp * 1_000)
    },
  )

  it('BP-7: without the store’s answer nobody is told and the actor fails', async () => {
    const town = await Town.open()
    const made = await town.make()
    await town.commit(made)
    const [committed] = town.chain as [(typeof town.chain)[0]]
    const { perform: act, calls } = runIn(town, { answer: () => 'Timeout' })
    await expect(act({ kind: 'commit', committed, head: made.head })).rejects.toMatchObject({
      code: 'DependencyTimeout',
      faultClass: 'service',
    })
    expect(calls).toEqual(['compact 0', 'storage.PersistBlock'])
  })
})
