/** The user's part with the tools that users have: ethers alone, viem alone, Bitcoin's RPC and bitcoinjs-lib alone. */
import { randomBytes } from 'node:crypto'
import { initEccLib, networks, Psbt, payments, Transaction } from 'bitcoinjs-lib'
import { Contract, ContractFactory, JsonRpcProvider, parseEther, toUtf8Bytes, Wallet } from 'ethers'
import * as curve from 'tiny-secp256k1'
import {
  createPublicClient,
  createWalletClient,
  defineChain,
  type Hex,
  http,
  parseAbi,
  parseEther as parseViemEther,
  stringToHex,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import artifacts from '../../devnet/contracts/artifacts.json' with { type: 'json' }
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { BRIDGE_ADDRESS, minted, type PegStatus, payDeposit, WEI_PER_SAT } from './user.ts'

const START_MS = 180_000
const TEST_MS = 2 * PATIENCE_MS
const DEPOSIT_SAT = 1_000_000_000n
const FEE_SAT = 1_000n
const PEG_OUT_SAT = 25_000_000n
const { abi, bytecode } = artifacts.DevelopmentToken

let federation: TestFederation

beforeAll(async () => {
  initEccLib(curve)
  federation = await TestFederation.start()
}, START_MS)

afterAll(async () => {
  const left = await federation?.stop()
  expect(left).toEqual([])
}, START_MS)

/** Coins on the EVM chain for an address, by a deposit on Bitcoin. */
async function fund(address: string): Promise<void> {
  await minted(federation.rpc, await payDeposit(federation, address, DEPOSIT_SAT))
}

/** An address of somebody who has nothing yet. */
function freshBitcoinKey() {
  const secretKey = new Uint8Array(randomBytes(32))
  const pubkey = curve.pointFromScalar(secretKey, true) as Uint8Array
  const payment = payments.p2wpkh({ pubkey, network: networks.regtest })
  return {
    secretKey,
    pubkey,
    address: payment.address as string,
    script: payment.output as Uint8Array,
  }
}

async function receivedSat(address: string): Promise<bigint> {
  const scanned = await federation.bitcoin.scanTxOutSet([`addr(${address})`])
  if (!scanned.ok) throw new Error(scanned.error.message)
  return scanned.value.totalSat
}

it(
  'with ethers alone: balance, ERC-20, events, errors, and a coin back to Bitcoin',
  async () => {
    const provider = new JsonRpcProvider(federation.urls[0], undefined, { pollingInterval: 250 })
    try {
      const signer = new Wallet(Wallet.createRandom().privateKey, provider)
      await fund(signer.address)
      expect((await provider.getNetwork()).chainId).toBe(262_144n)
      expect(await provider.getBalance(signer.address)).toBe((DEPOSIT_SAT - FEE_SAT) * WEI_PER_SAT)

      const { address: friend } = Wallet.createRandom()
      const sent = await signer.sendTransaction({ to: friend, value: parseEther('1.5') })
      const receipt = await sent.wait(1, PATIENCE_MS)
      expect(receipt).toMatchObject({
        status: 1,
        from: signer.address,
        to: friend,
        gasUsed: 21_000n,
      })
      expect(await provider.getBalance(friend)).toBe(parseEther('1.5'))
      const block = await provider.getBlock(receipt?.blockNumber as number, true)
      expect(block?.transactions).toContain(sent.hash)
      const legacy = await signer.sendTransaction({ to: friend, value: 1n, type: 0 })
      expect(await legacy.wait(1, PATIENCE_MS)).toMatchObject({ status: 1, type: 0 })

      const token = await new ContractFactory(abi, bytecode, signer).deploy(parseEther('1000'))
      await token.waitForDeployment()
      const usable = new Contract(await token.getAddress(), abi, signer)
      const transfer = await usable.getFunction('transfer')(friend, parseEther('25'))
      await transfer.wait(1, PATIENCE_MS)
      expect(await usable.getFunction('balanceOf')(friend)).toBe(parseEther('25'))
      const events = await usable.queryFilter(
        usable.filters['Transfer']?.(null, friend) as never,
        0,
      )
      expect(events).toHaveLength(1)
      await expect(
        usable.getFunction('transfer').staticCall(friend, parseEther('9999')),
      ).rejects.toMatchObject({ code: 'CALL_EXCEPTION', revert: { name: 'InsufficientBalance' } })
      const poor = new Wallet(Wallet.createRandom().privateKey, provider)
      await expect(poor.sendTransaction({ to: friend, value: 1n })).rejects.toMatchObject({
        code: 'INSUFFICIENT_FUNDS',
      })

      const { address } = freshBitcoinKey()
      const bridge = new Contract(
        BRIDGE_ADDRESS,
        ['function requestPegOut(bytes bitcoinAddress) payable'],
        signer,
      )
      const burn = await bridge.getFunction('requestPegOut')(toUtf8Bytes(address), {
        value: PEG_OUT_SAT * WEI_PER_SAT,
      })
      expect(await burn.wait(1, PATIENCE_MS)).toMatchObject({ status: 1 })
      const status = await until('the booking', PATIENCE_MS, async () => {
        const found: PegStatus = await provider.send('millrace_pegStatus', [burn.hash])
        return found.step === 'Booked' ? found : undefined
      })
      expect(await receivedSat(address)).toBe(PEG_OUT_SAT - BigInt(status.feeSat as string))
    } finally {
      provider.destroy()
    }
  },
  TEST_MS,
)

it(
  'with viem alone: balance, ERC-20, events, errors, and a coin back to Bitcoin',
  async () => {
    const chain = defineChain({
      id: 262_144,
      name: 'Millrace',
      nativeCurrency: { name: 'Bitcoin', symbol: 'BTC', decimals: 18 },
      rpcUrls: { default: { http: [federation.urls[1] as string] } },
    })
    const account = privateKeyToAccount(generatePrivateKey())
    const reader = createPublicClient({ chain, transport: http(), pollingInterval: 250 })
    const writer = createWalletClient({ chain, transport: http(), account })
    const settled = (hash: Hex) => reader.waitForTransactionReceipt({ hash, timeout: PATIENCE_MS })
    await fund(account.address)
    await until('the balance at the second node', PATIENCE_MS, async () =>
      (await reader.getBalance(account)) > 0n ? true : undefined,
    )
    expect(await reader.getChainId()).toBe(chain.id)
    expect(await reader.getBalance(account)).toBe((DEPOSIT_SAT - FEE_SAT) * WEI_PER_SAT)

    const { address: friend } = privateKeyToAccount(generatePrivateKey())
    const value = parseViemEther('1.5')
    const receipt = await settled(await writer.sendTransaction({ to: friend, value }))
    expect(receipt).toMatchObject({ status: 'success', gasUsed: 21_000n })
    expect(await reader.getBalance({ address: friend })).toBe(value)

    const tokenAbi = parseAbi([
      'constructor(uint256 supply)',
      'function transfer(address to, uint256 value) returns (bool)',
      'function balanceOf(address owner) view returns (uint256)',
      'event Transfer(address indexed from, address indexed to, uint256 value)',
      'error InsufficientBalance(uint256 has, uint256 needs)',
    ])
    const deployed = await settled(
      await writer.deployContract({
        abi: tokenAbi,
        bytecode: `0x${bytecode}`,
        args: [parseViemEther('1000')],
      }),
    )
    const token = { address: deployed.contractAddress as Hex, abi: tokenAbi } as const
    const amount = parseViemEther('25')
    const args = [friend, amount] as const
    await settled(await writer.writeContract({ ...token, functionName: 'transfer', args }))
    expect(await reader.readContract({ ...token, functionName: 'balanceOf', args: [friend] })).toBe(
      amount,
    )
    const events = await reader.getContractEvents({
      ...token,
      eventName: 'Transfer',
      args: { to: friend },
      fromBlock: 0n,
    })
    expect(events.map((event) => event.args.value)).toEqual([amount])
    const tooMuch = [friend, parseViemEther('9999')] as const
    await expect(
      reader.simulateContract({ ...token, functionName: 'transfer', args: tooMuch, account }),
    ).rejects.toThrow('InsufficientBalance')

    const { address } = freshBitcoinKey()
    const burn = await writer.writeContract({
      address: BRIDGE_ADDRESS,
      abi: parseAbi(['function requestPegOut(bytes bitcoinAddress) payable']),
      functionName: 'requestPegOut',
      args: [stringToHex(address)],
      value: PEG_OUT_SAT * WEI_PER_SAT,
    })
    expect(await settled(burn)).toMatchObject({ status: 'success' })
    const status = await until('the booking', PATIENCE_MS, async () => {
      const ask = { method: 'millrace_pegStatus', params: [burn] }
      const found = (await reader.request(ask as never)) as PegStatus
      return found.step === 'Booked' ? found : undefined
    })
    expect(await receivedSat(address)).toBe(PEG_OUT_SAT - BigInt(status.feeSat as string))
  },
  TEST_MS,
)

/** Bitcoin Core's JSON-RPC over fetch, as any Bitcoin tool calls it. */
async function bitcoinCall<T>(method: string, ...params: readonly unknown[]): Promise<T> {
  const url = new URL(federation.bitcoinUrl)
  const credentials = Buffer.from(`${url.username}:${url.password}`).toString('base64')
  const response = await fetch(`http://${url.host}/`, {
    method: 'POST',
    headers: { authorization: `Basic ${credentials}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '1.0', id: 'user', method, params }),
  })
  const { result, error } = (await response.json()) as { result: T; error: unknown }
  if (error !== null) throw new Error(JSON.stringify(error))
  return result
}

interface Unspent {
  readonly txid: string
  readonly vout: number
  readonly amount: number
  readonly height: number
}

async function unspent(address: string): Promise<Unspent[]> {
  const scan = ['start', [`addr(${address})`]] as const
  return (await bitcoinCall<{ unspents: Unspent[] }>('scantxoutset', ...scan)).unspents
}

it(
  'with the Bitcoin RPC and bitcoinjs-lib alone: a deposit, and a payout that can be spent',
  async () => {
    const key = freshBitcoinKey()
    const signer = {
      publicKey: key.pubkey,
      sign: (hash: Uint8Array) => curve.sign(hash, key.secretKey),
    }
    const pay = async (
      coin: Unspent,
      outputs: readonly { script: Uint8Array; value: bigint }[],
    ) => {
      const psbt = new Psbt({ network: networks.regtest })
      const value = BigInt(Math.round(coin.amount * 1e8))
      psbt.addInput({
        hash: coin.txid,
        index: coin.vout,
        witnessUtxo: { script: key.script, value },
      })
      for (const output of outputs) psbt.addOutput(output)
      psbt.signAllInputs(signer).finalizeAllInputs()
      return bitcoinCall<string>('sendrawtransaction', psbt.extractTransaction().toHex())
    }
    await bitcoinCall('generatetoaddress', 1, key.address)
    await bitcoinCall('generatetoaddress', 100, federation.wallet.address)
    const [coin] = (await unspent(key.address)) as [Unspent]

    // What the depositor needs to know is the federation's address; the payload is 20 bytes of an EVM address.
    const evm = Wallet.createRandom()
    const target = await federation.rpc.call<string>('getdepositaddress')
    const { output: federationScript } = payments.p2tr({
      address: target,
      network: networks.regtest,
    })
    const payload = new Uint8Array(Buffer.from(evm.address.slice(2), 'hex'))
    const { output: opReturn } = payments.embed({ data: [payload] })
    const change = BigInt(Math.round(coin.amount * 1e8)) - DEPOSIT_SAT - 1_000n
    const txid = await pay(coin, [
      { script: federationScript as Uint8Array, value: DEPOSIT_SAT },
      { script: opReturn as Uint8Array, value: 0n },
      { script: key.script, value: change },
    ])
    expect(await minted(federation.rpc, `${txid}:0`)).toMatchObject({ step: 'Included' })

    // Whoever has the coin now burns it for an address of the depositor; he sees it arrive and can spend it.
    const payee = freshBitcoinKey()
    const provider = new JsonRpcProvider(federation.urls[0], undefined, { pollingInterval: 250 })
    const bridge = new Contract(
      BRIDGE_ADDRESS,
      ['function requestPegOut(bytes bitcoinAddress) payable'],
      new Wallet(evm.privateKey, provider),
    )
    await bridge.getFunction('requestPegOut')(payee.script, { value: PEG_OUT_SAT * WEI_PER_SAT })
    provider.destroy()
    const [paid] = await until('the payout', PATIENCE_MS, async () => {
      const coins = await unspent(payee.address)
      return coins.length > 0 ? coins : undefined
    })
    const paidSat = BigInt(Math.round((paid as Unspent).amount * 1e8))
    expect(paidSat).toBeGreaterThan(PEG_OUT_SAT - 10_000n)
    // PO-12: what Bitcoin sees of the members is one signature by their key.
    const block = await bitcoinCall<string>('getblockhash', (paid as Unspent).height)
    const raw = await bitcoinCall<string>('getrawtransaction', (paid as Unspent).txid, false, block)
    const { ins } = Transaction.fromHex(raw)
    expect(ins.map(({ witness }) => witness.map(({ length }) => length))).toEqual(
      ins.map(() => [64]),
    )
    const psbt = new Psbt({ network: networks.regtest })
    psbt.addInput({
      hash: (paid as Unspent).txid,
      index: (paid as Unspent).vout,
      witnessUtxo: { script: payee.script, value: paidSat },
    })
    psbt.addOutput({ script: key.script, value: paidSat - 500n })
    psbt.signAllInputs({
      publicKey: payee.pubkey,
      sign: (hash: Uint8Array) => curve.sign(hash, payee.secretKey),
    })
    const spend = psbt.finalizeAllInputs().extractTransaction()
    const spendId = await bitcoinCall<string>('sendrawtransaction', spend.toHex())
    expect(spendId).toBe(spend.getId())
  },
  TEST_MS,
)

it(
  'in the end the books balance, on every node alike, against Bitcoin itself',
  async () => {
    await until('a quiet peg', PATIENCE_MS, async () => {
      const { inFlight } = await federation.reserves()
      return inFlight.every(({ kind }) => kind === 'fund') ? true : undefined
    })
    const { height } = await federation.head()
    for (const [index] of federation.urls.entries()) {
      await federation.heightAtLeast(height, federation.node(index))
      const reserves = await federation.reserves(federation.node(index))
      expect(reserves.balanced).toBe(true)
      expect(BigInt(reserves.reserveSat)).toBe(await federation.reserveOnBitcoin())
    }
  },
  TEST_MS,
)
