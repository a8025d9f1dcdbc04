/**
 * Deposits and burns that are not as they should be (issue 3, "Bad input"): each gets its named verdict where a user can see it, nobody
 * gets a coin for it, and reserve = supply + in flight holds all the while.
 */
import { randomBytes } from 'node:crypto'
import type { Transaction } from 'bitcoinjs-lib'
import { keccak256, toUtf8Bytes, Wallet } from 'ethers'
import { outputOf } from '../../bridge/index.ts'
import { opReturnScript } from '../../core/bitcoin/index.ts'
import { mineBlock } from '../../devnet/bitcoin/mining.ts'
import { describeTx } from '../../devnet/bitcoin/transaction.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import {
  Account,
  BRIDGE_ADDRESS,
  include,
  minted,
  type PegStatus,
  payDeposit,
  payFederation,
  pegStatus,
  reached,
  scriptOf,
  WEI_PER_SAT,
} from './user.ts'

const START_MS = 180_000
const TEST_MS = 2 * PATIENCE_MS
const AMOUNT_SAT = 100_000_000n
const PEG_IN_FEE_SAT = 1_000n
const REFUND_FEE_SAT = 1_000n
const ABOVE_MAXIMUM_SAT = 10_000_000_001n
const REQUEST_PEG_OUT = keccak256(toUtf8Bytes('RequestPegOut(address,bytes,uint256)'))

let federation: TestFederation

beforeAll(async () => {
  federation = await TestFederation.start()
}, START_MS)

afterAll(async () => {
  const left = await federation?.stop()
  expect(left).toEqual([])
}, START_MS)

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const someAddress = () => new Uint8Array(randomBytes(20))
const payload = (...parts: readonly Uint8Array[]) =>
  opReturnScript(new Uint8Array(Buffer.concat(parts)))

/** The books of the ledger; they must balance whenever they are read. */
async function mintedSat(): Promise<bigint> {
  const reserves = await federation.reserves()
  expect(reserves.balanced).toBe(true)
  return BigInt(reserves.totals.mintedSat)
}

/** The item by which a block entered a deposit. */
async function itemOf({ id, height }: PegStatus): Promise<{ kind: string; reason: string }> {
  const block = await federation.rpc.call<{
    pegIns: { outpoint: string; kind: string; reason: string }[]
  }>('getblockbyheight', [height])
  const item = block.pegIns.find(({ outpoint }) => outpoint === id)
  if (item === undefined) throw new Error(`block ${height} does not hold ${id}`)
  return item
}

/** The hash of the block that a transaction of the mempool goes into. */
async function minedIn(txid: string): Promise<string> {
  await federation.mine(1)
  return until('the block', PATIENCE_MS, async () => {
    const info = await federation.bitcoin.getBlockchainInfo()
    if (!info.ok) return undefined
    for (let height = info.value.blocks; height > info.value.blocks - 5; height--) {
      const hash = await federation.bitcoin.getBlockHash(height)
      if (!hash.ok) continue
      const found = await federation.bitcoin.getRawTransaction(txid, hash.value)
      if (found.ok) return hash.value
    }
    return undefined
  })
}

/** A block with a transaction that no mempool takes, as a miner may make it. */
async function mineNonStandard(transaction: Transaction): Promise<string> {
  const info = await federation.bitcoin.getBlockchainInfo()
  if (!info.ok) throw new Error(info.error.message)
  const { bestBlockHash, blocks } = info.value
  const tip = await federation.bitcoin.getBlockHeader(bestBlockHash)
  if (!tip.ok) throw new Error(tip.error.message)
  const now = Math.floor(Date.now() / 1000)
  const plan = {
    prevHash: bestBlockHash,
    height: blocks + 1,
    time: Math.max(now, tip.value.time + 1),
    minTime: tip.value.time + 1,
    txs: [describeTx(transaction)],
    rewardSat: 1n,
  }
  const block = mineBlock(plan, federation.wallet.scriptPubKey, () => false)
  const submitted = await federation.bitcoin.submitBlock(block.raw)
  if (!submitted.ok || submitted.value !== null) throw new Error(JSON.stringify(submitted))
  return transaction.getId()
}

describe('a deposit', () => {
  const precompile = hex(`${'00'.repeat(19)}01`)
  const bridge = hex(BRIDGE_ADDRESS.slice(2))
  const good = () => payload(someAddress())

  it.each<[string, string, () => readonly Uint8Array[], readonly bigint[]]>([
    ['without an OP_RETURN', 'badPayload', () => [], [AMOUNT_SAT]],
    ['with 19 bytes', 'badPayload', () => [payload(someAddress().subarray(1))], [AMOUNT_SAT]],
    ['with 21 bytes', 'badPayload', () => [payload(someAddress(), hex('00'))], [AMOUNT_SAT]],
    [
      'of an unknown version',
      'badPayload',
      () => [payload(toUtf8Bytes('ALYS'), hex('02'), someAddress())],
      [AMOUNT_SAT],
    ],
    ['with an empty OP_RETURN', 'badPayload', () => [hex('6a')], [AMOUNT_SAT]],
    ['to two federation outputs', 'badPayload', () => [good()], [AMOUNT_SAT, AMOUNT_SAT + 1n]],
    ['to a precompile', 'forbiddenAddress', () => [payload(precompile)], [AMOUNT_SAT]],
    ['to the bridge', 'forbiddenAddress', () => [payload(bridge)], [AMOUNT_SAT]],
    ['above the maximum', 'aboveMaximum', () => [good()], [ABOVE_MAXIMUM_SAT]],
  ])(
    '%s is recorded as refundable: %s',
    async (_, reason, payloads, amountsSat) => {
      const before = await mintedSat()
      const txid = await payFederation(federation, amountsSat, payloads())
      for (const [vout, amountSat] of amountsSat.entries()) {
        const id = `${txid}:${vout}`
        const status = await reached(
          federation.rpc,
          id,
          'the record',
          ({ step }) => step === 'Included',
        )
        expect(status).toMatchObject({ refundable: true, reason, amountSat: String(amountSat) })
        expect(await itemOf(status)).toMatchObject({ kind: 'refundable', reason })
        expect((await federation.reserves()).inFlight).toContainEqual({
          id,
          kind: 'refundOwed',
          amountSat: String(amountSat),
        })
      }
      expect(await mintedSat()).toBe(before)
    },
    TEST_MS,
  )

  it(
    'with two OP_RETURNs, which only a miner can send, is recorded as refundable',
    async () => {
      const script = scriptOf(await federation.rpc.call<string>('getdepositaddress'))
      const transaction = await federation.wallet.sign([
        { scriptPubKey: script, amountSat: AMOUNT_SAT },
        { scriptPubKey: good(), amountSat: 0n },
        { scriptPubKey: good(), amountSat: 0n },
      ])
      await federation.stopMining()
      const before = await mintedSat()
      const txid = await mineNonStandard(transaction)
      federation.startMining()
      await federation.mine(3)
      const included = ({ step }: PegStatus) => step === 'Included'
      const status = await reached(federation.rpc, `${txid}:0`, 'the record', included)
      expect(await itemOf(status)).toMatchObject({ kind: 'refundable', reason: 'badPayload' })
      expect(await mintedSat()).toBe(before)
    },
    TEST_MS,
  )

  it(
    "to an address of one's own is minted, however often it is paid; one that no node looks for is claimed by its fields (PI-2, 5.3)",
    async () => {
      const evmAddress = someAddress()
      const given = await federation.rpc.call<{
        readonly address: string
        readonly epoch: number
        readonly groupKey: string
        readonly uri: string
      }>('getdepositaddress', [Buffer.from(evmAddress).toString('hex')])
      expect(given.uri).toBe(`bitcoin:${given.address}`)
      const script = scriptOf(given.address)
      for (const amountSat of [AMOUNT_SAT, 2n * AMOUNT_SAT]) {
        const txid = await federation.wallet.pay([{ scriptPubKey: script, amountSat }])
        expect(await minted(federation.rpc, `${txid}:0`)).toMatchObject({ step: 'Included' })
      }

      // Derived again from the genesis file and the key that the chain shows, as somebody with a plan and no node would.
      const strange = { evmAddress: someAddress(), refundScript: new Uint8Array(0) }
      const tweak = { epoch: given.epoch, deposit: strange }
      const { scriptPubKey } = outputOf(federation.genesis, tweak, hex(given.groupKey))
      const txid = await federation.wallet.pay([{ scriptPubKey, amountSat: AMOUNT_SAT }])
      const blockHash = await minedIn(txid)
      // Headers are in the chain up to the one before Bitcoin's tip.
      await federation.mine(2)
      const id = `${txid}:0`
      expect(await pegStatus(federation.rpc, id)).toBeUndefined()
      const fields = [blockHash, Buffer.from(strange.evmAddress).toString('hex')]
      // Until its header is in the chain the node knows of no such block.
      const claimed = await until('the claim', PATIENCE_MS, () =>
        federation.rpc.call<{ outpoints: string[] }>('claimdeposit', fields),
      )
      expect(claimed.outpoints).toEqual([id])
      expect(await minted(federation.rpc, id)).toMatchObject({ step: 'Included' })
    },
    2 * TEST_MS,
  )

  it(
    'to nobody is a donation to the operating fund',
    async () => {
      const before = await mintedSat()
      const txid = await payFederation(federation, [AMOUNT_SAT], [payload(new Uint8Array(20))])
      const included = ({ step }: PegStatus) => step === 'Included'
      const status = await reached(federation.rpc, `${txid}:0`, 'the record', included)
      expect(await itemOf(status)).toMatchObject({ kind: 'fund', reason: 'none' })
      expect(await mintedSat()).toBe(before)
    },
    TEST_MS,
  )

  it(
    'below the minimum is no deposit; one beside it is minted, once, whoever offers it again',
    async () => {
      const { address } = Wallet.createRandom()
      const small = await payFederation(federation, [9_999n], [good()])
      const before = await mintedSat()
      const outpoint = await payDeposit(federation, address, AMOUNT_SAT)
      await minted(federation.rpc, outpoint)
      expect(await pegStatus(federation.rpc, `${small}:0`)).toBeUndefined()
      // A node that starts anew looks at all of Bitcoin again and finds every deposit once more.
      await federation.kill('node', 0)
      federation.startNode(0)
      await federation.answers(0)
      await federation.caughtUp(0)
      await federation.mine(2)
      const { height } = await federation.head()
      await federation.heightAtLeast(height + 5)
      const wei = await federation.rpc.call<string>('eth_getBalance', [address, 'latest'])
      expect(BigInt(wei)).toBe((AMOUNT_SAT - PEG_IN_FEE_SAT) * WEI_PER_SAT)
      expect(await mintedSat()).toBe(before + AMOUNT_SAT - PEG_IN_FEE_SAT)
      expect(await pegStatus(federation.rpc, `${small}:0`)).toBeUndefined()
    },
    TEST_MS,
  )
})

describe('a burn', () => {
  let account: Account

  beforeAll(async () => {
    account = Account.random(Number(await federation.rpc.call<string>('eth_chainId')))
    await minted(federation.rpc, await payDeposit(federation, account.address, 10n * AMOUNT_SAT))
  }, TEST_MS)

  it(
    'for an address that Bitcoin cannot pay comes back as a mint less the fee',
    async () => {
      const before = await mintedSat()
      // A real address, of another network.
      const hash = await include(
        federation.rpc,
        await account.burn('bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', AMOUNT_SAT),
      )
      const status = await reached(federation.rpc, hash, 'the end', ({ step }) => step === 'Booked')
      expect(status).toMatchObject({ reason: 'unpayable' })
      await until('the refund mint', PATIENCE_MS, async () =>
        (await mintedSat()) === before + AMOUNT_SAT - REFUND_FEE_SAT ? true : undefined,
      )
    },
    TEST_MS,
  )

  it(
    'that is reverted asks for nothing',
    async () => {
      const { burnedSat } = (await federation.reserves()).totals
      const raw = await account.burn(federation.wallet.address, 1n)
      await expect(include(federation.rpc, raw)).rejects.toThrow('was reverted')
      expect(await pegStatus(federation.rpc, keccak256(raw))).toBeUndefined()
      expect((await federation.reserves()).totals.burnedSat).toBe(burnedSat)
    },
    TEST_MS,
  )

  it(
    'that another contract pretends asks for nothing',
    async () => {
      const { burnedSat } = (await federation.reserves()).totals
      // LOG2 with the bridge's topic, from the constructor of somebody's contract.
      const topics = `7f${account.address.slice(2).padStart(64, '0').toLowerCase()}7f${REQUEST_PEG_OUT.slice(2)}`
      const hash = await include(federation.rpc, await account.create(`0x${topics}60806000a200`))
      const logs = await federation.rpc.call<{ address: string }[]>('eth_getLogs', [
        { topics: [REQUEST_PEG_OUT], fromBlock: '0x0' },
      ])
      expect(logs.map(({ address }) => address.toLowerCase())).toContainEqual(
        expect.not.stringMatching(new RegExp(BRIDGE_ADDRESS, 'i')),
      )
      expect(await pegStatus(federation.rpc, hash)).toBeUndefined()
      expect((await federation.reserves()).totals.burnedSat).toBe(burnedSat)
    },
    TEST_MS,
  )
})

it(
  'in the end Bitcoin holds what the ledger says',
  async () => {
    await federation.stopMining()
    const reserves = await federation.reserves()
    expect(reserves.balanced).toBe(true)
    // What is too small to be a deposit is under the same script, and nobody's yet.
    expect(await federation.reserveOnBitcoin()).toBe(BigInt(reserves.reserveSat) + 9_999n)
  },
  TEST_MS,
)
