/** Flows 1, 2 and 3 of the seeds through a node's own tree: the messages, their order, and one correlation id for each flow. */
import { describeReserve, findRequest, requestId } from '../../../core/peg/index.ts'
import { equalBytes, toDisplayHash } from '../../../crypto/index.ts'
import { BRIDGE_ADDRESS } from '../../../vm/evm/index.ts'
import { burnData } from '../core/chain/journey.ts'
import { depositOf, p2wpkh } from '../core/peg/world.ts'
import { keyOf, signed } from '../vm/evm/fixtures.ts'
import { Village } from './village.ts'

const alice = keyOf('alice')
const ONE_COIN_SAT = 100_000_000n

/** The messages of one flow that the seed names, in the order in which their actors handled them. */
function seedMessages(flow: readonly string[], names: readonly string[]): string[] {
  return flow.filter((line) => names.some((name) => line.endsWith(`.${name}`)))
}

function withoutRepeats(lines: readonly string[]): string[] {
  return lines.filter((line, index) => line !== lines[index - 1])
}

describe('a coin goes round through the tree', () => {
  let village: Village
  let burnedIn: Uint8Array

  beforeAll(async () => {
    village = await new Village().start()
    await village.slots(2)
    village.mine(1, [depositOf(village.genesis, 'first', ONE_COIN_SAT, alice.address)])
    village.mine(3)
    await village.until(() => village.ledger.state.mintedSat > 0n)
    const raw = signed(alice, {
      nonce: 0,
      to: BRIDGE_ADDRESS,
      gas: 1_000_000n,
      value: 2_000_000n * 10n ** 10n,
      data: burnData(p2wpkh('bob')),
      chainId: village.genesis.execution.chainId,
    })
    expect(await village.submit(raw, 'user')).toMatchObject({
      ok: true,
      value: { type: 'engine.TransactionAccepted' },
    })
    await village.until(() => village.ledger.state.burnedSat > 0n)
    burnedIn = village.tree.live.head?.head.header.evmBlockHash ?? new Uint8Array(32)
    await village.until(() => village.mempool.size > 0)
    village.mine(3)
    await village.until(() => village.ledger.open.batches.size === 0)
    await village.slots(2)
  })
  afterAll(() => village.stop())

  it('every satoshi is somewhere: paid, minted or in the fund', () => {
    const request = findRequest(village.ledger, requestId(village.genesis, burnedIn, 0))
    expect(request).toMatchObject({ amountSat: 2_000_000n, state: 2 })
    const book = describeReserve(village.ledger)
    expect(book.reserveSat).toBe(book.supplySat + book.inFlightSat)
    expect(book.inFlight.map(({ kind }) => kind)).toEqual(['fund'])
    const paid = village.bitcoin.blocks
      .flatMap(({ transactions }) => transactions)
      .flatMap(({ outputs }) => outputs)
      .filter(({ scriptPubKey }) => equalBytes(scriptPubKey, p2wpkh('bob')))
    expect(paid.map(({ amountSat }) => amountSat)).toEqual([request?.paidSat])
  })

  it('flow 1, C-6: a slot from its tick to the durable block, one correlation id', () => {
    const [proposal] = village.flowsOf('bridge', 'bridge.ValidatePegOperations')
    const names = [
      'SlotTick',
      'BuildBlockRequest',
      'ValidatePegOperations',
      'PropagateBlock',
      'PersistBlock',
      'CommitPayload',
      'FinalizeBlock',
    ]
    const flow = seedMessages(village.flow(proposal as string), names)
    expect(flow.indexOf('bridge ← bridge.ValidatePegOperations')).toBe(2)
    const others = flow.filter((line) => !line.includes('ValidatePegOperations'))
    expect(withoutRepeats(others)).toEqual([
      'chain ← chain.SlotTick',
      'engine ← engine.BuildBlockRequest',
      'network ← network.PropagateBlock',
      'storage ← storage.PersistBlock',
      'engine ← engine.CommitPayload',
      'bridge ← chain.FinalizeBlock',
    ])
  })

  it('BP-7: guard and votes before the store, the store before the engine, both before anybody is told', () => {
    for (const slot of village.flowsOf('storage', 'storage.PersistBlock')) {
      const lines = village.flow(slot)
      const order = [
        'chain ← chain.BlockProduced',
        'chain ← chain.MessageSigned',
        'network ← network.PropagateBlock',
        'chain ← chain.BlockValidated',
        'storage ← storage.PersistBlock',
        'engine ← engine.CommitPayload',
        'network ← network.HeadAnnounced',
        'bridge ← chain.FinalizeBlock',
      ].map((line) => lines.indexOf(line))
      expect(order.every((at) => at >= 0)).toBe(true)
      expect(order).toEqual(order.toSorted((left, right) => left - right))
    }
  })

  it('flow 2, C-6: a deposit from Bitcoin to its mint, one correlation id', () => {
    const [deposit] = village.flowsOf('bridge', 'bridge.BitcoinTransactionDetected')
    const names = [
      'BitcoinTransactionDetected',
      'ValidatePegInTransaction',
      'GovernanceApprovalRequest',
      'GovernanceApproval',
      'PegInOperation',
      'PegInComplete',
    ]
    const lines = seedMessages(village.flow(deposit as string), names)
    expect(withoutRepeats(lines)).toEqual([
      'bridge ← bridge.BitcoinTransactionDetected',
      'bridge ← bridge.ValidatePegInTransaction',
      'stream ← stream.GovernanceApprovalRequest',
      'bridge ← bridge.GovernanceApproval',
      'chain ← bridge.PegInOperation',
      'bridge ← bridge.PegInComplete',
    ])
    expect(lines.filter((line) => line.endsWith('GovernanceApproval')).length).toBeGreaterThan(2)
  })

  it('flow 3, C-6: a burn from its block to its confirmation in Bitcoin, one correlation id', () => {
    const [burn] = village.flowsOf('bridge', 'bridge.BurnEventDetected')
    const names = [
      'BurnEventDetected',
      'CreateBitcoinTransaction',
      'RequestFederationSignatures',
      'CollectedSignatures',
      'BroadcastBitcoinTransaction',
      'BroadcastResult',
      'TransactionConfirmed',
      'PegOutOperation',
    ]
    const lines = seedMessages(village.flow(burn as string), names)
    expect(withoutRepeats(lines)).toEqual([
      'bridge ← bridge.BurnEventDetected',
      'bridge ← bridge.CreateBitcoinTransaction',
      'stream ← stream.RequestFederationSignatures',
      'bridge ← bridge.CollectedSignatures',
      'bridge ← bridge.BroadcastBitcoinTransaction',
      'bridge ← bridge.BroadcastResult',
      'bridge ← bridge.TransactionConfirmed',
      'chain ← bridge.PegOutOperation',
    ])
    expect(lines.filter((line) => line.endsWith('CollectedSignatures')).length).toBeGreaterThan(2)
  })

  it('the user’s own flow is that of the transaction', () => {
    expect(village.flow('user')).toEqual(
      expect.arrayContaining([
        'engine ← engine.SubmitTransaction',
        'engine ← engine.TransactionsRecovered',
        'network ← network.GossipTransaction',
      ]),
    )
  })

  it('C-6: every log line of an operation has its correlation id', () => {
    const [deposit] = village.flowsOf('bridge', 'bridge.BitcoinTransactionDetected')
    const lines = village.ports.log.records.filter(({ event }) => event.startsWith('deposit '))
    expect(lines.map(({ event }) => event)).toEqual([
      'deposit detected',
      'deposit approved',
      'deposit included',
    ])
    for (const line of lines) expect(line.correlationId).toBe(deposit)
  })

  it('PI-8: one deposit is asked for, told and minted once, however often Bitcoin is looked at', () => {
    expect(village.flowsOf('bridge', 'bridge.BitcoinTransactionDetected').length).toBe(2)
    expect(village.flowsOf('bridge', 'bridge.PegInComplete')).toHaveLength(1)
    expect(village.ledger.state.nextWithdrawalIndex).toBe(1)
  })

  it('no actor failed and no letter was lost', () => {
    const states = village.tree.system.snapshot()
    expect(states.map(({ path }) => path).sort()).toEqual([
      'bridge',
      'chain',
      'engine',
      'network',
      'storage',
      'stream',
      'sync',
    ])
    for (const { path, life, restarts, deadLetters } of states) {
      expect([path, life, restarts, deadLetters]).toEqual([path, 'Running', 0, 0])
    }
    expect(toDisplayHash(new Uint8Array(32))).toHaveLength(64)
  })
})
