/**
 * What others may tell the seven actors at their well-known paths: telling one of them anything else is a type error.
 */
import type { BridgeInbox } from './bridge.ts'
import type { ChainInbox } from './chain.ts'
import type { EngineInbox } from './engine.ts'
import type { NetworkInbox } from './network.ts'
import type {
  LoadChain,
  PersistBlock,
  PersistBlockBatch,
  ReadBlocks,
  RecordEvidence,
  RecordHalt,
} from './storage.ts'
import type {
  GetConnectedMembers,
  GovernanceApprovalRequest,
  RequestFederationSignatures,
  RequestSignatureParts,
} from './stream.ts'
import type { SyncInbox } from './sync.ts'

declare module '../supervisor/message.ts' {
  interface KnownActors {
    readonly bridge: BridgeInbox
    readonly chain: ChainInbox
    readonly engine: EngineInbox
    readonly network: NetworkInbox
    readonly storage:
      | LoadChain
      | PersistBlock
      | PersistBlockBatch
      | ReadBlocks
      | RecordEvidence
      | RecordHalt
    readonly stream:
      | GetConnectedMembers
      | GovernanceApprovalRequest
      | RequestFederationSignatures
      | RequestSignatureParts
    readonly sync: SyncInbox
  }
}
