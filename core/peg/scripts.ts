/**
 * The federation's Bitcoin outputs (protocol §5.2, §5.3): a taproot output per depositor, and one for change, under the
 * members' key of an epoch. In epochs whose key was not made by DKG it is a point that nobody has the logarithm of; leaf A opens every
 * output to t of the members' own keys, leaf B to the cold recovery keys after a delay.
 *
 *   K = lift_x(x(X)) + b_K·G     b_K = tagged_hash("millrace/deposit", x(X) ‖ genesis ‖ evm ‖ sha256(refund)); change: K = X
 *   Q = lift_x(x(K)) + b_Q·G     b_Q = tagged_hash("TapTweak", x(K) ‖ leafRoot)      scriptPubKey = 5120 ‖ x(Q)
 */
import { xOnlyPointAddTweak } from 'tiny-secp256k1'
import {
  compareBytes,
  concatBytes,
  type GroupKey,
  groupKeyFrom,
  hexBytes,
  sha256,
  taggedHash,
  toHex,
  uint64be,
} from '../../crypto/index.ts'
import { heightKey, type Ledger, type OpenRowsOf } from '../ledger/index.ts'
import type { Genesis } from '../params/index.ts'

/** BIP341's point with unknown logarithm. */
const UNSPENDABLE_X = hexBytes('50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0')

const GROUP_ORDER = hexBytes('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141')

const LEAF_VERSION = 0xc0
const OP_0 = 0x00
const OP_1 = 0x51
const OP_DROP = 0x75
const OP_NUMEQUAL = 0x9c
const OP_CHECKSIG = 0xac
const OP_CHECKSEQUENCEVERIFY = 0xb2
const OP_CHECKSIGADD = 0xba
const PUSH_32 = 0x20

/** What makes one output's script differ from the plain federation script (5.3). */
export interface DepositTweak {
  /** 20 bytes. */
  readonly evmAddress: Uint8Array
  /** Raw scriptPubKey, empty when the depositor named none. */
  readonly refundScript: Uint8Array
}

/** How a reserve output is found and spent again: carried by its ledger row and by PSBT inputs (5.4). */
export interface SpendTweak {
  readonly epoch: number
  /** Absent for change and for OP_RETURN deposits. */
  readonly deposit?: DepositTweak
}

export interface FederationOutput {
  /** 34 bytes: OP_1 and the output key. */
  readonly scriptPubKey: Uint8Array
  /** x(K). */
  readonly internalKey: Uint8Array
  /** x(Q). */
  readonly outputKey: Uint8Array
  readonly leafA: Uint8Array
  readonly leafB: Uint8Array
  /** Witness item that opens leaf A or leaf B. */
  readonly controlBlockA: Uint8Array
  readonly controlBlockB: Uint8Array
}

function tweakScalar(tag: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const scalar = taggedHash(tag, ...parts)
  // A scalar that is 0 or ≥ n is an error, never reduced (5.3); its probability is 2^-128.
  if (scalar.every((byte) => byte === 0) || compareBytes(scalar, GROUP_ORDER) >= 0) {
    throw new Error(`${tag}: the scalar is outside the group`)
  }
  return scalar
}

function addScalar(x: Uint8Array, scalar: Uint8Array): { x: Uint8Array; odd: boolean } {
  const sum = xOnlyPointAddTweak(x, scalar)
  if (sum === null) throw new Error('the tweaked key is the point at infinity')
  return { x: new Uint8Array(sum.xOnlyPubkey), odd: sum.parity === 1 }
}

/** The keys that the members made, as a ledger has them, by hex `heightKey` of their epoch. */
export type FederationKeys = OpenRowsOf<'keys'>

/** Before any DKG. Epoch 0 never has a made key. */
export const NO_KEYS: FederationKeys = new Map()

/** x(X) of an epoch: the key that its members made (5.1), or else a point that nobody has the logarithm of (5.2). 32 bytes. */
export function federationKey(genesis: Genesis, epoch: 0): Uint8Array
export function federationKey(genesis: Genesis, epoch: number, keys: FederationKeys): Uint8Array
export function federationKey(genesis: Genesis, epoch: number, keys = NO_KEYS): Uint8Array {
  const made = keys.get(toHex(heightKey(epoch)))
  if (made !== undefined) return made.row.publicKey
  const scalar = () => tweakScalar('millrace/nums', genesis.hash, uint64be(epoch))
  return derive(genesis, `key ${epoch}`, () => addScalar(UNSPENDABLE_X, scalar()).x)
}

/** Bitcoin blocks in which deposits to an old key are still taken (5.8). */
export const WATCH_BLOCKS = 52_560

/** The last Bitcoin height of deposits to an epoch's addresses (4.2); undefined while its key is the newest. */
export function validUntil(keys: FederationKeys, epoch: number): number | undefined {
  const next = keys.get(toHex(heightKey(epoch + 1)))
  return next && next.row.bitcoinHeight + WATCH_BLOCKS
}

/** The key of an epoch with all verifying shares, where its members made one: what FROST signs under. */
export function groupKeyOf(keys: FederationKeys, epoch: number): GroupKey | undefined {
  const made = keys.get(toHex(heightKey(epoch)))
  return made && groupKeyFrom(made.row.commitments, made.row.signers)
}

/** Points are dear, and every block asks for the same ones. Only epochs and keys of the ledger come here. */
function derive<T>(genesis: Genesis, name: string, compute: () => T): T {
  return genesis.derived.of(genesis, `federation ${name}`, compute)
}

/** A number as the shortest push that Bitcoin's MINIMALDATA accepts. */
function pushNumber(value: number): Uint8Array {
  if (value === 0) return Uint8Array.of(OP_0)
  if (value <= 16) return Uint8Array.of(OP_1 - 1 + value)
  const digits: number[] = []
  for (let rest = value; rest > 0; rest >>= 8) digits.push(rest & 0xff)
  if (((digits.at(-1) as number) & 0x80) !== 0) digits.push(0)
  return Uint8Array.of(digits.length, ...digits)
}

/** `<k1> CHECKSIG <k2> CHECKSIGADD … <threshold> NUMEQUAL`, keys in ascending x order. */
function checksigAddScript(keys: readonly Uint8Array[], threshold: number): Uint8Array {
  const parts = [...keys]
    .sort(compareBytes)
    .map((key, index) =>
      concatBytes(
        Uint8Array.of(PUSH_32),
        key,
        Uint8Array.of(index === 0 ? OP_CHECKSIG : OP_CHECKSIGADD),
      ),
    )
  return concatBytes(...parts, pushNumber(threshold), Uint8Array.of(OP_NUMEQUAL))
}

/** Leaf A: t of the members' own BIP340 keys. */
export function memberLeaf(genesis: Genesis): Uint8Array {
  const keys = () => genesis.members.map((member) => member.schnorrKey)
  return derive(genesis, 'leaf A', () => checksigAddScript(keys(), genesis.memberThreshold))
}

/** Leaf B: after csv blocks, j of the cold recovery keys. */
export function recoveryLeaf(genesis: Genesis): Uint8Array {
  const { csvBlocks, schnorrKeys, threshold } = genesis.recovery
  const delay = Uint8Array.of(OP_CHECKSEQUENCEVERIFY, OP_DROP)
  return derive(genesis, 'leaf B', () =>
    concatBytes(pushNumber(csvBlocks), delay, checksigAddScript(schnorrKeys, threshold)),
  )
}

/** BIP341's leaf hash of a script of fewer than 65,536 bytes. */
export function tapLeafHash(script: Uint8Array): Uint8Array {
  const size =
    script.length < 253
      ? Uint8Array.of(script.length)
      : Uint8Array.of(253, script.length & 0xff, script.length >> 8)
  return taggedHash('TapLeaf', Uint8Array.of(LEAF_VERSION), size, script)
}

/** b_K: what a depositor's own key adds to x(X). */
function depositScalar(genesis: Genesis, groupKey: Uint8Array, deposit: DepositTweak): Uint8Array {
  const { evmAddress, refundScript } = deposit
  const refund = sha256(refundScript)
  return tweakScalar('millrace/deposit', groupKey, genesis.hash, evmAddress, refund)
}

/** b_Q: what the leaves add to x(K). */
function outputScalar(internalKey: Uint8Array, hashA: Uint8Array, hashB: Uint8Array): Uint8Array {
  const ordered = compareBytes(hashA, hashB) < 0 ? [hashA, hashB] : [hashB, hashA]
  return tweakScalar('TapTweak', internalKey, taggedHash('TapBranch', ...ordered))
}

/** The scalars that make an output's key of x(X), in the order in which they are added to group and share: b_K for a depositor's, then b_Q. */
export function outputScalars(
  genesis: Genesis,
  groupKey: Uint8Array,
  { deposit }: Pick<SpendTweak, 'deposit'>,
): readonly Uint8Array[] {
  const own = deposit && depositScalar(genesis, groupKey, deposit)
  const internalKey = own === undefined ? groupKey : addScalar(groupKey, own).x
  const hashes = [memberLeaf(genesis), recoveryLeaf(genesis)].map(tapLeafHash)
  const [hashA = internalKey, hashB = internalKey] = hashes
  const last = outputScalar(internalKey, hashA, hashB)
  return own === undefined ? [last] : [own, last]
}

/** The output that `tweak` gives: a depositor's own, or the plain one of change and OP_RETURN deposits. */
export function federationOutput(
  genesis: Genesis,
  tweak: SpendTweak & { readonly epoch: 0 },
): FederationOutput
export function federationOutput(
  genesis: Genesis,
  tweak: SpendTweak,
  keys: FederationKeys,
): FederationOutput
export function federationOutput(
  genesis: Genesis,
  { deposit, epoch }: SpendTweak,
  keys = NO_KEYS,
): FederationOutput {
  const groupKey = federationKey(genesis, epoch, keys)
  const internalKey =
    deposit === undefined
      ? groupKey
      : addScalar(groupKey, depositScalar(genesis, groupKey, deposit)).x
  const leafA = memberLeaf(genesis)
  const leafB = recoveryLeaf(genesis)
  const hashA = tapLeafHash(leafA)
  const hashB = tapLeafHash(leafB)
  const output = addScalar(internalKey, outputScalar(internalKey, hashA, hashB))
  const first = Uint8Array.of(LEAF_VERSION | (output.odd ? 1 : 0))
  return {
    scriptPubKey: concatBytes(Uint8Array.of(OP_1, PUSH_32), output.x),
    internalKey,
    outputKey: output.x,
    leafA,
    leafB,
    controlBlockA: concatBytes(first, internalKey, hashB),
    controlBlockB: concatBytes(first, internalKey, hashA),
  }
}

/** The plain federation output of an epoch: change, and deposits in the OP_RETURN form. */
export function changeOutput(genesis: Genesis, epoch: 0): FederationOutput
export function changeOutput(
  genesis: Genesis,
  epoch: number,
  keys: FederationKeys,
): FederationOutput
export function changeOutput(genesis: Genesis, epoch: number, keys = NO_KEYS): FederationOutput {
  const key = federationKey(genesis, epoch, keys)
  return derive(genesis, `output ${toHex(key)}`, () => federationOutput(genesis, { epoch }, keys))
}

/** The plain output of a ledger's current epoch: where change goes. */
export function currentOutput(
  genesis: Genesis,
  { open, state }: Pick<Ledger, 'open' | 'state'>,
): FederationOutput {
  return changeOutput(genesis, state.epoch, open.keys)
}

/**
 * Weight units that one input of the reserve adds to a transaction (§7): 41 bytes outside the witness; in it one signature of 64 bytes by the key
 * or, before the first key was made, leaf A with exactly t signatures, an empty item for every other key, the leaf and its control block.
 */
export function inputWeight(genesis: Genesis, epoch: number): number {
  if (epoch > 0) return KEY_PATH_INPUT_WEIGHT
  const leaf = memberLeaf(genesis).length
  const signatures =
    genesis.memberThreshold * 65 + (genesis.members.length - genesis.memberThreshold)
  const leafItem = (leaf < 253 ? 1 : 3) + leaf
  const controlItem = 1 + 65
  return 41 * 4 + 1 + signatures + leafItem + controlItem
}

const KEY_PATH_INPUT_WEIGHT = 41 * 4 + 1 + 65
