/** eth_getProof: an account and slots of it with the nodes of the trie that prove them against the state root (EIP-1186). */
import { concatBytes, toHex } from '../../../crypto/index.ts'
import { EMPTY_CODE_HASH, EMPTY_TRIE_ROOT } from '../account.ts'
import { decodeRlp, type RlpItem } from '../rlp.ts'
import { keyOf, type StateView } from '../state.ts'

export type SlotProof = {
  readonly slot: Uint8Array
  /** Shortest form; empty for zero. */
  readonly value: Uint8Array
  readonly proof: readonly Uint8Array[]
}

export type AccountProof = {
  readonly nonce: bigint
  readonly balanceWei: bigint
  readonly codeHash: Uint8Array
  readonly storageRoot: Uint8Array
  readonly proof: readonly Uint8Array[]
  readonly slots: readonly SlotProof[]
}

/** Of the latest state: past ones have no trie. */
export function proveAccount(
  view: StateView,
  address: Uint8Array,
  slots: readonly Uint8Array[],
): AccountProof {
  const addressHex = toHex(address)
  const account = view.account(addressHex)
  const owner = keyOf(addressHex)
  return {
    nonce: account?.nonce ?? 0n,
    balanceWei: account?.balance ?? 0n,
    codeHash: account?.codeHash ?? EMPTY_CODE_HASH,
    storageRoot: account?.storageRoot ?? EMPTY_TRIE_ROOT,
    proof: nodesOn((path) => view.node(path), owner),
    slots: slots.map((slot) => {
      const slotHex = toHex(slot)
      return {
        slot,
        value: view.storage(addressHex, slotHex),
        proof: nodesOn((path) => view.node(`${owner}/${path}`), keyOf(slotHex)),
      }
    }),
  }
}

/** The nodes with a hash of their own from the root toward a key: up to it, or to where it would be. */
function nodesOn(read: (path: string) => Uint8Array | undefined, key: string): Uint8Array[] {
  const nodes: Uint8Array[] = []
  let path = ''
  for (let bytes = read(''); bytes !== undefined; bytes = read(path)) {
    nodes.push(concatBytes(bytes))
    const next = stepFrom(decodeRlp(bytes), path, key)
    if (next === undefined) break
    path = next
  }
  return nodes
}

/** The path of the next node with a hash; nodes below 32 bytes stand within their parent. */
function stepFrom(node: RlpItem | undefined, path: string, key: string): string | undefined {
  if (node === undefined || node instanceof Uint8Array) throw new Error('damaged trie node')
  const isBranch = node.length === 17
  const below = isBranch ? (key[path.length] as string) : extensionKey(node)
  if (below === undefined || !key.startsWith(below, path.length)) return undefined
  const child = isBranch ? node[Number.parseInt(below, 16)] : node[1]
  if (child === undefined) return undefined
  if (!(child instanceof Uint8Array)) return stepFrom(child, path + below, key)
  return child.length === 32 ? path + below : undefined
}

/** Undefined for a leaf. */
function extensionKey([compact]: readonly RlpItem[]): string | undefined {
  if (!(compact instanceof Uint8Array)) throw new Error('damaged trie node')
  const hex = toHex(compact)
  const flag = Number.parseInt(hex[0] as string, 16)
  if (flag >= 2) return undefined
  return flag % 2 === 1 ? hex.slice(1) : hex.slice(2)
}
