/** A regtest in memory with a clock that the test moves, and blocks built by hand. */
import { Transaction } from 'bitcoinjs-lib'
import type { DecodedBlock } from '../../../../devnet/bitcoin/block.ts'
import { subsidySat } from '../../../../devnet/bitcoin/chain-params.ts'
import { type BlockPlan, mineBlock } from '../../../../devnet/bitcoin/mining.ts'
import { Regtest } from '../../../../devnet/bitcoin/regtest.ts'
import { describeTx, type Tx } from '../../../../devnet/bitcoin/transaction.ts'
import { type Coin, keyHashScript, secretKey } from './wallet.ts'

export const ALICE = secretKey(1)
export const ALICE_SCRIPT = keyHashScript(ALICE)

export interface Fixture {
  readonly regtest: Regtest
  readonly clock: { ms: number }
  readonly lines: string[]
  /** Mines blocks to alice. */
  mine(count?: number): DecodedBlock
  /** The next mature coinbase output of alice. */
  coin(): Coin
}

export function createFixture(matureCoins = 0): Fixture {
  const clock = { ms: 1_800_000_000_000 }
  const lines: string[] = []
  const regtest = new Regtest({ now: () => clock.ms, log: (line) => lines.push(line) })
  const coins: Coin[] = []
  const mine = (count = 1): DecodedBlock => {
    for (let made = 1; ; made++) {
      const mined = regtest.mine(ALICE_SCRIPT)
      if ('reason' in mined) throw new Error(mined.reason)
      if (made === count) return mined.block
    }
  }
  if (matureCoins > 0) {
    for (let height = 1; height <= matureCoins; height++) coins.push(coinbaseCoin(mine()))
    mine(100)
  }
  const coin = () => {
    const next = coins.shift()
    if (next === undefined) throw new Error('no coin left')
    return next
  }
  return { regtest, clock, lines, mine, coin }
}

export function coinbaseCoin(block: DecodedBlock): Coin {
  const coinbase = block.txs[0]
  const output = coinbase?.body.outs[0]
  if (coinbase === undefined || output === undefined) throw new Error('no coinbase')
  return { txid: coinbase.txid, vout: 0, amountSat: output.value, script: output.script }
}

/** A block on the tip with these transactions, solved; `change` alters the plan. */
export function blockOn(
  { regtest }: Fixture,
  txs: readonly Transaction[],
  change: Partial<BlockPlan> = {},
): DecodedBlock {
  const { tip } = regtest.chain
  const height = tip.height + 1
  const minTime = tip.medianTime + 1
  const plan: BlockPlan = {
    prevHash: tip.hash,
    height,
    time: Math.max(regtest.nowSeconds(), minTime),
    minTime,
    txs: txs.map(describeTx),
    rewardSat: subsidySat(height),
    ...change,
  }
  return mineBlock(plan, ALICE_SCRIPT, (hash) => regtest.chain.node(hash) !== undefined)
}

export function asTx(body: Transaction): Tx {
  return describeTx(Transaction.fromBuffer(body.toBuffer()))
}
