/**
 * gRPC over mutual TLS for the governance stream: the server of a federation node (`StreamPort`) and the link that a
 * member opens to each node. Here are transport, identity, registration, heartbeats, flow control and sizes
 * (GV-2, GV-10…GV-12); what messages mean is said elsewhere. Beside it, the same between a member and its signer.
 */
export {
  type GovernanceLink,
  type GovernanceLinkListener,
  type GovernanceLinkOptions,
  openGovernanceLink,
} from './client.ts'
export type { DoorRefusal } from './door.ts'
export { Outbox, Pump } from './outbox.ts'
export type { TlsIdentity } from './schema.ts'
export {
  createGovernanceServer,
  type GovernanceServerOptions,
  type MemberIdentity,
} from './server.ts'
export {
  openSignerClient,
  type SignerAnswer,
  type SignerClient,
  type SignerClientOptions,
  type SignerFault,
} from './signer-client.ts'
export {
  type SignerListener,
  type SignerServer,
  type SignerServerOptions,
  startSignerServer,
} from './signer-server.ts'
