/**
 * SSZ roots are SHA-256 all the way down: the native hasher, which uses what the processor has for it, needs a quarter of the time of
 * the library's default and half of WebAssembly's. Imported for its effect, before the containers are made.
 */
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher } from '@chainsafe/persistent-merkle-tree/hasher/hashtree'

setHasher(hasher)
