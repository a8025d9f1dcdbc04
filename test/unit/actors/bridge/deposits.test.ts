/** Approvals that come from peers (protocol §4.2: an approval covers every field of its claim, the proof included). */
import type { BridgeContext } from '../../../../actors/bridge/context.ts'
import {
  depositsDetected,
  dueDeposits,
  earlyApprovals,
  quorumReceived,
} from '../../../../actors/bridge/deposits.ts'
import { handle } from '../../../../actors/bridge/handlers.ts'
import type { DepositOperation } from '../../../../actors/bridge/operations.ts'
import { parseTransaction } from '../../../../core/bitcoin/index.ts'
import type { PegInClaim } from '../../../../core/block/index.ts'
import { genesisLedger } from '../../../../core/ledger/index.ts'
import { equalBytes } from '../../../../crypto/index.ts'
import { worldWithBatch } from '../../bridge/world.ts'
import {
  addressOf,
  approve,
  BitcoinWorld,
  claimOf,
  depositOf,
  PegWorld,
  seeded,
  testGenesis,
} from '../../core/peg/world.ts'
import { envelopeOf } from '../fake-run.ts'
import { bridgeContext } from './context.ts'

const genesis = testGenesis()
const bitcoin = new BitcoinWorld()
const transaction = depositOf(genesis, 'alice', 5_000_000n, addressOf('alice'))
bitcoin.mine([transaction])
bitcoin.mine([], 3)
const claim = claimOf(bitcoin, transaction)

/** A bridge that follows the deposit of `claim`. */
function following(): BridgeContext {
  const context = bridgeContext(genesis, {
    validatorKey: genesis.validators[0]?.blsKey,
    ledger: genesisLedger(genesis),
    bitcoin: { tipHeight: 4, reachable: true },
  })
  const detected = { txid: claim.txid, bitcoinHeight: 1, deposits: [claim] }
  return depositsDetected(context, detected, 'flow', 0).context
}

function heard(given: PegInClaim): DepositOperation | undefined {
  const payload = { claim: given, approval: approve(genesis, given), peer: 'peer' }
  const { context } = quorumReceived(following(), payload, 1)
  return [...context.deposits.values()][0]
}

describe("a quorum's approval from a peer", () => {
  it('is taken for the claim that this node sees itself (PI-10)', () => {
    expect(heard(claim)?.step).toBe('Approved')
  })

  it('of another claim of the outpoint, say from before a reorg, takes the place of none', () => {
    const before = { ...claim, proof: { ...claim.proof, blockHash: seeded('stale') } }
    expect(heard(before)).toMatchObject({ step: 'Confirming', claim })
  })

  it('tells of a deposit to an address that another node gave out, once its block is in the chain of headers (PI-2)', () => {
    const world = new PegWorld()
    const paid = depositOf(world.genesis, 'bob', 5_000_000n)
    world.bitcoin.mine([paid])
    world.bitcoin.mine([], 2)
    world.syncHeaders()
    const given = claimOf(world.bitcoin, paid)
    const payload = { claim: given, approval: approve(world.genesis, given), peer: 'peer' }
    const before = bridgeContext(world.genesis, { ledger: world.ledger })
    const { context, effects } = quorumReceived(before, payload, 1)
    expect([...context.deposits.values()]).toMatchObject([{ step: 'Approved', claim: given }])
    expect(effects).toContainEqual(
      expect.objectContaining({
        message: expect.objectContaining({ type: 'bridge.PegInOperation' }),
      }),
    )
    // Where the header of its block comes later, so does the deposit.
    const early = bridgeContext(world.genesis, { ledger: genesisLedger(world.genesis) })
    const waiting = quorumReceived(early, payload, 1).context
    expect(waiting.deposits.size).toBe(0)
    expect(earlyApprovals(waiting, 2).context.deposits.size).toBe(0)
    const later = earlyApprovals({ ...waiting, ledger: world.ledger }, 3)
    expect([...later.context.deposits.values()]).toMatchObject([{ step: 'Approved', claim: given }])
    expect(later.context.early.size).toBe(0)
    expect(earlyApprovals(waiting, 700_000).context.early.size).toBe(0)
    // So it does where a branch has the block that another one still beats.
    const behind = new PegWorld()
    behind.syncHeaders(world.bitcoin)
    const beating = world.bitcoin.fork(0, 'beating')
    beating.mine([], 5)
    behind.block({ items: { bitcoinHeaders: beating.headersAfter(0) } })
    const offChain = bridgeContext(behind.genesis, { ledger: behind.ledger })
    const kept = quorumReceived(offChain, payload, 1).context
    expect(kept.early.size).toBe(1)
    world.bitcoin.mine([], 4)
    behind.block({ items: { bitcoinHeaders: world.bitcoin.headersAfter(0) } })
    const back = earlyApprovals({ ...kept, ledger: behind.ledger }, 3)
    expect([...back.context.deposits.values()]).toMatchObject([{ step: 'Approved' }])
    // Of a coin that is credited already nothing is followed.
    const credited = world.pegIn('carol', 5_000_000n)
    const again = { claim: credited, approval: approve(world.genesis, credited), peer: 'peer' }
    const after = bridgeContext(world.genesis, { ledger: world.ledger })
    expect(quorumReceived(after, again, 1).context.deposits.size).toBe(0)
  })
})

describe('a branch of Bitcoin that takes a deposit away', () => {
  it('is looked at again from its first block on: it may hold the deposit, and was perhaps scanned before that had a row (4.9, PI-6)', () => {
    const world = new PegWorld()
    world.bitcoin.mine([], 2)
    world.pegIn('alice', 5_000_000n)
    const before = bridgeContext(world.genesis, { ledger: world.ledger })
    const branch = world.bitcoin.fork(1, 'branch')
    branch.mine([], world.bitcoin.tip.height)
    world.block({ items: { bitcoinHeaders: branch.headersAfter(1) } })
    const finalized = (height: number) => {
      const payload = { height, ledger: world.ledger } as never
      const message = { type: 'chain.FinalizeBlock', payload } as const
      const envelope = envelopeOf({ type: 'bridge.PollBitcoin', payload: {} })
      return { message, about: { nowMs: 0, state: 'Monitoring', envelope } as never }
    }
    const { about, message } = finalized(world.height)
    const after = handle(before, message, about).context
    expect(after.missedHeight).toBe(2)
    const seen = { ...after, missedHeight: undefined }
    expect(handle(seen, message, about).context.missedHeight).toBeUndefined()
  })
})

describe('change that a node took for a deposit, for its ledger was behind', () => {
  const about = {
    nowMs: 60_000,
    state: 'Monitoring',
    envelope: envelopeOf({ type: 'bridge.PollBitcoin', payload: {} }),
  } as never

  it('is asked of nobody: not before its block is in the chain of headers, and then it is known for what it is (4.2, PI-10)', () => {
    const { spend, world } = worldWithBatch()
    const parsed = parseTransaction(spend.transaction)
    if (!parsed.ok) throw new Error(parsed.error.reason)
    world.bitcoin.mine([parsed.value])
    world.bitcoin.mine([], 4)
    const vout = parsed.value.outputs.length - 1
    const fields = { kind: 'refundable', reason: 'badPayload', vout } as const
    const change = claimOf(world.bitcoin, parsed.value, fields)
    const block = world.bitcoin.blocks.find(({ hash }) => equalBytes(hash, change.proof.blockHash))
    const bitcoinHeight = block?.height ?? 0
    const detected = { txid: change.txid, bitcoinHeight, deposits: [change] }
    const found = depositsDetected(
      bridgeContext(world.genesis, {
        ledger: world.ledger,
        bitcoin: { tipHeight: world.bitcoin.tip.height, reachable: true },
        scanned: [{ height: bitcoinHeight, hash: change.proof.blockHash, timeMs: 0 }],
      }),
      detected,
      'flow',
      0,
    ).context
    expect(dueDeposits(found, 60_000)).toEqual([])
    world.syncHeaders()
    const later = { ...found, ledger: world.ledger }
    expect(dueDeposits(later, 60_000)).toHaveLength(1)
    const [outpoint = ''] = later.deposits.keys()
    const message = { type: 'bridge.ValidatePegInTransaction', payload: { outpoint } } as const
    const { context, effects = [] } = handle(later, message, about)
    expect(context.deposits.size).toBe(0)
    expect(effects.some((effect) => 'kernel' in effect)).toBe(false)
  })
})

describe('a claim', () => {
  const world = new PegWorld()
  world.bitcoin.mine([], 2)
  world.syncHeaders()
  const about = (nowMs: number) => ({
    nowMs,
    state: 'Monitoring',
    envelope: envelopeOf({ type: 'bridge.PollBitcoin', payload: {} }),
  })
  const claimAt = (context: BridgeContext, nowMs: number, blockHash = world.bitcoin.tip.hash) => {
    const payload = { blockHash: blockHash as Uint8Array, addresses: [] }
    return handle(context, { type: 'bridge.ClaimDeposits', payload }, about(nowMs) as never)
  }
  const codes = (step: ReturnType<typeof handle>) =>
    step.effects?.map((effect) => ('kind' in effect ? effect.kind : JSON.stringify(effect)))

  it('has a block looked at, one in two seconds, whoever asks (PI-2)', () => {
    const known = world.bitcoin.blocks[1]?.hash
    const first = claimAt(bridgeContext(world.genesis, { ledger: world.ledger }), 10_000, known)
    expect(codes(first)).toEqual(['claim'])
    const second = claimAt(first.context, 11_999, known)
    expect(codes(second)?.join()).toContain('Busy')
    expect(codes(claimAt(second.context, 12_000, known))).toEqual(['claim'])
    const strange = claimAt(first.context, 12_000, seeded('strange'))
    expect(codes(strange)?.join()).toContain('BitcoinBlockUnknown')
  })
})
