/** The member's supervision tree: three actors from ports alone. The program gives real ports, tests others. */
import {
  childSpec,
  createSystem,
  type KernelPorts,
  type System,
  type TerminationReason,
} from '../supervisor/index.ts'
import { followerActor } from './follower.ts'
import { linksActor } from './links.ts'
import { MEMBER_ROWS } from './messages.ts'
import type { FollowerPorts, LinksPorts, SignerPorts } from './port.ts'
import { signerActor } from './signer.ts'

export { createJournal } from './journal.ts'
export type { MemberKeys } from './keys.ts'

export interface MemberPorts {
  readonly kernel: KernelPorts
  readonly links: LinksPorts
  readonly follower: FollowerPorts
  readonly signer: SignerPorts
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
      childSpec(followerActor, ports.follower, { critical: true, dependsOn: ['signer'] }),
      childSpec(linksActor, ports.links, { critical: true, dependsOn: ['follower', 'signer'] }),
    ],
    ...(onTerminated !== undefined && { onTerminated }),
  })
}
