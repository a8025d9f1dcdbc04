/** Reading and writing frames on one libp2p stream, with backpressure both ways and a deadline on every wait. */
import type { Stream } from '@libp2p/interface'
import { encodeFrame, FrameReader } from './frames.ts'
import { FRAME_WRITE_MS } from './limits.ts'

/** Where a stream's frames go. `frame` returns false to pause reading until `resume`. */
export interface FrameSink {
  frame(bytes: Uint8Array): void
  tooLarge(): void
  /** The other side sent its last byte, or the stream broke; once. */
  ended(): void
}

export interface FrameSource {
  pause(): void
  resume(): void
}

/** Reads frames until the end of the stream. */
export function readFrames(stream: Stream, maxFrameBytes: number, sink: FrameSink): FrameSource {
  const reader = new FrameReader(maxFrameBytes)
  let over = false
  const end = () => {
    if (over) return
    over = true
    sink.ended()
  }
  stream.addEventListener('message', (event) => {
    if (over) return
    const frames = reader.feed(event.data.subarray())
    if (frames === undefined) {
      over = true
      sink.tooLarge()
      return
    }
    for (const bytes of frames) sink.frame(bytes)
  })
  stream.addEventListener('end', end)
  stream.addEventListener('close', end)
  return {
    pause: () => {
      if (stream.readStatus === 'readable') stream.pause()
    },
    resume: () => {
      if (stream.readStatus === 'paused') stream.resume()
    },
  }
}

/** Writes one frame; resolves when all of it went to the connection, false when that took too long or broke. */
export function writeFrame(stream: Stream, bytes: Uint8Array): Promise<boolean> {
  try {
    stream.send(encodeFrame(bytes))
  } catch {
    return Promise.resolve(false)
  }
  if (stream.writeBufferLength === 0) return Promise.resolve(true)
  return new Promise((resolve) => {
    const settle = (sent: boolean) => {
      clearTimeout(timer)
      stream.removeEventListener('idle', idle)
      stream.removeEventListener('close', closed)
      resolve(sent)
    }
    const idle = () => settle(true)
    const closed = () => settle(false)
    const timer = setTimeout(closed, FRAME_WRITE_MS)
    stream.addEventListener('idle', idle)
    stream.addEventListener('close', closed)
  })
}
