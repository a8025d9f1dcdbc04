/** What a user sees of an operation, moment by moment (PI-3, PO-5). */
import { pegInMachine, pegOutMachine } from '../../../actors/bridge/index.ts'
import { walk } from '../../../actors/bridge/operations.ts'
import { txid } from '../../../core/bitcoin/index.ts'
import { toDisplayHash, toHex } from '../../../crypto/index.ts'
import { PEG_IN_STEPS, PEG_OUT_STEPS } from '../../../node/api/index.ts'
import { createPegView } from '../../../node/views/index.ts'
import { compileMachine, edgesOf } from '../../../supervisor/index.ts'
import { BRIDGE_ADDRESS } from '../../../vm/evm/index.ts'
import { burnData } from '../core/chain/journey.ts'
import { depositOf, p2wpkh } from '../core/peg/world.ts'
import { keyOf, signed } from '../vm/evm/fixtures.ts'
import { Village } from './village.ts'

const alice = keyOf('alice')

describe('the steps of an operation', () => {
  let village: Village
  beforeAll(async () => {
    village = await new Village().start()
  })
  afterAll(() => village.stop())

  const view = () =>
    createPegView({
      genesis: village.genesis,
      live: village.tree.live,
      burnTransaction: () => undefined,
      requestsOf: () => [],
      depositAddresses: { find: () => undefined, watch: async () => undefined },
      claim: () => Promise.reject(new Error('nothing is claimed here')),
    })

  /** Steps that `id` shows while time passes, without repeats, until `last`. */
  async function stepsOf(id: () => string | undefined, last: string): Promise<string[]> {
    const seen: string[] = []
    await village.soon(() => {
      const name = id()
      const shown = name === undefined ? undefined : view().operation(name)
      const step = shown !== undefined && 'step' in shown ? shown.step : undefined
      if (step !== undefined && step !== seen.at(-1)) seen.push(step)
      return seen.at(-1) === last
    }, 40_000)
    return seen
  }

  it('PI-3: a payment that waits in Bitcoin is Detected, with reason and what comes next, and gone when it is replaced', async () => {
    const made = depositOf(village.genesis, 'waiting', 100_000_000n, alice.address)
    const id = `${toDisplayHash(txid(made))}:0`
    village.mempool.set(toHex(txid(made)), made)
    await village.soon(() => view().operation(id) !== undefined, 40_000)
    expect(view().operation(id)).toMatchObject({
      direction: 'in',
      step: 'Detected',
      amountSat: 100_000_000n,
      progress: { have: 0, need: 3 },
      reason: 'Unconfirmed',
      next: expect.stringMatching(
        /^it waits for a block of Bitcoin; 4 blocks from now, in about 40 minutes/,
      ),
    })
    expect(view().operations(10)).toHaveLength(1)
    const { creditedSat, mintedSat } = village.ledger.state
    expect({ creditedSat, mintedSat }).toEqual({ creditedSat: 0n, mintedSat: 0n })
    village.mempool.clear()
    await village.soon(() => view().operation(id) === undefined, 40_000)
    expect(view().operations(10)).toEqual([])
  })

  it('PI-3: a deposit goes Confirming → AwaitingApproval → Approved → Included, and never back', async () => {
    const made = depositOf(village.genesis, 'first', 100_000_000n, alice.address)
    const id = `${toDisplayHash(txid(made))}:0`
    expect(view().operation(id)).toBeUndefined()
    village.mine(1, [made])
    await village.slots(2)
    expect(view().operation(id)).toMatchObject({
      direction: 'in',
      step: 'Confirming',
      amountSat: 100_000_000n,
      evmAddress: toHex(alice.address),
      progress: { need: 3 },
    })
    village.mine(3)
    const seen = ['Confirming', ...(await stepsOf(() => id, 'Included'))]
    const order = seen.map((step) => (PEG_IN_STEPS as readonly string[]).indexOf(step))
    expect(order.every((at) => at >= 0)).toBe(true)
    expect(order).toEqual(order.toSorted((left, right) => left - right))
    expect(seen).toContain('Approved')
    expect(view().operation(id)).toMatchObject({ step: 'Included', refundable: false })
  })

  it('PO-5: a request goes Committed → … → Booked, with batch, txid and fee', async () => {
    const raw = signed(alice, {
      nonce: 0,
      to: BRIDGE_ADDRESS,
      gas: 1_000_000n,
      value: 2_000_000n * 10n ** 10n,
      data: burnData(p2wpkh('bob')),
      chainId: village.genesis.execution.chainId,
    })
    await village.submit(raw, 'user')
    const request = () => {
      const [found] = [...village.ledger.sets.requests.entries()]
      return found && toHex(found[0])
    }
    const first = await stepsOf(request, 'Broadcast')
    const sent = view().operation(request() as string)
    expect(sent).toMatchObject({ direction: 'out', step: 'Broadcast', amountSat: 2_000_000n })
    expect(sent).toHaveProperty('txid', toDisplayHash(paidBy(village)))
    village.mine(3)
    const seen = [...first, ...(await stepsOf(request, 'Booked'))]
    const order = seen.map((step) => (PEG_OUT_STEPS as readonly string[]).indexOf(step))
    expect(order).toEqual(order.toSorted((left, right) => left - right))
    expect(seen).toEqual(expect.arrayContaining(['Committed', 'Broadcast', 'Confirmed', 'Booked']))
    const paid = view().operation(request() as string)
    expect(paid).toMatchObject({ step: 'Booked' })
    expect((paid as { feeSat?: bigint }).feeSat).toBeGreaterThan(0n)
    const listed = (await view().operations(10)).map(({ direction, step }) => [direction, step])
    expect(listed).toEqual(
      expect.arrayContaining([
        ['in', 'Included'],
        ['out', 'Booked'],
      ]),
    )
  })

  it('PI-3: an illegal transition is a bug, not a state', () => {
    for (const machine of [pegInMachine, pegOutMachine]) {
      const start = compileMachine(machine)
      const legal = new Set(edgesOf(machine).map(({ from, event }) => `${from} ${event}`))
      for (const event of machine.events) {
        if (legal.has(`${start.name} ${event}`)) continue
        expect(() => walk(start, event)).toThrow(`${event} is not accepted in ${start.name}`)
      }
    }
  })
})

/** Internal order, of the only payout. */
function paidBy(village: Village): Uint8Array {
  const [transaction] = village.mempool.values()
  if (transaction === undefined) throw new Error('nothing in the mempool')
  return txid(transaction)
}
