import {
  compactSize,
  isCoinbase,
  outputSizeBytes,
  parseTransaction,
  serializeTransaction,
  stripTransaction,
  transactionWeight,
  txid,
} from '../../../../core/bitcoin/index.ts'
import { concatBytes, hexBytes, sha256d, toDisplayHash, toHex } from '../../../../crypto/index.ts'
import { FIRST_COINBASE, parsed, WITNESS } from './vectors.ts'

describe('transactions', () => {
  it("Bitcoin's first coinbase has the txid that everybody knows", () => {
    const transaction = parsed(FIRST_COINBASE)
    expect(toDisplayHash(txid(transaction))).toBe(
      '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b',
    )
    expect(isCoinbase(transaction)).toBe(true)
    expect(serializeTransaction(transaction)).toEqual(FIRST_COINBASE)
  })

  it('a witness (BIP143 example) survives both ways and is no part of the txid', () => {
    const transaction = parsed(WITNESS)
    expect(transaction.inputs.map(({ witness }) => witness.length)).toEqual([0, 2])
    expect(serializeTransaction(transaction)).toEqual(WITNESS)
    const stripped = stripTransaction(transaction)
    expect(toHex(txid(stripped))).toBe(toHex(txid(transaction)))
    expect(parsed(serializeTransaction(stripped))).toEqual(stripped)
    expect(transactionWeight(transaction)).toBe(
      3 * serializeTransaction(stripped).length + WITNESS.length,
    )
    expect(isCoinbase(transaction)).toBe(false)
  })

  it('every shortening and every trailing byte is refused (C-7)', () => {
    for (const bytes of [FIRST_COINBASE, WITNESS]) {
      for (let length = 0; length < bytes.length; length++) {
        expect(parseTransaction(bytes.subarray(0, length)).ok).toBe(false)
      }
      expect(parseTransaction(concatBytes(bytes, Uint8Array.of(0)))).toEqual({
        ok: false,
        error: { code: 'TransactionMalformed', reason: '1 trailing bytes' },
      })
    }
  })

  it('what decodes encodes to the same bytes: flipping any byte never gives a second form', () => {
    for (let at = 0; at < WITNESS.length; at++) {
      const bytes = Uint8Array.from(WITNESS)
      bytes[at] = (bytes[at] as number) ^ 0x41
      const result = parseTransaction(bytes)
      if (result.ok) expect(serializeTransaction(result.value)).toEqual(bytes)
    }
  })

  const body = parsed(FIRST_COINBASE)

  it.each([
    ['a count in a longer form', '0100000000fd0100'],
    ['a count beyond the end', '01000000feffffff7f'],
    ['no inputs', '010000000001'],
  ])('%s is refused', (_, hex) => {
    expect(parseTransaction(hexBytes(hex)).ok).toBe(false)
  })

  it('a witness marker without witness is refused', () => {
    const plain = serializeTransaction(body)
    const marked = concatBytes(
      plain.subarray(0, 4),
      Uint8Array.of(0, 1),
      plain.subarray(4, -4),
      Uint8Array.of(0),
      plain.subarray(-4),
    )
    expect(parseTransaction(marked)).toMatchObject({
      error: { reason: 'a witness marker without witness' },
    })
  })

  it('no outputs, or more than all bitcoin in them, is refused', () => {
    const empty = { ...body, outputs: [] }
    expect(parseTransaction(serializeTransaction(empty)).ok).toBe(false)
    const half = { amountSat: 2_000_000_000_000_000n, scriptPubKey: new Uint8Array(1) }
    const rich = { ...body, outputs: [half, half] }
    expect(parseTransaction(serializeTransaction(rich)).ok).toBe(false)
  })

  it('as many outputs as a block has room for do not end the reader (C-7)', () => {
    const output = { amountSat: 1n, scriptPubKey: Uint8Array.of(0x51) }
    const crowd = { ...body, outputs: Array.from({ length: 99_000 }, () => output) }
    const bytes = serializeTransaction(crowd)
    const parsed = parseTransaction(bytes)
    expect(parsed.ok && toHex(txid(parsed.value))).toBe(toHex(sha256d(bytes)))
  })

  it('sizes of counts and outputs', () => {
    expect(toHex(compactSize(252))).toBe('fc')
    expect(toHex(compactSize(253))).toBe('fdfd00')
    expect(toHex(compactSize(65_536))).toBe('fe00000100')
    expect(outputSizeBytes(new Uint8Array(34))).toBe(43)
  })
})
