import { dirname } from 'node:path'
import type { PeerCertificate } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type * as grpc from '@grpc/grpc-js'
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader'
import {
  countFields,
  type FieldShape,
  GOVERNANCE_PROTO,
  GOVERNANCE_SERVICE,
  type MessageShape,
  SIGNER_LIMITS,
  SIGNER_PROTO,
  SIGNER_SERVICE,
  STREAM_LIMITS,
} from '../../../proto/index.ts'

const PACKAGE = GOVERNANCE_SERVICE.slice(0, GOVERNANCE_SERVICE.lastIndexOf('.'))

/** The stream between nodes and members. */
export function loadGovernanceService(): grpc.ServiceDefinition {
  return loadService(GOVERNANCE_PROTO, GOVERNANCE_SERVICE, STREAM_LIMITS.maxFields)
}

/** Between a member and its signer. */
export function loadSignerService(): grpc.ServiceDefinition {
  return loadService(SIGNER_PROTO, SIGNER_SERVICE, SIGNER_LIMITS.maxFields)
}

/** Loads a schema; small enough to be read at every start. What it decodes has at most `maxFields` fields. */
function loadService(proto: URL, name: string, maxFields: number): grpc.ServiceDefinition {
  const path = fileURLToPath(proto)
  const definition = loadSync(path, {
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
    includeDirs: [dirname(path)],
  })
  const service = definition[name] as ServiceDefinition
  const bounded = Object.entries(service).map(([method, each]) => {
    const { requestDeserialize, requestType, responseDeserialize, responseType } = each
    const bound = (decode: (bytes: Buffer) => object, type: { readonly type: object }) =>
      boundedDecoder(decode, shapeOf(definition, type), maxFields)
    return [
      method,
      {
        ...each,
        requestDeserialize: bound(requestDeserialize, requestType),
        responseDeserialize: bound(responseDeserialize, responseType),
      },
    ]
  })
  return Object.fromEntries(bounded) as grpc.ServiceDefinition
}

/** What a decoder throws ends the stream. */
function boundedDecoder(decode: (bytes: Buffer) => object, shape: MessageShape, maxFields: number) {
  return (bytes: Buffer): object => {
    if (countFields(bytes, shape, maxFields) === undefined) {
      throw new RangeError(`no message of at most ${maxFields} fields`)
    }
    return decode(bytes)
  }
}

/** As protobuf's own descriptors have it. */
interface Descriptor {
  readonly field: readonly {
    readonly number: number
    readonly type: string
    readonly typeName: string
  }[]
}

/** The types that our schema uses. */
const KINDS: Readonly<Record<string, FieldShape['kind']>> = {
  TYPE_BOOL: 'number32',
  TYPE_BYTES: 'bytes',
  TYPE_ENUM: 'number32',
  TYPE_MESSAGE: 'message',
  TYPE_STRING: 'bytes',
  TYPE_UINT32: 'number32',
  TYPE_UINT64: 'number64',
}

/** The schema nests no message in itself. */
function shapeOf(definition: PackageDefinition, { type }: { readonly type: object }): MessageShape {
  const fields = (type as Descriptor).field.map(
    ({ number, type: name, typeName }): [number, FieldShape] => {
      const kind = KINDS[name]
      if (kind === undefined) throw new Error(`fields of ${name} are not counted yet`)
      if (kind !== 'message') return [number, { kind }]
      const inner = definition[`${PACKAGE}.${typeName.split('.').at(-1)}`]
      return [number, { kind, inner: shapeOf(definition, inner as { readonly type: object }) }]
    },
  )
  return new Map(fields)
}

/** TLS identity and trust of one side; PEM texts. */
export interface TlsIdentity {
  /** Certificates of the authorities that the other side's certificate must come from. */
  readonly authorityPem: string
  readonly certificatePem: string
  readonly privateKeyPem: string
}

/** SHA-256 of a certificate, as configurations pin it; undefined of a peer that showed none, which TLS gives as an empty object. */
export function fingerprintOf({ fingerprint256 }: Partial<PeerCertificate>): string | undefined {
  return fingerprint256?.replaceAll(':', '').toLowerCase()
}

/** Bounds that both ends set on their channel (GV-12). */
export const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': STREAM_LIMITS.maxMessageBytes,
  'grpc.max_send_message_length': STREAM_LIMITS.maxMessageBytes,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
} as const
