import * as grpc from '@grpc/grpc-js'
import {
  SIGNER_LIMITS,
  SIGNER_METHODS,
  type SignerFields,
  type SignerMethod,
  signerFields,
} from '../../../proto/index.ts'
import { type DoorRefusal, TlsDoor } from './door.ts'
import { CHANNEL_OPTIONS, fingerprintOf, loadSignerService, type TlsIdentity } from './schema.ts'

export interface SignerServerOptions {
  readonly host: string
  /** 0 lets the operating system choose. */
  readonly port: number
  readonly tls: TlsIdentity
  /** SHA-256 of the member's certificate: nobody else is let in. */
  readonly fingerprint: string
}

export interface SignerListener {
  /** The answer's fields; undefined: no question of this schema. */
  asked(method: SignerMethod, fields: SignerFields): Promise<SignerFields | undefined>
  refused(peer: string, code: DoorRefusal | 'Busy', detail: string): void
  connected(peer: string): void
  disconnected(peer: string): void
  /** A question could not be answered: a disk that fails, or a bug. */
  failed(method: SignerMethod, error: unknown): void
}

export interface SignerServer {
  readonly port: number
  stop(): Promise<void>
}

type Call = grpc.ServerUnaryCall<unknown, unknown>

/**
 * Serves the questions of one member at a time: who asks first has the signer until its connection ends, and a second process with the same
 * certificate is told so. Rejects with the system's error where the port cannot be had.
 */
export async function startSignerServer(
  options: SignerServerOptions,
  listener: SignerListener,
): Promise<SignerServer> {
  let holder: string | undefined
  let open = 0
  const server = new grpc.Server({
    ...CHANNEL_OPTIONS,
    'grpc.max_receive_message_length': SIGNER_LIMITS.maxQuestionBytes,
    'grpc.max_send_message_length': SIGNER_LIMITS.maxAnswerBytes,
    'grpc.max_concurrent_streams': SIGNER_LIMITS.maxOpen,
    'grpc.keepalive_time_ms': SIGNER_LIMITS.keepaliveMs,
    'grpc.keepalive_timeout_ms': SIGNER_LIMITS.keepaliveAnswerMs,
  })

  const serve = async (method: SignerMethod, call: Call): Promise<SignerFields> => {
    const peer = call.getPeer()
    if (holder === undefined) {
      holder = peer
      listener.connected(peer)
    }
    if (holder !== peer) {
      listener.refused(peer, 'Busy', `serves ${holder}`)
      throw status(
        grpc.status.FAILED_PRECONDITION,
        `another member process, at ${holder}, is served`,
      )
    }
    if (open >= SIGNER_LIMITS.maxOpen)
      throw status(grpc.status.RESOURCE_EXHAUSTED, 'too many questions')
    const fields = signerFields(call.request)
    open += 1
    try {
      const answer = fields && (await listener.asked(method, fields))
      if (answer !== undefined) return answer
    } catch (error) {
      listener.failed(method, error)
      throw status(grpc.status.INTERNAL, 'the signer failed')
    } finally {
      open -= 1
    }
    throw status(grpc.status.INVALID_ARGUMENT, 'no question of this schema')
  }

  const handlers = SIGNER_METHODS.map((method) => [
    method,
    (call: Call, done: grpc.sendUnaryData<unknown>) => {
      serve(method, call).then(
        (answer) => done(null, answer),
        (error) => done(error),
      )
    },
  ])
  server.addService(loadSignerService(), Object.fromEntries(handlers))
  const door = new TlsDoor(server, {
    tls: options.tls,
    holderOf: (certificate) =>
      fingerprintOf(certificate) === options.fingerprint ? 'the member' : undefined,
    isKept: (peer) => peer === holder,
    handshakeMs: SIGNER_LIMITS.handshakeMs,
    refused: (peer, code, detail) => listener.refused(peer, code, detail),
    closed: (peer) => {
      if (peer !== holder) return
      holder = undefined
      listener.disconnected(peer)
    },
  })
  const port = await door.listen(options.host, options.port)
  return {
    port,
    stop: async () => {
      server.forceShutdown()
      await door.close()
    },
  }
}

function status(code: grpc.status, details: string): Partial<grpc.StatusObject> {
  return { code, details }
}
