/**
 * One row per message type: its class, what happens when the mailbox is full, what answers it (design §4, SU-6…SU-8).
 * `from` and `to` make MESSAGES.md; the kernel reads the rest.
 */
import type { MessageSpec, Overflow, Priority } from '../supervisor/index.ts'

export interface MessageRow extends MessageSpec {
  readonly from: string
  readonly to: string
}

interface Options {
  readonly reply?: string
  readonly neverDrop?: true
  readonly coalesce?: 'latest'
}

function row(
  type: string,
  from: string,
  to: string,
  priority: Priority,
  overflow: Overflow,
  options: Options = {},
): MessageRow {
  return { type, from, to, priority, overflow, ...options }
}

const KEEP = { neverDrop: true } as const
const LATEST = { coalesce: 'latest' } as const

export const MESSAGE_ROWS: readonly MessageRow[] = [
  // Chain
  row('chain.SlotTick', 'timer', 'chain', 'consensus', 'blockProducer', { ...KEEP, ...LATEST }),
  row('chain.ConsensusWake', 'timer', 'chain', 'consensus', 'blockProducer', LATEST),
  row('chain.ConsensusMessageReceived', 'network', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.BlockFetched', 'network', 'chain', 'consensus', 'dropOldest'),
  row('chain.ReadHeldBlock', 'network', 'chain', 'sync', 'returnError', {
    reply: 'chain.BlockHeld',
  }),
  row('chain.BlockHeld', 'chain', 'network', 'sync', 'blockProducer'),
  row('chain.PeerConnected', 'network', 'chain', 'consensus', 'dropOldest'),
  row('chain.BitcoinHeadersDetected', 'bridge', 'chain', 'peg', 'dropOldest', LATEST),
  row('chain.FeeRateEstimated', 'bridge', 'chain', 'peg', 'dropOldest', LATEST),
  row('chain.PayoutsUnconfirmed', 'bridge', 'chain', 'peg', 'dropOldest', LATEST),
  row('chain.DepositsLost', 'bridge', 'chain', 'peg', 'dropOldest', LATEST),
  row('chain.KeygenWaiting', 'bridge', 'chain', 'peg', 'dropOldest', LATEST),
  row('chain.FinalizeBlock', 'chain', 'bridge', 'peg', 'blockProducer', LATEST),
  row('bridge.PegInOperation', 'bridge', 'chain', 'peg', 'blockProducer', KEEP),
  row('bridge.PegOutOperation', 'bridge', 'chain', 'peg', 'blockProducer', KEEP),
  row('sync.ValidatedBlockBatch', 'sync', 'chain', 'sync', 'returnError', {
    reply: 'sync.BlockBatchImported',
  }),
  row('sync.BlockBatchImported', 'chain', 'sync', 'sync', 'blockProducer'),
  row('sync.SyncCompleted', 'sync', 'chain', 'sync', 'blockProducer'),
  row('chain.BlockProduced', 'effects', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.BlockValidated', 'effects', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.MessageSigned', 'effects', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.BlockStored', 'effects', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.BatchStored', 'effects', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.HaltStored', 'effects', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.EvidenceStored', 'effects', 'chain', 'consensus', 'blockProducer', KEEP),
  row('chain.EvidenceReceived', 'network', 'chain', 'gossip', 'dropNewest'),
  row('chain.SubmitValidatorChange', 'api', 'chain', 'api', 'returnError', {
    reply: 'chain.ValidatorChangeAccepted',
  }),
  row('chain.ValidatorChangeAccepted', 'chain', 'api', 'api', 'blockProducer'),
  row('chain.ValidatorChangeRefused', 'chain', 'api', 'api', 'blockProducer'),
  row('chain.ValidatorChangeReceived', 'network', 'chain', 'gossip', 'dropNewest'),
  row('chain.SubmitPegOrder', 'api', 'chain', 'api', 'returnError', {
    reply: 'chain.PegOrderAccepted',
  }),
  row('chain.PegOrderAccepted', 'chain', 'api', 'api', 'blockProducer'),
  row('chain.PegOrderRefused', 'chain', 'api', 'api', 'blockProducer'),
  // Engine
  row('engine.BuildBlockRequest', 'chain', 'engine', 'consensus', 'returnError', {
    reply: 'engine.BlockTemplate',
  }),
  row('engine.PrepareBlock', 'chain', 'engine', 'consensus', 'dropNewest'),
  row('engine.BlockTemplate', 'engine', 'chain', 'consensus', 'blockProducer'),
  row('engine.ExecutePayload', 'chain', 'engine', 'consensus', 'returnError', {
    reply: 'engine.ExecutionResult',
  }),
  row('engine.ExecutionResult', 'engine', 'chain', 'consensus', 'blockProducer'),
  row('engine.EngineFailed', 'engine', 'chain', 'consensus', 'blockProducer'),
  row('engine.CommitPayload', 'chain', 'engine', 'consensus', 'returnError', {
    reply: 'engine.EngineHead',
  }),
  row('engine.EngineStatus', 'chain', 'engine', 'consensus', 'returnError', {
    reply: 'engine.EngineHead',
  }),
  row('engine.RollBack', 'chain', 'engine', 'consensus', 'blockProducer'),
  row('engine.EngineHead', 'engine', 'chain', 'consensus', 'blockProducer'),
  row('engine.SubmitTransaction', 'api', 'engine', 'api', 'returnError', {
    reply: 'engine.TransactionAccepted',
  }),
  row('engine.TransactionAccepted', 'engine', 'api', 'api', 'blockProducer'),
  row('engine.TransactionRejected', 'engine', 'api', 'api', 'blockProducer'),
  row('network.TransactionJudged', 'engine', 'network', 'gossip', 'dropNewest'),
  row('engine.TransactionReceived', 'network', 'engine', 'gossip', 'dropNewest'),
  row('engine.StorageAway', 'kernel', 'engine', 'control', 'blockProducer', LATEST),
  row('engine.PayloadExecuted', 'effects', 'engine', 'consensus', 'blockProducer', KEEP),
  row('engine.PayloadCommitted', 'effects', 'engine', 'consensus', 'blockProducer', KEEP),
  row('engine.TransactionsRecovered', 'effects', 'engine', 'api', 'blockProducer'),
  // Bridge
  row('bridge.PollBitcoin', 'timer', 'bridge', 'peg', 'dropNewest', LATEST),
  row('bridge.BitcoinScanned', 'bridge', 'bridge', 'peg', 'blockProducer', LATEST),
  row('bridge.BitcoinUnavailable', 'bridge', 'bridge', 'peg', 'dropOldest', LATEST),
  row('bridge.MempoolSeen', 'bridge', 'bridge', 'peg', 'dropOldest', LATEST),
  row('bridge.ConflictsLooked', 'bridge', 'bridge', 'peg', 'dropOldest', LATEST),
  row('bridge.BitcoinTransactionDetected', 'bridge', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.ValidatePegInTransaction', 'bridge', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.GovernanceApproval', 'stream', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.ApprovalReceived', 'network', 'bridge', 'peg', 'dropNewest'),
  row('bridge.KeygenItemReceived', 'stream', 'bridge', 'peg', 'dropNewest'),
  row('bridge.ValidatePegOperations', 'chain', 'bridge', 'consensus', 'returnError', {
    reply: 'bridge.PegValidationResult',
  }),
  row('bridge.PegValidationResult', 'bridge', 'chain', 'consensus', 'blockProducer'),
  row('bridge.PegInComplete', 'chain', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.BurnEventDetected', 'engine', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.CreateBitcoinTransaction', 'bridge', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.NonceOfferReceived', 'stream', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.CollectedSignatures', 'stream', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.SignaturesJoined', 'effects', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.SignatureTimeout', 'timer', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.BroadcastBitcoinTransaction', 'bridge', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.BroadcastResult', 'bridge', 'bridge', 'peg', 'blockProducer', KEEP),
  row('bridge.TransactionConfirmed', 'bridge', 'bridge', 'peg', 'blockProducer', KEEP),
  // Sync
  row('sync.SyncRequiredNotification', 'chain, network', 'sync', 'sync', 'dropOldest', LATEST),
  row('sync.ParallelBlockDownloadRequest', 'sync', 'sync', 'sync', 'dropOldest', LATEST),
  row('sync.BlockBatchReceived', 'sync', 'sync', 'sync', 'blockProducer'),
  row('sync.PeersListed', 'sync', 'sync', 'sync', 'blockProducer'),
  row('sync.RangeVerified', 'sync', 'sync', 'sync', 'blockProducer'),
  row('sync.ImportEnded', 'sync', 'sync', 'sync', 'blockProducer'),
  row('sync.CheckSyncProgress', 'timer', 'sync', 'sync', 'dropNewest', LATEST),
  row('sync.GetSyncStatus', 'api', 'sync', 'api', 'returnError', { reply: 'sync.SyncStatus' }),
  row('sync.SyncStatus', 'sync', 'api', 'api', 'blockProducer'),
  // Network
  row('network.PropagateBlock', 'chain', 'network', 'consensus', 'blockProducer', KEEP),
  row('network.SendToPeer', 'chain', 'network', 'consensus', 'dropOldest'),
  row('network.FetchBlock', 'chain', 'network', 'consensus', 'dropOldest'),
  row('network.PenalizePeer', 'chain, sync', 'network', 'consensus', 'dropOldest'),
  row('network.HeadAnnounced', 'chain', 'network', 'consensus', 'dropOldest', LATEST),
  row('network.GetConnectedPeers', 'sync', 'network', 'sync', 'returnError', {
    reply: 'network.PeerList',
  }),
  row('network.PeerList', 'network', 'sync', 'sync', 'blockProducer'),
  row('network.RequestBlocks', 'sync', 'network', 'sync', 'returnError', {
    reply: 'network.BlockBatch',
  }),
  row('network.BlockBatch', 'network', 'sync', 'sync', 'blockProducer'),
  row('network.PeerAppeared', 'network', 'network', 'consensus', 'blockProducer'),
  row('network.PeerVanished', 'network', 'network', 'consensus', 'blockProducer'),
  row('network.FrameReceived', 'network', 'network', 'consensus', 'blockProducer'),
  row('network.GossipReceived', 'network', 'network', 'gossip', 'returnError'),
  row('network.RequestReceived', 'network', 'network', 'sync', 'returnError'),
  row('network.RequestServed', 'network', 'network', 'sync', 'blockProducer'),
  row('network.StatusReceived', 'network', 'network', 'sync', 'blockProducer'),
  row('network.RangeFetched', 'network', 'network', 'sync', 'blockProducer'),
  row('network.DialPeer', 'network, timer', 'network', 'sync', 'blockProducer'),
  row('network.DialEnded', 'network', 'network', 'sync', 'blockProducer'),
  row('network.GossipDue', 'timer', 'network', 'consensus', 'dropNewest', LATEST),
  row('network.TendPeers', 'timer', 'network', 'sync', 'dropNewest', LATEST),
  row('network.NetworkStopping', 'kernel', 'network', 'control', 'blockProducer'),
  row('network.GossipTransaction', 'engine', 'network', 'gossip', 'dropNewest'),
  row('network.GossipApproval', 'bridge', 'network', 'gossip', 'dropNewest'),
  row('network.GossipEvidence', 'chain', 'network', 'gossip', 'dropNewest'),
  row('network.SendEvidence', 'chain', 'network', 'gossip', 'dropNewest'),
  row('network.EvidenceJudged', 'chain', 'network', 'gossip', 'dropNewest'),
  row('network.GossipValidatorChange', 'chain', 'network', 'gossip', 'dropNewest'),
  row('network.ValidatorChangeJudged', 'chain', 'network', 'gossip', 'dropNewest'),
  // Stream
  row('stream.GovernanceApprovalRequest', 'bridge', 'stream', 'peg', 'blockProducer', KEEP),
  row('stream.RequestFederationSignatures', 'bridge', 'stream', 'peg', 'blockProducer', KEEP),
  row('stream.RequestSignatureParts', 'bridge', 'stream', 'peg', 'blockProducer', KEEP),
  row('bridge.ClaimDeposits', 'api', 'bridge', 'api', 'returnError', {
    reply: 'bridge.DepositsClaimed',
  }),
  row('bridge.DepositsClaimed', 'bridge', 'api', 'api', 'blockProducer'),
  row('bridge.ClaimRefused', 'bridge', 'api', 'api', 'blockProducer'),
  row('bridge.SubmitKeyCall', 'api', 'bridge', 'api', 'returnError', {
    reply: 'bridge.KeyCallTaken',
  }),
  row('bridge.KeyCallTaken', 'bridge', 'api', 'api', 'blockProducer'),
  row('bridge.KeyCallRefused', 'bridge', 'api', 'api', 'blockProducer'),
  row('stream.GetConnectedMembers', 'api', 'stream', 'api', 'returnError', {
    reply: 'stream.MemberList',
  }),
  row('stream.MemberList', 'stream', 'api', 'api', 'blockProducer'),
  // Storage. Chain's writes and LoadChain are of one class: a Chain that starts again reads behind what was to be written before.
  row('storage.PersistBlock', 'chain', 'storage', 'consensus', 'blockProducer', {
    ...KEEP,
    reply: 'storage.BlockPersisted',
  }),
  row('storage.PersistBlockBatch', 'chain', 'storage', 'consensus', 'blockProducer', {
    ...KEEP,
    reply: 'storage.BlockPersisted',
  }),
  row('storage.BlockPersisted', 'storage', 'chain', 'consensus', 'blockProducer'),
  row('storage.RollBackLedger', 'chain', 'storage', 'consensus', 'blockProducer'),
  row('storage.LoadChain', 'chain', 'storage', 'consensus', 'returnError', {
    reply: 'storage.ChainLoaded',
  }),
  row('storage.ChainLoaded', 'storage', 'chain', 'control', 'blockProducer'),
  row('storage.ReadBlocks', 'network, chain', 'storage', 'sync', 'returnError', {
    reply: 'storage.BlockRange',
  }),
  row('storage.BlockRange', 'storage', 'network, chain', 'sync', 'blockProducer'),
  row('storage.RecordHalt', 'chain', 'storage', 'consensus', 'blockProducer', {
    ...KEEP,
    reply: 'storage.HaltRecorded',
  }),
  row('storage.HaltRecorded', 'storage', 'chain', 'consensus', 'blockProducer'),
  row('storage.RecordEvidence', 'chain', 'storage', 'consensus', 'blockProducer', {
    ...KEEP,
    reply: 'storage.EvidenceRecorded',
  }),
  row('storage.EvidenceRecorded', 'storage', 'chain', 'consensus', 'blockProducer'),
  row('storage.WriteMeasured', 'effects', 'storage', 'consensus', 'blockProducer', LATEST),
  row('storage.PruneDue', 'timer', 'storage', 'gossip', 'dropNewest', LATEST),
  row('storage.PruneEnded', 'effects', 'storage', 'consensus', 'blockProducer', KEEP),
  // System
  row('system.DeferredReply', 'effects', 'their actor', 'control', 'blockProducer', KEEP),
]
