/**
 * A Merkle Patricia trie (yellow paper, appendix D) over nodes that are stored by their path, not by their hash: a
 * changed node replaces its former self, so that state keeps no garbage and needs no reference counts. Nodes are read
 * when a change first walks over them. Hashes are computed by `hash`, as often as is useful, for what changed since. Keys are hex digits and no key may be a
 * prefix of another one, which holds for hashes and for RLP of indexes.
 */
import { concatBytes, toHex } from '../../crypto/index.ts'
import { EMPTY_TRIE_ROOT } from './account.ts'
import { keccak256 } from './keccak.ts'
import { decodeRlp, encodeBytes, prefixSize, type RlpItem, writePrefix } from './rlp.ts'
import {
  compactKey,
  digit,
  encodeBranch,
  encodeExtension,
  encodeLeaf,
  HASH_REFERENCE_BYTES,
  referenceTo,
} from './trie-nodes.ts'

/** Reads the node at a path of hex digits; the root is at the empty path. */
export type NodeSource = (path: string) => Uint8Array | undefined

export type TrieCommit = {
  readonly root: Uint8Array
  /** Nodes by path; null where one is gone. */
  readonly nodes: ReadonlyMap<string, Uint8Array | null>
}

/**
 * What stands for a node in its parent: its own encoding below 32 bytes, else its hash; absent from a change until the next `hash`. Of a
 * node that is not as its source has it, its encoding too.
 */
type Reference = { reference?: Uint8Array | undefined; encoded?: Uint8Array | undefined }
type Leaf = Reference & { readonly kind: 'leaf'; key: string; value: Uint8Array }
type Extension = Reference & { readonly kind: 'extension'; key: string; child: Node }
type Branch = Reference & { readonly kind: 'branch'; readonly children: (Node | undefined)[] }
type Stored = { readonly kind: 'stored'; readonly reference: Uint8Array }
type Node = Leaf | Extension | Branch | Stored
type Loaded = Leaf | Extension | Branch

const DIGITS = '0123456789abcdef'

export class Trie {
  readonly #source: NodeSource
  readonly #loaded = new Set<string>()
  #root: Node | undefined

  constructor(source: NodeSource = () => undefined) {
    this.#source = source
    const bytes = source('')
    if (bytes !== undefined) {
      this.#loaded.add('')
      this.#root = parseNode(bytes)
    }
  }

  /** Sets a key; a value is never empty. */
  put(key: string, value: Uint8Array): void {
    this.#root = this.#insert(this.#root, '', key, value)
  }

  delete(key: string): void {
    this.#root = this.#remove(this.#root, '', key)
  }

  get(key: string): Uint8Array | undefined {
    let node = this.#root
    let path = ''
    let rest = key
    while (node !== undefined) {
      const loaded = node.kind === 'stored' ? this.#read(path) : node
      if (loaded.kind === 'leaf') return loaded.key === rest ? loaded.value : undefined
      if (loaded.kind === 'extension') {
        if (!rest.startsWith(loaded.key)) return undefined
        path += loaded.key
        rest = rest.slice(loaded.key.length)
        node = loaded.child
      } else {
        path += rest[0]
        node = loaded.children[digit(rest, 0)]
        rest = rest.slice(1)
      }
    }
    return undefined
  }

  /** The root. What did not change since the last time is not hashed again. */
  hash(): Uint8Array {
    if (this.#root === undefined) return EMPTY_TRIE_ROOT
    const reference = this.#reference(this.#root)
    return reference.length < HASH_REFERENCE_BYTES ? keccak256(reference) : reference.slice(1)
  }

  /** What the source must answer with for the trie to be found again as it is now. */
  commit(): TrieCommit {
    const root = this.hash()
    const nodes = new Map<string, Uint8Array | null>()
    const kept = new Set<string>()
    if (this.#root !== undefined) this.#collect(this.#root, '', nodes, kept)
    for (const path of this.#loaded) {
      if (!nodes.has(path) && !kept.has(path)) nodes.set(path, null)
    }
    return { root, nodes }
  }

  #load(node: Node, path: string): Loaded {
    if (node.kind !== 'stored') return node
    const loaded = this.#read(path)
    this.#loaded.add(path)
    loaded.reference = node.reference
    return loaded
  }

  #read(path: string): Loaded {
    const bytes = this.#source(path)
    if (bytes === undefined) throw new Error(`trie node missing at ${path}`)
    return parseNode(bytes)
  }

  #insert(node: Node | undefined, path: string, key: string, value: Uint8Array): Loaded {
    if (node === undefined) return { kind: 'leaf', key, value }
    const loaded = this.#load(node, path)
    change(loaded)
    if (loaded.kind === 'branch') {
      const index = digit(key, 0)
      const child = loaded.children[index]
      loaded.children[index] = this.#insert(child, path + key[0], key.slice(1), value)
      return loaded
    }
    const shared = commonPrefix(loaded.key, key)
    if (loaded.kind === 'leaf' && shared === key.length) {
      loaded.value = value
      return loaded
    }
    if (loaded.kind === 'extension' && shared === loaded.key.length) {
      loaded.child = this.#insert(loaded.child, path + loaded.key, key.slice(shared), value)
      return loaded
    }
    return split(loaded, shared, key, value)
  }

  #remove(node: Node | undefined, path: string, key: string): Loaded | undefined {
    if (node === undefined) return undefined
    const loaded = this.#load(node, path)
    if (loaded.kind === 'leaf') return loaded.key === key ? undefined : loaded
    change(loaded)
    if (loaded.kind === 'extension') {
      if (!key.startsWith(loaded.key)) return loaded
      const below = path + loaded.key
      const child = this.#remove(loaded.child, below, key.slice(loaded.key.length))
      return child === undefined ? undefined : prepend(loaded.key, child)
    }
    const index = digit(key, 0)
    loaded.children[index] = this.#remove(loaded.children[index], path + key[0], key.slice(1))
    return loaded.children[index] === undefined ? this.#collapse(loaded, path) : loaded
  }

  /** A branch that is left with one child gives way to it. */
  #collapse(branch: Branch, path: string): Loaded | undefined {
    const left = branch.children.findIndex((child) => child !== undefined)
    if (left === -1) return undefined
    if (branch.children.findLastIndex((child) => child !== undefined) !== left) return branch
    const step = DIGITS[left] as string
    return prepend(step, this.#load(branch.children[left] as Node, path + step))
  }

  #encode(node: Loaded): Uint8Array {
    if (node.kind === 'leaf') return encodeLeaf(compactKey(node.key, 0, true), node.value)
    if (node.kind === 'extension') {
      return encodeExtension(compactKey(node.key, 0, false), this.#reference(node.child))
    }
    const children: (Uint8Array | undefined)[] = new Array(16)
    for (const [index, child] of node.children.entries()) {
      if (child !== undefined) children[index] = this.#reference(child)
    }
    return encodeBranch(children)
  }

  #reference(node: Node): Uint8Array {
    if (node.kind === 'stored' || node.reference !== undefined) return node.reference as Uint8Array
    node.encoded = this.#encode(node)
    node.reference = referenceTo(node.encoded)
    return node.reference
  }

  /** Takes nodes that are not as the source has them, and marks those that were read and did not change. */
  #collect(
    node: Node,
    path: string,
    nodes: Map<string, Uint8Array | null>,
    kept: Set<string>,
  ): void {
    if (node.kind === 'stored') return
    if (node.encoded === undefined) kept.add(path)
    else if (node.encoded.length >= 32 || path === '') nodes.set(path, node.encoded)
    if (node.kind === 'extension') this.#collect(node.child, path + node.key, nodes, kept)
    if (node.kind !== 'branch') return
    for (const [index, child] of node.children.entries()) {
      if (child !== undefined) this.#collect(child, path + DIGITS[index], nodes, kept)
    }
  }
}

function change(node: Loaded): void {
  node.reference = undefined
  node.encoded = undefined
}

function commonPrefix(left: string, right: string): number {
  const limit = Math.min(left.length, right.length)
  let shared = 0
  while (shared < limit && left.charCodeAt(shared) === right.charCodeAt(shared)) shared += 1
  return shared
}

/** Two keys part after `shared` digits: a branch there, below an extension when there is something in common. */
function split(
  node: Leaf | Extension,
  shared: number,
  key: string,
  value: Uint8Array,
): Branch | Extension {
  const branch: Branch = { kind: 'branch', children: new Array(16).fill(undefined) }
  const prefix = node.key.slice(0, shared)
  const rest = node.key.slice(shared + 1)
  branch.children[digit(node.key, shared)] = shorten(node, rest)
  branch.children[digit(key, shared)] = { kind: 'leaf', key: key.slice(shared + 1), value }
  return shared === 0 ? branch : { kind: 'extension', key: prefix, child: branch }
}

function shorten(node: Leaf | Extension, key: string): Node {
  if (node.kind === 'leaf') return { kind: 'leaf', key, value: node.value }
  return key === '' ? node.child : { kind: 'extension', key, child: node.child }
}

function prepend(prefix: string, node: Loaded): Loaded {
  if (node.kind === 'leaf') return { kind: 'leaf', key: prefix + node.key, value: node.value }
  if (node.kind === 'branch') return { kind: 'extension', key: prefix, child: node }
  return { kind: 'extension', key: prefix + node.key, child: node.child }
}

/** What RLP of a branch consists of when none of its children is small enough to stand in it. */
const EMPTY_CHILD = 0x80
const HASH_CHILD = 0xa0
const HASH_CHILD_BYTES = 33

/** A branch whose children stay where they are in its bytes; undefined for any other node, which is read item by item. */
function parseBranch(bytes: Uint8Array): Branch | undefined {
  let at = prefixSize(bytes.length - 1)
  if (at > 1) at = prefixSize(bytes.length - at)
  const header = new Uint8Array(at)
  writePrefix(header, 0, bytes.length - at, 0xc0)
  if (!header.every((byte, index) => byte === bytes[index])) return undefined
  const children: (Node | undefined)[] = new Array(16).fill(undefined)
  for (let index = 0; index < 16; index++) {
    const prefix = bytes[at]
    if (prefix === HASH_CHILD) {
      const end = at + HASH_CHILD_BYTES
      children[index] = { kind: 'stored', reference: bytes.subarray(at, end) }
      at = end
    } else if (prefix === EMPTY_CHILD) at += 1
    else return undefined
  }
  return bytes[at] === EMPTY_CHILD && at + 1 === bytes.length
    ? { kind: 'branch', children }
    : undefined
}

function parseNode(bytes: Uint8Array): Loaded {
  const branch = parseBranch(bytes)
  if (branch !== undefined) return branch
  const items = decodeRlp(bytes)
  if (items === undefined || items instanceof Uint8Array) throw new Error('damaged trie node')
  return fromItems(items)
}

function fromItems(items: readonly RlpItem[]): Loaded {
  if (items.length === 17) {
    return { kind: 'branch', children: items.slice(0, 16).map(fromChild) }
  }
  const [path, child] = items
  if (items.length !== 2 || !(path instanceof Uint8Array) || child === undefined) {
    throw new Error('damaged trie node')
  }
  const hex = toHex(path)
  const flag = digit(hex, 0)
  const key = flag % 2 === 1 ? hex.slice(1) : hex.slice(2)
  if (flag >= 2) {
    if (!(child instanceof Uint8Array)) throw new Error('damaged trie node')
    return { kind: 'leaf', key, value: concatBytes(child) }
  }
  return { kind: 'extension', key, child: fromChild(child) as Node }
}

function fromChild(item: RlpItem): Node | undefined {
  if (!(item instanceof Uint8Array)) return fromItems(item)
  if (item.length === 0) return undefined
  if (item.length !== 32) throw new Error('damaged trie node')
  return { kind: 'stored', reference: encodeBytes(item) }
}
