import {
  addressFromScript,
  isOpReturn,
  opReturnPayload,
  opReturnScript,
  parsePayableScript,
  scriptFromAddress,
} from '../../../../core/bitcoin/index.ts'
import { hexBytes, toHex } from '../../../../crypto/index.ts'

const PROGRAM = '751e76e8199196d454941c45d1b3a323f1433bd6'
const PROGRAM32 = '1863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262'
const TAPROOT = '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'

describe('addresses', () => {
  it.each([
    ['main', 'p2wpkh', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', `0014${PROGRAM}`],
    ['test', 'p2wpkh', 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', `0014${PROGRAM}`],
    [
      'test',
      'p2wsh',
      'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
      `0020${PROGRAM32}`,
    ],
    [
      'main',
      'p2tr',
      'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
      `5120${TAPROOT}`,
    ],
    ['main', 'p2pkh', '1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH', `76a914${PROGRAM}88ac`],
    [
      'main',
      'p2sh',
      '3P14159f73E4gFr7JterCCQh9QjiTjiZrG',
      'a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87',
    ],
  ] as const)('%s %s (BIP173, BIP350, Base58Check)', (network, type, address, script) => {
    expect(scriptFromAddress(address, network)).toEqual({ ok: true, value: hexBytes(script) })
    expect(addressFromScript(hexBytes(script), network)).toBe(address)
    expect(parsePayableScript(hexBytes(script))).toBe(type)
  })

  it('upper case is the same address, mixed case is none', () => {
    const upper = 'BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4'
    expect(scriptFromAddress(upper, 'main').ok).toBe(true)
    expect(scriptFromAddress(`bc1Q${upper.slice(4).toLowerCase()}`, 'main')).toMatchObject({
      error: { code: 'AddressMalformed' },
    })
  })

  it.each([
    ['bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'regtest', 'AddressNetwork'],
    ['1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH', 'regtest', 'AddressNetwork'],
    ['bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5', 'main', 'AddressChecksum'],
    ['1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMJ', 'main', 'AddressChecksum'],
    // BIP350: a version 0 program under bech32m, a version 1 program under bech32
    ['bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd', 'main', 'AddressChecksum'],
    ['bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd', 'main', 'AddressChecksum'],
    // version 16, and a taproot program of two bytes
    ['bc1sw50qgdz25j', 'main', 'AddressUnpayable'],
    ['', 'main', 'AddressMalformed'],
    ['bc1', 'main', 'AddressMalformed'],
    ['0OIl', 'main', 'AddressMalformed'],
    ['1'.repeat(90), 'main', 'AddressMalformed'],
    ['1111111111111111111114oLvT2', 'regtest', 'AddressNetwork'],
    ['é'.repeat(30), 'main', 'AddressMalformed'],
    ['b'.repeat(91), 'main', 'AddressMalformed'],
  ] as const)('%s on %s: %s (PI-2, PO-4, D8)', (address, network, code) => {
    expect(scriptFromAddress(address, network)).toEqual({ ok: false, error: { code } })
  })

  it('all five forms come back on each network', () => {
    for (const network of ['main', 'test', 'signet', 'regtest'] as const) {
      for (const script of [
        `76a914${PROGRAM}88ac`,
        `a914${PROGRAM}87`,
        `0014${PROGRAM}`,
        `0020${PROGRAM32}`,
        `5120${TAPROOT}`,
      ]) {
        const address = addressFromScript(hexBytes(script), network) as string
        expect(scriptFromAddress(address, network)).toEqual({ ok: true, value: hexBytes(script) })
      }
    }
  })
})

describe('scripts', () => {
  it.each([
    `76a914${PROGRAM}88ad`,
    `76a915${PROGRAM}88ac`,
    `a914${PROGRAM}88`,
    `0114${PROGRAM}`,
    `5220${TAPROOT}`,
    `6a14${PROGRAM}`,
    '',
  ])('%s is not payable', (hex) => {
    expect(parsePayableScript(hexBytes(hex))).toBeUndefined()
    expect(addressFromScript(hexBytes(hex), 'main')).toBeUndefined()
  })

  it('an OP_RETURN payload is one direct push of 1 to 75 bytes', () => {
    for (const length of [1, 20, 75]) {
      const payload = new Uint8Array(length).fill(7)
      expect(opReturnPayload(opReturnScript(payload))).toEqual(payload)
    }
    for (const hex of ['6a', '6a00', '6a0201', '6a020102ff', '6a4c0101', '51', '6a51']) {
      expect(opReturnPayload(hexBytes(hex))).toBeUndefined()
    }
    expect(isOpReturn(hexBytes('6a4c0101'))).toBe(true)
    expect(() => opReturnScript(new Uint8Array(76))).toThrow()
    expect(toHex(opReturnScript(hexBytes('aabb')))).toBe('6a02aabb')
  })
})
