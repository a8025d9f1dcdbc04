/**
 * A persistent map under one Merkle root: the form of every set of the ledger (protocol §7).
 *
 * The tree is binary over the 256 bits of sha256(key). A subtree of one entry is that entry's leaf, an empty
 * one is 32 zero bytes, so its depth is logarithmic. A change copies one path; versions share the rest, which makes a
 * candidate block's state as cheap as what it changes.
 *
 *   leaf   = sha256(0x00 ‖ sha256(key) ‖ sha256(value))      branch = sha256(0x01 ‖ left ‖ right)
 *
 * A proof is the list of siblings from the root down to where the key's path ends; the same form shows
 * absence: the path ends at nothing or at another key's leaf.
 */
import { equalBytes } from './bytes.ts'
import { sha256 } from './hash.ts'

interface Leaf<V> {
  readonly kind: 'leaf'
  readonly path: Uint8Array
  readonly key: Uint8Array
  readonly value: V
  hash: Uint8Array | undefined
}

interface Branch<V> {
  readonly kind: 'branch'
  readonly left: Node<V>
  readonly right: Node<V>
  readonly size: number
  hash: Uint8Array | undefined
}

type Node<V> = Leaf<V> | Branch<V> | undefined

/** How a value becomes the bytes that the root commits to. */
export type EncodeValue<V> = (value: V) => Uint8Array

/** Where a key's path ends and what stands beside it on the way. Depth at most 256. */
export interface SparseProof {
  /** Siblings from the root down. */
  readonly siblings: readonly Uint8Array[]
  /** The other entry that the path ends at when the key is absent, if there is one. */
  readonly other?: { readonly path: Uint8Array; readonly valueHash: Uint8Array }
}

const EMPTY_HASH = new Uint8Array(32)
const LEAF = Uint8Array.of(0)
const BRANCH = Uint8Array.of(1)
const MAX_DEPTH = 256

function bitAt(path: Uint8Array, depth: number): number {
  return ((path[depth >> 3] as number) >> (7 - (depth & 7))) & 1
}

function leafHash(path: Uint8Array, valueHash: Uint8Array): Uint8Array {
  return sha256(LEAF, path, valueHash)
}

export class SparseMap<V> {
  readonly #encode: EncodeValue<V>
  readonly #root: Node<V>

  private constructor(encode: EncodeValue<V>, root: Node<V>) {
    this.#encode = encode
    this.#root = root
  }

  static empty<V>(encode: EncodeValue<V>): SparseMap<V> {
    return new SparseMap(encode, undefined)
  }

  get size(): number {
    return sizeOf(this.#root)
  }

  get(key: Uint8Array): V | undefined {
    const path = sha256(key)
    let node = this.#root
    for (let depth = 0; node?.kind === 'branch'; depth++) {
      node = bitAt(path, depth) === 0 ? node.left : node.right
    }
    return node !== undefined && equalBytes(node.path, path) ? node.value : undefined
  }

  /** A new map in which `key` has `value`; this one is unchanged. */
  set(key: Uint8Array, value: V): SparseMap<V> {
    const leaf: Leaf<V> = { kind: 'leaf', path: sha256(key), key, value, hash: undefined }
    return new SparseMap(this.#encode, insert(this.#root, leaf, 0))
  }

  /** The 32-byte root that commits to every entry. */
  root(): Uint8Array {
    return this.#hash(this.#root)
  }

  /** All entries, in the order of their hashed keys. */
  *entries(): IterableIterator<readonly [Uint8Array, V]> {
    const stack: Node<V>[] = [this.#root]
    while (stack.length > 0) {
      const node = stack.pop()
      if (node === undefined) continue
      if (node.kind === 'leaf') yield [node.key, node.value]
      else stack.push(node.right, node.left)
    }
  }

  /** A proof of presence or absence of `key` under `root()`. */
  prove(key: Uint8Array): SparseProof {
    const path = sha256(key)
    const siblings: Uint8Array[] = []
    let node = this.#root
    for (let depth = 0; node?.kind === 'branch'; depth++) {
      const goesLeft = bitAt(path, depth) === 0
      siblings.push(this.#hash(goesLeft ? node.right : node.left))
      node = goesLeft ? node.left : node.right
    }
    if (node === undefined || equalBytes(node.path, path)) return { siblings }
    return { siblings, other: { path: node.path, valueHash: sha256(this.#encode(node.value)) } }
  }

  #hash(node: Node<V>): Uint8Array {
    if (node === undefined) return EMPTY_HASH
    if (node.hash === undefined) {
      node.hash =
        node.kind === 'leaf'
          ? leafHash(node.path, sha256(this.#encode(node.value)))
          : sha256(BRANCH, this.#hash(node.left), this.#hash(node.right))
    }
    return node.hash
  }
}

function sizeOf<V>(node: Node<V>): number {
  if (node === undefined) return 0
  return node.kind === 'leaf' ? 1 : node.size
}

function branch<V>(left: Node<V>, right: Node<V>): Branch<V> {
  return { kind: 'branch', left, right, size: sizeOf(left) + sizeOf(right), hash: undefined }
}

function insert<V>(node: Node<V>, leaf: Leaf<V>, depth: number): Node<V> {
  if (node === undefined) return leaf
  if (node.kind === 'leaf') {
    return equalBytes(node.path, leaf.path) ? leaf : split(node, leaf, depth)
  }
  return bitAt(leaf.path, depth) === 0
    ? branch(insert(node.left, leaf, depth + 1), node.right)
    : branch(node.left, insert(node.right, leaf, depth + 1))
}

function split<V>(present: Leaf<V>, added: Leaf<V>, depth: number): Branch<V> {
  const presentBit = bitAt(present.path, depth)
  const addedBit = bitAt(added.path, depth)
  if (presentBit === addedBit) {
    const below = split(present, added, depth + 1)
    return presentBit === 0 ? branch(below, undefined) : branch(undefined, below)
  }
  return presentBit === 0 ? branch(present, added) : branch(added, present)
}

/**
 * Whether `proof` shows under `root` that `key` has the encoded `value`, or, with `value` undefined, that it is absent.
 * Total: any proof gives true or false.
 */
export function verifySparseProof(
  root: Uint8Array,
  key: Uint8Array,
  value: Uint8Array | undefined,
  proof: SparseProof,
): boolean {
  const depth = proof.siblings.length
  if (depth > MAX_DEPTH) return false
  const path = sha256(key)
  let node: Uint8Array
  if (value !== undefined) {
    if (proof.other !== undefined) return false
    node = leafHash(path, sha256(value))
  } else if (proof.other === undefined) {
    node = EMPTY_HASH
  } else {
    if (proof.other.path.length !== 32 || equalBytes(proof.other.path, path)) return false
    for (let bit = 0; bit < depth; bit++) {
      if (bitAt(proof.other.path, bit) !== bitAt(path, bit)) return false
    }
    node = leafHash(proof.other.path, proof.other.valueHash)
  }
  for (let level = depth - 1; level >= 0; level--) {
    const sibling = proof.siblings[level] as Uint8Array
    node = bitAt(path, level) === 0 ? sha256(BRANCH, node, sibling) : sha256(BRANCH, sibling, node)
  }
  return equalBytes(node, root)
}
