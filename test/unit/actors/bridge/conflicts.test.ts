/** How a node finds out that a deposit can never come back, and tells Chain (P 4.5). */
import { lookForConflicts } from '../../../../actors/bridge/conflicts.ts'
import { handle } from '../../../../actors/bridge/handlers.ts'
import type { BitcoinPort } from '../../../../actors/bridge/index.ts'
import { MAX_BLOCKS_PER_CONFLICT_LOOK } from '../../../../actors/bridge/limits.ts'
import {
  type BitcoinTransaction,
  compactSize,
  readBlock,
  serializeTransaction,
  txid,
} from '../../../../core/bitcoin/index.ts'
import { MAX_ANCESTRY } from '../../../../core/block/index.ts'
import { BATCH_STATE, rowOf } from '../../../../core/ledger/index.ts'
import { assemble, openBatches, outpointName } from '../../../../core/peg/index.ts'
import { concatBytes, toHex } from '../../../../crypto/index.ts'
import type { BridgeInbox } from '../../../../messages/index.ts'
import {
  type BitcoinWorld,
  claimOf,
  depositOf,
  type MinedBlock,
  PegWorld,
  p2wpkh,
  payment,
} from '../../core/peg/world.ts'
import { bridgeContext } from './context.ts'

const DEPTH = 12

/** A payout over a deposit that descends from two transactions of the blocks before it; a branch replaces all of it. */
class Replaced extends PegWorld {
  readonly deposit: BitcoinTransaction
  readonly branch: BitcoinWorld
  readonly grandparent = payment('old coin', [
    { amountSat: 1_100_000n, scriptPubKey: p2wpkh('grandparent') },
  ])
  readonly parent = payment({ txid: txid(this.grandparent), vout: 0 }, [
    { amountSat: 1_050_000n, scriptPubKey: p2wpkh('parent') },
  ])
  readonly asked: string[] = []
  /** Blocks that Bitcoin does not have. */
  readonly pruned = new Set<string>()

  /** `mined`: after the parent. `spent`: by the deposit too. */
  constructor(
    onBranch: (world: Replaced) => readonly BitcoinTransaction[],
    mined: readonly BitcoinTransaction[] = [],
    spent = mined,
  ) {
    super({ conflictDepth: DEPTH })
    const fork = this.bitcoin.tip.height
    this.deposit = {
      ...depositOf(this.genesis, 'alice', 1_000_000n),
      inputs: [this.parent, ...spent].flatMap(
        (coin) => payment({ txid: txid(coin), vout: 0 }, []).inputs,
      ),
    }
    this.bitcoin.mine([payment('stranger', []), this.grandparent])
    this.bitcoin.mine([this.parent, ...mined, this.deposit])
    this.bitcoin.mine([], 2)
    this.syncHeaders()
    const claim = claimOf(this.bitcoin, this.deposit)
    this.block({ items: { proofs: [claim.proof], pegIns: [this.item(claim)] } })
    this.block({ burns: [this.burn('bob', 300_000n)] })
    this.timestamp += 10
    const queue = { headers: [], pegIns: [], bookings: [] }
    this.block({ items: assemble(this.ledger, this.context(), queue).items })
    this.branch = this.bitcoin.fork(fork, 'other')
    this.branch.mine()
    this.branch.mine([payment('other stranger', []), ...onBranch(this)])
    this.branch.mine([], 4)
    this.block({ items: { bitcoinHeaders: this.branch.headersAfter(fork) } })
  }

  bury(blocks: number): void {
    this.branch.mine([], blocks)
    this.syncHeaders(this.branch)
  }

  /** With witnesses, as Bitcoin stores its blocks. */
  get port(): BitcoinPort {
    const none = async () => ({ ok: true, value: undefined }) as const
    const raw = ({ header, transactions }: MinedBlock) => {
      const bodies = transactions.map((each, index) =>
        serializeTransaction(
          index === 0
            ? each
            : {
                ...each,
                inputs: each.inputs.map((input) => ({ ...input, witness: [Uint8Array.of(7)] })),
              },
        ),
      )
      return concatBytes(header, compactSize(bodies.length), ...bodies)
    }
    return {
      tip: async () => ({ ok: true, value: this.branch.tip }),
      hashAt: none,
      header: none,
      inMempool: async () => ({ ok: true, value: false }),
      send: none,
      feeRate: none,
      block: async (hash) => {
        const all = [...this.bitcoin.blocks, ...this.branch.blocks]
        const found = all.find((block) => toHex(block.hash) === toHex(hash))
        this.asked.push(`${found?.height}`)
        const isThere = found !== undefined && !this.pruned.has(toHex(hash))
        const read = isThere ? readBlock(hash, raw(found)) : undefined
        if (read?.ok === false) throw new Error(read.error.reason)
        return { ok: true, value: read?.value }
      },
    }
  }

  look(before: Parameters<typeof lookForConflicts>[3] = new Map()) {
    this.asked.length = 0
    return lookForConflicts(this.genesis, this.port, this.ledger, before)
  }

  get name(): string {
    const [key] = openBatches(this.ledger)[0]?.row.inputs ?? []
    return outpointName(key as Uint8Array)
  }
}

const theft = (coin: string) =>
  payment(coin, [{ amountSat: 1_000_000n, scriptPubKey: p2wpkh('thief') }])

describe('a look for what keeps a deposit from coming back (P 4.5)', () => {
  it('finds a spend of what an ancestor would spend, with the line to it, and a block takes it', async () => {
    const thief = theft('old coin')
    const world = new Replaced(() => [thief])
    world.bury(DEPTH)
    const { code, found } = await world.look()
    expect(code).toBeUndefined()
    expect(found).toHaveLength(1)
    expect(found[0]?.ancestry).toEqual(
      [world.deposit, world.parent, world.grandparent].map((each) => serializeTransaction(each)),
    )
    const queue = { headers: [], pegIns: [], bookings: [], conflicts: found }
    const { items, refused } = assemble(world.ledger, world.context(), queue)
    expect(refused).toEqual([])
    const [batch] = openBatches(world.ledger)
    world.block({ items })
    const state = batch && rowOf(world.ledger, 'batches', batch.batchId)?.state
    expect(state).toBe(BATCH_STATE.released)
    expect(await world.look()).toEqual({ cursors: new Map(), found: [] })
  })

  it('an ancestor that is mined again is none, a spend of what it made is', async () => {
    const thief = payment({ txid: txid(new Replaced(() => []).grandparent), vout: 0 }, [
      { amountSat: 1n, scriptPubKey: p2wpkh('thief') },
    ])
    const world = new Replaced(({ grandparent }) => [grandparent, thief])
    world.bury(DEPTH)
    const { found } = await world.look()
    expect(found[0]?.ancestry).toEqual(
      [world.deposit, world.parent].map((each) => serializeTransaction(each)),
    )
  })

  it('of a deposit with more parents than a line may be long it looks at each', async () => {
    const siblings = Array.from({ length: MAX_ANCESTRY + 5 }, (_, index) => theft(`coin ${index}`))
    const world = new Replaced(() => [theft('old coin')], siblings)
    world.bury(DEPTH)
    const { found } = await world.look()
    expect(found[0]?.ancestry).toEqual(
      [world.deposit, world.parent, world.grandparent].map((each) => serializeTransaction(each)),
    )
  })

  it('shows the shortest line where there are several', async () => {
    const { grandparent } = new Replaced(() => [])
    const outputs = [{ amountSat: 1n, scriptPubKey: p2wpkh('other') }]
    const uncle = payment({ txid: txid(grandparent), vout: 1 }, outputs)
    const cousin = payment({ txid: txid(uncle), vout: 0 }, outputs)
    const world = new Replaced(() => [theft('old coin')], [uncle, cousin], [cousin])
    world.bury(DEPTH)
    const { found } = await world.look()
    expect(found[0]?.ancestry).toEqual(
      [world.deposit, world.parent, grandparent].map((each) => serializeTransaction(each)),
    )
  })

  it('looks only at what is deep enough, each block once, and goes on where it ended', async () => {
    const world = new Replaced(() => [])
    world.bury(DEPTH - 6 - 1)
    // The tip is one short of what the fork's first block needs.
    expect(await world.look()).toEqual({ cursors: new Map(), found: [] })
    expect(world.asked).toEqual([])
    world.bury(3)
    const first = await world.look()
    // The two that were replaced, then the three that are deep.
    expect(world.asked).toEqual(['2', '1', '1', '2', '3'])
    expect(first.cursors.get(world.name)?.height).toBe(3)
    await world.look(first.cursors)
    expect(world.asked).toEqual([])
    world.bury(1)
    const second = await world.look(first.cursors)
    expect(world.asked).toEqual(['2', '1', '4'])
    world.bury(MAX_BLOCKS_PER_CONFLICT_LOOK + 5)
    const third = await world.look(second.cursors)
    expect(third.cursors.get(world.name)?.height).toBe(4 + MAX_BLOCKS_PER_CONFLICT_LOOK)
  })

  it('begins anew where a reorg replaced what it had looked at', async () => {
    const world = new Replaced(() => [])
    world.bury(DEPTH)
    const first = await world.look()
    const third = world.branch.fork(1, 'third')
    third.mine([theft('old coin')])
    third.mine([], DEPTH + 10)
    world.block({ items: { bitcoinHeaders: third.headersAfter(1) } })
    Object.assign(world, { branch: third })
    expect((await world.look(first.cursors)).found).toHaveLength(1)
  })

  it('says what Bitcoin does not have, and loses nothing', async () => {
    const thief = theft('old coin')
    const world = new Replaced(() => [thief])
    world.bury(DEPTH)
    const replaced = toHex((world.bitcoin.blocks[2] as MinedBlock).hash)
    world.pruned.add(replaced)
    expect(await world.look()).toEqual({
      cursors: new Map(),
      found: [],
      code: 'BlockUnavailable',
    })
    world.pruned.clear()
    world.pruned.add(toHex((world.branch.blocks[2] as MinedBlock).hash))
    expect(await world.look()).toMatchObject({ found: [], code: 'BlockUnavailable' })
    world.pruned.clear()
    expect((await world.look()).found).toHaveLength(1)
  })
})

describe('the BridgeActor and a lost deposit (P 4.5)', () => {
  const step = (
    world: Replaced,
    message: BridgeInbox,
    nowMs: number,
    context = bridgeContext(world.genesis, {}),
  ) => {
    const envelope = { correlationId: 'flow' } as never
    return handle(context, message, { envelope, nowMs, state: 'Monitoring' } as never)
  }
  const finalized = ({ ledger }: Replaced): BridgeInbox =>
    ({ type: 'chain.FinalizeBlock', payload: { height: 9, ledger } }) as never

  it('looks while a batch waits for one, one look at a time, and hands on what it found', async () => {
    const world = new Replaced(() => [theft('old coin')])
    world.bury(DEPTH)
    const begun = step(world, finalized(world), 1_000)
    const looks = (effects: typeof begun.effects) =>
      (effects ?? []).filter((effect) => 'kind' in effect && effect.kind === 'conflicts')
    expect(looks(begun.effects)).toHaveLength(1)
    const meanwhile = step(world, finalized(world), 2_000, begun.context)
    expect(looks(meanwhile.effects)).toHaveLength(0)
    const payload = await world.look()
    const looked = { type: 'bridge.ConflictsLooked', payload } as const
    const told = step(world, looked, 3_000, meanwhile.context)
    expect(told.effects).toContainEqual(
      expect.objectContaining({
        message: { type: 'chain.DepositsLost', payload: { conflicts: payload.found } },
      }),
    )
    expect(looks(step(world, finalized(world), 20_000, told.context).effects)).toHaveLength(1)
  })

  it('looks at nothing while nothing waits', () => {
    const world = new Replaced(() => [])
    const other = new PegWorld()
    const { effects = [] } = step(world, finalized(other as Replaced), 1_000)
    expect(effects.some((effect) => 'kind' in effect && effect.kind === 'conflicts')).toBe(false)
  })
})
