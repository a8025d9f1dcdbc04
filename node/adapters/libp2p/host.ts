/** The libp2p node itself: TCP, noise, yamux, identify, gossipsub; no discovery beyond what the actor dials. */
import { type GossipsubOpts, gossipsub, StrictNoSign } from '@chainsafe/libp2p-gossipsub'
import { identify } from '@libp2p/identify'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import type { NetworkStart } from '../../../actors/network/index.ts'
import { sha256 } from '../../../crypto/index.ts'
import {
  CLOSE_MS,
  DIAL_MS,
  GOSSIP_HEARTBEAT_MS,
  GOSSIP_SEEN_MS,
  GOSSIP_WRITE_BUFFER_BYTES,
  INBOUND_PER_HOST_PER_SECOND,
  MAX_PENDING_INBOUND,
  MAX_STREAM_WINDOW_BYTES,
  MIN_PING_TIMEOUT_MS,
  PING_INTERVAL_MS,
  STREAM_READ_BUFFER_BYTES,
  STREAM_WINDOW_BYTES,
} from './limits.ts'

export type Host = Awaited<ReturnType<typeof createHost>>

/** Room beside one message in a gossip frame: its topic and control messages. */
const GOSSIP_FRAME_OVERHEAD_BYTES = 64 * 1024

export function createHost(
  privateKey: PrivateKey,
  start: NetworkStart,
  isBanned: (peer: PeerId) => boolean,
) {
  const deny = (peer: PeerId) => isBanned(peer)
  return createLibp2p({
    start: false,
    privateKey,
    nodeInfo: { name: 'millrace', version: '1', userAgent: 'millrace' },
    addresses: { listen: [...start.listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: 256,
        maxOutboundStreams: 256,
        streamOptions: {
          initialStreamWindowSize: STREAM_WINDOW_BYTES,
          maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES,
          maxReadBufferLength: STREAM_READ_BUFFER_BYTES,
        },
      }),
    ],
    connectionGater: {
      denyDialPeer: deny,
      denyInboundEncryptedConnection: deny,
    },
    connectionManager: {
      maxConnections: start.maxPeers,
      maxParallelDials: 8,
      maxDialQueueLength: 128,
      dialTimeout: DIAL_MS,
      connectionCloseTimeout: CLOSE_MS,
      maxIncomingPendingConnections: MAX_PENDING_INBOUND,
      inboundConnectionThreshold: INBOUND_PER_HOST_PER_SECOND,
      reconnectRetries: 0,
    },
    connectionMonitor: {
      pingInterval: PING_INTERVAL_MS,
      pingTimeout: { minTimeout: MIN_PING_TIMEOUT_MS },
    },
    services: {
      identify: identify(),
      gossip: gossipsub(gossipOptions(start)),
    },
  })
}

/** A mesh for networks of up to a few dozen; content names a message, so nobody can claim another's id (T3). */
function gossipOptions(start: NetworkStart): Partial<GossipsubOpts> {
  const largest = Math.max(...start.topics.map((topic) => topic.maxBytes))
  return {
    allowedTopics: start.topics.map((topic) => topic.name),
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: (message) => sha256(message.data),
    msgIdToStrFn: (id) => Buffer.from(id).toString('latin1'),
    fallbackToFloodsub: false,
    floodPublish: true,
    batchPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    D: 6,
    Dlo: 4,
    Dhi: 8,
    Dscore: 3,
    Dout: 2,
    Dlazy: 3,
    heartbeatInterval: GOSSIP_HEARTBEAT_MS,
    seenTTL: GOSSIP_SEEN_MS,
    maxInboundDataLength: largest + GOSSIP_FRAME_OVERHEAD_BYTES,
    maxOutboundBufferSize: GOSSIP_WRITE_BUFFER_BYTES,
    maxTopicBytesPerPeer: 16 * 1024,
    decodeRpcLimits: {
      maxSubscriptions: 64,
      maxMessages: 1_024,
      maxIhaveMessageIDs: 5_000,
      maxIwantMessageIDs: 5_000,
      maxIdontwantMessageIDs: 5_000,
      maxControlMessages: 1_024,
      maxPeerInfos: 16,
    },
    // Whole federations run behind one address; misbehaviour is scored by the actor, which bans.
    scoreParams: { IPColocationFactorWeight: 0 },
  }
}
