import fc from 'fast-check'
import { concatBytes } from '../../../../crypto/index.ts'
import { encodeFrame, FrameReader } from '../../../../node/adapters/libp2p/frames.ts'

describe('frames', () => {
  it('come out whole and in order, however the bytes were cut', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 6_000 }), { maxLength: 8 })
    const cuts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(frames, cuts, (sent, sizes) => {
        const bytes = concatBytes(...sent.map(encodeFrame))
        const reader = new FrameReader(6_000)
        const received: Uint8Array[] = []
        for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
          const size = sizes[cut % sizes.length] as number
          received.push(...(reader.feed(bytes.slice(at, at + size)) ?? []))
          at += size
        }
        expect(received).toEqual(sent)
        expect(reader.isEmpty).toBe(true)
      }),
    )
  })

  it('a frame above the limit is refused by its prefix, before its content (C-7)', () => {
    const reader = new FrameReader(10)
    expect(reader.feed(encodeFrame(new Uint8Array(10)))).toHaveLength(1)
    expect(reader.feed(encodeFrame(new Uint8Array(11)).slice(0, 4))).toBeUndefined()
  })

  it('what was handed out does not change with later chunks', () => {
    const reader = new FrameReader(10)
    const [first] = reader.feed(encodeFrame(Uint8Array.of(1, 2, 3))) ?? []
    reader.feed(encodeFrame(Uint8Array.of(9, 9, 9)))
    expect(first).toEqual(Uint8Array.of(1, 2, 3))
  })
})
