import type { KZG } from '@ethereumjs/util'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { bigintFromBytes, hexBytes, toHex } from '../../crypto/index.ts'
import { mcl } from './pairing.ts'

/**
 * [τ]·G2 of the mainnet KZG ceremony: the one element of its setup that point evaluation needs (EIP-4844,
 * `g2_monomial[1]` of trusted_setup_4096.json).
 */
const TAU_G2 =
  'b5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72' +
  '185cbfee53492714734429b7b38608e23926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2'

/** The EVM's name for an input that is no point or no field element: the call fails, the block does not. */
const BAD_ARGUMENTS = 'C_KZG_BADARGS'

const ORDER = 0x73ed_a753_299d_7d48_3339_d808_09a1_d805_53bd_a402_fffe_5bfe_ffff_ffff_0000_0001n

const G1_BASE = g1Point(toHex(bls12_381.G1.Point.BASE.toBytes()))
const G2_BASE = g2Point(toHex(bls12_381.G2.Point.BASE.toBytes()))
const MINUS_G2_BASE = mcl.neg(G2_BASE)
const TAU = g2Point(TAU_G2)

function g2Point(hex: string): mcl.G2 {
  const point = new mcl.G2()
  point.deserialize(hexBytes(hex))
  return point
}

function g1Point(hex: string): mcl.G1 {
  const point = new mcl.G1()
  try {
    mcl.verifyOrderG1(true)
    point.deserialize(hexBytes(hex))
  } catch (cause) {
    throw new Error(`${BAD_ARGUMENTS}: not a point of G1`, { cause })
  }
  return point
}

function scalar(hex: string): mcl.Fr {
  const bytes = hexBytes(hex)
  if (bigintFromBytes(bytes) >= ORDER) throw new Error(`${BAD_ARGUMENTS}: not a field element`)
  const value = new mcl.Fr()
  value.setBigEndianMod(bytes)
  return value
}

/** e(C − y·G1, −G2) · e(π, [τ]G2 − z·G2) = 1. */
function verifyProof(commitmentHex: string, zHex: string, yHex: string, proofHex: string): boolean {
  const [z, y] = [scalar(zHex), scalar(yHex)]
  const claim = mcl.sub(g1Point(commitmentHex), mcl.mul(G1_BASE, y))
  const shift = mcl.sub(TAU, mcl.mul(G2_BASE, z))
  const left = mcl.millerLoop(claim, MINUS_G2_BASE)
  const right = mcl.millerLoop(g1Point(proofHex), shift)
  return mcl.finalExp(mcl.mul(left, right)).isOne()
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
