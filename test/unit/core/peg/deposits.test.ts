import { opReturnScript } from '../../../../core/bitcoin/index.ts'
import {
  changeOutput,
  classifyDeposit,
  depositPayloadScript,
  federationScripts,
  isForbiddenAddress,
  NO_KEYS,
  parseDepositPayload,
  parseDeposits,
} from '../../../../core/peg/index.ts'
import { hexBytes } from '../../../../crypto/index.ts'
import { addressOf, p2wpkh, payment, testGenesis } from './world.ts'

const genesis = testGenesis()
const plain = changeOutput(genesis, 0).scriptPubKey
const scripts = federationScripts(genesis, 0, NO_KEYS)
const alice = addressOf('alice')

function deposits(outputs: readonly (readonly [bigint, Uint8Array])[]) {
  const transaction = payment(
    'x',
    outputs.map(([amountSat, scriptPubKey]) => ({ amountSat, scriptPubKey })),
  )
  return parseDeposits(transaction, scripts, genesis.params)
}

describe('the OP_RETURN form (PI-2, §7)', () => {
  it('20 raw bytes, or ALYS, 01, 20 bytes and a refund script', () => {
    expect(parseDepositPayload(opReturnScript(alice))).toMatchObject({ evmAddress: alice })
    const refundScript = p2wpkh('alice')
    expect(parseDepositPayload(depositPayloadScript(alice, refundScript))).toEqual({
      evmAddress: alice,
      refundScript,
    })
    const bare = Uint8Array.of(...hexBytes('414c595301'), ...alice)
    expect(parseDepositPayload(opReturnScript(bare))).toMatchObject({ evmAddress: alice })
  })

  it.each([
    ['19 bytes', opReturnScript(alice.subarray(1))],
    ['21 bytes', opReturnScript(Uint8Array.of(...alice, 0))],
    ['a wrong version', opReturnScript(Uint8Array.of(...hexBytes('414c595302'), ...alice))],
    ['a wrong mark', opReturnScript(Uint8Array.of(...hexBytes('414c5a5301'), ...alice))],
    ['two pushes', Uint8Array.of(...opReturnScript(alice), 1, 1)],
    ['OP_PUSHDATA1', Uint8Array.of(0x6a, 0x4c, 20, ...alice)],
    ['no OP_RETURN', p2wpkh('x')],
  ])('%s is no payload', (_, script) => {
    expect(parseDepositPayload(script)).toBeUndefined()
  })

  it('exactly one federation output and one OP_RETURN, wherever they stand', () => {
    expect(
      deposits([
        [7n, p2wpkh('other')],
        [0n, opReturnScript(alice)],
        [50_000n, plain],
      ]),
    ).toMatchObject([{ vout: 2, kind: 'credit', reason: 'none', evmAddress: alice }])
    expect(deposits([[50_000n, p2wpkh('other')]])).toEqual([])
  })

  it('two federation outputs beside one message are two refundable deposits (D8)', () => {
    expect(
      deposits([
        [50_000n, plain],
        [60_000n, plain],
        [0n, opReturnScript(alice)],
      ]),
    ).toMatchObject([
      { vout: 0, kind: 'refundable', reason: 'badPayload', amountSat: 50_000n },
      { vout: 1, kind: 'refundable', reason: 'badPayload', amountSat: 60_000n },
    ])
  })

  it('what is below the minimum is none', () => {
    expect(
      deposits([
        [9_999n, plain],
        [0n, opReturnScript(alice)],
      ]),
    ).toEqual([])
  })
})

describe('addresses that cannot use a coin (§7)', () => {
  it.each([
    ['0000000000000000000000000000000000000001', true],
    ['00000000000000000000000000000000000001ff', true],
    ['0000000000000000000000000000000000000200', false],
    ['bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', true],
    ['000f3df6d732807ef1319fb7b8bb8522d0beac02', true],
    ['fee5fee5fee5fee5fee5fee5fee5fee5fee5fee5', true],
  ])('%s: %s', (address, isForbidden) => {
    expect(isForbiddenAddress(hexBytes(address))).toBe(isForbidden)
  })

  it('zero is a donation, and every amount in [min, max] to a user a credit', () => {
    const of = (amountSat: bigint, evmAddress: Uint8Array) =>
      classifyDeposit(genesis.params, amountSat, { evmAddress })
    expect(of(10_000n, new Uint8Array(20))).toEqual({ kind: 'fund', reason: 'none' })
    expect(of(10_000n, alice)).toEqual({ kind: 'credit', reason: 'none' })
    expect(of(100_000_000n, alice)).toEqual({ kind: 'credit', reason: 'none' })
    expect(of(100_000_001n, alice)).toEqual({ kind: 'refundable', reason: 'aboveMaximum' })
    expect(of(9_999n, alice)).toBeUndefined()
  })
})
