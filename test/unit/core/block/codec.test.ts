import {
  BlockHeaderType,
  type CommittedBlock,
  type ConsensusMessage,
  decodeBlock,
  decodeCertificate,
  decodeCommittedBlock,
  decodeConsensusMessage,
  decodeHeader,
  encodeBlock,
  encodeCertificate,
  encodeCommittedBlock,
  encodeConsensusMessage,
  encodeHeader,
  MAX_BLOCK_BYTES,
} from '../../../../core/block/index.ts'
import type { Result } from '../../../../core/params/index.ts'
import { concatBytes, toHex } from '../../../../crypto/index.ts'
import { createSeededRandom } from '../../../../supervisor/testing/index.ts'
import { travel } from '../chain/journey.ts'

interface Codec<T> {
  readonly name: string
  readonly decode: (bytes: Uint8Array) => Result<T, { readonly code: 'Malformed' }>
  readonly encode: (value: T) => Uint8Array
  readonly value: T
}

/** Hides the type of what is coded. */
interface Sample {
  readonly name: string
  readonly bytes: Uint8Array
  /** Hex of the decoded value's encoding; undefined when malformed. */
  again(bytes: Uint8Array): string | undefined
}

function sampleOf<T>({ name, decode, encode, value }: Codec<T>): Sample {
  return {
    name,
    bytes: encode(value),
    again(bytes) {
      const decoded = decode(bytes)
      return decoded.ok ? toHex(encode(decoded.value)) : undefined
    },
  }
}

describe('decoders are total (C-7)', () => {
  let samples: readonly Sample[]
  let committed: CommittedBlock

  beforeAll(async () => {
    const { town } = await travel()
    // The one with a peg-in: every kind of list is in these blocks.
    committed = town.chain[0] as CommittedBlock
    const { block, certificate } = committed
    const vote = {
      phase: 1,
      height: 7,
      view: 2,
      blockHash: new Uint8Array(32).fill(1),
      validator: block.header.author,
      signature: block.signature,
    }
    const messages: readonly ConsensusMessage[] = [
      { kind: 'vote', value: vote },
      { kind: 'committedBlock', value: committed },
      { kind: 'prepareCertificate', value: certificate },
      {
        kind: 'viewChange',
        value: {
          height: 7,
          view: 2,
          certificate: [certificate],
          validator: vote.validator,
          signature: vote.signature,
        },
      },
      {
        kind: 'prePrepare',
        value: { height: 1, view: 0, block, certificate: [], signature: vote.signature },
      },
    ]
    samples = [
      sampleOf({
        name: 'header',
        decode: decodeHeader,
        encode: encodeHeader,
        value: block.header,
      }),
      sampleOf({
        name: 'certificate',
        decode: decodeCertificate,
        encode: encodeCertificate,
        value: certificate,
      }),
      ...town.chain.map((each, index) =>
        sampleOf({
          name: `block ${index}`,
          decode: decodeBlock,
          encode: encodeBlock,
          value: each.block,
        }),
      ),
      sampleOf({
        name: 'committed block',
        decode: decodeCommittedBlock,
        encode: encodeCommittedBlock,
        value: committed,
      }),
      ...messages.map((value) =>
        sampleOf({
          name: value.kind,
          decode: decodeConsensusMessage,
          encode: encodeConsensusMessage,
          value,
        }),
      ),
    ]
  })

  it('what was encoded comes back', () => {
    for (const { again, bytes } of samples) expect(again(bytes)).toBe(toHex(bytes))
  })

  it('every truncation is malformed, and so is anything appended', () => {
    for (const { name, again, bytes } of samples) {
      const step = Math.max(1, Math.floor(bytes.length / 200))
      for (let length = 0; length < bytes.length; length += step) {
        const again_ = again(bytes.subarray(0, length))
        // A list at the end may be cut to a shorter list; then it is that shorter value and no other.
        if (again_ !== undefined) expect(again_).toBe(toHex(bytes.subarray(0, length)))
      }
      if (name === 'header') expect(again(concatBytes(bytes, Uint8Array.of(0)))).toBeUndefined()
    }
  })

  it('a byte changed anywhere: no throw, and what decodes encodes to the very same bytes', () => {
    const random = createSeededRandom(7)
    for (const { again, bytes } of samples) {
      for (let round = 0; round < 300; round++) {
        const changed = Uint8Array.from(bytes)
        const [low = 0, high = 0, value = 0, many = 0] = random.bytes(4)
        const at = ((high << 8) | low) % changed.length
        changed[at] = value
        if (many < 64) changed[(at + many) % changed.length] = value ^ 0xff
        const result = again(changed)
        if (result !== undefined) expect(result).toBe(toHex(changed))
      }
    }
  })

  it('random bytes: no throw', () => {
    const random = createSeededRandom(11)
    for (let round = 0; round < 2000; round++) {
      const [length = 0] = random.bytes(1)
      const bytes = random.bytes(length)
      for (const { again } of samples) {
        const result = again(bytes)
        if (result !== undefined) expect(result).toBe(toHex(bytes))
      }
    }
  })

  it('the size is looked at before anything is read', () => {
    const huge = new Uint8Array(MAX_BLOCK_BYTES + 1)
    for (const decode of [decodeBlock, decodeCommittedBlock]) {
      expect(decode(huge)).toMatchObject({ ok: false, error: { code: 'Malformed' } })
    }
    for (const decode of [decodeHeader, decodeCertificate]) {
      expect(decode(new Uint8Array(1025))).toMatchObject({
        ok: false,
        error: { reason: '1025 bytes exceed 1024' },
      })
    }
    const vote = concatBytes(Uint8Array.of(1), new Uint8Array(1025))
    expect(decodeConsensusMessage(vote)).toMatchObject({
      ok: false,
      error: { what: 'vote', reason: '1025 bytes exceed 1024' },
    })
  })

  it('an unknown kind is an error of its own', () => {
    for (const bytes of [[], [5], [255, 1, 2]]) {
      expect(decodeConsensusMessage(Uint8Array.from(bytes))).toMatchObject({
        ok: false,
        error: { code: 'Malformed', reason: 'unknown kind' },
      })
    }
  })

  it('C-5: an integer that a number does not hold exactly is malformed, not rounded', () => {
    const header = BlockHeaderType.defaultValue()
    header.slot = Number.MAX_SAFE_INTEGER
    const largest = encodeHeader(header)
    expect(decodeHeader(largest)).toMatchObject({ ok: true, value: { slot: 2 ** 53 - 1 } })
    for (const change of [
      [15, 0x01],
      [14, 0x20],
      [14, 0xff],
      [15, 0xff],
    ] as const) {
      const larger = Uint8Array.from(largest)
      larger[change[0]] = change[1]
      expect(decodeHeader(larger)).toMatchObject({ ok: false, error: { code: 'Malformed' } })
    }
    const infinite = Uint8Array.from(largest).fill(0xff, 8, 16)
    expect(decodeHeader(infinite)).toMatchObject({ ok: false, error: { code: 'Malformed' } })
  })

  it('what was decoded does not change with the buffer that it came in', () => {
    const bytes = encodeCommittedBlock(committed)
    const decoded = decodeCommittedBlock(bytes)
    bytes.fill(0)
    if (!decoded.ok) throw new Error(decoded.error.reason)
    expect(toHex(encodeCommittedBlock(decoded.value))).toBe(toHex(encodeCommittedBlock(committed)))
  })
})
