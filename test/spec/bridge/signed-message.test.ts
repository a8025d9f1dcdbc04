/** BIP322's vectors: every form of script that its signatures are made for here, and what is wrong with others. */
import { messageFault, messageHash, messageToSign, messageToSpend } from '../../../bridge/index.ts'
import { scriptFromAddress, txid } from '../../../core/bitcoin/index.ts'
import { toDisplayHash, toHex } from '../../../crypto/index.ts'
import { describeVectors } from '../vectors.ts'

interface Vectors {
  readonly tx_hashes?: readonly {
    readonly message: string
    readonly address: string
    readonly message_hash: string
    readonly to_spend_tx_hash: string
    readonly to_sign_tx_hash: string
  }[]
  readonly simple: readonly Signed[]
  readonly full?: readonly Signed[]
  readonly error: readonly {
    readonly description: string
    readonly message: string
    readonly address: string
    readonly signature: string
  }[]
}

interface Signed {
  readonly message: string
  readonly address: string
  readonly type: string
  readonly bip322_signatures: readonly string[]
}

const FILES = ['basic', 'generated'].map((name) => `bips/bip-0322/${name}-test-vectors.json`)
/** Nothing is said of scripts with locks. */
const UNSUPPORTED = ['p2wsh-time-lock', 'p2tr-time-lock']
const UNDERSTOOD = [
  'p2pkh',
  'p2sh-multisig-2of2',
  'p2sh-p2wpkh',
  'p2sh-p2wsh-multisig-2of2',
  'p2tr',
  'p2wpkh',
  'p2wsh-multisig-2of2',
  'p2wsh-multisig-3of3',
]

function scriptOf(address: string): Uint8Array {
  const script = scriptFromAddress(address, 'main')
  if (!script.ok) throw new Error(address)
  return script.value
}

const bytesOf = (signature: string) =>
  new Uint8Array(Buffer.from(signature.replace(/^(?:smp|ful)/, ''), 'base64'))

describeVectors('BIP322', FILES, (texts) => {
  const all = texts.map((text) => JSON.parse(text) as Vectors)
  const signed = all.flatMap(({ full = [], simple }) => [...simple, ...full])

  it('the hashes of messages and of both transactions', () => {
    const hashes = all.flatMap(({ tx_hashes = [] }) => tx_hashes)
    expect(hashes).not.toHaveLength(0)
    for (const each of hashes) {
      const script = scriptOf(each.address)
      expect(toHex(messageHash(each.message))).toBe(each.message_hash)
      const toSpend = toDisplayHash(txid(messageToSpend(each.message, script)))
      expect(toSpend).toBe(each.to_spend_tx_hash)
      const toSign = toDisplayHash(txid(messageToSign(each.message, script)))
      expect(toSign).toBe(each.to_sign_tx_hash)
    }
  })

  it.each(UNDERSTOOD)('%s: simple and full signatures', (type) => {
    const vectors = signed.filter((each) => each.type === type)
    expect(vectors).not.toHaveLength(0)
    for (const { address, bip322_signatures: signatures, message } of vectors) {
      for (const signature of signatures) {
        const bytes = bytesOf(signature)
        expect(messageFault(message, scriptOf(address), bytes)).toBeUndefined()
        expect(messageFault(`${message}.`, scriptOf(address), bytes)).toBe('SignatureWrong')
        for (let at = 0; at < bytes.length; at += 3) {
          const bent = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte))
          const isSame = messageFault(message, scriptOf(address), bent) === undefined
          // BIP143 leaves no byte out, and BIP341 none: what verifies is what was signed.
          expect({ at, isSame }).toEqual({ at, isSame: false })
        }
      }
    }
  })

  it('of a script with a lock nothing is said', () => {
    const vectors = signed.filter(({ type }) => !UNDERSTOOD.includes(type))
    expect([...new Set(vectors.map(({ type }) => type))].toSorted()).toEqual(UNSUPPORTED.toSorted())
    for (const { address, bip322_signatures: signatures, message } of vectors) {
      for (const signature of signatures) {
        const fault = messageFault(message, scriptOf(address), bytesOf(signature))
        expect(fault).toBe('ScriptUnsupported')
      }
    }
  })

  it('what is no signature is none', () => {
    // Which form a prefix names is not for here: it goes where the text is read, and the bytes say their form.
    const errors = all
      .flatMap(({ error }) => error)
      .filter(({ description }) => description !== 'incorrect prefix type')
    expect(errors).not.toHaveLength(0)
    for (const { address, message, signature } of errors) {
      expect(messageFault(message, scriptOf(address), bytesOf(signature))).not.toBeUndefined()
    }
  })
})
