import { fileURLToPath } from 'node:url'
import type * as grpc from '@grpc/grpc-js'
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader'
import {
  countFields,
  type FieldShape,
  GOVERNANCE_PROTO,
  GOVERNANCE_SERVICE,
  type MessageShape,
  STREAM_LIMITS,
} from '../../../proto/index.ts'

const PACKAGE = GOVERNANCE_SERVICE.slice(0, GOVERNANCE_SERVICE.lastIndexOf('.'))

/** Loads the schema; small enough to be read at every start. What it decodes has at most `maxFields` fields. */
export function loadGovernanceService(): grpc.ServiceDefinition {
  const definition = loadSync(fileURLToPath(GOVERNANCE_PROTO), {
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  })
  const service = definition[GOVERNANCE_SERVICE] as ServiceDefinition
  const bounded = Object.entries(service).map(([name, method]) => {
    const { requestDeserialize, requestType, responseDeserialize, responseType } = method
    return [
      name,
      {
        ...method,
        requestDeserialize: boundedDecoder(requestDeserialize, shapeOf(definition, requestType)),
        responseDeserialize: boundedDecoder(responseDeserialize, shapeOf(definition, responseType)),
      },
    ]
  })
  return Object.fromEntries(bounded) as grpc.ServiceDefinition
}

/** What a decoder throws ends the stream. */
function boundedDecoder(decode: (bytes: Buffer) => object, shape: MessageShape) {
  return (bytes: Buffer): object => {
    if (countFields(bytes, shape, STREAM_LIMITS.maxFields) === undefined) {
      throw new RangeError(`no message of at most ${STREAM_LIMITS.maxFields} fields`)
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

/** Bounds that both ends set on their channel (GV-12). */
export const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': STREAM_LIMITS.maxMessageBytes,
  'grpc.max_send_message_length': STREAM_LIMITS.maxMessageBytes,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
} as const
