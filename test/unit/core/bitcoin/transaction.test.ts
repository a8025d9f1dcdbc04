import {
  type BitcoinTransaction,
  compactSize,
  isCoinbase,
  outputSizeBytes,
  parseTransaction,
  readBlock,
  serializeTransaction,
  stripTransaction,
  transactionWeight,
  txid,
  uint32le,
} from '../../../../core/bitcoin/index.ts'
import { concatBytes, hexBytes, sha256d, toDisplayHash, toHex } from '../../../../crypto/index.ts'

/** The only transaction of block 0. */
const FIRST_COINBASE = hexBytes(
  '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000',
)

/** BIP143's native P2WPKH example, signed. */
const WITNESS = hexBytes(
  '01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000',
)

function parsed(bytes: Uint8Array): BitcoinTransaction {
  const result = parseTransaction(bytes)
  if (!result.ok) throw new Error(result.error.reason)
  return result.value
}

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

describe('a block read in place', () => {
  const header = new Uint8Array(80).fill(7)
  const block = concatBytes(header, Uint8Array.of(2), FIRST_COINBASE, WITNESS)

  it('gives each transaction as it lies there, with what its txid is made of', () => {
    const read = readBlock(block)
    if (!read.ok) throw new Error(read.error.reason)
    expect(read.value.map(({ bytes }) => bytes)).toEqual([FIRST_COINBASE, WITNESS])
    for (const { bytes, outpoints, scripts, stripped } of read.value) {
      const transaction = parsed(bytes)
      expect(sha256d(...stripped)).toEqual(txid(transaction))
      expect(scripts).toEqual(transaction.outputs.map(({ scriptPubKey }) => scriptPubKey))
      expect(outpoints).toEqual(
        transaction.inputs.map((input) => concatBytes(input.txid, uint32le(input.vout))),
      )
    }
  })

  it('every shortening and every trailing byte is refused (C-7)', () => {
    for (let length = 0; length < block.length; length++) {
      expect(readBlock(block.subarray(0, length))).toMatchObject({ ok: false })
    }
    expect(readBlock(concatBytes(block, Uint8Array.of(0)))).toEqual({
      ok: false,
      error: { code: 'BlockMalformed', reason: '1 trailing bytes' },
    })
    expect(readBlock(new Uint8Array(4_000_001))).toMatchObject({ ok: false })
  })

  it('any byte changed gives a value or a reason, never a throw (C-7)', () => {
    for (let at = 80; at < block.length; at++) {
      for (const changed of [0, 0x41, 0xfd, 0xff]) {
        const bytes = Uint8Array.from(block)
        bytes[at] = changed
        expect(() => readBlock(bytes)).not.toThrow()
      }
    }
  })
})
