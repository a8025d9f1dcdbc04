import type { ExecutionPayload } from '../../core/block/index.ts'
import { toHex } from '../../crypto/index.ts'
import type {
  BuildReply,
  BuildRequest,
  CommitReply,
  EngineHead,
  ExecuteReply,
  ExecuteRequest,
} from '../../vm/evm/index.ts'
import { attributes, BASE_FEE, keyOf, mint, signed } from '../unit/vm/evm/fixtures.ts'

/** What every engine does, embedded or simulated. */
export interface EngineUnderTest {
  readonly head: EngineHead
  build(request: BuildRequest): Promise<BuildReply>
  execute(request: ExecuteRequest): Promise<ExecuteReply>
  commit(hash: Uint8Array): Promise<CommitReply>
  /** Ends it without warning and opens the same state again. */
  restart(): Promise<EngineUnderTest>
  /** Ends it, empties its durable state and opens that again. */
  rollback(): Promise<EngineUnderTest>
  close(): Promise<void>
}

const alice = keyOf('alice')
const bob = keyOf('bob')
type Built = Extract<BuildReply, { status: 'BUILT' }>

/** Names for what only executing shows: nobody executes for a client what does not have its hash. */
const SHOWN_BY_EXECUTION = /^(?:GasUsed|ReceiptsRoot|LogsBloom|StateRoot|Requests)Mismatch$/

function hashed(code: string): string {
  return code === 'TransactionInvalid' || SHOWN_BY_EXECUTION.test(code) ? 'BlockHashMismatch' : code
}

/** Far enough for any block of a test. */
const LATER_MS = 8_640_000_000_000_000

export interface EngineKind {
  /** It packs from a pool of its own: what is offered goes there first, and what does not fit is not named (6.4). */
  readonly hasOwnPool?: boolean
}

export function engineSuite(
  name: string,
  open: () => Promise<EngineUnderTest>,
  { hasOwnPool = false }: EngineKind = {},
): void {
  describe(`the engine port: ${name}`, () => {
    const opened: EngineUnderTest[] = []
    const start = async () => {
      const engine = await open()
      opened.push(engine)
      return engine
    }
    afterEach(async () => {
      for (const engine of opened.splice(0)) await engine.close()
    })

    const build = async (
      engine: EngineUnderTest,
      parentHash: Uint8Array,
      height: number,
      change: Partial<BuildRequest> = {},
    ): Promise<Built> => {
      const request = { ...attributes(parentHash, height), transactions: [], deadlineMs: LATER_MS }
      const reply = await engine.build({ ...request, ...change })
      if (reply.status !== 'BUILT') throw new Error(reply.reason)
      return reply
    }

    /** Block 1: alice has ten coins. */
    const funded = async () => {
      const engine = await start()
      const withdrawals = [mint(alice.address, 10n ** 10n)]
      const first = await build(engine, engine.head.hash, 1, { withdrawals })
      await engine.commit(first.payload.blockHash)
      return { engine, first: first.payload }
    }

    it('C-4: what one engine builds another finds valid, with the same outcome', async () => {
      const { engine, first } = await funded()
      const raw = signed(alice, { nonce: 0, to: bob.address, value: 5n })
      const { payload, outcome, dropped } = await build(engine, first.blockHash, 2, {
        transactions: [{ raw }],
      })
      expect(dropped).toEqual([])
      const other = await start()
      expect((await other.execute({ payload: first })).status).toBe('VALID')
      expect(await other.execute({ payload })).toEqual({ status: 'VALID', outcome })
    })

    it('skips what does not fit, with reasons, and keeps the order of the rest', async () => {
      const { engine, first } = await funded()
      const raws = [
        signed(alice, { nonce: 0, to: bob.address }),
        signed(alice, { nonce: 0, to: bob.address, value: 1n }),
        signed(alice, { nonce: 2, to: bob.address }),
        signed(bob, { nonce: 0, to: bob.address, value: 1n }),
        signed(alice, { nonce: 1, to: bob.address, chainId: 5 }),
        signed(alice, { nonce: 1, to: bob.address, gas: 20_999n }),
        signed(alice, { nonce: 1, to: bob.address, feeCap: BASE_FEE / 2n }),
        Uint8Array.of(3, 1, 2),
        Uint8Array.of(9),
        signed(alice, { nonce: 1, to: bob.address, gas: 17_000_000n }),
        signed(alice, { nonce: 1, to: bob.address }),
      ]
      const { payload, dropped } = await build(engine, first.blockHash, 2, {
        transactions: raws.map((raw) => ({ raw })),
      })
      if (hasOwnPool) {
        // Which of two with one nonce and one price comes first, and whether the second nonce is free for the last one, is the pool's own
        // matter; the gap before the third closes with it.
        expect(dropped).toEqual([])
        const [earliest] = payload.transactions
        expect([raws[0], raws[1]]).toContainEqual(earliest)
        const possible = [earliest, raws[10], raws[2]]
        expect(possible.slice(0, payload.transactions.length)).toEqual(payload.transactions)
        return
      }
      expect(dropped.map(({ reason }) => reason)).toEqual([
        'NonceTooLow',
        'NonceTooHigh',
        'InsufficientFunds',
        'WrongChain',
        'IntrinsicGasTooLow',
        'FeeCapBelowBaseFee',
        'TransactionTypeRefused',
        'TransactionTypeRefused',
        'GasLimitTooHigh',
      ])
      expect(payload.transactions).toEqual([raws[0], raws[10]])
    })

    it('6.3: begins no transaction after the deadline; what is left out is not dropped', async () => {
      const { engine, first } = await funded()
      const raw = signed(alice, { nonce: 0, to: bob.address })
      const late = await build(engine, first.blockHash, 2, {
        transactions: [{ raw }],
        deadlineMs: 0,
      })
      expect(late.payload.transactions).toEqual([])
      expect(late.dropped).toEqual([])
    })

    it('BP-10: a block with any field changed is invalid, by name', async () => {
      const { engine, first } = await funded()
      const raw = signed(alice, { nonce: 0, to: bob.address, value: 5n })
      const { payload } = await build(engine, first.blockHash, 2, { transactions: [{ raw }] })
      const other = await start()
      await other.execute({ payload: first })
      const zero = new Uint8Array(32)
      const changes: [string, Partial<ExecutionPayload>][] = [
        ['NumberMismatch', { blockNumber: 3 }],
        ['TimestampNotAfterParent', { timestamp: first.timestamp }],
        ['GasLimitStep', { gasLimit: payload.gasLimit + 60_000 }],
        ['BaseFeeMismatch', { baseFeePerGas: payload.baseFeePerGas + 1n }],
        ['BlobsRefused', { blobGasUsed: 131_072 }],
        ['GasUsedMismatch', { gasUsed: 0 }],
        ['ReceiptsRootMismatch', { receiptsRoot: zero }],
        ['LogsBloomMismatch', { logsBloom: new Uint8Array(256).fill(1) }],
        ['StateRootMismatch', { stateRoot: zero }],
        ['StateRootMismatch', { feeRecipient: bob.address, withdrawals: [mint(bob.address, 1n)] }],
        ['RequestsMismatch', { executionRequests: [Uint8Array.of(1, 2)] }],
        ['BlockHashMismatch', { blockHash: zero }],
        ['BlockHashMismatch', { extraData: Uint8Array.of(1) }],
        ['BlockHashMismatch', { prevRandao: zero }],
        ['StateRootMismatch', { parentBeaconBlockRoot: zero }],
        ['TransactionInvalid', { transactions: [raw, raw] }],
        ['TransactionTypeRefused', { transactions: [Uint8Array.of(3, 0xc0)] }],
        ['TransactionMalformed', { transactions: [raw.slice(0, -1)] }],
      ]
      for (const [code, change] of changes) {
        const reply = await other.execute({ payload: { ...payload, ...change } })
        expect(reply).toMatchObject({ status: 'INVALID', code: hasOwnPool ? hashed(code) : code })
      }
      expect((await other.execute({ payload })).status).toBe('VALID')
    })

    it('BP-10: the name of a valid block does not make another block valid', async () => {
      const { engine, first } = await funded()
      const { payload } = await build(engine, first.blockHash, 2)
      const forged = { ...payload, withdrawals: [mint(bob.address, 10n ** 9n)] }
      expect((await engine.execute({ payload: forged })).status).toBe('INVALID')
      const inHistory = { ...first, withdrawals: [mint(bob.address, 10n ** 9n)] }
      expect((await engine.execute({ payload: inHistory })).status).toBe('UNKNOWN')
    })

    it('BP-8: every withdrawal is credited in gwei, twice where it stands twice', async () => {
      const engine = await start()
      const withdrawals = [
        mint(bob.address, 3n, 0),
        mint(bob.address, 4n, 1),
        mint(alice.address, 0n, 2),
      ]
      const { payload } = await build(engine, engine.head.hash, 1, { withdrawals })
      const [, extra] = withdrawals
      const longer = { ...payload, withdrawals: [...withdrawals, extra as (typeof withdrawals)[0]] }
      expect(await engine.execute({ payload: longer })).toMatchObject({
        status: 'INVALID',
        code: hasOwnPool ? 'BlockHashMismatch' : 'StateRootMismatch',
      })
      expect((await engine.execute({ payload })).status).toBe('VALID')
    })

    it('BP-11: there is a receipt for every transaction', async () => {
      const { engine, first } = await funded()
      const transactions = [0, 1, 2].map((nonce) => {
        return { raw: signed(alice, { nonce, to: bob.address, value: 1n }) }
      })
      const { outcome } = await build(engine, first.blockHash, 2, { transactions })
      expect(outcome).toMatchObject({ transactionCount: 3, gasUsed: 63_000 })
    })

    it('a block whose parent is not there is unknown, never invalid', async () => {
      const { engine, first } = await funded()
      const { payload } = await build(engine, first.blockHash, 2)
      const other = await start()
      expect(await other.execute({ payload })).toMatchObject({
        status: 'UNKNOWN',
        code: 'ParentMissing',
      })
      const request = {
        ...attributes(payload.blockHash, 3),
        transactions: [],
        deadlineMs: LATER_MS,
      }
      expect(await other.build(request)).toMatchObject({ status: 'UNKNOWN', code: 'ParentMissing' })
      expect(await other.commit(payload.blockHash)).toMatchObject({ code: 'CandidateMissing' })
    })

    it('commits a chain of candidates at once and drops the branch that lost', async () => {
      const { engine, first } = await funded()
      const pay = (nonce: number, value: bigint) => {
        return [{ raw: signed(alice, { nonce, to: bob.address, value }) }]
      }
      const left = await build(engine, first.blockHash, 2, { transactions: pay(0, 1n) })
      const right = await build(engine, first.blockHash, 2, {
        transactions: pay(0, 2n),
        feeRecipient: bob.address,
      })
      const onLeft = await build(engine, left.payload.blockHash, 3, { transactions: pay(1, 1n) })
      const onRight = await build(engine, right.payload.blockHash, 3, { transactions: pay(1, 2n) })
      const last = await build(engine, onLeft.payload.blockHash, 4, { transactions: pay(2, 1n) })
      const reply = await engine.commit(onLeft.payload.blockHash)
      expect(reply).toEqual({
        status: 'COMMITTED',
        head: { number: 3, hash: onLeft.payload.blockHash },
      })
      expect(await engine.commit(onRight.payload.blockHash)).toMatchObject({ status: 'UNKNOWN' })
      expect((await engine.commit(last.payload.blockHash)).status).toBe('COMMITTED')
    })

    it('2.11: after a restart it is where it was last committed, and goes on with the same roots', async () => {
      const { engine, first } = await funded()
      const pay = (nonce: number) => [{ raw: signed(alice, { nonce, to: bob.address, value: 1n }) }]
      const second = await build(engine, first.blockHash, 2, { transactions: pay(0) })
      const third = await build(engine, second.payload.blockHash, 3, { transactions: pay(1) })
      await engine.commit(second.payload.blockHash)
      const again = await engine.restart()
      opened.push(again)
      expect(again.head).toEqual({ number: 2, hash: second.payload.blockHash })
      expect(await again.commit(third.payload.blockHash)).toMatchObject({
        code: 'CandidateMissing',
      })
      const replayed = await again.execute({ payload: third.payload })
      expect(replayed).toEqual({ status: 'VALID', outcome: third.outcome })
      expect((await again.commit(third.payload.blockHash)).status).toBe('COMMITTED')
      expect((await again.execute({ payload: second.payload })).status).toBe('VALID')
      const fresh = await build(again, third.payload.blockHash, 4, { transactions: pay(2) })
      expect(toHex(fresh.payload.parentHash)).toBe(toHex(third.payload.blockHash))
      expect(fresh.dropped).toEqual([])
    })

    it('SU-15: rolled back it is at genesis, also after a crash, and the same blocks give the same head', async () => {
      const { engine, first } = await funded()
      const raw = signed(alice, { nonce: 0, to: bob.address, value: 5n })
      const second = await build(engine, first.blockHash, 2, { transactions: [{ raw }] })
      await engine.commit(second.payload.blockHash)
      const emptied = await engine.rollback()
      opened.push(emptied)
      expect(emptied.head).toEqual({ number: 0, hash: first.parentHash })
      const again = await emptied.restart()
      opened.push(again)
      expect(again.head).toEqual({ number: 0, hash: first.parentHash })
      for (const payload of [first, second.payload]) {
        expect((await again.execute({ payload })).status).toBe('VALID')
        await again.commit(payload.blockHash)
      }
      const last = await again.restart()
      opened.push(last)
      expect(last.head).toEqual({ number: 2, hash: second.payload.blockHash })
      await (await last.rollback()).close()
    })
  })
}
