/** The member's supervision tree: five actors from ports alone. The program gives real ports, tests others. */
import {
  childSpec,
  createSystem,
  type KernelPorts,
  type System,
  type TerminationReason,
} from '../supervisor/index.ts'
import { auditorActor } from './auditor.ts'
import { followerActor } from './follower.ts'
import { keygenActor } from './keygen.ts'
import { linksActor } from './links.ts'
import { MEMBER_ROWS } from './messages.ts'
import type { AuditPorts, FollowerPorts, KeygenPorts, LinksPorts, SignerPorts } from './port.ts'
import { signerActor } from './signer.ts'

export { storeBehindVault } from './head-store.ts'
export { createJournal } from './journal.ts'
export type { HeldShare, SessionSecret } from './keygen-part.ts'
export type { MemberKeys } from './keys.ts'
export type { ShareStore } from './shares.ts'
export { createVault } from './vault.ts'

export interface MemberPorts {
  readonly kernel: KernelPorts
  readonly links: LinksPorts
  readonly follower: FollowerPorts
  readonly signer: SignerPorts
  readonly keygen: KeygenPorts
  readonly auditor: AuditPorts
}

export function createMemberTree(
  ports: MemberPorts,
  onTerminated?: (reason: TerminationReason) => void,
): System {
  return createSystem({
    ports: ports.kernel,
    registry: MEMBER_ROWS,
    children: [
      childSpec(signerActor, ports.signer, { critical: true }),
      // Without it no key is made, but the member approves and signs.
      childSpec(keygenActor, ports.keygen),
      // Without it the member signs as before, and its tree says that it is away.
      childSpec(auditorActor, ports.auditor, { dependsOn: ['signer'] }),
      childSpec(followerActor, ports.follower, { critical: true, dependsOn: ['signer'] }),
      childSpec(linksActor, ports.links, {
        critical: true,
        dependsOn: ['follower', 'signer'],
      }),
    ],
    ...(onTerminated !== undefined && { onTerminated }),
  })
}
