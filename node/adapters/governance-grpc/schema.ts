import { fileURLToPath } from 'node:url'
import type * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { GOVERNANCE_PROTO, GOVERNANCE_SERVICE, STREAM_LIMITS } from '../../../proto/index.ts'

/** Loads the schema; small enough to be read at every start. */
export function loadGovernanceService(): grpc.ServiceDefinition {
  const definition = loadSync(fileURLToPath(GOVERNANCE_PROTO), {
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  })
  return definition[GOVERNANCE_SERVICE] as grpc.ServiceDefinition
}

/** TLS identity and trust of one side; PEM texts. */
export interface TlsIdentity {
  /** Certificates of the authorities that the other side's certificate must come from. */
  readonly authorityPem: string
  readonly certificatePem: string
  readonly privateKeyPem: string
}

/** Bounds that both ends set on their channel (GV-12). */
export const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': STREAM_LIMITS.maxMessageBytes,
  'grpc.max_send_message_length': STREAM_LIMITS.maxMessageBytes,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
} as const
