/** PI-3, Detected: what waits in Bitcoin's mempool is shown, and nothing rests on it. */
import type { BridgeContext, BridgeEffect } from '../../../../actors/bridge/context.ts'
import { depositsDetected } from '../../../../actors/bridge/deposits.ts'
import { handle, lane } from '../../../../actors/bridge/handlers.ts'
import {
  MAX_MEMPOOL_READS,
  MAX_MEMPOOL_TRANSACTIONS,
  MAX_PENDING_DEPOSITS,
  MEMPOOL_LOOK_MS,
} from '../../../../actors/bridge/limits.ts'
import { lookAtMempool, NOTHING_SEEN } from '../../../../actors/bridge/mempool.ts'
import type { BitcoinResult } from '../../../../actors/bridge/port.ts'
import type { FindAddress } from '../../../../actors/bridge/scan.ts'
import {
  type BitcoinTransaction,
  serializeTransaction,
  txid,
} from '../../../../core/bitcoin/index.ts'
import { genesisLedger, type Ledger } from '../../../../core/ledger/index.ts'
import { changeOutput, federationOutput, NO_KEYS, nameOf } from '../../../../core/peg/index.ts'
import { toDisplayHash } from '../../../../crypto/index.ts'
import type { BridgeInbox, MempoolSight } from '../../../../messages/index.ts'
import {
  addressOf,
  claimOf,
  depositOf,
  PegWorld,
  p2wpkh,
  payment,
  testGenesis,
} from '../../core/peg/world.ts'
import { envelopeOf } from '../fake-run.ts'
import { bridgeContext } from './context.ts'

const genesis = testGenesis()
const ledger = genesisLedger(genesis)
const alice = depositOf(genesis, 'alice', 5_000_000n, addressOf('alice'))
const idOf = (transaction: BitcoinTransaction) => toDisplayHash(txid(transaction))

/** A mempool with these transactions, which counts what is read of it. */
function mempoolOf(transactions: readonly BitcoinTransaction[], listed = transactions.map(idOf)) {
  const known = new Map(transactions.map((each) => [idOf(each), serializeTransaction(each)]))
  const port = {
    reads: 0,
    silent: false,
    async txids(): Promise<BitcoinResult<readonly string[]>> {
      if (!port.silent) return { ok: true, value: listed }
      return { ok: false, error: { code: 'BitcoinTimeout', message: 'no' } }
    },
    async transaction(id: string): Promise<BitcoinResult<Uint8Array | undefined>> {
      port.reads += 1
      return { ok: true, value: known.get(id) }
    },
  }
  return port
}

const namesOf = (count: number) =>
  Array.from({ length: count }, (_, at) => at.toString(16).padStart(64, '0'))

async function look(
  mempool: ReturnType<typeof mempoolOf>,
  before: MempoolSight = NOTHING_SEEN,
  find: FindAddress = () => undefined,
  of: Ledger = ledger,
): Promise<MempoolSight> {
  const sight = await lookAtMempool(genesis, mempool, of, before, find, 7)
  if (!sight.ok) throw new Error(sight.error.message)
  return sight.value
}

describe('a look at the mempool (PI-3)', () => {
  it('finds deposits of both forms, with whose they are', async () => {
    const deposit = { evmAddress: addressOf('bob'), refundScript: p2wpkh('bob') }
    const { scriptPubKey } = federationOutput(genesis, { epoch: 0, deposit }, NO_KEYS)
    const bob = payment('bob', [{ amountSat: 70_000n, scriptPubKey }])
    const find: FindAddress = (script) =>
      script.join() === scriptPubKey.join() ? { epoch: 0, ...deposit } : undefined
    const { deposits } = await look(mempoolOf([alice, bob]), NOTHING_SEEN, find)
    expect(deposits).toMatchObject([
      { outpoint: `${idOf(alice)}:0`, amountSat: 5_000_000n, evmAddress: addressOf('alice') },
      { outpoint: `${idOf(bob)}:0`, amountSat: 70_000n, evmAddress: addressOf('bob'), seenAtMs: 7 },
    ])
  })

  it('dust, payments to others, what spends the reserve and bytes of another txid are none', async () => {
    const world = new PegWorld()
    const { txid: reserve, vout } = world.pegIn('carol', 1_000_000n)
    const { scriptPubKey } = changeOutput(world.genesis, 0)
    const change = payment({ txid: reserve, vout }, [{ amountSat: 900_000n, scriptPubKey }])
    const dust = depositOf(genesis, 'dust', 9_999n, addressOf('dust'))
    const stranger = payment('stranger', [{ amountSat: 1_000_000n, scriptPubKey: p2wpkh('x') }])
    const mempool = mempoolOf([change, dust, stranger])
    expect((await look(mempool, NOTHING_SEEN, () => undefined, world.ledger)).deposits).toEqual([])
    const lying = mempoolOf([dust])
    const given = serializeTransaction(alice)
    lying.transaction = async () => ({ ok: true, value: given })
    expect((await look(lying)).deposits).toEqual([])
  })

  it('reads each transaction once, and forgets what left', async () => {
    const mempool = mempoolOf([alice])
    const first = await look(mempool)
    const second = await look(mempool, first)
    expect(mempool.reads).toBe(1)
    expect(second.deposits).toEqual(first.deposits)
    // Replaced or evicted.
    expect(await look(mempoolOf([]), second)).toEqual(NOTHING_SEEN)
  })

  it('as many payments as are looked at cost a bounded number of questions and of rows', async () => {
    const many = Array.from({ length: MAX_PENDING_DEPOSITS + 50 }, (_, at) =>
      depositOf(genesis, `flood ${at}`, 10_000n, addressOf('flood')),
    )
    const names = namesOf(MAX_MEMPOOL_TRANSACTIONS - many.length)
    const mempool = mempoolOf(many, [...many.map(idOf), ...names])
    let sight = NOTHING_SEEN
    for (let round = 1; round <= 6; round++) {
      sight = await look(mempool, sight)
      expect(mempool.reads).toBe(round * MAX_MEMPOOL_READS)
      expect(sight.looked.size).toBe(mempool.reads)
      expect(sight.deposits.length).toBeLessThanOrEqual(MAX_PENDING_DEPOSITS)
    }
    expect(sight.deposits).toHaveLength(MAX_PENDING_DEPOSITS)
  })

  it('what nobody answers is not known', async () => {
    const mempool = mempoolOf([alice])
    mempool.silent = true
    const unseen = await lookAtMempool(genesis, mempool, ledger, NOTHING_SEEN, () => undefined, 0)
    expect(unseen).toMatchObject({ ok: false, error: { code: 'BitcoinTimeout' } })
  })

  it('300,000 payments are not known, whoever lists them, and keep nobody waiting', async () => {
    const mempool = mempoolOf([], namesOf(300_000))
    const begun = performance.now()
    const unseen = await lookAtMempool(genesis, mempool, ledger, NOTHING_SEEN, () => undefined, 0)
    expect(performance.now() - begun).toBeLessThan(50)
    expect(unseen).toMatchObject({ ok: false, error: { code: 'MempoolTooLarge' } })
    expect(mempool.reads).toBe(0)
  })
})

describe('the bridge and what waits in the mempool (PI-3)', () => {
  function told(context: BridgeContext, message: BridgeInbox, nowMs = 0) {
    const about = { envelope: envelopeOf(message), nowMs, state: 'Monitoring' }
    const step = handle(context, message, about as never)
    const effects = step.effects ?? []
    const shown = effects.flatMap((effect) =>
      'kind' in effect && effect.kind === 'publish' ? effect.operations : [],
    )
    return { context: step.context, effects, shown: shown as readonly { id: string }[] }
  }
  const start = bridgeContext(genesis, { ledger, bitcoin: { tipHeight: 4, reachable: true } })
  const seen = async () => {
    const sight = await look(mempoolOf([alice]))
    return { type: 'bridge.MempoolSeen', payload: { sight } } as const
  }
  const scanned = (tipHeight: number, at = tipHeight): BridgeInbox => ({
    type: 'bridge.BitcoinScanned',
    payload: {
      tipHeight,
      tipHash: new Uint8Array(32),
      headers: [],
      feeRateSatPerKvb: 1_000,
      scanned: [{ height: at, hash: new Uint8Array(32), timeMs: 0 }],
    },
  })
  const looks = (effects: readonly unknown[]) =>
    (effects as BridgeEffect[]).filter(({ kind }) => kind === 'mempool')

  it('is shown as Detected, and neither chain nor members are told', async () => {
    const { effects, shown } = told(start, await seen())
    expect(shown).toMatchObject([
      { direction: 'in', id: `${idOf(alice)}:0`, step: 'Detected', amountSat: 5_000_000n },
    ])
    expect(effects).toHaveLength(1)
  })

  it('is gone when it is replaced, and when Bitcoin is lost', async () => {
    const { context } = told(start, await seen())
    const replaced: BridgeInbox = { type: 'bridge.MempoolSeen', payload: { sight: NOTHING_SEEN } }
    expect(told(context, replaced).shown).toEqual([])
    expect(told(context, { type: 'bridge.MempoolSeen', payload: {} }).shown).toEqual([])
    const lost = { code: 'BitcoinTimeout', reason: 'no' }
    const away = told(context, { type: 'bridge.BitcoinUnavailable', payload: lost })
    expect(away.shown).toEqual([])
    expect(away.context.mempool).toBeUndefined()
  })

  it('that it is not known is told once, with the reason, and that it is known again', async () => {
    const events = ({ effects }: ReturnType<typeof told>) =>
      (effects as BridgeEffect[]).flatMap((effect) =>
        effect.kind === 'log' ? { event: effect.event, fields: effect.fields } : [],
      )
    const large: BridgeInbox = { type: 'bridge.MempoolSeen', payload: { code: 'MempoolTooLarge' } }
    const first = told(start, large)
    const lost = { event: 'Bitcoin mempool is not known', fields: { code: 'MempoolTooLarge' } }
    expect(events(first)).toEqual([lost])
    expect(events(told(first.context, large))).toEqual([])
    const again = events(told(first.context, await seen()))
    expect(again).toMatchObject([{ event: 'Bitcoin mempool is known' }])
  })

  it('is the deposit of its block once that is scanned, not a second one', async () => {
    const { context } = told(start, await seen())
    const world = new PegWorld()
    world.bitcoin.mine([alice])
    const detected = {
      txid: txid(alice),
      bitcoinHeight: 1,
      deposits: [claimOf(world.bitcoin, alice)],
    }
    const followed = depositsDetected(context, detected, 'flow', 1).context
    expect(told(followed, await seen()).shown).toMatchObject([
      { id: `${idOf(alice)}:0`, step: 'Confirming' },
    ])
  })

  it('is told from its row once it has one, though a slow look still lists it', () => {
    const world = new PegWorld()
    const claim = world.pegIn('dave', 1_000_000n)
    const deposit = {
      outpoint: nameOf(claim),
      txid: toDisplayHash(claim.txid),
      amountSat: 1_000_000n,
      evmAddress: addressOf('dave'),
      refundable: false,
      seenAtMs: 0,
    }
    const sight = { looked: new Set<string>(), deposits: [deposit] }
    const listed: BridgeInbox = { type: 'bridge.MempoolSeen', payload: { sight } }
    expect(told(start, listed).shown).toHaveLength(1)
    expect(told({ ...start, ledger: world.ledger }, listed).shown).toEqual([])
  })

  it('looks at the tip only, one look at a time, and not more often than it may', async () => {
    expect(looks(told(start, scanned(9, 8)).effects)).toEqual([])
    const first = told(start, scanned(9))
    expect(looks(first.effects)).toHaveLength(1)
    expect(lane(looks(first.effects)[0] as BridgeEffect)).toBe('mempool')
    expect(looks(told(first.context, scanned(9), 1).effects)).toEqual([])
    const ended = told(first.context, await seen(), 10).context
    expect(looks(told(ended, scanned(9), 10 + MEMPOOL_LOOK_MS - 1).effects)).toEqual([])
    expect(looks(told(ended, scanned(9), 10 + MEMPOOL_LOOK_MS).effects)).toHaveLength(1)
  })
})
