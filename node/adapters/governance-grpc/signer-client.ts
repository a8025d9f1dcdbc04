import * as grpc from '@grpc/grpc-js'
import {
  SIGNER_LIMITS,
  type SignerFields,
  type SignerMethod,
  signerFields,
} from '../../../proto/index.ts'
import type { Clock } from '../../../supervisor/index.ts'
import { credentialsOf, describe } from './client.ts'
import { CHANNEL_OPTIONS, loadSignerService, type TlsIdentity } from './schema.ts'

export interface SignerClientOptions {
  /** `host:port`. */
  readonly endpoint: string
  readonly tls: TlsIdentity
  /** SHA-256 of the signer's certificate: nobody else is asked. */
  readonly fingerprint: string
  readonly clock: Pick<Clock, 'nowMs'>
}

/** Why there is no answer. */
export type SignerFault =
  /** No connection, or not to the certificate that is pinned. */
  | 'SignerUnreachable'
  /** It did not answer in time. */
  | 'SignerSlow'
  /** It serves another process of this member. */
  | 'SignerBusy'
  /** It failed, or is of another version. */
  | 'SignerFailed'

export type SignerAnswer =
  | { readonly ok: true; readonly fields: SignerFields }
  | { readonly ok: false; readonly code: SignerFault; readonly detail: string }

export interface SignerClient {
  /** Never rejects. A connection that is lost comes back by itself. */
  ask(method: SignerMethod, fields: SignerFields, withinMs: number): Promise<SignerAnswer>
  close(): void
}

const FAULTS: Readonly<{ [status: number]: SignerFault }> = {
  [grpc.status.UNAVAILABLE]: 'SignerUnreachable',
  [grpc.status.DEADLINE_EXCEEDED]: 'SignerSlow',
  [grpc.status.FAILED_PRECONDITION]: 'SignerBusy',
}

type Unary = (
  fields: SignerFields,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, answer: unknown) => void,
) => void

const Client = grpc.makeGenericClientConstructor(loadSignerService(), 'MemberSigner')

export function openSignerClient(options: SignerClientOptions): SignerClient {
  const { clock, endpoint, fingerprint, tls } = options
  const credentials = credentialsOf({ tls, nodeFingerprint: fingerprint })
  const client = new Client(endpoint, credentials, {
    ...CHANNEL_OPTIONS,
    'grpc.max_receive_message_length': SIGNER_LIMITS.maxAnswerBytes,
    'grpc.max_send_message_length': SIGNER_LIMITS.maxQuestionBytes,
    'grpc.keepalive_time_ms': SIGNER_LIMITS.keepaliveMs,
    'grpc.keepalive_timeout_ms': SIGNER_LIMITS.keepaliveAnswerMs,
    'grpc.initial_reconnect_backoff_ms': SIGNER_LIMITS.reconnectFirstMs,
    'grpc.max_reconnect_backoff_ms': SIGNER_LIMITS.reconnectMaxMs,
    // Identity is checked by the pinned certificate.
    'grpc.ssl_target_name_override': 'millrace-signer',
  })
  return {
    ask: (method, fields, withinMs) =>
      new Promise((resolve) => {
        const call = client[method] as unknown as Unary
        call.call(client, fields, { deadline: clock.nowMs() + withinMs }, (error, answer) => {
          if (error !== null) {
            const code = FAULTS[error.code] ?? 'SignerFailed'
            return resolve({ ok: false, code, detail: describe(error) })
          }
          const plain = signerFields(answer)
          resolve(
            plain === undefined
              ? { ok: false, code: 'SignerFailed', detail: 'no answer of this schema' }
              : { ok: true, fields: plain },
          )
        })
      }),
    close: () => client.close(),
  }
}
