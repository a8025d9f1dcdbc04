/** Who owns coins under a script, and signs messages for it (BIP322). */
import { crypto as bitcoinCrypto, script as bitcoinScript, Transaction } from 'bitcoinjs-lib'
import { pointFromScalar, sign as signEcdsa } from 'tiny-secp256k1'
import { messageToSign, writeWitness } from '../../../bridge/index.ts'
import { serializeTransaction } from '../../../core/bitcoin/index.ts'
import { concatBytes, hexBytes, schnorrPublicKey, schnorrSign } from '../../../crypto/index.ts'
import { seeded } from '../core/peg/world.ts'

export const keyOf = (name: string) => seeded(`owner ${name}`)

export interface Owner {
  readonly script: Uint8Array
  /** Compressed. */
  readonly publicKey: Uint8Array
  readonly sign: (message: string) => Uint8Array
}

type OwnedType = 'p2wpkh' | 'p2tr' | 'p2sh' | 'p2pkh'

export function ownerOf(name: string, type: OwnedType): Owner {
  return ownerWith(keyOf(name), type)
}

export function ownerWith(secret: Uint8Array, type: OwnedType): Owner {
  const publicKey = Uint8Array.from(pointFromScalar(secret, true) as Uint8Array)
  const hash = Uint8Array.from(bitcoinCrypto.hash160(publicKey))
  const code = concatBytes(hexBytes('76a914'), hash, hexBytes('88ac'))
  const program = concatBytes(hexBytes('0014'), hash)
  const script = {
    p2wpkh: program,
    p2tr: concatBytes(hexBytes('5120'), schnorrPublicKey(secret)),
    p2sh: concatBytes(hexBytes('a914'), bitcoinCrypto.hash160(program), hexBytes('87')),
    p2pkh: code,
  }[type]
  const ecdsa = (digest: Uint8Array) =>
    bitcoinScript.signature.encode(signEcdsa(digest, secret), Transaction.SIGHASH_ALL)
  const sign = (message: string): Uint8Array => {
    const toSign = messageToSign(message, script)
    const whole = Transaction.fromBuffer(serializeTransaction(toSign))
    const full = (scriptSig: Uint8Array, witness: readonly Uint8Array[]) =>
      serializeTransaction({
        ...toSign,
        inputs: toSign.inputs.map((input) => ({ ...input, scriptSig, witness })),
      })
    const byHash = () => ecdsa(whole.hashForWitnessV0(0, code, 0n, Transaction.SIGHASH_ALL))
    switch (type) {
      case 'p2wpkh':
        return writeWitness([byHash(), publicKey])
      case 'p2sh':
        return full(concatBytes(Uint8Array.of(22), program), [byHash(), publicKey])
      case 'p2tr': {
        const digest = whole.hashForWitnessV1(0, [script], [0n], Transaction.SIGHASH_DEFAULT)
        return writeWitness([schnorrSign(secret, digest, new Uint8Array(32))])
      }
      case 'p2pkh': {
        const given = ecdsa(whole.hashForSignature(0, script, Transaction.SIGHASH_ALL))
        const pushes = [given, publicKey].flatMap((item) => [Uint8Array.of(item.length), item])
        return full(concatBytes(...pushes), [])
      }
    }
  }
  return { script, publicKey, sign }
}
