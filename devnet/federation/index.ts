/**
 * Everything that a development federation needs on disk before its first process starts: keys, the genesis file, TLS
 * identities, one configuration per node and member. Each process gets a directory of its own and reads no other. The same
 * directory is continued by a later start.
 */
export { type CheckpointSource, readCheckpoint } from './checkpoint.ts'
export {
  createFederation,
  type Federation,
  type FederationOptions,
  type FederationPorts,
  loadFederation,
} from './create.ts'
