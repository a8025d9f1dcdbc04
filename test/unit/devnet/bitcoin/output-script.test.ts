/** Descriptions of output scripts; the expected texts are Bitcoin Core 26's. */
import * as fc from 'fast-check'
import { formatMoney } from '../../../../devnet/bitcoin/coins.ts'
import {
  addressOf,
  assembly,
  inferDescriptor,
  scriptOfAddress,
  scriptOfDescriptor,
  scriptType,
} from '../../../../devnet/bitcoin/output-script.ts'
import { btc } from '../../../../devnet/bitcoin/rpc-method.ts'
import { hexOf } from './wallet.ts'

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
const KEY = '03acd484e2f0c7f65309ad178a9f559abde09796974c57e714c35f110dfc27ccbe'
const X_ONLY = '19cba5b63bdcbf46629edf17cda13bce567b90442bb421eae8a32e35843967c3'

describe('output scripts', () => {
  it('are typed, addressed, described and spelt out as Core does', () => {
    const hash = '07'.repeat(20)
    const rows = [
      [
        '0014751e76e8199196d454941c45d1b3a323f1433bd6',
        'witness_v0_keyhash',
        'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
        'addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)#8pk5s7ya',
        '0 751e76e8199196d454941c45d1b3a323f1433bd6',
      ],
      [
        `5120${X_ONLY}`,
        'witness_v1_taproot',
        'bcrt1pr896td3mmjl5vc57mutumgfmeet8hyzy9w6zr6hg5vhrtppevlpsmq6cuw',
        `rawtr(${X_ONLY})#6z9jphkz`,
        `1 ${X_ONLY}`,
      ],
      ['6a0401020304', 'nulldata', undefined, 'raw(6a0401020304)#g0fz96j4', 'OP_RETURN 67305985'],
      [
        `76a914${hash}88ac`,
        'pubkeyhash',
        'mgA7SfyBBrVGVSpQ7oqGHPhxpp2gUZWtfc',
        undefined,
        `OP_DUP OP_HASH160 ${hash} OP_EQUALVERIFY OP_CHECKSIG`,
      ],
      [
        `5121${KEY}21${KEY}52ae`,
        'multisig',
        undefined,
        `multi(1,${KEY},${KEY})#hs4fel42`,
        `1 ${KEY} ${KEY} 2 OP_CHECKMULTISIG`,
      ],
      ['51', 'nonstandard', undefined, undefined, '1'],
    ] as const
    for (const [hex, type, address, descriptor, asm] of rows) {
      const script = bytes(hex)
      expect([scriptType(script), addressOf(script), assembly(script)]).toEqual([
        type,
        address,
        asm,
      ])
      if (descriptor !== undefined) expect(inferDescriptor(script)).toBe(descriptor)
      if (address !== undefined) expect(hexOf(scriptOfAddress(address) ?? bytes(''))).toBe(hex)
    }
  })

  it('gives a taproot address for any 32 bytes, as Core does', () => {
    const script = bytes(`5120${'ff'.repeat(32)}`)
    expect(scriptOfAddress(addressOf(script) ?? '')).toEqual(script)
    expect(inferDescriptor(script)).toMatch(/^addr\(bcrt1p/)
  })

  it('takes no address of another network, and no text that is none', () => {
    for (const text of [
      'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
      'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx',
      '1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2',
      'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081',
      '',
      'x'.repeat(10_000),
    ]) {
      expect(scriptOfAddress(text)).toBeUndefined()
    }
    fc.assert(fc.property(fc.string(), (text) => scriptOfAddress(text) === undefined))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (script) => {
        expect(assembly(script).length).toBeGreaterThanOrEqual(0)
        expect(scriptOfDescriptor(inferDescriptor(script))).toEqual({ script })
      }),
    )
  })

  it('checks the checksum of a descriptor', () => {
    expect(scriptOfDescriptor('raw(00)#qwfjgwf6')).toEqual({ script: bytes('00') })
    expect(scriptOfDescriptor('raw(00)#aaaaaaaa')).toEqual({
      fault: "Provided checksum 'aaaaaaaa' does not match computed checksum 'qwfjgwf6'",
    })
  })

  it('prints amounts as Core does, in answers and in reasons', () => {
    const shown = [0n, 1n, 100_000_000n, 5_000_000_001n, -1n, 2_100_000_000_000_000n]
    expect(JSON.stringify(shown.map(btc))).toBe(
      '[0.00000000,0.00000001,1.00000000,50.00000001,-0.00000001,21000000.00000000]',
    )
    expect([0n, 5_000_000_000n, 1_001n].map(formatMoney)).toEqual(['0.00', '50.00', '0.00001001'])
  })
})
