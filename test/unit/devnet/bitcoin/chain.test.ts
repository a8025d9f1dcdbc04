import { decodeBlock } from '../../../../devnet/bitcoin/block.ts'
import { Chain } from '../../../../devnet/bitcoin/chain.ts'
import { subsidySat } from '../../../../devnet/bitcoin/chain-params.ts'
import type { LogRecord } from '../../../../devnet/bitcoin/log.ts'
import { Regtest } from '../../../../devnet/bitcoin/regtest.ts'
import { outpoint } from '../../../../devnet/bitcoin/transaction.ts'
import {
  ALICE,
  ALICE_SCRIPT,
  blockOn,
  coinbaseCoin,
  createFixture,
  type Fixture,
} from './fixture.ts'
import { keyHashScript, secretKey, spendKeyHash } from './wallet.ts'

const GENESIS = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'

const reasonOf = (fixture: Fixture, block: ReturnType<typeof blockOn>) => {
  const outcome = fixture.regtest.submitBlock(block)
  return outcome.code === 'rejected' ? outcome.reason : outcome.code
}

/** All coins, as a map that can be compared. */
const coinSet = (chain: Chain) => new Map([...chain.coins()].sort(([a], [b]) => (a < b ? -1 : 1)))

describe('regtest chain', () => {
  it('starts from Core’s regtest genesis, whose coinbase is no coin', () => {
    const chain = new Chain()
    expect(chain.tip.hash).toBe(GENESIS)
    expect([...chain.coins()]).toEqual([])
  })

  it('halves the subsidy every 150 blocks', () => {
    expect([1, 149, 150, 299, 300, 9_750].map(subsidySat)).toEqual([
      5_000_000_000n,
      5_000_000_000n,
      2_500_000_000n,
      2_500_000_000n,
      1_250_000_000n,
      0n,
    ])
  })

  it('mines the same blocks for the same clock, at the clock’s time or just past the median', () => {
    const hashes = [createFixture(), createFixture()].map((fixture) => fixture.mine(30).header.hash)
    expect(hashes[0]).toBe(hashes[1])
    const fixture = createFixture()
    fixture.clock.ms += 5_000
    expect(fixture.mine().header.time).toBe(fixture.clock.ms / 1000)
    fixture.clock.ms -= 60_000
    const { medianTime } = fixture.regtest.chain.tip
    expect(fixture.mine().header.time).toBe(medianTime + 1)
    fixture.clock.ms -= 7_300_000
    expect(fixture.regtest.mine(ALICE_SCRIPT)).toEqual({ reason: 'time-too-new' })
  })

  it('pays fees to the miner and no more than subsidy and fees', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const tx = spendKeyHash(coin, ALICE, [
      { script: ALICE_SCRIPT, amountSat: coin.amountSat - 700n },
    ])
    const subsidy = subsidySat(fixture.regtest.chain.tip.height + 1)
    const rewards = (rewardSat: bigint) => reasonOf(fixture, blockOn(fixture, [tx], { rewardSat }))
    expect(rewards(subsidy + 701n)).toBe('bad-cb-amount')
    expect(rewards(subsidy + 700n)).toBe('accepted')
  })

  it('refuses a coinbase spent before 100 confirmations', () => {
    const fixture = createFixture(1)
    const young = coinbaseCoin(fixture.mine())
    fixture.mine(98)
    const tx = spendKeyHash(young, ALICE, [{ script: ALICE_SCRIPT, amountSat: 1_000n }])
    expect(reasonOf(fixture, blockOn(fixture, [tx]))).toBe('bad-txns-premature-spend-of-coinbase')
    fixture.mine()
    expect(reasonOf(fixture, blockOn(fixture, [tx]))).toBe('accepted')
  })

  it('refuses double spends, value from nothing and bad signatures in blocks', () => {
    const fixture = createFixture(2)
    const [coin, other] = [fixture.coin(), fixture.coin()]
    const pay = (amountSat: bigint) => [{ script: ALICE_SCRIPT, amountSat }]
    const spend = spendKeyHash(coin, ALICE, pay(1_000n))
    const again = spendKeyHash(coin, ALICE, pay(2_000n))
    expect(reasonOf(fixture, blockOn(fixture, [spend, again]))).toBe(
      'bad-txns-inputs-missingorspent',
    )
    const inflated = spendKeyHash(other, ALICE, pay(other.amountSat + 1n))
    expect(reasonOf(fixture, blockOn(fixture, [inflated]))).toBe('bad-txns-in-belowout')
    const stolen = spendKeyHash(other, secretKey(2), pay(1_000n))
    expect(reasonOf(fixture, blockOn(fixture, [stolen]))).toMatch(
      /^mandatory-script-verify-flag-failed/,
    )
    expect(reasonOf(fixture, blockOn(fixture, [spend]))).toBe('accepted')
    expect(reasonOf(fixture, blockOn(fixture, [again]))).toBe('bad-txns-inputs-missingorspent')
  })

  it('lets a transaction spend an earlier one of its block, not a later one', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const parent = spendKeyHash(coin, ALICE, [{ script: ALICE_SCRIPT, amountSat: 100_000n }])
    const between = { txid: parent.getId(), vout: 0, amountSat: 100_000n, script: ALICE_SCRIPT }
    const child = spendKeyHash(between, ALICE, [{ script: ALICE_SCRIPT, amountSat: 50_000n }])
    expect(reasonOf(fixture, blockOn(fixture, [child, parent]))).toBe(
      'bad-txns-inputs-missingorspent',
    )
    expect(reasonOf(fixture, blockOn(fixture, [parent, child]))).toBe('accepted')
    expect(fixture.regtest.chain.coin(outpoint(parent.getId(), 0))).toBeUndefined()
    expect(fixture.regtest.chain.coin(outpoint(child.getId(), 0))?.valueSat).toBe(50_000n)
  })

  it('refuses a witness that the coinbase does not commit to', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const tx = spendKeyHash(coin, ALICE, [{ script: ALICE_SCRIPT, amountSat: 1_000n }])
    const block = blockOn(fixture, [tx])
    const raw = Uint8Array.from(block.raw)
    raw[raw.length - 20]! ^= 1
    const changed = decodeBlock(raw)
    if (changed === undefined) throw new Error('does not decode')
    expect(changed.header.hash).toBe(block.header.hash)
    expect(reasonOf(fixture, changed)).toBe('bad-witness-merkle-match')
    expect(reasonOf(fixture, block)).toBe('accepted')
  })

  it('refuses headers with foreign difficulty, bad times, old versions and no work', () => {
    const fixture = createFixture()
    fixture.mine(12)
    const edit = (change: (header: DataView) => void) => {
      const raw = Uint8Array.from(blockOn(fixture, []).raw)
      change(new DataView(raw.buffer))
      for (let nonce = 0; ; nonce++) {
        new DataView(raw.buffer).setUint32(76, nonce, true)
        const block = decodeBlock(raw)
        const reason = block === undefined ? 'undecodable' : reasonOf(fixture, block)
        if (reason !== 'high-hash') return reason
      }
    }
    const { chain } = fixture.regtest
    const now = fixture.regtest.nowSeconds()
    expect(edit((header) => header.setUint32(72, 0x207ffffe, true))).toBe('bad-diffbits')
    expect(edit((header) => header.setUint32(68, chain.tip.medianTime, true))).toBe('time-too-old')
    expect(edit((header) => header.setUint32(68, now + 7_201, true))).toBe('time-too-new')
    expect(edit((header) => header.setUint32(0, 3, true))).toBe('bad-version(0x00000003)')
    const block = blockOn(fixture, [])
    const hashes = new Set<string>()
    for (let nonce = 0; nonce < 64; nonce++) {
      const raw = Uint8Array.from(block.raw)
      new DataView(raw.buffer).setUint32(76, nonce, true)
      const attempt = decodeBlock(raw)
      if (attempt !== undefined && attempt.header.hash >= '8') {
        hashes.add(reasonOf(fixture, attempt))
      }
    }
    expect([...hashes]).toEqual(['high-hash'])
  })

  it('restores exactly the coins it had when a reorganisation is undone', () => {
    const fixture = createFixture(3)
    const { regtest } = fixture
    const before = coinSet(regtest.chain)
    const { tip } = regtest.chain
    for (let spent = 0; spent < 3; spent++) {
      const coin = fixture.coin()
      const pay = [{ script: keyHashScript(secretKey(5)), amountSat: 1_000n + BigInt(spent) }]
      expect(reasonOf(fixture, blockOn(fixture, [spendKeyHash(coin, ALICE, pay)]))).toBe('accepted')
    }
    const after = coinSet(regtest.chain)
    const first = regtest.chain.at(tip.height + 1)
    if (first === undefined) throw new Error('no block')
    regtest.invalidate(first)
    expect(coinSet(regtest.chain)).toEqual(before)
    regtest.reconsider(first)
    expect(coinSet(regtest.chain)).toEqual(after)
  })

  it('stays on the first of two equal branches and comes back from a longer one that is invalid', () => {
    const fixture = createFixture(1)
    const { chain } = fixture.regtest
    const fork = chain.tip
    const base = { prevHash: fork.hash, height: fork.height + 1 }
    const side = blockOn(fixture, [], { ...base, rewardSat: 1n })
    const left = fixture.mine()
    const coins = coinSet(chain)
    expect(reasonOf(fixture, side)).toBe('accepted')
    expect(chain.tip.hash).toBe(left.header.hash)
    const above = { prevHash: side.header.hash, height: fork.height + 2 }
    const worse = blockOn(fixture, [], { ...above, rewardSat: 10_000_000_000n })
    expect(reasonOf(fixture, worse)).toBe('bad-cb-amount')
    expect(chain.tip.hash).toBe(left.header.hash)
    expect(coinSet(chain)).toEqual(coins)
    expect(reasonOf(fixture, worse)).toBe('duplicate-invalid')
    const better = blockOn(fixture, [], { ...above, rewardSat: 2n })
    expect(reasonOf(fixture, better)).toBe('accepted')
    expect(chain.tip.hash).toBe(better.header.hash)
  })

  it('takes no effect when the log cannot be written', () => {
    const records: string[] = []
    let full = false
    const blockLog = {
      append: ({ kind }: LogRecord) => {
        if (full) throw new Error('no space left')
        records.push(kind)
      },
      close: () => {},
    }
    const regtest = new Regtest({ now: () => 1_800_000_000_000, log: () => {}, blockLog })
    regtest.mine(ALICE_SCRIPT)
    const { tip } = regtest.chain
    full = true
    expect(() => regtest.mine(ALICE_SCRIPT)).toThrow('no space left')
    expect(() => regtest.invalidate(tip)).toThrow('no space left')
    expect(regtest.chain.tip).toBe(tip)
    full = false
    regtest.mine(ALICE_SCRIPT)
    expect(regtest.chain.tip.parent).toBe(tip)
    expect(records).toEqual(['block', 'block'])
  })

  it('decodes no block that is cut short, padded or random', () => {
    const fixture = createFixture()
    const { raw } = fixture.mine()
    for (let length = 0; length < raw.length; length++) {
      expect(decodeBlock(raw.subarray(0, length))).toBeUndefined()
    }
    expect(decodeBlock(Uint8Array.of(...raw, 0))).toBeUndefined()
    expect(decodeBlock(raw)?.header.hash).toBe(fixture.regtest.chain.tip.hash)
  })
})
