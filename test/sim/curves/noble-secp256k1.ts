/** noble's curve, whose points are read from bytes once. */
import { schnorr as native } from '@noble/curves/secp256k1.js'
import { remembered } from './remember.ts'

export * from '@noble/curves/secp256k1.js'

const { Point } = native

export const schnorr = {
  ...native,
  // Points are frozen: whoever reads one gets what another one got.
  Point: Object.create(Point, {
    fromBytes: { value: remembered((bytes: Uint8Array) => Point.fromBytes(bytes)) },
  }) as typeof Point,
}
