import {
  bitsOfTail,
  keccak256,
  sha256,
  sha256d,
  sha256OfTail,
  sha256Tail,
  taggedHash,
  toHex,
} from '../../../crypto/index.ts'

const text = (value: string) => new TextEncoder().encode(value)

describe('hashes by known answers', () => {
  it('SHA-256 (FIPS 180-4, appendix B and the empty message)', () => {
    expect(toHex(sha256())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(toHex(sha256(text('abc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    expect(toHex(sha256(text('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')))).toBe(
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    )
  })

  it('Bitcoin’s double SHA-256', () => {
    expect(toHex(sha256d())).toBe(
      '5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456',
    )
    expect(toHex(sha256d(text('hello')))).toBe(
      '9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50',
    )
  })

  it('Keccak-256 as Ethereum has it', () => {
    expect(toHex(keccak256())).toBe(
      'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
    )
    expect(toHex(keccak256(text('abc')))).toBe(
      '4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45',
    )
    expect(toHex(keccak256(text('Transfer(address,address,'), text('uint256)')))).toBe(
      'ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
    )
  })

  it('BIP340’s tagged hash: sha256 of the tag’s hash twice and the message', () => {
    const tag = sha256(text('TapLeaf'))
    const message = text('anything')
    expect(toHex(taggedHash('TapLeaf', message))).toBe(toHex(sha256(tag, tag, message)))
    expect(toHex(taggedHash('TapLeaf', text('any'), text('thing')))).toBe(
      toHex(taggedHash('TapLeaf', message)),
    )
    expect(toHex(taggedHash('TapBranch', message))).not.toBe(toHex(taggedHash('TapLeaf', message)))
  })
})

describe('the end of a SHA-256 (FIPS 180-4)', () => {
  it.each([0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 128, 1_000, 100_001])(
    'of %i bytes leads to the digest of all, and tells its length',
    (length) => {
      const message = Uint8Array.from({ length }, (_, at) => at * 7)
      const tail = sha256Tail(message)
      expect([tail.state.length, tail.block.length]).toEqual([32, 64])
      expect(sha256OfTail(tail)).toEqual(sha256(message))
      expect(bitsOfTail(tail)).toBe(8n * BigInt(length))
    },
  )

  it('of another state or another block leads elsewhere', () => {
    const { block, state } = sha256Tail(new Uint8Array(100))
    const digest = sha256(new Uint8Array(100))
    for (let at = 0; at < 32; at++) {
      const other = state.map((byte, place) => (place === at ? byte ^ 1 : byte))
      expect(sha256OfTail({ state: other, block })).not.toEqual(digest)
    }
    for (let at = 0; at < 64; at++) {
      const other = block.map((byte, place) => (place === at ? byte ^ 1 : byte))
      expect(sha256OfTail({ state, block: other })).not.toEqual(digest)
    }
  })
})
