/**
 * Whether stored state and blocks are what they claim to be. All that a root commits to is looked at, in bounded memory: every node of a
 * trie has the hash that its parent names, every flat entry stands in the trie, and there are as many entries as leaves; so the root is
 * the one of the flat state.
 */
import { equalBytes, toHex } from '../../../crypto/index.ts'
import { EMPTY_CODE_HASH, encodeAccount } from '../account.ts'
import { hashPayload } from '../header.ts'
import { keccak256 } from '../keccak.ts'
import { bloomOf, encodeReceipt } from '../receipt.ts'
import { decodeRlp, encodeBytes, type RlpItem } from '../rlp.ts'
import { hasNoStorage, keyOf, type StateView } from '../state.ts'
import { type NodeSource, Trie } from '../trie.ts'
import { orderedRoot } from '../trie-nodes.ts'
import type { BlockSource } from './chain-reads.ts'

/** What state is verified from. */
export interface StateSource {
  view(): StateView
  /** Addresses of all accounts, in hex. */
  accounts(): Iterable<string>
}

export type StateVerdict =
  | { readonly ok: true; readonly accounts: number; readonly slots: number }
  /** The first thing that does not fit. */
  | { readonly ok: false; readonly reason: string }

/** Whether the flat state has `stateRoot`. Throws where a record does not decode. */
export function verifyState(source: StateSource, stateRoot: Uint8Array): StateVerdict {
  const view = source.view()
  const leaves = countLeaves((path) => view.node(path), stateRoot)
  if (typeof leaves === 'string') return { ok: false, reason: `accounts: ${leaves}` }
  const trie = new Trie((path) => view.node(path))
  let [accounts, slots] = [0, 0]
  for (const addressHex of source.accounts()) {
    const account = view.account(addressHex)
    const inTrie = trie.get(keyOf(addressHex))
    if (
      account === undefined ||
      inTrie === undefined ||
      !equalBytes(inTrie, encodeAccount(account))
    ) {
      return { ok: false, reason: `account 0x${addressHex} is not what the state root says` }
    }
    accounts += 1
    const held = verifySlots(view, addressHex, account.storageRoot, hasNoStorage(account))
    if (typeof held === 'string') return { ok: false, reason: `account 0x${addressHex}: ${held}` }
    slots += held
    const { codeHash } = account
    if (equalBytes(codeHash, EMPTY_CODE_HASH)) continue
    const code = view.code(toHex(codeHash))
    if (code === undefined || !equalBytes(keccak256(code), codeHash)) {
      return { ok: false, reason: `account 0x${addressHex}: its code is missing or another` }
    }
  }
  if (accounts === leaves) return { ok: true, accounts, slots }
  return { ok: false, reason: `${accounts} accounts, ${leaves} under the state root` }
}

function verifySlots(
  view: StateView,
  addressHex: string,
  storageRoot: Uint8Array,
  isEmpty: boolean,
): number | string {
  const owner = keyOf(addressHex)
  const source: NodeSource = (path) => view.node(`${owner}/${path}`)
  const leaves = isEmpty ? 0 : countLeaves(source, storageRoot)
  if (typeof leaves === 'string') return `storage: ${leaves}`
  const trie = isEmpty ? undefined : new Trie(source)
  let slots = 0
  for (const slotHex of view.slots(addressHex)) {
    const inTrie = trie?.get(keyOf(slotHex))
    const value = encodeBytes(view.storage(addressHex, slotHex))
    if (inTrie === undefined || !equalBytes(inTrie, value)) {
      return `slot 0x${slotHex} is not what the storage root says`
    }
    slots += 1
  }
  return slots === leaves ? slots : `${slots} slots, ${leaves} under the storage root`
}

/** Leaves under a root, every node of which has the hash that names it; or which one has not. */
function countLeaves(source: NodeSource, root: Uint8Array): number | string {
  if (source('') === undefined) {
    const isEmpty = equalBytes(root, keccak256(Uint8Array.of(0x80)))
    return isEmpty ? 0 : 'the root node is missing'
  }
  const waiting: { readonly path: string; readonly hash: Uint8Array }[] = [{ path: '', hash: root }]
  let leaves = 0
  /** A node as it stands, or as its parent holds it. Undefined when it is none. */
  const visit = (node: RlpItem, path: string): boolean => {
    if (node instanceof Uint8Array) return false
    if (node.length === 17) {
      return node.slice(0, 16).every((child, at) => below(child, path + at.toString(16)))
    }
    const [prefix, child] = node
    if (node.length !== 2 || !(prefix instanceof Uint8Array) || child === undefined) return false
    const digits = toHex(prefix)
    const flag = Number.parseInt(digits[0] ?? '', 16)
    if (flag >= 2) {
      leaves += 1
      return child instanceof Uint8Array
    }
    return below(child, path + digits.slice(flag === 1 ? 1 : 2))
  }
  const below = (child: RlpItem, path: string): boolean => {
    if (!(child instanceof Uint8Array)) return visit(child, path)
    if (child.length === 32) waiting.push({ path, hash: child })
    return child.length === 0 || child.length === 32
  }
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const bytes = source(next.path)
    if (bytes === undefined || !equalBytes(keccak256(bytes), next.hash)) {
      return `the node at ${next.path || 'the root'} is missing or another`
    }
    const node = decodeRlp(bytes)
    if (node === undefined || !visit(node, next.path))
      return `no node at ${next.path || 'the root'}`
  }
  return leaves
}

/** What is wrong with a stored block: its hash, its receipts, what is looked up about it. Throws where a record does not decode. */
export function damageOfBlock(source: BlockSource, height: number): string | undefined {
  const payload = source.payloadAt(height)
  const hash = source.hashAt(height)
  if (payload === undefined || hash === undefined) return `block ${height} is missing`
  if (payload.blockNumber !== height || !equalBytes(hashPayload(payload), hash)) {
    return `block ${height} does not have its hash`
  }
  if (source.heightOf(hash) !== height) return `block ${height} is not found by its hash`
  const receipts = source.receiptsAt(height)
  const encoded = receipts?.map((receipt) => encodeReceipt(receipt, bloomOf(receipt.logs)))
  if (encoded === undefined || !equalBytes(orderedRoot(encoded), payload.receiptsRoot)) {
    return `the receipts of block ${height} do not have their root`
  }
  const bloom = source.bloomAt(height)
  if (bloom === undefined || !equalBytes(bloom, payload.logsBloom)) {
    return `the bloom of block ${height} is another`
  }
  if (source.sendersAt(height).length !== payload.transactions.length) {
    return `senders of block ${height} are missing`
  }
  for (const [index, raw] of payload.transactions.entries()) {
    const position = source.positionOf(keccak256(raw))
    if (position?.height !== height || position.index !== index) {
      return `transaction ${index} of block ${height} is not found by its hash`
    }
  }
  return undefined
}
