import { openKeyFile, sealKeyFile } from '../../../crypto/index.ts'

const cost = { n: 1024, r: 8, p: 1 }
const secrets = { bls: new Uint8Array(32).fill(0xa1), schnorr: new Uint8Array(32).fill(0xa2) }
const publicKeys = { bls: new Uint8Array(48).fill(3) }

function seal(password = 'correct horse') {
  let counter = 0
  const random = (length: number) => {
    counter += 1
    return new Uint8Array(length).fill(counter)
  }
  return sealKeyFile({ label: 'member-0', publicKeys, secrets, password, random, cost })
}

/** As it comes back from disk. */
function stored(file: unknown): Record<string, Record<string, unknown>> {
  return JSON.parse(JSON.stringify(file)) as Record<string, Record<string, unknown>>
}

describe('key files', () => {
  it('give back the secrets under the password alone', () => {
    const file = stored(seal())
    expect(openKeyFile(file, 'correct horse')).toEqual({ ok: true, value: secrets })
    expect(openKeyFile(file, 'wrong horse')).toEqual({
      ok: false,
      error: { code: 'KeyFileLocked' },
    })
  })

  it('take composed and decomposed forms of a password as one', () => {
    expect(openKeyFile(stored(seal('caf\u00e9')), 'cafe\u0301').ok).toBe(true)
  })

  it('do not hold a secret in the clear', () => {
    const text = JSON.stringify(seal())
    expect(text).not.toContain('a1'.repeat(32))
    expect(text).toContain('03'.repeat(48))
  })

  it.each([
    ['a public key', (file) => ({ ...file, publicKeys: { bls: 'ff'.repeat(48) } })],
    ['the label', (file) => ({ ...file, label: 'member-1' })],
    [
      'a byte of the ciphertext',
      (file) => ({
        ...file,
        cipher: {
          ...file['cipher'],
          ciphertext: `00${String(file['cipher']?.['ciphertext']).slice(2)}`,
        },
      }),
    ],
    ['the salt', (file) => ({ ...file, kdf: { ...file['kdf'], salt: 'ee'.repeat(32) } })],
  ] as [string, (file: Record<string, Record<string, unknown>>) => unknown][])(
    'do not open when %s was changed',
    (_, change) => {
      const opened = openKeyFile(change(stored(seal())), 'correct horse')
      expect(opened).toEqual({ ok: false, error: { code: 'KeyFileLocked' } })
    },
  )

  it.each([
    ['nothing', undefined],
    ['a list', []],
    ['another version', { ...stored(seal()), version: 2 }],
    ['another cipher', { ...stored(seal()), cipher: { name: 'rot13' } }],
    ['costs beyond 1 GiB', { ...stored(seal()), kdf: { ...stored(seal())['kdf'], n: 2 ** 30 } }],
    [
      'a cost that is no power of two',
      { ...stored(seal()), kdf: { ...stored(seal())['kdf'], n: 1000 } },
    ],
    ['a short nonce', { ...stored(seal()), cipher: { ...stored(seal())['cipher'], nonce: '00' } }],
  ])('are malformed when they are %s', (_, value) => {
    expect(openKeyFile(value, 'x')).toMatchObject({
      ok: false,
      error: { code: 'KeyFileMalformed' },
    })
  })
})
