import { AbiCoder, Interface } from 'ethers'
import { concatBytes, hexBytes, sha256, toHex } from '../../../../crypto/index.ts'
import {
  BRIDGE_ADDRESS,
  bridgeLogs,
  CANCEL_PEG_OUT_TOPIC,
  FUND_TOPIC,
  REQUEST_PEG_OUT_TOPIC,
} from '../../../../vm/evm/bridge-logs.ts'
import artifacts from '../../../../vm/evm/contracts/artifacts.json' with { type: 'json' }
import type { BuildReply } from '../../../../vm/evm/engine.ts'
import { keccak256 } from '../../../../vm/evm/keccak.ts'
import type { Log, Receipt } from '../../../../vm/evm/receipt.ts'
import { FEE_SPLITTER_ADDRESS } from '../../../../vm/evm/system-contracts.ts'
import { createdAddress } from '../../../../vm/evm/view/chain-reads.ts'
import { attributes, genesis, keyOf, mint, openEngine, signed } from './fixtures.ts'

const alice = keyOf('alice')
const bridge = new Interface(JSON.stringify(artifacts.Bridge.abi))
const splitter = new Interface(JSON.stringify(artifacts.FeeSplitter.abi))
const SATOSHI = 10n ** 10n
const MINIMUM = genesis.minPegOutWei
const text = new TextEncoder()

const P2WPKH = hexBytes(`0014${'11'.repeat(20)}`)

function bytesOf(hex: string): Uint8Array {
  return hexBytes(hex.slice(2))
}

function request(destination: Uint8Array): Uint8Array {
  return bytesOf(bridge.encodeFunctionData('requestPegOut', [destination]))
}

/** Runs calls in one block, after a block that gives alice 100 coins. */
async function runs(
  calls: readonly { to?: Uint8Array; data: Uint8Array; value?: bigint }[],
  toSplitter = 0n,
) {
  const { engine, head, store } = await openEngine()
  const funds = [mint(alice.address, 10n ** 11n), mint(FEE_SPLITTER_ADDRESS, toSplitter, 1)]
  const first = await engine.build({
    ...attributes(head.hash, 1),
    withdrawals: funds,
    transactions: [],
  })
  if (first.status !== 'BUILT') throw new Error(first.reason)
  const transactions = calls.map((call, nonce) => {
    return { raw: signed(alice, { nonce, gas: 1_000_000n, ...call }) }
  })
  const parentHash = first.payload.blockHash
  const second: BuildReply = await engine.build({ ...attributes(parentHash, 2), transactions })
  if (second.status !== 'BUILT') throw new Error(second.reason)
  expect(second.dropped).toEqual([])
  await engine.commit(second.payload.blockHash)
  const statuses = store.blocks.at(-1)?.receipts.map(({ status }) => status)
  return { outcome: second.outcome, statuses, state: store.state }
}

describe('the Bridge contract', () => {
  it('PO-1: a request is a burn of its value, by its sender, for its destination', async () => {
    const { outcome, state } = await runs([
      { to: BRIDGE_ADDRESS, data: request(P2WPKH), value: MINIMUM },
    ])
    expect(outcome.burns).toEqual([
      { logIndex: 0, evmAddress: alice.address, bytes: P2WPKH, valueWei: MINIMUM },
    ])
    expect(state.account(toHex(BRIDGE_ADDRESS))?.balance).toBe(MINIMUM)
  })

  it('PO-3: takes each payable script and address text, and reverts on anything else', async () => {
    const payable = [
      `76a914${'22'.repeat(20)}88ac`,
      `a914${'22'.repeat(20)}87`,
      `0014${'22'.repeat(20)}`,
      `0020${'22'.repeat(32)}`,
      `5120${'22'.repeat(32)}`,
    ].map(hexBytes)
    const texts = ['bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', 'x'.repeat(26), 'Z9'.repeat(45)]
    const refused = [
      new Uint8Array(0),
      hexBytes(`76a914${'22'.repeat(20)}88ad`),
      hexBytes(`a914${'22'.repeat(20)}88`),
      hexBytes(`0114${'22'.repeat(20)}`),
      hexBytes(`5220${'22'.repeat(32)}`),
      hexBytes(`0014${'22'.repeat(21)}`),
      hexBytes(`6a14${'22'.repeat(20)}`),
      text.encode('x'.repeat(25)),
      text.encode('x'.repeat(91)),
      text.encode(`bcrt1qw508d6qejxtdg4y5r3 ${'q'.repeat(10)}`),
    ]
    const good = [...payable, ...texts.map((one) => text.encode(one))]
    const calls = [...good, ...refused].map((destination) => {
      return { to: BRIDGE_ADDRESS, data: request(destination), value: MINIMUM }
    })
    const { outcome, statuses } = await runs(calls)
    expect(statuses).toEqual([...good.map(() => 1), ...refused.map(() => 0)])
    expect(outcome.burns.map(({ bytes }) => toHex(bytes))).toEqual(good.map(toHex))
  })

  it('PO-3: reverts below the minimum and on fractions of a satoshi', async () => {
    const values = [MINIMUM - SATOSHI, 0n, MINIMUM + 1n, MINIMUM + SATOSHI - 1n, MINIMUM + SATOSHI]
    const calls = values.map((value) => ({ to: BRIDGE_ADDRESS, data: request(P2WPKH), value }))
    const { statuses, outcome } = await runs(calls)
    expect(statuses).toEqual([0, 0, 0, 0, 1])
    expect(outcome.burns).toHaveLength(1)
  })

  it('PO-3: plain value and unknown functions revert; no call takes value out', async () => {
    const { statuses, state } = await runs([
      { to: BRIDGE_ADDRESS, data: new Uint8Array(0), value: MINIMUM },
      { to: BRIDGE_ADDRESS, data: hexBytes('12345678'), value: 0n },
      { to: BRIDGE_ADDRESS, data: hexBytes('12345678'), value: MINIMUM },
    ])
    expect(statuses).toEqual([0, 0, 0])
    expect(state.account(toHex(BRIDGE_ADDRESS))?.balance).toBe(0n)
    const names = artifacts.Bridge.abi
      .filter(({ type }) => type === 'function')
      .map(({ name }) => name)
    expect(names.sort()).toEqual(['cancelPegOut', 'fund', 'minimumWei', 'requestPegOut'])
    const opcodes = runtimeOpcodes(hexBytes(artifacts.Bridge.deployedBytecode))
    for (const outward of [0xf0, 0xf1, 0xf2, 0xf4, 0xf5, 0xff])
      expect(opcodes.has(outward)).toBe(false)
  })

  it('emits cancellations and funding, and funding is whole satoshis', async () => {
    const id = sha256(Uint8Array.of(1))
    const { outcome, statuses } = await runs([
      { to: BRIDGE_ADDRESS, data: bytesOf(bridge.encodeFunctionData('cancelPegOut', [id])) },
      { to: BRIDGE_ADDRESS, data: bytesOf(bridge.encodeFunctionData('fund')), value: 3n * SATOSHI },
      { to: BRIDGE_ADDRESS, data: bytesOf(bridge.encodeFunctionData('fund')), value: SATOSHI + 1n },
      { to: BRIDGE_ADDRESS, data: bytesOf(bridge.encodeFunctionData('fund')) },
    ])
    expect(statuses).toEqual([1, 1, 0, 0])
    expect(outcome.cancels).toEqual([{ logIndex: 0, evmAddress: alice.address, id }])
    expect(outcome.funds).toEqual([{ logIndex: 1, amountWei: 3n * SATOSHI }])
  })
})

describe('the FeeSplitter contract', () => {
  it('6.1: pays the operating fund its share in whole satoshis, once', async () => {
    const release = bytesOf(splitter.encodeFunctionData('release', [`0x${toHex(BRIDGE_ADDRESS)}`]))
    const stranger = bytesOf(splitter.encodeFunctionData('release', [`0x${toHex(alice.address)}`]))
    const call = (data: Uint8Array) => ({ to: FEE_SPLITTER_ADDRESS, data })
    const { outcome, statuses, state } = await runs(
      [call(release), call(release), call(stranger)],
      25n,
    )
    expect(statuses).toEqual([1, 0, 0])
    expect(outcome.funds.map(({ amountWei }) => amountWei)).toEqual([2n * SATOSHI])
    expect(state.account(toHex(FEE_SPLITTER_ADDRESS))?.balance).toBe(5n * 10n ** 9n)
  })
})

describe('what counts as a bridge log', () => {
  const word = (value: bigint) => hexBytes(value.toString(16).padStart(64, '0'))
  const coder = AbiCoder.defaultAbiCoder()
  const data = bytesOf(coder.encode(['bytes', 'uint256'], [P2WPKH, MINIMUM]))
  const topics = [REQUEST_PEG_OUT_TOPIC, concatBytes(new Uint8Array(12), alice.address)]
  const good: Log = { address: BRIDGE_ADDRESS, topics, data }
  const receipt = (logs: readonly Log[], status: 0 | 1 = 1): Receipt => {
    return { type: 2, status, cumulativeGasUsed: 21_000, logs }
  }
  const burnsOf = (change: Partial<Log>) => bridgeLogs([receipt([{ ...good, ...change }])]).burns

  it('topics are the hashes of the signatures', () => {
    const hash = (signature: string) => toHex(keccak256(text.encode(signature)))
    expect(hash('RequestPegOut(address,bytes,uint256)')).toBe(toHex(REQUEST_PEG_OUT_TOPIC))
    expect(hash('CancelPegOut(address,bytes32)')).toBe(toHex(CANCEL_PEG_OUT_TOPIC))
    expect(hash('Fund(uint256)')).toBe(toHex(FUND_TOPIC))
    expect(bridge.getEvent('RequestPegOut')?.topicHash).toBe(`0x${toHex(REQUEST_PEG_OUT_TOPIC)}`)
  })

  it('PO-1: exact address, topics and data make a burn', () => {
    expect(burnsOf({})).toEqual([
      { logIndex: 0, evmAddress: alice.address, bytes: P2WPKH, valueWei: MINIMUM },
    ])
  })

  it('PO-1 (D4, D5): another emitter, a reverted transaction or other topics make none', () => {
    expect(burnsOf({ address: alice.address })).toEqual([])
    expect(bridgeLogs([receipt([good], 0)]).burns).toEqual([])
    expect(burnsOf({ topics: [CANCEL_PEG_OUT_TOPIC, topics[1] as Uint8Array] })).toEqual([])
    expect(burnsOf({ topics: [...topics, topics[1] as Uint8Array] })).toEqual([])
    expect(burnsOf({ topics: topics.slice(0, 1) })).toEqual([])
    expect(burnsOf({ topics: [topics[0] as Uint8Array, word(2n ** 255n)] })).toEqual([])
  })

  it('PO-1 (D4): data with trailing bytes, dirty padding or another layout make none', () => {
    expect(burnsOf({ data: concatBytes(data, new Uint8Array(32)) })).toEqual([])
    expect(burnsOf({ data: concatBytes(data, Uint8Array.of(0)) })).toEqual([])
    const dirty = data.slice()
    dirty[dirty.length - 1] = 1
    expect(burnsOf({ data: dirty })).toEqual([])
    const shifted = concatBytes(word(96n), word(MINIMUM), new Uint8Array(32), data.subarray(64))
    expect(burnsOf({ data: shifted })).toEqual([])
    for (let length = 0; length < data.length; length++) {
      expect(burnsOf({ data: data.slice(0, length) })).toEqual([])
    }
    const endless = concatBytes(word(64n), word(MINIMUM), word(2n ** 255n))
    expect(burnsOf({ data: endless })).toEqual([])
  })

  it('PO-1: log indexes count every log of the block', () => {
    const other = { ...good, address: alice.address }
    const logs = bridgeLogs([receipt([other, good]), receipt([good], 0), receipt([other, good])])
    expect(logs.burns.map(({ logIndex }) => logIndex)).toEqual([1, 4])
  })

  it('PO-1 (D5): a contract that imitates the event in its constructor burns nothing', async () => {
    const imitate = `7f${toHex(REQUEST_PEG_OUT_TOPIC)}5f5fa15f5ff3`
    const { outcome } = await runs([{ data: hexBytes(imitate) }])
    expect(outcome.burns).toEqual([])
    expect(createdAddress(alice.address, 0n)).not.toEqual(BRIDGE_ADDRESS)
  })
})

/** Opcodes of code, what is pushed left out. */
function runtimeOpcodes(code: Uint8Array): Set<number> {
  const found = new Set<number>()
  for (let at = 0; at < code.length; at++) {
    const opcode = code[at] as number
    found.add(opcode)
    if (opcode >= 0x60 && opcode <= 0x7f) at += opcode - 0x5f
  }
  return found
}
