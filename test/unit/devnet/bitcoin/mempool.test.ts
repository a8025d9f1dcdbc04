import type { Transaction } from 'bitcoinjs-lib'
import type { Acceptance } from '../../../../devnet/bitcoin/mempool.ts'
import { ALICE, ALICE_SCRIPT, asTx, createFixture, type Fixture } from './fixture.ts'
import { type Coin, signKeyHash, spendKeyHash, unsigned } from './wallet.ts'

const send = (fixture: Fixture, tx: Transaction): string =>
  textOf(fixture.regtest.sendTransaction(asTx(tx)))

const textOf = (outcome: Acceptance) =>
  outcome.code === 'accepted'
    ? outcome.code
    : [outcome.reason, ...(outcome.debug === undefined ? [] : [outcome.debug])].join(', ')

/** Pays a coin back to alice, less a fee. */
const payOn = (coin: Coin, feeSat = 1_000n, options = {}) =>
  spendKeyHash(coin, ALICE, [{ script: ALICE_SCRIPT, amountSat: coin.amountSat - feeSat }], options)

const outputOf = (tx: Transaction, vout = 0): Coin => ({
  txid: tx.getId(),
  vout,
  amountSat: tx.outs[vout]?.value ?? 0n,
  script: ALICE_SCRIPT,
})

describe('regtest mempool', () => {
  it('takes chains of 25 unconfirmed transactions and no longer ones', () => {
    const fixture = createFixture(1)
    let coin = fixture.coin()
    for (let length = 1; length <= 25; length++) {
      const tx = payOn(coin)
      expect(send(fixture, tx)).toBe('accepted')
      coin = outputOf(tx)
    }
    expect(send(fixture, payOn(coin))).toMatch(/^too-long-mempool-chain, too many unconfirmed/)
    fixture.mine()
    expect(fixture.regtest.mempool.size).toBe(0)
    expect(send(fixture, payOn(coin))).toBe('accepted')
  })

  it('mines a child that pays for its parent, the parent first', () => {
    const fixture = createFixture(2)
    const [poor, rich] = [fixture.coin(), fixture.coin()]
    const parent = payOn(poor, 200n)
    const other = payOn(rich, 5_000n)
    const child = payOn(outputOf(parent), 50_000n)
    for (const tx of [other, parent, child]) expect(send(fixture, tx)).toBe('accepted')
    const mined = fixture.mine().txs.map(({ txid }) => txid)
    expect(mined.slice(1)).toEqual([parent, child, other].map((tx) => tx.getId()))
  })

  it('refuses a replacement that spends an unconfirmed output which the replaced one did not', () => {
    const fixture = createFixture(2)
    const [coin, other] = [fixture.coin(), fixture.coin()]
    const parent = payOn(other)
    expect(send(fixture, payOn(coin))).toBe('accepted')
    expect(send(fixture, parent)).toBe('accepted')
    const coins = [coin, outputOf(parent)]
    const tx = unsigned(coins, [{ script: ALICE_SCRIPT, amountSat: 1_000_000n }])
    for (const [index, spent] of coins.entries()) signKeyHash(tx, index, spent, ALICE)
    expect(send(fixture, tx)).toMatch(/^replacement-adds-unconfirmed, .* idx 1$/)
  })

  it('refuses a transaction that replaces its own parent', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const parent = payOn(coin)
    expect(send(fixture, parent)).toBe('accepted')
    const coins = [coin, outputOf(parent)]
    const tx = unsigned(coins, [{ script: ALICE_SCRIPT, amountSat: 1_000n }])
    for (const [index, spent] of coins.entries()) signKeyHash(tx, index, spent, ALICE)
    expect(send(fixture, tx)).toMatch(/^bad-txns-spends-conflicting-tx/)
  })

  it('refuses the same transaction again, and the same with another witness', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const tx = payOn(coin)
    expect(send(fixture, tx)).toBe('accepted')
    expect(send(fixture, tx)).toBe('txn-already-in-mempool')
    const bare = tx.clone()
    bare.setWitness(0, [])
    expect(send(fixture, bare)).toBe('txn-same-nonwitness-data-in-mempool')
  })

  it('lets version 3 be replaced without a signal and keeps it to one small child', () => {
    const fixture = createFixture(2)
    const coin = fixture.coin()
    const version3 = { version: 3, sequence: 0xffffffff }
    const first = payOn(coin, 1_000n, version3)
    expect(send(fixture, first)).toBe('accepted')
    const parent = payOn(coin, 3_000n, version3)
    expect(send(fixture, parent)).toBe('accepted')
    expect(send(fixture, payOn(outputOf(parent)))).toMatch(/^TRUC-violation, non-version=3/)
    const child = payOn(outputOf(parent), 1_000n, version3)
    expect(send(fixture, child)).toBe('accepted')
    expect(send(fixture, payOn(outputOf(child), 1_000n, version3))).toMatch(
      /^TRUC-violation, .*too many/,
    )
    const plain = payOn(fixture.coin())
    expect(send(fixture, plain)).toBe('accepted')
    expect(send(fixture, payOn(outputOf(plain), 1_000n, version3))).toMatch(
      /^TRUC-violation, version=3/,
    )
    fixture.mine()
    expect(fixture.regtest.mempool.size).toBe(0)
  })

  it('refuses versions, dust, scripts and data that are not standard', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const pay = (script: Uint8Array, amountSat: bigint) =>
      send(fixture, spendKeyHash(coin, ALICE, [{ script, amountSat }]))
    expect(send(fixture, payOn(coin, 1_000n, { version: 4 }))).toBe('version')
    expect(pay(ALICE_SCRIPT, 293n)).toBe('dust')
    expect(pay(Uint8Array.of(0x51, 0x20, ...new Uint8Array(32)), 329n)).toBe('dust')
    expect(pay(Uint8Array.of(0x51), 10_000n)).toBe('scriptpubkey')
    const data = (length: number) => Uint8Array.of(0x6a, 0x4c, length, ...new Uint8Array(length))
    expect(pay(data(81), 0n)).toBe('scriptpubkey')
    const twice = [data(20), data(21)].map((script) => ({ script, amountSat: 0n }))
    expect(send(fixture, spendKeyHash(coin, ALICE, twice))).toBe('multi-op-return')
    expect(pay(ALICE_SCRIPT, 294n)).toBe('accepted')
  })

  it('names what this regtest cannot spend', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const script = Uint8Array.of(0x76, 0xa9, 0x14, ...new Uint8Array(20), 0x88, 0xac)
    const tx = spendKeyHash(coin, ALICE, [{ script, amountSat: 100_000n }])
    expect(send(fixture, tx)).toBe('accepted')
    fixture.mine()
    const paid: Coin = { txid: tx.getId(), vout: 0, amountSat: 100_000n, script }
    expect(send(fixture, payOn(paid))).toMatch(/Not supported by the Millrace development regtest/)
    expect(fixture.lines.at(-1)).toMatch(/Not supported by the Millrace development regtest/)
  })

  it('drops what a block made impossible, with its descendants', () => {
    const fixture = createFixture(1)
    const coin = fixture.coin()
    const first = payOn(coin)
    const child = payOn(outputOf(first))
    for (const tx of [first, child]) expect(send(fixture, tx)).toBe('accepted')
    const other = createFixture(1)
    expect(send(other, payOn(other.coin(), 4_000n))).toBe('accepted')
    fixture.regtest.submitBlock(other.mine())
    expect(fixture.regtest.mempool.size).toBe(0)
    expect(fixture.regtest.mempool.spender(`${coin.txid}:0`)).toBeUndefined()
  })

  it('after a reorganisation keeps only what can still be mined', () => {
    const fixture = createFixture(2)
    const { chain, mempool } = fixture.regtest
    const tx = payOn(fixture.coin())
    expect(send(fixture, tx)).toBe('accepted')
    fixture.mine()
    const height = chain.tip.height
    const child = payOn(outputOf(tx))
    const late = payOn(fixture.coin(), 1_000n, { locktime: height })
    for (const entry of [child, late]) expect(send(fixture, entry)).toBe('accepted')
    fixture.regtest.invalidate(chain.tip)
    expect(mempool.entries().map((entry) => entry.tx.txid)).toEqual(
      [tx, child].map((kept) => kept.getId()),
    )
    expect([...(mempool.get(tx.getId())?.children ?? [])]).toEqual([child.getId()])
  })
})
