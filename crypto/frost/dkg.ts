/**
 * A key made by all signers together, without a dealer (Pedersen's DKG with proofs of possession, as in ZF FROST), so that every message
 * may stand in public and every fault has one name (protocol 5.1). Shares travel encrypted to one signer; who is handed a wrong one
 * opens that single ciphertext to everybody and proves that it is opened rightly.
 */
import { secp256k1_hasher } from '@noble/curves/secp256k1.js'
import { concatBytes, uint32be } from '../bytes.ts'
import { taggedHash } from '../hash.ts'
import { type DleqStatement, proveDleq, verifyDleq } from './dleq.ts'
import {
  addToGroup,
  addToShare,
  type GroupKey,
  groupKeyFrom,
  isValueAt,
  type KeyShare,
  scriptlessTweak,
} from './group.ts'
import {
  drawScalar,
  evaluate,
  Fn,
  Point,
  pointOf,
  type Random,
  readPoint,
  readScalar,
  scalarBytes,
} from './scalars.ts'

/** One attempt: who takes part, from 1 on in ascending order, and an id that no other attempt has. */
export interface DkgSession {
  /** 32 bytes. */
  readonly id: Uint8Array
  readonly threshold: number
  readonly signers: readonly number[]
}

/** What a signer tells everybody in round one. */
export interface DkgPackage {
  /** Of its polynomial, `threshold` points of 33 bytes, the constant one first. */
  readonly commitments: readonly Uint8Array[]
  /** That it knows the constant term: 64 bytes. */
  readonly proof: Uint8Array
  /** Shares for it are encrypted to this, 33 bytes, made for this session. */
  readonly encryptionKey: Uint8Array
}

/** What it keeps. */
export interface DkgSecret {
  readonly signer: number
  readonly coefficients: readonly bigint[]
  /** 32 bytes. */
  readonly decryptionKey: Uint8Array
}

export type DkgPackages = ReadonlyMap<number, DkgPackage>

export type DkgFault = 'WrongCommitments' | 'NoProof' | 'NoEncryptionKey'

/** "What this sender encrypted to me is no share": the point that only the two of them know, and the proof that it is that one. */
export interface DkgComplaint {
  readonly accused: number
  /** 33 bytes. */
  readonly sharedPoint: Uint8Array
  /** 64 bytes (BIP374). */
  readonly proof: Uint8Array
}

/** ZF FROST's names (frost-secp256k1-tr), so that its tools can check what is made here. */
const PROOF_DST = 'FROST-secp256k1-SHA256-TR-v1dkg'
const NOTHING = new Uint8Array(0)

/** Round one. */
export function beginDkg(
  { threshold }: DkgSession,
  signer: number,
  random: Random,
): { readonly secret: DkgSecret; readonly told: DkgPackage } {
  const coefficients = Array.from({ length: threshold }, () => drawScalar(random))
  const decryptionKey = scalarBytes(drawScalar(random))
  const secret = { signer, coefficients, decryptionKey }
  return { secret, told: dkgPackage(secret, drawScalar(random)) }
}

/** `nonce` is used once, for the proof. */
export function dkgPackage(
  { signer, coefficients, decryptionKey }: DkgSecret,
  nonce: bigint,
): DkgPackage {
  const commitments = coefficients.map((one) => Point.BASE.multiply(one).toBytes(true))
  const encryptionKey = Point.BASE.multiply(Fn.fromBytes(decryptionKey)).toBytes(true)
  const [constant = 0n] = coefficients
  const point = Point.BASE.multiply(nonce)
  const even = point.y % 2n === 0n ? nonce : Fn.neg(nonce)
  const x = point.toBytes(true).slice(1)
  const challenge = proofChallenge(signer, commitments, x)
  const response = Fn.add(even, Fn.mul(challenge, constant))
  return { commitments, proof: concatBytes(x, scalarBytes(response)), encryptionKey }
}

/** What is wrong with a signer's package; undefined when nothing is. */
export function dkgPackageFault(
  { threshold }: DkgSession,
  signer: number,
  { commitments, proof, encryptionKey }: DkgPackage,
): DkgFault | undefined {
  const isWhole = commitments.length === threshold && commitments.every(readPoint)
  if (!isWhole) return 'WrongCommitments'
  if (!provesConstant(signer, commitments, proof)) return 'NoProof'
  return readPoint(encryptionKey) ? undefined : 'NoEncryptionKey'
}

function provesConstant(
  signer: number,
  commitments: readonly Uint8Array[],
  proof: Uint8Array,
): boolean {
  const x = proof.subarray(0, 32)
  const point = readPoint(concatBytes(Uint8Array.of(2), x))
  const response = readScalar(proof.subarray(32))
  if (point === undefined || response === undefined) return false
  const challenge = proofChallenge(signer, commitments, x)
  const constant = pointOf(commitments[0] as Uint8Array)
  const expected = Point.BASE.multiplyUnsafe(response).subtract(constant.multiplyUnsafe(challenge))
  return expected.equals(point)
}

/** Of a nonce's point with even y. */
function proofChallenge(
  signer: number,
  [constant = NOTHING]: readonly Uint8Array[],
  x: Uint8Array,
): bigint {
  const message = concatBytes(scalarBytes(BigInt(signer)), constant, Uint8Array.of(2), x)
  return secp256k1_hasher.hashToScalar(message, { DST: PROOF_DST })
}

/** Round two: for each other signer its share, 32 bytes that nobody else can read. All packages are without fault. */
export function encryptShares(
  session: DkgSession,
  secret: DkgSecret,
  packages: DkgPackages,
): ReadonlyMap<number, Uint8Array> {
  const others = session.signers.filter((signer) => signer !== secret.signer)
  return new Map(
    others.map((recipient) => {
      const point = sharedPoint(secret, encryptionKeyOf(packages, recipient))
      const pad = padOf(session, secret.signer, recipient, point)
      return [recipient, xor(scalarBytes(evaluate(secret.coefficients, recipient)), pad)]
    }),
  )
}

/** The sender's share for this signer; undefined where it does not fit to what the sender committed to. */
export function openShare(
  session: DkgSession,
  secret: DkgSecret,
  packages: DkgPackages,
  sender: number,
  ciphertext: Uint8Array,
): Uint8Array | undefined {
  const point = sharedPoint(secret, encryptionKeyOf(packages, sender))
  return decrypt(session, packages, { sender, recipient: secret.signer, ciphertext, point })
}

/** `auxiliary` is 32 bytes of fresh randomness. */
export function complain(
  session: DkgSession,
  secret: DkgSecret,
  packages: DkgPackages,
  accused: number,
  auxiliary: Uint8Array,
): DkgComplaint {
  const base = encryptionKeyOf(packages, accused)
  const proved = proveDleq(secret.decryptionKey, base, auxiliary, { message: session.id })
  if (proved === undefined) throw new RangeError(`signer ${accused} has no encryption key`)
  return { accused, sharedPoint: proved.statement.product, proof: proved.proof }
}

/** Who is to blame: the accused whose ciphertext is no share, or else the accuser. */
export function judgeComplaint(
  session: DkgSession,
  packages: DkgPackages,
  accuser: number,
  complaint: DkgComplaint,
  /** What the accused encrypted to the accuser. */
  ciphertext: Uint8Array,
): number {
  const { accused, sharedPoint: product, proof } = complaint
  const statement: DleqStatement = {
    publicKey: encryptionKeyOf(packages, accuser),
    base: encryptionKeyOf(packages, accused),
    product,
  }
  if (!verifyDleq(statement, proof, { message: session.id })) return accuser
  const sent = { sender: accused, recipient: accuser, ciphertext, point: product }
  return decrypt(session, packages, sent) === undefined ? accused : accuser
}

/** How a sum that is infinity stands among commitments: no point has these 33 bytes. */
const INFINITY = new Uint8Array(33)

/**
 * The sums of packages' commitments, one package after another; from nothing the first one's own. Who speaks last can choose what it
 * has not to prove so that it cancels the others: that is no fault of whoever comes after it, so a sum may be infinity.
 */
export function addCommitments(
  sums: readonly Uint8Array[],
  commitments: readonly Uint8Array[],
): readonly Uint8Array[] {
  if (sums.length === 0) return commitments
  return commitments.map((bytes, at) => {
    const sum = sums[at] as Uint8Array
    const added = (isInfinity(sum) ? Point.ZERO : pointOf(sum)).add(pointOf(bytes))
    return added.is0() ? INFINITY : added.toBytes(true)
  })
}

/** Whether a sum of `addCommitments` is no point: no key comes of those packages. */
export function isInfinity(sum: Uint8Array): boolean {
  return sum.every((byte) => byte === 0)
}

/** The key that packages without fault make, known to everybody. */
export function dkgGroupKey({ threshold, signers }: DkgSession, packages: DkgPackages): GroupKey {
  const group = untweaked(threshold, signers, packages)
  return addToGroup(group, scriptlessTweak(group))
}

/** This signer's share of it, of what all others gave it. */
export function dkgKeyShare(
  { threshold, signers }: DkgSession,
  { signer, coefficients }: DkgSecret,
  packages: DkgPackages,
  /** By sender, opened. */
  shares: ReadonlyMap<number, Uint8Array>,
): KeyShare {
  const parts = signers.map((sender) => {
    if (sender === signer) return evaluate(coefficients, signer)
    const share = readScalar(shares.get(sender) ?? NOTHING)
    if (share === undefined) throw new RangeError(`no share of signer ${sender}`)
    return share
  })
  const sum = parts.reduce((total, part) => Fn.add(total, part), 0n)
  const group = untweaked(threshold, signers, packages)
  return addToShare(group, { signer, secret: scalarBytes(sum) }, scriptlessTweak(group))
}

function untweaked(threshold: number, signers: readonly number[], packages: DkgPackages): GroupKey {
  const all = signers.map((signer) => packageOf(packages, signer).commitments.map(pointOf))
  const commitments = Array.from({ length: threshold }, (_, at) => {
    const points = all.map((one) => one[at] as Point)
    return points.reduce((sum, point) => sum.add(point), Point.ZERO).toBytes(true)
  })
  return groupKeyFrom(commitments, signers)
}

function sharedPoint({ decryptionKey }: DkgSecret, encryptionKey: Uint8Array): Uint8Array {
  return pointOf(encryptionKey).multiply(Fn.fromBytes(decryptionKey)).toBytes(true)
}

interface Sent {
  readonly sender: number
  readonly recipient: number
  readonly ciphertext: Uint8Array
  readonly point: Uint8Array
}

function decrypt(
  session: DkgSession,
  packages: DkgPackages,
  { sender, recipient, ciphertext, point }: Sent,
): Uint8Array | undefined {
  if (ciphertext.length !== 32) return undefined
  const share = xor(ciphertext, padOf(session, sender, recipient, point))
  return isValueAt(packageOf(packages, sender).commitments, recipient, share) ? share : undefined
}

/** Used once: the two keys behind the point are the session's, and each of the two encrypts one share to the other. */
function padOf({ id }: DkgSession, sender: number, recipient: number, point: Uint8Array) {
  return taggedHash('millrace/dkg-share', id, uint32be(sender), uint32be(recipient), point)
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, at) => byte ^ (right[at] as number))
}

function packageOf(packages: DkgPackages, signer: number): DkgPackage {
  const found = packages.get(signer)
  if (found === undefined) throw new RangeError(`no package of signer ${signer}`)
  return found
}

function encryptionKeyOf(packages: DkgPackages, signer: number): Uint8Array {
  return packageOf(packages, signer).encryptionKey
}
