/**
 * What the seeds say of actors, states and messages, as data: the diagrams of seed 003 and the error pipeline of seed 000. Where
 * the seeds' own text is at hand, `seeds.test.ts` compares this file with it, word by word.
 */

/** `from → to`, an arrow for each label; `[*]` is the beginning and the end. */
export const SEED_STATES = {
  life: [
    '[*] → Initializing',
    'Initializing → Running',
    'Initializing → Failed',
    'Running → Failed',
    'Running → Stopping',
    'Failed → Restarting',
    'Failed → Terminated',
    'Restarting → Initializing',
    'Restarting → Terminated',
    'Stopping → Terminated',
    'Terminated → [*]',
  ],
  chain: [
    '[*] → Initializing',
    'Initializing → Syncing',
    'Initializing → Failed',
    'Syncing → Active',
    'Syncing → Failed',
    'Active → Producing',
    'Active → Importing',
    'Active → Syncing',
    'Producing → Active',
    'Producing → Failed',
    'Importing → Active',
    'Importing → Failed',
    'Failed → Syncing',
    'Failed → [*]',
  ],
  bridge: [
    '[*] → Initializing',
    'Initializing → Monitoring',
    'Initializing → Failed',
    'Monitoring → ProcessingPegIn',
    'Monitoring → ProcessingPegOut',
    'ProcessingPegIn → WaitingApproval',
    'ProcessingPegIn → Monitoring',
    'ProcessingPegOut → CollectingSignatures',
    'ProcessingPegOut → Monitoring',
    'WaitingApproval → Monitoring',
    'WaitingApproval → Monitoring',
    'CollectingSignatures → Broadcasting',
    'CollectingSignatures → Monitoring',
    'Broadcasting → Monitoring',
    'Broadcasting → Failed',
    'Failed → Monitoring',
    'Failed → [*]',
  ],
} as const

/** Headings above the state diagrams of seed 003. */
export const SEED_STATE_HEADINGS = {
  life: '## 6. Actor Supervision and Fault Recovery',
  chain: '### ChainActor State Machine',
  bridge: '### BridgeActor State Machine',
} as const

/** The participants of the seeds' sequence diagrams by our names. */
export const SEED_PARTICIPANTS: Readonly<Record<string, string>> = {
  Timer: 'timer',
  User: 'user',
  BC: 'bitcoin',
  GN: 'governance',
  CA: 'chain',
  EA: 'engine',
  BA: 'bridge',
  SA: 'sync',
  NA: 'network',
  ST: 'stream',
  StA: 'storage',
  Peer1: 'peer',
  Peer2: 'peer',
  Peer3: 'peer',
}

/** `from → to: Message` of flows 1 to 5. */
export const SEED_FLOWS: readonly (readonly string[])[] = [
  [
    'timer → chain: SlotTick',
    'chain → engine: BuildBlockRequest',
    'engine → chain: BlockTemplate',
    'chain → bridge: ValidatePegOperations',
    'bridge → chain: PegValidationResult',
    'chain → network: PropagateBlock',
    'chain → storage: PersistBlock',
  ],
  [
    'bitcoin → bridge: BitcoinTransactionDetected',
    'bridge → bridge: ValidatePegInTransaction',
    'bridge → stream: GovernanceApprovalRequest',
    'stream → governance: RequestFederationApproval',
    'governance → stream: ApprovalResponse',
    'stream → bridge: GovernanceApproval',
    'bridge → chain: PegInOperation',
    'chain → engine: MintTokensRequest',
    'engine → chain: MintResult',
    'chain → bridge: PegInComplete',
  ],
  [
    'user → engine: BurnTransaction',
    'engine → bridge: BurnEventDetected',
    'bridge → bridge: CreateBitcoinTransaction',
    'bridge → stream: RequestFederationSignatures',
    'stream → governance: SignatureRequest',
    'governance → stream: SignatureResponse',
    'stream → bridge: CollectedSignatures',
    'bridge → bitcoin: BroadcastBitcoinTransaction',
    'bitcoin → bridge: TransactionConfirmed',
  ],
  [
    'chain → sync: SyncRequiredNotification',
    'sync → network: GetConnectedPeers',
    'network → sync: PeerList',
    'sync → peer: RequestBlocks',
    'peer → sync: BlockBatch',
    'sync → chain: ValidatedBlockBatch',
    'chain → storage: PersistBlockBatch',
    'sync → sync: CheckSyncProgress',
    'sync → network: RequestMoreBlocks',
    'sync → chain: SyncCompleted',
  ],
  [
    'governance → stream: GovernanceMessage',
    'stream → chain: GovernanceBlockProposal',
    'stream → bridge: FederationConfigUpdate',
    'stream → chain: RequestChainStatus',
    'chain → stream: ChainStatusResponse',
    'stream → governance: ChainStatusUpdate',
    'stream → sync: GovernanceSyncRequest',
    'stream → chain: EmergencyHaltRequest',
    'stream → engine: UpdateExecutionConfig',
  ],
]

/** Seed 003 §7. */
export const SEED_CATEGORIES = {
  ChainMessages: ['ProcessBlock', 'BuildBlockRequest', 'SlotTick', 'FinalizeBlock'],
  BridgeMessages: [
    'PegInOperation',
    'PegOutOperation',
    'BitcoinTransactionDetected',
    'BurnEventDetected',
  ],
  SyncMessages: [
    'SyncRequiredNotification',
    'ParallelBlockDownloadRequest',
    'ValidatedBlockBatch',
    'SyncCompleted',
  ],
  SystemMessages: ['ActorStarted', 'ActorStopped', 'HealthCheck', 'ConfigUpdate'],
} as const

export const SEED_ENVELOPE = [
  'correlation_id',
  'timestamp',
  'sender',
  'message_type',
  'payload',
] as const

/** Seed 003, overview: which actors speak with each other. */
export const SEED_EDGES = [
  'chain ↔ engine',
  'chain ↔ bridge',
  'chain ↔ sync',
  'chain ↔ network',
  'bridge ↔ stream',
] as const

/** Seed 000: what the recovery manager does, by what it found. */
export const SEED_RECOVERY = [
  'Critical Error → ALERT_SYSTEM',
  'Service Error → FALLBACK_MGR',
  'Transient Error → RETRY',
  'State Corruption → ROLLBACK',
  'Network Issue → RESYNC',
  'Service Failure → FAILOVER',
] as const
