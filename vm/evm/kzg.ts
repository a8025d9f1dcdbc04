import type { KZG } from '@ethereumjs/util'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { bigintFromBytes, hexBytes } from '../../crypto/index.ts'

/**
 * [τ]·G2 of the mainnet KZG ceremony: the one element of its setup that point evaluation needs (EIP-4844,
 * `g2_monomial[1]` of trusted_setup_4096.json).
 */
const TAU_G2 =
  'b5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72' +
  '185cbfee53492714734429b7b38608e23926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2'

const G1 = bls12_381.G1.Point
const G2 = bls12_381.G2.Point
const { Fp12, Fr } = bls12_381.fields

/** The EVM's name for an input that is no point or no field element: the call fails, the block does not. */
const BAD_ARGUMENTS = 'C_KZG_BADARGS'

function g1Point(hex: string) {
  try {
    const point = G1.fromBytes(hexBytes(hex))
    point.assertValidity()
    return point
  } catch (cause) {
    if (/^0xc0(?:00){47}$/.test(hex)) return G1.ZERO
    throw new Error(`${BAD_ARGUMENTS}: not a point of G1`, { cause })
  }
}

function scalar(hex: string): bigint {
  const value = bigintFromBytes(hexBytes(hex))
  if (value >= Fr.ORDER) throw new Error(`${BAD_ARGUMENTS}: not a field element`)
  return value
}

/** e(C − y·G1, −G2) · e(π, [τ]G2 − z·G2) = 1. */
function verifyProof(commitmentHex: string, zHex: string, yHex: string, proofHex: string): boolean {
  const [z, y] = [scalar(zHex), scalar(yHex)]
  const commitment = g1Point(commitmentHex)
  const proof = g1Point(proofHex)
  const claim = y === 0n ? commitment : commitment.subtract(G1.BASE.multiply(y))
  const tau = G2.fromBytes(hexBytes(TAU_G2))
  const shift = z === 0n ? tau : tau.subtract(G2.BASE.multiply(z))
  const pairs = [
    { g1: claim, g2: G2.BASE.negate() },
    { g1: proof, g2: shift },
  ].filter(({ g1, g2 }) => !g1.is0() && !g2.is0())
  return Fp12.eql(bls12_381.pairingBatch(pairs), Fp12.ONE)
}

function refuse(): never {
  throw new Error('blobs are not served here')
}

/** The part of KZG that contracts can reach: the point evaluation precompile. */
export const POINT_EVALUATION: KZG = {
  verifyProof,
  blobToKzgCommitment: refuse,
  computeBlobProof: refuse,
  verifyBlobProofBatch: refuse,
  computeCells: refuse,
  computeCellsAndProofs: refuse,
  recoverCellsAndProofs: refuse,
  verifyCellKzgProofBatch: refuse,
}
