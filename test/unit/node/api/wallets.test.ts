import { AbiCoder, Contract, concat, JsonRpcProvider, Wallet } from 'ethers'
import { createPublicClient, http, parseAbi, parseAbiItem } from 'viem'
import { hexBytes, toHex } from '../../../../crypto/index.ts'
import { startApi, type UnderTest } from './api-under-test.ts'
import { CHAIN_ID, CONTRACT, decoded, SENDER, WALLET } from './fake-node.ts'

const THERE = `0x${toHex(CONTRACT)}` as const
const ME = `0x${toHex(SENDER)}` as const
const ERROR_DATA = concat([
  '0x08c379a0',
  AbiCoder.defaultAbiCoder().encode(['string'], ['no coins']),
])

describe('libraries against the API', () => {
  let api: UnderTest
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.close())

  /** Accepts a transaction and puts it into a block. */
  const mineAtOnce = () => {
    api.node.onSubmit = async (raw) => {
      api.node.addBlock([raw])
      return { ok: true, hash: decoded(raw).hash }
    }
  }

  describe('ethers', () => {
    let provider: JsonRpcProvider
    beforeEach(() => {
      provider = new JsonRpcProvider(api.url, CHAIN_ID, {
        staticNetwork: true,
        pollingInterval: 20,
      })
    })
    afterEach(() => provider.destroy())

    it('reads blocks, balances, fees and logs', async () => {
      expect(await provider.getBlockNumber()).toBe(3)
      expect((await provider.getBlock(2, true))?.prefetchedTransactions).toHaveLength(2)
      expect(await provider.getBalance(ME)).toBe(10n ** 18n)
      expect((await provider.getFeeData()).maxFeePerGas).toBeGreaterThan(0n)
      expect(await provider.getLogs({ fromBlock: 0, address: THERE })).toHaveLength(1)
    })

    it('sends, waits and reads the receipt', async () => {
      mineAtOnce()
      const wallet = new Wallet(WALLET.privateKey, provider)
      const sent = await wallet.sendTransaction({ to: THERE, value: 1n })
      const receipt = await sent.wait()
      expect(receipt).toMatchObject({ status: 1, blockNumber: 4, hash: sent.hash })
    })

    it('understands a revert and a nonce that is too low', async () => {
      api.node.onCall = async () => ({
        ok: false,
        code: 'Reverted',
        returnValue: hexBytes(ERROR_DATA),
      })
      const contract = new Contract(THERE, ['function f() view returns (uint256)'], provider)
      await expect(contract['f']?.()).rejects.toMatchObject({
        code: 'CALL_EXCEPTION',
        reason: 'no coins',
      })
      api.node.onSubmit = async () => ({ ok: false, error: { code: 'NonceTooLow', reason: '2' } })
      const wallet = new Wallet(WALLET.privateKey, provider)
      await expect(wallet.sendTransaction({ to: THERE })).rejects.toMatchObject({
        code: 'NONCE_EXPIRED',
      })
    })
  })

  describe('viem', () => {
    const client = () => createPublicClient({ transport: http(api.url, { retryCount: 0 }) })

    it('reads blocks, balances, fees and logs', async () => {
      expect(await client().getChainId()).toBe(CHAIN_ID)
      const block = await client().getBlock({ blockNumber: 2n, includeTransactions: true })
      expect(block.transactions.map(({ type }) => type)).toEqual(['legacy', 'eip1559'])
      expect(await client().getBalance({ address: ME })).toBe(10n ** 18n)
      expect((await client().estimateFeesPerGas()).maxFeePerGas).toBeGreaterThan(0n)
      expect(
        await client().getFeeHistory({ blockCount: 2, rewardPercentiles: [50] }),
      ).toMatchObject({
        oldestBlock: 2n,
      })
      const event = parseAbiItem('event Anything()')
      expect(await client().getLogs({ fromBlock: 0n, address: THERE })).toHaveLength(1)
      expect(await client().getLogs({ fromBlock: 0n, event })).toHaveLength(0)
    })

    it('polls filters', async () => {
      const filter = await client().createBlockFilter()
      api.node.addBlock()
      expect(await client().getFilterChanges({ filter })).toHaveLength(1)
    })

    it('understands a revert', async () => {
      api.node.onCall = async () => ({
        ok: false,
        code: 'Reverted',
        returnValue: hexBytes(ERROR_DATA),
      })
      const abi = parseAbi(['function f() view returns (uint256)'])
      await expect(
        client().readContract({ address: THERE, abi, functionName: 'f' }),
      ).rejects.toThrow('no coins')
    })
  })
})
