/** What goes wrong around a node: Bitcoin, members, engine, disk. No coin is lost or made, and blocks go on. */

import { txid } from '../../../core/bitcoin/index.ts'
import { OUTPUT_STATE, outpointKey, REQUEST_STATE, rowOf } from '../../../core/ledger/index.ts'
import { changeOutput, depositPayloadScript, describeReserve } from '../../../core/peg/index.ts'
import { toDisplayHash, toHex } from '../../../crypto/index.ts'
import { createPegView } from '../../../node/views/index.ts'
import { BRIDGE_ADDRESS } from '../../../vm/evm/index.ts'
import { burnData } from '../core/chain/journey.ts'
import { depositOf, p2wpkh, payment } from '../core/peg/world.ts'
import { keyOf, signed } from '../vm/evm/fixtures.ts'
import { Disks, Village } from './village.ts'

const alice = keyOf('alice')
const COIN_SAT = 100_000_000n

const opened: Village[] = []
async function village(...options: ConstructorParameters<typeof Village>): Promise<Village> {
  const started = await new Village(...options).start()
  opened.push(started)
  return started
}
afterEach(async () => {
  for (const each of opened.splice(0)) await each.stop()
})

const deposit = (town: Village, name = 'first') =>
  depositOf(town.genesis, name, COIN_SAT, alice.address)

/** Mined and minted. */
async function fund(town: Village): Promise<void> {
  town.mine(1, [deposit(town)])
  town.mine(3)
  await town.until(() => town.ledger.state.mintedSat > 0n)
}

async function burn(town: Village, nonce = 0, amountSat = 2_000_000n): Promise<void> {
  const raw = signed(alice, {
    nonce,
    to: BRIDGE_ADDRESS,
    gas: 1_000_000n,
    value: amountSat * 10n ** 10n,
    data: burnData(p2wpkh('bob')),
    chainId: town.genesis.execution.chainId,
  })
  const answer = await town.submit(raw, `burn ${nonce}`)
  if (!answer.ok || answer.value.type !== 'engine.TransactionAccepted') throw new Error('refused')
}

const events = (town: Village, event: string) =>
  town.ports.log.records.filter((record) => record.event === event)
const approvalsAsked = (town: Village) =>
  town.asked.filter(({ message }) => message.body.kind === 'requestFederationApproval').length
const modeOf = (town: Village, actor: string) =>
  town.tree.system.snapshot().find(({ path }) => path === actor)?.state
const stepsOf = (town: Village) => town.tree.live.operations.map(({ step }) => step)

const pegView = ({ genesis, tree }: Village) =>
  createPegView({
    genesis,
    live: tree.live,
    burnTransaction: () => undefined,
    requestsOf: () => [],
    depositAddresses: { find: () => undefined, watch: async () => undefined },
    claim: () => Promise.reject(new Error('nothing is claimed here')),
  })

function inBalance(town: Village): void {
  const book = describeReserve(town.ledger)
  expect(book.reserveSat).toBe(book.supplySat + book.inFlightSat)
}

describe('Bitcoin', () => {
  it('out of reach from the start: blocks go on, the bridge is Failed and comes back with the first answer', async () => {
    const town = new Village()
    opened.push(town)
    town.mood.reachable = false
    await town.start()
    await town.slots(3)
    expect(town.height).toBeGreaterThanOrEqual(2)
    expect(modeOf(town, 'bridge')).toBe('Failed')
    expect(events(town, 'Bitcoin is lost')).toHaveLength(1)
    town.mood.reachable = true
    await town.slots(2)
    expect(modeOf(town, 'bridge')).toBe('Monitoring')
    await fund(town)
    inBalance(town)
  })

  it('BP-6, 4.6: with no view of Bitcoin the author leaves peg items out rather than skip the slot', async () => {
    const town = await village()
    town.mine(1, [deposit(town)])
    town.mine(3)
    await town.soon(() => stepsOf(town).includes('Approved'))
    town.mood.reachable = false
    const before = town.height
    await town.slots(4)
    expect(town.height).toBe(before + 4)
    expect(town.ledger.state.mintedSat).toBe(0n)
    expect(events(town, 'the bridge objects').length).toBeGreaterThan(0)
    expect(events(town, 'Bitcoin is lost')).toHaveLength(1)
    expect(modeOf(town, 'bridge')).toBe('Monitoring')
    town.mood.reachable = true
    await town.until(() => town.ledger.state.mintedSat > 0n)
    inBalance(town)
  })

  it('PI-4: nothing is asked at N confirmations of our Bitcoin, all at N + 1', async () => {
    const town = await village()
    town.mine(1, [deposit(town)])
    town.mine(2)
    await town.slots(8)
    expect(approvalsAsked(town)).toBe(0)
    expect(stepsOf(town)).toEqual(['Confirming'])
    town.mine(1)
    await town.until(() => town.ledger.state.mintedSat > 0n)
  })

  it('PI-6: a reorg that takes the deposit away before its credit leaves nothing to mint', async () => {
    const town = await village()
    const fork = town.bitcoin.fork(0, 'other')
    town.mine(1, [deposit(town)])
    town.mine(1)
    await town.until(() => stepsOf(town).length === 1)
    fork.mine([], 8)
    town.bitcoin = fork
    await town.slots(8)
    expect(events(town, 'deposit orphaned')).toHaveLength(1)
    expect(stepsOf(town)).toEqual([])
    expect(approvalsAsked(town)).toBe(0)
    expect(town.ledger.state).toMatchObject({ mintedSat: 0n, reserveSat: 0n, tipHeight: 7 })
  })

  it('PI-6: a reorg that moves the deposit starts it anew with its new proof, and mints it once', async () => {
    const town = await village()
    const made = deposit(town)
    const fork = town.bitcoin.fork(0, 'other')
    town.mine(1, [made])
    town.mine(1)
    await town.until(() => stepsOf(town).length === 1)
    fork.mine([], 2)
    fork.mine([made], 5)
    town.bitcoin = fork
    await town.until(() => town.ledger.state.mintedSat > 0n)
    await town.slots(6)
    expect(events(town, 'deposit moved')).toHaveLength(1)
    expect(town.ledger.state).toMatchObject({ nextWithdrawalIndex: 1, reserveSat: COIN_SAT })
    inBalance(town)
  })

  it('4.9, PI-8: a credited deposit that a reorg moved is proven again and minted no second time', async () => {
    const town = await village()
    const made = deposit(town)
    const fork = town.bitcoin.fork(0, 'other')
    town.mine(1, [made])
    town.mine(3)
    await town.until(() => town.ledger.state.mintedSat > 0n)
    fork.mine([], 4)
    fork.mine([made])
    town.bitcoin = fork
    await town.until(() => town.ledger.state.deficitSat > 0n)
    expect(town.ledger.state.pegInStops).toBe(1)
    const lost = { id: `${toDisplayHash(txid(made))}:0`, kind: 'deficit', amountSat: -COIN_SAT }
    expect(await pegView(town).reserve()).toMatchObject({
      pegInsPaused: true,
      pegOutsPaused: false,
      inFlight: expect.arrayContaining([lost]),
    })
    inBalance(town)
    fork.mine([], 4)
    await town.until(() => town.ledger.state.deficitSat === 0n)
    expect(town.ledger.state).toMatchObject({
      nextWithdrawalIndex: 1,
      reserveSat: COIN_SAT,
      pegInStops: 0,
    })
    const row = rowOf(town.ledger, 'outputs', outpointKey(txid(made), 0))
    expect(row).toMatchObject({ state: OUTPUT_STATE.live, bitcoinHeight: 5 })
    inBalance(town)
  })

  it('incident 41: a reorg in the middle of a look leaves out no block', async () => {
    const town = await village()
    await town.slots(2)
    const fork = town.bitcoin.fork(0, 'other')
    fork.mine([deposit(town)])
    fork.mine([], 7)
    // Between two answers of one look the branch changes: block 1 is of the old one, block 2 of the new.
    town.mine(2)
    const { blocks } = town.bitcoin
    blocks.splice(2, 1, ...fork.blocks.slice(2))
    await town.slots(2)
    town.bitcoin = fork
    await town.until(() => town.ledger.state.mintedSat > 0n)
  })
})

describe('members', () => {
  it('PI-10: silent ones are asked again; the deposit waits and is minted when a quorum is there', async () => {
    const town = new Village()
    opened.push(town)
    town.members.clear()
    await town.start()
    town.mine(1, [deposit(town)])
    town.mine(3)
    await town.slots(12)
    expect(stepsOf(town)).toEqual(['AwaitingApproval'])
    expect(town.flowsOf('stream', 'stream.GovernanceApprovalRequest').length).toBeGreaterThan(1)
    expect(new Set(town.flowsOf('stream', 'stream.GovernanceApprovalRequest')).size).toBe(1)
    for (const member of [0, 1, 2]) town.join(member)
    await town.until(() => town.ledger.state.mintedSat > 0n)
  })

  it('PI-10: with more denials than a quorum can spare the deposit is denied, with the reason, and nobody is asked again', async () => {
    const town = await village()
    town.mood.denies.add(0).add(3)
    town.mine(1, [deposit(town)])
    town.mine(3)
    await town.until(() => stepsOf(town).includes('Denied'))
    const asked = town.flowsOf('stream', 'stream.GovernanceApprovalRequest').length
    await town.slots(12)
    expect(town.flowsOf('stream', 'stream.GovernanceApprovalRequest')).toHaveLength(asked)
    expect(town.tree.live.operations).toMatchObject([
      { step: 'Denied', mode: 'Monitoring', reason: 'NotSeen' },
    ])
    expect(town.ledger.state.mintedSat).toBe(0n)
  })

  it('one denial is no denial: t of the others credit the deposit', async () => {
    const town = await village()
    town.mood.denies.add(2)
    await fund(town)
    expect(town.ledger.state.mintedSat).toBe(COIN_SAT - 1000n)
  })

  it('PO-12, D11: fewer than t signatures end the round, blocks are final meanwhile; the next round pays, once', async () => {
    const town = await village()
    await fund(town)
    town.mood.signsNot.add(0).add(1)
    await burn(town)
    await town.until(() => stepsOf(town).includes('CollectingSignatures'))
    const before = town.height
    await town.slots(18)
    expect(town.height).toBeGreaterThanOrEqual(before + 17)
    expect(town.mempool.size).toBe(0)
    const [payout] = town.tree.live.operations.filter(({ direction }) => direction === 'out')
    expect(payout).toMatchObject({ attempt: 1 })
    town.mood.signsNot.clear()
    await town.until(() => town.mempool.size > 0)
    town.mine(3)
    await town.until(() => town.ledger.open.batches.size === 0)
    expect(town.ledger.state.unpaidSat).toBe(0n)
    inBalance(town)
  })
})

describe('a payout on its way', () => {
  it('PO-14: refused by Bitcoin it is tried again, and the reason is shown meanwhile', async () => {
    const town = await village()
    await fund(town)
    town.mood.refuses = 'min relay fee not met'
    await burn(town)
    await town.until(() => events(town, 'broadcast refused').length > 0)
    const shown = town.tree.live.operations.find(({ direction }) => direction === 'out')
    expect(shown).toMatchObject({ step: 'Batched', reason: 'min relay fee not met' })
    town.mood.refuses = undefined
    await town.until(() => town.mempool.size > 0)
    town.mine(3)
    await town.until(() => town.ledger.open.batches.size === 0)
  })

  it('PO-14: out of the mempool without a block it is sent again, the same bytes', async () => {
    const town = await village()
    await fund(town)
    await burn(town)
    await town.until(() => town.mempool.size > 0)
    const [first] = town.mempool.keys()
    town.mempool.clear()
    await town.until(() => town.mempool.size > 0)
    expect([...town.mempool.keys()]).toEqual([first])
    town.mine(3)
    await town.until(() => town.ledger.open.batches.size === 0)
  })

  it('PO-16: a payout that a reorg took out of its block is sent again and booked once', async () => {
    const town = await village()
    await fund(town)
    await burn(town)
    await town.until(() => town.mempool.size > 0)
    const fork = town.bitcoin.fork(town.bitcoin.tip.height, 'other')
    town.mine(1)
    await town.until(() => stepsOf(town).includes('Confirmed'))
    fork.mine([], 3)
    town.bitcoin = fork
    await town.until(() => events(town, 'payout lost its block').length > 0)
    await town.until(() => town.mempool.size > 0)
    town.mine(3)
    await town.until(() => town.ledger.open.batches.size === 0)
    const requests = [...town.ledger.sets.requests.entries()]
    expect(requests.map(([, { state }]) => state)).toEqual([REQUEST_STATE.paid])
    inBalance(town)
  })

  it('PO-15: what Bitcoin does not mine for three blocks is bumped, signed again and replaced; one version is booked', async () => {
    const town = await village()
    await fund(town)
    await burn(town)
    await town.until(() => town.mempool.size > 0)
    const [first = ''] = town.mempool.keys()
    town.bitcoin.mine([], 4)
    await town.until(() => town.mempool.size > 0 && !town.mempool.has(first))
    const [batch] = town.ledger.open.batches.values()
    expect(batch?.row.versions).toHaveLength(2)
    expect([...town.mempool.keys()]).toEqual(batch?.row.versions.slice(1).map(toHex))
    town.mine(3)
    await town.until(() => town.ledger.open.batches.size === 0)
    const requests = [...town.ledger.sets.requests.entries()]
    expect(requests.map(([, { state }]) => state)).toEqual([REQUEST_STATE.paid])
    inBalance(town)
    const [id] = requests.map(([key]) => toHex(key))
    const peg = pegView(town)
    expect(await peg.operation(id ?? '')).toMatchObject({
      step: 'Booked',
      versions: [
        { feeRateSatPerKvb: 2000, state: 'replaced' },
        { feeRateSatPerKvb: 3000, state: 'booked' },
      ],
    })
  })

  it('PO-16: the version that was replaced may be the one that confirms', async () => {
    const town = await village()
    await fund(town)
    await burn(town)
    await town.until(() => town.mempool.size > 0)
    const [[first, old] = []] = town.mempool
    if (first === undefined || old === undefined) throw new Error('nothing was sent')
    town.bitcoin.mine([], 4)
    await town.until(() => !town.mempool.has(first) && town.mempool.size > 0)
    town.mempool.clear()
    town.mine(1, [old])
    town.mine(3)
    await town.until(() => town.ledger.open.batches.size === 0)
    const [request] = [...town.ledger.sets.requests.entries()].map(([, row]) => row)
    expect(request).toMatchObject({ state: REQUEST_STATE.paid, paidBy: txid(old) })
    inBalance(town)
  })

  it('4.5: a spend of the reserve without a record is booked as a deficit, and peg-outs stop', async () => {
    const town = await village()
    await fund(town)
    const theft = payment({ txid: txid(deposit(town)), vout: 0 }, [
      { amountSat: COIN_SAT - 500n, scriptPubKey: p2wpkh('thief') },
    ])
    town.mine(1, [theft])
    town.mine(3)
    await town.until(() => town.ledger.state.pegOutStops > 0)
    expect(town.ledger.state).toMatchObject({ reserveSat: 0n, deficitSat: COIN_SAT })
    expect(events(town, 'reserve spent without a record').length).toBe(1)
    inBalance(town)
    await burn(town)
    await town.slots(4)
    expect(town.ledger.open.batches.size).toBe(0)
    expect(await pegView(town).reserve()).toMatchObject({
      pegInsPaused: false,
      pegOutsPaused: true,
      inFlight: expect.arrayContaining([
        { id: toDisplayHash(txid(theft)), kind: 'deficit', amountSat: -COIN_SAT },
      ]),
    })
    const [waiting] = await pegView(town).operations(1)
    expect(waiting).toMatchObject({
      step: 'Committed',
      next: expect.stringMatching(/^nothing is paid until/),
    })
  })
})

describe('engine, disk and process', () => {
  it('PI-8: an approved deposit is told again to a Chain that started anew', async () => {
    const town = await village()
    town.mine(1, [deposit(town)])
    town.mine(3)
    await town.soon(() => stepsOf(town).includes('Approved'))
    town.mood.reachable = false
    town.mood.engineDies = true
    await town.slots(3)
    const restarted = (name: string) =>
      town.tree.system.snapshot().find(({ path }) => path === name)?.restarts
    expect(restarted('engine')).toBe(1)
    town.mood.reachable = true
    const height = town.height
    await town.until(() => town.ledger.state.mintedSat > 0n)
    expect(town.height).toBeGreaterThan(height)
    expect(town.ledger.state.nextWithdrawalIndex).toBe(1)
  })

  it('BP-7: a write that fails is no commit; the chain comes back and goes on with the same history', async () => {
    const town = await village()
    await town.slots(2)
    const before = town.disks.chain.head
    town.mood.diskFails = true
    await town.slots(12)
    expect(town.disks.chain.head).toBeGreaterThan((before ?? 0) + 1)
    const engine = town.disks.engine.head()?.number ?? 0
    expect(engine).toBeLessThanOrEqual(town.disks.chain.head ?? 0)
    const heights = [...town.disks.chain.blocks.keys()]
    expect(heights).toEqual(heights.map((_, index) => index + 1))
  })

  it('a disk that is full stops the node cleanly, with the reason; nothing is half written', async () => {
    const town = await village()
    await town.slots(2)
    const before = town.disks.chain.head
    town.mood.diskFull = true
    await town.slots(4)
    const storage = town.tree.system.snapshot().find(({ path }) => path === 'storage')
    expect(storage).toMatchObject({ life: 'Terminated', lastFault: { code: 'DiskUnusable' } })
    expect(storage?.lastFault?.reason).toContain('No space left')
    expect(town.tree.system.snapshot().every(({ life }) => life !== 'Running')).toBe(true)
    expect(town.disks.chain.head).toBe(before)
  })

  it('SU-3: a disk that is slow makes Storage Degraded, a quick write ends it', async () => {
    const town = await village()
    await town.slots(2)
    expect(modeOf(town, 'storage')).toBe('Running')
    town.mood.slowDiskMs = 1_500
    await town.until(() => modeOf(town, 'storage') === 'Degraded')
    town.mood.slowDiskMs = 0
    await town.until(() => modeOf(town, 'storage') === 'Running')
  })

  it('SU-3: an engine that cannot is Degraded until it can; one whose store is away as well', async () => {
    const town = await village()
    await town.slots(2)
    town.mood.engineFaults = true
    await town.until(() => modeOf(town, 'engine') === 'Degraded')
    const { height } = town
    town.mood.engineFaults = false
    await town.until(() => modeOf(town, 'engine') === 'Running' && town.height > height)
    const modes: string[] = []
    town.tree.system.subscribe((event) => {
      if (event.kind === 'state' && event.path === 'engine') modes.push(event.to)
    })
    town.mood.diskFails = true
    await town.until(() => modes.includes('Degraded'))
    await town.until(() => modeOf(town, 'engine') === 'Running')
  })

  it('SU-12, BP-7: another process on the same disks goes on where the first one was killed', async () => {
    const disks = new Disks()
    const first = new Village({}, disks)
    await first.start()
    await fund(first)
    await burn(first)
    await first.until(() => first.ledger.open.batches.size > 0)
    const { height } = first
    // Killed: nothing of it runs any more, and nothing was told.
    const second = new Village({}, disks, first.bitcoin)
    opened.push(second)
    second.ports.clock.advance(first.ports.clock.nowMs() - second.ports.clock.nowMs())
    await second.start()
    expect(second.height).toBe(height)
    expect(second.ledger.state.mintedSat).toBe(COIN_SAT - 1000n)
    await second.until(() => second.mempool.size > 0)
    second.mine(3)
    await second.until(() => second.ledger.open.batches.size === 0)
    expect(second.ledger.state).toMatchObject({ nextWithdrawalIndex: 1, unpaidSat: 0n })
    inBalance(second)
    await first.stop()
  })

  it('PI-11: a deposit that cannot be credited goes back to the refund script that it named, once', async () => {
    const town = await village()
    const precompile = Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? 1 : 0))
    const { scriptPubKey } = changeOutput(town.genesis, 0)
    const careless = payment('careless', [
      { amountSat: 90_000n, scriptPubKey },
      { amountSat: 0n, scriptPubKey: depositPayloadScript(precompile, p2wpkh('back')) },
    ])
    town.mine(1, [careless])
    town.mine(3)
    await town.until(() => town.mempool.size > 0)
    const [refund] = town.mempool.values()
    expect(refund?.outputs.map((output) => output.scriptPubKey)).toEqual([p2wpkh('back')])
    town.mine(3)
    await town.until(() => town.ledger.state.refundsSat === 0n)
    await town.slots(4)
    expect(town.mempool.size).toBe(0)
    expect(town.ledger.state).toMatchObject({ reserveSat: 0n, mintedSat: 0n, fundSat: 0n })
    const id = toDisplayHash(refund ? txid(refund) : new Uint8Array(32))
    expect(await pegView(town).operation(id)).toMatchObject({
      id: `${toDisplayHash(txid(careless))}:0`,
      refundable: true,
      refund: { state: 'refunded', versions: [{ txid: id, state: 'booked' }] },
    })
    inBalance(town)
  })

  it('D8, PI-2: a bare deposit to the federation is refundable, kept in the books and minted to nobody', async () => {
    const town = await village()
    const { scriptPubKey } = changeOutput(town.genesis, 0)
    town.mine(1, [payment('careless', [{ amountSat: 90_000n, scriptPubKey }])])
    town.mine(3)
    await town.until(() => town.ledger.state.refundsSat > 0n)
    expect(town.ledger.state).toMatchObject({ reserveSat: 90_000n, mintedSat: 0n })
    inBalance(town)
  })
})
