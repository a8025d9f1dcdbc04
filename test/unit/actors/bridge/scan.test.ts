/** What one look at Bitcoin asks, and that it asks enough. */
import type { BitcoinPort } from '../../../../actors/bridge/index.ts'
import { BLOCKS_AHEAD, STEPS_PER_TURN } from '../../../../actors/bridge/limits.ts'
import { type FindAddress, type ScanOutcome, scanBitcoin } from '../../../../actors/bridge/scan.ts'
import { genesisLedger } from '../../../../core/ledger/index.ts'
import { federationOutput, NO_KEYS } from '../../../../core/peg/index.ts'
import { equalBytes, toHex } from '../../../../crypto/index.ts'
import {
  addressOf,
  BitcoinWorld,
  claimOf,
  depositOf,
  PegWorld,
  payment,
  testGenesis,
  wholeBlock,
} from '../../core/peg/world.ts'

const genesis = testGenesis()
const ledger = genesisLedger(genesis)

/** A look at `world` that goes on from `before`, and the questions that it asked. */
async function look(
  world: BitcoinWorld,
  before: ScanOutcome['scanned'] = [],
  addressOfScript?: FindAddress,
  known = ledger,
  beforeBlock: (hash: Uint8Array) => Promise<void> = async () => undefined,
  rest: () => Promise<void> = async () => undefined,
) {
  const asked: string[] = []
  const answer = async <T>(question: string, value: T) => {
    asked.push(question)
    return { ok: true, value } as const
  }
  const find = (hash: Uint8Array) => world.blocks.find((block) => toHex(block.hash) === toHex(hash))
  const bitcoin: BitcoinPort = {
    tip: () => answer('tip', world.tip),
    hashAt: (height) => answer('hashAt', world.blocks[height]?.hash),
    header(hash) {
      const found = find(hash)
      return answer('header', found && { header: found.header, isBest: true })
    },
    async block(hash) {
      await beforeBlock(hash)
      const found = find(hash)
      return answer('block', found && wholeBlock(found))
    },
    inMempool: () => answer('inMempool', false),
    send: () => answer('send', undefined),
    feeRate: () => answer('feeRate', undefined),
  }
  const outcome = await scanBitcoin(genesis, bitcoin, known, before, {
    ...(addressOfScript && { find: addressOfScript }),
    rest,
  })
  if (!outcome.ok) throw new Error(outcome.error.message)
  return { ...outcome.value, asked }
}

const OUTPUT = [{ amountSat: 1n, scriptPubKey: Uint8Array.of(0x51) }]
const deposit = depositOf(genesis, 'alice', 5_000_000n, addressOf('alice'))

describe('a look at Bitcoin', () => {
  it('costs one question while the tip is the last block that was scanned', async () => {
    const world = new BitcoinWorld()
    world.mine([], 1)
    const first = await look(world)
    expect(first.scanned.map(({ height }) => height)).toEqual([1])
    // The in-block chain ends below what was scanned: its end alone is asked for beside the tip.
    const second = await look(world, first.scanned)
    expect(second.asked).toEqual(['tip', 'hashAt'])
    expect(second.scanned).toEqual(first.scanned)
  })

  it('asks for a few blocks ahead of the one it reads, and reads them in their order', async () => {
    const world = new BitcoinWorld()
    world.mine([], 12)
    let [open, most] = [0, 0]
    const asked: number[] = []
    const slow = async (hash: Uint8Array) => {
      asked.push(world.blocks.findIndex((block) => equalBytes(block.hash, hash)))
      open += 1
      most = Math.max(most, open)
      await new Promise<void>((resolve) => setImmediate(resolve))
      open -= 1
    }
    const { scanned } = await look(world, [], undefined, ledger, slow)
    expect(scanned.map(({ height }) => height)).toEqual(
      Array.from({ length: 12 }, (_, at) => at + 1),
    )
    expect(asked).toEqual(scanned.map(({ height }) => height))
    expect(most).toBe(BLOCKS_AHEAD + 1)
  })

  it('PI-12: a block that is not there ends the look before it, whatever came of those behind it', async () => {
    const world = new BitcoinWorld()
    world.mine([], 8)
    const lost = world.blocks[4]?.hash as Uint8Array
    const missing = { ...world.blocks[4], hash: new Uint8Array(32).fill(1) }
    const { scanned } = await look(world, [], undefined, ledger, async (hash) => {
      if (equalBytes(hash, lost)) world.blocks[4] = missing as (typeof world.blocks)[number]
    })
    expect(scanned.map(({ height }) => height)).toEqual([1, 2, 3])
    world.blocks[4] = { ...missing, hash: lost } as (typeof world.blocks)[number]
    const next = await look(world, scanned)
    expect(next.scanned.map(({ height }) => height)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('gives the same headers whether or not it remembers the hashes', async () => {
    const world = new BitcoinWorld()
    world.mine([], 6)
    const first = await look(world)
    const second = await look(world, first.scanned)
    expect(first.headers).toHaveLength(5)
    expect(second.headers).toEqual(first.headers)
    expect(second.asked.filter((question) => question === 'hashAt')).toHaveLength(1)
  })

  it('finds what a branch of the same height holds', async () => {
    const world = new BitcoinWorld()
    world.mine([], 3)
    const before = await look(world)
    const branch = world.fork(1, 'branch')
    branch.mine([deposit])
    branch.mine([], 1)
    const after = await look(branch, before.scanned)
    expect(after.detected.map(({ bitcoinHeight }) => bitcoinHeight)).toEqual([2])
    expect(after.scanned.map(({ hash }) => toHex(hash))).toEqual(
      branch.blocks.slice(1).map(({ hash }) => toHex(hash)),
    )
  })

  it('finds what is paid to addresses that were given out, by their scripts alone (PI-2, 5.3)', async () => {
    const deposit = { evmAddress: addressOf('alice'), refundScript: new Uint8Array(0) }
    const { scriptPubKey } = federationOutput(genesis, { epoch: 0, deposit }, NO_KEYS)
    const find: FindAddress = (script) =>
      equalBytes(script, scriptPubKey) ? { epoch: 0, ...deposit } : undefined
    const world = new BitcoinWorld()
    world.mine([
      payment('somebody', [
        { amountSat: 5_000_000n, scriptPubKey },
        { amountSat: 7_000_000n, scriptPubKey },
      ]),
    ])
    expect((await look(world)).detected).toEqual([])
    const [found] = (await look(world, [], find)).detected
    expect(found).toMatchObject({ bitcoinHeight: 1 })
    expect(found?.deposits).toMatchObject([
      { vout: 0, amountSat: 5_000_000n, kind: 0, depositEpoch: 0, ...deposit },
      { vout: 1, amountSat: 7_000_000n, kind: 0, depositEpoch: 0, ...deposit },
    ])
  })

  it('finds a deposit that has a row, wherever a reorg has moved it, also when no address book knows it (4.9, PI-6)', async () => {
    const deposit = { evmAddress: addressOf('alice'), refundScript: new Uint8Array(0) }
    const { scriptPubKey } = federationOutput(genesis, { epoch: 0, deposit }, NO_KEYS)
    const paid = payment('somebody', [{ amountSat: 5_000_000n, scriptPubKey }])
    const world = new PegWorld()
    const branch = world.bitcoin.fork(0, 'branch')
    world.bitcoin.mine([paid])
    world.bitcoin.mine([], 2)
    const claim = claimOf(world.bitcoin, paid, deposit)
    world.block({
      items: {
        bitcoinHeaders: world.bitcoin.headersAfter(0),
        proofs: [claim.proof],
        pegIns: [world.item(claim)],
      },
    })
    branch.mine([], 1)
    branch.mine([paid])
    branch.mine([], 3)
    const { detected } = await look(branch, [], undefined, world.ledger)
    expect(detected).toMatchObject([
      { bitcoinHeight: 2, deposits: [{ vout: 0, amountSat: 5_000_000n, ...deposit }] },
    ])
    // In its own block it is proven already.
    expect((await look(world.bitcoin, [], undefined, world.ledger)).detected).toEqual([])
  })

  it('D9, PI-12: begins where it ended, whenever that was: no block is passed over while a node is away or behind', async () => {
    const world = new BitcoinWorld()
    const paid = [1, 99, 100, 101, 250].map((height) => {
      world.mine([], height - 1 - world.tip.height)
      world.mine([depositOf(genesis, `at ${height}`, 5_000_000n)])
      return height
    })
    /** Looks until all is scanned; what came up, in order. */
    const scanAll = async (before: ScanOutcome['scanned']) => {
      let scanned = before
      const found: number[] = []
      for (let looks = 0; looks < 10; looks++) {
        const outcome = await look(world, scanned)
        found.push(...outcome.detected.map(({ bitcoinHeight }) => bitcoinHeight))
        scanned = outcome.scanned
        if (scanned.at(-1)?.height === world.tip.height) break
      }
      return { found, scanned }
    }
    const all = await scanAll([])
    expect(all.found).toEqual(paid)
    // The node was gone for twenty blocks, and then for none.
    world.mine([], 19)
    world.mine([deposit])
    const later = await scanAll(all.scanned)
    expect(later.found).toEqual([270])
    expect((await scanAll(later.scanned)).found).toEqual([])
  })

  it('trusts nothing that it remembers when the tip is another one', async () => {
    const world = new BitcoinWorld()
    world.mine([], 3)
    const before = await look(world)
    world.mine([deposit])
    const after = await look(world, before.scanned)
    expect(after.asked.filter((question) => question === 'hashAt').length).toBeGreaterThan(1)
    expect(after.detected).toHaveLength(1)
  })
})

describe('a block of many transactions', () => {
  it('others have their turn while it is looked through, and nothing of it is passed over', async () => {
    const world = new BitcoinWorld()
    const crowd = Array.from({ length: 3 * STEPS_PER_TURN }, (_, at) => payment(`crowd ${at}`, []))
    const all = [...crowd.slice(0, 7), deposit, ...crowd.slice(7)]
    world.mine(all.map((one) => (one.outputs.length > 0 ? one : { ...one, outputs: OUTPUT })))
    let rests = 0
    const { detected } = await look(world, [], undefined, ledger, undefined, async () => {
      rests += 1
    })
    expect(rests).toBeGreaterThanOrEqual(3)
    expect(detected).toHaveLength(1)
    expect(detected[0]?.deposits).toHaveLength(1)
  })
})

it('PI-12: a block that is not told whole is no answer, and nothing is passed over', async () => {
  const world = new BitcoinWorld()
  world.mine([deposit])
  const refused = { ok: false, error: { code: 'BitcoinBadAnswer', message: 'not whole' } } as const
  const answer = async <T>(value: T) => ({ ok: true, value }) as const
  const bitcoin = {
    tip: () => answer(world.tip),
    hashAt: (height: number) => answer(world.blocks[height]?.hash),
    block: async () => refused,
  } as unknown as BitcoinPort
  expect(await scanBitcoin(genesis, bitcoin, ledger, [])).toEqual(refused)
  expect((await look(world)).detected).toHaveLength(1)
})
