/**
 * SSZ roots are SHA-256 all the way down: WebAssembly does them in half the time of the library's default. Imported for its effect,
 * before the containers are made.
 */
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'

setHasher(hasher)
