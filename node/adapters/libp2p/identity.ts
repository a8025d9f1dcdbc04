/** The node's network identity: an Ed25519 key from a 32-byte seed that the caller keeps. */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'

export const NETWORK_SEED_BYTES = 32

export function networkKey(seed: Uint8Array) {
  if (seed.length !== NETWORK_SEED_BYTES) {
    throw new Error(`network key seed: expected ${NETWORK_SEED_BYTES} bytes, got ${seed.length}`)
  }
  return generateKeyPairFromSeed('Ed25519', seed)
}

/** The peer id that the seed gives, as it stands at the end of a multiaddr. */
export async function networkPeerId(seed: Uint8Array): Promise<string> {
  return peerIdFromPrivateKey(await networkKey(seed)).toString()
}
