import { startBitcoinRegtest } from '../../devnet/bitcoin/index.ts'
import { createOwnBitcoin } from '../../governance/own-bitcoin.ts'
import { BlockReader, createBitcoinPort } from '../../node/adapters/bitcoin/index.ts'
import { type BitcoinResult, createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import { SimulatedBitcoin } from '../sim/bitcoin.ts'
import { createFederation, spend, USER_SCRIPT } from '../sim/federation.ts'
import { addressOf, keyHashScript, secretKey, spendKeyHash } from '../unit/devnet/bitcoin/wallet.ts'
import { type BitcoinUnderTest, bitcoinPortSuite } from './bitcoin-port-suite.ts'
import { RunningWorld } from './running-world.ts'

const MATURITY = 100
const alice = secretKey(1)
const script = keyHashScript(alice)

async function done<T>(answer: Promise<BitcoinResult<T>>): Promise<T> {
  const settled = await answer
  if (!settled.ok) throw new Error(settled.error.message)
  return settled.value
}

/** The adapters over RPC, to a Bitcoin of our own. */
async function overRpc(): Promise<BitcoinUnderTest> {
  const started = await startBitcoinRegtest({
    port: 0,
    host: '127.0.0.1',
    user: 'user',
    password: 'password',
    now: () => Date.now(),
    log: () => {},
  })
  if (!started.ok) throw new Error(started.error.code)
  const { url, stop } = started.value
  const at = { url, timeoutMs: 20_000 }
  const rpc = createBitcoinRpc(at)
  const blocks = new BlockReader()
  const mine = (blocks: number) => done(rpc.generateToAddress(blocks, addressOf(script)))
  const [first = ''] = await mine(1)
  await mine(MATURITY)
  const coinbase = (await done(rpc.getBlock(first))).txids[0] ?? ''
  const output = await done(rpc.getTxOut(coinbase, 0))
  let isUp = true
  const cut = async () => {
    if (isUp) await stop()
    isUp = false
  }
  return {
    bitcoin: createBitcoinPort(rpc, (hash) => blocks.read(at, hash)),
    own: createOwnBitcoin(rpc, () => Date.now()),
    mine: async (blocks) => void (await mine(blocks)),
    reorg: async (depth) => {
      const height = await done(rpc.getBlockCount())
      const hash = await done(rpc.getBlockHash(height - depth + 1))
      await done(rpc.call('invalidateblock', [hash]))
      await mine(depth + 1)
    },
    payment: async () => {
      const amountSat = output?.amountSat ?? 0n
      const coin = { txid: coinbase, vout: 0, amountSat, script }
      const payment = { script, amountSat: amountSat - 10_000n }
      return Uint8Array.from(spendKeyHash(coin, alice, [payment]).toBuffer())
    },
    cut,
    close: async () => {
      rpc.close()
      await blocks.close()
      await cut()
    },
  }
}

async function simulated(): Promise<BitcoinUnderTest> {
  const running = new RunningWorld()
  const federation = createFederation(1, 1)
  const bitcoin = new SimulatedBitcoin(running.world, federation)
  const life = running.life()
  return {
    bitcoin: bitcoin.port(0, life),
    own: bitcoin.own(life),
    mine: async (blocks) => {
      for (let count = 0; count < blocks; count++) bitcoin.mine()
    },
    reorg: async (depth) => {
      expect(bitcoin.reorg(depth)).toBe(true)
    },
    payment: async () => {
      const [coin] = federation.coins
      if (coin === undefined) throw new Error('no coin')
      const payment = { script: USER_SCRIPT, amountSat: coin.amountSat - 10_000n }
      return spend(coin, [payment]).raw
    },
    cut: async () => void bitcoin.outage(),
    close: async () => running.stop(),
  }
}

bitcoinPortSuite('over RPC', overRpc)
bitcoinPortSuite('simulated', simulated)
