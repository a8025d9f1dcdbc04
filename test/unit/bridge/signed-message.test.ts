/** BIP322, and the proof that the owners of a deposit want it paid back somewhere (protocol §5.9, PI-11). */
import { crypto as bitcoinCrypto, script as bitcoinScript, Transaction } from 'bitcoinjs-lib'
import { pointFromScalar, sign as signEcdsa, xOnlyPointAddTweak } from 'tiny-secp256k1'
import {
  messageFault,
  messageHash,
  messageToSign,
  messageToSpend,
  refundMessage,
  refundProofFault,
  writeWitness,
} from '../../../bridge/index.ts'
import {
  type BitcoinTransaction,
  scriptFromAddress,
  serializeTransaction,
  txid,
} from '../../../core/bitcoin/index.ts'
import { outpointKey } from '../../../core/ledger/index.ts'
import { tapLeafHash } from '../../../core/peg/index.ts'
import {
  compareBytes,
  concatBytes,
  hexBytes,
  schnorrPublicKey,
  schnorrSign,
  sha256,
  taggedHash,
  toDisplayHash,
  toHex,
} from '../../../crypto/index.ts'
import { p2wpkh, payment, seeded, testGenesis } from '../core/peg/world.ts'
import { keyOf, ownerOf } from './owners.ts'

const base64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))

/** The address and the answers of BIP322's own test vectors. */
const address = scriptFromAddress('bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l', 'main')
const SCRIPT = address.ok ? address.value : new Uint8Array(0)
const VECTORS = [
  {
    message: '',
    hash: 'c90c269c4f8fcbe6880f72a721ddfbf1914268a794cbb21cfafee13770ae19f1',
    toSpend: 'c5680aa69bb8d860bf82d4e9cd3504b55dde018de765a91bb566283c545a99a7',
    toSign: '1e9654e951a5ba44c8604c4de6c67fd78a27e81dcadcfe1edf638ba3aaebaed6',
    signature:
      'AkcwRAIgM2gBAQqvZX15ZiysmKmQpDrG83avLIT492QBzLnQIxYCIBaTpOaD20qRlEylyxFSeEA2ba9YOixpX8z46TSDtS40ASECx/EgAxlkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=',
  },
  {
    message: 'Hello World',
    hash: 'f0eb03b1a75ac6d9847f55c624a99169b5dccba2a31f5b23bea77ba270de0a7a',
    toSpend: 'b79d196740ad5217771c1098fc4a4b51e0535c32236c71f1ea4d61a2d603352b',
    toSign: '88737ae86f2077145f93cc4b153ae9a1cb8d56afa511988c149c5c8c9d93bddf',
    signature:
      'AkcwRAIgZRfIY3p7/DoVTty6YZbWS71bc5Vct9p9Fia83eRmw2QCICK/ENGfwLtptFluMGs2KsqoNSk89pO7F29zJLUx9a/sASECx/EgAxlkQpQ9hYjgGu6EBCPMVPwVIVJqO4XCsMvViHI=',
  },
]

/** Of several keys, from the same standard. */
const SEVERAL = [
  {
    type: 'p2wsh-multisig-3of3',
    address: 'bc1qp0ahvfh83088w49k405szqgg4f3pptr7p2g06tdxfjcd40z4lh4q95lsz9',
    message: 'This will be a p2wsh 3-of-3 multisig BIP 322 signed message',
    signature:
      'BQBHMEQCIFX9aaqPJWq2Ff2kpen5bFDTid+ehgUOpHV0LfjncXy4AiA3GNicF7aKPzdpa9PCpmaYQs3pHd+qbvvhXdxOCKCAMAFIMEUCIQD/ELXg6CNYyUQijCg96JtgvgjZb9dsl1Ctof4QAeyTcQIgVM/1AAblFl/DCt6A1gJg+T/i2qU5SQD09+chFJzolRwBSDBFAiEAlqRfSFyWNVQhvaCnmeV5tyneiCWMTcFbuujoD/pFa3wCIGnZjfQb8NolSYq9asV+ZeBSkCGHJcqnaV4JYS5MYPEGAWlTIQJ1aLEfEi/4p7wcV+XHZCBVvGGJZ7L3v+jhH+mZA8lN0yECCovfec+kIdllXpKCgA8RX/HZ2x5yHOtCSKP8/sf6pnwhAwxSng6kCgCXXSAmJOOZFdr3vdK3HzGqCFloOHgc5fM6U64=',
  },
  {
    type: 'p2sh-p2wsh-multisig-2of2',
    address: '3PGZjFkYBL1m9WBWkWbCW5FEFTaS1Hj4EB',
    message: 'NQVRV3DJYLKBANM3OPTNBULEU3',
    signature:
      'AgAAAAABAVscdBvYDFN98A//Rt/fAWcN7mdM0x2yWzBjC33c7X5HAAAAACMiACDkkR/DseXy+GXBPtxHvHehUjHt+9XjRmZAgxuuomAC4eAHAAABAAAAAAAAAAABagQASDBFAiEA47YK5XeIGBMQC9bCfWb+IIfirIWlqAzQVc6E/lgBPZICIA0k/EO2t3YhqmYR5WdXUBGgAzR+IqgZ5/mxvj+4UoDTAUgwRQIhAPCIVZCSoIaOjY9BzYIXWEvbhpOl4JR88p/xYVoZObd6AiADyJXNqpDg/Lc2viPX14N2d0jQdEjamY4SmiU7GNbIOgFHUiED+4JBU/wACiE8VFbQF4DR8pKgz7+8X2+PHccTcGxVGdEhA9uIzp+4CB5QRgvrN1OXQbBmfW8kOd0cooPWMYJCHBCxUq7gBwAA',
  },
  {
    type: 'p2sh-multisig-2of2',
    address: '3Nye4j1GUFqCEBR3do2KEFZAs9oLe8NZ6X',
    message: '7OKFLKRXSP6J42VQOMSG7MVXEP',
    signature:
      'AgAAAAEvAyd4zsoz8gcVU5H19GLYokTAN5PxuKCBlEPjODJ86gAAAADaAEcwRAIgT6rcfxgCmG6b3DpzNV6UG0jiCQGclG9sfiSpV45HDXMCIGgtqjFBuJ7rbi+cgnG0TZiKZaxMk0KI+gQd0pHJfEYCAUgwRQIhANCvCLjGMuZMzH+nCEkNhWhR45T6QRYMLin8utpuF9r1AiBTjG2NLjkre7ec+HPg8UUhK1jL1vgq7YKjq5ROv+h07AFHUiEDhKjcb/Pv1/7AYutzOXwgec08wwD/VwiPm58Lc0xjohghAhycjpwdBuP33orQXAH1CAsrgSkuspxM2+FPQ4OCVhQWUq7gBwAAAQAAAAAAAAAAAWrgBwAA',
  },
]

describe('BIP322', () => {
  it.each(VECTORS)('its vectors: $message', ({ hash, message, signature, toSign, toSpend }) => {
    expect(toHex(messageHash(message))).toBe(hash)
    expect(toDisplayHash(txid(messageToSpend(message, SCRIPT)))).toBe(toSpend)
    expect(toDisplayHash(txid(messageToSign(message, SCRIPT)))).toBe(toSign)
    expect(messageFault(message, SCRIPT, base64(signature))).toBeUndefined()
    expect(messageFault(`${message}.`, SCRIPT, base64(signature))).toBe('SignatureWrong')
    expect(messageFault(message, p2wpkh('other'), base64(signature))).toBe('SignatureWrong')
  })

  it.each(['p2wpkh', 'p2tr', 'p2sh', 'p2pkh'] as const)(
    '%s: by its key, for its message',
    (type) => {
      const owner = ownerOf('alice', type)
      const signature = owner.sign('a message')
      expect(messageFault('a message', owner.script, signature)).toBeUndefined()
      expect(messageFault('another', owner.script, signature)).toBe('SignatureWrong')
      const thief = ownerOf('mallory', type).sign('a message')
      expect(messageFault('a message', owner.script, thief)).not.toBeUndefined()
    },
  )

  it.each(SEVERAL)('its vectors: $type', ({ address: paid, message, signature }) => {
    const script = scriptFromAddress(paid, 'main')
    if (!script.ok) throw new Error(paid)
    expect(messageFault(message, script.value, base64(signature))).toBeUndefined()
    expect(messageFault(`${message}.`, script.value, base64(signature))).toBe('SignatureWrong')
  })

  it('t of several keys in p2wsh: exactly t, in the order of the keys, after an empty item', () => {
    const keys = ['a', 'b', 'c'].map(keyOf)
    const publicKeys = keys.map((key) => Uint8Array.from(pointFromScalar(key, true) as Uint8Array))
    const pushed = publicKeys.flatMap((key) => [Uint8Array.of(33), key])
    const script = concatBytes(hexBytes('52'), ...pushed, hexBytes('53ae'))
    const p2wsh = concatBytes(hexBytes('0020'), sha256(script))
    const whole = Transaction.fromBuffer(serializeTransaction(messageToSign('m', p2wsh)))
    const digest = whole.hashForWitnessV0(0, script, 0n, 1)
    const [a, b, c] = keys.map((key) => bitcoinScript.signature.encode(signEcdsa(digest, key), 1))
    const fault = (...items: (Uint8Array | undefined)[]) =>
      messageFault('m', p2wsh, writeWitness([...(items as Uint8Array[]), script]))
    const none = new Uint8Array(0)
    for (const pair of [
      [a, b],
      [a, c],
      [b, c],
    ])
      expect(fault(none, ...pair)).toBeUndefined()
    for (const items of [
      [none, b, a],
      [none, a],
      [none, a, b, c],
      [none, a, a],
      [a, b],
      [a, a, b],
    ]) {
      expect(fault(...items)).toBe('SignatureWrong')
    }
    expect(fault(Uint8Array.of(1), a, b)).toBe('SignatureWrong')
    expect(fault(none, none, a)).toBe('SignatureWrong')
  })

  it('a leaf of taproot: one key, or t of several, under the path that the control block shows', () => {
    const keys = ['a', 'b', 'c'].map(keyOf)
    const pushed = (at: number) =>
      concatBytes(hexBytes('20'), schnorrPublicKey(keys[at] as Uint8Array))
    const single = concatBytes(pushed(0), hexBytes('ac'))
    const several = concatBytes(
      pushed(0),
      hexBytes('ac'),
      pushed(1),
      hexBytes('ba'),
      pushed(2),
      hexBytes('ba529c'),
    )
    const locked = concatBytes(hexBytes('02e007b275'), single)
    const internal = schnorrPublicKey(keyOf('internal'))
    for (const leaf of [single, several, locked]) {
      const sibling = tapLeafHash(leaf === single ? several : single)
      const ordered = [tapLeafHash(leaf), sibling].sort(compareBytes)
      const tweak = taggedHash('TapTweak', internal, taggedHash('TapBranch', ...ordered))
      const sum = xOnlyPointAddTweak(internal, tweak)
      if (sum === null) throw new Error('no point')
      const p2tr = concatBytes(hexBytes('5120'), sum.xOnlyPubkey)
      const control = concatBytes(Uint8Array.of(0xc0 | sum.parity), internal, sibling)
      const whole = Transaction.fromBuffer(serializeTransaction(messageToSign('m', p2tr)))
      const digest = whole.hashForWitnessV1(0, [p2tr], [0n], 0, tapLeafHash(leaf))
      const [a, b, c] = keys.map((key) => schnorrSign(key, digest, new Uint8Array(32)))
      const none = new Uint8Array(0)
      const fault = (items: (Uint8Array | undefined)[], shown = control) =>
        messageFault('m', p2tr, writeWitness([...(items as Uint8Array[]), leaf, shown]))
      if (leaf === locked) {
        expect(fault([a])).toBe('ScriptUnsupported')
        continue
      }
      // The last key's item comes first.
      const right = leaf === single ? [a] : [none, b, a]
      expect(fault(right)).toBeUndefined()
      if (leaf === several) expect(fault([c, none, a])).toBeUndefined()
      for (const wrong of [
        [b],
        [c, b, a],
        [none, none, a],
        [a, b, none],
        [none, a, b],
        [none, b],
        [],
      ]) {
        expect(fault(wrong)).toBe('SignatureWrong')
      }
      for (let at = 0; at < control.length; at++) {
        const bent = Uint8Array.from(control, (byte, index) => (index === at ? byte ^ 1 : byte))
        expect(fault(right, bent)).toBe('SignatureWrong')
      }
      for (const size of [0, 1, 32, 33, 64]) {
        expect(fault(right, control.subarray(0, size))).not.toBeUndefined()
      }
    }
  })

  it('C-7: a signature with any byte changed is a verdict, never a throw', () => {
    const { script, sign } = ownerOf('alice', 'p2wpkh')
    const signature = sign('m')
    for (let at = 0; at < signature.length; at++) {
      for (const changed of [0x00, 0x01, 0x21, 0x80, 0xff]) {
        const bent = Uint8Array.from(signature, (byte, index) => (index === at ? changed : byte))
        const isSame = bent[at] === signature[at]
        expect(messageFault('m', script, bent) === undefined).toBe(isSame)
      }
    }
  })

  it('a script of which nothing is known has no signature here', () => {
    const given = writeWitness([Uint8Array.of(1), Uint8Array.of(0x51)])
    const p2wsh = Uint8Array.of(0, 32, ...sha256(Uint8Array.of(0x51)))
    expect(messageFault('m', p2wsh, given)).toBe('ScriptUnsupported')
    const other = Uint8Array.of(0, 32, ...seeded('script'))
    expect(messageFault('m', other, given)).toBe('SignatureWrong')
    const p2tr = ownerOf('alice', 'p2tr').script
    expect(messageFault('m', p2tr, given)).toBe('ScriptUnsupported')
    const p2sh = ownerOf('alice', 'p2sh').script
    expect(messageFault('m', p2sh, given)).toBe('SignatureWrong')
  })

  it('a whole transaction is the one that the message gives, but for what signs it', () => {
    const { script } = ownerOf('alice', 'p2pkh')
    const signed = ownerOf('alice', 'p2pkh').sign('m')
    const other = Uint8Array.from(signed)
    // The lock time.
    other[other.length - 1] = 1
    expect(messageFault('m', script, other)).toBe('SignatureWrong')
    for (let size = 0; size < signed.length; size += 7) {
      expect(messageFault('m', script, signed.subarray(0, size))).not.toBeUndefined()
    }
    for (const size of [0, 5_000]) {
      expect(messageFault('m', script, new Uint8Array(size))).toBe('SignatureMalformed')
    }
  })

  it('another hash type, a high s or a longer signature is none', () => {
    const secret = keyOf('alice')
    const key = ownerOf('alice', 'p2wpkh')
    const whole = Transaction.fromBuffer(serializeTransaction(messageToSign('m', key.script)))
    const code = concatBytes(hexBytes('76a914'), key.script.subarray(2), hexBytes('88ac'))
    const digest = whole.hashForWitnessV0(0, code, 0n, 2)
    const none = bitcoinScript.signature.encode(signEcdsa(digest, secret), 2)
    expect(messageFault('m', key.script, writeWitness([none, key.publicKey]))).toBe(
      'SignatureWrong',
    )
    const { script } = ownerOf('alice', 'p2tr')
    const taproot = whole.hashForWitnessV1(0, [script], [0n], 0)
    const long = concatBytes(schnorrSign(secret, taproot, new Uint8Array(32)), Uint8Array.of(0))
    expect(messageFault('m', script, writeWitness([long]))).toBe('SignatureWrong')
    expect(bitcoinCrypto.hash160(key.publicKey)).toEqual(key.script.slice(2))
    expect(schnorrPublicKey(secret)).toEqual(script.slice(2))
  })
})

describe('the proof of who paid a deposit', () => {
  const genesis = testGenesis()
  const alice = ownerOf('alice', 'p2wpkh')
  const bob = ownerOf('bob', 'p2tr')
  const funding = [
    payment('salary', [
      { amountSat: 5n, scriptPubKey: alice.script },
      { amountSat: 5n, scriptPubKey: alice.script },
    ]),
    payment('gift', [{ amountSat: 5n, scriptPubKey: bob.script }]),
  ]
  const spend = (from: number, vout: number) => ({
    ...payment({ txid: txid(funding[from] as BitcoinTransaction), vout }, []).inputs[0],
  })
  const deposit = {
    ...payment('x', [{ amountSat: 9n, scriptPubKey: p2wpkh('federation') }]),
    inputs: [spend(0, 0), spend(0, 1), spend(1, 0)] as BitcoinTransaction['inputs'],
  }
  const outpoint = outpointKey(txid(deposit), 0)
  const to = p2wpkh('home')
  const message = refundMessage(genesis, outpoint, to)
  const whole = {
    deposit: serializeTransaction(deposit),
    previous: funding.map((one) => serializeTransaction(one)),
    signatures: new Map([alice, bob].map(({ script, sign }) => [toHex(script), sign(message)])),
  }
  const codeOf = (changes: Partial<typeof whole>, destination = to, subject = outpoint) =>
    refundProofFault(genesis, subject, destination, { ...whole, ...changes })?.code

  it('is by all of them, for this deposit, this destination and this chain', () => {
    expect(message).toBe(
      `millrace refund of ${toDisplayHash(txid(deposit))}:0 to ${toHex(to)} on ${toHex(genesis.hash)}`,
    )
    expect(codeOf({})).toBeUndefined()
    expect(codeOf({}, p2wpkh('thief'))).toBe('SignatureRefused')
    const other = testGenesis({ minPegInSat: 10_001 })
    expect(refundProofFault(other, outpoint, to, whole)?.code).toBe('SignatureRefused')
    expect(codeOf({}, to, outpointKey(txid(deposit), 1))).toBe('DepositOther')
    expect(codeOf({}, to, outpointKey(seeded('other'), 0))).toBe('DepositOther')
  })

  it('one owner alone, or one that signed something else, proves nothing', () => {
    for (const { script } of [alice, bob]) {
      const some = new Map(whole.signatures)
      some.delete(toHex(script))
      expect(codeOf({ signatures: some })).toBe('SignatureMissing')
    }
    const bent = new Map(whole.signatures).set(toHex(bob.script), bob.sign('something else'))
    expect(codeOf({ signatures: bent })).toBe('SignatureRefused')
  })

  it('the scripts are those of the transactions that it spent, not of any that somebody shows', () => {
    const mallory = ownerOf('mallory', 'p2tr')
    const forged = payment('gift', [{ amountSat: 5n, scriptPubKey: mallory.script }])
    const previous = [whole.previous[0] as Uint8Array, serializeTransaction(forged)]
    expect(codeOf({ previous })).toBe('PreviousMissing')
    expect(codeOf({ previous: [] })).toBe('PreviousMissing')
    expect(codeOf({ previous: [...previous, Uint8Array.of(1)] })).toBe('PreviousMissing')
    expect(codeOf({ deposit: Uint8Array.of(1) })).toBe('DepositMalformed')
  })
})
