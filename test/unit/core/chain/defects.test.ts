import { AbiCoder } from 'ethers'
import { checkBlock, completeBlock } from '../../../../core/chain/index.ts'
import { REQUEST_STATE } from '../../../../core/ledger/index.ts'
import { authorOfSlot } from '../../../../core/pbft/index.ts'
import {
  changeOutput,
  describeReserve,
  findRequest,
  openBatches,
  requestId,
} from '../../../../core/peg/index.ts'
import { concatBytes, hexBytes, toHex } from '../../../../crypto/index.ts'
import { BRIDGE_ADDRESS, createdAddress, REQUEST_PEG_OUT_TOPIC } from '../../../../vm/evm/index.ts'
import { addressOf, approve, claimOf, p2wpkh, payment } from '../peg/world.ts'
import {
  alice,
  burn,
  callData,
  EAGER,
  recordedPayout,
  transact,
  travel,
  WEI_PER_SAT,
} from './journey.ts'
import { EMPTY_QUEUE, openTownEngine, reseal, Town } from './town.ts'

/** Alice has 5,000,000 sat less the fee, and 1000 of it in the fund. */
async function fundedTown(): Promise<Town> {
  const town = await Town.open(EAGER)
  await town.grow({ queue: town.deposit('alice', 5_000_000n, alice.address) })
  return town
}

const word = (value: number) => [0x61, value >> 8, value & 0xff]

/** A constructor that copies its tail into memory and runs `then` over it. */
function constructorWith(data: Uint8Array, then: (size: number) => readonly number[]): Uint8Array {
  const rest = then(data.length)
  const offset = 8 + rest.length
  return Uint8Array.of(...word(data.length), ...word(offset), 0x5f, 0x39, ...rest, ...data)
}

/** A contract of this code. */
function deployment(code: Uint8Array): Uint8Array {
  return constructorWith(code, (size) => [...word(size), 0x5f, 0xf3])
}

/** Calls the Bridge with its own calldata and a share of the value, so many times. */
function forwarder(times: number): Uint8Array {
  const share = [0x60, times, 0x34, 0x04]
  const once = [0x5f, 0x5f, 0x36, 0x5f, ...share, 0x73, ...BRIDGE_ADDRESS, 0x5a, 0xf1, 0x50]
  const calls = Array.from({ length: times }, () => once).flat()
  return Uint8Array.of(0x36, 0x5f, 0x5f, 0x37, ...calls, 0x00)
}

const requestsOf = (town: Town) => describeReserve(town.head.ledger).inFlight

describe('the defects of those before us, as blocks', () => {
  it('D3: a deposit for the address that gets the block’s fees is credited like any other', async () => {
    const town = await Town.open()
    const { slot } = town.head.header
    const author = authorOfSlot(town.genesis.validators, slot, slot + 1)
    const address = author?.address ?? new Uint8Array(20)
    const first = town.deposit('one', 300_000n, address)
    const second = town.deposit('two', 200_000n, address)
    const made = await town.make({
      queue: { ...second, pegIns: [...first.pegIns, ...second.pegIns] },
    })
    const { feeRecipient, withdrawals } = made.block.body.payload
    expect(feeRecipient).toEqual(address)
    expect(withdrawals.map(({ address: to, amountGwei }) => [toHex(to), amountGwei])).toEqual([
      [toHex(address), 2_990_000n],
      [toHex(address), 1_990_000n],
    ])
    expect(town.codeOf(made.block, made.outcome)).toBeUndefined()
  })

  it('D4, PO-1: a constructor that emits the Bridge’s event burns nothing and is paid nothing', async () => {
    const town = await fundedTown()
    const data = hexBytes(
      AbiCoder.defaultAbiCoder()
        .encode(['bytes', 'uint256'], [p2wpkh('thief'), 4_000_000n * WEI_PER_SAT])
        .slice(2),
    )
    const forge = constructorWith(data, (size) => [
      ...[0x73, ...alice.address, 0x7f, ...REQUEST_PEG_OUT_TOPIC, ...word(size), 0x5f, 0xa2, 0x00],
    ])
    const made = await town.grow({
      transactions: [transact(town, alice, { nonce: 0, data: forge })],
    })
    const receipt = town.store.receiptsAt(2)?.[0]
    expect(receipt?.status).toBe(1)
    expect(receipt?.logs[0]?.topics[0]).toEqual(REQUEST_PEG_OUT_TOPIC)
    expect(receipt?.logs[0]?.data).toEqual(data)
    expect(made.outcome.burns).toEqual([])
    expect(requestsOf(town).map(({ kind }) => kind)).toEqual(['fund'])
  })

  it('D5, PO-1: a burn through another contract counts, for the contract that made it', async () => {
    const town = await fundedTown()
    const wallet = createdAddress(alice.address, 0n)
    const data = callData('requestPegOut', p2wpkh('carol'))
    const made = await town.grow({
      transactions: [
        transact(town, alice, { nonce: 0, data: deployment(forwarder(1)) }),
        transact(town, alice, { nonce: 1, to: wallet, data, value: 700_000n * WEI_PER_SAT }),
      ],
    })
    const id = requestId(town.genesis, made.block.header.evmBlockHash, 0)
    expect(findRequest(town.head.ledger, id)).toMatchObject({
      burner: wallet,
      amountSat: 700_000n,
      scriptPubKey: p2wpkh('carol'),
      state: REQUEST_STATE.open,
    })
    await town.grow()
    expect(recordedPayout(town).outputs[0]?.scriptPubKey).toEqual(p2wpkh('carol'))
  })

  it('PO-2: two requests of one transaction are two, each with its own id', async () => {
    const town = await fundedTown()
    const twice = createdAddress(alice.address, 0n)
    const data = callData('requestPegOut', p2wpkh('carol'))
    const made = await town.grow({
      transactions: [
        transact(town, alice, { nonce: 0, data: deployment(forwarder(2)) }),
        transact(town, alice, { nonce: 1, to: twice, data, value: 400_000n * WEI_PER_SAT }),
      ],
    })
    const ids = [0, 1].map((log) => requestId(town.genesis, made.block.header.evmBlockHash, log))
    expect(ids.map((id) => findRequest(town.head.ledger, id)?.amountSat)).toEqual([
      200_000n,
      200_000n,
    ])
  })

  it('PO-1: a request in a reverted transaction is none', async () => {
    const town = await fundedTown()
    // The forwarder, then INVALID: the inner call succeeds, the transaction does not.
    const code = forwarder(1)
    code[code.length - 1] = 0xfe
    const made = await town.grow({
      transactions: [
        transact(town, alice, { nonce: 0, data: deployment(code) }),
        transact(town, alice, {
          nonce: 1,
          to: createdAddress(alice.address, 0n),
          data: callData('requestPegOut', p2wpkh('carol')),
          value: 700_000n * WEI_PER_SAT,
        }),
      ],
    })
    expect(town.store.receiptsAt(2)?.map(({ status }) => status)).toEqual([1, 0])
    expect(made.outcome.burns).toEqual([])
  })

  it('D6, PO-6: a burn that the free reserve cannot pay waits; blocks go on and it is paid later', async () => {
    const town = await fundedTown()
    await town.grow({ transactions: [burn(town, 0, 1_000_000n)] })
    await town.grow()
    expect(openBatches(town.head.ledger)).toHaveLength(1)
    // The only reserve output is in the first batch.
    const second = await town.grow({ transactions: [burn(town, 1, 2_500_000n)] })
    for (let block = 0; block < 3; block++) {
      const { block: next } = await town.grow()
      expect(next.body.records).toEqual([])
    }
    const id = requestId(town.genesis, second.block.header.evmBlockHash, 0)
    expect(findRequest(town.head.ledger, id)?.state).toBe(REQUEST_STATE.open)
    const payout = recordedPayout(town)
    town.bitcoin.mine([payout])
    town.bitcoin.mine()
    await town.grow({
      queue: {
        ...EMPTY_QUEUE,
        headers: town.bitcoin.headersAfter(town.head.ledger.state.tipHeight),
        bookings: [town.bitcoin.proofOf(payout)],
      },
    })
    const { block: paying } = await town.grow()
    expect(paying.body.records).toHaveLength(1)
    expect(findRequest(town.head.ledger, id)?.state).toBe(REQUEST_STATE.batched)
  })

  it('D7: a record that gives the reserve to the miner, or is any other than the one that is due', async () => {
    const town = await fundedTown()
    await town.grow({ transactions: [burn(town, 0, 1_000_000n)] })
    const made = await town.make()
    const [record] = made.block.body.records
    if (record === undefined) throw new Error('a record is due')
    const codeOf = (change: Partial<typeof record>) =>
      town.codeOf(
        reseal(town.genesis, made.block, { body: { records: [{ ...record, ...change }] } }),
      )
    expect(codeOf({})).toBeUndefined()
    expect(codeOf({ feeRateSatPerKvb: 400_000 })).toBe('RecordRateOutOfBounds')
    expect(codeOf({ feeRateSatPerKvb: 0 })).toBe('RecordRateOutOfBounds')
    expect(codeOf({ feeRateSatPerKvb: record.feeRateSatPerKvb + 1 })).toBe('RecordWrong')
    const bytes = record.transaction.slice()
    bytes[bytes.length - 6] = (bytes[bytes.length - 6] as number) ^ 1
    expect(codeOf({ transaction: bytes })).toBe('RecordWrong')
    expect(codeOf({ batchId: new Uint8Array(32) })).toBe('RecordWrong')
    const early = await fundedTown()
    const idle = await early.make()
    const unasked = reseal(early.genesis, idle.block, { body: { records: [record] } })
    expect(early.codeOf(unasked)).toBe('RecordNotDue')
    const twice = reseal(town.genesis, made.block, { body: { records: [record, record] } })
    expect(town.codeOf(twice)).toBe('RecordExtra')
  })

  it('D8, PI-2: a deposit that names no address is recorded, mints nothing and stays owed', async () => {
    const town = await Town.open()
    const { scriptPubKey } = changeOutput(town.genesis, 0)
    const bare = payment('careless', [{ amountSat: 90_000n, scriptPubKey }])
    town.bitcoin.mine([bare])
    town.bitcoin.mine([], 2)
    const claim = claimOf(town.bitcoin, bare, { kind: 'refundable', reason: 'badPayload' })
    const made = await town.grow({
      queue: {
        headers: town.bitcoin.headersAfter(0),
        pegIns: [{ claim, approval: approve(town.genesis, claim) }],
        bookings: [],
      },
    })
    expect(made.block.body.pegIns).toHaveLength(1)
    expect(made.block.body.payload.withdrawals).toEqual([])
    const book = describeReserve(town.head.ledger)
    expect(book).toMatchObject({ reserveSat: 90_000n, supplySat: 0n, inFlightSat: 90_000n })
    expect(book.inFlight).toMatchObject([{ kind: 'refundOwed', amountSat: 90_000n }])
  })

  it('D8, PO-4: a burn to no Bitcoin address of ours is minted back once, less the fee', async () => {
    const town = await fundedTown()
    const text = new TextEncoder().encode('bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4')
    await town.grow({ transactions: [burn(town, 0, 600_000n, text)] })
    const { block: refunding } = await town.grow()
    expect(refunding.body.payload.withdrawals).toEqual([
      { index: 1, validatorIndex: 1, address: alice.address, amountGwei: 5_995_000n },
    ])
    const { block: after } = await town.grow()
    expect(after.body.payload.withdrawals).toEqual([])
    expect(requestsOf(town).filter(({ kind }) => kind !== 'fund')).toEqual([])
  })

  it('D14, PO-10: what a batch spends is held from its record to its booking, and never longer', async () => {
    const { recorded, booked, burned } = await travel()
    const held = ({ head }: { head: typeof recorded.head }) =>
      [...head.ledger.open.reserve.values()].map(({ row }) => row.batchId.some((byte) => byte > 0))
    expect(held(burned)).toEqual([false])
    expect(held(recorded)).toEqual([true])
    expect(held(booked)).toEqual([false])
  })

  it('PI-8: a candidate that is dropped leaves no trace: its deposit is minted by the block that wins', async () => {
    const town = await Town.open()
    const queue = town.deposit('raced', 1_000_000n)
    const loser = await town.make({ queue, feeRateSatPerKvb: 3000 })
    const winner = await town.make({ queue })
    expect(loser.head.hash).not.toEqual(winner.head.hash)
    await town.commit(winner)
    expect(town.head.ledger.state.mintedSat).toBe(999_000n)
    const next = await town.make({ queue })
    expect(next.block.body.pegIns).toEqual([])
    expect(next.block.body.payload.withdrawals).toEqual([])
  })

  it('BF-4, T1: a block whose payload does not execute as it says is invalid however well it is signed', async () => {
    const town = await fundedTown()
    const made = await town.make({ transactions: [burn(town, 0, 500_000n)] })
    const { engine } = await openTownEngine(town.genesis)
    for (const { block } of town.chain) {
      await engine.execute({ payload: block.body.payload })
      await engine.commit(block.body.payload.blockHash)
    }
    const forged = reseal(town.genesis, made.block, { payload: { stateRoot: addressRoot() } })
    expect(checkBlock(town.genesis, town.head, forged).ok).toBe(true)
    expect(await engine.execute({ payload: forged.body.payload })).toMatchObject({
      status: 'INVALID',
      code: 'StateRootMismatch',
    })
    const honest = await engine.execute({ payload: made.block.body.payload })
    if (honest.status !== 'VALID') throw new Error(honest.code)
    const begun = checkBlock(town.genesis, town.head, made.block)
    if (!begun.ok) throw new Error(begun.error.code)
    expect(completeBlock(town.genesis, town.head, begun.value, honest.outcome).ok).toBe(true)
  })
})

function addressRoot(): Uint8Array {
  return concatBytes(addressOf('state'), new Uint8Array(12))
}
