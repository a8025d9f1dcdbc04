/** Approved changes that wait at Chain: few, of the next place only, each once (P 1.4, BF-13). */
import {
  standingChanges,
  standingOrders,
  takeChange,
  takeOrder,
} from '../../../../actors/chain/changes.ts'
import { MAX_WAITING_CHANGES, MAX_WAITING_ORDERS } from '../../../../actors/chain/limits.ts'
import { outpointKey } from '../../../../core/ledger/index.ts'
import type { BlsKeyPair } from '../../../../crypto/index.ts'
import { joiningKeys, reseal, Town } from '../../core/chain/town.ts'
import { approvedOrder, orderOf } from '../../core/peg/orders.ts'
import { approve, claimOf, depositOf, p2wpkh } from '../../core/peg/world.ts'
import { adding, approved, removing } from '../../core/validators/changes.ts'

const joining = joiningKeys[0] as BlsKeyPair

it('a change is taken once, whoever approved it, and leaves when another took its place', async () => {
  const town = await Town.open()
  const { genesis } = town
  const { ledger } = town.head
  const change = adding(ledger, joining)
  const taken = takeChange(genesis, ledger, new Map(), approved(genesis, change))
  if (taken.kind !== 'taken') throw new Error(taken.kind)
  const others = approved(genesis, change, [1, 2, 3])
  expect(takeChange(genesis, ledger, taken.waiting, others)).toMatchObject({ kind: 'known' })
  const gone = removing(ledger, genesis.validators[0]?.blsKey as Uint8Array)
  await town.grow({ validatorChanges: [approved(genesis, gone)] })
  expect(standingChanges(ledger, taken.waiting).size).toBe(1)
  expect(standingChanges(town.head.ledger, taken.waiting).size).toBe(0)
})

it('what breaks a rule is refused with its code, and no more than a few wait', async () => {
  const town = await Town.open()
  const { genesis } = town
  const { ledger } = town.head
  const few = approved(genesis, adding(ledger, joining), [0])
  expect(takeChange(genesis, ledger, new Map(), few)).toMatchObject({
    fault: { code: 'ApprovalQuorumMissing' },
  })
  let waiting: Parameters<typeof takeChange>[2] = new Map()
  const outcomes: string[] = []
  for (let count = 0; count <= MAX_WAITING_CHANGES; count++) {
    const change = { ...adding(ledger, joining), address: new Uint8Array(20).fill(count + 1) }
    const taken = takeChange(genesis, ledger, waiting, approved(genesis, change))
    if (taken.kind === 'taken') waiting = taken.waiting
    outcomes.push(taken.kind === 'refused' ? taken.fault.code : taken.kind)
  }
  expect(outcomes.at(-1)).toBe('ValidatorChangesFull')
  expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['taken']))
})

it('an order about the peg waits until a block has it, and changes what blocks commit to (5.9, PI-11)', async () => {
  const town = await Town.open()
  const { genesis } = town
  // To a precompile, and with no refund script: owed back, and nobody knows to whom.
  const evmAddress = new Uint8Array(20).fill(1, 19)
  const deposit = depositOf(genesis, 'careless', 200_000n, evmAddress)
  town.bitcoin.mine([deposit])
  town.bitcoin.mine([], 2)
  const kind = { kind: 'refundable', reason: 'forbiddenAddress', evmAddress } as const
  const claim = claimOf(town.bitcoin, deposit, kind)
  const pegIns = [{ claim, approval: approve(genesis, claim) }]
  await town.grow({ queue: { headers: town.bitcoin.headersAfter(0), pegIns, bookings: [] } })
  const key = outpointKey(claim.txid, 0)
  const order = orderOf('refundTo', key, { scriptPubKey: p2wpkh('owner') })
  const item = approvedOrder(genesis, order)
  const taken = takeOrder(genesis, town.head.ledger, new Map(), item)
  if (taken.kind !== 'taken') throw new Error(JSON.stringify(taken))
  expect(takeOrder(genesis, town.head.ledger, taken.waiting, item).kind).toBe('known')
  const full = new Map(Array.from({ length: MAX_WAITING_ORDERS }, (_, at) => [`${at}`, item]))
  expect(takeOrder(genesis, town.head.ledger, full, item)).toMatchObject({
    fault: { code: 'PegOrdersFull' },
  })
  const few = approvedOrder(genesis, order, [0, 1])
  expect(takeOrder(genesis, town.head.ledger, new Map(), few)).toMatchObject({
    fault: { code: 'ApprovalQuorumMissing' },
  })
  const made = await town.make({ pegOrders: [few, item] })
  expect(made.block.body.pegOrders).toEqual([item])
  expect(town.codeOf(made.block, made.outcome)).toBeUndefined()
  const without = reseal(town.genesis, made.block, { body: { pegOrders: [] } })
  expect(town.codeOf(without, made.outcome)).toBe('WrongLedgerRoot')
  const forged = reseal(town.genesis, made.block, { body: { pegOrders: [few] } })
  expect(town.codeOf(forged, made.outcome)).toBe('ApprovalQuorumMissing')
  expect(standingOrders(town.head.ledger, taken.waiting).size).toBe(1)
  await town.commit(made)
  expect(standingOrders(town.head.ledger, taken.waiting).size).toBe(0)
})
