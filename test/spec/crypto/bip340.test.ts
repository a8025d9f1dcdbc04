import {
  hexBytes,
  schnorrPublicKey,
  schnorrSign,
  schnorrVerify,
  toHex,
} from '../../../crypto/index.ts'
import { describeVectors } from '../vectors.ts'

describeVectors('BIP340', ['bips/bip-0340/test-vectors.csv'], ([csv]) => {
  const rows = (csv ?? '')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(','))
  const columns = (row: readonly string[]) => {
    const [index = '', ...texts] = row
    const [secretKey, publicKey, auxiliary, message, signature] = texts.slice(0, 5).map(hexBytes)
    return { index, secretKey, publicKey, auxiliary, message, signature, verdict: texts[5] } as {
      index: string
      secretKey: Uint8Array
      publicKey: Uint8Array
      auxiliary: Uint8Array
      message: Uint8Array
      signature: Uint8Array
      verdict: string
    }
  }
  // Our API signs and checks 32-byte messages only: the last four rows have others.
  const all = rows.map(columns)
  const ours = all.filter(({ message }) => message.length === 32)

  it('has the rows that it had', () => {
    expect([all.length, ours.length]).toEqual([19, 15])
  })

  it('every row with a secret key: public key and signature', () => {
    const signing = ours.filter(({ secretKey }) => secretKey.length === 32)
    expect(signing).toHaveLength(4)
    for (const { secretKey, publicKey, message, auxiliary, signature } of signing) {
      expect(toHex(schnorrPublicKey(secretKey))).toBe(toHex(publicKey))
      expect(toHex(schnorrSign(secretKey, message, auxiliary))).toBe(toHex(signature))
    }
  })

  it('every row: its verdict', () => {
    for (const { index, publicKey, message, signature, verdict } of ours) {
      expect([index, schnorrVerify(publicKey, message, signature)]).toEqual([
        index,
        verdict === 'TRUE',
      ])
    }
  })
})
