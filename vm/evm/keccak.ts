import { createKeccak } from 'hash-wasm'

const hasher = await createKeccak(256)

/** Keccak-256 by WebAssembly: the trie and every transaction hash pass through here. */
export function keccak256(bytes: Uint8Array): Uint8Array {
  return hasher.init().update(bytes).digest('binary')
}
